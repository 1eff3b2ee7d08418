"""Real distribution folders with entry points: good ones load, broken ones are named."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlm_core.corpora import read_corpus
from dlm_core.errors import MissingError, PluginError
from dlm_core.plugins.loading import load_plugins
from dlm_core.plugins.registry import Plugins

GOOD = """
from dlm_core import ControlSpec, SelectorSpec, hookimpl
from dlm_core.corpora import Example

class Loud(ControlSpec):
    kind = "loud"

class First(SelectorSpec):
    kind = "first"

def read(path):
    yield Example("hello")

@hookimpl
def dlm_register_controls(register):
    register(Loud)

@hookimpl
def dlm_register_selectors(register):
    register(First)

@hookimpl
def dlm_register_corpora(register):
    register("hello", read)
"""

HEAD = """
from dlm_core import ControlSpec, SelectorSpec, hookimpl

class A(ControlSpec):
    kind = "a"

class B(ControlSpec):
    kind = "b"
"""

BROKEN: dict[str, tuple[str, str, str]] = {
    "a missing module": (
        "import not_there_at_all",
        "import",
        "ModuleNotFoundError: No module named",
    ),
    "a syntax error": ("def (", "import", "SyntaxError"),
    "an exit at import": ("import sys; sys.exit(3)", "import", "SystemExit: 3"),
    "an exception at import": ("1 / 0", "import", "ZeroDivisionError"),
    "a taken control": (
        HEAD + "A.kind = 'length'\n@hookimpl\ndef dlm_register_controls(register): register(A)\n",
        "register",
        "ValueError: control 'length' is already provided by dlm ",
    ),
    "a taken corpus": (
        HEAD + "@hookimpl\ndef dlm_register_corpora(register): register('e2e', print)\n",
        "register",
        "ValueError: corpus 'e2e' is already provided by dlm itself",
    ),
    "an instance": (
        HEAD + "@hookimpl\ndef dlm_register_controls(register): register(A())\n",
        "register",
        "TypeError: expected a subclass of ControlSpec",
    ),
    "a control as selector": (
        HEAD + "@hookimpl\ndef dlm_register_selectors(register): register(A)\n",
        "register",
        "TypeError: expected a subclass of SelectorSpec",
    ),
    "a corpus that is no function": (
        HEAD + "@hookimpl\ndef dlm_register_corpora(register): register('x', 'y.csv')\n",
        "register",
        "TypeError: corpus reader 'x' is not callable",
    ),
    "no name": (
        HEAD + "A.kind = ''\n@hookimpl\ndef dlm_register_controls(register): register(A)\n",
        "register",
        "ValueError: a control must have a name ('kind')",
    ),
    "twice the same": (
        HEAD + "@hookimpl\ndef dlm_register_controls(register): register(A); register(A)\n",
        "register",
        "ValueError: control 'a' is registered twice",
    ),
    "an unknown argument": (
        HEAD + "@hookimpl\ndef dlm_register_controls(registry): registry(A)\n",
        "register",
        "PluginValidationError",
    ),
    "a mistyped hook": (
        HEAD + "@hookimpl\ndef dlm_register_control(register): register(A)\n",
        "register",
        "unknown hook 'dlm_register_control'; did you mean 'dlm_register_controls'?",
    ),
    "a mistyped hook without mark": (
        HEAD + "def dlm_register_contrls(register): register(A)\n",
        "register",
        "unknown hook 'dlm_register_contrls'; did you mean 'dlm_register_controls'?",
    ),
    "a marked function that is no hook": (
        HEAD + "@hookimpl\ndef register_controls(register): register(A)\n",
        "register",
        "unknown hook 'register_controls'; did you mean 'dlm_register_controls'?",
    ),
    "a hook without mark": (
        HEAD + "def dlm_register_controls(register): register(A)\n",
        "register",
        "hook 'dlm_register_controls' is not marked @hookimpl",
    ),
    "half of it": (
        HEAD
        + "@hookimpl\ndef dlm_register_controls(register):\n"
        + "    register(A)\n    raise OSError('b')\n",
        "register",
        "OSError: b",
    ),
    "selectors fail after controls": (
        HEAD
        + "@hookimpl\ndef dlm_register_controls(register): register(A)\n"
        + "@hookimpl\ndef dlm_register_selectors(register): raise SystemExit('no')\n",
        "register",
        "SystemExit: no",
    ),
}

Install = Callable[..., None]
BUILTIN = {"semantic", "pos", "length", "infill"}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution on sys.path: `install("keyword", source, version="1.2")`."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules = []

    def add(name: str, source: str, version: str = "1.2", value: str | None = None) -> None:
        module = f"dlm_test_plugin_{name}"
        modules.append(module)
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        info = site / f"dlm_control_{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: dlm-control-{name}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[dlm]\n{name} = {value or module}\n")

    yield add
    for module in modules:
        sys.modules.pop(module, None)


def kinds(plugins: Plugins) -> set[str]:
    return set(plugins.controls)


def test_the_builtins_come_through_the_same_entry_point() -> None:
    plugins = load_plugins()
    assert kinds(plugins) >= BUILTIN
    assert plugins.origin("control", "length").startswith("dlm ")
    assert plugins.loaded[0].builtin


def test_a_sound_plugin_offers_all_it_registers(install: Install, tmp_path: Path) -> None:
    install("good", GOOD)
    plugins = load_plugins()
    assert kinds(plugins) >= {*BUILTIN, "loud"}
    assert plugins.selectors["first"].__name__ == "First"
    assert [e.text for e in read_corpus(f"hello:{tmp_path}", plugins.corpora)] == ["hello"]
    for what, kind in (("control", "loud"), ("selector", "first"), ("corpus", "hello")):
        assert plugins.origin(what, kind) == "dlm-control-good 1.2"
    assert plugins.failures == []


@pytest.mark.parametrize("case", list(BROKEN))
def test_a_broken_plugin_is_named_and_stops_nothing_but_itself(case: str, install: Install) -> None:
    source, stage, error = BROKEN[case]
    install("bad", source, version="0.7")
    install("good", GOOD)
    plugins = load_plugins()
    (failure,) = plugins.failures
    assert str(failure).startswith(f"plugin 'bad' (dlm-control-bad 0.7) skipped at {stage}: "), str(
        failure
    )
    assert error in failure.error
    assert failure.hint.startswith("pip uninstall dlm-control-bad")
    assert kinds(plugins) >= {*BUILTIN, "loud"}
    # nothing of it is left: neither what it staged nor its hooks
    assert not kinds(plugins) & {"a", "b"}
    assert "bad" not in {o.name for o in plugins.loaded}
    names = [name for name, plugin in plugins.manager.list_name_plugin() if plugin is not None]
    assert not any("bad" in name for name in names)
    assert any("good" in name for name in names)


def test_an_entry_point_to_nothing_is_named(install: Install) -> None:
    install("bad", GOOD, value="dlm_test_plugin_bad:missing")
    (failure,) = load_plugins().failures
    assert failure.stage == "import" and "missing" in failure.error


def test_of_two_that_want_one_name_the_later_is_skipped_and_both_are_named(
    install: Install,
) -> None:
    install("alpha", GOOD, version="1.0")
    install("beta", GOOD, version="2.0")
    plugins = load_plugins()
    (failure,) = plugins.failures
    assert str(failure.origin) == "dlm-control-beta 2.0"
    assert "control 'loud' is already provided by dlm-control-alpha 1.0" in failure.error
    assert plugins.origin("control", "loud") == "dlm-control-alpha 1.0"


def test_a_module_listed_twice_is_loaded_once(install: Install) -> None:
    install("alpha", GOOD)
    install("beta", GOOD, value="dlm_test_plugin_alpha")
    plugins = load_plugins()
    (failure,) = plugins.failures
    assert "already loaded" in failure.error
    loaded = [name for name, plugin in plugins.manager.list_name_plugin() if plugin is not None]
    assert "dlm-control-alpha:alpha" in loaded and "loud" in kinds(plugins)


def test_dlm_plugins_chooses(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("good", GOOD)
    install("bad", "1 / 0")
    for value, loud, failures in (("", False, 0), ("good", True, 0), (" good , bad", True, 1)):
        monkeypatch.setenv("DLM_PLUGINS", value)
        plugins = load_plugins()
        assert kinds(plugins) >= BUILTIN
        assert ("loud" in kinds(plugins)) == loud
        assert len(plugins.failures) == failures


def test_a_plugin_not_chosen_is_not_imported(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD)
    monkeypatch.setenv("DLM_PLUGINS", "")
    load_plugins()
    assert "dlm_test_plugin_good" not in sys.modules


@pytest.mark.parametrize("value", ["", "off", " off "])
def test_dlm_plugins_off(value: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("good", GOOD)
    monkeypatch.setenv("DLM_PLUGINS", value)
    assert [origin.name for origin in load_plugins().loaded] == ["builtin"]


def test_dlm_plugins_takes_distributions_files_folders_and_modules(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", GOOD)
    install("other", GOOD.replace("loud", "quiet").replace('"first"', '"x"').replace("hello", "y"))
    file = tmp_path / "mine.py"
    file.write_text(HEAD + "@hookimpl\ndef dlm_register_controls(register): register(A)\n")
    folder = tmp_path / "dlm-control-folder"
    folder.mkdir()
    (folder / "dlm_test_plugin_folder.py").write_text(
        HEAD + "@hookimpl\ndef dlm_register_controls(register): register(B)\n"
    )
    (folder / "pyproject.toml").write_text(
        "[project]\nname = 'dlm-control-folder'\nversion = '3.1'\n"
        "[project.entry-points.dlm]\nfolder = 'dlm_test_plugin_folder'\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])  # the folder goes in front
    monkeypatch.setenv("DLM_PLUGINS", f"dlm-control-good,{file},{folder}/,json.tool,lenght")
    plugins = load_plugins()
    assert kinds(plugins) >= {*BUILTIN, "loud", "a", "b"} and "quiet" not in kinds(plugins)
    assert plugins.origin("control", "b") == "dlm-control-folder 3.1"
    assert [o.name for o in plugins.loaded][1:] == ["good", "mine", "folder", "json.tool"]
    (failure,) = plugins.failures
    assert "no plugin or module is called 'lenght'" in failure.error
    sys.modules.pop("dlm_test_plugin_folder")


def test_a_folder_without_entry_points_is_an_error(tmp_path: Path) -> None:
    for text in ("", "[project]\nname = 'x'\n", "no toml", "project = 3\n"):
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(MissingError, match=r"is not the folder of a plugin"):
            load_plugins([tmp_path])


def test_an_optional_hook_of_a_later_version_is_no_fault(install: Install) -> None:
    hook = "@hookimpl(optionalhook=True)\ndef dlm_register_samplers(register): pass\n"
    install("good", GOOD + hook)
    assert load_plugins().failures == []


def test_strict_mode_raises_with_the_cause(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("bad", "1 / 0")
    monkeypatch.setenv("DLM_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=r"plugin 'bad' \(dlm-control-bad 1.2\)") as caught:
        load_plugins()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.exit_code == 5


def test_ctrl_c_is_no_failure_of_a_plugin(install: Install) -> None:
    install("slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_a_file_is_a_plugin(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    plugins = load_plugins([path])
    assert "loud" in kinds(plugins)
    assert plugins.origin("control", "loud") == str(path)


def test_a_broken_file_is_named_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("1 / 0")
    (failure,) = load_plugins([path]).failures
    assert str(path) in str(failure) and "ZeroDivisionError" in failure.error


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"option '--plugin': no file .*mine\.py"):
        load_plugins([tmp_path / "mine.py"])
