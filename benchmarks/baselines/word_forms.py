"""Our row for concepts: each may be said in any form that the corpus has (`dogs` for `dog`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cached_property

from benchmarks.baselines.base import Ask
from benchmarks.baselines.diffusion import Ours
from benchmarks.lemmas import lemmas
from dlm_controls import Keyword, Pattern
from dlm_core.control.compose import Controls, as_controls

MOST_FORMS = 6


class WordForms(Ours):
    """Keywords as patterns of the commonest words whose lemma they are."""

    def does(self, controls: Controls) -> bool:
        """Keywords alone."""
        return all(isinstance(term.spec, Keyword) for term in controls)

    @cached_property
    def forms(self) -> dict[str, list[str]]:
        """The words of each lemma in the corpus, the commonest first."""
        texts = self.lab.texts("train")[: self.lab.training.texts]
        found: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for words, read in zip(texts, lemmas(texts), strict=True):
            for word, lemma in zip(words, read, strict=True):
                if word.isalpha() and word in self.lab.model.vocab:
                    found[lemma.text][word] += 1
        return {x: [w for w, _ in words.most_common(MOST_FORMS)] for x, words in found.items()}

    def generate_all(self, asks: Sequence[Ask]) -> list[list[str]]:
        """As `System`."""
        return super().generate_all([Ask(self.told(a.controls), a.n, a.seed) for a in asks])

    def told(self, controls: Controls) -> Controls:
        """The controls that are asked for in place of keywords."""
        phrases = [x for term in controls for x in term.spec.phrases]  # type: ignore[attr-defined]
        choices = ("|".join(dict.fromkeys([x, *self.forms.get(x, ())])) for x in phrases)
        return as_controls([Pattern(f"... ({choice}) ...") for choice in choices])


SYSTEMS = {"dlm, any form": WordForms}
