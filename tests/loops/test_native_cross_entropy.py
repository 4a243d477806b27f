"""Cross-entropy by native code: NumPy's numbers, gradients, warnings and errors, and the same bits with and without a graph."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from natively import natively

import minigrad as mg
from minigrad import Tensor, cross_entropy
from minigrad.errors import LabelError
from minigrad.loops.native import rows

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}


def results(x: Any, targets: Any, **options: Any) -> tuple[Any, Any, list[str]]:
    """The loss, the gradient of its sum, and the warnings."""
    logits = Tensor(x, requires_grad=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        loss = cross_entropy(logits, targets, **options)
        loss.sum().backward()
    return loss.numpy(), logits.grad, [str(warning.message) for warning in said]


@pytest.mark.parametrize("special", [None, np.inf, -np.inf, np.nan, -np.nan, 1e30, -1e30, 90.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_gradients_and_warnings_are_those_of_numpy(dtype: str, special: float | None) -> None:
    random = np.random.default_rng(0)
    for R, N in ((1, 1), (3, 2), (25, 16), (40, 65), (7, 300)):
        for options in ({}, {"reduction": "sum"}, {"reduction": "none"}, {"ignore_index": 0}, {"mask": np.arange(R) % 3 == 0}):
            x, targets = (random.standard_normal((R, N)) * 5).astype(dtype), random.integers(0, N, R)
            targets[0] = N - 1
            if special is not None:
                x[R // 2, N // 3] = special
            if options == {"ignore_index": 0} and not targets.any():
                continue
            plain = results(x, targets, **options)
            with natively():
                native = results(x, targets, **options)
            for found, expected in zip(native[:2], plain[:2], strict=True):
                np.testing.assert_allclose(found, expected, 10 * TOLERANCE[dtype], TOLERANCE[dtype])
            assert native[2] == plain[2]


def test_it_is_native_code_that_computes_them_unless_something_overflows(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []
    computed = rows.cross_entropy

    def watched(*operands: Any) -> Any:
        found.append(computed(*operands))
        return found[-1]

    monkeypatch.setattr(rows, "cross_entropy", watched)
    cross_entropy(np.ones((2, 3)), [0, 1])
    with natively():
        cross_entropy(np.ones((2, 3)), [0, 1])
        cross_entropy(np.full((2, 3), np.inf), [0, 1])
        cross_entropy(np.ones((2, 3), np.float16), [0, 1])
    assert [of is not None for of in found] == [True, False, False]


def test_the_bits_are_the_same_whether_a_gradient_is_wanted_or_not_and_wherever_a_row_stands() -> None:
    x, targets = np.random.default_rng(1).standard_normal((9, 37)).astype(np.float32), np.arange(9)
    with natively():
        recorded = cross_entropy(Tensor(x, requires_grad=True), targets, "none").numpy()
        with mg.no_grad():
            alone = [cross_entropy(x[k : k + 1], targets[k : k + 1], "none").numpy() for k in range(9)]
    np.testing.assert_array_equal(recorded, np.concatenate(alone))


def test_arrays_in_any_layout_that_may_not_be_written_to_are_read_as_they_are() -> None:
    x, targets = np.random.default_rng(2).standard_normal((5, 3, 4)), np.arange(15).reshape(5, 3) % 4
    targets.flags.writeable = False
    turned = Tensor(x).transpose(1, 0, 2)
    with natively():
        np.testing.assert_allclose(cross_entropy(turned, targets.T).item(), cross_entropy(x, targets).item(), 1e-13)
    np.testing.assert_array_equal(turned.numpy(), x.transpose(1, 0, 2))


def test_the_second_derivative_is_that_of_numpy() -> None:
    x, targets = Tensor(np.random.default_rng(3).standard_normal((4, 5))), [0, 4, 2, 2]

    def curvature() -> Any:
        return mg.hessian(lambda logits: cross_entropy(logits, targets), x).numpy()

    with natively():
        native = curvature()
    np.testing.assert_allclose(native, curvature(), 1e-11, 1e-14)


def test_labels_are_checked_as_ever() -> None:
    with natively(), pytest.raises(LabelError, match=r"expected labels from 0 to 2, got 3 at position \(1,\)"):
        cross_entropy(np.ones((2, 3)), [0, 3])
