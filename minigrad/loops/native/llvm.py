"""What generated code calls and Python has no word for: memory by address, BLAS, and functions in LLVM's instructions.

A word is given the code that it stands in (`minigrad.loops.native.compiler`), with the builder of its instructions, and values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from minigrad.loops.native import curves
from minigrad.loops.native.compiler import BYTE, DOUBLE, LONG, SHORT, SINGLE, TRUTH, Word
from minigrad.loops.native.curves import Term

__all__ = [
    "FUNCTIONS", "bits", "data_of", "disjoint", "doubles", "flags", "integers", "pack", "product", "rank", "ranked",
    "reassociated", "select", "singles",
]  # fmt: skip


def _pointers(kind: Any) -> Word:
    """What makes a pointer to numbers of one kind from an address."""
    return Word(lambda code, address: code.builder.inttoptr(address, kind.as_pointer()))


singles, doubles, bits, integers = map(_pointers, (SINGLE, DOUBLE, BYTE, LONG))


@Word
def data_of(code: Any, arrays: Any, item: Any, offset: Any) -> Any:
    """The address of an array's data, which stands so many bytes behind the beginning of the array as an object; and the array
    so many bytes behind the beginning of a tuple."""
    builder, address = code.builder, arrays
    for behind in (item, offset):
        address = builder.load(builder.inttoptr(builder.add(address, behind), LONG.as_pointer()))
    return address


@Word
def flags(code: Any, function: Any, which: Any) -> Any:
    """Call one of the functions of C's library that take the processor's flags down, or tell which are up."""
    builder = code.builder
    pointer = builder.inttoptr(function, ir.FunctionType(SHORT, [SHORT]).as_pointer())
    return builder.sext(builder.call(pointer, [builder.trunc(which, SHORT)]), LONG)


@Word
def disjoint(code: Any) -> None:
    """Promise LLVM that what is written through one pointer argument of this function is not reached through another.

    The promise holds for one call, so the function is not made part of its caller. Vectors may be as wide as there are: LLVM
    by itself takes half of 512 bits, which pays where there is less arithmetic than here.
    """
    code.function.attributes.add("noinline")
    set.add(code.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add knows no such name
    for argument in code.function.args:
        if isinstance(argument.type, ir.PointerType):
            argument.add_attribute("noalias")


@Word
def reassociated(code: Any) -> None:
    """Allow LLVM to add up what this function adds up in another order: as many partial sums as a vector has numbers."""
    code.flags = ("reassoc",)


def _swapped(builder: Any, bits: Any) -> Any:
    """The bits of a number as an integer that grows with it, or back: those behind the sign are turned where there is one."""
    width = bits.type.width
    return builder.xor(bits, builder.and_(builder.ashr(bits, bits.type(width - 1)), bits.type(2 ** (width - 1) - 1)))


@Word
def rank(code: Any, x: Any) -> Any:
    """An integer that is the larger, the larger a number is: LLVM finds the largest of several at once."""
    return _swapped(code.builder, code.builder.bitcast(x, SHORT if x.type == SINGLE else LONG))


@Word
def ranked(code: Any, k: Any) -> Any:
    """The number of a rank."""
    return code.builder.bitcast(_swapped(code.builder, k), SINGLE if k.type == SHORT else DOUBLE)


@Word
def select(code: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, else ``b``; both have been computed. A number beside a truth value is one itself."""
    a, b = (code.converted(TRUTH, value) if TRUTH in (a.type, b.type) else value for value in (a, b))
    return code.builder.select(condition, a, b)


def _greater(sign: str) -> Word:
    """The larger (sign >=) or smaller (<=) of two numbers, or the NaN among them."""

    def emit(code: Any, a: Any, b: Any) -> Any:
        builder = code.builder
        return builder.select(builder.or_(builder.fcmp_ordered(sign, a, b), builder.fcmp_unordered("uno", a, a)), a, b)

    return Word(emit)


def _function(compute: Callable[[Term], Term]) -> Word:
    """A function of one number, in LLVM's instructions."""
    return Word(lambda code, x: compute(Term(code.builder, x)).value)


def _called(name: str) -> Word:
    return _function(lambda x: x.call(name))


OF_LLVM: Final = ("fabs", "sqrt", "floor", "ceil", "trunc", "rint")
CURVES: Final = (curves.exp, curves.sigmoid, curves.tanh)
FUNCTIONS: Final = {
    **{name: _called(name) for name in OF_LLVM},
    **{curve.__name__: _function(curve) for curve in CURVES},
    "larger": _greater(">="),
    "smaller": _greater("<="),
}
"""By name, functions of numbers that LLVM can compute for several entries at once."""

ROW_MAJOR, PLAIN, TRANSPOSED, ONE_APART = 101, 111, 112, 1


@Word
def product(
    code: Any, gemm: Any, gemv: Any, multiply: Any, m: Any, n: Any, k: Any,
    a: Any, of_a: Any, b: Any, of_b: Any, transposed: Any, packed: Any, y: Any, of_y: Any,
) -> None:  # fmt: skip
    """y = A B or A Bᵀ: with a B that is packed by ``multiply``, else by BLAS: gemm, or gemv where A is one row.

    ``gemm``, ``gemv``, ``multiply`` and ``packed`` are addresses, 0 of what is not there; ``m``, ``n`` and ``k`` are rows,
    columns and what is summed over, ``of_a`` … say how far apart rows lie, and ``transposed`` that B is (n, k).
    """
    builder, real = code.builder, a.type.pointee
    zero, one = real(0.0), real(1.0)

    def call(address: Any, kinds: str, *values: Any) -> None:
        known = {"i": SHORT, "l": LONG, "r": real, "p": real.as_pointer()}
        kind = ir.FunctionType(ir.VoidType(), [known[letter] for letter in kinds])
        builder.call(builder.inttoptr(address, kind.as_pointer()), values)

    order, plain, other, step = *[SHORT(value) for value in (ROW_MAJOR, PLAIN, TRANSPOSED)], LONG(ONE_APART)
    with builder.if_else(builder.icmp_signed("!=", packed, LONG(0))) as (once, anew):
        with once:
            call(multiply, "lllpllpl", m, n, k, a, of_a, packed, y, of_y)
        with anew, builder.if_else(builder.icmp_signed("==", m, LONG(1))) as (row, matrix):
            with row:
                height, width = builder.select(transposed, n, k), builder.select(transposed, k, n)
                flag = builder.select(transposed, plain, other)
                call(gemv, "iillrplplrpl", order, flag, height, width, one, b, of_b, a, step, zero, y, step)
            with matrix:
                flag = builder.select(transposed, other, plain)
                call(gemm, "iiilllrplplrpl", order, plain, flag, m, n, k, one, a, of_a, b, of_b, zero, y, of_y)


@Word
def pack(code: Any, function: Any, *values: Any) -> None:
    """Pack a matrix by a function at an address, for `product`: columns, inner, the matrix, how far apart its rows lie,
    whether it is transposed, and where to; all are integers."""
    builder = code.builder
    kind = ir.FunctionType(ir.VoidType(), [LONG] * len(values))
    builder.call(builder.inttoptr(function, kind.as_pointer()), values)
