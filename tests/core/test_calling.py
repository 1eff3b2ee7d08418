"""What plugins raise has their name, what they print goes to stderr, and owners are remembered."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
import torch

import dlm_core as dlm
from dlm_core.calling import each, expect, number, owner_of, plugin_errors, set_owner
from dlm_core.corpora import read_corpus
from dlm_core.errors import MissingError, PluginError
from dlm_core.plugins.registry import Origin, Plugins, Staged


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("no"), "who failed at now: ValueError: no"),
        (SystemExit(0), "who failed at now: SystemExit: 0"),
        (SystemExit(), "who failed at now: SystemExit"),
        (asyncio.CancelledError(), "who failed at now: CancelledError"),
        (StopIteration(), "who failed at now: StopIteration"),
        (RuntimeError("two\n  lines"), "who failed at now: RuntimeError: two lines"),
    ],
)
def test_whatever_is_raised_is_a_plugin_error(error: BaseException, told: str) -> None:
    with pytest.raises(PluginError) as caught, plugin_errors("who", "now"):
        raise error
    assert caught.value.message == told and caught.value.__cause__ is error


@pytest.mark.parametrize("error", [MissingError("m"), KeyboardInterrupt(), GeneratorExit()])
def test_ctrl_c_and_errors_of_dlm_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, plugin_errors("who", "now"):
        raise error
    assert caught.value is error


def test_a_long_message_is_cut() -> None:
    with pytest.raises(PluginError) as caught, plugin_errors("who", "now"):
        raise ValueError("x" * 20_000)
    assert len(caught.value.message) < 400 and caught.value.message.endswith("x ...")


def test_numbers_of_any_library_are_numbers_and_texts_are_none() -> None:
    import numpy as np

    assert [number(v) for v in (1, np.float32(0.5), torch.tensor(2.0))] == [1.0, 0.5, 2.0]
    for value in ("1", None, [1.0]):
        told = pytest.raises(PluginError, match=r"returned \w+, expected a number")
        with told, plugin_errors("who", "now"):
            number(value)


def test_prints_go_to_stderr_and_stdout_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with plugin_errors("who", "now"):
        print("outer")
        with pytest.raises(PluginError), plugin_errors("who", "inside"):
            sys.stdout.write("inner\n")
            raise ValueError
        print("outer again", flush=True)
    assert sys.stdout is before
    print("result")
    streams = capsys.readouterr()
    assert streams.out == "result\n" and streams.err == "outer\ninner\nouter again\n"


def test_prints_of_other_threads_stay_where_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    """Two calls that overlap, and a thread beside them that calls no plugin."""
    before = sys.stdout
    entered, leave = threading.Event(), threading.Event()

    def plugin() -> None:
        with plugin_errors("who", "now"):
            entered.set()
            leave.wait(10)
            print("of the plugin")

    thread = threading.Thread(target=plugin)
    thread.start()
    entered.wait(10)
    print("mine")
    with plugin_errors("other", "now"):
        print("of the other")
        leave.set()
        thread.join(10)
    print("mine again")
    assert sys.stdout is before
    streams = capsys.readouterr()
    assert streams.out == "mine\nmine again\n"
    assert streams.err == "of the other\nof the plugin\n"


def test_stderr_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with plugin_errors("who", "now"):
        print("into the void")


def test_each_is_lazy_and_tells_the_number() -> None:
    def values() -> Iterator[object]:
        yield 1
        yield 2
        yield "three"

    found = []
    with pytest.raises(PluginError, match="who: value 3 returned str, expected an int"):
        for value in each("who", "value", values, lambda v: expect(v, int, "an int")):
            found.append(value)
    assert found == [1, 2]


def test_owners_are_those_that_registered_last_and_others_have_none() -> None:
    class Mine(dlm.ControlSpec):
        kind = "mine"

        def check(self, info: dlm.ModelInfo) -> None:
            raise KeyError("label")

    def read(path: object) -> Iterator[dlm.Example]:
        raise KeyError("row")
        yield

    assert owner_of(Mine) == owner_of(read) == owner_of([]) == ""
    plugins = Plugins()
    staged = Staged(plugins)
    staged.control(Mine)
    staged.corpus("mine", read)
    staged.commit(Origin("mine", "dlm-control-mine", "1.2"))
    set_owner([], "nobody")  # no weak key: not remembered, and no error
    assert owner_of(Mine) == owner_of(read) == "dlm-control-mine 1.2"
    told = "corpus 'mine' from dlm-control-mine 1.2 failed at example 1: KeyError: 'row'"
    with pytest.raises(PluginError, match=told):
        read_corpus("mine:x", plugins.corpora)


def test_the_owner_stands_in_errors_of_controls_without_plugins_at_hand(
    tiny_model: dlm.Model,
) -> None:
    class Mine(dlm.ControlSpec):
        kind = "mine"

        def lengths(self, info: dlm.ModelInfo) -> dlm.Lengths:
            raise KeyError("label")

    set_owner(Mine, "dlm-control-mine 1.2")
    with pytest.raises(PluginError) as caught:
        (Mine() + Mine()).check(tiny_model.info)
    assert caught.value.message.startswith("control 'mine' from dlm-control-mine 1.2 failed at len")


def test_numpys_truth_and_numbers_make_a_verdict() -> None:
    import numpy as np

    assert dlm.Verdict(np.bool_(True), score=np.float32(0.5)).fault is None
    assert dlm.Lengths(np.int64(3), np.int64(5)).fault is None
    assert dlm.Lengths.of(()).fault is None  # no length will do: said so, and so told
    assert dlm.Lengths(True, 2).fault is not None
