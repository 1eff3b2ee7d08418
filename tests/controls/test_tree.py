"""tree: the chart by hand, its tilt by finite differences; the trained head in use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlm_controls.heads.words_given import NOTHING_SHOWN, WordsGiven
from dlm_controls.pos.spec import Pos
from dlm_controls.tree.bracketing import Bracket, ParseTree, read_tree
from dlm_controls.tree.chart import (
    NEAR,
    NOTHING,
    SLOTS,
    Chart,
    Head,
    SpanLengths,
    TreeCodes,
    load_head,
)
from dlm_controls.tree.control import ROUNDS, TREE_CHART, span_control, tree_control
from dlm_controls.tree.spec import Tree
from dlm_controls.tree.train import train_head
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.errors import MissingError, SpecError, UnsatisfiableError
from dlm_core.generation.generate import generate
from dlm_core.testing import assert_control
from dlm_core.vocab import Vocab

TREES = (
    "(TOP (S (NP The Mill) (VP is (NP (NP a cheap pub) (PP near (NP Burger King)))) .))",
    "(TOP (S (NP The Eagle) (VP is (NP (NP a French restaurant) (PP near (NP The Mill)))) .))",
    "(TOP (S (NP The Mill) (VP serves (NP Japanese food) (PP in (NP the city centre))) .))",
    "(TOP (S (NP The Eagle) (VP serves (NP cheap French food)) .))",
    "(TOP (S (NP The pub) (VP is not (ADJP family - friendly)) .))",
)
LABELS = (NOTHING, "NP", "VP", "S", "S::NP")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# -- what the words net is shown ------------------------------------------------------------------


CODES = TreeCodes(("NP", "S", "VP"))
NAMES = ("?", *CODES.names)


def rows(tree: ParseTree) -> list[list[tuple[str, int, int]]]:
    """Label, distance from the first and from the last word of the constituents around a word."""
    found = []
    first = NOTHING_SHOWN + 2
    for codes in CODES(tree.brackets, len(tree.words)).tolist():
        shown = [code - first for code in codes if code != NOTHING_SHOWN]
        labels = {c // len(NAMES): c % len(NAMES) for c in shown if c < SLOTS * len(NAMES)}
        places = [c - SLOTS * len(NAMES) for c in shown if c >= SLOTS * len(NAMES)]
        assert max(places, default=0) < SLOTS * (NEAR + 1) ** 2
        around = {k // (NEAR + 1) ** 2: divmod(k % (NEAR + 1) ** 2, NEAR + 1) for k in places}
        assert sorted(labels) == sorted(around) == list(range(len(around)))
        found.append([(NAMES[labels[k]], *around[k]) for k in sorted(around)])
    return found


def test_each_word_is_shown_the_constituents_around_it_from_within() -> None:
    tree = read_tree("(TOP (S (NP * *) (VP * (XX (NP *))) * * *))")
    assert rows(tree) == [
        [("NP", 0, 1), ("S", 0, 3)],
        [("NP", 1, 0), ("S", 1, 3)],
        [("VP", 0, 1), ("S", 2, 3)],
        [("NP", 0, 0), ("?", 0, 0), ("VP", 1, 0), ("S", 3, 3)],
        [("S", 3, 2)],
        [("S", 3, 1)],
        [("S", 3, 0)],
    ]
    assert not rows(read_tree("(TOP * *)"))[0]


def test_of_one_span_the_words_beside_it_are_told_too() -> None:
    span = Bracket(4, 5, "NP")
    codes = CODES([span], 9, partial=True)
    shown = [{c for c in row if c != NOTHING_SHOWN} for row in codes.tolist()]
    whole = {c for row in CODES([span], 9).tolist() for c in row}
    beside = [row - whole - {NOTHING_SHOWN + 1} for row in shown]
    assert all(NOTHING_SHOWN + 1 in row for row in shown)  # that there is more to the tree
    assert [len(row) for row in beside] == [0, 1, 1, 1, 0, 0, 1, 1, 1]  # NEAR on either side
    assert len(set().union(*beside)) == 2 * NEAR  # side and distance are told apart
    assert CODES([span], 6, partial=True).shape == (6, codes.shape[1])
    other = CODES([Bracket(4, 5, "VP")], 9, partial=True)
    assert bool((other != codes).any(-1)[1:].all())
    assert int(codes.max()) < CODES.count and int(other.max()) < CODES.count


PHRASES = st.recursive(
    st.just("*"),
    lambda inner: st.builds(
        lambda label, parts: f"({label} {' '.join(parts)})",
        st.sampled_from(["S", "NP", "VP"]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=8,
).filter(lambda text: text != "*")


@given(text=PHRASES)
def test_trees_that_differ_are_shown_differently(text: str) -> None:
    """Up to distance NEAR and depth SLOTS the tree can be read off what is shown."""
    tree = read_tree(text)
    shown = rows(tree)
    found = set()
    for i, around in enumerate(shown):
        for label, before, after in around:
            if before < NEAR and after < NEAR:
                found.add(Bracket(i - before, i + after, label))
    assert found == {b for b in tree.brackets if b.end - b.start < 2 * NEAR - 1}


# -- log p ------------------------------------------------------------------------------------

D, V, L = 3, 6, 3
WANTED = read_tree("(TOP (S (NP *) (VP * *)))")


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    chart = Chart(V, LABELS, 5, features=6, hidden=8, layers=1)
    words = WordsGiven(V, CODES.count, 5, features=6, hidden=8, layers=1)
    torch.nn.init.normal_(words.trunk.outputs.weight, std=0.2)
    lengths = SpanLengths(len(NAMES), 5)
    torch.nn.init.normal_(lengths.out.weight)
    return Head(
        chart.requires_grad_(False),
        words.requires_grad_(False),
        lengths.requires_grad_(False),
        CODES,
    )


@pytest.fixture
def state(make_state: Callable[..., State]) -> State:
    return make_state(random(2, L, V, seed=1).log_softmax(-1), random(2, L, D, seed=2))


def test_the_chart_is_summed_over_all_spans_of_the_tree(
    head: Head, state: State, tiny_vocab: Vocab
) -> None:
    """By hand: three constituents, three spans that are none; fenceposts and layers one by one."""
    wanted = {(0, 2): "S", (0, 0): "NP", (1, 2): "VP", (1, 1): "", (2, 2): "", (0, 1): ""}
    found = tree_control(head, WANTED, tiny_vocab).log_prob(state)
    chart = head.chart
    for row in range(2):
        soft = state.token_log_probs[row].exp() @ chart.words
        h = chart.trunk(soft[None], state.t[:1], state.lengths[:1])[0]
        zero = torch.zeros(8)
        total = 0.0
        for (i, j), label in wanted.items():
            post = [
                torch.cat([h[k - 1, :8] if k else zero, h[k, 8:] if k < L else zero])
                for k in (i, j + 1)
            ]
            x = F.layer_norm(post[1] - post[0], (16,))
            scores = chart.out.weight @ F.gelu(chart.up.weight @ x + chart.up.bias)
            p = (scores + chart.out.bias).exp()
            total += math.log(p[LABELS.index(label)] / p.sum())
        assert float(found[row]) == pytest.approx(total, rel=1e-4)


def test_labels_of_a_span_sum_to_one(head: Head, state: State) -> None:
    starts, ends = torch.triu_indices(L, L)
    q = state.token_log_probs.exp()
    log_p = head.chart(q, state.t, state.lengths, starts, ends)
    assert log_p.shape == (2, 6, len(LABELS))
    torch.testing.assert_close(log_p.exp().sum(-1), torch.ones(2, 6))


def test_the_tilt_is_the_words_then_the_chart(head: Head, state: State, tiny_vocab: Vocab) -> None:
    """q exp d, times the exp(slope) or 1 + slope of the chart by finite differences."""
    control = tree_control(head, WANTED, tiny_vocab)
    codes = CODES(WANTED.brackets, L)[None]
    q = state.token_log_probs.exp()
    tilted = state.token_log_probs + head.words(q, codes, state.t, state.lengths)
    tilted = tilted.log_softmax(-1)
    for _ in range(ROUNDS):
        ratio = torch.zeros(2, L, V)
        for i, w in product(range(L), range(V)):
            up, down = tilted.double().clone(), tilted.double().clone()
            up[:, i, w] += 0.01
            down[:, i, w] -= 0.01
            high, low = (
                control.log_prob(state.with_log_probs(x.log_softmax(-1).float()))
                for x in (up, down)
            )
            slope = (high - low) / 0.02 / tilted[:, i, w].exp()
            ratio[:, i, w] = torch.where(slope > 0, slope.clamp(min=0).log1p(), slope)
        tilted = (tilted + TREE_CHART * ratio).log_softmax(-1)
    torch.testing.assert_close(control.tilt(state), tilted, atol=0.03, rtol=0.03)


def test_a_rare_chain_takes_what_is_like_it(head: Head, tiny_vocab: Vocab) -> None:
    control = tree_control(head, read_tree("(TOP (S (NP (NP *)) (VP * *)))"), tiny_vocab)
    place = [(int(i), int(j)) for i, j in zip(control.starts, control.ends, strict=True)]
    # NP::NP is no label; NP and S::NP share as much of it
    assert control.labels[place.index((0, 0))].nonzero().flatten().tolist() == [1, 4]


# -- the spec ---------------------------------------------------------------------------------


def test_the_number_of_words_follows(tiny_model: Model) -> None:
    spec = Tree("(S (NP *) (VP * (NP * *)))")
    assert spec.lengths(tiny_model.info) == Lengths(4, 4)


def test_brackets_are_tidied() -> None:
    assert str(Tree(" ( S  (NP *)(VP * ) ) ")) == 'tree:"(S (NP *) (VP *))"'


@pytest.mark.parametrize("body", ['""', '"(S (NP * *)"', '"(TOP * *)"', '"(S () *)"', '"* *"'])
def test_a_tree_that_is_none_is_a_spec_error(body: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(f"tree:{body}", {"tree": Tree})
    assert "for example" in (caught.value.hint or "")


# -- a trained head ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    return {}


@pytest.fixture(scope="module")
def trained(make_model: Callable[..., Model], figures: dict[str, float]) -> Model:
    model = make_model()
    trees: list[ParseTree] = [read_tree(text) for text in TREES] * 10
    losses: list[float] = []
    figures |= train_head(
        model,
        trees,
        model.info.head_path("tree"),
        steps=120,
        batch_tokens=200,
        on_step=lambda step, steps, loss: losses.append(loss),
    )
    assert len(losses) == 120
    return model


def test_training_learns_the_trees(trained: Model, figures: dict[str, float]) -> None:
    # the tiny model has learnt nothing, so the chart sees little of the words
    assert figures["chart t=0.05"] > 0.25
    assert figures["words t=0.7, tree"] < 0.5 * figures["words t=0.7"]
    head = load_head(BuildContext(trained))
    assert head.chart.labels[0] == NOTHING and set(head.chart.labels[1:]) == {
        "NP", "PP", "S", "VP", "ADJP"
    }  # fmt: skip
    assert head.codes.names == ("ADJP", "NP", "PP", "S", "VP")
    for module in head.modules.values():
        assert not module.training and all(not p.requires_grad for p in module.parameters())
    size = (trained.info.head_path("tree") / "head.safetensors").stat().st_size
    assert size < 4_000_000


def test_lengths_are_those_of_the_texts_with_such_a_span(trained: Model) -> None:
    """p(n | span) ~ p(n) exp r_n, against counting in the corpus (the last fold held out)."""
    head = load_head(BuildContext(trained))
    prior = (trained.net.length_counts + 1e-6).log()
    for start, end, label in ((2, 5, "VP"), (0, 1, "NP"), (2, 8, "VP")):
        found = (span_control(head, start, end, label).length_log_ratios() + prior).softmax(-1)
        sizes = [
            len(tree.words)
            for tree in map(read_tree, TREES)
            for b in tree.brackets
            if b == Bracket(start, end, label)
        ]
        assert sizes
        for n in set(sizes):
            assert float(found[n]) == pytest.approx(sizes.count(n) / len(sizes), abs=0.1)


def test_it_keeps_the_promises_of_a_control(trained: Model) -> None:
    assert_control(Tree("(TOP (S (NP * *) (VP * (NP * *)) *))"), trained)


def test_words_of_the_tree_stand_in_every_text(trained: Model) -> None:
    spec = Tree("(S (NP The *) (VP serves (NP * food)) .)")
    for result in generate(trained, spec, 3, sampling=SamplingConfig(steps=3), verify=False):
        words = result.tokens
        assert [words[0], words[2], words[4], words[5]] == ["The", "serves", "food", "."]
        assert len(words) == 6


def test_unknown_labels_and_words_are_named(trained: Model) -> None:
    with pytest.raises(SpecError, match="knows no label 'ADJ'") as caught:
        Tree("(S (ADJ *) (VP *))").check(trained.info)
    assert "'ADJP'" in (caught.value.hint or "")
    with pytest.raises(SpecError, match="does not know the word 'puub'") as caught:
        Tree("(S (NP a puub) (VP *))").check(trained.info)
    assert "'pub'" in (caught.value.hint or "")


def test_a_model_without_the_head_says_how_to_train_it(padded_model: Model) -> None:
    spec = Tree("(S (NP *) (VP *))")
    spec.check(padded_model.info)
    with pytest.raises(MissingError, match="no trained head for control 'tree'"):
        spec.build(BuildContext(padded_model))


def test_heads_are_trained_for_padded_models_too(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    model = make_model(length_mode="padded")
    figures = train_head(
        model, [read_tree(t) for t in TREES if len(t.split()) < 14] * 5, tmp_path, steps=2
    )
    assert all(math.isfinite(v) for v in figures.values())


def test_pos_of_another_length_is_refused_before_sampling(tiny_model: Model) -> None:
    tree = Tree("(S (NP *) (VP * *))")
    assert (tree + Pos(tags=("NOUN", "*", "VERB"))).check(tiny_model.info) == Lengths(3, 3)
    with pytest.raises(UnsatisfiableError, match="contradict: no text has both lengths"):
        (tree + Pos(tags=("NOUN", "VERB"))).check(tiny_model.info)


# -- verdicts by the oracle -------------------------------------------------------------------


@pytest.fixture
def oracle(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("benepar")
    if not os.environ.get("DLM_PARSER"):
        monkeypatch.setenv("DLM_PARSER", str(shared / "models" / "benepar-minilm"))


@pytest.mark.usefixtures("oracle")
def test_verdicts_are_f1_by_the_oracle() -> None:
    text = "The Mill serves Indian food ."
    right = Tree("(TOP (S (NP * *) (VP serves (NP * *)) *))")
    assert right.verify(text).satisfied and right.verify(text).score == 1.0
    # S NP VP against S NP VP NP: 3 of 3 and 3 of 4
    verdict = Tree("(S (NP * *) (VP * * *) *)").verify(text)
    assert verdict.satisfied is False and verdict.score == pytest.approx(6 / 7)
    assert "parsed as (TOP (S" in verdict.detail
    assert right.verify("The Mill is cheap .").score == 0.0
    assert right.verify("The Mill sells Indian food .").score == 0.0
