"""Cells over time: the step repeated, forward or in reverse, over sequences of one or of different lengths.

Arrays are time-major: xs is (T, B, D), the states stacked over time are (T, B, H). Time steps are numbered as in the
courses: x_1 … x_T are xs[0] … xs[T−1], and time 0 is the initial state (time T+1 when the sequence is read in reverse).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, current_place, scope, stack
from minigrad.axes import exchanged
from minigrad.errors import ArgumentError, ShapeError
from minigrad.flags import switch
from minigrad.graph import Leaf
from minigrad.loops import CannotCompile, note, padded
from minigrad.loops.native import is_native
from minigrad.memory import collector_paused
from minigrad.recording import given
from minigrad.scan import plain_reason
from minigrad.turned import weights_turned

from .checks import positive_size
from .lengths import Valid, batch_first, selected, steps_that_count
from .promise import can_hoist, why_not
from .recurrence import Recurrence
from .recurrent import Cell, Recurrent
from .states import as_initial, called_alike, parts_of, shape_of

__all__ = ["checked_cell", "checked_inputs", "label_of", "run", "scope_if", "stacked_over_time", "unroll"]

State = TypeVar("State")


def unroll(
    cell: Recurrent[State],
    xs: Tensor | npt.ArrayLike,
    state: State | None = None,
    hoist: bool = False,
    *,
    lengths: npt.ArrayLike | None = None,
    mask: npt.ArrayLike | None = None,
    reverse: bool = False,
    truncated: int | None = None,
) -> tuple[Tensor, State]:
    """The cell's step repeated over time, state_t = step(x_t, state_{t−1}) for t = 1 … T, each recorded under its t.

    Where the cell's class promises that its step is pure (``pure_step = True``, as minigrad's own do), the step is traced
    once and the loop is compiled (`minigrad.loops`): the same numbers up to rounding and the same graph, far faster. Where it
    does not, every step is run as it is written; `explain_loop` says which, and why.

    Args:
        cell: anything with ``step(x, state)`` and ``initial_state(batch)``. A state is a Tensor, or a tuple of them
            whose last entry is the output h.
        xs: (T, B, D), time first: row b of xs[t − 1] is x_t of example b, x^{(b)<t>} in C3. With T = 0 hs is empty, and
            all its gradients are zero; the final state is the initial one.
        state: the initial state, each part (B, H); Tensors or arrays. Left out: ``cell.initial_state(B)``. Where a step can
            compute with it, one row (1, H), (H,) or a number may stand for the whole batch.
        hoist: do the input projection of all T steps in one product before the loop, where the cell's step is known to be
            ``recur`` of ``project``. The numbers are the same; it is faster, and the graph shows one projection instead of T.
            `minigrad.native` code does so in any case, and the graph shows each.
        lengths: (B,) integers from 0 to T, in any order: how many steps of each example count. What xs holds beyond
            them is never looked at, not even NaN, and its gradient is exactly 0.
        mask: (T, B) booleans, False where a step of an example does not count, be it padding in front, behind or a hole
            between: the example keeps its state there, and the rest is as beyond ``lengths``. With both, both must hold.
        reverse: read from the last step to the first, state_t = step(x_t, state_{t+1}); with ``lengths``, from each
            example's own last step.
        truncated: stop gradients after every k steps (truncated backpropagation through time): the state is carried on,
            its history is not. None: never. In reverse, and with a ``mask`` that is no padding behind, each example's own
            steps are counted, so that padding changes no gradient.

    Returns:
        hs (T, B, H), the output of every step, 0 beyond an example's length, and the final state: that of the last step
        that counts, or the initial state where none does.

    Raises:
        ShapeError: xs, the state, the lengths or the mask do not fit; or a step's new state has another shape than the old.
        DTypeError: the mask is not made of booleans.
        ArgumentError: the cell has no ``step`` or no ``initial_state``; ``hoist`` is asked of one without ``project`` and
            ``recur``; a length outside 0 … T; ``truncated`` is not an integer ≥ 1; a state of several parts that does not
            say which is which.

    >>> from minigrad.models.cells import LSTM
    >>> hs, (c, h) = unroll(LSTM(input_size=3, hidden_size=4, seed=0), np.ones((5, 2, 3)), lengths=[5, 2])
    >>> hs.shape, h.shape, h.node.time, h.node.scope
    ((5, 2, 4), (2, 4), 5, ('lstm',))
    >>> hs.numpy()[2:, 1].any()
    np.False_
    """
    label = f"unroll {label_of(checked_cell('unroll', cell))}"
    if reverse is not False:
        switch(reverse, f"{label}: reverse")
    if hoist is not False and switch(hoist, f"{label}: hoist") and not (hasattr(cell, "project") and hasattr(cell, "recur")):
        raise ArgumentError(f"{label}: hoist=True needs a cell with project(x) and recur(wx, state)")
    xs = checked_inputs(label, cell, xs)
    T, B = xs._array.shape[:2]
    valid = None if lengths is None and mask is None else steps_that_count(label, lengths, mask, T, B)
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
    label, T = label_of(cell), len(xs._array) if isinstance(xs, Tensor) else len(xs)
    window = T + 1 if truncated is None else positive_size(f"unroll {label}", "truncated", truncated)
    if valid is not None and T and valid.any() and not valid[-1].any():
        length = int(np.flatnonzero(valid.any(axis=1))[-1]) + 1
        kept = valid[:length]
        hs, final = run(cell, xs[:length], state, batch, hoist, None if kept.all() else kept, reverse, truncated)
        return _padded(hs, T), final
    times, place = range(T, 0, -1) if reverse else range(1, T + 1), current_place()
    now = scope(label)
    with now:
        now.move(T + 1 if reverse else 0)
        state = as_initial(cell, cell.initial_state(batch) if state is None else state, state is not None)
        now.move(place.time)
        if Cell in type(cell).__mro__:
            _check_state(cast(Cell[Any], cell), state, batch, T)
        promise, plain = why_not(cell), plain_reason()
        at_once = plain is None and isinstance(xs, Tensor) and is_native()  # the projection of all, by itself
        hoist = hoist and promise is None and T > 0 and not at_once and can_hoist(cell, xs)
        inputs = _projected(cell, xs, valid) if hoist else xs
        loop = Recurrence(cell, label, inputs, hoist, times, valid, window)
        reason = (loop.why_not() or plain or promise) if T else "it has no steps"
        if reason is None:
            try:
                hs, final = loop.compiled(state)
                if hs._node is not None:
                    hs._node.place = place
                called_alike(state, final)
                return hs, final
            except CannotCompile as ended:
                reason = str(ended)
        note(f"unroll {label}", T, reason=reason)
        with collector_paused(), weights_turned():
            steps, last = loop.step_by_step(state, now)
        called_alike(state, last)
        return steps, last


def _padded(hs: Tensor | list[Tensor], T: int) -> Tensor | list[Tensor]:
    """The outputs of the steps that there are, and zeros up to T."""
    if isinstance(hs, Tensor):
        return padded(hs, T)
    return [*hs, *[Tensor(np.zeros(hs[0].shape, hs[0].dtype)) for _ in range(T - len(hs))]]


def _projected(cell: Any, xs: Tensor | Sequence[Tensor], valid: Valid) -> Any:
    """The input projection of all steps."""
    together = xs if isinstance(xs, Tensor) else stack(xs)
    if valid is not None and not valid.all():
        together = selected(valid, together)
    return cell.project(together)


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
    steps, begins = callable(getattr(cell, "step", None)), callable(getattr(cell, "initial_state", None))
    if not (steps and begins) or isinstance(cell, type):
        missing = [name for name, is_there in (("step", steps), ("initial_state", begins)) if not is_there]
        lacks = "has neither" if len(missing) > 1 else "is a class, not a cell" if not missing else f"has no {missing[0]}"
        raise ArgumentError(f"{where}: a cell needs step(x, state) and initial_state(batch); {cell!r} {lacks}")
    return cell


def checked_inputs(where: str, cell: Any, xs: Tensor | npt.ArrayLike) -> Tensor:
    """``xs`` as a Tensor (T, B, D) that fits the cell; ShapeError otherwise."""
    if isinstance(xs, (list, tuple)) and len({shape_of(x)[:1] for x in xs}) > 1:
        raise ShapeError(f"{where}: xs are sequences of different lengths; xs, lengths = padded(xs) makes what can be passed")
    if not isinstance(xs, Tensor):
        is_plain = type(xs) is np.ndarray and xs.dtype.kind in "fi"
        xs = given(np.array(xs), "x", "input") if is_plain else Tensor(xs, name="x")
    if isinstance(xs._node, Leaf) and xs._node.role is None:
        xs._node.role = "input"
    D, shape = getattr(cell, "input_size", None), xs._array.shape
    if D is None and len(shape) == 2 and xs.dtype.kind == "f":
        raise ShapeError(
            f"{where}: xs must be (T, B, D), time first, got {shape}: for one example write xs[:, None, :], for one number "
            "at each step xs[:, :, None]; only token ids, which are integers, may be (T, B)"
        )
    if len(shape) < 2 or (D is not None and (len(shape) != 3 or shape[2] != D)):
        raise ShapeError(
            f"{where}: xs must be (T, B, D){f' with D = {D}' if D else ''}, time first, got {shape}"
            f"{exchanged('xs', shape, (None, None, D))}"
        )
    return xs


def _check_state(cell: Cell[Any], state: Any, batch: int, T: int) -> None:
    """Raise unless the initial state fits the cell; if xs looks as if its batch came first, say so."""
    try:
        cell.check_state(state, batch)
    except ShapeError as error:
        hint = batch_first(next((shape_of(part)[:1] for part in parts_of(state)), ()), T) if batch != T else ""
        if not hint:
            raise
        raise ShapeError(f"{error}{hint}") from None
