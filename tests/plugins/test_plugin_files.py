"""Files and folders as plugins: run as Python runs them, and each taken once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlm_cli.__main__ import main
from dlm_core.errors import MissingError
from dlm_core.plugins.loading import load_plugins

ONE = """
from dlm_core import ControlSpec, hookimpl

class {name}(ControlSpec):
    "{name}."
    kind = "{kind}"

@hookimpl
def dlm_register_controls(register):
    register({name})
"""


def one(kind: str = "a") -> str:
    return ONE.format(name=kind.capitalize(), kind=kind)


@pytest.fixture(autouse=True)
def _as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a plugin imports is forgotten, and sys.path as it was."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def distribution(folder: Path, version: str = "1.0", kind: str = "a") -> Path:
    folder.mkdir(parents=True)
    (folder / "dlm_files_test_dist.py").write_text(one(kind))
    (folder / "pyproject.toml").write_text(
        f"[project]\nname = 'dlm-files-test'\nversion = '{version}'\n"
        "[project.entry-points.dlm]\nfiles-test = 'dlm_files_test_dist'\n"
    )
    return folder


def install(site: Path, monkeypatch: pytest.MonkeyPatch, version: str = "1.0") -> None:
    """As pip would: a copy of the module, and the distribution's metadata."""
    info = site / f"dlm_files_test-{version}.dist-info"
    info.mkdir(parents=True)
    (site / "dlm_files_test_dist.py").write_text(one())
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: dlm-files-test\nVersion: {version}\n"
    )
    (info / "entry_points.txt").write_text("[dlm]\nfiles-test = dlm_files_test_dist\n")
    monkeypatch.syspath_prepend(str(site))


def names(*files: str | Path) -> list[str]:
    """Of the plugins loaded beside the built-ins; none may have failed."""
    plugins = load_plugins([Path(file) for file in files])
    assert plugins.failures == []
    assert "a" in plugins.controls
    return [origin.name for origin in plugins.loaded if not origin.builtin]


def test_a_file_is_taken_once_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").mkdir()
    path = tmp_path / "mine.py"
    path.write_text(one() + "\nwith open('runs', 'a') as stream: stream.write('.')\n")
    (tmp_path / "link.py").symlink_to(path)
    assert names("mine.py", "./mine.py", "x/../mine.py", path) == ["mine"]
    assert (tmp_path / "runs").read_text() == "."
    monkeypatch.setenv("DLM_PLUGINS", f"{path},mine.py")
    assert names("mine.py", "link.py") == ["mine"]


def test_an_installed_one_is_taken_once_by_file_and_by_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch)
    folder = distribution(tmp_path / "checkout")
    assert names() == ["files-test"]
    assert names(tmp_path / "site" / "dlm_files_test_dist.py") == ["files-test"]
    assert names(folder, folder) == ["files-test"]
    monkeypatch.setenv("DLM_PLUGINS", f"dlm-files-test,{folder},dlm_files_test_dist")
    assert names(folder) == ["files-test"]


def test_of_two_versions_the_second_is_refused_and_both_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, version="1.0")
    folder = distribution(tmp_path / "checkout", version="2.0")
    (failure,) = load_plugins([folder]).failures
    assert str(failure) == (
        "plugin 'files-test' (dlm-files-test 2.0) skipped at register: ValueError: "
        "dlm_files_test_dist is already loaded, as plugin 'files-test' of dlm-files-test 1.0"
    )


def test_of_two_folders_of_a_name_the_second_is_refused(tmp_path: Path) -> None:
    first, second = distribution(tmp_path / "x"), distribution(tmp_path / "y", kind="b")
    plugins = load_plugins([first, second])
    (failure,) = plugins.failures
    assert f"is already loaded, as plugin 'files-test' of dlm-files-test 1.0 in {first}" in (
        failure.error
    )
    assert "b" not in plugins.controls


