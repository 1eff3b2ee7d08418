"""The watermark plugin keeps a control's promises, and its mark is found with its key only."""

from __future__ import annotations

from pathlib import Path

import dlm_watermark
import pytest

import dlm_core as dlm
from dlm_core.testing import assert_control

PLUGINS = dlm.load_plugins([Path(__file__).parents[1]], chosen=[], strict=True)


@pytest.mark.parametrize("spec", dlm_watermark.Watermark.examples)
def test_conformance(spec: str) -> None:
    assert_control(spec, plugins=PLUGINS)


def test_the_mark_is_found_with_its_key_only() -> None:
    spec = dlm_watermark.Watermark("K", p_value=0.01)
    texts = [r.tokenised for r in dlm.generate("e2e", spec, n=8, plugins=PLUGINS)]
    assert dlm_watermark.detect(texts, "K").p_value < 1e-6
    assert dlm_watermark.detect(texts, "another").p_value > 1e-3
