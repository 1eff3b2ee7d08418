"""Several processes share a file of requests, and give what one gives, byte for byte."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_cli.requests.share import Share

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def requests(tmp_path):
    """Seven requests, of one and of several texts, one of them wrong, one told twice."""
    lines = [{"id": k, "n": 1 + k % 2, "controls": [f"length:{4 + k % 3}"]} for k in range(7)]
    lines[3:3] = [{"id": 1}, {"id": "x", "controls": ["length:900"]}]
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def launch(tmp_path, requests, tiny_model):
    """Runs so many processes as a launcher does; gives their codes and what they told."""

    def run(size, *argv):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = str(found.getsockname()[1])
        command = [
            sys.executable, "-m", "dlm_cli", "generate", "--requests", str(requests),
            "-m", str(tiny_model.info.path), "-n", "1", "--steps", "3", "--device", "cpu",
            "--batch-size", "2", *map(str, argv),
        ]  # fmt: skip
        processes = []
        for rank in range(size):
            group = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
            group |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
            environment = {**os.environ, **group, "OMP_NUM_THREADS": "1"}
            processes.append(
                subprocess.Popen(
                    command, env=environment, cwd=tmp_path, text=True, stderr=subprocess.PIPE
                )
            )
        told = [process.communicate(timeout=180)[1] for process in processes]
        return [process.returncode for process in processes], told

    return run


def test_two_processes_give_what_one_gives(launch, tmp_path):
    (code,), _ = launch(1, "-o", "one.jsonl")
    codes, told = launch(2, "-o", "two.jsonl")
    assert code == 4 and codes == [4, 0]  # the worst line's, told by the first
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert "10 texts of 7 requests" in told[0] and "refused 2" in told[0]
    assert sum("line 4: id 1 is that of line 2" in text for text in told) == 1
    assert not list(tmp_path.glob("part-*"))
    # gone on with after a crash: a row was torn, and the other process had not begun
    first, second = (tmp_path / "one.jsonl").read_bytes().splitlines(keepends=True)[:2]
    (tmp_path / "part-0-of-2.again.jsonl").write_bytes(first + second[:50])
    codes, told = launch(2, "-o", "again.jsonl", "--resume")
    assert codes == [4, 0] and "cut off by a crash, removed" in told[0]
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("size", "argv", "message"),
    [
        (2, [], "2 processes share a file of requests"),
        (2, ["-o", "out.jsonl", "--seed", "random"], "option '--seed'"),
        (3, ["-o", "out.jsonl", "--resume"], "part-0-of-2.out.jsonl"),
        (1, ["-o", "out.jsonl", "--resume"], "accelerate launch --num_processes 2"),
        (2, ["-o", "out.jsonl"], "part-0-of-2.out.jsonl exists"),
        (2, ["-o", "whole.jsonl", "--resume"], "hint: one process can"),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_is_refused(
    make, requests, tmp_path, monkeypatch, size, argv, message
):
    monkeypatch.chdir(tmp_path)
    for name, value in (("RANK", 0), ("LOCAL_RANK", 0), ("WORLD_SIZE", size)):
        monkeypatch.setenv(name, str(value))
    Path("part-0-of-2.out.jsonl").write_text("{}\n")
    Path("whole.jsonl").write_text("{}\n")
    run = make("--requests", requests, *argv)
    assert run.code == 2 and message in run.err and not run.out


def test_every_line_is_of_one_process_and_blocks_stay_whole():
    for size in (1, 2, 3, 8):
        shares = [Share(rank, size, block=4) for rank in range(size)]
        owners = [[s.rank for s in shares if s.has(line)] for line in range(1, 101)]
        assert all(len(found) == 1 for found in owners)
        assert all(owners[k] == owners[k - k % 4] for k in range(100))
