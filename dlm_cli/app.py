"""The Typer app: which commands there are, and where each lives.

Only the module of the command that is asked for is imported; the others stand by name and summary,
so that `dlm --help` stays quick however much the commands need. Plugins are asked for commands only
if there are plugins beside the built-ins, and only for help, completion and a command not `dlm`'s.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Annotated

import typer

from dlm_cli.commands import COMMANDS
from dlm_cli.help import examples
from dlm_cli.output import LEVELS, be_quiet, set_level


def build(argv: Sequence[str] | None = None) -> typer.Typer:
    """The app, ready to run `argv`.

    Args:
        argv: decides which command is imported; all are if omitted, or to complete in a shell.
    """
    app = typer.Typer(
        name="dlm",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=examples(
            "dlm generate -n 4 -c length:12",
            "dlm generate -c semantic:food=Japanese -c length:10-14 --format jsonl",
            "dlm controls show semantic",
        ),
    )
    app.callback()(_root)
    everything = argv is None or "_DLM_COMPLETE" in os.environ
    wanted = _command(argv or ())
    for command in COMMANDS:
        if not (everything or command.name == wanted):
            app.command(command.name, help=command.summary, rich_help_panel=command.panel)(
                _elsewhere
            )
            continue
        module = importlib.import_module(command.module)
        if command.group:
            app.add_typer(module.app, name=command.name, rich_help_panel=command.panel)
        else:
            app.command(command.name, epilog=module.EPILOG, rich_help_panel=command.panel)(
                module.command
            )
    own = wanted in {command.name for command in COMMANDS}
    if (everything or not (own or "--version" in (argv or ()))) and _other_plugins():
        from dlm_cli.plugins.loading import load_commands

        load_commands(app, strict=None if wanted else False, quiet=everything)
    return app


def _command(argv: Sequence[str]) -> str | None:
    """The first word that is neither an option before the command nor its value."""
    words = iter(argv)
    for word in words:
        if word in ("--log-level", "--threads"):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _other_plugins() -> bool:
    """There may be plugins beside the built-ins: worth importing what loads them."""
    chosen = os.environ.get("DLM_PLUGINS")
    if chosen is not None:
        return chosen.strip() not in ("", "off")
    from importlib.metadata import entry_points

    return any(entry.value != "dlm_controls.plugin" for entry in entry_points(group="dlm"))


def _elsewhere() -> None:
    """Stands for a command that this process does not run."""


def _version(wanted: bool) -> None:
    if wanted:
        from dlm_core.version import VERSION

        typer.echo(f"dlm {VERSION}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar="",
            callback=_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", metavar="", help="Nothing on stderr but errors."),
    ] = False,
    log_level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help=f"What is told on stderr: {', '.join(LEVELS)}.",
            autocompletion=lambda incomplete: [k for k in LEVELS if k.startswith(incomplete)],
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="INT", min=1, help="Threads of the CPU to compute with.")
    ] = None,
) -> None:
    """Controllable text generation with Diffusion-LM.

    Settings of yours stand in a file or in the environment: 'dlm env'.
    """
    from dlm_cli.settings import take_options

    set_level(take_options(threads, log_level).log_level)
    if quiet:
        be_quiet()
