"""What the tests of loops compare with refuses what is not the same: planted mistakes for the comparing helpers themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_cases import assert_close
from loops_oracle import assert_same

RIGHT: dict[str, Any] = {"W": np.array([[1.0, -2.0, 3.0]]), "reached by nothing": None}
ZEROS = np.zeros((1, 3))
HELPERS = (assert_close, assert_same)


@pytest.mark.parametrize("helper", HELPERS)
def test_what_is_the_same_passes(helper: Any) -> None:
    helper(RIGHT, RIGHT)
    helper({name: None if value is None else value * (1 + 1e-15) for name, value in RIGHT.items()}, RIGHT)


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize(
    "changes",
    [
        {"reached by nothing": ZEROS},
        {"reached by nothing": np.zeros(())},
        {"reached by nothing": 0.0},
        {"W": None},
        {"W": ZEROS},
        {"W": RIGHT["W"] + [[0.0, 0.0, 1e-8]]},
        {"W": -RIGHT["W"]},
        {"W": RIGHT["W"][0]},
        {"W": RIGHT["W"].T},
        {"W": RIGHT["W"][:, :1]},
        {"W": RIGHT["W"].astype(np.float32)},
        {"W": np.array([[1.0, -2.0, np.nan]])},
        {"W": np.array([[1.0, -2.0, np.inf]])},
        {"more": ZEROS},
        {"more": None},
    ],
)
def test_planted_mistakes_are_refused(helper: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        helper(RIGHT | changes, RIGHT)
    with pytest.raises(AssertionError):
        helper(RIGHT, RIGHT | changes)


@pytest.mark.parametrize("helper", HELPERS)
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_missing_is_refused(helper: Any, name: str) -> None:
    with pytest.raises(AssertionError):
        helper({key: value for key, value in RIGHT.items() if key != name}, RIGHT)


@pytest.mark.parametrize("change", [{"warnings": ["RuntimeWarning"]}, {"error": "ShapeError"}, {"hs wants": True}])
def test_other_errors_warnings_and_wishes_for_gradients_are_refused(change: dict[str, Any]) -> None:
    expected: dict[str, Any] = {"warnings": [], "hs wants": False}
    with pytest.raises(AssertionError):
        assert_same(expected | change, expected)
