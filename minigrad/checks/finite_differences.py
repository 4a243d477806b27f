"""Checks of gradients: autograd against finite differences. (Any two sources against each other: `minigrad.checks.comparison`.)

Finite differences are honest but blunt: with step ε the error is about ε² from the curvature and 10⁻¹⁶/ε from rounding.
So they are taken in float64 only, centrally, with ε = 10⁻⁶, and what they can show is agreement to some 8 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from minigrad import graph, pytree
from minigrad.arguments import count, real, several
from minigrad.backward import seed
from minigrad.checks.comparison import assert_gradients_close, compare_gradients
from minigrad.errors import ArgumentError, DTypeError, GradientMismatchError
from minigrad.flags import flag
from minigrad.gradients import ArrayAccumulator
from minigrad.guard import Array
from minigrad.reporting import reporting
from minigrad.scope import is_recording, no_grad
from minigrad.tensor import Tensor
from minigrad.transforms import vjp

__all__ = [
    "assert_gradients_close",
    "compare_gradients",
    "gradcheck",
    "gradgradcheck",
    "numerical_gradient",
    "numerical_gradients",
]


def numerical_gradient(function: Callable[[], float], array: Array, eps: float = 1e-6) -> Array:
    """(f(a + ε) − f(a − ε)) / 2ε for each entry of ``array``, which ``function`` reads and which is put back.

    Args:
        function: computes a number from ``array``.
        array: float64 and writable, such as ``parameter.data``.
        eps: the step ε.

    Raises:
        DTypeError: it is another dtype, in which ± ε changes nothing or far too much, or no array.

    >>> a = np.array([1.0, 3.0])
    >>> numerical_gradient(lambda: (a**2).sum(), a).round(6)
    array([2., 6.])
    """
    _check_differences("numerical_gradient", "the array", array)
    gradient = np.empty(array.shape)
    for index in np.ndindex(*array.shape):
        gradient[index] = _slope(function, array, index, eps)
    return gradient


def numerical_gradients(function: Callable[[], float], variables: Any, eps: float = 1e-6) -> Any:
    """`numerical_gradient` of several variables: a pytree (dict, tuple, …) of Tensors or arrays gives a pytree of arrays."""
    return pytree.mapped(lambda v: numerical_gradient(function, v.data if isinstance(v, Tensor) else v, eps), variables)


def _check_differences(where: str, words: str, array: Any) -> None:
    """Raise DTypeError unless differences say something of this array (or Tensor)."""
    if not isinstance(array, np.ndarray | Tensor):
        raise DTypeError(f"{where}: expected {words} to be a NumPy array, got {type(array).__name__}")
    if array.dtype != np.float64:
        raise DTypeError(f"{where}: {words} is {array.dtype}; finite differences need float64, as in a.astype(np.float64)")


def _slope(function: Callable[[], Any], array: Array, where: Any, eps: float, direction: Any = 1.0) -> Any:
    """The central difference of ``function`` when ``array[where]`` moves along ``direction``."""
    found = array[where].copy()
    try:
        array[where] = found + eps * direction
        above = function()
        array[where] = found - eps * direction
        below = function()
    finally:
        array[where] = found
    return (above - below) / (2 * eps)


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor] = (),
    parameters: Any = None,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    full: bool = False,
    seed_value: int = 0,
) -> bool:
    """Compare autograd's gradient of ``function(*inputs)`` with central differences.

    Several outputs are weighted with random numbers and added up, so that no two errors can cancel by symmetry, and each
    input moves along a few random directions, which takes a handful of evaluations whatever its size. If something is
    wrong, every entry is looked at, to name the worst. With ``full`` every entry of the Jacobian is compared instead.

    Args:
        function: takes the inputs and returns a Tensor, or a pytree of them.
        inputs: float64 tensors; those with ``requires_grad`` are checked. The function gets copies.
        parameters: further tensors to check, which the function uses by itself: a Module, a dict with names, or a
            sequence. They are moved in place and put back.
        eps: the step of the differences.
        atol, rtol: |autograd − numerical| ≤ atol + rtol · |numerical| is demanded.
        full: compare ∂output/∂input for every pair of entries.
        seed_value: seed of the random numbers.

    Returns:
        True.

    Raises:
        GradientMismatchError: naming the input, the worst entry and both numbers, and saying which is which.
        DTypeError: an input or output is not float64, in which differences say nothing; or nothing needs a gradient.
        ArgumentError: the function returns something else the second time, ``eps`` is not
            positive, or a tolerance or the seed is none.

    >>> x = Tensor([0.3, -0.7], requires_grad=True)
    >>> gradcheck(lambda x: (x * x).sum(), x)
    True
    """
    tensors = _checked(function, inputs, eps, atol, rtol, seed_value, full, "gradcheck")
    copies = [Tensor(t.detach(), requires_grad=t.requires_grad, name=t.name) for t in tensors]
    given = [(f"input {number}", t, copied) for number, (t, copied) in enumerate(zip(tensors, copies, strict=True))]
    given += [(f"parameter {name}", p, p) for name, p in _named(parameters)]
    variables = {_words(what, t): variable for what, t, variable in given if t.requires_grad}
    if not variables:
        raise DTypeError("gradcheck: no input has requires_grad=True, so there is nothing to check")
    for words, variable in variables.items():
        _check_differences("gradcheck", words, variable)
    point = _Point(lambda: pytree.ends(function(*copies)), seed_value)
    tolerance = _Tolerance(atol, rtol)
    for (words, variable), rows in zip(variables.items(), point.derivatives(list(variables.values()), full), strict=True):
        with reporting(invalid="ignore"):  # an infinite gradient is a mistake like others
            if full:
                claimed = np.array(rows).reshape((len(rows), *variable.shape))
                _compare_every_pair(point, words, variable, claimed, eps, tolerance)
            else:
                _compare_along_directions(point, words, variable, rows[0], eps, tolerance)
    return True


def _checked(
    function: Any, inputs: Any, eps: Any, atol: Any, rtol: Any, seed_value: Any, full: Any, where: str
) -> list[Tensor]:
    """The inputs as a list, after a look at all that a check is given."""
    if not callable(function):
        raise DTypeError(f"{where}: expected a function first, got {function!r:.60}")
    if not 0 < real(eps, f"{where}: eps") < np.inf:
        raise ArgumentError(f"{where}: expected a step eps > 0, got {eps!r}")
    real(atol, f"{where}: atol", 0)
    real(rtol, f"{where}: rtol", 0)
    count(seed_value, f"{where}: seed_value")
    flag(full, f"{where}: full")
    tensors = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    for number, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            got = type(tensor).__name__
            raise DTypeError(f"{where}: expected input {number} to be a Tensor (requires_grad=True to check it), got {got}")
    return tensors


class _Tolerance(NamedTuple):
    """How far autograd and differences may be apart."""

    atol: float
    rtol: float

    def excess(self, claimed: Any, numerical: Any) -> Any:
        """By how much the difference is larger than allowed; NaN where either is NaN."""
        return np.abs(claimed - numerical) - (self.atol + self.rtol * np.abs(numerical))

    @override
    def __str__(self) -> str:
        return f"{self.atol} + {self.rtol} · |numerical|"


class _Point:
    """A function at one point: what its outputs are called, random weights for them, and how to evaluate it again."""

    def __init__(self, evaluate: Callable[[], list[Any]], seed_value: int) -> None:
        self.evaluate = evaluate
        self.rng = np.random.default_rng(seed_value)
        self.entries: list[tuple[str, tuple[int, ...]]] = []
        self.weights = np.zeros(0)

    def derivatives(self, variables: list[Tensor], full: bool) -> list[list[Array]]:
        """For each variable autograd's gradient of the weighted outputs, or of every entry of them one by one."""
        outputs = self.evaluate()
        for number, output in enumerate(outputs):
            if not isinstance(output, Tensor) or output.dtype != np.float64:
                got = output.dtype if isinstance(output, Tensor) else type(output).__name__
                raise DTypeError(f"gradcheck: expected the function to return float64 tensors, got {got}")
            self.entries += [(_words(f"output {number}", output), index) for index in np.ndindex(output.shape)]
        first = np.concatenate([np.zeros(0), *(output.numpy().reshape(-1) for output in outputs)])
        largest = np.abs(first[np.isfinite(first)]).max(initial=0.0)  # what is recorded may be rounded in another order
        if not np.allclose(first, self.values(), rtol=0.0, atol=1e-13 * largest, equal_nan=True):
            raise ArgumentError(
                "gradcheck: the function returned something else the second time; fix its seed, or switch dropout off"
            )
        self.weights = np.ones(1) if first.size == 1 else self.rng.standard_normal(first.shape)
        rows = []
        for upstream in np.eye(first.size) if full else [self.weights]:
            cuts = np.cumsum([output.size for output in outputs])[:-1]
            shares = zip(outputs, np.split(upstream, cuts) if outputs else [], strict=True)
            seeds = [seed(y, g.reshape(y.shape), "gradcheck") for y, g in shares if y.requires_grad]
            found: dict[Any, Array] = {node: g for node, g in graph.sweep(seeds, ArrayAccumulator()) if node.is_leaf}
            rows.append([found.get(v.node) for v in variables])
        return [
            [np.zeros(v.shape) if row[k] is None else np.array(row[k]) for row in rows] for k, v in enumerate(variables)
        ]

    def values(self) -> Array:
        """All entries of the outputs for the variables as they are now."""
        with no_grad():
            return np.concatenate([np.zeros(0), *(output.numpy().reshape(-1) for output in self.evaluate())])

    def slope(self, array: Array, where: Any, eps: float, direction: Any = 1.0) -> float:
        """The central difference of the weighted outputs when ``array[where]`` moves along ``direction``."""
        return float(_slope(self.values, array, where, eps, direction) @ self.weights)


