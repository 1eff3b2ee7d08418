"""`dlm train init`: what it decides by the corpus and the time, and a recipe that is valid."""

from __future__ import annotations

import json
import random
import re
import tomllib
from pathlib import Path

import pytest

from dlm_cli.train.plan.figures import LEVELS, choose_figures
from dlm_cli.train.plan.sizes import NETS, choose_sizes
from dlm_cli.train.plan.texts import choose
from dlm_core.corpora import Example
from dlm_core.recipes.recipe import read_recipe

WORDS = ["the", "pub", "is", "cheap", "and", "near", "a", "river", "not", "far"]


def texts(n: int, words: tuple[int, int] = (4, 9), seed: int = 0) -> list[Example]:
    rng = random.Random(seed)
    rows = (" ".join(rng.choices(WORDS, k=rng.randint(*words))) for _ in range(n))
    return [Example(f"{row.capitalize()}.") for row in rows]


def test_ordinary_texts_are_kept_as_they_are() -> None:
    choice = choose(texts(300))
    assert (choice.text.case, choice.text.full_stop, choice.text.sentences) == ("keep", False, None)
    assert (choice.min_count, choice.pieces, choice.max_len) == (10, 0, 16)


def test_small_letters_among_others_missing_stops_and_long_texts_are_mended() -> None:
    small = [Example(e.text.lower().rstrip(".")) for e in texts(100, seed=1)]
    choice = choose([*texts(300), *small])
    assert (choice.text.case, choice.text.full_stop) == ("true", True)
    assert choice.why["case"] == "25% of the texts are in small letters"
    stories = [Example(" ".join(e.text for e in texts(20, seed=k))) for k in range(50)]
    long = choose(stories)
    assert long.text.sentences == (1, 3)
    assert long.max_len <= 40


def test_titles_without_any_end_mark_get_none() -> None:
    assert not choose([Example(e.text.rstrip(".")) for e in texts(200)]).text.full_stop


def test_rare_words_are_spelled_where_more_than_one_in_a_hundred_would_be_unk() -> None:
    rng = random.Random(3)
    names = [Example(f"The pub is near {''.join(rng.choices('abcdef', k=7))}.") for _ in range(400)]
    choice = choose([*texts(300), *names])
    assert (choice.min_count, choice.pieces) == (2, 4_000)
    assert "pieces spell the" in choice.why["min_count"]
    few = choose([*texts(3_000), *names[:2]])
    assert (few.min_count, few.pieces) == (10, 0)


def test_a_script_of_many_characters_gets_pieces_for_all_of_them() -> None:
    signs = [chr(0x4E00 + k) for k in range(3_000)]
    rows = [Example("".join(signs[k : k + 10])) for k in range(2_990)]
    assert choose(rows).pieces >= 2 * 5_900


@pytest.mark.parametrize(
    ("minutes", "speeds", "net"),
    [
        (30, (12_000, 7_000, 4_000), (128, 4)),
        (120, (12_000, 7_000, 4_000), (256, 6)),
        (45, (12_000, 7_000, 4_000), (192, 4)),
        (5, (400_000, 300_000, 200_000), (256, 6)),
    ],
)
def test_the_largest_net_that_sees_enough(
    minutes: float, speeds: tuple[int, ...], net: tuple[int, int]
) -> None:
    by_net = dict(zip(NETS, speeds, strict=True))
    sizes = choose_sizes(minutes, 1_000_000, 3, lambda *shape: by_net[shape])
    assert (sizes.hidden, sizes.layers) == net
    spent = sizes.seconds + sizes.writer_steps * 1_024 * 1.5 / sizes.speed
    assert spent <= 0.76 * 60 * minutes
    assert sizes.steps * 1_536 <= sizes.speed * 0.5 * 60 * minutes


def test_a_small_corpus_is_not_learnt_by_heart() -> None:
    sizes = choose_sizes(600, 3_000, 1, lambda hidden, layers: 12_000.0)
    assert sizes.passes <= 150
    assert sizes.seconds < 60


@pytest.mark.parametrize("positions", [1_000, 500_000, 6_000_000])
@pytest.mark.parametrize("minutes", [1, 15])
def test_in_the_minutes_that_are_named_a_net_sees_enough(positions: int, minutes: float) -> None:
    def speed(hidden: int, layers: int) -> float:
        return 5_000.0 * 128 * 4 / hidden / layers

    sizes = choose_sizes(minutes, positions, 3, speed)
    assert sizes.enough == {1_000: 150, 500_000: 16, 6_000_000: 3}[positions]
    assert (sizes.passes < 0.99 * sizes.enough) == (minutes < sizes.minutes)
    mended = choose_sizes(sizes.minutes, positions, 3, speed)
    assert mended.passes == pytest.approx(sizes.enough, rel=0.01)


