"""Row `specs`: whatever is typed as controls is read or refused, soon and in little memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence

from .common import Row, cut, in_child
from .fuzz import Fuzzer

SECONDS, MEGABYTES, CHARACTERS = 5.0, 300.0, 2_000


def run(count: int = 2_000, seed: int = 11) -> Row:
    """Parse and check them against the embedded model, in a child."""
    import dlm_core as dlm

    kinds = dlm.load_plugins(chosen=()).controls
    examples = [spec for kind in kinds.values() for spec in kind.examples]
    asks = Fuzzer(examples, dlm.ModelInfo.read("e2e").vocab.plain_words, seed).requests(count)
    row = Row("specs", f"{count:,} fuzzed specs parsed and checked", count)
    slowest = most = 0.0
    for ask, result in zip(asks, in_child(attempt, asks, timeout=30), strict=True):
        shown = f"{cut(ask[0] if len(ask) == 1 else ask)}"
        if isinstance(result, str):
            row.fail(shown, result)
            continue
        failure, seconds, megabytes = result
        slowest, most = max(slowest, seconds), max(most, megabytes)
        row.check(failure is None, shown, failure)
        row.check(seconds <= SECONDS, shown, f"took {seconds:.1f} s")
        row.check(megabytes <= MEGABYTES, shown, f"took {megabytes:.0f} MB")
    row.notes += [f"slowest {slowest:.1f} s", f"at most {most:.0f} MB"]
    return row


def attempt(asks: Sequence[Sequence[str]]) -> Iterator[tuple[str | None, float, float]]:
    """(what was wrong, seconds of the processor, MB by which memory rose) of each request."""
    import dlm_core as dlm

    kinds = dlm.load_plugins(chosen=()).controls
    info = dlm.ModelInfo.read("e2e")
    dlm.Controls((dlm.parse_spec("semantic:food=Japanese", kinds),)).check(info)
    for ask in asks:
        before, began, failure = _peak(), time.process_time(), None
        try:
            dlm.Controls(tuple(dlm.parse_spec(spec, kinds) for spec in ask)).check(info)
        except dlm.PluginError as error:
            failure = f"our own control blamed as a plugin: {cut(error.message)}"
        except dlm.DLMError as error:
            if (length := len(error.message) + len(error.hint or "")) > CHARACTERS:
                failure = f"a message of {length:,} characters: {cut(error.message)}"
        except Exception as error:
            failure = f"{type(error).__name__}: {cut(str(error))}"
        yield failure, time.process_time() - began, _peak() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
