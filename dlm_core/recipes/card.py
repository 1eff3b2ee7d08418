"""The model card of a recipe's bundle: README.md, in the form of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dlm_core.card import headed, of_figures
from dlm_core.files import write_text
from dlm_core.recipes.evaluation import EVALUATION
from dlm_core.text import load_json
from dlm_core.version import VERSION

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from dlm_core.recipes.job import Job

_FREE = {
    "lm-score": "nats a token under the teacher",
    "distinct": "distinct texts",
    "distinct-2": "distinct-2",
    "self-bleu-4": "self-BLEU-4",
    "copied": "word for word in the training texts",
    "unk": "words that are UNK",
    "words": "words a text",
}
"""Figures of free texts that the card has, and what it calls them; faults follow."""
_OTHERS = ("lm-score", "token-nll", "teacher-unk")
_HIDDEN = ("token-nll", "teacher-unk", "distinct-1", "copied-run", "copied-run.longest")
"""Figures that the card leaves to evaluation.json."""


def write_card(job: Job, resume: bool) -> dict[str, Any]:
    """Write README.md from the recipe, the records and the figures."""
    path = job.out / EVALUATION
    measured = load_json(path.read_bytes()) if job.recipe.evaluate is not None else {}
    sections = [
        _title(job),
        *_training(job),
        *(_figures(job, measured) if measured else []),
        *_controls(job, measured),
        *_texts(measured),
    ]
    write_text(job.out / "README.md", _with_metadata(job, measured, "\n".join(sections) + "\n"))
    return {}


def _with_metadata(job: Job, measured: Mapping[str, Any], text: str) -> str:
    """The card, headed as the hub reads it: the recipe's licence and language, and the figures."""
    from huggingface_hub import ModelCard, ModelCardData

    own = ModelCardData(license=job.recipe.card.licence, language=job.recipe.card.language)
    card = ModelCard(f"---\n{own}\n---\n\n{text}")
    return headed(card, job.model.info, _results(measured), _name(job))


def _results(measured: Mapping[str, Any]) -> list[EvalResult]:
    """The figures that the text has, too."""
    if not measured:
        return []
    bound, free = measured["bound"], measured["free"]
    nll = {"nll": bound["figures"]["nll"]}
    found = of_figures(nll, "held-out", "held-out texts", bound["signature"])
    found += of_figures(_shown(free), "texts", "texts without controls", free["signature"])
    for name, part in measured.get("controls", {}).items():
        held = {f"{name}: {key or 'holds'}": value for key, value in _held(part).items()}
        found += of_figures(held, "texts", "texts under controls")
    return found


def _name(job: Job) -> str:
    return job.recipe.card.name or job.out.resolve().name


def _title(job: Job) -> str:
    """What the model is called, and its size."""
    card, config = job.recipe.card, job.model.info.config
    count = sum(p.numel() for p in job.model.net.parameters())
    words = "pieces" if job.model.vocab.pieces else "words"
    stored = "int8" if job.recipe.lm.bits == 8 else "fp16"
    lines = [
        f"# {_name(job)}: a Diffusion-LM",
        "",
        *([card.description, ""] if card.description else []),
        f"{config.layers} layers × {config.hidden}, d = {config.embedding_dim}, "
        f"{len(job.model.vocab):,} entries in the vocabulary, texts of up to "
        f"{job.model.info.max_words} {words}; {count:,} parameters, {stored}.",
        "",
    ]
    return "\n".join(lines)


def _training(job: Job) -> Iterable[str]:
    """Data, command, recipe, and what each stage took."""
    records = job.records.stages
    data = records["data"].figures
    seen = data["texts"]
    yield "## Training\n\n```sh"
    yield f"dlm train all {job.recipe.path.name} --out {job.out.resolve().name}\n```\n"
    yield (
        f"Data: {seen['texts']:,} texts of {seen['mean_words']:.1f} words on average, "
        f"{data['held out']:,} more held out; {100 * seen['unk_share']:.2f}% of the running words "
        f"are not in the vocabulary. Licence: {job.recipe.card.licence}.\n"
    )
    yield f"The recipe (dlm {VERSION}):\n\n```toml\n{job.recipe.source.strip()}\n```\n"
    rows = []
    for name, record in records.items():
        if name in ("data", "card"):
            continue
        steps = "" if name in ("temperature", "evaluate") else f"{record.steps:,}"
        rows.append((name, steps, _time(record.seconds), record.machine))
    yield _table(("stage", "steps", "time", "machine"), rows)


