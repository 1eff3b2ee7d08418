"""mr:"name[The Mill], eatType[pub]": a whole meaning representation, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator, model_validator

from dlm_controls.semantic import oracle, reader, tables
from dlm_controls.semantic.others import barred_ids
from dlm_controls.semantic.places import unknown
from dlm_controls.semantic.spec import Semantic
from dlm_core.control.compose import ControlSpec
from dlm_core.control.grammar import unquote
from dlm_core.control.lengths import Lengths
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import did_you_mean
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control

_PRICE = re.compile(r"£?\s*(\d+)(?:\.\d+)?\s*(?:pounds)?")
_BANDS = ((20, "less than £ 20"), (28, "£ 20 - 25"), (float("inf"), "more than £ 30"))
"""A number in priceRange means the first band whose bound is above it."""


class MR(ControlSpec):
    """A meaning representation: all of its facts, each once, and no fact of another field."""

    kind: ClassVar[str] = "mr"
    positional: ClassVar[tuple[str, ...]] = ("facts",)
    examples: ClassVar[tuple[str, ...]] = (
        'mr:"name[The Mill], eatType[pub], near[Café Rouge]"',
        'mr:{"name": "The Mill", "food": "French", "area": "riverside"}',
    )
    head: ClassVar[str] = "semantic"
    normalised: ClassVar[bool] = True

    facts: tuple[tuple[str, str], ...]
    """Field and value, as the corpus spells them."""

    if TYPE_CHECKING:

        def __init__(self, facts: str | dict[str, str] | None = None, **more: str) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _fields_by_name(cls, data: Any) -> Any:
        """`MR(name="The Mill", customer_rating="low")` is an MR of these."""
        if isinstance(data, dict) and "facts" not in data:
            return {"facts": {str(key).replace("_", " "): value for key, value in data.items()}}
        return data

    @field_validator("facts", mode="before")
    @classmethod
    def _slots(cls, value: Any) -> Any:
        if isinstance(value, str):
            from dlm_core.corpora.meaning import EXAMPLE, slots

            try:
                return tuple(slots(value))
            except ValueError as error:
                raise SpecValueError(str(error), f"for example {EXAMPLE}") from error
        return tuple(value.items()) if isinstance(value, dict) else value

    @field_validator("facts")
    @classmethod
    def _known(cls, facts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if not facts:
            raise SpecValueError("no facts", "for example name[The Mill], eatType[pub]")
        found: dict[str, str] = {}
        for name, value in facts:
            field, canonical = _fact(name, value)
            if field in found:
                raise SpecValueError(
                    f"field '{field}' stands twice: '{found[field]}' and '{canonical}'",
                    "leave one out",
                )
            found[field] = canonical
        if found.get("name") == found.get("near") is not None:
            raise SpecValueError(f"'{found['name']}' is not near itself", "another name or near")
        return tuple((field, found[field]) for field in tables.FIELDS if field in found)

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The whole body is the representation, or a JSON object."""
        text = unquote(body).strip()
        if not text.startswith("{"):
            return {"facts": text}
        try:
            slots = load_json(text)
        except ValueError as error:
            raise SpecValueError(str(error), 'mr:{"name": "The Mill", "food": "French"}') from error
        return {"facts": {name: str(value) for name, value in slots.items()}}

    @classmethod
    def complete(cls, body: str) -> list[str]:
        """Fields that are not given yet, then the values of one."""
        text = body.lstrip('"')
        done, comma, rest = text.rpartition(",")
        before = body[: len(body) - len(text)] + (f"{done}, " if comma else "")
        name, opened, _ = rest.strip().partition("[")
        field = reader.canonical_field(name) if opened else None
        if field is None:
            given = {reader.canonical_field(slot.partition("[")[0]) for slot in done.split(",")}
            return [f"{before}{field}[" for field in tables.FIELDS if field not in given]
        return [f"{before}{name}[{value}]" for value in tables.VALUES[field]]

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """As of a fact."""
        fact = {"field": given.get("facts.0")}
        return Semantic.known_values("field" if field == "facts.0" else "value", fact, info)

    def body(self) -> str:
        """The representation in quotes, in the order of the corpus."""
        return '"' + ", ".join(f"{field}[{value}]" for field, value in self.facts) + '"'

    @cached_property
    def specs(self) -> tuple[Semantic, ...]:
        """Its facts, one control each."""
        return tuple(Semantic(field=field, value=value) for field, value in self.facts)

    def check(self, info: ModelInfo) -> None:
        """The model must have words for each fact."""
        for spec in self.specs:
            spec.check(info)

    def lengths(self, info: ModelInfo) -> Lengths:
        """At least the shortest phrase of each fact."""
        return Semantic.together(self.specs, info)

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """What excludes one of its facts, and facts of fields that it leaves out."""
        others = other.specs if isinstance(other, MR) else (other,)
        for one in others:
            fields = [field for field, _ in self.facts]
            if isinstance(one, Semantic) and one.mr_field not in fields:
                return f"'{one.mr_field}' is not among the facts of 'mr', which asks for no other"
            for spec in self.specs:
                if (why := spec.excludes(one, info)) is not None:
                    return why
        if isinstance(other, MR) and len(other.facts) < len(self.facts):
            return other.excludes(self, info)
        return None

    def shown(self, words: int) -> Shown:
        """A code a fact, and one for each field that it leaves out."""
        from dlm_controls.semantic.shown import code, silent

        given = [field for field, _ in self.facts]
        silence = (silent(field) for field in tables.FIELDS if field not in given)
        return Shown((*(code(s.mr_field, s.mr_value) for s in self.specs), *silence))

    def build(self, context: BuildContext) -> Control:
        """Steer with each fact in turn."""
        from dlm_controls.semantic.control import FactsControl

        parts = tuple(spec.build(context) for spec in self.specs)
        written = self.shown(1).names <= context.shown
        asked = {spec.mr_field for spec in self.specs}
        silent = [(field, None) for field in tables.FIELDS if field not in asked]
        barred = barred_ids(silent, context.vocab)
        return FactsControl(parts, self.faults if written else lambda words: 0, barred)

    def faults(self, words: Sequence[str]) -> int:
        """How many facts of a draft are missing, wrong, said twice or added."""
        judged = [oracle.judge(words, spec.mr_field, spec.mr_value) for spec in self.specs]
        return sum(map(len, _found(words, self.specs, judged).values()))

    def verify(self, text: str) -> Verdict:
        """All facts in their fields, each once, nothing against them, and nothing else."""
        words = typed = text.split()
        for spec in self.specs:
            words = spec.known_words(words)
        judged = [oracle.judge(words, spec.mr_field, spec.mr_value) for spec in self.specs]
        found = _found(words, self.specs, judged)
        detail = "; ".join(f"{what}: {', '.join(facts)}" for what, facts in found.items() if facts)
        parts = {
            "said": not found["missing"],
            "consistent": not found["wrong"],
            "once": not found["said twice"],
            "nothing_added": not found["added"],
        }
        share = 1 - len(found["missing"]) / len(self.facts)
        pairs = zip(self.specs, judged, strict=True) if len(words) == len(typed) else ()
        places = [place for spec, one in pairs for place in spec.places(one)]
        detail = detail or "all said, and no more"
        return Verdict(all(parts.values()), detail, share, parts, places)

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> dict[str, list[str]]:
        """As of its facts."""
        return Semantic.text_faults(words)


