"""`dlm models push`, `pull` and `card`: bundles on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlm_cli import completion
from dlm_cli.files import check_new, expand
from dlm_cli.options import MODEL_HELP, default_model
from dlm_cli.output import stderr

HubId = Annotated[
    str,
    typer.Argument(
        metavar="OWNER/NAME[@REVISION]",
        help="A repository of the hub; a branch, tag or commit of it.",
        autocompletion=completion.hub_models,
    ),
]
Bundle = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help=MODEL_HELP, callback=default_model, autocompletion=completion.models
    ),
]


def push(
    model: Bundle,
    to: HubId,
    private: Annotated[
        bool, typer.Option("--private", metavar="", help="Nobody else sees a new repository.")
    ] = False,
    message: Annotated[
        str, typer.Option("--message", "-m", metavar="TEXT", help="Of the commit.")
    ] = "A dlm bundle",
) -> None:
    """Put a model on the Hugging Face hub: weights, heads and card.

    Needs a token that may write: `hf auth login`, or HF_TOKEN. A revision is a branch, made if it
    is not there. Prints the address of the commit.
    """
    import tempfile

    from dlm_core.bundle import ModelInfo, copy_bundle
    from dlm_core.card import make_card
    from dlm_core.files import write_text
    from dlm_core.hub import push as push_folder

    repo, revision = _split(to)
    info = ModelInfo.read(model)
    with tempfile.TemporaryDirectory(prefix="dlm-push-") as place:
        folder = Path(place) / repo.partition("/")[2]
        copy_bundle(info, folder)
        write_text(folder / "README.md", make_card(ModelInfo.read(folder)))
        print(push_folder(folder, repo, revision, private=private, message=message))


def pull(
    model: HubId,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Copy it here, too.", callback=expand),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Replace the model that stands there.")
    ] = False,
) -> None:
    """Fetch a model from the Hugging Face hub into its cache, for use offline.

    Prints its folder. Without a network the cached revision is used, and told.
    """
    from dlm_core.bundle import ModelInfo, copy_bundle
    from dlm_core.hub import fetch

    place = str(fetch(*_split(model)))
    info = ModelInfo.read(place)
    if out is not None:
        check_new(out, force)
        copy_bundle(info, out)
    print(out or place)


def card(
    model: Bundle,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Figures of 'dlm evaluate -o FILE.json'; may be repeated.",
            callback=expand,
        ),
    ] = None,
    data: Annotated[str, typer.Option(metavar="NAME", help="What the report's texts are of.")] = "",
    write: Annotated[
        bool, typer.Option("--write", metavar="", help="Into the model's README.md.")
    ] = False,
) -> None:
    """Print a model's card: its README.md with figures as the hub's metadata."""
    from dlm_core.bundle import ModelInfo
    from dlm_core.card import make_card
    from dlm_core.commands import command
    from dlm_core.errors import UsageError
    from dlm_core.files import write_text

    info = ModelInfo.read(model)
    text = make_card(info, report or (), data)
    if not write:
        print(text, end="" if text.endswith("\n") else "\n")
        return
    if info.embedded:
        hint = command("models", "copy", model, f"my-{model}")
        raise UsageError(f"'{model}' ships with dlm and is not written into", hint)
    write_text(info.path / "README.md", text)
    stderr(f"wrote {info.path / 'README.md'}")


def _split(name: str) -> tuple[str, str | None]:
    from dlm_core.errors import UsageError
    from dlm_core.hub import split_id

    found = split_id(name)
    if found is None:
        raise UsageError(f"'{name}' is no name of the hub", "OWNER/NAME or OWNER/NAME@REVISION")
    return found
