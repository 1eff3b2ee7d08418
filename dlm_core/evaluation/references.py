"""Figures of texts against references: BLEU-4, ROUGE-L, CIDEr, BERTScore, MAUVE.

Each is its usual package's own; what that is called with stands in the report's signature.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dlm_core.errors import MissingError, UsageError
from dlm_core.evaluation.figures import Figure, Units
from dlm_core.evaluation.intervals import Array
from dlm_core.natural import tokenise

if TYPE_CHECKING:
    from dlm_core.evaluation.teacher import Teacher

_ORDER = 4
References = Sequence[Sequence[str]]
"""Of each text, at least one."""


def installed(module: str, package: str, what: str, beside: str = "") -> str:
    """`PACKAGE VERSION`.

    Raises:
        MissingError: it is not installed; `beside` is told with what to type.
    """
    if find_spec(module) is None:
        raise MissingError(
            f"{what} needs {package}, which is not installed", f"pip install {package}{beside}"
        )
    return f"{package} {version(package)}"


def bleu(texts: Sequence[str], references: References, units: Units) -> tuple[Figure, str]:
    """Corpus BLEU-4, 0 to 100, as sacrebleu's command gives it; and its signature."""
    named = installed("sacrebleu", "sacrebleu", "BLEU")
    from sacrebleu.metrics.bleu import BLEU

    metric, rows = BLEU(effective_order=True), []  # of a sentence; its counts are the corpus's
    for text, refs in zip(texts, references, strict=True):
        score = metric.sentence_score(text, list(refs))
        rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
    figure = units.figure("bleu-4", "points", rows, bleu_of_counts)
    return figure, f"bleu:{named} case mixed tok 13a smooth exp"


def bleu_of_counts(sums: Array) -> Array:
    """BLEU of summed counts (..., 10): lengths of texts and references, matches, n-grams.

    Of many sums at once, where `BLEU.compute_bleu(..., smooth_method="exp")` is of one.
    """
    length, wanted = sums[..., 0], sums[..., 1]
    log_precision, halves = np.zeros(sums.shape[:-1]), np.ones(sums.shape[:-1])
    empty = np.zeros(sums.shape[:-1], dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        for n in range(_ORDER):
            matches, grams = sums[..., 2 + n], sums[..., 2 + _ORDER + n]
            halves = np.where(matches == 0, halves * 2, halves)
            precision = np.where(matches == 0, 1 / (halves * grams), matches / grams)
            log_precision = log_precision + np.log(precision) / _ORDER
            empty |= grams == 0
        none = empty | (sums[..., 2 : 2 + _ORDER].sum(-1) == 0)
        brevity = np.minimum(0.0, 1 - wanted / length)
        return np.where(none, 0.0, 100 * np.exp(brevity + log_precision))


RougeKind = Literal["1", "2", "L"]


def rouge(
    kind: RougeKind, texts: Sequence[str], references: References, units: Units
) -> tuple[Figure, str]:
    """ROUGE, F1 of the best reference, 0 to 100, without stemming; a mean over texts."""
    named = installed("rouge_score", "rouge-score", f"ROUGE-{kind}")
    from rouge_score.rouge_scorer import RougeScorer

    scorer, name = RougeScorer([f"rouge{kind}"]), f"rouge-{kind.lower()}"
    pairs = zip(texts, references, strict=True)
    scores = [100 * scorer.score_multi(list(r), t)[f"rouge{kind}"].fmeasure for t, r in pairs]
    return units.figure(name, "points", scores), f"{name}:{named} f1 best-ref no-stem"


def rouge_l(texts: Sequence[str], references: References, units: Units) -> tuple[Figure, str]:
    """ROUGE-L, as `rouge`."""
    return rouge("L", texts, references, units)


def cider(texts: Sequence[str], references: References, units: Units) -> tuple[Figure, str]:
    """CIDEr-D, 0 to 10, on lower-cased tokens of dlm; document frequencies are the references'."""
    named = installed("pycocoevalcap", "pycocoevalcap", "CIDEr")
    from pycocoevalcap.cider.cider import Cider

    def clean(text: str) -> str:
        return " ".join(tokenise(text)).lower()

    wanted = {k: [clean(r) for r in refs] for k, refs in enumerate(references)}
    made = {k: [clean(text)] for k, text in enumerate(texts)}
    scores = Cider().compute_score(wanted, made)[1]
    figure = units.figure("cider", "", [float(score) for score in scores])
    return figure, f"cider:{named} cider-d lc tok dlm"


def bertscore(
    texts: Sequence[str], references: References, units: Units, encoder: Path, layer: int | None
) -> tuple[Figure, str]:
    """BERTScore's F1 of the best reference, without rescaling; a mean over texts."""
    from dlm_core.diffusion.surroundings import usual_torch
    from dlm_core.evaluation.encoder import load_scorer

    scorer = load_scorer(encoder, layer)
    with usual_torch():
        f1 = scorer.score(list(texts), [list(refs) for refs in references])[2]
    figure = units.figure("bertscore", "", [float(score) for score in f1])
    named = f"bert-score {version('bert-score')}"
    return figure, f"bertscore:{named} encoder {encoder.name} layer {scorer.num_layers} f1"


def mauve(texts: Sequence[str], references: References, teacher: Teacher) -> tuple[Figure, str]:
    """MAUVE, 0 to 1, of the texts against all references, on the teacher's features.

    Raises:
        MissingError: mauve-text is not installed.
        UsageError: a text is longer than the teacher reads.
    """
    named = installed("mauve", "mauve-text", "MAUVE", " (under GPL-3.0, and no part of dlm)")
    import mauve as package

    sides: list[Any] = []
    for side in (texts, [r for refs in references for r in refs]):
        tokens = [" ".join(tokenise(text, teacher.vocab)) for text in side]
        if long := teacher.too_long(tokens):
            raise UsageError(
                f"MAUVE: '{tokens[long[0]][:60]}...' is longer than the teacher reads",
                "a teacher with more --positions reads longer texts",
            )
        sides.append(teacher.features(tokens).numpy())
    found = package.compute_mauve(p_features=sides[0], q_features=sides[1], verbose=False)
    figure = Figure("mauve", float(found.mauve), "", len(texts))
    return figure, f"mauve:{named} features teacher:{teacher.digest}"
