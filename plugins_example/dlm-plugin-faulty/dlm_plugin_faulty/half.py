"""Fails half way: nothing of it may stay."""

from dlm_core import ControlSpec, hookimpl


class Half(ControlSpec):
    """Registered before the fault."""

    kind = "faulty-half"


@hookimpl
def dlm_register_controls(register):
    register(Half)
    raise OSError("no space left on device")
