"""Autoregressive baselines against models whose answer is known: bigrams and a tiny GPT-2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product as strings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.baselines.base import Whole
from benchmarks.baselines.discriminator import train_discriminator
from benchmarks.baselines.ft import beam_search
from benchmarks.baselines.ft_poe import product
from benchmarks.baselines.fudge import reweighted
from benchmarks.baselines.pplm import Steered, ascend, fused
from benchmarks.baselines.tuning import Tuned, fine_tune
from benchmarks.baselines.words import NextWord, WordLM, draw
from dlm_controls import Keyword
from dlm_core.control.compose import ControlSpec
from dlm_core.vocab import Vocab

MOST = 4
TABLE = {"": (0.5, 0.3, 0.2, 0.0), "a": (0.1, 0.4, 0.2, 0.3), "b": (0.3, 0.1, 0.1, 0.5),
         "c": (0.2, 0.2, 0.2, 0.4)}  # fmt: skip
"""p(a, b, c, END | last word)."""


@pytest.fixture(scope="module")
def vocab() -> Vocab:
    return Vocab.build(["a b c", "a b", "a"], min_count=0)


def bigram(vocab: Vocab) -> NextWord:
    """The table as a next-word model; a text of `MOST` words ends."""
    rows = torch.full((len(vocab), len(vocab)), -torch.inf)
    for word, p in TABLE.items():
        place = vocab.id(word) if word else vocab.start
        rows[place, [*map(vocab.id, "abc"), vocab.end]] = torch.tensor(p).log()

    def next_word(words: Tensor) -> Tensor:
        if words.shape[1] == MOST:
            return F.one_hot(torch.full((len(words),), vocab.end), len(vocab)).float().log()
        last = words[:, -1] if words.shape[1] else torch.full((len(words),), vocab.start)
        return rows[last]

    return next_word


def texts() -> list[str]:
    return ["".join(t) for n in range(1, MOST + 1) for t in strings("abc", repeat=n)]


def probability(text: str) -> float:
    p = 1.0
    for last, word in zip(["", *text], text, strict=False):
        p *= TABLE[last]["abc".index(word)]
    return p * (TABLE[text[-1]][3] if len(text) < MOST else 1.0)


def holds(text: str) -> bool:
    return text.count("b") == 2


def log_prob(model: NextWord, text: str, vocab: Vocab) -> float:
    ids = [*map(vocab.id, text), vocab.end]
    return sum(float(model(torch.tensor([ids[:i]]).long().view(1, i))[0, ids[i]])
               for i in range(len(ids)))  # fmt: skip


def test_fudge_with_the_exact_future_gives_the_exact_conditional(vocab: Vocab) -> None:
    def future(words: Tensor, candidates: Tensor) -> Tensor:
        out = torch.full(candidates.shape, -torch.inf)
        for row, ids in enumerate(words.tolist()):
            before = "".join(vocab.words[i] for i in ids)
            for k, word in enumerate(candidates[row].tolist()):
                ended = word == vocab.end
                start = before if ended else before + vocab.words[word]
                fitting = [t for t in texts() if (t == start if ended else t.startswith(start))]
                total = sum(map(probability, fitting))
                if total:
                    out[row, k] = math.log(
                        max(1e-30, sum(probability(t) for t in fitting if holds(t)) / total)
                    )
        return out

    steered = reweighted(bigram(vocab), [(1.0, future)], len(vocab), len(vocab))
    every = sum(probability(t) for t in texts() if holds(t))
    for text in texts():
        found = math.exp(log_prob(steered, text, vocab))
        assert found == pytest.approx(probability(text) / every if holds(text) else 0.0, abs=1e-6)


def test_fudge_keeps_the_best_words_of_the_likeliest(vocab: Vocab) -> None:
    def against_a(words: Tensor, candidates: Tensor) -> Tensor:
        return -5.0 * (candidates == vocab.id("a"))

    found = reweighted(bigram(vocab), [(1.0, against_a)], 3, 2)(torch.empty(1, 0).long())[0].exp()
    assert found[vocab.id("b")] == pytest.approx(0.6) and found[vocab.id("c")] == pytest.approx(0.4)
    assert found.sum() == pytest.approx(1.0)


def test_a_product_of_experts_is_the_normalised_product(vocab: Vocab) -> None:
    other = torch.zeros(len(vocab)) - 9.0
    other[vocab.id("b")] = 0.0
    found = product([bigram(vocab), lambda w: other.expand(len(w), -1)])(torch.tensor([[4]]))[
        0
    ].exp()
    expected = torch.tensor(TABLE[vocab.words[4]]) * torch.tensor(
        [math.exp(float(other[vocab.id(w)])) for w in "abc"] + [math.exp(-9.0)]
    )
    got = found[[*map(vocab.id, "abc"), vocab.end]]
    assert torch.allclose(got, expected / expected.sum(), atol=1e-6)


def test_draws_follow_the_model_and_each_its_own_seed(vocab: Vocab) -> None:
    rows = draw(bigram(vocab), range(4000), vocab.end, MOST)
    drawn = ["".join(vocab.words[i] for i in row) for row in rows]
    for text in ("a", "ab", "b", "cab"):
        p = probability(text)
        assert drawn.count(text) / 4000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))
    assert draw(bigram(vocab), [7], vocab.end, MOST) == [rows[7]]


def tiny(vocab: Vocab, codes: int = 0, seed: int = 0) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(vocab) + codes, n_positions=80, n_embd=16, n_layer=2, n_head=2,
        bos_token_id=vocab.start, eos_token_id=vocab.end, initializer_range=0.5,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def test_wide_beam_search_finds_what_enumeration_finds(vocab: Vocab) -> None:
    compared = 0
    for seed in range(8):
        lm = WordLM(tiny(vocab, 1, seed), vocab)
        given = [len(vocab)]
        after = lm.after(given)

        def score(text: str, after: NextWord = after) -> float:
            return log_prob(after, text, vocab) / (len(text) + 1)

        best = max((t for t in texts() if len(t) < MOST), key=score)
        found = "".join(vocab.words[i] for i in beam_search(lm, given, beams=64, most=MOST))
        if len(found) < MOST:  # else it was cut off before END, which no enumerated text is
            compared += 1
            assert score(found) == pytest.approx(score(best), abs=1e-4)
        narrow = "".join(vocab.words[i] for i in beam_search(lm, given, beams=1, most=MOST))
        greedy = draw(lambda w, a=after: 1e6 * a(w), [0], vocab.end, MOST)[0]
        assert narrow == "".join(vocab.words[i] for i in greedy)
    assert compared > 1


def test_fine_tuning_learns_what_a_code_says(vocab: Vocab, tmp_path) -> None:  # type: ignore[no-untyped-def]
    pairs = [(["x:1"], ["a", "b"]), (["x:2", "word:c"], ["c"])] * 40
    held = tiny(vocab).requires_grad_(False)  # as a lab holds its base
    tuned = fine_tune(WordLM(held, vocab), pairs, 120, 0)
    tuned.save(tmp_path)
    again = Tuned.load(tmp_path)
    assert again.ids(["x:2", "x:3", "word:b"]) == [len(vocab) + 1, vocab.unk, vocab.id("b")]
    for codes, words in pairs[:2]:
        text = "".join(words)
        assert math.exp(log_prob(again.after(again.ids(codes)), text, vocab)) > 0.9


def test_one_step_of_pplm_is_the_normalised_gradient() -> None:
    torch.manual_seed(0)
    at, w = [torch.randn(3, 2, 5), torch.randn(3, 4)], [torch.randn(3, 2, 5), torch.randn(3, 4)]

    def linear(x: Sequence[Tensor]) -> Tensor:
        return sum(((a * b).flatten(1).sum(1) for a, b in zip(x, w, strict=True)), torch.zeros(3))

    for x, a, g in zip(ascend(at, linear, 1, 0.1, 1.5), at, w, strict=True):
        for row in range(3):
            assert torch.allclose(x[row] - a[row], 0.1 * g[row] / g[row].norm() ** 1.5, atol=1e-6)


def test_a_large_divergence_weight_holds_pplm_at_the_base() -> None:
    at, pull = [torch.zeros(1, 3)], torch.tensor([1.0, -2.0, 0.5])

    def objective(weight: float):  # type: ignore[no-untyped-def]
        return lambda x: (x[0] * pull).sum(1) - weight * x[0].square().sum(1) / 2

    free = ascend(at, objective(0.0), 300, 1e-3, 1.0)[0]
    held = ascend(at, objective(1e6), 300, 1e-3, 1.0)[0]
    assert free.norm() == pytest.approx(0.3, rel=1e-3)  # 300 steps of length 0.001
    assert held.norm() < 3e-3
    middle = ascend(at, objective(10.0), 3000, 1e-3, 1.0)[0]
    assert torch.allclose(middle[0], pull / 10, atol=3e-3)  # the optimum of a quadratic


def test_pplm_draws_from_the_base_where_nothing_moves_it(vocab: Vocab) -> None:
    lm = WordLM(tiny(vocab), vocab)
    lm.model.requires_grad_(False)
    words = torch.tensor([[vocab.id("a"), vocab.id("b")], [vocab.id("c"), vocab.id("c")]])
    still = Steered(lm, lambda state: state.sum(1) * 0, 0)
    assert torch.allclose(still(words).exp(), lm.after([])(words).exp(), atol=1e-5)
    direction = torch.randn(16, generator=torch.Generator().manual_seed(1))
    moved = Steered(lm, lambda state: state @ direction, 10)(words)
    assert bool(moved.isfinite().any()) and moved.exp().sum(1).allclose(torch.ones(2), atol=1e-5)
    assert not torch.allclose(moved.exp(), still(words).exp(), atol=1e-4)


def test_fused_is_the_geometric_mean_of_the_best() -> None:
    p, q = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.2, 0.6, 0.2]])
    found = fused(p.log(), q.log(), 0.5, 2).exp()[0]
    both = torch.tensor([(0.5 * 0.2) ** 0.5, (0.3 * 0.6) ** 0.5])
    assert torch.allclose(found[:2], both / both.sum()) and found[2] == 0


class _Occurs(Whole):
    """Texts with the word b in them."""

    kind = "keyword"

    def codes(self, spec: ControlSpec) -> list[str]:
        return [str(spec)]


def test_the_discriminator_learns_what_prefixes_promise(vocab: Vocab) -> None:
    """1 behind the word, and before it the share of those who are asked of it that it is true of.

    Of a text with k of the words each is asked with 1/(2k) + 1/2 its share of all occurrences (b
    4/9), of one without any with the share alone: behind a, of ab, ac and aa, b is true in
    (1/2 + 2/9) / (1/2 + 2/9 + 2/9 + 4/9) = 0.52 of the cases.
    """
    corpus = [list(t) for t in ("ab", "ca", "ac", "ba", "cb", "aa", "cc", "bc")] * 30
    b, c = Keyword(("b",)), Keyword(("c",))
    met: list[Sequence[ControlSpec]] = [
        tuple(k for k in (b, c) if k.phrases[0] in t) for t in corpus
    ]
    net = train_discriminator(_Occurs(), vocab, corpus, met, 250, 0)
    future = net.future(_Occurs(), b)
    none = torch.empty(1, 0).long()
    first = future(none, torch.tensor([[vocab.id("b"), vocab.id("a"), vocab.id("c")]]))[0].exp()
    assert first[0] > 0.95 and float(first[1]) == pytest.approx(0.52, abs=0.08)
    after_a = future(
        torch.tensor([[vocab.id("a")]]), torch.tensor([[vocab.id("b"), vocab.id("c")]])
    )
    assert after_a[0, 0].exp() > 0.9 and after_a[0, 1].exp() < 0.1
