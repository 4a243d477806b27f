"""A loop over time as one operation of the graph.

The graph of a recurrence repeats itself: the same operations under every time step. Here one step stands for all of them.
Nothing is lost by it: whoever looks at the graph (a picture, ``walk``, a gradient of a gradient) finds the operations of
every step, under their time and with their names, written out the moment somebody asks. Until then the forward pass, and
a plain backward pass, run over all steps as a loop written by hand would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.gradients import Arriving, OuterProduct
from minigrad.graph import Gradient, Node, Operation, Watch
from minigrad.guard import Array
from minigrad.rolling.derivation import derive
from minigrad.rolling.plan import Plan
from minigrad.rolling.program import Program, Run
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, Operand, Step
from minigrad.rolling.unfolding import Repetition, Unfolding

__all__ = ["OUTPUTS", "Folded", "Known", "Loop", "folded"]

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
            Program(Plan(step.nodes, step.operands, new, numbers, every_state=True))
            for numbers in (kept, (), range(len(step.nodes)))
        )


class Loop(Operation):
    """All steps of a recurrence. Its inputs are its streams, its initial state, and a constant for each share it sends."""

    __slots__ = ("known", "repetition", "unfolding")
    label, symbol = "loop", "↻"
    known: Known
    repetition: Repetition
    unfolding: Unfolding | None

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        run: Run = saved[0]
        backward = self.known.backward
        states = [g[i] if i in g else np.zeros(old.shape[1:], self.dtype) for i, old in enumerate(run.given[STATE])]
        outputs = g[OUTPUTS] if OUTPUTS in g else np.broadcast_to(np.zeros((), self.dtype), self.shape)
        streams = [*map(run.of, backward.saved), *backward.slopes(run), outputs]
        back = backward.program.run(run.T, streams, states, run.given[CONSTANT], not run.reverse)
        shares: list[Gradient] = [None if operand is None else back.of(operand) for operand in backward.to_streams]
        shares += map(back.last, range(len(states)))
        shares += [back.of(operand) for _, operand in backward.to_constants]
        for _, transposed, operand, factor in backward.products:
            d, a = _rows(back.of(operand)), _rows(run.of(factor))
            shares.append(OuterProduct(d, a) if transposed else OuterProduct(a, d))
        return shares

    def unfold(self) -> Unfolding:
        """The operations of all steps."""
        if self.unfolding is None:
            run = None if self.saved is None else self.saved[0].again(self.known.everything)
            self.unfolding = Unfolding(self.repetition, self.known.left_out, run)
        return self.unfolding


def _rows(steps: Array) -> Array:
    return steps.reshape(-1, steps.shape[-1])


class Folded(Operation):
    """A result of a loop: the outputs of all steps, or a part of the last state.

    It is of the kind of operation that made it, such as an addition. What it was computed from is written out when
    somebody asks for its inputs; until then its gradient goes to the loop. ``earlier`` are the other results that it may
    have been computed from, ``template`` the operation of the record that it stands for.
    """

    is_folded = True
    loop: Loop | None
    number: int
    template: Operation | None
    earlier: tuple[Folded, ...]
    unfolded: tuple[Node | None, ...]
    watched: Watch | None

    def unfold(self) -> None:
        """Write out what the result was computed from."""
        if self.loop is None:
            return
        results: dict[Operation | None, Operation] = {self.template: self}
        for result in self.earlier:
            result.unfold()
            results[result.template] = result
        self.unfolded, self.saved = self.loop.unfold().up_to(self.template, results)
        self.loop = None

    @override
    def folded(self) -> tuple[Node | None, ...]:
        """The loop, unless somebody has looked behind it, or watches a part of the last state."""
        if any(result.watched is not None for result in self.earlier):
            self.unfold()
        return self.unfolded if self.loop is None else (self.loop,)

    @property
    def inputs(self) -> tuple[Node | None, ...]:
        """What it was computed from."""
        self.unfold()
        return self.unfolded

    @inputs.setter
    def inputs(self, inputs: tuple[Node | None, ...]) -> None:
        self.unfolded = inputs

    @property
    def watch(self) -> Watch | None:
        """Who watches the gradient. That of a part of the last state is whole only in the graph that is written out."""
        return self.watched

    @watch.setter
    def watch(self, watch: Watch | None) -> None:
        if self.number != OUTPUTS:
            self.unfold()
        self.watched = watch

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return super().vjp(g, *saved) if self.loop is None else (Arriving(g, self.number),)


kinds: dict[type, Any] = {}


def folded(kind: type[Operation]) -> Any:
    """The operations of a kind that are results of loops."""
    if kind not in kinds:
        kinds[kind] = type(kind.__name__, (Folded, kind), {})
    return kinds[kind]
