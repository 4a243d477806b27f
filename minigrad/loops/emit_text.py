"""The C that is written of a step: the functions and the frame that every file has, and the loops of a nest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from minigrad.loops.native.form import NUMBER, SCRATCH, STACK, Apply, Form, Load, Nest, Place, Total

__all__ = ["HEADER", "HELPERS", "At", "last_of", "nest_of", "offsets", "plus"]

At: TypeAlias = Callable[[Place], str]
"""What a place is called."""

IN_C: Final = (("{0} ** {1}", "pow({0}, {1})"), (" & ", " && "), (" | ", " || "), (" ^ ", " != "), ("not ", "!"), ("math.", ""))
"""What a formula of Python's is called in C."""

HEADER: Final = """\
/* One step of {name}, forward and backward, written by minigrad. Arrays are row by row: a state is batch rows.

   forward: from x and the state to the new state; saved has room for {NAME}_SAVED(batch) numbers.
   backward: from d_new_…, what arrives at the new state, to d_x and d_…; what the weights are sent is added to d_w. The state,
   new_… and saved are as forward left them; spare has room for {NAME}_SPARE(batch) numbers. */
#ifndef {NAME}_H
#define {NAME}_H

typedef {type} {real};

typedef struct {{
{fields}
}} {name}_weights;

#define {NAME}_SAVED(batch) ({of_forward})
#define {NAME}_SPARE(batch) ({of_backward})

{forward};

{backward};

#endif
"""

HELPERS: Final = """\
/* One step of {name}, forward and backward, written by minigrad: {name}.h says what is what. */
#include <tgmath.h>

#include "{name}.h"

typedef {real} real;

#define zero ((real)0)
#define one ((real)1)
#define two ((real)2)
#define select(condition, a, b) ((condition) ? (a) : (b))
#define larger(a, b) ((a) >= (b) || (a) != (a) ? (a) : (b))
#define smaller(a, b) ((a) <= (b) || (a) != (a) ? (a) : (b))
#define sigmoid(a) (one / (one + exp(-(a))))

/* y = a w, or a times the transpose of w. */
static inline void product(int rows, int columns, int inner, const real *a, int of_a, const real *w, int of_w,
                           int transposed, real *y, int of_y) {{
    for (int b = 0; b < rows; b++)
        for (int j = 0; j < columns; j++) {{
            real sum = zero;
            for (int k = 0; k < inner; k++) sum += a[b * of_a + k] * (transposed ? w[j * of_w + k] : w[k * of_w + j]);
            y[b * of_y + j] = sum;
        }}
}}

/* What a matrix is sent: the sum over all rows of left times right, added to what is there. */
static inline void add_outer(int rows, const real *left, int of_left, int m, const real *right, int of_right, int n,
                             real *into, int of_into) {{
    for (int b = 0; b < rows; b++)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) into[i * of_into + j] += left[b * of_left + i] * right[b * of_right + j];
}}

/* What all rows share is sent, be it a row itself or one number. */
static inline void add_sum(int rows, const real *g, int of_g, int columns, real *into, int width) {{
    for (int b = 0; b < rows; b++)
        for (int j = 0; j < columns; j++) into[width == 1 ? 0 : j] += g[b * of_g + j];
}}

static inline void copy(int count, const real *from, real *to) {{
    for (int k = 0; k < count; k++) to[k] = from ? from[k] : zero;
}}
"""


def nest_of(form: Form, nest: Nest, at: At) -> Iterator[str]:
    """The loops over rows and columns."""
    totals = [instruction for instruction in nest.instructions if isinstance(instruction, Total)]
    width = form.sizes[nest.columns]
    yield f"for (int b = 0; b < {'batch' if nest.is_batch else 1}; b++) {{"
    yield from [f"    real t{total.pointer} = zero;" for total in totals]
    yield f"    for (int j = 0; j < {width}; j++) {{"
    for k, instruction in enumerate(nest.instructions):
        if isinstance(instruction, Load):
            yield f"        const real v{k} = {_entry(form, instruction.pointer, not instruction.is_first, at)};"
        elif isinstance(instruction, Apply):
            yield f"        const real v{k} = {_formula(instruction)};"
        elif isinstance(instruction, Total):
            yield f"        t{instruction.pointer} += {_word(instruction.value)};"
        else:
            yield f"        {_entry(form, instruction.pointer, True, at)} = {_word(instruction.value)};"
    yield "    }"
    yield from [f"    {_entry(form, t.pointer, False, at)} = t{t.pointer}{f' / {width}' * t.is_mean};" for t in totals]
    yield "}"


def _entry(form: Form, number: int, is_column: bool, at: At) -> str:
    place, column = form.pointers[number]
    if place.kind == NUMBER:
        return f"(real){repr(form.numbers[place.number]).replace('inf', 'INFINITY').replace('nan', 'NAN')}"
    index = [f"b * {place.columns}"] * place.is_batch + ["j"] * is_column
    start = plus(at(place), column)
    return f"{f'({start})' if ' ' in start else start}[{' + '.join(index) or 0}]"


def _formula(instruction: Apply) -> str:
    text = instruction.text
    for python, c in IN_C:
        text = text.replace(python, c)
    return text.format(*map(_word, instruction.operands))


def _word(value: int | str) -> str:
    return f"({value})" if isinstance(value, str) else f"v{value}"


def plus(start: str, column: int) -> str:
    """An address, so many numbers further on."""
    return f"{start} + {column}" if column else start


def last_of(shape: Sequence[int]) -> int:
    """How many entries a row has."""
    return shape[-1] if shape else 1


def offsets(form: Form) -> dict[Any, str]:
    """Where each result begins that is kept in memory, and how much ``"all"`` are: so many rows' width, and single rows."""
    of_rows = single = 0
    found = {}
    for place in dict.fromkeys(pointer.place for pointer in (*form.pointers, *form.homes.values())):
        if place.kind in (STACK, SCRATCH):
            found[place.kind, place.number] = plus(f"batch * {of_rows}", single)
            of_rows, single = of_rows + place.columns * place.is_batch, single + place.columns * (not place.is_batch)
    return found | {"all": f"(batch) * {of_rows} + {single + 1}"}
