"""Broken plugins end with 5, plugin and stage named: nothing on stdout, and the rest is done."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlm_cli.__main__ import main
from dlm_core.bundle import Model

PLUGIN = """
import sys, math, torch
from dlm_core import ControlSpec, Example, Lengths, SelectorSpec, Verdict, hookimpl

class Leaves(BaseException):
    "No Exception, as asyncio's CancelledError is none."

class C8(ControlSpec):
    "A word, at the start."
    kind = "c8"
    positional = ("word",)
    examples = ("c8:The",)
    normalised = True
    word: str
    def build(self, context):
        i = context.vocab.id("The")
        return context.control(lambda s: s.token_log_probs[:, 0, i], multilinear=True)
    def verify(self, text):
        return Verdict(text.startswith("The"))
{control}

class S8(SelectorSpec):
    "The first."
    kind = "s8"
    examples = ("s8",)
    def scores(self, candidates):
        return [float(-c.seed) for c in candidates]
{selector}

def read(path):
    yield Example("The Mill is a cheap pub near Burger King .", {{"name": "The Mill"}})
    yield Example("The Eagle is a French restaurant near The Mill .")
{reader}

@hookimpl
def dlm_register_controls(register):
    register(C8)

@hookimpl
def dlm_register_selectors(register):
    register(S8)

@hookimpl
def dlm_register_corpora(register):
    register("r8", read)
"""


def write(path: Path, control: str = "", selector: str = "", reader: str = "") -> Path:
    def inside(code: str) -> str:
        return textwrap.indent(textwrap.dedent(code), "    ")

    source = PLUGIN.format(
        control=inside(control), selector=inside(selector), reader=inside(reader)
    )
    path.write_text(source)
    return path


@dataclass(frozen=True)
class Fault:
    """What a plugin's code does, and what is said of it."""

    code: str
    told: str


def method(signature: str, body: str, told: str) -> Fault:
    return Fault(f"def {signature}:\n    {body}\n", told)


def built(log_prob: str, more: str = "", told: str = "") -> Fault:
    """A control object of one's own."""
    return Fault(
        "def build(self, context):\n"
        "    vocab = context.vocab\n"
        "    class It:\n"
        "        multilinear = True\n"
        f"        def log_prob(self, state): {log_prob}\n"
        f"        {more or 'pass'}\n"
        "    return It()\n",
        told,
    )


