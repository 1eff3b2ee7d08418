"""`dlm data`: what a model will see of a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlm_cli.help import examples, group
from dlm_cli.options import MODEL_HELP, Encoding, Json, PluginFiles
from dlm_cli.output import print_json
from dlm_cli.plugins.loading import load

app = group("Check a corpus before training on it.")

Corpus = Annotated[
    str, typer.Argument(metavar="READER:PATH", help="Texts, for example e2e:train.csv.gz.")
]
MinCount = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=0,
        help="Words are kept that occur more often; the config's if omitted.",
        rich_help_panel="Training",
    ),
]
MaxWords = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="The most frequent of them only; the config's if omitted.",
        rich_help_panel="Training",
    ),
]
Pieces = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=0,
        help="Pieces to spell other words with; the config's if omitted.",
        rich_help_panel="Training",
    ),
]
MaxLen = Annotated[
    int | None,
    typer.Option(
        metavar="INT",
        min=1,
        help="Words, or pieces of words, that the model holds; the config's or the model's if "
        "omitted.",
        rich_help_panel="Training",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="TOML of training settings.", rich_help_panel="Training"),
]
Vocabulary = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help=f"Check the texts for a head of this model, with its vocabulary. {MODEL_HELP}",
        rich_help_panel="Training",
    ),
]
Valid = Annotated[
    str | None,
    typer.Option(
        metavar="READER:PATH",
        help="Validation texts; held out of the corpus if omitted.",
        rich_help_panel="Data",
    ),
]


@app.callback()
def _group() -> None:
    """Check a corpus before training on it."""


@app.command(
    "check",
    epilog=examples(
        "dlm data check text:mine.txt --min-count 2",
        "dlm data check e2e:train.csv.gz --valid e2e:valid.csv.gz --config mine.toml",
        "dlm data check labelled:labelled.jsonl --model e2e --json",
    ),
)
def check(
    corpus: Corpus,
    min_count: MinCount = None,
    max_words: MaxWords = None,
    pieces: Pieces = None,
    max_len: MaxLen = None,
    config: Config = None,
    model: Vocabulary = None,
    valid: Valid = None,
    encoding: Encoding = None,
    plugin: PluginFiles = None,
    as_json: Json = False,
) -> None:
    """Show what a model will see of a corpus: `dlm train` prints the same before its first step.

    Texts, words, the vocabulary and what of the texts it loses, lengths, duplicates, what is held
    out, and three texts as the model will see them. Ends with 2 if it cannot be trained on.
    """
    from dlm_core.bundle import ModelInfo
    from dlm_core.config import TrainConfig, load_toml
    from dlm_core.corpora import learn, prepare, read_corpus
    from dlm_core.corpora.fields import look_at_fields
    from dlm_core.data_check import check_data, hold_out
    from dlm_core.errors import UsageError

    own = (min_count, max_words, pieces, config, valid)
    if model is not None and any(option is not None for option in own):
        raise UsageError(
            "option '--model': the model's own vocabulary is used, and nothing is held out",
            "leave out --min-count, --max-words, --pieces, --config and --valid",
        )
    readers = load(plugin).corpora
    settings = TrainConfig.read(load_toml(config) if config else {}, str(config or "defaults"))
    info = ModelInfo.read(model) if model is not None else None
    read = read_corpus(corpus, readers, encoding)
    told = ""
    if valid is not None:
        told = f"{len(read_corpus(valid, readers, encoding)):,} texts of {valid}, for validation"
    elif info is None:
        read, _, told = hold_out(read)
    text, learnt = learn(read, info.text if info else settings.text)
    padded = settings.model.length_mode == "padded"
    holds = info.max_words if info else settings.model.max_len - 2 * padded
    report = check_data(
        [example.text for example in prepare(read, text)],
        min_count=settings.min_count if min_count is None else min_count,
        max_words=settings.max_words if max_words is None else max_words,
        pieces=settings.pieces if pieces is None else pieces,
        max_len=holds if max_len is None else max_len,
        cuts=padded and info is None,
        vocab=info.vocab if info else None,
        held_out=told,
        source=corpus,
        fields=look_at_fields(read),
    )
    if as_json:
        print_json(report.as_dict())
        return
    for line in (*([learnt] if learnt else ()), *report.lines()):
        print(line)
