"""The entry of `dlm`: runs the app and turns every error into one message and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import typer

from dlm_cli.app import build
from dlm_cli.completion import as_bash_splits
from dlm_cli.output import set_level, tell_error
from dlm_core.errors import DLMError, PluginError


def main(argv: list[str] | None = None) -> int:
    """Run `dlm` and return its exit code (see `dlm_core.errors` for their meaning).

    Args:
        argv: the words after `dlm`; those of this process if omitted.
    """
    args = [_decoded(word) for word in (sys.argv[1:] if argv is None else argv)]
    _mend_streams()
    set_level("info")
    try:
        with as_bash_splits():
            code = build(args)(args, prog_name="dlm", standalone_mode=False)
        sys.stdout.flush()
    except DLMError as error:
        return _fail(error.message, error.hint, error.exit_code)
    except typer.TyperException as error:
        return _usage_error(error)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:
        # Typer and rich end the process this way when the reader of a pipe has left.
        if isinstance(stop.__context__, BrokenPipeError):
            return _reader_left()
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        text = str(error).strip().splitlines()
        memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        hint = "a smaller --batch-size needs less memory" if memory else None
        return _fail(
            f"{type(error).__name__}: {text[0] if text else 'no message'}",
            hint or "DLM_DEBUG=1 shows the traceback",
            DLMError.exit_code,
        )
    return code if isinstance(code, int) else 0


class _Closed(io.TextIOBase):
    """Stands for a stdout that was closed before dlm began."""

    def write(self, text: str) -> int:
        raise DLMError("stdout is closed: results have nowhere to go", "open it, or -o FILE")


def _mend_streams() -> None:
    """Streams that can be written: closed ones are stood for, other encodings escape characters."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # else the next file that is opened would take its place
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _Closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _decoded(word: str) -> str:
    """An argument as it was typed, where a locale without UTF-8 could not read it."""
    try:
        word.encode()
    except UnicodeEncodeError:
        with contextlib.suppress(UnicodeError):
            return os.fsencode(word).decode("utf-8")
    return word


def _fail(message: str, hint: str | None, code: int) -> int:
    strict = code == PluginError.exit_code and os.environ.get("DLM_STRICT_PLUGINS") == "1"
    tell_error(message, hint, trace=strict)
    return code


def _usage_error(error: typer.TyperException) -> int:
    """A wrong command line, told as every other error; Typer's near options become the hint."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "dlm"
    near = getattr(error, "possibilities", None)
    message = error.message if near else error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # the help itself; printed already with rich
        print(message, end="\n" if message else "")
        return error.exit_code
    message = message.replace("Value error, ", "").replace(": Input ", ": ").strip().rstrip(".")
    message, found, suggestion = message.partition(". Did you mean ")
    if near or found:
        hint = f"did you mean {near[0]}?" if near else f"did you mean {suggestion}"
    else:
        hint = f"{command} --help shows what it takes"
    return _fail(message[:1].lower() + message[1:], hint, error.exit_code)


def _reader_left() -> int:
    """`dlm ... | head`: not an error; what Python still wants to flush goes nowhere."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no real file: in a test, say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
    return 0


if __name__ == "__main__":
    sys.exit(main())
