"""One step of a cell as C99, forward and backward: the form that native loops are generated from, written in another language.

For whoever ports a cell to a device without Python, or checks a kernel. A nest is two loops of C, a product is three. Gradients
of weights are added to what is there, so that steps called from T to 1 add up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

import numpy as np

from minigrad import pytree
from minigrad.loops.differentiate import OUTER, SUM, Contribution, differentiate
from minigrad.loops.native.form import CARRY, CONST, NEW, NUMBER, SCRATCH, STACK, XS, Apply, Form, Load, Nest, Pointer, Total
from minigrad.loops.native.lower import lowered
from minigrad.loops.program import LOCAL, CannotCompile, Line, Program, Ref, Value
from minigrad.loops.schedule import Schedule
from minigrad.loops.sums_last import summed_later
from minigrad.loops.trace import Trace
from minigrad.ops.indexing import Slice
from minigrad.tensor import Tensor

__all__ = ["emitted"]

BATCH: Final = 11
"""Rows of the example that is traced: a number that no other size is likely to be, since in C the batch is a variable."""
IN_C: Final = (("{0} ** {1}", "pow({0}, {1})"), (" & ", " && "), (" | ", " || "), (" ^ ", " != "), ("not ", "!"), ("math.", ""))
"""What a formula of Python's is called in C."""
HEADER: Final = """\
/* One step of {name}, forward and backward, written by minigrad. Arrays are row by row: a state is batch rows.
   forward: from x and the state to new_…; saved has room for {name}_saved(batch) numbers. backward: from d_new_…, what arrives
   there, to d_x and d_…; what the weights are sent is added to d_w; spare has room for {name}_spare(batch) numbers. */
#ifndef {name}_h
#define {name}_h
typedef {type} {name}_real;
typedef struct {{
{fields}
}} {name}_weights;
#define {name}_saved(batch) ({saved_room})
#define {name}_spare(batch) ({spare_room})
{forward};
{backward};
#endif
"""
SOURCE: Final = """\
#include <tgmath.h>
#include "{name}.h"
typedef {name}_real real;
#define zero ((real)0)
#define one ((real)1)
#define two ((real)2)
#define select(condition, a, b) ((condition) ? (a) : (b))
#define larger(a, b) ((a) >= (b) || (a) != (a) ? (a) : (b))
#define smaller(a, b) ((a) <= (b) || (a) != (a) ? (a) : (b))
#define sigmoid(a) (one / (one + exp(-(a))))
#define unit (&(const real){{1}})

/* y = a w, or a times the transpose of w; of_… is how far apart rows lie. */
static inline void product(int rows, int columns, int inner, const real *a, int of_a, const real *w, int of_w, int transposed,
                           real *y, int of_y) {{
    for (int b = 0; b < rows; b++)
        for (int j = 0; j < columns; j++) {{
            real sum = zero;
            for (int k = 0; k < inner; k++) sum += a[b * of_a + k] * (transposed ? w[j * of_w + k] : w[k * of_w + j]);
            y[b * of_y + j] = sum;
        }}
}}

/* What a weight is sent: the sum over all rows of left times right, added to what is there. */
static inline void add(int rows, const real *left, int of_left, int m, const real *right, int of_right, int n,
                       real *to, int of_to) {{
    for (int b = 0; b < rows; b++)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) to[i * of_to + j] += left[b * of_left + i] * right[b * of_right + j];
}}

{forward} {{
{forward_body}}}

{backward} {{
{backward_body}}}
"""


