"""Table 2: the five classifier-guided controls."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.paper.tables.control import ControlTable


class Table2(ControlTable):
    """See the module docstring."""

    name, title = "2", "Table 2: five controls, success and fluency"
    note = (
        "Success is the paper's measure; lm is nats a word under a GPT-2 over words, the paper's a "
        "perplexity a word piece, so its rows are landmarks only. FT-search has one text a target."
    )
    systems = ("PPLM", "FUDGE", "release's loop", "writer alone", "FT-sample", "FT-search", "dlm")
    tasks = ("semantic", "pos", "tree", "span", "length")
    paper: ClassVar[dict[str, dict[str, tuple[float, ...]]]] = {
        "PPLM": {"semantic": (9.9, 5.32)},
        "FUDGE": {
            "semantic": (69.9, 2.83), "pos": (27.0, 7.96), "tree": (17.9, 3.39),
            "span": (54.2, 4.03), "length": (46.9, 3.11),
        },
        "Diffusion-LM": {
            "semantic": (81.2, 2.55), "pos": (90.0, 5.16), "tree": (86.0, 3.71),
            "span": (93.8, 2.53), "length": (99.9, 2.16),
        },
        "FT-sample": {
            "semantic": (72.5, 2.87), "pos": (89.5, 4.72), "tree": (64.8, 5.72),
            "span": (26.3, 2.88), "length": (98.1, 3.84),
        },
        "FT-search": {
            "semantic": (89.9, 1.78), "pos": (93.0, 3.31), "tree": (76.4, 3.24),
            "span": (54.4, 2.19), "length": (100.0, 1.83),
        },
    }  # fmt: skip


TABLES = (Table2(),)
