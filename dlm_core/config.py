"""Frozen settings of the model, its training, sampling and guidance. Light: imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dlm_core.errors import MissingError, UsageError, did_you_mean
from dlm_core.text import load_json, read_text

FREE_TEMPERATURE, GUIDED_TEMPERATURE = 1.5, 1.0
"""A control leaves fewer words; drawing unlikely ones among them costs fluency and wins little."""
MOST_WEIGHTS = 10**10
"""Of a model: a shape beyond it is a slip or an attack, and would end in the allocator."""
Objective = Literal["vlb", "simple", "x0_simple"]
Parametrisation = Literal["x_0", "eps", "mu"]


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class SaysWhatIsWrong(ModelMetaclass):
    """Makes `Class(...)` raise an error of dlm where pydantic finds a value wrong.

    Calling the class is what people do; pydantic's own ways (`model_validate`, `model_copy`,
    pickle, a field of another model) do not pass here and raise what they always do.
    """

    if not TYPE_CHECKING:  # to a type checker a class is called as its __init__ says

        def __call__(self, *args: Any, **values: Any) -> Any:
            """An instance, or an error of dlm."""
            try:
                return super().__call__(**self._call_arguments(args, values))
            except ValidationError as error:
                raise self._call_error(error) from None


class WrongSettingError(UsageError, ValueError):
    """A setting that cannot be; a ValueError too, as pydantic's own was."""


class Settings(BaseModel, metaclass=SaysWhatIsWrong):
    """Base of the settings: immutable, unknown keys refused, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def _call_arguments(cls, args: tuple[Any, ...], values: dict[str, Any]) -> dict[str, Any]:
        if args:
            raise WrongSettingError(f"{cls.__name__}: values are given by name", "steps=50")
        return values

    @classmethod
    def _call_error(cls, error: ValidationError) -> UsageError:
        return WrongSettingError(*cls._first_fault(error, cls.__name__))

    @classmethod
    def read(cls, data: dict[str, Any], where: str) -> Self:
        """Validate `data`; UsageError names the key, the place and the nearest valid key."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise UsageError(*cls._first_fault(error, where)) from error

    @classmethod
    def _first_fault(cls, error: ValidationError, where: str) -> tuple[str, str | None]:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
        hint = None
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(first["loc"][-1]), _fields(cls, first["loc"][:-1]))
        return f"{where}, key '{key}': {message}" if key else f"{where}: {message}", hint


def _fields(cls: type[BaseModel], tables: tuple[str | int, ...]) -> list[str]:
    """Keys of a table within settings; those of the settings themselves where it is no table."""
    for name in tables:
        field = cls.model_fields.get(str(name))
        if field is None or not isinstance(field.annotation, type):
            break
        if not issubclass(field.annotation, BaseModel):
            break
        cls = field.annotation
    return list(cls.model_fields)


