"""The cells composed from primitive operations, written once for every framework that has them.

Gates are stacked in one matrix and everything outside the recurrence (input projection, output layer, loss) is done
once for all T (unless asked otherwise), so frameworks are compared by what their tape costs and not by how the user
wrote the cell.
"""

from __future__ import annotations

from typing import Any, Protocol

from benchmarks.problem import Problem


class Primitives(Protocol):
    """One framework's operations; arrays and results are whatever the framework computes with."""

    def tanh(self, x: Any) -> Any:
        """Hyperbolic tangent."""

    def sigmoid(self, x: Any) -> Any:
        """Logistic function."""

    def gates(self, x: Any, count: int) -> Any:
        """`count` equal parts of (B, count · H) along the last axis."""

    def steps(self, x: Any) -> Any:
        """The T arrays along the first axis."""

    def stack(self, hs: list[Any]) -> Any:
        """T arrays (B, H) as (T, B, H)."""

    def cross_entropy(self, logits: Any, targets: Any) -> Any:
        """The mean over all rows of logits (T·B, N) and integer targets (T·B,)."""


def loss_of(
    ops: Primitives, problem: Problem, params: dict[str, Any], x: Any, targets: Any, zero: Any, hoist: bool = True
) -> Any:
    """The problem's loss; `x` is (T·B, D), `targets` (T·B,), `zero` the initial state (B, H).

    Without `hoist` the input projection is done step by step, as in a cell with a method step(x, state).
    """
    T, B, _, H, _ = problem.size
    if hoist:
        x_parts = ops.steps((x @ params["W_x"].T + params["b"]).reshape((T, B, -1)))
    else:
        x_parts = (x[t * B : (t + 1) * B] @ params["W_x"].T + params["b"] for t in range(T))
    hs = UNROLL[problem.cell](ops, params, x_parts, zero)
    logits = ops.stack(hs).reshape((T * B, H)) @ params["W_yh"].T + params["b_y"]
    return ops.cross_entropy(logits, targets)


def rnn(ops: Primitives, params: dict[str, Any], x_parts: Any, h: Any) -> list[Any]:
    """h' = tanh(W_h h + x_part)."""
    W_hT, hs = params["W_h"].T, []
    for x_part in x_parts:
        h = ops.tanh(h @ W_hT + x_part)
        hs.append(h)
    return hs


def gru(ops: Primitives, params: dict[str, Any], x_parts: Any, h: Any) -> list[Any]:
    """Reset after the product: c̃ = tanh(x_part + r ⊙ (W_ch h + b_ch))."""
    W_hT, b_ch, hs = params["W_h"].T, params["b_ch"], []
    for x_part in x_parts:
        x_u, x_r, x_c = ops.gates(x_part, 3)
        h_u, h_r, h_c = ops.gates(h @ W_hT, 3)
        u = ops.sigmoid(x_u + h_u)
        r = ops.sigmoid(x_r + h_r)
        c = ops.tanh(x_c + r * (h_c + b_ch))
        h = h + u * (c - h)
        hs.append(h)
    return hs


def gru_before(ops: Primitives, params: dict[str, Any], x_parts: Any, h: Any) -> list[Any]:
    """Reset before the product: c̃ = tanh(x_part + W_ch (r ⊙ h))."""
    H, hs = h.shape[-1], []
    W_urT, W_cT = params["W_h"][: 2 * H].T, params["W_h"][2 * H :].T
    for x_part in x_parts:
        x_u, x_r, x_c = ops.gates(x_part, 3)
        h_u, h_r = ops.gates(h @ W_urT, 2)
        u = ops.sigmoid(x_u + h_u)
        r = ops.sigmoid(x_r + h_r)
        c = ops.tanh(x_c + (r * h) @ W_cT)
        h = h + u * (c - h)
        hs.append(h)
    return hs


def lstm(ops: Primitives, params: dict[str, Any], x_parts: Any, h: Any) -> list[Any]:
    """c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c')."""
    W_hT, c, hs = params["W_h"].T, h, []
    for x_part in x_parts:
        i, f, g, o = ops.gates(h @ W_hT + x_part, 4)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
        h = ops.sigmoid(o) * ops.tanh(c)
        hs.append(h)
    return hs


UNROLL = {"rnn": rnn, "gru": gru, "gru_before": gru_before, "lstm": lstm}