def _compare_along_directions(
    point: _Point, words: str, variable: Tensor, claimed: Array, eps: float, tolerance: _Tolerance
) -> None:
    """Compare the derivatives along random directions; if one is wrong, find the worst entry."""
    few = claimed.size <= 6
    for direction in _units(claimed.shape) if few else (point.rng.standard_normal(claimed.shape) for _ in range(3)):
        along = float((claimed * direction).sum())
        numerical_along = point.slope(variable.data, ..., eps, direction)
        if tolerance.excess(along, numerical_along) <= 0:
            continue
        numerical = np.array([point.slope(variable.data, index, eps) for index in np.ndindex(claimed.shape)])
        numerical = numerical.reshape(claimed.shape)
        excess = tolerance.excess(claimed, numerical)
        wrong = ~(excess <= 0)
        place = _worst(excess)
        summary = f"{int(wrong.sum())} of {wrong.size} entries differ by more than {tolerance}"
        if not wrong.any():
            summary = (
                f"no entry alone differs by more than {tolerance}, but along a random direction autograd says {along!r} and "
                f"central differences say {numerical_along!r}"
            )
        weighted = ", for the outputs weighted with random numbers (full=True compares them one by one)"
        raise GradientMismatchError(
            f"gradcheck: {words}, entry {place}: {_both(claimed[place], numerical[place])}"
            f"{weighted if point.weights.size > 1 else ''}; {summary}"
        )


