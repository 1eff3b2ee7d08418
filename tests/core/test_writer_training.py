"""Training a writer: resumed bit for bit, stored in the bundle, used where it knows a code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
import torch

import dlm_core as dlm
from dlm_core.bundle import Model, copy_bundle, save_bundle
from dlm_core.config import ModelConfig, TrainConfig
from dlm_core.control.compose import ControlSpec
from dlm_core.control.protocol import BuildContext, Control
from dlm_core.control.shown import Code, LearnsShown, Shown, SupportsShown
from dlm_core.corpora import Example
from dlm_core.diffusion.denoisers.shown import NONE
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import MissingError, UsageError
from dlm_core.generation.writer import load_writer
from dlm_core.plugins.registry import Plugins
from dlm_core.training.writer import WriterTrainer, code_ids, draw_shown, read_shown
from dlm_core.vocab import Vocab


class Holds(ControlSpec):
    """A word that occurs; a plugin's own control that can be shown."""

    kind: ClassVar[str] = "holds"
    positional: ClassVar[tuple[str, ...]] = ("word",)
    word: str

    def build(self, context: BuildContext) -> Control:
        k = context.vocab.id(self.word)
        self.known.append(context.shown)
        return context.control(lambda s: s.token_log_probs[..., k].logsumexp(-1).clamp(max=0))

    known: ClassVar[list[frozenset[str]]] = []

    def verify(self, text: str) -> dlm.Verdict:
        return dlm.Verdict(self.word in text.split())

    def shown(self, words: int) -> Shown:
        return Shown((Code("holds", (self.word,)),))

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: object) -> list[Shown | None]:
        return [
            Shown(tuple(Code("holds", (w,)) for w in e.text.split()))
            if "Burger" not in e.text
            else None
            for e in examples
        ]

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        return Shown((draws.choice(everything.whole),))


KINDS: dict[str, type[LearnsShown]] = {"holds": Holds}
MakeModel = Callable[..., Model]


@pytest.fixture
def make_trainer(
    make_model: MakeModel, texts: tuple[str, ...], tmp_path: Path
) -> Callable[..., WriterTrainer]:
    model = make_model()
    copy_bundle(model.info, tmp_path / "model")
    model = Model.load(tmp_path / "model")
    examples = [Example(text) for text in texts * 6]

    def make(out: str, **settings: Any) -> WriterTrainer:
        config = TrainConfig(
            max_steps=4, batch_tokens=64, warmup_steps=1, eval_every=4, eval_examples=2,
            sample_steps=2, rollout_rate=0.5, **settings,
        )  # fmt: skip
        read = read_shown(examples, KINDS, model)
        head = tmp_path / "model/controls/writer"
        return WriterTrainer(config, model, KINDS, read, read[:4], tmp_path / out, head)

    return make


def test_texts_that_a_kind_bars_are_left_out_and_codes_get_ids(
    make_trainer: Callable[..., WriterTrainer],
) -> None:
    trainer = make_trainer("run")
    kept = trainer.batches.sequences
    assert len(kept) == 5 * 6 and trainer.ids == {"holds": 1}
    assert code_ids([]) == {}


def test_what_is_shown_is_true_of_the_text(make_trainer: Callable[..., WriterTrainer]) -> None:
    text = make_trainer("run").batches.sequences[0]
    draws = Random(0)
    for _ in range(60):
        found, known = draw_shown(text, KINDS, draws, 0.5)  # type: ignore[arg-type]
        assert all(code.words[0] in text.words for one in found for code in one.whole)  # type: ignore[attr-defined]
        assert len(known) == len(text.words)  # type: ignore[attr-defined]


def test_a_resumed_run_ends_bit_for_bit_where_one_run_does(
    make_trainer: Callable[..., WriterTrainer],
) -> None:
    whole = make_trainer("whole")
    whole.run()
    first = make_trainer("parts")
    first.run(stop_after=2)
    second = make_trainer("parts")
    second.resume()
    second.run()
    for name, value in whole.ema.items():
        torch.testing.assert_close(second.ema[name], value, rtol=0, atol=0)
    words = whole.base.net.embedding.weight
    torch.testing.assert_close(second.model.embedding.weight, words, rtol=0, atol=0)


