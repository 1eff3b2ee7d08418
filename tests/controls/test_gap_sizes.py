"""How many words a gap gets where nobody says: sums over sentences, and texts of a real model."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from dlm_controls import Infill
from dlm_core.bundle import Model
from dlm_core.control.protocol import BuildContext
from dlm_core.corpora.prepare import split_sentences
from dlm_core.errors import MissingError
from dlm_core.generation.generate import generate
from dlm_core.generation.prepare import Request, prepare
from dlm_core.plugins.loading import load_plugins
from dlm_core.sentences import SENTENCES, sentence_lengths

COUNTS = [0, 1, 3, 4, 0, 2]


def model_with(tiny_model: Model, counts: object) -> Model:
    return Model(replace(tiny_model.info, provenance={SENTENCES: counts}), tiny_model.net)


def ratios(model: Model, spec: Infill) -> list[float]:
    return spec.build(BuildContext(model)).length_log_ratios().exp().tolist()  # type: ignore[attr-defined, no-any-return]


def of_whole_sentences(n: int, first: int = 0, last: int = 0) -> float:
    """Sum over all ways to cut `first + n + last` words into sentences, none of which ends within
    the first or begins within the last of them."""
    p = [c / sum(COUNTS) for c in COUNTS]
    total = 0.0
    for count in range(1, first + n + last + 1):
        for sizes in itertools.product(range(1, len(p)), repeat=count):
            if sum(sizes) == first + n + last and sizes[0] >= first and sizes[-1] >= last:
                apart = count > 1 or not (first and last)
                total += math.prod(p[size] for size in sizes) * apart
    return total


@pytest.mark.parametrize(
    ("left", "right", "open_left", "open_right"),
    [
        ("The Mill .", "The pub .", 0, 0),
        ("The Mill .", "", 0, 0),
        ("", "The pub .", 0, 0),
        ("The Mill", "", 2, 0),
        ("The Mill .", "pub .", 0, 2),
    ],
)
def test_whole_sentences_and_the_rest_of_an_open_one(
    left: str, right: str, open_left: int, open_right: int, tiny_model: Model
) -> None:
    found = ratios(model_with(tiny_model, COUNTS), Infill(left=left, right=right))
    beside = len(f"{left} {right}".split())
    for n in range(1, 6):
        expected = of_whole_sentences(n, open_left, open_right)
        assert found[beside + n] == pytest.approx(max(expected, 1e-6)), n


def test_what_is_missing_within_a_sentence_is_of_this_sentence(tiny_model: Model) -> None:
    found = ratios(model_with(tiny_model, COUNTS), Infill(left="The pub .  The", right="pub ."))
    p = [1e-6 if c == 0 else c / sum(COUNTS) for c in COUNTS]
    assert found[6:9] == pytest.approx(p[3:]) and max(found[9:]) == pytest.approx(1e-6)


@pytest.mark.parametrize("spec", [Infill(left="The .", words=3), Infill(left="The")])
def test_nothing_is_said_where_the_size_is_told_or_nobody_counted(
    spec: Infill, tiny_model: Model
) -> None:
    model = model_with(tiny_model, COUNTS) if spec.words else tiny_model
    assert set(ratios(model, spec)) == {1.0}


def test_a_side_longer_than_any_sentence_leaves_every_size(tiny_model: Model) -> None:
    spec = Infill(left="The Mill The Mill The Mill", right="pub .")
    found = ratios(model_with(tiny_model, COUNTS), spec)
    assert found == pytest.approx([1e-6] * len(found))


@pytest.mark.parametrize("counts", ["many", [0, -1], [0, 0.5], [1, 2], [0, True]])
def test_counts_that_are_none_are_refused(counts: object, tiny_model: Model) -> None:
    with pytest.raises(MissingError, match=f"'{SENTENCES}' is no list"):
        sentence_lengths(model_with(tiny_model, counts).info)


def test_counts_of_another_length_fit(tiny_model: Model) -> None:
    for counts in ([0, 1], [0, 1, *[0] * 40, 3]):
        found = sentence_lengths(model_with(tiny_model, counts).info)
        assert found == (0, 1, *[0] * (tiny_model.info.max_words - 1))
    assert sentence_lengths(model_with(tiny_model, [0, 0]).info) == ()


def test_between_two_sentences_there_are_sentences(embedded_model: Model) -> None:
    spec = Infill(left="The Mill is a pub .", right="It is cheap .")
    prepared = prepare(embedded_model, Request(spec), load_plugins())
    weights = prepared.length_weights / prepared.length_weights.sum()
    assert float(weights[:13].sum()) < 0.01, "a gap of one to three words"
    assert prepared.writer is not None, "which was trained to see words that are known"
    results = generate(embedded_model, spec, n=8)
    gaps = [result.tokenised.split()[6:-4] for result in results]
    whole = [gap[0][0].isupper() and gap[-1] == "." for gap in gaps]
    assert sum(whole) >= 7 and all(len(list(split_sentences(gap))) <= 3 for gap in gaps)


def test_without_the_writer_the_denoiser_fills_it(embedded_model: Model) -> None:
    from dlm_core.config import GuidanceConfig

    spec = Infill(left="The Mill is a pub .", right="It is cheap .")
    prepared = prepare(embedded_model, Request(spec), load_plugins(), GuidanceConfig(writer=False))
    assert prepared.writer is None and bool(torch.isfinite(prepared.length_weights).all())
