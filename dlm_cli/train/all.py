"""`dlm train all`: a recipe's model, teacher, writer, heads, figures and card, by one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.files import check_new, expand
from dlm_cli.help import examples
from dlm_cli.options import Device, PluginFiles
from dlm_cli.output import pick_device, print_table, require_folder, stderr
from dlm_cli.train.bars import watching
from dlm_cli.words import spell_time
from dlm_core.commands import command

if TYPE_CHECKING:
    from dlm_core.recipes.job import Job
    from dlm_core.recipes.run import Some

EPILOG = examples(
    "dlm train all examples/recipes/e2e.toml --out mine --dry-run",
    "dlm train all recipe.toml --out mine",
    "dlm train all recipe.toml --out mine --resume",
)
RecipeArgument = Annotated[
    Path,
    typer.Argument(metavar="RECIPE", help="TOML of the whole run; docs/training.md has its keys."),
]
OutOption = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Folder of the bundle, with the teacher, figures and card.",
        callback=expand,
        rich_help_panel="Output",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        metavar="",
        help="Go on with the run in --out: what is done and still fits is not done again.",
        rich_help_panel="Training",
    ),
]
ForceOption = Annotated[
    bool,
    typer.Option(
        "--force",
        metavar="",
        help="Do everything anew in a folder that holds a run or a model; with --only, that stage.",
        rich_help_panel="Output",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        metavar="",
        help="Check all, and print the stages, their steps and how long they will take here.",
        rich_help_panel="Training",
    ),
]
UntilOption = Annotated[
    str | None,
    typer.Option(metavar="STAGE", help="Stop behind this stage.", rich_help_panel="Training"),
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        metavar="STAGE",
        help="Do this stage alone; what it needs must be done.",
        rich_help_panel="Training",
    ),
]


def train_all(
    recipe: RecipeArgument,
    out: OutOption,
    resume: ResumeOption = False,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    until: UntilOption = None,
    only: OnlyOption = None,
    device: Device = "auto",
    plugin: PluginFiles = None,
) -> None:
    """Train everything that a recipe asks for, one stage after the other.

    Data check, language model, teacher, every head, writer, figures on held-out
    texts, model card. The recipe is checked whole before anything is trained.
    Ctrl-C leaves what --resume goes on with.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.recipes.recipe import read_recipe
    from dlm_core.recipes.records import Records
    from dlm_core.recipes.run import Some, open_records, prepare

    read = read_recipe(expand(recipe), lambda files: load([*files, *(plugin or ())]))
    some, records = Some(until, only), Records(out, {})
    if not dry_run:
        records = open_records(out, some, resume, force)
        check_new(out, resume or force)
        require_folder(out, "--out")
    with watching("reading") as told:
        job = prepare(read, records, pick_device(device), told)
    some.check_names(job)
    if dry_run:
        _plan(job)
        return
    _run(job, some)
    if until is None and only is None:
        stderr(f"wrote the bundle {out}; its card: {out / 'README.md'}")
        stderr(f"use it: {command('generate', '-m', out, '-n', 4)}")


def _run(job: Job, some: Some) -> None:
    """Do the stages, each under a bar of its own."""
    from contextlib import ExitStack

    from dlm_core.recipes.run import run_recipe

    with ExitStack() as stack:

        def begins(number: int, count: int, stage: str) -> None:
            stack.close()
            stderr(f"stage {number} of {count}: {stage}")
            job.told = stack.enter_context(watching(stage))

        try:
            run_recipe(job, some, begins)
        except KeyboardInterrupt:
            stack.close()
            stderr("stopped; continue with --resume")
            raise typer.Exit(130) from None


def _plan(job: Job) -> None:
    """The stages, as a table on stdout."""
    from dlm_core.recipes.estimate import estimate
    from dlm_core.recipes.stages import check_texts, stages_of

    with watching("timing") as told:
        job.told = told
        check_texts(job, False)
        rows, total, count = [], 0.0, len(stages_of(job))
        for number, expected in enumerate(estimate(job), 1):
            told.step(number, count, expected.stage)
            total += expected.seconds or 0.0
            steps = f"{expected.steps:,}" if expected.steps else "-"
            about = "-" if expected.seconds is None else f"about {spell_time(expected.seconds)}"
            rows.append((f"{number} of {count}", expected.stage, steps, about))
    print_table(
        [*rows, ("", "all", "", f"about {spell_time(total)}")], ("", "STAGE", "STEPS", "TIME")
    )
