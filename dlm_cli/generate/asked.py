"""What the options of `dlm generate` come to: settings, and a request that can be made."""

from __future__ import annotations

from typing import Any, TypeVar

import typer

from dlm_cli.files import check_output
from dlm_cli.generate.options import GUIDANCE, SAMPLING
from dlm_cli.generate.trace import check_trace
from dlm_cli.output import stderr, warn
from dlm_cli.requests.recipes import FLAGS, Recipe
from dlm_core.config import GuidanceConfig, SamplingConfig, Settings

FLAGS_BACK = {option: name for name, option in FLAGS.items()}
_TYPED = "COMMANDLINE"
_S = TypeVar("_S", bound=Settings)


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


def resolve(cls: type[_S], base: _S, options: dict[str, Any]) -> _S:
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
    if sampling.sampler != "ddim":
        idle.append(("eta", sampling, SAMPLING, "--sampler ddim"))
    if not sampling.clamp:
        idle.append(("temperature", sampling, SAMPLING, "--clamp"))
        idle.append(("clamp_start", sampling, SAMPLING, "--clamp"))
    if not sampling.self_conditioning:
        needed = "--self-conditioning"
        idle.append(("self_conditioning_temperature", sampling, SAMPLING, needed))
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
    if output is not None and ".jsonl" in output.suffixes and source and source.name == "DEFAULT":
        asked["format"] = "jsonl"
    if requests is not None and asked["format"] == "text" and source and source.name == _TYPED:
        raise UsageError("option '--requests' gives JSONL only", "leave out --format text")
    if asked["until_satisfied"] and not asked["verify"]:
        raise UsageError("option '--until-satisfied' needs verdicts", "leave out --no-verify")
    inputs = [("--requests", requests), ("--recipe", asked["recipe"])]
    inputs += [("--plugin", path) for path in asked["plugin"] or ()]
    if requests is not None and asked["trace"] is not None:
        raise UsageError(
            "options '--requests' and '--trace' exclude each other", "trace one request: -c SPEC"
        )
    if not asked["dry_run"]:
        if asked["trace"] is not None:
            check_trace(asked["trace"], asked["force"])
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
    sampling = resolve(SamplingConfig, base.sampling, options)
    guidance = resolve(GuidanceConfig, base.guidance, options)
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
