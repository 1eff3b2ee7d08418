"""The pattern language against Python's `re`, automata against sets of texts, errors and places."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_controls import Avoid, Pattern
from dlm_controls.pattern.automaton import MAX_STATES, Automaton, TooManyStatesError
from dlm_controls.pattern.notation import parse, words_of
from dlm_core.errors import SpecError

# words that look like the grammar among them, and two that no pattern names
WORDS = ("a", "b", "*", "?", "...", "(", "|", "\\", "a?")
TEXTS = st.lists(st.sampled_from([*WORDS, "x", "y"]), max_size=7)


@dataclass(frozen=True)
class Source:
    """The same pattern for us and for `re`, which reads words with a blank behind each."""

    ours: str
    regex: str


def word(text: str) -> Source:
    plain = "\\..." if text == "..." else re.sub(r"([*?()|\\])", r"\\\1", text)
    return Source(plain, re.escape(text + " "))


def sequence(items: list[Source]) -> Source:
    return Source(" ".join(i.ours for i in items), "".join(i.regex for i in items))


def choice(items: list[Source]) -> Source:
    return Source(f"({'|'.join(i.ours for i in items)})", f"(?:{'|'.join(i.regex for i in items)})")


def optional(item: Source) -> Source:
    return Source(f"{item.ours}?", f"(?:{item.regex})?")


SIMPLE = st.one_of(
    st.sampled_from(WORDS).map(word),
    st.just(Source("*", r"[^ ]+ ")),
    st.just(Source("...", r"(?:[^ ]+ )*")),
)
ITEMS = st.recursive(
    SIMPLE,
    lambda inner: st.lists(st.lists(inner, min_size=1, max_size=3).map(sequence), min_size=1).map(
        choice
    ),
    max_leaves=6,
).flatmap(lambda item: st.sampled_from([item, optional(item)]))
PATTERNS = st.lists(ITEMS, min_size=1, max_size=4).map(sequence)


def automaton(pattern: str) -> Automaton:
    return Automaton.compile(parse(pattern))


def joined(words: list[str]) -> str:
    return "".join(f"{word} " for word in words)


@given(pattern=PATTERNS, texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_a_pattern_accepts_what_re_matches(pattern: Source, texts: list[list[str]]) -> None:
    found = automaton(pattern.ours)
    for text in texts:
        assert found.accepts(text) is (re.fullmatch(pattern.regex, joined(text)) is not None)


@given(left=PATTERNS, right=PATTERNS, texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_intersection_and_complement(left: Source, right: Source, texts: list[list[str]]) -> None:
    one, other = automaton(left.ours), automaton(right.ours)
    for text in texts:
        assert (one & other).accepts(text) is (one.accepts(text) and other.accepts(text))
        assert (~one).accepts(text) is not one.accepts(text)


@given(pattern=PATTERNS)
def test_lengths_are_those_of_the_texts_accepted(pattern: Source) -> None:
    found = automaton(pattern.ours)
    alphabet = [*found.words, "another word"]
    limit = 3
    expected = {
        n
        for n in range(limit + 1)
        if any(found.accepts(t) for t in itertools.product(alphabet, repeat=n))
    }
    assert found.lengths(limit) == expected


@given(pattern=PATTERNS, text=TEXTS)
def test_stuck_at_the_first_word_without_a_way_on(pattern: Source, text: list[str]) -> None:
    found = automaton(pattern.ours)
    alphabet = [*found.words, "another word"]
    # a text that leads on needs at most as many words as there are states; two are tried here
    ends = [t for n in range(3) for t in itertools.product(alphabet, repeat=n)]
    at = found.stuck_at(text)
    if at is not None:
        assert not any(found.accepts([*text[: at + 1], *end]) for end in ends)
    for k in range(len(text) if at is None else at):
        prefix = text[: k + 1]
        longer = any(found.accepts([*prefix, *end]) for end in ends)
        assert longer or len(found.table) > 3


@given(pattern=PATTERNS)
def test_automata_are_minimal_and_canonical(pattern: Source) -> None:
    found = automaton(pattern.ours)
    again = ~~found & found
    assert again.table.tolist() == found.table.tolist()
    assert again.accepting.tolist() == found.accepting.tolist()
    # states are told apart by some text: the table's blocks by accepted suffixes are all different
    states = range(len(found.table))
    suffixes = {s: found.accepting[s] for s in states}
    for _ in states:
        suffixes = {s: hash((suffixes[s], *(suffixes[e] for e in found.table[s]))) for s in states}
    assert len(set(suffixes.values())) == len(found.table)


def test_a_pattern_written_by_hand() -> None:
    found = automaton("The * serves (Indian|Italian) food ...")
    assert found.accepts(["The", "Mill", "serves", "Indian", "food", "."])
    assert found.accepts(["The", "Mill", "serves", "Italian", "food"])
    assert not found.accepts(["The", "Mill", "serves", "food", "."])
    assert not found.accepts(["The", "Golden", "Palace", "serves", "Indian", "food"])
    assert found.stuck_at(["The", "Mill", "has", "Indian", "food"]) == 2
    assert found.stuck_at(["The", "Mill", "serves"]) is None


def test_choices_of_different_lengths() -> None:
    assert automaton("(a|b c d)").lengths(5) == {1, 3}
    assert automaton("a (b c)? d?").lengths(9) == {1, 2, 3, 4}
    assert automaton("a ... b").lengths(5) == {2, 3, 4, 5}


def test_a_phrase_may_overlap_itself() -> None:
    found = Automaton.containing(["a", "a", "b"])
    assert found.accepts(["a", "a", "a", "b"]) and not found.accepts(["a", "b", "a", "b"])


def test_size_follows_the_pattern() -> None:
    both = Automaton.containing(["a"])
    for k in range(9):
        both &= Automaton.containing([f"w{k}"])
    assert len(both.table) == 2**10
    assert len(automaton("... a ... b c ...").table) <= 5


def test_an_explosion_is_refused() -> None:
    with pytest.raises(TooManyStatesError, match=str(MAX_STATES)):
        automaton("... a " + "* " * 12)
    some = Automaton.containing(["a"])
    with pytest.raises(TooManyStatesError):
        for k in range(12):
            some &= Automaton.containing([f"w{k}"])


def test_words_keep_their_place() -> None:
    words = list(words_of(parse("The (\\*|b c)? ...")))
    assert [w.text for w in words] == ["The", "*", "b", "c"]
    assert [w.span for w in words] == [(0, 3), (5, 7), (8, 9), (10, 11)]


@pytest.mark.parametrize(
    ("pattern", "message", "span"),
    [
        ("", "the pattern is empty", (0, 0)),
        ("a (b", "not closed", (2, 3)),
        ("a (b|(c)", "not closed", (2, 3)),
        ("a) b", "nothing to close", (1, 2)),
        ("a | b", "nothing to close or to choose", (2, 3)),
        ("(a|)", "alternative is empty", (3, 4)),
        ("(|a)", "alternative is empty", (1, 2)),
        ("a ()", "alternative is empty", (3, 4)),
        ("a ?", "nothing before", (2, 3)),
        ("(? a)", "nothing before", (1, 2)),
        ("a??", "a blank must stand", (2, 3)),
        ("a(b)", "a blank must stand", (1, 2)),
        ("(a)b", "a blank must stand", (3, 4)),
        ("a?b", "a blank must stand", (2, 3)),
        ("a \\", "nothing behind the backslash", (2, 3)),
    ],
)
def test_what_cannot_be_read_is_marked(pattern: str, message: str, span: tuple[int, int]) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        parse(pattern)
    assert caught.value.span == span and caught.value.hint


def test_equal_specs_share_one_automaton() -> None:
    """Of a file of requests that ask the same, a pattern is compiled once."""
    first, second = Pattern("The * serves (a|b) ..."), Pattern("The  * serves (a|b) ...")
    assert first.automaton is second.automaton
    both = [pattern.merge(Avoid("a")) for pattern in (first, second)]
    assert both[0].automaton is both[1].automaton
    assert first.automaton is not Pattern("The * serves (b|a)").automaton
    assert Avoid("a").automaton is not Avoid("a", exact=True).automaton
