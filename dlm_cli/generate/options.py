"""The options of `dlm generate`, and how they become settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from dlm_cli import completion
from dlm_cli.files import check_output, expand
from dlm_cli.output import stderr, warn
from dlm_cli.requests.recipes import FLAGS, MAX_TRIES, Recipe, take_recipe
from dlm_core.config import GuidanceConfig, SamplingConfig, Settings

FLAGS_BACK = {option: name for name, option in FLAGS.items()}
_TYPED = "COMMANDLINE"
SAMPLING, GUIDANCE = SamplingConfig(), GuidanceConfig()
_S = TypeVar("_S", bound=Settings)


BatchSize = Annotated[
    int,
    typer.Option(
        metavar="INT",
        min=1,
        help="Texts made together: speed and memory. Rarely flips a word, see --deterministic.",
        rich_help_panel="Model",
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        help="Make each text alone, so that it is the same whatever is asked beside it; slower.",
        rich_help_panel="Model",
    ),
]
Control = Annotated[
    list[str] | None,
    typer.Option(
        "--control",
        "-c",
        metavar="SPEC",
        help="What the text must satisfy, KIND:BODY[@WEIGHT]; repeat to compose. "
        "'dlm controls list' shows them.".replace("[", "\\["),
        autocompletion=completion.specs,
        rich_help_panel="Controls",
    ),
]
Avoid = Annotated[
    list[str] | None,
    typer.Option(
        "--not",
        metavar="SPEC",
        help="What the text must not satisfy, short for -c 'not SPEC'; where a control "
        "has a contrary.",
        autocompletion=completion.specs,
        rich_help_panel="Controls",
    ),
]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify",
        metavar="",
        help="Judge each text by its controls.",
        rich_help_panel="Controls",
    ),
]
Select = Annotated[
    str | None,
    typer.Option(
        "--select",
        "-s",
        metavar="SPEC",
        help="Make -n candidates and keep the best; 'dlm selectors list' shows how.",
        autocompletion=completion.selectors,
        rich_help_panel="Selection",
    ),
]
Keep = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="How many to keep, best first: 1 unless given; as many as -n to rank them all.",
        rich_help_panel="Selection",
    ),
]
UntilSatisfied = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        max=MAX_TRIES,
        help="Make a text that a control does not hold of again, with further seeds, up to N "
        "times; 'tries' in the JSON says how often.",
        rich_help_panel="Selection",
    ),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="FILE",
        is_eager=True,
        callback=take_recipe,
        help="TOML or JSON with what is asked; options given beside it win.",
        rich_help_panel="Files",
    ),
]
AllowPlugins = Annotated[
    bool,
    typer.Option(
        "--allow-plugins",
        metavar="",
        help="Run the Python files that the recipe names as its plugins; they can do anything.",
        rich_help_panel="Files",
    ),
]
Requests = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|-",
        callback=expand,
        help='JSONL of many requests, {"id": 1, "controls": \\["length:12"]}; '
        "keys left out are taken from the options. Gives JSONL.",
        rich_help_panel="Files",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="With --requests and -o: keep what FILE has and make the rest.",
        rich_help_panel="Files",
    ),
]
Count = Annotated[
    int,
    typer.Option(
        "--num", "-n", metavar="INT", min=1, help="How many texts.", rich_help_panel="Sampling"
    ),
]
Seed = Annotated[
    str,
    typer.Option(
        metavar="INT|random",
        help="Text i depends on seed + i alone; 'random' draws one and says which.",
        rich_help_panel="Sampling",
    ),
]
Steps = Annotated[
    int, typer.Option(metavar="INT", help="Denoising steps.", rich_help_panel="Sampling")
]
Sampler = Annotated[
    Literal["ancestral", "ddim"],
    typer.Option(help="How x_T is walked to x_0.", rich_help_panel="Sampling"),
]
Eta = Annotated[
    float,
    typer.Option(
        metavar="FLOAT",
        help="Noise of ddim: 0 is deterministic, 1 is ancestral.",
        rich_help_panel="Sampling",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        metavar="FLOAT",
        help="Of the word the clamp picks: 0 takes the likeliest, above 1 texts differ more. "
        "If omitted 1.5 without controls, 1 with some.",
        rich_help_panel="Sampling",
    ),
]
Clamp = Annotated[
    bool,
    typer.Option(
        "--clamp/--no-clamp",
        metavar="",
        help="Snap x_0_hat to a word vector at each step.",
        rich_help_panel="Sampling",
    ),
]
ClampStart = Annotated[
    float,
    typer.Option(
        metavar="FLOAT", help="Clamp only where t is at most this.", rich_help_panel="Sampling"
    ),
]
Spacing = Annotated[
    Literal["respaced", "rebuilt"],
    typer.Option(
        help="Steps of the training schedule, or a shorter schedule as in the release.",
        rich_help_panel="Sampling",
    ),
]
TimePower = Annotated[
    float,
    typer.Option(
        metavar="FLOAT",
        help="1 spaces the steps evenly; below 1 more of them fall on high noise.",
        rich_help_panel="Sampling",
    ),
]
FedBack = Annotated[
    float,
    typer.Option(
        metavar="FLOAT",
        help="Of the words fed back to the denoiser; below 1 sharper.",
        rich_help_panel="Sampling",
    ),
]
Guidance = Annotated[
    Literal["posterior", "paper", "both"],
    typer.Option(
        help="Condition the predicted words, climb the gradient at x_t, or both (slow).",
        rich_help_panel="Guidance",
    ),
]
GuidanceSteps = Annotated[
    int,
    typer.Option(
        metavar="INT", help="Gradient steps (paper and both).", rich_help_panel="Guidance"
    ),
]
GuidanceLr = Annotated[
    float,
    typer.Option(
        metavar="FLOAT",
        help="Rate of the gradient steps (paper and both).",
        rich_help_panel="Guidance",
    ),
]
GuidanceOptimizer = Annotated[
    Literal["adagrad", "sign"],
    typer.Option(
        help="'sign' is what the release does (paper and both).", rich_help_panel="Guidance"
    ),
]
Fluency = Annotated[
    float,
    typer.Option(
        metavar="FLOAT",
        help="Weight of the fluency term (paper and both).",
        rich_help_panel="Guidance",
    ),
]
Format = Annotated[
    Literal["text", "jsonl"],
    typer.Option(
        help="One text a line, or one JSON object with all there is to know.",
        rich_help_panel="Output",
    ),
]
Plain = Annotated[
    bool,
    typer.Option(
        "--plain",
        metavar="",
        help="Texts as one writes them, 'family-friendly.' for 'family - friendly .'; the JSON "
        "has both.",
        rich_help_panel="Output",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Check the request and print it as a recipe (--format jsonl: all it comes to).",
        rich_help_panel="Output",
    ),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch",
        metavar="",
        help="Show on stderr how the words form.",
        rich_help_panel="Output",
    ),
]


def read_seed(value: str) -> int:
    """`--seed`: an integer, or `random`, which is drawn and reported.

    Raises:
        UsageError: neither.
    """
    from dlm_core.errors import UsageError

    if value == "random":
        import secrets

        drawn = secrets.randbelow(2**31)
        stderr(f"seed: {drawn}")
        return drawn
    try:
        return int(value)
    except ValueError as error:
        raise UsageError(
            f"option '--seed': '{value}' is neither an integer nor 'random'", "--seed 7"
        ) from error


def _resolve(cls: type[_S], base: _S, options: dict[str, Any]) -> _S:
    """Validate options, over those of a recipe, as settings; the error names the option."""
    from pydantic import ValidationError

    from dlm_core.errors import UsageError

    own = {name: options[name] for name in cls.model_fields if name in options}
    try:
        return cls.model_validate(base.model_dump() | own)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        flag = FLAGS.get(name, name).replace("_", "-")
        message = first["msg"].removeprefix("Input ")
        raise UsageError(f"option '--{flag}': {first['input']} {message}") from error


def warn_of_idle_options(sampling: SamplingConfig, guidance: GuidanceConfig) -> None:
    """Say which options change nothing beside the others."""
    idle: list[tuple[str, Settings, Settings, str]] = []
    if sampling.sampler == "ancestral":
        idle.append(("eta", sampling, SAMPLING, "--sampler ddim"))
    if not sampling.clamp:
        idle.append(("temperature", sampling, SAMPLING, "--clamp"))
        idle.append(("clamp_start", sampling, SAMPLING, "--clamp"))
    if guidance.mode == "posterior":
        names = ("guidance_steps", "guidance_lr", "optimizer", "fluency")
        idle += [(name, guidance, GUIDANCE, "--guidance paper or both") for name in names]
    for name, chosen, default, needed in idle:
        if getattr(chosen, name) != getattr(default, name):
            flag = FLAGS.get(name, name).replace("_", "-")
            warn(f"option '--{flag}' has no effect without {needed}")


def check_options(context: typer.Context) -> None:
    """Refuse options that exclude each other, and an output that would lose something."""
    from dlm_core.errors import UsageError

    asked = context.params
    requests, output, resume = asked["requests"], asked["output"], asked["resume"]
    if resume and (requests is None or output is None or str(output) == "-"):
        raise UsageError(
            "option '--resume' goes on with a file", "--requests FILE -o FILE --resume"
        )
    if resume and asked["force"]:
        raise UsageError(
            "options '--resume' and '--force' exclude each other",
            "--resume keeps what FILE has, --force writes it anew",
        )
    source = context.get_parameter_source("format")
    if requests is not None and asked["format"] == "text" and source and source.name == _TYPED:
        raise UsageError("option '--requests' gives JSONL only", "leave out --format text")
    if asked["until_satisfied"] and not asked["verify"]:
        raise UsageError("option '--until-satisfied' needs verdicts", "leave out --no-verify")
    inputs = [("--requests", requests), ("--recipe", asked["recipe"])]
    inputs += [("--plugin", path) for path in asked["plugin"] or ()]
    if not asked["dry_run"]:
        check_output(output, inputs, asked["force"], resume)


def may_run_plugins(context: typer.Context, plugins: tuple[str, ...]) -> bool:
    """The plugin files may be run: none is named, or the user, not only a recipe, names them.

    Raises:
        UsageError: a recipe alone names them, and texts are to be made.
    """
    from dlm_core.errors import UsageError

    source = context.get_parameter_source("plugin")
    if not plugins or context.params["allow_plugins"] or not source or source.name == _TYPED:
        return True
    files, how = ", ".join(plugins), "read them, then add --allow-plugins"
    if not context.params["dry_run"]:
        raise UsageError(f"the recipe would run Python of its own: {files}", how)
    warn(f"a dry run does not run the recipe's plugins: {files}", how)
    return False


def read_asked(context: typer.Context) -> Recipe:
    """The options, over the recipe's keys, as a recipe."""
    given = context.params
    base = context.obj or Recipe()  # of the callback of --recipe
    # `eta` of the settings is the option `--eta`, `mode` is `--guidance`
    options = {FLAGS_BACK.get(name, name): value for name, value in given.items()}
    sampling = _resolve(SamplingConfig, base.sampling, options)
    guidance = _resolve(GuidanceConfig, base.guidance, options)
    warn_of_idle_options(sampling, guidance)
    keys = ("model", "n", "select", "keep", "verify", "until_satisfied")
    return Recipe(
        controls=(*(given["control"] or ()), *(f"not {spec}" for spec in given["avoid"] or ())),
        seed=read_seed(given["seed"]),
        plugins=tuple(map(str, given["plugin"] or ())),
        heads=tuple(given["head"] or ()),
        sampling=sampling,
        guidance=guidance,
        **{key: given[key] for key in keys},
    )
