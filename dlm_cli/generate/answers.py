"""Answering a file of requests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import typer

from dlm_cli.controls import check_heads
from dlm_cli.files import open_lines, open_results
from dlm_cli.generate.describe import Tally
from dlm_cli.generate.job import Job
from dlm_cli.generate.watch import Watch
from dlm_cli.output import pick_device, progress_bar, stderr, utf8_stdout
from dlm_cli.requests.item import Item, make_item
from dlm_cli.requests.lines import Line, Reader, chunks, count_lines, rows
from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.resume import Written
from dlm_cli.requests.share import Share
from dlm_cli.requests.tables import from_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dlm_cli.files import ResultFile
    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.results import Result


@dataclass
class Answers:
    """Answers requests in their order; one that fails is told and stops no other.

    Args:
        name: the file of requests; `-` is stdin.
        asked: what a request that leaves keys out takes.
    """

    job: Job
    name: str
    asked: Recipe
    watch: bool
    tally: Tally = field(default_factory=Tally)
    requests: int = 0
    """How many were answered."""

    def run(self, how: Mapping[str, Any], share: Share) -> int:
        """Make this process's share of the texts; the first makes one file of all. Or only check.

        Args:
            how: the options, by their parameters' names.
            share: which lines.

        Returns:
            the exit code: of the worst line; of all processes but the first 0.
        """
        utf8_stdout()
        reader = self._reader(None)
        with open_lines(self.name, "option '--requests'") as opened:
            lines = from_table(self.name, opened)
            if how["dry_run"]:
                good = sum(1 for _ in reader.items(lines))
                stderr(f"{good} requests are well formed{_others(reader)}")
                return reader.worst
            device = share.device(pick_device(how["device"]))
            share = replace(share, block=self.job.size(device))
            part, reader.share = share.take_output(how), share
            with share.together():
                with open_results(part, append=how["resume"]) as out:
                    if how["resume"]:
                        reader.written = Written(out, self.job.settings)
                    self._make(reader, lines, out, device)
                self._gather(reader, share)
                if share.rank:
                    return 0
                if share.size > 1:
                    share.join(how["output"], reader.numbers)
        path = how["output"] if share.size > 1 else out.path
        self.tally.tell(path, requests=self.requests, others=_others(reader))
        return reader.worst

    def _make(self, reader: Reader, lines: Iterable[bytes], out: ResultFile, device: str) -> None:
        loaded = self.job.load(device)
        reader.parse = lambda line: self._item(line, loaded)
        try:
            self._write(loaded, reader, lines, out)
        except KeyboardInterrupt:
            done = f"{out.lines} texts of {out.writes} requests"
            stderr(f"stopped: {done} are written{_others(reader)}")
            raise typer.Exit(130) from None
        self.requests = out.writes

    def _gather(self, reader: Reader, share: Share) -> None:
        """Count for all processes what each counted for itself."""
        own = (self.tally, self.requests, reader.worst, reader.failures, reader.skipped)
        tallies, *counts = zip(*share.gather(own), strict=True)
        self.tally = Tally.sum(tallies)
        self.requests, reader.failures, reader.skipped = (sum(counts[k]) for k in (0, 2, 3))
        reader.worst = max(counts[1])

    def _reader(self, loaded: LoadedModel | None) -> Reader:
        asked = self.asked
        defaults: dict[str, Any] = {"controls": list(asked.controls), "n": asked.n}
        defaults |= {"select": asked.select, "keep": asked.keep}
        return Reader(self.name, defaults, asked.seed, lambda line: self._item(line, loaded))

    def _item(self, line: Line, loaded: LoadedModel | None) -> Item:
        """A request checked against the model."""
        from dlm_core.control.settle import settle
        from dlm_core.generation.prepare import prepare

        assert line.seed is not None
        item = make_item(
            line.controls, line.n, line.seed, line.select, line.keep, self.job.plugins,
            line.id, line.meta,
        )  # fmt: skip
        if loaded is None:
            settle(item.controls, self.job.info)
            check_heads(item.controls, self.job.info)
        else:
            prepare(loaded, item.request, self.job.plugins)
        return item

    def _write(
        self, loaded: LoadedModel, reader: Reader, lines: Iterable[bytes], out: ResultFile
    ) -> None:
        settings, total = self.job.settings, count_lines(self.name)
        share = reader.share
        total = total and -(-total // share.size)
        blocks = chunks(reader.items(lines), share.block, share.block_of)
        with (
            progress_bar("requests", total, hidden=self.watch or share.rank > 0) as bar,
            Watch(self.job.sampling.steps) as seen,
        ):
            on_step = seen if self.watch else None
            for item, results in chain.from_iterable(
                # whole, if any is missing: in the company it had, each text is what it was
                self._answers(loaded, chunk, on_step, reader)
                for chunk in blocks
                if not all(item.there for item in chunk)
            ):
                if item.there:
                    continue
                bar.clear()
                try:
                    out_lines = rows(item, results, settings)
                except ValueError as error:  # no JSON can hold it
                    reader.failed(item, error)
                    continue
                out.write(out_lines)
                self.tally.add(results)
                if total is not None:  # those not made are no part of the rate
                    bar.total = total - reader.failures - reader.skipped
                bar.update()

    def _answers(
        self, model: LoadedModel, items: Sequence[Item], on_step: Watch | None, reader: Reader
    ) -> Iterator[tuple[Item, list[Result]]]:
        """Each request with what is kept of it, as soon as its last text is made.

        Where one fails, those not answered yet are made one by one: their texts are the same.
        """
        todo = 0
        candidates: list[list[Result]] = [[] for _ in items]
        try:
            for batch in self.job.texts(model, items, on_step=on_step):
                for index, result in batch:
                    candidates[index].append(result)
                while todo < len(items) and len(candidates[todo]) == items[todo].n:
                    answer = items[todo].choose(candidates[todo], self.job.plugins)
                    todo += 1
                    yield items[todo - 1], answer
        except Exception as error:
            if len(items) == 1:
                reader.failed(items[0], error)
                return
            for item in items[todo:]:
                yield from self._answers(model, [item], on_step, reader)


def _others(reader: Reader) -> str:
    """What became of the lines that gave no texts."""
    there = f"; there already {reader.skipped}" if reader.skipped else ""
    return there + (f"; refused {reader.failures}" if reader.failures else "")
