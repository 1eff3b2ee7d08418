"""Requests, recipes and selection on the command line."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dlm_core as dlm
from dlm_cli.requests.recipes import Recipe, read_recipe
from dlm_controls.selectors import MBR
from dlm_core.config import GuidanceConfig, SamplingConfig

LINES = [
    {"id": "a", "controls": ["length:5"], "n": 2, "seed": 1},
    {"id": 3, "controls": ["length:6"], "n": 5, "select": "mbr:chrf", "keep": 2},
    {"id": "d", "n": 1},
]
SPECS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=3)
SHARES = st.floats(0, 1)
RECIPES = st.builds(
    Recipe,
    controls=SPECS.map(tuple),
    n=st.integers(1, 10**6),
    seed=st.integers(-(2**40), 2**40),
    select=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    keep=st.none() | st.integers(1, 9),
    verify=st.booleans(),
    sampling=st.builds(SamplingConfig, eta=SHARES, temperature=SHARES, clamp=st.booleans()),
    guidance=st.builds(GuidanceConfig, t_min=SHARES, fluency=SHARES),
)


@pytest.fixture
def requests(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


@given(recipe=RECIPES)
def test_a_recipe_written_and_read_is_the_same(recipe):
    assert Recipe.model_validate(tomllib.loads(recipe.toml())) == recipe


def test_command_line_to_recipe_and_back(make, run_cli, tmp_path):
    @settings(max_examples=15)
    @given(
        n=st.integers(1, 40), seed=st.integers(0, 10**9), low=st.integers(1, 9), eta=SHARES,
        clamp=st.booleans(), guidance=st.sampled_from(["posterior", "paper", "both"]),
    )  # fmt: skip
    def round_trip(n, seed, low, eta, clamp, guidance):
        argv = ["-n", n, "--seed", seed, "-c", f"length:{low}-12@0.5", "--eta", eta, "--dry-run",
                "--clamp" if clamp else "--no-clamp", "--guidance", guidance]  # fmt: skip
        first = make(*argv, "--select", "mbr", "--keep", 1)
        path = tmp_path / "r.toml"
        path.write_text(first.out)
        assert (first.code, run_cli("generate", "--recipe", path, "--dry-run").out) == (
            0,
            first.out,
        )
        recipe = read_recipe(path)
        assert (recipe.n, recipe.seed, recipe.sampling.eta) == (n, seed, eta)
        assert (recipe.sampling.clamp, recipe.guidance.mode) == (clamp, guidance)

    round_trip()


@pytest.mark.parametrize(
    "argv",
    [
        ("-c", "length:5-7", "-c", "keyword:pub@0.5", "--not", "keyword:cheap,Mill"),
        ("-c", 'pattern:"The * (is|serves) ... ."', "--seed", -3, "--no-verify"),
        ("-c", "infill:left=The Mill,right=near Burger King .", "--no-clamp", "--guidance", "both"),
        ("-s", "control", "-n", 9, "--keep", 3, "--guidance-optimizer", "sign", "--fluency", 0.1),
        ("--sampler", "ddim", "--eta", 0.25, "--spacing", "rebuilt", "--time-power", 0.5),
        ("--plugin", "{plugin}", "--head", "word={head}", "-c", "word:pub", "--clamp-start", 0.4),
    ],
    ids=["not", "pattern", "infill", "select", "sampler", "plugin"],
)
def test_a_printed_recipe_prints_itself(make, run_cli, tmp_path, keyword_plugin, argv):
    path = tmp_path / "r.toml"
    (tmp_path / "head").mkdir()
    (tmp_path / "head/config.json").write_text("{}")
    places = {"plugin": keyword_plugin, "head": tmp_path / "head"}
    first = make(*(str(word).format(**places) for word in argv), "--dry-run")
    path.write_text(first.out)
    again = run_cli("generate", "--recipe", path, "--dry-run", "--allow-plugins")
    assert (first.code, again.code, again.out) == (0, 0, first.out), first.err + again.err
    assert Recipe.model_validate(tomllib.loads(first.out)).toml() in first.out


def test_options_win_over_the_recipe_and_the_texts_are_the_same(make, run_cli, tmp_path):
    argv = ("-n", 3, "--seed", 5, "-c", "length:7", "--no-verify")
    (tmp_path / "r.toml").write_text(make(*argv, "--dry-run").out)
    recipe = ("generate", "--recipe", tmp_path / "r.toml")
    assert run_cli(*recipe).lines == make(*argv).lines
    assert run_cli(*recipe, "--seed", 6, "-n", 1).lines == make(*argv).lines[1:2]
    assert len(run_cli(*recipe, "-n", 1, "-c", "length:4").lines[0].split()) == 4


@pytest.mark.parametrize(
    ("name", "text", "code", "parts"),
    [
        ("r.toml", 'selct = "mbr"', 2, ["r.toml: unknown key 'selct'", "'select'"]),
        ("r.toml", "[sampling]\nstepz = 3", 2, ["unknown key 'sampling.stepz'", "'steps'"]),
        ("r.json", '{"guidance": {"mod": 1}}', 2, ["unknown key 'guidance.mod'", "'mode'"]),
        ("r.toml", "n = 0", 2, ["r.toml, key 'n': must be greater than or equal to 1"]),
        ("r.toml", "n = \nseed = 1", 2, ["r.toml", "line 1"]),
        ("r.json", "[]", 2, ["r.json: expected a JSON object"]),
        ("r.toml", None, 3, ["cannot read", "r.toml"]),
    ],
)
def test_bad_recipes(run_cli, tmp_path, name, text, code, parts):
    if text is not None:
        (tmp_path / name).write_text(text)
    run = run_cli("generate", "--recipe", tmp_path / name)
    assert run.code == code and not run.out
    assert all(part in run.err for part in parts), run.err


def test_select_keeps_the_best_and_can_rank_all(make, tiny_model):
    every = make("-n", 5, "--select", "mbr:chrf", "--keep", 5, "--format", "jsonl")
    rows = [json.loads(line) for line in every.lines]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
    assert sorted(row["seed"] for row in rows) == [0, 1, 2, 3, 4]
    assert make("-n", 5, "--select", "mbr:chrf").lines == [rows[0]["text"]]
    best = dlm.generate(
        tiny_model, n=5, sampling=SamplingConfig(steps=4), select=MBR(utility="chrf"), keep=2
    )
    assert [result.model_dump(mode="json") for result in best] == rows[:2]
    assert make("-n", 3, "--select", "none").lines == make("-n", 3).lines


def test_dlm_select_chooses_as_generate_does(make, run_cli, tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text(make("-n", 5, "--format", "jsonl").out)
    again = run_cli("select", path, "--select", "mbr:chrf", "--keep", 5, "--format", "jsonl")
    assert again.out and [json.loads(line) for line in again.lines] == [
        json.loads(line)
        for line in make("-n", 5, "-s", "mbr:chrf", "--keep", 5, "--format", "jsonl").lines
    ]
    path.write_text('{"text": "a"}\n{"txt": 1}\n')
    run = run_cli("select", path, "--select", "none")
    assert run.code == 2 and f"{path}, line 2" in run.err


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (("--select", "mbrr"), ["unknown selector 'mbrr'", "'mbr'"]),
        (("--keep", 2), ["'keep' has no effect"]),
        (("-n", 2, "--keep", 3, "--select", "mbr"), ["cannot keep 3 of 2"]),
        (("--resume",), ["option '--resume'", "--requests FILE -o FILE"]),
        (("--requests", "-", "--format", "text"), ["JSONL only"]),
    ],
)
def test_bad_options(make, argv, parts):
    run = make(*argv)
    assert run.code == 2 and not run.out
    assert all(part in run.err for part in parts), run.err


def test_requests_are_answered_in_order_as_if_alone(make, requests):
    run = make("--requests", requests, "-n", 3, "--batch-size", 4)
    rows = [json.loads(line) for line in run.lines]
    assert run.code == 0 and [row["id"] for row in rows] == ["a", "a", 3, 3, "d"]
    seeds = {row["id"]: row["request"]["seed"] for row in rows}
    alone = [
        make("-n", 2, "--seed", 1, "-c", "length:5"),
        make("-n", 5, "--seed", seeds[3], "-c", "length:6", "-s", "mbr:chrf", "--keep", 2),
        make("-n", 1, "--seed", seeds["d"]),
    ]
    assert [row["text"] for row in rows] == [line for one in alone for line in one.lines]


def test_wrong_lines_are_told_and_the_rest_goes_on(make, monkeypatch):
    bad = ["not json", '{"id": "b", "controls": ["lenght:5"]}', '{"id": "a"}',
           '{"id": 4, "see": 1}', '{"n": 1}', '{"id": "e", "select": "mbrr"}']  # fmt: skip
    lines = [json.dumps(LINES[0]), *bad, json.dumps(LINES[2])]
    raw = "\n".join(lines).encode() + b'\n{"id": "\xff"}\n{"id": "f", "n": 1}'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    run = make("--requests", "-")
    assert run.code == 2 and [json.loads(x)["id"] for x in run.lines] == ["a", "a", "d", "f"]
    for number, part in enumerate(
        ["not JSON", "did you mean 'length'", 'id "a" is that of line 1', "did you mean 'seed'",
         "key 'id': is missing", "unknown selector 'mbrr'"], start=2
    ):  # fmt: skip
        assert f"stdin, line {number}: " in run.err and part in run.err
    assert "stdin, line 9: byte 0xff is not UTF-8" in run.err
    assert "4 texts of 3 requests in " in run.err
    assert run.err.endswith("; 2 satisfied; refused 7\n")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.9, 1.0])
def test_resume_completes_a_file_cut_off_anywhere(make, requests, tmp_path, share):
    path = tmp_path / "out.jsonl"
    argv = ("--requests", requests, "-o", path, "--batch-size", 4)
    assert make(*argv).code == 0
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert make(*argv, "--resume").code == 0
    assert path.read_bytes() == whole


def test_resume_refuses_a_changed_request_and_a_foreign_file(make, requests, tmp_path):
    path = tmp_path / "out.jsonl"
    make("--requests", requests, "-o", path)
    before = path.read_bytes()
    requests.write_text(json.dumps({**LINES[0], "n": 4}) + "\n")
    run = make("--requests", requests, "-o", path, "--resume")
    assert run.code == 2 and path.read_bytes() == before
    assert f'line 1: id "a" has texts in {path} of a request that was another' in run.err
    path.write_text("a text\n")
    run = make("--requests", requests, "-o", path, "--resume")
    assert run.code == 2 and "line 1 is no result of --requests" in run.err


def test_a_long_stream_flushes_as_it_goes_and_ctrl_c_keeps_it(tiny_model):
    # A shell starts background jobs with SIGINT ignored. Set in the child's Python: a preexec_fn
    # runs between fork and exec, where a lock of another thread of this process may hang it.
    start = (
        "import signal, sys; from dlm_cli.__main__ import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start, "generate", "-m", str(tiny_model.info.path), "--steps",
         "2", "--batch-size", "2", "-n", "1", "--requests", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write('{"id": 1}\n{"id": 2}\n')
    process.stdin.flush()
    ids = [json.loads(process.stdout.readline())["id"] for _ in range(2)]  # stdin is still open
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert ids == [1, 2] and process.returncode == 130
    assert "stopped: 2 texts of 2 requests are written" in err


FAILING = """
from dlm_core import ControlSpec, hookimpl

