"""What is wrong in a recipe is told before anything is trained: file, key, nearest valid value."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlm_core.errors import DLMError, MissingError
from dlm_core.recipes.recipe import read_recipe
from dlm_core.recipes.records import Records
from dlm_core.recipes.run import prepare

from .conftest import EXAMPLES

DATA = '[data]\ncorpus = "labelled:tiny.jsonl"\n'
WRONG = {
    "[dat]\n": (2, "key 'dat': no such table", "did you mean 'data'?"),
    "[lm]\n": (2, "table 'data': key 'corpus' is missing", 'corpus = "READER:PATH"'),
    "lm = 3\n" + DATA: (2, "key 'lm': must be a table", "[lm]"),
    "lm = false\n" + DATA: (2, "key 'lm': must be a table", "[lm]"),
    "teacher = true\n" + DATA: (2, "key 'teacher': must be a table, or false", "[teacher]"),
    DATA + "valud = 'x'\n": (2, "table 'data', key 'valud'", "did you mean 'valid'?"),
    DATA + "[lm]\nmax_step = 2\n": (2, "table 'lm', key 'max_step'", "did you mean 'max_steps'?"),
    DATA + "[lm]\nlr = -1\n": (2, "table 'lm', key 'lr': must be greater than 0", None),
    DATA + "[lm.model]\nhiden = 2\n": (2, "key 'model.hiden'", "did you mean 'hidden'?"),
    DATA + "[lm.model]\nhidden = 30\n": (2, "hidden=30 is not a multiple of heads=4", None),
    DATA + "[teacher]\nlayer = 1\n": (2, "table 'teacher', key 'layer'", "did you mean 'layers'?"),
    DATA + "[teacher]\nwidth = 3\n": (2, "width=3 is not a multiple of heads=4", None),
    DATA + "[teacher]\nmin_count = 3\n": (2, "key 'min_count': a teacher has the words", "[lm]"),
    DATA + "[writer.model]\nhidden = 2\n": (2, "a writer has the shape of its model", None),
    DATA + "[evaluate.sampling]\nstep = 2\n": (2, "key 'sampling.step'", "did you mean 'steps'?"),
    DATA + "[card]\nlicense = 'x'\n": (2, "table 'card', key 'license'", "'licence'"),
    DATA + "[controls.poss]\n": (2, "unknown control 'poss'", "did you mean 'pos'?"),
    DATA + "[controls]\npo = false\n": (2, "no control 'po' has a head", "did you mean 'pos'?"),
    DATA + "[controls]\npos = 3\n": (2, "key 'controls.pos': must be a table or false", None),
    DATA + "[controls.pos]\nstep = 3\n": (2, "table 'controls.pos', key 'step'", "'steps'?"),
    DATA + "[controls.pos]\nsteps = 0\n": (2, "key 'steps': must be at least 1", None),
    DATA + "[controls.pos]\nseed = 'x'\n": (2, "key 'seed': must be an integer, not 'x'", None),
    DATA + "[controls.pos]\ncorpus = 3\n": (2, "key 'corpus': must be a string, not 3", None),
    DATA + "[controls.span]\n": (2, "'span' has no head of its own", "[controls.tree]"),
    DATA + "[controls.length]\n": (2, "'length' has no head of its own", "works with any model"),
    DATA + "[controls.tags]\nkind = 'pos'\n": (2, "one head for control 'pos'", "[controls.pos]"),
    DATA + "[controls.'a b']\nkind = 'classify'\n": (2, "'a b' is no name", "letters"),
    DATA + "[controls.pos]\nkind = 'classify'\n": (2, "'pos' is a control's", "of your own"),
    DATA + "plugin = 'none.py'\n": (3, "none.py", None),
    DATA + "corpus = 'x'\n": (2, "overwrite", None),
    DATA.replace("labelled", "label"): (2, "unknown reader 'label'", "did you mean 'labelled'?"),
    DATA.replace("tiny", "none"): (3, "none.jsonl", None),
    DATA + "[controls.price]\nkind = 'classify'\ncorpus = 'text:plain.txt'\n": (
        2, "table 'controls.price': text 1 of the corpus: no field 'label'", None,
    ),
    DATA + "[lm.model]\ndenoiser = 'unet'\n[writer]\n": (2, "denoiser 'unet' cannot have", None),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text.replace(DATA, "").replace("\n", " "))
def test_what_is_wrong_is_named(recipe: Path, text: str) -> None:
    code, message, hint = WRONG[text]
    recipe.write_text(text)
    recipe.with_name("plain.txt").write_text("A text .\n" * 30)
    with pytest.raises(DLMError) as caught:
        prepare(read_recipe(recipe), Records(recipe.parent / "out", {}))
    error = caught.value
    assert error.exit_code == code and message in error.message
    assert hint is None or hint in (error.hint or "")
    assert not (recipe.parent / "out").exists()


def test_paths_are_the_files(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe.parent.parent)
    table = "[controls.x]\nkind = 'classify'\ncorpus = 'hub:a/b'\n"
    recipe.write_text(DATA + "plugin = 'mine.py'\n" + table)
    recipe.with_name("mine.py").write_text("")
    read = read_recipe(recipe)
    assert read.data.corpus == f"labelled:{recipe.parent / 'tiny.jsonl'}"
    assert read.heads[0].corpus == "hub:a/b", "a name of the hub is no path"
    assert [head.name for head in read.heads] == ["x", "pos", "semantic", "tree"]


WHOLE = sorted(p for p in EXAMPLES.glob("*.toml") if "\ninit =" not in p.read_text())


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    assert read_recipe(path).evaluate is not None


def test_a_missing_oracle_is_told_before_training(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused where the recipe names the head; else that head is left out, and why is kept."""
    monkeypatch.setenv("DLM_PARSER", str(recipe.parent / "no-parser"))
    plain = DATA + "[controls]\npos = false\nsemantic = false\n"
    recipe.write_text(plain)
    job = prepare(read_recipe(recipe), Records(recipe.parent / "out", {}))
    assert "no-parser" in job.left_out["tree"]
    recipe.write_text(plain + "[controls.tree]\n")
    with pytest.raises(MissingError, match=r"table 'controls.tree': no parser '.*no-parser'"):
        prepare(read_recipe(recipe), Records(recipe.parent / "out", {}))
