"""`--trace` writes one page that works by itself; `--watch` draws in place on a terminal."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dlm_core as dlm
from dlm_cli.generate.watch import Watch
from dlm_cli.requests.recipes import Recipe, read_recipe
from dlm_cli.requests.typed import typed, typed_again
from dlm_core.bundle import Model
from dlm_core.results import Step
from tests.browser import TOO_WIDE, UNNAMED, chromium, expect, watched

HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\u2028"
PLUGIN = f'''
from dlm_core import ControlSpec, Place, Verdict, hookimpl

class Hostile(ControlSpec):
    """Says what no page may believe."""
    kind, positional, examples = "hostile", ("word",), ("hostile:x",)
    word: str
    def build(self, context):
        return context.control(lambda s: s.token_log_probs.sum((1, 2)) * 0)
    def verify(self, text):
        return Verdict(False, {HOSTILE!r}, places=[Place(0, 1, {HOSTILE!r})])

@hookimpl
def dlm_register_controls(register):
    register(Hostile)
'''


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as there:
        yield there


def opened(browser: Any, path: Path, **options: Any) -> tuple[Any, list[str], list[str]]:
    page = browser.new_page(**options)
    asked, wrong = watched(page)
    page.goto(path.as_uri())
    return page, asked, wrong


def texts(page: Any) -> list[str]:
    return [str(line.text_content()) for line in page.locator(".text").all()]


def test_the_page_has_every_step_and_the_verdicts(make, tmp_path, browser):
    out = tmp_path / "run.html"
    run = make("-n", 3, "--seed", 5, "-c", "length:6", "-c", "keyword:cheap", "--trace", out)
    assert run.code == 0 and str(out) in run.err
    page, asked, wrong = opened(browser, out)
    assert texts(page) == run.lines
    slider = page.get_by_role("slider", name="Step")
    assert slider.input_value() == "4"  # the finished texts, behind four steps
    assert page.get_by_role("status").count() == 1
    first = page.get_by_role("article").nth(0)
    assert first.get_by_role("heading").text_content() == "Text 1"
    assert first.locator("li.holds").count() == 2
    assert first.locator(".place").all_text_contents() == ["cheap"]
    # by keyboard alone: back to the first step, and forth again
    slider.focus()
    page.keyboard.press("Home")
    assert page.locator(".at").text_content() == "step 1 of 4 · t 1.00"
    assert "certainty" in first.locator(".told").text_content()
    assert page.locator(".word.moved").count() > 0
    fogs = page.eval_on_selector_all(
        ".text .word", "all => all.map(one => +getComputedStyle(one).getPropertyValue('--fog'))"
    )
    assert len(fogs) == 18 and all(0 <= fog < 1 for fog in fogs) and max(fogs) > 0
    page.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext").startswith("step 2 of 4")
    expect(page.get_by_role("status")).to_have_text(re.compile("^step 2 of 4"))
    page.keyboard.press("End")
    assert texts(page) == run.lines
    assert asked == [out.as_uri()] and wrong == []
    page.close()


def test_it_plays(make, tmp_path, browser):
    out = tmp_path / "run.html"
    assert make("-n", 1, "--trace", out).code == 0
    page, _, _ = opened(browser, out)
    page.get_by_role("button", name="Play").click()
    assert page.locator(".at").text_content().startswith("step")
    expect(page.locator(".at")).to_have_text("finished")
    assert page.get_by_role("button", name="Play").count() == 1
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_and_fits_a_narrow_screen(make, tmp_path, browser, scheme):
    out = tmp_path / "run.html"
    assert make("-n", 2, "-c", "keyword:cheap", "-c", "length:14", "--trace", out).code == 0
    narrow = {"viewport": {"width": 320, "height": 600}, "color_scheme": scheme}
    page, _, _ = opened(browser, out, **narrow)
    assert page.evaluate(UNNAMED) == []
    assert page.evaluate(TOO_WIDE) <= 0
    page.get_by_text("Make this text again").first.click()
    assert page.evaluate(TOO_WIDE) <= 0
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (sum(map(int, ground[4:-1].split(","))) > 380) == (scheme == "light")
    assert (sum(map(int, ink[4:-1].split(","))) < 380) == (scheme == "light")
    page.close()


def test_what_texts_and_plugins_say_is_never_html(make, tmp_path, browser):
    plugin, out = tmp_path / "hostile.py", tmp_path / "run.html"
    plugin.write_text(PLUGIN, "utf-8")
    left = "<img src=x onerror=alert(2)>"
    run = make(
        "--plugin", plugin, "-n", 1, "-c", f"infill:left={left}", "-c", f"hostile:{HOSTILE}",
        "--trace", out,
    )  # fmt: skip
    assert run.code == 0, run.err
    page, asked, wrong = opened(browser, out)
    assert "<img" in texts(page)[0]
    assert HOSTILE in page.locator("li.fails").text_content()
    assert page.locator("img, script:not(#run):not(body > script)").count() == 0
    assert wrong == [] and asked == [out.as_uri()]
    assert "<img" not in out.read_text("utf-8")  # the page without scripts, too
    page.close()


def test_a_notebook_shows_a_result(tiny_model: Model, tmp_path, browser):
    (result,) = dlm.generate(tiny_model, "length:6", sampling={"steps": 3}, trace=True)
    out = tmp_path / "notebook.html"
    out.write_text(f"<!doctype html><p>before</p>{result._repr_html_()}", "utf-8")
    page, _, wrong = opened(browser, out)
    inner = page.frame_locator("iframe")
    assert inner.locator(".text").text_content() == result.text
    assert inner.get_by_role("slider").input_value() == "3"
    # no higher than what it holds
    expect(page.locator("iframe")).to_have_attribute("style", re.compile(r"height: \d+px"))
    assert wrong == []
    page.close()


def test_a_result_without_steps_shows_itself(tiny_model: Model):
    (result,) = dlm.generate(tiny_model, "length:6", sampling={"steps": 3})
    assert result.text in result._repr_html_() and result.view["steps"] == []


def test_bad_places_of_the_page_are_told_before_any_text(make, tmp_path):
    there = tmp_path / "there.html"
    there.write_text("mine", "utf-8")
    run = make("--trace", there)
    assert run.code == 2 and f"option '--trace': {there} exists" in run.err and "--force" in run.err
    assert make("--trace", there, "--force").code == 0 and there.read_text("utf-8") != "mine"
    run = make("--trace", tmp_path / "none" / "x.html")
    assert run.code == 2 and "option '--trace': cannot write" in run.err
    run = make("--requests", "-", "--trace", tmp_path / "x.html")
    assert run.code == 2 and "exclude each other" in run.err


ASKED = Recipe(
    controls=("semantic:food=Japanese@0.5", 'pos:"PROPN AUX ..."', "not keyword:it's"),
    n=3, seed=-5, select="mbr:bleu", keep=2, until_satisfied=2,
    sampling={"steps": 7, "temperature": 0.5, "clamp": False, "drafts": 2},
    guidance={"mode": "both", "optimizer": "sign", "writer": False},
)  # fmt: skip


def test_the_command_asks_for_the_same(run_cli, tmp_path):
    for asked in (ASKED, Recipe(seed=3), Recipe(verify=False)):
        dlm_word, *words = shlex.split(typed(asked))
        run = run_cli(*words, "--dry-run")
        path = tmp_path / "asked.toml"
        path.write_text(run.out, "utf-8")
        assert run.code == 0 and dlm_word == "dlm"
        assert read_recipe(path).model_dump() == asked.model_dump()


def test_the_command_for_one_text_gives_it_again(make, run_cli, tiny_model):
    run = make("-n", 3, "--seed", 5, "-c", "keyword:cheap")
    asked = Recipe(
        model=str(tiny_model.info.path), controls=("keyword:cheap",), n=3, seed=5,
        sampling={"steps": 4},
    )  # fmt: skip
    again = run_cli(*shlex.split(typed_again(asked, 6))[1:], "--device", "cpu")
    assert again.lines == run.lines[1:2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_watch_draws_in_place_and_leaves_the_cursor(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", Terminal())
    first = Step(1.0, ("A", "cheap\x1b[2J", "."), (0.95, 0.2, 0.6), ("A", "pub", "."))
    with pytest.raises(KeyboardInterrupt), Watch(3) as watch:
        watch([first])
        watch([first._replace(t=0.5, own=first.words)])
        raise KeyboardInterrupt
    import sys

    shown = sys.stderr.getvalue()
    assert "step 1/3, t=1.00" in shown and "step 2/3, t=0.50" in shown
    assert "\x1b[1A" in shown  # back up, over what stands there
    assert "\x1b[?25l" in shown and shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "\x1b[2J" not in shown  # a text steers no terminal
    assert "\x1b[2;4;33mcheap" in shown or "\x1b[2;33;4m" in shown or "4;33m" in shown
