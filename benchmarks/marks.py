"""Pages with marks: what stands between `<!-- NAME -->` and `<!-- end -->` is made, not written."""

from __future__ import annotations

import re
from collections.abc import Mapping


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """The page with each block between its marks.

    Raises:
        ValueError: the page has no such mark.
    """
    for name, content in blocks.items():
        block = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, found = block.subn(lambda m, new=content: f"{m[1]}{new}\n{m[2]}", page)
        if found != 1:
            raise ValueError(f"{found} marks <!-- {name} --> where one is needed")
    return page
