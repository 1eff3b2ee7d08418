"""Trees in brackets: round trips by hypothesis, F1 against EVALB's own published sample."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_controls.tree.bracketing import Bracket, labelled_f1, matches, plain_label, read_tree
from dlm_core.control.spec import SpecValueError

GOLD = "(S (A (P this)) (B (Q is) (A (R a) (T test))))"

# The valid rows of sample.gld, sample.tst and sample.rsl that EVALB is published with (its
# sample.prm differs from COLLINS.prm in nothing these rows show):
# matched brackets, brackets in gold, brackets in test.
EVALB = [
    (GOLD, "(S (A (P this)) (B (Q is) (A (R a) (T test))))", (4, 4, 4)),
    (GOLD, "(S (A (P this)) (B (Q is) (C (R a) (T test))))", (3, 4, 4)),
    (GOLD, "(S (A (P this)) (B (Q is) (A (R a) (U test))))", (4, 4, 4)),
    (GOLD, "(S (C (P this)) (B (Q is) (A (R a) (U test))))", (3, 4, 4)),
    (GOLD, "(S (A (P this)) (B (Q is) (R a) (A (T test))))", (3, 4, 4)),
    (GOLD, "(S (A (P this) (Q is)) (A (R a) (T test)))", (2, 4, 3)),
    (GOLD, "(S (P this) (Q is) (R a) (T test))", (1, 4, 1)),
    (GOLD, "(S (A (P this)) (B (Q is) (A (A (R a) (T test)))))", (4, 4, 5)),
    (GOLD, "(S (A (P this)) (B (Q is) (A (A (A (A (A (R a) (T test))))))))", (4, 4, 8)),
    (GOLD, "(TOP (S (A (P this)) (B (Q is) (A (R a) (T test)))))", (4, 4, 4)),
    (
        "(S (A-SBJ-1 (P this)) (B-WHATEVER (Q is) (A (R a) (T test))))",
        "(S (A (P this)) (B (Q is) (A (R a) (T test))))",
        (4, 4, 4),
    ),
    (
        f"(S {11 * '(A (P this)) (B (Q is) (A (R a) (T test))) '})",
        f"(S {11 * '(A (P this)) (B (Q is) (A (R a) (T test))) '})",
        (34, 34, 34),
    ),
    (GOLD[:-1] + " (-NONE- *))", GOLD[:-1] + " (-NONE- *))", (4, 4, 4)),
    (GOLD[:-1] + " (: *))", GOLD[:-1] + " (: *))", (4, 4, 4)),
]


@pytest.mark.parametrize(("gold", "test", "counts"), EVALB)
def test_brackets_count_as_evalb_counts_them(
    gold: str, test: str, counts: tuple[int, int, int]
) -> None:
    a, b = read_tree(gold, all_tags=True), read_tree(test, all_tags=True)
    assert matches(a, b) == counts
    recall, precision = counts[0] / counts[1], counts[0] / counts[2]
    assert labelled_f1(a, b) == pytest.approx(2 * recall * precision / (recall + precision))


def test_punctuation_that_one_tree_knows_is_taken_out_of_both() -> None:
    """By hand, COLLINS.prm: the comma and the full stop go, and PRN with them."""
    gold = read_tree("(TOP (S (NP * * (PRN *)) (VP * (ADVP *)) *))")
    test = read_tree("(TOP (S (NP (DT The) (NN pub)) (, ,) (VP (VBZ is) (PRT (RP up))) (. .)))")
    # over "The pub is up": S 0-3, NP 0-1, VP 2-3, ADVP 3-3 in both (PRT is ADVP)
    assert matches(gold, test) == (4, 4, 4)
    assert labelled_f1(gold, test) == 1.0
    worse = read_tree("(TOP (S (NP (DT The)) (VP (NN pub) (, ,) (VBZ is) (RP up)) (. .)))")
    assert matches(gold, worse) == (1, 4, 3)  # S alone
    assert labelled_f1(gold, worse) == pytest.approx(2 / 7)


def test_nothing_to_compare_is_no_success() -> None:
    gold = read_tree("(TOP (NP * *))")
    assert labelled_f1(gold, read_tree("(TOP (NP (, ,) (. .)))")) == 0.0
    assert labelled_f1(gold, read_tree("(TOP (NP (NN a)))")) == 0.0  # another number of words


@pytest.mark.parametrize(
    ("label", "plain"),
    [("NP-SBJ", "NP"), ("NP=2", "NP"), ("PRT", "ADVP"), ("-NONE-", "-NONE-"), ("S", "S")],
)
def test_functions_are_cut_off(label: str, plain: str) -> None:
    assert plain_label(label) == plain


def test_brackets_of_a_tree() -> None:
    tree = read_tree("(TOP (S (NP The *) (VP serves (S (VP (NP *)))) (. .)))")
    assert tree.words == ("The", "*", "serves", "*", ".")
    assert tree.tags == ("", "", "", "", ".")
    assert tree.brackets == (
        Bracket(0, 4, "TOP"),
        Bracket(0, 4, "S"),
        Bracket(0, 1, "NP"),
        Bracket(2, 3, "VP"),
        Bracket(3, 3, "S"),
        Bracket(3, 3, "VP"),
        Bracket(3, 3, "NP"),
    )
    assert tree.chains() == {
        (0, 4): ("S",),
        (0, 1): ("NP",),
        (2, 3): ("VP",),
        (3, 3): ("S", "VP", "NP"),
    }


def test_a_bracket_around_one_word_is_its_tag_only_if_it_names_one() -> None:
    assert read_tree("(S (NP *) (VBZ *))").brackets == (Bracket(0, 1, "S"), Bracket(0, 0, "NP"))
    assert read_tree("(S (NP *) (VBZ *))", all_tags=True).tags == ("NP", "VBZ")
    # a tag has no tag
    assert read_tree("(NP (NP (NN *)))").brackets == (Bracket(0, 0, "NP"), Bracket(0, 0, "NP"))


LEAVES = st.sampled_from(["*", "pub", "(NN pub)", "(-LRB- -LRB-)", "(. .)", "a"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda label, parts: f"({label} {' '.join(parts)})",
        st.sampled_from(["S", "NP", "VP", "ADJP"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
).filter(lambda text: not text.startswith(("*", "a", "pub", "(NN", "(-", "(.")))


@given(text=TREES)
def test_a_tree_is_written_as_it_was_read(text: str) -> None:
    tree = read_tree(text)
    assert str(tree) == text and read_tree(str(tree)) == tree
    assert labelled_f1(tree, tree) == float(set(tree.tags) != {"."})  # else nothing is left
    assert len(tree.words) == len([part for part in text.split() if not part.startswith("(")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the tree is empty"),
        ("()", "holds no words"),
        ("(S (NP) *)", "'NP' holds no words"),
        ("(S (NP * *)", "1 closing bracket missing"),
        ("(S (NP (X *", "3 closing brackets missing"),
        ("(S *))", "stands after the end"),
        ("(S *) *", "stands after the end"),
        ("* (S *)", "starts with '\\('"),
        (")", "starts with '\\('"),
        ("(S (* *))", None),
        ("(S ((NP *)))", "character 4 has no label"),
    ],
)
def test_what_is_no_tree_is_refused_with_the_place(text: str, message: str | None) -> None:
    if message is None:  # `*` is a label like another: refused by the labels the model knows
        assert read_tree(text).brackets[1].label == "*"
        return
    with pytest.raises(SpecValueError, match=message) as caught:
        read_tree(text)
    assert "for example" in (caught.value.hint or "")
