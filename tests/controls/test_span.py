"""span: what it asks of the head; bad spans; verdicts by the oracle."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_controls.tree.bracketing import Bracket, read_tree
from dlm_controls.tree.chart import Head, new_head
from dlm_controls.tree.control import span_control
from dlm_controls.tree.span import Span
from dlm_controls.tree.train import train_head
from dlm_core.bundle import Model
from dlm_core.control.compose import Controls, as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.errors import SpecError, UnsatisfiableError
from dlm_core.testing import assert_control

TREES = (
    "(TOP (S (NP The Mill) (VP is (NP (NP a cheap pub) (PP near (NP Burger King)))) .))",
    "(TOP (S (NP The Mill) (VP serves (NP (NP food) (PP in (NP the city centre)))) .))",
    "(TOP (NP (NP a pub) (PP in (NP (NP the city) (PP near (NP Burger King))))))",
    "(TOP (S (S (S (VP serves (NP food))) .) .))",
)
PARSED = [read_tree(text) for text in TREES]


@pytest.fixture(scope="module")
def head() -> Head:
    labels = ("", *sorted({"::".join(c) for tree in PARSED for c in tree.chains().values()}))
    return new_head(5, labels, 12)


def test_a_span_is_one_bracket_of_a_tree_or_a_chain_of_them(head: Head) -> None:
    control = span_control(head, 1, 3, "S::VP")
    assert (control.starts.tolist(), control.ends.tolist()) == ([1], [3])
    assert control.brackets == (Bracket(1, 3, "S"), Bracket(1, 3, "VP"))
    assert control.partial  # the rest of the tree is free


def test_labels_name_any_part_of_a_chain(head: Head) -> None:
    for label in ("S", "VP", "S::VP"):
        control = span_control(head, 0, 1, label)
        assert head.chart.labels.index("S::VP") in control.labels[0].nonzero()
        names = [head.chart.labels[k] for k in control.labels[0].nonzero().flatten().tolist()]
        assert all(f"::{label}::" in f"::{name}::" for name in names) and names


def test_more_words_than_the_end(tiny_model: Model) -> None:
    assert Span(3, 5, "PP").lengths(tiny_model.info) == Lengths(6, None)
    with pytest.raises(UnsatisfiableError, match="at least 31 words"):
        as_controls(Span(3, 30, "PP")).check(tiny_model.info)
    assert isinstance(as_controls(Span(3, 5, "PP")), Controls)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("span:5,3,PP", "ends before it starts"),
        ("span:-1,3,PP", "greater than or equal to 0"),
        ("span:1,PP", "field 'end'"),
        ("span:1,3", "field 'label': is missing"),
        ("span:1,3,S::", "label"),
        ("span:a,3,PP", "field 'start'"),
    ],
)
def test_bad_spans_are_named(source: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(source, {"span": Span})


def test_it_keeps_the_promises_of_a_control(make_model: Callable[..., Model]) -> None:
    model = make_model()
    train_head(model, PARSED * 10, model.info.head_path("tree"), steps=20, batch_tokens=200)
    assert_control(Span(2, 4, "PP"), model)
    with pytest.raises(SpecError, match="knows no label 'VPP'") as caught:
        Span(2, 4, "VPP").check(model.info)
    assert caught.value.hint == "did you mean 'VP'?"
    with pytest.raises(SpecError, match="knows no label 'QQ'") as caught:
        Span(2, 4, "QQ").check(model.info)
    assert caught.value.hint == "known: NP, PP, S, VP"
    with pytest.raises(SpecError, match="never seen the chain 'VP::S'"):
        Span(2, 4, "VP::S").check(model.info)


def test_verdicts_are_exact_by_the_oracle(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("benepar")
    if not os.environ.get("DLM_PARSER"):
        monkeypatch.setenv("DLM_PARSER", str(shared / "models" / "benepar-minilm"))
    text = "The Mill serves Indian food ."
    assert Span(2, 4, "VP").verify(text).satisfied
    assert Span(0, 5, "S").verify(text).satisfied
    wrong = Span(2, 4, "NP").verify(text)
    assert wrong.satisfied is False and "VP" in wrong.detail
    assert Span(0, 2, "NP").verify(text).satisfied is False
    assert Span(3, 6, "NP").verify(text).satisfied is False
