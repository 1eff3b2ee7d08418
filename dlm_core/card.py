"""The model card: README.md, headed by metadata as the hub reads them. Light: imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dlm_core.bundle import ModelInfo
from dlm_core.errors import MissingError, UsageError
from dlm_core.text import load_json, read_text

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

TAGS = ("diffusion", "text-generation", "controllable-generation", "dlm")
_TASK = "text-generation"


def make_card(info: ModelInfo, reports: Sequence[Path] = (), data_name: str = "") -> str:
    """The card of a model, its figures as `model-index` in the metadata.

    What the bundle's README.md says stays, also figures that are not measured anew.

    Args:
        info: the model.
        reports: what `dlm evaluate -o FILE.json` wrote.
        data_name: what the texts of the reports are of, for example "E2E, validation".

    Raises:
        MissingError: a report cannot be read.
        UsageError: a report, or the metadata of README.md, are not what they should be.
    """
    measured = [found for path in reports for found in _of_report(path, data_name or path.stem)]
    return headed(_read(info), info, measured)


def headed(card: ModelCard, info: ModelInfo, measured: Sequence[EvalResult], name: str = "") -> str:
    """A card with the metadata that every card of dlm has; what it says of others stays.

    Args:
        card: its text, and what it says already.
        info: the model; what training measured of its heads is added.
        measured: more figures; one of the same name and data takes the place of the card's.
        name: of the model, where the card has none; if empty, its folder's.
    """
    data = cast("ModelCardData", card.data)
    data.library_name = "dlm"
    data.pipeline_tag = data.pipeline_tag or _TASK
    data.tags = list(dict.fromkeys([*(data.tags or ()), *TAGS]))
    every = [*(data.eval_results or ()), *_of_heads(info), *measured]
    found = {_key(result): result for result in every}
    if found:
        data.eval_results = list(found.values())
        data.model_name = data.model_name or name or info.path.name
    return str(card)


def _read(info: ModelInfo) -> ModelCard:
    from huggingface_hub import ModelCard

    path = info.path / "README.md"
    text = read_text(path) if path.is_file() else _text(info)
    try:
        return ModelCard(text)
    except Exception as error:  # of yaml, or of what it holds
        reason = str(error).splitlines()[0]
        raise UsageError(f"{path}: its metadata cannot be read ({reason})", "mend them") from error


def _text(info: ModelInfo) -> str:
    """A card for a model that has none."""
    config = info.config
    heads = ", ".join(info.heads) or "none"
    return (
        f"# {info.path.name}: a Diffusion-LM\n\n"
        f"{config.layers} layers × {config.hidden}, d = {config.embedding_dim}, "
        f"{len(info.vocab):,} words, texts of up to {info.max_words} words. "
        f"Controls trained on it: {heads}.\n\n"
        "```sh\npip install dlm\ndlm generate -m OWNER/NAME -n 4\n```\n"
    )


def _of_heads(info: ModelInfo) -> list[EvalResult]:
    """What the training of each head measured on texts that it held out."""
    results = []
    for kind in info.heads:
        path = info.head_path(kind) / "config.json"
        try:
            figures = load_json(path.read_bytes())["figures"]
        except (OSError, ValueError, KeyError, TypeError):  # it measured nothing
            continue
        for name, value in figures.items():
            if isinstance(value, int | float):
                held_out = ("held-out", "held-out training texts")
                results.append(_result(f"{kind}: {name}", value, *held_out))
    return results


def _of_report(path: Path, data_name: str) -> list[EvalResult]:
    wrong = UsageError(f"{path}: no report of 'dlm evaluate'", "dlm evaluate FILE -o report.json")
    try:
        report = load_json(read_text(path))
        signature = str(report["signature"])
        return of_figures(report["figures"], "texts", data_name, signature)
    except MissingError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise wrong from error


def of_figures(
    figures: Mapping[str, Mapping[str, Any]], data_type: str, data_name: str, signature: str = ""
) -> list[EvalResult]:
    """Figures, as a report has them by name, as the hub's; those without a value are left out.

    Args:
        figures: each with `value`, `unit`, and maybe `texts`, `low` and `high`.
        data_type: what was measured on: a name for programs.
        data_name: the same for readers.
        signature: how it was measured.
    """
    return [
        _result(
            f"{name} ({figure['unit']})" if figure["unit"] else name,
            figure["value"],
            data_type,
            data_name,
            {key: figure[key] for key in ("texts", "low", "high") if key in figure},
            {"signature": signature} if signature else None,
        )
        for name, figure in figures.items()
        if figure["value"] is not None
    ]


def _result(
    name: str,
    value: float,
    data_type: str,
    data_name: str,
    metric_args: Mapping[str, Any] | None = None,
    data_args: Mapping[str, Any] | None = None,
) -> EvalResult:
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type=_TASK,
        dataset_type=data_type,
        dataset_name=data_name,
        dataset_args=dict(data_args) if data_args else None,
        metric_type=name.rpartition(": ")[2].partition(" (")[0],
        metric_name=name,
        metric_value=round(value, 4),
        metric_args=dict(metric_args) if metric_args else None,
    )


def _key(result: EvalResult) -> str:
    return json.dumps([result.dataset_type, result.dataset_name, result.metric_name])
