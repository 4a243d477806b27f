"""Formulas as NumPy has them."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from .expression import MATMUL, SYMBOL, Expr, Piece, Symbol, parts
from .writing import LOOSEST, OF_MATRICES, OF_POWER, OF_PRODUCT, OF_SUM, TIGHTEST, Writer

__all__ = ["HELPERS", "NumPy", "of_shape"]

HELPERS = {
    "sigmoid": '''def sigmoid(a):
    """1 / (1 + e^-a), written so that it never overflows."""
    return 0.5 * np.tanh(0.5 * a) + 0.5''',
    "softplus": '''def softplus(a):
    """ln(1 + e^a)."""
    return np.logaddexp(0, a)''',
    "softmax": '''def softmax(a, axis):
    """A distribution along the axis."""
    e = np.exp(a - a.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)''',
    "place": '''def place(g, index, shape):
    """Zeros with g added at the index."""
    total = np.zeros(shape)
    np.add.at(total, index, g)
    return total''',
}
"""Functions that the program brings with it if it needs them."""
INFIX = {
    "greater": ">", "less": "<", "greater_equal": ">=", "less_equal": "<=", "equal": "==", "not_equal": "!=",
    "logical_and": "&", "logical_or": "|",
}  # fmt: skip


class NumPy(Writer):
    """Formulas as NumPy has them.

    Args:
        variables: the variable for each symbol.
        x: the variable of the input.
        batch: the length of its first axis in the example that was traced.
        is_clear: whether no other axis has that length.
    """

    minus = "-"

    def __init__(self, variables: dict[Symbol, str], x: str, batch: int, is_clear: bool) -> None:
        self.variables, self.x, self.batch, self.is_clear = variables, x, batch, is_clear
        self.helpers: set[str] = set()

    @override
    def symbol(self, symbol: Symbol) -> str:
        return self.variables[symbol]

    def _multiply(self, expr: Expr) -> tuple[str, int]:
        first, *others = expr.args
        around = OF_MATRICES if first.kind == MATMUL else OF_PRODUCT
        return " * ".join([self.write(first, around), *(self.write(o, OF_MATRICES) for o in others)]), OF_PRODUCT

    def _divide(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        return f"{self.write(a, OF_PRODUCT)} / {self.write(b, OF_MATRICES)}", OF_PRODUCT

    def _power(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        return f"{self.write(a, TIGHTEST)}**{self.write(b, TIGHTEST)}", OF_POWER

    def _matmul(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        return f"{self.write(a, OF_MATRICES)} @ {self.write(b, OF_MATRICES)}", OF_PRODUCT

    def _transpose(self, expr: Expr) -> tuple[str, int]:
        return f"{self.write(expr.args[0], TIGHTEST)}.T", TIGHTEST

    def _concatenate(self, expr: Expr) -> tuple[str, int]:
        return f"np.concatenate([{', '.join(map(self.write, expr.args))}], axis={expr.what})", TIGHTEST

    def _part(self, expr: Expr) -> tuple[str, int]:
        inner = self.write(expr.args[0], TIGHTEST)
        if not isinstance(expr.what, Piece):
            return f"{inner}{expr.what}", TIGHTEST
        number, axis, beside = expr.what
        start, stop = self._bound(beside, number, axis), self._bound(beside, number + 1, axis)
        return f"{inner}[{', '.join([':'] * axis + [f'{start}:{stop}'])}]", TIGHTEST

    def _bound(self, beside: Sequence[Expr], number: int, axis: int) -> str:
        """Where a part of a concatenation begins: behind those before it, or so much before the end as the others need."""
        before, after = beside[:number], beside[number:]
        if not before or not after:
            return ""
        for some, sign in ((before, ""), (after, "-")):
            like = [of_shape(part) for part in some]
            if all(like):
                lengths = [f"{self.write(part)}.shape[{axis}]" for part in like if part is not None]
                return sign + f" {sign or '+'} ".join(lengths)
        return str(sum(part.shape[axis] for part in before))

    def _reshape(self, expr: Expr) -> tuple[str, int]:
        return f"{self.write(expr.args[0], TIGHTEST)}.reshape({self.shape(expr.shape)})", TIGHTEST

    def shape(self, shape: Sequence[int]) -> str:
        """A shape; the first axis of the input, the batch, may be of any length."""
        length = f"len({self.x})"
        words = [length if size == self.batch and (self.is_clear or not k) else str(size) for k, size in enumerate(shape)]
        return f"({', '.join(words)}{',' * (len(words) == 1)})"

    def like(self, expr: Expr) -> str:
        """A variable of the shape that a formula has."""
        return self.write(of_shape(expr) or expr, TIGHTEST)

    def _sum(self, expr: Expr) -> tuple[str, int]:
        return f"{self.write(expr.args[0], TIGHTEST)}.sum({self.axes(*expr.what)})", TIGHTEST

    def axes(self, axes: tuple[int, ...], keepdims: bool) -> str:
        """The arguments of a reduction."""
        return f"axis={axes[0] if len(axes) == 1 else axes}{', keepdims=True' * keepdims}"

    def index(self, placed: Expr) -> str:
        """Where something is added."""
        return self.write(placed.args[1]) if placed.what[0] == "scatter" else f"np.s_{placed.what[1][0]}"

    def _call(self, expr: Expr) -> tuple[str, int]:
        function, options = expr.what
        args = expr.args
        if function in HELPERS and function != "place":
            self.helpers.add(function)
        words = [self.write(arg) for arg in args]
        match function:
            case "relu":
                return f"np.maximum({words[0]}, 0)", TIGHTEST
            case "sigmoid" | "softplus":
                return f"{function}({words[0]})", TIGHTEST
            case "softmax":
                return f"softmax({words[0]}, axis={options})", TIGHTEST
            case "scatter" | "place":
                self.helpers.add("place")
                return f"place({words[0]}, {self.index(expr)}, {self.shape(expr.shape)})", TIGHTEST
            case "logical_not":
                return f"~{self.write(args[0], TIGHTEST)}", OF_POWER
            case "mean" | "var" | "std":
                ddof = f", ddof={options[2]:g}" if options[2:] and options[2] else ""
                return f"{self.write(args[0], TIGHTEST)}.{function}({self.axes(*options[:2])}{ddof})", TIGHTEST
            case "einsum":
                return f'np.einsum("{options}", {", ".join(words)})', TIGHTEST
            case "cumsum":
                return f"np.cumsum({words[0]}, axis={options})", TIGHTEST
            case "lookup":
                return f"{self.write(args[0], TIGHTEST)}[{words[1]}]", TIGHTEST
            case "stack":
                return f"np.stack([{', '.join(words)}], axis={options})", TIGHTEST
            case "transpose":
                return f"np.transpose({words[0]}, {options})", TIGHTEST
            case "broadcast_to":
                shape = f"{self.like(args[1])}.shape" if len(args) > 1 else self.shape(expr.shape)
                return f"np.broadcast_to({words[0]}, {shape})", TIGHTEST
            case "size":
                sizes = [f"{self.like(args[0])}.shape[{axis}]" for axis in options]
                return " * ".join(sizes), TIGHTEST if len(sizes) == 1 else OF_PRODUCT
            case "eye":
                return f"np.eye({expr.shape[0]})", TIGHTEST
            case "array":
                return f"np.array({options})", TIGHTEST
            case "full":
                return f"np.full({self.shape(expr.shape)}, {float(args[0].what)})", TIGHTEST
        if function in INFIX:
            a, b = (self.write(arg, OF_SUM) for arg in args)
            return f"{a} {INFIX[function]} {b}", LOOSEST
        return f"np.{function}({', '.join(words)})", TIGHTEST


def of_shape(expr: Expr) -> Expr | None:
    """A symbol in a formula that has the shape of the whole."""
    return next((inner for inner in parts(expr) if inner.kind == SYMBOL and inner.shape == expr.shape), None)
