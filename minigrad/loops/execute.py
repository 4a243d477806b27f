"""A loop, compiled and run: a step is traced, all steps are computed, and the results take their place in the graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigrad import graph
from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.loops.backend import Run
from minigrad.loops.explain import note
from minigrad.loops.loop import Loop, Result
from minigrad.loops.program import CARRY, CannotCompile, Ref, Undefined
from minigrad.loops.prove import prove
from minigrad.loops.reach import stretches_of
from minigrad.loops.recipe import Memory, Recipe, key_of, recipe_for, remember
from minigrad.loops.trace import Const, Flat, Pass
from minigrad.loops.written import MASK, Values
from minigrad.module import Parameter
from minigrad.reporting import RAISED, within
from minigrad.scope import Place, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["Memory", "execute"]

Flats: TypeAlias = Sequence[Tensor]


def execute(
    step: Flat,
    carry: Flats,
    xs: Flats,
    times: range,
    names: Sequence[str | None],
    *,
    what: str,
    key: Hashable,
    window: int | None = None,
    memory: Memory | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """The loop ``carry, ys = step(carry, xs_t)`` over ``times``, compiled.

    Args:
        step: the step, on flat lists of Tensors; pure.
        carry: the initial carry.
        xs: what is taken row by row, each (T, …); row t − 1 belongs to time t.
        times: 1 … T, or T … 1.
        names: what the rows of the xs are called.
        what: what messages call the loop.
        key: what tells this step from others; a step is compared with itself at another time once for each.
        window: after how many steps each time the carry loses its history; None: never.
        memory: what earlier calls with this step left there.

    Returns:
        The last carry; and the ys of all steps, each (T, …).

    Raises:
        CannotCompile: the loop has to be run plainly; nothing has happened.
        PurityError: the step is not pure.
    """
    for tensor in (*carry, *xs):
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            raise CannotCompile(f"a {type(tensor).__name__} may have operators of its own")
    recipe, consts, place = None, None, None
    if memory is not None:
        place = key_of(carry, xs, names)
        recipe = memory.get(place)
        consts = None if recipe is None else recipe.consts_now()
    is_known = recipe is not None and consts is not None
    if recipe is None or consts is None:
        recipe = recipe_for(step, carry, xs, times, names)
        consts = recipe.first_consts()
    mask = xs[-1]._array if xs and names[-1] == MASK else None
    loop = _Loop(recipe, consts, carry, xs, times, len(times) if window is None else window, mask)
    run = loop.run()
    note(what, len(times), len(run.executable.body), native=run.executable.remark)
    if not is_known:
        prove(key, step, recipe, consts, run, xs, times, names)
        if memory is not None:
            remember(memory, place, recipe)
    return loop.results(run)


class _Loop:
    """One loop: its operands, and what becomes of its results."""

    def __init__(
        self, recipe: Recipe, consts: Sequence[Const], carry: Flats, xs: Flats, times: range, window: int, mask: Array | None
    ) -> None:
        self.recipe, self.consts, self.carry, self.xs, self.times = recipe, consts, carry, xs, times
        self.window, self.stretches = window, stretches_of(len(times), window, mask, times.step < 0)
        wants = [operand is not None and state.recording and operand._wants for operand in (*xs, *carry, *consts)]
        self.compiled = recipe.compiled(tuple(wants))
        self.lent: list[Any] = []

    def run(self) -> Run:
        """Compute all steps."""
        compiled, numbers = self.compiled, self.recipe.numbers
        xs = [self._array(x, needed and x._wants) for x, needed in zip(self.xs, compiled.needs_xs, strict=True)]
        consts = [
            self._array(const, needed) if isinstance(const, Tensor) else numbers.get(k)
            for k, (const, needed) in enumerate(zip(self.consts, compiled.needs_consts, strict=True))
        ]
        carry = [part._array for part in self.carry]
        self.lent += [self.carry[i].lend(Loop) for i in compiled.needs_carry]
        for quiet in (False, True):
            executable = compiled.forward(quiet)
            try:
                return within(RAISED, executable.run, len(self.times), xs, carry, consts, self.times.step < 0)
            except FloatingPointError:
                continue
            except (IndexError, ValueError, TypeError) as error:
                raise CannotCompile(f"running it compiled raised {type(error).__name__}: {error}") from None
        raise Undefined

    def _array(self, tensor: Tensor, is_needed: bool) -> Any:
        """The values of an operand: lent if the derivative needs them; else copied if they may change before steps are written
        out, as those of xs that want no gradient always are: the rows of the plain loop are copies."""
        if not self.compiled.wanted:
            return tensor._array
        if not is_needed:
            return tensor._array if isinstance(tensor._node, Operation) else tensor._array.copy()
        array = tensor.lend(Loop)
        self.lent.append(array)
        return array

    def results(self, run: Run) -> tuple[list[Tensor], list[Tensor]]:
        """The last carry and the outputs, with their places in the graph."""
        count, program, given = len(self.carry), self.recipe.program, self._given()
        finals = [self.carry[i] if i in given else unrecorded(run.last(i).copy()) for i in range(count)]
        outputs = [unrecorded(run.of(ref)) for ref in program.ys]
        if not self.compiled.wanted:
            return finals, outputs
        final_wants, output_wants = self.compiled.results(self.stretches)
        loop = self._node(run)
        for i, (tensor, wants, op) in enumerate(zip(finals, final_wants, self.recipe.finals, strict=True)):
            if i not in given:
                self._place(loop, tensor, wants, i, Place(self.times[-1], op.place.scope), op.name)
        for j, (tensor, wants) in enumerate(zip(outputs, output_wants, strict=True)):
            self._place(loop, tensor, wants, count + j, state.place, None)
        return finals, outputs

    def _given(self) -> set[int]:
        """The parts of the carry that every step hands on as they are, so that the last is the first."""
        if self.window < len(self.times):
            return set()
        program = self.recipe.program
        lines = [program.lines[ref.number] for ref in program.new_carry]
        return {i for i, line in enumerate(lines) if type(line.op) is Pass and line.operands == (Ref(CARRY, i),)}

    def _node(self, run: Run) -> Loop:
        loop, recipe, compiled = Loop(), self.recipe, self.compiled
        loop.consts = compiled.wanted_consts
        operands = (*self.xs, *self.carry, *map(self.consts.__getitem__, loop.consts))
        loop.sources = tuple([None if operand is None else operand._node for operand in operands])
        loop.compiled, loop.is_written = compiled, False
        loop.passed = loop.released = 0
        loop.shape, loop.dtype, loop.name, loop.watch = (), FLOAT, None, None
        loop.place, loop.serial = state.place, graph.next_serial()
        loop.times, loop.window, loop.stretches = self.times, self.window, self.stretches
        loop.trace, loop.written = recipe.trace, None
        loop.values = Values(run, tuple(self.lent), recipe.form.everything, recipe.trace.program, recipe.place)
        return loop

    @staticmethod
    def _place(loop: Loop, tensor: Tensor, wants: bool, number: int, place: Place, name: str | None) -> None:
        """Give a result its node in the graph."""
        if not wants:
            if name is not None:
                tensor.named(name)
            return
        node = Result()
        node.loop, node.number, node.twin, node.is_released = loop, number, None, False
        node.shape, node.dtype, node.name, node.watch = tensor._array.shape, tensor._array.dtype, name, None
        node.place, node.serial = place, graph.next_serial()
        tensor._node, tensor._wants = node, True


FLOAT = np.dtype(float)
