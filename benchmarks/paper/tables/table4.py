"""Table 4: two controls at once, and ours of three and four."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.paper.tables.control import ControlTable


class Table4(ControlTable):
    """See the module docstring."""

    name, title = "4", "Table 4: compositions"
    note = (
        "Three and four conditions are the fact with five tags and a gap, two frequent words to "
        "avoid, and the length; the baselines have no model of these, so ours alone is asked. "
        "The paper's lm is a perplexity a word piece."
    )
    systems = ("FUDGE", "release's loop", "FT-PoE", "dlm")
    tasks = ("semantic_tree", "semantic_pos", "three", "four")
    every = True
    paper: ClassVar[dict[str, dict[str, tuple[float, ...]]]] = {
        "FUDGE": {"semantic_tree": (61.7, 15.4), "semantic_pos": (64.5, 24.1)},
        "Diffusion-LM": {"semantic_tree": (69.8, 74.8), "semantic_pos": (63.7, 69.1)},
        "FT-PoE": {"semantic_tree": (61.7, 29.2), "semantic_pos": (29.4, 10.5)},
    }


TABLES = (Table4(),)
