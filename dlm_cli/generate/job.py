"""Running what is asked: texts of one request, or of a file of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dlm_cli.generate.watch import Watch
from dlm_cli.output import (
    ResultFile,
    open_results,
    progress_bar,
    stderr,
)
from dlm_cli.requests.item import Item, make_item
from dlm_cli.requests.lines import Line, Reader, chunks, open_lines, rows
from dlm_cli.requests.recipes import Recipe
from dlm_cli.requests.resume import Written
from dlm_core.config import GuidanceConfig, SamplingConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.errors import DLMError
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result


@dataclass(frozen=True)
class Job:
    """How texts are made, whatever they are asked to satisfy."""

    model: str
    info: ModelInfo
    batch_size: int
    sampling: SamplingConfig
    guidance: GuidanceConfig
    verify: bool
    plugins: Plugins

    @classmethod
    def of(cls, asked: Recipe, batch_size: int) -> Job:
        """Load the plugins and read the model's config; neither is more than light."""
        from dlm_cli.plugins.loading import load
        from dlm_core.bundle import ModelInfo

        plugins = load([Path(name) for name in asked.plugins])
        info = ModelInfo.read(asked.model)
        settings = (asked.sampling, asked.guidance, asked.verify)
        return cls(asked.model, info, batch_size, *settings, plugins)

    def _batches(
        self, model: LoadedModel, items: Sequence[Item], **options: Any
    ) -> Iterator[list[tuple[int, Result]]]:
        from dlm_core.generation.generate import generate_batches

        return generate_batches(
            model,
            [item.request for item in items],
            sampling=self.sampling,
            guidance=self.guidance,
            batch_size=self.batch_size,
            verify=self.verify,
            plugins=self.plugins,
            **options,
        )

    def make(
        self, item: Item, device: str, out: ResultFile, format: str, watch: bool
    ) -> list[Result]:
        """Make one request's texts and write each batch as it is done, or those chosen at the end.

        Returns:
            what was written.
        """
        from dlm_core.bundle import Model

        steps, n = self.sampling.steps, item.n
        made: list[Result] = []
        candidates: list[Result] = []
        try:
            loaded = Model.load(self.model, device)
            with progress_bar("sampling", -(-n // self.batch_size) * steps, hidden=watch) as bar:
                for batch in self._batches(
                    loaded,
                    [item],
                    progress=lambda done, _: bar.update(done - bar.n),
                    on_step=Watch(steps) if watch else None,
                ):
                    results = [result for _, result in batch]
                    bar.clear()
                    candidates += results
                    if item.selector is None:
                        made += results
                        out.write([_line(result, format) for result in results])
            if item.selector is not None:
                made = item.choose(candidates, self.plugins)
                out.write([_line(result, format) for result in made])
        except KeyboardInterrupt:
            if item.selector is None or out.lines:
                stderr(f"stopped: {out.lines} of {n} texts are written")
            else:
                stderr(f"stopped: {len(candidates)} of {n} candidates were made, none chosen yet")
            raise typer.Exit(130) from None
        return made

    def answer(
        self,
        name: str,
        defaults: dict[str, Any],
        output: Path | None,
        resume: bool,
        device: str,
        watch: bool,
    ) -> int:
        """Make the texts of a file of requests, in order; without a device only check them.

        Returns:
            the exit code: of the worst line.
        """
        from dlm_core.bundle import Model
        from dlm_core.generation.prepare import prepare

        loaded = Model.load(self.model, device) if device else None

        def parse(line: Line) -> Item:
            item = make_item(
                line.controls, line.n, line.seed, line.select, line.keep, self.plugins, line.id
            )
            if loaded is None:
                item.controls.check(self.info)
            else:
                prepare(loaded, item.request, self.plugins)
            return item

        written = Written(output) if resume and output is not None else None
        reader = Reader(name, defaults, parse)
        if written is not None:
            reader.done, reader.incomplete = written.texts, written.drop
        with open_lines(name, "option '--requests'") as lines:
            items = reader.items(lines)
            if loaded is None:
                stderr(f"{sum(1 for _ in items)} requests are well formed" + reader.summary())
                return reader.worst
            on_step = Watch(self.sampling.steps) if watch else None
            with open_results(output, append=resume) as out:
                try:
                    with progress_bar("requests", None, hidden=watch) as bar:
                        for item, results in chain.from_iterable(
                            self._answers(loaded, chunk, on_step, reader.failed)
                            for chunk in chunks(items, self.batch_size)
                        ):
                            bar.clear()
                            if written is not None:
                                written.appended()
                            out.write(rows(item, results))
                            bar.update()
                except KeyboardInterrupt:
                    done = f"{out.lines} texts of {out.writes} requests"
                    stderr(f"stopped: {done} are written" + reader.summary())
                    raise typer.Exit(130) from None
        if output is not None or reader.failures:
            place = f" to {output}" if output is not None else ""
            stderr(f"wrote {out.lines} texts of {out.writes} requests{place}" + reader.summary())
        return reader.worst

    def _answers(
        self,
        model: LoadedModel,
        items: Sequence[Item],
        on_step: Watch | None,
        failed: Callable[[Item, DLMError], None],
    ) -> Iterator[tuple[Item, list[Result]]]:
        """Each request with what is kept of it, as soon as its last text is made.

        Where one fails, those not answered yet are made one by one: their texts are the same.
        """
        from dlm_core.errors import DLMError

        todo = 0
        candidates: list[list[Result]] = [[] for _ in items]
        try:
            for batch in self._batches(model, items, on_step=on_step):
                for index, result in batch:
                    candidates[index].append(result)
                while todo < len(items) and len(candidates[todo]) == items[todo].n:
                    yield items[todo], items[todo].choose(candidates[todo], self.plugins)
                    todo += 1
        except DLMError as error:
            if len(items) == 1:
                failed(items[0], error)
                return
            for item in items[todo:]:
                yield from self._answers(model, [item], on_step, failed)


def _line(result: Result, format: str) -> str:
    return result.text if format == "text" else result.model_dump_json()
