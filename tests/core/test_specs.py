"""Spec strings: round trips, quoting, weights, errors with their place, and composition."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_controls import Infill, Length, Pos, Semantic
from dlm_controls.pos.oracle import UPOS
from dlm_controls.semantic.e2e import tables
from dlm_core.bundle import Model, ModelInfo
from dlm_core.control.compose import Controls, ControlSpec, Term, as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.errors import SpecError, UnsatisfiableError

KINDS: dict[str, type[ControlSpec]] = {c.kind: c for c in (Semantic, Pos, Length, Infill)}

WEIGHTS = st.floats(min_value=0.0, max_value=1e6, allow_nan=False)
COUNTS = st.integers(1, 60)
# words of all sorts, those that look like the grammar among them
TEXT = st.lists(
    st.one_of(
        st.sampled_from(
            [",", ":", "right=", ",right=x", ", words=3", "@0.5", '"', "{", "}", "=", "£"]
        ),
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5),
    ),
    max_size=6,
).map(" ".join)
SPECS: st.SearchStrategy[ControlSpec] = st.one_of(
    COUNTS.map(Length),
    st.tuples(COUNTS, COUNTS).map(lambda ab: Length(min(ab), max(ab))),
    st.lists(st.sampled_from([*UPOS, "*", "..."]), min_size=1, max_size=8).map(
        lambda tags: Pos(tags=tuple(tags))
    ),
    st.sampled_from([(f, v) for f, values in tables.VALUES.items() for v in values]).map(
        lambda pair: Semantic(field=pair[0], value=pair[1])
    ),
    st.tuples(TEXT, TEXT, st.none() | COUNTS)
    .filter(lambda t: bool((t[0] + t[1]).strip()))
    .map(lambda t: Infill(left=t[0], right=t[1], words=t[2])),
)


@given(spec=SPECS, weight=WEIGHTS)
def test_a_term_written_and_parsed_is_the_same_term(spec: ControlSpec, weight: float) -> None:
    term = Term(spec, weight)
    parsed = parse_spec(str(term), KINDS)
    assert parsed.spec == spec
    assert parsed.weight == weight
    assert str(parsed) == str(term)


@given(spec=SPECS)
def test_a_json_body_is_the_same_spec(spec: ControlSpec) -> None:
    parsed = parse_spec(f"{spec.kind}:{spec.model_dump_json()}", KINDS)
    assert parsed.spec == spec


@pytest.mark.parametrize("example", [e for c in KINDS.values() for e in c.examples])
def test_every_example_parses_and_comes_back(example: str) -> None:
    term = parse_spec(example, KINDS)
    assert parse_spec(str(term), KINDS).spec == term.spec
    assert term.source == term.label == example


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_has_examples_and_a_summary(kind: str) -> None:
    assert KINDS[kind].examples and KINDS[kind].summary().endswith(".")


@pytest.mark.parametrize(
    ("source", "spec", "weight"),
    [
        ("length:12", Length(12), 1.0),
        ("length:10-14@0.5", Length(10, 14), 0.5),
        ("length:10..14@2", Length(10, 14), 2.0),
        ("length:10 to 14@.25", Length(10, 14), 0.25),
        ("length:words=10,to=14", Length(10, 14), 1.0),
        ("length:10,14", Length(10, 14), 1.0),
        ("length:12@1e-3", Length(12), 0.001),
        ("semantic:food=Japanese@0.5", Semantic(food="Japanese"), 0.5),
        ('semantic:near="Burger King"', Semantic(near="Burger King"), 1.0),
        ("pos:PROPN AUX *", Pos("PROPN AUX *"), 1.0),
        ('pos:"propn … PUNCT"', Pos("PROPN ... PUNCT"), 1.0),
        ("infill:left=Hi, you: a,right=b", Infill(left="Hi, you: a", right="b"), 1.0),
        ('infill:left="a, right=b",right=c', Infill(left="a, right=b", right="c"), 1.0),
        ('infill:right="b",words=3@0.5', Infill(right="b", words=3), 0.5),
        ('infill:left="at 3@0.5"', Infill(left="at 3@0.5"), 1.0),
        ('infill:{"left": "x, right=y"}@0.5', Infill(left="x, right=y"), 0.5),
    ],
)
def test_the_grammar(source: str, spec: ControlSpec, weight: float) -> None:
    term = parse_spec(source, KINDS)
    assert (term.spec, term.weight) == (spec, weight)


@pytest.mark.parametrize(
    ("source", "message", "marked", "hint"),
    [
        ("lenght:12", "unknown control 'lenght'", "lenght", "did you mean 'length'?"),
        ("zzz", "unknown control 'zzz'", "zzz", "known: semantic, pos, length, infill"),
        ("length:0", "field 'words': must be greater", "0", "for example length:12"),
        ("length:14-10", "the range 14-10 is reversed", None, "length:10-14"),
        ("length:", "how many words?", None, "for example length:12 or length:10-14"),
        ("length:word=5", None, None, None),
        ("length:12,words=13", "field 'words' is given twice", "12,words=13", None),
        ("length:many", "field 'words'", "many", None),
        ("semantic:food", "expected FIELD=VALUE", "food", "for example semantic:food=Japanese"),
        ("semantic:food=", "is empty", None, "for example semantic:food=Japanese"),
        ("semantic:=x", "is empty", None, "for example semantic:food=Japanese"),
        ('pos:"NOUN NUON"', "unknown tag 'NUON'", None, "did you mean 'NOUN'?"),
        ("infill:left=", "both sides are empty", None, "give left="),
        ("infill:lft=The Mill", "expected field=value", "lft=The Mill", None),
        ('infill:{"lft": "x"}', "field 'lft': no such field", None, "did you mean 'left'?"),
        ('length:{"to": 5}', "field 'words': is missing", None, "for example length:12"),
        ('length:{"to": 5', "control 'length': ", '{"to": 5', "for example length:12"),
    ],
)
def test_an_error_shows_the_place_and_the_nearest(
    source: str, message: str | None, marked: str | None, hint: str | None
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(source, KINDS)
    error = caught.value
    assert error.exit_code == 2 and error.source == source
    assert message is None or message in error.message
    if marked is not None:
        assert error.span is not None and source[slice(*error.span)] == marked
    assert hint is None or (error.hint or "").startswith(hint)
    lines = error.message.splitlines()  # the source, and carets under the place
    assert lines[-2] == f"  {source}"
    start, end = error.span or (0, len(source))
    assert lines[-1] == "  " + " " * start + "^" * max(1, end - start)


def test_the_first_positional_takes_what_no_field_claims() -> None:
    class Two(ControlSpec):
        kind = "two"
        positional = ("a", "b")
        a: str
        b: str = ""

    kinds: dict[str, type[ControlSpec]] = {"two": Two}
    assert parse_spec("two:x,y,z", kinds).spec == Two(a="x", b="y,z")
    assert parse_spec("two:x,b=y, z", kinds).spec == Two(a="x", b="y, z")
    assert parse_spec('two:a="x,b=y",b=z', kinds).spec == Two(a="x,b=y", b="z")
    assert parse_spec("two:a=a=1", kinds).spec == Two(a="a=1")
    with pytest.raises(SpecError, match="at most 2"):
        Two("x", "y", "z")


def test_the_default_body_of_a_plugins_spec_is_json() -> None:
    class Nested(ControlSpec):
        kind = "nested"
        words: tuple[str, ...]
        share: float = 0.5
        note: str | None = None

    spec = Nested(words=("a, b", "c:d"))
    assert json.loads(spec.body()) == {"words": ["a, b", "c:d"], "share": 0.5}
    assert parse_spec(str(spec), {"nested": Nested}).spec == spec


def test_specs_are_frozen_and_refuse_unknown_fields() -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        Length(12).words = 13  # type: ignore[misc]
    with pytest.raises(SpecError, match="field 'color': no such field"):
        Length(words=12, color="red")  # type: ignore[call-arg]


def test_controls_add_and_scale() -> None:
    controls = Semantic(food="Japanese") + 0.5 * Length(12)
    assert [(str(t.spec), t.weight) for t in controls] == [
        ("semantic:food=Japanese", 1.0),
        ("length:12", 0.5),
    ]
    doubled = 2 * (controls + Pos("NOUN ...")) + Infill(left="a")
    assert [t.weight for t in doubled] == [2.0, 1.0, 2.0, 1.0]
    assert str(doubled.terms[1]) == "length:12"
    assert len(Length(3) * 0.5 + Length(4) * 0.25) == 2


@pytest.mark.parametrize(
    ("value", "count"),
    [(None, 0), (Length(3), 1), ([Length(3), Length(4)], 2), (Length(3) + Length(4), 2)],
)
def test_whatever_a_caller_passes_becomes_controls(value: Any, count: int) -> None:
    assert isinstance(as_controls(value), Controls) and len(as_controls(value)) == count


LENGTHS = st.builds(
    lambda low, extra: Lengths(low, None if extra is None else low + extra),
    st.integers(0, 30),
    st.none() | st.integers(-3, 30),
)


@given(a=LENGTHS, b=LENGTHS)
def test_lengths_intersect_as_sets_do(a: Lengths, b: Lengths) -> None:
    def members(lengths: Lengths) -> set[int]:
        return set(range(lengths.low, (100 if lengths.high is None else lengths.high) + 1))

    assert members(a & b) == members(a) & members(b)
    assert (a & b).empty == (not members(a) & members(b))


@given(a=LENGTHS, b=LENGTHS, c=LENGTHS)
def test_lengths_intersect_in_any_order(a: Lengths, b: Lengths, c: Lengths) -> None:
    assert (a & b) & c == a & (b & c) == c & b & a


def test_lengths_say_what_they_are() -> None:
    assert [str(v) for v in (Lengths(3, 3), Lengths(3, 5), Lengths(3, None))] == [
        "exactly 3 words",
        "3 to 5 words",
        "at least 3 words",
    ]


@pytest.fixture(scope="module")
def info(tiny_model: Model) -> ModelInfo:
    return tiny_model.info


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Length(5), Length(6)),
        (Length(5), Pos("NOUN NOUN NOUN NOUN")),
        (Length(3), Infill(left="The Mill is")),
        (Infill(left="The Mill", words=2), Length(8)),
        (Length(2, 4), Length(6, 8)),
        (Length(3), Semantic(near="Burger King") + Pos("... NOUN NOUN NOUN NOUN")),
    ],
)
def test_controls_that_contradict_are_named_both(
    first: ControlSpec, second: ControlSpec, info: ModelInfo
) -> None:
    controls = first + second
    with pytest.raises(UnsatisfiableError, match="contradict") as caught:
        controls.check(info)
    assert caught.value.exit_code == 4
    assert f"'{first}'" in caught.value.message
    assert f"'{controls.terms[-1]}'" in caught.value.message


def test_the_common_lengths_of_controls(info: ModelInfo) -> None:
    controls = Length(4, 9) + Infill(left="The Mill") + Pos("... PUNCT")
    assert controls.check(info) == Lengths(4, 9)
    assert Controls().check(info) == Lengths(1, 14)
    assert as_controls(Infill(left="The Mill", right=".")).check(info) == Lengths(4, 14)


@pytest.mark.parametrize("spec", [Length(15), Pos("NOUN " * 15), Infill(left="The " * 14)])
def test_a_text_longer_than_the_models_is_refused(spec: ControlSpec, info: ModelInfo) -> None:
    with pytest.raises(UnsatisfiableError, match="this model writes 1 to 14 words"):
        as_controls(spec).check(info)


def test_a_padded_model_has_two_words_less(padded_model: Model) -> None:
    assert as_controls(Length(12)).check(padded_model.info) == Lengths(12, 12)
    with pytest.raises(UnsatisfiableError):
        as_controls(Length(13)).check(padded_model.info)


@pytest.mark.parametrize("source", ["pos:a\ud800b", 'length:{"words": "\\ud800"}', "\udcff:1"])
def test_half_a_surrogate_pair_is_refused_by_name(source: str) -> None:
    with pytest.raises(SpecError, match="half a surrogate pair"):
        parse_spec(source, {"pos": Pos, "length": Length})