def _compare_every_pair(
    point: _Point, words: str, variable: Tensor, claimed: Array, eps: float, tolerance: _Tolerance
) -> None:
    """Compare ∂output/∂variable for every pair of entries; ``claimed`` has one row for each entry of the outputs."""
    numerical = np.empty(claimed.shape)
    for index in np.ndindex(variable.shape):
        numerical[(slice(None), *index)] = _slope(point.values, variable.data, index, eps)
    excess = tolerance.excess(claimed, numerical)
    if not (excess <= 0).all():
        place = _worst(excess)
        output, index = point.entries[place[0]]
        raise GradientMismatchError(
            f"gradcheck: ∂({output}, entry {index}) / ∂({words}, entry {place[1:]}): "
            f"{_both(claimed[place], numerical[place])}; {int((~(excess <= 0)).sum())} of {excess.size} derivatives differ by "
            f"more than {tolerance}"
        )


def _both(claimed: Any, numerical: Any) -> str:
    return f"autograd says {float(claimed)!r} (analytical), central differences say {float(numerical)!r} (numerical)"


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    full: bool = False,
    seed_value: int = 0,
) -> bool:
    """Compare autograd's second derivatives with central differences of its first ones.

    What is checked, as in `gradcheck`, is the function (inputs, g) ↦ gᵀ J, with a random upstream gradient g of every
    output: its derivatives by the inputs are the second derivatives, those by g show that it is linear in g.

    Args:
        function: takes the inputs and returns a Tensor, or a pytree of them.
        inputs: float64 tensors; those with ``requires_grad`` are checked.
        eps, atol, rtol, full, seed_value: as for `gradcheck`.

    Returns:
        True.

    Raises:
        GradientMismatchError, DTypeError, ArgumentError: as for `gradcheck`; in the message, output k is the gradient of
            the k-th checked input.

    >>> x = Tensor([0.3, -0.7], requires_grad=True)
    >>> gradgradcheck(lambda x: x**3.0, x)
    True
    """
    tensors = _checked(function, inputs, eps, atol, rtol, seed_value, full, "gradgradcheck")
    checked = [number for number, tensor in enumerate(tensors) if tensor.requires_grad]
    if not checked:
        raise DTypeError("gradgradcheck: no input has requires_grad=True, so there is nothing to check")

    def first_derivative(*given: Tensor) -> tuple[Any, ...]:
        def of_checked(*variables: Tensor) -> list[Any]:
            arguments = list(given[: len(tensors)])
            for number, variable in zip(checked, variables, strict=True):
                arguments[number] = variable
            return pytree.ends(function(*arguments))

        points = [given[number] for number in checked]
        return vjp(of_checked, *points, create_graph=is_recording())[1](list(given[len(tensors) :]))

    with no_grad():
        outputs = pytree.ends(function(*[tensor.detach() for tensor in tensors]))
    for output in outputs:
        if not isinstance(output, Tensor):
            raise DTypeError(f"gradgradcheck: expected the function to return float64 tensors, got {type(output).__name__}")
    rng = np.random.default_rng(seed_value + 1)
    upstream = [
        Tensor(rng.standard_normal(output.shape), requires_grad=True, name=f"upstream gradient {number}")
        for number, output in enumerate(outputs)
    ]
    return gradcheck(first_derivative, [*tensors, *upstream], None, eps, atol, rtol, full, seed_value)


