"""The one place that calls plugins: whatever they do wrong carries their name. Light.

    with plugin_errors("control 'c8:a' from mine.py", "verify"):
        verdict = expect(spec.verify(text), Verdict, "a Verdict")

Around the call and around the first look at what it returned, so that both are told alike:
`control 'c8:a' from mine.py: verify returned bool, expected a Verdict`.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TextIO, TypeVar
from weakref import WeakKeyDictionary

from dlm_core.errors import DLMError, PluginError

_T = TypeVar("_T")
_LONGEST = 300
"""Characters of a plugin's own message that are shown."""
_owners: WeakKeyDictionary[object, str] = WeakKeyDictionary()


class WrongReturnError(Exception):
    """What a plugin returned is not what the protocol asks for.

    Args:
        found: what came: a type, or the value where its type is right.
        expected: what should have come.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"returned {found}, expected {expected}")


def set_owner(offered: object, owner: str) -> None:
    """Remember that the plugin `owner` offers a class or function."""
    with suppress(TypeError):  # what cannot be a weak key goes unnamed
        _owners[offered] = owner


def owner_of(offered: object) -> str:
    """Distribution and version, or the file, of the plugin that offers it; empty if none does."""
    try:
        return _owners.get(offered, "")
    except TypeError:
        return ""


def plugin_name(what: str, label: str, owner: str = "") -> str:
    """Something of a plugin as errors name it: `control 'length:5' from dlm 0.1.0`."""
    return f"{what} '{label}'" + (f" from {owner}" if owner else "")


@contextmanager
def plugin_errors(
    subject: str, stage: str, passing: tuple[type[BaseException], ...] = ()
) -> Iterator[None]:
    """Turn whatever a plugin's code raises into a PluginError; what it prints goes to stderr.

    Ctrl-C and dlm's own errors pass.

    Args:
        subject: who is called: `control 'length:5' from dlm 0.1.0`.
        stage: what is being called: check, build, verify, t=0.300.
        passing: exceptions that are no fault here.
    """
    with printing_aside():
        try:
            yield
        except (DLMError, KeyboardInterrupt, GeneratorExit):
            raise
        except WrongReturnError as error:
            raise PluginError(f"{subject}: {stage} {error}") from error
        except BaseException as error:
            if isinstance(error, passing):
                raise
            raise PluginError(
                f"{subject} failed at {stage}: {describe(error)}",
                "DLM_DEBUG=1 shows the traceback",
            ) from error


def each(
    subject: str, what: str, start: Callable[[], object], check: Callable[[Any], _T]
) -> Iterator[_T]:
    """What a plugin gives one after the other, each checked; a fault tells its number.

    Args:
        subject: who is called.
        what: what each is called: example.
        start: the call.
        check: raises WrongReturnError, or gives what it was asked about.
    """
    with plugin_errors(subject, "reading"):
        values = start()
        if not isinstance(values, Iterable):
            raise WrongReturnError(type(values).__name__, f"{what}s, one after the other")
        found = iter(values)
    for number in count(1):
        with plugin_errors(subject, f"{what} {number}"):
            try:
                value = check(next(found))
            except StopIteration:
                return
        yield value


def expect(value: object, kind: type[_T], expected: str) -> _T:
    """The value, if it is a `kind`.

    Raises:
        WrongReturnError: it is not.
    """
    if not isinstance(value, kind):
        raise WrongReturnError(type(value).__name__, expected)
    return value


def expect_or_none(value: object, kind: type[_T]) -> _T | None:
    """The value, if it is a `kind` or None.

    Raises:
        WrongReturnError: it is neither.
    """
    return None if value is None else expect(value, kind, f"a {kind.__name__} or None")


def number(value: Any, expected: str = "a number") -> float:
    """The value as a float, of whatever library the number is.

    Raises:
        WrongReturnError: it is none; texts that look like one are not, either.
    """
    if not hasattr(value, "__float__"):
        raise WrongReturnError(type(value).__name__, expected)
    return float(value)


def describe(error: BaseException) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."
    return type(error).__name__ + (f": {text}" if text else "")


class _Aside:
    """Stands for stdout while plugins run: what their threads write goes to stderr."""

    def __init__(self, stdout: TextIO) -> None:
        self.stdout = stdout

    def __getattr__(self, name: str) -> Any:
        inside = getattr(_inside, "depth", 0) > 0
        return getattr((sys.stderr or io.StringIO()) if inside else self.stdout, name)


_inside = threading.local()
_lock = threading.Lock()
_calls = 0
_aside: _Aside | None = None


@contextmanager
def printing_aside() -> Iterator[None]:
    """What this thread prints inside goes to stderr: stdout is for results alone.

    Other threads print where they did. The first of calls that overlap puts the stand-in up, the
    last takes it down.
    """
    global _calls, _aside
    _inside.depth = getattr(_inside, "depth", 0) + 1
    with _lock:
        _calls += 1
        if _calls == 1 and sys.stdout is not None:
            _aside = _Aside(sys.stdout)
            sys.stdout = _aside
    try:
        yield
    finally:
        _inside.depth -= 1
        with _lock:
            _calls -= 1
            if _calls == 0 and _aside is not None:
                if sys.stdout is _aside:
                    sys.stdout = _aside.stdout
                _aside = None
