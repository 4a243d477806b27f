"""From opcode to formula: what the generated code writes for one entry of a result.

A formula is Python text with ``{0}``, ``{1}`` … in the place of the operands. ``number``, ``zero``, ``one`` and ``two`` are
the floating-point dtype of the loop and three of its numbers. The operations that are element-wise are here; slices, joins and
products of matrices are no formulas but addresses and calls.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from minigrad.graph import Operation
from minigrad.loops.program import CannotCompile
from minigrad.loops.trace import Pass
from minigrad.loops.windows import Window
from minigrad.ops import arithmetic, casting, constants, kinks, shape, transcendental

__all__ = ["Formula", "formula"]


class Formula(NamedTuple):
    """How an entry is computed: the text, whether its operands are truth values (None: as they come), and whether it costs
    more than the few instructions of which it is cheaper to repeat than to remember the result."""

    text: str
    logical: tuple[bool | None, ...]
    is_dear: bool = False


def _of_numbers(text: str, operands: int, is_dear: bool = False) -> Formula:
    return Formula(text, (False,) * operands, is_dear)


OPERATIONS: Final[dict[type[Operation], Formula]] = {
    arithmetic.Add: _of_numbers("{0} + {1}", 2),
    arithmetic.Subtract: _of_numbers("{0} - {1}", 2),
    arithmetic.Multiply: _of_numbers("{0} * {1}", 2),
    arithmetic.Divide: _of_numbers("{0} / {1}", 2, True),
    arithmetic.Power: _of_numbers("{0} ** {1}", 2, True),
    arithmetic.Negative: _of_numbers("-{0}", 1),
    arithmetic.Square: _of_numbers("{0} * {0}", 1),
    casting.Copy: Formula("{0}", (None,)),
    Pass: Formula("{0}", (None,)),
    shape.BroadcastTo: Formula("{0}", (None,)),
    shape.Reshape: Formula("{0}", (None,)),
    kinks.Absolute: _of_numbers("fabs({0})", 1),
    kinks.Relu: _of_numbers("select({0} <= zero, zero, {0})", 1),
    kinks.Larger: _of_numbers("larger({0}, {1})", 2),
    kinks.Smaller: _of_numbers("smaller({0}, {1})", 2),
    kinks.Clip: _of_numbers("smaller(larger({0}, {1}), {2})", 3),
    kinks.Where: Formula("select({2}, {0}, {1})", (None, None, True)),
    Window: Formula("{0}", (None, None, True)),
    kinks.Switch: Formula("select({2}, {0}, zero)", (False, None, True)),
    transcendental.Exp: _of_numbers("exp({0})", 1, True),
    transcendental.Expm1: _of_numbers("math.expm1({0})", 1, True),
    transcendental.Log: _of_numbers("math.log({0})", 1, True),
    transcendental.Log1p: _of_numbers("math.log1p({0})", 1, True),
    transcendental.Sqrt: _of_numbers("sqrt({0})", 1, True),
    transcendental.Sin: _of_numbers("math.sin({0})", 1, True),
    transcendental.Cos: _of_numbers("math.cos({0})", 1, True),
    transcendental.Tanh: _of_numbers("tanh({0})", 1, True),
    transcendental.Sigmoid: _of_numbers("sigmoid({0})", 1, True),
    transcendental.Softplus: _of_numbers("larger({0}, zero) + math.log1p(exp(-fabs({0})))", 1, True),
    transcendental.LogAddExp: _of_numbers("larger({0}, {1}) + math.log1p(exp(-fabs({0} - {1})))", 2, True),
}
POWERS: Final[dict[float | None, str]] = {1: "{0}", 2: "{0} * {0}", 3: "{0} * {0} * {0}"}
COMPARISONS: Final[dict[Any, str]] = {
    np.equal: "==", np.not_equal: "!=", np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=",
}  # fmt: skip
FUNCTIONS: Final[dict[Any, Formula]] = {
    **{function: _of_numbers(f"{{0}} {sign} {{1}}", 2) for function, sign in COMPARISONS.items()},
    **dict.fromkeys((np.logical_and, np.bitwise_and), Formula("{0} & {1}", (True, True))),
    **dict.fromkeys((np.logical_or, np.bitwise_or), Formula("{0} | {1}", (True, True))),
    **dict.fromkeys((np.logical_xor, np.bitwise_xor), Formula("{0} ^ {1}", (True, True))),
    np.logical_not: Formula("not {0}", (True,)),
    np.isnan: _of_numbers("{0} != {0}", 1),
    np.sign: _of_numbers("select({0} > zero, one, select({0} < zero, -one, {0}))", 1),
    np.floor: _of_numbers("floor({0})", 1),
    np.ceil: _of_numbers("ceil({0})", 1),
    np.trunc: _of_numbers("trunc({0})", 1),
    np.rint: _of_numbers("rint({0})", 1),
}


def formula(op: Operation, numbers: tuple[float | None, ...]) -> Formula:
    """How to compute ``op`` by entry.

    Args:
        op: the operation.
        numbers: the value of each operand that is a plain number.

    Raises:
        CannotCompile: it has no formula.
    """
    kind = type(op)
    if kind is arithmetic.Power and numbers[1] in POWERS:
        return _of_numbers(POWERS[numbers[1]], 2)
    found = FUNCTIONS.get(op.function) if isinstance(op, constants.Flat) else OPERATIONS.get(kind)
    if found is None:
        name = getattr(op.function, "__name__", "") if isinstance(op, constants.Flat) else op.label
        raise CannotCompile(f"{name!r} has no formula in native code")
    return found
