"""A derivation as a program in plain NumPy: a forward and a backward pass over time, a line for each formula."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .arrays import part, replaced
from .expression import SYMBOL, Expr, Piece, Symbol, ends, parts
from .lines import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, WHOLE, Formula
from .numpy_writer import HELPERS, NumPy, of_shape
from .statements import Statements
from .unpacking import Unpacking
from .variables import variables_of

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["source"]


def source(derivation: Derivation) -> str:
    """The program: ``forward(params, xs, state)`` and ``backward(params, trace, d_hs, d_state)``."""
    return _Source(derivation).text()


class _Source:
    """The program of a derivation, put together part by part."""

    def __init__(self, derivation: Derivation) -> None:
        self.of = derivation
        self.variables = variables_of(derivation)
        x = derivation.x[0]
        self.numpy = NumPy(self.variables, self.variables[Symbol(x, 0)], derivation.batch, derivation.is_clear)
        self.statements = Statements(derivation, self.variables, self.numpy)
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
        self.fixed_lines = [line for line in self.forward_lines if line.symbol.time is None]
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
                *self._given(),
                "Time is the first axis of xs, hs and d_hs.",
                '"""',
                "",
                "from typing import Any, NamedTuple",
                "",
                "import numpy as np",
            ]
        )

    def _given(self) -> list[str]:
        """What the parameters are, where there are constants among them."""
        if not self.of.constants:
            return []
        wanted = dict.fromkeys(parameter.key for parameter in self.of.parameters if parameter.wants)
        return [f"params: {', '.join(wanted)}; and, not to be learned, {', '.join(self.of.constants)}.", ""]

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
        loop += self._computed([line for line in self.forward_lines if line not in self.fixed_lines])
        loop += [f"{name(Symbol(part, 0))} = {source}" for part, source in self._handed_on()]
        loop.append(f"steps.append(({', '.join(name(symbol) for symbol in self.kept)}{',' * (len(self.kept) == 1)}))")
        if outputs:
            loop.append(f"hs.append({self._tuple(outputs)})")
        hs = "tuple(map(np.array, zip(*hs)))" if len(outputs) > 1 else "np.array(hs)"
        body = [
            *self.unpacking.unpacked(self.forward_lines),
            *self._computed(self.fixed_lines),
            f"{', '.join(new)} = state",
            "steps, hs = [], []",
            f"for {', '.join(name(Symbol(x, 0)) for x in of.x)} in {'xs' if len(of.x) == 1 else 'zip(*xs)'}:",
            *(f"    {line}" for line in loop),
            f"return Trace(xs, steps, {hs}, {self._tuple(new)})",
        ]
        return self._function("forward(params, xs, state)", "The forward pass, t = 1 … T.", body)

    def _backward(self) -> str:
        of, name, dxs_of = self.of, self._name, self.statements.dxs
        d_state = [name(Symbol(part, 0, "L₊")) for part in of.state]
        rows: list[tuple[str, str]] = []
        for kind in (COTANGENT, PARAMETER, INPUT):
            lines = [line for line in self.backward_lines if line.kind == kind]
            rows += self.statements.of_lines(lines)
            rows += [("", "")] if lines and kind != INPUT else []
        rows += self.statements.of_states([line for line in self.backward_lines if line.kind == STATE])
        whole = self.statements.of_lines([line for line in self.backward_lines if line.kind == WHOLE])
        fixed, sums = self._fixed_again()
        loop = [f"{', '.join(name(symbol) for symbol in self.kept)}{',' * (len(self.kept) == 1)} = trace.steps[t - 1]"]
        loop += self.statements.commented(rows)
        wanted = {x for x, value in zip(of.x, of.program.xs, strict=True) if value.dtype.kind == "f"}
        arrays = ["trace.xs"] if len(of.x) == 1 else [f"trace.xs[{k}]" for k in range(len(of.x))]
        dxs = self._tuple([dxs_of(x) if x in wanted else "None" for x in of.x])
        body = [
            *self.unpacking.unpacked([*self.backward_lines, *fixed]),
            *self._computed(fixed),
            f"dp = {{name: np.zeros_like({self._each_parameter()}}}",
            *self.unpacking.views(),
            *sums,
            *(f"{dxs_of(x)} = np.zeros_like({xs})" for x, xs in zip(of.x, arrays, strict=True) if x in wanted),
            f"{', '.join(d_state)} = d_state",
            "for t in range(len(trace.steps), 0, -1):",
            *(f"    {line}" for line in loop),
            *self.statements.commented(whole),
            f"return Gradients(dp, {dxs}, {self._tuple(d_state)})",
        ]
        return self._function("backward(params, trace, d_hs, d_state)", "Backpropagation through time, t = T … 1.", body)

    def _computed(self, lines: Iterable[Formula]) -> list[str]:
        """Forward lines as code."""
        return [f"{self._name(line.symbol)} = {self.numpy.write(line.formula)}" for line in lines]

    def _fixed_again(self) -> tuple[list[Formula], list[str]]:
        """What the backward pass needs of what is the same at every step; and zeros, where gradients of that are added up."""
        wanted = {line.symbol._replace(loss="") for line in self.backward_lines if line.symbol.time is None}
        needed = wanted | {symbol for line in self.backward_lines for symbol in ends(line.formula) if not symbol.loss}
        for line in reversed(self.fixed_lines):
            needed |= set(ends(line.formula)) if line.symbol in needed else set()
        summed = [self._name(line.symbol) for line in self.fixed_lines if line.symbol in wanted]
        return [line for line in self.fixed_lines if line.symbol in needed], [f"d{n} = np.zeros_like({n})" for n in summed]

    def _each_parameter(self) -> str:
        """Those that receive a gradient."""
        if not self.of.constants:
            return "value) for name, value in params.items()"
        keys = dict.fromkeys(parameter.key for parameter in self.of.parameters if parameter.wants)
        names = ", ".join(map('"{}"'.format, keys))
        return f"params[name]) for name in ({names}{',' * (len(keys) == 1)})"

    def _function(self, signature: str, says: str, body: Iterable[str]) -> str:
        return "\n".join([f"def {signature}:", f'    """{says}"""', *(f"    {line}".rstrip() for line in body)])

    # ---------------------------------------------------------------- lines

    def _name(self, symbol: Symbol) -> str:
        return self.variables[symbol]

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
