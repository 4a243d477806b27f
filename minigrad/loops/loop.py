"""A loop over time as one operation of the graph.

The graph of a recurrence repeats itself: the same operations under every time step. Here one step stands for all of them.
Nothing is lost by it: whoever looks at the graph (a picture, ``walk``, a gradient of a gradient) finds the operations of
every step, under their time and with their names, written out the moment somebody asks. Until then the forward pass, and
a plain backward pass, run over all steps as a loop written by hand would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from minigrad.gradients import Arriving, OuterProduct
from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array
from minigrad.loops.derivation import derive
from minigrad.loops.plan import Plan
from minigrad.loops.recording import CONSTANT, RESULT, STATE, Operand, Step
from minigrad.loops.runner import Program, Run
from minigrad.loops.schedule import Schedule
from minigrad.loops.unfolding import Nodes, Repetition, Values

__all__ = ["OUTPUTS", "Folded", "Known", "Loop"]

OUTPUTS = -1
"""The number of the outputs of all steps among the results of a loop; the parts of the last state are 0, 1, …"""


class Known:
    """What is known of all steps of one form: how to run them forward, in full or for inference, and backward."""

    __slots__ = ("backward", "everything", "forward", "inference", "left_out")

    def __init__(self, step: Step) -> None:
        self.left_out = [tuple(value is None for value in node.saved or ()) for node in step.nodes]
        self.backward = derive(step, output=len(step.new) - 1)
        kept = [operand.number for operand in self.backward.of_forward() if operand.kind == RESULT]
        new = [Operand(RESULT, k) for k in step.new]
        self.forward, self.inference, self.everything = (
            Program(Plan(Schedule(step.nodes, step.operands, new, numbers, every_state=True)))
            for numbers in (kept, (), range(len(step.nodes)))
        )


class Loop(Operation):
    """All steps of a recurrence. Its inputs are its streams, its initial state, and a constant for each share it sends.

    It keeps the run that computed it, and all arrays that are not its own.
    """

    __slots__ = ("known", "repetition", "values")
    label, symbol = "loop", "↻"
    known: Known
    repetition: Repetition
    values: Values

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the derivative needs, also that of the single steps; None once it has been released."""
        return None if self.values.run is None else (self.values.run, *self.values.lent)

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        if saved is None:
            self.values.release()

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        run: Run = saved[0]
        backward = self.known.backward
        states = [g[i] if i in g else np.zeros(old.shape[1:], self.dtype) for i, old in enumerate(run.given[STATE])]
        outputs = g[OUTPUTS] if OUTPUTS in g else np.broadcast_to(np.zeros((), self.dtype), self.shape)
        streams = [*map(run.of, backward.saved), outputs]
        constants = [*run.given[CONSTANT], *backward.numbers]
        back = backward.program.run(run.T, streams, states, constants, not run.reverse)
        shares: list[Gradient] = [None if operand is None else back.of(operand) for operand in backward.to_streams]
        shares += map(back.last, range(len(states)))
        shares += [back.of(operand) for _, operand in backward.to_constants]
        for _, transposed, operand, factor in backward.products:
            d, a = _rows(back.of(operand)), _rows(run.of(factor))
            shares.append(OuterProduct(d, a) if transposed else OuterProduct(a, d))
        return shares


def _rows(steps: Array) -> Array:
    return steps.reshape(math.prod(steps.shape[:-1]), steps.shape[-1])


class Folded(Operation):
    """A result of a loop: the outputs of all steps, or a part of the last state.

    It is of the kind of operation that made it, such as an addition. What it was computed from is written out when
    somebody asks for its inputs. ``number`` says which result it is, ``earlier`` are the others that it may have been
    computed from, and ``position`` is that of the operation it stands for in the record of a step.
    """

    if not TYPE_CHECKING:  # what is annotated here has its slots in the classes that `written` makes
        __slots__ = ()
    is_folded = True
    loop: Loop
    number: int
    position: int
    earlier: tuple[Folded, ...]
    is_released: bool
    nodes: Nodes | None
    """What was written out of the last step for it, once somebody has asked."""
    sources: tuple[Node | None, ...] | None
    """Its inputs, once somebody has asked."""

    @property
    def saved(self) -> tuple[Any, ...] | None:
        """What the derivative needs; None once it, or the whole loop, has been released."""
        again, values = self.loop.repetition, self.loop.values
        if self.is_released or values.run is None:
            return None
        if self.number == OUTPUTS:
            return ()
        return values.kept(again.step, again.step.recorded[self.position], again.times[-1] - 1)

    @saved.setter
    def saved(self, saved: tuple[Any, ...] | None) -> None:
        self.is_released = saved is None
        if self.is_released and self.number != OUTPUTS:
            self.loop.values.release_first(self.loop.repetition.times[-1] - 1)

    @property
    def inputs(self) -> tuple[Node | None, ...]:
        """What it was computed from."""
        if self.sources is None:
            again, nodes = self.loop.repetition, self._last_step()
            if self.number == OUTPUTS:
                outputs = [*again.outputs_before_last(), nodes[again.step.nodes[again.step.new[-1]]]]
                self.sources = tuple(outputs if again.times.step > 0 else outputs[::-1])
            else:
                self.sources = tuple(nodes.get(node, node) for node in again.step.recorded[self.position].inputs)
        return self.sources

    @inputs.setter
    def inputs(self, inputs: tuple[Node | None, ...]) -> None:
        raise TypeError("what a result of a loop was computed from cannot be changed")

    def _last_step(self) -> Nodes:
        """The operations of the last step that come before this result."""
        if self.nodes is None:
            again, start = self.loop.repetition, 0
            nodes = again.last_begun()
            for result in self.earlier:
                nodes |= result._last_step()
                nodes[again.step.recorded[result.position]] = result
                start = result.position + 1
            for k in range(start, self.position):
                again.write(len(again.times) - 1, k, nodes)
            self.nodes = nodes
        return self.nodes

    @override
    def way_back(self) -> tuple[Node | None, ...]:
        """To the loop; but what somebody watches is whole only where all steps are written out."""
        return super().way_back() if self._is_watched() else (self.loop,)

    @override
    def shares(self, g: Gradient) -> Sequence[Gradient]:
        return super().shares(g) if self._is_watched() or self.is_released else (Arriving(g, self.number),)

    def _is_watched(self) -> bool:
        """Whether somebody watches a part of the last state that this was computed from."""
        return any(result.watch is not None for result in (*self.earlier, self) if result.number != OUTPUTS)
