"""Running what is asked: how texts are made, and those of one request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dlm_cli.files import ResultFile
from dlm_cli.generate.watch import Watch
from dlm_cli.options import read_heads
from dlm_cli.output import progress_bar, stderr
from dlm_cli.requests.item import Item, digest
from dlm_cli.requests.recipes import Recipe
from dlm_cli.words import one_line
from dlm_core.config import GuidanceConfig, SamplingConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from dlm_core.bundle import Model as LoadedModel
    from dlm_core.bundle import ModelInfo
    from dlm_core.generation.prepare import Request
    from dlm_core.plugins.registry import Plugins
    from dlm_core.results import Result


@dataclass(frozen=True)
class Job:
    """How texts are made, whatever they are asked to satisfy."""

    model: str
    info: ModelInfo
    batch_size: int | None
    """None is what the device takes best."""
    sampling: SamplingConfig
    guidance: GuidanceConfig
    verify: bool
    tries: int
    """How often a text that fails is made again."""
    plugins: Plugins

    @classmethod
    def of(cls, asked: Recipe, batch_size: int | None, run_plugins: bool = True) -> Job:
        """Load the plugins that may be run and read the model's config; both are light."""
        from dlm_cli.plugins.loading import load
        from dlm_core.bundle import ModelInfo

        plugins = load([Path(name) for name in asked.plugins] if run_plugins else [])
        info = ModelInfo.read(asked.model).with_heads(read_heads(asked.heads))
        settings = (asked.sampling, asked.guidance, asked.verify, asked.until_satisfied)
        return cls(asked.model, info, batch_size, *settings, plugins)

    def load(self, device: str) -> LoadedModel:
        """The model, with the heads that were named."""
        from dlm_core.bundle import Model

        return Model.load(self.model, device, self.info.head_places)

    def size(self, device: str | torch.device) -> int:
        """Texts that are made together."""
        from dlm_core.generation.generate import usual_batch_size

        return self.batch_size or usual_batch_size(device)

    @property
    def settings(self) -> str:
        """A digest of what the texts of every request depend on."""
        sampling, guidance = self.sampling.model_dump(), self.guidance.model_dump()
        heads = {kind: str(place.absolute()) for kind, place in self.info.head_places.items()}
        parts = [self.info.sha256, sampling, guidance, self.verify, self.tries]
        return digest([*parts, heads] if heads else parts)

    def _batches(
        self, model: LoadedModel, requests: Sequence[Request], **options: Any
    ) -> Iterator[list[tuple[int, Result]]]:
        from dlm_core.generation.generate import generate_batches

        return generate_batches(
            model,
            requests,
            sampling=self.sampling,
            guidance=self.guidance,
            batch_size=self.batch_size,
            verify=self.verify,
            plugins=self.plugins,
            **options,
        )

    def texts(
        self,
        model: LoadedModel,
        items: Sequence[Item],
        progress: Callable[[int, int], None] | None = None,
        on_step: Watch | None = None,
        trace: bool = False,
    ) -> Iterator[list[tuple[int, Result]]]:
        """Batches of (index of the item, text), each text made again until its controls hold."""
        for batch in self._batches(
            model,
            [item.request for item in items],
            progress=progress,
            on_step=on_step,
            trace=trace,
        ):
            yield self._again(model, items, batch, trace) if self.tries else batch

    def _again(
        self,
        model: LoadedModel,
        items: Sequence[Item],
        batch: list[tuple[int, Result]],
        trace: bool,
    ) -> list[tuple[int, Result]]:
        """Make texts that fail anew, the k-th time with the seed k * n further on.

        So no two texts of a request ever share a seed, and each depends on its own alone.
        """
        from dlm_core.generation.prepare import Request

        last = list(batch)
        for number in range(1, self.tries + 1):
            failed = [k for k, (_, result) in enumerate(last) if result.satisfied is False]
            requests = []
            for k in failed:
                item, first = items[batch[k][0]], batch[k][1].seed
                requests.append(Request(item.controls, 1, first + number * item.n))
            for made in self._batches(model, requests, trace=trace) if requests else ():
                for place, result in made:
                    k = failed[place]
                    last[k] = batch[k][0], result.model_copy(update={"tries": number + 1})
        return last

    def make(
        self,
        item: Item,
        device: str,
        out: ResultFile,
        format: str,
        watch: bool,
        trace: bool,
    ) -> list[Result]:
        """Make one request's texts and write each batch as it is done, or those chosen at the end.

        Returns:
            what was written.
        """
        steps, n = self.sampling.steps, item.n
        made: list[Result] = []
        candidates: list[Result] = []
        try:
            loaded = self.load(device)
            with (
                progress_bar("sampling", -(-n // self.size(device)) * steps, hidden=watch) as bar,
                Watch(steps) as seen,
            ):
                for batch in self.texts(
                    loaded,
                    [item],
                    lambda done, _: bar.update(done - bar.n),
                    seen if watch else None,
                    trace,
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


def _line(result: Result, format: str) -> str:
    if format == "jsonl":
        return result.model_dump_json()
    return one_line(result.tokenised if format == "tokens" else result.text)
