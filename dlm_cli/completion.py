"""What a shell offers behind TAB: kinds, fields and values; models; selectors; readers of corpora.

bash splits words at `:` and `=`, and puts an answer in place of the last piece only.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from dlm_core.bundle import ModelInfo
    from dlm_core.control.spec import Spec
    from dlm_core.plugins.registry import Plugins

_Offers = list[tuple[str, str]]
_VARIABLE = "_DLM_COMPLETE"
_BREAKS = (":", "=")


@contextmanager
def as_bash_splits() -> Iterator[None]:
    """Nothing, unless bash asks: then words are put together, and answers cut to the last piece."""
    if os.environ.get(_VARIABLE) != "complete_bash":
        yield
        return
    words, current = os.environ.get("COMP_WORDS", "").split(" "), int(os.environ["COMP_CWORD"])
    words += [""] * (current + 1 - len(words))
    joined: list[str] = []
    for word in words[: current + 1]:
        glue = joined and (word in _BREAKS or joined[-1].endswith(_BREAKS))
        if glue and not joined[-1].startswith("--"):
            joined[-1] += word
        else:
            joined.append(word)
    os.environ["COMP_WORDS"] = " ".join(joined)
    os.environ["COMP_CWORD"] = str(len(joined) - 1)
    cut = max(joined[-1].rfind(mark) for mark in _BREAKS) + 1
    try:
        with redirect_stdout(io.StringIO()) as answers:
            yield
    finally:
        for line in answers.getvalue().splitlines():
            print(line[cut:])


def _starting(offers: Iterable[tuple[str, str]], incomplete: str) -> _Offers:
    return [offer for offer in offers if offer[0].startswith(incomplete)]


def specs(ctx: typer.Context, incomplete: str) -> _Offers:
    """`-c`: kinds, then what their bodies may be, of the model if it is named before."""
    return _starting(_bodies(incomplete, _plugins().controls, _model(ctx)), incomplete)


def selectors(incomplete: str) -> _Offers:
    """`--select`."""
    return _starting(_bodies(incomplete, _plugins().selectors), incomplete)


def kinds(incomplete: str) -> _Offers:
    """Names of controls."""
    found = _plugins().controls.items()
    return _starting(((kind, cls.summary()) for kind, cls in sorted(found)), incomplete)


def corpora(incomplete: str) -> _Offers:
    """`READER:PATH`."""
    reader, colon, start = incomplete.partition(":")
    if not colon:
        return _starting(((f"{name}:", "") for name in sorted(_plugins().corpora)), incomplete)
    return _starting(((f"{reader}:{path}", "") for path in _paths(start)), incomplete)


def recipes(incomplete: str) -> _Offers:
    """Files of recipes, and folders, which may hold one."""
    ends = (".toml", ".json", "/")
    return [(path, "") for path in _paths(incomplete) if path.endswith(ends)]


def models(incomplete: str) -> _Offers:
    """Embedded models, those of the hub in its cache, and folders, which may hold one."""
    from dlm_core.bundle import embedded_names

    folders = (path for path in _paths(incomplete) if path.endswith("/"))
    names = [(name, "embedded") for name in embedded_names()]
    return _starting([*names, *_cached(), *((path, "") for path in folders)], incomplete)


def hub_models(incomplete: str) -> _Offers:
    """Models of the hub in its cache."""
    return _starting(_cached(), incomplete)


def _cached() -> _Offers:
    from dlm_core.hub import cached_ids

    return [(name, "from the hub") for name in cached_ids()]


def _plugins() -> Plugins:
    from dlm_core.plugins.loading import load_plugins

    with redirect_stdout(sys.stderr):
        return load_plugins(strict=False)


def _model(ctx: typer.Context) -> ModelInfo | None:
    """The model that the words so far name; None if it cannot be read."""
    from dlm_core.bundle import ModelInfo
    from dlm_core.errors import DLMError

    try:
        return ModelInfo.read(ctx.params.get("model") or "e2e")
    except DLMError:
        return None


def _bodies(
    incomplete: str, known: Mapping[str, type[Spec]], info: ModelInfo | None = None
) -> Iterator[tuple[str, str]]:
    negation = "not " if incomplete.startswith("not ") else ""
    kind, colon, body = incomplete.removeprefix("not ").partition(":")
    if not colon:
        for name, cls in sorted(known.items()):
            yield f"{negation}{name}" + (":" if cls.model_fields else ""), cls.summary()
    elif kind in known:
        cls = known[kind]
        for offer in cls.complete(body) if info is None else cls.complete_in(body, info):
            yield f"{negation}{kind}:{offer}", ""


def _paths(start: str) -> Iterator[str]:
    folder, name = os.path.split(start)
    try:
        for path in sorted(Path(os.path.expanduser(folder or ".")).iterdir()):
            if path.name.startswith(name) and (name.startswith(".") or path.name[0] != "."):
                yield os.path.join(folder, path.name) + ("/" if path.is_dir() else "")
    except OSError:
        return
