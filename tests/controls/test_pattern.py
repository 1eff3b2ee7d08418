"""pattern, keyword, avoid: probabilities and rounding by enumeration, verdicts, composition."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dlm_controls import Avoid, Infill, Keyword, Length, Pattern, Pos, Semantic
from dlm_controls.pattern.control import PatternControl
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import BuildContext
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.errors import SpecError, UnsatisfiableError, UsageError
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request, prepare
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins
from dlm_core.testing import assert_control

WORDS = ("The", "pub", ".", "is", "cheap")
"""The vocabulary of the enumerations: five words of the tiny model's."""

SPECS = tuple(
    as_controls(spec)
    for spec in (
        Pattern("The ... (pub|is cheap) ."),
        Pattern("* pub? ..."),
        Keyword("pub,cheap"),
        Avoid('"is cheap",The'),
        Pattern("... The * ... .") + Pattern("* * ... (cheap|pub) ...") + ~Keyword("is is"),
        Infill(left="The", right=".") + Keyword("pub"),
    )
)
IDS = [str(spec) for spec in SPECS]


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


def random_log_q(model: Model, batch: int, length: int, seed: int = 0) -> Tensor:
    """Mass on WORDS alone, so that few texts make the whole distribution."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(batch, length, len(WORDS), generator=generator, dtype=torch.float64)
    out = torch.full((batch, length, len(model.vocab)), -200.0, dtype=torch.float64)
    out[..., [model.vocab.id(w) for w in WORDS]] = logits.log_softmax(-1)
    return out


def texts(length: int) -> Iterator[tuple[str, ...]]:
    return itertools.product(WORDS, repeat=length)


def control_of(controls: Controls, model: Model) -> PatternControl:
    """All of them as one."""
    (term,) = controls.merged()
    control = term.spec.build(BuildContext(model))
    assert isinstance(control, PatternControl)
    return control


def holds(controls: Controls, text: str) -> bool:
    return all(term.spec.verify(text).satisfied is not term.negated for term in controls)


def posterior(
    controls: Controls, log_q: Tensor, length: int, model: Model
) -> tuple[float, np.ndarray, dict[tuple[str, ...], float]]:
    """p(c), marginals (L, V) and p(text, c) by enumeration, with the verdicts as c."""
    total, marginals = 0.0, np.zeros(log_q.shape)
    joint = {}
    for words in texts(length):
        if holds(controls, " ".join(words)):
            ids = [model.vocab.id(w) for w in words]
            p = float(np.exp(sum(float(log_q[i, w]) for i, w in enumerate(ids))))
            total += p
            joint[words] = p
            for i, w in enumerate(ids):
                marginals[i, w] += p
    return total, marginals, joint


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_log_prob_and_its_gradient_against_enumeration(
    spec: Controls, tiny_model: Model, make_state: Callable[..., State]
) -> None:
    lengths = torch.tensor([5, 4])
    control = control_of(spec, tiny_model)
    logits = random_log_q(tiny_model, 2, 5).requires_grad_()
    log_q = logits.log_softmax(-1)
    value = control.log_prob(make_state(log_q, lengths=lengths))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    q = log_q.detach()
    for b, n in enumerate(lengths.tolist()):
        total, marginals, _ = posterior(spec, q[b], n, tiny_model)
        assert value[b].exp().item() == pytest.approx(total, rel=1e-9)
        exact = (q[b].exp() + gradient[b])[:n].numpy()  # p(w_i = w | c), see dlm_core.guidance
        np.testing.assert_allclose(exact, marginals[:n] / total, atol=1e-9)
        assert not gradient[b, n:].any()


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_tilts_are_posterior_marginals(
    spec: Controls, tiny_model: Model, make_state: Callable[..., State]
) -> None:
    lengths = torch.tensor([5, 4])
    log_q = random_log_q(tiny_model, 2, 5, seed=3)
    guard = Guard(control_of(spec, tiny_model), 1.0, str(spec), "dlm")
    tilted = guard.tilt(make_state(log_q, lengths=lengths))
    for b, n in enumerate(lengths.tolist()):
        total, marginals, _ = posterior(spec, log_q[b], n, tiny_model)
        np.testing.assert_allclose(tilted[b, :n].exp().numpy(), marginals[:n] / total, atol=1e-9)
    torch.testing.assert_close(tilted[1, 4], log_q[1, 4].clamp(min=-40))  # padding is left alone


def test_tilts_do_not_depend_on_the_batch(
    tiny_model: Model, make_state: Callable[..., State]
) -> None:
    guard = Guard(control_of(as_controls(Keyword("pub,cheap")), tiny_model), 1.0, "", "dlm")
    log_q = random_log_q(tiny_model, 4, 9)
    together = guard.tilt(make_state(log_q, lengths=torch.tensor([9, 6, 7, 5])))
    alone = guard.tilt(make_state(log_q[:2, :6], lengths=torch.tensor([6, 6])))
    torch.testing.assert_close(together[1, :6], alone[1])


@pytest.mark.parametrize("spec", SPECS, ids=IDS)
def test_rounding_against_exhaustive_search(spec: Controls, tiny_model: Model) -> None:
    lengths = torch.tensor([5, 4, 4])
    log_q = random_log_q(tiny_model, 3, 5, seed=1)
    log_q[1, 0] = -torch.inf
    log_q[1, 0, tiny_model.vocab.id("cheap" if "avoid" in str(spec) else "The")] = 0.0
    words = control_of(spec, tiny_model).round(log_q, lengths)
    for b, n in enumerate(lengths.tolist()):
        _, _, joint = posterior(spec, log_q[b], n, tiny_model)
        if any(joint.values()):
            best = max(joint, key=joint.__getitem__)
            assert tuple(tiny_model.vocab.tokens(words[b, :n].tolist())) == best


def test_rounding_says_when_no_text_is_left(tiny_model: Model) -> None:
    log_q = random_log_q(tiny_model, 1, 3)
    log_q[..., tiny_model.vocab.id("pub")] = -torch.inf
    with pytest.raises(UnsatisfiableError, match="no text of 3 words"):
        control_of(as_controls(Keyword("pub")), tiny_model).round(log_q, torch.tensor([3]))


# -- in generate() ----------------------------------------------------------------------------

COMPOSED: dict[str, Controls] = {
    "pattern": as_controls(Pattern("The * serves (Japanese|French) food ...")),
    "keyword": as_controls(Keyword('"French food",pub')),
    "avoid": as_controls(Avoid('The,"."')),
    "lengths": as_controls(Pattern("(The pub|A pub near The Mill)")),
    "all": Pattern("... (cheap|French) * ...") + Keyword("pub") + Avoid("is,The") + Length(6, 8),
    "infill": Infill(left="The Mill", right=".") + Keyword("near,pub"),
    "contrary": ~Keyword("near") + ~Pattern("... ."),
}
GUIDANCE = ("posterior", "paper", "both")


@pytest.mark.parametrize("mode", GUIDANCE)
@pytest.mark.parametrize("length_mode", ["prior", "padded"])
@pytest.mark.parametrize("name", COMPOSED)
def test_every_text_of_any_model_satisfies_them(
    name: str, length_mode: str, mode: str, tiny_model: Model, padded_model: Model, plugins: Plugins
) -> None:
    """Random weights: nothing but the guarantee makes these texts fit."""
    model = tiny_model if length_mode == "prior" else padded_model
    results = generate(
        model,
        COMPOSED[name],
        n=6,
        sampling=SamplingConfig(steps=3),
        guidance=GuidanceConfig(mode=mode, guidance_steps=1),
        plugins=plugins,
    )
    for result in results:
        assert [c.satisfied for c in result.controls] == [True] * len(COMPOSED[name])
        assert set(result.tokens) <= set(model.vocab.plain_words)


@pytest.mark.parametrize("mode", GUIDANCE)
def test_trained_controls_that_want_otherwise_do_not_break_them(
    mode: str, embedded_model: Model, plugins: Plugins
) -> None:
    hard = Pattern("The * ... (pub|restaurant) ...") + Avoid("French,is") + Length(9, 12)
    results = generate(
        embedded_model,
        Semantic(food="Japanese") + Pos(tags=("DET", "PROPN", "AUX", "...")) + hard,
        n=3,
        sampling=SamplingConfig(steps=4),
        guidance=GuidanceConfig(mode=mode, guidance_steps=1),
        verify=False,
        plugins=plugins,
    )
    assert all(holds(hard, result.tokenised) for result in results)


def test_drafts_tell_what_the_rounding_changed(tiny_model: Model, plugins: Plugins) -> None:
    """In paper mode nothing else makes a random model meet a pattern; in posterior mode the tilt
    has already when the words are rounded."""
    held = {}
    for mode in ("paper", "posterior"):
        results = generate(
            tiny_model,
            Pattern("The pub ... near * ."),
            n=6,
            sampling=SamplingConfig(steps=3),
            guidance=GuidanceConfig(mode=mode, guidance_steps=1),
            plugins=plugins,
        )
        spec = as_controls(Pattern("The pub ... near * ."))
        drafts = [result.drafts or ("", "") for result in results]
        held[mode] = [[holds(spec, draft) for draft in pair] for pair in drafts]
        assert "drafts" not in results[0].model_dump()
    assert not any(any(pair) for pair in held["paper"])
    assert all(guided for _, guided in held["posterior"])


def test_a_text_does_not_depend_on_its_batch(tiny_model: Model, plugins: Plugins) -> None:
    controls = Keyword("pub") + Avoid("The")
    settings = {"sampling": SamplingConfig(steps=3), "plugins": plugins}
    together = generate(tiny_model, controls, n=5, **settings)
    alone = [generate(tiny_model, controls, n=1, seed=s, **settings)[0] for s in range(5)]
    assert [r.tokenised for r in together] == [r.tokenised for r in alone]


def test_weight_0_still_guarantees(tiny_model: Model, plugins: Plugins) -> None:
    results = generate(
        tiny_model, 0.0 * Keyword("pub"), 4, sampling=SamplingConfig(steps=2), plugins=plugins
    )
    assert all("pub" in r.tokens for r in results)


@pytest.mark.parametrize(
    "spec", ["pattern:The ... (pub|restaurant) ...", "keyword:pub", "avoid:is"]
)
def test_the_conformance_kit(spec: str, embedded_model: Model, plugins: Plugins) -> None:
    assert_control(spec, embedded_model, plugins=plugins)


def test_two_that_choose_the_words_and_do_not_merge_are_refused(
    tiny_model: Model, plugins: Plugins
) -> None:
    class Alone(Keyword):
        """Merges with nothing."""

        kind = "alone"

        def merge(self, other: ControlSpec) -> None:
            return None

    with pytest.raises(UsageError, match="both choose the final words"):
        prepare(tiny_model, Request(Alone("pub") + Alone("is")), plugins)


# -- specs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "spec"),
    [
        ("pattern:The  * ...", Pattern("The * ...")),
        ('pattern:"a, b|"', None),
        ('pattern:"(a|b) c?"@2', Pattern("(a|b) c?")),
        ('pattern:"text=a , b"', Pattern("text=a , b")),
        ("keyword:sushi,wine", Keyword(["sushi", "wine"])),
        ('avoid:cheap,"fast  food"', Avoid(["cheap", "fast food"])),
        ("avoid:cheap, fast food", Avoid(["cheap", "fast food"])),
        ('keyword:",",a', Keyword([",", "a"])),
        ("keyword:a,a", Keyword(["a"])),
        ('keyword:{"phrases": ["a", "b c"]}', Keyword(["a", "b c"])),
    ],
)
def test_specs_are_read(source: str, spec: ControlSpec | None, plugins: Plugins) -> None:
    if spec is None:
        with pytest.raises(SpecError):
            parse_spec(source, plugins.controls)
        return
    term = parse_spec(source, plugins.controls)
    assert term.spec == spec
    assert parse_spec(str(term), plugins.controls).spec == spec


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pattern:", "the pattern is empty"),
        ("pattern:a (b", "not closed"),
        ("keyword:", "a phrase is empty"),
        ("keyword:a,,b", "a phrase is empty"),
        ('avoid:a,"b', "a quote is not closed"),
        ("avoid:a,", "a phrase is empty"),
    ],
)
def test_what_cannot_be_read(source: str, message: str, plugins: Plugins) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(source, plugins.controls)
    assert caught.value.hint and caught.value.source is not None


@pytest.mark.parametrize(
    ("spec", "span"),
    [
        (Pattern("The (Millx|pub) ..."), (5, 10)),
        (Keyword("pub,The Millx"), (4, 9)),
    ],
)
def test_an_unknown_word_is_marked(
    spec: ControlSpec, span: tuple[int, int], tiny_model: Model
) -> None:
    with pytest.raises(SpecError, match="does not know the word 'Millx'") as caught:
        as_controls(spec).check(tiny_model.info)
    assert caught.value.span == span
    assert "did you mean 'Mill'?" in (caught.value.hint or "")


def test_specials_are_no_words(tiny_model: Model) -> None:
    for word in ("START", "END", "PAD", "UNK"):
        with pytest.raises(SpecError, match=f"the word '{word}'"):
            as_controls(Keyword(word)).check(tiny_model.info)


@pytest.mark.parametrize(
    ("spec", "lengths"),
    [
        (Pattern("The (pub|cheap pub near) ."), Lengths.of({3, 5})),
        (Pattern("The ... pub"), Lengths(2, None)),
        (Pattern("The pub? ."), Lengths(2, 3)),
        (Keyword('pub,"The Mill"'), Lengths(3, None)),
        (Avoid("pub"), Lengths(0, None)),
        (Pattern("* " * 20), Lengths(20, 20)),
    ],
)
def test_lengths(spec: ControlSpec, lengths: Lengths, tiny_model: Model) -> None:
    assert spec.lengths(tiny_model.info) == lengths


def test_a_length_between_two_alternatives_is_no_length(tiny_model: Model) -> None:
    pattern = Pattern("The (pub|cheap pub near) .")
    assert (pattern + Length(4, 9)).check(tiny_model.info) == Lengths(5, 5)
    with pytest.raises(UnsatisfiableError, match=r"3 or 5 words.*exactly 4 words.*contradict"):
        (pattern + Length(4)).check(tiny_model.info)


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        (Pattern("The ... pub") + Avoid("The"), "contradict: no text meets both"),
        (Pattern("The ...") + Pattern("pub ..."), "contradict: no text meets both"),
        (Keyword("The Mill") + Avoid("Mill"), "contradict: no text meets both"),
        (Infill(left="The Mill", words=3) + Avoid("Mill"), "contradict: no text meets both"),
        (Pattern("pub ...") + Infill(left="The"), "contradict: no text meets both"),
        (Infill(left="The pub") + Infill(left="The Mill"), "contradict: no text meets both"),
        (Infill(left="The", words=2) + Pattern("* * *") + Avoid("The"), "contradict: no text"),
        (Keyword("pub") + ~Keyword("pub"), "contradict"),
        (Keyword("pub,The,is") + Length(2), "contradict: no text has both lengths"),
        (Keyword("pub,cheap") + Pattern("... pub") + Length(1), "contradict"),
        (as_controls(Pattern("* " * 20)), "this model writes 1 to 14 words"),
        (~Pattern("..."), "every text is"),
    ],
)
def test_contradictions_are_found_before_sampling(
    controls: Controls, message: str, tiny_model: Model
) -> None:
    with pytest.raises(UnsatisfiableError, match=message):
        controls.check(tiny_model.info)


def test_too_many_states_are_refused(tiny_model: Model) -> None:
    with pytest.raises(UsageError, match="more than 4096 states"):
        as_controls(Pattern("... pub" + " *" * 12)).check(tiny_model.info)
    assert as_controls(Pattern("... pub" + " *" * 9)).check(tiny_model.info).low == 10


@pytest.mark.parametrize(
    ("spec", "text", "expected"),
    [
        (Pattern("The * is ..."), "The Mill is cheap .", Verdict(True, "fits")),
        (Pattern("The * is ..."), "The Mill", Verdict(False, "ends too early")),
        (Pattern("The * is"), "The Mill was", Verdict(False, "word 3, 'was', does not fit")),
        (Pattern("The * is"), "The Mill is a", Verdict(False, "word 4, 'a', does not fit")),
        (Keyword("a,b c"), "b c a", Verdict(True, "all there", 1.0)),
        (Keyword("a,b c"), "b a c", Verdict(False, "missing: b c", 0.5)),
        (Keyword("a"), "A ab", Verdict(False, "missing: a", 0.0)),
        (Avoid("a,b c"), "c b", Verdict(True, "none there", 1.0)),
        (Avoid("a,b c"), "b c b", Verdict(False, "found: b c", 0.5)),
    ],
)
def test_verdicts(spec: ControlSpec, text: str, expected: Verdict) -> None:
    assert spec.verify(text) == expected
