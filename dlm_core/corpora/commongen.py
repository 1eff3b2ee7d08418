"""CommonGen as it goes round: sentences in one file, the concepts of each in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from dlm_core.corpora.example import Example, broken, spaced
from dlm_core.errors import MissingError, UsageError
from dlm_core.text import read_lines

_SENTENCES, _CONCEPTS = ".tgt.", ".src_alpha."


def read_commongen(
    path: Path, encoding: str | None = None, options: Mapping[str, str] | None = None
) -> Iterator[Example]:
    """Sentences with the field `concepts`, the words they were written for, blanks between them.

    Args:
        path: `commongen.train.tgt.txt`, packed or not, with `commongen.train.src_alpha.txt` beside
            it; or their folder.
        encoding: of both files.
        options: `split` of a folder: `train` if omitted.

    Raises:
        MissingError: one of the files is not there.
        UsageError: another option; or they have different numbers of lines, or a line is empty.
    """
    for name in options or {}:
        if name != "split":
            raise UsageError(f"{path}: no option is called '{name}'", "#split=train|dev")
    sentences = path
    if path.is_dir():
        name = f"commongen.{(options or {}).get('split', 'train')}{_SENTENCES}txt"
        packed = sorted(path.glob(f"{name}*"))
        sentences = packed[0] if packed else path / name
    concepts = sentences.with_name(sentences.name.replace(_SENTENCES, _CONCEPTS))
    if concepts == sentences or not concepts.is_file():
        raise MissingError(
            f"cannot read the concepts of {sentences}: no file '{concepts.name}' beside it"
            if concepts != sentences
            else f"{sentences} is not called as CommonGen's sentences are",
            "commongen:FOLDER, or commongen:commongen.train.tgt.txt",
        )
    pairs = zip_longest(read_lines(sentences, encoding), read_lines(concepts, encoding))
    for number, (sentence, words) in enumerate(pairs, 1):
        if sentence is None or words is None:
            shorter = sentences if sentence is None else concepts
            raise broken(shorter, number, "the file ends here, the other one goes on")
        text, wanted = spaced(sentence[1]), spaced(words[1])
        if not (text and wanted):
            raise broken(concepts if text else sentences, number, "an empty line")
        yield Example(text, {"concepts": wanted})
