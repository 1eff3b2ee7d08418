"""The net that writes: what it is shown, what it learns, and what training shows it."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch

from dlm_controls.heads.words_given import IGNORED, NOTHING_SHOWN, WordsGiven, WordsTraining
from dlm_controls.pos.words import _hidden, codes, load_tag_words, train_tag_words
from dlm_core.bundle import Model
from dlm_core.control.protocol import BuildContext
from dlm_core.errors import MissingError

V, L = 7, 5


@pytest.fixture(scope="module")
def net() -> WordsGiven:
    torch.manual_seed(0)
    net = WordsGiven(V, 6, 9, features=4, hidden=8, layers=1)
    torch.nn.init.normal_(net.trunk.outputs.weight)
    return net.eval().requires_grad_(False)


def soft(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).softmax(-1)


T, LENGTHS = torch.tensor([0.3, 0.7]), torch.tensor([5, 3])


def test_codes_are_a_set_and_fill_up_with_nothing(net: WordsGiven) -> None:
    shown = torch.tensor([[[1, 2], [3, 0], [0, 0], [5, 4], [2, 1]]])
    q = soft(2, L, V)
    found = net(q, shown, T, LENGTHS)
    padded = torch.cat([shown.flip(-1), torch.full((1, L, 2), NOTHING_SHOWN)], -1)
    torch.testing.assert_close(net(q, padded, T, LENGTHS), found)
    torch.testing.assert_close(net(q, shown.expand(2, -1, -1), T, LENGTHS), found)


def test_texts_do_not_mix_and_what_pads_them_is_not_read(net: WordsGiven) -> None:
    q, shown = soft(2, L, V), torch.randint(6, (2, L, 2))
    both = net(q, shown, T, LENGTHS)
    alone = net(q[1:, :3], shown[1:, :3], T[1:], LENGTHS[1:])
    torch.testing.assert_close(both[1:, :3], alone)


def test_before_training_a_condition_says_nothing() -> None:
    net = WordsGiven(V, 6, 9, features=4, hidden=8, layers=1)
    assert not bool(net(soft(2, L, V), torch.ones(1, L, 1, dtype=torch.int64), T, LENGTHS).any())


LABELS = 5


@pytest.fixture(scope="module")
def rows(tiny_model: Model, texts: tuple[str, ...]) -> tuple[list[list[int]], list[list[int]]]:
    """Word ids and labels: a word's label is its id modulo `LABELS`."""
    words = [tiny_model.vocab.encode(text) for text in texts] * 30
    return words, [[w % LABELS for w in text] for text in words]


@pytest.mark.parametrize("padded", [False, True])
def test_a_step_of_the_sampler_keeps_what_is_to_be_learnt(
    padded: bool, tiny_model: Model, padded_model: Model
) -> None:
    model = padded_model if padded else tiny_model
    net = WordsGiven(len(model.vocab), 3, model.info.config.max_len)
    training = WordsTraining(model, net, 0)
    texts = [[5, 6, 7, 8], [9, model.vocab.unk, 5]]
    seen = training.noised(texts, torch.zeros(2, 4, 1, dtype=torch.int64))
    assert seen.words.tolist() == [[5, 6, 7, 8], [9, IGNORED, 5, IGNORED]]
    assert seen.log_q.shape == (2, 4, len(model.vocab))
    torch.testing.assert_close(seen.log_q.exp().sum(-1), torch.ones(2, 4))
    later = training.stepped(seen)
    assert bool((later.t <= seen.t).all()) and later.x_t.shape == seen.x_t.shape
    assert torch.equal(later.words, seen.words) and torch.equal(later.codes, seen.codes)
    assert not torch.equal(later.log_q, seen.log_q)
    # untrained, the net changes nothing: the loss is q's own
    with torch.no_grad():
        assert float(training.loss(seen)) == pytest.approx(float(training.loss(seen, False)))


def test_tags_tell_the_words(
    make_model: Callable[..., Model],
    rows: tuple[list[list[int]], list[list[int]]],
) -> None:
    model = make_model()
    out = model.info.head_path("pos")
    figures = train_tag_words(model, *rows, LABELS, out, steps=120, batch_tokens=200)
    assert figures["words t=0.7, tags"] < 0.5 * figures["words t=0.7"]
    net = load_tag_words(BuildContext(model), "pos", LABELS)
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    (out / "words.safetensors").unlink()
    with pytest.raises(MissingError, match=r"has no words\.safetensors") as caught:
        load_tag_words(BuildContext(model), "pos", LABELS)
    assert "dlm train control pos" in (caught.value.hint or "")


def test_a_label_that_asks_nothing_shows_nothing() -> None:
    assert codes(torch.tensor([[-1, 0, 3]])).tolist() == [[[NOTHING_SHOWN], [1], [4]]]


def test_labels_are_hidden_as_users_leave_them_out() -> None:
    rng, labels = random.Random(0), list(range(8))
    shown = [_hidden(labels, rng) for _ in range(2000)]
    assert all(len(s) == 8 and all(k in (-1, i) for i, k in enumerate(s)) for s in shown)
    whole = sum(s == labels for s in shown) / len(shown)
    assert 0.5 < whole < 0.65
    gaps = [s for s in shown if -1 in s]
    assert any(s[0] == -1 and s[-1] == 7 for s in gaps)
    assert any(s[0] == 0 and s[-1] == -1 for s in gaps)
