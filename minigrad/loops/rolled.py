"""Recording a loop: one step is run and recorded, all of them are computed, and their results placed in the graph."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from minigrad import graph
from minigrad.guard import Array
from minigrad.loops.into import NotRepeatable
from minigrad.loops.loop import OUTPUTS, Folded, Known, Loop
from minigrad.loops.recording import Step, placeholder
from minigrad.loops.runner import Run
from minigrad.loops.unfolding import Repetition, Values, written
from minigrad.ops.joining import Stack
from minigrad.scope import Place, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["Memory", "Rolled", "roll"]

MOST: Final = 256
"""How many forms, or steps of one cell, are remembered before all are forgotten."""

forms: dict[Hashable, Known] = {}
"""What is known of the forms of steps that were met so far."""


stacking = Stack()
stacking.axis = 0
"""What the outputs of all steps are put together by."""


class Recipe:
    """A step that was recorded, and how to repeat it.

    Args:
        step: the step.
        parameters: the leaves that it may have used.

    Raises:
        NotRepeatable: it is not known how to repeat it.
    """

    __slots__ = ("known", "leaves", "numbers", "step")

    def __init__(self, step: Step, parameters: Iterable[Tensor]) -> None:
        form = step.form()
        if form not in forms:
            if len(forms) == MOST:
                forms.clear()
            forms[form] = Known(step)
        self.step, self.known = step, forms[form]
        leaves = {tensor._node: tensor for tensor in parameters}
        self.leaves = [None if node is None else leaves.get(node) for node in step.constants]
        self.numbers = [number if node is None else None for node, number in zip(step.constants, step.numbers, strict=True)]
        step.release()

    def constants(self) -> list[Array] | None:
        """The values of the constants now; None if they cannot be had without running the step again."""
        values = []
        for node, leaf, number in zip(self.step.constants, self.leaves, self.numbers, strict=True):
            if number is not None:
                values.append(number)
            elif leaf is not None and leaf._node is node:
                values.append(leaf._array)
            else:
                return None
        return values


Memory: TypeAlias = dict[Hashable, Recipe]
"""The steps of one cell that were recorded. Whoever keeps it forgets it when the cell changes."""


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
        *[(stream._array.shape[1:], stream._array.dtype, stream._wants) for stream in streams],
        *[(part._array.shape, part._array.dtype) for part in states],
    )
    recipe = memory.get(key)
    constants = None if recipe is None else recipe.constants()
    if recipe is None or constants is None:
        wants = [stream._wants for stream in streams]
        for wanted in [wants] if all(wants) else [wants, [True] * len(wants)]:
            rows = [placeholder(s._array[times[0] - 1], w, stream_name) for s, w in zip(streams, wanted, strict=True)]
            try:
                record = Step(step, rows, [placeholder(part._array) for part in states], parameters)
                constants = record.numbers
                recipe = Recipe(record, parameters())
            except NotRepeatable:
                continue
            if recipe.constants() is not None:
                if len(memory) == MOST:
                    memory.clear()
                memory[key] = recipe
            break
        else:
            return None
    return _run(recipe, streams, states, constants, times)


def _run(
    recipe: Recipe,
    streams: Sequence[Tensor],
    states: Sequence[Tensor],
    constants: list[Array],
    times: range,
) -> Rolled:
    """Compute all steps, and make them an operation of the graph if something needs a gradient."""
    step, known = recipe.step, recipe.known
    stream_nodes, state_nodes = [tensor._node for tensor in streams], [tensor._node for tensor in states]
    sources = (*stream_nodes, *state_nodes, *step.constants)
    wanted = state.recording and any(node is not None and node.requires_grad for node in sources)
    program = known.forward if wanted else known.inference
    arrays = [stream.lend(Loop) if wanted else stream._array for stream in streams]
    run = program.run(len(times), arrays, [part._array for part in states], constants, times.step < 0)
    if not wanted:
        return Rolled(run, None)
    loop = Loop()
    loop.inputs = (*stream_nodes, *state_nodes, *[step.constants[k] for k in known.backward.constants()])
    loop.known, loop.values = known, Values(run, known.everything, known.left_out, (*arrays, *constants))
    loop.shape, loop.dtype, loop.name, loop.watch = run.outputs().shape, program.dtype, None, None
    loop.place, loop.serial = state.place, graph.next_serial()
    loop.repetition = Repetition(step, stream_nodes, state_nodes, times, loop.place, loop.values)
    return Rolled(run, loop)


class Rolled:
    """The results of a loop: the last ``state``, and the outputs of all steps."""

    __slots__ = ("_loop", "_results", "_run", "state")

    def __init__(self, run: Run, loop: Loop | None) -> None:
        self._run, self._loop = run, loop
        self.state = [unrecorded(part) for part in run.last_state()]
        self._results: list[Folded] = []
        if loop is None:
            return
        again = loop.repetition
        for position, number in again.step.new_positions:
            template = again.step.recorded[position]
            node = written(Folded, template)
            node.name, node.place = template.name, Place(again.times[-1], template.place.scope)
            node.serial = again.serial(len(again.times) - 1, position)
            self._place(self.state[number], node, number, position)
            self._results.append(node)

    def outputs(self) -> Tensor:
        """The outputs of all steps, (T, …), stacked at the place where this is called."""
        stacked = unrecorded(self._run.outputs())
        if self._loop is not None:
            node = written(Folded, stacking)
            node.name, node.place, node.serial = None, state.place, graph.next_serial()
            self._place(stacked, node, OUTPUTS, len(self._loop.repetition.step.recorded))
        return stacked

    def _place(self, tensor: Tensor, node: Any, number: int, position: int) -> None:
        """Give a result its node in the graph."""
        node.loop, node.number, node.position, node.earlier = self._loop, number, position, tuple(self._results)
        node.shape, node.dtype, node.nodes, node.watch = tensor._array.shape, tensor._array.dtype, None, None
        node.is_released, node.sources = False, None
        tensor._node, tensor._wants = node, True
