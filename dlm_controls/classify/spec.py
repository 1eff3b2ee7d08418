"""classify:NAME=LABEL: what a classifier that you trained says of the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import field_validator

from dlm_controls.classify.head import digest, read_config, train_command
from dlm_core.control.compose import ControlSpec
from dlm_core.control.grammar import unquote
from dlm_core.control.spec import SpecValueError
from dlm_core.control.verdict import Verdict
from dlm_core.errors import MissingError, SpecError, UsageError, did_you_mean
from dlm_core.heads import MODEL, check_digest, foreign

if TYPE_CHECKING:
    from random import Random

    from dlm_core.bundle import Model, ModelInfo
    from dlm_core.control.protocol import BuildContext, Control
    from dlm_core.corpora import Example

MAX_NAME = 1_000
"""Characters of a classifier's name, which may be a path, or of a label."""


def _path(name: str) -> Path:
    """A classifier named by its folder.

    Raises:
        UsageError: `~` stands before nobody's name.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        user = name.split("/")[0]
        raise UsageError(
            f"control 'classify': there is no home folder {user}", "write the whole path"
        ) from error


class Classify(ControlSpec):
    """A label, as read by a classifier you trained; NAME is one of the model's, or a folder."""

    kind: ClassVar[str] = "classify"
    examples: ClassVar[tuple[str, ...]] = (
        "classify:friendly=yes",
        "classify:heads/friendly=yes",
    )
    normalised: ClassVar[bool] = True
    whole_words: ClassVar[bool] = False
    named_heads: ClassVar[bool] = True
    default_weight: ClassVar[float] = 2.0
    """At 1 a label that few texts have stays rare: what says it is spread over all words."""

    name: str
    label: str

    if TYPE_CHECKING:

        def __init__(self, *, name: str, label: str) -> None: ...

    @field_validator("name", "label")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise SpecValueError("is empty", f"for example {cls.examples[0]}")
        if len(value) > MAX_NAME:
            raise SpecValueError(
                f"has {len(value):,} characters; at most {MAX_NAME} do",
                f"for example {cls.examples[0]}",
            )
        if "\0" in value:
            raise SpecValueError("holds a null character", f"for example {cls.examples[0]}")
        return value

    @classmethod
    def fields_from_body(cls, body: str) -> dict[str, Any]:
        """The text before the first `=` is the classifier, the rest the label."""
        name, separator, label = body.partition("=")
        if not separator:
            raise SpecValueError("expected NAME=LABEL", f"for example {cls.examples[0]}")
        return {"name": name.strip(), "label": unquote(label)}

    @classmethod
    def known_values(cls, field: str, given: Mapping[str, Any], info: ModelInfo) -> Iterable[str]:
        """The model's classifiers, and the labels of the given one."""
        names = [h.partition("/")[2] for h in info.heads if h.startswith(f"{cls.kind}/")]
        if field == "name":
            return names
        folder = info.head_path(f"{cls.kind}/{given.get('name')}")
        return map(str, read_config(folder)["labels"]) if given.get("name") in names else ()

    def body(self) -> str:
        """NAME=LABEL; JSON where that would not read as the same."""
        plain = f"{self.name}={self.label}"
        same = self.fields_from_body(plain) == self.model_dump()
        return plain if same and "@" not in self.label and plain[0] != "{" else super().body()

    def folder(self, info: ModelInfo) -> Path:
        """Where the head lies: `controls/classify/NAME` of the model; a NAME with `/` is a path."""
        if "/" in self.name:
            return _path(self.name)
        return info.head_path(f"{self.kind}/{self.name}")

    def head_folder(self, info: ModelInfo) -> Path:
        """The classifier's folder."""
        return self.folder(info)

    def check(self, info: ModelInfo) -> None:
        """The classifier must be there, know the label, and be trained on this model's words."""
        folder = self.folder(info)
        train = train_command(info, self.name)
        try:
            there = (folder / "config.json").is_file()
        except OSError as error:
            raise MissingError(f"cannot read {folder}: {error.strerror or error}") from error
        if not there:
            if "/" in self.name:
                raise MissingError(f"control 'classify': no classifier in {folder}", train)
            heads = [head.partition("/") for head in info.heads]
            known = [name for kind, _, name in heads if kind == self.kind and name]
            model = info.name or info.path.name
            raise MissingError(
                f"control 'classify': model '{model}' has no classifier '{self.name}'",
                did_you_mean(self.name, known) if known else train,
            )
        config = read_config(folder)
        if self.label not in config["labels"]:
            source = str(self)
            start = max(0, source.rfind(self.label))
            raise SpecError(
                f"control 'classify': classifier '{self.name}' has no label '{self.label}'",
                source=source,
                span=(start, start + len(self.label)),
                hint=did_you_mean(self.label, config["labels"]),
            )
        check_digest(info, f"{self.kind}/{self.name}", folder)
        if MODEL not in config and config["vocabulary"] != digest(info):  # of an earlier version
            raise foreign(info, f"{self.kind}/{self.name}", folder)

    def build(self, context: BuildContext) -> Control:
        """Steer with the classifier that reads the model's rounding distribution."""
        from dlm_controls.classify.nets import load_reader

        reader = load_reader(self.folder(context.info), context, self.name)
        label = reader.labels.index(self.label)
        return context.control(
            lambda state: reader(state.token_log_probs.exp(), state.lengths)[:, label],
            multilinear=True,
        )

    def bind(self, info: ModelInfo) -> Self:
        """The same with the classifier's folder for its name."""
        return self.model_copy(update={"name": str(self.folder(info))})

    @classmethod
    def check_training(cls, examples: Sequence[Example], **options: Any) -> None:
        """Each text must have a label, and each label some texts."""
        from dlm_controls.classify.train import labelled_rows

        labelled_rows(examples)

    @classmethod
    def draw_target(cls, example: Example, draws: Random, name: str) -> Classify | None:
        """Its label."""
        label = example.fields.get("label", "")
        return cls(name=name, label=label) if label.strip() else None

    def verify(self, text: str) -> Verdict:
        """The label that the judge, a classifier trained apart from the one that steers, reads.

        Raises:
            MissingError: the classifier is named, and only a model knows where it lies.
        """
        from dlm_controls.classify.nets import load_judge

        if "/" not in self.name:
            raise MissingError(
                f"the judge of '{self}' lies in a model's folder",
                "spec.bind(model.info).verify(text)",
            )
        found, p = load_judge(_path(self.name)).verdict(text)
        return Verdict(
            found == self.label, f"the judge, trained apart, reads '{found}', p = {p:.2f}"
        )

    @classmethod
    def train(
        cls,
        model: Model,
        examples: Sequence[Example],
        out: Path,
        on_step: Callable[[int, int, float], None] | None = None,
        **options: Any,
    ) -> dict[str, float]:
        """Train the classifier that steers and the one that judges.

        Args:
            model: whose words and noise the classifier learns.
            examples: texts whose field `label` is their label.
            out: folder of the head.
            on_step: called with step, steps and loss.
            options: steps, seed, ... of `dlm_controls.classify.train.train_classifier`.

        Raises:
            UsageError: a text has no label, all have the same, or a label too few texts.
        """
        from dlm_controls.classify.train import labelled_rows, train_classifier

        rows, labels = labelled_rows(examples, model.info)
        extra = {"vocabulary": digest(model.info)}
        return train_classifier(model, rows, labels, out, on_step=on_step, extra=extra, **options)
