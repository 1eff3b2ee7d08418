"""generate(): a text depends on its seed and controls alone; lengths and contexts hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dlm_controls import Infill, Length
from dlm_core.bundle import Model
from dlm_core.config import GuidanceConfig, ModelConfig, SamplingConfig
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.protocol import BuildContext, Control, SupportsLengths
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.errors import PluginError, UnsatisfiableError
from dlm_core.generation.generate import generate, generate_batches
from dlm_core.generation.prepare import Request
from dlm_core.natural import tokenise
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins
from dlm_core.results import Result
from dlm_core.vocab import SPECIALS

FAST = SamplingConfig(steps=4)
POSTERIOR, PAPER = GuidanceConfig(), GuidanceConfig(mode="paper", guidance_steps=2)
BOTH = GuidanceConfig(mode="both", guidance_steps=2)


class Word(ControlSpec):
    """Make a word appear at a place."""

    kind = "word"
    word: str
    at: int = 0

    def build(self, context: BuildContext) -> Control:
        i = context.vocab.id(self.word)
        return context.control(
            lambda s: s.token_log_probs[:, self.at, i], multilinear=True, scope="position"
        )

    def verify(self, text: str) -> Verdict:
        return Verdict(text.split()[self.at] == self.word)


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


def texts(results: Sequence[Result]) -> list[str]:
    return [r.text for r in results]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("guidance", [POSTERIOR, PAPER, BOTH], ids=["posterior", "paper", "both"])
def test_a_sample_is_the_same_alone_and_in_any_batch(
    padded: bool,
    guidance: GuidanceConfig,
    tiny_model: Model,
    padded_model: Model,
    plugins: Plugins,
) -> None:
    model = padded_model if padded else tiny_model
    settings_ = {"sampling": SamplingConfig(steps=4, temperature=0.7), "guidance": guidance}
    requests = [
        Request(as_controls(Word(word="pub", at=1)), n=3, seed=5),
        Request(Controls(), n=2, seed=11),
        Request(as_controls([Length(9), Word(word="cheap", at=2)]), n=2, seed=2),
    ]
    together = [
        (i, r.seed, r.text)
        for batch in generate_batches(model, requests, plugins=plugins, **settings_)
        for i, r in batch
    ]
    in_pairs = [
        (i, r.seed, r.text)
        for batch in generate_batches(model, requests, plugins=plugins, batch_size=2, **settings_)
        for i, r in batch
    ]
    alone = [
        (i, r.seed, r.text)
        for i, request in enumerate(requests)
        for k in range(request.n)
        for r in generate(
            model, request.controls, seed=request.seed + k, plugins=plugins, **settings_
        )
    ]
    assert together == in_pairs == alone
    assert len({text for _, _, text in alone}) == len(alone)  # a seed of its own for each


def test_x_0_hat_of_a_row_does_not_depend_on_its_batch(tiny_model: Model) -> None:
    net = tiny_model.net
    x = torch.randn(5, 12, 8, generator=torch.Generator().manual_seed(0))
    lengths, t = torch.tensor([12, 3, 7, 12, 1]), torch.linspace(0.1, 1.0, 5)
    with torch.no_grad():
        batch = net.predict(x, t, lengths).x_0_hat
        for i, n in enumerate(lengths.tolist()):
            row = slice(i, i + 1)
            alone = net.predict(x[row, :n], t[row], lengths[row]).x_0_hat
            torch.testing.assert_close(batch[row, :n], alone, atol=1e-5, rtol=1e-4)


def test_the_same_seed_is_the_same_text_and_another_is_another(
    tiny_model: Model, plugins: Plugins
) -> None:
    first = texts(generate(tiny_model, n=4, seed=3, sampling=FAST, plugins=plugins))
    again = texts(generate(tiny_model, n=4, seed=3, sampling=FAST, plugins=plugins))
    shifted = texts(generate(tiny_model, n=4, seed=4, sampling=FAST, plugins=plugins))
    assert first == again
    assert shifted[:3] == first[1:]
    assert len(set(first)) > 1


def test_streams_of_one_seed_are_independent_and_of_standard_form() -> None:
    a, b = (PerSampleNoise(range(300), name).normal(50) for name in ("sampler", "length"))
    assert abs(float(a.mean())) < 0.03 and float(a.std()) == pytest.approx(1.0, abs=0.03)
    assert abs(float((a * b).mean())) < 0.03
    assert torch.equal(PerSampleNoise([7, 9]).normal(3)[1:], PerSampleNoise([9]).normal(3))


@pytest.mark.parametrize("controls", [None, Length(5), Length(words=4, to=7)])
def test_no_special_word_is_ever_written(
    controls: ControlSpec | None, tiny_model: Model, padded_model: Model, plugins: Plugins
) -> None:
    for model in (tiny_model, padded_model):
        for result in generate(model, controls, n=12, sampling=FAST, plugins=plugins):
            assert not set(result.tokens) & set(SPECIALS)
            assert tokenise(result.text) == result.tokens


@pytest.mark.parametrize("words", [1, 6, 12])
@pytest.mark.parametrize("guidance", [POSTERIOR, PAPER, BOTH], ids=["posterior", "paper", "both"])
def test_a_length_is_exact(
    words: int, guidance: GuidanceConfig, tiny_model: Model, padded_model: Model, plugins: Plugins
) -> None:
    for model in (tiny_model, padded_model):
        for result in generate(
            model, Length(words), n=3, sampling=FAST, guidance=guidance, plugins=plugins
        ):
            assert len(result.tokens) == words
            assert result.satisfied and result.verdicts == {f"length:{words}": True}


def test_lengths_follow_the_training_texts_within_a_range(
    tiny_model: Model, plugins: Plugins
) -> None:
    results = generate(
        tiny_model, Length(words=6, to=8), n=400, sampling=SamplingConfig(steps=1), plugins=plugins
    )
    counts = torch.bincount(torch.tensor([len(r.tokens) for r in results]), minlength=15)
    assert int(counts.sum()) == int(counts[6:9].sum()) == 400
    # trained on lengths 6, 7, 8 in the ratio 4 : 4 : 2
    torch.testing.assert_close(counts[6:9] / 400, torch.tensor([0.4, 0.4, 0.2]), atol=0.08, rtol=0)


class Long(ControlSpec):
    """Three times as likely in texts of eight words or more, `weight` times so."""

    kind = "long"
    count: int = 20

    def build(self, context: BuildContext) -> Control:
        control = _Long(self.count)
        assert isinstance(control, SupportsLengths)
        return control

    def verify(self, text: str) -> Verdict:
        return Verdict(len(text.split()) >= 8)


class _Long:
    def __init__(self, count: int) -> None:
        self.count = count

    def log_prob(self, state: State) -> Tensor:
        return 1e-6 * state.token_log_probs.sum((1, 2))

    def length_log_ratios(self) -> Tensor:
        return torch.where(torch.arange(self.count) >= 8, math.log(3.0), 0.0) - 700.0


@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_lengths_follow_the_posterior_where_a_control_knows_it(
    weight: float, tiny_model: Model, plugins: Plugins
) -> None:
    from scipy import stats

    n = 600
    results = generate(
        tiny_model,
        weight * Long() + Length(5, 9),
        n=n,
        sampling=SamplingConfig(steps=1),
        batch_size=200,
        plugins=plugins,
    )
    drawn = Counter(len(r.tokens) for r in results)
    prior = {k: float(tiny_model.net.length_counts[k]) for k in range(5, 10)}
    weights = {k: p * (3.0**weight if k >= 8 else 1.0) for k, p in prior.items()}
    expected = [n * w / sum(weights.values()) for w in weights.values()]
    assert stats.chisquare([drawn[k] for k in weights], expected).pvalue > 1e-3


def test_too_few_length_ratios_are_an_error(tiny_model: Model, plugins: Plugins) -> None:
    with pytest.raises(
        PluginError, match=r"length_log_ratios returned shape \(3,\), expected \(15,\)"
    ):
        generate(tiny_model, Long(count=3), plugins=plugins)


def test_a_padded_model_finds_its_own_length(
    make_model: Callable[..., Model], plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's unconditional sampling: a text ends where the model puts END."""
    model = make_model(length_mode="padded")
    vocab = model.vocab
    wanted = [vocab.start, *vocab.encode("The Mill is cheap"), vocab.end, vocab.pad]
    wanted += vocab.encode("is near The") + [vocab.pad] * 4
    one_hot = torch.nn.functional.one_hot(torch.tensor(wanted), len(vocab)).float() * 50
    monkeypatch.setattr(model.net.denoiser, "denoise", lambda x, *_: one_hot.expand(len(x), -1, -1))
    watched: list[list[str]] = []
    results = generate(
        model,
        n=2,
        sampling=FAST,
        plugins=plugins,
        on_step=lambda steps: watched.append(list(map(str, steps))),
    )
    assert texts(results) == ["The Mill is cheap"] * 2
    assert watched[-1] == ["The Mill is cheap"] * 2


