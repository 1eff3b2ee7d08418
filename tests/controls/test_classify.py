"""classify: the reader is exact on independent words; train, steer and judge; what is refused."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pytest
import torch

from dlm_controls import Classify
from dlm_controls.classify.nets import Reader, load_judge
from dlm_core.bundle import Model
from dlm_core.config import SamplingConfig
from dlm_core.control.compose import ControlSpec
from dlm_core.control.parse import parse_spec
from dlm_core.corpora import Example
from dlm_core.errors import DLMError, MissingError, SpecError, UsageError
from dlm_core.generation.generate import generate
from dlm_core.testing import assert_control

QUICK = SamplingConfig(steps=10)


def parse(source: str) -> ControlSpec:
    return parse_spec(source, {"classify": Classify}).spec


def reader() -> Reader:
    torch.manual_seed(0)
    return Reader(4, ["yes", "no", "maybe"], states=3, features=5).eval().requires_grad_(False)


def test_the_reader_gives_the_expectation_over_independent_words() -> None:
    q = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(1)).softmax(-1)
    lengths = torch.tensor([3])
    net, expected = reader(), torch.zeros(3)
    for words in itertools.product(range(4), repeat=3):
        one_hot = torch.eye(4)[list(words)][None]
        p = torch.stack([q[0, i, w] for i, w in enumerate(words)]).prod()
        expected += p * net(one_hot, lengths)[0].exp()
    torch.testing.assert_close(net(q, lengths)[0].exp(), expected)
    torch.testing.assert_close(expected.sum(), torch.tensor(1.0))


def test_positions_past_the_end_are_not_read() -> None:
    q = torch.randn(2, 5, 4).softmax(-1)
    short = reader()(q[:, :3], torch.tensor([3, 3]))
    torch.testing.assert_close(reader()(q, torch.tensor([3, 3])), short)


@pytest.fixture(scope="module")
def trained(embedded_model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("heads") / "cheap"
    texts = [r.tokenised for r in generate(embedded_model, n=192, sampling=QUICK)]
    rows = [Example(t, {"label": "yes" if "friendly" in t.split() else "no"}) for t in texts]
    Classify.train(embedded_model, rows, out, steps=100, batch_tokens=512)
    return out


def test_a_head_steers_and_the_judge_agrees(embedded_model: Model, trained: Path) -> None:
    judge = load_judge(trained)
    shares = []
    for label in ("no", "yes"):
        spec = parse(f"classify:{trained}={label}")
        results = generate(embedded_model, 4.0 * spec, n=16, sampling=QUICK)
        for result in results:
            agrees = judge.verdict(result.tokenised)[0] == label
            assert result.controls[0].satisfied == agrees
        # what was asked for stands in the text, whatever the judge says
        shares.append(sum("friendly" in result.tokens for result in results) / 16)
    assert shares[1] > shares[0] + 0.3


def test_it_keeps_the_promises_of_a_control(embedded_model: Model, trained: Path) -> None:
    assert_control(f"classify:{trained}=no", embedded_model)


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("friendly", SpecError, "expected NAME=LABEL"),
        ("=yes", SpecError, "is empty"),
        ("nobody=yes", MissingError, "has no classifier 'nobody'"),
        ("{folder}=yess", SpecError, "has no label 'yess'"),
        ("no/where=yes", MissingError, "no classifier in no/where"),
    ],
)
def test_what_cannot_be_is_named(
    body: str, error: type[DLMError], message: str, embedded_model: Model, trained: Path
) -> None:
    with pytest.raises(error, match=message) as caught:
        parse("classify:" + body.format(folder=trained)).check(embedded_model.info)
    if "yess" in body:
        assert "yes" in (caught.value.hint or "")


def test_labels_that_the_texts_contradict_are_told(
    embedded_model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"The {name} is a cheap pub ." for name in ("Mill", "Eagle", "Vaults", "Phoenix")]
    rows = [Example(texts[k % 4], {"label": "ab"[k // 4 % 2]}) for k in range(200)]
    with caplog.at_level(logging.WARNING, "dlm"):
        Classify.train(embedded_model, rows, tmp_path / "x", steps=2)
    assert "the texts hardly show their labels: the judge is right in" in caplog.text


def test_a_head_of_another_vocabulary_is_refused(tiny_model: Model, trained: Path) -> None:
    with pytest.raises(MissingError, match="trained for another model"):
        parse(f"classify:{trained}=yes").check(tiny_model.info)


def test_texts_that_teach_nothing_are_refused(embedded_model: Model, tmp_path: Path) -> None:
    from dlm_core.corpora import Example

    with pytest.raises(UsageError, match="all labelled 'yes'"):
        Classify.train(embedded_model, [Example("a pub", {"label": "yes"})] * 3, tmp_path)
    with pytest.raises(UsageError, match="text 2 of the corpus: no field 'label'"):
        rows = [Example("a pub", {"label": "yes"}), Example("a pub", {})]
        Classify.train(embedded_model, rows, tmp_path)
    with pytest.raises(UsageError, match="field 'label' is empty"):
        Classify.train(embedded_model, [Example("a pub", {"label": " "})] * 40, tmp_path)
    few = [Example("a pub", {"label": "yes"})] * 59 + [Example("a bar", {"label": "no"})]
    with pytest.raises(UsageError, match="needs 5 texts; there are 'yes' 59, 'no' 1"):
        Classify.train(embedded_model, few, tmp_path)
    assert not list(tmp_path.iterdir())
