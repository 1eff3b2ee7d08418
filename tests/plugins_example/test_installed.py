"""What a user gets: wheels of dlm and of the example plugins, in an environment of their own.

The environment borrows the third-party packages of the running one by a .pth file (torch is large);
dlm and the plugins come from the wheels, which is asserted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from dlm_cli.plugins.new import write
from dlm_core.bundle import ModelInfo

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "plugins_example"
SOUND = ("dlm-control-readability", "dlm-selector-diverse", "dlm-watermark")
FAULTY = "dlm-plugin-faulty"
LATER = {  # found when it is used or listed, not when it is loaded
    "faulty-use": "",
    "faulty-command": "ValueError: command 'generate' is already provided by dlm itself",
}
AT_LOADING = {
    "faulty-missing-module": "import: ModuleNotFoundError: No module named 'a_module_that_is_not",
    "faulty-exits": "import: SystemExit: faulty: bye",
    "faulty-nowhere": "import: ModuleNotFoundError: No module named 'dlm_plugin_faulty.nowhere'",
    "faulty-taken-name": "register: ValueError: control 'length' is already provided by dlm 0.",
    "faulty-mistyped-hook": "register: PluginValidationError: unknown hook 'dlm_register_control'; "
    "did you mean 'dlm_register_controls'?",
    "faulty-unmarked-hook": "register: PluginValidationError: hook 'dlm_register_selectors' is not "
    "marked @hookimpl",
    "faulty-wrong-argument": "register: PluginValidationError: ",
    "faulty-no-spec": "register: TypeError: expected a subclass of SelectorSpec, got 'diverse'",
    "faulty-half": "register: OSError: no space left on device",
}


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def call(*command: object, cwd: Path, fails: bool = False, **env: str) -> Done:
    """Run a command away from the checkout."""
    outside = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DLM_PLUGINS", "DLM_STRICT_PLUGINS"}
    kept = {k: v for k, v in os.environ.items() if k not in outside}
    kept |= {"COLUMNS": "200", "HF_HUB_OFFLINE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    kept.setdefault("OMP_NUM_THREADS", "1")  # a small model: threads cost more than they give
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept | env, capture_output=True, text=True
    )
    assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, so that nothing of the checkout is imported by accident."""
    return tmp_path_factory.mktemp("installed")


@pytest.fixture(scope="module")
def wheels(folder: Path) -> dict[str, Path]:
    """The wheels of dlm, of the example plugins, and of one that `dlm plugins new` wrote."""
    sources = [ROOT, *(EXAMPLES / name for name in (*SOUND, FAULTY)), write("in-brief", folder)]
    script = (
        "import sys; from hatchling.builders.wheel import WheelBuilder\n"
        "for source in sys.argv[2:]: list(WheelBuilder(source).build(directory=sys.argv[1],"
        " versions=['standard']))"
    )
    call(sys.executable, "-c", script, folder / "wheels", *sources, cwd=folder)
    built = sorted((folder / "wheels").glob("*.whl"))
    return {path.name.split("-")[0].replace("_", "-"): path for path in built}


