"""The base of whatever is written KIND[:BODY], controls and selectors. Light: imports no torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from dlm_core.control.grammar import MAX_SPEC, split_body
from dlm_core.errors import shorten
from dlm_core.text import normal

if TYPE_CHECKING:
    pass


class Spec(BaseModel):
    """Base of whatever is written KIND[:BODY], controls and selectors; its fields are options.

    Subclasses set `kind`, `positional` and `examples`. The class docstring's first line is the help
    text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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

    @model_validator(mode="before")
    @classmethod
    def _plain_texts(cls, values: Any) -> Any:
        """Bounded, and in NFC, also where a spec is made in Python."""
        return {k: _plain(k, v) for k, v in values.items()} if isinstance(values, dict) else values

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """Split a spec's body into field values; override where keys are data (semantic)."""
        return split_body(body, tuple(cls.model_fields), cls.positional)

    def body(self) -> str:
        """The canonical body; parsing it gives an equal spec."""
        values = {k: v for k, v in self.model_dump(mode="json").items() if v is not None}
        return json.dumps(values, ensure_ascii=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.body()}" if type(self).model_fields else self.kind

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0] if cls.__doc__ else ""


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(name, item) if isinstance(item, str) else item for item in value]
    if not isinstance(value, str):
        return value
    if len(value) > MAX_SPEC:
        raise SpecValueError(f"'{name}' has {len(value):,} characters; at most {MAX_SPEC:,} do")
    return normal(value)


class SpecValueError(ValueError):
    """Raise in a validator to give the user a hint beside the message."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(shorten(message))
        self.hint = hint
