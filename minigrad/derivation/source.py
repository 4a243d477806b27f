"""A derivation as a program in plain NumPy: a forward and a backward pass over time, a line for each formula."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from .expression import ADD, CALL, SYMBOL, Expr, Piece, Symbol, ends, part, parts, replaced
from .lines import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, Formula
from .naming import ascii_name
from .writing import LOOSEST, OF_MATRICES, OF_POWER, OF_PRODUCT, OF_SUM, TIGHTEST, Text, Writer

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["NumPy", "source"]

RESERVED = {
    "np", "params", "xs", "hs", "state", "trace", "steps", "t", "dp", "dxs", "d_hs", "d_state", "Trace", "Gradients",
    "NamedTuple", "Any", "sigmoid", "softplus", "softmax", "place", "len", "list", "map", "range", "tuple", "zip",
}  # fmt: skip
"""Names that the program needs for itself."""

LONGEST = 100
"""How long a sum may be on one line."""

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
    """

    minus = "-"

    def __init__(self, variables: dict[Symbol, str], x: str, batch: int) -> None:
        self.variables, self.x, self.batch = variables, x, batch
        self.helpers: set[str] = set()

    @override
    def symbol(self, symbol: Symbol) -> str:
        return self.variables[symbol]

    def _multiply(self, expr: Expr) -> tuple[str, int]:
        first, *others = expr.args
        return " * ".join([self.write(first, OF_PRODUCT), *(self.write(o, OF_MATRICES) for o in others)]), OF_PRODUCT

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
        words = [str(size) for size in shape]
        if shape and self.batch == shape[0]:
            words[0] = f"len({self.x})"
        return f"({', '.join(words)}{',' * (len(words) == 1)})"

    def like(self, expr: Expr) -> str:
        """A variable of the shape that a formula has."""
        return self.write(of_shape(expr) or expr, TIGHTEST)

    def _sum(self, expr: Expr) -> tuple[str, int]:
        return f"{self.write(expr.args[0], TIGHTEST)}.sum({self.axes(*expr.what)})", TIGHTEST

    def axes(self, axes: tuple[int, ...], keepdims: bool) -> str:
        """The arguments of a reduction."""
        return f"axis={axes[0] if len(axes) == 1 else axes}{', keepdims=True' * keepdims}"

    def _call(self, expr: Expr) -> tuple[str, int]:
        function, options = expr.what
        args = expr.args
        if function in HELPERS:
            self.helpers.add(function)
        words = [self.write(arg) for arg in args]
        match function:
            case "relu":
                return f"np.maximum({words[0]}, 0)", TIGHTEST
            case "sigmoid" | "softplus":
                return f"{function}({words[0]})", TIGHTEST
            case "softmax":
                return f"softmax({words[0]}, axis={options})", TIGHTEST
            case "scatter":
                self.helpers.add("place")
                return f"place({', '.join(words)}, {expr.shape})", TIGHTEST
            case "place":
                return f"place({words[0]}, np.s_{options}, {self.shape(expr.shape)})", TIGHTEST
            case "logical_not":
                return f"~{self.write(args[0], TIGHTEST)}", OF_POWER
            case "mean":
                return f"{self.write(args[0], TIGHTEST)}.mean({self.axes(*options)})", TIGHTEST
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
            case "full":
                return f"np.full({self.shape(expr.shape)}, {float(args[0].what)})", TIGHTEST
        if function in INFIX:
            a, b = (self.write(arg, OF_SUM) for arg in args)
            return f"{a} {INFIX[function]} {b}", LOOSEST
        return f"np.{function}({', '.join(words)})", TIGHTEST


