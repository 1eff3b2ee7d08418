"""The app as Typer's own `utils docs` wants to find it: built-in commands alone."""

from dlm_cli.app import build

app = build()
