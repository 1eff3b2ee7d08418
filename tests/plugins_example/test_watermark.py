"""The watermark plugin: hashes, exact p-values, exact conditioning, and the detector's command."""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import json
import random
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import pytest
import torch
import typer
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from typer.testing import CliRunner

import dlm_core as dlm
from dlm_core.guidance.guard import Guard
from dlm_core.plugins.registry import Plugins
from dlm_core.testing import assert_control
from tests.conftest import MakeState

FOLDER = Path(__file__).resolve().parents[2] / "plugins_example" / "dlm-watermark"


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return dlm.load_plugins([FOLDER], chosen=[], strict=True)


@pytest.fixture(scope="module")
def wm(plugins: Plugins) -> ModuleType:
    return sys.modules["dlm_watermark"]


@pytest.fixture(scope="module")
def valid(shared: Path) -> list[str]:
    """Texts of E2E valid, nobody's watermark in them."""
    path = shared / "data" / "e2e" / "valid.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return [" ".join(row["ref"].split()) for row in csv.DictReader(stream)]


def test_a_word_is_green_by_hmac(wm: ModuleType) -> None:
    """HMAC by its definition (RFC 2104); the share of green words is gamma."""

    def uniform(key: str, place: int, word: str) -> float:
        block = key.encode().ljust(64, b"\0")
        inner = hashlib.sha256(bytes(b ^ 0x36 for b in block) + f"{place} {word}".encode()).digest()
        outer = hashlib.sha256(bytes(b ^ 0x5C for b in block) + inner).digest()
        return int.from_bytes(outer, "big") / 2**256

    cases = [("K", 0, "The"), ("K", 1, "The"), ("k", 0, "café"), ("a key", 19, ".")]
    for key, place, word in cases:
        u = uniform(key, place, word)
        assert wm.is_green(key, u * 1.001, place, word)
        assert not wm.is_green(key, u * 0.999, place, word)
    share = sum(wm.is_green("K", 0.2, i, w) for i in range(40) for w in map(str, range(500)))
    assert 1e-4 < binom.cdf(share, 20000, 0.2) < 1 - 1e-4


@given(
    words=st.integers(1, 64),
    gamma=st.floats(0.01, 0.99),
    p_value=st.floats(1e-9, 0.5),
    data=st.data(),
)
def test_tail_is_scipys(
    wm: ModuleType, words: int, gamma: float, p_value: float, data: st.DataObject
) -> None:
    green = data.draw(st.integers(0, words))
    assert wm.tail(green, words, gamma) == pytest.approx(binom.sf(green - 1, words, gamma), 1e-9)
    least = wm.needed(words, gamma, p_value)
    assert least == words + 1 or binom.sf(least - 1, words, gamma) <= p_value * (1 + 1e-9)
    assert binom.sf(least - 2, words, gamma) > p_value * (1 - 1e-9)


def test_tilt_is_the_posterior_by_enumeration(
    wm: ModuleType, tiny_model: dlm.Model, make_state: MakeState
) -> None:
    """log p and the marginals, summed over every text of 3 or 5 words from a vocabulary of 6."""
    vocab = tiny_model.vocab
    spec = wm.Watermark("K", p_value=0.2, gamma=0.4)
    control = spec.build(dlm.BuildContext(tiny_model))
    support = [vocab.id(w) for w in ("The", "is", "cheap", "pub", "near", ".")]
    lengths = torch.tensor([5, 3])
    torch.manual_seed(0)
    q = torch.full((2, 5, len(vocab)), 1e-12, dtype=torch.float64)
    q[..., support] = torch.rand(2, 5, len(support), dtype=torch.float64)
    q = q / q.sum(-1, keepdim=True)
    state = make_state(q.log(), lengths=lengths)
    log_p = control.log_prob(state)
    tilted = Guard(control, 1.0, "watermark", "").tilt(state).exp()
    for row, n in enumerate(lengths.tolist()):
        joint = torch.zeros(5, len(vocab), dtype=torch.float64)
        total = 0.0
        for ids in itertools.product(support, repeat=n):
            text = " ".join(vocab.words[i] for i in ids)
            if spec.verify(text).satisfied:
                p = float(torch.stack([q[row, i, w] for i, w in enumerate(ids)]).prod())
                total += p
                for i, w in enumerate(ids):
                    joint[i, w] += p
        assert 0.01 < total < 0.99
        assert float(log_p[row].exp()) == pytest.approx(total, rel=1e-4)
        assert torch.allclose(tilted[row, :n], joint[:n] / total, atol=1e-4)
        assert torch.allclose(tilted[row, n:], q[row, n:], atol=1e-4)  # padding is left alone


@lru_cache
def attained(level: float, words: int, gamma: float) -> float:
    """The largest value of an exact p-value that is at most `level`."""
    tails = (float(binom.sf(k - 1, words, gamma)) for k in range(words + 1))
    return max((p for p in tails if p <= level), default=0.0)


@pytest.mark.parametrize("gamma", [0.2, 0.5])
@pytest.mark.parametrize("level", [0.01, 0.05])
def test_false_positives_are_as_rare_as_the_p_value_says(
    level: float, gamma: float, valid: list[str], wm: ModuleType
) -> None:
    """Texts of people, each under a key of its own; a fair coin would be within 4 deviations."""
    texts = random.Random(0).choices(valid, k=3000)
    found = [wm.detect([text], f"{level} {gamma} {i}", gamma) for i, text in enumerate(texts)]
    expected = [attained(level, f.words, gamma) for f in found]
    mean, var = sum(expected), sum(p * (1 - p) for p in expected)
    assert abs(sum(f.p_value <= level for f in found) - mean) < 4 * var**0.5
    assert mean <= level * len(found)


