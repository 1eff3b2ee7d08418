"""Many requests: own noise, records, retries, the line at the end, and going on after a crash."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from dlm_cli.requests.item import own_seed


@pytest.fixture
def ask(make, tmp_path):
    """`dlm generate --requests` on these requests."""

    def run(lines, *argv):
        path = tmp_path / "requests.jsonl"
        path.write_text("".join((x if isinstance(x, str) else json.dumps(x)) + "\n" for x in lines))
        return make("--requests", path, "-n", 1, *argv)

    return run


def rows(run):
    return [json.loads(line) for line in run.lines]


def test_requests_have_their_own_noise_wherever_they_stand(ask):
    lines = [{"id": i} for i in range(12)]
    made = {row["id"]: row for row in rows(ask(lines))}
    assert len({row["text"] for row in made.values()}) > 8
    assert len({row["seed"] for row in made.values()}) == 12
    again = {row["id"]: row for row in rows(ask(lines[::-1][:5], "--batch-size", 2))}
    assert all(made[i]["text"] == row["text"] for i, row in again.items())
    other = rows(ask(lines, "--seed", 1))
    assert [row["text"] for row in other] != [made[i]["text"] for i in range(12)]
    assert made[3]["seed"] == made[3]["request"]["seed"] == own_seed(0, 3)
    fixed = rows(ask([{"id": "a", "seed": 7}, {"id": "b", "seed": 7}, {"id": "c", "seed": None}]))
    assert fixed[0]["text"] == fixed[1]["text"] and fixed[0]["seed"] == 7
    assert fixed[2]["seed"] == own_seed(0, "c")


def test_the_seed_of_a_request_stays_what_it_is():
    """Texts of files made before depend on it."""
    assert own_seed(0, 1) == 262866211575819
    assert own_seed(0, "1") != own_seed(0, 1) != own_seed(1, 1)
    assert all(0 <= own_seed(0, i) < 2**48 for i in range(1000))


def test_meta_comes_back_and_near_misses_do_not_pass(ask):
    run = ask([{"id": 1, "meta": {"product": "x", "list": [1, None]}}, {"id": 2}])
    first, second = rows(run)
    assert first["meta"] == {"product": "x", "list": [1, None]} and "meta" not in second
    for key, near in (("control", "controls"), ("sed", "seed"), ("metta", "meta")):
        run = ask([{"id": 1, key: 1}])
        assert run.code == 2 and f"unknown key '{key}'" in run.err and f"'{near}'" in run.err


def test_a_spec_may_stand_alone_and_an_integer_may_be_a_float(ask):
    row, other = rows(ask([{"id": 5.0, "controls": "length:5"}, {"id": "5"}]))
    assert row["id"] == 5 and isinstance(row["id"], int) and len(row["tokens"]) == 5
    assert other["id"] == "5"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"id": None}, "key 'id': must be a string or an integer, not null"),
        ({"id": True}, "key 'id': must be a string or an integer, not true"),
        ({"id": 1.5}, "key 'id': must be a string or an integer, not 1.5"),
        ({"id": 1, "controls": None}, """key 'controls': must be a list, ["length:5"], not null"""),
        ({"id": 1, "controls": [5]}, "key 'controls.0': must be a string, not 5"),
        ({"id": 1, "controls": ["length:5"] * 101}, "must have at most 100 items, not 101"),
        ({"id": 1, "n": True}, "key 'n': must be an integer, not true"),
        ({"id": 1, "n": 1.5}, "key 'n': must be an integer, not 1.5"),
        ({"id": 1, "n": 10**6}, "key 'n': must be less than or equal to 100000"),
        ({"id": 1, "seed": "4"}, "key 'seed': must be an integer, not \"4\""),
        ({"id": 1, "meta": []}, "key 'meta': must be an object, {...}, not []"),
        ('{"id": 1, "id": 2}', "key 'id' stands twice"),
        ('{"id": "\\ud800"}', "half a surrogate pair"),
        ('{"id": 1, "meta": {"x": 1e999}}', "the number 1e999 is too large"),
        ("[" * 100_000, "nested too deep"),
        ('{"id": "' + "x" * 1_100_000 + '"}', "the line is longer than 1,000,000 bytes"),
        ("\0", "not JSON"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_bad_line_is_told_in_words_and_ends_nothing(ask, request_, message):
    run = ask([{"id": "first"}, request_, {"id": "last"}])
    assert [row["id"] for row in rows(run)] == ["first", "last"] and run.code == 2
    assert "requests.jsonl, line 2: " in run.err and message in run.err
    assert "2 texts of 2 requests" in run.err and run.err.endswith("; refused 1\n")


ODD = """
from dlm_core import ControlSpec, Verdict, hookimpl

