"""Wants a name that is taken."""

from dlm_core import ControlSpec, hookimpl


class Length(ControlSpec):
    """Not dlm's own."""

    kind = "length"


@hookimpl
def dlm_register_controls(register):
    register(Length)
