"""semantic learnt from a corpus: inventory, mined phrases, judge, specs, and a trained head."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dlm_core as dlm
from dlm_controls import MR, Semantic
from dlm_controls.semantic.inventory import Inventory, survey
from dlm_controls.semantic.judge import Judge
from dlm_controls.semantic.known import domain_of
from dlm_controls.semantic.learned import Learned
from dlm_controls.semantic.mine import mine
from dlm_controls.semantic.ngrams import LONGEST, NGrams
from dlm_controls.semantic.reading import Reader
from dlm_controls.semantic.roles import Roles
from dlm_controls.semantic.train import learn
from dlm_controls.semantic.words import comparable
from dlm_core.bundle import Model, ModelInfo, save_bundle
from dlm_core.config import ModelConfig
from dlm_core.control.compose import as_controls
from dlm_core.control.parse import parse_spec
from dlm_core.corpora import Example
from dlm_core.diffusion.model import DiffusionLM
from dlm_core.errors import MissingError, SpecError, UnsatisfiableError, UsageError
from dlm_core.vocab import Vocab

FIRST, LAST = ("Ada", "Bo", "Cy", "Di"), ("Lee", "Ray", "Fox", "Kim")
OWNERS = [f"{a} {b}" for a, b in itertools.product(FIRST, LAST)]
COLOURS = ("red", "dark blue", "green")
HOT = {
    "yes": ("is spicy", "tastes very hot", "seems spicy"),
    "no": ("is not spicy", "tastes mild", "seems not spicy"),
}


def rows(count: int = 1500, seed: int = 0) -> list[Example]:
    """Dishes: an owner (a name), a colour, whether it is hot; and columns of no use."""
    draws = Random(seed)
    found = []
    for k in range(count):
        owner, colour, hot = (
            draws.choice(OWNERS),
            draws.choice(COLOURS),
            draws.choice(["yes", "no"]),
        )
        middle = "the plain dish" if draws.random() < 0.5 else "a dish of the day"
        text = f"{middle} of {owner} {draws.choice(HOT[hot])} and comes in {colour} ."
        fields = {
            "owner": owner,
            "Colour": colour,
            "hot": hot,
            "town": "north" if owner < "Cy" else "south",  # owed to the owner, never said
            "mood": draws.choice(["glad", "sad"]),
            "row": str(k),
            "kind": "dish",
        }
        if k % 50 == 0:
            fields["note"] = "seen"
        found.append(Example(text, fields))
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    vocab = Vocab.build([example.text for example in rows()], min_count=0)
    config = ModelConfig(
        vocab_size=len(vocab), embedding_dim=8, max_len=20, train_steps=100, hidden=32, layers=2,
        heads=2,
    )  # fmt: skip
    torch.manual_seed(0)
    net = DiffusionLM(config, pad=vocab.pad, unk=vocab.unk)
    with torch.no_grad():
        net.length_counts[13:17] = 1.0
    path = tmp_path_factory.mktemp("dishes")
    save_bundle(path, net, vocab)
    return Model.load(path)


@pytest.fixture(scope="module")
def learned(model: Model) -> Learned:
    return learn(rows(), model.vocab)[0]


@pytest.fixture(scope="module")
def trained(model: Model) -> Model:
    """The model with a head of its own."""
    Semantic.train(model, rows(), model.info.head_path("semantic"), steps=60)
    return Model.load(model.info.path)


def test_fields_are_closed_open_or_useless_and_why(learned: Learned) -> None:
    fields = learned.inventory.fields
    assert {name: fields[name].kind for name in learned.fields} == {
        "owner": "open", "Colour": "closed", "hot": "closed"
    }  # fmt: skip
    reasons = {name: field.why for name, field in fields.items() if field.why}
    assert set(reasons) == {"town", "mood", "row", "kind", "note"}
    assert "a value a text" in reasons["row"] and "the same value" in reasons["kind"]
    assert reasons["note"] == "missing in 98% of the texts"
    assert "cannot be read off the texts" in reasons["mood"] and "%" in reasons["mood"]
    assert reasons["town"].startswith(
        "diffuse"
    )  # a judge reads it off the owner; no phrase says it
    assert fields["town"].accuracy is not None and fields["town"].accuracy > 0.95


def test_what_says_a_value_is_mined(learned: Learned) -> None:
    values = learned.inventory.fields["hot"].values
    assert set(values["no"].phrases) == {"not", "mild"}
    assert all("spicy" in p or "very" in p for p in values["yes"].phrases)
    colour = learned.inventory.fields["Colour"].values["dark blue"]
    assert "dark blue" in colour.phrases and colour.put == ["dark blue"]
    for example in rows(200, seed=9):
        read = {(m.field, m.value) for m in learned.reader.read(example.text.split())}
        assert read == {(f, example.fields[f]) for f in learned.fields}


def test_what_makes_a_phrase_another_values_is_no_phrase_of_it() -> None:
    said = ["is family friendly", "a family friendly place", "family friendly fun"]
    denied = ["is not family friendly", "a not family friendly place", "not family friendly fun"]
    texts = [comparable(t) for t in [*said * 30, *denied * 25]]
    labels = ["yes"] * 90 + ["no"] * 75
    found = mine(texts, {"family": labels}, ["family"])["family"]
    assert [" ".join(p.words) for p in found["no"].phrases if len(p.words) == 1] == ["not"]
    assert all("not" not in p.words for p in found["yes"].phrases)


def test_words_that_deny_a_value_are_those_before_it_in_anothers_phrases(tmp_path: Path) -> None:
    values = {
        "yes": {"texts": 9, "phrases": ["family friendly"], "put": ["family - friendly"]},
        "no": {
            "texts": 9,
            "phrases": ["not family friendly", "adults only"],
            "put": ["adults only"],
        },
    }
    field = {"kind": "closed", "texts": 18, "spelt": 0.0, "distinct": 2, "values": values}
    domain = Learned(Inventory.model_validate({"texts": 18, "fields": {"family": field}}), tmp_path)
    assert list(domain.deniers("family", "yes")) == ["not"]
    assert list(domain.deniers("family", "no")) == []
    read = domain.reader.read(["It", "is", "not", "family", "-", "friendly", "."])
    assert read == [("family", "no", 2, 6)]
    both = ["adults", "only", ",", "and", "family", "friendly"]
    assert domain.faults(both, "family", "no") == 1


def test_counts_of_phrases_are_those_of_the_texts() -> None:
    examples = rows(400)
    texts = [comparable(e.text) for e in examples]
    columns = {"Colour": [e.fields["Colour"] for e in examples]}
    for value, said in mine(texts, columns, ["Colour"])["Colour"].items():
        assert said.phrases
        for phrase in said.phrases:
            have = [f" {' '.join(phrase.words)} " in f" {' '.join(t)} " for t in texts]
            colours = [e.fields["Colour"] for h, e in zip(have, examples, strict=True) if h]
            assert (phrase.hits, phrase.texts) == (colours.count(value), sum(have))


@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", "."]), max_size=7), min_size=1, max_size=9),
    st.integers(1, 3),
)
def test_ngrams_are_those_of_enough_texts(texts: list[list[str]], fewest: int) -> None:
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        spans = itertools.combinations(range(len(text) + 1), 2)
        counts.update({tuple(text[a:b]) for a, b in spans if b - a <= LONGEST})
    wanted = {g: n for g, n in counts.items() if n >= fewest and "." not in g}
    found = NGrams(texts, fewest)
    assert {g: len(found.texts_of[k]) for k, g in enumerate(found.grams)} == wanted


def test_a_reader_tells_names_by_what_is_beside_them() -> None:
    examples = [
        Example(f"{a} lives near {b} .", {"who": a, "at": b}) for a in OWNERS for b in OWNERS
    ]
    fields = survey(examples).fields
    assert {f.kind for f in fields.values()} == {"open"}
    mentions = [("who", comparable(e.text), 0, 2) for e in examples]
    mentions += [("at", comparable(e.text), 4, 6) for e in examples]
    reader = Reader.of(fields, Roles.count(mentions))
    read = reader.read(["Di", "Kim", "lives", "near", "Bo", "Fox", "."])
    assert [m[:2] for m in read] == [("who", "Di Kim"), ("at", "Bo Fox")]
    assert [m[2:] for m in read] == [(0, 2), (4, 6)]


def test_a_judge_learns_what_can_be_learned() -> None:
    examples, held = rows(800), rows(200, seed=5)
    texts = [comparable(e.text) for e in examples]
    judge = Judge.train(texts, {f: [e.fields[f] for e in examples] for f in ("hot", "mood")})
    read = [judge.read(comparable(e.text)) for e in held]
    for field, low, high in (("hot", 0.99, 1.0), ("mood", 0.35, 0.65)):
        right = sum(r[field][0] == e.fields[field] for r, e in zip(read, held, strict=True))
        assert low <= right / len(held) <= high
    (alone,) = judge.only(["hot"]).read(comparable("it is mild")).items()
    assert alone == ("hot", judge.read(comparable("it is mild"))["hot"])


def test_labels_that_the_texts_contradict_are_refused_with_figures(model: Model) -> None:
    draws = Random(1)
    examples = [Example(e.text, {"label": draws.choice("ab")}) for e in rows(600)]
    with pytest.raises(
        UsageError, match=r"'label': its values cannot be read.*\d\d\.\d%"
    ) as caught:
        learn(examples, model.vocab)
    assert "classify" in (caught.value.hint or "")
    with pytest.raises(UsageError, match="none of 600 texts have fields"):
        learn([Example(e.text) for e in examples])


SIGNS = st.text(st.characters(exclude_categories=["C"]), min_size=1)


@given(SIGNS, SIGNS)
def test_any_field_and_value_is_parsed_without_a_model(field: str, value: str) -> None:
    if not field.strip() or not value.strip():
        return
    spec = Semantic(field=field, value=value)
    source = f"semantic:{json.dumps(spec.model_dump())}"
    assert parse_spec(source, {"semantic": Semantic}).spec == spec
    assert parse_spec(str(spec), {"semantic": Semantic}).spec == spec


@pytest.mark.parametrize("value", ["a, b=c", 'say "no"', "x=y", "{odd}", "l'été"])
def test_values_of_all_sorts_are_fields_own(value: str, tmp_path: Path) -> None:
    texts = [Example(f"it is {w} here", {"motto": w}) for w in (value, "plain") for _ in range(30)]
    inventory = survey(texts)
    Learned(inventory, tmp_path).inventory.save(tmp_path)
    domain = Learned.load(tmp_path)
    spec = parse_spec(f"semantic:motto={value}", {"semantic": Semantic}).spec
    assert isinstance(spec, Semantic)
    assert domain.fact(spec.field, spec.value).value == value


def test_what_the_inventory_has_not_is_refused_with_the_nearest(trained: Model) -> None:
    info = trained.info
    Semantic(colour="Dark-Blue").check(info)
    for field, value, message, hint in (
        ("colr", "red", "unknown field 'colr'", "'Colour'"),
        ("colour", "gren", "unknown colour 'gren'", "'green'"),
        ("mood", "sad", "field 'mood' cannot be asked for: its values cannot be read", ""),
        ("food", "Japanese", "unknown field 'food'", "known: owner"),
    ):
        with pytest.raises(SpecError) as caught:
            Semantic(field=field, value=value).check(info)
        assert message in caught.value.message and hint in (caught.value.hint or "")
        assert caught.value.exit_code == 2 and "^^^" in caught.value.message
    for two in (
        Semantic(colour="red") + Semantic(Colour="green"),
        [MR(hot="no"), Semantic(hot="yes")],
    ):
        with pytest.raises(UnsatisfiableError, match="are not both its"):
            as_controls(two).check(info)
    assert Semantic.complete_in("ho", info)[1:] == ["Colour=", "hot="]
    assert sorted(Semantic.complete_in("hot=", info)) == ["hot=no", "hot=yes"]
    assert MR.complete_in("hot[yes], ", info) == ["hot[yes], owner[", "hot[yes], Colour["]


def test_a_form_offers_what_was_learned(trained: Model) -> None:
    info = trained.info
    assert [*Semantic.known_values("field", {}, info)] == ["owner", "Colour", "hot"]
    assert sorted(Semantic.known_values("value", {"field": "colour"}, info)) == sorted(COLOURS)
    assert [*Semantic.known_values("value", {"field": "food"}, info)] == []
    assert sorted(MR.known_values("facts.1", {"facts.0": "hot"}, info)) == ["no", "yes"]


def test_texts_are_judged_by_the_judge(trained: Model) -> None:
    info = trained.info
    text = "the plain dish of Ada Lee is not spicy and comes in dark blue ."
    for held, fact in (
        (True, Semantic(hot="no")), (False, Semantic(hot="yes")),
        (True, Semantic(colour="dark blue")), (False, Semantic(colour="red")),
        (True, Semantic(owner="Ada Lee")), (False, Semantic(owner="Bo Lee")),
    ):  # fmt: skip
        assert fact.bind(info).verify(text).satisfied is held
        assert fact.bind(info).verify_not(text).satisfied is not held
    whole = MR(hot="no", colour="dark blue", owner="Ada Lee").bind(info)
    assert [field for field, _ in whole.facts] == ["owner", "Colour", "hot"]
    assert whole.verify(text).satisfied
    assert whole.verify(text.replace("not ", "")).detail.startswith("missing: hot[no]")
    words = text.split()
    said = {what: " ".join(words[a:b]) for a, b, what in whole.verify(text).places}
    assert said == {"owner": "Ada Lee", "Colour": "dark blue", "hot": "not"}


def test_a_trained_head_steers_by_its_own_facts(trained: Model) -> None:
    assert isinstance(domain_of(trained.info), Learned)
    asked = [Semantic(colour="red"), Semantic(hot="no"), Semantic(owner="Cy Fox")]
    for spec in asked:
        results = dlm.generate(trained, spec, n=4, sampling={"steps": 8})
        phrases = [" ".join(p) for p in spec.phrases(trained.info)]
        said = sum(any(p in r.tokenised for p in phrases) for r in results)
        assert said >= 3
    (new,) = dlm.generate(trained, Semantic(owner="Zoe Yi"), sampling={"steps": 8})
    assert "Zoe Yi" in new.text


def test_the_writer_is_shown_the_learned_codes(trained: Model) -> None:
    text = "the plain dish of Ada Lee is mild and comes in red ."
    silent = Example("the plain dish of Ada Lee", {})
    both = Example("it comes in red and comes in green", {})
    shown, less, none = Semantic.read_shown([Example(text), silent, both], trained.info)
    assert shown is not None and less is not None and none is None
    asked = MR(owner="Ada Lee", hot="no", Colour="red").bind(trained.info)
    assert set(asked.shown(9).whole) == set(shown.whole)
    assert {c.name for c in less.whole} == {
        "semantic:owner",
        "semantic:no hot",
        "semantic:no Colour",
    }


def test_a_broken_inventory_is_told(trained: Model, tmp_path: Path) -> None:
    (tmp_path / "inventory.json").write_text('{"texts": "many"}')
    info = trained.info.with_heads({"semantic": tmp_path})
    with pytest.raises(MissingError, match=r"inventory\.json is broken"):
        domain_of(info)
    assert Inventory.load(trained.info.head_path("semantic")).usable


def test_a_model_without_an_inventory_has_e2es_facts() -> None:
    info = ModelInfo.read("e2e")
    assert Semantic(cuisine="french").bind(info).fact[:2] == ("food", "French")
    for fact, message in ((Semantic(fod="French"), "'food'"), (Semantic(food="Frnch"), "'French'")):
        with pytest.raises(SpecError) as caught:
            fact.check(info)
        assert message in (caught.value.hint or "")
