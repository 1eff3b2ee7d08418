"""What is written where: nothing of a user's is lost, and what a name says is kept."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import subprocess
import sys

import pytest

import dlm_cli.files as files
from dlm_core.errors import DLMError

PACK = {".gz": gzip, ".bz2": bz2}


@pytest.fixture
def requests(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps({"id": i, "n": 2}) + "\n" for i in range(5)))
    return path


def ids(text):
    return [json.loads(line)["id"] for line in text.splitlines()]


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["plain", "force"])
@pytest.mark.parametrize("link", [None, os.symlink, os.link], ids=["same", "symlink", "link"])
def test_an_output_that_is_an_input_is_refused(
    make, tmp_path, requests, keyword_plugin, link, force
):
    recipe = tmp_path / "r.toml"
    recipe.write_text("n = 1\n")
    inputs = {"--requests": requests, "--recipe": recipe, "--plugin": keyword_plugin}
    for option, path in inputs.items():
        output = path
        if link is not None:
            output = tmp_path / f"link{option}"
            link(path, output)
        before = path.read_bytes()
        run = make(option, path, "-o", output, *force)
        assert run.code == 2 and path.read_bytes() == before
        assert f"option '--output': {output} is the file of {option}" in run.err


def test_select_refuses_its_input_as_output(run_cli, tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text('{"text": "a pub"}\n{"text": "a bar"}\n')
    run = run_cli("select", path, "-s", "none", "-o", path, "--force")
    assert run.code == 2 and "is the file of FILE" in run.err
    assert len(path.read_text().splitlines()) == 2


def test_stdout_may_not_be_the_requests_either(tiny_model, requests):
    before = requests.read_bytes()
    command = (
        f"{sys.executable} -m dlm_cli generate -m {tiny_model.info.path} --requests {requests} "
        f">> {requests}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2 and "stdout is the file of --requests" in done.stderr
    assert requests.read_bytes() == before


def test_an_output_that_exists_needs_force_or_resume(make, run_cli, tmp_path, requests):
    path = tmp_path / "out.jsonl"
    path.write_text("precious\n")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a pub"}\n')
    for run in (
        make("-n", 1, "-o", path),
        make("--requests", requests, "-o", path),
        run_cli("select", rows, "-s", "none", "-o", path),
    ):
        assert run.code == 2 and f"{path} exists" in run.err and "--force" in run.err
        assert path.read_text() == "precious\n"
    assert make("-n", 1, "-o", path, "--dry-run").code == 0
    assert make("-n", 1, "-o", path, "--force").code == 0 and "precious" not in path.read_text()
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert make("-n", 1, "-o", empty).code == 0
    both = make("--requests", requests, "-o", path, "--force", "--resume")
    assert both.code == 2 and "exclude each other" in both.err


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".GZ"])
def test_packed_by_name_both_ways_and_whole_after_a_crash(make, tmp_path, requests, suffix):
    packer = PACK[suffix.lower()]
    packed = tmp_path / f"requests.jsonl{suffix}"
    packed.write_bytes(packer.compress(requests.read_bytes()))
    plain, out = tmp_path / "out.jsonl", tmp_path / f"out.jsonl{suffix}"
    assert make("--requests", requests, "-o", plain).code == 0
    assert make("--requests", packed, "-o", out).code == 0
    rows = packer.decompress(out.read_bytes())
    assert rows == plain.read_bytes()
    for cut in (3, 40, len(out.read_bytes()) // 2):  # a crash in the middle of an archive
        out.write_bytes(out.read_bytes()[:-cut])
        run = make("--requests", packed, "-o", out, "--resume")
        assert run.code == 0 and "cut off" in run.err
        assert packer.decompress(out.read_bytes()) == rows


def test_every_write_can_be_read_before_the_file_is_closed(tmp_path):
    path = tmp_path / "out.jsonl.gz"
    with files.open_results(path) as out:
        out.write(['{"id": 1}', '{"id": 2}'])
        assert gzip.decompress(path.read_bytes()) == b'{"id": 1}\n{"id": 2}\n'
        out.write(['{"id": "\ud800"}'])  # half a surrogate pair: what JSON writes for it
    assert json.loads(gzip.decompress(path.read_bytes()).splitlines()[2]) == {"id": "\ud800"}


def test_a_second_run_on_one_output_is_refused(make, tmp_path, requests):
    path = tmp_path / "out.jsonl"
    with files.open_results(path) as first:
        first.write(["{}"])
        run = make("--requests", requests, "-o", path, "--force")
        assert run.code == 2 and "another run writes" in run.err
    assert path.read_text() == "{}\n"


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    with files.open_results(path) as out:
        out.write(["first"])

        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(DLMError, match="No space left on device"):
            out.write(["second"])
    assert path.read_text() == "first\n"


def test_what_a_plugin_prints_in_use_is_no_result(make, tmp_path):
    plugin = tmp_path / "loud.py"
    plugin.write_text(
        "from dlm_core import ControlSpec, SelectorSpec, Verdict, hookimpl\n"
        "class Loud(ControlSpec):\n"
        "    '''Prints.'''\n"
        "    kind = 'loud'\n"
        "    def check(self, info):\n"
        "        print('NOISE check')\n"
        "    def build(self, context):\n"
        "        print('NOISE build')\n"
        "        return context.control(lambda s: s.token_log_probs.amax((1, 2)))\n"
        "    def verify(self, text):\n"
        "        print('NOISE verify')\n"
        "        return Verdict(True)\n"
        "class First(SelectorSpec):\n"
        "    '''Prints.'''\n"
        "    kind = 'first'\n"
        "    def scores(self, candidates):\n"
        "        print('NOISE scores')\n"
        "        return [0.0] * len(candidates)\n"
        "@hookimpl\n"
        "def dlm_register_controls(register):\n"
        "    register(Loud)\n"
        "@hookimpl\n"
        "def dlm_register_selectors(register):\n"
        "    register(First)\n"
    )
    argv = ("-c", "loud", "-s", "first", "-n", 2, "--plugin", plugin)
    for more in (("--format", "jsonl"), ("--dry-run", "--format", "jsonl"), ("--dry-run",)):
        run = make(*argv, *more)
        assert run.code == 0 and "NOISE" not in run.out and "NOISE check" in run.err, run.err
    requests = tmp_path / "one.jsonl"
    requests.write_text('{"id": 1}\n')
    run = make(*argv, "--requests", requests)
    assert ids(run.out) == [1] and "NOISE verify" in run.err and "NOISE scores" in run.err


def test_home_is_expanded_in_every_path(make, run_cli, tmp_path, monkeypatch, requests):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make("--requests", "~/requests.jsonl", "-o", "~/out.jsonl").code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 10
    (tmp_path / "r.toml").write_text("n = 1\n")
    assert make("--recipe", "~/r.toml", "--plugin", "~/none.py").code == 3
    assert len(make("--recipe", "~/r.toml").lines) == 1
    assert len(run_cli("select", "~/out.jsonl", "-s", "none").lines) == 5
    missing = make("--plugin", "~/none.py")
    assert missing.code == 3 and str(tmp_path / "none.py") in missing.err


def test_a_line_without_end_is_not_read_into_memory(monkeypatch):
    class Endless(io.RawIOBase):
        taken = 0

        def readline(self, limit=-1):
            assert limit > 0
            self.taken += 1
            return b"x" * limit if self.taken < 9 else b"\n" if self.taken == 9 else b""

    (line,) = files._bounded(Endless())
    assert len(line) == files.MAX_LINE + 1
