"""`dlm generate`: texts under controls."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any

import typer

from dlm_cli.controls import check_heads
from dlm_cli.files import open_results
from dlm_cli.generate import options as ask
from dlm_cli.generate.answers import Answers
from dlm_cli.generate.asked import check_options, may_run_plugins, read_asked
from dlm_cli.generate.describe import Tally, describe, print_recipe, summarise
from dlm_cli.generate.job import Job
from dlm_cli.generate.options import GUIDANCE, SAMPLING
from dlm_cli.generate.trace import write_trace
from dlm_cli.help import examples
from dlm_cli.memory import return_freed_memory
from dlm_cli.options import Device, Force, Heads, Model, Output, PluginFiles, Quiet
from dlm_cli.output import pick_device, print_json, utf8_stdout, warn
from dlm_cli.requests.item import make_item
from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.share import Share

EPILOG = examples(
    "dlm generate -n 4 --seed 7",
    "dlm generate -c semantic:food=Japanese -c length:10-14",
    "dlm generate -c semantic:area=riverside --not 'semantic:family friendly=yes'",
    "dlm generate -c 'pos:\"PROPN AUX DET ...\"@0.5' --format jsonl -o out.jsonl",
    'dlm generate -c "infill:left=The Mill is,right=near Burger King ." --watch',
    "dlm generate -c semantic:food=Japanese -c semantic:area=riverside --trace steps.html",
    "dlm generate -n 20 -c semantic:food=Japanese --select mbr:utility=bleu --keep 1",
    "dlm generate -c length:12 --dry-run > mine.toml; dlm generate --recipe mine.toml --seed 7",
    "dlm generate --requests requests.jsonl -o out.jsonl --until-satisfied 5",
    "dlm generate --requests requests.jsonl -o out.jsonl --resume",
    "accelerate launch -m dlm_cli generate --requests requests.jsonl -o out.jsonl",
)


def command(
    context: typer.Context,
    model: Model = "e2e",
    head: Heads = None,
    device: Device = "auto",
    batch_size: ask.BatchSize = None,
    deterministic: ask.Deterministic = False,
    control: ask.Control = None,
    avoid: ask.Avoid = None,
    verify: ask.Verify = True,
    plugin: PluginFiles = None,
    select: ask.Select = None,
    keep: ask.Keep = None,
    until_satisfied: ask.UntilSatisfied = 0,
    recipe: ask.RecipeFile = None,
    allow_plugins: ask.AllowPlugins = False,
    requests: ask.Requests = None,
    resume: ask.Resume = False,
    n: ask.Count = 4,
    seed: ask.Seed = "0",
    steps: ask.Steps = SAMPLING.steps,
    sampler: ask.Sampler = SAMPLING.sampler,
    eta: ask.Eta = SAMPLING.eta,
    temperature: ask.Temperature = SAMPLING.temperature,
    clamp: ask.Clamp = SAMPLING.clamp,
    clamp_start: ask.ClampStart = SAMPLING.clamp_start,
    spacing: ask.Spacing = SAMPLING.spacing,
    time_power: ask.TimePower = SAMPLING.time_power,
    self_conditioning: ask.SelfConditioning = SAMPLING.self_conditioning,
    self_conditioning_temperature: ask.FedBack = SAMPLING.self_conditioning_temperature,
    drafts: ask.Drafts = SAMPLING.drafts,
    corrections: ask.Corrections = SAMPLING.corrections,
    evidence: ask.Evidence = SAMPLING.evidence,
    precision: ask.Precision = SAMPLING.precision,
    guidance: ask.Guidance = GUIDANCE.mode,
    writer: ask.Writer = GUIDANCE.writer,
    guidance_steps: ask.GuidanceSteps = GUIDANCE.guidance_steps,
    guidance_lr: ask.GuidanceLr = GUIDANCE.guidance_lr,
    guidance_optimizer: ask.GuidanceOptimizer = GUIDANCE.optimizer,
    fluency: ask.Fluency = GUIDANCE.fluency,
    format: ask.Format = "text",
    tokens: ask.Tokens = False,
    output: Output = None,
    force: Force = False,
    quiet: Quiet = False,
    dry_run: ask.DryRun = False,
    watch: ask.Watch = False,
    trace: ask.Trace = None,
) -> None:
    """Generate texts under controls.

    Texts go to stdout as soon as their batch (with --select: their request) is done; verdicts,
    progress and warnings go to stderr.
    """
    check_options(context)
    asked = read_asked(context)
    run(asked, context.params, may_run_plugins(context, asked.plugins))


def run(asked: Recipe, how: dict[str, Any], plugins: bool = True) -> None:
    """Do what is asked.

    Args:
        asked: what the texts depend on.
        how: the other options, by their parameters' names.
        plugins: run the files of plugins.

    Raises:
        typer.Exit: with the code of the worst line of a file of requests.
    """
    size = 1 if how["deterministic"] else how["batch_size"]
    share = Share.of_launcher()
    share.check(how)
    job = Job.of(asked, size, plugins)
    if how["requests"] is not None:
        return_freed_memory()
        raise typer.Exit(Answers(job, how["requests"], asked, how["watch"]).run(how, share))
    _make(job, asked, how)


def _make(job: Job, asked: Recipe, how: dict[str, Any]) -> None:
    """Make the texts of one request, or only say what it comes to."""
    from dlm_core.control.settle import settle

    with redirect_stdout(sys.stderr):  # what plugins print is no result
        item = make_item(asked.controls, asked.n, asked.seed, asked.select, asked.keep, job.plugins)
        lengths = settle(item.controls, job.info).lengths
    by_control = item.selector is not None and item.selector.kind == "control"
    if by_control and not (item.controls and asked.verify):
        warn("selector 'control' has nothing to choose by", "-c SPEC, and no --no-verify")
    output, format = how["output"], how["format"]
    if how["dry_run"]:
        check_heads(item.controls, job.info)
        request: dict[str, Any] = {"n": asked.n, "seed": asked.seed, "batch_size": job.batch_size}
        request |= {"device": how["device"], "select": asked.select, "keep": item.keep}
        request |= {"until_satisfied": asked.until_satisfied}
        resolved = describe(job, item.controls, lengths, request)
        if format == "jsonl":
            print_json(resolved)
        else:
            print_recipe(asked.anywhere(), resolved)
        return
    if format == "jsonl":
        utf8_stdout()
    device, tally = pick_device(how["device"]), Tally()
    with open_results(output) as results:
        style = "tokens" if how["tokens"] and format == "text" else format
        made = job.make(item, device, results, style, how["watch"], how["trace"] is not None)
    if how["trace"] is not None:
        write_trace(how["trace"], asked, made)
    if asked.verify and format == "text":
        summarise(item.controls, made)
    tally.add(made)
    tally.tell(results.path)
