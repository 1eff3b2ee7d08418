"""Requests to a model that spells rare words in pieces: a toy, trained in seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from dlm_controls import Avoid, Infill, Keyword, Length, Pattern, Pos
from dlm_controls.length import WordCount
from dlm_controls.pattern.control import SPELLED, EntryControl
from dlm_controls.pattern.entries import over_entries
from dlm_controls.pattern.language import WordAutomaton, writable
from dlm_core.bundle import Model, save_bundle
from dlm_core.config import GuidanceConfig, ModelConfig, SamplingConfig, TrainConfig
from dlm_core.control.compose import Controls, ControlSpec, as_controls
from dlm_core.control.protocol import BuildContext, Control
from dlm_core.control.settle import settle
from dlm_core.control.state import State
from dlm_core.control.verdict import Verdict
from dlm_core.corpora import Example
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import UnsatisfiableError
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request, prepare
from dlm_core.plugins.loading import load_plugins
from dlm_core.training.heads import train_head
from dlm_core.training.loop import Callbacks, Trainer
from dlm_core.training.told import Told
from dlm_core.vocab import Vocab

SYLLABLES = ("gi", "ra", "zu", "mo", "ka", "fe", "lo")
FAST = SamplingConfig(steps=5)


def corpus() -> list[str]:
    """Common words around names that hardly ever come twice."""
    draws = Random(0)

    def name() -> str:
        return "".join(draws.choices(SYLLABLES, k=3))

    shapes = ("the {} eats a {} .", "a {} sees the big {} .", "the big {} is near {} .")
    texts = [draws.choice(shapes).format(name(), name()) for _ in range(240)]
    return [*texts, *["a - big-near-big ."] * 2, *["the big - near - a ."] * 25]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    texts, folder = corpus(), tmp_path_factory.mktemp("spelled")
    vocab = Vocab.build(texts, min_count=20, pieces=40)
    config = TrainConfig(
        max_steps=250, batch_tokens=256, warmup_steps=20, lr=4e-3, precision="fp32", pieces=40,
        eval_every=1000, save_every=1000, ema=0.9, sample_steps=2,
        model=ModelConfig(
            vocab_size=len(vocab), embedding_dim=8, max_len=18, hidden=32, layers=2, heads=2
        ),
    )  # fmt: skip
    Trainer(config, vocab, texts, texts[:8], folder).run(Callbacks())
    return Model.load(folder)


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory, model: Model) -> Model:
    """Random weights: nothing but the guarantee makes its texts fit."""
    config = model.info.config.model_copy(update={"length_mode": "padded"})
    torch.manual_seed(0)
    net = DiffusionLM(config, pad=model.vocab.pad, unk=model.vocab.unk)
    net.length_counts[4:15] = 1
    path = tmp_path_factory.mktemp("padded")
    save_bundle(path, net, model.vocab)
    return Model.load(path)


def test_free_texts_are_whole_words(model: Model) -> None:
    results = generate(model, n=24, sampling={"steps": 20})
    words = [word for result in results for word in result.tokens]
    assert not any("##" in word for word in words)
    assert not any("##" in draft for result in results for draft in result.drafts)
    spelled = [word for word in words if len(model.vocab.spell(word)) > 1]
    assert spelled
    assert set(words) - set(model.vocab.plain_words) >= set(spelled)


ASKED: dict[str, Controls] = {
    "rare": as_controls(Keyword("zumora")),
    "never seen": as_controls(Keyword("ragi,momomo")),
    "a beginning": as_controls(Keyword("the")),
    "avoided": Avoid("the,a") + Keyword("eats"),
    "pattern": as_controls(Pattern("the * (eats|sees) * zumora .")),
    "no names": as_controls(Pattern("* * *")),
    "counted": Length(5) + Keyword("zumora"),
    "a range": Length(4, 6) + Keyword("zumora") + Avoid("the"),
    "sides": as_controls(Infill(left="the zumora", right="ragi .")),
    "a gap of two": as_controls(Infill(left="the zumora", right=".", words=2)),
    "sides and a keyword": Infill(left="the zumora", right=".") + Keyword("momoka"),
    "many gaps": as_controls(Infill("the ... eats * zumora ... .")),
    "unknown": as_controls(Infill(left="the ñandu ß", right="ragi .", words=2)),
    "sides counted": Length(6) + Infill(left="zumora", right="."),
    "contrary": as_controls(~Pattern("the ...")),
}


@pytest.mark.parametrize("mode", ["posterior", "paper", "both"])
@pytest.mark.parametrize("name", ASKED)
def test_every_text_has_what_was_asked(name: str, mode: str, model: Model, padded: Model) -> None:
    for one in (model, padded) if mode == "posterior" else (model,):
        guidance = GuidanceConfig(mode=mode, guidance_steps=1)
        for result in generate(one, ASKED[name], n=4, sampling=FAST, guidance=guidance):
            assert [c.satisfied for c in result.controls] == [True] * len(ASKED[name]), result.text
            assert not any("##" in word for word in result.tokens)


def test_a_side_that_might_be_cut_into_fewer_pieces(model: Model) -> None:
    """Beside a keyword a gap's sides may be cut otherwise; what is held still has room."""
    side = "big-near-big"
    assert len(model.vocab.spell(side)) > 5  # than `big - near - big`
    asked = Infill(left="the", right=f"{side} .") + Keyword("zumora")
    for result in generate(model, asked, n=4, sampling=FAST):
        assert [c.satisfied for c in result.controls] == [True, True]


