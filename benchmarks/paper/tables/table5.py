"""Table 5: infilling, one text a gap and the best of all by minimum Bayes risk (§5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.paper.cells import Bench
from benchmarks.paper.intervals import mean, separate, told
from benchmarks.paper.metrics import metrics
from benchmarks.paper.metrics.overlap import pairs
from benchmarks.paper.tables.base import OURS, Data, Table, grid, percent, plain
from benchmarks.paper.tasks.base import Target
from dlm_controls.selectors import MBR
from dlm_core.evaluation.references import bleu
from dlm_core.results import Result

MEASURES = {"rouge_l": "ROUGE-L ↑", "cider": "CIDEr ↑", "bert_score": "BERTScore ↑", "lm": "lm ↓"}


class Table5(Table):
    """See the module docstring."""

    name, title = "5", "Table 5: infilling E2E gaps"
    note = (
        "BLEU-4 (sacrebleu, one reference), ROUGE-L and CIDEr-D of the words in the gap; BERTScore "
        "of the whole text, where DLM_ENCODER names an encoder. All four times 100. Every system "
        "is told the number of words. "
        "The paper's rows are for aNLG, the embedded model is of restaurants: landmarks only."
    )
    systems = ("left-only", "DELOREAN", "COLD", "AR infilling", OURS)
    chosen = ("AR infilling", OURS)
    paper: ClassVar[dict[str, tuple[float, ...]]] = {
        "Left-only": (0.9, 16.3, 3.5, 38.5), "DELOREAN": (1.6, 19.1, 7.9, 41.7),
        "COLD": (1.8, 19.5, 10.7, 42.7), "Diffusion": (7.1, 28.3, 30.7, 89.0),
        "AR": (6.7, 27.0, 26.9, 89.0),
    }  # fmt: skip

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        cells = bench.cells(self.all_systems(), ["infill"])
        task = bench.tasks["infill"]
        every = {t.name: t for t in task.targets(bench.lab, bench.budget.targets)}
        rows: Data = {}
        for (_, name), cell in cells.items():
            targets = [every[asked] for asked in cell.targets]
            rows[name] = self._row(bench, targets, [group[:1] for group in cell.texts])
            rows[name]["seconds_a_text"] = cell.seconds / sum(map(len, cell.texts))
            if name in self.chosen and len(cell.texts[0]) > 2:
                best = [[_least_risk(group)] for group in cell.texts]
                rows[f"{name}, MBR of {len(cell.texts[0])}"] = self._row(bench, targets, best)
        return {"rows": rows}

    def _row(
        self, bench: Bench, targets: Sequence[Target], groups: Sequence[Sequence[str]]
    ) -> Data:
        """Figures of one text a gap."""
        gaps, own = zip(*(pair for (pair,) in pairs(targets, groups) or ()), strict=True)
        figure, signature = bleu(gaps, [[x] for x in own], separate(len(gaps)))
        row: Data = {"bleu4": told(figure), "signature": signature, "targets": len(targets)}
        for measure in MEASURES:
            scores = metrics()[measure](bench.lab, targets, groups)
            if scores is not None:
                share = measure not in ("cider", "lm")
                row[measure] = mean([group[0] for group in scores], share)
        return row

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        rows = [["", "gaps", "BLEU-4 ↑", *MEASURES.values()]]
        for name, row in data["rows"].items():
            rows.append(
                [
                    f"**{name}**" if name.startswith(OURS) else name,
                    str(row["targets"]),
                    plain(row["bleu4"]),
                    percent(row.get("rouge_l")),
                    percent(row.get("cider")),
                    percent(row.get("bert_score")),
                    plain(row.get("lm")),
                ]
            )
        for name, reported in self.paper.items():
            rows.append([f"*paper: {name}*", "–", *(f"*{value}*" for value in reported), "–"])
        return grid(rows)


def _least_risk(group: Sequence[str]) -> str:
    """The text of the highest mean BLEU against the others."""
    results = [Result(text=x, tokens=x.split(), seed=k) for k, x in enumerate(group)]
    scores = MBR(utility="bleu").scores(results)
    return group[max(range(len(group)), key=scores.__getitem__)]


TABLES = (Table5(),)
