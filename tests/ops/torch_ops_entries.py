"""Cases for torch_ops.py: operations on each entry, and products.

A case says one operation twice, in our words and in torch's. The numbers are the same on every machine.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Case(NamedTuple):
    """One operation on given inputs, said twice: ``ours(mg, *tensors)`` and ``theirs(torch, *tensors)``."""

    name: str
    inputs: tuple[Array, ...]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]


def numbers(*shape: int, phase: float = 0.0, low: float = -2.0, high: float = 2.0, dtype: Any = np.float64) -> Array:
    """Different, irregular numbers between two bounds, the same on every machine."""
    wave = np.sin(phase + 1.0 + 2.3 * np.arange(math.prod(shape)) ** 1.2).reshape(shape)
    return (low + (high - low) * (wave + 1) / 2).astype(dtype)


def weights(shape: tuple[int, ...], phase: float = 5.0) -> Array:
    """What a result is multiplied with before it is summed."""
    return numbers(*shape, phase=phase, low=0.5, high=1.5)


SHAPES = ((), (1,), (5,), (2, 3), (2, 1, 3), (0,), (2, 0, 3))
PAIRS = (
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((4, 1, 3), (2, 1)),
    ((2, 3), ()),
    ((), (2, 3)),
    ((1,), (3,)),
    ((0, 3), (1, 3)),
    ((1, 1, 1), (2, 3)),
)
EXTREMES = np.array([-np.inf, -1e308, -1e3, -40.0, -1e-300, 0.0, 1e-300, 1e-9, 40.0, 1e3, 1e308, np.inf])
FINITE = EXTREMES[1:-1]


def unary() -> Iterator[Case]:
    """Functions of one tensor, entry by entry."""
    positive, between = (0.2, 3.0), (-0.9, 2.0)
    functions: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[float, float]]] = {
        "negative": (lambda mg, x: -x, lambda torch, x: -x, (-2, 2)),
        "absolute": (lambda mg, x: abs(x), lambda torch, x: abs(x), (-2, 2)),
        "square": (lambda mg, x: mg.square(x), lambda torch, x: torch.square(x), (-2, 2)),
        "exp": (lambda mg, x: mg.exp(x), lambda torch, x: torch.exp(x), (-2, 2)),
        "expm1": (lambda mg, x: mg.expm1(x), lambda torch, x: torch.expm1(x), (-2, 2)),
        "log": (lambda mg, x: mg.log(x), lambda torch, x: torch.log(x), positive),
        "log1p": (lambda mg, x: mg.log1p(x), lambda torch, x: torch.log1p(x), between),
        "sqrt": (lambda mg, x: mg.sqrt(x), lambda torch, x: torch.sqrt(x), positive),
        "sin": (lambda mg, x: mg.sin(x), lambda torch, x: torch.sin(x), (-2, 2)),
        "cos": (lambda mg, x: mg.cos(x), lambda torch, x: torch.cos(x), (-2, 2)),
        "tanh": (lambda mg, x: mg.tanh(x), lambda torch, x: torch.tanh(x), (-2, 2)),
        "sigmoid": (lambda mg, x: mg.sigmoid(x), lambda torch, x: torch.sigmoid(x), (-2, 2)),
        "relu": (lambda mg, x: mg.relu(x), lambda torch, x: torch.relu(x), (-2, 2)),
        "softplus": (
            lambda mg, x: mg.softplus(x),
            lambda torch, x: torch.nn.functional.softplus(x, threshold=500),
            (-2, 2),
        ),
        "power 2": (lambda mg, x: x**2, lambda torch, x: x**2, (-2, 2)),
        "power 3": (lambda mg, x: x**3, lambda torch, x: x**3, (-2, 2)),
        "power 1": (lambda mg, x: x**1, lambda torch, x: x**1, (-2, 2)),
        "power 0": (lambda mg, x: x**0, lambda torch, x: x**0, (-2, 2)),
        "power -1": (lambda mg, x: x**-1, lambda torch, x: x**-1, positive),
        "power 0.5": (lambda mg, x: x**0.5, lambda torch, x: x**0.5, positive),
        "power 2.5": (lambda mg, x: x**2.5, lambda torch, x: x**2.5, positive),
        "2 to the power": (lambda mg, x: 2.0**x, lambda torch, x: 2.0**x, (-2, 2)),
        "scalar +": (lambda mg, x: 3 + x, lambda torch, x: 3 + x, (-2, 2)),
        "+ scalar": (lambda mg, x: x + 2.5, lambda torch, x: x + 2.5, (-2, 2)),
        "scalar -": (lambda mg, x: 1 - x, lambda torch, x: 1 - x, (-2, 2)),
        "- scalar": (lambda mg, x: x - 1, lambda torch, x: x - 1, (-2, 2)),
        "scalar *": (lambda mg, x: 3 * x, lambda torch, x: 3 * x, (-2, 2)),
        "* scalar": (lambda mg, x: x * 0.3, lambda torch, x: x * 0.3, (-2, 2)),
        "scalar /": (lambda mg, x: 2 / x, lambda torch, x: 2 / x, positive),
        "/ scalar": (lambda mg, x: x / 3, lambda torch, x: x / 3, (-2, 2)),
        "clip": (lambda mg, x: mg.clip(x, -1.0, 0.7), lambda torch, x: torch.clamp(x, -1.0, 0.7), (-2, 2)),
        "clip below": (lambda mg, x: mg.clip(x, a_min=0.1), lambda torch, x: torch.clamp(x, min=0.1), (-2, 2)),
        "clip above": (lambda mg, x: mg.clip(x, None, 0.1), lambda torch, x: torch.clamp(x, max=0.1), (-2, 2)),
        "x x": (lambda mg, x: x * x, lambda torch, x: x * x, (-2, 2)),
    }
    for number, (name, (ours, theirs, (low, high))) in enumerate(functions.items()):
        for shape in SHAPES:
            yield Case(f"{name} {shape}", (numbers(*shape, phase=number, low=low, high=high),), ours, theirs)
    at_kinks = np.array([-2.0, -1.0, -0.0, 0.0, 0.7, 1.0])
    for name in ("absolute", "relu", "clip", "power 2", "power 3", "power 1", "power 0", "square", "tanh", "2 to the power"):
        ours, theirs, _ = functions[name]
        yield Case(f"{name} at kinks", (at_kinks,), ours, theirs)
    for name in ("tanh", "sigmoid", "relu", "absolute", "clip"):
        ours, theirs, _ = functions[name]
        yield Case(f"{name} at extremes", (EXTREMES,), ours, theirs)
    yield Case("softplus at extremes", (EXTREMES,), *functions["softplus"][:2])


def binary() -> Iterator[Case]:
    """Functions of two tensors, with broadcasting."""
    functions: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[float, float], tuple[float, float]]] = {
        "add": (lambda mg, a, b: a + b, lambda torch, a, b: a + b, (-2, 2), (-2, 2)),
        "subtract": (lambda mg, a, b: a - b, lambda torch, a, b: a - b, (-2, 2), (-2, 2)),
        "multiply": (lambda mg, a, b: a * b, lambda torch, a, b: a * b, (-2, 2), (-2, 2)),
        "divide": (lambda mg, a, b: a / b, lambda torch, a, b: a / b, (-2, 2), (0.3, 2)),
        "power": (lambda mg, a, b: a**b, lambda torch, a, b: a**b, (0.3, 2), (-2, 2)),
        "maximum": (lambda mg, a, b: mg.maximum(a, b), lambda torch, a, b: torch.maximum(a, b), (-2, 2), (-2, 2)),
        "minimum": (lambda mg, a, b: mg.minimum(a, b), lambda torch, a, b: torch.minimum(a, b), (-2, 2), (-2, 2)),
        "logaddexp": (lambda mg, a, b: mg.logaddexp(a, b), lambda torch, a, b: torch.logaddexp(a, b), (-2, 2), (-2, 2)),
        "where": (
            lambda mg, a, b: mg.where(a.data > 0, a, b),
            lambda torch, a, b: torch.where(a > 0, a, b),
            (-2, 2),
            (-2, 2),
        ),
    }
    for number, (name, (ours, theirs, first, second)) in enumerate(functions.items()):
        for left, right in PAIRS:
            a = numbers(*left, phase=number, low=first[0], high=first[1])
            b = numbers(*right, phase=number + 0.5, low=second[0], high=second[1])
            yield Case(f"{name} {left} {right}", (a, b), ours, theirs)
    tied = np.array([1.0, 2.0, 0.0, -0.0]), np.array([1.0, -2.0, -0.0, 0.0])
    yield Case("maximum ties", tied, *functions["maximum"][:2])
    yield Case("minimum ties", tied, *functions["minimum"][:2])
    bases, exponents = np.array([0.0, 0.0, 0.0, 2.0, 5.0]), np.array([2.0, 1.0, 3.0, 1.0, 0.5])
    yield Case("power at 0", (bases, exponents), *functions["power"][:2])
    low, high = np.array([-1.0, -0.5, 0.0]), np.array([1.0, 0.5, 0.2])
    yield Case(
        "clip by tensors",
        (numbers(4, 3), low, high),
        lambda mg, x, low, high: mg.clip(x, low, high),
        lambda torch, x, low, high: torch.clamp(x, low, high),
    )


def products() -> Iterator[Case]:
    """Products of vectors and matrices."""
    for left, right in (
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((1, 2, 3), (5, 3, 4)),
        ((0, 3), (3, 4)),
        ((2, 0), (0, 4)),
        ((1, 1), (1, 1)),
    ):
        a, b = numbers(*left), numbers(*right, phase=0.5)
        yield Case(f"matmul {left} {right}", (a, b), lambda mg, a, b: a @ b, lambda torch, a, b: a @ b)
    yield Case("matmul W.T", (numbers(5, 3), numbers(4, 3)), lambda mg, x, W: x @ W.T, lambda torch, x, W: x @ W.T)
    yield Case("matmul 3d W.T", (numbers(5, 2, 3), numbers(4, 3)), lambda mg, x, W: x @ W.T, lambda torch, x, W: x @ W.T)
    yield Case("matmul x.T W", (numbers(3, 5), numbers(3, 4)), lambda mg, x, W: x.T @ W, lambda torch, x, W: x.T @ W)
    yield Case("matmul with itself", (numbers(3, 3),), lambda mg, x: x @ x, lambda torch, x: x @ x)
    yield Case("dot vectors", (numbers(4), numbers(4, phase=2)), lambda mg, a, b: mg.dot(a, b), lambda torch, a, b: a @ b)
    yield Case(
        "dot 3d 3d",
        (numbers(2, 3, 4), numbers(5, 4, 2, phase=2)),
        lambda mg, a, b: mg.dot(a, b),
        lambda torch, a, b: torch.tensordot(a, b, dims=([2], [1])),
    )
    yield Case("dot scalar", (numbers(), numbers(3, phase=2)), lambda mg, a, b: mg.dot(a, b), lambda torch, a, b: a * b)
    vectors = numbers(4), numbers(3, phase=2)
    yield Case("outer", vectors, lambda mg, a, b: mg.outer(a, b), lambda torch, a, b: torch.outer(a, b))
    yield Case(
        "vdot",
        (numbers(2, 3), numbers(3, 2, phase=2)),
        lambda mg, a, b: mg.vdot(a, b),
        lambda torch, a, b: torch.vdot(a.reshape(-1), b.reshape(-1)),
    )
    for spec, *shapes in (
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk", (2, 3), (3, 4)),
        ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
        ("tbh,bh->tb", (4, 2, 3), (2, 3)),
        ("i,j->ij", (3,), (4,)),
        ("ij->ji", (2, 3)),
        ("ij->", (2, 3)),
        ("ij->j", (2, 3)),
        ("ij,kj->i", (2, 3), (4, 3)),
        ("i,ij,j->", (2,), (2, 3), (3,)),
        ("...ij,...jk->...ik", (5, 2, 3), (5, 3, 4)),
        ("...i,i->...", (5, 2, 3), (3,)),
        ("ij,ij->ij", (2, 3), (2, 3)),
    ):
        inputs = tuple(numbers(*shape, phase=k) for k, shape in enumerate(shapes))
        yield Case(
            f"einsum {spec}",
            inputs,
            lambda mg, *xs, spec=spec: mg.einsum(spec, *xs),
            lambda torch, *xs, spec=spec: torch.einsum(spec, *xs),
        )


def mixtures() -> Iterator[Case]:
    """Mixed precision, and inputs that are strided views."""
    half, single, double = (numbers(2, 3, phase=k, dtype=t) for k, t in enumerate((np.float16, np.float32, np.float64)))
    for name, ours, theirs in (
        ("add", lambda mg, a, b: a + b, lambda torch, a, b: a + b),
        ("multiply", lambda mg, a, b: a * b, lambda torch, a, b: a * b),
        ("divide", lambda mg, a, b: a / (b * b + 1), lambda torch, a, b: a / (b * b + 1)),
        ("maximum", lambda mg, a, b: mg.maximum(a, b), lambda torch, a, b: torch.maximum(a, b)),
    ):
        for a, b in ((single, double), (double, single), (half, single), (single, single)):
            yield Case(f"{name} {a.dtype} {b.dtype}", (a, b), ours, theirs)
    for name in ("tanh", "sigmoid", "exp"):
        yield Case(
            f"{name} float32",
            (single,),
            lambda mg, x, n=name: getattr(mg, n)(x),
            lambda torch, x, n=name: getattr(torch, n)(x),
        )
    for name in ("softmax", "log_softmax", "logsumexp"):
        yield Case(
            f"{name} float32",
            (single,),
            lambda mg, x, n=name: getattr(mg, n)(x, -1),
            lambda torch, x, n=name: getattr(torch, n)(x, -1),
        )
