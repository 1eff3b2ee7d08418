"""`dlm plugins check`: a plugin through the kit of `dlm_core.testing`."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_cli.plugins.loading import add_commands
from dlm_core.errors import DLMError, MissingError, PluginError
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Origin, Plugins

if TYPE_CHECKING:
    from collections.abc import Callable


def check_plugin(target: str, model: str) -> int:
    """Check what `target` registers and print a line each.

    Args:
        target: the name of an installed plugin or distribution, a Python file, or a folder.
        model: what to try controls on.

    Returns:
        the exit code of the worst.

    Raises:
        MissingError: the target or the model is not there.
    """
    import typer

    light = "torch" not in sys.modules
    path = Path(target).expanduser()
    is_path = path.suffix == ".py" or path.exists()
    if is_path and not path.exists():
        raise MissingError(f"no file {path}")
    with redirect_stdout(sys.stderr):
        plugins = load_plugins(
            [path] if is_path else (), chosen=() if is_path else [target], strict=False
        )
        add_commands(typer.Typer(), plugins)
    origins = [o for o in plugins.loaded if (not o.builtin if is_path else o.called(target))]
    report = _Report()
    for failure in plugins.failures:
        report.fail(f"plugin {failure.origin.name}", f"{failure.stage}: {failure.error}")
    if light and "torch" in sys.modules:
        report.fail("import", "imports torch, which slows every command: do so in build()")
    for origin in origins:
        report.line("ok", f"plugin {origin.name}", str(origin))
        _check_kinds(origin, plugins, model, report)
    return report.code


class _Report:
    """Lines on stdout, and the worst exit code so far."""

    code = 0

    def line(self, outcome: str, what: str, detail: str = "") -> None:
        """One line."""
        print(f"{outcome:4}  {what}" + (f": {detail}" if detail else ""), flush=True)

    def fail(self, what: str, detail: str) -> None:
        """A line for a fault."""
        self.line("FAIL", what, detail)
        self.code = PluginError.exit_code

    def run(self, what: str, check: Callable[[], None], needed: bool) -> None:
        """Run a check and print what came of it; what is missing counts if it is `needed`."""
        try:
            with redirect_stdout(sys.stderr):
                check()
        except MissingError as error:
            self.line("miss", what, f"{error.message}\n      hint: {error.hint or 'install it'}")
            self.code = max(self.code, error.exit_code if needed else 0)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            told = isinstance(error, AssertionError | DLMError)
            self.fail(what, str(error) if told else f"{type(error).__name__}: {error}")
        else:
            self.line("ok", what)


def _check_kinds(origin: Origin, plugins: Plugins, model: str, report: _Report) -> None:
    from dlm_core.bundle import Model
    from dlm_core.testing import assert_control, assert_selector

    def check(what: str, example: str) -> None:
        if what == "selector":
            assert_selector(example, plugins=plugins)
        else:
            loaded[:] = loaded or [Model.load(model)]
            assert_control(example, loaded[0], plugins=plugins)

    loaded: list[Model] = []  # read once, and only if there is a control
    for (what, kind), owner in plugins.origins.items():
        if owner != origin or what not in ("control", "selector"):
            continue
        cls = plugins.controls[kind] if what == "control" else plugins.selectors[kind]
        if not cls.examples:
            report.fail(f"{what} {kind}", "has no examples, so that nothing was tried")
        for example in cls.examples:
            # dlm's own examples name classifiers and teachers that only a user can train
            report.run(f"{what} {example}", partial(check, what, example), not origin.builtin)
