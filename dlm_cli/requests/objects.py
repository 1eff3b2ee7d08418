"""A control as a JSON object, where a program would rather not write a spec."""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, ValidationError

from dlm_core.config import Settings
from dlm_core.errors import did_you_mean

_EXAMPLE = '{"kind": "length", "fields": {"words": 12}}'


class ControlObject(Settings):
    """The keys of a control, as `--dry-run --format jsonl` prints them."""

    kind: str
    fields: dict[str, Any] = Field(default_factory=dict)
    weight: float | None = Field(default=None, ge=0)
    negated: bool = False

    def spec(self) -> str:
        """The same as a spec, `not KIND:{json}@WEIGHT`."""
        body = f":{json.dumps(self.fields, ensure_ascii=False)}" if self.fields else ""
        weight = "" if self.weight is None else f"@{self.weight!r}"
        return f"{'not ' * self.negated}{self.kind}{body}{weight}"


def spec_of(value: Any) -> Any:
    """An object as its spec; whatever else it is stays.

    Raises:
        ValueError: it has other keys, or a value of the wrong type.
    """
    if not isinstance(value, dict):
        return value
    try:
        return ControlObject.model_validate(value).spec()
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            near = did_you_mean(key, ControlObject.model_fields)
            raise ValueError(f"has no key '{key[:80]}'; {near}") from None
        raise ValueError(f"has a wrong '{key[:80]}': write {_EXAMPLE}") from None
