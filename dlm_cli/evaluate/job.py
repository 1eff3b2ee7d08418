"""Reading, judging and measuring one or two files of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_cli.evaluate.references import read_references
from dlm_cli.evaluate.rows import Rows
from dlm_cli.output import progress_bar, warn
from dlm_core.bundle import ModelInfo
from dlm_core.errors import UsageError
from dlm_core.evaluation.judging import Judged, Text, judge
from dlm_core.evaluation.report import By, Report, compare, measure

if TYPE_CHECKING:
    from dlm_core.control.compose import ControlSpec, Term
    from dlm_core.evaluation.figures import Difference
    from dlm_core.plugins.registry import Plugins


@dataclass
class Job:
    """What is measured, and by what.

    Attributes:
        asked: controls of texts whose rows name none.
        plain: the files hold texts alone.
        domains: controls whose faults are looked for.
        by: what figures are taken by, all but the references.
        references: files of them.
        worst: the exit code of the worst line that was read.
    """

    info: ModelInfo
    plugins: Plugins
    asked: tuple[Term, ...]
    plain: bool
    domains: tuple[type[ControlSpec], ...]
    by: By = field(default_factory=By)
    references: Sequence[str] = ()
    worst: int = 0

    @classmethod
    def of(
        cls,
        model: str,
        plugin: Sequence[Path],
        asked: Sequence[str],
        plain: bool,
        faults: Sequence[str],
    ) -> Job:
        """From names as a user types them.

        Raises:
            SpecError, UsageError, MissingError: one is not known.
        """
        from dlm_cli.plugins.loading import find_control, load
        from dlm_core.control.parse import parse_spec

        plugins = load(list(plugin))
        terms = tuple(parse_spec(spec, plugins.controls) for spec in asked)
        kinds = tuple(find_control(plugins, kind) for kind in faults)
        return cls(ModelInfo.read(model), plugins, terms, plain, kinds)

    def take_teacher(self, folder: Path | None, device: str) -> None:
        """Fluency is judged by the teacher in a folder."""
        if folder is not None:
            from dlm_core.evaluation.teacher import Teacher

            self.by = replace(self.by, teacher=Teacher.load(folder, device))

    def take_corpus(self, name: str | None) -> None:
        """Copies are looked for in training texts."""
        if name is not None:
            from dlm_core.corpora import prepare, read_corpus

            read = prepare(read_corpus(name, self.plugins.corpora), self.info.text)
            self.by = replace(self.by, corpus=[example.text for example in read])

    def take_references(
        self, names: Sequence[str], encoder: Path | None, layer: int | None, mauve: bool
    ) -> None:
        """Texts are compared with references.

        Raises:
            UsageError: an option lacks another that it needs.
        """
        for option, given in (("--bertscore", encoder), ("--mauve", mauve)):
            if given and not names:
                raise UsageError(f"option '{option}' needs references", "--references FILE")
        if layer is not None and encoder is None:
            raise UsageError("option '--layer' is of an encoder", "--bertscore DIR")
        if mauve and self.by.teacher is None:
            raise UsageError("option '--mauve' needs a teacher's features", "--teacher DIR")
        self.references = names
        self.by = replace(self.by, encoder=encoder, layer=layer, mauve=mauve)

    def run(self, name: str, other: str | None) -> tuple[Report, Report | None, list[Difference]]:
        """Measure a file, and another beside it.

        Raises:
            UsageError: they have different targets.
        """
        texts = self._read(name, "argument 'RESULTS'")
        beside = None if other is None else self._read(other, "option '--against'")
        report = self._measure(texts, name)
        if beside is None or other is None:
            return report, None, []
        second = self._measure(beside, other)
        return report, second, compare(report, second)

    def _read(self, name: str, option: str) -> list[Text]:
        rows = Rows(name, self.info, self.plugins, self.asked)
        texts = rows.plain() if self.plain else rows.read(option)
        self.worst = max(self.worst, rows.worst)
        return texts

    def _measure(self, texts: Sequence[Text], name: str) -> Report:
        judged = []
        with progress_bar("judging", len(texts)) as bar:
            for one in judge(texts, self.info, self.domains):
                judged.append(one)
                bar.update()
        _tell_verdicts(judged, name)
        by = self.by
        if by.teacher is not None and (long := by.teacher.too_long([t.tokens for t in texts])):
            warn(
                f"{name}: {len(long)} texts have more words than the {by.teacher.max_words} that "
                f"the teacher reads, text {long[0] + 1} for one; lm-score is of the others",
                "a teacher with more --positions reads longer texts",
            )
        if self.references:
            by = replace(by, references=read_references(self.references, texts))
        return measure(judged, by, self.info)


def _tell_verdicts(judged: Sequence[Judged], name: str) -> None:
    """Why a verdict is missing, once each; and how many are not as the rows have them."""
    missing = [v.detail for j in judged for v in j.verdicts if v.satisfied is None]
    for reason in dict.fromkeys(missing):
        warn(f"{name}: {missing.count(reason)} verdicts are missing: {reason}")
    pairs = [
        (verdict.satisfied, stored)
        for j in judged
        if j.text.satisfied is not None
        for verdict, stored in zip(j.verdicts, j.text.satisfied, strict=True)
        if None not in (verdict.satisfied, stored)
    ]
    if changed := sum(now != before for now, before in pairs):
        warn(f"{name}: {changed} of {len(pairs)} verdicts are not those in its rows")
