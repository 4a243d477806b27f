"""Random calls of every operation: the result is NumPy's, the gradients are those of differences, to second order."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
import numpy as np
import ops_properties_arranging
import pytest
from hypothesis import strategies as st
from ops_drawing import Array, Call, Draw, FromHypothesis, FromSeed
from ops_properties import PROPERTIES
from sampling import EXHAUSTIVE

import minigrad as mg
from minigrad import Tensor, ops
from minigrad.errors import GraphError, MutationError
from minigrad.graph import Operation

assert ops_properties_arranging.__doc__
WITHOUT_GRADIENT = {"compare", "argmax", "argmin"}
ONLY_IN_DERIVATIVES = {"scatter", "switch"}
ONLY_IN_TRACES = {"flat", "lookup"}


def abstract(kind: type[Operation]) -> bool:
    return not hasattr(kind, "label")


def kinds_of_operations(kind: type[Operation] = Operation) -> set[type[Operation]]:
    below = {sub for direct in kind.__subclasses__() for sub in kinds_of_operations(direct)}
    return below if abstract(kind) else below | {kind}


def random_call(data: st.DataObject, name: str) -> Call:
    return PROPERTIES[name](Draw(FromHypothesis(data)))


def with_random_calls(examples: int) -> Callable[[Callable[..., None]], Any]:
    """Run a check on so many random calls of every operation, the same ones each time; on half of them in ``make test``."""
    settings = hypothesis.settings(
        max_examples=examples if EXHAUSTIVE else (examples + 1) // 2,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def prepared(check: Callable[..., None]) -> Any:
        return pytest.mark.parametrize("name", sorted(PROPERTIES))(settings(hypothesis.given(data=st.data())(check)))

    return prepared


class Point:
    """A call with leaves at given values."""

    def __init__(self, call: Call, leaves: Sequence[Array]) -> None:
        self.call = call
        self.leaves = [Tensor(leaf, requires_grad=True) for leaf in leaves]
        self.y = call.ours(*(part.view(leaf) for part, leaf in zip(call.inputs, self.leaves, strict=True)))
        self.weights = np.random.default_rng(1).uniform(0.5, 1.5, self.y.shape)
        self.directions = [np.random.default_rng(k + 2).uniform(-1, 1, leaf.shape) for k, leaf in enumerate(self.leaves)]

    def gradients(self, create_graph: bool = False) -> tuple[Tensor, ...]:
        """Those of Σ w ⊙ y."""
        if not self.y.requires_grad:
            return tuple(Tensor(np.zeros(leaf.shape, leaf.dtype)) for leaf in self.leaves)
        return mg.grad(self.y, self.leaves, create_graph, grad_outputs=self.weights.astype(self.y.dtype))


def numpy_result(call: Call, leaves: Sequence[Array]) -> Array:
    return np.asarray(call.numpy(*(part.view(leaf) for part, leaf in zip(call.inputs, leaves, strict=True))))


def slope(function: Callable[[Sequence[Array]], float], leaves: Sequence[Array], directions: Sequence[Array]) -> float:
    """How fast ``function`` changes along a direction: five points, error ~ h⁴."""
    h = 1e-3

    def at(t: float) -> float:
        return function([leaf + t * along for leaf, along in zip(leaves, directions, strict=True)])

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


def along(gradients: Sequence[Tensor], directions: Sequence[Array]) -> float:
    return float(sum((g.numpy() * v).sum() for g, v in zip(gradients, directions, strict=True)))


def test_every_operation_has_a_property() -> None:
    aliases = {name for name in ops.__all__ if getattr(ops, name).__name__ != name}
    assert set(PROPERTIES) | WITHOUT_GRADIENT | aliases == set(ops.__all__)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("abs", "absolute"),
        ("amax", "max"),
        ("amin", "min"),
        ("concat", "concatenate"),
        ("div", "divide"),
        ("mse", "mse_loss"),
        ("mul", "multiply"),
        ("neg", "negative"),
        ("pow", "power"),
        ("sub", "subtract"),
        ("true_divide", "divide"),
    ],
)
def test_an_operation_is_also_found_under_its_other_name(alias: str, name: str) -> None:
    assert getattr(mg, alias) is getattr(mg, name)
    assert {alias, name} <= set(mg.__all__)


def test_every_kind_of_node_is_drawn() -> None:
    seen: set[type[Operation]] = set()
    for draw_one in PROPERTIES.values():
        for seed in range(30):
            call = draw_one(Draw(FromSeed(seed)))
            y = Point(call, [part.leaf for part in call.inputs]).y
            seen |= {type(node) for node in mg.walk(y) if isinstance(node, Operation)}
    missing = {kind.label for kind in kinds_of_operations() - seen if kind.__module__.startswith("minigrad.ops.")}
    assert missing == ONLY_IN_DERIVATIVES | ONLY_IN_TRACES


@with_random_calls(30)
def test_the_result_is_numpys(name: str, data: st.DataObject) -> None:
    call = random_call(data, name)
    leaves = [part.leaf for part in call.inputs]
    y, expected = Point(call, leaves).y, numpy_result(call, leaves)
    assert (y.shape, y.dtype) == (expected.shape, expected.dtype)
    if call.exact:
        np.testing.assert_array_equal(y.numpy(), expected)
    else:
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-13, atol=1e-13)
    with mg.no_grad():
        plain = call.ours(*(part.view(Tensor(leaf)) for part, leaf in zip(call.inputs, leaves, strict=True)))
    assert plain.node is None
    np.testing.assert_array_equal(plain.numpy(), y.numpy())


@with_random_calls(30)
def test_the_gradient_is_that_of_differences(name: str, data: st.DataObject) -> None:
    call = random_call(data, name)
    leaves = [part.leaf for part in call.inputs]
    point = Point(call, leaves)
    gradients = point.gradients()
    assert [(g.shape, g.dtype) for g in gradients] == [(leaf.shape, leaf.dtype) for leaf in leaves]
    numerical = slope(lambda at: float((numpy_result(call, at) * point.weights).sum()), leaves, point.directions)
    assert along(gradients, point.directions) == pytest.approx(numerical, rel=1e-8, abs=1e-8)


@with_random_calls(30)
def test_the_second_derivative_is_that_of_differences_of_the_first(name: str, data: st.DataObject) -> None:
    call = random_call(data, name)
    leaves = [part.leaf for part in call.inputs]
    point = Point(call, leaves)
    plain, recorded = point.gradients(), Point(call, leaves).gradients(create_graph=True)
    for first, same in zip(plain, recorded, strict=True):
        np.testing.assert_allclose(same.numpy(), first.numpy(), rtol=1e-13, atol=1e-13)
    weights = [np.cos(np.arange(leaf.size)).reshape(leaf.shape) for leaf in leaves]
    point = Point(call, leaves)
    total = sum(((g * w).sum() for g, w in zip(point.gradients(create_graph=True), weights, strict=True)), Tensor(0.0))
    try:
        second: Sequence[Tensor] = mg.grad(total, point.leaves)
    except GraphError:  # the gradient is a constant
        second = [Tensor(np.zeros(leaf.shape)) for leaf in leaves]
    numerical = slope(lambda at: along(Point(call, at).gradients(), weights), leaves, point.directions)
    assert along(second, point.directions) == pytest.approx(numerical, rel=1e-8, abs=1e-8)


@with_random_calls(30)
def test_in_float32_everything_stays_float32(name: str, data: st.DataObject) -> None:
    call = random_call(data, name)
    if name == "astype":
        return
    leaves = [part.leaf for part in call.inputs]
    small = [leaf.astype(np.float32) for leaf in leaves]
    point = Point(call, small)
    assert point.y.dtype == np.float32
    gradients = point.gradients()
    assert all(g.dtype == np.float32 for g in gradients)
    for g, reference in zip(gradients, Point(call, leaves).gradients(), strict=True):
        np.testing.assert_allclose(g.numpy(), reference.numpy(), rtol=1e-4, atol=1e-4)


@with_random_calls(5)
def test_writing_to_an_operand_before_backward_is_refused_or_harmless(name: str, data: st.DataObject) -> None:
    call = random_call(data, name)
    leaves = [part.leaf for part in call.inputs]
    expected = Point(call, leaves).gradients()
    point = Point(call, leaves)
    for leaf in point.leaves:
        with contextlib.suppress(MutationError):
            leaf.data[...] = 7.0
    for found, wanted in zip(point.gradients(), expected, strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())
