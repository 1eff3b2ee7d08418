"""The autoregressive model beside the writer: a GPT-2 of its size, given the facts as a prefix.

    python benchmarks/ar_facts.py train --shared ../shared --out AR --minutes 30
    python benchmarks/ar_facts.py texts --shared ../shared --model AR --teacher TEACHER --limit 60

Trained on the same pairs, from scratch. `texts` writes one text for each validation meaning
representation (the MRs of `meaning.py --rows mr`), by greedy search, by beam search and by
sampling, and measures them as `meaning.py` does: facts by the independent judge, BLEU-4 against all
references, nats by the teacher, seconds a text.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import meaning_figures as figures
import meaning_targets as targets_of
from facts_judge import FIELDS, FactsJudge, facts, read_csv
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.baselines.tuning import Pair, update
from benchmarks.command import say
from dlm_core.evaluation.teacher import Teacher
from dlm_core.natural import tokenise
from dlm_core.training.data import LengthBatches
from dlm_core.vocab import Vocab

OPEN = ("name", "near")
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beam 4": {"do_sample": False, "num_beams": 4},
    "sampled": {"do_sample": True, "top_k": 0},
}


class Prefix:
    """Facts as tokens behind the words of a vocabulary: `food=French`, `name` and its words."""

    def __init__(self, vocab: Vocab, names: Sequence[str]) -> None:
        self.vocab, self.names = vocab, tuple(names)
        self.ids = {name: len(vocab) + k for k, name in enumerate(self.names)}

    @classmethod
    def of(cls, vocab: Vocab, rows: Sequence[Mapping[str, str]]) -> Prefix:
        """With every fact that occurs."""
        return cls(vocab, sorted({name for row in rows for name in cls._names(row)}))

    @staticmethod
    def _names(row: Mapping[str, str]) -> list[str]:
        return [f if f in OPEN else f"{f}={row[f]}" for f in FIELDS if f in row]

    def __call__(self, row: Mapping[str, str]) -> list[int]:
        """Ids of the facts in the order of the fields, closed by START."""
        found: list[int] = []
        for field, name in zip([f for f in FIELDS if f in row], self._names(row), strict=True):
            found += [self.ids[name]] if name in self.ids else []
            if field in OPEN:
                found += [self.vocab.id(word) for word in tokenise(row[field])]
        return [*found, self.vocab.start]


def train(options: argparse.Namespace) -> None:
    """Train for so many minutes; the loss is that of the words alone."""
    torch.manual_seed(options.seed)
    data = options.shared / "data" / "e2e"
    pairs = [(facts(mr), text) for mr, text in read_csv(data / "train.csv.gz")]
    vocab = Vocab.build([text for _, text in pairs])
    prefix = Prefix.of(vocab, [row for row, _ in pairs])
    sequences = []
    for row, text in pairs:
        given = prefix(row)
        sequences.append(Pair([*given, *vocab.encode(text), vocab.end], len(given)))
    fitting = [s for s in sequences if len(s) <= options.positions]
    batches = LengthBatches(fitting, options.batch_tokens, options.seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(vocab) + len(prefix.names), n_positions=options.positions,
            n_embd=options.width, n_layer=options.layers, n_head=4, bos_token_id=vocab.start,
            eos_token_id=vocab.end, pad_token_id=vocab.pad,
        )
    )  # fmt: skip
    size = sum(p.numel() for p in model.parameters())
    say(f"{len(fitting)} pairs, {size:,} parameters")
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.01)
    began, step, done = time.perf_counter(), 0, 0.0
    model.train()
    while done < 1:
        rate = options.lr * min(1.0, (step + 1) / 200) * (1 - done)
        loss = update(model, optimizer, rate, batches[step], vocab.pad, options.bf16)
        step += 1
        done = (time.perf_counter() - began) / (60 * options.minutes)
        if step % 100 == 0:
            say(f"step {step}  nll {loss:.3f}  {min(done, 1):.0%}")
    model.eval().save_pretrained(options.out)
    vocab.save(options.out / "tokenizer.json")
    (options.out / "prefix.json").write_text(json.dumps(prefix.names, ensure_ascii=False))


def texts(options: argparse.Namespace) -> None:
    """Write and measure a text of each target, each way."""
    data = options.shared / "data" / "e2e"
    known = [facts(mr) for s in ("train", "valid") for mr, _ in read_csv(data / f"{s}.csv.gz")]
    judge = FactsJudge.of(known)
    rows = targets_of.drawn(targets_of.meanings(data / "valid.csv.gz"), options.limit, options.seed)
    vocab = Vocab.load(options.model / "tokenizer.json")
    prefix = Prefix(vocab, json.loads((options.model / "prefix.json").read_text()))
    model = GPT2LMHeadModel.from_pretrained(options.model, use_safetensors=True).eval()
    teacher = Teacher.load(options.teacher) if options.teacher else None
    references = [row.references for row in rows]
    for way, settings in WAYS.items():
        torch.manual_seed(options.seed)
        began = time.perf_counter()
        made = [_write(model, prefix(row.facts), vocab, settings) for row in rows]
        seconds = (time.perf_counter() - began) / len(made)
        judged = [judge.judge(x, row.facts) for x, row in zip(made, rows, strict=True)]
        shares = {
            key: figures.share([[holds(j)] for j in judged])
            for key, holds in (
                ("said", lambda j: j.said), ("all_three", lambda j: j.whole),
                ("nothing_added", lambda j: not j.added),
            )
        }  # fmt: skip
        bleu, _ = figures.bleu([[x] for x in made], references, True)
        line = f"{way:8} " + "  ".join(f"{k} {v}" for k, v in shares.items())
        line += f"  bleu_lowercase {bleu:.1f}  seconds_a_text {seconds:.2f}"
        if teacher:
            own, real = fmean(teacher.nll(made)), fmean(fmean(teacher.nll(r)) for r in references)
            line += f"  ratio {own / real:.3f}"
        print(line)
        for x in made[: options.show]:
            print(f"  {x}")


@torch.inference_mode()
def _write(model: Any, given: list[int], vocab: Vocab, settings: Mapping[str, Any]) -> str:
    ids = torch.tensor([given])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, pad_token_id=vocab.pad,
        suppress_tokens=[vocab.unk, vocab.start, *range(len(vocab), model.config.vocab_size)],
        **settings,
    )[0, len(given) :]  # fmt: skip
    words = out.tolist()
    return vocab.decode(words[: words.index(vocab.end)] if vocab.end in words else words)


def main() -> None:
    """Run a sub-command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser("train", description=train.__doc__)
    sub.add_argument("--shared", type=Path, required=True, help="folder with data/e2e")
    sub.add_argument("--out", type=Path, required=True)
    sub.add_argument("--minutes", type=float, default=30)
    sub.add_argument("--layers", type=int, default=6)
    sub.add_argument("--width", type=int, default=256)
    sub.add_argument("--positions", type=int, default=128)
    sub.add_argument("--lr", type=float, default=1e-3)
    sub.add_argument("--batch-tokens", type=int, default=2000)
    sub.add_argument("--bf16", action="store_true", help="autocast, where the CPU has bf16")
    sub.add_argument("--seed", type=int, default=0)
    sub.set_defaults(run=train)
    sub = commands.add_parser("texts", description=texts.__doc__)
    sub.add_argument("--shared", type=Path, required=True, help="folder with data/e2e")
    sub.add_argument("--model", type=Path, required=True, help="what train wrote")
    sub.add_argument("--teacher", type=Path, help="what teacher.py wrote")
    sub.add_argument("--limit", type=int, help="targets, drawn by --seed")
    sub.add_argument("--seed", type=int, default=0)
    sub.add_argument("--show", type=int, default=0, help="texts of each way")
    sub.set_defaults(run=texts)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
