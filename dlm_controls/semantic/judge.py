"""The judge of a learned inventory: logistic regression on n-grams, trained apart from what steers.

It sees other texts than those that phrases are mined from, and weighs all words where they look for
one. For each closed field: log p(value | text) = log softmax(sum_g W_g + b), g the n-grams of the
text up to three words, its values and "says nothing" being the classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dlm_core.errors import MissingError
from dlm_core.files import write_json
from dlm_core.text import load_json
from dlm_core.weights import MOST_TEXT, read_file, read_weights, write_weights

FILE = "judge.safetensors"
_WORDS = "judge.json"
_LONGEST = 3
_FEWEST, _MOST = 4, 40_000
_EPOCHS, _BATCH, _LR, _DECAY = 8, 128, 0.02, 1e-4
NONE = ""
"""The class of texts that say nothing of a field."""


def _grams(words: Sequence[str]) -> Iterator[str]:
    for size in range(1, _LONGEST + 1):
        for at in range(len(words) - size + 1):
            yield " ".join(words[at : at + size])


class Judge:
    """See the module docstring.

    Args:
        features: n-grams, by id.
        classes: of each field its values, `NONE` among them.
        weight: (G, K), K the classes of all fields.
        bias: (K,).
    """

    def __init__(
        self,
        features: Mapping[str, int],
        classes: Mapping[str, Sequence[str]],
        weight: Tensor,
        bias: Tensor,
    ) -> None:
        self.features, self.classes = features, classes
        self.weight, self.bias = weight, bias

    def _ids(self, words: Sequence[str]) -> Tensor:
        """Ids of the n-grams of a text, each once."""
        found = {self.features[g] for g in _grams(words) if g in self.features}
        return torch.tensor(sorted(found), dtype=torch.long)

    def _scores(self, bags: Sequence[Tensor]) -> dict[str, Tensor]:
        """log p of each field's classes, (B, values)."""
        offsets = torch.tensor([0, *[len(bag) for bag in bags[:-1]]]).cumsum(0)
        sums = F.embedding_bag(torch.cat(list(bags)), self.weight, offsets, mode="sum") + self.bias
        return {f: sums[:, columns].log_softmax(-1) for f, columns in self._columns.items()}

    @property
    def _columns(self) -> dict[str, slice]:
        """Of each field its columns of the weight."""
        ends = list(accumulate(len(names) for names in self.classes.values()))
        return {
            field: slice(end - len(self.classes[field]), end)
            for field, end in zip(self.classes, ends, strict=True)
        }

    @torch.no_grad()
    def read(self, words: Sequence[str]) -> dict[str, tuple[str, float]]:
        """Of each field the likeliest value, and its probability."""
        found = {}
        for field, scores in self._scores([self._ids(words)]).items():
            best = int(scores[0].argmax())
            found[field] = self.classes[field][best], float(scores[0, best].exp())
        return found

    @classmethod
    def train(
        cls,
        texts: Sequence[Sequence[str]],
        labels: Mapping[str, Sequence[str | None]],
        seed: int = 0,
    ) -> Judge:
        """Learn from texts as comparable words, and of each field its class; None is unknown."""
        counts = Counter(g for words in texts for g in set(_grams(words)))
        common = [g for g, n in counts.most_common(_MOST) if n >= _FEWEST]
        classes = {f: sorted({v for v in found if v is not None}) for f, found in labels.items()}
        width = sum(map(len, classes.values()))
        weight = torch.zeros(len(common), width, requires_grad=True)
        bias = torch.zeros(width, requires_grad=True)
        judge = cls({g: k for k, g in enumerate(common)}, classes, weight, bias)
        bags = [judge._ids(words) for words in texts]
        targets = {
            f: torch.tensor([-100 if v is None else classes[f].index(v) for v in found])
            for f, found in labels.items()
        }
        optimizer = torch.optim.Adam([weight, bias], lr=_LR)
        order = torch.Generator().manual_seed(seed)
        for _ in range(_EPOCHS):
            shuffled = torch.randperm(len(texts), generator=order)
            for start in range(0, len(texts), _BATCH):
                rows = shuffled[start : start + _BATCH]
                scores = judge._scores([bags[i] for i in rows.tolist()])
                loss = _DECAY * len(texts) / len(rows) * 0.01 * weight.square().sum()
                for field, target in targets.items():
                    if bool((target[rows] >= 0).any()):
                        loss = loss + F.nll_loss(scores[field], target[rows], ignore_index=-100)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        judge.weight, judge.bias = weight.detach(), bias.detach()
        return judge

    def only(self, fields: Sequence[str]) -> Judge:
        """The judge of some of its fields."""
        kept = [k for field in fields for k in range(len(self.bias))[self._columns[field]]]
        classes = {field: self.classes[field] for field in fields}
        return Judge(self.features, classes, self.weight[:, kept], self.bias[kept])

    def save(self, folder: Path, cues: Mapping[str, Mapping[str, int]]) -> None:
        """Into the head's folder, with the judge's own cues of names."""
        tensors = {"weight": self.weight.half(), "bias": self.bias}
        write_weights(folder / FILE, tensors)
        words = {"features": list(self.features), "classes": self.classes, "cues": cues}
        write_json(folder / _WORDS, words)


def load(folder: Path) -> tuple[Judge, dict[str, dict[str, int]]]:
    """The judge of a head, and its cues of names.

    Raises:
        MissingError: it is missing or broken.
    """
    try:
        stat = (folder / FILE).stat()
    except OSError as error:
        raise MissingError(f"{folder / FILE} is missing", "train the head anew") from error
    return _load(folder, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _load(folder: Path, changed: int, size: int) -> tuple[Judge, dict[str, dict[str, int]]]:
    try:
        words = load_json(read_file(folder / _WORDS, MOST_TEXT))
        weights = read_weights(folder / FILE)
        features = {g: k for k, g in enumerate(words["features"])}
        judge = Judge(features, words["classes"], weights["weight"].float(), weights["bias"])
        if judge.weight.shape != (len(features), sum(map(len, judge.classes.values()))):
            raise ValueError("its weights do not fit")
        return judge, words["cues"]
    except (ValueError, KeyError, TypeError) as error:
        raise MissingError(
            f"{folder / _WORDS} is broken: {error}", "train the head anew"
        ) from error
