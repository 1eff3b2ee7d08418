"""What the built-in controls show the writer, of a request and of a text."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from dlm_controls import Keyword, Pos, Semantic
from dlm_controls.semantic.e2e import tables
from dlm_core.bundle import ModelInfo
from dlm_core.control.shown import Code, LearnsShown, SupportsShown
from dlm_core.corpora import Example

INFO = ModelInfo.read("e2e")
TEXT = "The Mill is a cheap pub near Café Rouge ."


def test_facts_of_a_text_and_what_it_does_not_say() -> None:
    (shown,) = Semantic.read_shown([Example(TEXT)], INFO)
    assert shown is not None
    assert set(shown.whole) == {
        Code("semantic:name", ("The", "Mill")),
        Code("semantic:near", ("Café", "Rouge")),
        Code("semantic:eatType=pub", ("pub",)),
        Code("semantic:priceRange=cheap"),
        *(Code(f"semantic:no {f}") for f in ("food", "customer rating", "area", "familyFriendly")),
    }
    (noisy,) = Semantic.read_shown([Example(TEXT, {"name": "The Mill", "food": "French"})], INFO)
    assert noisy is not None and Code("semantic:no food") not in noisy.whole


def test_texts_that_contradict_or_repeat_themselves_teach_nothing() -> None:
    contradicts = "The Mill is a cheap pub with high prices ."
    repeats = "The Mill is near Café Rouge , and it is near Café Rouge ."
    assert Semantic.read_shown([Example(contradicts), Example(repeats)], INFO) == [None, None]


def test_a_request_has_the_codes_of_texts_that_meet_it() -> None:
    (shown,) = Semantic.read_shown([Example(TEXT)], INFO)
    assert shown is not None
    asked = [Semantic(name="The Mill"), Semantic(near="Café Rouge"), Semantic(type="pub")]
    assert all(spec.shown(9).whole[0] in shown.whole for spec in [*asked, Semantic(price="cheap")])
    assert Keyword("pub,Café Rouge").shown(9).whole == (
        Code("keyword", ("pub",)),
        Code("keyword", ("Café", "Rouge")),
    )


def test_tags_stand_at_their_places() -> None:
    def places(tags: str, words: int) -> list[str]:
        return [code[4:] if code else "-" for code in Pos(tags).shown(words).places]

    assert places("PROPN AUX * NOUN", 4) == ["PROPN", "AUX", "-", "NOUN"]
    assert places("PROPN ... PUNCT", 5) == ["PROPN", "-", "-", "-", "PUNCT"]
    assert places("PROPN ... NOUN ... PUNCT", 4) == ["PROPN", "-", "-", "PUNCT"]


@given(seed=st.integers(0, 10**6))
def test_what_is_drawn_is_part_of_what_was_read(seed: int) -> None:
    draws = Random(seed)
    for kind in (Semantic, Keyword):
        assert issubclass(kind, LearnsShown)
        (everything,) = kind.read_shown([Example(TEXT)], INFO)
        assert everything is not None
        drawn = kind.draw_shown(everything, TEXT.split(), draws)
        for code in drawn.whole:
            words = " ".join(code.words)
            assert f" {words} " in f" {TEXT} " if kind is Keyword else code in everything.whole


def test_every_part_of_it_is_drawn_now_and_then() -> None:
    draws = Random(0)
    (everything,) = Semantic.read_shown([Example(TEXT)], INFO)
    assert everything is not None
    drawn = [Semantic.draw_shown(everything, TEXT.split(), draws) for _ in range(400)]
    sizes = [len(one.whole) for one in drawn]
    assert 0.3 < sizes.count(len(everything.whole)) / 400 < 0.6
    assert 0.1 < sizes.count(0) / 400 < 0.35
    silent = [sum(c.name.startswith("semantic:no ") for c in one.whole) for one in drawn]
    assert max(silent) == len(tables.FIELDS) - 4 and silent.count(0) > 100
    assert isinstance(Semantic(food="French"), SupportsShown)
