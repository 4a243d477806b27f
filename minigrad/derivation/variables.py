"""The variables of a program, one for each symbol of a derivation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .expression import Symbol, ends
from .naming import ascii_name

if TYPE_CHECKING:
    from .derivation import Derivation

__all__ = ["variables_of"]

RESERVED = {
    "np", "params", "xs", "hs", "state", "trace", "steps", "t", "dp", "dxs", "d_hs", "d_state", "Trace", "Gradients",
    "NamedTuple", "Any", "sigmoid", "softplus", "softmax", "place", "len", "list", "map", "range", "tuple", "zip",
}  # fmt: skip
"""Names that the program needs for itself."""


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