CONTEXT = st.lists(
    st.sampled_from(
        ["The", "Mill", "Eagle", "is", "a", "cheap", "pub", "near", "Burger", "King", ".", "French"]
    ),
    max_size=4,
)


@pytest.mark.parametrize("mode", ["posterior", "paper", "both"])
@given(left=CONTEXT, right=CONTEXT, seed=st.integers(0, 99), gap=st.integers(1, 3))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_context_of_an_infill_is_always_held(
    mode: Any,
    left: list[str],
    right: list[str],
    seed: int,
    gap: int,
    tiny_model: Model,
    padded_model: Model,
    plugins: Plugins,
) -> None:
    if not left + right:
        left = ["The"]
    spec = Infill(left=" ".join(left), right=" ".join(right), words=gap)
    for model in (tiny_model, padded_model):
        (result,) = generate(
            model,
            [spec, Word(word="pub", at=0)],  # pulls at the context, or at the gap
            seed=seed,
            sampling=SamplingConfig(steps=3),
            guidance=GuidanceConfig(mode=mode, guidance_steps=1),
            plugins=plugins,
        )
        assert result.tokens[: len(left)] == left
        assert result.tokens[len(result.tokens) - len(right) :] == right
        assert len(result.tokens) == len(left) + gap + len(right)
        assert result.controls[0].satisfied