class ModelConfig(Settings):
    """Shape of a Diffusion-LM: the embedded model's by default, Li et al.'s by `paper()`."""

    vocab_size: int = Field(default=821, gt=4, le=10_000_000)
    embedding_dim: int = Field(default=16, gt=0, le=16_384)
    """d, width of a word vector (App. B: 16 for E2E, 128 for ROCStories)."""
    embedding: Literal["unit", "free"] = "unit"
    """`unit`: vectors of norm sqrt(d), so a coordinate has variance 1; `free`: the paper's."""
    learned_embedding: bool = True
    """False keeps random vectors (the paper's ablation)."""
    max_len: int = Field(default=64, gt=2, le=65_536)
    """L, positions at most (START and END included in `padded` mode)."""
    length_mode: Literal["prior", "padded"] = "prior"
    """`prior`: n is drawn first and only n positions exist; `padded`: PAD is a word (the paper)."""
    train_steps: int = Field(default=2000, gt=0, le=1_000_000)
    """T, diffusion steps in training."""
    noise_schedule: Literal["sqrt", "cosine", "linear"] = "sqrt"
    sigma_0: float = Field(default=0.1, ge=0)
    """Standard deviation of q(x_0 | w) = N(EMB(w), sigma_0^2 I) (eq. 2)."""
    parametrisation: Parametrisation = "x_0"
    """What the network predicts (§4.2)."""
    readout: Literal["words", "vector"] = "words"
    """`words`: x_0_hat is the mean word vector under predicted word probabilities; `vector`: the
    network's output is the vector (the paper)."""
    evidence: bool = False
    """Of readout `words`: what x_t at a position says of its word is counted exactly (Bayes' rule),
    and the network has only to learn what the other positions say."""
    self_conditioning: bool = True
    denoiser: Literal["transformer", "unet", "bert"] = "transformer"
    """The network: ours, the paper's ablation (App. H), or transformers' BERT (App. B)."""
    hidden: int = Field(default=256, gt=0, le=65_536)
    """Width of a position inside the denoiser; a U-Net's narrowest, it has up to twice as many."""
    layers: int = Field(default=6, gt=0, le=1_000)
    """Blocks; of a U-Net residual blocks a level, on each of its two ways."""
    heads: int = Field(default=4, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden={self.hidden} is not a multiple of heads={self.heads}")
        if self.evidence and self.readout != "words":
            raise ValueError("evidence is of readout='words'")
        if self.parametrisation != "x_0" and self.readout == "words":
            raise ValueError("parametrisation eps or mu needs readout='vector'")
        weights = self.block_weights + self.vocab_size * self.embedding_dim
        if weights > MOST_WEIGHTS:
            raise ValueError(
                f"layers={self.layers}, hidden={self.hidden}, vocab_size={self.vocab_size} and "
                f"embedding_dim={self.embedding_dim} make {weights:.1e} weights, not at most "
                f"{MOST_WEIGHTS:.0e}"
            )
        return self

    @property
    def block_weights(self) -> int:
        """Weights that the denoiser's blocks have at least."""
        a_layer = 200 if self.denoiser == "unet" else 12
        return a_layer * self.layers * self.hidden**2

    def require_shown(self) -> None:
        """Refuse a denoiser that cannot be shown codes.

        Raises:
            UsageError: it is no Transformer.
        """
        if self.denoiser != "transformer":
            raise UsageError(
                f"a model with denoiser '{self.denoiser}' cannot have a writer",
                'its controls steer it all the same; denoiser = "transformer" can have one',
            )

    @classmethod
    def paper(cls, vocab_size: int = 821, embedding_dim: int = 16) -> ModelConfig:
        """The BERT-base shape of the paper (§6.1, App. B): 64 padded positions, free embeddings."""
        return cls(
            vocab_size=vocab_size,
            embedding_dim=embedding_dim,
            embedding="free",
            length_mode="padded",
            readout="vector",
            self_conditioning=False,
            hidden=768,
            layers=12,
            heads=12,
            dropout=0.1,
        )


class LossWeights(Settings):
    """Weights of the named loss terms (`dlm_core.model.Losses`)."""

    mse: float = 1.0
    prior: float = 1.0
    rounding: float = 1.0
    anchor: float = 1.0


class TextConfig(Settings):
    """How the texts of a corpus are prepared (`dlm_core.corpora.prepare`)."""

    tokenise: bool = True
    """Cut words and marks apart; tokens stay as they are."""
    case: Literal["keep", "lower", "true"] = "keep"
    """`true` gives texts in small letters alone the capitals that the corpus has elsewhere."""
    full_stop: bool = False
    """Add one where the end mark is missing."""
    sentences: tuple[int, int] | None = None
    """Cut texts into windows of so many sentences, from the first number to the second."""
    capitals: tuple[str, ...] | None = None
    """Words that have capitals inside a sentence; learnt from the corpus for `true`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.sentences is not None and not 1 <= self.sentences[0] <= self.sentences[1]:
            raise ValueError(f"sentences = {list(self.sentences)}: expected 1 <= first <= second")
        return self

    @classmethod
    def kept(cls, settings: object, place: Path) -> TextConfig:
        """Those among the settings that a trained model keeps; texts as they are without.

        Raises:
            MissingError: the file says them wrongly.
        """
        if not isinstance(settings, dict) or "text" not in settings:
            return AS_THEY_ARE
        try:
            return cls.read(settings["text"], f"{place}, key 'text'")
        except UsageError as error:
            raise MissingError(error.message, error.hint) from error


AS_THEY_ARE = TextConfig(tokenise=False)
"""What bundles and checkpoints of before there were settings of texts were trained on."""


class TrainConfig(Settings):
    """How a Diffusion-LM is trained."""

    objective: Objective = "x0_simple"
    weights: LossWeights = LossWeights()
    max_steps: int = Field(default=8_000, gt=0)
    batch_tokens: int = Field(default=1536, gt=0)
    """Word positions a batch, over all processes."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon on the matrices of the blocks, AdamW on everything else; needs fast bf16."""
    lr: float = Field(default=1e-3, gt=0)
    muon_lr: float = Field(default=0.02, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=200, ge=0)
    final_lr_fraction: float = Field(default=0.0, ge=0, le=1)
    clip_norm: float = Field(default=1.0, gt=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    self_conditioning_rate: float = Field(default=0.5, ge=0, le=1)
    time_power: float = Field(default=1.0, gt=0)
    """t = u^time_power, u uniform; below 1 more training falls on high noise, where words are hard
    to tell (at the end of a run t < 0.3 has long been learnt)."""
    rollout_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of the self-conditioned steps in which x_t comes from one step of the sampler (from an
    earlier time, through words the model picked itself) instead of q(x_t | x_0), so that the model
    meets its own mistakes in training (Savinov et al. 2022 do so for discrete diffusion)."""
    rollout_gap: float = Field(default=0.3, gt=0, le=1)
    """The sampler's step spans a time drawn uniformly from 0 to this."""
    hint_rate: float = Field(default=0.0, ge=0, le=1)
    """Share of a rollout's texts in which the model is told the cell of a random partition of the
    vocabulary that a position's word lies in, as a control tells it a word's class: so that it
    learns to write the rest of the sentence to fit what a control asks."""
    known_rate: float = Field(default=0.2, ge=0, le=1)
    """Of a writer: share of the texts of which some words are known, as `infill` has them; half of
    what is left out is one gap with a text on both sides."""
    importance_sampling: bool = False
    """Draw t in proportion to its loss's root mean square (App. B; for `vlb`)."""
    bert_checkpoint: str | None = None
    """Folder or hub id of a BERT whose weights `dlm train lm` begins with; for denoiser 'bert'."""
    min_count: int = Field(default=10, ge=0)
    """Words of more uses are kept whole."""
    max_words: int | None = Field(default=None, gt=0)
    """The most frequent of them only."""
    pieces: int = Field(default=0, ge=0)
    """How many pieces there are to spell other words with; 0 leaves these UNK."""
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 is autocast; `auto` takes it where the device has bf16 arithmetic of its own."""
    eval_every: int = Field(default=500, gt=0)
    save_every: int = Field(default=500, gt=0)
    eval_examples: int = Field(default=256, gt=0)
    sample_steps: int = Field(default=50, gt=0)
    bits: Literal[8, 16] = 16
    """Of a weight in the bundle: 8 halves its files, for a loss too small to be seen in texts."""
    text: TextConfig = TextConfig()
    model: ModelConfig = ModelConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bert_checkpoint is not None and self.model.denoiser != "bert":
            raise ValueError("bert_checkpoint needs denoiser='bert' in the [model] table")
        if self.optimizer == "muon" and self.model.denoiser == "unet":
            raise ValueError("optimizer 'muon' is for matrices, denoiser 'unet' has convolutions")
        return self

    def with_vocab(self, size: int) -> Self:
        """The same for a vocabulary of this size."""
        model = self.model.model_copy(update={"vocab_size": size})
        return self.model_copy(update={"model": model})


class SamplingConfig(Settings):
    """How x_T is walked to x_0."""

    sampler: Literal["ancestral", "ddim", "dpmpp_2m"] = "ancestral"
    """`dpmpp_2m` is DPM-Solver++(2M): noiseless like ddim at eta 0, to second order."""
    steps: int = Field(default=25, gt=0)
    eta: float = Field(default=1.0, ge=0, le=1)
    """DDIM's stochasticity; 1 is ancestral sampling."""
    spacing: Literal["respaced", "rebuilt"] = "respaced"
    """`rebuilt` is the release's shortened schedule, which ends at more noise."""
    time_power: float = Field(default=0.35, gt=0)
    """1 spaces the steps evenly in t; below 1 more of them fall on high noise, where the facts of
    a text are settled."""
    clamp: bool = True
    """Snap x_0_hat to a word vector at each step (§4.2)."""
    clamp_start: float = Field(default=1.0, ge=0, le=1)
    """Clamp only where t <= clamp_start (footnote 6)."""
    temperature: float | None = Field(default=None, ge=0)
    """Of the word the clamp picks: 0 takes the likeliest word; above 1 texts differ more. None is
    the model's own (`BundleSampling`) where a text has no controls and `GUIDED_TEMPERATURE` where
    it has some."""
    self_conditioning: bool = True
    """Feed the last estimate back to a denoiser that was trained for it; else zeros."""
    self_conditioning_temperature: float = Field(default=0.7, gt=0, le=1)
    """Of the word distribution whose mean is fed back to the denoiser; below 1 it is sharper."""
    drafts: int | None = Field(default=None, ge=1, le=100)
    """How many drafts of a text are made, of which the likeliest stands; None is 4 where the
    bundle's writer writes, else the model's own (`BundleSampling`)."""
    corrections: int = Field(default=3, ge=0, le=100)
    """How often a text that its controls find faults in is noised again and finished anew."""
    evidence: float | None = Field(default=None, ge=0, le=1)
    """Weight of what x_t says of its own word, in a model with `evidence`. It is exact for texts
    that were noised; below 1 a sampler, whose x_t holds words that it drew itself, may take them
    back. None is the model's own (`BundleSampling`)."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Of the denoiser; `auto` is bf16 on a GPU that has it, and fp32 elsewhere."""


class BundleSampling(Settings):
    """What a bundle's `sampling.json` says."""

    free_temperature: float = Field(default=FREE_TEMPERATURE, gt=0)
    """Of the words of texts without controls, where nobody asks for another."""
    evidence: float = Field(default=1.0, ge=0, le=1)
    """Weight of what x_t says of its own word, in a model with `evidence`."""
    drafts: int = Field(default=1, ge=1, le=100)
    """Of a text that no writer writes."""

    @classmethod
    def kept(cls, path: Path) -> BundleSampling:
        """What the file says; the defaults where there is none.

        Raises:
            MissingError: it says it wrongly.
        """
        if not path.is_file():
            return cls()
        try:
            return cls.read(load_json(read_text(path)), str(path))
        except UsageError as error:
            raise MissingError(error.message, error.hint) from error
        except ValueError as error:
            raise MissingError(f"{path}: {error}") from error


class GuidanceConfig(Settings):
    """How controls steer a step."""

    mode: Literal["posterior", "paper", "both"] = "posterior"
    """`both` tilts the words as `posterior` does, then moves x_{t-1} as `paper` does: more fluent,
    at several times the cost."""
    writer: bool = True
    """Controls are shown to the bundle's writer, where it has one and they can be."""
    guidance_steps: int = Field(default=3, ge=0)
    """K, gradient steps on x_{t-1} (paper and both)."""
    guidance_lr: float = Field(default=0.1, gt=0)
    """Adagrad's rate (paper and both)."""
    optimizer: Literal["adagrad", "sign"] = "adagrad"
    """`sign` is what the release does: a new Adagrad each step, so lr * sign(gradient)."""
    fluency: float = Field(default=0.01, ge=0)
    """lambda, the weight of log p(x_{t-1} | x_t) (paper and both)."""
    t_min: float = Field(default=0.0, ge=0, le=1)
    t_max: float = Field(default=1.0, ge=0, le=1)
    """Guide only where t_min <= t <= t_max."""


def load_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; MissingError or UsageError name the file and the line."""
    import tomllib

    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    except RecursionError:
        raise UsageError(f"{path}: nested too deep") from None
