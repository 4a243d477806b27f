"""Formulas written out: what all notations share, which is precedence, and the two notations that are read, Unicode and LaTeX.

Where all products of a step are those of rows with the transpose of a matrix, ``x @ W.T``, formulas are written as on paper,
with COLUMNS: W x. A value of the step is then one example's column, and of a product the transpose is written,
(A B)ᵀ = Bᵀ Aᵀ. Where all are products of rows with a matrix, ``x @ W``, or of a matrix with columns, ``W @ x``, a value is one
example's row, or column: ROWS, COLUMNS_CODED. Otherwise everything is written AS_CODED.
"""

from __future__ import annotations

import math
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from typing_extensions import override

from .arrays import transpose
from .expression import ADD, MATMUL, NEGATIVE, NUMBER, SUM, SYMBOL, TRANSPOSE, Expr, Piece, Symbol, ends, number
from .naming import MARKS, spelled

__all__ = ["AS_CODED", "COLUMNS", "COLUMNS_CODED", "ROWS", "Latex", "Notation", "Text", "Writer", "layout_of"]

LOOSEST, OF_SUM, OF_PRODUCT, OF_MATRICES, OF_POWER, TIGHTEST = range(6)
SUBSCRIPTS = str.maketrans("0123456789-", "₀₁₂₃₄₅₆₇₈₉₋")
SUPERSCRIPTS = str.maketrans("0123456789−.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻·")
COMPARISONS = {"greater": ">", "less": "<", "greater_equal": "≥", "less_equal": "≤", "equal": "=", "not_equal": "≠"}


COLUMNS, ROWS, COLUMNS_CODED, AS_CODED = "columns", "rows", "columns as coded", "as coded"
BATCH = {COLUMNS: 0, ROWS: 0, COLUMNS_CODED: 1}
"""The axis of the examples in a value of the code."""


def layout_of(formulas: Iterable[Expr]) -> str:
    """How these formulas are written: COLUMNS, ROWS, COLUMNS_CODED or AS_CODED."""
    found = set[str]()
    for expr in formulas:
        found.update(_layouts(expr))
    return found.pop() if len(found) == 1 else AS_CODED


def _layouts(expr: Expr) -> Iterator[str]:
    """For each product with a parameter, how the operands lie."""
    if expr.kind == MATMUL:
        a, b = expr.args
        inner = b.args[0] if b.kind == TRANSPOSE else b
        if _is_parameter(a):
            yield COLUMNS_CODED if len(b.shape) <= 2 else AS_CODED
            yield from _layouts(b)
        else:
            yield AS_CODED if not _is_parameter(inner) or len(a.shape) > 2 else COLUMNS if b.kind == TRANSPOSE else ROWS
            yield from _layouts(a)
    elif expr.kind == TRANSPOSE:
        yield AS_CODED
    else:
        for arg in expr.args:
            yield from _layouts(arg)


def _is_parameter(expr: Expr) -> bool:
    """Whether it is a matrix that is the same at every step."""
    return all(symbol.time is None for symbol in ends(expr))


class Writer(ABC):
    """Writes a formula, with parentheses where they are needed."""

    def write(self, expr: Expr, around: int = LOOSEST) -> str:
        """The formula; ``around`` is the precedence of what it stands in."""
        written, own = self.written(expr)
        return written if own >= around else self.parenthesised(written)

    def written(self, expr: Expr) -> tuple[str, int]:
        """The formula, and how tightly it holds together."""
        return getattr(self, f"_{expr.kind}")(expr)  # type: ignore[no-any-return]

    def parenthesised(self, written: str) -> str:
        """In parentheses."""
        return f"({written})"

    minus = "−"

    def _add(self, expr: Expr) -> tuple[str, int]:
        return " ".join(self.term(term, number == 0) for number, term in enumerate(expr.args)), OF_SUM

    def term(self, term: Expr, is_first: bool) -> str:
        """A term of a sum, with its sign."""
        if term.kind == NUMBER and term.what < 0:
            term = Expr(NEGATIVE, (number(-term.what),))
        is_negative = term.kind == NEGATIVE
        word = self.write(term.args[0] if is_negative else term, OF_SUM if is_first and not is_negative else OF_PRODUCT)
        if is_first:
            return f"{self.minus}{word}" if is_negative else word
        return f"{self.minus if is_negative else '+'} {word}"

    def _negative(self, expr: Expr) -> tuple[str, int]:
        return f"{self.minus}{self.write(expr.args[0], OF_PRODUCT)}", OF_SUM

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str:
        """A name."""

    def _symbol(self, expr: Expr) -> tuple[str, int]:
        return self.symbol(expr.what), TIGHTEST

    def _number(self, expr: Expr) -> tuple[str, int]:
        written = f"{expr.what:g}" if float(f"{expr.what:g}") == expr.what else repr(expr.what)
        return written.replace("-", self.minus), OF_SUM if expr.what < 0 else TIGHTEST


