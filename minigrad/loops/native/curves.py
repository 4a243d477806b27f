"""exp, σ and tanh as polynomials, in LLVM's instructions: branch-free, so that LLVM computes several entries at once.

With k = round(x / ln 2) and r = x − k ln 2, which lies within ±½ ln 2:

    eˣ − 1 = 2ᵏ q + (2ᵏ − 1),  q = eʳ − 1 = r + r² P(r)

P is the polynomial that is closest to (eʳ − 1 − r) / r² there (Chebyshev's). The rounding of x / ln 2 and 2ᵏ come from the
bits of a number: adding 1.5 · 2²³ (2⁵² in float64) leaves k in the last bits of the sum.

Products and sums in here may be contracted to one instruction with one rounding; nowhere else, so that a value has the same
bits whatever else is computed beside it. Errors are at most 2.5 units in the last place, where the result is a normal number.
No flag of the processor is raised but where the function itself overflows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from llvmlite import ir

__all__ = ["Term", "exp", "sigmoid", "tanh"]


@dataclass(frozen=True)
class Constants:
    """What depends on the width of the numbers."""

    integer: Any
    magic: float
    """1.5 · 2 to the number of bits behind the point."""
    magic_bits: int
    point: int
    """Where the exponent begins in the bits of a number."""
    bias: int
    ln2: tuple[float, float]
    """ln 2 in two parts, the first so short that its product with k is exact."""
    smallest: float
    """Where eˣ is less than half the smallest number."""
    largest: float
    """Where eˣ has overflowed."""
    normal: tuple[float, float]
    """Between which eˣ is computed with 2ᵏ in one piece."""
    flat: float
    """Where tanh is 1."""
    polynomial: tuple[float, ...]


SINGLE: Final = Constants(
    ir.IntType(32), 12582912.0, 0x4B400000, 23, 127, (0.693359375, -2.12194440e-4), -104.0, 89.0, (-87.0, 88.37), 10.0,
    (0.0001989103065, 0.001393368586, 0.00833331089, 0.0416664646, 0.1666666668, 0.5000000013),
)  # fmt: skip
DOUBLE: Final = Constants(
    ir.IntType(64), 6755399441055744.0, 0x4338000000000000, 52, 1023, (0.693145751953125, 1.42860682030941723212e-6),
    -746.0, 710.0, (-708.0, 709.43), 22.0,
    (
        2.0914717341716376e-9, 2.51052595384484934e-8, 2.75572735701021397e-7, 2.75572552979696444e-6,
        2.48015873256053228e-5, 1.98412698749012592e-4, 0.00138888888888837318, 0.00833333333332611205,
        0.0416666666666666698, 0.16666666666666671, 0.5,
    ),
)  # fmt: skip
LOG2_E: Final = 1.4426950408889634


class Term:
    """A number that LLVM computes: what Python's operators do with it is noted in ``builder``."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value
        self.constants = SINGLE if isinstance(value.type, ir.FloatType) else DOUBLE

    def of(self, number: Term | float) -> Any:
        """A constant, or the value of another term."""
        return number.value if isinstance(number, Term) else ir.Constant(self.value.type, number)

    def _op(self, name: str, a: Any, b: Any) -> Term:
        return Term(self.builder, getattr(self.builder, name)(self.of(a), self.of(b), flags=("contract",)))

    def __add__(self, other: Any) -> Term:
        return self._op("fadd", self, other)

    def __sub__(self, other: Any) -> Term:
        return self._op("fsub", self, other)

    def __mul__(self, other: Any) -> Term:
        return self._op("fmul", self, other)

    def __truediv__(self, other: Any) -> Term:
        return self._op("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Term:
        return self._op("fdiv", other, self)

    def __neg__(self) -> Term:
        return Term(self.builder, self.builder.fneg(self.value))

    def where(self, sign: str, bound: float, instead: Any) -> Term:
        """``instead`` where it is on that side of the bound, else itself. A NaN is on neither side."""
        return self.chosen(sign, bound, instead, self)

    def chosen(self, sign: str, bound: float, this: Any, other: Term) -> Term:
        """``this`` where it is on that side of the bound, else ``other``."""
        condition = self.builder.fcmp_ordered(sign, self.value, self.of(bound))
        return Term(self.builder, self.builder.select(condition, self.of(this), self.of(other)))

    def call(self, name: str, *others: Term) -> Term:
        """A function of LLVM's own, such as fabs."""
        kind = ir.FunctionType(self.value.type, [self.value.type] * (1 + len(others)))
        function = self.builder.module.declare_intrinsic(f"llvm.{name}", [self.value.type], kind)
        return Term(self.builder, self.builder.call(function, [self.value, *[other.value for other in others]]))


def _reduced(x: Term) -> tuple[Term, Any]:
    """q = eʳ − 1 and k, as an integer; ``x`` is in the range where eˣ is a number."""
    known, builder = x.constants, x.builder
    sum_ = x * LOG2_E + known.magic
    k = sum_ - known.magic
    r = x - k * known.ln2[0] - k * known.ln2[1]
    p = r * known.polynomial[0] + known.polynomial[1]
    for coefficient in known.polynomial[2:]:
        p = p * r + coefficient
    bits = builder.bitcast(sum_.value, known.integer)
    return p * (r * r) + r, builder.sub(bits, ir.Constant(known.integer, known.magic_bits))


def _power_of_two(like: Term, k: Any) -> Term:
    """2ᵏ."""
    known, builder = like.constants, like.builder
    exponent = builder.add(k, ir.Constant(known.integer, known.bias))
    return Term(builder, builder.bitcast(builder.shl(exponent, ir.Constant(known.integer, known.point)), like.value.type))


def exp(x: Term) -> Term:
    """eˣ; infinity, with the flag for it, from where it overflows."""
    known, builder = x.constants, x.builder
    q, k = _reduced(x.where("<", known.smallest, known.smallest).where(">", known.largest, known.largest))
    half = builder.ashr(k, ir.Constant(known.integer, 1))
    return (q + 1.0) * _power_of_two(x, half) * _power_of_two(x, builder.sub(k, half))


def sigmoid(x: Term) -> Term:
    """1 / (1 + e⁻ˣ); 0 where that is no normal number any more, without a flag."""
    first, last = x.constants.normal
    q, k = _reduced((-x).where("<", first, first).where(">", last, last))
    y = 1.0 / ((q + 1.0) * _power_of_two(x, k) + 1.0)
    return x.chosen("<", -last, 0.0, y)


def tanh(x: Term) -> Term:
    """e / (e + 2) with e = e²ˣ − 1, for |x|; then the sign of x."""
    size = x.call("fabs")
    size = size.where(">", x.constants.flat, x.constants.flat)
    q, k = _reduced(size + size)
    scale = _power_of_two(x, k)
    e = q * scale + (scale - 1.0)
    return (e / (e + 2.0)).call("copysign", x)
