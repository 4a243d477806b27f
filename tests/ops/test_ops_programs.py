"""Random programs of twenty operations, written in NumPy's words only, run unchanged on arrays and on Tensors."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from ops_drawing import Array, Draw, FromHypothesis
from sampling import EXHAUSTIVE

import minigrad as mg
from minigrad import Tensor

LENGTH = 20


class Step(NamedTuple):
    """One operation and the numbers of the earlier values it is applied to."""

    function: Callable[..., Any]
    operands: tuple[int, ...]


UNARY: list[Callable[[Any], Any]] = [
    np.tanh,
    np.sin,
    np.negative,
    np.square,
    lambda x: np.exp(-x * x),
    lambda x: np.log1p(x**2),
    lambda x: np.sqrt(1 + x * x),
    lambda x: 1 / (1 + np.exp(-x)),
    lambda x: np.logaddexp(0.0, x),
    lambda x: np.sum(x),
    lambda x: np.mean(x),
    lambda x: x.reshape(-1),
    lambda x: x.T,
    lambda x: x[None],
    lambda x: np.cumsum(x),
]
WITH_AXES: list[Callable[[Any], Any]] = [
    lambda x: x[..., ::-1],
    lambda x: x[[0, -1, 0]],
    lambda x: x[0],
    lambda x: x[..., :1],
    lambda x: np.sum(x, axis=0, keepdims=True),
    lambda x: np.mean(x, axis=-1),
    lambda x: np.var(x, axis=-1, keepdims=True),
    lambda x: np.cumsum(x, axis=0),
    lambda x: np.flip(x, 0),
    lambda x: np.moveaxis(x, 0, -1),
    lambda x: np.take(x, [0, 0], axis=-1),
    lambda x: np.split(x, [1], axis=0)[0],
    lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True),
]
GROWING: list[Callable[[Any], Any]] = [
    lambda x: np.stack([x, np.tanh(x)]),
    lambda x: np.repeat(x, 2),
    lambda x: np.tile(x, 2),
    lambda x: np.outer(x, x),
    lambda x: np.pad(x.reshape(-1), (1, 2)),
    lambda x: np.concatenate([x.reshape(-1), x.reshape(-1) * 0.5]),
    lambda x: np.broadcast_to(x, (2, *x.shape)),
]
BINARY: list[Callable[[Any, Any], Any]] = [
    np.add,
    np.subtract,
    np.multiply,
    lambda a, b: a / (1 + b * b),
    lambda a, b: (1 + a * a) ** np.tanh(b),
    lambda a, b: np.where(np.arange(a.shape[-1] if a.shape else 1) % 2 == 0, a, b),
    lambda a, b: np.dot(a.reshape(-1), np.broadcast_to(b, a.shape).reshape(-1)) if a.shape == b.shape else a - b,
    lambda a, b: a @ b.T / 4 if a.ndim == b.ndim == 2 and a.shape[-1] == b.shape[-1] else a + b,
]


def drawn_program(draw: Draw) -> tuple[list[Step], list[Array]]:
    """Twenty steps that fit together, and the leaves they begin with."""
    leaves = [draw.values(draw.shape(empty=False), -1.5, 1.5) for _ in range(3)]
    values, program = list(leaves), []
    while len(program) < LENGTH:
        i = draw.integer(0, len(values) - 1)
        x, kind = values[i], draw.integer(0, 3)
        if kind == 0 and x.shape:
            step = Step(draw.choice(WITH_AXES), (i,))
        elif kind == 1 and x.size <= 8 and x.ndim <= 3:
            step = Step(draw.choice(GROWING), (i,))
        elif kind == 2:
            fitting = [j for j, other in enumerate(values) if fits(x.shape, other.shape)]
            step = Step(draw.choice(BINARY), (i, draw.choice(fitting)))
        else:
            step = Step(draw.choice(UNARY), (i,))
        result = np.asarray(step.function(*(values[j] for j in step.operands)))
        if np.abs(result).max() > 4:  # keep the numbers small, so that differences stay exact
            step = Step(lambda *xs, f=step.function: np.tanh(f(*xs)), step.operands)
            result = np.tanh(result)
        program.append(step)
        values.append(result)
    return program, leaves


def fits(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    try:
        return np.prod(np.broadcast_shapes(left, right)) <= 64
    except ValueError:
        return False


def run(program: list[Step], leaves: Sequence[Any]) -> Any:
    """A number to which every value of the program contributes."""
    values = list(leaves)
    for step in program:
        values.append(step.function(*(values[j] for j in step.operands)))
    return sum((np.mean(np.tanh(value)) * (0.3 + 0.1 * k) for k, value in enumerate(values)), 0.0)


def slope(function: Callable[[list[Array]], float], leaves: list[Array], directions: list[Array]) -> float:
    h = 3e-4

    def at(t: float) -> float:
        return function([leaf + t * v for leaf, v in zip(leaves, directions, strict=True)])

    return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)


@hypothesis.settings(
    max_examples=200 if EXHAUSTIVE else 80,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(data=st.data())
def test_programs_of_twenty_operations_agree_with_numpy_and_with_differences(data: st.DataObject) -> None:
    program, leaves = drawn_program(Draw(FromHypothesis(data)))
    tensors = [Tensor(leaf, requires_grad=True) for leaf in leaves]
    y = run(program, tensors)
    assert y.item() == pytest.approx(float(run(program, leaves)), rel=1e-14)
    directions = [np.random.default_rng(k).uniform(-1, 1, leaf.shape) for k, leaf in enumerate(leaves)]

    def towards(gradients: Sequence[Tensor]) -> float:
        return float(sum((g.numpy() * v).sum() for g, v in zip(gradients, directions, strict=True)))

    def gradient(at: list[Array]) -> float:
        here = [Tensor(leaf, requires_grad=True) for leaf in at]
        return towards(mg.grad(run(program, here), here))

    first = mg.grad(y, tensors, create_graph=True)
    assert towards(first) == pytest.approx(slope(lambda at: float(run(program, at)), leaves, directions), rel=1e-6, abs=1e-7)
    together = sum(((g * v).sum() for g, v in zip(first, directions, strict=True)), Tensor(0.0))
    second = mg.grad(together, tensors)
    assert towards(second) == pytest.approx(slope(gradient, leaves, directions), rel=1e-5, abs=1e-6)
