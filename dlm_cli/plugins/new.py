"""The distribution that `dlm plugins new NAME` writes: small, complete, and passing its tests."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from dlm_core.errors import UsageError

PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "dlm-control-$kind"
version = "0.1.0"
description = "A control for dlm: the text begins with a word"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["dlm"]

[project.optional-dependencies]
test = ["pytest>=9.0"]

[project.entry-points.dlm]
$kind = "$module"

[tool.hatch.build.targets.wheel]
only-include = ["$module.py"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
MODULE = '''\
"""$kind:WORD - the text begins with a word. Change it into what you need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from dlm_core import ControlSpec, SpecError, Verdict, did_you_mean, hookimpl

if TYPE_CHECKING:  # torch is imported where it is needed, never up here
    from dlm_core import BuildContext, Control, ModelInfo


class $cls(ControlSpec):
    """The word a text begins with."""

    kind: ClassVar[str] = "$kind"
    positional: ClassVar[tuple[str, ...]] = ("word",)
    examples: ClassVar[tuple[str, ...]] = ("$kind:There", "$kind:For")

    word: str

    def body(self) -> str:
        """The word; parsing it gives an equal spec."""
        return self.word

    def check(self, info: ModelInfo) -> None:
        """The model must know the word."""
        if self.word not in info.vocab.plain_words:
            raise SpecError(
                f"control '$kind': the model does not know the word '{self.word}'",
                source=str(self),
                hint=did_you_mean(self.word, info.vocab.plain_words),
            )

    def build(self, context: BuildContext) -> Control:
        """log p(c) is that of the word at the first place."""
        word = context.vocab.id(self.word)
        return context.control(
            lambda state: state.token_log_probs[:, 0, word], multilinear=True, scope="position"
        )

    def verify(self, text: str) -> Verdict:
        """Look at the text's first word."""
        first = text.partition(" ")[0]
        return Verdict(first == self.word, f"begins with '{first}'")


@hookimpl
def dlm_register_controls(register: Callable[[type[ControlSpec]], None]) -> None:
    """Register $kind."""
    register($cls)
'''
TEST = '''\
"""$kind keeps its promises, and texts do what it says."""

from __future__ import annotations

import dlm_core as dlm
import pytest
from dlm_core.testing import assert_control
from $module import $cls


@pytest.mark.parametrize("spec", $cls.examples)
def test_conformance(spec: str) -> None:
    assert_control(dlm.parse_spec(spec, {"$kind": $cls}).spec)


def test_texts_begin_with_the_word() -> None:
    results = dlm.generate("e2e", $cls("There"), n=4, sampling=dlm.SamplingConfig(steps=10))
    assert [result.text for result in results if not result.satisfied] == []


def test_verdict() -> None:
    assert $cls("There").verify("There is a pub .").satisfied
    assert not $cls("There").verify("A pub is there .").satisfied


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(dlm.SpecError, match="does not know the word 'Thre'"):
        $cls("Thre").check(dlm.ModelInfo.read("e2e"))
'''
README = """\
# dlm-control-$kind

A control for `dlm`: the text begins with a word.

```sh
pip install dlm-control-$kind
dlm generate --control $kind:There -n 4
```

To work on it:

```sh
pip install -e ".[test]" && pytest
dlm plugins check .
```
"""


def write(name: str, out: Path) -> Path:
    """Write the distribution of a control called `name` into a new folder of `out`.

    Raises:
        UsageError: the name is none, or the folder exists or cannot be made.
    """
    if re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) is None:
        raise UsageError(
            f"'{name}' is no name for a control", "small letters, digits and '-' in between: formal"
        )
    words = re.split("[-_]", name)
    names = {"kind": name, "module": "_".join(["dlm_control", *words])}
    names["cls"] = "".join(word.capitalize() for word in words)
    folder = out.expanduser() / f"dlm-control-{'-'.join(words)}"
    files = {
        "pyproject.toml": PYPROJECT,
        f"{names['module']}.py": MODULE,
        f"tests/test_{names['module']}.py": TEST,
        "README.md": README,
    }
    try:
        folder.mkdir(parents=True)
        (folder / "tests").mkdir()
        for path, template in files.items():
            text = Template(template).substitute(names)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot write {folder} ({error.strerror or error})", "--out DIR puts it elsewhere"
        ) from error
    return folder
