"""What a user gets: wheels of dlm and of the example plugin, in an environment of their own.

The environment borrows the third-party packages of the running one by a .pth file (torch is large);
dlm and the plugin come from the wheels, which is asserted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins_example" / "dlm-control-keyword"


def call(*command: object, cwd: Path) -> str:
    """Run a command away from the checkout and give its standard output."""
    outside = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DLM_PLUGINS", "DLM_STRICT_PLUGINS"}
    env = {k: v for k, v in os.environ.items() if k not in outside}
    env |= {"COLUMNS": "200", "HF_HUB_OFFLINE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.setdefault("OMP_NUM_THREADS", "1")  # a small model: threads cost more than they give
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, so that nothing of the checkout is imported by accident."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture(scope="module")
def wheels(folder: Path) -> list[Path]:
    """The wheels of dlm and of the plugin."""
    built = []
    for source in (ROOT, PLUGIN):
        out = folder / f"wheel-{source.name}"
        call(
            sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", out, source,
            cwd=folder,
        )  # fmt: skip
        built += out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(folder: Path, wheels: list[Path]) -> Path:
    """The interpreter of a new environment with both wheels installed."""
    home = folder / "venv"
    venv.create(home, symlinks=os.name != "nt")
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    interpreter = scripts / Path(sys.executable).name
    call(
        sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps", "--no-index",
        *wheels, cwd=folder,
    )  # fmt: skip
    # After the install, so that pip does not take a dlm of the running environment for installed.
    purelib = call(
        interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    )
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(purelib.strip(), "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return interpreter


def test_wheel_holds_the_model_and_no_tests(wheels: list[Path]) -> None:
    names = set(zipfile.ZipFile(wheels[0]).namelist())
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        assert f"dlm_core/models/e2e/{name}" in names
    for kind in ("semantic", "pos"):
        for name in ("config.json", "head.safetensors"):
            assert f"dlm_core/models/e2e/controls/{kind}/{name}" in names
    assert {f"{p}/py.typed" for p in ("dlm_core", "dlm_controls", "dlm_cli")} <= names
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"dlm_core", "dlm_controls", "dlm_cli"}
    assert not [name for name in names if "test_" in name or "__pycache__" in name]
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_plugin_wheel_is_one_module(wheels: list[Path]) -> None:
    names = zipfile.ZipFile(wheels[1]).namelist()
    assert [n for n in names if ".dist-info/" not in n] == ["dlm_control_keyword.py"]


def test_dlm_comes_from_the_wheel(python: Path, folder: Path) -> None:
    code = (
        "import dlm_core, dlm_controls, dlm_cli, dlm_control_keyword\n"
        "for m in (dlm_core, dlm_controls, dlm_cli, dlm_control_keyword): print(m.__file__)"
    )
    home = python.parents[1]
    for path in call(python, "-c", code, cwd=folder).split():
        assert Path(path).is_relative_to(home), path


def test_the_plugin_is_listed_with_its_distribution(python: Path, folder: Path) -> None:
    table = call(python.parent / "dlm", "controls", "list", cwd=folder)
    (line,) = [line for line in table.splitlines() if line.split()[:1] == ["keyword"]]
    assert "dlm-control-keyword 0.1.0" in line


def test_generate_with_the_plugin(python: Path, folder: Path) -> None:
    lines = call(
        python.parent / "dlm", "generate", "-c", "keyword:sushi", "-n", 2, "--steps", 10,
        "--format", "jsonl", cwd=folder,
    ).splitlines()  # fmt: skip
    assert len(lines) == 2
    for result in map(json.loads, lines):
        assert "sushi" in result["text"].split()
        (report,) = result["controls"]
        assert report["satisfied"] is True
        assert report["plugin"] == "dlm-control-keyword 0.1.0"
        assert "c:keyword:sushi|seed:" in result["signature"]


@pytest.mark.slow
def test_the_plugins_own_tests(python: Path, folder: Path) -> None:
    """Its tests pass where dlm and the plugin are installed, as its README says."""
    call(python, "-m", "pytest", "-p", "no:cacheprovider", PLUGIN, cwd=folder)
