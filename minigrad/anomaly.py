"""Where the first NaN or infinity came from.

Inside ``detect_anomaly()`` every result is looked at when it is recorded, and every gradient when it is sent. The first
one that is not finite raises an error that names the operation, where in the model and in time it was recorded, the line
of code that asked for it, and the ranges of the numbers it was computed from. Outside, nothing of this costs anything
but one comparison for each recorded operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.diagnosis import ADVICE, CLIP, Growth, Line, operands, range_of, trouble, user_line
from minigrad.errors import AnomalyError, ArgumentError
from minigrad.gradients import ArrayAccumulator, sent
from minigrad.graph import OUTPUT, Gradient, Leaf, Node, Operation
from minigrad.scope import Place, Setting, end_trace, state
from minigrad.tensor import Tensor
from minigrad.transforms import TensorAccumulator

__all__ = ["detect_anomaly"]

SOUGHT = Line(())
"""In the thread's place: the line of code is to be found for every operation recorded."""


class detect_anomaly(Setting):
    """Raise AnomalyError where a NaN or an infinity first appears, in the forward or in the backward pass.

    A context manager and a decorator, for the thread it is used in. NumPy's own warnings about such numbers are silent
    inside, since the error says more. It makes recording several times slower: use it to find a fault.

    Args:
        infinity: whether infinities count too; switch it off where they are meant, as in masks of −∞.

    Raises:
        ArgumentError: ``infinity`` is not a boolean.
        AnomalyError: from the operation, or from the backward pass, in which the first one appears.

    >>> import minigrad as mg
    >>> x = mg.Tensor([-1.0], requires_grad=True, name="x")
    >>> with mg.detect_anomaly(), mg.scope("loss"):
    ...     y = mg.sqrt(x)
    Traceback (most recent call last):
    minigrad.errors.AnomalyError: NaN first appeared in the forward of 'sqrt' (loss), shape (1,): 1 of 1 entries NaN
      input 0, 'x', shape (1,): from -1 to -1
      recorded at File "<doctest minigrad.anomaly.detect_anomaly[2]>", line 2, in <module>
        y = mg.sqrt(x)
      √x is undefined below 0 and its derivative is infinite at 0; use sqrt(x + ε)
    """

    __slots__ = ("_infinity",)

    def __init__(self, infinity: bool = True) -> None:
        if not isinstance(infinity, bool):
            raise ArgumentError(
                f"detect_anomaly: expected infinity to be True or False, got {infinity!r:.60}; as a decorator, write "
                "@detect_anomaly()"
            )
        self._infinity = infinity

    @override
    def enter(self) -> Any:
        end_trace("detect_anomaly")
        found = state.place, state.detector, np.geterr()
        place, detector = Place(state.place.time, state.place.scope, SOUGHT), Detector(self._infinity)
        try:
            np.seterr(all="ignore")
        except BaseException:
            np.seterr(**found[2])
            raise
        state.place, state.detector = place, detector
        return found

    @override
    def leave(self, found: Any) -> None:
        state.place, state.detector, warnings = found
        np.seterr(**warnings)


class Detector:
    """What looks at results and gradients during one use of ``detect_anomaly``."""

    def __init__(self, infinity: bool) -> None:
        self.infinity = infinity
        self.values = Growth("values")

    def look_at(self, node: Operation, y: Any) -> None:
        """Note where an operation that was just recorded came from, and refuse its result if it is not finite."""
        if node.place.line is SOUGHT:
            node.place = node.place._replace(line=user_line())
        kind = trouble(y, self.infinity)
        if kind is None:
            self.values.note(node.time, y)
            return
        inputs = [(f"input {k}{_called(source)}", source, array) for k, (source, array) in enumerate(operands(node))]
        already = [(words, source) for words, source, array in inputs if trouble(array, self.infinity) is not None]
        if already:
            words, source = already[0]
            headline = f"{kind} in the forward of {described(node)} was already in {words}"
            last = [f"  {_origin(source)}"]
        else:
            headline = f"{kind} first appeared in the forward of {described(node)}{range_of(y)}"
            last = _advice(node, kind, self.values)
        ranges = [f"  {words}{range_of(array)}" for words, _, array in inputs]
        raise AnomalyError("\n".join([headline, *ranges, *_where(node), *last]))

    def array_accumulator(self) -> CheckedArrayAccumulator:
        """Sums of arrays for a backward pass that looks at every gradient."""
        return CheckedArrayAccumulator(self.infinity)

    def tensor_accumulator(self) -> CheckedTensorAccumulator:
        """Sums of Tensors for a recorded backward pass that looks at every gradient."""
        return CheckedTensorAccumulator(self.infinity)


