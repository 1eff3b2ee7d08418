"""The teacher: trained, read again, and its scores against transformers' own loss."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import pytest
import torch

from dlm_core.errors import MissingError, UsageError
from dlm_core.evaluation.teacher import Score, Teacher
from dlm_core.evaluation.teacher_training import TeacherConfig, learning_rate, train_teacher
from dlm_core.training.told import Told
from dlm_core.vocab import Vocab

CONFIG = TeacherConfig(
    steps=60, layers=1, width=16, heads=2, positions=16, dropout=0.0, lr=0.01, min_count=0
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, texts: tuple[str, ...]) -> Path:
    path = tmp_path_factory.mktemp("teacher")
    train_teacher(texts, texts, path, CONFIG)
    return path


def test_training_learns_and_keeps_the_best(folder: Path, texts: tuple[str, ...]) -> None:
    teacher = Teacher.load(folder)
    score = teacher.summary(texts)
    assert score.token_nll < 0.7 * math.log(len(teacher.vocab)), "it knows the texts"
    shuffled = [" ".join(reversed(text.split())) for text in texts]
    assert teacher.summary(shuffled).nll > score.nll + 0.5, "and their order"


def test_the_same_seed_gives_the_same_teacher(
    folder: Path, tmp_path: Path, texts: tuple[str, ...]
) -> None:
    seen: list[int] = []
    told = Told(step=lambda step, steps, figures: seen.append(step))
    train_teacher(texts, texts, tmp_path, CONFIG, told=told)
    assert Teacher.load(tmp_path).digest == Teacher.load(folder).digest
    assert seen == list(range(1, len(seen) + 1))


def test_a_run_that_was_stopped_goes_on_to_the_same_teacher(
    folder: Path, tmp_path: Path, texts: tuple[str, ...]
) -> None:
    """With dropout, whose draws go on, too."""
    config = CONFIG.model_copy(update={"dropout": 0.2, "steps": 12})
    train_teacher(texts, texts, tmp_path / "whole", config)
    checkpoint, out = tmp_path / "checkpoint", tmp_path / "stopped"
    lines: list[str] = []

    def step(done: int, steps: int, figures: str) -> None:
        if done == 7 and "going on from step 7" not in lines:
            signal.raise_signal(signal.SIGTERM)

    told = Told(step, lines.append)
    with pytest.raises(KeyboardInterrupt):
        train_teacher(texts, texts, out, config, told=told, checkpoint=checkpoint)
    assert checkpoint.is_file()
    train_teacher(texts, texts, out, config, told=told, checkpoint=checkpoint)
    assert "going on from step 7" in lines and not checkpoint.exists()
    assert Teacher.load(out).digest == Teacher.load(tmp_path / "whole").digest


def test_scores_do_not_depend_on_the_batch(folder: Path, texts: tuple[str, ...]) -> None:
    teacher = Teacher.load(folder)
    some = [*texts, "The", "", "a word nobody knows"]
    alone = [teacher.totals([text])[0] for text in some]
    for (nats, tokens), (one, count) in zip(teacher.totals(some), alone, strict=True):
        assert tokens == count and nats == pytest.approx(one, rel=1e-5)
    ids = torch.tensor([[0, *teacher.vocab.encode(texts[0]), 1]])
    with torch.no_grad():
        loss = float(teacher.model(ids, labels=ids).loss)
    assert teacher.nll(texts[:1]) == pytest.approx([loss], rel=1e-5)
    last = teacher.features(some)[0]
    with torch.no_grad():
        hidden = teacher.model.transformer(ids[:, :-1]).last_hidden_state[0, -1]
    assert torch.allclose(last, hidden, atol=1e-5)


def test_a_word_has_the_nats_of_its_pieces(tmp_path: Path, texts: tuple[str, ...]) -> None:
    vocab = Vocab.build(texts, min_count=3, pieces=60)
    train_teacher(texts, texts, tmp_path, CONFIG.model_copy(update={"positions": 60}), vocab=vocab)
    teacher = Teacher.load(tmp_path)
    assert teacher.vocab.words == vocab.words
    ids = torch.tensor([[0, *vocab.encode(texts[0]), 1]])
    words = len(texts[0].split())
    assert ids.shape[1] > words + 2
    with torch.no_grad():
        nats = float(teacher.model(ids, labels=ids).loss) * (ids.shape[1] - 1)
    assert teacher.totals(texts[:1]) == [(pytest.approx(nats, rel=1e-5), words + 1)]
    assert teacher.too_long(["cheap " * 58, "zzz " * 20, "riverside " * 20]) == [2]


def test_a_summary_is_a_mean_over_texts_and_over_tokens() -> None:
    score = Score.of([(2.0, 2), (9.0, 3)])
    assert (score.nll, score.token_nll, score.tokens) == (2.0, 2.2, 5)
    with pytest.raises(UsageError, match="no texts"):
        Score.of([])


def test_what_a_teacher_cannot_read_is_named(folder: Path, tmp_path: Path) -> None:
    teacher = Teacher.load(folder)
    assert teacher.too_long(["a", "a " * 14, "a " * 15]) == [2]
    with pytest.raises(UsageError, match="text 2 has 15 words; the teacher reads 14"):
        teacher.nll(["a", "a " * 15])
    with pytest.raises(MissingError, match="no teacher in") as caught:
        Teacher.load(tmp_path)
    assert "dlm train teacher --corpus READER:PATH --out" in str(caught.value.hint)
    with pytest.raises(UsageError, match="no text has at most 14 words"):
        train_teacher(["a " * 15], ["a"], tmp_path, CONFIG)
    with pytest.raises(UsageError, match="not a multiple of heads"):
        train_teacher(["a"], ["a"], tmp_path, TeacherConfig(width=16, heads=3))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [learning_rate(step, 100, 2.0, 10) for step in range(101)]
    assert max(rates) == rates[9] == 2.0 and rates[0] == 0.2
    assert rates[55] == pytest.approx(1.0) and rates[100] == pytest.approx(0.0)
