"""A graph that was changed by hand into a circle is refused by name, wherever it is walked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from minigrad.viz import draw

import minigrad as mg
from minigrad import Parameter, Tensor
from minigrad.errors import GraphError


def circle() -> tuple[Tensor, Tensor, Parameter]:
    """p → q → r, where q was made to read r, which reads q; with a loss behind them."""
    p = Parameter([1.0, 2.0], name="p")
    q = p * 2.0
    r = mg.tanh(q)
    loss = r.sum()
    assert q.node is not None
    q.node.inputs = (r.node, None)
    return loss, q, p


@pytest.mark.parametrize(
    "use",
    [
        lambda loss, q, p: loss.backward(),
        lambda loss, q, p: mg.walk(loss),
        lambda loss, q, p: mg.grad(loss, [p]),
        lambda loss, q, p: mg.grad(loss, [q], create_graph=True),
        lambda loss, q, p: draw(loss),
        lambda loss, q, p: draw(loss, gradients=False),
    ],
    ids=["backward", "walk", "grad", "grad with create_graph", "draw", "draw without gradients"],
)
def test_a_circle_is_named(use: Callable[[Tensor, Tensor, Parameter], Any]) -> None:
    loss, q, p = circle()
    with pytest.raises(GraphError, match=r"among the inputs of <mul \(2,\) float64> is <tanh \(2,\) float64>, which was"):
        use(loss, q, p)
    assert p.grad is None


def test_a_node_that_reads_itself_is_named() -> None:
    y = Parameter([1.0]) * 2.0
    assert y.node is not None
    y.node.inputs = (y.node, None)
    with pytest.raises(GraphError, match="there is a cycle"):
        y.backward()


def test_a_circle_is_named_where_edges_are_watched_and_anomalies_looked_for() -> None:
    loss, _, _ = circle()
    with mg.detect_anomaly(), pytest.raises(GraphError, match="there is a cycle"):
        loss.backward()


def test_a_node_that_was_made_to_read_an_older_one_is_no_circle() -> None:
    p, other = Parameter([1.0, 2.0]), Parameter([3.0, 5.0])
    y = (p * 2.0).sum()
    (node,) = [node for node in mg.walk(y) if node.label == "mul"]
    node.inputs = (other.node, None)
    y.backward()
    assert p.grad is None or not p.grad.any()
    np.testing.assert_array_equal(other.grad, [2.0, 2.0])
