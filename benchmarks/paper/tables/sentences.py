"""Table 5: infilling, one text a target and the best of all by minimum Bayes risk (§5.2).

On gaps of E2E for the embedded model, on the paper's aNLG and on ROCStories for one of everyday
English; and the sentences of CommonGen, which are judged the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from benchmarks.paper.cells import Bench, Cell
from benchmarks.paper.intervals import mean, separate, told
from benchmarks.paper.metrics import metrics
from benchmarks.paper.metrics.overlap import pairs
from benchmarks.paper.tables.base import OURS, Data, Table, grid, percent, plain
from benchmarks.paper.tasks.base import Target
from dlm_controls.selectors import MBR
from dlm_core.evaluation.references import bleu
from dlm_core.results import Result

UNBOUNDED = ("cider", "lm")


class Sentences(Table):
    """Rows of systems, judged by what people wrote, and of their best texts by minimum risk.

    Attributes:
        systems: in the order of the table.
        chosen: those of which the best of several texts is shown, too.
        tasks: what is written.
        labels: what is added to the name of a row of some of them.
        measures: beside BLEU-4.
        landmarks: what others report: BLEU-4 (None where they do not), then `measures`.
    """

    systems: ClassVar[tuple[str, ...]] = ("left-only", "DELOREAN", "COLD", "AR infilling", OURS)
    chosen: ClassVar[tuple[str, ...]] = ("AR infilling", OURS)
    labels: ClassVar[dict[str, str]] = {}
    measures: ClassVar[dict[str, str]] = {
        "rouge_l": "ROUGE-L ↑", "cider": "CIDEr ↑", "bert_score": "BERTScore ↑", "lm": "lm ↓",
    }  # fmt: skip
    landmarks: ClassVar[dict[str, tuple[float | str | None, ...]]] = {
        "paper: Left-only": (0.9, 16.3, 3.5, 38.5), "paper: DELOREAN": (1.6, 19.1, 7.9, 41.7),
        "paper: COLD": (1.8, 19.5, 10.7, 42.7), "paper: Diffusion": (7.1, 28.3, 30.7, 89.0),
        "paper: AR": (6.7, 27.0, 26.9, 89.0),
    }  # fmt: skip

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        cells = bench.cells(self.all_systems(), self.all_tasks())
        rows: Data = {}
        for (task, name), cell in cells.items():
            every = bench.tasks[task].targets(bench.lab, bench.budget.targets)
            targets = {target.name: target for target in every}
            asked = [targets[one] for one in cell.targets]
            rows |= self._rows(bench, name, self.labels.get(task, ""), cell, asked)
        return {"rows": rows}

    def _rows(
        self, bench: Bench, name: str, label: str, cell: Cell, targets: Sequence[Target]
    ) -> Data:
        """The first text of each gap, and the best of all."""
        first = self._row(bench, targets, [group[:1] for group in cell.texts])
        first["seconds_a_text"] = cell.seconds / sum(map(len, cell.texts))
        rows, count = {name + label: first}, len(cell.texts[0])
        if name in self.chosen and count > 2:
            groups = zip(targets, cell.texts, strict=True)
            best = [[least_risk(target, group)] for target, group in groups]
            rows[f"{name}{label}, MBR of {count}"] = self._row(bench, targets, best)
        return rows

    def _row(
        self, bench: Bench, targets: Sequence[Target], groups: Sequence[Sequence[str]]
    ) -> Data:
        """Figures of one text a gap."""
        gaps, own = zip(*(pair for (pair,) in pairs(targets, groups) or ()), strict=True)
        figure, signature = bleu(gaps, own, separate(len(gaps)))
        row: Data = {"bleu4": told(figure), "signature": signature, "targets": len(targets)}
        for measure in self.measures:
            scores = metrics()[measure](bench.lab, targets, groups)
            if scores is not None:
                row[measure] = mean([group[0] for group in scores], measure not in UNBOUNDED)
        return row

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        rows = [["", "targets", "BLEU-4 ↑", *self.measures.values()]]
        for name, row in data["rows"].items():
            figures = [
                (plain if measure == "lm" else percent)(row.get(measure))
                for measure in self.measures
            ]
            shown = f"**{name}**" if name.startswith(OURS) else name
            rows.append([shown, str(row["targets"]), plain(row["bleu4"]), *figures])
        for name, reported in self.landmarks.items():
            values = ["–" if value is None else f"*{value}*" for value in reported]
            missing = len(self.measures) + 1 - len(values)
            rows.append([f"*{name}*", "–", *values, *["–"] * missing])
        return grid(rows)


def least_risk(target: Target, group: Sequence[str]) -> str:
    """The text of the highest mean BLEU against the others; of a sentence, without its sides."""
    texts = group
    if target.alone:
        texts = [gap for gap, _ in (pairs([target], [group]) or [[]])[0]]
    results = [Result(text=x, tokens=x.split(), seed=k) for k, x in enumerate(texts)]
    scores = MBR(utility="bleu").scores(results)
    return group[max(range(len(group)), key=scores.__getitem__)]


class Table5(Sentences):
    """Gaps of E2E."""

    name, title = "5", "Table 5: infilling E2E gaps"
    note = (
        "BLEU-4 (sacrebleu, one reference), ROUGE-L and CIDEr-D of the words in the gap; BERTScore "
        "of the whole text, where DLM_ENCODER names an encoder. All four times 100. Every system "
        "is told the number of words. "
        "The paper's rows are for aNLG, the embedded model is of restaurants: landmarks only."
    )
    tasks = ("infill",)


class Anlg(Sentences):
    """The paper's own data."""

    name, title = "5-anlg", "Table 5: infilling aNLG"
    everyday = True
    note = (
        "The middle sentence against all hypotheses of aNLG's development set, those that the "
        "model has room for: BLEU-4 (sacrebleu), ROUGE-L of the best reference, CIDEr-D, "
        "BERTScore of the sentence where DLM_ENCODER names an encoder; all times 100. dlm, AR "
        "infilling and left-only end the sentence themselves; for the others its number of words "
        "is drawn from the corpus. The paper trained on all of ROCStories, and its BERTScore "
        "column mixes rescaled values (below 50) and plain ones of roberta-large."
    )
    tasks = ("anlg",)


