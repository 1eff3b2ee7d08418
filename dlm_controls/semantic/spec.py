"""semantic:FIELD=VALUE: a fact that the model's corpus states, in the field it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import PrivateAttr, field_validator, model_validator

from dlm_controls.pattern.automaton import TooManyStatesError
from dlm_controls.pattern.language import WordAutomaton, warn
from dlm_controls.semantic.control import Phrase, SemanticControl, other_case
from dlm_controls.semantic.domain import Domain, Fact
from dlm_controls.semantic.known import domain_of, e2e
from dlm_core.control.compose import ControlSpec
from dlm_core.control.grammar import unquote
from dlm_core.control.lengths import Lengths
from dlm_core.control.shown import Shown
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Place, Verdict
from dlm_core.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from random import Random

    from dlm_controls.pattern.automaton import Automaton
    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext
    from dlm_core.corpora import Example

_MAX_PHRASES = 12
_MAX_READINGS = 40


class Semantic(ControlSpec):
    """A fact in its field; the model's corpus says which there are, E2E's food=Japanese for one."""

    kind: ClassVar[str] = "semantic"
    positional: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[tuple[str, ...]] = (
        "semantic:food=Japanese",
        "semantic:near=Burger King",
        "semantic:family friendly=yes",
    )

    normalised: ClassVar[bool] = True
    shown_by_head: ClassVar[bool] = True

    field: str
    value: str

    if TYPE_CHECKING:

        def __init__(self, **fact: str) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, data: Any) -> Any:
        """`Semantic(food="Japanese")` is `Semantic(field="food", value="Japanese")`."""
        if isinstance(data, dict) and len(data) == 1 and "field" not in data:
            ((field, value),) = data.items()
            return {"field": str(field).replace("_", " "), "value": value}
        if isinstance(data, dict) and len(data) > 1 and not {"field", "value"} & set(data):
            facts = " + ".join(f"Semantic({field}=...)" for field in data)
            raise SpecValueError("one fact each", facts)
        return data

    @field_validator("field", "value")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise SpecValueError("is empty", f"for example {cls.examples[0]}")
        return value

    _domain: Domain | None = PrivateAttr(default=None)
    """Of the model it is bound to."""

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The text before `=` is the field, the rest the value."""
        field, separator, value = body.partition("=")
        if not separator:
            raise SpecValueError("expected FIELD=VALUE", f"for example {cls.examples[0]}")
        return {"field": field.strip(), "value": unquote(value)}

    @classmethod
    def complete(cls, body: str) -> list[str]:
        """Fields of E2E, then the values of one."""
        return cls._offers(body, e2e())

    @classmethod
    def complete_in(cls, body: str, info: ModelInfo) -> list[str]:
        """The same of the model's fields."""
        return cls._offers(body, domain_of(info))

    @classmethod
    def _offers(cls, body: str, domain: Domain) -> list[str]:
        name, separator, _ = body.partition("=")
        field = domain.field(name) if separator else None
        if field is None:
            return [f"{field}=" for field in domain.fields]
        return [f"{name}={value}" for value in domain.values(field)]

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """Fields, and the values of the given one."""
        domain = domain_of(info)
        if field == "field":
            return domain.fields
        known = domain.field(str(given.get("field")))
        return domain.values(known) if known is not None else ()

    def body(self) -> str:
        """FIELD=VALUE; JSON where that would not read as the same."""
        plain = f"{self.field}={self.value}"
        same = self.fields_from_body(plain) == self.model_dump()
        return plain if same and "@" not in self.value and plain[0] != "{" else super().body()

    def bind(self, info: ModelInfo) -> Self:
        """The same, knowing what facts the model has.

        Raises:
            SpecError: this one is not among them.
        """
        bound = self.model_copy()
        bound._domain = domain_of(info)
        _ = bound.fact
        return bound

    @property
    def domain(self) -> Domain:
        """The facts it is one of: E2E's until it is bound to a model."""
        return self._domain or e2e()

    @property
    def fact(self) -> Fact:
        """As the corpus spells it.

        Raises:
            SpecError: there is none of this field or value.
        """
        try:
            return self.domain.fact(self.field, self.value)
        except SpecValueError as error:
            source = str(self)
            known = self.domain.field(self.field) is not None
            at = source.rfind(self.value if known else self.field)
            place = (at, at + len(self.value if known else self.field)) if at >= 0 else None
            message = f"control '{self.kind}': {error}"
            field = "value" if known else "field"
            raise SpecError(
                message, source=source, span=place, hint=error.hint, field=field
            ) from error

    @property
    def mr_field(self) -> str:
        """The field as the corpus spells it."""
        return self.fact.field

    @property
    def mr_value(self) -> str:
        """The value as the corpus spells it, or what stands in for it."""
        return self.fact.value

    @property
    def said(self) -> str:
        """The value as a text has it: that of the corpus, or an unknown name as it was typed."""
        return self.fact.said

    def known_words(self, words: Sequence[str]) -> list[str]:
        """The words of a text with the stand-in for a name that the corpus never saw."""
        return self.domain.as_known(self.fact, words)

    def phrases(self, info: ModelInfo) -> list[tuple[str, ...]]:
        """Phrases that say it; the value alone ("low") only where no longer one says the field too.

        All hold the value's own words (any paraphrase for the yes/no field), so that the paper's
        measure, which looks for these words, is met.
        """
        return [words for words, _ in self.bind(info)._phrases(info)]

    def _phrases(self, info: ModelInfo) -> list[tuple[tuple[str, ...], tuple[int, int]]]:
        """With the range that is the value."""
        sayings = self.domain.sayings(self.mr_field, self.mr_value)
        known = [one for one in sayings if all(word in info.vocab for word in one.words)]
        chosen = [one for one in known if one.sure] or known
        return [(one.words, one.value) for one in chosen[:_MAX_PHRASES]]

    def check(self, info: ModelInfo) -> None:
        """The model must know the fact and words that say it; a name it never saw is told."""
        if domain_of(info).field(self.field) is None and "semantic" not in info.heads:
            from dlm_core.heads import check_head

            check_head(info, self.kind)  # which says how to train one
        bound = self.bind(info)
        fact, values = bound.fact, bound.domain.values(bound.fact.field)
        if fact.foreign:
            near = did_you_mean(self.value, values)
            warn(
                f"control '{self.kind}', field '{self.field}': the model never saw "
                f"'{fact.said}'; it writes of another, and your words stand in the text"
                + (f" ({near})" if near else "")
            )
        if not bound.phrases(info):
            written = [v for v in values if all(word in info.vocab for word in v.split())]
            raise SpecError(
                f"control 'semantic', field '{self.field}': this model has no words for the value",
                source=self.value,
                hint=did_you_mean(self.value, written),
                field="value",
            )

    def lengths(self, info: ModelInfo) -> Lengths:
        """At least the shortest phrase."""
        phrases = self.phrases(info)
        return Lengths(min((len(p) for p in phrases), default=1), None)

    @classmethod
    def together(cls, specs: Sequence[Self], info: ModelInfo) -> Lengths:
        """Facts share no words: at least the shortest phrase of each."""
        facts = {spec.bind(info).fact: spec for spec in specs}
        return Lengths(sum(spec.lengths(info).low for spec in facts.values()))

    def excludes(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """Another value of the field, the same place as neighbour, or words without a phrase."""
        bound = self.bind(info)
        if isinstance(other, Semantic):
            return bound.domain.clash(bound.fact, other.bind(info).fact)
        if isinstance(other, WordAutomaton):
            try:
                if all((said & other.automaton).empty for said in bound._wordings(info)):
                    return f"no words are left that say '{bound.mr_value}'"
            except TooManyStatesError:
                return None
        return None

    def implied_by(self, other: ControlSpec, info: ModelInfo) -> str | None:
        """The same fact however it is spelt, or words that hold the value's own."""
        bound = self.bind(info)
        if isinstance(other, Semantic):
            same = bound.fact == other.bind(info).fact
            return "one is the contrary of the other" if same else None
        if isinstance(other, WordAutomaton) and bound.domain.literal(bound.mr_field):
            try:
                if any((other.automaton & ~said).empty for said in bound._wordings(info)):
                    return f"'{bound.mr_value}' would occur"
            except TooManyStatesError:
                return None
        return None

    def _wordings(self, info: ModelInfo) -> Iterator[Automaton]:
        return self.domain.wordings(self.mr_field, self.mr_value, info.vocab)

    def shown(self, words: int) -> Shown:
        """The fact's code."""
        return Shown((self.domain.code(self.mr_field, self.mr_value),))

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: ModelInfo) -> list[Shown | None]:
        """The facts of each text, and the fields it says nothing of."""
        domain = domain_of(info)
        found = (domain.read(example) for example in examples)
        return [None if codes is None else Shown(codes) for codes in found]

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        """Some or all facts, and maybe what is not said."""
        from dlm_controls.semantic.shown import draw

        return draw(everything, draws)

    def build(self, context: BuildContext) -> SemanticControl:
        """Steer with the phrases and the bundle's `semantic` tagger of fields."""
        from dlm_controls.heads.tagger import load_tagger

        tagger = load_tagger(context, self.kind)
        bound, vocab = self.bind(context.info), context.vocab
        domain, fact = bound.domain, bound.fact
        phrases = [
            Phrase(tuple(vocab.id(w) for w in words), value)
            for words, value in bound._phrases(context.info)
        ]
        readings = domain.readings(fact.field, fact.value, vocab)
        others = {
            Phrase(tuple(vocab.id(w) for w in one.words), one.value): None for one in readings
        }
        return SemanticControl(
            tagger,
            tagger.labels.index(fact.field),
            tuple(phrases),
            f"semantic:{self.body()}",
            max(128, context.info.config.max_len),  # draws do not depend on the batch's width
            (
                *other_case(phrases, vocab),
                *[p for p in others if p not in phrases][:_MAX_READINGS],
            ),
            tuple(vocab.id(w) for w in sorted(domain.deniers(*fact[:2])) if w in vocab),
            lambda words: domain.faults(words, *fact[:2]),
            bound.shown(1).names <= context.shown,
            domain.barred([fact[:2]], vocab),
            (tuple(fact.value.split()), tuple(fact.said.split())) if fact.foreign else None,
        )

    def verify(self, text: str) -> Verdict:
        """The text says the value, as this field; of E2E in the value's own words."""
        typed = text.split()
        words = self.known_words(typed)
        found = self.domain.verdict(words, *self.fact[:2])
        # a stand-in of another number of words moves all places
        return replace(found, places=self.places(words) if len(words) == len(typed) else ())

    def places(self, words: Sequence[str]) -> list[Place]:
        """Where a text, with the stand-in for an unknown name, states it."""
        found = self.domain.places(words, *self.fact[:2])
        return [Place(start, end, self.field) for start, end in found]

    def verify_not(self, text: str) -> Verdict:
        """The text does not say the value."""
        return self.domain.verdict_not(text.split(), *self.fact[:2])

    @classmethod
    def text_faults(cls, words: Sequence[str]) -> dict[str, list[str]]:
        """E2E's facts that exclude each other, or are said twice."""
        from dlm_controls.semantic.e2e import oracle

        return {
            "contradictions": oracle.contradictions(words),
            "repetitions": oracle.repetitions(words),
        }

    @classmethod
    def check_training(
        cls, examples: Sequence[Example], rules: str | None = None, **options: Any
    ) -> None:
        """The texts must say the values of some field, as far as some of them show."""
        if rules is None:
            from dlm_controls.semantic.train import check_fields

            check_fields(examples)

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Semantic | None:
        """One of its fields; without any, a fact that E2E's rules read."""
        from dlm_controls.semantic.e2e.reader import read_mentions

        facts = [(f, v) for f, v in example.fields.items() if v.strip()]
        if not example.fields:
            facts = [(m.field, m.value) for m in read_mentions(example.text.split())]
        if not facts:
            return None
        field, value = draws.choice(facts)
        return cls(field=field, value=value)

    @classmethod
    def knows(cls, info: ModelInfo) -> list[str]:
        """Fields, values, sample phrases, and how well the judge reads them."""
        return list(domain_of(info).lines())

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        rules: str | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Learn what facts the corpus has and how texts say them, and train the tagger of fields.

        Args:
            model: whose words and noise the tagger learns.
            examples: texts with `fields`.
            out: folder of the head: tagger, inventory and judge.
            on_step: called with step, steps and loss.
            rules: `e2e` reads the texts by E2E's rules instead, and learns no inventory.
            options: steps, seed, ... of `dlm_controls.heads.tagger.train_tagger`.

        Raises:
            UsageError: no field can be learnt, or facts are found in too few texts.
        """
        from dlm_controls.semantic.train import train_by_rules, train_learned

        if rules is not None:
            return train_by_rules(rules, model, examples, out, on_step=on_step, **options)
        return train_learned(model, examples, out, on_step=on_step, **options)
