"""What `generate()` and `verify()` give back. Light: imports no torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, computed_field

from dlm_core.control.verdict import Place, Verdict
from dlm_core.natural import spaced
from dlm_core.view.page import frame


class Step(NamedTuple):
    """A text as it stands after a step of its walk.

    Attributes:
        t: time of the step, from 1, noise, down to 0; up again where a correction begins.
        words: the likeliest at each place, under the controls.
        probs: q_i(w) of each; of a word that is spelled, the least of its pieces.
        own: what the denoiser alone finds likeliest there: another word where controls moved it.
    """

    t: float
    words: tuple[str, ...]
    probs: tuple[float, ...]
    own: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def view(self) -> dict[str, Any]:
        """As JSON for whoever shows it: words with the blanks before them, and the moved ones."""
        moved = {k: own for k, own in enumerate(self.own) if own != self.words[k]}
        probs = [round(prob, 3) for prob in self.probs]
        return {"t": round(self.t, 4), "words": spaced(self.words), "probs": probs, "moved": moved}


class ControlReport(BaseModel):
    """How one control fared in one text."""

    model_config = ConfigDict(frozen=True)

    spec: str
    weight: float
    log_prob: float | None
    """log p(c | words) under the control itself."""
    satisfied: bool | None
    """The text-side verdict; None where it could not be judged (`detail` says why)."""
    detail: str = ""
    score: float | None = None
    parts: dict[str, bool] | None = None
    places: tuple[Place, ...] = ()
    """Where among the tokens the text says it, if the control can tell."""
    plugin: str = ""


class Verified(BaseModel):
    """A text and how each control fared in it."""

    model_config = ConfigDict(frozen=True)

    text: str
    """As one writes it: `The Mill is family-friendly.`"""
    tokens: list[str]
    """The model's words and marks: `The Mill is family - friendly .`"""
    controls: list[ControlReport] = []

    @property
    def tokenised(self) -> str:
        """The tokens with blanks between them, as controls and teachers read a text."""
        return " ".join(self.tokens)

    @property
    def verdicts(self) -> dict[str, bool | None]:
        """Spec -> satisfied."""
        return {c.spec: c.satisfied for c in self.controls}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def satisfied(self) -> bool | None:
        """Every control holds; False if one does not, None if one of the others is not judged."""
        verdicts = [c.satisfied for c in self.controls]
        return None if None in verdicts and False not in verdicts else all(verdicts)


class Result(Verified):
    """One generated text and everything needed to make it again."""

    seed: int
    signature: str = ""
    drafts: tuple[str, str] | None = Field(default=None, exclude=True, repr=False)
    """The last step's likeliest words, one by one: the denoiser's own, and under the controls.
    What `tokens` differ in was left to the constrained rounding. Not part of the JSON."""
    trace: tuple[Step, ...] = Field(default=(), exclude=True, repr=False)
    """The text after every step, where `generate` was asked to `trace`. Not part of the JSON."""
    rank: int | None = None
    """1 is the selector's best; None where nothing was selected."""
    score: float | None = None
    """The selector's score, higher is better."""
    tries: int = 1
    """How often the text was made until its controls held, or until no further try was asked for
    (`dlm generate --until-satisfied`)."""

    @property
    def view(self) -> dict[str, Any]:
        """The JSON, with the steps and with the tokens as one writes them."""
        steps = [step.view for step in self.trace]
        return self.model_dump(mode="json") | {"words": spaced(self.tokens), "steps": steps}

    def _repr_html_(self) -> str:
        """How a notebook shows it: with its steps if it was traced."""
        return frame({"results": [self.view]})


def report(
    spec: str, weight: float, log_prob: float | None, verdict: Verdict, plugin: str
) -> ControlReport:
    """Join a control's log-probability and its verdict."""
    return ControlReport(
        spec=spec,
        weight=weight,
        log_prob=log_prob,
        satisfied=verdict.satisfied,
        detail=verdict.detail,
        score=verdict.share,
        parts=dict(verdict.parts) if verdict.parts is not None else None,
        places=tuple(verdict.places),
        plugin=plugin,
    )
