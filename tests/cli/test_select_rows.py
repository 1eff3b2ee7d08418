"""`dlm select` on rows of other programs."""

from __future__ import annotations

import json

ROWS = [
    {"text": "a pub", "controls": None, "score": 0.3, "model": "x"},
    {"text": "two\nlines\u2028here", "tokens": "no list"},
    {"id": 4, "text": "a bar", "controls": [{"name": "theirs"}], "satisfied": "yes"},
]


def test_a_row_needs_a_text_alone_and_keeps_the_rest(run_cli, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    run = run_cli("select", path, "-s", "none", "--keep", 5, "--format", "jsonl")
    assert run.code == 0 and not run.err
    rows = [json.loads(line) for line in run.out.rstrip("\n").split("\n")]
    for row, made in zip(ROWS, rows, strict=True):
        assert made == row | {"score": made["score"], "rank": made["rank"]}
    assert [row["rank"] for row in rows] == [1, 2, 1]
    text = run_cli("select", path, "-s", "none", "--keep", 5)
    assert text.out == "a pub\ntwo lines here\na bar\n"
    assert run_cli("select", path, "-s", "control").code == 0


def test_a_bad_row_is_told_and_the_rest_goes_on(run_cli, tmp_path):
    path = tmp_path / "rows.jsonl"
    bad = ['{"txt": 1}', "no", '{"text": null}', "[" * 100_000, '{"text": "\\ud800"}']
    path.write_text("\n".join(['{"text": "first"}', *bad, '{"text": "last"}']))
    run = run_cli("select", path, "-s", "none", "--keep", 9)
    assert run.code == 2 and run.lines == ["first", "last"]
    for number in range(2, 7):
        assert f"{path}, line {number}: " in run.err
    assert "nested too deep" in run.err and "half a surrogate pair" in run.err


def test_a_selector_that_fails_on_one_request_is_told_and_the_rest_goes_on(run_cli, tmp_path):
    plugin, path = tmp_path / "picky.py", tmp_path / "rows.jsonl"
    plugin.write_text(
        "from dlm_core import SelectorSpec, hookimpl\n"
        "class Picky(SelectorSpec):\n"
        "    '''Fails on a word.'''\n"
        "    kind = 'picky'\n"
        "    def scores(self, candidates):\n"
        "        return [1 / (c.text != 'bad') for c in candidates]\n"
        "@hookimpl\n"
        "def dlm_register_selectors(register):\n"
        "    register(Picky)\n"
    )
    path.write_text('{"id": "a", "text": "bad"}\n{"id": "b", "text": "good"}\n')
    run = run_cli("select", path, "-s", "picky", "--plugin", plugin)
    assert run.code == 5 and run.lines == ["good"]
    assert f'{path}, the texts of id "a": selector' in run.err
