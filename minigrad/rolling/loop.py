"""A loop over time as one operation of the graph.

The graph of a recurrence repeats itself: the same operations under every time step. Here one step is recorded, and stands
for all of them. Nothing is lost by it: whoever looks at the graph (a picture, ``walk``, a gradient of a gradient) finds
the operations of every step, under their time and with their names, written out the moment somebody asks. Until then the
forward pass, and a plain backward pass, run over all steps as a loop written by hand would.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.gradients import Arriving, OuterProduct
from minigrad.graph import Gradient, Node, Operation, Watch
from minigrad.guard import Array
from minigrad.ops.joining import Stack
from minigrad.rolling.derivation import derive
from minigrad.rolling.into import NotRepeatable
from minigrad.rolling.plan import Plan
from minigrad.rolling.program import Program, Run
from minigrad.rolling.recording import CONSTANT, RESULT, STATE, STREAM, Operand, Step, placeholder
from minigrad.rolling.unfolding import Repetition, Unfolding, extra_slots
from minigrad.scope import Place, current_place, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["Memory", "Rolled", "roll"]

OUTPUTS = -1


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


forms: dict[Hashable, Known | None] = {}
"""What is known of the forms that were met so far; None for those that cannot be repeated."""


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
        states = [g[i] if i in g else np.zeros(part.shape[1:], self.dtype) for i, part in enumerate(run.given[STATE])]
        outputs = g[OUTPUTS] if OUTPUTS in g else np.broadcast_to(np.zeros((), self.dtype), self.shape)
        streams = [*(run.of(operand) for operand in backward.saved), *backward.slopes(run), outputs]
        back = backward.program.run(run.T, streams, states, run.given[CONSTANT], not run.reverse)
        shares: list[Gradient] = [None if operand is None else back.of(operand) for operand in backward.to_streams]
        shares += [back.last(i) for i in range(len(states))]
        shares += [back.of(operand) for _, operand in backward.to_constants]
        for _, turned, operand, factor in backward.products:
            d, a = _rows(back.of(operand)), _rows(run.of(factor))
            shares.append(OuterProduct(d, a) if turned else OuterProduct(a, d))
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
    somebody asks for its inputs; until then its gradient goes to the loop.
    """

    __slots__ = ()
    rolled = True
    loop: Loop | None
    template: Operation | None
    what: int
    earlier: tuple[Folded, ...]
    """The other results that this one may have been computed from."""
    unfolded: tuple[Node | None, ...]
    watched: Watch | None

    def unfold(self) -> None:
        """Write out what the result was computed from."""
        if self.loop is None:
            return
        for result in self.earlier:
            result.unfold()
        results = {result.template: result for result in (*self.earlier, self)}
        self.unfolded, self.saved = self.loop.unfold().up_to(results, self.template)
        self.loop = None

    def folded(self) -> tuple[Node | None, ...]:
        """The inputs for a plain backward pass: the loop, unless somebody watches the last state or has looked."""
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
        if self.what != OUTPUTS:
            self.unfold()
        self.watched = watch

    @override
    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        return super().vjp(g, *saved) if self.loop is None else (Arriving(g, self.what),)


@functools.cache
def folded(kind: type[Operation]) -> Any:
    """The operations of a kind that are folded into a loop."""
    return type(kind.__name__, (Folded, kind), {"__slots__": ("earlier", "loop", "template", "unfolded", "watched", "what")})


class Recipe:
    """A step that was recorded, and how to repeat it.

    Args:
        step: the step.
        parameters: the leaves that it may have used.
    """

    __slots__ = ("constants", "known", "step")

    def __init__(self, step: Step, parameters: Iterable[Tensor]) -> None:
        form = step.form()
        if form not in forms:
            forms[form] = None
            forms[form] = Known(step)
        known = forms[form]
        if known is None:
            raise NotRepeatable
        leaves = {tensor._node: tensor for tensor in parameters}
        self.step, self.known = step, known
        self.constants: list[Tensor | Array | None] = [
            leaves.get(node) if node is not None else number
            for node, number in zip(step.constants, step.numbers, strict=True)
        ]
        """Where the values of the constants can be had: the leaf, or the number; None where the step must run again."""
        step.release()

    def values(self) -> list[Array] | None:
        """The values of the constants now; None if they cannot be had without running the step again."""
        values = []
        for node, constant in zip(self.step.constants, self.constants, strict=True):
            if node is None:
                values.append(constant)
            elif constant is not None and constant._node is node:
                values.append(constant._data)
            else:
                return None
        return values


Memory: TypeAlias = dict[Hashable, Recipe]
"""The steps of one cell that were recorded. Whoever keeps it clears it when the cell changes."""


