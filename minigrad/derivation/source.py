"""A derivation as a program in plain NumPy: a forward and a backward pass over time, a line for each formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .arrays import part, replaced
from .expression import ADD, CALL, SYMBOL, Expr, Piece, Symbol, ends, parts
from .lines import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, Formula
from .numpy_writer import HELPERS, NumPy, of_shape
from .unpacking import Unpacking
from .variables import variables_of
from .writing import Text

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["source"]


LONGEST = 100
"""How long a sum may be on one line."""


def source(derivation: Derivation) -> str:
    """The program: ``forward(params, xs, state)`` and ``backward(params, trace, d_hs, d_state)``."""
    return _Source(derivation).text()


class _Source:
    """The program of a derivation, put together part by part."""

    def __init__(self, derivation: Derivation) -> None:
        self.of = derivation
        self.variables = variables_of(derivation)
        x = derivation.x[0]
        self.numpy = NumPy(self.variables, self.variables[Symbol(x, 0)], derivation.batch)
        self.reading = Text(derivation.layout)
        inlined = {line.symbol: line.formula for line in derivation.lines if line.symbol in derivation.inlined}

        def written_out(expr: Expr) -> Expr:
            """The formula without values that the program does not keep."""
            return replaced(expr, change)

        def change(expr: Expr) -> Expr | None:
            if expr.kind == SYMBOL:
                return written_out(inlined[expr.what]) if expr.what in inlined else None
            if isinstance(expr.what, Piece):
                beside = tuple(map(written_out, expr.what.parts))
                return part(written_out(expr.args[0]), expr.what._replace(parts=beside), expr.shape)
            return None

        lines = [replace(line, formula=written_out(line.formula)) for line in derivation.lines if line.symbol not in inlined]
        self.forward_lines = [line for line in lines if line.kind == FORWARD]
        self.backward_lines = [line for line in lines if line.kind != FORWARD]
        self.unpacking = Unpacking(derivation, self.variables, self.forward_lines)
        self.kept = self._kept()

    def text(self) -> str:
        """The whole file."""
        forward, backward = self._forward(), self._backward()
        helpers = [HELPERS[name] for name in HELPERS if name in self.numpy.helpers]
        return "\n\n\n".join([self._head(), self._classes(), *helpers, forward, backward]) + "\n"

    # ---------------------------------------------------------------- the parts of the file

    def _head(self) -> str:
        state = self._tuple(self.of.state)
        rows = [f"    {line}" for line in self.of.text_of(FORWARD)]
        return "\n".join(
            [
                f'"""Backpropagation through time of {self.of.title}, in plain NumPy. dz stands for the gradient of L by z.',
                "",
                *rows,
                "",
                f"    trace     = forward(params, xs, state)                state: {state} before the first step",
                "    gradients = backward(params, trace, d_hs, d_state)    d_hs: what the loss sends to each output,",
                "                                                          d_state: what is sent to the last state",
                "",
                "Time is the first axis of xs, hs and d_hs.",
                '"""',
                "",
                "from typing import Any, NamedTuple",
                "",
                "import numpy as np",
            ]
        )

    def _classes(self) -> str:
        return "\n".join(
            [
                "class Trace(NamedTuple):",
                '    """The inputs, what each step leaves for the backward pass, the outputs, and the last state."""',
                "",
                "    xs: Any",
                "    steps: list[Any]",
                "    hs: Any",
                "    state: Any",
                "",
                "",
                "class Gradients(NamedTuple):",
                '    """The gradient of the loss by everything that the forward pass was given."""',
                "",
                "    params: dict[str, Any]",
                "    xs: Any",
                "    state: Any",
            ]
        )

    def _forward(self) -> str:
        of, name = self.of, self._name
        old = [name(Symbol(part, -1)) for part in of.state]
        new = [name(Symbol(part, 0)) for part in of.state]
        outputs = [name(symbol) for symbol in of.outputs]
        loop = [f"{', '.join(old)} = {', '.join(new)}"]
        loop += [f"{name(line.symbol)} = {self.numpy.write(line.formula)}" for line in self.forward_lines]
        loop += [f"{name(Symbol(part, 0))} = {source}" for part, source in self._handed_on()]
        loop.append(f"steps.append(({', '.join(name(symbol) for symbol in self.kept)}{',' * (len(self.kept) == 1)}))")
        if outputs:
            loop.append(f"hs.append({self._tuple(outputs)})")
        hs = "tuple(map(np.array, zip(*hs)))" if len(outputs) > 1 else "np.array(hs)"
        body = [
            *self.unpacking.unpacked(self.forward_lines),
            f"{', '.join(new)} = state",
            "steps, hs = [], []",
            f"for {', '.join(name(Symbol(x, 0)) for x in of.x)} in {'xs' if len(of.x) == 1 else 'zip(*xs)'}:",
            *(f"    {line}" for line in loop),
            f"return Trace(xs, steps, {hs}, {self._tuple(new)})",
        ]
        return self._function("forward(params, xs, state)", "The forward pass, t = 1 … T.", body)

    def _backward(self) -> str:
        of, name = self.of, self._name
        d_state = [name(Symbol(part, 0, "L₊")) for part in of.state]
        rows: list[tuple[str, str]] = []
        for kind in (COTANGENT, PARAMETER, INPUT):
            lines = [line for line in self.backward_lines if line.kind == kind]
            rows += [(self._statement(line), self._comment(line)) for line in lines]
            rows += [("", "")] if lines and kind != INPUT else []
        rows += self._states()
        width = max((len(code) for code, _ in rows if len(code) <= 72), default=0)
        loop = [f"{', '.join(name(symbol) for symbol in self.kept)}{',' * (len(self.kept) == 1)} = trace.steps[t - 1]"]
        for code, comment in rows:
            first, *others = code.split("\n")
            loop += [f"{first.ljust(width)}  # {comment}" if comment else "", *others]
        wanted = {x for x, value in zip(of.x, of.program.xs, strict=True) if value.dtype.kind == "f"}
        arrays = ["trace.xs"] if len(of.x) == 1 else [f"trace.xs[{k}]" for k in range(len(of.x))]
        dxs = self._tuple([self._dxs(x) if x in wanted else "None" for x in of.x])
        body = [
            *self.unpacking.unpacked(self.backward_lines),
            "dp = {name: np.zeros_like(value) for name, value in params.items()}",
            *self.unpacking.views(),
            *(f"{self._dxs(x)} = np.zeros_like({xs})" for x, xs in zip(of.x, arrays, strict=True) if x in wanted),
            f"{', '.join(d_state)} = d_state",
            "for t in range(len(trace.steps), 0, -1):",
            *(f"    {line}" for line in loop),
            f"return Gradients(dp, {dxs}, {self._tuple(d_state)})",
        ]
        return self._function("backward(params, trace, d_hs, d_state)", "Backpropagation through time, t = T … 1.", body)

    def _function(self, signature: str, says: str, body: Iterable[str]) -> str:
        return "\n".join([f"def {signature}:", f'    """{says}"""', *(f"    {line}".rstrip() for line in body)])

    # ---------------------------------------------------------------- lines

    def _name(self, symbol: Symbol) -> str:
        return self.variables[symbol]

    def _statement(self, line: Formula) -> str:
        """The line of code; of a long sum a line for each term."""
        target = f"{self._name(line.symbol)} ="
        if line.kind == PARAMETER:
            parameter = self.of.parameter(line.symbol.name)
            target = f'dp["{parameter.key}"] +=' if parameter.cut is None else f"{self._name(line.symbol)} +="
        elif line.kind == INPUT:
            target = f"{self._dxs(line.symbol.name)}[t - 1] ="
        value = self.numpy.write(line.formula)
        if line.kind == STATE and line.formula.kind == CALL and line.formula.what[0] == "full":
            value = f"np.full_like({self._name(line.symbol)}, {line.formula.args[0].what})"
        if line.formula.kind != ADD or len(target) + len(value) < LONGEST:
            return f"{target} {value}"
        terms = [self.numpy.term(term, number == 0) for number, term in enumerate(line.formula.args)]
        return "\n    ".join([f"{target} (", *terms]) + "\n)"

    def _dxs(self, x: str) -> str:
        return "dxs" if len(self.of.x) == 1 else f"d{self._name(Symbol(x, 0))}s"

    def _comment(self, line: Formula) -> str:
        """The path of the chain rule: from the value to what reads it."""
        value = line.symbol._replace(loss="")
        steps = ", ".join(self._step_on(symbol, value) for symbol in line.path)
        return f"{self.reading.symbol(value)} → {steps}" if steps else self.reading.symbol(value)

    def _step_on(self, symbol: Symbol, value: Symbol) -> str:
        """One reader of a value: the loss or the next step if they read it itself, otherwise another value."""
        reader = symbol._replace(loss="")
        if reader == value and symbol.loss in ("L_t", "L₊"):
            return "Lₜ" if symbol.loss == "L_t" else "step t + 1"
        return self.reading.symbol(reader)

    def _states(self) -> list[tuple[str, str]]:
        """What goes to the step before: each after those that still read the variable that it writes to."""
        lines = [line for line in self.backward_lines if line.kind == STATE]
        reads = {line.symbol: {self._name(s) for s in ends(line.formula) if s.loss} for line in lines}
        done: list[tuple[str, str]] = []
        while lines:
            free = [
                line
                for line in lines
                if not any(self._name(line.symbol) in reads[other.symbol] for other in lines if other is not line)
            ]
            if not free:
                targets = ", ".join(self._name(line.symbol) for line in lines)
                values = ", ".join(self.numpy.write(line.formula) for line in lines)
                return [*done, (f"{targets} = {values}", "; ".join(map(self._comment, lines)))]
            lines.remove(free[0])
            if self._statement(free[0]) != f"{self._name(free[0].symbol)} = {self._name(free[0].symbol)}":
                done.append((self._statement(free[0]), self._comment(free[0])))
        return done

    def _kept(self) -> list[Symbol]:
        """What the backward pass needs of the forward pass, in the order of the code."""
        needed = {symbol for line in self.backward_lines for symbol in self._values(line.formula)}
        everything = [Symbol(x, 0) for x in self.of.x] + [Symbol(part, -1) for part in self.of.state]
        everything += [line.symbol for line in self.forward_lines]
        first = everything[0]
        return [symbol for symbol in dict.fromkeys(everything) if symbol in needed or symbol == first]

    def _values(self, expr: Expr) -> set[Symbol]:
        """The values of the step that a formula reads, also where only their shape matters."""
        found = {symbol for symbol in ends(expr) if symbol.time is not None and not symbol.loss}
        pieces = [inner.what for inner in parts(expr) if isinstance(inner.what, Piece)]
        like = [of_shape(beside) for piece in pieces for beside in piece.parts]
        return found | {expr.what for expr in like if expr is not None and expr.what.time is not None}

    def _handed_on(self) -> list[tuple[str, str]]:
        """Parts of the new state that are another value of the step."""
        written = {line.symbol for line in self.forward_lines}
        return [
            (part, self._name(symbol))
            for part, symbol in zip(self.of.state, self.of.new_state, strict=True)
            if Symbol(part, 0) not in written
        ]

    def _tuple(self, names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else f"({', '.join(names)})"
