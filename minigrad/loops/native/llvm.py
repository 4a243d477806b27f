"""What generated code calls that Python has no word for: memory by address, BLAS, and functions in LLVM's instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minigrad.loops.native import curves
from minigrad.loops.native.curves import Term

__all__ = [
    "FUNCTIONS", "bits", "data_of", "disjoint", "doubles", "flags", "integers", "pack", "product", "rank", "ranked", "select",
    "singles",
]  # fmt: skip


def _pointers(kind: Any) -> Any:
    """What makes a pointer to numbers of one kind from an address."""

    @intrinsic
    def at(typing: Any, address: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), emit  # type: ignore[no-untyped-call]

    return at


@intrinsic
def data_of(typing: Any, arrays: Any, item: Any, offset: Any) -> Any:
    """The address of an array's data, which stands so many bytes behind the beginning of the array as an object; and the array
    so many bytes behind the beginning of a tuple."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address, *steps = args
        for behind in steps:
            address = builder.load(builder.inttoptr(builder.add(address, behind), ir.IntType(64).as_pointer()))
        return address

    return types.int64(arrays, item, offset), emit


@intrinsic
def flags(typing: Any, function: Any, which: Any) -> Any:
    """Call one of the functions of C's library that take the processor's flags down, or tell which are up."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function, which = args
        short, long = ir.IntType(32), ir.IntType(64)
        pointer = builder.inttoptr(function, ir.FunctionType(short, [short]).as_pointer())
        return builder.sext(builder.call(pointer, [builder.trunc(which, short)]), long)

    return types.int64(function, which), emit


singles, doubles, bits, integers = map(_pointers, (types.float32, types.float64, types.uint8, types.int64))


@intrinsic
def disjoint(typing: Any) -> Any:
    """Promise LLVM that what is written through one pointer argument of this function is not reached through another.

    The promise holds for one call, so the function is not made part of its caller. Vectors may be as wide as there are: LLVM
    by itself takes half of 512 bits, which pays where there is less arithmetic than here.
    """

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.function.attributes.add("noinline")
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add knows no such name
        for argument in builder.function.args[2:]:  # the first two are numba's own
            if isinstance(argument.type, ir.PointerType):
                argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.none(), emit


def _swapped(builder: Any, bits: Any) -> Any:
    """The bits of a number as an integer that grows with it, or back: those behind the sign are turned where there is one."""
    width = bits.type.width
    return builder.xor(bits, builder.and_(builder.ashr(bits, bits.type(width - 1)), bits.type(2 ** (width - 1) - 1)))


@intrinsic
def rank(typing: Any, x: Any) -> Any:
    """An integer that is the larger, the larger a number is: LLVM finds the largest of several at once."""
    kind = types.int32 if x == types.float32 else types.int64

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _swapped(builder, builder.bitcast(args[0], context.get_value_type(kind)))

    return kind(x), emit


@intrinsic
def ranked(typing: Any, k: Any) -> Any:
    """The number of a rank."""
    kind = types.float32 if k == types.int32 else types.float64

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(_swapped(builder, args[0]), context.get_value_type(kind))

    return kind(k), emit


@intrinsic
def select(typing: Any, condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, else ``b``; both have been computed."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(types.boolean, a, a), emit


def _greater(sign: str) -> Any:
    """The larger (sign >=) or smaller (<=) of two numbers, or the NaN among them."""

    @intrinsic
    def function(typing: Any, a: Any, b: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, b = args
            first = builder.or_(builder.fcmp_ordered(sign, a, b), builder.fcmp_unordered("uno", a, a))
            return builder.select(first, a, b)

        return a(a, a), emit

    return function


def _function(compute: Callable[[Term], Term]) -> Any:
    """A function of one number, in LLVM's instructions."""

    @intrinsic
    def function(typing: Any, x: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return compute(Term(builder, args[0])).value

        return x(x), emit

    return function


def _called(name: str) -> Any:
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


@intrinsic
def product(
    typing: Any, gemm: Any, gemv: Any, multiply: Any, rows: Any, columns: Any, inner: Any,
    a: Any, of_a: Any, b: Any, of_b: Any, transposed: Any, packed: Any, y: Any, of_y: Any,
) -> Any:  # fmt: skip
    """y = A B or A Bᵀ: with a B that is packed by ``multiply``, else by BLAS: gemm, or gemv where A is one row.

    ``gemm``, ``gemv``, ``multiply`` and ``packed`` are addresses, 0 of what is not there; ``of_a`` … say how far apart rows
    lie, and ``transposed`` that B is (columns, inner).
    """
    number = a.dtype

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        gemm, gemv, multiply, m, n, k, a, of_a, b, of_b, transposed, packed, y, of_y = args
        short, long, real = ir.IntType(32), ir.IntType(64), context.get_value_type(number)
        pointer, zero, one = real.as_pointer(), real(0.0), real(1.0)

        def call(address: Any, kinds: str, *values: Any) -> None:
            known = {"i": short, "l": long, "r": real, "p": pointer}
            kind = ir.FunctionType(ir.VoidType(), [known[letter] for letter in kinds])
            builder.call(builder.inttoptr(address, kind.as_pointer()), values)

        def by_blas() -> None:
            order, plain, other = (short(value) for value in (ROW_MAJOR, PLAIN, TRANSPOSED))
            with builder.if_else(builder.icmp_signed("==", m, long(1))) as (row, matrix):
                with row:
                    step = long(ONE_APART)
                    height, width = builder.select(transposed, n, k), builder.select(transposed, k, n)
                    flag = builder.select(transposed, plain, other)
                    call(gemv, "iillrplplrpl", order, flag, height, width, one, b, of_b, a, step, zero, y, step)
                with matrix:
                    flag = builder.select(transposed, other, plain)
                    call(gemm, "iiilllrplplrpl", order, plain, flag, m, n, k, one, a, of_a, b, of_b, zero, y, of_y)

        with builder.if_else(builder.icmp_signed("!=", packed, long(0))) as (once, anew):
            with once:
                call(multiply, "lllpllpl", m, n, k, a, of_a, packed, y, of_y)
            with anew:
                by_blas()
        return context.get_dummy_value()

    of = (gemm, gemv, multiply, rows, columns, inner, a, of_a, b, of_b, transposed, packed, y, of_y)
    return types.none(*of), emit


@intrinsic
def pack(typing: Any, function: Any, columns: Any, inner: Any, b: Any, of_b: Any, transposed: Any, packed: Any) -> Any:
    """Pack a matrix by a function at an address, for `product`; all arguments are integers."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function, *others = args
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(64)] * len(others))
        builder.call(builder.inttoptr(function, kind.as_pointer()), others)
        return context.get_dummy_value()

    return types.none(function, columns, inner, b, of_b, transposed, packed), emit