def _figures(job: Job, measured: Mapping[str, Any]) -> Iterable[str]:
    """What texts without controls are worth, and the bound."""
    bound, free = measured["bound"], measured["free"]
    yield (
        "## Figures\n\n95% intervals in brackets. The teacher is a GPT-2 over the same words, "
        "trained on the same texts; the held-out texts also chose its best weights.\n"
    )
    rows = []
    for name, figure in _shown(free).items():
        real, over = free["real"].get(name), free["ratio"].get(name)
        rows.append((_FREE.get(name, name), _figure(figure), _figure(real), _figure(over)))
    count = free["figures"]["words"]["texts"]
    head = (f"{count} texts without controls", "model", "held-out texts", "ratio")
    yield _table(head, rows)
    teacher = bound["figures"].get("teacher")
    beside = f"; the teacher's exact figure on them: {_figure(teacher)}" if teacher else ""
    yield (
        f"Bound on the negative log-likelihood of {bound['texts']} held-out texts: "
        f"{_figure(bound['figures']['nll'])} nats a token{beside}.\n"
    )


def _shown(free: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of free texts, those that `_FREE` names first."""
    found, known = free["figures"], [*_FREE, *free["figures"]]
    return {name: found[name] for name in known if name in found and name not in _HIDDEN}


def _held(part: Mapping[str, Any]) -> dict[str, Any]:
    """How often a control holds, under an empty name, and its parts; nothing if it was left out."""
    found = {key: value for key, value in part.get("figures", {}).items() if key not in _OTHERS}
    return {
        "" if key == "control" else key.partition(".")[2] or key: value
        for key, value in found.items()
    }


def _controls(job: Job, measured: Mapping[str, Any]) -> Iterable[str]:
    """What each control can do, or why it is not there."""
    records = job.records.stages.items()
    missing = {name.removeprefix("controls."): r.left_out for name, r in records if r.left_out}
    missing |= job.left_out
    rows = []
    for name, part in measured.get("controls", {}).items():
        if "left out" in part:
            missing[name] = part["left out"]
            continue
        held = [f"{key} {_figure(value)}".strip() for key, value in _held(part).items()]
        ratio = part.get("ratio", {}).get("lm-score")
        asked = f"{len(part['targets'])} targets, {part['texts']} texts"
        if "unjudged" in part:
            asked += f"; {part['unjudged']['texts']} not judged: {part['unjudged']['why']}"
        rows.append((f"`{name}`", asked, "; ".join(held), _figure(ratio)))
    if rows or missing:
        yield "## Controls\n"
    if rows:
        yield (
            "Targets are drawn from held-out texts, or are the control's own examples; the verdict "
            "is its own. lm ratio: nats a token of the texts over those that targets come from.\n"
        )
        yield _table(("control", "tried on", "holds", "lm ratio"), rows)
    for name, why in sorted(missing.items()):
        yield f"- `{name}` is not there: {why}"
    if missing:
        yield ""


def _texts(measured: Mapping[str, Any]) -> Iterable[str]:
    texts = measured["free"]["texts"] if measured else []
    if texts:
        yield f"## {len(texts)} texts\n\nWithout controls, seeds 0 to {len(texts) - 1}, unpicked.\n"
        yield from (f"{k}. {_plain(text)}" for k, text in enumerate(texts, 1))


def _figure(figure: Mapping[str, Any] | None) -> str:
    """A value with its interval."""
    if figure is None or figure["value"] is None:
        return "-"
    unit = "%" if figure["unit"] == "%" else ""
    digits = 1 if unit or figure["unit"] in ("words", "points") else 3
    shown = f"{figure['value']:.{digits}f}{unit}"
    if "low" in figure:
        shown += f" [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]"
    return shown


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|" else c for c in text)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
