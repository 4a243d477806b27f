"""One step of a cell as C99, forward and backward: the form that native loops are generated from, written in another language.

For whoever ports a cell to a device without Python, or checks a kernel. The step is traced, differentiated and lowered as for a
native loop; a nest is two loops of C, a product is three. What the backward pass needs of the forward pass lies in an array of
the caller's; gradients of weights are added to what is there, so that steps called from T to 1 add up.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from minigrad import pytree
from minigrad.loops.differentiate import OUTER, SUM, Contribution, differentiate
from minigrad.loops.emit_text import HEADER, HELPERS, At, last_of, nest_of, offsets, plus
from minigrad.loops.native.form import CARRY, CONST, NEW, XS, Form, Place
from minigrad.loops.native.lower import lowered
from minigrad.loops.program import LOCAL, CannotCompile, Line, Program, Ref, Value
from minigrad.loops.schedule import Schedule
from minigrad.loops.trace import Flat, Trace
from minigrad.ops.casting import Copy
from minigrad.ops.indexing import Slice
from minigrad.ops.reductions import Sum
from minigrad.tensor import Tensor

__all__ = ["emitted", "emitted_cell"]

BATCH: Final = 11
"""Rows of the example that is traced: a number that no other size is likely to be, since in C the batch is a variable."""


def emitted(
    step: Flat, carry: Sequence[Any], x: Any, states: Sequence[str], weights: Mapping[str, Any], name: str, real: str = "float"
) -> tuple[str, str]:
    """One step as the text of a C file, and that of its header.

    Args:
        step: from the parts of the state and [x] to the parts of the new state and [].
        carry: the parts of a state for ``BATCH`` rows.
        x: an input for as many.
        states: what the parts are called.
        weights: the parameters by name.
        name: what the functions begin with.
        real: the type of all numbers.

    Raises:
        CannotCompile: something in it has no native form.
    """
    one = _Step(Trace(step, carry, [x], ["x"]), states, weights)
    words = {
        "name": name,
        "NAME": name.upper(),
        "real": f"{name}_real",
        "type": real,
        "fields": one.listed(name),
        **one.sizes(),
    }
    calls = {pass_: f"void {name}_{pass_}({', '.join(one.parameters(pass_))})".format(**words) for pass_ in one.forms}
    bodies = [f"{call} {{\n{one.body(pass_)}}}\n" for pass_, call in calls.items()]
    return "\n".join([HELPERS.format(**words), one.constants(), *bodies]), HEADER.format(**words, **calls)


def emitted_cell(cell: Any, input_size: int, name: str, real: str = "float") -> tuple[str, str]:
    """The same for a cell: anything with ``step(x, state)`` and ``initial_state(batch)``; its inputs have so many columns."""
    state = cell.initial_state(BATCH)
    parts = [end.numpy() if isinstance(end, Tensor) else np.asarray(end) for end in pytree.ends(state)]
    called = getattr(cell, "state_names", ()) or getattr(state, "_fields", ()) or (state if isinstance(state, dict) else ())
    if len(called) != len(parts):
        called = ["h"] if len(parts) == 1 else [f"h{k}" for k in range(len(parts))]
    weights = dict(cell.named_parameters()) if hasattr(cell, "named_parameters") else {}

    def step(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return pytree.ends(cell.step(xs[0], pytree.rebuilt(state, carry))), []

    return emitted(
        step, parts, np.ones((BATCH, input_size), parts[-1].dtype), [f"{part}" for part in called], weights, name, real
    )


class _Step:
    """A step and its derivative, lowered, and what every array is called in C."""

    def __init__(self, trace: Trace, states: Sequence[str], weights: Mapping[str, Any]) -> None:
        self.states, self.fields = list(states), dict[str, str]()
        program = self.program = self._outside(trace, weights)
        wanted = [Ref(CONST, k) for k, value in enumerate(program.consts) if value.requires_grad]
        wanted += [Ref(CARRY, i) for i in range(len(program.carry))] + [Ref(XS, 0)]
        self.derivative = differentiate(program, wanted, range(len(program.carry)), [])
        needed = [ref.number for ref in self.derivative.needed() if ref.kind == LOCAL]
        back = summed_later(self.derivative.program)
        self.derivative = replace(self.derivative, program=back)
        sent = [ref.number for ref in (*back.ys, *(part.g for part in self.derivative.contributions))]
        self.forms = {
            "forward": lowered(Schedule(program, needed, every_carry=True)),
            "backward": lowered(Schedule(back, sent, every_carry=True)),
        }
        if any(form.at_once for form in self.forms.values()):
            raise CannotCompile("rows of a table are looked up, or another operation has no native form")
        for k, literal in enumerate(self.derivative.literals):
            self.weights.append((f"literal{k}", last_of(np.shape(literal))))
        self.memory = {which: offsets(form) for which, form in self.forms.items()}

    def _outside(self, trace: Trace, weights: Mapping[str, Any]) -> Program:
        """The program; what it takes of the caller are weights, and parts that are cut out of them and lie in them."""
        names = {id(weight): re.sub(r"\W", "_", name) for name, weight in weights.items()}
        whole, found = trace.program, dict[Ref, tuple[str, int]]()
        for k, value in enumerate(whole.consts):
            name = names.get(id(trace.consts[k]), f"const{k}")
            found[Ref(CONST, k)] = f"w->{name}", last_of(value.shape)
            if value.number is None:
                self.fields[name] = str(value.shape)
        cuts = [k for k in trace.invariant if isinstance(whole.lines[k].op, Slice) and whole.lines[k].operands[0] in found]
        for k in cuts:
            line, (axis, start, *_) = whole.lines[k], whole.lines[k].op.span  # type: ignore[attr-defined]
            first, apart = found[line.operands[0]]
            if len(line.shape) != len(whole.value(line.operands[0]).shape):
                raise CannotCompile("one row of a weight is taken out of it")
            found[Ref(LOCAL, k)] = f"{first} + {start * (apart if axis < len(line.shape) - 1 else 1)}", apart
        self.weights = list(found.values())
        """Of each const where it begins, and how far apart its rows lie."""
        lines = [whole.lines[k] for k in cuts]
        return whole.with_consts(cuts, [Value(line.shape, line.dtype, None, True) for line in lines])[0]

    # ---------------------------------------------------------------- what is told to the header

    def sizes(self) -> dict[str, str]:
        """How many numbers the passes keep."""
        return {f"of_{which}": memory["all"] for which, memory in self.memory.items()}

    def listed(self, name: str) -> str:
        """The weights."""
        lines = [f"    {name}_real *{word}; /* {said} */" for word, said in self.fields.items()]
        return "\n".join(lines or ["    int none;"])

    def parameters(self, which: str) -> list[str]:
        """The parameters of a function."""
        states = self.states
        given = ["int batch", "const {name}_weights *w", "const {real} *x", *[f"const {{real}} *{s}" for s in states]]
        if which == "forward":
            return [*given, *[f"{{real}} *new_{s}" for s in states], "{real} *saved"]
        given += [
            *[f"const {{real}} *new_{s}" for s in states],
            "const {real} *saved",
            *[f"const {{real}} *d_new_{s}" for s in states],
        ]
        return [*given, "{real} *d_x", *[f"{{real}} *d_{s}" for s in states], "const {name}_weights *d_w", "{real} *spare"]

    def constants(self) -> str:
        """Arrays that the derivative brings with it."""
        used = {pointer.place.number for pointer in self.forms["backward"].pointers if pointer.place.kind == CONST}
        first = len(self.program.consts)
        arrays = {k - first: np.ravel(self.derivative.literals[k - first]).tolist() for k in sorted(used) if k >= first}
        return "".join(f"static const real literal{k}[] = {{{str(numbers)[1:-1]}}};\n" for k, numbers in arrays.items())

    # ---------------------------------------------------------------- what is where

    def _of_forward(self, place: Place) -> str:
        kind, number, *_ = place
        if kind in (XS, CONST):
            return "x" if kind == XS else self.weights[number][0]
        if kind in (CARRY, NEW):
            return f"{'new_' * (kind == NEW)}{self.states[number]}"
        return f"saved + {self.memory['forward'][kind, number]}"

    def _of_backward(self, place: Place) -> str:
        kind, number, *_ = place
        if kind in (XS, CONST):
            return self._forward_value(self.derivative.residuals[number])[0] if kind == XS else self.weights[number][0]
        if kind in (CARRY, NEW):
            return f"d_{'new_' * (kind == CARRY)}{self.states[self.derivative.carry[number]]}"
        return f"spare + {self.memory['backward'][kind, number]}"

    def _forward_value(self, ref: Ref) -> tuple[str, int]:
        """Where a value of the forward pass begins, and how far apart its rows lie."""
        if ref.kind != LOCAL:
            return self._of_forward(Place(*ref, (), True, None)), last_of(self.program.value(ref).shape)
        home = self.forms["forward"].homes[ref.number]
        return plus(self._of_forward(home.place), home.column), home.place.columns

    # ---------------------------------------------------------------- functions

    def body(self, which: str) -> str:
        """What a function does."""
        form, at = self.forms[which], self._of_forward if which == "forward" else self._of_backward
        lines = [line for section in form.sections for stage in section for line in self._stage(form, stage, at)]
        lines += self._sent() if which == "backward" else []
        words = set(re.findall(r"\w+", "\n".join(lines)))
        names = [re.split(r"\W", parameter)[-1] for parameter in self.parameters(which)]
        return "".join(f"    {line}\n" for line in (*[f"(void){name};" for name in names if name not in words], *lines))

    def _stage(self, form: Form, stage: Any, at: At) -> Iterator[str]:
        for nest in stage.nests:
            yield from nest_of(form, nest, at)
        for made in stage.products:
            (a, y), (matrix, apart) = (form.pointers[made.a], form.pointers[made.y]), self.weights[made.const]
            sizes = f"{'batch' if made.is_batch else 1}, {made.columns}, {made.inner}"
            row, result = (f"{plus(at(pointer.place), pointer.column)}, {pointer.place.columns}" for pointer in (a, y))
            yield f"product({sizes}, {row}, {matrix}, {apart}, {int(made.is_transposed)}, {result});"

    def _sent(self) -> Iterator[str]:
        """What is left when all is computed: to copy what x is sent, and to add what the weights are sent."""
        derivative, homes = self.derivative, self.forms["backward"].homes
        width = last_of(self.program.xs[0].shape)
        for ref in derivative.program.ys:
            yield f"copy(batch * {width}, {plus(self._of_backward(homes[ref.number].place), homes[ref.number].column)}, d_x);"
        nothing = [("d_x", width)] * (not derivative.xs)
        nothing += [
            (f"d_{s}", last_of(self.program.carry[i].shape)) for i, s in enumerate(self.states) if i not in derivative.carry
        ]
        yield from [f"copy(batch * {columns}, 0, {array});" for array, columns in nothing]
        yield from map(self._contribution, derivative.contributions)

    def _contribution(self, part: Contribution) -> str:
        home, const = self.forms["backward"].homes[part.g.number], self.program.consts[part.const]
        rows, g = "batch" if home.place.is_batch else "1", plus(self._of_backward(home.place), home.column)
        into, apart = self.weights[part.const]
        into = into.replace("w->", "d_w->")
        if part.form == SUM and (len(const.shape) < 2 or const.shape[0] == 1):
            columns = last_of(self.derivative.program.value(part.g).shape)
            return f"add_sum({rows}, {g}, {home.place.columns}, {columns}, {into}, {last_of(const.shape)});"
        if part.form != OUTER or part.a is None:
            raise CannotCompile(f"what the weight {into} is sent has no form in C")
        a, of_a = self._forward_value(part.a)
        left, right = f"{g}, {home.place.columns}", f"{a}, {of_a}"
        left, right = (left, right) if part.transposed else (right, left)
        return f"add_outer({rows}, {left}, {const.shape[0]}, {right}, {const.shape[1]}, {into}, {apart});"


def summed_later(program: Program) -> Program:
    """A derivative that sums nothing over the examples: what is sent to rows that all examples share stays a row for each.

    A derivative is linear in what arrives, so it is the same to add up last; that is how weights get their sums anyway.
    """
    lines: list[Line] = []
    for line in program.lines:
        op, kinds = copy.copy(line.op), [lines[o.number] if o.kind == LOCAL else program.value(o) for o in line.operands]
        is_taller = any(kind.shape != program.value(o).shape for kind, o in zip(kinds, line.operands, strict=True))
        if isinstance(op, Sum) and 0 in op.axes and (is_taller or len(op.shape_x) == 2):
            op, is_taller = Copy(), True
            op.dtype, op.name, op.place, op.saved = line.op.dtype, line.op.name, line.op.place, None
        if is_taller:
            op.shape = np.broadcast_shapes(*[kind.shape for kind in kinds])
        lines.append(line._replace(op=op))
    return replace(program, lines=tuple(lines))