def variables_of(derivation: Derivation) -> dict[Symbol, str]:
    """A variable for each symbol. What comes back from the next step, and the gradient that it is a part of, share one."""
    named = [Symbol(parameter.name) for parameter in derivation.parameters if parameter.key]
    used = dict.fromkeys([*derivation.parameter_symbols(), *named, *(symbol.differential() for symbol in named)])
    for line in derivation.lines:
        used |= dict.fromkeys([line.symbol, *ends(line.formula)])
    plain = dict.fromkeys([symbol._replace(loss="") for symbol in used])
    plain |= dict.fromkeys(Symbol(name, time) for name in derivation.state for time in (0, -1))
    plain |= dict.fromkeys(Symbol(name, 0) for name in derivation.x)
    variables: dict[Symbol, str] = {}
    taken = set(RESERVED)
    for symbol in plain:
        base = ascii_name(f"{symbol.function}_{symbol.name}" if symbol.function else symbol.name)
        name = f"{base}_prev" if symbol.time == -1 else base
        while name in taken or f"d{name}" in taken:
            name += "_"
        taken |= {name, f"d{name}"}
        variables[symbol] = name
    outputs = derivation.outputs
    for symbol in [*used, *(Symbol(name, time, "L₊") for name in derivation.state for time in (0, -1))]:
        if symbol.loss == "L_t":
            whole = "d_hs" if len(outputs) == 1 else f"d_hs[{outputs.index(symbol._replace(loss=''))}]"
            variables[symbol] = f"{whole}[t - 1]"
        elif symbol.loss:
            variables[symbol] = f"d{variables[symbol._replace(loss='', time=None if symbol.time is None else 0)]}"
    return variables


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
            *self._unpacked(self._parameters_in(self.forward_lines)),
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
            *self._unpacked(self._parameters_in(self.backward_lines)),
            "dp = {name: np.zeros_like(value) for name, value in params.items()}",
            *self._views(),
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

    def _parameters_of(self, line: Formula) -> list[str]:
        """The parameters that a line reads, from left to right."""
        return [symbol.name for symbol in ends(line.formula) if symbol.time is None and not symbol.loss]

    def _handed_on(self) -> list[tuple[str, str]]:
        """Parts of the new state that are another value of the step."""
        written = {line.symbol for line in self.forward_lines}
        return [
            (part, self._name(symbol))
            for part, symbol in zip(self.of.state, self.of.new_state, strict=True)
            if Symbol(part, 0) not in written
        ]

    def _parameters_in(self, lines: Iterable[Formula]) -> list[str]:
        """The parameters that lines read, in the order of the forward lines, those of one line together."""
        read = {name for line in lines for name in self._parameters_of(line)}
        return [name for name in dict.fromkeys(s.name for s in self.of.parameter_symbols()) if name in read]

    def _unpacked(self, names: Sequence[str]) -> list[str]:
        """The parameters as variables."""
        lines: list[str] = []
        whole = [name for name in names if self.of.parameter(name).cut is None]
        for line in self.forward_lines:
            group = [name for name in dict.fromkeys(self._parameters_of(line)) if name in whole]
            whole = [name for name in whole if name not in group]
            lines += self._assigned(group)
        lines += self._assigned(whole)
        cut = [name for name in names if self.of.parameter(name).cut is not None]
        for key in dict.fromkeys(self.of.parameter(name).key for name in cut):
            lines += self._split(key, f'params["{key}"]', lambda name: self._name(Symbol(name)))
        return lines

    def _assigned(self, names: Sequence[str]) -> list[str]:
        if not names:
            return []
        variables = ", ".join(self._name(Symbol(name)) for name in names)
        arrays = ", ".join(f'params["{self.of.parameter(name).key}"]' for name in names)
        return [f"{variables} = {arrays}"]

    def _views(self) -> list[str]:
        """Parts of the gradients of stacked matrices."""
        keys = dict.fromkeys(p.key for p in self.of.parameters if p.cut is not None and p.wants)
        return [
            line for key in keys for line in self._split(key, f'dp["{key}"]', lambda name: self._name(Symbol(name, None, "L")))
        ]

    def _split(self, key: str, whole: str, variable: Callable[[str], str]) -> list[str]:
        """The parts of a stacked matrix, which are views of it."""
        found = sorted((p for p in self.of.parameters if p.key == key and p.cut is not None), key=lambda p: p.cut or ())
        cuts = [p.cut for p in found if p.cut is not None]
        names = [variable(p.name) for p in found]
        axis, start, stop = cuts[0]
        size, total = stop - start, found[0].size
        tiles = [(axis, start, start + size) for start in range(0, total, size)]
        if total % size == 0 and set(cuts) <= set(tiles):
            variables = dict(zip(cuts, names, strict=True))
            along = f", axis={axis}" if axis else ""
            return [f"{', '.join(variables.get(tile, '_') for tile in tiles)} = np.split({whole}, {len(tiles)}{along})"]
        return [
            f"{name} = {whole}[{', '.join([':'] * axis + [f'{start}:{stop}'])}]"
            for name, (axis, start, stop) in zip(names, cuts, strict=True)
        ]

    def _tuple(self, names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else f"({', '.join(names)})"


def of_shape(expr: Expr) -> Expr | None:
    """A symbol in a formula that has the shape of the whole."""
    return next((inner for inner in parts(expr) if inner.kind == SYMBOL and inner.shape == expr.shape), None)
