"""`dlm generate`: texts under controls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from dlm_cli.app import examples
from dlm_cli.options import Device, Model, PluginFiles
from dlm_cli.output import (
    ResultFile,
    open_results,
    pick_device,
    print_json,
    progress_bar,
    stderr,
    warn,
)
from dlm_cli.recipes import FLAGS, Recipe, take_recipe
from dlm_cli.requests import Item, Line, Reader, Written, chunks, make_item, open_lines, rows
from dlm_core.config import GuidanceConfig, SamplingConfig, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.errors import DLMError
    from dlm_core.plugins import Plugins
    from dlm_core.results import Result
    from dlm_core.spec import Controls, Lengths, Term

SAMPLING, GUIDANCE = SamplingConfig(), GuidanceConfig()
_WATCHED_STEPS, _WATCHED_TEXTS = 10, 4
_S = TypeVar("_S", bound=Settings)

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
    batch_size: Annotated[
        int,
        typer.Option(
            metavar="INT",
            min=1,
            help="Texts made together; changes speed only.",
            rich_help_panel="Model",
        ),
    ] = 64,
    control: Annotated[
        list[str] | None,
        typer.Option(
            "--control",
            "-c",
            metavar="SPEC",
            help="What the text must satisfy, KIND:BODY[@WEIGHT]; repeat to compose. "
            "'dlm controls list' shows them.".replace("[", "\\["),
            rich_help_panel="Controls",
        ),
    ] = None,
    avoid: Annotated[
        list[str] | None,
        typer.Option(
            "--not",
            metavar="SPEC",
            help="What the text must not satisfy, short for -c 'not SPEC'; where a control "
            "has a contrary.",
            rich_help_panel="Controls",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            metavar="",
            help="Judge each text by its controls.",
            rich_help_panel="Controls",
        ),
    ] = True,
    plugin: PluginFiles = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select",
            "-s",
            metavar="SPEC",
            help="Make -n candidates and keep the best; 'dlm selectors list' shows how.",
            rich_help_panel="Selection",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            metavar="INT",
            min=1,
            help="How many to keep, best first: 1 unless given; as many as -n to rank them all.",
            rich_help_panel="Selection",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            "-r",
            metavar="FILE",
            is_eager=True,
            callback=take_recipe,
            help="TOML or JSON with what is asked; options given beside it win.",
            rich_help_panel="Files",
        ),
    ] = None,
    requests: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help='JSONL of many requests, {"id": 1, "controls": \\["length:12"]}; '
            "keys left out are taken from the options. Gives JSONL.",
            rich_help_panel="Files",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            metavar="",
            help="With --requests and -o: keep what FILE has and make the rest.",
            rich_help_panel="Files",
        ),
    ] = False,
    n: Annotated[
        int,
        typer.Option(
            "--num", "-n", metavar="INT", min=1, help="How many texts.", rich_help_panel="Sampling"
        ),
    ] = 4,
    seed: Annotated[
        str,
        typer.Option(
            metavar="INT|random",
            help="Text i depends on seed + i alone; 'random' draws one and says which.",
            rich_help_panel="Sampling",
        ),
    ] = "0",
    steps: Annotated[
        int, typer.Option(metavar="INT", help="Denoising steps.", rich_help_panel="Sampling")
    ] = SAMPLING.steps,
    sampler: Annotated[
        Literal["ancestral", "ddim"],
        typer.Option(help="How x_T is walked to x_0.", rich_help_panel="Sampling"),
    ] = SAMPLING.sampler,
    eta: Annotated[
        float,
        typer.Option(
            metavar="FLOAT",
            help="Noise of ddim: 0 is deterministic, 1 is ancestral.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.eta,
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="FLOAT",
            help="Of the word the clamp picks: 0 takes the likeliest, above 1 texts differ more. "
            "If omitted 1.5 without controls, 1 with some.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.temperature,
    clamp: Annotated[
        bool,
        typer.Option(
            "--clamp/--no-clamp",
            metavar="",
            help="Snap x_0_hat to a word vector at each step.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.clamp,
    clamp_start: Annotated[
        float,
        typer.Option(
            metavar="FLOAT", help="Clamp only where t is at most this.", rich_help_panel="Sampling"
        ),
    ] = SAMPLING.clamp_start,
    spacing: Annotated[
        Literal["respaced", "rebuilt"],
        typer.Option(
            help="Steps of the training schedule, or a shorter schedule as in the release.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.spacing,
    time_power: Annotated[
        float,
        typer.Option(
            metavar="FLOAT",
            help="1 spaces the steps evenly; below 1 more of them fall on high noise.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.time_power,
    self_conditioning_temperature: Annotated[
        float,
        typer.Option(
            metavar="FLOAT",
            help="Of the words fed back to the denoiser; below 1 sharper.",
            rich_help_panel="Sampling",
        ),
    ] = SAMPLING.self_conditioning_temperature,
    guidance: Annotated[
        Literal["posterior", "paper", "both"],
        typer.Option(
            help="Condition the predicted words, climb the gradient at x_t, or both (slow).",
            rich_help_panel="Guidance",
        ),
    ] = GUIDANCE.mode,
    guidance_steps: Annotated[
        int,
        typer.Option(
            metavar="INT", help="Gradient steps (paper and both).", rich_help_panel="Guidance"
        ),
    ] = GUIDANCE.guidance_steps,
    guidance_lr: Annotated[
        float,
        typer.Option(
            metavar="FLOAT",
            help="Rate of the gradient steps (paper and both).",
            rich_help_panel="Guidance",
        ),
    ] = GUIDANCE.guidance_lr,
    guidance_optimizer: Annotated[
        Literal["adagrad", "sign"],
        typer.Option(
            help="'sign' is what the release does (paper and both).", rich_help_panel="Guidance"
        ),
    ] = GUIDANCE.optimizer,
    fluency: Annotated[
        float,
        typer.Option(
            metavar="FLOAT",
            help="Weight of the fluency term (paper and both).",
            rich_help_panel="Guidance",
        ),
    ] = GUIDANCE.fluency,
    format: Annotated[
        Literal["text", "jsonl"],
        typer.Option(
            help="One text a line, or one JSON object with all there is to know.",
            rich_help_panel="Output",
        ),
    ] = "text",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write results here, not to stdout.",
            rich_help_panel="Output",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            metavar="",
            help="Check the request and print it as a recipe (--format jsonl: all it comes to).",
            rich_help_panel="Output",
        ),
    ] = False,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            metavar="",
            help="Show on stderr how the words form.",
            rich_help_panel="Output",
        ),
    ] = False,
) -> None:
    """Generate texts under controls.

    Texts go to stdout as soon as their batch (with --select: their request) is done; verdicts,
    progress and warnings go to stderr.
    """
    from dlm_cli.plugins import load
    from dlm_core.bundle import ModelInfo

    _check_files(context, requests, resume, output, format)
    base = context.obj or Recipe()  # the callback of --recipe left it there
    sampling = _settings(
        SamplingConfig,
        base.sampling,
        sampler=sampler,
        steps=steps,
        eta=eta,
        spacing=spacing,
        time_power=time_power,
        self_conditioning_temperature=self_conditioning_temperature,
        clamp=clamp,
        clamp_start=clamp_start,
        temperature=temperature,
    )
    steering = _settings(
        GuidanceConfig,
        base.guidance,
        mode=guidance,
        guidance_steps=guidance_steps,
        guidance_lr=guidance_lr,
        optimizer=guidance_optimizer,
        fluency=fluency,
    )
    _warn_of_idle_options(sampling, steering)
    first = read_seed(seed)
    control = [*(control or ()), *(f"not {spec}" for spec in avoid or ())]
    plugins = load(plugin)
    info = ModelInfo.read(model)
    job = _Job(model, info, batch_size, sampling, steering, verify, plugins)
    if requests is not None:
        defaults = {"controls": control, "n": n, "seed": first, "select": select}
        defaults["keep"] = keep
        device = "" if dry_run else pick_device(device)
        raise typer.Exit(job.answer(requests, defaults, output, resume, device, watch))
    item = make_item(control, n, first, select, keep, plugins)
    controls = item.controls
    lengths = controls.check(info)
    if item.selector is not None and item.selector.kind == "control" and not (controls and verify):
        warn("selector 'control' has nothing to choose by", "-c SPEC, and no --no-verify")
    if dry_run:
        if format == "jsonl":
            request = {"n": n, "seed": first, "batch_size": batch_size, "device": device}
            request |= {"select": select, "keep": item.keep}
            print_json(_describe(info, controls, lengths, plugins, request, sampling, steering))
            return
        asked = Recipe(
            model=model,
            controls=tuple(control),
            n=n,
            seed=first,
            select=select,
            keep=keep,
            verify=verify,
            plugins=tuple(map(str, plugin or ())),
            sampling=sampling,
            guidance=steering,
        )
        _print_recipe(asked, _describe(info, controls, lengths, plugins, {}, sampling, steering))
        return
    with open_results(output) as results:
        made = job.make(item, pick_device(device), results, format, watch)
    if output is not None and results.path is not None:
        stderr(f"wrote {len(made)} texts to {output}")
    if verify and format == "text":
        _summarise(controls, made)


def _check_files(
    context: typer.Context,
    requests: str | None,
    resume: bool,
    output: Path | None,
    format: str,
) -> None:
    from dlm_core.errors import UsageError

    if resume and (requests is None or output is None or str(output) == "-"):
        raise UsageError(
            "option '--resume' goes on with a file", "--requests FILE -o FILE --resume"
        )
    source = context.get_parameter_source("format")
    if requests is not None and format == "text" and source and source.name == "COMMANDLINE":
        raise UsageError("option '--requests' gives JSONL only", "leave out --format text")


@dataclass(frozen=True)
class _Job:
    """How texts are made, whatever they are asked to satisfy."""

    model: str
    info: ModelInfo
    batch_size: int
    sampling: SamplingConfig
    guidance: GuidanceConfig
    verify: bool
    plugins: Plugins

    def _batches(
        self, model: LoadedModel, items: Sequence[Item], **options: Any
    ) -> Iterator[list[tuple[int, Result]]]:
        from dlm_core.generation import generate_batches

        return generate_batches(
            model,
            [item.request for item in items],
            sampling=self.sampling,
            guidance=self.guidance,
            batch_size=self.batch_size,
            verify=self.verify,
            plugins=self.plugins,
            **options,
        )

    def make(
        self, item: Item, device: str, out: ResultFile, format: str, watch: bool
    ) -> list[Result]:
        """Make one request's texts and write each batch as it is done, or those chosen at the end.

        Returns:
            what was written.
        """
        from dlm_core.bundle import Model

        steps, n = self.sampling.steps, item.n
        made: list[Result] = []
        candidates: list[Result] = []
        try:
            loaded = Model.load(self.model, device)
            with progress_bar("sampling", -(-n // self.batch_size) * steps, hidden=watch) as bar:
                for batch in self._batches(
                    loaded,
                    [item],
                    progress=lambda done, _: bar.update(done - bar.n),
                    on_step=_Watch(steps) if watch else None,
                ):
                    results = [result for _, result in batch]
                    bar.clear()
                    candidates += results
                    if item.selector is None:
                        made += results
                        out.write([_line(result, format) for result in results])
            if item.selector is not None:
                made = item.choose(candidates, self.plugins)
                out.write([_line(result, format) for result in made])
        except KeyboardInterrupt:
            if item.selector is None or out.lines:
                stderr(f"stopped: {out.lines} of {n} texts are written")
            else:
                stderr(f"stopped: {len(candidates)} of {n} candidates were made, none chosen yet")
            raise typer.Exit(130) from None
        return made

    def answer(
        self,
        name: str,
        defaults: dict[str, Any],
        output: Path | None,
        resume: bool,
        device: str,
        watch: bool,
    ) -> int:
        """Make the texts of a file of requests, in order; without a device only check them.

        Returns:
            the exit code: of the worst line.
        """
        from dlm_core.bundle import Model
        from dlm_core.generation import prepare

        loaded = Model.load(self.model, device) if device else None

        def parse(line: Line) -> Item:
            item = make_item(
                line.controls, line.n, line.seed, line.select, line.keep, self.plugins, line.id
            )
            if loaded is None:
                item.controls.check(self.info)
            else:
                prepare(loaded, item.request, self.plugins)
            return item

        written = Written(output) if resume and output is not None else None
        reader = Reader(name, defaults, parse)
        if written is not None:
            reader.done, reader.incomplete = written.texts, written.drop
        with open_lines(name, "option '--requests'") as lines:
            items = reader.items(lines)
            if loaded is None:
                stderr(f"{sum(1 for _ in items)} requests are well formed" + reader.summary())
                return reader.worst
            on_step = _Watch(self.sampling.steps) if watch else None
            with open_results(output, append=resume) as out:
                try:
                    with progress_bar("requests", None, hidden=watch) as bar:
                        for item, results in chain.from_iterable(
                            self._answers(loaded, chunk, on_step, reader.failed)
                            for chunk in chunks(items, self.batch_size)
                        ):
                            bar.clear()
                            if written is not None:
                                written.appended()
                            out.write(rows(item, results))
                            bar.update()
                except KeyboardInterrupt:
                    done = f"{out.lines} texts of {out.writes} requests"
                    stderr(f"stopped: {done} are written" + reader.summary())
                    raise typer.Exit(130) from None
        if output is not None or reader.failures:
            place = f" to {output}" if output is not None else ""
            stderr(f"wrote {out.lines} texts of {out.writes} requests{place}" + reader.summary())
        return reader.worst

    def _answers(
        self,
        model: LoadedModel,
        items: Sequence[Item],
        on_step: _Watch | None,
        failed: Callable[[Item, DLMError], None],
    ) -> Iterator[tuple[Item, list[Result]]]:
        """Each request with what is kept of it, as soon as its last text is made.

        Where one fails, those not answered yet are made one by one: their texts are the same.
        """
        from dlm_core.errors import DLMError

        todo = 0
        candidates: list[list[Result]] = [[] for _ in items]
        try:
            for batch in self._batches(model, items, on_step=on_step):
                for index, result in batch:
                    candidates[index].append(result)
                while todo < len(items) and len(candidates[todo]) == items[todo].n:
                    yield items[todo], items[todo].choose(candidates[todo], self.plugins)
                    todo += 1
        except DLMError as error:
            if len(items) == 1:
                failed(items[0], error)
                return
            for item in items[todo:]:
                yield from self._answers(model, [item], on_step, failed)


class _Watch:
    """Prints the words of x_0_hat about ten times a batch."""

    def __init__(self, steps: int) -> None:
        self.steps, self.every, self.seen = steps, max(1, steps // _WATCHED_STEPS), 0

    def __call__(self, t: float, texts: list[str]) -> None:
        step = self.seen % self.steps + 1
        self.seen += 1
        if step % self.every and step not in (1, self.steps):
            return
        stderr(f"step {step}/{self.steps}, t={t:.2f}")
        for text in texts[:_WATCHED_TEXTS]:
            stderr(f"  | {text}")
        if len(texts) > _WATCHED_TEXTS:
            stderr(f"  and {len(texts) - _WATCHED_TEXTS} more")


def read_seed(value: str) -> int:
    """`--seed`: an integer, or `random`, which is drawn and reported.

    Raises:
        UsageError: neither.
    """
    from dlm_core.errors import UsageError

    if value == "random":
        import secrets

        drawn = secrets.randbelow(2**31)
        stderr(f"seed: {drawn}")
        return drawn
    try:
        return int(value)
    except ValueError as error:
        raise UsageError(
            f"option '--seed': '{value}' is neither an integer nor 'random'", "--seed 7"
        ) from error


def _settings(cls: type[_S], base: _S, **options: Any) -> _S:
    """Validate options, over those of a recipe, as settings; the error names the option."""
    from pydantic import ValidationError

    from dlm_core.errors import UsageError

    try:
        return cls.model_validate(base.model_dump() | options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        flag = FLAGS.get(name, name).replace("_", "-")
        message = first["msg"].removeprefix("Input ")
        raise UsageError(f"option '--{flag}': {first['input']} {message}") from error


def _warn_of_idle_options(sampling: SamplingConfig, guidance: GuidanceConfig) -> None:
    idle: list[tuple[str, Settings, Settings, str]] = []
    if sampling.sampler == "ancestral":
        idle.append(("eta", sampling, SAMPLING, "--sampler ddim"))
    if not sampling.clamp:
        idle.append(("temperature", sampling, SAMPLING, "--clamp"))
        idle.append(("clamp_start", sampling, SAMPLING, "--clamp"))
    if guidance.mode == "posterior":
        names = ("guidance_steps", "guidance_lr", "optimizer", "fluency")
        idle += [(name, guidance, GUIDANCE, "--guidance paper or both") for name in names]
    for name, chosen, default, needed in idle:
        if getattr(chosen, name) != getattr(default, name):
            flag = FLAGS.get(name, name).replace("_", "-")
            warn(f"option '--{flag}' has no effect without {needed}")


def _line(result: Result, format: str) -> str:
    return result.text if format == "text" else result.model_dump_json()


def _describe(
    info: ModelInfo,
    controls: Controls,
    lengths: Lengths,
    plugins: Plugins,
    request: dict[str, Any],
    sampling: SamplingConfig,
    guidance: GuidanceConfig,
) -> dict[str, Any]:
    """The resolved request, everything a text will depend on."""
    from dlm_core.version import VERSION

    return {
        "dlm": VERSION,
        "model": {"name": info.path.name, "path": str(info.path), "sha256": info.sha256},
        "controls": [_describe_term(term, info, plugins) for term in controls.terms],
        "lengths": {"low": lengths.low, "high": lengths.high},
        **request,
        "sampling": sampling.model_dump(mode="json"),
        "guidance": guidance.model_dump(mode="json"),
    }


def _print_recipe(recipe: Recipe, resolved: dict[str, Any]) -> None:
    """A recipe on stdout, with what it comes to in its comments."""
    model, lengths = resolved["model"], resolved["lengths"]
    print(f"# dlm {resolved['dlm']}, model {model['name']} (sha256 {model['sha256'][:8]})")
    high = f"to {lengths['high']}" if lengths["high"] else "or more"
    print(f"# texts of {lengths['low']} {high} words")
    for term in resolved["controls"]:
        spec = json.dumps(term["spec"], ensure_ascii=False)  # on one line, whatever it holds
        print(f"# {spec} by {term['plugin']}, head: {term['head']}")
    print(recipe.toml(), end="")


def _describe_term(term: Term, info: ModelInfo, plugins: Plugins) -> dict[str, Any]:
    from dlm_cli.controls import head_state

    kind = term.spec.kind
    state = head_state(type(term.spec), info)
    if state == "missing":
        warn(
            f"control '{kind}' has no trained head in model '{info.path.name}': "
            "generating may end with this",
            f"dlm train control {kind} --model {info.path} --corpus READER:PATH",
        )
    return {
        "spec": str(term),
        "kind": kind,
        "fields": term.spec.model_dump(mode="json"),
        "weight": term.weight,
        "plugin": plugins.origin("control", kind),
        "head": state,
    }


def _summarise(controls: Controls, made: Sequence[Result]) -> None:
    """One line a control on stderr; why a verdict is missing is said once."""
    width = max((len(term.label) for term in controls.terms), default=0)
    reasons: dict[str, None] = {}
    for k, term in enumerate(controls.terms):
        reports = [result.controls[k] for result in made]
        judged = [report.satisfied for report in reports if report.satisfied is not None]
        reasons |= {report.detail: None for report in reports if report.satisfied is None}
        verdict = f"{sum(judged)}/{len(judged)} satisfied" if judged else "not judged"
        if judged and len(judged) < len(reports):
            verdict += f", {len(reports) - len(judged)} not judged"
        parts = [report.parts for report in reports if report.parts]
        for name in parts[0] if parts else ():
            verdict += f", {name} {sum(part.get(name, False) for part in parts)}/{len(parts)}"
        stderr(f"{term.label:{width}}  {verdict}")
    for reason in reasons:
        if reason:
            stderr(f"hint: not judged: {reason}")
