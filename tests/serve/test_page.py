"""The page at `/` in a real browser: tasks of a new user, by mouse, by keyboard, on a phone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import dlm_core as dlm
from dlm_cli.__main__ import main
from dlm_core.bundle import Model
from tests.browser import TOO_WIDE, UNNAMED, chromium, expect, watched

from .conftest import Running, Serve

PLUGINS = dlm.load_plugins(chosen=())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as there:
        yield there


def opened(browser: Any, server: Running, **options: Any) -> Any:
    page = browser.new_page(**options)
    page.set_default_timeout(60_000)
    page.goto(server.url)
    expect(page.locator("#kind option")).not_to_have_count(0)
    return page


def add(page: Any, kind: str) -> Any:
    """The form of one more control."""
    page.get_by_role("combobox", name="Control").select_option(kind)
    page.get_by_role("button", name="Add", exact=True).click()
    return page.get_by_role("group", name=kind, exact=True).last


def generate(page: Any) -> None:
    page.get_by_role("button", name="Generate").click()
    expect(page.locator(".at")).to_have_text("finished")


def test_a_text_is_steered_by_clicking(
    browser: Any, server: Running, embedded_model: Model
) -> None:
    """Task: two texts with a fact, of some length; see how they come about; copy the command."""
    page = browser.new_page()
    asked, wrong = watched(page)
    page.goto(server.url)
    expect(page.locator("#kind option")).not_to_have_count(0)
    form = add(page, "semantic")
    form.get_by_label("field").fill("fo")
    expect(form.locator("datalist option").first).to_have_attribute("value", "food")
    form.get_by_label("field").fill("food")
    form.get_by_label("value").fill("Jap")
    expect(form.locator("datalist option[value=Japanese]")).to_have_count(1)
    form.get_by_label("value").fill("Japanese")
    add(page, "length").get_by_label("words").fill("9")
    page.get_by_label("Texts").fill("2")
    page.get_by_label("Seed").fill("7")
    generate(page)
    specs = ["semantic:food=Japanese", "length:9"]
    results = dlm.generate(
        embedded_model, specs, 2, 7, sampling=server.service.job.sampling, deterministic=True,
        plugins=PLUGINS, trace=True,
    )  # fmt: skip
    assert page.locator(".text").all_text_contents() == [r.text for r in results]
    first = page.get_by_role("article").first
    assert first.locator(".spec").all_text_contents() == specs
    signs = {True: "holds", False: "fails"}
    for k, report in enumerate(results[0].controls):
        assert (
            first.locator(".verdicts li").nth(k).get_attribute("class") == signs[report.satisfied]
        )
    assert first.locator(".badge").text_content() == "seed 7"
    expect(page.get_by_role("status")).to_have_text(re.compile("finished. 2 texts, all controls"))
    page.get_by_role("slider", name="Step").fill("1")
    shown = "".join(results[0].trace[1].view["words"])
    assert first.locator(".text").text_content() == shown
    assert all(address.startswith(server.url) for address in asked) and wrong == []
    page.close()


def test_the_command_makes_the_texts(
    browser: Any, server: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Task: take what the page shows to a terminal."""
    page = opened(browser, server)
    add(page, "keyword").get_by_label("phrases").fill("family friendly, pub")
    page.get_by_label("Seed").fill("5")
    generate(page)
    texts = page.locator(".text").all_text_contents()
    command = page.locator(".whole code").text_content()
    assert main([*shlex.split(command)[1:], "--deterministic"]) == 0
    assert capsys.readouterr().out.splitlines() == texts
    page.get_by_text("Make this text again").nth(1).click()
    again = page.locator(".again code").nth(1).text_content()
    assert main([*shlex.split(again)[1:], "--deterministic"]) == 0
    assert capsys.readouterr().out.splitlines() == texts[1:2]
    page.close()


def test_the_selectors_choice_is_marked(browser: Any, server: Running) -> None:
    """Task: let mbr choose among four."""
    page = opened(browser, server)
    page.get_by_label("Texts").fill("4")
    page.get_by_label("Choose the best by").select_option("mbr:utility=bleu")
    generate(page)
    cards = page.get_by_role("article")
    assert cards.count() == 4
    assert "chosen" in cards.first.locator(".badge.chosen").text_content()
    assert page.locator(".card.best").count() == 1
    scores = [float(re.findall(r"score ([-.\d]+)", card.text_content())[0]) for card in cards.all()]
    assert scores == sorted(scores, reverse=True)
    page.close()


def test_it_works_by_keyboard_alone(browser: Any, server: Running) -> None:
    """Task: without a mouse."""
    page = opened(browser, server)
    keys = page.keyboard
    page.locator("#kind").focus()
    page.locator("#kind").select_option("length")
    keys.press("Tab")
    keys.press("Enter")  # Add
    keys.type("8")  # the focus is in the form's first field
    keys.press("Enter")  # Generate
    expect(page.locator(".at")).to_have_text("finished")
    assert page.locator("li.holds").count() == 3
    page.get_by_role("slider").focus()
    keys.press("Home")
    expect(page.get_by_role("status")).to_have_text(re.compile("^step 1 of"))
    page.get_by_role("button", name="Remove length").focus()
    keys.press("Enter")
    assert page.locator("fieldset").count() == 0
    assert page.evaluate("document.activeElement.id") == "add"
    page.close()


