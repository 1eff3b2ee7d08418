"""What facts a corpus has: its fields, their values, and which of them a text can be asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dlm_controls.semantic.words import comparable, find
from dlm_core.errors import MissingError
from dlm_core.files import write_json
from dlm_core.weights import MOST_TEXT, read_file

if TYPE_CHECKING:
    from dlm_core.corpora import Example

INVENTORY = "inventory.json"
_RARE = 0.1  # a field that fewer texts have is useless
_COPIED = 0.8  # of the texts that have an open value's words
_NAMES = 12  # values that an open field has at least
_TEXTS = 20  # of a field, and half of them of a value that is to be learnt
_MOST_VALUES = 2000
_TOLD = 8  # values and phrases that are listed


class Value(BaseModel):
    """A value and how it is said.

    Attributes:
        texts: how many have it.
        phrases: comparable words that say it; of an open value its own.
        put: tokens that can be put into a text to say it.
        said: share of held-out texts with the value in which a phrase says it.
        why: why it cannot be asked for; empty where it can.
    """

    model_config = ConfigDict(extra="forbid")
    texts: int
    phrases: list[str] = []
    put: list[str] = []
    said: float | None = None
    why: str = ""


class Field(BaseModel):
    """A field of the corpus.

    Attributes:
        kind: closed (few values, each often), open (names, copied word for word), or useless.
        why: why it cannot be asked for; empty where it can.
        texts: how many have it.
        spelt: share of them that have the value's own words.
        values: by name, the most frequent first.
        distinct: how many values there are.
        accuracy, majority: of the judge on texts held out from it, and of always the same answer.
        read: precision and recall of the phrases there.
    """

    model_config = ConfigDict(extra="forbid")
    kind: Literal["closed", "open", "useless"]
    why: str = ""
    texts: int
    spelt: float
    distinct: int
    values: dict[str, Value]
    accuracy: float | None = None
    majority: float | None = None
    read: tuple[float, float] | None = None

    @property
    def usable(self) -> bool:
        """It can be asked for."""
        return not self.why

    def told(self) -> str:
        """One line."""
        what = f"{self.kind}, {self.distinct} values in {self.texts:,} texts"
        if self.accuracy is not None:
            what += f"; the judge reads {self.accuracy:.1%} right (always the same: "
            what += f"{self.majority:.1%})"
        if self.read is not None:
            what += f"; phrases: precision {self.read[0]:.1%}, recall {self.read[1]:.1%}"
        return what + (f"; not used: {self.why}" if self.why else "")


class Inventory(BaseModel):
    """All fields of a corpus."""

    model_config = ConfigDict(extra="forbid")
    texts: int
    fields: dict[str, Field]
    cues: dict[str, dict[str, int]] = {}
    """Of each open field how often which words stand beside its values (`roles.Roles`)."""

    @property
    def usable(self) -> dict[str, Field]:
        """What can be asked for."""
        return {name: field for name, field in self.fields.items() if field.usable}

    def lines(self) -> Iterator[str]:
        """What a user is told: fields, values, how they are said."""
        for name, field in self.fields.items():
            yield f"field '{name}': {field.told()}"
            if not field.usable:
                continue
            for value, found in list(field.values.items())[:_TOLD]:
                line = f"  {value}: {found.texts:,} texts"
                if field.kind == "closed" and found.phrases:
                    line += "; said by " + ", ".join(f"'{p}'" for p in found.phrases[:_TOLD])
                yield line + (f"; not used: {found.why}" if found.why else "")
            if len(field.values) > _TOLD:
                yield f"  and {field.distinct - _TOLD} more"

    def save(self, folder: Path) -> None:
        """Into the head's folder."""
        write_json(folder / INVENTORY, self.model_dump(mode="json"), indent=1)

    @classmethod
    def load(cls, folder: Path) -> Inventory:
        """From the head's folder.

        Raises:
            MissingError: it is broken.
        """
        path = folder / INVENTORY
        try:
            return cls.model_validate_json(read_file(path, MOST_TEXT))
        except ValidationError as error:
            raise MissingError(
                f"{path} is broken: {error.errors()[0]['msg']}", "train the head anew"
            ) from error


def survey(examples: Sequence[Example]) -> Inventory:
    """The fields of a corpus, before anything is mined."""
    names = dict.fromkeys(name for example in examples for name in example.fields)
    return Inventory(
        texts=len(examples), fields={name: _survey_field(name, examples) for name in names}
    )


def _survey_field(name: str, examples: Sequence[Example]) -> Field:
    rows = [(e.text, e.fields[name]) for e in examples if e.fields.get(name, "").strip()]
    counts = Counter(value for _, value in rows)
    copied = sum(find(comparable(text), comparable(value)) >= 0 for text, value in rows)
    spelt = copied / max(1, len(rows))
    is_open = len(counts) >= _NAMES and spelt >= _COPIED
    why = ""
    if len(rows) < max(_TEXTS, _RARE * len(examples)):
        why = f"missing in {1 - len(rows) / len(examples):.0%} of the texts"
    elif len(counts) == 1:
        why = f"every text that has it has the same value, '{next(iter(counts))[:40]}'"
    elif not is_open and len(counts) > len(rows) / 4:
        why = (
            f"nearly a value a text, and only {spelt:.0%} of the texts have its words"
            " (control 'keyword' asks for words)"
        )
    values = {value: Value(texts=count) for value, count in counts.most_common(_MOST_VALUES)}
    if not is_open and not why:
        for value, found in values.items():
            if found.texts < _TEXTS // 2:
                values[value] = found.model_copy(update={"why": f"only {found.texts} texts"})
        if sum(not found.why for found in values.values()) < 2:
            why = f"fewer than two of its values have {_TEXTS // 2} texts"
    kind: Literal["closed", "open", "useless"] = "open" if is_open else "closed"
    return Field(
        kind="useless" if why else kind,
        why=why, texts=len(rows), spelt=round(spelt, 4), distinct=len(counts),
        values=dict(list(values.items())[:_TOLD]) if why else values,
    )  # fmt: skip