def _named(parameters: Any) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a Module, a dict or a sequence, each with a name."""
    if parameters is None:
        return
    expected = "a Module, a dict of tensors with their names, or a sequence of tensors"
    if isinstance(parameters, Mapping):
        found = list(parameters.items())
    elif hasattr(parameters, "named_parameters"):
        found = list(parameters.named_parameters())
    else:
        given = several(parameters, "gradcheck: parameters", expected)
        found = [(getattr(p, "name", None) or str(number), p) for number, p in enumerate(given)]
    for name, parameter in found:
        if not isinstance(parameter, Tensor):
            raise DTypeError(f"gradcheck: parameters: expected {expected}, got {parameter!r:.60} for {name}")
        yield name, parameter


def _words(what: str, tensor: Tensor) -> str:
    """``what``, with the tensor's name and time step, if it has them."""
    facts = []
    if tensor.name is not None and tensor.name not in what.split():
        facts.append(tensor.name)
    if tensor.node is not None and tensor.node.time is not None:
        facts.append(f"time step {tensor.node.time}")
    return f"{what} ({', '.join(facts)})" if facts else what


def _units(shape: tuple[int, ...]) -> Iterator[Array]:
    """Every direction along one axis of the space of arrays of this shape."""
    for index in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[index] = 1.0
        yield unit


def _worst(excess: Array) -> tuple[int, ...]:
    """Where the excess is largest; NaN is larger than all."""
    where = np.unravel_index(int(np.argmax(np.where(np.isnan(excess), np.inf, excess))), excess.shape)
    return tuple(int(i) for i in where)
