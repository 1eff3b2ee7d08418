"""A request checked against a model: controls built, lengths known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dlm_core.bundle import Model
from dlm_core.calling import WrongReturnError
from dlm_core.config import GuidanceConfig
from dlm_core.control.compose import Controls, Term, as_controls
from dlm_core.control.lengths import Lengths
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import (
    BuildContext,
    Contrary,
    SupportsFixed,
    SupportsLengths,
    SupportsRounding,
)
from dlm_core.control.settle import settle
from dlm_core.diffusion.surroundings import usual_torch
from dlm_core.errors import UnsatisfiableError, UsageError
from dlm_core.generation.arguments import whole
from dlm_core.generation.writer import Writer, length_log_probs, load_writer, shown_by, writer_of
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins

if TYPE_CHECKING:
    from dlm_core.control.compose import Asked


@dataclass(frozen=True, init=False)
class Request:
    """n texts under one set of controls; sample i of it has seed `seed + i`.

    Args:
        controls: as `generate` takes them; strings are read with the plugins that are installed.
        n: how many texts.
        seed: of the first.

    Raises:
        UsageError: an argument is of the wrong kind or out of range.
    """

    controls: Controls
    n: int
    seed: int

    def __init__(self, controls: Asked = None, n: int = 1, seed: int = 0) -> None:
        def parse(source: str) -> Term:
            return parse_spec(source, load_plugins().controls)

        object.__setattr__(self, "controls", as_controls(controls, parse))
        object.__setattr__(self, "n", whole("n", n, 1))
        object.__setattr__(self, "seed", whole("seed", seed))


@dataclass(frozen=True)
class Prepared:
    """A request whose controls are built and checked."""

    request: Request
    guards: tuple[Guard, ...]
    """One a control, for its own figures."""
    lengths: Lengths
    """Numbers of words."""
    joint: tuple[Guard, ...]
    """The same, those that merge as one: what tilts and rounds."""
    length_weights: Tensor
    """(max_words + 1,), of each number of positions a text may have."""
    writer: Writer | None = None
    """What writes these texts, shown what is asked; the model's own denoiser if None."""
    whole: bool = False
    """Texts have whole words alone, though the vocabulary has pieces."""


@usual_torch()
def prepare(
    model: Model,
    request: Request,
    plugins: Plugins,
    guidance: GuidanceConfig = GuidanceConfig(),  # noqa: B008 - immutable
) -> Prepared:
    """Check a request against the model and build its controls.

    Raises:
        SpecError, UnsatisfiableError, MissingError: as `ControlSpec.check` and `build` do.
        PluginError: they raised something else.
    """
    controls, info, lengths = settle(request.controls, model.info)
    writer = writer_of(model, controls) if guidance.writer else None
    codes = frozenset() if writer is None else frozenset(writer.ids)
    context = BuildContext(model, codes, info is not model.info)
    guards = tuple(_build(term, context, plugins) for term in controls)
    joint = tuple(
        next((g for t, g in zip(controls, guards, strict=True) if t is term), None)
        or _build(term, context, plugins)
        for term in controls.merged()
    )
    if guidance.writer and writer is None and any(map(_fixes, guards)):
        writer = load_writer(model)  # which is trained to see the words that are known
    rounding = [guard.label for guard in joint if isinstance(guard.control, SupportsRounding)]
    if len(rounding) > 1:
        raise UsageError(
            f"controls '{rounding[0]}' and '{rounding[1]}' both choose the final words",
            "only controls that merge can be guaranteed together: drop one",
        )
    # a word is a position at least
    positions = Lengths(lengths.low) if info.vocab.pieces else lengths
    weights = _length_weights(model, controls, positions, joint, writer)
    return Prepared(request, guards, lengths, joint, weights, writer, context.whole)


def _fixes(guard: Guard) -> bool:
    return isinstance(guard.control, SupportsFixed)


def _build(term: Term, context: BuildContext, plugins: Plugins) -> Guard:
    owner = plugins.origin("control", term.spec.kind)
    with term.named_errors("build", owner):
        control = term.spec.build(context)
        if not callable(getattr(control, "log_prob", None)):
            raise WrongReturnError(type(control).__name__, "a control, which has a log_prob")
    if term.negated:
        control = Contrary(control)
    return Guard(control, term.weight, term.label, owner, term.spec.normalised)


def is_free(model: Model, prepared: Prepared) -> bool:
    """The paper's unconditional sampling: a padded model finds the length itself."""
    return model.info.config.length_mode == "padded" and not prepared.guards


def _length_weights(
    model: Model,
    controls: Controls,
    lengths: Lengths,
    guards: Sequence[Guard],
    writer: Writer | None,
) -> Tensor:
    """p(n | controls) of n = 0 .. max_words, up to a factor.

    The training distribution, or the writer's for what it is shown, within what the controls
    admit, times what they say of lengths.
    """
    count = model.info.max_words + 1
    # A small share everywhere, so that a length never seen in training can be asked for.
    weights = model.net.length_counts.detach().cpu().double()[:count] + 1e-6
    if writer is not None and model.info.config.length_mode == "prior":
        shown = shown_by(controls, model.info.max_words, writer)
        with torch.no_grad():
            weights = length_log_probs(writer, shown).cpu().double().exp()[:count] + 1e-9
    weights *= torch.tensor([n in lengths for n in range(count)])
    for guard in guards:
        if isinstance(guard.control, SupportsLengths):
            with torch.no_grad():
                ratios = guard.length_log_ratios(guard.control, count).detach().cpu().double()
            ratios = ratios.masked_fill(weights == 0, -torch.inf)
            if not bool(ratios.isfinite().any()):
                raise UnsatisfiableError(
                    f"control '{guard.label}' holds in texts of no length that is left",
                    "drop it, or a control that asks for a length"
                    + (f"; a text has {count - 1} pieces at most" if model.vocab.pieces else ""),
                )
            weights = weights * (ratios - ratios.max()).exp()
    return weights
