"""The pictures of the page and of a trace in docs/: docs/page.png, docs/trace.png.

    python benchmarks/screenshots.py

Starts `dlm serve`, runs `dlm generate --trace`, and opens both in the Chromium that is on PATH.
Look at the pictures before they are committed; the step of each stands in its caption.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import expect, sync_playwright

DOCS = Path(__file__).parents[1] / "docs"
DLM = (sys.executable, "-m", "dlm_cli")
STEPS = ("--steps", "12")
WIDE = {"width": 980, "height": 700}
MINUTES = 60_000.0


@contextmanager
def served() -> Iterator[str]:
    """The address of a server."""
    server = subprocess.Popen(
        [*DLM, "serve", "--port", "0", *STEPS], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        yield next(line.split()[-1] for line in server.stdout if line.startswith("serving"))
    finally:
        server.terminate()
        server.wait()


def of_page(page: Any, address: str) -> None:
    """Three controls, three texts, a choice; step 6."""
    page.goto(address)
    expect(page.locator("#kind option")).not_to_have_count(0)
    fields = {
        "semantic": {"field": "food", "value": "Japanese"},
        "keyword": {"phrases": "family friendly"},
        "length": {"words": "16", "to": "22"},
    }
    for kind, values in fields.items():
        page.locator("#kind").select_option(kind)
        page.locator("#add").click()
        form = page.get_by_role("group", name=kind, exact=True)
        for name, value in values.items():
            form.get_by_label(name).first.fill(value)
    page.locator("#seed").fill("7")
    page.locator("#select").select_option("mbr:utility=bleu")
    page.locator("#go").click()
    shoot(page, "page.png", 6)


def of_trace(page: Any) -> None:
    """A run of three texts; step 7."""
    asked = ("semantic:food=Japanese", "keyword:family friendly", "length:14-20")
    controls = [part for spec in asked for part in ("-c", spec)]
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.html"
        command = [*DLM, "generate", *controls, "-n", "3", "--seed", "7", *STEPS, "--trace", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page.goto(file.as_uri())
        shoot(page, "trace.png", 7)


def shoot(page: Any, name: str, step: int) -> None:
    """The whole page at a step of a finished run."""
    expect(page.locator(".at")).to_have_text("finished")
    page.get_by_role("slider").fill(str(step - 1))
    page.locator("h2").first.hover()  # nothing is focused or pointed at
    page.evaluate("() => document.activeElement.blur()")
    page.wait_for_timeout(500)  # words fade
    page.screenshot(path=DOCS / name, full_page=True)


def main() -> None:
    expect.set_options(timeout=10 * MINUTES)
    with sync_playwright() as playwright, served() as address:
        browser = playwright.chromium.launch(
            executable_path=which("chromium"), args=["--no-sandbox"]
        )
        for take in (lambda page: of_page(page, address), of_trace):
            page = browser.new_page(viewport=WIDE)
            page.set_default_timeout(5 * MINUTES)
            take(page)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
