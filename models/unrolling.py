"""Cells over time: the step repeated, forward or in reverse, over sequences of one or of different lengths.

Arrays are time-major: xs is (T, B, D), the states stacked over time are (T, B, H). Time steps are numbered as in the
courses: x_1 … x_T are xs[0] … xs[T−1], and time 0 is the initial state (time T+1 when the sequence is read in reverse).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, current_place, scope, stack, time_step, where
from minigrad.errors import ArgumentError, ShapeError
from minigrad.graph import Leaf
from minigrad.loops import Rolled, roll
from minigrad.memory import collector_paused
from minigrad.scope import Place

from .alike import steps_are_alike
from .checks import positive_size
from .recurrent import Cell, Recurrent, parts_of, shape_of, with_parts

__all__ = ["Valid", "checked_cell", "checked_lengths", "detached", "run", "scope_if", "stacked_over_time", "unroll"]

State = TypeVar("State")
Valid: TypeAlias = npt.NDArray[np.bool_] | None
"""(T, B), whether step t of example b is part of its sequence; None where all are."""


def unroll(
    cell: Recurrent[State],
    xs: Tensor | npt.ArrayLike,
    state: State | None = None,
    hoist: bool = False,
    *,
    lengths: npt.ArrayLike | None = None,
    reverse: bool = False,
    truncated: int | None = None,
) -> tuple[Tensor, State]:
    """The cell's step repeated over time, state_t = step(x_t, state_{t−1}) for t = 1 … T, each recorded under its t.

    Where all steps are alike (see `models.alike`), and there are no ``lengths`` and no truncation, the step is run once and
    its record repeated (`minigrad.loops`): the same numbers up to rounding and the same graph, far faster.

    Args:
        cell: anything with ``step(x, state)`` and ``initial_state(batch)``. A state is a Tensor, or a tuple of them
            whose last entry is the output h.
        xs: (T, B, D), time first: row b of xs[t − 1] is x_t of example b, x^{(b)<t>} in C3. With T = 0 hs is empty, and
            all its gradients are zero; the final state is the initial one.
        state: the initial state, each part (B, H); Tensors or arrays. Left out: ``cell.initial_state(B)``.
        hoist: do the input projection of all T steps in one product before the loop. The numbers are the same; it is
            faster, and the graph shows one projection instead of T.
        lengths: (B,) integers from 0 to T, in any order: how many steps of each example count. What xs holds beyond
            them is never looked at, not even NaN, and its gradient is exactly 0.
        reverse: read from the last step to the first, state_t = step(x_t, state_{t+1}); with ``lengths``, from each
            example's own last step.
        truncated: stop gradients after every k steps (truncated backpropagation through time): the state is carried on,
            its history is not. None: never.

    Returns:
        hs (T, B, H), the output of every step, 0 beyond an example's length, and the final state: that of the last step
        that counts, or the initial state where none does.

    Raises:
        ShapeError: xs, the state or the lengths do not fit; or a step's new state has another shape than the old one.
        ArgumentError: the cell has no ``step`` or no ``initial_state``; ``hoist`` is asked of one without ``project`` and
            ``recur``; a length outside 0 … T; ``truncated`` is not an integer ≥ 1.

    >>> from minigrad.models.cells import LSTM
    >>> hs, (c, h) = unroll(LSTM(input_size=3, hidden_size=4, seed=0), np.ones((5, 2, 3)), lengths=[5, 2])
    >>> hs.shape, h.shape, h.node.time, h.node.scope
    ((5, 2, 4), (2, 4), 5, ('lstm',))
    >>> hs.numpy()[2:, 1].any()
    np.False_
    """
    label = f"unroll {label_of(checked_cell('unroll', cell))}"
    xs = checked_inputs(label, cell, xs)
    T, B = xs.shape[:2]
    valid = checked_lengths(label, lengths, T, B)
    hs, final = run(cell, xs, state, B, hoist, valid, reverse, truncated)
    return stacked_over_time(cell, xs, hs, final), final


def run(
    cell: Recurrent[Any],
    xs: Tensor | Sequence[Tensor],
    state: Any,
    batch: int,
    hoist: bool = False,
    valid: Valid = None,
    reverse: bool = False,
    truncated: int | None = None,
) -> tuple[Tensor | list[Tensor], Any]:
    """What `unroll` does, on inputs (T, B, D) in one piece or as a list of T of them (B, D).

    Returns the outputs h_1 … h_T, as a list or already stacked, and the final state.
    """
    label, T = label_of(cell), len(xs)
    window = T + 1 if truncated is None else positive_size(f"unroll {label}", "truncated", truncated)
    times = range(T, 0, -1) if reverse else range(1, T + 1)
    with scope(label):
        with time_step(T + 1 if reverse else 0):
            state = cell.initial_state(batch) if state is None else _as_initial(cell, state)
        if isinstance(cell, Cell):
            cell.check_state(state, batch)
        inputs = _projected(cell, label, xs, valid) if hoist else xs
        rolled = None
        if valid is None and truncated is None and isinstance(xs, Tensor):
            rolled = _rolled(cell, label, inputs, state, hoist, times)
        if rolled is None:
            step = _stepper(cell, label, inputs, hoist, valid)
            with collector_paused():
                return _one_by_one(cell, step, state, times, valid, window)
    return rolled.outputs(), with_parts(state, rolled.state)


def _one_by_one(
    cell: Any, step: Callable[[int, Any], Any], state: Any, times: range, valid: Valid, window: int
) -> tuple[list[Tensor], Any]:
    """The outputs of all steps, run one after the other, and the final state."""
    hs = [parts_of(state)[-1]] * len(times)
    for done, t in enumerate(times):
        if done and done % window == 0:
            with time_step(t - times.step):
                state = _as_initial(cell, detached(state))
        with time_step(t):
            if valid is None or valid[t - 1].all():
                state = step(t, state)
                hs[t - 1] = parts_of(state)[-1]
            else:
                state, hs[t - 1] = _masked(step, t, state, valid[t - 1])
    return hs, state


def _projected(cell: Any, label: str, xs: Tensor | Sequence[Tensor], valid: Valid) -> Any:
    """The input projection of all steps."""
    if not (hasattr(cell, "project") and hasattr(cell, "recur")):
        raise ArgumentError(f"unroll {label}: hoist=True needs a cell with project(x) and recur(wx, state)")
    together = xs if isinstance(xs, Tensor) else stack(xs)
    return cell.project(together if valid is None else _only(valid, together))


def _rolled(cell: Any, label: str, inputs: Any, state: Any, hoist: bool, times: range) -> Rolled | None:
    """All steps as one loop, if they are alike; None if they have to be run one by one."""
    name = "recur" if hoist else "step"
    if not times or not steps_are_alike(cell, name):
        return None
    advance = getattr(cell, name)

    def step(rows: list[Tensor], parts: list[Tensor]) -> tuple[Tensor, ...]:
        with time_step(times[0]):
            return parts_of(_checked_state(label, advance(with_parts(inputs, rows), with_parts(state, parts)), state))

    memory = cell.recorded if isinstance(cell, Cell) else {}
    parameters = getattr(cell, "parameters", tuple)
    return roll(step, parts_of(inputs), parts_of(state), times, parameters, memory, None if hoist else "x")


def _stepper(cell: Any, label: str, inputs: Any, hoist: bool, valid: Valid) -> Callable[[int, Any], Any]:
    """The step at time t as a function of t and the state."""

    def step(t: int, state: Any) -> Any:
        x = inputs[t - 1].named("x") if isinstance(inputs, Tensor) else inputs[t - 1]
        return _checked_state(label, cell.step(x if valid is None else _only(valid[t - 1], x).named("x"), state), state)

    def recur(t: int, state: Any) -> Any:
        wx = with_parts(inputs, [part[t - 1] for part in parts_of(inputs)])
        return _checked_state(label, cell.recur(wx, state), state)

    return recur if hoist else step


def _checked_state(label: str, new: Any, old: Any) -> Any:
    """``new`` if it has the shapes of ``old``; ShapeError, which names cell and time step, otherwise."""
    if type(new) is Tensor and type(old) is Tensor and new.shape == old.shape:
        return new
    expected, got = [shape_of(part) for part in parts_of(old)], [shape_of(part) for part in parts_of(new)]
    if got != expected:
        raise ShapeError(
            f"{Place(current_place().time, (label,))}: step must return a state like the one it was given, of shape "
            f"{_shapes(expected)}; got {'None' if new is None else _shapes(got)}"
        )
    return new


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def _masked(step: Callable[[int, Any], Any], t: int, state: Any, valid: npt.NDArray[np.bool_]) -> tuple[Any, Tensor]:
    """The state after step t, and its output, where only some examples take the step: the others keep their state."""
    if not valid.any():
        h = parts_of(state)[-1]
        return state, Tensor(np.zeros(h.shape, h.dtype))
    new = step(t, state)
    kept = []
    for part, old in zip(parts_of(new), parts_of(state), strict=True):
        chosen = where(_along(valid, part), part, old)
        kept.append(chosen if part.name is None else chosen.named(part.name))
    return with_parts(new, kept), _only(valid, parts_of(new)[-1])


def _only(valid: npt.NDArray[np.bool_], x: Tensor) -> Tensor:
    """``x`` where ``valid``, 0 elsewhere; ``valid`` has the first axes of ``x``."""
    return x if valid.all() else where(_along(valid, x), x, 0.0)


def _along(valid: npt.NDArray[np.bool_], x: Tensor) -> npt.NDArray[np.bool_]:
    return valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim))


def detached(state: State) -> State:
    """The same state without its history: gradients stop here. For training on windows of a long sequence.

    >>> from minigrad.models.cells import LSTM
    >>> _, state = unroll(LSTM(3, 4, seed=0), np.ones((5, 2, 3)))
    >>> detached(state).h.requires_grad
    False
    """
    kept: State = with_parts(state, [part.detach() for part in parts_of(state)])
    return kept


def stacked_over_time(cell: Recurrent[State], xs: Tensor, hs: Tensor | Sequence[Tensor], state: State) -> Tensor:
    """The outputs (B, H) of T steps as one tensor (T, B, H), if they are not that already.

    For T = 0 it is recorded as a step on zeros of which nothing is kept, so that every gradient is there and zero.

    >>> from minigrad.models.cells import RNN
    >>> cell = RNN(input_size=3, hidden_size=4, seed=0)
    >>> hs, _ = unroll(cell, np.ones((0, 2, 3)))
    >>> hs.sum().backward()
    >>> hs.shape, cell.b_h.grad
    ((0, 2, 4), array([0., 0., 0., 0.]))
    """
    if isinstance(hs, Tensor):
        return hs
    if hs:
        return stack(hs)
    with scope(label_of(cell)):
        h: Tensor = parts_of(cell.step(xs.sum(axis=0), state))[-1]
        return h[None][:0]


def scope_if(wanted: bool, name: str) -> AbstractContextManager[None]:
    """A scope of that name, where there is something to tell apart."""
    return scope(name) if wanted else nullcontext()


def label_of(cell: Any) -> str:
    """What the cell is called: the scope of its operations."""
    return str(getattr(cell, "label", type(cell).__name__))


def checked_cell(where: str, cell: Any) -> Any:
    """``cell`` if it has what anything unrolled must have; ArgumentError otherwise.

    >>> checked_cell("unroll", np.tanh)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: unroll: a cell needs step(x, state) and initial_state(batch); <ufunc 'tanh'> has neither
    """
    missing = [name for name in ("step", "initial_state") if not callable(getattr(cell, name, None))]
    if missing or isinstance(cell, type):
        lacks = "has neither" if len(missing) > 1 else "is a class, not a cell" if not missing else f"has no {missing[0]}"
        raise ArgumentError(f"{where}: a cell needs step(x, state) and initial_state(batch); {cell!r} {lacks}")
    return cell


def checked_inputs(where: str, cell: Any, xs: Tensor | npt.ArrayLike) -> Tensor:
    """``xs`` as a Tensor (T, B, D) that fits the cell; ShapeError otherwise."""
    xs = xs if isinstance(xs, Tensor) else Tensor(xs, name="x")
    D = getattr(cell, "input_size", None)
    if xs.ndim < 2 or (D is not None and (xs.ndim != 3 or xs.shape[2] != D)):
        raise ShapeError(f"{where}: xs must be (T, B, D){f' with D = {D}' if D else ''}, time first, got {xs.shape}")
    return xs


def checked_lengths(where: str, lengths: npt.ArrayLike | None, T: int, B: int) -> Valid:
    """Which steps count, (T, B), from the lengths (B,) of the examples; None where all do.

    Raises ShapeError unless there is one length for each example, ArgumentError unless it is an integer from 0 to T.

    >>> checked_lengths("unroll rnn", [1, 2], T=2, B=2)
    array([[ True,  True],
           [False,  True]])
    """
    if lengths is None:
        return None
    given = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    if given.shape != (B,):
        raise ShapeError(f"{where}: lengths must be (B,) = ({B},), one for each example, got {given.shape}")
    if B and given.dtype.kind not in "iu":
        raise ArgumentError(f"{where}: lengths must be integers, got dtype {given.dtype}")
    for b, length in enumerate(given.tolist()):
        if not 0 <= length <= T:
            raise ArgumentError(f"{where}: lengths must be from 0 to T = {T}, got {length} for example {b}")
    valid = np.arange(T)[:, None] < given
    return None if valid.all() else valid


def _as_initial(cell: Any, state: Any) -> Any:
    """The given initial state as Tensors under the names of the cell's state; leaves belong to the time now."""
    names = getattr(cell, "state_names", ())
    parts = [part if isinstance(part, Tensor) else Tensor(part) for part in parts_of(state)]
    for part, name in zip(parts, names, strict=False):
        if part.name is None:
            part.named(name)
        if isinstance(part.node, Leaf) and part.node.time is None:
            part.node.place = current_place()
    return with_parts(state, parts)
