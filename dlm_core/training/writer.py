"""Training of a bundle's writer: its denoiser, trained on to write what it is shown.

The corpus is read once by every kind of control that can be shown (`SupportsShown`); whenever a
text is seen, each of them draws anew what of it a request might ask. Words, their vectors and the
noise stay the bundle's, so that every other head fits the writer as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.config import TrainConfig
from dlm_core.control.codes import collate_shown
from dlm_core.control.compose import ControlSpec
from dlm_core.control.learning import head_kind
from dlm_core.control.shown import LearnsShown, Shown
from dlm_core.corpora.example import Example
from dlm_core.diffusion.denoisers.shown import NONE, ShownDenoiser, ShownIds
from dlm_core.diffusion.likelihood import nats_a_word
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.errors import UsageError
from dlm_core.heads import write_head
from dlm_core.training.data import LengthBatches, collate, layout
from dlm_core.training.draws import Batch
from dlm_core.training.heads import FEWEST_TEXTS, require_texts
from dlm_core.training.loop import Trainer

SETTINGS: dict[str, Any] = {
    "max_steps": 10_000,
    "batch_tokens": 1_024,
    "lr": 8e-4,
    "time_power": 0.4,
    "self_conditioning_rate": 0.6,
    "rollout_rate": 0.7,
    "hint_rate": 0.25,
    "seed": 5,
}
"""What `TrainConfig` is where nothing else is said."""
_NOTHING = 0.15
"""Share of the texts of which no code is shown: the writer stays a model of the corpus."""
_USUAL = 0.4
"""Share of the held-out texts that are no stranger to the writer than `usual`: people write more
variously than it does, so that of its own texts nearly all are."""


def writer_settings(
    data: Mapping[str, Any], where: str, base: Mapping[str, Any] | None = None
) -> TrainConfig:
    """The settings given, over a writer's own or those of its checkpoint.

    Raises:
        UsageError: one is wrong, or of the model, which is there already.
    """
    for table, what in (("model", "shape"), ("text", "texts")):
        if table in data:
            raise UsageError(f"{where}: table '{table}': a writer has the {what} of its model")
    return TrainConfig.read({**(SETTINGS if base is None else base), **data}, where)


def kinds_shown(
    controls: Mapping[str, type[ControlSpec]], heads: Collection[str] | None = None
) -> dict[str, type[LearnsShown]]:
    """Kinds of control that can be shown to a writer.

    Args:
        controls: all there are.
        heads: of the model; a kind whose head is not among them cannot be asked for and is left
            out. None leaves out nothing.
    """
    there = {"", *(head.partition("/")[0] for head in heads or ())}
    return {
        kind: cls
        for kind, cls in controls.items()
        if issubclass(cls, LearnsShown) and (heads is None or head_kind(cls) in there)
    }


class ShownText(list[int]):
    """A text laid out, its words, and what each kind of control can show of it."""

    def __init__(self, ids: Sequence[int], words: list[str], everything: dict[str, Shown]) -> None:
        super().__init__(ids)
        self.words, self.everything = words, everything


def read_shown(
    examples: Sequence[Example],
    kinds: Mapping[str, type[LearnsShown]],
    model: Model,
    held_out: bool = False,
) -> list[ShownText]:
    """The texts that fit the model and that no kind bars, read by every kind.

    Raises:
        UsageError: there are too few to learn from; of texts held out, none.
    """
    config, vocab = model.info.config, model.vocab
    read = {name: kind.read_shown(examples, model.info) for name, kind in kinds.items()}
    texts = []
    for k, example in enumerate(examples):
        entries = vocab.encode(example.text)
        ids = layout(entries, config, vocab)
        everything = {name: shown[k] for name, shown in read.items()}
        if ids is not None and 0 < len(entries) <= model.info.max_words:
            known = {name: shown for name, shown in everything.items() if shown is not None}
            if len(known) == len(everything):
                texts.append(ShownText(ids, example.text.split(), known))
    what, fewest = ("held out can be shown", 1) if held_out else ("can be shown", FEWEST_TEXTS)
    require_texts(len(texts), len(examples), what, fewest)
    return texts


def code_ids(texts: Sequence[ShownText]) -> dict[str, int]:
    """Ids of every code that occurs, from 1; 0 is NONE."""
    names = {name for text in texts for shown in text.everything.values() for name in shown.names}
    return {name: k for k, name in enumerate(sorted(names), NONE + 1)}


def draw_shown(
    text: ShownText, kinds: Mapping[str, type[LearnsShown]], draws: Random, known_rate: float
) -> tuple[list[Shown], list[bool]]:
    """What is shown of a text this time: of each kind, and which of its words are known."""
    length = len(text.words)
    known = [False] * length
    found = []
    if draws.random() >= _NOTHING:
        found = [
            kind.draw_shown(text.everything[name], text.words, draws)
            for name, kind in kinds.items()
        ]
    if draws.random() < known_rate:
        if draws.random() < 0.7:  # both sides of a gap, or one
            start = draws.randint(0, length)
            end = draws.randint(start, length)
            known = [not start <= k < end for k in range(length)]
            if draws.random() < 0.5:
                known = [k < start for k in range(length)]
        else:
            share = draws.random()
            known = [draws.random() < share for _ in range(length)]
    return found, known


def _spread(shown: Shown, spelled: Sequence[Sequence[int]]) -> Shown:
    """The codes of words as those of the entries that spell them."""
    places = zip(shown.places, spelled, strict=False)
    return replace(shown, places=tuple(place for place, ids in places for _ in ids))


class WriterTrainer(Trainer):
    """Trains a writer; checkpoints, resumes and reports as `Trainer` does.

    Args:
        config: settings; the shape is the model's.
        base: the bundle whose denoiser it starts from.
        kinds: controls that can be shown, by kind.
        train, valid: texts read by `read_shown`.
        out: folder of the run.
        bundle: folder of the head, which `export` writes.
        options: as for `Trainer`.
    """

    def __init__(
        self,
        config: TrainConfig,
        base: Model,
        kinds: Mapping[str, type[LearnsShown]],
        train: Sequence[ShownText],
        valid: Sequence[ShownText],
        out: Path,
        bundle: Path,
        **options: Any,
    ) -> None:
        shape = base.info.config.model_copy(update={"learned_embedding": False})
        self.ids = code_ids([*train, *valid])
        super().__init__(
            config.model_copy(update={"model": shape}),
            base.vocab,
            [" ".join(text.words) for text in train],
            [" ".join(text.words) for text in valid],
            out,
            codes=len(self.ids) + 1,
            **options,
        )
        self.base, self.kinds, self.bundle = base, kinds, bundle
        self.beside = valid[:: max(1, len(valid) // config.eval_examples)]
        self.batches = LengthBatches(train, config.batch_tokens, config.seed)
        self._begin_as(base)

    def _begin_as(self, model: Model) -> None:
        """Begin as the denoiser of `model`."""
        denoiser = self.model.denoiser
        assert isinstance(denoiser, ShownDenoiser)
        denoiser.start_from(model.net.denoiser)
        self.model.take_words(model.net)
        self.ema = {k: v.detach().clone() for k, v in self.model.named_parameters()}

    @property
    def _offset(self) -> int:
        """Places before the first word."""
        return int(self.config.model.length_mode == "padded")

    def _draw(self) -> Batch:
        batch = super()._draw()
        draws = Random(self.config.seed * 1_000_003 + self.step)
        texts = self.batches[self.step]
        return batch._replace(shown=self._shown(texts, draws, batch.tokens.shape[1]))

    def _shown(self, texts: Sequence[Sequence[int]], draws: Random, width: int) -> ShownIds:
        """What is shown of the texts this time."""
        rows = []
        for text in texts:
            assert isinstance(text, ShownText)
            shown, known = draw_shown(text, self.kinds, draws, self.config.known_rate)
            spelled = [self.vocab.spell(word) for word in text.words]
            held = [id_ if k else -1 for ids, k in zip(spelled, known, strict=True) for id_ in ids]
            rows.append(([_spread(one, spelled) for one in shown], held))
        return collate_shown(rows, self.ids, self.vocab, width, self._offset)

    def usual_nats(self) -> float:
        """Nats a word that `_USUAL` of the held-out texts stay below, shown as in training."""
        draws, net, found = Random(self.config.seed), self.model, list[float]()
        for start in range(0, len(self.beside), 64):
            texts = self.beside[start : start + 64]
            tokens, lengths = collate(texts, self.vocab.pad)
            shown = self._shown(texts, draws, tokens.shape[1]).to(self.device)
            tokens, lengths = tokens.to(self.device), lengths.to(self.device)
            noise = PerSampleNoise(range(start, start + len(texts)), "likelihood", self.device)
            taken = [len(self.vocab.encode(" ".join(text.words))) for text in texts]
            words = torch.tensor(taken, device=self.device)
            place = torch.arange(tokens.shape[1], device=self.device) - self._offset
            counted = (place >= 0) & (place < words[:, None])

            def ask(x_t: Tensor, t: Tensor, n: Tensor = lengths, s: ShownIds = shown) -> Tensor:
                return net.predict(x_t, t, n, None, s).token_log_probs

            found += nats_a_word(net, ask, tokens, counted, noise).tolist()
        return sorted(found)[int(_USUAL * (len(found) - 1))]

    def export(self) -> None:
        """Write the head, with the averaged weights."""
        with self.ema_weights():
            tensors = {k: v.clone() for k, v in self.model.denoiser.state_dict().items()}
            usual = self.usual_nats()
        names = [code for code, _ in sorted(self.ids.items(), key=lambda item: item[1])]
        settings = self.config.model_dump(mode="json", exclude={"model"})
        config = {"codes": names, "usual": usual, "train": settings}
        write_head(self.base, self.bundle, tensors, config, self.config.bits)
