"""The words for what went wrong with numbers: ranges of arrays, lines of user code, and growth over time steps."""

from __future__ import annotations

import linecache
import math
import re
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from minigrad.graph import Node
from minigrad.guard import Array
from minigrad.recording import Constant
from minigrad.tensor import Tensor

__all__ = ["ADVICE", "CLIP", "Growth", "Line", "magnitude", "operands", "range_of", "trouble", "user_line"]

LIBRARY = __name__.partition(".")[0]
FLOORS_ABOVE = tuple(f"{LIBRARY}.{floor}." for floor in ("models", "viz"))
"""The modules that are part of minigrad and stand on its engine: their lines are formulas, but not the user's."""

CLIP = (
    "clip gradients at every update (minigrad.clipping.clip_grad_norm_), use a smaller learning rate, or start from smaller or "
    "orthogonal recurrent weights"
)

ADVICE = {
    "log": "ln x is −∞ at 0 and undefined below; use log_softmax or cross_entropy instead of log(softmax(x)), or log(x + ε)",
    "div": "a division by 0, or by something tiny; add a small ε to the denominator",
    "exp": "eˣ overflows for x > 709 (88 in float32); subtract the maximum first, as softmax and logsumexp do",
    "sqrt": "√x is undefined below 0 and its derivative is infinite at 0; use sqrt(x + ε)",
    "pow": "a negative number to a fractional power is undefined, and 0 to a negative one, or its derivative, is infinite",
}
"""What usually helps, for each operation that is known for it."""


class Line(NamedTuple):
    """A line of code outside minigrad, and the lines that called it, innermost first: (file, number, function).

    ``formula`` is the line of a cell of minigrad's own, if the user's line led there.
    """

    calls: tuple[tuple[str, int, str], ...]
    formula: tuple[str, int, str] | None = None

    @property
    def source(self) -> str:
        """The innermost line itself, as far as it can be found."""
        file, number, _ = self.formula or self.calls[0]
        return linecache.getline(file, number).strip()

    @property
    def name(self) -> str | None:
        """The one name that the line gives with ``.named("…")``: an operation in it may get the name later."""
        names = re.findall(r"""\.named\(\s*["']([^"']+)["']""", self.source)
        return names[0] if len(names) == 1 else None

    def shown(self) -> Iterator[str]:
        """The lines as in a traceback."""
        said = "recorded at"
        for file, number, function in [self.formula, *self.calls] if self.formula else self.calls:
            yield f'  {said} File "{file}", line {number}, in {function}'
            source = linecache.getline(file, number).strip()
            if source:
                yield f"    {source}"
            said = "called from"


def _is_ours(frame: FrameType) -> bool:
    """Whether the code stands in a file of minigrad's, whatever folder it is installed in."""
    name = str(frame.f_globals.get("__name__"))
    return f"{name}.".startswith(f"{LIBRARY}.") and not frame.f_code.co_filename.startswith("<")


def _is_engine(frame: FrameType) -> bool:
    return _is_ours(frame) and not f"{frame.f_globals['__name__']}.".startswith(FLOORS_ABOVE)


def user_line(depth: int = 3) -> Line | None:
    """The line outside minigrad that is being executed now, with up to ``depth`` − 1 callers, as far as its own module."""
    frame: FrameType | None = sys._getframe(1)
    calls: list[tuple[str, int, str]] = []
    formula: tuple[str, int, str] | None = None
    while frame is not None and len(calls) < depth:
        place = frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        if not _is_ours(frame):
            calls.append(place)
        elif not (calls or formula or _is_engine(frame)):
            formula = place
        frame = None if frame.f_code.co_name == "<module>" else frame.f_back
    return Line(tuple(calls), formula) if calls else None


def operands(node: Node) -> list[tuple[Node | None, Any]]:
    """The inputs of ``node``, which is being recorded, each with its array, or with None if that cannot be found.

    They are among the variables of minigrad's own functions between the user's line and the recording.
    """
    frame: FrameType | None = sys._getframe(1)
    candidates: list[Any] = []
    while frame is not None and _is_ours(frame):
        for value in frame.f_locals.values():
            candidates.extend(value if isinstance(value, list | tuple) else (value,))
        frame = frame.f_back
    tensors = [value for value in candidates if isinstance(value, Tensor) and value._node is not node]
    constants = iter({id(v): v for v in candidates if isinstance(v, Tensor | Constant) and v._node is None}.values())
    found: list[tuple[Node | None, Any]] = []
    for source in node.sources:
        if source is None:
            operand: Any = next(constants, None)
        else:
            operand = next((t for t in tensors if t._node is source), None)
            if operand is None:  # the product with W.T is recorded as one with W
                made_of = (t for t in tensors if t._node not in (None, node) and source in t._node.sources)
                operand = next(made_of, None)
        found.append((source, None if operand is None else operand._array))
    return found


def trouble(array: Any, infinity: bool = True) -> str | None:
    """"NaN" or "infinity" if the array has one, else None."""
    array = np.asarray(array)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    if np.isnan(array).any():
        return "NaN"
    return "infinity" if infinity else None


def range_of(array: Any) -> str:
    """The shape, the finite values from the smallest to the largest, and how many are not finite: what follows a name."""
    if array is None:
        return ", not known"
    array = np.asarray(array)
    finite = array[np.isfinite(array)]
    nans, infinities = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    facts = [f"from {finite.min():.4g} to {finite.max():.4g}"] if finite.size else []
    facts += [f"{nans} of {array.size} entries NaN"] if nans else []
    facts += [f"{infinities} of {array.size} entries infinite"] if infinities else []
    return f", shape {array.shape}: {', '.join(facts) or 'no entries'}"


def magnitude(array: Array) -> float:
    """The Euclidean norm, without overflow on the way."""
    largest = float(np.abs(array).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = np.asarray(array, np.float64) / largest
    return math.sqrt(float((scaled * scaled).sum())) * largest


class Growth:
    """The largest norm seen at each time step, in the order in which the steps were reached."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.norms: dict[int, float] = {}

    def note(self, time: int | None, array: Array) -> None:
        """Remember an array of this time step, if it is the largest so far."""
        if time is not None:
            self.norms[time] = max(self.norms.get(time, 0.0), magnitude(array))

    def described(self, time: int | None) -> str | None:
        """Where the norms began to grow towards an overflow at ``time``, with some of them; None if they did not."""
        path = [(t, norm) for t, norm in self.norms.items() if t != time and 0.0 < norm < math.inf]
        low = min((norm for _, norm in path), default=0.0)
        smallest = max((k for k, (_, norm) in enumerate(path) if norm <= 2 * low), default=0)
        steps = len(path) - 1 - smallest
        if steps < 3 or path[-1][1] < 1e3 * low:
            return None
        (start, low), (end, high) = path[smallest], path[-1]
        shown = path[smallest:]
        if len(shown) > 6:
            shown = [shown[round(k * (len(shown) - 1) / 5)] for k in range(6)]
        listed = ", ".join(f"t = {t}: {norm:.1e}" for t, norm in shown)
        factor = math.exp((math.log(high) - math.log(low)) / steps)
        return (
            f"{self.what} began to explode at time step {start} and grew by a factor of about {factor:.3g} a step up to time "
            f"step {end} (largest norm by time step: {listed})"
        )
