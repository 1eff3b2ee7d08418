"""metrics.jsonl: what a run reports, one row a line; readable whatever a crash left of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlm_core.errors import DLMError
from dlm_core.files import cut_torn_line, write_text


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row.

    Raises:
        DLMError: the disk is full, or the file cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
    except OSError as error:
        raise DLMError(
            f"cannot write {path}: {error.strerror or error}",
            "make room, then go on with --resume",
        ) from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of the file; lines that are none are left out."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def go_back(path: Path, step: int) -> str | None:
    """Take out what a run wrote after `step`, and half a line at the end, which is then told."""
    if not path.is_file():
        return None
    torn = cut_torn_line(path)
    rows = read_rows(path)
    kept = [row for row in rows if row["step"] <= step]
    whole = path.read_bytes().count(b"\n")
    if len(kept) < whole:  # steps that are made again, and lines that are no rows
        write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept))
    return None if torn is None else f"{path}: half a line at the end was cut off"
