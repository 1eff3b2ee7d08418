"""`dlm serve` as a process: what it refuses before it listens, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_port_in_use_and_a_broken_bundle_are_told_before_it_listens(run_cli, bundle):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        run = run_cli("serve", "--port", taken.getsockname()[1])
    assert run.code == 2 and "Address already in use" in run.err and "hint: --port 0" in run.err
    (bundle / "model.safetensors").write_bytes(b"nothing")
    run = run_cli("serve", "--port", 0, "-m", bundle)
    assert run.code == 3 and "model.safetensors" in run.err and "serving" not in run.err
    assert run_cli("serve", "--host", "no.such.host.invalid").code == 2
    assert run_cli("serve", "--port", 99999).code == 2
    run = run_cli("serve", "--max-queue", 3)
    assert run.code == 2 and "'--max-queue'" in run.err


@pytest.fixture
def process():
    """A server of its own process, and its address."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "DLM_PLUGINS": "off"}
    argv = [sys.executable, "-m", "dlm_cli", "serve", "--port", "0", "--steps", "8"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=env) as started:
        assert started.stderr is not None
        line = started.stderr.readline()
        yield started, line.split()[-1]
        started.kill()


def test_sigterm_finishes_what_was_accepted_and_ends_with_0(process):
    started, url = process

    def ask(k: int) -> int | None:
        try:
            body = {"controls": ["length:8"], "n": 8, "seed": k, "stream": bool(k % 2)}
            answer = httpx.post(f"{url}/v1/completions", json=body, timeout=60)
        except httpx.ConnectError:
            return None  # it has ended already
        assert answer.status_code != 200 or answer.text.count('"signature"') == 8
        return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, k) for k in range(8)]
        next(one for one in asked if one.result())
        late = [pool.submit(ask, k) for k in range(8, 40)]
        started.send_signal(signal.SIGTERM)
        first, rest = [one.result() for one in asked], [one.result() for one in late]
    assert first == [200] * 8
    assert set(rest) <= {200, 503, None} and rest[-1] != 200
    assert started.wait(60) == 0
    assert "Traceback" not in started.stderr.read()


def test_ctrl_c_ends_with_130(process):
    started, url = process
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 130
