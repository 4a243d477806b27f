"""Every operation against numbers that torch computed (torch_ops.py): results, gradients, gradients of gradients."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch_ops
from numpy.typing import NDArray
from torch_ops_entries import Case, weights

import minigrad as mg
from minigrad import Tensor

CASES = torch_ops.cases()
STORED = dict(np.load(torch_ops.FILE))
BETTER_THAN_TORCH = {
    "logsumexp at extremes 3": "torch rounds ln(e^x + e^x) to x at 1e308 and then gives each x the whole gradient",
    "power at 0": "torch's second derivatives are NaN there; the limits are finite",
}


def answers() -> dict[str, slice]:
    """Where in the long row of stored numbers each case has its own."""
    stops = np.cumsum(STORED["sizes"])
    return dict(zip(STORED["names"].tolist(), map(slice, [0, *stops[:-1]], stops), strict=True))


PLACES = answers()


def ask(case: Case) -> list[NDArray[Any]]:
    """The same questions that ``torch_ops.ask_torch`` asks of torch."""
    xs = [Tensor(x, requires_grad=True) for x in case.inputs]
    y = case.ours(mg, *xs)
    total = (y * weights(y.shape).astype(y.dtype)).sum()
    first = mg.grad(total, xs, create_graph=True)
    squares = [
        (weights(g.shape, 6.0).astype(g.dtype) * g * g).sum().astype(np.float64) for g in first if g.requires_grad
    ]
    second: Sequence[Tensor] = mg.grad(sum(squares, Tensor(0.0)), xs) if squares else [Tensor(np.zeros(x.shape)) for x in xs]
    for x, g in zip([*xs, *xs], [*first, *(second if squares else [])], strict=False):
        assert (g.dtype, g.shape) == (x.dtype, x.shape)
    return [part.numpy() for part in (y, *first, *second)]


def tolerance(case: Case) -> float:
    if "astype" in case.name:
        return 3e-6
    return {2: 3e-3, 4: 3e-6, 8: 1e-12}[min(x.dtype.itemsize for x in case.inputs)]


def test_every_case_has_its_stored_numbers() -> None:
    assert [case.name for case in CASES] == STORED["names"].tolist(), "run python tests/torch_ops.py again"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_results_and_both_orders_of_gradients_are_torchs(case: Case) -> None:
    found = np.concatenate([part.astype(np.float64).ravel() for part in ask(case)])
    stored = STORED["numbers"][PLACES[case.name]]
    if case.name in BETTER_THAN_TORCH:
        assert not np.allclose(found, stored, rtol=1e-12, atol=1e-12), "torch has caught up; compare this case too"
    else:
        np.testing.assert_allclose(found, stored, rtol=tolerance(case), atol=tolerance(case))
