"""The built-in selectors against brute force, sacrebleu, bert-score and the teacher."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_controls.selectors import MBR, ByControl, ByLM, First, mbr
from dlm_core.errors import MissingError, SpecError, UsageError
from dlm_core.evaluation import teacher
from dlm_core.evaluation.encoder import load_scorer
from dlm_core.plugins.loading import load_plugins
from dlm_core.results import ControlReport, Result
from dlm_core.selection import check_selector, parse_selector, select
from dlm_core.vocab import Vocab

WORDS = st.sampled_from(["The", "Mill", "is", "a", "cheap", "pub", "near", "Aromi", "."])
SENTENCES = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)


def candidates(texts: list[str] | tuple[str, ...]) -> list[Result]:
    return [Result(text=text, tokens=text.split(), seed=i) for i, text in enumerate(texts)]


def brute_force(utility, texts):
    return [
        sum(utility(h, [r]).score for j, r in enumerate(texts) if j != i) / (len(texts) - 1)
        for i, h in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("name", "utility"),
    [
        ("bleu", lambda h, r: sacrebleu.sentence_bleu(h, r, use_effective_order=True)),
        ("chrf", sacrebleu.sentence_chrf),
    ],
    ids=["bleu", "chrf"],
)
@settings(max_examples=15)
@given(texts=st.lists(SENTENCES, min_size=2, max_size=5))
def test_mbr_is_the_mean_utility_against_the_others(name, utility, texts):
    scores = MBR(utility=name).scores(candidates(texts))
    assert scores == pytest.approx(brute_force(utility, texts))


def test_mbr_takes_the_consensus_and_an_only_candidate():
    twice = "The Mill is a cheap pub ."
    texts = ["Aromi .", "The Mill is a pub .", twice, "Near Aromi .", twice]
    assert [r.seed for r in select(MBR(), candidates(texts), 2)] == [2, 4]
    assert MBR().scores(candidates(["Aromi ."])) == [0.0]


@pytest.mark.parametrize("layer", [None, 1])
def test_bertscore_is_bert_scores_own_and_encodes_each_text_once(encoder, layer):
    import bert_score

    texts = [
        "The Mill is cheap .",
        "The Mill is a pub .",
        "Aromi near a pub",
        "The Mill is cheap .",
    ]
    scorer = load_scorer(encoder, layer)
    encoded = []
    hook = scorer._model.register_forward_pre_hook(
        lambda module, args: encoded.append(len(args[0])), with_kwargs=False
    )
    scores = MBR(utility="bertscore", model=encoder, layer=layer).scores(candidates(texts))
    hook.remove()
    assert sum(encoded) == len(set(texts))
    # One call: where similarities are negative, as a random encoder's may be, bert-score's padding
    # (similarity 0) counts, so that a pair's score depends a little on its batch.
    pairs = [(h, r) for i, h in enumerate(texts) for j, r in enumerate(texts) if i != j]
    f1 = bert_score.score(
        [h for h, _ in pairs], [r for _, r in pairs], model_type=str(encoder),
        num_layers=layer or 2, use_fast_tokenizer=True,
    )[2]  # fmt: skip
    assert scores == pytest.approx(f1.view(len(texts), -1).mean(-1).tolist(), abs=1e-5)
    assert max(scores) - min(scores) > 1e-3


def test_lm_is_the_teachers_score(tmp_path, tiny_vocab: Vocab, texts):
    from transformers import GPT2Config, GPT2LMHeadModel

    from dlm_core.evaluation.teacher import Teacher

    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tiny_vocab), n_positions=16, n_embd=16, n_layer=1, n_head=2,
        bos_token_id=tiny_vocab.start, eos_token_id=tiny_vocab.end, initializer_range=1.0,
    )  # fmt: skip
    Teacher(GPT2LMHeadModel(config), tiny_vocab).save(tmp_path)
    some = [*texts, "The", "a word nobody knows"]
    model = GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    rows = [[tiny_vocab.start, *tiny_vocab.encode(text), tiny_vocab.end] for text in some]
    with torch.no_grad():
        losses = [model(torch.tensor([r]), labels=torch.tensor([r])).loss for r in rows]
    expected = [-float(loss) for loss in losses]
    assert [-nll for nll in Teacher.load(tmp_path).nll(some)] == pytest.approx(expected, abs=1e-5)
    assert ByLM(tmp_path).scores(candidates(some)) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(UsageError, match=r"text 1 has 15 words; the teacher reads 14"):
        ByLM(tmp_path).scores(candidates(["The " * 15]))


def judged(seed: int, *reports: tuple[float, float | None, bool | None]) -> Result:
    controls = [ControlReport(spec="x", weight=w, log_prob=p, satisfied=s) for w, p, s in reports]
    return Result(text=f"t{seed}", tokens=[], seed=seed, controls=controls)


def test_control_wants_verdicts_first_then_the_weighted_sum():
    results = [
        judged(0, (1.0, -0.1, True), (1.0, -0.1, False)),
        judged(1, (1.0, -9.0, True), (0.5, -2.0, True)),
        judged(2, (1.0, -2.0, True), (0.5, -9.0, None)),
        judged(3, (1.0, 0.0, False), (1.0, None, False)),
    ]
    ranked = select(ByControl(), results, 4)
    assert [r.seed for r in ranked] == [2, 1, 0, 3]
    assert [r.score for r in ranked] == pytest.approx([-6.5, -10.0, -1e6 - 0.2, -2e6])


def test_none_keeps_the_lowest_seeds():
    assert [r.seed for r in select(First(), candidates("abc")[::-1], 2)] == [0, 1]


def test_they_are_registered_and_their_examples_parse():
    plugins = load_plugins()
    assert {"none", "control", "lm", "mbr"} <= set(plugins.selectors)
    for kind in ("none", "control", "lm", "mbr"):
        assert plugins.origin("selector", kind).startswith("dlm ")
        for example in plugins.selectors[kind].examples:
            spec = parse_selector(example, plugins.selectors)
            assert parse_selector(str(spec), plugins.selectors) == spec


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        ("mbr:utility=blue", "unknown utility 'blue'", "'bleu'"),
        ("mbr:bertscore", "'bertscore' needs the folder of an encoder", "model=PATH"),
        ("mbr:utility=chrf,model=x", "'chrf' has no model", "bertscore"),
        ("lm", "field 'path': is missing", "lm:TEACHER"),
    ],
)
def test_specs_that_cannot_be(source, message, hint):
    with pytest.raises(SpecError) as caught:
        parse_selector(source, load_plugins().selectors)
    assert message in caught.value.message and hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("selector", "package"),
    [
        (MBR(), "sacrebleu"),
        (MBR(utility="bertscore", model="x"), "bert-score"),
        (ByLM("x"), "transformers"),
    ],
    ids=["bleu", "bertscore", "lm"],
)
def test_a_missing_package_is_named_before_sampling(selector, package, monkeypatch):
    for module in (mbr, teacher):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingError) as caught:
        check_selector(selector)
    assert package in caught.value.message and caught.value.hint == f"pip install {package}"


def test_a_missing_model_is_named(tmp_path, encoder):
    with pytest.raises(MissingError, match=r"no teacher in .* \(config\.json"):
        check_selector(ByLM(tmp_path))
    with pytest.raises(MissingError, match="no encoder in"):
        check_selector(MBR(utility="bertscore", model=tmp_path))
    with pytest.raises(MissingError, match="no layer 7"):
        check_selector(MBR(utility="bertscore", model=encoder, layer=7))
    weights = tmp_path / "weights"
    shutil.copytree(encoder, weights, ignore=shutil.ignore_patterns("*.safetensors"))
    with pytest.raises(MissingError, match=f"cannot read {weights}"):
        check_selector(MBR(utility="bertscore", model=weights))


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_an_encoder_with_python_of_its_own_is_refused_unasked(
    tmp_path, encoder, name, monkeypatch, capfd
):
    folder = tmp_path / "mine"
    shutil.copytree(encoder, folder)
    data = json.loads((folder / name).read_text())
    code = {
        "AutoConfig": "mine.Config",
        "AutoModel": "mine.Model",
        "AutoTokenizer": ["mine.T", None],
    }
    (folder / name).write_text(json.dumps({**data, "auto_map": code}))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    with pytest.raises(MissingError, match=f"{name} names Python to run"):
        check_selector(MBR(utility="bertscore", model=folder))
    assert not (tmp_path / "ran").exists() and not capfd.readouterr().out


def test_scores_are_finite_numbers():
    assert all(map(math.isfinite, MBR(utility="chrf").scores(candidates(["", "The Mill ."]))))
