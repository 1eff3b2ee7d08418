"""Row `plugins`: a broken plugin is named, with exit code 5, and stops nothing but itself."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from .common import Row, cut, dlm, last_line, tiny_bundle, trouble, write_lines

PLUGIN = '''
import math, sys, threading
from typing import ClassVar
from dlm_core import ControlSpec, Lengths, SelectorSpec, Verdict, hookimpl


class Broken(ControlSpec):
    """Breaks one promise."""

    kind: ClassVar[str] = "broken"
    positional: ClassVar[tuple[str, ...]] = ("word",)
    word: str = "pub"

    def build(self, context):
        i = context.vocab.id(self.word)
        return context.control(lambda state: state.token_log_probs[..., i].amax(-1))

    def verify(self, text):
        return Verdict(True)

    {method}


class BrokenSelector(SelectorSpec):
    """Breaks one promise."""

    kind: ClassVar[str] = "broken"

    def scores(self, results):
        {scores}


@hookimpl
def dlm_register_controls(register):
    register(Broken)


@hookimpl
def dlm_register_selectors(register):
    register(BrokenSelector)
'''
ROUND = """class Control:
        def log_prob(self, state):
            return state.token_log_probs[..., 5].amax(-1)
        def round(self, token_log_probs, lengths):
            return token_log_probs.argmax(-1) + 10_000
    def build(self, context):
        return self.Control()"""
METHODS = {
    "verify gives True": "def verify(self, text): return True",
    "verify gives None": "def verify(self, text): return None",
    "a verdict of words": "def verify(self, text): return Verdict('yes')",
    "a verdict's value is NaN": "def verify(self, text): return Verdict(True, '', math.nan)",
    "verify ends the process": "def verify(self, text): sys.exit(0)",
    "verify calls itself for ever": "def verify(self, text): return self.verify(text)",
    "lengths gives a tuple": "def lengths(self, info): return (3, 5)",
    "lengths below zero": "def lengths(self, info): return Lengths(-3, -1)",
    "build raises": "def build(self, context): raise FileNotFoundError('head.bin')",
    "build gives None": "def build(self, context): return None",
    "build ends the process": "def build(self, context): raise SystemExit(3)",
    "log p is NaN": "def build(self, context): "
    "return context.control(lambda s: s.token_log_probs.sum((1, 2)) * math.nan)",
    "log p of another shape": "def build(self, context): "
    "return context.control(lambda s: s.token_log_probs[:, :, 0])",
    "check raises": "def check(self, info): raise KeyError('x')",
    "words beyond the vocabulary": ROUND,
    "a weight of words": "default_weight = '2'",
}
SCORES = {
    "scores raise": "raise RuntimeError('no')",
    "scores are words": "return ['a'] * len(results)",
    "too few scores": "return [0.0]",
    "scores end the process": "sys.exit(0)",
}
PRINTING, PRINTS = "verify prints", "def verify(self, text): print('debug'); return Verdict(True)"


def run(names: list[str] | None = None) -> Row:
    """Each fault between two good requests."""
    names = names or [*METHODS, *SCORES, PRINTING]
    row = Row("plugins", f"{len(names)} kinds of broken plugin", len(names))
    with tempfile.TemporaryDirectory() as folder:
        model = tiny_bundle(Path(folder) / "tiny")
        for name in names:
            attack(row, name, Path(folder), model)
    return row


def attack(row: Row, name: str, folder: Path, model: Path) -> None:
    """Run one; the bad request stands between two good ones."""
    path = folder / "its_plugin.py"
    method = PRINTS if name == PRINTING else METHODS.get(name, "")
    scores = SCORES.get(name, "return [0.0] * len(results)")
    path.write_text(PLUGIN.replace("{method}", method).replace("{scores}", scores))
    bad = {"select": "broken", "n": 2} if name in SCORES else {"controls": ["broken:pub"]}
    asked = [{"id": "first"}, {"id": "bad"} | bad, {"id": "last", "controls": ["length:5"]}]
    requests = write_lines(folder / "r.jsonl", asked)
    words = ("--steps", 2, "-n", 1, "--device", "cpu", "--plugin", path, "--requests", requests)
    done = dlm("generate", "-m", model, *words, timeout=60)
    wrong = trouble(done, (0,) if name == PRINTING else (5,))
    row.check(wrong is None, name, wrong)
    if name != PRINTING:
        row.check("its_plugin" in done.err, name, f"not named: {last_line(done.err)}")
    answered = set()
    for line in done.out.splitlines():
        try:
            answered.add(json.loads(line, parse_constant=lambda c: int("no JSON"))["id"])
        except ValueError:
            row.fail(name, f"among the results on stdout: {cut(line)}")
    for key in ("first", "last"):
        row.check(key in answered, name, f"the {key} request is not answered")
