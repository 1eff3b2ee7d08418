"""`dlm nll`: the bound on a model's likelihood of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlm_cli import completion
from dlm_cli.evaluate.texts import some
from dlm_cli.help import examples
from dlm_cli.options import Device, Encoding, Json, Model, PluginFiles, Quiet
from dlm_cli.output import pick_device, print_json, print_table, progress_bar, stderr, warn

if TYPE_CHECKING:
    from dlm_core.evaluation.nll import Likelihood

EPILOG = examples(
    "dlm nll --corpus e2e:valid.csv.gz --sample 200",
    "dlm nll -m runs/mine --corpus text:held-out.txt --draws 128 --json",
)
_PARTS = {
    "nll": "the bound: the sum of these",
    "prior": "x_T against pure noise",
    "steps": "the denoising steps",
    "embedding": "x_0 given the words, less the last step's",
    "rounding": "the words, given x_0",
    "length": "how many words, drawn first; stands for END",
}
Corpus = Annotated[
    str,
    typer.Option(
        "--corpus",
        metavar="READER:PATH",
        help="Texts that the model has not seen, for example e2e:valid.csv.gz.",
        autocompletion=completion.corpora,
        rich_help_panel="Data",
    ),
]
Sample = Annotated[
    int | None,
    typer.Option(metavar="INT", min=1, help="So many, drawn at random; all if omitted."),
]
Draws = Annotated[
    int, typer.Option(metavar="INT", min=1, help="Time steps that are looked at a text.")
]
Seed = Annotated[int, typer.Option(metavar="INT", help="Of --sample and of the noise.")]
Twice = Annotated[
    bool,
    typer.Option(
        "--self-condition",
        metavar="",
        help="Ask the denoiser once more at each step, with its own answer.",
    ),
]


def command(
    corpus: Corpus,
    model: Model = "e2e",
    sample: Sample = None,
    draws: Draws = 32,
    seed: Seed = 0,
    self_condition: Twice = False,
    encoding: Encoding = None,
    device: Device = "auto",
    plugin: PluginFiles = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Bound a model's likelihood of texts.

    The variational bound L_vlb of -log p (eq. 1 and §4.1 of the paper), in nats
    a token. Tokens are the words and END, as of 'dlm score': its token-nll is
    an autoregressive model's exact figure beside this bound. docs/metrics.md
    has the terms.
    """
    from dlm_cli.plugins.loading import load
    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.corpora import prepare, read_corpus
    from dlm_core.evaluation.nll import likelihood

    loaded = LoadedModel.load(model, pick_device(device))
    read = prepare(read_corpus(corpus, load(plugin).corpora, encoding), loaded.info.text)
    texts = some([example.text for example in read], sample, seed)
    with progress_bar("texts", len(texts)) as bar:
        found = likelihood(loaded, texts, draws, seed, self_condition, bar.update)
    if found.left_out:
        warn(
            f"{found.left_out} of {len(texts)} texts are empty or have more words than the "
            f"{loaded.info.max_words} of the model: left out"
        )
    if as_json:
        print_json(_as_dict(found))
        return
    _print(found)
    stderr(f"signature: {found.signature}")


def _as_dict(found: Likelihood) -> dict[str, object]:
    return {
        "texts": found.texts,
        "tokens": found.tokens,
        "left_out": found.left_out,
        "unk": found.unk,
        "figures": {figure.name: figure.as_dict() for figure in found.figures},
        "by_time": [{"from": a, "to": b, "nats": nats} for a, b, nats in found.by_time],
        "signature": found.signature,
    }


def _print(found: Likelihood) -> None:
    print(f"{found.texts:,} texts, {found.tokens:,} tokens, {100 * found.unk:.2f}% of words UNK\n")
    rows = []
    for figure in found.figures:
        bounds = figure.bounds
        shown = f"{bounds.low:.3f} to {bounds.high:.3f}" if bounds else "-"
        rows.append((figure.name, f"{figure.value:.3f}", shown, _PARTS[figure.name]))
    print_table(rows, ("FIGURE", "NATS A TOKEN", "95% INTERVAL", "IS"))
    print()
    times = [(f"{a:.1f} to {b:.1f}", f"{nats:.3f}") for a, b, nats in found.by_time]
    print_table(times, ("STEPS WITH t", "NATS A TOKEN"))