def test_the_sides_of_a_gap_come_back_as_typed(model: Model) -> None:
    (result,) = generate(model, Infill(left="the zumora", right="near ñandu ."), sampling=FAST)
    assert result.text.startswith("the zumora ")
    assert result.text.endswith(" near ñandu.")


def test_lengths_alone_are_counted_in_whole_words(model: Model) -> None:
    for result in generate(model, Length(7), n=6, sampling=FAST):
        assert len(result.tokens) == 7
        assert set(result.tokens) <= set(model.vocab.plain_words)


def test_a_vocabulary_of_words_spells_nothing_else_but_what_is_asked(tmp_path: Path) -> None:
    """More whole words than pieces, and random weights that would draw pieces anywhere."""
    names = [f"{a}{b}" for a in SYLLABLES for b in SYLLABLES]
    vocab = Vocab.build([*names * 21, *(f"{name}ra" for name in names)], min_count=20, pieces=40)
    config = ModelConfig(
        vocab_size=len(vocab), embedding_dim=8, max_len=18, hidden=32, layers=2, heads=2
    )
    torch.manual_seed(0)
    net = DiffusionLM(config, pad=vocab.pad, unk=vocab.unk)
    net.length_counts[4:15] = 1
    save_bundle(tmp_path, net, vocab)
    wordy = Model.load(tmp_path)
    assert not vocab.spells_freely
    free = {word for r in generate(wordy, n=8, sampling=FAST) for word in r.tokens}
    assert free <= set(vocab.plain_words)
    for result in generate(wordy, Keyword("zumora") + Avoid("gigi"), n=8, sampling=FAST):
        assert "zumora" in result.tokens
        assert set(result.tokens) - {"zumora"} <= set(vocab.plain_words)


# -- controls that read whole words -----------------------------------------------------------


class Ends(ControlSpec):
    """A last word; as plugins have it that know nothing of pieces."""

    kind: ClassVar[str] = "ends"
    positional: ClassVar[tuple[str, ...]] = ("word",)
    word: str
    seen: ClassVar[list[Vocab]] = []

    def build(self, context: BuildContext) -> Control:
        k = context.vocab.id(self.word)
        self.seen.append(context.vocab)

        def log_prob(state: State) -> Tensor:
            last = (state.lengths - 1)[:, None, None]
            log_q = state.token_log_probs
            return log_q.gather(1, last.expand(-1, 1, log_q.shape[-1]))[:, 0, k]

        return context.control(log_prob, multilinear=True)

    def verify(self, text: str) -> Verdict:
        return Verdict(text.split()[-1] == self.word)


def test_a_control_that_reads_words_has_texts_of_whole_words(model: Model) -> None:
    for result in generate(model, Ends("the") + Length(5, 7), n=4, sampling=FAST):
        assert set(result.tokens) <= set(model.vocab.plain_words)
        assert result.tokens[-1] == "the"
    assert not Ends.seen[-1].pieces
    assert model.vocab.pieces


def test_it_does_not_go_with_a_word_that_is_spelled(model: Model) -> None:
    with pytest.raises(UnsatisfiableError, match=r"'ends.*' and 'keyword:zumora'.*'zumora' in pi"):
        generate(model, Ends("the") + Keyword("zumora"))
    with pytest.raises(UnsatisfiableError, match="reads whole words"):
        generate(model, Pos("DET ...") + Infill(left="the zumora"))
    asked = Ends("the") + ~Keyword("zumora") + Avoid("zumora") + Keyword("eats")
    assert not settle(asked, model.info).info.vocab.pieces


class Whole(ControlSpec):
    """Its head is the number of texts that it was given."""

    kind: ClassVar[str] = "whole"

    @classmethod
    def train(
        cls, model: Model, examples: Sequence[Example], out: Path, **options: Any
    ) -> dict[str, float]:
        return {"texts": float(len(examples))}


class Pieces(Whole):
    whole_words: ClassVar[bool] = False


