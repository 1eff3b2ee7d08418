"""`dlm serve`: texts over HTTP."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.generate import options as ask
from dlm_cli.generate.asked import resolve
from dlm_cli.generate.job import Job
from dlm_cli.generate.options import SAMPLING
from dlm_cli.help import examples
from dlm_cli.memory import return_freed_memory
from dlm_cli.options import Device, Heads, Model, PluginFiles, Quiet
from dlm_cli.output import pick_device, warn
from dlm_cli.requests.recipes import Recipe
from dlm_cli.serve.limits import Limits
from dlm_core.config import SamplingConfig

if TYPE_CHECKING:
    from dlm_core.bundle import Model as LoadedModel

EPILOG = examples(
    "dlm serve",
    "dlm serve -m runs/mine --port 9000 --deterministic",
    "DLM_API_KEY=secret dlm serve --host 0.0.0.0 --max-n 8 --max-queue 256",
    'curl localhost:8000/v1/completions -d \'{"controls": \\["length:12"], "n": 2}\'',
)
LIMITS = Limits()
KEY = "DLM_API_KEY"
_PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
_HERE = ("127.0.0.1", "localhost", "::1")

Host = Annotated[
    str,
    typer.Option(
        metavar="ADDRESS",
        help="Where to listen; 0.0.0.0 is everywhere.",
        rich_help_panel="Server",
    ),
]
Port = Annotated[
    int,
    typer.Option(
        metavar="INT", min=0, max=65535, help="0 takes a free one.", rich_help_panel="Server"
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long a batch may wait for more requests; an idle server begins at once.",
        rich_help_panel="Server",
    ),
]
Grace = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long accepted requests may take to finish after SIGTERM or Ctrl-C.",
        rich_help_panel="Server",
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0.001,
        help="How long a client may take to send its body, or to take what is sent.",
        rich_help_panel="Limits",
    ),
]
Words = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="Words of a text; what the model can write if omitted.",
        rich_help_panel="Limits",
    ),
]
Texts = Annotated[
    int, typer.Option(metavar="INT", min=1, help="Texts of a request.", rich_help_panel="Limits")
]
Controls = Annotated[
    int,
    typer.Option(metavar="INT", min=0, help="Controls of a request.", rich_help_panel="Limits"),
]
Queue = Annotated[
    int,
    typer.Option(
        metavar="INT",
        min=1,
        help="Texts that may wait; requests beyond are refused with 429.",
        rich_help_panel="Limits",
    ),
]
Body = Annotated[
    int,
    typer.Option(metavar="BYTES", min=1, help="Body of a request.", rich_help_panel="Limits"),
]
Connections = Annotated[
    int,
    typer.Option(metavar="INT", min=1, help="Connections at once.", rich_help_panel="Limits"),
]


def command(
    model: Model = "e2e",
    head: Heads = None,
    device: Device = "auto",
    batch_size: ask.BatchSize = None,
    deterministic: ask.Deterministic = False,
    plugin: PluginFiles = None,
    verify: ask.Verify = True,
    steps: ask.Steps = SAMPLING.steps,
    temperature: ask.Temperature = SAMPLING.temperature,
    drafts: ask.Drafts = SAMPLING.drafts,
    corrections: ask.Corrections = SAMPLING.corrections,
    precision: ask.Precision = SAMPLING.precision,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    max_wait: Wait = LIMITS.max_wait,
    grace: Grace = LIMITS.grace,
    patience: Patience = LIMITS.patience,
    max_words: Words = LIMITS.max_words,
    max_n: Texts = LIMITS.max_n,
    max_controls: Controls = LIMITS.max_controls,
    max_queue: Queue = LIMITS.max_queue,
    max_body: Body = LIMITS.max_body,
    max_connections: Connections = LIMITS.max_connections,
    quiet: Quiet = False,
) -> None:
    """Serve texts over HTTP.

    It answers as OpenAI's completions do: POST /v1/completions takes 'controls' beside what
    OpenAI's clients send. DLM_API_KEY, where it is set, is the key that clients must give. SIGTERM
    and Ctrl-C finish what was accepted.
    """
    limits = Limits(
        max_wait=max_wait, max_queue=max_queue,
        max_n=max_n, max_controls=max_controls, max_words=max_words, max_body=max_body,
        max_connections=max_connections, patience=patience, grace=grace,
    )  # fmt: skip
    sampling = {
        "steps": steps, "temperature": temperature, "drafts": drafts, "corrections": corrections,
        "precision": precision,
    }  # fmt: skip
    asked = Recipe(
        model=model,
        plugins=tuple(map(str, plugin or ())),
        heads=tuple(head or ()),
        verify=verify,
        sampling=resolve(SamplingConfig, SAMPLING, sampling),
    )
    size = 1 if deterministic else batch_size
    _serve(asked, size, limits, (host, port), device)


def _serve(
    asked: Recipe, size: int | None, limits: Limits, address: tuple[str, int], device: str
) -> None:
    """Load, listen, and stay until a signal comes.

    Raises:
        typer.Exit: Ctrl-C stopped it.
    """
    _check(limits, address[0])
    from dlm_cli.serve.server import Server, bind
    from dlm_cli.serve.service import Service

    return_freed_memory()
    bound = bind(*address)
    with bound:
        job = Job.of(asked, size)
        loaded = job.load(pick_device(device))
        _warm(job, loaded)
        server = Server(Service(job, loaded, limits, os.environ.get(KEY, "")))
        server.serve_on(bound)
    if server.interrupted:
        raise typer.Exit(130)


def _check(limits: Limits, host: str) -> None:
    """Refuse what cannot work before anything is loaded."""
    from dlm_core.errors import MissingError, UsageError

    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingError(f"dlm serve needs {', '.join(missing)}", 'pip install "dlm[serve]"')
    if limits.max_queue < limits.max_n:
        raise UsageError(
            f"option '--max-queue': a request of {limits.max_n} texts would never fit into "
            f"{limits.max_queue}",
            "a larger --max-queue, or a smaller --max-n",
        )
    if host not in _HERE and not os.environ.get(KEY):
        warn(f"anybody who reaches {host} can ask for texts", f"set {KEY}")


def _warm(job: Job, model: LoadedModel) -> None:
    """Load what the first text would wait for."""
    from dlm_core.generation.generate import generate
    from dlm_core.generation.writer import load_writer

    load_writer(model)
    generate(model, sampling={"steps": 1}, plugins=job.plugins)
