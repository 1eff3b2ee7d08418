"""`dlm generate`: texts under controls."""

from __future__ import annotations

from pathlib import Path

import typer

from dlm_cli.generate import options as ask
from dlm_cli.generate.describe import describe, print_recipe, summarise
from dlm_cli.generate.job import Job
from dlm_cli.generate.options import GUIDANCE, SAMPLING, check_files
from dlm_cli.help import examples
from dlm_cli.options import Device, Model, PluginFiles
from dlm_cli.output import open_results, pick_device, print_json, stderr, warn
from dlm_cli.requests.item import make_item
from dlm_cli.requests.recipes import Recipe
from dlm_core.config import GuidanceConfig, SamplingConfig

EPILOG = examples(
    "dlm generate -n 4 --seed 7",
    "dlm generate -c semantic:food=Japanese -c length:10-14",
    "dlm generate -c semantic:area=riverside --not 'semantic:family friendly=yes'",
    "dlm generate -c 'pos:\"PROPN AUX DET ...\"@0.5' --format jsonl -o out.jsonl",
    'dlm generate -c "infill:left=The Mill is,right=near Burger King ." --watch',
    "dlm generate -n 20 -c semantic:food=Japanese --select mbr:utility=bleu --keep 1",
    "dlm generate -c length:12 --dry-run > mine.toml; dlm generate --recipe mine.toml --seed 7",
    "dlm generate --requests requests.jsonl -o out.jsonl --resume",
)


def command(
    context: typer.Context,
    model: Model = "e2e",
    device: Device = "auto",
    batch_size: ask.BatchSize = 64,
    control: ask.Control = None,
    avoid: ask.Avoid = None,
    verify: ask.Verify = True,
    plugin: PluginFiles = None,
    select: ask.Select = None,
    keep: ask.Keep = None,
    recipe: ask.RecipeFile = None,
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
    self_conditioning_temperature: ask.FedBack = SAMPLING.self_conditioning_temperature,
    guidance: ask.Guidance = GUIDANCE.mode,
    guidance_steps: ask.GuidanceSteps = GUIDANCE.guidance_steps,
    guidance_lr: ask.GuidanceLr = GUIDANCE.guidance_lr,
    guidance_optimizer: ask.GuidanceOptimizer = GUIDANCE.optimizer,
    fluency: ask.Fluency = GUIDANCE.fluency,
    format: ask.Format = "text",
    output: ask.Output = None,
    dry_run: ask.DryRun = False,
    watch: ask.Watch = False,
) -> None:
    """Generate texts under controls.

    Texts go to stdout as soon as their batch (with --select: their request) is done; verdicts,
    progress and warnings go to stderr.
    """
    check_files(context, requests, resume, output, format)
    base = context.obj or Recipe()  # of the callback of --recipe
    sampling = ask.resolve(
        SamplingConfig, base.sampling, sampler=sampler, steps=steps, eta=eta, spacing=spacing,
        time_power=time_power, self_conditioning_temperature=self_conditioning_temperature,
        clamp=clamp, clamp_start=clamp_start, temperature=temperature,
    )  # fmt: skip
    steering = ask.resolve(
        GuidanceConfig, base.guidance, mode=guidance, guidance_steps=guidance_steps,
        guidance_lr=guidance_lr, optimizer=guidance_optimizer, fluency=fluency,
    )  # fmt: skip
    ask.warn_of_idle_options(sampling, steering)
    specs = (*(control or ()), *(f"not {spec}" for spec in avoid or ()))
    asked = Recipe(
        model=model, controls=specs, n=n, seed=ask.read_seed(seed), select=select, keep=keep,
        verify=verify, plugins=tuple(map(str, plugin or ())), sampling=sampling, guidance=steering,
    )  # fmt: skip
    if requests is not None:
        raise typer.Exit(
            _answer(asked, requests, output, resume, device, batch_size, dry_run, watch)
        )
    _make(asked, output, format, device, batch_size, dry_run, watch)


def _answer(
    asked: Recipe,
    requests: str,
    output: Path | None,
    resume: bool,
    device: str,
    batch_size: int,
    dry_run: bool,
    watch: bool,
) -> int:
    """Answer a file of requests, or only check it; returns the exit code."""
    job = Job.of(asked, batch_size)
    defaults = {"controls": list(asked.controls), "n": asked.n, "seed": asked.seed}
    defaults |= {"select": asked.select, "keep": asked.keep}
    return job.answer(
        requests, defaults, output, resume, "" if dry_run else pick_device(device), watch
    )


def _make(
    asked: Recipe,
    output: Path | None,
    format: str,
    device: str,
    batch_size: int,
    dry_run: bool,
    watch: bool,
) -> None:
    """Make the texts of one request, or only say what it comes to."""
    job = Job.of(asked, batch_size)
    item = make_item(asked.controls, asked.n, asked.seed, asked.select, asked.keep, job.plugins)
    lengths = item.controls.check(job.info)
    by_control = item.selector is not None and item.selector.kind == "control"
    if by_control and not (item.controls and asked.verify):
        warn("selector 'control' has nothing to choose by", "-c SPEC, and no --no-verify")
    if dry_run:
        request = {"n": asked.n, "seed": asked.seed, "batch_size": batch_size, "device": device}
        request |= {"select": asked.select, "keep": item.keep}
        resolved = describe(job, item.controls, lengths, request)
        if format == "jsonl":
            print_json(resolved)
        else:
            print_recipe(asked, resolved)
        return
    with open_results(output) as results:
        made = job.make(item, pick_device(device), results, format, watch)
    if output is not None and results.path is not None:
        stderr(f"wrote {len(made)} texts to {output}")
    if asked.verify and format == "text":
        summarise(item.controls, made)
