"""Wants a command that dlm has."""

from dlm_core import hookimpl


@hookimpl
def dlm_register_commands(app):
    app.command("generate")(lambda: None)
