"""Specs: what a user asks for, before any tensor exists. Light: imports no torch.

    SPEC := ["not "] KIND [":" BODY] ["@" WEIGHT]
    BODY := "{" json "}"  |  field=value{,field=value}  |  positional{,positional}

Only the first `:` splits, and a comma starts a new field only if a known field name and `=` follow,
so texts may hold commas and colons. Values may stand in double quotes, curly ones too, and so may a
whole spec. A spec has at most `MAX_SPEC` characters. `not` asks for the contrary,
log(1 - p), of a control whose p is a probability (`ControlSpec.normalised`).
Selectors are written the same way, without a weight and without `not`.

A control's spec lives in two phases: parsing (context-free) and `check(info)` against a model's
vocabulary and label files. `build(context)` then makes the torch control.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from dlm_core.text import normal

MAX_SPEC = 10_000
"""Characters of a spec."""
_OPENING, _CLOSING = '"\u201c\u201d\u201e', '"\u201c\u201d'
"""Double quotes as keyboards, editors and shells give them."""
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff\u00ad"))
"""Marks without a width that are copied along with a text."""


def unquote(value: str) -> str:
    """Strip blanks and one pair of double quotes."""
    value = value.strip()
    quoted = len(value) >= 2 and value[0] in _OPENING and value[-1] in _CLOSING
    return value[1:-1] if quoted else value


def tidy(source: str, kinds: Collection[str]) -> str:
    """A spec without what only copying or quoting has added: unseen marks, quotes around it all."""
    source = normal(source).translate(_UNSEEN).strip()
    for quotes in (_OPENING, "'\u2018\u2019"):
        if len(source) >= 2 and source[0] in quotes and source[-1] in quotes:
            inner = source[1:-1].strip()
            if re.split("[:@]", inner.removeprefix("not ").lstrip())[0] in kinds:
                return inner
    return source


def quoted_items(value: str) -> list[str]:
    """Split at commas outside of double quotes.

    Raises:
        ValueError: a quote is not closed.
    """
    straight = value.translate(dict.fromkeys(map(ord, _OPENING), '"'))
    if straight.count('"') % 2:
        raise ValueError("a quote is not closed")
    return _ITEMS.findall("," + straight)


_ITEMS = re.compile(r',((?:[^",]|"[^"]*")*)')


def split_body(body: str, names: tuple[str, ...], positional: tuple[str, ...]) -> dict[str, Any]:
    """`field=value,...` or `positional,...` to a dict; the last positional takes the rest.

    Raises:
        ValueError: more positionals than the control has, or a field twice.
    """
    # A quoted value is taken whole, whatever stands in it.
    field = rf"(?:^|,)\s*({'|'.join(map(re.escape, names))})="
    found = re.finditer(field + r'(?:\s*"[^"]*"(?=\s*(?:,|$)))?', body)
    starts = list(found) if names else []
    fields: dict[str, Any] = {}
    head = body[: starts[0].start()] if starts else body
    if head.strip():
        if not names:
            raise ValueError("takes no options")
        if not positional:
            raise ValueError(f"expected field=value; fields: {', '.join(names)}")
        parts = head.split(",", len(positional) - 1)
        fields.update({n: unquote(p) for n, p in zip(positional, parts, strict=False)})
    for k, match in enumerate(starts):
        end = starts[k + 1].start() if k + 1 < len(starts) else len(body)
        if match[1] in fields:
            raise ValueError(f"field '{match[1]}' is given twice")
        fields[match[1]] = unquote(body[match.end(1) + 1 : end])
    return fields