def roll(
    step: Callable[[list[Tensor], list[Tensor]], Sequence[Tensor]],
    streams: Sequence[Tensor],
    states: Sequence[Tensor],
    times: range,
    parameters: Callable[[], Iterable[Tensor]],
    memory: Memory,
    stream_name: str | None = None,
) -> Rolled | None:
    """The loop state = step(rows, state) over ``times``, recorded as one.

    Args:
        step: computes the parts of the new state from one row of each stream and the parts of the old state; it must do
            the same at every step, and have no other effect. The last part of the state is the output of a step.
        streams: each (T, …); row t − 1 belongs to time t.
        states: the parts of the initial state.
        times: 1 … T, or T … 1.
        parameters: asked for the leaves that the step uses.
        memory: what earlier calls with this step left there.
        stream_name: what the rows of the streams are called.

    Returns:
        The results; or None where the step is not made of operations that are known to be repeatable, or every operation
        is to be looked at (`detect_anomaly`) or differentiated as it is recorded.
    """
    if state.detector is not None or state.differentiating:
        return None
    key = (
        stream_name,
        state.place.scope,
        *[(stream._data.shape[1:], stream._data.dtype, stream._wants) for stream in streams],
        *[(part._data.shape, part._data.dtype) for part in states],
    )
    recipe = memory.get(key)
    values = None if recipe is None else recipe.values()
    if recipe is None or values is None:
        wants = [stream._wants for stream in streams]
        for wanted in (wants,) if all(wants) else (wants, [True] * len(wants)):
            rows = [placeholder(s._data[times[0] - 1], w, stream_name) for s, w in zip(streams, wanted, strict=True)]
            try:
                record = Step(step, rows, [placeholder(part._data) for part in states], parameters)
                values = record.numbers
                recipe = memory[key] = Recipe(record, parameters())
                break
            except NotRepeatable:
                continue
        else:
            return None
    return _run(recipe, streams, states, values, times, stream_name)


def _run(
    recipe: Recipe,
    streams: Sequence[Tensor],
    states: Sequence[Tensor],
    constants: list[Array],
    times: range,
    stream_name: str | None,
) -> Rolled:
    step, known = recipe.step, recipe.known
    stream_nodes, state_nodes = [tensor._node for tensor in streams], [tensor._node for tensor in states]
    sources = (*stream_nodes, *state_nodes, *step.constants)
    wanted = state.recording and any(node is not None and node.requires_grad for node in sources)
    program = known.forward if wanted else known.inference
    arrays = [stream.lend(Loop) if wanted else stream._data for stream in streams]
    run = program.run(len(times), arrays, [part._data for part in states], constants, times.step < 0)
    if not wanted:
        return Rolled(run, None)
    loop = Loop()
    loop.inputs = (*stream_nodes, *state_nodes, *[step.constants[k] for k in known.backward.constants()])
    loop.saved = (run, *arrays, *constants)
    loop.shape, loop.dtype, loop.name, loop.watch = run.outputs().shape, program.dtype, None, None
    loop.place, loop.serial = state.place, graph.next_serial()
    loop.known, loop.unfolding = known, None
    loop.repetition = Repetition(step, stream_nodes, state_nodes, stream_name, times, loop.place)
    return Rolled(run, loop)


class Rolled:
    """The results of a loop: the last state, and the outputs of all steps."""

    def __init__(self, run: Run, loop: Loop | None) -> None:
        self.run, self.loop = run, loop
        values = [run.last(i).copy() for i in range(len(run.given[STATE]))]
        if loop is None:
            self.state = [unrecorded(part) for part in values]
            return
        again = loop.repetition
        templates = [again.step.nodes[k] for k in again.step.new]
        results: dict[int, Folded] = {}
        for what in sorted(range(len(values)), key=lambda i: again.step.new[i]):
            template = templates[what]
            node = folded(type(template))()
            for slot in extra_slots(type(template)):
                setattr(node, slot, getattr(template, slot))
            node.name, node.place = template.name, Place(again.times[-1], template.place.scope)
            node.serial = again.last_serial(template)
            results[what] = self._prepared(node, loop, what, template, tuple(results.values()), values[what])
        self.results = tuple(results.values())
        self.state = [_tensor(results[what], part) for what, part in enumerate(values)]

    def outputs(self) -> Tensor:
        """The outputs of all steps, (T, …), stacked at the place where this is called."""
        values = self.run.outputs()
        if self.loop is None:
            return unrecorded(values)
        node = folded(Stack)()
        node.axis, node.name, node.place, node.serial = 0, None, current_place(), graph.next_serial()
        return _tensor(self._prepared(node, self.loop, OUTPUTS, None, self.results, values), values)

    def _prepared(
        self, node: Any, loop: Loop, what: int, template: Operation | None, earlier: tuple[Folded, ...], values: Array
    ) -> Folded:
        node.loop, node.what, node.template, node.earlier = loop, what, template, earlier
        node.shape, node.dtype, node.saved, node.watched = values.shape, values.dtype, (), None
        result: Folded = node
        return result


def _tensor(node: Folded, values: Array) -> Tensor:
    tensor = unrecorded(values)
    tensor._node, tensor._wants = node, True
    return tensor
