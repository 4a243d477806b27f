"""What mistakes are planted in: what `derive` writes of cells of models and of a user's own, and models/by_hand."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import numpy as np
from cells_to_derive import OWN, CutTwice, JointLSTM, StackedRows, of_models
from derived import parameters
from minigrad.models import GRU, LSTM, RNN, GatedRNN, by_hand

from minigrad import derive, pytree

from .program import Program

__all__ = ["BY_HAND", "CELLS", "SWITCHES", "derived", "written"]

B, D, H = 6, 3, 5

CELLS: dict[str, Any] = {
    "rnn": RNN(D, H, seed=1),
    "gated rnn": GatedRNN(D, H, bias=True, seed=1),
    "gru": GRU(D, H, seed=1),
    "gru, reset after": GRU(D, H, reset="after", seed=1),
    "lstm": LSTM(D, H, seed=1),
    "lstm, peepholes": LSTM(D, H, peepholes=True, coupled=True, seed=1),
}
"""Those of which a table is made; cells of a user's own come behind."""
CELLS |= {cell.__name__: cell(D, H) for cell in OWN if cell.__name__ in ("MinimalGated", "Multiplicative", "Normalised")}
SWITCHES: dict[str, Any] = of_models(D, H) | {
    cell.__name__: cell(D, H) for cell in OWN if cell not in (CutTwice, JointLSTM, StackedRows)
}
"""Every cell of models with every switch, and the cells of a user's own whose parameters are not cut apart."""
BY_HAND: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn by hand": ("rnn", {}),
    "gated rnn by hand": ("gated_rnn", {}),
    "gru by hand": ("gru", {"reset": "before"}),
    "gru, reset after, by hand": ("gru", {"reset": "after"}),
    "lstm by hand": ("lstm", {}),
}

UNCHECKED = '''
class Sizes:
    """Takes arrays as they are."""

    def __init__(self, where):
        self.size = {}

    def check(self, name, value, letters):
        self.size.update(zip(letters, value.shape))
        return value

    def check_params(self, params, shapes, optional=()):
        return {name: self.check(name, params[name], letters) for name, letters in shapes.items() if name in params}

    def __getitem__(self, letter):
        return self.size[letter]
'''
"""In the place of what looks at shapes and dtypes, which is no part of a derivation and wants arrays."""


def derived(cell: Any) -> Program:
    """What `derive` writes of a cell, as a program that keeps all that it computes in a step."""
    derivation = derive(cell, np.ones((B, D)))
    weights = {name: weight.numpy() for name, weight in parameters(cell)}
    keys = {parameter.key for parameter in derivation.parameters}
    sizes: dict[str, tuple[int, ...]] = {}
    for name, weight in weights.items():
        blocks = getattr(cell, "blocks", {}).get(name, {})
        for part, index in (blocks if keys & set(blocks) else {name: ...}).items():
            sizes[part] = weight[index].shape
    states = [np.ones(part.shape) for part in pytree.ends(cell.initial_state(B))]
    return Program(ast.parse(derivation.numpy()), sizes, dict(zip(derivation.state, states, strict=True))).kept()


def written(name: str) -> Program:
    """One of models/by_hand."""
    module_name, options = BY_HAND[name]
    module: Any = getattr(by_hand, module_name)
    letters = module.SHAPES_AFTER if options.get("reset") == "after" else module.SHAPES
    sizes = {name: tuple({"D": D, "H": H}[letter] for letter in shape) for name, shape in letters.items()}
    parts = {"gated_rnn": ("s",), "lstm": ("c", "h")}.get(module_name, ("h",))
    tree = ast.parse(inspect.getsource(module) + UNCHECKED)
    program = Program(tree, sizes, {part: np.ones((B, H)) for part in parts}, module.__package__, options)
    first = program.loop().body[0]
    assert isinstance(first, ast.Assign)
    fields = ", ".join(module.Step._fields)
    program.loop().body[0] = ast.parse(f"{fields} = {ast.unparse(first.value)}").body[0]
    return program
