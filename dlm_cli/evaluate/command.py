"""`dlm evaluate`: what texts are worth, and two systems compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from dlm_cli.evaluate import options as ask
from dlm_cli.files import check_output
from dlm_cli.help import examples
from dlm_cli.options import Device, Force, Model, PluginFiles, Quiet
from dlm_cli.output import pick_device, stderr
from dlm_core.errors import UsageError

EPILOG = examples(
    "dlm generate -c semantic:food=Japanese -n 20 -o ours.jsonl",
    "dlm evaluate ours.jsonl --teacher TEACHER --corpus e2e:train.csv.gz",
    "dlm evaluate ours.jsonl --against theirs.jsonl -o both.md",
    "dlm evaluate --texts theirs.txt --control length:12 --fail-under control=97",
    "dlm evaluate ours.jsonl --references gold.txt --bertscore roberta-large",
)


def command(
    results: ask.Results = None,
    texts: ask.Texts = None,
    control: ask.Asked = None,
    avoid: ask.Avoided = None,
    faults: ask.Faults = None,
    by: ask.By = "kind",
    against: ask.Other = None,
    teacher: ask.TeacherOption = None,
    corpus: ask.TrainTexts = None,
    references: ask.Refs = None,
    bertscore: ask.Bertscore = None,
    layer: ask.Layer = None,
    mauve: ask.Mauve = False,
    fail_under: ask.Under = None,
    fail_over: ask.Over = None,
    model: Model = "e2e",
    device: Device = "auto",
    plugin: PluginFiles = None,
    output: ask.Written = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Measure texts, compare two systems.

    Success by each control's own verdict and its parts; fluency by a teacher;
    variety; what is copied from training texts; likeness to references.

    Texts are judged anew, whatever their rows say. Intervals are of 95%, over
    targets where there are several, else over texts. docs/metrics.md defines
    each figure. Ends with 1 where a figure is beyond its limit, with 2 where a
    line of RESULTS could not be read; the others count all the same.
    """
    from dlm_cli.evaluate.job import Job
    from dlm_cli.evaluate.limits import missed, read_limits
    from dlm_cli.evaluate.writing import check_suffix, print_report, write_report

    name = one_input(results, texts)
    check_suffix(output)
    inputs: list[tuple[str, str | Path | None]] = [("RESULTS", name), ("--against", against)]
    inputs += [("--references", file) for file in references or ()]
    check_output(output, inputs, force)
    under = read_limits("--fail-under", fail_under or ())
    over = read_limits("--fail-over", fail_over or ())
    asked = [*(control or ()), *(f"not {spec}" for spec in avoid or ())]
    job = Job.of(model, plugin or (), asked, texts is not None, faults or ())
    job.take_teacher(teacher, pick_device(device) if teacher else "")
    job.take_references(references or (), bertscore, layer, mauve)
    job.take_corpus(corpus)
    job.by = replace(job.by, by_spec=by == "spec")
    report, other, deltas = job.run(name, against)
    print_report(report, other, deltas)
    stderr(f"signature: {report.signature}")
    if output is not None:
        write_report(output, report, other, deltas)
        stderr(f"wrote {output}")
    raise typer.Exit(1 if missed(report, under, over) else job.worst)


def one_input(results: str | None, texts: str | None) -> str:
    """The file to measure.

    Raises:
        UsageError: there is none, or there are two.
    """
    if results is not None and texts is not None:
        raise UsageError(
            f"RESULTS '{results}' and option '--texts': one of them is measured",
            "--against FILE compares two",
        )
    name = results if results is not None else texts
    if name is None:
        raise UsageError(
            "RESULTS is missing", "dlm evaluate RESULTS.jsonl, or --texts FILE --control SPEC"
        )
    return name
