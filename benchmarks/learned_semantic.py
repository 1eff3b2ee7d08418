r"""`semantic` learnt from the MR column of E2E alone, judged by E2E's rules; and other corpora.

    dlm models copy e2e mine
    dlm train control semantic --model mine --force --steps 800 \
        --corpus e2e:SHARED/data/e2e/train.csv.gz
    python benchmarks/learned_semantic.py facts --model mine --shared SHARED --texts 5
    python benchmarks/learned_semantic.py facts --model mine --shared SHARED --texts 5 --no-writer
    python benchmarks/learned_semantic.py reader --model mine --shared SHARED
    python benchmarks/learned_semantic.py told sst2 --shared SHARED
    python benchmarks/learned_semantic.py told commongen --shared SHARED

`facts`: the 40 semantic targets of the paper. The bundle's writer was trained on codes that the
rules read; `--no-writer` steers the denoiser alone, so that no table takes part. `reader`: what
mined phrases read of validation texts against what the rules read, a field. `told`: what a user is
told of a corpus before anything is trained, SST-2 with its label, CommonGen with its concepts in
one column and in many.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import fmean

import dlm_core as dlm
from dlm_controls import Semantic
from dlm_controls.semantic.e2e.reader import read_mentions
from dlm_controls.semantic.known import domain_of, e2e
from dlm_controls.semantic.learned import Learned
from dlm_controls.semantic.train import learn
from dlm_core.bundle import Model, ModelInfo
from dlm_core.config import GuidanceConfig
from dlm_core.corpora import Example, read_corpus
from dlm_core.errors import UsageError
from dlm_core.generation.generate import generate_batches
from dlm_core.generation.prepare import Request
from dlm_core.plugins.loading import load_plugins

PARTS = ("value", "right_field", "consistent")


def targets(shared: Path) -> list[Semantic]:
    """The released ones; both spell fields as the paper does, which E2E's rules know."""
    path = shared / "data/control_targets/semantic.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    asked = []
    for row in rows:
        field, _, value = " ".join(row).partition(" : ")
        fact = e2e().fact(field, value)
        asked.append(Semantic(field=fact.field, value=fact.value))
    return asked


def facts(args: argparse.Namespace) -> None:
    """Of the targets' texts, in how many the rules find the value, and in its field."""
    model = Model.load(args.model)
    assert isinstance(domain_of(model.info), Learned), "this model has no learned inventory"
    asked = targets(args.shared)
    requests = [Request(spec, args.texts) for spec in asked]
    held: dict[str, list[bool]] = {part: [] for part in (*PARTS, "own judge")}
    guidance = GuidanceConfig(writer=not args.no_writer)
    for batch in generate_batches(model, requests, guidance=guidance, batch_size=40, verify=True):
        for owner, result in batch:
            fact = asked[owner]
            parts = e2e().verdict(result.tokenised.split(), fact.field, fact.value).parts or {}
            for part in PARTS:
                held[part].append(parts[part])
            held["own judge"].append(bool(result.controls[0].satisfied))
            if not (parts["value"] and parts["right_field"]):
                print(f"  {fact}: {result.text}", flush=True)
    for part, found in held.items():
        print(f"{part}: {fmean(found):.1%} of {len(found)}")


def reader(args: argparse.Namespace) -> None:
    """Precision and recall of the phrases, against E2E's rules, a field."""
    domain = domain_of(ModelInfo.read(args.model))
    assert isinstance(domain, Learned)
    path = f"e2e:{args.shared}/data/e2e/valid.csv.gz"
    hits, read, said = Counter[str](), Counter[str](), Counter[str]()
    for example in read_corpus(path, load_plugins().corpora):
        tokens = example.text.split()
        learned = {m[:2] for m in domain.reader.read(tokens)}
        rules = {(m.field, m.value) for m in read_mentions(tokens)}
        hits.update(field for field, _ in learned & rules)
        read.update(field for field, _ in learned)
        said.update(field for field, _ in rules)
    for field in domain.fields:
        precision, recall = hits[field] / read[field], hits[field] / said[field]
        print(f"{field}: precision {precision:.1%}, recall {recall:.1%} of {said[field]}")


def sst2(shared: Path) -> Iterator[Example]:
    """Sentences with their label."""
    with gzip.open(shared / "data/sst2/sent_train.tsv.gz", "rt", encoding="utf-8") as file:
        for line in file:
            text, label = line.rstrip("\n").split("\t")
            yield Example(text, {"sentiment": "positive" if label == "1" else "negative"})


def commongen(shared: Path) -> Iterator[Example]:
    """Sentences with their concepts, in one column and in many."""
    folder = shared / "data/commongen"
    with (
        gzip.open(folder / "commongen.train.src_alpha.txt.gz", "rt", encoding="utf-8") as concepts,
        gzip.open(folder / "commongen.train.tgt.txt.gz", "rt", encoding="utf-8") as texts,
    ):
        for words, text in zip(concepts, texts, strict=True):
            fields = {f"concept {k}": word for k, word in enumerate(words.split(), 1)}
            yield Example(" ".join(text.split()), {"concepts": words.strip(), **fields})


def told(args: argparse.Namespace) -> None:
    """What is told of a corpus."""
    rows = {"sst2": sst2, "commongen": commongen}[args.corpus](args.shared)
    examples = list(islice(rows, args.rows))
    try:
        learned, _, _ = learn(examples, Model.load("e2e").vocab)
        print("\n".join(learned.inventory.lines()))
    except UsageError as error:
        print(f"error: {error.message}\nhint: {error.hint}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for function in (facts, reader, told):
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(run=function)
        command.add_argument("--shared", type=Path, required=True, help="folder with data/")
        if function is told:
            command.add_argument("corpus", choices=("sst2", "commongen"))
            command.add_argument("--rows", type=int, default=20_000)
        else:
            command.add_argument("--model", required=True, help="a bundle with a learned head")
        if function is facts:
            command.add_argument("--texts", type=int, default=5, help="texts a target")
            command.add_argument("--no-writer", action="store_true")
    args = parser.parse_args()
    print(f"dlm {dlm.__version__}")
    args.run(args)


if __name__ == "__main__":
    main()