def test_posterior_guidance_makes_the_asked_word_appear(
    tiny_model: Model, plugins: Plugins
) -> None:
    spec = Word(word="riverside", at=2)
    free = generate(tiny_model, 0 * spec, n=8, sampling=FAST, plugins=plugins)
    held = generate(tiny_model, spec, n=8, sampling=FAST, plugins=plugins)
    assert all(r.tokens[2] == "riverside" and r.controls[0].satisfied for r in held)
    assert sum(r.tokens[2] == "riverside" for r in free) <= 2
    assert all(r.controls[0].log_prob == pytest.approx(0.0, abs=1e-4) for r in held)


def test_paper_guidance_makes_the_asked_word_likely(
    make_model: Callable[..., Model], plugins: Plugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the exact denoiser of texts of independent words, all alike likely."""
    model = make_model(self_conditioning=False)
    net = model.net

    def exact(x_t: torch.Tensor, t: torch.Tensor, *_: Any) -> torch.Tensor:
        ab = net.schedule.alpha_bar(t)[:, None, None]
        distance = (x_t[:, :, None] - ab.sqrt()[..., None] * net.embedding_matrix).square().sum(-1)
        return -distance / (2 * (1 - ab))

    monkeypatch.setattr(net.denoiser, "denoise", exact)
    spec = Word(word="riverside", at=2)
    config = GuidanceConfig(mode="paper", guidance_steps=10, guidance_lr=0.3, fluency=0.0)
    found = {}
    for weight in (0.0, 1.0):
        results = generate(
            model,
            weight * spec,
            n=12,
            sampling=SamplingConfig(steps=10),
            guidance=config,
            plugins=plugins,
        )
        found[weight] = sum(bool(r.controls[0].satisfied) for r in results)
    assert found[1.0] >= 10 and found[0.0] <= 3


def test_guidance_is_limited_to_its_interval(tiny_model: Model, plugins: Plugins) -> None:
    spec, request = Word(word="riverside", at=2), {"n": 4, "sampling": FAST, "plugins": plugins}
    never = GuidanceConfig(t_min=0.0, t_max=0.0)
    free = generate(tiny_model, 0 * spec, **request)
    assert texts(generate(tiny_model, spec, guidance=never, **request)) == texts(free)


def test_a_report_says_everything_a_text_depends_on(tiny_model: Model, plugins: Plugins) -> None:
    sampling = SamplingConfig(steps=4, temperature=0.5, clamp_start=0.9)
    (result,) = generate(
        tiny_model, Length(5) + 0.5 * Word(word="pub"), seed=7, sampling=sampling, plugins=plugins
    )
    signature = result.signature.split("|")
    for part in ("sampler:ancestral", "steps:4", "temperature:0.5", "clamp_start:0.9", "seed:7"):
        assert part in signature
    assert f"model:{tiny_model.info.sha256[:8]}" in signature
    assert "c:length:5" in signature and 'c:word:{"word": "pub", "at": 0}@0.5' in signature
    length, word = result.controls
    assert (length.spec, length.weight, length.satisfied) == ("length:5", 1.0, True)
    assert word.weight == 0.5 and word.log_prob is not None
    assert length.plugin.startswith("dlm ")


def test_verdicts_are_given_only_when_asked_for(tiny_model: Model, plugins: Plugins) -> None:
    (result,) = generate(tiny_model, Length(5), sampling=FAST, verify=False, plugins=plugins)
    assert result.controls[0].satisfied is None and result.satisfied is None


def test_progress_and_steps_are_reported(tiny_model: Model, plugins: Plugins) -> None:
    done, seen = [], []
    results = generate(
        tiny_model,
        Length(4),
        n=3,
        batch_size=2,
        sampling=FAST.model_copy(update={"time_power": 1.0}),
        plugins=plugins,
        progress=lambda k, total: done.append((k, total)),
        on_step=lambda steps: seen.append((steps[0].t, list(map(str, steps)))),
    )
    assert done == [(k, 8) for k in range(1, 9)]
    assert [round(t, 3) for t, _ in seen[:4]] == [1.0, 0.67, 0.34, 0.01]
    assert seen[3][1] + seen[7][1] == texts(results)


@pytest.mark.parametrize(
    ("sampling", "differs"),
    [
        (SamplingConfig(steps=4, sampler="ddim", eta=1.0), False),
        (SamplingConfig(steps=4, sampler="ddim", eta=0.0), True),
        (SamplingConfig(steps=4, sampler="dpmpp_2m"), True),
        (SamplingConfig(steps=4, self_conditioning=False), True),
        (SamplingConfig(steps=4, clamp=False), True),
        (SamplingConfig(steps=4, temperature=2.0), True),
        (SamplingConfig(steps=4, clamp_start=1.0), False),
    ],
)
def test_sampling_settings_have_their_effect(
    sampling: SamplingConfig, differs: bool, tiny_model: Model, plugins: Plugins
) -> None:
    base = texts(generate(tiny_model, n=6, sampling=FAST, plugins=plugins))
    assert (texts(generate(tiny_model, n=6, sampling=sampling, plugins=plugins)) != base) == differs


def test_texts_with_controls_are_picked_colder(tiny_model: Model, plugins: Plugins) -> None:
    word = Word(word="cheap", at=2)
    mixed = [Request(n=4), Request(as_controls(word), 4)]

    def run(temperature: float | None) -> list[str]:
        sampling = SamplingConfig(steps=4, temperature=temperature)
        batches = generate_batches(tiny_model, mixed, sampling=sampling, plugins=plugins)
        return [result.text for batch in batches for _, result in batch]

    found, hot, cold = run(None), run(1.5), run(1.0)
    assert hot != cold
    assert found == hot[:4] + cold[4:]


class Broken(ControlSpec):
    """Fails at the stage it is told to."""

    kind = "broken"
    stage: str

    def build(self, context: BuildContext) -> Any:
        if self.stage == "build":
            raise KeyError("head")
        return "no control" if self.stage == "protocol" else context.control(self._log_prob)

    def _log_prob(self, state: Any) -> Any:
        return state.token_log_probs.sum((1, 2)) * (torch.nan if self.stage == "log_prob" else 1e-6)

    def verify(self, text: str) -> Verdict:
        raise RuntimeError("no judge")


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("build", "failed at build: KeyError: 'head'"),
        ("protocol", r"build returned str, expected a control"),
        ("log_prob", "log_prob returned NaN or infinity"),
        ("verify", "failed at verify: RuntimeError: no judge"),
    ],
)
def test_a_plugin_that_fails_is_named_at_its_stage(
    stage: str, message: str, tiny_model: Model, plugins: Plugins
) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        generate(tiny_model, Broken(stage=stage), sampling=FAST, plugins=plugins)
    assert "broken:" in caught.value.message


def test_more_words_than_the_model_has_are_refused(tiny_model: Model) -> None:
    with pytest.raises(UnsatisfiableError, match="exactly 15 words; this model writes 1 to 14"):
        generate(tiny_model, Length(15))


def test_the_paper_preset_generates(make_model: Callable[..., Model], plugins: Plugins) -> None:
    paper = ModelConfig.paper()
    assert (paper.hidden, paper.layers, paper.heads) == (768, 12, 12)
    shape = {"hidden": 24, "layers": 1, "heads": 12, "max_len": 14, "train_steps": 100}
    keep = ("embedding", "length_mode", "readout", "self_conditioning", "dropout")
    model = make_model(**{k: getattr(paper, k) for k in keep}, **shape)
    for guidance in (POSTERIOR, PAPER):
        for result in generate(
            model, Length(6), n=2, sampling=FAST, guidance=guidance, plugins=plugins
        ):
            assert len(result.tokens) == 6


@pytest.mark.parametrize("parametrisation", ["eps", "mu"])
def test_other_parametrisations_generate(
    parametrisation: str, make_model: Callable[..., Model], plugins: Plugins
) -> None:
    model = make_model(parametrisation=parametrisation, readout="vector")
    results = generate(model, Length(6), n=2, sampling=FAST, plugins=plugins)
    assert [len(r.tokens) for r in results] == [6, 6]
