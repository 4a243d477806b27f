"""Tracing: a step is run once, and what it does is noted as a program.

The step is run on Tensors that stand for the row of one time and for the state before it, with the values of a real step.
Whatever the result could depend on beside those values ends the trace: reading them in Python (``.data``, ``.item()``,
``if h > 0``, use as an index that is not an operand), `no_grad`, the present place, an operation with hidden data or
randomness. So what is noted is all that was computed, and the same at every step, if the step is pure.
"""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

import numpy as np
from typing_extensions import override

from minigrad.errors import PurityError
from minigrad.graph import Leaf, Node, Operation, next_serial
from minigrad.guard import Array
from minigrad.loops.program import CARRY, CONST, LOCAL, LOCALS, XS, CannotCompile, Line, Program, Ref, Undefined, Value
from minigrad.ops.casting import Copy
from minigrad.ops.matmul import Matmul
from minigrad.recording import Constant, record
from minigrad.reporting import reporting
from minigrad.scope import Place, Setting, state
from minigrad.tensor import Tensor, unrecorded

__all__ = ["ABSENT", "Const", "Flat", "Hoisted", "Pass", "Trace", "Tracer", "hoisted", "untraced"]

Const: TypeAlias = Tensor | Constant
Flat: TypeAlias = Callable[[list[Tensor], list[Tensor]], tuple[Sequence[Tensor], Sequence[Tensor]]]
"""A step on flat lists: from the parts of the carry and of the xs to those of the new carry and of the ys."""

ABSENT: Final = Constant(None)
"""Stands for an operand that an operation does without."""

NOTED: Final = "noted"
"""Stands in a place for the line of code: what is recorded there is shown to the tracer."""


class Pass(Copy):
    """A carry or an output that is not computed in the step but handed on as it is: no operation of the user's."""

    __slots__ = ()


class Tracer(Setting):
    """Inside, every operation on what is `bound` is noted as a line of a program."""

    __slots__ = (
        "_alive", "_numbers", "began", "consts", "has_read", "invariant", "is_recorded", "lines", "origin", "reason", "refs",
        "varying",
    )  # fmt: skip

    def __init__(self) -> None:
        self.began = next_serial()
        """What has a smaller serial number was there before."""
        self.has_read = False
        """Whether Python has seen the values of a const: what it made of them is part of the program."""
        self.is_recorded = state.recording
        """Whether the loop is recorded."""
        self.refs: dict[Node, Ref] = {}
        """Where the value of each node comes from."""
        self.varying: set[Node] = set()
        """The nodes whose values differ from step to step."""
        self.lines: list[Line] = []
        self.consts: list[Const] = []
        self.invariant: dict[int, Tensor] = {}
        """The results of the lines that depend on consts alone."""
        self.reason: str | None = None
        """Why the trace has ended, if it has."""
        self.origin: int | None = None
        """What the lines that are noted now belong to."""
        self._alive: list[weakref.ref[Tensor]] = []
        self._numbers: dict[tuple[type, Any], Ref] = {}

    @override
    def enter(self) -> tuple[Any, bool, Place]:
        found = state.tracer, state.recording, state.place
        state.tracer, state.recording, state.place = self, True, found[2]._replace(line=NOTED)
        return found

    @override
    def leave(self, found: tuple[Any, bool, Place]) -> None:
        state.tracer, state.recording, state.place = found

    def bind(self, value: Array, ref: Ref, name: str | None = None) -> Tensor:
        """A Tensor with that value that stands for ``ref``."""
        tensor, node = unrecorded(value), Leaf(value.shape, value.dtype, True, name)
        tensor._node, tensor._wants = node, True
        self.refs[node] = ref
        if ref.kind != CONST:
            self.varying.add(node)
            self._alive.append(weakref.ref(tensor))
        return tensor

    # ---------------------------------------------------------------- what the engine tells

    def end(self, reason: str) -> None:
        """Give up: what the step does may depend on ``reason``."""
        self.reason = self.reason or reason
        raise CannotCompile(self.reason)

    def read(self, tensor: Tensor, what: str) -> None:
        """Python is about to see the values of ``tensor``."""
        self.has_read = True
        if tensor._node in self.varying or what == "data":
            self.end(f"{what} reads the values of a tensor, which differ from step to step")
        if not self.is_recorded and isinstance(tensor._node, Operation):
            self.end(f"{what} may tell that nothing is recorded")

    def knows(self, operands: Sequence[Const | None]) -> bool:
        """Whether one of the operands differs from step to step."""
        return any(operand is not None and operand._node in self.varying for operand in operands)

    def note(self, node: Operation, result: Tensor, operands: Sequence[Const | None] | None) -> None:
        """An operation was recorded."""
        node.place = node.place._replace(line=None)
        varies = not self.varying.isdisjoint(node.sources) or (operands is not None and self.knows(operands))
        varies = varies or type(node) is Pass  # a result of the step has a row for each step, even if all are equal
        if operands is None or node.compute is None:
            if varies:
                self.end(f"{node.label!r} has no form that a compiled loop can repeat")
            return
        refs = tuple([self.ref(ABSENT if operand is None else operand) for operand in operands])
        if isinstance(node, Matmul) and node.transpose_b:
            refs = self._with_matrix(node, refs)
        self.refs[node] = LOCALS[len(self.lines)]
        self.lines.append(Line(node, refs, self.origin))
        if varies:
            self.varying.add(node)
            self._alive.append(weakref.ref(result))
        else:
            self.invariant[len(self.lines) - 1] = result

    def _with_matrix(self, node: Matmul, refs: tuple[Ref, ...]) -> tuple[Ref, ...]:
        """The operands of A Wᵀ: A and W, if the transpose is part of the trace, else A and what was transposed before."""
        a, b = refs
        if b.kind == LOCAL:
            return a, self.lines[b.number].operands[0]
        node.transpose_b = False
        return refs

    def ref(self, operand: Const) -> Ref:
        """Where the value of an operand comes from."""
        node = operand._node
        if node in self.refs:
            return self.refs[node]
        number = operand._array if isinstance(operand, Constant) and isinstance(operand._array, int | float) else None
        key = type(number), repr(number)
        if number is not None and key in self._numbers:
            return self._numbers[key]
        ref = Ref(CONST, len(self.consts))
        self.consts.append(as_it_is_now(operand))
        if number is not None:
            self._numbers[key] = ref
        elif node is not None:
            self.refs[node] = ref
        return ref

    def computed(self, tensor: Tensor) -> Ref:
        """Where a result of the step comes from: always a line, so that it has a place of its own at every step."""
        ref = self.ref(tensor)
        if ref.kind == LOCAL and ref.number not in self.invariant:
            return ref
        record(Pass(), tensor._array.copy(), (tensor._node,), (), (tensor,))
        return Ref(LOCAL, len(self.lines) - 1)

    def values(self) -> tuple[Value, ...]:
        """What stands for the consts."""
        return tuple(map(_value_of, self.consts))

    def escaped(self) -> list[Tensor]:
        """The tensors of the step that somebody still refers to; asked for when everything it returned is gone."""
        if any(reference() is not None for reference in self._alive):
            gc.collect()
        return [tensor for reference in self._alive if (tensor := reference()) is not None]