@pytest.fixture(scope="module")
def python(folder: Path, wheels: dict[str, Path]) -> Path:
    """The interpreter of a new environment with all wheels installed."""
    home = folder / "venv"
    venv.create(home, symlinks=os.name != "nt")
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    interpreter = scripts / Path(sys.executable).name
    call(
        sys.executable, "-m", "pip", "--python", interpreter, "install", "--no-deps", "--no-index",
        *wheels.values(), cwd=folder,
    )  # fmt: skip
    # After the install, so that pip does not take a dlm of the running environment for installed.
    purelib = call(
        interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder
    ).out
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(purelib.strip(), "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    return interpreter


@pytest.fixture(scope="module")
def dlm(python: Path) -> Path:
    return python.parent / "dlm"


def test_wheel_holds_the_model_and_no_tests(wheels: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(wheels["dlm"]).namelist())
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


def test_plugin_wheels_hold_their_module_alone(wheels: dict[str, Path]) -> None:
    for name, modules in {
        "dlm-control-readability": {"dlm_control_readability"},
        "dlm-selector-diverse": {"dlm_selector_diverse.py"},
        "dlm-watermark": {"dlm_watermark.py"},
        "dlm-control-in-brief": {"dlm_control_in_brief.py"},
    }.items():
        files = zipfile.ZipFile(wheels[name]).namelist()
        assert {f.split("/")[0] for f in files if ".dist-info/" not in f} == modules


def test_dlm_comes_from_the_wheel(python: Path, folder: Path) -> None:
    code = (
        "import dlm_core, dlm_controls, dlm_cli, dlm_selector_diverse, dlm_control_readability\n"
        "for m in (dlm_core, dlm_controls, dlm_cli, dlm_selector_diverse, dlm_control_readability):"
        " print(m.__file__)"
    )
    home = python.parents[1]
    for path in call(python, "-c", code, cwd=folder).out.split():
        assert Path(path).is_relative_to(home), path


@pytest.mark.parametrize("strict", ["0", "1"])
def test_every_plugin_is_listed_and_every_fault_named(dlm: Path, folder: Path, strict: str) -> None:
    done = call(dlm, "plugins", "list", "--json", cwd=folder, DLM_STRICT_PLUGINS=strict)
    told = json.loads(done.out)
    failures = {f["name"]: f for f in told["failures"]}
    assert set(failures) == set(AT_LOADING) | {"faulty-command"}
    for name, message in AT_LOADING.items():
        failure = failures[name]
        assert f"{failure['stage']}: {failure['error']}".startswith(message)
        assert (failure["distribution"], failure["version"]) == (FAULTY, "0.1.0")
        assert failure["hint"].startswith(f"pip uninstall {FAULTY}")
    assert failures["faulty-command"]["error"] == LATER["faulty-command"]
    loaded = {row["name"]: row for row in told["plugins"]}
    assert set(loaded) == {"builtin", "readability", "diverse", "watermark", "in-brief", *LATER}
    assert loaded["readability"]["controls"] == loaded["readability"]["commands"] == ["readability"]
    assert loaded["diverse"]["selectors"] == ["diverse"]
    assert "length" in loaded["builtin"]["controls"]


def test_the_table_of_faults_is_complete() -> None:
    readme = (EXAMPLES / FAULTY / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(faulty-[\w-]+)` \|", readme, re.M)
    assert set(rows) == set(AT_LOADING) | set(LATER)


def test_show_tells_where_a_plugin_lies(dlm: Path, python: Path, folder: Path) -> None:
    (told,) = json.loads(
        call(dlm, "plugins", "show", "dlm-selector-diverse", "--json", cwd=folder).out
    )
    assert told["module"] == "dlm_selector_diverse" and told["version"] == "0.1.0"
    assert Path(told["file"]).is_relative_to(python.parents[1])
    assert told["summary"].startswith("A selector for dlm") and not told["failures"]
    text = call(dlm, "plugins", "show", FAULTY, cwd=folder).out
    assert "missing_module.py" in text and "failed at import: ModuleNotFoundError" in text


def test_help_has_the_commands_of_plugins_and_no_torch(python: Path, folder: Path) -> None:
    code = (
        "import sys; from dlm_cli.__main__ import main\n"
        "assert main(['--help']) == 0 and 'torch' not in sys.modules"
    )
    done = call(python, "-c", code, cwd=folder, DLM_STRICT_PLUGINS="1")
    assert "dlm-control-readability 0.1.0" in done.out and "Flesch reading ease" in done.out
    assert f"warning: plugin 'faulty-command' ({FAULTY} 0.1.0) skipped at commands" in done.err


def test_a_mark_is_found_with_its_key_alone(dlm: Path, folder: Path) -> None:
    done = call(
        dlm, "generate", "-c", "watermark:key=K", "-c", "length:20", "-n", 8, "--steps", 10,
        cwd=folder, DLM_PLUGINS="watermark",
    )  # fmt: skip
    (folder / "marked.txt").write_text(done.out)
    found = {}
    for key in ("K", "L"):
        command = ("watermark", "detect", "--key", key, "--json", "marked.txt")
        done = call(dlm, *command, cwd=folder, DLM_PLUGINS="watermark")
        found[key] = json.loads(done.out.splitlines()[-1])["p_value"]
    assert found["K"] < 1e-4 < found["L"]


def test_a_command_of_a_plugin_runs_beside_the_broken_ones(dlm: Path, folder: Path) -> None:
    done = call(
        "sh", "-c", f"echo 'The cat sat on the mat .' | {dlm} readability", cwd=folder,
        DLM_PLUGINS="readability",
    )  # fmt: skip
    assert done.out == "116.1\teasy\n" and not done.err
    done = call(dlm, "faulty", cwd=folder, fails=True, DLM_PLUGINS="faulty-use")
    assert done.code == 5
    assert f"plugin 'faulty-use' ({FAULTY} 0.1.0) failed in the command faulty" in done.err


def test_train_generate_and_select_with_plugins(dlm: Path, folder: Path) -> None:
    """The whole way of the tutorial: a head trained by `dlm train control`, used, and selected."""
    forms = ("{} is a cheap pub .", "{} provides moderately expensive Italian delicacies .")
    texts = [form.format(name) for form in forms for name in ("Cotto", "The Mill", "Zizzi")]
    (folder / "texts.txt").write_text("\n".join(texts * 4))
    shutil.copytree(ModelInfo.read("e2e").path, folder / "model")
    call(
        dlm, "train", "control", "readability", "--corpus", "text:texts.txt", "-m", "./model",
        "--steps", 10, cwd=folder,
    )  # fmt: skip
    lines = call(
        dlm, "generate", "-m", "./model", "-c", "readability:easy", "-n", 4, "--keep", 2,
        "--select", "diverse:relevance=0.2", "--steps", 5, "--format", "jsonl", cwd=folder,
    ).out.splitlines()  # fmt: skip
    results = [json.loads(line) for line in lines]
    assert [r["rank"] for r in results] == [1, 2]
    for result in results:
        assert result["controls"][0]["plugin"] == "dlm-control-readability 0.1.0"
        assert "c:readability:easy|seed:" in result["signature"]


def test_check_passes_sound_plugins_and_names_each_fault(dlm: Path, folder: Path) -> None:
    sound = call(dlm, "plugins", "check", "dlm-selector-diverse", cwd=folder)
    assert [line.split()[0] for line in sound.out.splitlines()] == ["ok"] * 3
    sound = call(dlm, "plugins", "check", folder / "dlm-control-in-brief", cwd=folder)
    assert [line.split()[0] for line in sound.out.splitlines()] == ["ok"] * 3
    done = call(dlm, "plugins", "check", "readability", cwd=folder, fails=True)
    assert done.code == 3 and "dlm train control readability" in done.out
    done = call(dlm, "plugins", "check", FAULTY, cwd=folder, fails=True)
    assert done.code == 5
    failed = [line for line in done.out.splitlines() if line.startswith("FAIL")]
    wanted = [*AT_LOADING, "faulty-command", "faulty:verify", "faulty:few", "control faulty:shape"]
    for name in (*wanted, "faulty:nan", "faulty:raises", "faulty:build", "faulty:check"):
        assert any(name in line for line in failed), name
    assert not any(line.startswith("ok    control") for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-c", "faulty:shape"], r"returned shape \(1, \d+\), expected \(1,\)"),
        (["-c", "faulty:verify"], "failed at verify: ZeroDivisionError: no words"),
        (["--select", "faulty:nan"], "returned the score nan"),
    ],
)
def test_a_fault_in_use_ends_with_5_and_the_distribution(
    argv: list[str], message: str, dlm: Path, folder: Path
) -> None:
    done = call(
        dlm, "generate", "-n", 1, "--steps", 2, *argv, cwd=folder, fails=True,
        DLM_PLUGINS="faulty-use",
    )  # fmt: skip
    assert done.code == 5 and re.search(message, done.err)
    assert f"'{argv[1].split(':')[0]}" in done.err and f"from {FAULTY} 0.1.0" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("name", SOUND)
def test_the_plugins_own_tests(name: str, python: Path, folder: Path) -> None:
    """Their tests pass where dlm and the plugins are installed, as their READMEs say."""
    call(python, "-m", "pytest", "-p", "no:cacheprovider", EXAMPLES / name, cwd=folder)


@pytest.mark.slow
def test_the_tests_of_a_new_plugin(python: Path, folder: Path) -> None:
    call(
        python, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error",
        folder / "dlm-control-in-brief", cwd=folder,
    )  # fmt: skip