class Odd(ControlSpec):
    '''Fails in its own way.'''
    kind = "odd"
    positional = ("at",)
    examples = ("odd:x",)
    at: str
    def build(self, context):
        if self.at == "memory":
            raise MemoryError
        if self.at == "deep":
            return self.build(context)
        return context.control(lambda s: s.token_log_probs[:, 0].amax(-1))
    def verify(self, text):
        words = text.split()
        return Verdict(words[0] == "The" if self.at == "the" else len(words) < 0)

@hookimpl
def dlm_register_controls(register):
    register(Odd)
"""


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "odd.py"
    path.write_text(ODD)
    return path


@pytest.mark.parametrize("at", ["memory", "deep"])
def test_what_one_request_raises_ends_no_other(ask, odd, at):
    lines = [{"id": 1}, {"id": 2, "controls": f"odd:{at}"}, {"id": 3}]
    run = ask(lines, "--plugin", odd)
    assert [row["id"] for row in rows(run)] == [1, 3] and run.code == 5
    assert "line 2" in run.err and "control 'odd:" in run.err and "Traceback" not in run.err


def test_rows_say_whether_all_holds(ask, make, odd, keyword_plugin):
    lines = [{"id": 1, "controls": "length:5"}, {"id": 2, "controls": ["length:5", "odd:never"]}]
    held, failed = rows(ask(lines, "--plugin", odd))
    assert held["satisfied"] is True and failed["satisfied"] is False and failed["tries"] == 1
    run = make("-c", "word:pub", "-n", 1, "--plugin", keyword_plugin, "--format", "jsonl")
    assert rows(run)[0]["satisfied"] is None and run.err.endswith("; 1 not judged\n")


def test_the_line_at_the_end(ask, odd):
    lines = [
        {"id": 1, "controls": "length:5", "n": 3},
        {"id": 2, "controls": ["length:6", "odd:never"], "n": 2},
        {"id": 3, "controls": ["nope"]},
        {"id": 4},
    ]
    run = ask(lines, "--plugin", odd)
    assert re.search(
        r"^6 texts of 3 requests in \d+\.\d s; 3 satisfied, 2 not: odd 2; refused 1$",
        run.err.splitlines()[-1],
    )


def test_texts_that_fail_are_made_again(make, ask, odd, tmp_path):
    argv = ("--plugin", odd, "-c", "odd:the", "-n", 12, "--format", "jsonl")
    once = rows(make(*argv))
    run = make(*argv, "--until-satisfied", 30)
    again = rows(run)
    assert 0 < sum(row["satisfied"] for row in once) < 12
    assert all(row["satisfied"] for row in again) and "12 satisfied" in run.err
    for before, after in zip(once, again, strict=True):
        assert (after["tries"] == 1) == before["satisfied"]
        if before["satisfied"]:
            assert before == after
        else:  # the k-th further try is k * n further on
            assert after["seed"] == before["seed"] + 12 * (after["tries"] - 1)
    seeds = [row["seed"] for row in again]
    alone = make("--plugin", odd, "-c", "odd:the", "-n", 1, "--seed", seeds[-1]).lines
    assert alone == [again[-1]["text"]] and len(set(seeds)) == 12
    assert rows(make(*argv, "--until-satisfied", 30, "--batch-size", 5)) == again
    never = rows(ask([{"id": 1, "controls": "odd:never"}], "--plugin", odd, "--until-satisfied", 2))
    assert never[0]["tries"] == 3 and never[0]["satisfied"] is False
    refused = make(*argv, "--until-satisfied", 2, "--no-verify")
    assert refused.code == 2 and "needs verdicts" in refused.err


def test_resume_compares_what_was_asked(ask, tmp_path):
    out = tmp_path / "out.jsonl"
    lines = [{"id": i, "controls": "length:5"} for i in range(3)]
    assert ask(lines, "-o", out).code == 0
    before = out.read_bytes()
    same = ask(lines, "-o", out, "--resume")
    assert same.code == 0 and "; there already 3\n" in same.err and out.read_bytes() == before
    for change in ({"seed": 4}, {"controls": "length:6"}, {"meta": {"a": 1}}, {"n": 2}):
        run = ask([lines[0], lines[1] | change], "-o", out, "--resume")
        assert run.code == 2 and "line 2: id 1 has texts" in run.err, change
    run = ask(lines, "-o", out, "--resume", "--seed", 9)
    assert run.code == 2 and "; refused 3" in run.err
    for settings in (("--steps", 5), ("--until-satisfied", 2), ("--temperature", 0.5)):
        run = ask(lines, "-o", out, "--resume", *settings)
        assert run.code == 2 and "was made with other settings" in run.err
    assert out.read_bytes() == before


def test_a_cut_off_answer_is_removed_and_told_whatever_follows_in_the_requests(ask, tmp_path):
    """Also where an earlier request was mended meanwhile, so that it is appended first."""
    out = tmp_path / "out.jsonl"
    bad = [{"id": 1, "controls": "lenght:5"}, {"id": 2, "n": 3}, {"id": 3}]
    ask(bad[:2], "-o", out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    good = [{"id": 1, "controls": "length:5"}, *bad[1:]]
    run = ask(good, "-o", out, "--resume")
    assert run.code == 0 and f"{out}: the texts of id 2 were cut off, removed" in run.err
    found = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert found == [1, 2, 2, 2, 3]


@pytest.mark.parametrize("content", ["no line end", "a text\n", '{"text": "x"}\n', "{}\n[]"])
def test_a_foreign_file_is_not_touched(ask, tmp_path, content):
    out = tmp_path / "notes.txt"
    out.write_text(content)
    run = ask([{"id": 1}], "-o", out, "--resume")
    assert run.code == 2 and "line 1 is no result of --requests" in run.err
    assert out.read_text() == content


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_killed_at_any_moment_nothing_is_lost_or_made_twice(make, tiny_model, tmp_path, name):
    requests, whole, out = tmp_path / "r.jsonl", tmp_path / f"whole-{name}", tmp_path / name
    requests.write_text("".join(json.dumps({"id": i, "n": 2}) + "\n" for i in range(150)))
    argv = ["-m", str(tiny_model.info.path), "--requests", str(requests), "--steps", "4",
            "--batch-size", "8", "--device", "cpu"]  # fmt: skip
    assert make("--requests", requests, "--batch-size", 8, "-o", whole).code == 0
    read = subprocess.check_output
    unpack = ["zcat" if name.endswith("gz") else "cat"]
    for _ in range(3):
        command = [sys.executable, "-m", "dlm_cli", "generate", *argv, "-o", str(out)]
        size = out.stat().st_size if out.exists() else 0
        process = subprocess.Popen([*command, "--resume"], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end and (not out.exists() or out.stat().st_size <= size + 3000):
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert make("--requests", requests, "--batch-size", 8, "-o", out, "--resume").code == 0
    assert read([*unpack, str(out)]) == read([*unpack, str(whole)])


def test_damaged_requests_are_told_and_what_came_before_is_answered(make, tmp_path):
    import gzip

    path = tmp_path / "r.jsonl.gz"
    data = gzip.compress(b"".join(b'{"id": %d, "n": 1}\n' % i for i in range(3)))
    path.write_bytes(data + data[:-12])
    run = make("--requests", path)
    assert run.code == 2 and [json.loads(x)["id"] for x in run.lines] == [0, 1, 2]
    assert "damaged" in run.err


def test_a_bar_has_a_total_and_a_log_has_lines(monkeypatch, capsys):
    from dlm_cli import progress

    monkeypatch.setattr(progress, "EVERY", 0.0)
    said = []
    with progress.make_bar("requests", 200, False, said.append) as bar:
        bar.update(50)
        bar.total = 190
        bar.update()
        bar.clear()
    assert re.fullmatch(r"requests: 50 of 200, 0\.\d s, about 0\.\d s left", said[0])
    assert said[1].startswith("requests: 51 of 190") and len(said) == 2
    with progress.make_bar("requests", None, True, said.append) as bar:
        bar.update()
    assert len(said) == 2 and capsys.readouterr().err == ""


def test_a_training_that_goes_on_counts_its_own_steps_for_the_time_left(monkeypatch, capsys):
    from dlm_cli import progress
    from dlm_cli.train.bars import watching

    clock = iter([0.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with watching("training") as told:
        told.step(101, 201, "")  # the first of this run
    assert capsys.readouterr().err == "training: 101 of 201, 40 s, about 1 h 6 min left\n"
