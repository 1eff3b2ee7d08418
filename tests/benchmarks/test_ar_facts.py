"""Facts as the prefix of an autoregressive model."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from ar_facts import Prefix

from dlm_core.vocab import Vocab


def test_facts_stand_in_the_order_of_the_fields_names_in_words() -> None:
    vocab = Vocab.build(["The Mill is a French pub near Zizzi ."], min_count=1)
    rows = [{"food": "French", "name": "The Mill"}, {"near": "Zizzi"}]
    prefix = Prefix.of(vocab, rows)
    assert prefix.names == ("food=French", "name", "near")
    ids = prefix(rows[0])
    words = [vocab.id("The"), vocab.id("Mill")]
    assert ids == [prefix.ids["name"], *words, prefix.ids["food=French"], vocab.start]
    assert min(prefix.ids.values()) == len(vocab)
    assert prefix({"food": "Thai"}) == [vocab.start]