def test_figures_are_of_as_many_texts_as_there_is_time_for() -> None:
    costs = [level.drafts(10) for level in LEVELS]
    assert costs == sorted(costs, reverse=True)
    for level, cost in zip(LEVELS, costs, strict=True):
        assert choose_figures(0.5 * cost, 0.5, 10) == level
    assert choose_figures(0.0, 0.5, 10) == LEVELS[-1], "and of the fewest where there is none"
    assert choose_figures(0.5 * costs[0], 0.5, 40) != LEVELS[0], "more controls cost more"


def rows(count: int) -> list[dict[str, str]]:
    rng = random.Random(0)
    foods = ("Thai", "French", "Indian")
    found = []
    for k in range(count):
        food, label = foods[k % 3], ("yes", "no")[k % 2]
        found.append({"body": f"The {rng.choice(WORDS)} pub serves {food} food {label}.",
                      "food": food, "label": label, "id": f"row {k}"})  # fmt: skip
    return found


def test_the_recipe_is_valid_and_the_check_is_told(run_cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows(300))))
    (tmp_path / "recipes").mkdir()
    corpus, out = "jsonl:own.jsonl#text=body", "recipes/own.toml"
    run = run_cli("train", "init", "--corpus", corpus, "--minutes", "1", "-o", out)
    code, told = run.code, run.err
    assert code == 0, told
    assert "data: 300 texts" in told
    assert "field food: 3 values in 100% of the texts" in told
    assert "field 'id' has a value a row, which the texts do not say" in told
    assert "use it: dlm train all recipes/own.toml --out DIR" in told
    recipe = tomllib.loads((tmp_path / out).read_text())
    assert set(recipe) == {
        "data", "text", "lm", "teacher", "writer", "controls", "evaluate", "card",
    }  # fmt: skip
    assert recipe["data"] == {"corpus": "jsonl:../own.jsonl#text=body"}
    read = read_recipe(tmp_path / out)
    assert read.lm.model.max_len == 16
    assert read.lm.max_steps >= 20
    assert read.teacher is not None
    assert read.teacher.positions == 18
    assert recipe["controls"]["label"]["kind"] == "classify"
    assert recipe["controls"]["semantic"]["steps"] >= 20
    assert "id" not in recipe["controls"]

    run = run_cli("train", "init", "--corpus", corpus, "-o", out)
    code, told = run.code, run.err
    assert code == 2
    assert "--force replaces it" in told


def test_too_few_passes_are_told_with_the_minutes_that_would_do(
    run_cli, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dlm_cli.train.plan.sizes.measured", lambda *args: 1_000.0)
    (tmp_path / "own.txt").write_text("\n".join(e.text for e in texts(5_000)))
    asked = ("train", "init", "--corpus", "text:own.txt", "-o", "own.toml")
    told = run_cli(*asked, "--minutes", 15).err  # as many passes as would do for a larger corpus
    found = re.search(r"(\S+) passes over the texts teach a model little, 150.0 are expected: "
                      r"--minutes (\d+) makes as many", told)  # fmt: skip
    assert found, told
    assert 10 < float(found[1]) < 150
    again = run_cli(*asked, "--force", "--minutes", found[2])
    assert again.code == 0 and "teach a model little" not in again.err, again.err


@pytest.mark.parametrize(
    ("content", "out", "told"),
    [
        ("one text\n", "r.toml", "the corpus has 1 text: none can be held out"),
        ("a b\nc d\n", "r", "option '--output': r exists"),
        ("a b\nc d\n", "own.txt/r.toml", "option '--output': cannot write into own.txt"),
    ],
)
def test_what_train_all_would_not_take_is_refused(
    content: str, out: str, told: str, run_cli, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r").mkdir()
    (tmp_path / "own.txt").write_text(content)
    run = run_cli("train", "init", "--corpus", "text:own.txt", "-o", out, "--force")
    assert run.code == 2 and told in run.err, run.err


def test_what_cannot_be_trained_on_is_refused(run_cli, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("one two\n" * 30)
    run = run_cli("train", "init", "--corpus", "text:a.txt", "-o", "r.toml")
    code, told = run.code, run.err
    assert code == 2
    assert "too little is left to learn from" in told
    assert not (tmp_path / "r.toml").exists()