def _found(
    tokens: Sequence[str], specs: Sequence[Semantic], judged: Sequence[oracle.Judgement]
) -> dict[str, list[str]]:
    """What is not as it should be, by kind; of a text with stand-ins for unknown places."""
    fields = [spec.mr_field for spec in specs]
    pairs = zip(specs, judged, strict=True)
    missing = [f"{spec.mr_field}[{spec.said}]" for spec, j in pairs if not j.right_field]
    wrong = [j.detail for j in judged if not j.consistent and j.right_field]
    said = dict.fromkeys((m.field, m.value) for m in reader.read_mentions(tokens))
    wrong = wrong or oracle.contradictions(tokens)
    added = [f"{f}[{v}]" for f, v in said if f not in fields]
    return {
        "missing": missing,
        "wrong": wrong,
        "said twice": oracle.repetitions(tokens),
        "added": added,
    }


def _fact(name: str, value: str) -> tuple[str, str]:
    """A field and its value as the corpus spells them."""
    field = reader.canonical_field(name)
    if field is None:
        raise SpecValueError(f"unknown field '{name}'", did_you_mean(name, tables.FIELDS))
    price = _PRICE.fullmatch(value.strip()) if field == "priceRange" else None
    if price is not None:
        return field, next(band for bound, band in _BANDS if int(price[1]) < bound)
    canonical = reader.canonical_value(field, value)
    if unknown(field, value):
        return field, " ".join(value.split())
    if canonical is None:
        what = f"unknown {field} '{value}'" if value.strip() else f"field '{field}' has no value"
        raise SpecValueError(what, did_you_mean(value, tables.VALUES[field]))
    return field, canonical
