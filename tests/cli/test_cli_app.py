"""The app: help, version, usage errors, exit codes, start-up."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args, get_type_hints

import pytest

from dlm_cli import app as cli
from dlm_cli.generate import command as generate
from dlm_core.config import GuidanceConfig, SamplingConfig

HEAVY = ("torch", "transformers", "spacy", "sacrebleu", "bert_score", "tqdm", "huggingface_hub")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(run_cli, flag):
    run = run_cli(flag)
    assert run.code == 0 and not run.err
    for command in cli.COMMANDS:
        assert command.name in run.out and command.summary in run.out


@pytest.mark.parametrize(
    "command",
    [
        "generate", "select", "selectors list", "train lm", "train control", "controls list",
        "controls show", "controls check", "plugins list", "models list", "models show", "env",
    ],
)  # fmt: skip
def test_every_command_has_help_with_examples(run_cli, command):
    run = run_cli(*command.split(), "-h")
    assert run.code == 0
    assert "Examples" in run.out and f"dlm {command}" in run.out
    ours = [line for line in run.out.splitlines() if "--" in line and "--help" not in line]
    assert not any("<str>" in line or "<bool>" in line for line in ours)


def test_stand_ins_tell_the_same_as_the_commands():
    """`dlm --help` shows summaries of commands that it does not import."""
    short = {c.name: c.summary for c in cli.COMMANDS}
    app = cli.build()
    full = {g.name: g.typer_instance.info.help for g in app.registered_groups}
    full |= {c.name: c.callback.__doc__.splitlines()[0] for c in app.registered_commands}
    assert short == full


def test_help_of_generate_has_the_panels_and_the_defaults_of_the_settings(run_cli):
    out = run_cli("generate", "--help").out
    for panel in ("Model", "Controls", "Sampling", "Guidance", "Output"):
        assert f"─ {panel} ─" in out
    assert "SPEC" in out and "KIND:BODY[@WEIGHT]" in out
    assert f"[default: {SamplingConfig().steps}]" in out


def test_choices_are_those_of_the_settings():
    hints = get_type_hints(generate.command)
    for option, cls, field in (
        ("sampler", SamplingConfig, "sampler"),
        ("spacing", SamplingConfig, "spacing"),
        ("guidance", GuidanceConfig, "mode"),
        ("guidance_optimizer", GuidanceConfig, "optimizer"),
    ):
        assert get_args(hints[option]) == get_args(cls.model_fields[field].annotation)


def test_version(run_cli):
    run = run_cli("--version")
    assert run.code == 0 and run.out.startswith("dlm ")


def test_no_command_shows_the_help(run_cli):
    run = run_cli()
    assert run.code == 2 and "generate" in run.out and not run.err


@pytest.mark.parametrize(
    ("argv", "message", "hint"),
    [
        (["genrate"], "no such command 'genrate'", "did you mean 'generate'?"),
        (["controls", "lst"], "no such command 'lst'", "did you mean 'list'?"),
        (["generate", "--stpes", "3"], "no such option: --stpes", "did you mean --steps?"),
        (["generate", "--sampler", "dim"], "'--sampler': 'dim' is not one of", "generate --help"),
        (["generate", "-n", "0"], "'-n': should be greater than or equal to 1", "generate --help"),
        (["generate", "extra"], "unexpected extra argument(s) (extra)", "generate --help"),
        (["generate", "--eta", "2"], "'--eta': 2.0 should be less than or equal to 1", ""),
        (["generate", "--steps", "0"], "'--steps': 0 should be greater than 0", ""),
        (["generate", "--guidance-lr", "-1"], "'--guidance-lr': -1.0 should be", ""),
        (["generate", "--seed", "seven"], "'--seed': 'seven' is neither", "--seed 7"),
        (["generate", "--device", "gpu"], "'--device': 'gpu'", "cuda"),
        (["train", "lm", "--out", "x"], "missing option '--corpus'", "train lm --help"),
    ],
)
def test_usage_errors_end_with_2_and_a_hint(run_cli, argv, message, hint):
    run = run_cli(*argv)
    assert run.code == 2 and not run.out
    assert run.err.startswith("error: ")
    assert message in run.err and hint in run.err


def test_an_unexpected_error_is_one_line(run_cli, monkeypatch):
    monkeypatch.setattr("dlm_cli.generate.asked.read_seed", lambda value: {}["gone"])
    run = run_cli("generate")
    assert run.code == 1
    assert run.err == "error: KeyError: 'gone'\nhint: DLM_DEBUG=1 shows the traceback\n"
    monkeypatch.setenv("DLM_DEBUG", "1")
    assert "Traceback" in run_cli("generate").err


def test_ctrl_c_ends_with_130(run_cli, monkeypatch):
    def interrupt(value: str) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("dlm_cli.generate.asked.read_seed", interrupt)
    assert run_cli("generate").code == 130


def test_light_commands_import_nothing_heavy():
    """Help, listings, checks and --dry-run work without torch."""
    script = (
        "import sys\n"
        "from dlm_cli.__main__ import main\n"
        "commands = ['--help', '--version', 'generate --help', 'train --help', 'controls list',\n"
        "    'controls check length:12', 'controls show pos', 'plugins list', 'models list',\n"
        "    'models show e2e', 'env', 'generate --dry-run -c length:12']\n"
        "for command in commands:\n"
        "    assert main(command.split()) == 0, command\n"
        f"    heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    assert not heavy, (command, heavy)\n"
        "    if command == '--help': assert 'pydantic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_runs_as_a_module_and_survives_a_closed_pipe():
    command = (
        f"{sys.executable} -m dlm_cli controls list --json | head -c 1; echo ${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stdout == "[0\n" and not done.stderr
