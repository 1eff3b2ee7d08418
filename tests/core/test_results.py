"""What a result says of itself."""

from __future__ import annotations

import json

import pytest

from dlm_core.results import ControlReport, Result


@pytest.mark.parametrize(
    ("verdicts", "satisfied"),
    [
        ([], True),
        ([True, True], True),
        ([True, False], False),
        ([None, True], None),
        ([None, False], False),
    ],
)
def test_satisfied_is_all_of_them_and_stands_in_the_json(verdicts, satisfied):
    reports = [
        ControlReport(spec="length:5", weight=1.0, log_prob=0.0, satisfied=verdict)
        for verdict in verdicts
    ]
    result = Result(text="a pub", tokens=["a", "pub"], seed=0, controls=reports)
    row = json.loads(result.model_dump_json())
    assert result.satisfied is satisfied and row["satisfied"] is satisfied and row["tries"] == 1
    assert Result.model_validate(row) == result