class untraced(Setting):
    """Inside, what is computed is no part of the trace: for looking at what a step does without one."""

    __slots__ = ()

    @override
    def enter(self) -> tuple[Any, bool, Place]:
        found = state.tracer, state.recording, state.place
        state.tracer, state.recording, state.place = None, found[0].is_recorded, found[2]._replace(line=None)
        return found

    @override
    def leave(self, found: tuple[Any, bool, Place]) -> None:
        state.tracer, state.recording, state.place = found


def as_it_is_now(const: Const) -> Const:
    """A const that no code of others can change: of an array, a copy."""
    is_array = isinstance(const, Constant) and isinstance(const._array, np.ndarray)
    return Constant(const._array.copy()) if isinstance(const, Constant) and is_array else const


def _value_of(const: Const) -> Value:
    array = const._array
    number = array if isinstance(array, int | float) else None
    dtype = getattr(array, "dtype", np.dtype(type(number)) if number is not None else None)
    name = None if const._node is None else const._node.name
    return Value(np.shape(array), dtype, name, const._wants, number)


class Trace:
    """What was noted of one step: its program, its consts, and the nodes that a step's operations were recorded as.

    Args:
        step: the step.
        carry: the values of the state that it is given.
        xs: the values that it takes of one time.
        names: what the xs are called.

    Raises:
        CannotCompile: something in it is not known to be the same at every step.
        PurityError: a tensor of the step is still referred to when it is over.
    """

    __slots__ = ("began", "carry", "consts", "has_read", "invariant", "program", "xs")

    def __init__(self, step: Flat, carry: Sequence[Array], xs: Sequence[Array], names: Sequence[str | None]) -> None:
        tracer = Tracer()
        self.carry, self.xs, new_carry, ys = self._noted(tracer, step, carry, xs, names)
        if tracer.reason is not None:
            raise CannotCompile(tracer.reason)
        if any(node.name is not None for node in self.carry):
            raise CannotCompile("it gives its old state another name")
        escaped = tracer.escaped()
        if escaped:
            names_of = ", ".join(sorted({repr(tensor.name) for tensor in escaped if tensor.name}))
            raise PurityError(
                f"a step that is compiled must be pure, but when it was over {len(escaped)} of its tensors"
                f"{f' ({names_of})' if names_of else ''} were still referred to from outside. Return what you want to keep as "
                "part of the state or of the outputs, or do not promise that the step is pure"
            )
        given, taken = ([Value(leaf.shape, leaf.dtype, leaf.name, True) for leaf in leaves] for leaves in (self.carry, self.xs))
        self.began, self.has_read, self.consts = tracer.began, tracer.has_read, tracer.consts
        whole = Program(tuple(taken), tuple(given), tracer.values(), tuple(tracer.lines), new_carry, ys)
        self.program, place = whole.pruned(tracer.refs[node] for node in tracer.varying)  # what is not used may still warn
        self.invariant: dict[int, Const] = {
            place[Ref(LOCAL, k)].number: tensor for k, tensor in tracer.invariant.items() if Ref(LOCAL, k) in place
        }
        """The results of the lines that depend on consts alone; `ABSENT` once they are forgotten."""
        used = {line.op for line in self.program.live(()).lines}
        for k, line in enumerate(self.program.lines):
            if k not in self.invariant or line.op not in used:
                line.op.saved = tuple([None if kept is None else () for kept in line.op.saved or ()])

    def made(self) -> list[Const]:
        """The consts that the step itself made, or may have made: another call of it may make others."""
        return [const for const in self.consts if self._is_made(const)]

    def _is_made(self, const: Const) -> bool:
        if isinstance(const, Constant):
            return isinstance(const._array, np.ndarray)
        return const._node is None or const._node.serial > self.began

    def forget_results(self) -> None:
        """Let go what was computed from consts: a view of a parameter's memory would make that memory seem to be needed."""
        self.invariant = dict.fromkeys(self.invariant, ABSENT)

    def computed_anew(self) -> list[Const]:
        """The consts, and the results of the lines that depend on consts alone, from the values that the consts have now."""
        found: dict[int, Tensor] = {}
        for k in self.invariant:
            line = self.program.lines[k]
            operands = [found[number] if kind == LOCAL else self.consts[number] for kind, number in line.operands]
            node = copy.copy(line.op)
            y = node.compute(*[operand._array for operand in operands])
            found[k] = record(node, y, tuple([operand._node for operand in operands[: len(node.sources)]]), ())
        return [*self.consts, *found.values()]

    @staticmethod
    def _noted(
        tracer: Tracer, step: Flat, carry: Sequence[Array], xs: Sequence[Array], names: Sequence[str | None]
    ) -> tuple[list[Leaf], list[Leaf], tuple[Ref, ...], tuple[Ref, ...]]:
        """Run the step: the leaves that stood for its carry and its xs, and where its results come from."""
        parts = [tracer.bind(value, Ref(CARRY, k)) for k, value in enumerate(carry)]
        rows = [tracer.bind(value, Ref(XS, k), name) for k, (value, name) in enumerate(zip(xs, names, strict=True))]
        leaves = [cast(Leaf, tensor._node) for tensor in (*parts, *rows)]
        undefined: list[str] = []
        try:  # what overflows is noted: an exception could be caught by the step, which then did something else
            with tracer, reporting(lambda what, _: undefined.append(what), over="call", divide="call", invalid="call"):
                new, ys = step(parts, rows)
                refs = tuple(map(tracer.computed, new)), tuple(map(tracer.computed, ys))
        except (CannotCompile, PurityError):
            raise
        except Exception as error:
            if undefined:
                raise Undefined from None
            raise CannotCompile(f"its first step raised {type(error).__name__}: {error}") from None
        if undefined:
            raise Undefined
        return leaves[: len(parts)], leaves[len(parts) :], *refs


class Hoisted(NamedTuple):
    """A program without the lines that depend on consts alone, its consts, and where each local of the trace is in it."""

    program: Program
    consts: list[Const]
    place: dict[Ref, Ref]


def hoisted(trace: Trace) -> Hoisted:
    """Loop-invariant code motion: what depends on consts alone is a const.

    The operations of those lines stay what they are: operations of the graph, recorded once, before the loop.
    """
    if not trace.invariant:
        return Hoisted(trace.program, trace.consts, {})
    program, place = trace.program.with_consts(trace.invariant, tuple(map(_value_of, trace.invariant.values())))
    return Hoisted(program, [*trace.consts, *trace.invariant.values()], place)
