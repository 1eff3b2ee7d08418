"""pos: alignments against brute force, the control against enumeration, verdicts by spaCy."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlm_controls.heads.tagger import WordTagger
from dlm_controls.heads.words_given import WordsGiven
from dlm_controls.pos.align import align
from dlm_controls.pos.control import PosControl
from dlm_controls.pos.spec import Pos
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.lengths import Lengths
from dlm_core.control.state import State
from dlm_core.errors import MissingError
from dlm_core.generation.generate import generate
from dlm_core.guidance.guard import Guard

LABELS = ("DET", "NOUN", "VERB")


def alignments(words: int, gaps: list[bool]) -> Iterator[list[int]]:
    """Every way to give each word one item: an item takes one word, a gap any number."""
    for counts in itertools.product(*(range(words + 1) if gap else (1,) for gap in gaps)):
        if sum(counts) == words:
            yield [k for k, n in enumerate(counts) for _ in range(n)]


@given(data=st.data(), words=st.integers(0, 6), gaps=st.lists(st.booleans(), max_size=5))
def test_align_is_the_cheapest_of_all_alignments(
    data: st.DataObject, words: int, gaps: list[bool]
) -> None:
    row = st.lists(st.integers(0, 5).map(float), min_size=len(gaps), max_size=len(gaps))
    cost = data.draw(st.lists(row, min_size=words, max_size=words))
    every = list(alignments(words, gaps))
    found = align(cost, gaps)
    if not every:
        assert found is None
    else:
        assert found in every
        best = min(sum(cost[i][k] for i, k in enumerate(a)) for a in every)
        assert sum(cost[i][k] for i, k in enumerate(found)) == best


@pytest.mark.parametrize(
    ("tags", "slots", "lengths"),
    [
        ("DET NOUN VERB", 3, Lengths(3, 3)),
        ("DET * VERB", 3, Lengths(3, 3)),
        ("... PUNCT", 1, Lengths(1, None)),
        ("...", 0, Lengths(0, None)),
    ],
)
def test_tags_say_how_many_words(
    tags: str, slots: int, lengths: Lengths, tiny_model: Model
) -> None:
    spec = Pos(tags)
    assert spec.slots == slots and spec.lengths(tiny_model.info) == lengths


D, V, L = 3, 5, 3
WRITER = WordsGiven(V, len(LABELS) + 1, 8, features=4, hidden=8, layers=1)


@pytest.fixture(scope="module")
def tagger() -> WordTagger:
    torch.manual_seed(0)
    tagger = WordTagger(D, V, LABELS, hidden=6, rank=4, time_width=4)
    with torch.no_grad():
        tagger.lexicon.copy_(2 * torch.randn(V, 3))
        tagger.features.mul_(20)
    return tagger.double().eval().requires_grad_(False)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def label_probabilities(tagger: WordTagger, state: State) -> np.ndarray:
    """p(label | w, context_i), (B, L, V, K)."""
    context = tagger.context(state.x_t, state.t, state.lengths)
    words = torch.arange(V).expand(*state.x_t.shape[:2], V)
    return tagger.logits(context, words).softmax(-1).numpy()


@pytest.mark.parametrize("items", [(0, 1, 2), (0, -1, 2)])
def test_log_prob_and_tilt_against_enumeration_over_texts(
    items: tuple[int, ...], tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    log_q = random(2, L, V, seed=1).log_softmax(-1)
    state = make_state(log_q, random(2, L, D, seed=2))
    delta = random(2, L, V, seed=3)
    control = PosControl(tagger, lambda *_: delta, items, (False,) * L)  # type: ignore[arg-type]
    p = label_probabilities(tagger, state)

    def enumerated(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """p(tags), and p(w_i, tags)."""
        total, joint = np.zeros(2), np.zeros_like(q)
        for b in range(2):
            for words in itertools.product(range(V), repeat=L):
                weight = np.prod([q[b, i, w] for i, w in enumerate(words)])
                for i, (w, k) in enumerate(zip(words, items, strict=True)):
                    weight *= 1.0 if k < 0 else p[b, i, w, k]
                total[b] += weight
                for i, w in enumerate(words):
                    joint[b, i, w] += weight
        return total, joint

    total, _ = enumerated(log_q.exp().numpy())
    np.testing.assert_allclose(control.log_prob(state).exp().numpy(), total, rtol=1e-6)
    # the tilt takes the words that the net which writes favours for q
    total, joint = enumerated((log_q + delta).softmax(-1).numpy())
    tilted = Guard(control, 1.0, "pos", "").tilt(state).exp().numpy()
    np.testing.assert_allclose(tilted, joint / total[:, None, None], atol=1e-8)


def test_the_net_that_writes_is_shown_the_tags_where_they_stand(
    tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    shown = []

    def words(q: Tensor, codes: Tensor, t: Tensor, lengths: Tensor) -> Tensor:
        shown.append(codes[..., 0].tolist())
        return torch.zeros_like(q)

    state = make_state(random(2, 4, V).log_softmax(-1), random(2, 4, D), torch.tensor([4, 2]))
    control = PosControl(tagger, words, (0, -1, 2), (False, True, False))  # type: ignore[arg-type]
    control.tilt(state)
    assert shown == [[[1, 0, 0, 3], [1, 3, 0, 0]]]


@pytest.mark.parametrize(
    ("items", "gaps", "length", "expected"),
    [
        ((0, -1, 2), (False, True, False), 5, [0, -1, -1, -1, 2]),
        ((0, -1, 2), (False, True, False), 2, [0, 2]),
        ((-1, 2), (True, False), 3, [-1, -1, 2]),
        ((0, 1, -1), (False, False, True), 4, [0, 1, -1, -1]),
        ((0, 1), (False, False), 3, [-1, -1, -1]),  # no alignment: nothing to ask
    ],
)
def test_the_length_places_the_tags_around_one_gap(
    items: tuple[int, ...],
    gaps: tuple[bool, ...],
    length: int,
    expected: list[int],
    tagger: WordTagger,
    make_state: Callable[..., State],
) -> None:
    state = make_state(random(1, 6, V).log_softmax(-1), random(1, 6, D), torch.tensor([length]))
    labels = PosControl(tagger, WRITER, items, gaps)._labels(state)[0].tolist()
    assert labels == expected + [-1] * (6 - length)


def test_two_gaps_go_where_the_words_are_likeliest(
    tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    verb = int(tagger.lexicon.softmax(-1)[:, 2].argmax())
    other = int(tagger.lexicon.softmax(-1)[:, 2].argmin())
    for at in range(5):
        logits = torch.zeros(1, 5, V, dtype=torch.float64)
        logits[..., other] = 12.0
        logits[0, at, other], logits[0, at, verb] = 0.0, 12.0
        state = make_state(logits.log_softmax(-1), random(1, 5, D))
        control = PosControl(tagger, WRITER, (-1, 2, -1), (True, False, True))
        labels = control._labels(state)[0].tolist()
        assert labels == [2 if i == at else -1 for i in range(5)]


def test_samples_are_independent(tagger: WordTagger, make_state: Callable[..., State]) -> None:
    control = PosControl(tagger, WRITER, (0, -1, 2), (False, True, False))
    state = make_state(
        random(3, 6, V, seed=4).log_softmax(-1), random(3, 6, D), torch.tensor([6, 2, 4])
    )
    together = control.log_prob(state)
    for i in range(3):
        alone = control.log_prob(state.rows(slice(i, i + 1)))
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.fixture(scope="module")
def spacy_tags() -> None:
    pytest.importorskip("spacy")
    from dlm_controls.pos.oracle import tagger
    from dlm_core.errors import MissingError

    try:
        tagger()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("spacy_tags")
@pytest.mark.parametrize(
    ("tags", "satisfied", "score"),
    [
        ("DET NOUN VERB ADP DET NOUN PUNCT", True, 1.0),
        ("DET NOUN VERB * * NOUN PUNCT", True, 1.0),
        ("DET ... PUNCT", True, 1.0),
        ("... NOUN PUNCT", True, 1.0),
        ("... ADP ...", True, 1.0),
        ("DET AUX VERB ADP DET NOUN PUNCT", False, 6 / 7),
        ("DET NOUN VERB ADP DET NOUN", False, 1.0),  # another number of words
        ("NUM ... NUM", False, 0.0),
    ],
)
def test_verdicts_are_spacys_word_by_word(tags: str, satisfied: bool, score: float) -> None:
    verdict = Pos(tags).verify("The cat sat on the mat .")
    assert verdict.satisfied is satisfied
    assert verdict.score == pytest.approx(score)
    assert satisfied or verdict.detail


@pytest.mark.usefixtures("spacy_tags")
def test_a_wrong_word_is_named() -> None:
    verdict = Pos("DET NOUN AUX ...").verify("The cat sat on the mat .")
    assert verdict.detail == "word 3, sat/VERB, is not AUX"


@pytest.mark.usefixtures("spacy_tags")
def test_the_embedded_head_writes_the_asked_tags(embedded_model: Model) -> None:
    if "pos" not in embedded_model.info.heads:
        pytest.skip("the embedded model has no head for pos yet")
    spec = Pos("PROPN AUX DET ADJ NOUN PUNCT")
    sampling = SamplingConfig(steps=10)
    scores = {}
    for weight in (0.0, 1.0):
        results = generate(embedded_model, weight * spec, n=8, sampling=sampling)
        scores[weight] = sum(r.controls[0].score or 0.0 for r in results) / 8
    assert scores[1.0] > max(0.7, scores[0.0])


def test_without_spacy_the_verdict_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from dlm_controls.pos.oracle import _tagger

    for module in ("spacy", "spacy.tokens"):
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails, as if not installed
    _tagger.cache_clear()
    with pytest.raises(MissingError, match="spaCy is not installed") as caught:
        Pos(tags=("PROPN", "AUX", "...")).verify("Aromi is a pub .")
    assert "pip install" in (caught.value.hint or "")
