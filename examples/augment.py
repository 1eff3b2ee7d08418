"""+Aug (Table 8 of the paper): a small corpus and texts sampled from a causal language model.

    dlm train teacher --corpus text:mine.txt --out LM
    python examples/augment.py text:mine.txt --lm LM -n 20000 --out more.jsonl
    dlm train lm --corpus jsonl:more.jsonl --out mine

LM is a folder of `dlm train teacher`, or any causal language model of transformers: a folder, or a
hub name. The second kind is shown some texts of the corpus, one a line, and writes the next lines;
one that has learnt the corpus (examples/finetune.py) needs the first words of one: --shown 0.
Samples with a word that the corpus has too rarely, too long ones, copies of the corpus and of each
other are left out; what the data check says of all texts together is told on stderr.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from causal import read_causal
from causal import run as run_script
from tqdm import tqdm

from dlm_core.corpora import read_corpus
from dlm_core.data_check import check_data
from dlm_core.errors import MissingError, UsageError
from dlm_core.files import write_text
from dlm_core.natural import detokenise, tokenise
from dlm_core.vocab import Vocab

BATCH = 32
MOST_GIVEN = 3
"""Words that a model which knows the corpus begins with."""
MOST_TRIES = 10
"""Samples for each text that is wanted, at most."""


class Filter:
    """Which samples are kept, and why the others are not."""

    def __init__(self, texts: Sequence[str], min_count: int, max_words: int) -> None:
        """Learn the corpus's words and texts."""
        self.known, self.max_words = set(Vocab.build(texts, min_count).plain_words), max_words
        self.corpus, self.kept = set(texts), dict[str, None]()
        self.left_out: Counter[str] = Counter()

    def offer(self, words: Sequence[str]) -> bool:
        """Keep a sample, or count why not."""
        text = " ".join(words)
        why = (
            "empty" if not words
            else "too long" if len(words) > self.max_words
            else "with a rare word" if not self.known.issuperset(words)
            else "a copy of the corpus" if text in self.corpus
            else "said before" if text in self.kept
            else ""
        )  # fmt: skip
        if why:
            self.left_out[why] += 1
        else:
            self.kept[text] = None
        return not why


def from_teacher(options: argparse.Namespace, folder: Path) -> Iterator[list[str]]:
    """Texts of a language model over dlm's words, without end."""
    from dlm_core.evaluation.teacher import Teacher

    teacher = Teacher.load(folder)
    vocab, model = teacher.vocab, teacher.model
    import torch

    start = torch.full((options.batch, 1), vocab.start)
    while True:
        rows = model.generate(
            start, attention_mask=torch.ones_like(start), do_sample=True, top_p=options.top_p,
            top_k=0, temperature=options.temperature,
            max_new_tokens=min(options.max_words + 1, teacher.max_words),
            eos_token_id=vocab.end, pad_token_id=vocab.pad,
            suppress_tokens=[vocab.start, vocab.unk, vocab.pad],
        )  # fmt: skip
        for row in rows[:, 1:].tolist():
            if vocab.end in row:
                yield vocab.tokens(row[: row.index(vocab.end)])


def from_any(options: argparse.Namespace, texts: Sequence[str]) -> Iterator[list[str]]:
    """Lines that a causal language model adds to some texts of the corpus, without end."""
    model, tokenizer = read_causal(options.lm, dtype="auto")
    model.eval()
    draws, start = Random(options.seed), tokenizer.bos_token or tokenizer.eos_token
    tokenizer.padding_side, tokenizer.pad_token = "left", tokenizer.pad_token or start
    longest = max(len(tokenizer(text).input_ids) for text in texts[:1000])
    while True:
        if options.shown:
            shown = draws.sample(texts, min(options.shown, len(texts)))
            begun = ["".join(f"{text}\n" for text in shown)] * options.batch
        else:
            begun = [start + first_words(draws.choice(texts), draws) for _ in range(options.batch)]
        given = tokenizer(begun, return_tensors="pt", padding=True, add_special_tokens=False)
        rows = model.generate(
            **given, do_sample=True, temperature=options.temperature, top_p=options.top_p, top_k=0,
            max_new_tokens=2 * longest, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        first = given.input_ids.shape[1] if options.shown else 0
        for row in rows[:, first:]:
            written = tokenizer.decode(row, skip_special_tokens=True)
            for line in written.split("\n")[:-1]:  # the last was cut off
                yield tokenise(line)


def first_words(text: str, draws: Random) -> str:
    """Up to so many, as one writes them."""
    return detokenise(text.split()[: draws.randint(0, MOST_GIVEN)])


def samples(options: argparse.Namespace, texts: Sequence[str]) -> Iterator[list[str]]:
    """Texts of the language model that is named."""
    import torch

    torch.manual_seed(options.seed)
    folder = Path(options.lm).expanduser()
    try:
        Vocab.load(folder / "tokenizer.json")
    except MissingError:  # no model over dlm's words
        return from_any(options, texts)
    return from_teacher(options, folder)


def run(options: argparse.Namespace) -> None:
    """Sample, filter, check, write."""
    if options.out.exists():
        raise UsageError(f"option '--out': {options.out} exists", "choose another file")
    examples = read_corpus(options.corpus)
    texts = [example.text for example in examples]
    filtered = Filter(texts, options.min_count, options.max_words)
    source = samples(options, texts)
    bar = tqdm(total=options.n, desc="sampling", unit="text", disable=None)
    with bar, suppress(KeyboardInterrupt):  # what there is by then is written
        for _ in range(MOST_TRIES * options.n):
            bar.update(filtered.offer(next(source)))
            if len(filtered.kept) == options.n:
                break
    rows = [{**e.fields, "text": e.text} for e in examples] + [{"text": x} for x in filtered.kept]
    write_text(options.out, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
    every = [*texts, *filtered.kept]
    for line in check_data(every, min_count=options.min_count, max_len=options.max_words).lines():
        print(line, file=sys.stderr)
    told = {"corpus": len(texts), "sampled": len(filtered.kept), "left_out": filtered.left_out}
    print(json.dumps(told))


def main() -> int:
    """Run; the exit code is dlm's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", metavar="READER:PATH", help="the small corpus, in words")
    parser.add_argument("--lm", required=True, help="a teacher, or a model of transformers")
    parser.add_argument("-n", type=int, default=10_000, help="texts to add")
    parser.add_argument("--out", type=Path, required=True, help="JSONL of all texts")
    parser.add_argument("--min-count", type=int, default=10, help="words occur more often")
    parser.add_argument("--max-words", type=int, default=64, help="of a text")
    parser.add_argument("--top-p", type=float, default=0.95, help="nucleus that is sampled from")
    parser.add_argument("--temperature", type=float, default=1.0, help="of what is drawn")
    parser.add_argument("--shown", type=int, default=8, help="texts a model of transformers reads")
    parser.add_argument("--batch", type=int, default=BATCH, help="samples at a time")
    parser.add_argument("--seed", type=int, default=0)
    return run_script(parser, run)


if __name__ == "__main__":
    sys.exit(main())