class Inspector:
    """Looks at the gradients of one backward pass."""

    def __init__(self, infinity: bool) -> None:
        self.infinity = infinity
        self.growth = Growth("gradients")
        self.reached: set[Node | None] = set()

    def arriving(self, node: Node, g: Any) -> None:
        """Look at the whole gradient of a node."""
        kind = trouble(g, self.infinity)
        if kind is None:
            self.growth.note(node.time, g)
            return
        if node in self.reached:
            what = f"{kind} first appeared in the sum of the gradients that the consumers of {described(node)} send"
            advice = _advice(node, kind, self.growth)
        else:
            what = f"{kind} was already in the gradient that backward of {described(node)} was started with"
            advice = []
        raise AnomalyError("\n".join([f"{what}{range_of(g)}", *_where(node), *advice]))

    def changed(self, operation: Operation, g: Any) -> None:
        """Look at the gradient of an operation after its hooks."""
        kind = trouble(g, self.infinity)
        if kind is not None:
            what = f"{kind} first appeared in what a hook on {described(operation)} returned"
            raise AnomalyError("\n".join([f"{what}{range_of(g)}", *_where(operation)]))

    def sent(self, operation: Operation, g: Any, position: int, contribution: Any) -> None:
        """Look at what an operation sends to one of its inputs."""
        source = operation.sources[position]
        self.reached.add(source)
        kind = trouble(contribution, self.infinity)
        if kind is None:
            return
        lines = [
            f"{kind} first appeared in the backward of {described(operation)}, in the gradient for input "
            f"{position}{_called(source)}{range_of(contribution)}",
            f"  upstream gradient{range_of(g)}",
        ]
        lines += [f"  {words}{range_of(kept)}" for words, kept in _kept(operation)]
        lines += _where(operation)
        lines += _advice(operation, kind, self.growth)
        raise AnomalyError("\n".join(lines))


class CheckedArrayAccumulator(ArrayAccumulator):
    """Sums of arrays that are looked at."""

    __slots__ = ("_inspector",)

    def __init__(self, infinity: bool) -> None:
        super().__init__()
        self._inspector = Inspector(infinity)

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        self._inspector.changed(operation, g)
        contributions = super().derivative(operation, g)
        for position, contribution in sent(operation, contributions):
            self._inspector.sent(operation, g, position, contribution)
        return contributions

    @override
    def sum(self, node: Node) -> Gradient:
        g = super().sum(node)
        self._inspector.arriving(node, g)
        return g


class CheckedTensorAccumulator(TensorAccumulator):
    """Sums of Tensors that are looked at."""

    def __init__(self, infinity: bool) -> None:
        super().__init__()
        self._inspector = Inspector(infinity)

    @override
    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        self._inspector.changed(operation, g._array)
        try:
            contributions = super().derivative(operation, g)
        except AnomalyError as error:
            error.add_note(f"in the recorded backward of {described(operation)}")
            raise
        for position, (source, contribution) in enumerate(zip(operation.sources, contributions, strict=True)):
            if source is not None and contribution is not None and source.requires_grad:
                values = contribution._array if isinstance(contribution, Tensor) else contribution
                self._inspector.sent(operation, g._array, position, values)
        return contributions

    @override
    def sum(self, node: Node) -> Gradient:
        g = super().sum(node)
        self._inspector.arriving(node, g._array)
        return g


def described(node: Node) -> str:
    """The node in a sentence; if it has no name yet, with the one that its line of code is about to give."""
    line = node.place.line
    name = line.name if node.name is None and line is not None and line.calls else None
    return node.described() if name is None else f"{node.described()}, in the line that computes {name!r}"


def _called(source: Node | None) -> str:
    if source is None:
        return ", a constant"
    if source.name is not None:
        return f", {source.name!r}"
    return ", a leaf" if source.is_leaf else f", a result of {source.label!r}"


def _kept(operation: Operation) -> list[tuple[str, Any]]:
    """What the operation kept for its derivative, as far as these are its inputs or its result."""
    kept = []
    for number, array in zip(operation.keeps, operation.saved or (), strict=False):
        if not isinstance(array, np.ndarray | np.generic | float | int):
            continue
        if number == OUTPUT:
            kept.append(("its result", array))
        elif 0 <= number < len(operation.sources):
            kept.append((f"input {number}{_called(operation.sources[number])}", array))
    return kept


def _where(node: Node) -> list[str]:
    line = node.place.line
    if isinstance(node, Leaf):
        return []
    if line is None or not line.calls:
        return ["  recorded before detect_anomaly() was entered, so the line of code is not known"]
    return list(line.shown())


def _origin(source: Node | None) -> str:
    if source is None or (isinstance(source, Leaf) and not source.requires_grad):
        return "look at the data that were passed in"
    if isinstance(source, Leaf):
        return (
            "an earlier update must have put it there, which is what exploding gradients do. To find it, have the forward and "
            f"backward pass before that update inside detect_anomaly(); to cure it, {CLIP}"
        )
    return "it was recorded before detect_anomaly() was entered; have the whole forward pass inside"


def _advice(node: Node, kind: str, growth: Growth) -> list[str]:
    explosion = growth.described(node.time)
    if explosion is not None:
        return [f"  {explosion}: {CLIP}"]
    hint = ADVICE.get(node.label)
    if hint is None and kind == "infinity":
        hint = f"an overflow; if this happened in training, {CLIP}"
    return [] if hint is None else [f"  {hint}"]
