"""The recurrence itself: a cell's step repeated over time, each step as it is written, or all of them compiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from minigrad import Tensor, pytree, scope, time_step, where
from minigrad.errors import MinigradError
from minigrad.graph import Leaf, Operation
from minigrad.loops import MASK, WINDOWS, CannotCompile, cut_where, execute, untraced, without_effects
from minigrad.recording import given
from minigrad.scope import state as state_of_thread

from .lengths import Valid, fitting, is_padding_behind, selected
from .promise import ADVANCING, known_of, memory_of
from .states import as_initial, checked_state, detached, in_order, names_of, parts_of, tensor_of, with_parts

__all__ = ["Recurrence"]


class Recurrence:
    """A cell's step over time: ``state_t = step(x_t, state_{t−1})``, where the output is the last part of the new state.

    Args:
        cell: the cell.
        label: what messages call it.
        inputs: xs (T, B, …), or a list of T rows; where ``hoisted``, what the cell projected them to.
        hoisted: whether a step is ``recur`` of a projected row, or ``step`` of a row.
        times: 1 … T, or T … 1.
        valid: which steps count.
        window: after how many steps each time the state loses its history.
    """

    def __init__(
        self, cell: Any, label: str, inputs: Any, hoisted: bool, times: range, valid: Valid, window: int
    ) -> None:
        self.cell, self.label, self.inputs, self.hoisted = cell, label, inputs, hoisted
        self.times, self.valid, self.window = times, valid, window
        self.ends: Any = None
        """(T, B), before which steps which examples' windows end, where that is not the same for all."""
        together = valid is None or (times.step > 0 and is_padding_behind(valid) and valid[window::window].all())
        if valid is not None and window < len(times) and not together:  # else all begin together, and none ends before a window
            read = valid[:: times.step]
            own = read.cumsum(axis=0) - read  # steps before this one
            self.ends = (read & (own > 0) & (own % window == 0))[:: times.step]
        self.handed: tuple[Any, ...] = ()
        """The parts of the initial state, until a step has been traced that was handed them."""
        self.advance: Callable[[Any, Any], Any] = cell.recur if hoisted else cell.step
        self.names: Sequence[str] = getattr(cell, "state_names", ())

    def step(self, x: Any, state: Any, valid: Any) -> tuple[Any, Tensor]:
        """The new state and the output, from x_t or the projection of it; where an example's ``valid`` (B, 1) does not hold,
        it keeps its state, and its output is 0."""
        if valid is not None and not self.hoisted:
            x = selected(valid, x).named("x")
        new = checked_state(self.label, self.advance(x, state), state)
        names = self.names or names_of(self.cell, new)
        if names:
            for part, old, name in zip(parts_of(new), parts_of(state), names, strict=False):
                node = part._node
                if isinstance(node, Operation) and node.name is None and part is not old:
                    part.named(name)
        if valid is None:
            last = new[-1] if isinstance(new, tuple) else new
            return new, last if type(last) is Tensor else parts_of(new)[-1]
        last, kept = parts_of(new)[-1], []
        new = in_order(new, state)
        for part, old in zip(parts_of(new), parts_of(state), strict=True):
            chosen, called = where(fitting(valid, part), part, old), None if part._node is None else part._node.name
            kept.append(chosen if called is None else chosen.named(called))
        return with_parts(new, kept), where(fitting(valid, last), last, 0.0)

    # ---------------------------------------------------------------- every step as it is written

    def step_by_step(self, state: Any, now: scope) -> tuple[list[Tensor], Any]:
        """The outputs of all steps, run one after the other, each at its own time in the scope ``now``, and the final state."""
        valid, advance, inputs = self.valid, self.step, self.inputs
        hs: list[Any] = [None] * len(self.times)
        cuts = self.window < len(self.times)
        for done, t in enumerate(self.times):
            now.move(t)
            if done and cuts:
                state = self._cut(done, t, state)
            mask = None if valid is None or valid[t - 1].all() else valid[t - 1][:, None]
            if mask is not None and not mask.any():
                continue
            if self.hoisted:
                x = with_parts(inputs, [part[t - 1] for part in parts_of(inputs)])
            else:
                x = _row(inputs, t) if isinstance(inputs, Tensor) else inputs[t - 1]
            state, hs[t - 1] = advance(x, state, mask)
        h = tensor_of(parts_of(state)[-1])
        return [Tensor(np.zeros(h.shape, h.dtype)) if y is None else y for y in hs], state

    def _cut(self, done: int, t: int, state: Any) -> Any:
        """The state before the step at time t, without its history where a window ends."""
        ends: Any = done % self.window == 0
        if self.ends is not None:
            ends = self.ends[t - 1]
            if ends.all() or not ends.any():
                ends = bool(ends.any())
        if ends is False:
            return state
        with time_step(t - self.times.step):
            cut = as_initial(self.cell, detached(state), True, "cut")
            if ends is True:
                return cut
            parts = zip(parts_of(cut), parts_of(state), strict=True)
            return with_parts(state, [where(fitting(ends[:, None], new), new, old) for new, old in parts])

    # ---------------------------------------------------------------- all steps at once

    def _traced(self, x: Any, state: Any, valid: Any, given: Sequence[Any]) -> tuple[Any, Tensor]:
        """What a step makes of the Tensors of a trace, and of the arrays that the plain loop hands to it first, the same."""
        new, y = self.step(x, state, valid)
        if not all(isinstance(part, Tensor) for part in given):
            parts = [part if isinstance(part, Tensor) else copy(part) for part in given]
            with untraced():
                row = with_parts(x, [part.detach() for part in parts_of(x)])
                plain, _ = self.step(row, with_parts(state, parts), None if valid is None else valid.detach())
            if not all(map(_is_same, (*parts_of(new), *given), (*parts_of(plain), *parts))):
                raise CannotCompile("its step does something else with the arrays of its initial state than with Tensors")
        return new, y

    def why_not(self) -> str | None:
        """Why what it is given is gone through step by step, whatever the cell promises; None if it may be compiled."""
        if isinstance(self.inputs, list):
            return "its inputs are given step by step"
        return "no example has a step" if self.valid is not None and not self.valid.any() else None

    def compiled(self, state: Any) -> tuple[Tensor, Any]:
        """The outputs of all steps, stacked, and the final state. Raises CannotCompile where it has to be run step by step."""
        streams, self.handed = list(map(tensor_of, parts_of(self.inputs))), parts_of(state)
        try:
            carry = list(map(tensor_of, self.handed))
        except MinigradError as error:
            raise CannotCompile(f"its initial state is no state: {error}") from None
        names: list[str | None] = [None if self.hoisted else "x"] * len(streams)
        for name, rows in ((WINDOWS, self.ends), (MASK, self.valid)):
            if rows is not None:
                streams.append(Tensor(rows[:, :, None]))
                names.append(name)
        method, known = "recur" if self.hoisted else "step", known_of(self.cell)
        final, (hs,) = execute(
            partial(self._flat, state),
            carry,
            streams,
            self.times,
            names,
            what=f"unroll {self.label}",
            key=(known.token, method, self.ends is None, self.valid is None),
            window=self.window if self.window < len(self.times) and self.ends is None else None,
            cut_names=names_of(self.cell, state),
            memory=memory_of(self.cell, known, method, state, self.inputs),
        )
        return hs, with_parts(state, final)

    def _flat(self, state: Any, parts: list[Tensor], rows: list[Tensor]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """A step from parts of a state like the one given, and rows of what it reads, of the windows' ends and of the mask."""
        rows = list(rows)
        mask = None if self.valid is None else rows.pop()
        if self.ends is not None:
            ends = rows.pop()
            parts = [cut_where(fitting(ends, part), part) for part in parts]
        x, old = with_parts(self.inputs, rows), with_parts(state, parts)
        handed, self.handed = self.handed, ()  # the last step, which is traced too, is handed what the one before has made
        new, y = without_effects(self.cell, ADVANCING, self._traced, x, old, mask, handed, carry=handed)
        if not pytree.alike(new, state):
            raise CannotCompile("its state changes its structure")
        return parts_of(new), [y]


def _is_same(a: Any, b: Any) -> bool:
    """Whether two parts of a state have the same numbers, up to rounding."""
    a, b = (np.asarray(part._array if isinstance(part, Tensor) else part) for part in (a, b))
    if (a.shape, a.dtype) != (b.shape, b.dtype) or a.dtype.kind != "f":
        return a.dtype == b.dtype and np.array_equal(a, b)
    return np.allclose(a, b, rtol=float(np.sqrt(np.finfo(a.dtype).eps)), equal_nan=True)


def _row(xs: Tensor, t: int) -> Tensor:
    """x_t."""
    if type(xs) is Tensor and not xs._wants and state_of_thread.recording:
        return given(xs._array[t - 1], "x", "input")
    x = xs[t - 1].named("x")
    node = x._node
    if isinstance(node, Leaf):
        node.role = "input"
    return x
