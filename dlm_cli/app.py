"""The Typer app: every command of `dlm`."""

from __future__ import annotations

import typer

from dlm_cli import train

app = typer.Typer(
    name="dlm",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(train.app, name="train")


@app.callback()
def root() -> None:
    """Controllable text generation with Diffusion-LM."""
