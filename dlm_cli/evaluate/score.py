"""`dlm score`: nats a token of any texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dlm_cli.evaluate.texts import read_texts, some
from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Device, Json, PluginFiles, Quiet
from dlm_cli.output import pick_device, print_json, print_table, utf8_stdout, warn

EPILOG = examples(
    "dlm score texts.txt --teacher TEACHER",
    "dlm score e2e:valid.csv.gz --teacher TEACHER --sample 500 --json",
    "dlm generate -n 8 | dlm score - --teacher TEACHER --each",
)
TextsArgument = Annotated[
    str,
    typer.Argument(
        metavar="TEXTS",
        help="One a line, JSONL with a 'text' a line, or READER:PATH; - is stdin.",
        callback=expand,
    ),
]
TeacherOption = Annotated[
    Path,
    typer.Option(metavar="DIR", help="What 'dlm train teacher' wrote.", callback=expand),
]
Each = Annotated[
    bool, typer.Option("--each", metavar="", help="A JSON line a text, not the means.")
]
Sample = Annotated[
    int | None, typer.Option(metavar="INT", min=1, help="Score so many, drawn at random.")
]
Seed = Annotated[int, typer.Option(metavar="INT", help="Of --sample.")]


def command(
    texts: TextsArgument,
    teacher: TeacherOption,
    each: Each = False,
    sample: Sample = None,
    seed: Seed = 0,
    device: Device = "auto",
    plugin: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Nats a token of texts, by a teacher.

    Tokens are the words and END. lm-score is the mean over texts of their nats
    a token; token-nll is that of all tokens. Words that the teacher does not
    know are scored as UNK, and told.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.evaluation.teacher import Score, Teacher
    from dlm_core.natural import tokenise

    loaded = Teacher.load(teacher, pick_device(device))
    chosen = some(read_texts(texts, load(plugin).corpora, loaded.text), sample, seed)
    tokens = [" ".join(tokenise(text, loaded.vocab)) for text in chosen]
    unread = set(loaded.too_long(tokens))
    if unread:
        warn(
            f"{len(unread)} texts have more words than the {loaded.max_words} that the teacher "
            f"reads, text {min(unread) + 1} for one: left out",
            "a teacher with more --positions reads longer texts",
        )
    kept = [k for k in range(len(tokens)) if k not in unread]
    totals = loaded.totals([tokens[k] for k in kept])
    if each:
        utf8_stdout()
        for k, (nats, count) in zip(kept, totals, strict=True):
            row = {"text": chosen[k], "tokens": count, "nll": round(nats / count, 4)}
            print(json.dumps(row, ensure_ascii=False))
        return
    score = Score.of(totals)
    words = [word for k in kept for word in tokens[k].split()]
    unk = sum(not loaded.vocab.writes(word) for word in words) / max(1, len(words))
    figures = {
        "texts": score.texts, "tokens": score.tokens, "lm-score": score.nll, "ppl": score.ppl,
        "token-nll": score.token_nll, "teacher-unk": unk, "teacher": loaded.digest,
    }  # fmt: skip
    if as_json:
        print_json(figures)
        return
    print_table(
        [
            ("texts", f"{score.texts:,}"),
            ("tokens", f"{score.tokens:,}"),
            ("lm-score", f"{score.nll:.4f} nats a token, a mean over texts"),
            ("ppl", f"{score.ppl:.2f} a word, exp of lm-score"),
            ("token-nll", f"{score.token_nll:.4f} nats a token, over all tokens"),
            ("teacher-unk", f"{100 * unk:.2f}% of the words are not the teacher's"),
        ]
    )
