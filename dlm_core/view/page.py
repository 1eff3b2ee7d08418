"""A run as one self-contained page, and as a frame of a notebook. Light: imports no torch."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
"""Holds `view.js` and `view.css`, which `dlm serve` sends too."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main id="view">
<noscript>{plain}</noscript>
</main>
<script type="application/json" id="run">{run}</script>
<script>{script}</script>
</body>
</html>
"""
_START = """
dlmView.start(document.getElementById("view"), JSON.parse(document.getElementById("run").text));
"""


def page(run: Mapping[str, Any], title: str = "dlm") -> str:
    """The page of a run, which loads nothing and runs no script but its own.

    Args:
        run: `results`, each the `view` of a `Result`, and maybe `command`, which makes them again.
        title: of the page.
    """
    style = (FOLDER / "view.css").read_text("utf-8")
    script = (FOLDER / "view.js").read_text("utf-8") + _START
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}"
    plain = "".join(f"<p>{html.escape(result['text'])}</p>" for result in run["results"])
    return _PAGE.format(
        policy=policy, title=html.escape(title), style=style, plain=plain,
        run=_inside_script(run), script=script,
    )  # fmt: skip


def frame(run: Mapping[str, Any]) -> str:
    """The page as a frame that takes the height it needs, for a notebook."""
    inside = html.escape(page(run))
    return (
        f'<iframe srcdoc="{inside}" title="dlm" '
        'style="width: 100%; height: 16em; border: 0"></iframe>'
    )


def _hash(code: str) -> str:
    """What a browser is told of the only style or script that it may use."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _inside_script(value: Any) -> str:
    """JSON that ends no element and opens no comment, whatever its strings hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    for mark in "<>&\u2028\u2029":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return text