@pytest.mark.parametrize("kind", sorted(PLUGINS.controls))
def test_every_control_has_a_form_that_fits_a_phone(
    browser: Any, server: Running, kind: str
) -> None:
    page = opened(browser, server, viewport={"width": 320, "height": 640})
    if page.locator(f"#kind option[value={kind}]").is_disabled():
        page.close()
        return
    form = add(page, kind)
    fields = PLUGINS.controls[kind].model_fields
    assert all(name.replace("_", " ") in form.text_content() for name in fields)
    assert page.evaluate(UNNAMED) == [] and page.evaluate(TOO_WIDE) <= 0
    page.close()


def test_a_meaning_representation_is_filled_in_by_pairs(browser: Any, server: Running) -> None:
    page = opened(browser, server)
    form = add(page, "mr")
    facts = [("name", "The Mill"), ("food", "French")]
    for number, (field, value) in enumerate(facts, 1):
        if number > 1:
            form.get_by_role("button", name="Add to facts").click()
        form.get_by_label(f"facts {number}, part 1").fill(field)
        form.get_by_label(f"facts {number}, part 2").fill(value[:3])
        expect(form.locator(f'datalist option[value="{value}"]')).not_to_have_count(0)
        form.get_by_label(f"facts {number}, part 2").fill(value)
    generate(page)
    assert page.locator(".spec").first.text_content() == 'mr:"name[The Mill], food[French]"'
    page.close()


def test_a_wrong_value_is_told_at_its_control(browser: Any, server: Running) -> None:
    """Task: get out of a mistake."""
    page = opened(browser, server)
    add(page, "length").get_by_label("words").fill("9")
    form = add(page, "semantic")
    form.get_by_label("field").fill("food")
    form.get_by_label("value").fill("<b>Japanes</b>")
    page.get_by_role("button", name="Generate").click()
    alert = page.get_by_role("alert")
    expect(alert).to_have_text(re.compile(r"unknown food '<b>Japanes</b>'"))
    spec, marks = alert.locator("code").all_text_contents()  # one under the other
    assert spec[marks.index("^") :][: marks.count("^")].strip('" \n') == "<b>Japanes</b>"
    expect(form.get_by_label("value")).to_be_focused()
    assert page.locator("fieldset.wrong").count() == 1
    assert form.get_attribute("class") == "control wrong"
    form.get_by_label("value").fill("Japanese")
    generate(page)
    assert not alert.is_visible() and page.locator("fieldset.wrong").count() == 0
    form.get_by_label("value").fill("Japanes")
    page.get_by_role("button", name="Generate").click()
    expect(alert).to_be_visible()
    assert page.locator(".text").count() == 3, "the texts that were made stay"
    page.close()


def test_a_page_waits_for_its_server(browser: Any, server: Running) -> None:
    context = browser.new_context()
    page = opened(context, server)
    add(page, "length").get_by_label("words").fill("7")
    page.locator("#select").select_option("control")
    context.set_offline(True)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("does not answer"))
    context.set_offline(False)
    expect(page.get_by_role("alert")).to_have_text(re.compile("is back"))
    assert page.locator("#select").input_value() == "control", "what was asked is kept"
    assert page.locator("#kind").input_value() == "length"
    generate(page)
    assert page.locator("li.holds").count() == 3
    context.close()


def test_a_key_is_asked_for(browser: Any, serve: Serve) -> None:
    page = browser.new_page()
    page.goto(serve(key="sesame").url)
    page.get_by_label("Key of this server").fill("sesame")
    page.keyboard.press("Tab")
    expect(page.locator("#kind option")).not_to_have_count(0)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_programs_get_the_list_and_browsers_the_page(server: Running) -> None:
    plain = httpx.get(server.url)
    assert "GET  /v1/selectors" in plain.text and plain.headers["content-type"].startswith(
        "text/plain"
    )
    html = httpx.get(server.url, headers={"Accept": "text/html"})
    assert html.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in html.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(/[^"]+)"', html.text):
        assert httpx.get(f"{server.url}{name}").status_code == 200
    assert httpx.get(f"{server.url}/page/page.py").status_code == 404


def values(server: Running, kind: str, **query: str) -> httpx.Response:
    return httpx.get(f"{server.url}/v1/controls/{kind}/values", params=query)


def test_values_go_on_from_what_is_typed(server: Running, embedded_model: Model) -> None:
    assert values(server, "pos", field="tags", typed="PROPN au").json()["data"] == ["PROPN AUX"]
    words = values(server, "keyword", field="phrases", typed="family fr").json()["data"]
    known = embedded_model.vocab.plain_words
    assert words == [f"family {word}" for word in known if word.lower().startswith("fr")][:20]
    labels = values(server, "span", field="label", typed="N").json()["data"]
    assert "NP" in labels
    assert values(server, "length", field="words", typed="1").json()["data"] == []
    assert values(server, "lenght", field="words").json()["error"]["hint"].count("length")
    for given in ("[]", "{", '{"field": 1'):
        assert values(server, "semantic", field="value", given=given).status_code == 400
    offers = values(server, "semantic", field="value", given='{"field": 3}')
    assert offers.json()["data"] == []
