"""A real browser, where the system has one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on PATH (apt-get install chromium)")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_api.sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, as in a container
        args = ["--no-sandbox"] if root else []
        browser = playwright.chromium.launch(executable_path=path, args=args)
        try:
            yield browser
        finally:
            browser.close()


def expect(locator: Any) -> Any:
    """Playwright's own, which waits; a machine may be busy."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=60_000)
    return waiting(locator)


def watched(page: Any) -> tuple[list[str], list[str]]:
    """The addresses that a page asks for from now on, and what goes wrong in it."""
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.on(
        "console", lambda line: wrong.append(line.text) if "Content Security" in line.text else None
    )
    return asked, wrong


UNNAMED = """[...document.querySelectorAll("input, select, button, [role=region]")]
    .filter((one) => !one.closest("[hidden]"))
    .filter((one) => !(one.labels?.length || one.ariaLabel || one.textContent.trim()))
    .map((one) => one.outerHTML)"""
"""What a screen reader could not name."""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
