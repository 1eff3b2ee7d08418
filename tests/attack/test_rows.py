"""Each row of the table in docs/robustness.md, in seconds: nothing may fail."""

from __future__ import annotations

import pytest

from benchmarks.attacks import batch, bundles, calls, heavy, lines, order, plugins, specs, training
from benchmarks.attacks.common import Row, tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_bundle(tmp_path_factory.mktemp("attack") / "tiny"))


def nothing_failed(row: Row) -> None:
    shown = [f"{case}: {'; '.join(how)}" for case, how in list(row.failures.items())[:5]]
    if row.failures:
        pytest.fail("\n".join([f"{len(row.failures)} of {row.tried} failed", *shown]), False)


def test_fuzzed_specs_are_read_or_refused() -> None:
    nothing_failed(specs.run(150, seed=21))


@pytest.mark.parametrize("name", ["any of 700 words", "2,000 equal controls"])
def test_a_heavy_request_takes_seconds(name: str) -> None:
    nothing_failed(heavy.run([name]))


def test_good_lines_between_fuzzed_ones_are_answered() -> None:
    nothing_failed(lines.run(60, seed=22))


def test_a_killed_batch_loses_nothing() -> None:
    nothing_failed(batch.run(120, kills=2))


def test_killed_training_ends_with_the_same_weights() -> None:
    nothing_failed(training.run(20, kills=2))


@pytest.mark.parametrize("name", [*bundles.REFUSED, *bundles.SPEAKING])
def test_a_damaged_bundle_is_refused(name: str) -> None:
    row = bundles.run([name])
    nothing_failed(row)
    if skipped := [note for note in row.notes if "skipped" in note]:
        pytest.skip(skipped[0])


def test_texts_do_not_depend_on_batch_and_order(tiny: str) -> None:
    ways = (order.Way(1, 1), order.Way(7, 1, shuffled=True))
    nothing_failed(order.run(18, model=tiny, close=ways, controls=batch.CONTROLS, share=0))


@pytest.mark.parametrize("name", [*plugins.METHODS, *plugins.SCORES, plugins.PRINTING])
def test_a_broken_plugin_is_named_and_stops_nothing_else(name: str) -> None:
    nothing_failed(plugins.run([name]))


def test_many_calls_open_no_files_and_keep_no_memory(tiny: str) -> None:
    nothing_failed(calls.run(40, model=tiny, megabytes=0.5))


def test_a_row_counts_what_fails() -> None:
    row = Row("x", "what", 2)
    row.check(True, "a", "no")
    row.check(False, "b", "too long")
    row.check(False, "b", "and wrong")
    assert row.failures == {"b": ["too long", "and wrong"]}
    with pytest.raises(pytest.fail.Exception, match="1 of 2 failed\nb: too long; and wrong"):
        nothing_failed(row)
