"""Pages of figures: what stands between marks is what the figures in the repository say."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import meaning_page
import readme_page
from marks import filled

from benchmarks.paper import page as results_page

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("figures", "page", "rewritten"),
    [
        ("meaning", "docs/many-conditions.md", meaning_page.rewritten),
        ("controls", "README.md", readme_page.rewritten),
    ],
)
def test_the_page_says_what_the_figures_say(
    figures: str, page: str, rewritten: Callable[[str, Any], str]
) -> None:
    data = json.loads((ROOT / "benchmarks" / "figures" / f"{figures}.json").read_text("utf-8"))
    text = (ROOT / page).read_text("utf-8")
    assert rewritten(text, data) == text, "run the command in the docstring of its module"


def test_the_results_page_says_what_the_tables_say() -> None:
    text = (ROOT / "docs" / "results.md").read_text("utf-8")
    found = results_page.rewrite(text, ROOT / "benchmarks" / "figures" / "results", ROOT / "docs")
    assert found == text, "run benchmarks.paper.page"


def test_a_page_without_the_mark_is_told() -> None:
    assert (
        filled("<!-- a -->\nold\n<!-- end -->\n", {"a": "new"}) == "<!-- a -->\nnew\n<!-- end -->\n"
    )
    with pytest.raises(ValueError, match="0 marks <!-- b -->"):
        filled("<!-- a -->\n<!-- end -->", {"b": "new"})


def test_a_page_is_rewritten_between_its_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = {"value": 0.975, "low": 0.9, "high": 1.0}
    ratio = {"value": 1.04, "low": 0.98, "high": 1.1}
    row = {
        "targets": 20,
        "texts": 60,
        "said": figure,
        "ratio": ratio,
        "bleu_lowercase": {"value": 61.25, "low": 60.0, "high": 62.0},
        "shown": [
            "food[French]\n    A French pub.\n    -> twice ['pub']",
            "name[Aromi]\n    Aromi.",
        ],
    }
    data = tmp_path / "meaning.json"
    data.write_text(json.dumps({"model": "e2e", "mr": row, "free": {"texts": 3}}))
    page = tmp_path / "page.md"
    page.write_text(
        "a\n<!-- figures -->\nold\n<!-- end -->\nb\n<!-- texts -->\n\n<!-- end -->\nc\n"
    )
    monkeypatch.setattr("sys.argv", ["meaning_page.py", str(data), str(page)])
    for _ in range(2):  # a second run changes nothing
        meaning_page.main()
        found = page.read_text()
        assert found.startswith("a\n<!-- figures -->\n| row") and found.endswith(
            "<!-- end -->\nc\n"
        )
        assert "| 20 × 3 | 97.5 [90, 100] |" in found and "1.04 [0.98, 1.10]" in found
        assert "old" not in found and found.count("A French pub.") == 1
        assert "*(twice ['pub'])* <br> <sub>food[French]</sub>" in found