def test_a_head_of_whole_words_learns_from_such_texts(model: Model, tmp_path: Path) -> None:
    lines: list[str] = []
    examples = [Example(text) for text in ("the zumora eats a ragi .", "a - near the .", "ragi .")]
    given = [train_head(cls, model, examples, tmp_path, told=Told(line=lines.append))["texts"]
             for cls in (Whole, Pieces)]  # fmt: skip
    assert given == [1.0, 3.0]
    assert [line.partition(" have no word")[0] for line in lines] == ["1 of 3 texts"]


def test_what_can_do_without_whole_words_makes_way(model: Model) -> None:
    rare, common = Length(5) + Keyword("zumora"), Length(5) + Keyword("eats")
    assert settle(rare, model.info).info.vocab.pieces
    assert not settle(common, model.info).info.vocab.pieces
    told = generate(model, rare, sampling=FAST)[0].controls[0]
    assert (told.spec, told.detail) == ("length:5", "5 words")


# -- against enumeration ----------------------------------------------------------------------

NARROW = ("the", "a", "gi", "##ra", "##zu")
"""Entries that have all the mass."""
SPECS: dict[str, WordAutomaton] = {
    "keyword": Keyword("gira"),
    "avoid": Avoid("gira,the", exact=True),
    "pattern": Pattern("the * ..."),
    "count": WordCount(words=2, to=3),
}


def enumerated(spec: WordAutomaton, model: Model, length: int) -> list[tuple[int, ...]]:
    ids = [model.vocab.words.index(entry) for entry in NARROW]
    return [
        text
        for text in product(ids, repeat=length)
        if not model.vocab.goes_on(text[0]) and spec.automaton.accepts(model.vocab.tokens(text))
    ]


@pytest.mark.parametrize("name", SPECS)
def test_probability_rounding_and_lengths(
    name: str, model: Model, make_state: Callable[..., State]
) -> None:
    spec, length = SPECS[name], 4
    control = spec.build(BuildContext(model))
    assert isinstance(control, EntryControl)
    ids = [model.vocab.words.index(entry) for entry in NARROW]
    generator = torch.Generator().manual_seed(1)
    log_q = torch.full((1, length, len(model.vocab)), -200.0, dtype=torch.float64)
    logits = torch.randn(1, length, len(ids), generator=generator, dtype=torch.float64)
    log_q[..., ids] = logits.log_softmax(-1)
    p = {
        text: math.exp(sum(float(log_q[0, i, id_]) for i, id_ in enumerate(text)))
        for text in enumerated(spec, model, length)
    }
    assert float(control.log_prob(make_state(log_q)).exp()) == pytest.approx(sum(p.values()))
    rounded = control.round(log_q, torch.tensor([length]))
    assert tuple(rounded[0].tolist()) == max(p, key=p.__getitem__)
    ratios = control.length_log_ratios()
    assert len(ratios) == model.info.max_words + 1
    for n in range(1, 6):
        going = [sum(map(model.vocab.goes_on, text)) for text in enumerated(spec, model, n)]
        best = min(going, default=math.inf) * math.log(SPELLED)
        assert float(ratios[n]) == pytest.approx(best)


def test_positions_are_drawn_where_texts_can_be(model: Model) -> None:
    """Five words, one of so many pieces: no fewer positions, and each more is rarer by a factor."""
    prepared = prepare(model, Request(Length(5) + Keyword("zumora")), load_plugins())
    assert prepared.lengths.low == prepared.lengths.high == 5
    prior = model.net.length_counts.double() + 1e-6
    ratios = prepared.length_weights / prior
    least = 4 + len(model.vocab.spell("zumora"))
    assert not ratios[:least].any()
    rarer = ratios[least + 1 :] / ratios[least:-1]
    torch.testing.assert_close(rarer, torch.full_like(rarer, SPELLED))


def test_a_text_that_is_too_long_in_pieces(model: Model) -> None:
    words = " ".join(["gigigi"] * model.info.max_words)
    with pytest.raises(UnsatisfiableError, match="no length that is left"):
        generate(model, Pattern(words))


def test_equal_specs_are_compiled_once_for_a_vocabulary(model: Model, tiny_model: Model) -> None:
    first, second = Pattern("the * gira ..."), Pattern("the  * gira ...")
    spelled = [spec.build(BuildContext(model)) for spec in (first, second)]
    assert spelled[0].table.data_ptr() == spelled[1].table.data_ptr()
    whole = first.build(BuildContext(tiny_model))
    assert isinstance(spelled[0], EntryControl) and not isinstance(whole, EntryControl)
    other = Vocab.build(corpus(), min_count=20, pieces=60)
    for vocab in (model.vocab, other):
        named = over_entries(first.automaton.within(writable(vocab)), vocab).ids
        assert set(vocab.spell("gira")) <= set(named)
