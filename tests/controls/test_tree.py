"""tree: signatures, the chart and the brackets against enumeration; the trained head in use."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlm_controls.bracketing import Bracket, ParseTree, read_tree
from dlm_controls.chart import (
    DEPTH,
    NOTHING,
    Chart,
    Head,
    load_head,
    signatures,
    train_head,
    tree_control,
)
from dlm_controls.tagger import WordTagger
from dlm_controls.tree import Tree
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.errors import MissingError, SpecError
from dlm_core.generation import generate
from dlm_core.guidance import BuildContext, State
from dlm_core.spec import Lengths, parse_spec
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


# -- signatures -------------------------------------------------------------------------------


def test_signatures_by_hand() -> None:
    tree = read_tree("(TOP (S (NP The pub) (VP is (NP (ADJP cheap))) .))")
    assert signatures(tree) == [
        (("S", "NP"), 0, "NP"),
        ((), 1, "NP"),
        (("VP",), 0, "VP"),
        (("NP", "ADJP"), 3, "ADJP"),
        ((), 1, "S"),
    ]


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
def test_signatures_tell_the_tree(text: str) -> None:
    """Where no more than DEPTH brackets meet, the tree can be read off them."""
    tree = read_tree(text)
    found, stack = [], []
    for i, (opens, closes, _) in enumerate(signatures(tree)):
        if len(opens) == DEPTH or closes == DEPTH:
            return
        for label in opens:
            stack.append(len(found))
            found.append(Bracket(i, i, label))
        for _ in range(closes):
            at = stack.pop()
            found[at] = Bracket(found[at].start, i, found[at].label)
    assert not stack and tuple(found) == tree.brackets


# -- log p ------------------------------------------------------------------------------------

D, V, L = 3, 6, 3
WANTED = read_tree("(TOP (S (NP *) (VP * *)))")


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    found = ((("S", "NP"), 1, "NP"), (("VP",), 0, "VP"), ((), 2, "VP"), ((), 0, "S"))
    chart = Chart(V, LABELS, 5, features=6, hidden=8, layers=1)
    tagger = WordTagger(D, V, [str(s) for s in found], hidden=6, rank=4, time_width=4)
    with torch.no_grad():
        tagger.lexicon.copy_(torch.randn(V, 4))
        tagger.features.mul_(20)
    return Head(chart.requires_grad_(False), tagger.requires_grad_(False), found)


@pytest.fixture
def state(make_state: Callable[..., State]) -> State:
    return make_state(random(2, L, V, seed=1).log_softmax(-1), random(2, L, D, seed=2))


def test_the_chart_is_summed_over_all_spans_of_the_tree(
    head: Head, state: State, tiny_vocab: Vocab
) -> None:
    """By hand: three constituents, three spans that are none; fenceposts and layers one by one."""
    wanted = {(0, 2): "S", (0, 0): "NP", (1, 2): "VP", (1, 1): "", (2, 2): "", (0, 1): ""}
    found = tree_control(head, WANTED, tiny_vocab).chart(state)
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


def test_words_are_chosen_by_their_brackets_exactly(
    head: Head, state: State, tiny_vocab: Vocab
) -> None:
    """sum_w q_i(w) p(signature_i | w, context_i), by enumeration over the words."""
    control = tree_control(head, WANTED, tiny_vocab)
    tagger = head.tagger
    context = tagger.context(state.x_t, state.t, state.lengths)
    for row in range(2):
        total = 0.0
        for i, signature in enumerate(signatures(WANTED)):
            k, p = head.signatures.index(signature), 0.0
            for w in range(V):
                here = context[row : row + 1, i : i + 1]
                logits = tagger.logits(here, torch.tensor([[[w]]]))[0, 0, 0]
                p += float(state.token_log_probs[row, i, w].exp() * logits.softmax(-1)[k])
            total += math.log(p)
        assert float(control.brackets(state)[row]) == pytest.approx(total, rel=1e-4)
    assert torch.allclose(control.log_prob(state), control.brackets(state) + control.chart(state))


def test_a_rare_signature_or_chain_takes_what_is_like_it(head: Head, tiny_vocab: Vocab) -> None:
    control = tree_control(head, read_tree("(TOP (S (NP (NP *)) (VP * *)))"), tiny_vocab)
    place = [(int(i), int(j)) for i, j in zip(control.starts, control.ends, strict=True)]
    # NP::NP is no label; NP and S::NP share as much of it
    assert control.labels[place.index((0, 0))].nonzero().flatten().tolist() == [1, 4]
    assert control.signatures[0].nonzero().flatten().tolist() == [0]  # closes something, in an NP


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
        steps=60,
        batch_tokens=200,
        lr=3e-3,
        on_step=lambda step, steps, loss: losses.append(loss),
    )
    assert len(losses) == 120 and sum(losses[-5:]) < 0.6 * sum(losses[60:65])
    return model


def test_training_learns_the_trees(trained: Model, figures: dict[str, float]) -> None:
    # the tiny model has learnt nothing, so the chart sees little of the words
    assert figures["brackets t=0.05"] > 0.9 and figures["chart t=0.05"] > 0.25
    head = load_head(BuildContext(trained))
    assert head.chart.labels[0] == NOTHING and set(head.chart.labels[1:]) == {
        "NP", "PP", "S", "VP", "ADJP"
    }  # fmt: skip
    assert (("S", "NP"), 0, "NP") in head.signatures
    assert not head.chart.training and all(not p.requires_grad for p in head.chart.parameters())
    size = (trained.info.head_path("tree") / "head.safetensors").stat().st_size
    assert size < 3_000_000


def test_it_keeps_the_promises_of_a_control(trained: Model) -> None:
    assert_control(Tree("(TOP (S (NP The *) (VP * (NP * *)) .))"), trained)


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


# -- verdicts by the oracle -------------------------------------------------------------------


@pytest.fixture
def oracle(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("benepar")
    if "DLM_PARSER" not in os.environ:
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
