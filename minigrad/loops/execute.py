"""A loop, compiled and run: a step is traced, all steps are computed, and the results take their place in the graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from minigrad import graph
from minigrad.errors import PurityError
from minigrad.graph import Leaf, Operation
from minigrad.loops.backend import Run
from minigrad.loops.compile import compiled
from minigrad.loops.explain import note
from minigrad.loops.loop import Loop, Result
from minigrad.loops.program import CARRY, CONST, XS, CannotCompile, Ref
from minigrad.loops.trace import Const, Flat, Trace, hoisted
from minigrad.loops.written import Values
from minigrad.module import Parameter
from minigrad.scope import Place, state
from minigrad.tensor import Constant, Tensor, unrecorded

__all__ = ["Memory", "Recipe", "execute", "recipe_for"]

MOST: Final = 64
"""How many steps of one cell are remembered before all are forgotten."""

Flats: TypeAlias = Sequence[Tensor]


class Recipe:
    """A step that was traced, and how loops over it are run.

    Args:
        trace: the trace.

    Raises:
        CannotCompile: there is no way.
    """

    __slots__ = ("_nodes", "compiled", "consts", "is_lasting", "place", "program", "trace")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.program, self.consts, self.place = hoisted(trace)
        self.compiled = compiled(self.program)
        self.is_lasting = all(map(_is_lasting, trace.consts)) and not any(
            trace.program.lines[k].op.keeps for k in trace.invariant
        )
        """Whether it serves the next run: consts are parameters and numbers, or computed from those by what keeps nothing."""
        self._nodes = [None if const is None else const._node for const in trace.consts]

    def consts_now(self) -> list[Const] | None:
        """The consts for the next run; None if they do not stand where they did in the graph."""
        trace = self.trace
        if any(const is not None and const._node is not node for const, node in zip(trace.consts, self._nodes, strict=True)):
            return None
        return trace.computed_anew() if trace.invariant else trace.consts


Memory: TypeAlias = dict[Hashable, Recipe]
"""The steps of one cell that were traced. Whoever keeps it forgets it when anything that the step reads has changed."""

MOST_PROVEN: Final = 1024
"""How many steps are known to be proven before all are forgotten."""

proven: set[Hashable] = set()
"""The steps, each with a form of its program, that were compared with a plain step once."""


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
    place = None if memory is None else _key(carry, xs, names)
    found = None if memory is None else memory.get(place)
    consts = None if found is None else found.consts_now()
    if found is None or consts is None:
        recipe, found = recipe_for(step, carry, xs, times, names), None
        consts = recipe.consts
    else:
        recipe = found
    if memory is not None and found is None and recipe.is_lasting:
        if len(memory) == MOST:
            memory.clear()
        memory[place] = recipe
    loop = _Loop(recipe, consts, carry, xs, times, window)
    run = loop.run()
    note(what, len(times), len(run.executable.body), native=run.executable.remark)
    if found is None and not _is_proven(key, recipe):
        _prove(step, recipe, run, xs, times, names)
        if len(proven) >= MOST_PROVEN:
            proven.clear()
        proven.add((key, recipe.compiled))
    return loop.results(run)


def _key(carry: Flats, xs: Flats, names: Sequence[str | None]) -> Hashable:
    return (
        *names,
        state.place.scope,
        *[(x._array.shape[1:], x._array.dtype) for x in xs],
        *[(part._array.shape, part._array.dtype) for part in carry],
    )


def recipe_for(step: Flat, carry: Flats, xs: Flats, times: range, names: Sequence[str | None]) -> Recipe:
    """What the first step does, traced."""
    first = times[0] - 1
    return Recipe(Trace(step, [part._array for part in carry], [x._array[first] for x in xs], names))


def _is_proven(key: Hashable, recipe: Recipe) -> bool:
    arrays = any(isinstance(const, Constant) and isinstance(const._array, np.ndarray) for const in recipe.consts)
    return (key, recipe.compiled) in proven and not arrays


def _prove(step: Flat, recipe: Recipe, run: Run, xs: Flats, times: range, names: Sequence[str | None]) -> None:
    """Trace the last step too, which also computes it plainly: it must be the same program, and have the same results."""
    last = times[-1]
    try:
        again = Recipe(Trace(step, run.before_last(), [x._array[last - 1] for x in xs], names))
    except CannotCompile as ended:
        raise _impure(f"its first step can be traced, but not its last (t = {last}): {ended}") from None
    if again.compiled is not recipe.compiled:
        raise _impure(
            f"it does not do the same at its first and at its last step (t = {last}). First:\n{recipe.program}\nlast:\n"
            f"{again.program}\n"
        )
    for k, (first, second) in enumerate(zip(recipe.consts, again.consts, strict=True)):
        if not _is_same(first, second):
            word = recipe.program.word(Ref(CONST, k))
            raise _impure(f"something that it uses, {word}, is not the same at its first and at its last step (t = {last})")


def _impure(what: str) -> PurityError:
    return PurityError(
        f"a step that is compiled must be pure, and the same at every time, but {what}. Give what differs from step to step as "
        "part of the xs or of the state; or do not promise that the step is pure, and it is run step by step"
    )


def _is_same(first: Const, second: Const) -> bool:
    if first is second or first is None or second is None:
        return first is second
    if first._wants and isinstance(first._node, Leaf):
        return first._node is second._node
    a, b = np.asarray(first._array), np.asarray(second._array)
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _is_lasting(const: Const) -> bool:
    number = isinstance(const, Constant) and not isinstance(const._array, np.ndarray)
    return const is None or type(const) is Parameter or number


class _Loop:
    """One loop: its operands, and what becomes of its results."""

    def __init__(
        self, recipe: Recipe, consts: Sequence[Const], carry: Flats, xs: Flats, times: range, window: int | None
    ) -> None:
        self.recipe, self.consts, self.carry, self.xs, self.times = recipe, consts, carry, xs, times
        self.window = len(times) if window is None else window
        operands = [(XS, xs), (CARRY, carry), (CONST, self.consts)]
        found = [(Ref(kind, k), tensor) for kind, tensors in operands for k, tensor in enumerate(tensors) if tensor is not None]
        self.wanted = frozenset([ref for ref, tensor in found if tensor._wants] if state.recording else [])
        self.lent: list[Any] = []

    def run(self) -> Run:
        """Compute all steps."""
        known, T = self.recipe.compiled, len(self.times)
        needed = known.needs(self.wanted) if self.wanted else set()
        xs = [self._array(x, Ref(XS, j) in needed) for j, x in enumerate(self.xs)]
        consts = [self._const(const, Ref(CONST, k) in needed, k) for k, const in enumerate(self.consts)]
        for quiet in (False, True):
            executable = known.forward(self.wanted, quiet)
            try:
                with np.errstate(over="raise", divide="raise", invalid="raise"):
                    return executable.run(T, xs, [part._array for part in self.carry], consts, self.times.step < 0)
            except FloatingPointError:
                continue
            except (IndexError, ValueError, TypeError) as error:
                raise CannotCompile(f"running it compiled raised {type(error).__name__}: {error}") from None
        raise CannotCompile("numbers overflow, or are not defined: the plain loop says where")

    def _array(self, tensor: Tensor, is_needed: bool) -> Any:
        """The values of an operand: lent if the derivative needs them; else copied if they may change before steps are written
        out."""
        if not self.wanted:
            return tensor._array
        if not is_needed:
            return tensor._array if isinstance(tensor._node, Operation) else tensor._array.copy()
        array = tensor.lend(Loop)
        self.lent.append(array)
        return array

    def _const(self, const: Const, is_needed: bool, k: int) -> Any:
        if isinstance(const, Tensor):
            return self._array(const, is_needed)
        number = None if const is None else const._array
        if isinstance(number, int | float) and not isinstance(number, bool):
            dtypes = {line.dtype for line in self.recipe.program.lines if Ref(CONST, k) in line.operands}
            if len(dtypes) == 1 and (dtype := dtypes.pop()).kind == "f":
                return np.array(number, dtype)
        return number.copy() if isinstance(number, np.ndarray) else number

    def results(self, run: Run) -> tuple[list[Tensor], list[Tensor]]:
        """The last carry and the outputs, with their places in the graph."""
        program, count = self.recipe.program, len(self.carry)
        finals = [unrecorded(run.last(i).copy()) for i in range(count)]
        outputs = [unrecorded(run.of(ref)) for ref in program.ys]
        if not self.wanted:
            return finals, outputs
        final_wants, output_wants = self.recipe.compiled.results(self.wanted, len(self.times))
        loop = self._node(run)
        for i, (tensor, wants) in enumerate(zip(finals, final_wants, strict=True)):
            op = program.lines[program.new_carry[i].number].op
            self._place(loop, tensor, wants, i, Place(self.times[-1], op.place.scope), op.name)
        for j, (tensor, wants) in enumerate(zip(outputs, output_wants, strict=True)):
            self._place(loop, tensor, wants, count + j, state.place, None)
        return finals, outputs

    def _node(self, run: Run) -> Loop:
        loop, recipe = Loop(), self.recipe
        wanted = [const for k, const in enumerate(self.consts) if Ref(CONST, k) in self.wanted]
        loop.consts = [k for k in range(len(self.consts)) if Ref(CONST, k) in self.wanted]
        loop.sources = tuple([None if tensor is None else tensor._node for tensor in (*self.xs, *self.carry, *wanted)])
        loop.compiled, loop.wanted, loop.lent, loop.is_written = recipe.compiled, self.wanted, tuple(self.lent), False
        loop.passed, loop.released = set(), set()
        loop.shape, loop.dtype, loop.name, loop.watch = (), np.dtype(float), None, None
        loop.place, loop.serial = state.place, graph.next_serial()
        loop.times, loop.window, loop.trace, loop.written = self.times, self.window, recipe.trace, None
        loop.values = Values(run, recipe.compiled.everything, recipe.trace.program, recipe.place)
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
