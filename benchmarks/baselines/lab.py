"""What the systems share, made once and kept in a work folder: data, the AR base, what is trained.

Every part is a function of the corpus, the budget and the seed; its folder is named by what it
depends on, and a part that lies there is read, not made again. The AR base has another seed than
the judging teacher: what steers never judges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TypeVar

from benchmarks.baselines.base import Condition
from benchmarks.baselines.discriminator import Discriminator, train_discriminator
from benchmarks.baselines.tuning import Tuned, fine_tune
from benchmarks.baselines.words import MOST_WORDS, WordLM
from dlm_cli.train.teacher import run as train_teacher
from dlm_core.bundle import Model
from dlm_core.control.compose import ControlSpec
from dlm_core.corpora import Example, prepare, read_corpus
from dlm_core.data_check import hold_out
from dlm_core.errors import UsageError, did_you_mean
from dlm_core.evaluation.teacher import Teacher
from dlm_core.evaluation.teacher_training import TeacherConfig

_T = TypeVar("_T")
BASE_SEED, JUDGE_SEED = 1, 0
POSITIONS = 256
DRAWN = 4
"""Controls of a text, at most, that a model is fine-tuned on."""


@dataclass(frozen=True)
class Training:
    """How long the baselines are trained.

    Attributes:
        base_steps: of the AR base, and of a teacher if none is given.
        layers, width: of both.
        tune_steps: of each fine-tuned model.
        discriminator_steps: of each future discriminator.
        texts: labelled texts a kind; `trees` of them are parsed.
        trees: see `texts`.
        pplm_steps: gradient steps a word.
        relaxed_steps: of DELOREAN (a tenth) and COLD, a gap.
    """

    base_steps: int = 6000
    layers: int = 4
    width: int = 192
    tune_steps: int = 2000
    discriminator_steps: int = 2000
    texts: int = 40_000
    trees: int = 12_000
    pplm_steps: int = 30
    relaxed_steps: int = 500

    def said(self) -> str:
        """In a line below a table: a baseline that learned for seconds is a weak one."""
        return (
            f"steps of training: AR base {self.base_steps}, fine-tuned {self.tune_steps}, "
            f"discriminators {self.discriminator_steps}"
        )


@dataclass(eq=False)
class Lab:
    """See the module docstring.

    Attributes:
        shared: the folder that holds data/.
        work: where what is trained is kept.
        conditions: by kind.
        training: how long.
        model_name: the Diffusion-LM of our rows.
        teacher_path: the judge; trained if None.
        say: told what is being made.
        corpus: READER:PATH of the texts that the Diffusion-LM was trained on; E2E if empty. A part
            of it is held out.
    """

    shared: Path
    work: Path
    conditions: Mapping[str, Condition]
    training: Training = field(default_factory=Training)
    model_name: str = "e2e"
    teacher_path: Path | None = None
    say: Callable[[str], None] = lambda _: None
    corpus: str = ""
    _made: dict[tuple[str, str], object] = field(default_factory=dict)

    @cached_property
    def model(self) -> Model:
        """The Diffusion-LM."""
        return Model.load(self.model_name)

    def texts(self, split: str) -> list[list[str]]:
        """Words of train or valid.

        Raises:
            MissingError: the corpus is not there.
        """
        if self.corpus:
            return list(self._given[split])
        path = self.shared / "data" / "e2e" / f"{split}.csv.gz"
        return [example.text.split() for example in read_corpus(f"e2e:{path}")]

    @cached_property
    def _given(self) -> dict[str, list[list[str]]]:
        """The corpus, in words, split and prepared as for the Diffusion-LM."""
        train, valid, _ = hold_out(read_corpus(self.corpus))
        return {
            split: [e.text.split() for e in prepare(part, self.model.info.text)]
            for split, part in (("train", train), ("valid", valid))
        }

    def prepared(self, texts: Iterable[str]) -> list[Example]:
        """Natural texts as those of the Diffusion-LM's corpus are, each whole."""
        settings = self.model.info.text.model_copy(update={"tokenise": True, "sentences": None})
        return prepare([Example(text) for text in texts], settings)

    @cached_property
    def base(self) -> WordLM:
        """The AR base: GPT-2 from scratch over dlm's words, its weights held."""
        found = self._teacher("ar", BASE_SEED)
        return WordLM(found.model.requires_grad_(False), found.vocab)

    @cached_property
    def teacher(self) -> Teacher:
        """What judges fluency."""
        if self.teacher_path is not None:
            return Teacher.load(self.teacher_path)
        return self._teacher("teacher", JUDGE_SEED)

    def _teacher(self, name: str, seed: int) -> Teacher:
        folder, t = self._folder(name), self.training
        if not (folder / "training.json").is_file():
            self.say(f"training {name}: {t.base_steps} steps")
            config = TeacherConfig(
                steps=t.base_steps, layers=t.layers, width=t.width, positions=POSITIONS, lr=2e-3,
                seed=seed,
            )  # fmt: skip
            texts, held_out = ([" ".join(x) for x in self.texts(s)] for s in ("train", "valid"))
            train_teacher((texts, held_out), folder, config, "cpu")
        return Teacher.load(folder)

    def _folder(self, name: str, *settings: str) -> Path:
        """Where a part lies that depends on these settings, on the AR base's and the corpus."""
        names = ("base_steps", "layers", "width", *settings)
        told = [str(getattr(self.training, setting)) for setting in names]
        if self.corpus:
            told.append(hashlib.sha256(self.corpus.encode()).hexdigest()[:8])
        return self.work / "-".join([name, *told])

    def condition(self, kind: str) -> Condition:
        """How a kind of control is read and told.

        Raises:
            UsageError: no file of `benchmarks/paper/tasks` has it.
        """
        if kind not in self.conditions:
            raise UsageError(f"no condition '{kind}'", did_you_mean(kind, self.conditions))
        return self.conditions[kind]

    def labelled(self, kind: str) -> tuple[list[list[str]], list[Sequence[ControlSpec]]]:
        """Training texts drawn at random, and the controls of the kind that each meets."""

        def make() -> tuple[list[list[str]], list[Sequence[ControlSpec]]]:
            self.say(f"reading {kind} off training texts")
            texts = sorted({tuple(t) for t in self.texts("train") if 2 < len(t) < MOST_WORDS})
            Random(0).shuffle(texts)
            parsed = kind in ("tree", "span")
            drawn = [
                list(t) for t in texts[: self.training.trees if parsed else self.training.texts]
            ]
            return drawn, self.condition(kind).read(self, drawn)

        return self._once("labelled", kind, make)

    def tuned(self, kind: str) -> Tuned:
        """The AR base fine-tuned on texts, each behind one control of this kind that it meets."""
        folder = self._folder(f"ft-{kind}", "tune_steps", "texts", "trees")

        def make() -> Tuned:
            if (folder / "codes.json").is_file():
                return Tuned.load(folder)
            texts, controls = self.labelled(kind)
            condition, rng = self.condition(kind), Random(0)
            pairs = []
            for words, specs in zip(texts, controls, strict=True):
                for spec in rng.sample(specs, min(DRAWN, len(specs))):
                    pairs.append((condition.codes(spec), condition.written(spec, words)))
            self.say(f"fine-tuning on {kind}: {len(pairs)} pairs")
            tuned = fine_tune(self.base, pairs, self.training.tune_steps, BASE_SEED)
            tuned.save(folder)
            return tuned

        return self._once("tuned", kind, make)

    def discriminator(self, kind: str) -> Discriminator:
        """FUDGE's future discriminator of a kind."""
        folder = self._folder(f"fudge-{kind}", "discriminator_steps", "texts", "trees")

        def make() -> Discriminator:
            if (folder / "names.json").is_file():
                return Discriminator.load(folder)
            texts, controls = self.labelled(kind)
            self.say(f"training the future discriminator of {kind}: {len(texts)} texts")
            net = train_discriminator(
                self.condition(kind), self.base.vocab, texts, controls,
                self.training.discriminator_steps, BASE_SEED,
            )  # fmt: skip
            net.save(folder)
            return net

        return self._once("discriminator", kind, make)

    def _once(self, part: str, kind: str, make: Callable[[], _T]) -> _T:
        if (part, kind) not in self._made:
            self._made[part, kind] = make()
        return self._made[part, kind]  # type: ignore[return-value]
