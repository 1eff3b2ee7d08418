"""mr:"name[The Mill], eatType[pub]": a whole meaning representation, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import PrivateAttr, field_validator, model_validator

from dlm_controls.semantic.domain import Domain
from dlm_controls.semantic.known import domain_of, e2e
from dlm_controls.semantic.shown import silent
from dlm_controls.semantic.spec import Semantic
from dlm_core.control.compose import ControlSpec
from dlm_core.control.grammar import unquote
from dlm_core.control.lengths import Lengths
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError
from dlm_core.text import load_json

if TYPE_CHECKING:
    from random import Random

    from dlm_core.bundle import ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example


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
    """Field and value, as typed until it is bound to a model."""
    _domain: Domain | None = PrivateAttr(default=None)

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
    def _some(cls, facts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        if not facts:
            raise SpecValueError("no facts", "for example name[The Mill], eatType[pub]")
        return facts

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
        """Fields of E2E that are not given yet, then the values of one."""
        return cls._offers(body, e2e())

    @classmethod
    def complete_in(cls, body: str, info: ModelInfo) -> list[str]:
        """The same of the model's fields."""
        return cls._offers(body, domain_of(info))

    @classmethod
    def _offers(cls, body: str, domain: Domain) -> list[str]:
        text = body.lstrip('"')
        done, comma, rest = text.rpartition(",")
        before = body[: len(body) - len(text)] + (f"{done}, " if comma else "")
        name, opened, _ = rest.strip().partition("[")
        field = domain.field(name) if opened else None
        if field is None:
            given = {domain.field(slot.partition("[")[0].strip()) for slot in done.split(",")}
            return [f"{before}{field}[" for field in domain.fields if field not in given]
        return [f"{before}{name}[{value}]" for value in domain.values(field)]

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """As of a fact."""
        fact = {"field": given.get("facts.0")}
        return Semantic.known_values("field" if field == "facts.0" else "value", fact, info)

    def body(self) -> str:
        """The representation in quotes; JSON where a value would not read as the same."""
        plain = '"' + ", ".join(f"{field}[{value}]" for field, value in self.facts) + '"'
        try:
            same = type(self)(**self.fields_from_body(plain)).facts == self.facts
        except UsageError:
            same = False
        return plain if same else json.dumps(dict(self.facts), ensure_ascii=False)

    def bind(self, info: ModelInfo) -> Self:
        """The same, its facts in the spelling and order of the model's corpus.

        Raises:
            SpecError: one is not among them, or a field stands twice.
            UnsatisfiableError: two of them cannot both be true.
        """
        return self._in(domain_of(info))

    def _in(self, domain: Domain) -> Self:
        found: dict[str, str] = {}
        for name, value in self.facts:
            spec = Semantic(field=name, value=value)
            spec._domain = domain
            fact = spec.fact
            if fact.field in found:
                raise SpecError(
                    f"control 'mr': field '{fact.field}' stands twice: '{found[fact.field]}' and "
                    f"'{fact.said}'",
                    hint="leave one out",
                )
            found[fact.field] = fact.said
        facts = tuple((field, found[field]) for field in domain.fields if field in found)
        bound = self.model_copy(update={"facts": facts})
        bound._domain = domain
        for one, two in combinations(bound.specs, 2):
            if (why := domain.clash(one.fact, two.fact)) is not None:
                raise UnsatisfiableError(f"control 'mr': {why}", "another value, or leave one out")
        return bound

    @property
    def domain(self) -> Domain:
        """The facts its own are of: E2E's until it is bound to a model."""
        return self._domain or e2e()

    @property
    def specs(self) -> tuple[Semantic, ...]:
        """Its facts, one control each."""
        found = tuple(Semantic(field=field, value=value) for field, value in self.facts)
        for spec in found:
            spec._domain = self._domain
        return found

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> MR | None:
        """All its fields."""
        facts = tuple((f, v) for f, v in example.fields.items() if v.strip())
        return cls(dict(facts)) if facts else None

    def check(self, info: ModelInfo) -> None:
        """The model must have words for each fact."""
        for spec in self.specs:
            spec.check(info)
        self.bind(info)

    def lengths(self, info: ModelInfo) -> Lengths:
        """At least the shortest phrase of each fact."""
        return Semantic.together(self.specs, info)

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """What excludes one of its facts, and facts of fields that it leaves out."""
        mine = self.bind(info)
        others = other.bind(info).specs if isinstance(other, MR) else (other,)
        for one in others:
            fields = [field for field, _ in mine.facts]
            if isinstance(one, Semantic) and (asked := one.bind(info).mr_field) not in fields:
                return f"'{asked}' is not among the facts of 'mr', which asks for no other"
            for spec in mine.specs:
                if (why := spec.excludes(one, info)) is not None:
                    return why
        if isinstance(other, MR) and len(other.facts) < len(self.facts):
            return other.excludes(self, info)
        return None

    def shown(self, words: int) -> Shown:
        """A code a fact, and one for each field that it leaves out."""
        facts = [spec.fact for spec in self.specs]
        given = [fact.field for fact in facts]
        silence = (silent(field) for field in self.domain.fields if field not in given)
        return Shown((*(self.domain.code(*fact[:2]) for fact in facts), *silence))

    def build(self, context: BuildContext) -> Control:
        """Steer with each fact in turn."""
        from dlm_controls.semantic.control import FactsControl

        bound = self.bind(context.info)
        parts = tuple(spec.build(context) for spec in bound.specs)
        written = bound.shown(1).names <= context.shown
        asked = [field for field, _ in bound.facts]
        silence = [(field, None) for field in bound.domain.fields if field not in asked]
        barred = bound.domain.barred(silence, context.vocab)
        return FactsControl(parts, bound.faults if written else lambda words: 0, barred)

    def faults(self, words: Sequence[str]) -> int:
        """How many facts of a draft are missing, wrong, said twice or added."""
        facts = [spec.fact for spec in self.specs]
        return sum(map(len, self.domain.drafted(words, facts).values()))

    def verify(self, text: str) -> Verdict:
        """All facts in their fields, each once, nothing against them, and nothing else."""
        bound = self._in(self.domain)
        words = typed = text.split()
        for spec in bound.specs:
            words = spec.known_words(words)
        found = bound.domain.judged(words, [spec.fact for spec in bound.specs])
        detail = "; ".join(f"{what}: {', '.join(facts)}" for what, facts in found.items() if facts)
        parts = {
            "said": not found["missing"],
            "consistent": not found["wrong"],
            "once": not found["said twice"],
            "nothing_added": not found["added"],
        }
        share = 1 - len(found["missing"]) / len(self.facts)
        specs = bound.specs if len(words) == len(typed) else ()
        places = [place for spec in specs for place in spec.places(words)]
        detail = detail or "all said, and no more"
        return Verdict(all(parts.values()), detail, share, parts, places)

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> dict[str, list[str]]:
        """As of its facts."""
        return Semantic.text_faults(words)
