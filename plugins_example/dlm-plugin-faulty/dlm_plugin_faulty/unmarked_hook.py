"""Forgets to mark its hook."""


def dlm_register_selectors(register):
    raise AssertionError("never called")
