"""A server that really runs, in a thread, on the embedded model; the clients are OpenAI's own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from dlm_cli.generate.job import Job
from dlm_cli.requests.recipes import Recipe
from dlm_cli.serve.limits import Limits
from dlm_cli.serve.server import Server, bind
from dlm_cli.serve.service import Service
from dlm_core.bundle import Model

STEPS = 4
SAMPLING = {"steps": STEPS, "drafts": 1, "corrections": 0}
PLUGIN = '''
"""Controls that wait until they may go on, and that fail."""
import threading
from dlm_core import ControlSpec, Verdict, hookimpl

begun, go_on, judged = threading.Event(), threading.Event(), []

class Hold(ControlSpec):
    """Waits where it is built."""
    kind = "hold"
    examples = ("hold",)
    def build(self, context):
        begun.set()
        assert go_on.wait(60)
        return context.control(lambda s: s.token_log_probs.sum((1, 2)) * 0)
    def verify(self, text):
        return Verdict(True)

class Noted(Hold):
    """Notes each text it is asked about."""
    kind = "noted"
    def build(self, context):
        return context.control(lambda s: s.token_log_probs.sum((1, 2)) * 0)
    def verify(self, text):
        judged.append(text)
        return Verdict(True)

class Faulty(Noted):
    """Fails where it judges."""
    kind = "faulty"
    def verify(self, text):
        raise RuntimeError("out of order")

@hookimpl
def dlm_register_controls(register):
    for kind in (Hold, Noted, Faulty):
        register(kind)
'''


class Running:
    """A server, and what clients need to reach it."""

    def __init__(self, service: Service) -> None:
        self.service, self.server = service, Server(service)
        self.bound = bind("127.0.0.1", 0)
        self.port = self.bound.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = self.client_with("none")
        self.thread = threading.Thread(target=self.server.serve_on, args=(self.bound,))

    @property
    def plugin(self) -> dict[str, Any]:
        """What stands in PLUGIN."""
        found: dict[str, Any] = self.service.job.plugins.controls["hold"].build.__globals__
        return found

    def client_with(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def ask(self, *controls: Any, **more: Any) -> Any:
        """One completion; `prompt` is nothing unless given."""
        given = {"model": "e2e", "prompt": "", **more}
        extra = {"controls": list(controls), **given.pop("extra", {})}
        return self.client.completions.create(**given, extra_body=extra)

    def post(self, **more: Any) -> httpx.Response:
        """Bytes or JSON as they are."""
        return httpx.post(f"{self.url}/v1/completions", timeout=60, **more)

    def counted(self, name: str) -> float:
        """A number of /metrics, by its name with labels."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        found = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")]
        return float(found[0]) if found else 0.0

    def until(self, happened: Callable[[], bool]) -> None:
        """Wait for what is going to happen."""
        deadline = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < deadline
            time.sleep(0.01)


Serve = Callable[..., Running]


@contextmanager
def running(model: Model, **options: Any) -> Iterator[Running]:
    size, key = options.pop("batch_size", 8), options.pop("key", "")
    steps, plugins = options.pop("steps", STEPS), options.pop("plugins", ())
    asked = Recipe(sampling={**SAMPLING, "steps": steps}, plugins=plugins)
    there = Running(Service(Job.of(asked, size), model, Limits(**options), key))
    there.bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # a client soon is slow
    there.thread.start()
    there.until(lambda: there.server.started)
    try:
        yield there
    finally:
        there.client.close()
        there.server.should_exit = True
        there.thread.join(60)
        assert not there.thread.is_alive()


@pytest.fixture
def serve(embedded_model: Model, tmp_path: Path) -> Iterator[Serve]:
    """`serve(max_n=2, plugin=True)`: a server of its own, stopped after the test."""
    with ExitStack() as stack:

        def start(plugin: bool = False, **options: Any) -> Running:
            if plugin:
                path = tmp_path / "plugin_of_the_test.py"
                path.write_text(PLUGIN, encoding="utf-8")
                options["plugins"] = (str(path),)
            return stack.enter_context(running(embedded_model, **options))

        yield start


@pytest.fixture(scope="module")
def server(embedded_model: Model) -> Iterator[Running]:
    """One for all tests that need nothing else: each text walked alone."""
    with running(embedded_model, batch_size=1) as there:
        yield there
