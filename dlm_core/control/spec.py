"""The base of whatever is written KIND[:BODY], controls and selectors. Light: imports no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from dlm_core.calling import expect, owner_of, plugin_errors, plugin_name
from dlm_core.control.grammar import split_body

if TYPE_CHECKING:
    pass


class Spec(BaseModel):
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

    def __init__(self, *args: Any, **values: Any) -> None:
        """Positional arguments fill the fields named by `positional`."""
        names = type(self).positional
        if len(args) > len(names):
            raise TypeError(f"{type(self).__name__} takes at most {len(names)} positional values")
        super().__init__(**dict(zip(names, args, strict=False)), **values)

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """Split a spec's body into field values; override where keys are data (semantic)."""
        return split_body(body, tuple(cls.model_fields), cls.positional)

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


class SpecValueError(ValueError):
    """Raise in a validator to give the user a hint beside the message."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
