"""Implements a hook that does not exist."""

from dlm_core import hookimpl


@hookimpl
def dlm_register_control(register):
    raise AssertionError("never called")
