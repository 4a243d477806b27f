"""Sums over the examples are put off until all else is done.

A step may make one row for all examples out of weights, such as σ(w); what it is sent is the sum over all of them. A derivative
is linear in what arrives, so it is the same to go on with a row for each example, and to add up last: weights get sums anyway.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from minigrad.loops.program import LOCAL, Line, Program
from minigrad.ops.casting import Copy
from minigrad.ops.reductions import Sum

__all__ = ["summed_later"]


def summed_later(program: Program) -> Program:
    """The same derivative, in which what is sent to rows that all examples share stays a row for each."""
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