class Late(ControlSpec):
    '''Fails when little noise is left, or at its verdict.'''
    kind = "late"
    positional = ("at",)
    examples = ("late:step",)
    at: str
    def build(self, context):
        def log_prob(state):
            if self.at == "step" and state.t[0] < 0.5:
                raise ZeroDivisionError("too late")
            return state.token_log_probs.amax((1, 2))
        return context.control(log_prob)
    def verify(self, text):
        raise KeyError("verdict")

@hookimpl
def dlm_register_controls(register):
    register(Late)
"""


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_a_request_whose_control_fails_while_sampling_stops_no_other(
    make, monkeypatch, tmp_path, batch
):
    plugin, path = tmp_path / "late.py", tmp_path / "requests.jsonl"
    plugin.write_text(FAILING)
    lines = [LINES[0], {"id": "b", "controls": ["late:step"]}, LINES[1],
             {"id": 9, "controls": ["late:end"], "n": 1}, LINES[2]]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    argv = ("--requests", path, "--batch-size", batch, "--plugin", plugin)
    run = make(*argv)
    good = tmp_path / "good.jsonl"
    good.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    assert run.code == 5 and run.out == make("--requests", good).out
    assert f"error: {path}, line 2, id \"b\": control 'late:step' from" in run.err
    assert "ZeroDivisionError: too late" in run.err
    assert f"{path}, line 4, id 9: control 'late:end' from" in run.err and "verify" in run.err
    assert "Traceback" not in run.err
    monkeypatch.setenv("DLM_DEBUG", "1")
    assert "Traceback" in make(*argv).err


FAULTY = """
from dlm_core import SelectorSpec, hookimpl

class {name}(SelectorSpec):
    '''Faulty.'''
    kind = "faulty"
    def scores(self, candidates):
        return {body}

@hookimpl
def dlm_register_selectors(register):
    register({name})
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [("1 / 0", "ZeroDivisionError"), ("[1.0]", "1 scores for 4"), ("[float('nan')] * 4", "nan")],
)
def test_a_faulty_selector_of_a_plugin_is_named(make, tmp_path, body, message):
    path = tmp_path / "faulty.py"
    path.write_text(FAULTY.format(name="Faulty", body=body))
    run = make("--plugin", path, "--select", "faulty")
    assert run.code == 5 and not run.out
    assert "selector 'faulty' from" in run.err and str(path) in run.err and message in run.err
