"""Hand-derived backward passes in plain NumPy, one file a cell.

Each module holds its derivation as mathematics in its docstring, and two functions that read like it:

    trace     = forward(params, xs, state)                   the forward pass, t = 1 … T
    gradients = backward(params, trace, d_hs, d_state)       backpropagation through time, t = T … 1

with per-gate parameters in a dict, time-major arrays xs (T, B, D) and hs (T, B, H), and the result
Gradients(params, xs, state). `head` closes the chain with softmax and cross-entropy. Nothing here
imports the engine, so that the two can be held against each other.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> params = {"W_hx": rng.normal(size=(4, 3)), "W_hh": rng.normal(size=(4, 4)), "b_h": rng.normal(size=4)}
>>> out = {"W_yh": rng.normal(size=(5, 4)), "b_y": rng.normal(size=5)}
>>> trace = rnn.forward(params, xs=rng.normal(size=(7, 2, 3)))
>>> answer = head.forward(out, trace.hs, targets=rng.integers(5, size=(7, 2)))
>>> gradients = rnn.backward(params, trace, d_hs=head.backward(out, answer).hs)
>>> {name: g.shape for name, g in gradients.params.items()}
{'W_hx': (4, 3), 'W_hh': (4, 4), 'b_h': (4,)}
"""

from types import ModuleType

from . import gated_rnn, gru, head, lstm, rnn
from .common import Gradients, InputError

CELLS: dict[str, ModuleType] = {"rnn": rnn, "gated_rnn": gated_rnn, "gru": gru, "lstm": lstm}
"""The cells by name; each module has forward, backward and SHAPES."""

__all__ = ["CELLS", "Gradients", "InputError", "gated_rnn", "gru", "head", "lstm", "rnn"]
