"""The sweep of `Tensor.backward` gives what the sweep of `minigrad.graph` gives, bit for bit, whatever the graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled, plain
from minigrad.models import GRU, LSTM, RNN, GatedRNN, Head, unroll

import minigrad as mg
from minigrad import Tensor, graph, sigmoid, split, stack, tanh, unbind
from minigrad.backward import sweep_arrays
from minigrad.gradients import ArrayAccumulator
from minigrad.graph import Node, Operation

Leaves = list[Tensor]


def leaves(*shapes: tuple[int, ...], dtype: Any = np.float64) -> Leaves:
    random = np.random.default_rng(7)
    return [Tensor(random.standard_normal(shape).astype(dtype), requires_grad=True) for shape in shapes]


def gates_by_slicing() -> Tensor:
    x, W, b = leaves((2, 3), (16, 3), (16,))
    h = c = Tensor(np.zeros((2, 4)))
    (U,) = leaves((16, 4))
    for _ in range(3):
        a = x @ W.T + h @ U.T + b
        c = sigmoid(a[:, 4:8]) * c + sigmoid(a[:, :4]) * tanh(a[:, 8:12])
        h = sigmoid(a[:, 12:]) * tanh(c)
    return h.sum()


def overlapping_slices() -> Tensor:
    (x,) = leaves((6, 3))
    return sum(((k + 2.0) * (x[k : k + 3] * x[k + 1]).sum() for k in range(4)), x[:, 1].sum() + x[::2, 1:].sum())


def parts_products_and_the_whole() -> Tensor:
    W, x = leaves((6, 2), (4, 2))
    first, second, third = split(W, 3)
    return (x @ first.T).sum() + (x @ W.T).sum() + (W * W).sum() + second.sum() + W[[0, 0, 5]].sum() + (third * first).sum()


def one_array_sent_to_all() -> Tensor:
    a, b = leaves((3, 2), (3, 2))
    y = a + b
    return (y + a + y + b + y).sum()


def single_numbers() -> Tensor:
    a, b = leaves((), ())
    for _ in range(3):
        a = a * b + a - tanh(a)
    return a


def stretched_operands() -> Tensor:
    a, b, c = leaves((3, 1), (4,), (1, 1))
    return ((a * b + c) * (b - a) / (2.0 + c * c)).mean()


def mixed_dtypes() -> Tensor:
    (a,) = leaves((3, 2), dtype=np.float32)
    (b,) = leaves((3, 2))
    return (a * b + a + a).sum()


def products_of_mixed_dtypes() -> Tensor:
    (a,) = leaves((3, 2), dtype=np.float32)
    (b,) = leaves((3, 2))
    return (a @ b.T @ a + a).sum()


def unbound_and_stacked() -> Tensor:
    (xs,) = leaves((5, 2, 3))
    return (stack([tanh(x) * 2.0 for x in reversed(unbind(xs)[1:])]) * xs[1:]).sum() + xs[2].sum()


def constants_and_unused_results() -> Tensor:
    a, b = leaves((2, 2), (2, 2))
    constant = Tensor(np.full((2, 2), 3.0), name="k")
    tanh(b)
    return (constant * a + constant * constant - a.detach() * a).sum()


def network(cell: type[Any], **options: Any) -> Callable[[], Tensor]:
    """A cell recorded step by step: a loop that is recorded as one operation is not passed by both sweeps in the same way."""

    def loss() -> Tensor:
        xs = np.random.default_rng(1).standard_normal((6, 2, 3))
        hs, _ = unroll(plain(cell)(3, 4, seed=0, **options), xs)
        return Head(4, 5, seed=0).loss(hs, np.arange(12).reshape(6, 2) % 5)

    return loss


GRAPHS: dict[str, Callable[[], Tensor]] = {
    function.__name__: function
    for function in (
        gates_by_slicing,
        overlapping_slices,
        parts_products_and_the_whole,
        one_array_sent_to_all,
        single_numbers,
        stretched_operands,
        mixed_dtypes,
        products_of_mixed_dtypes,
        unbound_and_stacked,
        constants_and_unused_results,
    )
} | {
    "rnn": network(RNN),
    "gated rnn": network(GatedRNN),
    "gru, reset before": network(GRU),
    "gru, reset after": network(GRU, reset="after"),
    "lstm": network(LSTM),
    "lstm with peepholes in float32": network(LSTM, peepholes=True, dtype=np.float32),
}


def in_class(output: Node, gradient: Any) -> tuple[dict[Node, Any], list[Operation]]:
    """What the sweep of `minigrad.graph` comes to: the gradients that are kept, and the operations passed."""
    reached = dict(graph.sweep([(output, gradient)], ArrayAccumulator()))
    kept = {node: g for node, g in reached.items() if node.is_leaf or node.watch is not None}
    return kept, [node for node in reached if isinstance(node, Operation)]


@pytest.mark.parametrize("name", GRAPHS)
def test_both_sweeps_find_the_same_gradients_and_pass_the_same_operations(name: str) -> None:
    loss = GRAPHS[name]()
    seed = np.asarray(1.5, loss.dtype)
    found, passed = sweep_arrays(loss.node, seed)
    expected, operations = in_class(loss.node, seed)
    assert passed == operations
    assert list(found) == list(expected)
    for node, g in found.items():
        assert (g.shape, g.dtype) == (node.shape, node.dtype) == (expected[node].shape, expected[node].dtype)
        assert np.asarray(g).tobytes() == np.asarray(expected[node]).tobytes()


@pytest.mark.parametrize("cell", [RNN, GatedRNN, GRU, LSTM])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_through_a_loop_recorded_as_one_operation_they_agree_up_to_rounding(cell: Any, dtype: Any) -> None:
    hs, _ = unroll(cell(3, 4, seed=0, dtype=dtype), np.random.default_rng(1).standard_normal((6, 2, 3)).astype(dtype))
    loss = Head(4, 5, seed=0, dtype=dtype).loss(hs, np.arange(12).reshape(6, 2) % 5)
    seed = np.asarray(1.5, dtype)
    found, _ = sweep_arrays(loss.node, seed)
    expected, _ = in_class(loss.node, seed)
    assert is_compiled(hs)
    assert found.keys() == expected.keys()
    for node, g in found.items():
        assert (g.shape, g.dtype) == (node.shape, node.dtype)
        np.testing.assert_allclose(g, expected[node], rtol=0, atol=(1e-15 if dtype is np.float64 else 1e-7) * 5)


def test_both_sweeps_call_the_same_hooks_and_keep_the_same_results() -> None:
    def graph_with_hooks() -> tuple[Tensor, list[Any]]:
        x, W = leaves((3, 2), (4, 2))
        seen: list[Any] = []
        h = tanh(x @ W.T)
        a, b = split(h, 2, axis=1)
        for tensor in (x, h, a, b):
            tensor.register_hook(lambda g: seen.append(np.array(g)) or g * 2.0)
        h.retain_grad()
        return (a * b).sum(), seen

    (one, seen), (other, expected) = graph_with_hooks(), graph_with_hooks()
    found, _ = sweep_arrays(one.node, np.ones(()))
    wanted, _ = in_class(other.node, np.ones(()))
    assert [g.tobytes() for g in seen] == [g.tobytes() for g in expected]
    assert len(seen) == 4
    in_order = [[grads[node].tobytes() for node in sorted(grads, key=lambda node: node.serial)] for grads in (found, wanted)]
    assert in_order[0] == in_order[1]


def test_both_sweeps_refuse_a_released_graph_and_a_hook_of_the_wrong_shape() -> None:
    (x,) = leaves((3,))
    y = (x * x).sum()
    y.backward()
    with pytest.raises(mg.errors.GraphError, match="already released"):
        sweep_arrays(y.node, np.ones(()))
    y = (x * x).sum()
    x.register_hook(lambda g: g[:2])
    with pytest.raises(mg.errors.ShapeError, match="hook"):
        sweep_arrays(y.node, np.ones(()))
