"""semantic: the control against enumeration over places; phrases, verdicts, the trained head."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dlm_controls.heads.tagger import WordTagger
from dlm_controls.semantic.control import Phrase, SemanticControl
from dlm_controls.semantic.spec import Semantic
from dlm_controls.semantic.train import OUTSIDE
from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import SamplingConfig
from dlm_core.control.lengths import Lengths
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.errors import MissingError, SpecError
from dlm_core.generation.generate import generate
from dlm_core.guidance.guard import Guard
from dlm_core.training.heads import noised

D, V, L = 3, 7, 5
# word 2 alone is the value; "1 2" says the field as well
PHRASES = (Phrase((2,), (0, 1)), Phrase((1, 2), (1, 2)), Phrase((4, 5, 6), (0, 2)))
DENIERS = (3, 0)
LENGTHS = torch.tensor([5, 3, 2])


@pytest.fixture(scope="module")
def tagger() -> WordTagger:
    torch.manual_seed(0)
    tagger = WordTagger(D, V, (OUTSIDE, "food", "near"), hidden=6, rank=4, time_width=4)
    with torch.no_grad():
        tagger.lexicon.copy_(torch.randn(V, 3))
        tagger.features.mul_(20)
    return tagger.eval().requires_grad_(False)


@pytest.fixture
def control(tagger: WordTagger) -> SemanticControl:
    return SemanticControl(tagger, 1, PHRASES, "toy", 16)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def state(make_state: Callable[..., State]) -> State:
    return make_state(random(3, L, V, seed=1).log_softmax(-1), random(3, L, D, seed=2), LENGTHS)


def place_probabilities(
    tagger: WordTagger, state: State, row: int, deniers: tuple[int, ...] = ()
) -> dict[tuple[int, int], float]:
    """(phrase, place) -> prod_k q(word) * prod over the value of p(field | word), not denied."""
    context = tagger.context(state.x_t, state.t, state.lengths)
    found = {}
    for r, phrase in enumerate(PHRASES):
        for j in range(int(state.lengths[row]) - len(phrase.ids) + 1):
            p = 1.0
            for i in range(max(0, j - 5), j):
                p *= 1 - sum(float(state.token_log_probs[row, i, word].exp()) for word in deniers)
            for k, word in enumerate(phrase.ids):
                p *= float(state.token_log_probs[row, j + k, word].exp())
                if phrase.value[0] <= k < phrase.value[1]:
                    here = context[row : row + 1, j + k : j + k + 1]
                    logits = tagger.logits(here, torch.tensor([[[word]]]))[0, 0, 0]
                    p *= float(logits.softmax(-1)[1])
            found[r, j] = p
    return found


def test_log_prob_is_that_of_at_least_one_phrase_at_some_place(
    control: SemanticControl, tagger: WordTagger, state: State
) -> None:
    found = control.log_prob(state)
    for row in range(3):
        none = math.prod(1 - p for p in place_probabilities(tagger, state, row).values())
        assert float(found[row]) == pytest.approx(math.log(1 - none), rel=1e-4)


def test_a_phrase_counts_where_no_word_before_it_denies_it(
    tagger: WordTagger, state: State
) -> None:
    control = SemanticControl(tagger, 1, PHRASES, "toy", 16, deniers=DENIERS)
    found = control.log_prob(state)
    for row in range(3):
        places = place_probabilities(tagger, state, row, DENIERS).values()
        assert float(found[row]) == pytest.approx(
            math.log(1 - math.prod(1 - p for p in places)), rel=1e-4
        )
    tilted = Guard(control, 1.0, "toy", "").tilt(state)
    for row in range(3):
        sure = (tilted[row].amax(-1) > -1e-3).nonzero().flatten().tolist()
        before = tilted[row, : sure[0]][:, list(DENIERS)]
        assert bool((before < -30).all())


@pytest.mark.parametrize("text", ["is not kid friendly", "is not really kid friendly ."])
def test_a_denied_fact_is_not_said(text: str, info: ModelInfo) -> None:
    model = Model.load(info.path.name)
    control = Semantic(family_friendly="yes").build(BuildContext(model))
    denied, said = control.log_prob(noised(model, [text, text.replace("not", "very")], 0.0))
    assert float(denied) < -5 and float(said) > -1


def test_samples_are_independent(control: SemanticControl, state: State) -> None:
    together = control.log_prob(state)
    for i in range(3):
        alone = control.log_prob(state.rows(slice(i, i + 1)))
        torch.testing.assert_close(together[i : i + 1], alone)


def test_the_gradient_reaches_the_words_of_the_phrases_only_where_they_fit(
    control: SemanticControl, state: State
) -> None:
    log_q = state.token_log_probs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(control.log_prob(state.with_log_probs(log_q)).sum(), log_q)
    assert bool((gradient[..., [0, 3]] == 0).all())
    assert bool((gradient[..., 2][:, :2] > 0).all())
    assert bool((gradient[1, 3:] == 0).all()) and bool((gradient[2, 2:] == 0).all())
    assert bool((gradient[2, :, [4, 5, 6]] == 0).all())  # three words do not fit into two
    assert float(gradient[1, 0, 4]) > 0


def test_the_tilt_puts_one_phrase_into_the_text(control: SemanticControl, state: State) -> None:
    tilted = Guard(control, 1.0, "toy", "").tilt(state)
    words = tilted.argmax(-1)
    for row, n in enumerate(LENGTHS.tolist()):
        text = words[row, :n].tolist()
        placed = [
            (r, j)
            for r, p in enumerate(PHRASES)
            for j in range(n - len(p.ids) + 1)
            if text[j : j + len(p.ids)] == list(p.ids)
            and bool((tilted[row, range(j, j + len(p.ids)), list(p.ids)] > -1e-3).all())
        ]
        assert placed
        r, j = placed[-1]
        rest = [i for i in range(L) if not j <= i < j + len(PHRASES[r].ids)]
        torch.testing.assert_close(tilted[row, rest], state.token_log_probs[row, rest])
    assert bool((control.log_prob(state.with_log_probs(tilted)) > control.log_prob(state)).all())


def test_phrases_and_places_are_drawn_from_their_posterior(
    control: SemanticControl, tagger: WordTagger, make_state: Callable[..., State]
) -> None:
    from scipy import stats

    n = 1500
    log_q = random(1, L, V, seed=1).log_softmax(-1)
    x_t = random(1, L, D, seed=2)
    one = make_state(log_q, x_t, torch.tensor([L]))
    many = make_state(log_q.expand(n, -1, -1), x_t.expand(n, -1, -1), torch.full((n,), L))
    tilted = control.tilt(many)
    drawn: Counter[tuple[int, int]] = Counter()
    for row in range(n):
        sure = (tilted[row].amax(-1) > -1e-3).nonzero().flatten().tolist()
        ids = tuple(tilted[row, sure].argmax(-1).tolist())
        drawn[[p.ids for p in PHRASES].index(ids), sure[0]] += 1
    p = place_probabilities(tagger, one, 0)
    total = sum(p.values())
    rare = sum(v for v in p.values() if v / total * n < 5)
    often = [k for k, v in p.items() if v / total * n >= 5]
    observed = [drawn[k] for k in often] + [n - sum(drawn[k] for k in often)]
    expected = [p[k] / total * n for k in often] + [rare / total * n]
    if expected[-1] == 0:
        observed, expected = observed[:-1], expected[:-1]
    assert stats.chisquare(observed, expected, sum_check=False).pvalue > 1e-3


def test_a_place_stays_from_step_to_step(control: SemanticControl, state: State) -> None:
    assert torch.equal(control.tilt(state), control.tilt(state))


@pytest.fixture(scope="module")
def info() -> ModelInfo:
    return ModelInfo.read("e2e")


@pytest.mark.parametrize(
    ("spec", "phrase"),
    [
        (Semantic(food="Japanese"), ("Japanese",)),
        (Semantic(near="Burger King"), ("near", "Burger", "King")),
        (Semantic(rating="low"), ("low", "customer", "rating")),
        (Semantic(family_friendly="yes"), ("family", "-", "friendly")),
        (Semantic(rating="5 out of 5"), ("5", "out", "of", "5")),
    ],
)
def test_phrases_say_the_value_in_words_of_the_model(
    spec: Semantic, phrase: tuple[str, ...], info: ModelInfo
) -> None:
    phrases = spec.phrases(info)
    assert any(phrase == words or set(phrase) <= set(words) for words in phrases)
    for words in phrases:
        assert all(word in info.vocab for word in words)
        verdict = spec.verify(" ".join(words))
        assert verdict.satisfied and all((verdict.parts or {}).values())
    assert spec.lengths(info) == Lengths(min(map(len, phrases)), None)


def test_a_value_the_model_has_no_words_for_is_refused(tiny_model: Model) -> None:
    with pytest.raises(SpecError, match="no words for the value") as caught:
        Semantic(food="Italian").check(tiny_model.info)
    assert caught.value.hint
    Semantic(food="Japanese").check(tiny_model.info)


@pytest.mark.parametrize(
    ("spec", "text", "satisfied", "right"),
    [
        (Semantic(food="Japanese"), "The Mill serves Japanese food .", True, True),
        (Semantic(food="Japanese"), "The Mill serves French food .", False, False),
        (Semantic(near="Burger King"), "The Mill is near Burger King .", True, True),
        (Semantic(name="The Rice Boat"), "The Mill is near The Rice Boat .", False, False),
        (Semantic(near="The Rice Boat"), "The Mill is near The Rice Boat .", True, True),
        (Semantic(family_friendly="no"), "The Mill is not family - friendly .", True, True),
        (Semantic(family_friendly="yes"), "The Mill is not family - friendly .", False, False),
    ],
)
def test_verdicts(spec: Semantic, text: str, satisfied: bool, right: bool) -> None:
    verdict = spec.verify(text)
    assert verdict.satisfied is satisfied and verdict.parts
    assert set(verdict.parts) == {"value", "right_field", "consistent"}
    assert verdict.parts["right_field"] is right
    assert (satisfied and right) or verdict.detail


def test_building_without_a_trained_head_says_how_to_train_it(tiny_model: Model) -> None:
    with pytest.raises(MissingError, match="no trained head for control 'semantic'"):
        generate(tiny_model, Semantic(food="Japanese"))


def test_the_embedded_head_writes_the_asked_fact(embedded_model: Model) -> None:
    if "semantic" not in embedded_model.info.heads:
        pytest.skip("the embedded model has no head for semantic yet")
    results = generate(
        embedded_model, Semantic(food="Japanese"), n=8, sampling=SamplingConfig(steps=10)
    )
    assert sum(bool(r.controls[0].satisfied) for r in results) >= 7
