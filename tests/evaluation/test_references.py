"""Figures against references: the package's own command, or written again, on random texts."""

from __future__ import annotations

import json
import math
import os
import random
import re
import subprocess
import sys
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy
import pytest
import torch

from dlm_core.errors import MissingError
from dlm_core.evaluation import references
from dlm_core.evaluation.figures import Units
from dlm_core.evaluation.teacher import Teacher
from dlm_core.vocab import Vocab

WORDS = [
    "The",
    "Mill",
    "is",
    "a",
    "cheap",
    "pub",
    "near",
    "Aromi",
    "riverside.",
    "family-friendly",
    "£20",
]


Gram = tuple[str, ...]


def drawn(count: int, seed: int, shortest: int = 1) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(shortest, 14))) for _ in range(count)]


TEXTS = drawn(100, 0)
REFERENCES = [list(pair) for pair in zip(drawn(100, 1), drawn(100, 2), strict=True)]
UNITS = Units.of([str(k // 2) for k in range(100)])


def test_bleu_is_that_of_sacrebleus_command(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "two", "made")]
    columns = [[r[0] for r in REFERENCES], [r[1] for r in REFERENCES], TEXTS]
    for path, lines in zip(files, columns, strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "sacrebleu", files[0], files[1], "-i", files[2], "-w", "6"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figure, signature = references.bleu(TEXTS, REFERENCES, UNITS)
    assert figure.value == pytest.approx(json.loads(run.stdout)["score"], abs=1e-6)
    assert figure.bounds is not None and figure.bounds.low < figure.value < figure.bounds.high
    said = json.loads(run.stdout)
    for name in ("case", "tok", "smooth"):
        assert f"{name} {said['signature'].split(name + ':')[1].split('|')[0]}" in signature
    assert f"sacrebleu {said['version']}" in signature


def lcs(a: list[str], b: list[str]) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        last = 0
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], last + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


def test_rouge_l_is_the_best_f1_of_longest_common_subsequences() -> None:
    def words(text: str) -> list[str]:
        return "".join(c if c.isascii() and c.isalnum() else " " for c in text.lower()).split()

    def f1(text: str, reference: str) -> float:
        common = lcs(words(text), words(reference))
        return 2 * common / (len(words(text)) + len(words(reference)))

    pairs = zip(TEXTS, REFERENCES, strict=True)
    expected = [100 * max(f1(text, r) for r in refs) for text, refs in pairs]
    figure, _ = references.rouge_l(TEXTS, REFERENCES, UNITS)
    assert figure.value == pytest.approx(sum(expected) / 100)


def test_cider_is_cider_d_as_its_paper_has_it() -> None:
    """Vedantam et al. 2015, eq. 1-3 and §6: tf-idf cosines with clipping and a length penalty."""
    from dlm_core.natural import tokenise

    def grams(text: str, n: int) -> Counter[Gram]:
        words = " ".join(tokenise(text)).lower().split()
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    def weigh(text: str, n: int) -> dict[Gram, float]:
        idf = {g: math.log(100) - math.log(max(1, seen[g])) for g in grams(text, n)}
        return {g: count * idf[g] for g, count in grams(text, n).items()}

    def similarity(text: str, reference: str, n: int) -> float:
        mine, theirs = weigh(text, n), weigh(reference, n)
        dot = sum(min(mine[g], theirs[g]) * theirs[g] for g in mine.keys() & theirs.keys())
        norm = math.hypot(*mine.values()) * math.hypot(*theirs.values())
        # pycocoevalcap takes the number of word pairs for the length
        longer = grams(text, 2).total() - grams(reference, 2).total()
        return 10 * math.exp(-(longer**2) / (2 * 6**2)) * (dot / norm if norm else 0)

    total = 0.0
    for n in range(1, 5):
        seen = Counter(g for refs in REFERENCES for g in {g for r in refs for g in grams(r, n)})
        for text, refs in zip(TEXTS, REFERENCES, strict=True):
            total += sum(similarity(text, r, n) for r in refs) / len(refs) / 4 / len(TEXTS)
    figure, _ = references.cider(TEXTS, REFERENCES, UNITS)
    assert figure.value == pytest.approx(total)


def test_bertscore_is_that_of_bert_scores_command(
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One reference each: its score of a pair does not depend on the batch then."""
    from bert_score_cli.score import main

    texts, gold = TEXTS[:10], [refs[0] for refs in REFERENCES[:10]]
    files = tmp_path / "made", tmp_path / "gold"
    for path, lines in zip(files, (texts, gold), strict=True):
        path.write_text("\n".join(lines), encoding="utf-8")
    argv = ["bert-score", "-c", files[0], "-r", files[1], "-m", encoder, "-l", 1, "-s"]
    monkeypatch.setattr("sys.argv", [str(word) for word in argv] + ["--use_fast_tokenizer"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        main()
    found = re.findall(r"^[\d.-]+\t[\d.-]+\t([\d.-]+)$", capsys.readouterr().out, re.M)
    assert len(found) == 10
    one = Units.of([str(k) for k in range(10)])
    figure, signature = references.bertscore(texts, [[g] for g in gold], one, encoder, 1)
    assert figure.rows is not None
    assert figure.rows[:, 0].tolist() == pytest.approx(list(map(float, found)), abs=1e-5)
    assert "layer 1" in signature


@pytest.mark.skipif(not os.environ.get("DLM_ENCODER"), reason="DLM_ENCODER names no encoder")
def test_bertscore_is_greedy_matching_of_the_encoders_last_vectors() -> None:
    """Zhang et al. 2020, eq. 1, of vectors that transformers gives, text by text.

    As in the package [CLS] and [SEP] may be a word's match, and have no weight of their own.
    """
    from transformers import AutoModel, AutoTokenizer

    folder = Path(os.environ["DLM_ENCODER"])
    tokenizer, net = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def vectors(text: str) -> torch.Tensor:
        states = net(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        return torch.nn.functional.normalize(states, dim=-1)

    texts = ["The Mill is a cheap pub .", "Aromi serves French food .", "The Mill is a cheap pub ."]
    gold = ["The Mill is an inexpensive pub .", "The Mill is a cheap pub .", texts[0]]
    expected = []
    for text, reference in zip(texts, gold, strict=True):
        alike = vectors(text) @ vectors(reference).T
        precision, recall = alike.amax(1)[1:-1].mean(), alike.amax(0)[1:-1].mean()
        expected.append(float(2 * precision * recall / (precision + recall)))
    units = Units.of(["a", "b", "c"])
    figure, _ = references.bertscore(texts, [[g] for g in gold], units, folder, None)
    assert figure.rows is not None
    paraphrase, other, same = figure.rows[:, 0]
    assert [paraphrase, other, same] == pytest.approx(expected, abs=1e-4)
    assert other < paraphrase < same == pytest.approx(1, abs=1e-4)


@pytest.mark.skipif(
    find_spec("mauve") is None, reason="mauve-text, under GPL-3.0, is not installed"
)
@pytest.mark.filterwarnings("ignore")
def test_mauve_is_that_of_its_package_on_hidden_states(tiny_vocab: Vocab) -> None:
    import mauve
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tiny_vocab), n_positions=32, n_embd=16, n_layer=1, n_head=2)
    teacher = Teacher(GPT2LMHeadModel(config).eval(), tiny_vocab, "0")

    def some(words: str, seed: int) -> list[str]:
        rng = random.Random(seed)
        return [" ".join(rng.choices(words.split(), k=rng.randint(2, 9))) for _ in range(60)]

    @torch.no_grad()
    def last(text: str) -> list[float]:
        ids = torch.tensor([[tiny_vocab.start, *tiny_vocab.encode(text)]])
        states = teacher.model(ids, output_hidden_states=True).hidden_states
        return states[-1][0, -1].tolist()

    one, two, other = some("The Mill is a", 0), some("The Mill is a", 1), some("King area food", 2)
    found = {}
    for name, texts in (("like", two), ("unlike", other)):
        figure, signature = references.mauve(one, [[text] for text in texts], teacher)
        sides = [numpy.array([last(text) for text in side]) for side in (one, texts)]
        plain = mauve.compute_mauve(p_features=sides[0], q_features=sides[1], verbose=False)
        assert figure.value == pytest.approx(float(plain.mauve), abs=1e-6)
        assert "mauve-text" in signature
        found[name] = figure.value
    assert found["unlike"] < 0.5 * found["like"]


def test_a_missing_package_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="ROUGE-L needs rouge-score") as caught:
        references.rouge_l(TEXTS, REFERENCES, UNITS)
    assert caught.value.hint == "pip install rouge-score"
    with pytest.raises(MissingError, match="MAUVE needs mauve-text") as caught:
        references.mauve(TEXTS, REFERENCES, None)  # type: ignore[arg-type]
    assert caught.value.hint is not None and "GPL-3.0" in caught.value.hint
