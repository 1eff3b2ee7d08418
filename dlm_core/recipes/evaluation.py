"""What a trained bundle is worth: free texts beside real ones, the bound, and each of its controls.

Parts are written down as they are measured, so that a run that was stopped does not measure them
again. Figures are those of `dlm evaluate` and `dlm nll`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dlm_core.control.compose import Controls
from dlm_core.control.learning import DrawsTargets, head_kind
from dlm_core.errors import DLMError, MissingError
from dlm_core.evaluation import measures
from dlm_core.evaluation.figures import Figure, Units, ratio
from dlm_core.evaluation.judging import Text, judge
from dlm_core.evaluation.report import By, measure
from dlm_core.files import write_json
from dlm_core.recipes.targets import Target, draw_targets
from dlm_core.recipes.temperature import SAID
from dlm_core.text import load_json

if TYPE_CHECKING:
    from dlm_core.control.compose import ControlSpec
    from dlm_core.evaluation.teacher import Teacher
    from dlm_core.recipes.job import Job
    from dlm_core.recipes.recipe import EvaluateTable
    from dlm_core.results import Result

EVALUATION = "evaluation.json"
"""Name of the file in the folder of a run."""
SHOWN = 40
"""Free texts that the model card shows."""
Part = dict[str, Any]


@dataclass
class _Bench:
    """What every part needs."""

    job: Job
    settings: EvaluateTable
    teacher: Teacher | None

    def generate(self, asked: Sequence[Target | None], each: int) -> list[list[Result]]:
        """Texts of each target, of None without controls; their seeds count from 0."""
        from dlm_core.generation.generate import generate_batches
        from dlm_core.generation.prepare import Request

        requests = [Request(t.controls if t else Controls(), each) for t in asked]
        out: list[list[Result]] = [[] for _ in requests]
        told, sampling = self.job.told, self.settings.sampling
        if self.teacher is not None:  # the bundle says them now, and for texts of which kind
            sampling = sampling.model_copy(update=dict.fromkeys(SAID))
        batches = generate_batches(
            self.job.model, requests, sampling=sampling, verify=False,
            plugins=self.job.recipe.plugins, progress=lambda k, n: told.step(k, n, ""),
        )  # fmt: skip
        for batch in batches:
            for owner, result in batch:
                out[owner].append(result)
        return out

    def held_out(self, count: int) -> list[str]:
        """As `Job.held_out`, with the seed of the figures."""
        return self.job.held_out(count, self.settings.seed)


def evaluate(job: Job, resume: bool) -> Part:
    """Measure whatever is not measured yet, into `EVALUATION`: bound, free texts, controls."""
    assert job.recipe.evaluate is not None
    path = job.out / EVALUATION
    found: Part = {"controls": {}}
    if resume and path.is_file():
        found = load_json(path.read_bytes())
    bench = _Bench(job, job.recipe.evaluate, job.teacher())

    def measured(place: Part, name: str, part: Callable[[], Part]) -> None:
        if name not in place:
            job.told.line(f"measuring: {name}")
            place[name] = part()
            write_json(path, found, indent=1)

    measured(found, "bound", partial(_bound, bench))
    measured(found, "free", partial(_free, bench))
    for label, cls, name in controls_of(job):
        measured(found["controls"], label, partial(_control, bench, label, cls, name))
    return {}


def controls_of(job: Job) -> list[tuple[str, type[ControlSpec], str]]:
    """Label, kind and name of head of every control that can be tried.

    A head of a kind that has many is a control of its own; of those that need no head, only kinds
    that draw targets can be tried on any corpus.
    """
    found = []
    for kind, cls in sorted(job.recipe.plugins.controls.items()):
        if not cls.named_heads and (head_kind(cls) or issubclass(cls, DrawsTargets)):
            found.append((kind, cls, ""))
        heads = [head for head in job.recipe.heads if head.cls is cls]
        found += [(head.path, cls, head.name) for head in heads if cls.named_heads]
    return found


def _bound(bench: _Bench) -> Part:
    """The bound on -log p of held-out texts, as of `dlm nll`."""
    from dlm_core.evaluation.nll import likelihood

    texts, told, done = bench.held_out(bench.settings.bound), bench.job.told, 0

    def on_text(count: int) -> None:
        nonlocal done
        done += count
        told.step(done, len(texts), "")

    found = likelihood(bench.job.model, texts, bench.settings.draws, on_text=on_text)
    part = {figure.name: figure.as_dict() for figure in found.figures}
    if bench.teacher is not None:  # beside it an autoregressive model's exact figure
        units = Units.of([""] * len(texts))
        figures = {f.name: f for f in measures.fluency(texts, units, bench.teacher)}
        part["teacher"] = figures["token-nll"].as_dict()
    return {"figures": part, "texts": found.texts, "signature": found.signature}


def _free(bench: _Bench) -> Part:
    """Texts without controls, and as many held-out ones."""
    real = bench.held_out(bench.settings.texts)
    (results,) = bench.generate([None], bench.settings.texts)
    info, heads = bench.job.model.info, bench.job.model.info.heads
    kinds = [cls for _, cls, _ in controls_of(bench.job) if head_kind(cls) in heads]
    by = By(teacher=bench.teacher, corpus=[e.text for e in bench.job.data.train])
    free = [Text(r.text, r.tokenised, Controls()) for r in results]
    reports = [
        measure(list(judge(texts, info, kinds)), by, info)
        for texts in (free[: len(real)], [Text(t, t, Controls()) for t in real])
    ]
    figures = {r.name: [r] for r in reports[0].figures}
    for figure in reports[1].figures:
        figures.setdefault(figure.name, []).append(figure)
    ratios = {
        name: ratio(*pair).as_dict()
        for name, pair in figures.items()
        if name in ("lm-score", "distinct-2") and len(pair) == 2
    }
    lost = bench.job.model.vocab.encode_batch(real)  # real texts hold no mark for it
    unk = bench.job.model.vocab.unk
    share = reports[1].units.figure("unk", "%", [(row.count(unk), len(row)) for row in lost])
    return {
        "figures": reports[0].as_dict()["figures"],
        "real": reports[1].as_dict()["figures"] | {"unk": share.as_dict()},
        "ratio": ratios,
        "signature": reports[0].signature,
        "texts": [r.text for r in results[:SHOWN]],
    }


def _control(bench: _Bench, label: str, cls: type[ControlSpec], name: str) -> Part:
    """How often a control's own verdict holds, and how fluent its texts are."""
    if reason := _why_not(bench.job, cls, label):
        return {"left out": reason}
    try:
        return _tried(bench, label, cls, name)
    except DLMError as error:  # the others are measured
        return {"left out": error.message}


