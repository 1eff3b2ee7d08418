"""What a stranger's bundle says reaches the screen as text, never as a command to the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.attacks.bundles import ESCAPES
from benchmarks.attacks.common import tiny_bundle
from dlm_cli.__main__ import main
from dlm_cli.words import printable


def test_what_steers_a_terminal_is_replaced_and_the_rest_is_kept() -> None:
    assert printable("a\tb\nCafé £ 20 – 25 “x” √ あ") == "a\tb\nCafé £ 20 – 25 “x” √ あ"
    assert printable("\x1b[2J\x9b1m\r\x07\x7f\u202egnp.exe\u2066") == "�[2J�1m����gnp.exe�"


def card(bundle: Path) -> None:
    (bundle / "README.md").write_text(f"# A {ESCAPES} model\n\nbad byte: ", encoding="utf-8")
    with (bundle / "README.md").open("ab") as stream:
        stream.write(b"\x9b31m\xff")


def provenance(bundle: Path) -> None:
    path = bundle / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {ESCAPES: {"by": ESCAPES}}))


def head_name(bundle: Path) -> None:
    (bundle / "controls" / "\x1b[31mpos").mkdir(parents=True)
    (bundle / "controls" / "\x1b[31mpos" / "config.json").write_text(
        '{"figures": {"a": "\\u001b"}}'
    )


def another_format(bundle: Path) -> None:
    (bundle / "config.json").write_text('{"format": "dlm-bundle-\\u001b[31m"}')


@pytest.mark.parametrize("damage", [card, provenance, head_name, another_format])
@pytest.mark.parametrize("command", ["show", "list"])
def test_no_bundle_steers_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None], command: str
) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    damage(bundle)
    capsys.readouterr()
    code = main(["models", command, str(bundle)])
    said = "".join(capsys.readouterr())
    assert code in (0, 3) and said
    assert {c for c in said if ord(c) < 32 or 127 <= ord(c) < 160} <= {"\n", "\t"}
