"""A derivation: the forward and the backward pass of a step as formulas, and the forms in which it can be read and run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from typing_extensions import override

from minigrad.guard import Array
from minigrad.loops.differentiate import Derivative
from minigrad.loops.loop import Loop
from minigrad.loops.program import LOCAL, Program, Ref

from .deriving import Example, named, selected, traced
from .expression import SYMBOL, Symbol, ends
from .forward import Forward
from .lines import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, WHOLE, Formula
from .naming import Names
from .parameters import Known, Parameter
from .source import source
from .writing import AS_CODED, ROWS, Latex, Notation, Text, layout_of

__all__ = ["Derivation", "derive", "derive_loop"]

HEADINGS = {
    FORWARD: "The step",
    COTANGENT: "Backward, t = T … 1",
    PARAMETER: "What the parameters receive",
    INPUT: "What the input receives",
    STATE: "What goes back to step t − 1",
    WHOLE: "What the parameters receive of these sums",
}


@dataclass(frozen=True, repr=False)
class Derivation:
    """The backward pass of a step, written out.

    Attributes:
        title: what the step is called.
        program: the step, gates apart.
        backward: its derivative.
        symbols: what the forward values are called that have a name.
        differentials: what the values of the backward program are called that have a line.
        lines: the forward lines, then the backward lines, each after those that it needs.
        parameters: the parameters, as the formulas know them.
        x, state: the names of the inputs and of the parts of the state.
        new_state, outputs: what the parts of the new state are, and the outputs.
        inlined: the values of the step that a program does not keep: it has their formula wherever they are used.
        batch: the length of the first axis of the input that was traced.
        layout: how formulas are written: COLUMNS, as on paper, where the code has rows; ROWS; COLUMNS_CODED; or AS_CODED.
        is_clear: whether no other axis was as long as that first one.
    """

    title: str
    program: Program
    backward: Derivative
    symbols: dict[Ref, Symbol]
    differentials: dict[Ref, Symbol]
    lines: tuple[Formula, ...]
    parameters: tuple[Parameter, ...]
    x: tuple[str, ...]
    state: tuple[str, ...]
    new_state: tuple[Symbol, ...]
    outputs: tuple[Symbol, ...]
    inlined: frozenset[Symbol]
    batch: int
    layout: str
    is_clear: bool

    def parameter(self, name: str) -> Parameter:
        """The parameter that the formulas call so."""
        return next(parameter for parameter in self.parameters if parameter.name == name)

    @property
    def constants(self) -> dict[str, Array]:
        """The arrays in ``params`` that are no parameters: the program needs them too, and they have no gradient."""
        return {p.key: np.asarray(p.tensor._array) for p in self.parameters if p.key and not p.wants}

    def parameter_symbols(self) -> list[Symbol]:
        """The parameters in the order in which the lines name them, the forward lines first."""
        names = {parameter.name for parameter in self.parameters if parameter.key}
        used = [s for line in self.lines for s in ends(line.formula)]
        return list(dict.fromkeys(s for s in used if s.time is None and not s.loss and s.name in names))

    # ---------------------------------------------------------------- to be read

    def text(self) -> str:
        """In Unicode, for a terminal."""
        rows = [self.title, ""]
        for kind, heading in HEADINGS.items():
            lines = self.text_of(kind)
            if lines:
                rows += [heading, "", *(f"    {line}" for line in lines), ""]
        return "\n".join([*rows, *self._legend(Text(self.layout))])

    @override
    def __repr__(self) -> str:
        return self.text()

    def text_of(self, kind: str) -> list[str]:
        """The lines of one kind in Unicode, their equal signs below each other."""
        pairs = self._written(Text(self.layout), kind)
        width = max((len(_plain(left)) for left, _ in pairs), default=0)
        return [f"{left}{' ' * (width - len(_plain(left)))} = {right}" for left, right in pairs]

    def markdown(self) -> str:
        """In Markdown, with LaTeX formulas between dollar signs."""
        rows = [f"## {self.title}", ""]
        for kind, heading in HEADINGS.items():
            aligned = self._aligned(kind, "aligned")
            if aligned:
                rows += [f"**{heading}**", "", "$$", aligned, "$$", ""]
        return "\n".join([*rows, *self._legend(Latex(self.layout), "$")])

    def latex(self) -> str:
        r"""In LaTeX: an ``align*`` environment for each part, which LaTeX with amsmath, KaTeX and MathJax take as it is."""
        parts = (self._aligned(kind, "align*") for kind in HEADINGS)
        return "\n\n".join(part for part in parts if part)

    def numpy(self) -> str:
        """As plain NumPy source: ``forward(params, xs, state)`` and ``backward(params, trace, d_hs, d_state)``."""
        return source(self)

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_latex_(self) -> str:
        return self.latex()

    def _aligned(self, kind: str, environment: str) -> str:
        pairs = self._written(Latex(self.layout), kind)
        rows = [rf"{left} &= {right}" for left, right in pairs]
        written = " \\\\\n".join(rows)
        return f"\\begin{{{environment}}}\n{written}\n\\end{{{environment}}}" if rows else ""

    def _written(self, notation: Notation, kind: str) -> list[tuple[str, str]]:
        """Both sides of the lines of one kind; the value of a function needs no line to be read."""
        return [
            (notation.symbol(line.symbol), self._right(notation, line))
            for line in self.lines
            if line.kind == kind and not (kind == FORWARD and line.symbol.function)
        ]

    def _right(self, notation: Notation, line: Formula) -> str:
        if line.kind == PARAMETER:
            return notation.over_time(line.formula)
        has_sum = line.kind == WHOLE and any((o.symbol, o.kind) == (line.symbol, PARAMETER) for o in self.lines)
        return f"{notation.sum_above * has_sum}{notation.write(line.formula)}"

    def _legend(self, notation: Notation, fence: str = "") -> list[str]:
        """What the signs mean."""
        losses = {symbol.loss for line in self.lines for symbol in [line.symbol, *ends(line.formula)]}
        whole = {line.symbol for line in self.lines if line.symbol.loss == "L"}
        part = next((Symbol(name, 0) for name in self.state if Symbol(name, 0, "L") in whole), Symbol(self.state[0], 0))
        rows = []
        if "L₊" in losses:
            back, here = (f"{fence}{notation.symbol(part.differential(loss))}{fence}" for loss in ("L₊", "L"))
            rows.append(f"{here} is the whole gradient; {back} is the part of it that step t + 1 sends back.")
        if "L_t" in losses:
            own = f"{fence}{notation.symbol(self.outputs[0].differential('L_t'))}{fence}"
            rows.append(f"{own} is what the loss of step t itself sends to the output.")
        if self.layout != AS_CODED:
            example = "row" if self.layout == ROWS else "column"
            is_batch = any(len(value.shape) > 1 for value in self.program.carry)
            rows.append(f"For one example, a {example}{'; of a batch the parameters receive the sum' * is_batch}.")
        return rows


def _plain(written: str) -> str:
    """Without the marks that stand above a letter and take no room."""
    return "".join(letter for letter in written if not "\u0300" <= letter <= "\u036f")


def derive(cell_or_step: Any, x: Any = None, state: Any = None) -> Derivation:
    """The backward pass of a step of a recurrence, derived from the step as it is in the code.

    The step is run once and recorded; the derivative is that of every backward pass in minigrad, each operation's own.
    Here it is made readable: a line for each value that has a name in the code, simplified as a person would.

    Args:
        cell_or_step: a cell, any object with ``step(x, state)`` and ``initial_state(batch)``; or a function as
            `minigrad.scan` takes it, ``step(carry, x)``. Where it returns the state alone, the last part of it is the output:
            of ``(h, c)`` that is c; return ``((h, c), h)``, or the state as ``(c, h)``, for h.
        x: an example of one step's input, such as an array (B, D); of a cell with an ``input_size`` it may be left out.
        state: an example of the state; of a cell it may be left out.

    Raises:
        ArgumentError: an example is missing, the step does not return a state, or has an operation that has no written form.
        DTypeError: neither a cell nor a function is given.
        GraphError: the step is not the same program at every time.

    >>> from minigrad.models import RNN
    >>> print(derive(RNN(input_size=3, hidden_size=4)))
    rnn
    <BLANKLINE>
    The step
    <BLANKLINE>
        a_hₜ = W_hh hₜ₋₁ + W_hx xₜ + b_h
        hₜ   = tanh(a_hₜ)
    <BLANKLINE>
    Backward, t = T … 1
    <BLANKLINE>
        ∂L/∂hₜ   = ∂Lₜ/∂hₜ + ∂L₊/∂hₜ
        ∂L/∂a_hₜ = ∂L/∂hₜ ⊙ (1 − hₜ²)
    <BLANKLINE>
    What the parameters receive
    <BLANKLINE>
        ∂L/∂W_hh = Σₜ ∂L/∂a_hₜ hₜ₋₁ᵀ
        ∂L/∂W_hx = Σₜ ∂L/∂a_hₜ xₜᵀ
        ∂L/∂b_h  = Σₜ ∂L/∂a_hₜ
    <BLANKLINE>
    What the input receives
    <BLANKLINE>
        ∂L/∂xₜ = W_hxᵀ ∂L/∂a_hₜ
    <BLANKLINE>
    What goes back to step t − 1
    <BLANKLINE>
        ∂L₊/∂hₜ₋₁ = W_hhᵀ ∂L/∂a_hₜ
    <BLANKLINE>
    ∂L/∂hₜ is the whole gradient; ∂L₊/∂hₜ is the part of it that step t + 1 sends back.
    ∂Lₜ/∂hₜ is what the loss of step t itself sends to the output.
    For one example, a column; of a batch the parameters receive the sum.
    """
    return derivation_of(traced(cell_or_step, x, state))


def derive_loop(loop: Loop) -> Derivation:
    """The derivation of the step of a loop that was recorded; the parts of its state have the names of what they become.

    >>> import numpy as np
    >>> from minigrad import graph
    >>> from minigrad.models import RNN, unroll
    >>> hs, _ = unroll(RNN(input_size=3, hidden_size=4), np.ones((5, 2, 3)))
    >>> (loop,) = [node for node in graph.ancestors([hs.sum().node]) if isinstance(node, Loop)]
    >>> derive_loop(loop).text_of("state")
    ['∂L₊/∂hₜ₋₁ = W_hhᵀ ∂L/∂a_hₜ']
    """
    trace, names, rows = loop.trace, Names(), Names()
    new = [trace.program.value(ref).name for ref in trace.program.new_carry]
    state = tuple(names.new(name or "h") for name in new)
    x = tuple(rows.new(value.name or "x") for value in trace.program.xs)
    return derivation_of(named(trace, "/".join(loop.place.scope) or "step", x, state, Known({}, {}), {}))


def derivation_of(example: Example) -> Derivation:
    """The derivation of a step that has been traced."""
    forward, backward, parameters = selected(example)
    lines, program = forward.lines(), example.program
    return Derivation(
        title=example.title,
        program=program,
        backward=backward.derivative,
        symbols=forward.symbols,
        differentials={ref: forward.symbol(owner).differential() for ref, owner in backward.owners.items()},
        lines=(*lines, *backward.lines()),
        parameters=parameters,
        x=example.x,
        state=example.state,
        new_state=tuple(_symbol_of(forward, ref) for ref in program.new_carry),
        outputs=tuple(_symbol_of(forward, ref) for ref in program.ys),
        inlined=frozenset(s for ref, s in forward.symbols.items() if ref.kind == LOCAL and ref not in forward.kept),
        batch=program.xs[0].shape[0] if program.xs and program.xs[0].shape else -1,
        layout=layout_of(line.formula for line in lines if line.symbol.time is not None),
        is_clear=example.is_clear,
    )


def _symbol_of(forward: Forward, ref: Ref) -> Symbol:
    """What a part of the new state, or an output, is called: the value itself where the step hands one on as it is."""
    value = forward.value(ref)
    is_symbol = value.kind == SYMBOL
    symbol: Symbol = value.what if is_symbol else forward.symbol(ref)
    return symbol
