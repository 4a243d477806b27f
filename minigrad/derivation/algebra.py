"""The algebra that a person does in passing: sums, products and functions of entries.

Left away is what nobody writes down: 1 ⊙ a, a + 0, −(−a). Taken out is what all terms of a sum have in common, so that
g − g ⊙ y ⊙ y becomes g ⊙ (1 − y²).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .expression import ADD, CALL, DIVIDE, MULTIPLY, NEGATIVE, NUMBER, ONE, POWER, SUM, ZERO, Expr, Shape, number

__all__ = ["add", "call", "divide", "is_zero", "multiply", "negative", "power"]


def negative(a: Expr) -> Expr:
    """−a."""
    if a.kind == NEGATIVE:
        return a.args[0]
    if a.kind == NUMBER:
        return number(-a.what)
    return Expr(NEGATIVE, (a,), None, a.shape)


def subtract(a: Expr, b: Expr) -> Expr:
    """a − b."""
    return add(a, negative(b))


def multiply(*factors: Expr) -> Expr:
    """The element-wise product, flat, its number in front, the same factor twice as a square."""
    shape, coefficient, sign, flat = _broadcast(factors), 1.0, 1, list[Expr]()
    below = list[Expr]()
    if any(map(is_zero, factors)):
        return _filled(0, shape)
    for factor in _unstretched(factors, shape):
        if factor.kind == NEGATIVE:
            sign, factor = -sign, factor.args[0]
        if factor.kind == DIVIDE:
            factor, denominator = factor.args
            below.append(denominator)
        for inner in factor.args if factor.kind == MULTIPLY else (factor,):
            if inner.kind == NUMBER:
                coefficient *= inner.what
            else:
                flat.append(inner)
    if below:
        above = multiply(number(sign * coefficient), *flat) if flat else number(sign * coefficient)
        return divide(above, below[0] if len(below) == 1 else multiply(*below))
    if coefficient < 0:
        sign, coefficient = -sign, -coefficient
    collected = _with_powers(flat)
    if coefficient == 0 or not collected:
        product = _filled(coefficient, shape)
    else:
        front = () if coefficient == 1 else (number(coefficient),)
        product = collected[0] if not front and len(collected) == 1 else Expr(MULTIPLY, (*front, *collected), None, shape)
    return product if sign > 0 else negative(product)


def _with_powers(factors: Iterable[Expr]) -> list[Expr]:
    """The factors, each once, with the exponent that says how often it was there."""
    exponents: dict[Expr, float] = {}
    for factor in factors:
        base, exponent = factor, 1.0
        if factor.kind == POWER and factor.args[1].kind == NUMBER:
            base, exponent = factor.args[0], factor.args[1].what
        exponents[base] = exponents.get(base, 0) + exponent
    return [power(base, number(exponent)) for base, exponent in exponents.items() if exponent]


def _factors(term: Expr) -> list[Expr]:
    """The factors of a product, powers with whole exponents written out; of a quotient, one over what stands below."""
    if term.kind == DIVIDE:
        return [*_factors(term.args[0]), divide(ONE, term.args[1])]
    factors = []
    for factor in term.args if term.kind == MULTIPLY else (term,):
        if factor.kind == POWER and factor.args[1].kind == NUMBER and factor.args[1].what in (2, 3, 4):
            factors += [factor.args[0]] * factor.args[1].what
        else:
            factors.append(factor)
    return factors


def add(*terms: Expr) -> Expr:
    """The sum, flat, with the factors that all terms have in common taken out."""
    shape, flat = _broadcast(terms), list[Expr]()
    for term in terms:
        flat.extend(inner for inner in _terms(term) if not is_zero(inner))
    constant = sum(term.what for term in flat if term.kind == NUMBER)
    others = _unstretched(_collected([term for term in flat if term.kind != NUMBER]), shape)
    flat = [*([number(constant)] if constant > 0 else []), *others, *([number(constant)] if constant < 0 else [])]
    if not flat:
        return _filled(0, shape)
    if len(flat) == 1:
        return flat[0] if flat[0].shape == shape else call("broadcast_to", flat[0], shape=shape)
    return _sign(flat) or _factored(flat) or Expr(ADD, tuple(_positive_first(flat)), None, shape)


def _unstretched(parts: Sequence[Expr], shape: Shape) -> tuple[Expr, ...]:
    """The terms or factors without a stretching that the others do anyway."""
    bare = [part if _stretched(part) is None else _stretched(part) for part in parts]
    found = [part for part in bare if part is not None]
    return tuple(found if _broadcast(found) == shape else parts)


def _stretched(part: Expr) -> Expr | None:
    """What is stretched to a shape by a broadcast, or its negative is."""
    if part.kind == NEGATIVE:
        inner = _stretched(part.args[0])
        return None if inner is None else negative(inner)
    return part.args[0] if part.kind == CALL and part.what[0] == "broadcast_to" else None


def is_zero(term: Expr) -> bool:
    """Whether it is an array of zeros."""
    return term.kind == CALL and term.what[0] == "full" and term.args[0] == ZERO


def _filled(value: float, shape: Shape) -> Expr:
    """A number, or an array of that shape which is that number throughout."""
    return call("full", number(value), shape=shape) if shape else number(value)


def _terms(term: Expr) -> Iterator[Expr]:
    """The terms of a sum, or of a sum that is subtracted."""
    if term.kind == ADD:
        yield from term.args
    elif term.kind == NEGATIVE and term.args[0].kind == ADD:
        yield from map(negative, term.args[0].args)
    else:
        yield term


def _collected(terms: Iterable[Expr]) -> list[Expr]:
    """Equal terms as one, with a number in front; terms that cancel are gone."""
    counts: dict[Expr, float] = {}
    for term in terms:
        sign, bare = (-1, term.args[0]) if term.kind == NEGATIVE else (1, term)
        coefficient = 1.0
        if bare.kind == MULTIPLY and bare.args[0].kind == NUMBER:
            coefficient, bare = bare.args[0].what, multiply(*bare.args[1:])
        counts[bare] = counts.get(bare, 0) + sign * coefficient
    return [multiply(number(count), term) for term, count in counts.items() if count]


def _positive_first(parts: Sequence[Expr]) -> Sequence[Expr]:
    """The terms in order, but so that a sum does not begin with a minus if it need not."""
    if parts[0].kind != NEGATIVE:
        return parts
    first = next((k for k, part in enumerate(parts) if part.kind != NEGATIVE), 0)
    return [parts[first], *parts[:first], *parts[first + 1 :]]


def _sign(parts: Sequence[Expr]) -> Expr | None:
    """(x > 0) − (x < 0) as sign(x)."""
    above, below = parts[0], negative(parts[-1])
    is_pair = above.kind == below.kind == CALL and (above.what[0], below.what[0]) == ("greater", "less")
    if len(parts) == 2 and is_pair and above.args == below.args and above.args[1] == ZERO:
        return call("sign", above.args[0])
    return None


def _factored(parts: Sequence[Expr]) -> Expr | None:
    """a ⊙ b ± a ⊙ c as a ⊙ (b ± c), if all terms have something in common."""
    split = [_factors(part.args[0] if part.kind == NEGATIVE else part) for part in parts]
    common: list[Expr] = []
    for factor in dict.fromkeys(split[0]):
        times = min(factors.count(factor) for factors in split) if factor.kind != NUMBER else 0
        common += [factor] * times
    if not common:
        return None
    rest = []
    for part, factors in zip(parts, split, strict=True):
        for factor in common:
            factors.remove(factor)
        remaining = multiply(*factors) if factors else ONE
        rest.append(negative(remaining) if part.kind == NEGATIVE else remaining)
    if all(_is_mask(term.args[0] if term.kind == NEGATIVE else term) for term in rest) and _sign(rest) is None:
        return None
    return multiply(*common, add(*rest))


def _is_mask(expr: Expr) -> bool:
    """Whether its entries are true and false, which can be multiplied but not added or subtracted."""
    return expr.kind == CALL and (expr.what[0] in OPPOSITES or expr.what[0].startswith(("equal", "not_equal", "logical")))


def divide(a: Expr, b: Expr) -> Expr:
    """a / b."""
    if b == ONE:
        return a
    if a.kind == NEGATIVE:
        return negative(divide(a.args[0], b))
    if a.kind == DIVIDE:
        return divide(a.args[0], multiply(a.args[1], b))
    above, below = (e.args[0].what if e.kind == MULTIPLY and e.args[0].kind == NUMBER else 1 for e in (a, b))
    if above != 1 and below != 1:
        return divide(multiply(number(above / below), *a.args[1:]), multiply(*b.args[1:]))
    if a.kind == SUM and b.kind == CALL and b.what[0] == "size" and a.what[0] == b.what[1]:
        return call("mean", a.args[0], shape=a.shape, options=a.what)
    return Expr(DIVIDE, (a, b), None, _broadcast((a, b)))


def power(a: Expr, b: Expr) -> Expr:
    """a to the power b."""
    if b == ONE:
        return a
    return Expr(POWER, (a, b), None, _broadcast((a, b)))


def _broadcast(parts: Iterable[Expr]) -> Shape:
    return np.broadcast_shapes(*(part.shape for part in parts))


OPPOSITES = {"less_equal": "greater", "greater_equal": "less", "less": "greater_equal", "greater": "less_equal"}


LINEAR = ("mean", "broadcast_to", "place", "transpose")


def call(function: str, *args: Expr, shape: Shape | None = None, options: Any = None) -> Expr:
    """A function of arrays by its name, with its options."""
    if function == "logical_not" and args[0].kind == CALL and args[0].what[0] in OPPOSITES:
        return call(OPPOSITES[args[0].what[0]], *args[0].args)
    if function in LINEAR and args[0].kind == NEGATIVE:
        return negative(call(function, args[0].args[0], *args[1:], shape=shape, options=options))
    return Expr(CALL, args, (function, options), _broadcast(args) if shape is None else shape)
