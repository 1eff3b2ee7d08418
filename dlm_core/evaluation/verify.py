"""verify(): anybody's text judged by controls, as `generate()` judges its own. Light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlm_core.bundle import Model, ModelInfo
from dlm_core.calling import owner_of
from dlm_core.errors import UsageError
from dlm_core.evaluation.judging import verdict_on
from dlm_core.generation.arguments import controls_of
from dlm_core.natural import tokenise
from dlm_core.plugins.loading import load_plugins
from dlm_core.results import Verified, report
from dlm_core.text import normal

if TYPE_CHECKING:
    from dlm_core.control.compose import Asked
    from dlm_core.generation.arguments import ModelLike
    from dlm_core.plugins.registry import Plugins


def verify(
    text: str,
    controls: Asked,
    model: ModelLike | ModelInfo = "e2e",
    *,
    plugins: Plugins | None = None,
) -> Verified:
    """Judge a text.

    A control whose package is missing is not judged (`satisfied` is None) and says why.

    Args:
        text: as one writes it, or its tokens with blanks between them.
        controls: as of `generate`.
        model: whose words the text is cut into, and whose folder may hold a judge.
        plugins: what strings are read with; all that are installed if omitted.

    Raises:
        UsageError: the text is empty, or there is no control.
        SpecError: a string that cannot be read.
        MissingError: the model is not there.
        PluginError: a control's own code failed.
    """
    if not isinstance(text, str):
        raise UsageError(f"text: expected a str, got {text!r:.60}", "one text; verify each of many")
    if not isinstance(model, ModelInfo):
        model = model.info if isinstance(model, Model) else ModelInfo.read(model)
    asked = controls_of(controls, load_plugins() if plugins is None else plugins)
    if not asked.terms:
        raise UsageError("no control to judge the text by", "for example 'length:12'")
    tokens = tokenise(normal(text), model.vocab)
    if not tokens:
        raise UsageError("the text is empty", "for example 'The Mill is a pub.'")
    words = " ".join(tokens)
    reports = [
        report(
            term.label, term.weight, None, verdict_on(term, words, model), owner_of(type(term.spec))
        )
        for term in asked
    ]
    return Verified(text=text, tokens=tokens, controls=reports)