class Notation(Writer):
    """What Unicode and LaTeX have in common. ``layout`` says which way products are written."""

    times = " ⊙ "
    beside = " "
    at = " at "
    functions: dict[str, str] = {}

    def __init__(self, layout: str) -> None:
        self.layout = layout

    # ---------------------------------------------------------------- products

    def _multiply(self, expr: Expr) -> tuple[str, int]:
        factors = list(expr.args)
        front = f"{self.write(factors.pop(0), OF_POWER)}{self.beside}" if factors[0].kind == NUMBER else ""
        return front + self.times.join(self.write(factor, OF_MATRICES) for factor in factors), OF_PRODUCT

    def _matmul(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        if self.layout == COLUMNS:
            return f"{self.column(b)}{self.beside}{self.column(a)}", OF_MATRICES
        return f"{self.write(a, OF_MATRICES)}{self.beside}{self.write(b, OF_MATRICES)}", OF_MATRICES

    def column(self, expr: Expr) -> str:
        """What stands for an operand of a product on paper, where it is the transpose of the code's."""
        if expr.kind == TRANSPOSE:
            inner = expr.args[0]
            is_value = any(symbol.time is not None for symbol in ends(inner))
            return self.transposed(self.write(inner, OF_POWER)) if is_value else self.write(inner, OF_MATRICES)
        is_matrix = expr.kind == SYMBOL and expr.what.time is None and not expr.what.loss
        return self.transposed(self.write(expr, OF_POWER)) if is_matrix else self.write(expr, OF_MATRICES)

    def over_time(self, expr: Expr) -> str:
        """What all steps add to the gradient of a parameter: in columns Σₜ g aᵀ, where the code has gᵀ a."""
        if expr.kind == ADD:
            return f"{self.sum_over_time}{self.beside}{self.parenthesised(' + '.join(map(self._added, expr.args)))}"
        return f"{self.sum_over_time}{self.beside}{self._added(expr)}"

    sum_over_time = "Σₜ"
    sum_above = "… + "

    def _added(self, expr: Expr) -> str:
        """What one use adds at one step, of one example."""
        if self.layout == AS_CODED:
            return self.write(expr, OF_PRODUCT)
        if expr.kind == NEGATIVE:
            return self.parenthesised(f"{self.minus}{self._added(expr.args[0])}")
        if self.layout == COLUMNS and expr.kind == MATMUL and expr.args[0].kind == TRANSPOSE:
            left, right = expr.args
            return f"{self.write(left.args[0], OF_MATRICES)}{self.beside}{self.transposed(self.write(right, OF_POWER))}"
        is_of_batch = expr.kind == SUM and expr.what[0] == (BATCH[self.layout],)
        return self.write(expr.args[0] if is_of_batch else expr, OF_PRODUCT)

    @abstractmethod
    def transposed(self, written: str) -> str:
        """The transpose."""

    def _transpose(self, expr: Expr) -> tuple[str, int]:
        (inner,) = expr.args
        is_sum = inner.kind == SYMBOL and inner.what.loss and inner.what.time is None
        written = self.parenthesised(self.write(inner)) if is_sum else self.write(inner, OF_POWER)
        return self.transposed(written), OF_POWER

    # ---------------------------------------------------------------- functions

    def _call(self, expr: Expr) -> tuple[str, int]:
        function, options = expr.what
        if function == "size":
            return str(math.prod(expr.args[0].shape[axis] for axis in options)), TIGHTEST
        if function == "outer":
            left, right = expr.args
            left, right = (transpose(left), right) if self.layout == ROWS else (left, transpose(right))
            return f"{self.write(left, OF_MATRICES)}{self.beside}{self.write(right, OF_MATRICES)}", OF_MATRICES
        if function in COMPARISONS:
            a, b = (self.write(arg, OF_SUM) for arg in expr.args)
            return f"{a} {self.relation(function)} {b}", LOOSEST
        if function == "broadcast_to":
            return self.written(expr.args[0])
        if function == "full":
            return self.written(expr.args[0])
        if function == "place":
            return self.parenthesised(f"{self.write(expr.args[0])}{self.at}{options[0]}"), TIGHTEST
        if function == "eye":
            return "I", TIGHTEST
        if function == "array":
            return options.replace(".0", "").replace("-", self.minus), TIGHTEST
        if function == "lookup":
            return f"{self.write(expr.args[0], TIGHTEST)}[{self.write(expr.args[1])}]", TIGHTEST
        words = ", ".join(map(self.write, expr.args))
        if function == "einsum":
            words = f"{self.quoted(options)}, {words}"
        return f"{self.function(function)}{self.parenthesised(words)}", TIGHTEST

    def quoted(self, letters: str) -> str:
        """The letters of an einsum."""
        return letters.replace("->", " → ")

    def relation(self, function: str) -> str:
        """The sign of a comparison."""
        return COMPARISONS[function]

    def function(self, name: str) -> str:
        """The name of a function."""
        return self.functions.get(name, name)

    def _concatenate(self, expr: Expr) -> tuple[str, int]:
        return f"[{', '.join(map(self.write, expr.args))}]", TIGHTEST

    def _part(self, expr: Expr) -> tuple[str, int]:
        inner = self.write(expr.args[0], TIGHTEST)
        if isinstance(expr.what, Piece):
            return f"{inner}[{self.write(expr.what.parts[expr.what.number])}]", TIGHTEST
        return f"{inner}{expr.what}", TIGHTEST

    def _reshape(self, expr: Expr) -> tuple[str, int]:
        return f"reshape{self.parenthesised(f'{self.write(expr.args[0])}, {expr.what}')}", TIGHTEST

    def _sum(self, expr: Expr) -> tuple[str, int]:
        return f"{self.sum_over_axes(expr.what[0])}{self.beside}{self.write(expr.args[0], OF_MATRICES)}", OF_PRODUCT

    @abstractmethod
    def sum_over_axes(self, axes: tuple[int, ...]) -> str:
        """The sign of a sum over some axes."""


class Text(Notation):
    """Unicode, for a terminal.

    >>> Text(COLUMNS).symbol(Symbol("h", -1)), Text(COLUMNS).symbol(Symbol("c̃", 0, "L"))
    ('hₜ₋₁', '∂L/∂c̃ₜ')
    """

    functions = {"sigmoid": "σ", "log": "ln", "abs": "abs"}

    def __init__(self, layout: str, before: str = "ₜ₋₁") -> None:
        super().__init__(layout)
        self.subscripts = {None: "", 0: "ₜ", -1: before}

    @override
    def symbol(self, symbol: Symbol) -> str:
        name = symbol.name + self.subscripts[symbol.time]
        if symbol.function:
            name = f"{self.function(symbol.function)}({name})"
        return f"∂{symbol.loss.replace('L_t', 'Lₜ')}/∂{name}" if symbol.loss else name

    @override
    def transposed(self, written: str) -> str:
        return f"{written}ᵀ"

    @override
    def sum_over_axes(self, axes: tuple[int, ...]) -> str:
        return "Σ" + ",".join(str(axis).translate(SUBSCRIPTS) for axis in axes)

    def _divide(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        return f"{self.write(a, OF_MATRICES)} / {self.write(b, OF_POWER)}", OF_PRODUCT

    def _power(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        exponent = self.write(b)
        raised = exponent.translate(SUPERSCRIPTS) if b.kind == NUMBER else f"^{self.write(b, TIGHTEST)}"
        if a.kind == SYMBOL and a.what.function and not a.what.loss:
            inside = self.symbol(a.what).removeprefix(self.function(a.what.function))
            return f"{self.function(a.what.function)}{raised}{inside}", OF_POWER
        base = self.parenthesised(self.write(a)) if a.kind == SYMBOL and a.what.loss else self.write(a, TIGHTEST)
        return f"{base}{raised}", OF_POWER


class Latex(Notation):
    r"""LaTeX, also as KaTeX and MathJax read it.

    >>> print(Latex(COLUMNS).symbol(Symbol("W_hx")), Latex(COLUMNS).symbol(Symbol("c̃", 0, "L")))
    W_{hx} \frac{\partial L}{\partial \tilde{c}_{t}}
    """

    minus = "-"
    times = r" \odot "
    at = r"\text{ at }"
    sum_over_time = r"\sum_t"
    sum_above = r"\dots + "
    functions = {
        "sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\ln", "sin": r"\sin", "cos": r"\cos",
        "maximum": r"\max", "minimum": r"\min",
    }  # fmt: skip

    @override
    def parenthesised(self, written: str) -> str:
        return rf"\left({written}\right)"

    @override
    def symbol(self, symbol: Symbol) -> str:
        base, *below = symbol.name.split("_") if not symbol.name.startswith("_") else [symbol.name]
        subscripts = [self._letters(", ".join(below))] if below else []
        subscripts += {None: [], 0: ["t"], -1: ["t-1"]}[symbol.time]
        name = self._letters(base) + (f"_{{{', '.join(subscripts)}}}" if subscripts else "")
        if symbol.function:
            name = f"{self.function(symbol.function)}{self.parenthesised(name)}"
        if not symbol.loss:
            return name
        loss = {"L": "L", "L_t": "L_t", "L₊": "L_{+}"}[symbol.loss]
        return rf"\frac{{\partial {loss}}}{{\partial {name}}}"

    @override
    def quoted(self, letters: str) -> str:
        left, right = letters.split("->")
        return rf"\mathrm{{{left}}} \to \mathrm{{{right}}}"

    def _letters(self, name: str) -> str:
        """A name, its Greek letters and the marks above its letters spelled out; of several letters upright."""
        name = unicodedata.normalize("NFD", name)
        for mark, word in MARKS.items():
            name = re.sub(rf"(.){mark}", lambda found, word=word: rf"\{word}{{{found[1]}}}", name)  # type: ignore[misc]
        name = "".join(rf"\{word}" if (word := spelled(letter)) else letter for letter in name)
        plain = name.replace(" ", r"\ ")
        return rf"\mathrm{{{plain}}}" if len(plain) > 2 and plain.isalpha() else plain

    @override
    def transposed(self, written: str) -> str:
        return f"{written}^{{\\top}}"

    @override
    def sum_over_axes(self, axes: tuple[int, ...]) -> str:
        return rf"\sum_{{{', '.join(map(str, axes))}}}"

    @override
    def relation(self, function: str) -> str:
        return {"≥": r"\ge", "≤": r"\le", "≠": r"\ne"}.get(COMPARISONS[function], COMPARISONS[function])

    @override
    def function(self, name: str) -> str:
        escaped = name.replace("_", r"\_")
        return self.functions.get(name, rf"\operatorname{{{escaped}}}")

    def _divide(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        return rf"\frac{{{self.write(a)}}}{{{self.write(b)}}}", TIGHTEST

    def _power(self, expr: Expr) -> tuple[str, int]:
        a, b = expr.args
        if a.kind == SYMBOL and a.what.function and not a.what.loss:
            inside = self.symbol(a.what).removeprefix(self.function(a.what.function))
            return f"{self.function(a.what.function)}^{{{self.write(b)}}}{inside}", OF_POWER
        base = self.parenthesised(self.write(a)) if a.kind == SYMBOL and a.what.loss else self.write(a, TIGHTEST)
        return f"{base}^{{{self.write(b)}}}", OF_POWER

    @override
    def _concatenate(self, expr: Expr) -> tuple[str, int]:
        return rf"\left[{', '.join(map(self.write, expr.args))}\right]", TIGHTEST


