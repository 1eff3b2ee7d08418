"""Registers something that is no spec."""

from dlm_core import hookimpl


@hookimpl
def dlm_register_selectors(register):
    register("diverse")