SOUND = "return state.token_log_probs[:, 0, 5]"
EXITS = "sys.exit(0)"
FAULTS = {
    "verify: a bool": method(
        "verify(self, text)", "return True", ": verify returned bool, expected a Verdict"
    ),
    "verify: nothing": method("verify(self, text)", "pass", ": verify returned NoneType, expected"),
    "verify: a word": method(
        "verify(self, text)", "return Verdict('yes')", "whose satisfied is 'yes', expected True"
    ),
    "verify: a high score": method(
        "verify(self, text)", "return Verdict(True, '', 1.5)", "whose score is 1.5, expected a numb"
    ),
    "verify: no number": method(
        "verify(self, text)", "return Verdict(True, '', math.nan)", "whose score is nan, expected"
    ),
    "verify: a number for a detail": method(
        "verify(self, text)", "return Verdict(True, 5)", "whose detail is 5, expected a str"
    ),
    "verify: wrong parts": method(
        "verify(self, text)",
        "return Verdict(True, parts={'a': 'b'})",
        "whose parts are {'a': 'b'}, expected a dict of str to bool",
    ),
    "verify: an exit": method("verify(self, text)", EXITS, "failed at verify: SystemExit: 0"),
    "verify: a BaseException": method(
        "verify(self, text)", "raise Leaves('now')", "failed at verify: Leaves: now"
    ),
    "lengths: a tuple": method(
        "lengths(self, info)", "return (3, 5)", ": lengths returned tuple, expected Lengths"
    ),
    "lengths: fractions": method(
        "lengths(self, info)", "return Lengths(2.5, 7.5)", "Lengths(2.5, 7.5), expected whole"
    ),
    "lengths: below nothing": method(
        "lengths(self, info)", "return Lengths(-3, -1)", "Lengths(-3, -1), expected whole numbers"
    ),
    "lengths: turned round": method(
        "lengths(self, info)", "return Lengths(5, 3)", "Lengths(5, 3), expected low <= high"
    ),
    "check: an answer": method(
        "check(self, info)", "return False", ": check returned bool, expected nothing"
    ),
    "check: an exit": method("check(self, info)", EXITS, "failed at check: SystemExit"),
    "bind: nothing": method("bind(self, info)", "pass", ": bind returned NoneType, expected a Con"),
    "build: an exit": method("build(self, context)", EXITS, "failed at build: SystemExit"),
    "build: a word": method(
        "build(self, context)", "return 'c'", ": build returned str, expected a control"
    ),
    "body: an exception": method("body(self)", "1 / 0", "failed at body: ZeroDivisionError"),
    "body: a number": method("body(self)", "return 5", ": body returned int, expected a str"),
    "fields: an exception": Fault(
        "@classmethod\ndef fields_from_body(cls, body):\n    1 / 0\n",
        "failed at fields_from_body: ZeroDivisionError",
    ),
    "fields: nothing": Fault(
        "@classmethod\ndef fields_from_body(cls, body):\n    pass\n",
        ": fields_from_body returned NoneType, expected a dict",
    ),
    "fields: an exception in a validator": Fault(
        "def model_post_init(self, context):\n    1 / 0\n",
        "failed at validation: ZeroDivisionError",
    ),
    "a weight that is none": Fault("default_weight = '2'", ": default_weight returned str, expec"),
    "log_prob: above 1": built(
        "return state.token_log_probs[:, 0, 5] * 0 + 1",
        told="log_prob returned 1.0000, expected at most 0",
    ),
    "log_prob: whole numbers": built(
        "return state.lengths", told="log_prob returned torch.int64, expected floats"
    ),
    "log_prob: an exit": built(EXITS, told="failed at t="),
    "scope: an exception": built(
        SOUND,
        "@property\n        def scope(self): 1 / 0",
        "failed at scope: ZeroDivisionError",
    ),
    "tilt: infinity": built(
        SOUND, "def tilt(self, s): return s.token_log_probs + math.inf", "tilt returned NaN or inf"
    ),
    "round: far ids": built(
        SOUND,
        "def round(self, q, n): return torch.full(q.shape[:2], 9999)",
        ": round returned the id 9999, expected ids from 0 to ",
    ),
    "round: UNK": built(
        SOUND,
        "def round(self, q, n): return torch.full(q.shape[:2], vocab.unk)",
        "expected ids of a word that may stand there",
    ),
    "fixed: START": built(
        SOUND,
        "def fixed(self, n, width): return torch.full((len(n), width), vocab.start)",
        "expected ids of a word: UNK, START, END and PAD are none",
    ),
    "fixed: far ids": built(
        SOUND,
        "def fixed(self, n, width): return torch.full((len(n), width), 9999)",
        ": fixed returned the id 9999, expected ids below ",
    ),
    "fixed: -2": built(
        SOUND,
        "def fixed(self, n, width): return torch.full((len(n), width), -2)",
        ": fixed returned the id -2, expected word ids, -1 where a place is free",
    ),
    "length_log_ratios: nothing": built(
        SOUND,
        "def length_log_ratios(self): pass",
        ": length_log_ratios returned NoneType, expected a tensor",
    ),
    "length_log_ratios: infinity": built(
        SOUND,
        "def length_log_ratios(self): return torch.full((99,), math.inf)",
        ": length_log_ratios returned NaN or infinity",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_control_is_named_and_the_others_are_answered(make, tmp_path, fault):
    path = write(tmp_path / "mine.py", FAULTS[fault].code)
    good = [{"id": "a", "n": 2}, {"id": "c", "seed": 3, "controls": ["length:5"]}]
    bad = {"id": "b", "controls": ["length:6", "c8:a"]}
    requests, sound = tmp_path / "r.jsonl", tmp_path / "good.jsonl"
    requests.write_text("".join(json.dumps(row) + "\n" for row in (good[0], bad, good[1])))
    sound.write_text("".join(json.dumps(row) + "\n" for row in good))

    run = make("--plugin", path, "--requests", requests)

    name = "c8" if fault.startswith(("body", "a weight")) else "c8:a"
    assert run.code == 5
    assert f"control '{name}' from {path}" in run.err and FAULTS[fault].told in run.err
    assert "Traceback" not in run.err and "line 2" in run.err
    assert run.out == make("--requests", sound).out and len(run.lines) == 6


@pytest.mark.parametrize("fault", ["verify: an exit", "lengths: a tuple", "round: UNK"])
def test_a_broken_control_alone_leaves_nothing_on_stdout(make, tmp_path, fault):
    path = write(tmp_path / "mine.py", FAULTS[fault].code)
    run = make("--plugin", path, "-c", "c8:a")
    assert run.code == 5 and run.out == ""
    assert f"error: control 'c8:a' from {path}" in run.err and FAULTS[fault].told in run.err


@pytest.mark.parametrize(
    ("merge", "told"),
    [
        ("def merge(self, other): return 5", ": merge returned int, expected a ControlSpec"),
        ("def contrary(self): return 5", ": contrary returned int, expected a ControlSpec or None"),
    ],
)
def test_what_is_asked_about_two_is_checked_too(make, tmp_path, merge, told):
    path = write(tmp_path / "mine.py", merge)
    run = make("--plugin", path, "-c", "c8:a", "--not", "c8:b", "-c", "c8:c")
    assert run.code == 5 and not run.out
    assert f" from {path}" in run.err and told in run.err


def test_the_contrary_of_what_is_above_1_is_the_plugins_fault(make, tmp_path):
    path = write(tmp_path / "mine.py", FAULTS["log_prob: above 1"].code)
    run = make("--plugin", path, "--not", "c8:a")
    assert run.code == 5 and f"control 'not c8:a' from {path}" in run.err
    assert "expected at most 0" in run.err


def test_a_lying_log_ratio_of_all_lengths_is_a_request_that_cannot_be(make, tmp_path):
    fault = built(SOUND, "def length_log_ratios(self): return torch.full((99,), -math.inf)")
    run = make("--plugin", write(tmp_path / "mine.py", fault.code), "-c", "c8:a")
    assert run.code == 4 and "control 'c8:a' holds in texts of no length" in run.err


SELECTORS = {
    "an exit": ("sys.exit(0)", "failed at scores: SystemExit"),
    "nothing": ("return None", ": scores returned NoneType, expected a list of numbers"),
    "words": ("return ['1'] * len(candidates)", ": scores returned str, expected a number"),
    "digits": ("return '1234'", ": scores returned str, expected a number"),
    "too few": ("return [1.0]", ": scores returned 1 scores for 4 candidates, expected one each"),
}


@pytest.mark.parametrize("fault", SELECTORS)
def test_a_broken_selector_is_named_and_the_others_are_answered(make, tmp_path, fault):
    body, told = SELECTORS[fault]
    path = write(tmp_path / "mine.py", selector=f"def scores(self, candidates): {body}")
    requests = tmp_path / "r.jsonl"
    rows = [{"id": 1, "n": 1}, {"id": 2, "n": 4, "select": "s8"}, {"id": 3, "n": 1}]
    requests.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = make("--plugin", path, "--requests", requests)
    assert run.code == 5 and f"selector 's8' from {path}" in run.err and told in run.err
    assert [json.loads(line)["id"] for line in run.lines] == [1, 3]


def test_a_selector_that_sorts_its_candidates_mixes_nothing_up(make, tmp_path):
    sound = write(tmp_path / "sound.py")
    sorts = write(
        tmp_path / "sorts.py",
        selector="""
        def scores(self, candidates):
            found = [float(-c.seed) for c in candidates]
            candidates.reverse()
            return found
        """,
    )
    ask = ("-n", 4, "--select", "s8", "--keep", 4)
    assert make("--plugin", sorts, *ask).out == make("--plugin", sound, *ask).out


READERS = {
    "raises": ("raise RuntimeError('r')", " failed at example 3: RuntimeError: r"),
    "exits": ("sys.exit()", " failed at example 3: SystemExit"),
    "a string": ("yield 'a text'", ": example 3 returned str, expected an Example"),
    "no text": ("yield Example(None)", "example 3 returned an Example whose text is None, expec"),
    "numbers": (
        "yield Example('a', {'stars': 5})",
        "example 3 returned an Example whose fields are {'stars': 5}, expected a dict of str",
    ),
}


@pytest.mark.parametrize("fault", READERS)
def test_a_broken_reader_is_named_with_the_number_of_the_example(run_cli, tmp_path, fault):
    body, told = READERS[fault]
    path = write(tmp_path / "mine.py", reader=body)
    run = run_cli(
        "train", "lm", "--plugin", path, "--corpus", f"r8:{path}", "--out", tmp_path / "out"
    )
    assert run.code == 5 and not run.out
    assert f"error: corpus 'r8' from {path}" in run.err and told in run.err


def test_a_reader_that_gives_nothing_is_named(run_cli, tmp_path):
    path = write(tmp_path / "mine.py")
    path.write_text(path.read_text().replace('register("r8", read)', 'register("r8", id and (\n'
                                             '        lambda path: None))'))  # fmt: skip
    run = run_cli(
        "train", "lm", "--plugin", path, "--corpus", f"r8:{path}", "--out", tmp_path / "out"
    )
    assert run.code == 5
    assert f"corpus 'r8' from {path}: reading returned NoneType, expected examples" in run.err


TRAINERS = {
    "nothing": ("pass", ": train returned NoneType, expected a dict of figures by name"),
    "words": ("return {'a': 'b'}", ": train returned str, expected a dict of figures by name"),
    "a number for a name": ("return {1: 0.5}", ": train returned a dict with the key 1, expected"),
    "an exit": ("sys.exit(0)", " failed at train: SystemExit: 0"),
}


@pytest.mark.parametrize("fault", TRAINERS)
def test_a_broken_training_is_named(run_cli, tmp_path, tiny_model: Model, fault):
    body, told = TRAINERS[fault]
    code = f"@classmethod\ndef train(cls, model, examples, out, **options): {body}"
    run = train_c8(run_cli, tmp_path, tiny_model, code)
    assert run.code == 5 and not run.out
    assert f"error: control 'c8' from {tmp_path / 'mine.py'}{told}" in run.err


def test_a_figure_that_is_none_is_told(run_cli, tmp_path, tiny_model: Model):
    code = "@classmethod\ndef train(cls, *args, **options): return {'loss': math.nan}"
    run = train_c8(run_cli, tmp_path, tiny_model, code)
    assert run.code == 0 and "loss: not measured" in run.err


def train_c8(run_cli, tmp_path: Path, model: Model, code: str):
    path = write(tmp_path / "mine.py", code)
    return run_cli(
        "train", "control", "c8", "--plugin", path, "--corpus", f"r8:{path}",
        "-m", model.info.path, "--out", tmp_path / "head", "--device", "cpu",
    )  # fmt: skip


PRINTS = {
    "check": "def check(self, info): print('noise')",
    "lengths": "def lengths(self, info):\n    print('noise')\n    return Lengths()",
    "verify": "def verify(self, text):\n    print('noise')\n    return Verdict(True)",
    "body": "def body(self):\n    print('noise')\n    return self.word",
    "log_prob": built("print('noise'); " + SOUND).code,
}


@pytest.mark.parametrize("stage", PRINTS)
def test_what_a_plugin_prints_goes_to_stderr(make, tmp_path, stage):
    path = write(tmp_path / "mine.py", PRINTS[stage])
    run = make("--plugin", path, "-c", "c8:a", "-n", 2, "--format", "jsonl")
    assert run.code == 0 and "noise" in run.err
    assert [json.loads(line)["seed"] for line in run.lines] == [0, 1]


def test_so_does_what_selectors_readers_and_trainings_print(
    make, run_cli, tmp_path, tiny_model: Model
):
    path = write(
        tmp_path / "mine.py",
        selector="def check(self): print('noise')\n"
        "def scores(self, candidates):\n    print('more')\n    return [0.0] * len(candidates)\n",
    )
    run = make("--plugin", path, "--select", "s8", "--format", "jsonl")
    assert run.code == 0 and "noise" in run.err and "more" in run.err
    assert len([json.loads(line) for line in run.lines]) == 1
    code = "@classmethod\ndef train(cls, *args, **options):\n    print('noise')\n    return {}"
    run = train_c8(run_cli, tmp_path, tiny_model, code)
    assert run.code == 0 and "noise" in run.err and not run.out


def test_a_listing_lives_with_a_control_that_has_an_empty_docstring(run_cli, tmp_path):
    path = write(tmp_path / "mine.py", "__doc__ = '  '")
    run = run_cli("controls", "list", "--plugin", path)
    assert run.code == 0 and any(line.startswith("c8") for line in run.lines)


def test_a_default_weight_that_is_none_is_named_where_it_is_shown(run_cli, tmp_path):
    path = write(tmp_path / "mine.py", "default_weight = 'heavy'")
    run = run_cli("controls", "show", "c8", "--plugin", path)
    assert run.code == 5 and f"control 'c8' from {path}" in run.err


def test_a_plugins_command_ends_with_the_code_it_says(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        "import sys\nfrom dlm_core import hookimpl\n"
        "class Leaves(BaseException): pass\n"
        "def leave(code: int):\n    print('out')\n    sys.exit(code)\n"
        "def fall(): raise Leaves('now')\n"
        "@hookimpl\ndef dlm_register_commands(app):\n    app.command()(leave)\n"
        "    app.command()(fall)\n"
    )
    monkeypatch.setenv("DLM_PLUGINS", str(path))
    assert main(["leave", "7"]) == 7
    assert capsys.readouterr().out == "out\n"
    assert main(["fall"]) == 5
    assert f"plugin 'mine' ({path}) failed in the command fall: Leaves: now" in (
        capsys.readouterr().err
    )
