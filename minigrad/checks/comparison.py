"""Gradients from several sources side by side: derived by hand, by autograd, by differences, from another framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from minigrad import pytree
from minigrad.arguments import real, several, text
from minigrad.checks.narrowing import on_the_way_out
from minigrad.errors import ArgumentError, DTypeError, GradientMismatchError, GraphError, ShapeError
from minigrad.guard import Array
from minigrad.recording import plain

__all__ = ["Comparison", "Difference", "assert_gradients_close", "compare_gradients"]


class Difference(NamedTuple):
    """One gradient from one source against the reference.

    Attributes:
        gradient: what the gradient is with respect to.
        source: who says so.
        shape: its shape.
        largest: max |reference|.
        relative: max |source − reference| / max |reference|; 0 where both are 0 throughout, NaN if either has a NaN.
        place: the entry where they differ most.
        expected, got: what the reference and the source say there.
        factor: the c for which source = c · reference throughout, if there is one and it is not 1; else None.
        what: what it is instead, if that can be told: transposed, another's gradient, exchanged with another; or "".
        agrees: whether the difference is within the tolerance.
    """

    gradient: str
    source: str
    shape: tuple[int, ...]
    largest: float
    relative: float
    place: tuple[int, ...]
    expected: float
    got: float
    factor: float | None
    agrees: bool
    what: str = ""


class Comparison:
    """The differences of all gradients of all sources from the first source; printed, it is a table."""

    def __init__(self, names: Sequence[str], differences: Sequence[Difference]) -> None:
        self.names = tuple(names)
        self.differences = tuple(differences)

    @property
    def agree(self) -> bool:
        """Whether all sources agree about all gradients."""
        return all(difference.agrees for difference in self.differences)

    @property
    def worst(self) -> Difference | None:
        """The largest relative difference (NaN before all); None if there are no gradients."""
        return max(self.differences, key=lambda d: np.inf if np.isnan(d.relative) else d.relative, default=None)

    @override
    def __repr__(self) -> str:
        return str(self)

    @override
    def __str__(self) -> str:
        reference = self.names[0]
        header = ["gradient of", "shape", f"max |{reference}|", "source", "max rel. difference", ""]
        rows = [header]
        for d in self.differences:
            shape = " × ".join(map(str, d.shape)) or "()"
            rows.append([d.gradient, shape, f"{d.largest:.2e}", d.source, f"{d.relative:.1e}", _verdict(d, reference)])
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        numeric = (2, 4)
        lines = []
        for row in rows:
            cells = [row[k].rjust(widths[k]) if k in numeric else row[k].ljust(widths[k]) for k in range(5)]
            lines.append("   ".join([*cells, row[5]]).rstrip())
        return "\n".join(lines)


def _verdict(d: Difference, reference: str) -> str:
    if d.agrees:
        return "equal"
    if d.factor is not None:
        return f"DIFFERS: {d.factor:.6g} times {reference}"
    if d.what:
        return f"DIFFERS: {d.what}"
    entry = f"entry {d.place}: " if d.place else ""
    return f"DIFFERS: {entry}{d.got:.6g} instead of {d.expected:.6g}"


def compare_gradients(
    reference: Any,
    *others: Any,
    names: Sequence[str] | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-12,
) -> Comparison:
    """Compare gradients from several sources with those from the first.

    Two gradients agree if max |source − reference| ≤ atol + rtol · max |reference|, over all entries of one gradient.

    Args:
        reference: a pytree of arrays or Tensors: a dict with the names of the parameters, a tuple, or one array.
        others: the same from other sources; dicts with the same keys, in any order.
        names: what to call the sources, the reference first; by default "reference", "other", "other 2", …
        rtol, atol: the tolerance.

    Raises:
        ArgumentError: the sources have different keys or lengths, or the wrong number of names is given.
        GraphError: a gradient is None: there was no backward pass yet.
        ShapeError: a gradient has another shape in another source.
        DTypeError: something is not an array of real numbers.

    >>> by_hand = {"W": np.array([[1.0, 2.0]]), "b": np.array([3.0, 4.0])}
    >>> by_autograd = {"W": np.array([[1.0, 2.0]]), "b": np.array([-3.0, -4.0])}
    >>> print(compare_gradients(by_autograd, by_hand, names=("autograd", "by hand")))
    gradient of   shape   max |autograd|   source    max rel. difference
    W             1 × 2         2.00e+00   by hand               0.0e+00   equal
    b             2             4.00e+00   by hand               2.0e+00   DIFFERS: -1 times autograd
    """
    rtol, atol = real(rtol, "compare_gradients: rtol", 0), real(atol, "compare_gradients: atol", 0)
    if names is None:
        names = ["reference", "other", *(f"other {k}" for k in range(2, len(others) + 1))][: len(others) + 1]
    names = [text(name, "compare_gradients: names") for name in several(names, "compare_gradients", "a name for each source")]
    if len(names) != len(others) + 1:
        raise ArgumentError(f"compare_gradients: expected {len(others) + 1} names, one for each source, got {len(names)}")
    for name, source in zip(names, (reference, *others), strict=True):
        pytree.ends(source)
        _refuse_missing(name, source)
    labels = [path[3:] for path, _ in pytree.named_ends((reference,))]
    labels = [label[2:-2] if label.startswith("['") and label.count("['") == 1 else label or "x" for label in labels]
    wanted = [_array(end, f"{names[0]}, {label}") for label, end in zip(labels, pytree.ends(reference), strict=True)]
    differences = []
    given = [pytree.like(reference, other, f"compare_gradients: {name}") for name, other in zip(names[1:], others, strict=True)]
    for k, (label, expected) in enumerate(zip(labels, wanted, strict=True)):
        for name, arrays in zip(names[1:], given, strict=True):
            differences.append(_difference(label, name, expected, _array(arrays[k], f"{name}, {label}"), rtol, atol))
    return Comparison(names, [_diagnosed(difference, differences, labels, wanted, given, names) for difference in differences])


def assert_gradients_close(
    reference: Any,
    *others: Any,
    names: Sequence[str] | None = None,
    rtol: float = 1e-7,
    atol: float = 1e-12,
) -> Comparison:
    """`compare_gradients`, and an error with the table if any two differ: for tests.

    Raises:
        GradientMismatchError: an AssertionError that names the worst entry and both numbers.

    >>> right, wrong = {"W": np.array([1.0, 2.0])}, {"W": np.array([1.0, 2.5])}
    >>> assert_gradients_close(right, wrong, names=("autograd", "by hand"))
    Traceback (most recent call last):
    minigrad.errors.GradientMismatchError: gradients differ, most at W, entry (1,): autograd says 2.0, by hand says 2.5
    gradient of   shape   max |autograd|   source    max rel. difference
    W             2             2.00e+00   by hand               2.5e-01   DIFFERS: entry (1,): 2.5 instead of 2
    """
    comparison = compare_gradients(reference, *others, names=names, rtol=rtol, atol=atol)
    wrong = Comparison(comparison.names, [d for d in comparison.differences if not d.agrees]).worst
    if wrong is not None:
        entry = f", entry {wrong.place}" if wrong.place else ""
        raise GradientMismatchError(
            f"gradients differ, most at {wrong.gradient}{entry}: {comparison.names[0]} says {wrong.expected!r}, "
            f"{wrong.source} says {wrong.got!r}\n{comparison}"
        )
    return comparison


def _diagnosed(
    difference: Difference,
    differences: Sequence[Difference],
    labels: Sequence[str],
    wanted: Sequence[Array],
    given: Sequence[Sequence[Any]],
    names: Sequence[str],
) -> Difference:
    """A difference with what the gradient is instead, if it is all of another, transposed, or has something added."""
    if difference.agrees or difference.factor is not None:
        return difference
    source = [*names].index(difference.source) - 1
    arrays = {label: plain(array, label) for label, array in zip(labels, given[source], strict=True)}
    wrong = {d.gradient: arrays[d.gradient] for d in differences if d.source == difference.source and not d.agrees}
    right = dict(zip(labels, wanted, strict=True))
    found = on_the_way_out(wrong, right, {label: label for label in labels}, {}, 1e-6)
    return difference._replace(what="; ".join(f.missing for f in found if difference.gradient in f.gradients))


def _refuse_missing(name: str, source: Any, path: str = "") -> None:
    """Raise GraphError if a gradient is None, which is what ``grad`` holds before a backward pass."""
    if source is None:
        what = f"the gradient of {path}" if path else "the gradient"
        raise GraphError(
            f"compare_gradients: {name}: {what} is None: no backward pass has reached it. Call backward() on a loss that "
            "depends on it first"
        )
    if isinstance(source, dict):
        parts: Iterable[tuple[Any, Any]] = source.items()
    else:
        parts = enumerate(source) if isinstance(source, tuple | list) else ()
    for key, part in parts:
        _refuse_missing(name, part, f"{path}.{key}" if path else str(key))


def _array(value: Any, where: str) -> Array:
    array = plain(value, f"compare_gradients: {where}")
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"compare_gradients: {where}: expected an array of real numbers, got {type(value).__name__}")
    return array


def _difference(label: str, source: str, expected: Array, got: Array, rtol: float, atol: float) -> Difference:
    if expected.shape != got.shape:
        turned = ": it is transposed" if got.shape == expected.shape[::-1] else ""
        raise ShapeError(f"compare_gradients: {source}, {label}: expected the shape {expected.shape}, got {got.shape}{turned}")
    if not expected.size:
        return Difference(label, source, expected.shape, 0.0, 0.0, (), 0.0, 0.0, None, True)
    distance = np.abs(np.asarray(got, np.float64) - expected)
    distance = np.where(np.isnan(distance), np.inf, distance)
    index = np.unravel_index(int(np.argmax(distance)), distance.shape)
    largest, most = float(np.abs(expected).max()), float(distance[index])
    agrees = most <= atol + rtol * largest
    return Difference(
        gradient=label,
        source=source,
        shape=expected.shape,
        largest=largest,
        relative=most / largest if largest else most,
        place=tuple(int(i) for i in index),
        expected=float(expected[index]),
        got=float(got[index]),
        factor=None if agrees else _factor(expected, got, atol + 1e-6 * largest),
        agrees=agrees,
    )


def _factor(expected: Array, got: Array, tolerance: float) -> float | None:
    """The c for which ``got`` = c · ``expected`` in more than one entry, if there is one."""
    if np.count_nonzero(expected) < 2 or not (np.isfinite(expected).all() and np.isfinite(got).all()):
        return None
    c = float((expected * got).sum() / (expected * expected).sum())
    return c if np.abs(got - c * expected).max() <= tolerance * max(1.0, abs(c)) else None
