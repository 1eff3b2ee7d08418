"""The oracle: constituency trees of given words by benepar, imported on first use.

Which parser: the argument, else the environment variable DLM_PARSER, else `benepar_en3` where it is
installed. A parser is named or given as a path.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dlm_controls.tree.bracketing import Bracket, ParseTree, read_tree
from dlm_core.errors import MissingError, UsageError, shorten
from dlm_core.text import load_json

DEFAULT = "benepar_en3"
INSTALL = 'pip install "dlm[tree]"'
GET = (
    f'set DLM_PARSER to the path of a benepar parser, or get one: python -c "import benepar; '
    f"benepar.download('{DEFAULT}')\""
)
_BATCH = 256


def parser_name(parser: str | None = None) -> str:
    """The parser that would be used."""
    return parser or os.environ.get("DLM_PARSER") or DEFAULT


def parser_version() -> str:
    """benepar's version and the parser's name; empty where benepar is not installed."""
    try:
        return f"benepar {version('benepar')} {Path(parser_name()).name}"
    except PackageNotFoundError:
        return ""


def parse_words(texts: Sequence[Sequence[str]], parser: str | None = None) -> list[ParseTree | str]:
    """Trees of texts that are split into words already; the loaded parser is kept.

    Args:
        texts: no text may be empty.
        parser: name or path; see the module docstring.

    Returns:
        the tree of each text, or why the parser cannot read it: too long, or of words that its
        tokenizer drops.

    Raises:
        MissingError: benepar or the parser is not installed; says what to install or set.
    """
    from dlm_core.diffusion.surroundings import loading

    with loading():  # of one parser at a time, loaded or at work: its tokenizer is not shared
        return _parse_words(texts, parser_name(parser))


def _parse_words(texts: Sequence[Sequence[str]], parser: str) -> list[ParseTree | str]:
    loaded = _load(parser)
    from benepar import InputSentence

    out: dict[int, ParseTree | str] = {}
    for i, words in enumerate(texts):
        if (reason := _unfit(loaded, words)) is not None:
            out[i] = reason
    # Like lengths together: half of the work would be padding.
    order = sorted((i for i in range(len(texts)) if i not in out), key=lambda i: len(texts[i]))
    inputs = [InputSentence(words=list(texts[i])) for i in order]
    with _quiet():
        for i, tree in zip(order, loaded.parse_sents(inputs), strict=True):
            out[i] = _from_nltk(tree, texts[i])
    return [out[i] for i in range(len(texts))]


def parse_corpus(
    texts: Sequence[str],
    cached: Path,
    parser: str | None = None,
    on_step: Callable[[int, int], None] | None = None,
) -> list[ParseTree | str]:
    """Trees of a corpus, kept in a JSONL of {"text", "tree"} that a later call continues.

    In place of a tree, not kept, stands why the parser cannot read a text.

    Args:
        texts: words and blanks; equal texts are parsed once.
        cached: the file; what it holds already is not parsed again.
        parser: as for `parse_words`; not needed where the file holds every text.
        on_step: called with (texts done, texts to do).

    Raises:
        MissingError: as `parse_words`, or the file cannot be written.
        UsageError: the file is not of this form (line named).
    """
    known: dict[str, ParseTree | str] = {**_read(cached)}
    missing = sorted({t for t in texts if t not in known}, key=lambda t: len(t.split()))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with cached.open("a", encoding="utf-8") as stream:
            for k in range(0, len(missing), _BATCH):
                batch = missing[k : k + _BATCH]
                for text, tree in zip(
                    batch, parse_words([t.split() for t in batch], parser), strict=True
                ):
                    known[text] = tree
                    if isinstance(tree, str):
                        continue
                    row = {"text": text, "tree": str(tree)}
                    stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                stream.flush()
                if on_step is not None:
                    on_step(k + len(batch), len(missing))
    except OSError as error:
        raise MissingError(f"cannot write {cached}: {error.strerror or error}") from error
    return [known[text] for text in texts]


def _read(cached: Path) -> dict[str, ParseTree]:
    if not cached.is_file():
        return {}
    lines = cached.read_bytes().split(b"\n")
    if lines[-1]:  # an interrupted write: drop the broken last line
        with cached.open("r+b") as stream:
            stream.truncate(sum(len(line) + 1 for line in lines[:-1]))
    known = {}
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = load_json(line)
            known[row["text"]] = read_tree(row["tree"], all_tags=True)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f'{cached}, line {number}: not {{"text", "tree"}}: {error}',
                "name another file, or remove this line",
            ) from error
    return known


def _unfit(loaded: Any, words: Sequence[str]) -> str | None:
    """Why the parser would fail on a text, or None."""
    net = loaded._parser
    tokenizer = getattr(getattr(net, "retokenizer", None), "tokenizer", None)
    if tokenizer is None:  # a parser over characters
        return None
    found = tokenizer(" ".join(words), return_offsets_mapping=True)
    most = getattr(net.pretrained_model.config, "max_position_embeddings", None)
    if most is not None and len(found["input_ids"]) > most:
        return f"too long for the parser: it reads {most} parts of words at most"
    at = 0
    covered = {k for start, end in found["offset_mapping"] for k in range(start, end)}
    for word in words:
        if covered.isdisjoint(range(at, at + len(word))):
            return f"the parser does not see the word {shorten(ascii(word), 40)}"
        at += len(word) + 1
    return None


def _from_nltk(tree: Any, words: Sequence[str]) -> ParseTree:
    """benepar's nltk.Tree, with the words as they were given."""
    spans: list[Bracket] = []
    tags: list[str] = []

    def walk(node: Any) -> None:
        if len(node) == 1 and isinstance(node[0], str):
            tags.append(node.label())
            return
        at, start = len(spans), len(tags)
        spans.append(Bracket(start, start, node.label()))
        for child in node:
            walk(child)
        spans[at] = Bracket(start, len(tags) - 1, node.label())

    walk(tree)
    return ParseTree(tuple(words), tuple(spans), tuple(tags))


@cache
def _load(name: str) -> Any:
    with _quiet():
        try:
            import benepar
        except ImportError as error:
            raise MissingError(f"benepar is not installed ({error})", INSTALL) from error
        path = Path(name).expanduser()
        with tokenizers_as_of_old():
            try:
                return benepar.Parser(str(path) if path.exists() else name)
            except (LookupError, OSError) as error:
                raise MissingError(f"no parser '{name}' is installed", GET) from error
            except Exception as error:
                raise MissingError(f"'{name}' is no benepar parser: {error}", GET) from error


@contextmanager
def tokenizers_as_of_old() -> Iterator[None]:
    """Give tokenizers back the method that benepar 0.2.0 calls and transformers 5 dropped."""
    from transformers import PreTrainedTokenizerBase

    name = "build_inputs_with_special_tokens"
    if hasattr(PreTrainedTokenizerBase, name):
        yield
        return

    def build(self: Any, ids: list[int], _: None = None) -> list[int]:
        """The special tokens that stand around any text, with `ids` between."""
        bare = self("a", add_special_tokens=False).input_ids
        framed = self("a").input_ids
        starts = range(len(framed) - len(bare) + 1)
        at = next(i for i in starts if framed[i : i + len(bare)] == bare)
        return [*framed[:at], *ids, *framed[at + len(bare) :]]

    setattr(PreTrainedTokenizerBase, name, build)
    try:
        yield
    finally:
        delattr(PreTrainedTokenizerBase, name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Old packages under new ones: their known warnings say nothing to the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torch_struct")
        yield