def test_the_head_writes_where_a_control_can_be_shown(
    make_trainer: Callable[..., WriterTrainer], tmp_path: Path
) -> None:
    make_trainer("run").run()
    model = Model.load(tmp_path / "model")
    plugins = Plugins(controls={"holds": Holds})
    asked: dict[str, Any] = {"n": 2, "sampling": {"steps": 3}, "plugins": plugins}
    Holds.known.clear()
    written = dlm.generate(model, Holds(word="pub"), **asked)
    assert all("head:writer=" in result.signature for result in written)
    assert Holds.known[0] == {"holds"}
    other = dlm.generate(model, Holds(word="pub"), guidance={"writer": False}, **asked)
    assert all("head:writer=" not in result.signature for result in other)
    assert Holds.known[-1] == frozenset()
    again = dlm.generate(model, [Holds(word="pub")], deterministic=True, **asked)
    assert [r.text for r in again] == [r.text for r in written]
    assert load_writer(model) is load_writer(model)


class Capital(Holds):
    """A code for each word with a capital."""

    kind: ClassVar[str] = "capital"

    @classmethod
    def read_shown(cls, examples: Sequence[Example], info: object) -> list[Shown | None]:
        rows = ((w[0].isupper() for w in e.text.split()) for e in examples)
        return [Shown(places=tuple("capital" if one else None for one in row)) for row in rows]

    @classmethod
    def draw_shown(cls, everything: Shown, words: Sequence[str], draws: Random) -> Shown:
        return everything


def test_the_code_of_a_word_stands_at_all_its_pieces(
    texts: tuple[str, ...], tiny_config: ModelConfig, tmp_path: Path
) -> None:
    vocab = Vocab.build(texts, min_count=3, pieces=60)
    config = tiny_config.model_copy(update={"vocab_size": len(vocab), "max_len": 60})
    save_bundle(tmp_path, DiffusionLM(config, pad=vocab.pad, unk=vocab.unk), vocab)
    model, kinds = Model.load(tmp_path), {"capital": Capital}
    read = read_shown([Example(text) for text in texts * 6], kinds, model)
    head = tmp_path / "controls/writer"
    trainer = WriterTrainer(TrainConfig(), model, kinds, read, read[:4], tmp_path / "run", head)
    batch = trainer._draw()
    assert batch.shown is not None
    told = 0
    for ids, places, given in zip(batch.tokens, batch.shown.places, batch.shown.given, strict=True):
        entries = [vocab.words[id_] for id_ in ids.tolist() if id_ != vocab.pad]
        capital = False
        expected = [
            capital := capital if entry.startswith("##") else entry[0].isupper()
            for entry in entries
        ]
        assert any("##" in entry for entry in entries)
        if (found := places[: len(entries), 0] != NONE).any():
            assert found.tolist() == expected
            told += 1
        assert all(g in (-1, id_) for g, id_ in zip(given.tolist(), ids.tolist(), strict=True))
    assert told


def test_a_writer_of_another_model_is_refused(
    make_trainer: Callable[..., WriterTrainer], make_model: MakeModel, tmp_path: Path
) -> None:
    make_trainer("run").run()
    head = tmp_path / "model/controls/writer"
    info = make_model(seed=1).info
    foreign = Model.load(info.path, heads={"writer": head})
    with pytest.raises(MissingError, match="trained for another model") as caught:
        load_writer(foreign)
    assert "dlm train writer" in (caught.value.hint or "")


def test_too_few_texts_are_told(make_model: MakeModel) -> None:
    with pytest.raises(UsageError, match="too little to learn from"):
        read_shown([Example("a pub .")], KINDS, make_model())
    held_out = [Example("a pub ."), Example("a Burger .")]
    assert len(read_shown(held_out, KINDS, make_model(), held_out=True)) == 1
    with pytest.raises(UsageError, match="none of 1 texts held out can be shown, 1 is needed"):
        read_shown(held_out[1:], KINDS, make_model(), held_out=True)


def test_the_protocols(tiny_config: ModelConfig) -> None:
    assert isinstance(Holds(word="pub"), SupportsShown) and issubclass(Holds, LearnsShown)
    assert not issubclass(ControlSpec, LearnsShown)
