"""`dlm train init`: a recipe for a corpus, this machine and the time there is."""

from __future__ import annotations

import math
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli.files import expand
from dlm_cli.help import examples
from dlm_cli.options import Corpus, Encoding, Force, PluginFiles
from dlm_cli.output import require_folder, stderr, warn
from dlm_core.commands import command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dlm_cli.train.plan.sizes import Sizes
    from dlm_cli.train.plan.texts import Choice
    from dlm_core.config import ModelConfig
    from dlm_core.corpora import Example
    from dlm_core.data_check import DataReport
    from dlm_core.vocab import Vocab

EPILOG = examples(
    "dlm train init --corpus jsonl:own.jsonl --minutes 30 -o recipe.toml",
    "dlm train init --corpus csv:reviews.csv#text=review,label=stars; dlm train all recipe.toml "
    "--out mine",
)
_FEW = 0.5
"""Of the passes that are enough: fewer are worth a warning."""
Minutes = Annotated[
    float,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="For the whole run: model, writer, heads, teacher, evaluation.",
        rich_help_panel="Training",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The recipe to write.",
        callback=expand,
        rich_help_panel="Output",
    ),
]
Valid = Annotated[
    str | None,
    typer.Option(
        metavar="READER:PATH",
        help="Validation texts; held out of --corpus if omitted.",
        rich_help_panel="Data",
    ),
]


def train_init(
    corpus: Corpus,
    minutes: Minutes = 30,
    output: Output = Path("recipe.toml"),
    valid: Valid = None,
    encoding: Encoding = None,
    plugin: PluginFiles = None,
    force: Force = False,
) -> None:
    """Write a commented recipe for 'dlm train all', after a look at corpus and machine.

    How texts are prepared, vocabulary, lengths, the size of the net and the steps of everything
    are chosen, and told with their reasons; what the corpus lacks for a control is told, too.
    """
    from dlm_cli.plugins.loading import load
    from dlm_cli.train.plan.figures import choose_figures, drafted
    from dlm_cli.train.plan.heads import choose_heads, labels
    from dlm_cli.train.plan.sizes import SHARES, choose_sizes
    from dlm_cli.train.plan.template import Plan, write
    from dlm_cli.train.plan.texts import choose
    from dlm_core.corpora import learn, prepare, read_corpus
    from dlm_core.data_check import hold_out
    from dlm_core.vocab import Vocab

    _check_output(output, force)
    plugins = load(plugin)
    read = read_corpus(corpus, plugins.corpora, encoding)
    if valid is not None:
        read_corpus(valid, plugins.corpora, encoding)  # a fault is better told now
    else:
        hold_out(read)
    choice = choose(read)
    text, learnt = learn(read, choice.text)
    prepared = prepare(read, text)
    texts = [example.text for example in prepared]
    report = _look_at(read, texts, choice, corpus)
    for line in (*([learnt] if learnt else ()), *report.lines()):
        stderr(line)
    seconds = 60 * minutes * SHARES["heads"] / 2
    left_out = choose_heads(report, prepared, seconds, plugins)
    heads = sum(not why for why in left_out.values()) + bool(labels(report))
    vocab = Vocab.build(texts, choice.min_count, choice.max_words, choice.pieces)
    sizes = choose_sizes(minutes, report.positions, heads, _speed(texts, choice, vocab))
    draft = drafted(_shape(choice, sizes.hidden, sizes.layers), vocab, plugins)
    figures = choose_figures(60 * minutes * SHARES["figures"], draft, len(plugins.controls))
    plan = Plan(
        _seen_from(corpus, output), valid and _seen_from(valid, output), encoding,
        [os.path.relpath(place, output.parent) for place in plugin or ()], minutes, choice,
        sizes, figures, left_out, labels(report), output.stem,
    )  # fmt: skip
    recipe = write(plan)
    tomllib.loads(recipe)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(recipe, encoding="utf-8")
    _tell(output, sizes)


def _check_output(output: Path, force: bool) -> None:
    from dlm_core.errors import UsageError

    if output.is_dir() or (output.exists() and not force):
        hint = "name a file in it" if output.is_dir() else "--force replaces it"
        raise UsageError(f"option '--output': {output} exists", hint)
    require_folder(output.parent, "--output")


def _tell(output: Path, sizes: Sizes) -> None:
    """What was chosen, whether it is enough, and what to type."""
    stderr(
        f"wrote {output}: a net of {sizes.hidden} x {sizes.layers}, {sizes.steps:,} steps "
        f"({sizes.passes:.1f} passes, about {sizes.seconds / 60:.1f} min)"
    )
    if sizes.passes < _FEW * sizes.enough:
        warn(
            f"{sizes.passes:.1f} passes over the texts teach a model little, {sizes.enough:.1f} "
            f"are expected: --minutes {math.ceil(sizes.minutes)} makes as many"
        )
    stderr(f"use it: {command('train', 'all', output, '--out', 'DIR')}")


def _look_at(
    read: Sequence[Example], texts: Sequence[str], choice: Choice, corpus: str
) -> DataReport:
    """What the model will see of the corpus."""
    from dlm_core.corpora.fields import look_at_fields
    from dlm_core.data_check import check_data

    return check_data(
        texts,
        min_count=choice.min_count,
        max_words=choice.max_words,
        pieces=choice.pieces,
        max_len=choice.max_len,
        source=corpus,
        fields=look_at_fields(read),
    )


def _speed(texts: Sequence[str], choice: Choice, vocab: Vocab) -> Callable[[int, int], float]:
    """Measures nets on some of the texts, with the vocabulary of all."""
    from dlm_cli.train.plan.sizes import BATCH, measured
    from dlm_core.config import TrainConfig

    some = texts[:: len(texts) // 2_000 + 1]

    def speed(hidden: int, layers: int) -> float:
        config = TrainConfig(
            batch_tokens=BATCH,
            self_conditioning_rate=0.75,
            rollout_rate=0.5,
            model=_shape(choice, hidden, layers),
        )
        return measured(config, vocab, some)

    return speed


def _shape(choice: Choice, hidden: int, layers: int) -> ModelConfig:
    from dlm_core.config import ModelConfig

    return ModelConfig(hidden=hidden, layers=layers, max_len=choice.max_len)


def _seen_from(corpus: str, recipe: Path) -> str:
    """READER:PATH as it stands in the recipe: relative to its folder, unless it is whole."""
    reader, _, path = corpus.partition(":")
    if reader == "hub" or os.path.isabs(os.path.expanduser(path)):
        return corpus
    return f"{reader}:{os.path.relpath(path, recipe.parent)}"
