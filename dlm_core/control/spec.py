"""The base of whatever is written KIND[:BODY], controls and selectors. Light: imports no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from dlm_core.calling import expect, owner_of, plugin_errors, plugin_name
from dlm_core.config import SaysWhatIsWrong
from dlm_core.control.grammar import MAX_SPEC, split_body
from dlm_core.control.wrong import WrongSpecError, first_fault
from dlm_core.errors import shorten
from dlm_core.text import half_pair, normal_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError

    from dlm_core.bundle import ModelInfo


class Spec(BaseModel, metaclass=SaysWhatIsWrong):
    """Base of whatever is written KIND[:BODY], controls and selectors; its fields are options.

    Subclasses set `kind`, `positional` and `examples`. The class docstring's first line is the help
    text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    _what: ClassVar[str] = "spec"
    """What errors call it: control or selector."""
    kind: ClassVar[str] = ""
    """The name in front of the colon."""
    positional: ClassVar[tuple[str, ...]] = ()
    """Fields that may be given without a name, in this order."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Spec strings shown in help and tried by the conformance kit."""

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **values: Any) -> None: ...

    @classmethod
    def _call_arguments(cls, args: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
        """Positional arguments fill the fields named by `positional`."""
        given = dict(zip(cls.positional, args, strict=False))
        wrong = next((f"'{name}' is given twice" for name in given if name in values), "")
        if len(args) > len(cls.positional):
            wrong = f"takes at most {len(cls.positional)} values without a name"
        if wrong:
            hint = f"for example {cls.examples[0]}" if cls.examples else None
            raise WrongSpecError(f"{cls._what} '{cls.kind}': {wrong}", hint=hint)
        return given | values

    @classmethod
    def _call_error(cls, error: ValidationError) -> WrongSpecError:
        example = f"for example {cls.examples[0]}" if cls.examples else None
        fault = first_fault(cls._what, cls.kind, error, [*cls.model_fields], example)
        return WrongSpecError(fault.message, hint=fault.hint, field=fault.field)

    @model_validator(mode="before")
    @classmethod
    def _plain_texts(cls, values: Any) -> Any:
        """Bounded, and in NFC, also where a spec is made in Python."""
        if isinstance(values, dict):
            for name, value in values.items():
                _check_length(name, value)
        return normal_all(values)

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """Split a spec's body into field values; override where keys are data (semantic)."""
        return split_body(body, tuple(cls.model_fields), cls.positional)

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """Values that a field may have, or words of which it is made, for a form to offer.

        Args:
            field: its name; `facts.0` is the first of each pair, where a field has pairs.
            given: the fields that are filled in.
            info: the model.
        """
        return ()

    @classmethod
    def complete(cls, body: str) -> list[str]:
        """Bodies that go on from `body`, for completion in a shell.

        The names of the fields that are not given yet; override where values are known.
        """
        given, comma, _ = body.rpartition(",")
        return [f"{given}{comma}{name}=" for name in cls.model_fields if f"{name}=" not in given]

    @classmethod
    def complete_in(cls, body: str, info: ModelInfo) -> list[str]:
        """As `complete`, where the model is known; override where values are the model's."""
        return cls.complete(body)

    @classmethod
    def knows(cls, info: ModelInfo) -> Sequence[str]:
        """Lines for a person on what can be asked of this model, where that is the model's."""
        return ()

    def body(self) -> str:
        """The canonical body; parsing it gives an equal spec."""
        values = {k: v for k, v in self.model_dump(mode="json").items() if v is not None}
        return json.dumps(values, ensure_ascii=False)

    def __str__(self) -> str:
        if not type(self).model_fields:
            return self.kind
        with plugin_errors(plugin_name(self._what, self.kind, owner_of(type(self))), "body"):
            return f"{self.kind}:{expect(self.body(), str, 'a str')}"

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return next(iter((cls.__doc__ or "").strip().splitlines()), "")


def _check_length(name: str, value: Any) -> None:
    for item in value if isinstance(value, list | tuple) else (value,):
        if isinstance(item, str) and len(item) > MAX_SPEC:
            raise SpecValueError(f"'{name}' has {len(item):,} characters; at most {MAX_SPEC:,} do")
        if isinstance(item, str) and (at := half_pair(item)) is not None:
            raise SpecValueError(f"'{name}' has half a surrogate pair at character {at + 1}")


class SpecValueError(ValueError):
    """Raise in a validator to give the user a hint beside the message."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(shorten(message))
        self.hint = hint
