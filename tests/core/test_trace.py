"""A traced result has the text after every step, how sure each word is, and what controls moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dlm_core as dlm
from dlm_core.bundle import Model
from dlm_core.generation.generate import generate
from dlm_core.natural import detokenise, spaced
from dlm_core.results import Step

STEPS = 4
PLUGINS = dlm.load_plugins(chosen=())


def traced(model: Model, controls: str | list[str] | None, **options: object) -> list[dlm.Result]:
    settings = {"n": 2, "seed": 3, "sampling": {"steps": STEPS}, "plugins": PLUGINS, **options}
    return generate(model, controls, trace=True, **settings)  # type: ignore[arg-type]


def test_a_trace_has_every_step_and_changes_nothing(tiny_model: Model) -> None:
    told: list[list[Step]] = []
    results = traced(tiny_model, "length:6", on_step=told.append)
    plain = generate(
        tiny_model, "length:6", 2, 3, sampling={"steps": STEPS}, plugins=PLUGINS, trace=False
    )
    assert [r.tokens for r in results] == [r.tokens for r in plain]
    assert plain[0].trace == ()
    for row, result in enumerate(results):
        assert list(result.trace) == [steps[row] for steps in told]
        assert len(result.trace) == STEPS
        times = [step.t for step in result.trace]
        assert times == sorted(times, reverse=True) and times[0] == 1.0
        assert result.drafts is not None
        assert str(result.trace[-1]) == result.drafts[1]  # what is rounded at the end
        for step in result.trace:
            assert len(step.words) == len(step.probs) == len(step.own) == 6
            assert all(0 < prob <= 1 for prob in step.probs)
            assert step.own == step.words  # a length moves no word


def test_own_is_what_stands_there_without_the_control(tiny_model: Model) -> None:
    """From the same x_T the first step of a text without the control has these words."""
    steered = traced(tiny_model, ["length:6", "keyword:Japanese"])
    free = traced(tiny_model, "length:6")
    moved = 0
    for with_control, without in zip(steered, free, strict=True):
        first = with_control.trace[0]
        assert first.own == without.trace[0].words
        view = first.view
        assert view["moved"] == {k: own for k, own in enumerate(first.own) if own != first.words[k]}
        moved += len(view["moved"])
    assert moved


def test_a_corrected_text_goes_on_where_its_draft_ended(embedded_model: Model) -> None:
    asked = 'mr:"name[The Mill], eatType[pub], food[French], area[riverside], near[Café Rouge]"'
    settings = {"steps": 3, "drafts": 1, "corrections": 2}
    results = traced(embedded_model, asked, n=4, seed=0, sampling=settings)
    lengths = {len(result.trace) for result in results}
    assert min(lengths) >= 3 and max(lengths) > 3  # three steps leave faults
    corrected = next(result for result in results if len(result.trace) > 3)
    assert corrected.trace[3].t > corrected.trace[2].t


TOKENS = st.lists(
    st.sampled_from(["The", "pub", "-", "friendly", ".", ",", "£", "20", "'s", "'", '"', "(", ")"]),
    max_size=12,
)


@given(TOKENS)
def test_words_with_their_blanks_are_the_text(tokens: list[str]) -> None:
    shown = spaced(tokens)
    assert [word.strip() for word in shown] == tokens
    assert "".join(shown) == detokenise(tokens)
    assert not shown or not shown[0].startswith(" ")


@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        ("semantic:food=Japanese", "The Mill serves Japanese food .", ["Japanese"]),
        ("semantic:near=Burger King", "Burger King is a pub .", []),
        ("semantic:family friendly=yes", "A family - friendly pub .", ["family - friendly"]),
        ("not semantic:food=Japanese", "It serves Japanese food .", []),
        ("keyword:pub,cheap", "A cheap , cheap pub .", ["cheap", "cheap", "pub"]),
        ("keyword:family friendly,exact=no", "A Family - friendly pub .", ["Family - friendly"]),
        ("avoid:cheap", "A cheap pub .", ["cheap"]),
        ("infill:left=The Mill,right=.", "The Mill is a pub .", [".", "The Mill"]),
        ("length:4", "A cheap pub .", []),
        (
            'mr:"name[The Mill], food[French]"',
            "The Mill serves French food .",
            ["French", "The Mill"],
        ),
    ],
)
def test_a_verdict_says_where(spec: str, text: str, said: list[str], embedded_model: Model) -> None:
    """The places are those of the words that a reader would underline."""
    (report,) = dlm.verify(text, spec, embedded_model, plugins=PLUGINS).controls
    words = text.split()
    assert sorted(" ".join(words[a:b]) for a, b, _ in report.places) == said


@pytest.mark.parametrize(
    "places", [[(0, 1, "x")], [dlm.Place(2, 1, "x")], "no", [dlm.Place(-1, 2)]]
)
def test_a_verdict_with_wrong_places_is_told(places: object) -> None:
    fault = dlm.Verdict(True, places=places).fault  # type: ignore[arg-type]
    assert fault is not None and "places" in fault[0]
