"""watermark:key=K - a statistical mark that only who has the key can see, and its detector.

A keyed hash paints a share `gamma` of the words green (Kirchenbauer et al. 2023, arXiv:2301.10226).
The context it hashes is the word's place: a text has no order in which diffusion writes it, so
there is no previous word to hash, and Zhao et al. (2023, arXiv:2306.17439) hash none. One list for
all places would be red for words no text of the domain can do without; here a word that is red at
one place is green at the next. Under a random key the words of a text are green independently of
each other, each with probability gamma, whoever wrote it: the number of green ones is binomial, and
the p-value is exact for every text.

The control is the detector's own event: p(c) = p(the p-value is at most `p_value`).
"""

from __future__ import annotations

import hmac
import json
import math
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from pydantic import Field

from dlm_core import ControlSpec, Lengths, MissingError, UsageError, Verdict, hookimpl
from dlm_core.natural import tokenise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dlm_core import BuildContext, Control, ModelInfo, State

GAMMA = 0.125
EPSILON = 1e-6
"""Least probability of green, and of red, at a place: the product of 64 stays above 0."""


def is_green(key: str, gamma: float, place: int, word: str) -> bool:
    """Whether `word` is green at `place` (from 0): HMAC-SHA256 as a uniform number below gamma."""
    digest = hmac.digest(key.encode(), f"{place} {word}".encode(), "sha256")
    return int.from_bytes(digest[:7], "big") < gamma * 2**56  # 56 bits: exact as a float


def tail(green: int, words: int, gamma: float) -> float:
    """P(X >= green) of X ~ Binomial(words, gamma)."""
    terms = (
        math.comb(words, k) * gamma**k * (1 - gamma) ** (words - k) for k in range(green, words + 1)
    )
    return min(1.0, math.fsum(terms))


@lru_cache
def needed(words: int, gamma: float, p_value: float) -> int:
    """The least number of green words whose p-value is at most `p_value`; words + 1 if none is."""
    return next((k for k in range(words + 1) if tail(k, words, gamma) <= p_value), words + 1)


@dataclass(frozen=True)
class Evidence:
    """What the detector found: `green` of `words`, where gamma * words are expected."""

    green: int
    words: int
    gamma: float

    @property
    def p_value(self) -> float:
        """Exact and one-sided: how often a text that does not know the key has as many."""
        return tail(self.green, self.words, self.gamma)

    @property
    def z(self) -> float:
        """Standard deviations above what is expected."""
        expected, var = self.gamma * self.words, self.gamma * (1 - self.gamma) * self.words
        return (self.green - expected) / math.sqrt(var) if var else 0.0


def detect(texts: Iterable[str], key: str, gamma: float = GAMMA) -> Evidence:
    """Evidence of all texts together: a word that several have at the same place counts once."""
    placed = {pair for text in texts for pair in enumerate(tokenise(text))}
    green = sum(is_green(key, gamma, place, word) for place, word in placed)
    return Evidence(green, len(placed), gamma)


class Watermark(ControlSpec):
    """A mark that `dlm watermark detect` finds with the same key."""

    kind: ClassVar[str] = "watermark"
    positional: ClassVar[tuple[str, ...]] = ("key",)
    examples: ClassVar[tuple[str, ...]] = ("watermark:key=K", "watermark:key=K,p_value=0.001")
    normalised: ClassVar[bool] = True

    key: str = Field(min_length=1)
    p_value: float = Field(default=0.01, gt=0, lt=1)
    gamma: float = Field(default=GAMMA, gt=0, lt=1)

    def lengths(self, info: ModelInfo) -> Lengths:
        """So many words that all of them green would be evidence enough."""
        fits = (n for n in range(1, info.max_words + 1) if self._needed(n) <= n)
        return Lengths(next(fits, info.max_words + 1), None)

    def build(self, context: BuildContext) -> Control:
        """Nothing to train: the green lists of all places, and the law of the number of green."""
        import torch

        places, words = range(context.info.max_words), context.vocab.words
        green = torch.tensor(
            [[is_green(self.key, self.gamma, i, w) for w in words] for i in places],
            dtype=torch.float64,
            device=context.device,
        )
        return context.control(lambda s: _log_prob(s, green, self._needed), multilinear=True)

    def verify(self, text: str) -> Verdict:
        """The detector's p-value is at most `p_value`."""
        found = detect([text], self.key, self.gamma)
        detail = f"{found.green} of {found.words} words green, p-value {found.p_value:.2g}"
        return Verdict(found.p_value <= self.p_value, detail)

    def _needed(self, words: int) -> int:
        return needed(words, self.gamma, self.p_value)


def _log_prob(state: State, green: Any, needed: Callable[[int], int]) -> Any:
    """log P(as many green words as are needed), (B,): multilinear in q, so it tilts exactly.

    The number of green words is Poisson-binomial: place i adds one with probability
    sum_w q_i(w) [w green at i].
    """
    import torch

    q = state.token_log_probs.double().exp()  # (B, L, V)
    p = EPSILON + (1 - 2 * EPSILON) * (q * green[: q.shape[1]]).sum(-1)
    p = (p * state.mask).unsqueeze(-1)  # (B, L, 1)
    count = torch.nn.functional.one_hot(torch.zeros_like(state.lengths), q.shape[1] + 2).to(p)
    for i in range(q.shape[1]):  # count: (B, L + 2), P(k green among the first i)
        more = torch.nn.functional.pad(count[:, :-1], (1, 0))
        count = (1 - p[:, i]) * count + p[:, i] * more
    least = torch.tensor([needed(n) for n in state.lengths.tolist()], device=count.device)
    enough = torch.arange(count.shape[1], device=count.device) >= least[:, None]
    return (count * enough).sum(-1).clamp(1e-300, 1.0).log().to(state.token_log_probs.dtype)


commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def _watermark() -> None:
    """Find the mark that the control 'watermark' leaves."""


@commands.command("detect")
def detect_command(
    key: Annotated[str, typer.Option(help="The key of the control.", envvar="DLM_WATERMARK_KEY")],
    file: Annotated[str, typer.Argument(help="One text a line; - is standard input.")] = "-",
    gamma: Annotated[float, typer.Option(help="The share of green words of the control.")] = GAMMA,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Number, z score and exact p-value of each line's green words, and of all lines together."""
    if not key:
        raise UsageError("option '--key': the key is empty", "give the key of the control")
    if not 0 < gamma < 1:
        raise UsageError(f"option '--gamma': {gamma} is no share", f"for example {GAMMA}")
    lines = {n: line for n, line in enumerate(_read(file).split("\n"), 1) if line.strip()}
    if not lines:
        raise UsageError(f"no text in {'standard input' if file == '-' else file}")
    for name, texts in [*((n, [line]) for n, line in lines.items()), ("all", lines.values())]:
        found = detect(texts, key, gamma)
        row = {"line": name, "green": found.green, "words": found.words}
        row |= {"z": round(found.z, 3), "p_value": found.p_value}
        typer.echo(json.dumps(row) if as_json else _readable(row))


def _readable(row: dict[str, Any]) -> str:
    share = f"{row['green']}/{row['words']}"
    return f"{row['line']:>5}  {share:>8} green  z {row['z']:6.2f}  p-value {row['p_value']:.3g}"


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise MissingError(f"cannot read {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text: byte {error.start}") from error


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register watermark."""
    register(Watermark)


@hookimpl
def dlm_register_commands(app: typer.Typer) -> None:
    """Add `dlm watermark`."""
    app.add_typer(commands, name="watermark")
