"""How well text -> tokens -> text goes round, for dlm_core.natural and for sacremoses.

    DLM_SHARED=SHARED python benchmarks/roundtrip.py [--sacremoses]

Of tokenised texts (E2E): tokens -> text -> tokens. Of natural ones (ROCStories, CommonGen):
text -> tokens -> text, and tokens -> tokens.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from dlm_core.natural import detokenise, tokenise

APART = re.compile(r"(?:^| )[^\w\s]+(?: |$)| ['’]|n't\b(?<= n't)")
"""Signs that stand alone: such a text is tokenised already, in part at least."""


def corpora(data: Path) -> Iterator[tuple[str, list[str], bool]]:
    """(name, texts, are they tokens)."""
    refs = []
    for name in ("train", "valid"):
        with gzip.open(data / f"e2e/{name}.csv.gz", "rt", encoding="utf-8", newline="") as stream:
            refs += [row["ref"] for row in csv.DictReader(stream)]
    yield "e2e", refs, True
    with gzip.open(data / "roc/train.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    yield "roc", [s for row in rows if row["cased"] for s in row["sentences"]], False
    with gzip.open(data / "commongen/commongen.train.tgt.txt.gz", "rt", encoding="utf-8") as stream:
        yield "commongen", stream.read().splitlines(), False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sacremoses", action="store_true", help="also sacremoses")
    parser.add_argument("--failures", type=int, default=0, help="show so many of each")
    args = parser.parse_args()
    ways: list[tuple[str, Callable[[str], list[str]], Callable[[list[str]], str]]]
    ways = [("dlm", tokenise, detokenise)]
    if args.sacremoses:
        from sacremoses import MosesDetokenizer, MosesTokenizer

        cut, join = MosesTokenizer("en"), MosesDetokenizer("en")
        ways.append(("sacremoses", lambda s: cut.tokenize(s, escape=False), join.detokenize))
    for corpus, texts, tokens in corpora(Path(os.environ["DLM_SHARED"]) / "data"):
        texts = [" ".join(text.split()) for text in texts]
        if not tokens:  # a third of these corpora has blanks before marks, or dashes between them
            texts = [text for text in texts if not APART.search(text)]
        for name, cut_, join_ in ways:
            if tokens:
                back = [" ".join(cut_(join_(text.split()))) for text in texts]
            else:
                back = [join_(cut_(text)) for text in texts]
            same = [a == b for a, b in zip(texts, back, strict=True)]
            stays = sum(cut_(" ".join(c)) == c for c in map(cut_, texts)) / len(texts)
            print(f"{corpus} {name}: {sum(same) / len(same):.3%} of {len(same):,}; {stays=:.3%}")
            bad = [k for k, ok in enumerate(same) if not ok]
            for k in bad[: args.failures]:
                print(f"  {texts[k]}\n  {back[k]}")


if __name__ == "__main__":
    main()
