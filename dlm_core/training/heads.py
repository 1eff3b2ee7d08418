"""Training a control's head: on texts as a control sees them while they are being made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlm_core.bundle import Model
from dlm_core.calling import WrongReturnError, expect, number, plugin_errors, plugin_name
from dlm_core.control.state import LOG_FLOOR, State
from dlm_core.corpora.example import Example
from dlm_core.diffusion.noise import PerSampleNoise
from dlm_core.diffusion.prediction import Prediction
from dlm_core.diffusion.surroundings import usual_torch
from dlm_core.errors import UsageError
from dlm_core.heads import stamp
from dlm_core.training.data import collate, layout
from dlm_core.training.parallel import resolve_precision
from dlm_core.training.told import Told
from dlm_core.vocab import Vocab

if TYPE_CHECKING:
    from dlm_core.control.compose import ControlSpec


@usual_torch()
@torch.no_grad()
def noised(model: Model, texts: Sequence[str], t: Tensor | float, seed: int = 0) -> State:
    """What a control is asked about when these texts are half made, at time t.

    A head trained on such states, at all t, is noise-aware: it knows how far it can trust what it
    sees (§5.1 trains its classifiers so). The denoiser is frozen, its predictions without gradient.

    Args:
        model: gives words, noise and the rounding distribution.
        texts: B texts of 1 to `model.info.max_words` words.
        t: (B,), or one time for all, in [0, 1]; at 0 the words themselves are seen.
        seed: text i has the noise of seed + i.

    Raises:
        UsageError: a text is empty or too long.
    """
    words = [model.vocab.encode(text) for text in texts]
    for text, ids in zip(texts, words, strict=True):
        if not 0 < len(ids) <= model.info.max_words:
            raise UsageError(f"expected 1 to {model.info.max_words} words, not {len(ids)}: {text}")
    config, net, device = model.info.config, model.net, model.device
    tokens, lengths = (v.to(device) for v in collate(words, model.vocab.pad))
    canvas, positions = collate(  # the words alone, or with what frames them
        [layout(ids, config, model.vocab) or [] for ids in words], model.vocab.pad
    )
    times = torch.as_tensor(t, device=device, dtype=torch.float32).expand(len(texts))
    seeds = tuple(range(seed, seed + len(texts)))
    # always max_len draws, so that they do not depend on the longest text beside it
    noise = PerSampleNoise(seeds, "noised", device).normal(config.max_len, config.embedding_dim)
    x_0 = net.embed(canvas.to(device))  # (B, L, D)
    x_t = net.schedule.q_sample(x_0, times, noise[:, : x_0.shape[1]])
    start = int(config.length_mode == "padded")
    window = slice(start, start + tokens.shape[1])

    @usual_torch()  # it is asked later, maybe elsewhere
    def predict() -> Prediction:
        log_q = F.one_hot(tokens, len(model.vocab)).float().log()  # (B, L, V)
        if bool((times > 0).any()):
            with torch.no_grad():
                seen = net.predict(x_t, times, positions.to(device)).token_log_probs[:, window]
            log_q = torch.where(times[:, None, None] > 0, seen, log_q)
        log_q = log_q.clamp(min=LOG_FLOOR)
        return Prediction(log_q.exp() @ net.embedding_matrix, log_q)

    alpha_bar = net.schedule.alpha_bar(times)
    return State(x_t[:, window], times, alpha_bar, lengths, net.embedding_matrix, predict, seeds)


@usual_torch()
def fit(
    modules: Iterable[nn.Module],
    loss: Callable[[int], Tensor],
    steps: int,
    *,
    lr: float,
    weight_decay: float = 0.01,
    warmup: int = 50,
    beta2: float = 0.999,
    fast: bool = False,
    on_step: Callable[[int, int, float], None] | None = None,
) -> None:
    """AdamW with warm-up, linear decay and each module's gradient clipped to norm 1.

    Args:
        modules: what is trained; in training mode meanwhile, in evaluation mode afterwards.
        loss: the loss of a step, 0 .. steps - 1.
        steps: how many.
        lr: highest rate.
        weight_decay: of AdamW.
        warmup: steps until that rate is reached; never more than a fifth of them all.
        beta2: of AdamW; lower follows the gradient's size faster.
        fast: compute in bf16 where the device has arithmetic for it.
        on_step: called with step (from 1), steps and loss.
    """
    modules = list(modules)
    for module in modules:
        module.train()
    parameters = [p for module in modules for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=lr, betas=(0.9, beta2), weight_decay=weight_decay)
    warmup = max(1, min(warmup, steps // 5))  # a short run still gets up to the rate
    device = parameters[0].device
    bf16 = fast and resolve_precision("auto", device) == "bf16"
    for step in range(steps):
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            value = loss(step)
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        for module in modules:
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / warmup) * (1 - step / steps)
        optimizer.step()
        if on_step is not None:
            on_step(step + 1, steps, value.item())
    for module in modules:
        module.eval()


FEWEST_TEXTS = 20
"""From fewer a head learns nothing that its figures could tell."""


def require_texts(usable: int, given: int, what: str, fewest: int = FEWEST_TEXTS) -> None:
    """Refuse a corpus that a head cannot learn from.

    Args:
        usable: texts that can be learnt from.
        given: texts of the corpus.
        what: which those are: "say a fact".
        fewest: how many it takes.

    Raises:
        UsageError: there are fewer.
    """
    if usable < fewest:
        found = "none" if not usable else f"only {usable}"
        raise UsageError(
            f"too little to learn from: {found} of {given} texts {what}, "
            f"{fewest} {'is' if fewest == 1 else 'are'} needed",
            "give a larger corpus, or one that the control can read",
        )


def of_whole_words(examples: Sequence[Example], vocab: Vocab) -> list[Example]:
    """The texts of which no word is spelled in pieces: for a control that reads positions as words.

    Of a vocabulary without pieces that is every text.
    """
    pieces = vocab.piece_ids
    return [e for e in examples if not any(id_ in pieces for id_ in vocab.encode(e.text))]


def train_head(
    cls: type[ControlSpec],
    model: Model,
    examples: Sequence[Example],
    out: Path,
    owner: str = "",
    told: Told | None = None,
    **options: Any,
) -> dict[str, float]:
    """Have a control, a plugin's too, train its head into `out`; returns its figures.

    Args:
        cls: the kind of control.
        model: whose words and noise the head learns.
        examples: texts, and their fields; a control of whole words learns from those that have no
            word in pieces.
        out: folder of the head.
        owner: who provides the control.
        told: is called on the way.
        options: as `cls.train` takes them.

    Raises:
        UsageError: the examples teach nothing.
        MissingError: an oracle is missing.
        PluginError: the control broke the protocol.
    """
    told = told or Told()
    kept = of_whole_words(examples, model.vocab) if cls.whole_words else examples
    if len(kept) < len(examples):
        told.line(
            f"{len(kept):,} of {len(examples):,} texts have no word that is spelled in pieces: "
            f"'{cls.kind}' learns from these"
        )
    expected = "a dict of figures by name"

    def on_step(step: int, steps: int, loss: float) -> None:
        told.step(step, steps, f"loss={loss:.3f}")

    with plugin_errors(plugin_name("control", cls.kind, owner), "train"):
        figures = cls.train(model, kept, out, on_step=on_step, **options)
        for name in expect(figures, dict, expected):
            if not isinstance(name, str):
                raise WrongReturnError(f"a dict with the key {name!r}", expected)
        figures = {name: number(value, expected) for name, value in figures.items()}
    stamp(out, model.digest)
    return figures