def emitted(cell: Any, input_size: int, name: str, real: str = "float") -> tuple[str, str]:
    """One step of a cell as the text of a C file, and that of its header.

    Args:
        cell: anything with ``step(x, state)`` and ``initial_state(batch)``.
        input_size: how many columns its inputs have.
        name: what the functions and files are called.
        real: the type of all numbers.

    Raises:
        CannotCompile: something in the step has no native form.
    """
    state = cell.initial_state(BATCH)
    parts = [end.numpy() if isinstance(end, Tensor) else np.asarray(end) for end in pytree.ends(state)]
    states = list(getattr(cell, "state_names", ()) or getattr(state, "_fields", state if isinstance(state, dict) else ()))
    states = states if len(states) == len(parts) else ["h", *[f"h{k}" for k in range(1, len(parts))]]

    def step(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return pytree.ends(cell.step(xs[0], pytree.rebuilt(state, carry))), []

    trace = Trace(step, parts, [np.ones((BATCH, input_size), parts[-1].dtype)], ["x"])
    made = _Step(trace, states, {id(w): re.sub(r"\W", "_", path) for path, w in getattr(cell, "named_parameters", tuple)()})
    new, mine, read = [f"new_{s}" for s in states], f"{name}_real *", f"const {name}_real *"
    given = [f"const {name}_weights *w", *[read + s for s in ("x", *states)]]
    forward = [*given, *[mine + s for s in (*new, "saved")]]
    backward = [*given, *[read + s for s in (*new, "saved", *[f"d_{s}" for s in new])]]
    backward += [*[mine + s for s in ("d_x", *[f"d_{s}" for s in states], "spare")], f"const {name}_weights *d_w"]
    fields = "\n".join(f"    {name}_real *{f}" for f in made.fields) or "    int none;"
    words = {**made.room, "name": name, "type": real, "fields": fields}
    for which, listed, lines in (("forward", forward, made.forward), ("backward", backward, made.backward)):
        used = set(re.findall(r"\w+", "\n".join(lines)))
        unused = [f"(void){p};" for p in (each.split("*")[1] for each in listed) if p not in used]
        body = "    " + "\n    ".join([*unused, *lines]) + "\n"
        words |= {which: f"void {name}_{which}(int batch, {', '.join(listed)})", f"{which}_body": body}
    return SOURCE.format(**words), HEADER.format(**words)


class _Step:
    """The lines of both functions, and what every array is called in them."""

    def __init__(self, trace: Trace, states: list[str], names: dict[int, str]) -> None:
        self.states, self.fields, self.room = states, list[str](), dict[str, str]()
        self.program = program = self._with_parts_of_weights(trace, names)
        wanted = [Ref(CONST, k) for k, value in enumerate(program.consts) if value.requires_grad]
        wanted += [Ref(XS, 0), *[Ref(CARRY, i) for i in range(len(states))]]
        derivative = differentiate(program, wanted, range(len(states)), [])
        self.derivative = derivative = replace(derivative, program=summed_later(derivative.program))
        sent = [*derivative.program.ys, *[part.g for part in derivative.contributions]]
        self.form = lowered(Schedule(program, [ref.number for ref in derivative.needed() if ref.kind == LOCAL], True))
        self.back = lowered(Schedule(derivative.program, [ref.number for ref in sent], True))
        if self.form.at_once or self.back.at_once or any(isinstance(x, np.ndarray) for x in derivative.literals):
            raise CannotCompile("it takes rows of a table or a constant array, or another operation has no native form")
        self.memory = {id(form): self._offsets(form, name) for form, name in ((self.form, "saved"), (self.back, "spare"))}
        self.forward, self.backward = [*self._lines(self.form)], [*self._lines(self.back), *self._sent()]

    def _with_parts_of_weights(self, trace: Trace, names: dict[int, str]) -> Program:
        """The program; a part that is cut out of a weight is a weight that lies in it."""
        program, self.weights = trace.program, dict[Ref, tuple[str, int]]()
        for k, value in enumerate(program.consts):
            self.weights[Ref(CONST, k)] = f"w->{names.get(id(trace.consts[k]), f'const{k}')}", _width(value)
            self.fields += [f"{self.weights[Ref(CONST, k)][0][3:]}; /* {value.shape} */"] * (value.number is None)
        cuts = {k: line for k, line in enumerate(program.lines) if k in trace.invariant and isinstance(line.op, Slice)}
        for k, line in cuts.items():
            whole, apart = self.weights.get(line.operands[0], ("", 0))
            if not whole or len(line.shape) != len(program.value(line.operands[0]).shape):
                raise CannotCompile("a row is taken out of a weight, or a part of what was made of one")
            axis, start, *_ = line.op.span  # type: ignore[attr-defined]
            self.weights[Ref(LOCAL, k)] = f"{whole} + {start * (apart if axis < len(line.shape) - 1 else 1)}", apart
        self.at = list(self.weights.values())
        return program.with_consts(cuts, [Value(line.shape, line.dtype, None, True) for line in cuts.values()])[0]

    def _offsets(self, form: Form, memory: str) -> dict[Any, str]:
        """Where each result begins that is kept in memory: behind so many columns of all rows."""
        places = dict.fromkeys(pointer.place for pointer in (*form.pointers, *form.homes.values()))
        kept = [place for place in places if place.kind in (STACK, SCRATCH)]
        *starts, end = accumulate([place.columns for place in kept], initial=0)
        self.room[f"{memory}_room"] = f"(batch) * {end} + 1"
        return {place[:2]: f"{memory} + batch * {start}" for place, start in zip(kept, starts, strict=True)}

    def _address(self, form: Form, pointer: Pointer) -> str:
        (kind, number, *_), column = pointer
        if kind == XS and form is self.back:
            return self._given(self.derivative.residuals[number])[0]
        if kind in (CARRY, NEW):
            of = self.states[number] if form is self.form else self.states[self.derivative.carry[number]]
            start = "d_" * (form is self.back) + "new_" * ((kind == NEW) == (form is self.form)) + of
        else:
            start = "x" if kind == XS else self.at[number][0] if kind == CONST else self.memory[id(form)][kind, number]
        return f"{start} + {column}" if column else start

    def _given(self, ref: Ref) -> tuple[str, int]:
        """Where a value of the forward pass begins, and how far apart its rows lie."""
        if ref.kind == LOCAL:
            return self._address(self.form, self.form.homes[ref.number]), self.form.homes[ref.number].place.columns
        return "x" if ref.kind == XS else self.states[ref.number], _width(self.program.value(ref))

    def _lines(self, form: Form) -> Iterator[str]:
        for stage in (stage for section in form.sections for stage in section):
            for nest in stage.nests:
                yield from self._nest(form, nest)
            for made in stage.products:
                a, y = (f"{self._address(form, p)}, {p.place.columns}" for p in (form.pointers[made.a], form.pointers[made.y]))
                sizes = f"{'batch' if made.is_batch else 1}, {made.columns}, {made.inner}"
                yield f"product({sizes}, {a}, {', '.join(map(str, self.at[made.const]))}, {int(made.is_transposed)}, {y});"

    def _nest(self, form: Form, nest: Nest) -> Iterator[str]:
        width, totals = form.sizes[nest.columns], [each for each in nest.instructions if isinstance(each, Total)]
        yield f"for (int b = 0; b < {'batch' if nest.is_batch else 1}; b++) {{"
        yield from [f"    real t{total.pointer} = zero;" for total in totals]
        yield f"    for (int j = 0; j < {width}; j++) {{"
        for k, each in enumerate(nest.instructions):
            if isinstance(each, Load):
                yield f"        const real v{k} = {self._entry(form, each.pointer, not each.is_first)};"
            elif isinstance(each, Apply):
                yield f"        const real v{k} = {_formula(each)};"
            else:
                to = f"t{each.pointer} +" if isinstance(each, Total) else f"{self._entry(form, each.pointer, True)} "
                yield f"        {to}= {_word(each.value)};"
        yield "    }"
        yield from [f"    {self._entry(form, t.pointer, False)} = t{t.pointer}{f' / {width}' * t.is_mean};" for t in totals]
        yield "}"

    def _entry(self, form: Form, number: int, is_column: bool) -> str:
        place, _ = pointer = form.pointers[number]
        if place.kind == NUMBER:
            return f"(real){repr(form.numbers[place.number]).replace('inf', 'INFINITY').replace('nan', 'NAN')}"
        index = [f"b * {place.columns}"] * place.is_batch + ["j"] * is_column
        return f"({self._address(form, pointer)})[{' + '.join(index) or 0}]"

    def _sent(self) -> Iterator[str]:
        """What is left when all is computed: to copy what x is sent, and to add what the weights are sent."""
        derivative, width = self.derivative, _width(self.program.xs[0])
        others = [i for i in range(len(self.states)) if i not in derivative.carry]
        sent = {"d_x": (width, "zero")} | {f"d_{self.states[i]}": (_width(self.program.carry[i]), "zero") for i in others}
        for ref in derivative.program.ys:
            sent["d_x"] = width, f"({self._address(self.back, self.back.homes[ref.number])})[k]"
        yield from [f"for (int k = 0; k < batch * {columns}; k++) {to}[k] = {value};" for to, (columns, value) in sent.items()]
        yield from map(self._contribution, derivative.contributions)

    def _contribution(self, part: Contribution) -> str:
        home, const = self.back.homes[part.g.number], self.program.consts[part.const]
        rows, g = "batch" if home.place.is_batch else "1", f"{self._address(self.back, home)}, {home.place.columns}"
        to, apart = self.at[part.const][0].replace("w->", "d_w->"), self.at[part.const][1]
        if part.form == OUTER and part.a is not None:
            a = ", ".join(map(str, self._given(part.a)))
            left, right = (g, a) if part.transposed else (a, g)
            return f"add({rows}, {left}, {const.shape[0]}, {right}, {const.shape[1]}, {to}, {apart});"
        if part.form != SUM or (len(const.shape) == 2 and const.shape[0] != 1):
            raise CannotCompile(f"what the weight {to} is sent has no form in C")
        return f"add({rows}, {g}, {_width(self.derivative.program.value(part.g))}, unit, 0, 1, {to}, {int(_width(const) > 1)});"


def _formula(apply: Apply) -> str:
    text = apply.text
    for python, c in IN_C:
        text = text.replace(python, c)
    return text.format(*map(_word, apply.operands))


def _word(value: int | str) -> str:
    return f"({value})" if isinstance(value, str) else f"v{value}"


def _width(value: Value | Line) -> int:
    return value.shape[-1] if value.shape else 1
