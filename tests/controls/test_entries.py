"""Automata over the entries of a vocabulary with pieces, against the words that they spell."""

from __future__ import annotations

from itertools import product

import pytest

from dlm_controls import Avoid, Infill, Keyword, Pattern
from dlm_controls.length import WordCount
from dlm_controls.pattern.automaton import Automaton
from dlm_controls.pattern.entries import EntryAutomaton, over_entries
from dlm_controls.pattern.language import WordAutomaton, writable
from dlm_core.vocab import Vocab

TEXTS = ["cab abc abc", "abc a abb", "abc ab bab a a"] * 2
CONTROLS: dict[str, WordAutomaton] = {
    "a rare word": Keyword("cab"),
    "a whole word that begins others": Keyword("a"),
    "two, one within the other": Keyword("ab,abb"),
    "a phrase": Keyword('"abc cab"'),
    "not": Avoid("cab,abc", exact=True),
    "not, in any case": Avoid("ab"),
    "one word each": Pattern("* ab *"),
    "choices": Pattern("(cab|a b)? ... abb"),
    "no names": Pattern("* *"),
    "counted": WordCount(words=2, to=3),
    "sides": Infill(left="ab", right="cab", words=1),
}


@pytest.fixture(scope="module")
def vocab() -> Vocab:
    """Ten entries: `abc` and `a` whole, the rest in pieces."""
    return Vocab.build(TEXTS, min_count=5, pieces=7)


def accepts(entries: EntryAutomaton, ids: tuple[int, ...], vocab: Vocab) -> bool:
    state, others = 0, len(entries.ids)
    for id_ in ids:
        named = entries.ids.index(id_) if id_ in entries.ids else None
        at = named if named is not None else others + (not vocab.goes_on(id_))
        state = int(entries.table[state, at])
    return bool(entries.accepting[state])


@pytest.mark.parametrize("name", CONTROLS)
def test_entries_are_accepted_where_their_words_are(name: str, vocab: Vocab) -> None:
    """Every text of up to five entries; one that spells words in other pieces may be refused."""
    automaton = CONTROLS[name].automaton
    entries = over_entries(automaton.within(writable(vocab)), vocab)
    told: set[bool] = set()
    ids = [id_ for id_ in range(len(vocab)) if id_ > vocab.pad]
    for text in (text for n in range(6) for text in product(ids, repeat=n)):
        begins = not text or not vocab.goes_on(text[0])
        words = vocab.tokens(text)
        expected = begins and automaton.accepts(words)
        found = accepts(entries, text, vocab)
        if begins and vocab.encode(" ".join(words)) == list(text):
            assert found == expected, words
            told.add(expected)
        assert found <= expected, words
    assert told == {True, False}


@pytest.fixture(scope="module")
def wordy() -> Vocab:
    """More whole words than pieces: `ab`, `c`, `##b`... spell `cab`, `abb`."""
    common = ["a abc bab b bb ba ca bac"] * 6
    return Vocab.build([*common, "cab ab abb"], min_count=5, pieces=7)


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "sides"])
def test_what_is_not_asked_for_is_not_spelled(name: str, wordy: Vocab) -> None:
    """Every text of up to four entries, where the vocabulary does not spell freely."""
    assert not wordy.spells_freely
    automaton = CONTROLS[name].automaton.within(writable(wordy))
    entries = over_entries(automaton, wordy)
    ids = [
        k for k in range(wordy.pad + 1, len(wordy)) if k in entries.ids or wordy.words[k] in wordy
    ]
    told: set[bool] = set()
    for text in (text for n in range(5) for text in product(ids, repeat=n)):
        if text and wordy.goes_on(text[0]):
            assert not accepts(entries, text, wordy)
            continue
        words = wordy.tokens(text)
        usual = wordy.encode(" ".join(words)) == list(text)
        known = all(word in wordy or word in automaton.words for word in words)
        found = accepts(entries, text, wordy)
        assert found <= (automaton.accepts(words) and known), words
        if usual and known and len(set(words)) == len(words):
            assert found == automaton.accepts(words), words
            told.add(found)
    assert told == {True, False}


def test_what_is_avoided_does_not_come_in_by_other_pieces(vocab: Vocab) -> None:
    a, go_b, c, ab = (vocab.words.index(entry) for entry in ("a", "##b", "c", "ab"))
    assert vocab.spell("abb") == (ab, go_b)
    entries = over_entries(Avoid("abb", exact=True).automaton, vocab)
    assert not accepts(entries, (c, a, go_b, go_b), vocab)
    assert accepts(entries, (c, ab), vocab)
    entries = over_entries(Keyword("abb").automaton, vocab)
    assert accepts(entries, (c, ab, go_b), vocab)
    assert accepts(entries, (ab, go_b, a, go_b, go_b), vocab)  # it is there already
    assert not accepts(entries, (c, a, go_b, go_b), vocab)


def test_alike_states_are_merged(vocab: Vocab) -> None:
    """`*` is: nothing yet, a word, too much, and never a first piece that goes on."""
    entries = over_entries(Automaton.compile(Pattern("*").nodes), vocab)
    assert entries.ids == ()
    assert entries.table.shape == (3, 2)  # what is too long and what begins wrongly are one


def test_words_that_matter_no_more_have_no_states(vocab: Vocab) -> None:
    """Behind the first `cab` nothing of another is told apart."""
    entries = over_entries(Keyword("cab").automaton, vocab)
    never = otherwise = 1
    spelled = {"", *("cab"[:end] for _, _, end in vocab.ways("cab"))}
    after = {"another word", "had it"}
    assert len(entries.table) <= never + otherwise + len(spelled) + len(after)


def test_unk_stands_for_a_word_that_is_not_written(vocab: Vocab) -> None:
    entries = over_entries(Automaton.containing(["xyz"]), vocab)
    assert accepts(entries, (vocab.unk,), vocab)
    assert not accepts(entries, (vocab.id("a"),), vocab)
