"""The oracle: against a treebank, kept parses, and benepar under today's transformers."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

from dlm_controls.tree.bracketing import ParseTree, matches, read_tree
from dlm_controls.tree.oracle import parse_corpus, parse_words, tokenizers_as_of_old
from dlm_core.errors import MissingError, UsageError


@pytest.fixture(scope="module")
def oracle(shared: Path) -> str:
    pytest.importorskip("benepar")
    return str(shared / "models" / "benepar-minilm")


def treebank(shared: Path, count: int) -> list[ParseTree]:
    with gzip.open(shared / "data/treebanks/nltk_wsj_dev.gz", "rt", encoding="utf-8") as stream:
        trees = [read_tree(line, all_tags=True) for line in stream]
    return [t for t in trees if 5 <= len(t.words) <= 25][:count]


def test_it_finds_the_trees_of_a_treebank(shared: Path, oracle: str) -> None:
    """Its makers report an F1 of 91.2 on these texts."""
    gold = treebank(shared, 60)
    found = parse_words([tree.words for tree in gold], oracle)
    counts = [matches(a, b) for a, b in zip(gold, found, strict=True)]
    hits, in_gold, in_test = (sum(column) for column in zip(*counts, strict=True))
    assert 2 * hits / (in_gold + in_test) > 0.87


def test_a_tree_does_not_depend_on_its_batch(oracle: str) -> None:
    lines = (
        "The Mill serves ( Indian ) food .",
        "Sushi",
        "There is a cheap pub near Burger King , in the city centre , called The Mill .",
    )
    texts = [line.split() for line in lines]
    together = parse_words(texts, oracle)
    assert [list(tree.words) for tree in together] == texts  # brackets are words like others
    for text, tree in zip(texts, together, strict=True):
        assert parse_words([text], oracle) == [tree]
        assert read_tree(str(tree), all_tags=True) == tree
    assert together[0].chains()[0, 7] == ("S",)
    assert parse_words([], oracle) == []


def test_tokenizers_get_back_what_benepar_calls(oracle: str) -> None:
    """[CLS] and [SEP] around any ids, as transformers 4 put them."""
    from transformers import AutoTokenizer, PreTrainedTokenizerBase

    tokenizer = AutoTokenizer.from_pretrained(oracle)
    with tokenizers_as_of_old():
        ids = tokenizer.build_inputs_with_special_tokens([-100, 7])
    assert ids == [tokenizer.cls_token_id, -100, 7, tokenizer.sep_token_id]
    if not hasattr(PreTrainedTokenizerBase, "build_inputs_with_special_tokens"):
        assert not hasattr(tokenizer, "build_inputs_with_special_tokens")  # and nothing stays


def test_a_corpus_is_parsed_once(oracle: str, tmp_path: Path) -> None:
    kept = tmp_path / "new" / "parses.jsonl"
    texts = ["The Mill is cheap .", "A pub .", "The Mill is cheap ."]
    done: list[tuple[int, int]] = []
    trees = parse_corpus(texts, kept, oracle, lambda *step: done.append(step))
    assert trees == parse_words([t.split() for t in texts], oracle) and done == [(2, 2)]
    lines = kept.read_text("utf-8").splitlines()
    assert {json.loads(line)["text"] for line in lines} == set(texts) and len(lines) == 2
    # what an interruption leaves is mended; what is known needs no parser
    kept.write_text(lines[0] + "\n" + lines[1][:20], "utf-8")
    known = json.loads(lines[0])["text"]
    assert parse_corpus([known], kept, "/no/parser") == [trees[texts.index(known)]]
    assert parse_corpus(texts, kept, oracle) == trees
    assert kept.read_text("utf-8").splitlines() == lines


def test_a_foreign_file_is_no_store_of_parses(tmp_path: Path) -> None:
    kept = tmp_path / "parses.jsonl"
    kept.write_text('{"text": "a", "tree": "(NP (DT a))"}\n{"text": "a"}\n', "utf-8")
    with pytest.raises(UsageError, match="line 2"):
        parse_corpus(["a"], kept)


def test_a_missing_parser_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("benepar")
    monkeypatch.setenv("DLM_PARSER", "/no/such/parser")
    with pytest.raises(MissingError, match="no parser '/no/such/parser'") as caught:
        parse_words([["a"]])
    assert "DLM_PARSER" in (caught.value.hint or "") and "benepar" in (caught.value.hint or "")


def test_a_folder_of_something_else_is_no_parser(tmp_path: Path) -> None:
    pytest.importorskip("benepar")
    with pytest.raises(MissingError, match="parser"):
        parse_words([["a"]], str(tmp_path))


def test_without_benepar_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "benepar", None)
    with pytest.raises(MissingError, match="benepar is not installed") as caught:
        parse_words([["a"]], "/another")
    assert "dlm[tree]" in (caught.value.hint or "")
