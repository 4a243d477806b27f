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

from minigrad import Tensor, concatenate, current_place, pytree, scope, stack, time_step, where
from minigrad.axes import exchanged
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.graph import Leaf, Operation
from minigrad.loops import MASK, CannotCompile, execute, note
from minigrad.memory import collector_paused
from minigrad.scan import plain_reason
from minigrad.scope import Place
from minigrad.tensor import plain

from .changes import attributes_of, put_back
from .checks import positive_size
from .promise import can_hoist, memory_of, token_of, why_not
from .recurrent import Cell, Recurrent, parts_of, shape_of, with_parts

__all__ = [
    "Valid", "checked_cell", "checked_lengths", "detached", "run", "scope_if", "stacked_over_time",
    "steps_that_count", "unroll",
]

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
        state: the initial state, each part (B, H); Tensors or arrays. Left out: ``cell.initial_state(B)``.
        hoist: do the input projection of all T steps in one product before the loop, where the cell's step is known to be
            ``recur`` of ``project``. The numbers are the same; it is faster, and the graph shows one projection instead of T.
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
    if hoist and not (hasattr(cell, "project") and hasattr(cell, "recur")):
        raise ArgumentError(f"{label}: hoist=True needs a cell with project(x) and recur(wx, state)")
    xs = checked_inputs(label, cell, xs)
    T, B = xs.shape[:2]
    valid = steps_that_count(label, lengths, mask, T, B)
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
    if valid is not None and T and valid.any() and not valid[-1].any():
        length = int(np.flatnonzero(valid.any(axis=1))[-1]) + 1
        hs, final = run(cell, xs[:length], state, batch, hoist, valid[:length], reverse, truncated)
        return _padded(hs, T), final
    times, place = range(T, 0, -1) if reverse else range(1, T + 1), current_place()
    with scope(label):
        with time_step(T + 1 if reverse else 0):
            state = _as_initial(cell, cell.initial_state(batch) if state is None else state, state is not None)
        if isinstance(cell, Cell):
            _check_state(cell, state, batch, T)
        hoist = hoist and can_hoist(cell)
        inputs = _projected(cell, xs, valid) if hoist else xs
        loop = _Loop(cell, label, inputs, hoist, times, valid, window)
        reason = loop.why_not() if T else "it has no steps"
        if reason is None:
            try:
                hs, final = loop.compiled(state)
                if hs._node is not None:
                    hs._node.place = place
                return hs, final
            except CannotCompile as ended:
                reason = str(ended)
        note(f"unroll {label}", T, reason=reason)
        with collector_paused():
            return loop.step_by_step(state)


def _padded(hs: Tensor | list[Tensor], T: int) -> Tensor | list[Tensor]:
    """The outputs of the steps that there are, and zeros up to T."""
    if isinstance(hs, Tensor):
        return concatenate([hs, np.zeros((T - len(hs), *hs.shape[1:]), hs.dtype)])
    return [*hs, *[Tensor(np.zeros(hs[0].shape, hs[0].dtype)) for _ in range(T - len(hs))]]


