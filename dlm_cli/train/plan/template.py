"""The recipe that `dlm train init` writes: every value with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_cli.train.plan.figures import Figures
    from dlm_cli.train.plan.sizes import Sizes
    from dlm_cli.train.plan.texts import Choice


@dataclass(frozen=True)
class Plan:
    """A recipe to be.

    Attributes:
        corpus, valid, encoding, plugins: as they stand in it.
        minutes: for the whole run.
        choice, sizes, figures: what was chosen.
        left_out: why a head is not trained, by its kind; empty where it is.
        labels: some of the corpus's, if it has a classifier to train.
        name: of the model.
    """

    corpus: str
    valid: str | None
    encoding: str | None
    plugins: Sequence[str]
    minutes: float
    choice: Choice
    sizes: Sizes
    figures: Figures
    left_out: Mapping[str, str]
    labels: Sequence[str]
    name: str


def write(plan: Plan) -> str:
    """The TOML."""
    lines = [
        f"# Made by dlm train init for {plan.minutes:g} minutes on this machine. Every value",
        "# can be changed or left out; paths are relative to this file.",
        *_data(plan),
        *_text(plan),
        *_lm(plan),
        *_rest(plan),
    ]
    return "\n".join(lines) + "\n"


def _data(plan: Plan) -> list[str]:
    lines = ["", "[data]", f"corpus = {_value(plan.corpus)}"]
    if plan.valid is None:
        lines.append('# valid = "READER:PATH"  # a tenth is held out without')
    else:
        lines.append(f"valid = {_value(plan.valid)}")
    lines += [f"encoding = {_value(plan.encoding)}"] if plan.encoding is not None else []
    lines += [f"plugin = {_value(list(plan.plugins))}"] if plan.plugins else []
    return lines


def _text(plan: Plan) -> list[str]:
    text, why = plan.choice.text, plan.choice.why
    windows = f"sentences = {_value(list(text.sentences or (1, 3)))}"
    return [
        "",
        "[text]",
        "tokenise = true  # words and marks are cut apart; tokens stay as they are",
        f"case = {_value(text.case)}  # keep, lower or true; {why['case']}",
        f"full_stop = {_value(text.full_stop)}  # {why['full_stop']}",
        f"{'' if text.sentences else '# '}{windows}  # windows of sentences; {why['sentences']}",
    ]


def _lm(plan: Plan) -> list[str]:
    choice, sizes = plan.choice, plan.sizes
    evaluate = max(10, sizes.steps // 8)
    lines = [
        "",
        "[lm]",
        f"min_count = {choice.min_count}  # rarer words are not kept: {choice.why['min_count']}",
    ]
    if choice.max_words is not None:
        lines.append(f"max_words = {choice.max_words}  # the most frequent of them")
    if choice.pieces:
        lines.append(f"pieces = {choice.pieces}  # of words, to spell the others with")
    else:
        lines.append("# pieces = 4000  # would spell all other words")
    return [
        *lines,
        f"max_steps = {sizes.steps}  # {sizes.passes:.1f} passes over the texts, about "
        f"{sizes.seconds / 60:.1f} min at {sizes.speed:,.0f} words or pieces a second",
        f"warmup_steps = {min(200, max(1, sizes.steps // 10))}",
        f"eval_every = {evaluate}",
        f"save_every = {evaluate}",
        "time_power = 0.5",
        "self_conditioning_rate = 0.75",
        "rollout_rate = 0.5  # the model meets its own mistakes",
        "",
        "[lm.model]",
        f"max_len = {choice.max_len}  # {choice.why['max_len']}",
        "evidence = true  # what x_t says of a position's own word need not be learnt",
        f"embedding_dim = {16 if choice.pieces == 0 and choice.min_count == 10 else 32}",
        f"hidden = {sizes.hidden}",
        f"layers = {sizes.layers}",
        "heads = 4",
    ]


def _rest(plan: Plan) -> list[str]:
    sizes = plan.sizes
    lines = [
        "",
        "[teacher]  # the judge of fluency; teacher = false above all tables leaves it out",
        "layers = 2",
        "width = 128",
        f"positions = {plan.choice.max_len + 2}",
        f"epochs = {sizes.teacher_epochs}",
        "",
        "[writer]  # the net that is shown what controls ask",
        f"max_steps = {sizes.writer_steps}",
        f"eval_every = {max(10, sizes.writer_steps // 4)}",
        f"save_every = {max(10, sizes.writer_steps // 4)}",
        "",
        "[controls]  # a table a head; NAME = false leaves one out",
    ]
    lines += [f"{kind} = false  # {why}" for kind, why in plan.left_out.items() if why]
    for kind, why in plan.left_out.items():
        if not why:
            lines += ["", f"[controls.{kind}]", f"steps = {sizes.head_steps}"]
    if plan.labels:
        shown = ", ".join(plan.labels)
        lines += ["", f"[controls.label]  # classify:label={plan.labels[0]}; labels: {shown}",
                  'kind = "classify"', f"steps = {min(1000, sizes.head_steps)}"]  # fmt: skip
    return [
        *lines,
        "",
        "[evaluate]",
        *_evaluate(plan.figures),
        "",
        "[card]",
        f"name = {_value(plan.name)}",
        'licence = "unknown"  # of the texts: who may have what is trained on them?',
        'language = "en"',
        'description = ""',
    ]


def _evaluate(figures: Figures) -> list[str]:
    rough = "; figures of so few are rough" if figures.rough else ""
    return [
        f"texts = {figures.texts}  # written freely{rough}",
        f"targets = {figures.targets}  # of each control",
        f"each = {figures.each}",
        f"bound = {figures.bound}  # held-out texts",
    ]


def _value(value: Any) -> str:
    """As TOML has it, which for these is as JSON has it."""
    return json.dumps(value, ensure_ascii=False)
