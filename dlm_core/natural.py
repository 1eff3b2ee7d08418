"""Text as one writes it, and the tokens of a corpus: one place turns either into the other.

`The Mill is family-friendly.` has the tokens `The Mill is family - friendly .` Each word between
blanks is cut by itself, so a token stays one wherever it stands; and tokens are joined only where
cutting gives them back, so that nothing is lost on the way. Light: imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from functools import lru_cache

_OPEN = re.compile(r"[(\[{\"“‘£$€]|'(?=\w.*')")
_CLOSE = re.compile(r"(?:\.+|[,;:!?)\]}\"”’%]|(?<=[^\W_])')$")
_CLITIC = re.compile(r"(?<=[^\W_])(?=['’](?:[^\W\d_A-Z]+|S|T|RE|LL|VE|D|M)$)")
_HYPHEN = re.compile(r"(?<=[^\W_])([-‐‑–/])(?=[^\W_£$€])")
_SHORT = re.compile(r"(?:St|Mr|Mrs|Ms|Dr|[A-Z])\.")
"""Abbreviations, whose full stop belongs to them."""
_OWN = re.compile(r"['’](?:s|t|re|ll|ve|d|m|em|oeuvres?)", re.IGNORECASE)
_AFTER = re.compile(r"\.+|[,;:!?)\]}”’%]|n['’]t|['’][^\W\d_A-Z]+|'(?:S|T|RE|LL|VE|D|M)")
_BEFORE = re.compile(r"[(\[{“‘£$€]")
_BETWEEN = ("-", "‐", "‑", "–", "/")
_QUOTES = ('"', "'")


def tokenise(text: str, known: Container[str] = ()) -> list[str]:
    """The tokens of a text; tokens stay as they are.

    Args:
        text: as one writes it, or tokens with blanks between them.
        known: a vocabulary, whose words are not cut; but a full stop is cut from one that is a
            word without it, for corpora have `5.` beside `5 .`.
    """
    if known == ():
        return [token for word in text.split() for token in _cut_alone(word)]
    return [token for word in text.split() for token in _cut(word, known)]


@lru_cache(maxsize=1 << 16)
def _cut_alone(word: str) -> tuple[str, ...]:
    """As `_cut` without a vocabulary; a corpus has the same words again and again."""
    return tuple(_cut(word))


def _cut(word: str, known: Container[str] = ()) -> list[str]:
    """The tokens of what stands between two blanks."""
    before: list[str] = []
    after: list[str] = []
    while len(word) > 1 and not _is_whole(word, known) and not _OWN.fullmatch(word):
        if found := _OPEN.match(word):
            before.append(found[0])
            word = word[found.end() :]
        elif _SHORT.fullmatch(word):
            break
        elif (found := _CLOSE.search(word)) and found.start():
            after.append(found[0])
            word = word[: found.start()]
        else:
            break
    return [*before, *_cut_inside(word, known), *reversed(after)]


def _is_whole(word: str, known: Container[str]) -> bool:
    """Is it a word of the vocabulary, and no sentence's full stop in it?"""
    return word in known and (
        word[-1] != "." or word[:-1] not in known or _SHORT.fullmatch(word) is not None
    )


def _cut_inside(word: str, known: Container[str]) -> list[str]:
    """A word without marks around it, at hyphens, money signs and before a clitic."""
    if word in known:
        return [word]
    parts = _HYPHEN.split(word)
    if len(parts) > 1:
        return [token for part in parts for token in _cut(part, known)]
    return _CLITIC.split(word)


def detokenise(tokens: str | Sequence[str]) -> str:
    """Tokens as one writes them; the words and their capitals stay as they are.

    A hyphen between two words is taken for one, not for a dash.
    """
    return "".join(spaced(tokens.split() if isinstance(tokens, str) else tokens))


def spaced(tokens: Sequence[str]) -> list[str]:
    """Tokens with the blanks before them that one writes; joined they are the text."""
    words = list(tokens)
    glued = _glued(words)
    text: list[str] = []
    start = 0
    while start < len(words):
        end = start + 1
        while end < len(words) and glued[end]:
            end += 1
        while end > start + 1 and not _joins(words[start:end]):
            end -= 1
        text += [" " * bool(text) + words[start], *words[start + 1 : end]]
        start = end
    return text


def _joins(words: Sequence[str]) -> bool:
    """Does cutting what they join to give them back? `do n't` is joined though it does not."""
    return words[-1] in ("n't", "n’t") or [*_cut_alone("".join(words))] == words


def _glued(words: Sequence[str]) -> list[bool]:
    """Of each token, does it join the one before it?"""
    glued = [False] * (len(words) + 1)
    opened: set[str] = set()
    for k, word in enumerate(words):
        if word in _QUOTES:
            closing = word in opened or not _opens(words, k)
            opened.symmetric_difference_update({word} if word in opened or not closing else ())
            glued[k if closing else k + 1] = True
        elif _BEFORE.fullmatch(word):
            glued[k + 1] = True
        elif _AFTER.fullmatch(word):
            glued[k] = True
        elif word in _BETWEEN and 0 < k < len(words) - 1:
            glued[k] = glued[k + 1] = True
    glued[0] = False
    return glued[: len(words)]


def _opens(words: Sequence[str], k: int) -> bool:
    """Is the quote at k, none being open, the first of two, and no genitive's?"""
    genitive = words[k] == "'" and k > 0 and words[k - 1][-1:] in ("s", "S", "z")
    return not genitive and words[k] in words[k + 1 :]
