"""Figure 3: the learned word vectors by t-SNE, each word coloured by its part of speech."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.paper.cells import Bench
from benchmarks.paper.tables.base import Data, Table, grid
from dlm_controls.pos.oracle import pos_tags

SHOWN = ("NOUN", "PROPN", "VERB", "ADJ", "ADV", "ADP", "DET", "NUM", "PUNCT", "AUX")
TEXTS = 6000


class Figure3(Table):
    """See the module docstring."""

    name, title = "3", "Figure 3: word vectors by part of speech"
    note = (
        "A word's tag is its commonest in training texts. The share says how often the nearest "
        "vector (by cosine) is a word of the same tag; by chance it would be the second figure."
    )

    def make(self, bench: Bench) -> Data:
        """As `Table`."""
        from sklearn.manifold import TSNE

        model = bench.lab.model
        counts: dict[str, Counter[str]] = {}
        texts = bench.lab.texts("train")[:: max(1, 42_000 // TEXTS)]
        for words, tags in zip(texts, pos_tags(texts), strict=True):
            for word, tag in zip(words, tags, strict=True):
                counts.setdefault(word, Counter())[tag] += 1
        known = [w for w in model.vocab.plain_words if w in counts]
        tags = [counts[w].most_common(1)[0][0] for w in known]
        ids = [model.vocab.id(w) for w in known]
        vectors = model.net.embedding_matrix.detach().cpu().numpy()[ids].astype(np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        alike = unit @ unit.T
        np.fill_diagonal(alike, -np.inf)
        own = np.array(tags)
        same = float((own[alike.argmax(1)] == own).mean())
        shares = np.array(list(Counter(tags).values())) / len(tags)
        places = TSNE(metric="cosine", init="random", random_state=bench.seed).fit_transform(unit)
        return {
            "words": known, "tags": tags, "places": places.round(2).tolist(),
            "same": same, "chance": float((shares**2).sum()),
        }  # fmt: skip

    def markdown(self, data: Data) -> str:
        """As `Table`."""
        head = ["words", "nearest vector has the same tag", "by chance"]
        shares = [f"{100 * data[key]:.1f}%" for key in ("same", "chance")]
        return grid([head, [str(len(data["words"])), *shares]])

    def picture(self, data: Data, path: Path) -> bool:
        """As `Table`."""
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
        places, tags = np.array(data["places"]), np.array(data["tags"])
        other = ~np.isin(tags, SHOWN)
        axes.scatter(*places[other].T, s=10, color="0.8", label="other")
        for k, tag in enumerate(SHOWN):
            axes.scatter(*places[tags == tag].T, s=14, color=f"C{k}", label=tag)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        figure.savefig(path, dpi=150)
        plt.close(figure)
        return True


TABLES = (Figure3(),)
