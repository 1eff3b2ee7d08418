"""The noise-aware tagger: what its context sees, and that its label probabilities are such."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dlm_controls.heads.tagger import CANDIDATES, WordTagger, load_tagger, train_tagger
from dlm_core.bundle import Model
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.errors import MissingError

D, V, LABELS = 3, 30, ("A", "B", "C", "D")


@pytest.fixture(scope="module")
def tagger() -> WordTagger:
    torch.manual_seed(0)
    tagger = WordTagger(D, V, LABELS, hidden=8, rank=6, time_width=4)
    with torch.no_grad():
        tagger.lexicon.copy_(torch.randn(V, len(LABELS)))
        tagger.features.mul_(20)
    return tagger.eval().requires_grad_(False)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


T, LENGTHS = torch.tensor([0.3, 0.7]), torch.tensor([6, 4])


@pytest.mark.parametrize("i", range(6))
def test_the_context_of_a_word_is_every_other_word_and_not_itself(
    tagger: WordTagger, i: int
) -> None:
    x = random(2, 6, D)
    changed = x.clone()
    changed[0, i] += 3.0
    a, b = tagger.context(x, T, LENGTHS), tagger.context(changed, T, LENGTHS)
    assert torch.equal(a[0, i], b[0, i])
    for j in range(6):
        assert j == i or not torch.equal(a[0, j], b[0, j])
    assert torch.equal(a[1], b[1])  # samples do not mix


@pytest.mark.parametrize(("row", "i"), [(0, 0), (0, 3), (0, 5), (1, 0), (1, 3)])
def test_the_gradient_of_a_context_is_zero_at_its_own_word_and_beyond_the_text(
    tagger: WordTagger, row: int, i: int
) -> None:
    x = random(2, 6, D).requires_grad_()
    tagger.context(x, T, LENGTHS)[row, i].sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    reached = x.grad.abs().sum(-1) > 0
    expected = torch.zeros(2, 6, dtype=torch.bool)
    expected[row, : int(LENGTHS[row])] = True
    expected[row, i] = False
    assert torch.equal(reached, expected)


def test_the_context_does_not_depend_on_what_pads_a_text(tagger: WordTagger) -> None:
    x = random(1, 4, D)
    wide = torch.cat([x, random(1, 3, D, seed=1)], dim=1)
    n, t = torch.tensor([4]), torch.tensor([0.5])
    torch.testing.assert_close(tagger.context(wide, t, n)[:, :4], tagger.context(x, t, n))


def test_label_probabilities_of_every_word_sum_to_one(
    tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    assert V <= CANDIDATES  # so every word is scored in context
    log_q = random(2, 6, V, seed=3).log_softmax(-1)
    state = make_state(log_q, random(2, 6, D), LENGTHS)
    total = torch.zeros(2, 6, V)
    for k in range(len(LABELS)):
        total += tagger.word_log_probs(state, torch.full((2, 6), k), log_q).exp()
    torch.testing.assert_close(total, torch.ones_like(total))


def test_nothing_is_asked_of_a_free_position(
    tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    log_q = random(2, 6, V, seed=3).log_softmax(-1)
    labels = torch.tensor([[1, -1, 0, -1, -1, 2]] * 2)
    found = tagger.word_log_probs(make_state(log_q, random(2, 6, D), LENGTHS), labels, log_q)
    assert bool((found[labels < 0] == 0).all()) and bool((found[labels >= 0] < 0).all())


def test_beyond_the_candidates_the_lexicon_speaks(make_state: Callable[..., State]) -> None:
    torch.manual_seed(1)
    words = CANDIDATES + 20
    tagger = WordTagger(D, words, LABELS, hidden=8, rank=6, time_width=4).requires_grad_(False)
    tagger.lexicon.copy_(torch.randn(words, len(LABELS)))
    tagger.features.mul_(20)
    log_q = random(1, 2, words, seed=3).log_softmax(-1)
    x_t = random(1, 2, D)
    state = make_state(log_q, x_t, torch.tensor([2]))
    found = tagger.word_log_probs(state, torch.ones(1, 2, dtype=torch.long), log_q)[0]
    lexicon = tagger.lexicon.log_softmax(-1)[:, 1]
    everything = torch.arange(words).expand(1, 2, -1)
    context = tagger.context(x_t, state.t, state.lengths)
    exact = tagger.logits(context, everything).log_softmax(-1)[0, :, :, 1]
    for i in range(2):
        likeliest = set((log_q[0, i] + lexicon).argsort(descending=True)[:CANDIDATES].tolist())
        for w in range(words):
            expected = exact[i, w] if w in likeliest else lexicon[w]
            torch.testing.assert_close(found[i, w], expected)


def test_logits_are_the_documented_formula(tagger: WordTagger) -> None:
    context, words = random(1, 2, 16, seed=5), torch.tensor([[[4, 9], [7, 4]]])
    found = tagger.logits(context, words)
    for i in range(2):
        for c in range(2):
            w, h = int(words[0, i, c]), context[0, i]
            mixed = (tagger.mix.weight @ h + tagger.mix.bias) * tagger.features[w]
            bias = tagger.context_bias.weight @ h + tagger.context_bias.bias
            torch.testing.assert_close(
                found[0, i, c], tagger.lexicon[w] + tagger.out.weight @ mixed + bias
            )


def test_training_learns_labels_that_only_the_context_tells(
    make_model: Callable[..., Model], tmp_path: Path
) -> None:
    """A word is A after `The`, B after anything else: a lexicon alone cannot know."""
    model = make_model()
    the, others = model.vocab.id("The"), list(range(8, 14))
    generator = torch.Generator().manual_seed(0)
    rows, tags = [], []
    for _ in range(400):
        words = [others[int(torch.randint(6, (), generator=generator))] for _ in range(6)]
        at = int(torch.randint(5, (), generator=generator))
        words[at] = the
        rows.append(words)
        tags.append([0 if k == at + 1 else 1 for k in range(6)])
    losses: list[float] = []
    out = tmp_path / "head"
    figures = train_tagger(
        model,
        rows,
        tags,
        ("A", "B"),
        out,
        steps=80,
        batch_tokens=600,
        lr=1e-2,
        on_step=lambda step, steps, loss: losses.append(loss),
    )
    assert len(losses) == 80 and sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert figures["t=0.05"] > figures["lexicon"] + 0.05
    assert figures["t=0.05"] >= figures["t=0.5"]
    config = json.loads((out / "config.json").read_text())
    assert config["labels"] == ["A", "B"] and config["figures"] == figures
    # and it loads from the bundle as a control's head
    head = model.info.head_path("toy")
    head.parent.mkdir()
    out.rename(head)
    assert model.info.heads == ["toy"]
    loaded = load_tagger(BuildContext(model), "toy")
    assert loaded.labels == ("A", "B") and not loaded.training
    assert all(not p.requires_grad for p in loaded.parameters())


def test_a_missing_head_says_how_to_train_it(tiny_model: Model) -> None:
    with pytest.raises(MissingError, match="no trained head for control 'nothing'") as caught:
        load_tagger(BuildContext(tiny_model), "nothing")
    assert "dlm train control nothing" in (caught.value.hint or "")
