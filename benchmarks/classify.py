"""`classify` on a field of E2E: train a head on its labels, ask for each, judge by rules.

    python benchmarks/classify.py --teacher TEACHER --shared ../shared --out classify.json

Labels are those of the meaning representations, `familyFriendly` yes or no. For each
label, and for `--not` the other, 100 texts: the share in which the judge that was trained beside
the head reads that label, and the share that states the fact by the rules of
`dlm_controls.semantic.e2e.oracle`, which knows of neither; beside them the same shares of free
texts.
Options are those of `controls.py`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import fmean

import controls
from controls import Bench

from dlm_controls import Classify
from dlm_controls.semantic.e2e.oracle import right_field
from dlm_core.control.compose import as_controls
from dlm_core.corpora import Example, read_corpus
from dlm_core.generation.prepare import Request

FIELD, STEPS = "familyFriendly", 600


def classify(bench: Bench) -> dict[str, float]:
    """100 texts a label and contrary."""
    count = max(4, round(100 * bench.scale))
    corpus = read_corpus(f"e2e:{bench.shared / 'data' / 'e2e' / 'train.csv.gz'}")
    rows = [Example(e.text, {"label": e.fields[FIELD]}) for e in corpus if FIELD in e.fields]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FIELD
        figures = Classify.train(bench.model, rows, path, steps=STEPS)
        print(figures, file=sys.stderr)
        yes, no = (Classify(name=str(path), label=label) for label in ("yes", "no"))
        requests = [  # what is asked, and the labels that are looked for
            ("free", None, (yes, no)),
            ("yes", yes, (yes,)),
            ("no", no, (no,)),
            ("not_no", ~no, (yes,)),
            ("not_yes", ~yes, (no,)),
        ]
        out = {f"head_{name}": value for name, value in figures.items()}
        for name, asked, wanted in requests:
            request = Request(as_controls(asked), count)
            (results,), seconds = bench.run(f"classify {name}", [request])
            texts = [r.tokenised for r in results]
            for spec in wanted:
                judged = fmean(bool(spec.verify(t).satisfied) for t in texts)
                stated = fmean(right_field(t.split(), FIELD, spec.label) for t in texts)
                out |= {f"{name}_judge_{spec.label}": judged, f"{name}_stated_{spec.label}": stated}
            out |= {f"{name}_lm": bench.lm(texts), f"{name}_seconds": seconds}
    return out


if __name__ == "__main__":
    controls.__doc__, controls.ROWS = __doc__, {"classify": classify}
    controls.main()
