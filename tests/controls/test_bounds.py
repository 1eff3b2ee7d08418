"""What a spec may hold at most, and that what is refused is refused at once, in few words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
import torch

from dlm_controls import Avoid, Keyword, Length, Pattern, Span, Tree
from dlm_controls.classify.spec import Classify
from dlm_controls.pattern.control import PatternControl
from dlm_core.bundle import Model
from dlm_core.control.compose import Controls, Term, as_controls
from dlm_core.control.parse import parse_spec
from dlm_core.control.protocol import BuildContext
from dlm_core.errors import DLMError, MissingError, SpecError, UsageError
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins

SECONDS = 5.0


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


LONG = {
    "brackets": ("pattern:" + "(" * 3000, "at most 50 deep"),
    "nested": ("pattern:" + "(a " * 60 + ")" * 60, "at most 50 deep"),
    "json": ('length:{"words":' + "[" * 9000, "nested too deep|not JSON"),
    "tree": ("tree:" + "(S " * 170_000, "at most 10,000 characters"),
    "keywords": ("keyword:" + "ab," * 27_000 + "a", "at most 10,000 characters"),
    "letters": ("classify:" + "x" * 5000 + "=yes", "has 5,000 characters"),
    "kind": ("x" * 9000, "unknown control"),
    "tag": ("pos:" + "X" * 9000, "unknown tag"),
    "rest": ("tree:(S a)" + "b" * 9000, "after the end of the tree"),
    "number": ('length:{"words":' + "9" * 9000 + "}", "length"),
    "range": ("length:" + "9" * 9000, "length"),
}


@pytest.mark.parametrize("name", LONG)
def test_a_spec_that_is_too_much_is_refused_in_few_words(name: str, plugins: Plugins) -> None:
    source, message = LONG[name]
    started = time.monotonic()
    with pytest.raises(SpecError, match=message) as caught:
        parse_spec(source, plugins.controls)
    assert time.monotonic() - started < SECONDS
    assert all(len(line) < 450 for line in str(caught.value).split("\n"))
    assert len(caught.value.hint or "") < 900


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tree("(S " * 170_000), "'tree' has 510,000 characters"),
        (lambda: Avoid([f"a{k}" for k in range(5000)]), "5,000 phrases"),
        (lambda: Controls((Term(Length(1, 64)),) * 2000), "2,000 controls in one request"),
        (lambda: Controls(tuple(Term(Pattern(f"a{k}")) for k in range(1500))), "1,500 controls"),
    ],
)
def test_bounds_hold_in_python(make: Callable[[], object], message: str) -> None:
    started = time.monotonic()
    with pytest.raises((ValueError, UsageError)) as caught:
        make()
    assert message in str(caught.value)
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize(
    "controls",
    [
        as_controls(Keyword([f"w{k}" for k in range(1500)])),
        as_controls(Avoid([f"w{k} x{k}" for k in range(1900)])),
        as_controls(Pattern("... (" + "|".join(f"w{k}" for k in range(1500)) + ") ...")),
        as_controls(Pattern("... " * 2000)),
        as_controls(Pattern("a? " * 3000)),
        as_controls(Pattern("* " * 5000)),
        as_controls(Tree("(S " * 2400 + "*" + ")" * 2400)),
        Controls((Term(Length(1, 14)),) * 64),
        Controls((Term(Keyword("pub")),) * 64),
        Controls(tuple(Term(Avoid([f"w{k}", f"pub x{k}"])) for k in range(64))),
        Controls(tuple(Term(Span(k, k, "NP")) for k in range(14)) * 4),
    ],
    ids=lambda controls: str(controls)[:20],
)
def test_a_large_request_is_decided_in_time(controls: Controls, tiny_model: Model) -> None:
    started = time.monotonic()
    try:
        controls.check(tiny_model.info)
    except DLMError as error:
        assert error.exit_code in (2, 4) and len(str(error)) < 1000
    assert time.monotonic() - started < SECONDS


def test_any_of_many_words_is_an_innocent_wish(tiny_model: Model) -> None:
    started = time.monotonic()
    pattern = Pattern("... (" + "|".join(f"w{k}" for k in range(700)) + ") ...")
    assert len(pattern.automaton.table) == 2
    assert time.monotonic() - started < 2
    assert pattern.verify("a w699 b").satisfied and not pattern.verify("a w700").satisfied


def test_twelve_keywords_are_the_most(tiny_model: Model) -> None:
    words = tiny_model.vocab.plain_words[:13]
    twelve = Keyword(words[:12])
    twelve.check(tiny_model.info)
    assert twelve.lengths(tiny_model.info).low == 12
    with pytest.raises(UsageError, match=r"13 phrases, where at most 12 can be asked"):
        Keyword(words).check(tiny_model.info)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("classify:~nosuchuser/x=yes", UsageError, "no home folder ~nosuchuser"),
        ("classify:" + "x" * 300 + "=yes", MissingError, "has no classifier"),
        ("classify:" + "x/" * 400 + "=yes", MissingError, "no classifier in"),
    ],
)
def test_names_that_no_file_can_have(
    source: str, error: type[DLMError], message: str, tiny_model: Model, plugins: Plugins
) -> None:
    with pytest.raises(error, match=message):
        as_controls(parse_spec(source, plugins.controls).spec).check(tiny_model.info)


@pytest.mark.parametrize("weight", ["1e999", "-1", "nan", "inf", "1e38"])
def test_a_weight_is_a_number_that_can_be_meant(weight: str, plugins: Plugins) -> None:
    with pytest.raises(SpecError, match="a weight is a number from 0 to 1,000,000") as caught:
        parse_spec(f"semantic:food=Italian@{weight}", plugins.controls)
    assert caught.value.span == (22, 22 + len(weight))


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ("pos:\u201cDET NOUN\u201d", 'pos:"DET NOUN"'),
        ('"length:5"', "length:5"),
        ("'length:5@2'", "length:5@2"),
        ("\u201cnot keyword:pub\u201d", "not keyword:pub"),
        ("length:10\u201314", "length:10-14"),
        ("length:10\u221214", "length:10-14"),
        ("keyword:\u201cfast food\u201d,pub", 'keyword:"fast food",pub'),
        ("keyword:pub\u200b", "keyword:pub"),
        ("keyword:Cafe\u0301", "keyword:Caf\u00e9"),
        ("avoid:cheap,exact=yes", 'avoid:{"phrases": ["cheap"], "exact": true}'),
        ("keyword:pub,exact=no", 'keyword:{"phrases": ["pub"], "exact": false}'),
    ],
)
def test_what_copying_and_shells_add_is_taken_off(source: str, same: str, plugins: Plugins) -> None:
    found, expected = (parse_spec(text, plugins.controls) for text in (source, same))
    assert (found.spec, found.weight, found.negated) == (
        expected.spec,
        expected.weight,
        expected.negated,
    )
    assert parse_spec(str(found), plugins.controls).spec == found.spec


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pub is " * 400, "too long for the parser: it reads 512 parts"),
        ("The pub . \u200b", r"does not see the word '\\u200b'"),
        ("\u200b \u200b", "does not see the word"),
    ],
)
def test_what_the_parser_cannot_read_is_not_judged(text: str, reason: str) -> None:
    if not os.environ.get("DLM_PARSER"):
        pytest.skip("DLM_PARSER names no parser")
    verdict = Span(0, 1, "NP").verify(text)
    assert verdict.satisfied is None
    assert reason.replace("\\\\", "\\") in verdict.detail


def test_a_classifier_of_no_name(tiny_model: Model) -> None:
    with pytest.raises((ValueError, UsageError), match="null character"):
        Classify(name="a\0b", label="yes")


def test_many_keywords_keep_little_and_give_the_same_gradient(
    tiny_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_q = torch.randn(2, 14, len(tiny_model.vocab), generator=torch.Generator().manual_seed(0))
    words = [w for w in tiny_model.vocab.plain_words if w.isalpha()][:8]
    control = PatternControl.of(Keyword(words).automaton, BuildContext(tiny_model))
    lengths = torch.tensor([14, 11])
    found = {}
    for kept in (0, 2**40):
        monkeypatch.setattr("dlm_controls.pattern.control.KEPT", kept)
        saved = 0

        def count(tensor: torch.Tensor) -> torch.Tensor:
            nonlocal saved
            saved += tensor.numel()
            return tensor

        q = log_q.clone().requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            value = control._to_go(control._classes(q), lengths)[0][:, 0]
        (gradient,) = torch.autograd.grad(value.sum(), q)
        found[kept] = (value.detach(), gradient, saved)
    assert torch.equal(found[0][0], found[2**40][0])
    assert torch.equal(found[0][1], found[2**40][1])
    assert found[0][2] < found[2**40][2] / 5