def _why_not(job: Job, cls: type[ControlSpec], label: str) -> str:
    """Why a control cannot be asked for; empty where it can."""
    kind = head_kind(cls)
    path = label if cls.named_heads else kind
    if not kind or path in job.model.info.heads:
        return ""
    reason = next((job.why_not(head) for head in job.recipe.heads if head.path == path), "")
    return reason or f"the recipe leaves the head '{path}' out"


def _tried(bench: _Bench, label: str, cls: type[ControlSpec], name: str) -> Part:
    job, settings = bench.job, bench.settings
    head = next((h for h in job.recipe.heads if h.path == label), None)
    texts = job.texts_of(head) if head else job.data
    targets = draw_targets(
        cls, name, texts.valid, job.model.info, job.recipe.plugins, settings.targets, settings.seed
    )
    if not targets:
        raise MissingError("no held-out text has what it could ask for")
    groups = bench.generate(targets, settings.each)
    made = [
        Text(r.text, r.tokenised, target.controls)
        for target, group in zip(targets, groups, strict=True)
        for r in group
    ]
    judged = list(judge(made, job.model.info))
    units = Units.of([text.target for text in made])
    figures = measures.success(judged, units)
    unjudged = [v.detail for j in judged for v in j.verdicts if v.satisfied is None]
    part: Part = {"targets": [str(t.controls) for t in targets], "texts": len(made)}
    if bench.teacher is not None:
        score = _lm_score([text.tokens for text in made], units, bench.teacher)
        figures.append(score)
        if sources := [t.text for t in targets if t.text is not None]:
            own = _lm_score(sources, Units.of(list(map(str, range(len(sources))))), bench.teacher)
            part["ratio"] = {"lm-score": ratio(score, own).as_dict()}
    part["figures"] = {figure.name: figure.as_dict() for figure in figures}
    if unjudged:
        part["unjudged"] = {"texts": len(unjudged), "why": unjudged[0]}
    return part


def _lm_score(tokens: Sequence[str], units: Units, teacher: Teacher) -> Figure:
    return next(f for f in measures.fluency(tokens, units, teacher) if f.name == "lm-score")
