"""The bundle's writer, and what the controls of a request show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dlm_core.bundle import Model, ModelInfo, read_weights
from dlm_core.control.codes import collate_shown
from dlm_core.control.compose import Controls
from dlm_core.control.shown import WRITER, Shown, SupportsShown
from dlm_core.diffusion.denoisers.shown import ShownIds
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.diffusion.surroundings import loading
from dlm_core.errors import MissingError
from dlm_core.heads import belongs, check_digest, fill, read_config, state_of


@dataclass(frozen=True, eq=False)
class Writer:
    """The model's denoiser, trained on to write what it is shown.

    Attributes:
        net: with the words, their vectors and the noise of the model.
        ids: of the codes it knows.
        info: of the model, whose words they are.
        fewest: codes of the whole text it takes; shown fewer, the denoiser does better.
        usual: nats a word; a text of more is torn (`WriterTrainer.usual_nats`).
    """

    net: DiffusionLM
    ids: dict[str, int]
    info: ModelInfo
    fewest: int = 1
    usual: float = math.inf

    def collate(
        self, rows: Sequence[tuple[Sequence[Shown], Sequence[int]]], width: int, offset: int
    ) -> ShownIds:
        """As `collate_shown`."""
        shown = collate_shown(rows, self.ids, self.info.vocab, width, offset)
        return shown.to(self.net.rounding_bias.device)


def load_writer(model: Model) -> Writer | None:
    """The writer of a model, kept with it; None if the bundle has none.

    Raises:
        MissingError: it is broken, or was trained for another model.
    """
    folder = model.info.head_path(WRITER)
    if not (folder / "config.json").is_file():
        return None
    return model.keep((WRITER, state_of(folder)), lambda: _load(model))


@loading()
def _load(model: Model) -> Writer:
    folder = model.info.head_path(WRITER)
    check_digest(model.info, WRITER, folder, model.digest)
    config = read_config(folder)
    names = config.get("codes")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise MissingError(f"{folder / 'config.json'} is broken: 'codes' is no list of names")
    vocab = model.vocab
    net = DiffusionLM(model.info.config, pad=vocab.pad, unk=vocab.unk, codes=len(names) + 1)
    weights = read_weights(folder / "head.safetensors", belongs(config))
    fill(net.denoiser, weights, model.info, WRITER)
    net.take_words(model.net)
    net = net.to(model.device).eval().requires_grad_(False)
    fewest = config.get("fewest", 1)
    if not isinstance(fewest, int):
        raise MissingError(f"{folder / 'config.json'} is broken: 'fewest' is no whole number")
    usual = config.get("usual", math.inf)
    if not isinstance(usual, float):
        raise MissingError(f"{folder / 'config.json'} is broken: 'usual' is no number")
    return Writer(net, {name: k for k, name in enumerate(names, 1)}, model.info, fewest, usual)


def writer_of(model: Model, controls: Controls) -> Writer | None:
    """What writes the texts of a request, if controls show it enough; None is the denoiser."""
    writer = load_writer(model)
    if writer is None:
        return None
    shown = shown_by(controls, model.info.max_words, writer)
    known = sum(code.name in writer.ids for one in shown for code in one.whole)
    return writer if shown and known >= writer.fewest else None


def shown_by(controls: Controls, words: int, writer: Writer) -> list[Shown]:
    """What the controls of a request show of a text of so many words, as far as it is known."""
    found = []
    for term in controls:
        if isinstance(term.spec, SupportsShown) and not term.negated and term.weight > 0:
            spec = term.spec.bind(writer.info)
            assert isinstance(spec, SupportsShown)
            found.append(spec.shown(words))
    return [shown for shown in found if not writer.ids.keys().isdisjoint(shown.names)]


def length_log_probs(writer: Writer, shown: Sequence[Shown]) -> Tensor:
    """log p(n | what is shown of the whole text), (max_len + 1,)."""
    ids = writer.collate([([Shown(one.whole) for one in shown], [])], 1, 0)
    denoiser = writer.net.denoiser
    return denoiser.length_log_probs(ids, writer.net.embedding_matrix)[0]  # type: ignore[no-any-return, operator]
