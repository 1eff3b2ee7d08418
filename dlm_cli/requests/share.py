"""A file of requests among the processes that `accelerate launch` or `torchrun` started.

Lines go to processes by blocks, of as many lines as a batch has texts, and no batch reaches beyond
a block. So the batches, and with them the texts, are the same however many processes there are.
"""

from __future__ import annotations

import heapq
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from dlm_cli.files import check_output, packer, read_lines
from dlm_cli.requests.item import Id
from dlm_core.errors import UsageError
from dlm_core.files import writing

_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
_ID = len('{"id": ')
"""Where the id begins in a row of output."""
_PATIENCE = timedelta(days=30)
"""How long the first process to end waits for the last; the launcher sees to those that die."""


@dataclass(frozen=True)
class Share:
    """What one process makes of a file of requests.

    Attributes:
        rank: which process, from 0.
        size: how many there are.
        block: lines that go to one process together.
    """

    rank: int = 0
    size: int = 1
    block: int = 1

    @classmethod
    def of_launcher(cls) -> Share:
        """As the variables of a launcher say; all of it without one."""
        if not all(name in os.environ for name in _LAUNCHER):
            return cls()
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))

    def block_of(self, number: int) -> int:
        """The block of a line, which is counted from 1."""
        return (number - 1) // self.block

    def has(self, number: int) -> bool:
        """The line is this process's to answer."""
        return self.block_of(number) % self.size == self.rank

    def part(self, output: Path, rank: int) -> Path:
        """Where a process writes; all are plain or packed as `output` is."""
        return output.with_name(f"part-{rank}-of-{self.size}.{output.name}")

    def take_output(self, how: Mapping[str, Any]) -> Path | None:
        """Where this process writes.

        Args:
            how: the options, by their parameters' names.

        Raises:
            UsageError: an output would be lost, cannot be gone on with, or cannot be shared.
        """
        output: Path | None = how["output"]
        named = output is not None and str(output) != "-"
        parts = sorted(output.parent.glob(f"part-*-of-*.{output.name}")) if named and output else []
        if self.size == 1 or output is None:
            if parts and how["resume"] and output is not None and not output.exists():
                count = parts[0].name.partition("-of-")[2].partition(".")[0]
                raise UsageError(
                    f"option '--resume': {parts[0]} is of {count} processes",
                    f"accelerate launch --num_processes {count} -m dlm_cli generate ...",
                )
            return output
        other = [path for path in parts if f"-of-{self.size}." not in path.name]
        if how["resume"] and (other or output.exists()):
            found = (other or [output])[0]
            hint = "as many processes as before, or --force" if other else "one process can"
            raise UsageError(f"option '--resume': {self.size} processes cannot go on {found}", hint)
        own = self.part(output, self.rank)
        check_output(own, [("--requests", how["requests"])], how["force"], how["resume"])
        return own

    def check(self, how: Mapping[str, Any]) -> None:
        """Refuse what several processes cannot do together.

        Raises:
            UsageError: names the option.
        """
        if self.size == 1 or how["dry_run"]:
            return
        name = f"{self.size} processes"
        if how["requests"] in (None, "-") or str(how["output"] or "-") == "-":
            raise UsageError(f"{name} share a file of requests", "--requests FILE -o FILE")
        if how["seed"] == "random":
            raise UsageError(f"option '--seed': {name} would draw as many seeds", "--seed 7")

    def device(self, name: str) -> str:
        """The GPU of this process, where `auto` found several."""
        import torch

        alone = self.size == 1 or name != "cuda" or torch.cuda.device_count() < 2
        return name if alone else f"cuda:{os.environ['LOCAL_RANK']}"

    @contextmanager
    def together(self) -> Iterator[None]:
        """While the processes may speak with each other."""
        if self.size == 1:
            yield
            return
        from torch import distributed

        distributed.init_process_group("gloo", timeout=_PATIENCE)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def gather(self, report: Any) -> list[Any]:
        """The reports of all processes, when all are there."""
        reports = [report] * self.size
        if self.size > 1:
            from torch import distributed

            distributed.all_gather_object(reports, report)
        return reports

    def join(self, output: Path, numbers: Mapping[Id, int]) -> None:
        """Make one file of the parts, in the order of the requests, and remove them.

        Args:
            output: the file.
            numbers: id -> line of its request.

        Raises:
            DLMError: it cannot be written; the parts stay.
        """

        def place(row: bytes) -> int:
            text = row.decode("utf-8", "replace")
            return numbers.get(json.JSONDecoder().raw_decode(text, _ID)[0], 0)

        parts = [self.part(output, rank) for rank in range(self.size)]
        there = [path for path in parts if path.is_file()]
        pack = packer(output)
        with writing(output) as new, pack.open(new, "wb") if pack else new.open("wb") as stream:
            rows: Iterator[bytes] = heapq.merge(*map(read_lines, there), key=place)
            stream.writelines(rows)
        for path in there:
            path.unlink()