def test_false_positives_of_many_texts_together(valid: list[str], wm: ModuleType) -> None:
    """Texts of one domain begin and end alike: counted each time, one green 'The' would be many."""
    texts = random.Random(0).sample(valid, 30)
    found = [wm.detect(texts, f"key {i}", 0.2).p_value for i in range(150)]
    for level in (0.01, 0.05):
        assert binom.sf(sum(p <= level for p in found) - 1, 150, level) > 1e-4


def test_z_and_p_value_by_hand(wm: ModuleType) -> None:
    found = wm.Evidence(16, 20, 0.5)
    assert found.z == pytest.approx(6 / 5**0.5)
    assert found.p_value == pytest.approx((4845 + 1140 + 190 + 20 + 1) / 2**20)
    assert wm.detect([], "K").p_value == 1.0


@pytest.mark.parametrize("body", ["key=K,p_value=1e-3", "key=K,gamma=0.5,p_value=0.05"])
def test_generated_texts_are_marked(
    body: str, wm: ModuleType, plugins: Plugins, embedded_model: dlm.Model
) -> None:
    term = dlm.parse_spec(f"watermark:{body}", plugins.controls)
    length = dlm.parse_spec("length:20", plugins.controls)
    asked = dlm.Controls((term, length))
    results = dlm.generate(embedded_model, asked, n=8, plugins=plugins)
    assert sum(bool(r.satisfied) for r in results) >= 6
    texts = [r.tokenised for r in results]
    assert len(set(texts)) > 4
    assert wm.detect(texts, "K", term.spec.gamma).p_value < 1e-6
    assert wm.detect(texts, "another", term.spec.gamma).p_value > 1e-3


def test_conformance(wm: ModuleType, plugins: Plugins) -> None:
    assert_control("watermark:key=K", plugins=plugins)


def test_too_few_words_to_be_evidence(
    wm: ModuleType, plugins: Plugins, embedded_model: dlm.Model
) -> None:
    spec = wm.Watermark("K", p_value=1e-4, gamma=0.5)
    assert spec.lengths(embedded_model.info) == dlm.Lengths(14)  # 2^-13 > 1e-4 > 2^-14
    short = dlm.parse_spec("length:5", plugins.controls).spec
    with pytest.raises(dlm.UnsatisfiableError, match="at least 14 words"):
        dlm.generate(embedded_model, spec + short, n=1, plugins=plugins)
    with pytest.raises(dlm.UnsatisfiableError, match="this model writes"):
        dlm.generate(embedded_model, wm.Watermark("K", p_value=1e-300), n=1, plugins=plugins)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("watermark:", "'key'"),
        ('watermark:key=""', "'key'"),
        ("watermark:key=K,gamma=1.5", "'gamma'.*less than 1"),
        ("watermark:key=K,p_value=0", "'p_value'.*greater than 0"),
        ('watermark:{"key": "K", "gama": 0.5}', "no such field"),
        ("watermrk:key=K", "unknown control"),
    ],
)
def test_bad_specs(source: str, says: str, plugins: Plugins) -> None:
    with pytest.raises(dlm.SpecError, match=says) as caught:
        dlm.parse_spec(source, plugins.controls)
    assert caught.value.hint
    near = {"gama": "'gamma'", "watermrk": "'watermark'"}
    assert all(v in str(caught.value.hint) for k, v in near.items() if k in source)


@pytest.fixture(scope="module")
def command(plugins: Plugins) -> typer.Typer:
    """An app with the plugin's commands alone."""
    app = typer.Typer()
    (origin,) = (o for o in plugins.loaded if o.name == "watermark")
    plugins.call("dlm_register_commands", origin, app=app)
    app.callback()(lambda: None)
    return app


def test_detect_reads_lines(command: typer.Typer, wm: ModuleType, tmp_path: Path) -> None:
    texts = ["The Mill is a pub .", "", "The Eagle is cheap ."]
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts) + "\n", "utf-8")
    line = ["watermark", "detect", "--key", "K", "--gamma", "0.5", "--json"]
    from_file = CliRunner().invoke(command, [*line, str(path)], catch_exceptions=False)
    from_stdin = CliRunner().invoke(command, line, input=path.read_text("utf-8"))
    assert from_file.exit_code == from_stdin.exit_code == 0
    assert from_file.stdout == from_stdin.stdout
    rows = [json.loads(row) for row in from_file.stdout.splitlines()]
    assert [row["line"] for row in rows] == [1, 3, "all"]
    assert [row["words"] for row in rows] == [6, 5, 9]  # both have The, is at 0, 2
    for row, group in zip(rows, [texts[:1], texts[2:], texts], strict=True):
        found = wm.detect(group, "K", 0.5)
        assert row["green"] == found.green
        assert row["p_value"] == pytest.approx(binom.sf(found.green - 1, found.words, 0.5))
    readable = CliRunner().invoke(command, [*line[:-1], str(path)]).stdout.splitlines()
    assert len(readable) == 3
    assert f"p-value {rows[2]['p_value']:.3g}" in readable[2]


def test_detect_refuses(command: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "latin1").write_bytes(b"caf\xe9")
    cases = [
        (["--key", "K", str(tmp_path / "absent")], dlm.MissingError, "cannot read"),
        (["--key", "K", str(tmp_path / "latin1")], dlm.UsageError, "not UTF-8 text: byte 3"),
        (["--key", ""], dlm.UsageError, "the key is empty"),
        (["--key", "K", "--gamma", "2"], dlm.UsageError, "is no share"),
        (["--key", "K"], dlm.UsageError, "no text in standard input"),
    ]
    for options, kind, says in cases:
        done = CliRunner().invoke(command, ["watermark", "detect", *options], input=" \n")
        assert isinstance(done.exception, kind), done.output
        assert says in str(done.exception)