def test_two_different_files_of_a_name_are_two_plugins(tmp_path: Path) -> None:
    for folder, kind in (("x", "a"), ("y", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(one(kind))
    plugins = load_plugins([Path("x/mine.py"), Path("y/mine.py")])
    assert plugins.failures == [] and {"a", "b"} <= set(plugins.controls)
    modules = {plugins.controls[kind].__module__ for kind in ("a", "b")}
    assert len(modules) == 2 and modules <= set(sys.modules)
    (tmp_path / "y" / "mine.py").write_text(one("a"))
    (failure,) = load_plugins([Path("x/mine.py"), Path("y/mine.py")]).failures
    assert str(failure) == (
        "plugin 'mine' (y/mine.py) skipped at register: ValueError: "
        "control 'a' is already provided by x/mine.py"
    )


def test_reading_a_file_again_and_again_leaves_one_module(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(one())
    names("mine.py")
    loaded = set(sys.modules)
    for _ in range(3):
        names("mine.py")
    assert set(sys.modules) == loaded


def test_a_file_imports_the_module_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "dlm_beside_test.py").write_text("NAME = 'a'\nimport mine\n")
    (tmp_path / "x" / "mine.py").write_text(
        "import sys\nif __name__ != 'mine': import dlm_beside_test\n" + one()
    )
    assert names("x/mine.py") == ["mine"]


def test_a_file_needs_no_ending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mine", "mine.plugin", "mine.txt"):
        (tmp_path / name).write_text(one())
        assert names(name) == ["mine"]
    monkeypatch.setenv("DLM_PLUGINS", "./mine")
    assert names() == ["mine"]


@pytest.mark.parametrize("named", ["my_pack", "my_pack/", "my_pack/__init__.py", "my-pack"])
def test_a_package_folder_is_a_plugin_with_its_relative_imports(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / named.partition("/")[0]
    folder.mkdir()
    (folder / "inner.py").write_text(one())
    (folder / "words.py").write_text("WORDS = ('a',)\n")
    (folder / "__init__.py").write_text(
        "from . import words\nfrom .inner import dlm_register_controls\n"
    )
    assert names(named) == [folder.name]
    assert names(named, folder, folder / "__init__.py") == [folder.name]
    monkeypatch.setenv("DLM_PLUGINS", f"./{named}")
    assert names() == [folder.name]


def test_a_package_may_have_the_name_of_another_module(tmp_path: Path) -> None:
    import json as before

    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "inner.py").write_text(one())
    (tmp_path / "json" / "__init__.py").write_text("from .inner import dlm_register_controls\n")
    assert names("json") == ["json"]
    assert sys.modules["json"] is before


def test_a_folder_that_is_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match=r"neither a pyproject\.toml nor an __init__\.py"):
        load_plugins([tmp_path / "empty"])


AT_IMPORT = {
    "an exit": ("import sys; sys.exit()", "SystemExit"),
    "a cancelled task": ("import asyncio; raise asyncio.CancelledError('c')", "CancelledError: c"),
    "a failing thread's exception": (
        "from concurrent.futures import ThreadPoolExecutor as Pool\n"
        "with Pool(1) as pool: pool.submit(lambda: 1 / 0).result()",
        "ZeroDivisionError: division by zero",
    ),
    "torch's threads set twice": (
        "import torch\nfor n in (1, 2): torch.set_num_interop_threads(n)\n"
        "torch.set_num_threads('many')",
        "",
    ),
}


@pytest.mark.parametrize("case", AT_IMPORT)
def test_what_fails_at_import_stops_nothing_else(case: str, tmp_path: Path) -> None:
    body, told = AT_IMPORT[case]
    (tmp_path / "bad.py").write_text("print('noise')\n" + body)
    (tmp_path / "mine.py").write_text(one())
    done = subprocess.run(
        [sys.executable, "-m", "dlm_cli", "controls", "list", "--json", "--plugin", "bad.py",
         "--plugin", "mine.py"],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "a" in [row["kind"] for row in json.loads(done.stdout)]
    assert f"warning: plugin 'bad' (bad.py) skipped at import: {told}" in done.stderr
    assert "noise" in done.stderr


def test_what_is_printed_at_import_goes_to_stderr_from_python_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("print('noise')\n" + one())
    names("mine.py")
    streams = capsys.readouterr()
    assert streams.out == "" and "noise" in streams.err


def test_a_hook_that_leaves_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dlm_core import hookimpl\n@hookimpl\ndef dlm_register_controls(registry): pass\n"
    )
    (failure,) = load_plugins([Path("mine.py")]).failures
    assert "\n" not in str(failure) and "registry" in failure.error


def test_show_tells_where_a_package_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pack").mkdir()
    shutil.copy(__file__, tmp_path / "pack" / "unused.py")
    (tmp_path / "pack" / "__init__.py").write_text(one())
    assert main(["plugins", "show", "pack", "--plugin", "pack", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["file"] == str(tmp_path / "pack") and row["controls"] == ["a"]
