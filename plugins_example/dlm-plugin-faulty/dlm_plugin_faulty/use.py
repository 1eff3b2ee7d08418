"""Loads well, and fails in use."""

from typing import ClassVar, Literal

from dlm_core import ControlSpec, SelectorSpec, Verdict, hookimpl

FAULTS = ("shape", "nan", "raises", "constant", "build", "check", "lengths", "verify")


class Faulty(ControlSpec):
    """Breaks one promise of a control."""

    kind: ClassVar[str] = "faulty"
    positional: ClassVar[tuple[str, ...]] = ("fault",)
    examples: ClassVar[tuple[str, ...]] = tuple(f"faulty:{fault}" for fault in FAULTS)

    fault: Literal[FAULTS]

    def check(self, info):
        if self.fault == "check":
            raise KeyError("check")

    def lengths(self, info):
        if self.fault == "lengths":
            raise AttributeError("lengths")
        return super().lengths(info)

    def build(self, context):
        if self.fault == "build":
            raise FileNotFoundError("head.bin")
        functions = {
            "shape": lambda state: state.token_log_probs[:, :, 0],
            "nan": lambda state: state.token_log_probs.sum((1, 2)) * float("nan"),
            "raises": lambda state: {}["label"],
            "constant": lambda state: state.token_log_probs.detach().sum((1, 2)) * 0,
        }
        sound = functions.get(self.fault, lambda state: state.token_log_probs[:, 0, 9])
        return context.control(sound)

    def verify(self, text):
        if self.fault == "verify":
            raise ZeroDivisionError("no words")
        return Verdict(True)


class Bad(SelectorSpec):
    """Breaks one promise of a selector."""

    kind: ClassVar[str] = "faulty"
    positional: ClassVar[tuple[str, ...]] = ("fault",)
    examples: ClassVar[tuple[str, ...]] = ("faulty:raises", "faulty:few", "faulty:nan")

    fault: Literal["raises", "few", "nan"]

    def scores(self, candidates):
        if self.fault == "raises":
            raise IndexError("empty")
        return [float("nan")] * (len(candidates) - (self.fault == "few"))


@hookimpl
def dlm_register_controls(register):
    register(Faulty)


@hookimpl
def dlm_register_selectors(register):
    register(Bad)


@hookimpl
def dlm_register_commands(app):
    @app.command("faulty")
    def faulty() -> None:
        """Raise."""
        raise ValueError("not today")