class _Loop:
    """A cell's step over time: ``carry, y = step(carry, x)``, where the output y is the last part of the new state."""

    def __init__(
        self, cell: Any, label: str, inputs: Any, hoisted: bool, times: range, valid: Valid, window: int
    ) -> None:
        self.cell, self.label, self.inputs, self.hoisted = cell, label, inputs, hoisted
        self.times, self.valid, self.window = times, valid, window
        self.own_windows = valid is not None and window < len(times)
        if valid is not None and times.step > 0 and is_padding_behind(valid) and valid[window::window].all():
            self.own_windows = False  # all begin together, and none has ended where a window does
        self.advance: Callable[[Any, Any], Any] = cell.recur if hoisted else cell.step

    def step(self, x: Any, state: Any, valid: Any) -> tuple[Any, Tensor]:
        """The new state and the output, from x_t or the projection of it; where an example's ``valid`` (B, 1) does not hold,
        it keeps its state, and its output is 0."""
        if valid is not None and not self.hoisted:
            x = _selected(valid, x).named("x")
        new = _checked_state(self.label, self.advance(x, state), state)
        for part, old, name in zip(parts_of(new), parts_of(state), _names_of(self.cell, new), strict=False):
            if part is not old and isinstance(part._node, Operation) and part._node.name is None:
                part.named(name)
        if valid is None:
            last = new[-1] if isinstance(new, tuple) else new
            return new, last if type(last) is Tensor else parts_of(new)[-1]
        last, kept = parts_of(new)[-1], []
        new = _in_order(new, state)
        for part, old in zip(parts_of(new), parts_of(state), strict=True):
            chosen, called = where(_fitting(valid, part), part, old), None if part._node is None else part._node.name
            kept.append(chosen if called is None else chosen.named(called))
        return with_parts(new, kept), where(_fitting(valid, last), last, 0.0)

    # ---------------------------------------------------------------- every step as it is written

    def step_by_step(self, state: Any) -> tuple[list[Tensor], Any]:
        """The outputs of all steps, run one after the other, and the final state."""
        valid, advance, inputs = self.valid, self.step, self.inputs
        hs: list[Any] = [None] * len(self.times)
        for done, t in enumerate(self.times):
            if done:
                state = self._cut(done, t, state)
            mask = None if valid is None or valid[t - 1].all() else valid[t - 1][:, None]
            with time_step(t):
                if mask is not None and not mask.any():
                    h = parts_of(state)[-1]
                    hs[t - 1] = Tensor(np.zeros(h.shape, h.dtype))
                    continue
                if self.hoisted:
                    x = with_parts(inputs, [part[t - 1] for part in parts_of(inputs)])
                else:
                    x = _row(inputs, t) if isinstance(inputs, Tensor) else inputs[t - 1]
                state, hs[t - 1] = advance(x, state, mask)
        return hs, state

    def _cut(self, done: int, t: int, state: Any) -> Any:
        """The state before the step at time t, without its history where a window ends."""
        ends: Any = done % self.window == 0
        if self.own_windows and self.valid is not None:  # each example's windows are counted from where it begins
            read = self.valid[t:] if self.times.step < 0 else self.valid[: t - 1]
            own = read.sum(axis=0)
            ends = self.valid[t - 1] & (own > 0) & (own % self.window == 0)
            if ends.all() or not ends.any():
                ends = bool(ends.any())
        if ends is False:
            return state
        with time_step(t - self.times.step):
            cut = _as_initial(self.cell, detached(state), True, "cut")
            if ends is True:
                return cut
            parts = zip(parts_of(cut), parts_of(state), strict=True)
            return with_parts(state, [where(_fitting(ends[:, None], new), new, old) for new, old in parts])

    # ---------------------------------------------------------------- all steps at once

    def why_not(self) -> str | None:
        """Why the loop is run step by step; None if it may be compiled."""
        if isinstance(self.inputs, list):
            return "its inputs are given step by step"
        if self.valid is not None and not self.valid.any():
            return "no example has a step"
        if self.own_windows:
            return "the windows of truncation begin and end where each example does"
        return plain_reason() or why_not(self.cell)

    def compiled(self, state: Any) -> tuple[Tensor, Any]:
        """The outputs of all steps, stacked, and the final state. Raises CannotCompile where it has to be run step by step."""
        inputs, masks = self.inputs, []
        if self.valid is not None:
            masks = [Tensor(self.valid[:, :, None])]
        streams = [_tensor(part) for part in parts_of(inputs)]

        def flat(parts: list[Tensor], rows: list[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
            x, before = with_parts(inputs, rows[: len(streams)]), attributes_of(self.cell)
            try:
                new, y = self.step(x, with_parts(state, parts), rows[-1] if masks else None)
            finally:
                changed = put_back(before)
            if changed is not None:
                raise CannotCompile(f"its step changes {changed}")
            if not pytree.alike(new, state):
                raise CannotCompile("its state changes its structure")
            return parts_of(new), [y]

        carry = [_tensor(part) for part in parts_of(state)]
        names = [None if self.hoisted else "x"] * len(streams) + [MASK] * len(masks)
        method = "recur" if self.hoisted else "step"
        final, (hs,) = execute(
            flat,
            carry,
            [*streams, *masks],
            self.times,
            names,
            what=f"unroll {self.label}",
            key=(token_of(self.cell), method, len(masks)),
            window=self.window if self.window < len(self.times) else None,
            memory=memory_of(self.cell, method),
        )
        return hs, with_parts(state, final)


def _row(xs: Tensor, t: int) -> Tensor:
    """x_t."""
    x = xs[t - 1].named("x")
    if isinstance(x._node, Leaf):
        x._node.role = "input"
    return x


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _projected(cell: Any, xs: Tensor | Sequence[Tensor], valid: Valid) -> Any:
    """The input projection of all steps."""
    together = xs if isinstance(xs, Tensor) else stack(xs)
    if valid is not None and not valid.all():
        together = _selected(valid, together)
    return cell.project(together)


def _checked_state(label: str, new: Any, old: Any) -> Any:
    """``new`` if it has the shapes of ``old``; ShapeError, which names cell and time step, otherwise."""
    if type(new) is Tensor and type(old) is Tensor and new.shape == old.shape:
        return new
    both_tuples = isinstance(new, tuple) and type(new) is type(old) and len(new) == len(old)
    if both_tuples and all(type(a) is type(b) is Tensor and a.shape == b.shape for a, b in zip(new, old, strict=True)):
        return new
    expected, got = [shape_of(part) for part in parts_of(old)], [shape_of(part) for part in parts_of(_in_order(new, old))]
    if got != expected:
        raise ShapeError(
            f"{Place(current_place().time, (label,))}: step must return a state like the one it was given, of shape "
            f"{_shapes(expected)}; got {'None' if new is None else _shapes(got)}"
        )
    return new


def _in_order(new: Any, old: Any) -> Any:
    """``new`` with its parts in the order of those of ``old``: what belongs together in two dicts, the keys say."""
    if pytree.alike(new, old):
        return new
    try:
        return with_parts(old, pytree.like(old, new, "state"))
    except ArgumentError:
        return new


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def _fitting(valid: Any, x: Tensor) -> Any:
    """``valid``, whose last axes may have length 1, with as many axes as ``x``; the first axes are those of both."""
    return valid if valid.ndim == x.ndim else valid.reshape((*valid.shape, *[1] * (x.ndim - valid.ndim))[: x.ndim])


def _selected(valid: Any, x: Tensor) -> Tensor:
    """x where ``valid`` holds, else zeros of its dtype."""
    return where(_fitting(valid, x), x, 0.0 if x.dtype.kind == "f" else x.dtype.type(0))


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
    if isinstance(xs._node, Leaf) and xs._node.role is None:
        xs._node.role = "input"
    D = getattr(cell, "input_size", None)
    if D is None and xs.ndim == 2 and xs.dtype.kind == "f":
        raise ShapeError(
            f"{where}: xs must be (T, B, D), time first, got {xs.shape}: for one example write xs[:, None, :], for one number "
            "at each step xs[:, :, None]; only token ids, which are integers, may be (T, B)"
        )
    if xs.ndim < 2 or (D is not None and (xs.ndim != 3 or xs.shape[2] != D)):
        raise ShapeError(
            f"{where}: xs must be (T, B, D){f' with D = {D}' if D else ''}, time first, got {xs.shape}"
            f"{exchanged('xs', xs.shape, (None, None, D))}"
        )
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
    given = plain(lengths, f"{where}: lengths")
    if given.shape != (B,):
        raise ShapeError(
            f"{where}: lengths must be (B,) = ({B},), one for each example, got {given.shape}{_batch_first(given.shape, T)}"
        )
    if B and given.dtype.kind not in "iu":
        raise ArgumentError(f"{where}: lengths must be integers, got dtype {given.dtype}")
    for b, length in enumerate(given.tolist()):
        if not 0 <= length <= T:
            raise ArgumentError(f"{where}: lengths must be from 0 to T = {T}, got {length} for example {b}")
    valid = np.arange(T)[:, None] < given
    return None if valid.all() else valid


def steps_that_count(
    where: str, lengths: npt.ArrayLike | None, mask: npt.ArrayLike | None, T: int, B: int
) -> Valid:
    """Which steps count, (T, B), from lengths (B,) and a mask (T, B) of booleans; None where all do.

    Raises as `checked_lengths`, and DTypeError or ShapeError for another mask.

    >>> steps_that_count("unroll rnn", None, [[False, True], [True, True]], T=2, B=2)
    array([[False,  True],
           [ True,  True]])
    """
    valid = checked_lengths(where, lengths, T, B)
    if mask is None:
        return valid
    given = plain(mask, f"{where}: mask")
    if given.dtype != bool:
        raise DTypeError(f"{where}: the mask must be made of booleans, got dtype {given.dtype}")
    if given.shape != (T, B):
        hint = exchanged("mask", given.shape, (T, B))
        raise ShapeError(f"{where}: the mask must be (T, B) = ({T}, {B}), one entry for each step, got {given.shape}{hint}")
    valid = given.copy() if valid is None else given & valid
    return None if valid.all() else valid


def is_padding_behind(valid: npt.NDArray[np.bool_]) -> bool:
    """Whether the steps that do not count are behind those that do, in every example."""
    return bool((valid[1:] <= valid[:-1]).all())


def _check_state(cell: Cell[Any], state: Any, batch: int, T: int) -> None:
    """Raise unless the initial state fits the cell; if xs looks as if its batch came first, say so."""
    try:
        cell.check_state(state, batch)
    except ShapeError as error:
        hint = _batch_first(shape_of(parts_of(state)[0])[:1], T) if batch != T else ""
        if not hint:
            raise
        raise ShapeError(f"{error}{hint}") from None


def _batch_first(batch: tuple[int, ...], T: int) -> str:
    """What to add to a message if there are as many examples as xs has steps."""
    looks = "; axes 0 and 1 of xs look exchanged, as in data whose batch comes first: pass xs.swapaxes(0, 1)"
    return looks if batch == (T,) else ""


def _names_of(cell: Any, state: Any) -> Sequence[str]:
    """What the parts of a state are called: as the cell says, or as the fields of a named tuple."""
    declared: Sequence[str] = getattr(cell, "state_names", ())
    fields: Sequence[str] = getattr(state, "_fields", ())
    return declared or fields


def _as_initial(cell: Any, state: Any, given: bool, role: str = "initial state") -> Any:
    """The initial state under the names of the cell's state; leaves belong to the time now. A ``given`` one as Tensors."""
    names = _names_of(cell, state)
    parts = [_tensor(part) if given else part for part in parts_of(state)]
    for part, name in zip(parts, [*names, *[None] * len(parts)], strict=False):
        if not isinstance(part, Tensor):
            continue
        if part.name is None and name is not None:
            part.named(name)
        if isinstance(part._node, Leaf):
            if given and part._node.place.time is None:
                part._node.place = current_place()
            part._node.role = part._node.role or role
    return with_parts(state, parts) if given else state