class Roc(Sentences):
    """DiffuLLaMA's protocol."""

    name, title = "roc", "ROCStories: the third of five sentences"
    everyday = True
    note = (
        "ROUGE F1 without stemming, times 100 (Gong et al. 2024): the number of words is that of "
        "the missing sentence, or open. Sides are the two sentences before and behind, or one, "
        "where the model was trained on fewer than five at a time. The landmarks are zero-shot, "
        "on 1,000 stories of the 2016 cloze set, their number of tokens told."
    )
    tasks = ("roc", "roc-open")
    labels: ClassVar[dict[str, str]] = {"roc-open": ", open"}
    measures: ClassVar[dict[str, str]] = {
        "rouge_1": "ROUGE-1 ↑", "rouge_2": "ROUGE-2 ↑", "rouge_l": "ROUGE-L ↑", "lm": "lm ↓",
    }  # fmt: skip
    landmarks: ClassVar[dict[str, tuple[float | str | None, ...]]] = {
        "GPT-2 S, prefix only": (None, 7.8, 0.8, 7.4),
        "SEDD-S 170M": (None, 11.9, 0.7, 10.9),
        "DiffuGPT-S 127M": (None, 13.7, 1.4, 12.6),
        "Plaid 1.3B (continuous)": (None, 12.1, 1.1, 11.2),
        "DiffuGPT-M 355M": (None, 18.7, 2.7, 17.0),
        "LLaMA-2 7B, prefix only": (None, 11.6, 2.1, 10.5),
        "DiffuLLaMA 7B": (None, 23.3, 5.5, 21.2),
    }


class CommonGen(Sentences):
    """Keywords to a sentence."""

    name, title = "commongen", "CommonGen: a sentence of some concepts"
    everyday = True
    note = (
        "Development set, the concept sets whose words the model knows, against every sentence of "
        "each: BLEU-4 (sacrebleu), CIDEr-D times 100, and the share of the concepts that is a "
        "lemma of a word (spaCy's, as the official script counts; of the words themselves without "
        "spaCy). FT-sample and FT-search are trained on lemmas of nouns and verbs of the corpus. "
        "dlm says the words as they are given, any form what the corpus has of each. The "
        "landmarks are of the test set, their CIDEr that of the archived board times 10: people "
        "and the best systems, which retrieve captions; those with ~ are quoted from memory and "
        "not checked."
    )
    systems = ("FT-sample", "FT-search", "dlm, any form", OURS)
    chosen = ("FT-sample", "dlm, any form", OURS)
    tasks = ("commongen",)
    measures: ClassVar[dict[str, str]] = {
        "cider": "CIDEr ↑", "coverage": "coverage ↑", "lm": "lm ↓",
    }  # fmt: skip
    landmarks: ClassVar[dict[str, tuple[float | str | None, ...]]] = {
        "people": (46.49, 376.4),
        "DKMR^2 (2022)": (44.33, 195.4),
        "R^3-BART (2021)": (41.95, 177.1),
        "GPT-2 large, NeuroLogic": ("~26", None, "~97"),
        "copy nets from scratch (Lin et al. 2020)": ("~7", None, "~50-65"),
    }


TABLES = (Table5(), Anlg(), Roc(), CommonGen())
