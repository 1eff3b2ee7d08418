"""The options of `dlm generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dlm_cli import completion
from dlm_cli.files import expand
from dlm_cli.options import from_settings
from dlm_cli.requests.recipes import MAX_TRIES, take_recipe
from dlm_core.config import GuidanceConfig, SamplingConfig

SAMPLING, GUIDANCE = SamplingConfig(), GuidanceConfig()


BatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="Texts made together: speed and memory; 64 if omitted, 256 on a GPU. Rarely flips a "
        "word, see --deterministic.",
        rich_help_panel="Model",
    ),
]
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        metavar="",
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
        autocompletion=completion.recipes,
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
        help="Text i depends on seed + i alone; 'random' draws one and says which. DLM_SEED names "
        "another default.",
        callback=from_settings,
        rich_help_panel="Sampling",
    ),
]
Steps = Annotated[
    int, typer.Option(metavar="INT", help="Denoising steps.", rich_help_panel="Sampling")
]
Sampler = Annotated[
    Literal["ancestral", "ddim", "dpmpp_2m"],
    typer.Option(
        help="How x_T is walked to x_0; dpmpp_2m is DPM-Solver++(2M), without noise.",
        rich_help_panel="Sampling",
    ),
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
SelfConditioning = Annotated[
    bool,
    typer.Option(
        "--self-conditioning/--no-self-conditioning",
        metavar="",
        help="Feed the last estimate back to a denoiser that was trained for it.",
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
Drafts = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        help="Drafts of each text, of which the likeliest stands; if omitted 4 where the bundle's "
        "writer writes, else 1.",
        rich_help_panel="Sampling",
    ),
]
Corrections = Annotated[
    int,
    typer.Option(
        metavar="INT",
        help="How often a text that its controls find faults in is noised again and redone.",
        rich_help_panel="Sampling",
    ),
]
Evidence = Annotated[
    float | None,
    typer.Option(
        metavar="FLOAT",
        help="How much x_t counts for its own word, 0 to 1, in a model that counts it; the "
        "model's own if omitted.",
        rich_help_panel="Sampling",
    ),
]
Precision = Annotated[
    Literal["auto", "bf16", "fp32"],
    typer.Option(
        help="Of the denoiser; auto is bf16 on a GPU that has it, and fp32 elsewhere.",
        rich_help_panel="Sampling",
    ),
]
Writer = Annotated[
    bool,
    typer.Option(
        "--writer/--no-writer",
        metavar="",
        help="Show controls to the bundle's writer, where it has one.",
        rich_help_panel="Guidance",
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
        help="One text a line, or one JSON object with all there is to know; jsonl where -o FILE "
        "ends so.",
        rich_help_panel="Output",
    ),
]
Tokens = Annotated[
    bool,
    typer.Option(
        "--tokens",
        metavar="",
        help="The model's words and marks, 'family - friendly .' for 'family-friendly.'; the JSON "
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
Trace = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        callback=expand,
        help="Write one page with the texts after every step, what controls moved, and the "
        "verdicts; it opens in any browser, without a network.",
        rich_help_panel="Output",
    ),
]
