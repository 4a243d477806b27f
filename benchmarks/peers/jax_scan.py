"""JAX: the step compiled as a whole, with lax.scan over time. Nothing is recorded while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks.contestant import Contestant
from benchmarks.problem import Arrays, Problem

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")


def rnn(params: Any, h: Any, x_part: Any) -> Any:
    """h' = tanh(W_h h + x_part)."""
    h = jnp.tanh(h @ params["W_h"].T + x_part)
    return h, h


def gru(params: Any, h: Any, x_part: Any) -> Any:
    """Reset after the product."""
    x_u, x_r, x_c = jnp.split(x_part, 3, -1)
    h_u, h_r, h_c = jnp.split(h @ params["W_h"].T, 3, -1)
    u, r = jax.nn.sigmoid(x_u + h_u), jax.nn.sigmoid(x_r + h_r)
    h = h + u * (jnp.tanh(x_c + r * (h_c + params["b_ch"])) - h)
    return h, h


def gru_before(params: Any, h: Any, x_part: Any) -> Any:
    """Reset before the product."""
    H = h.shape[-1]
    x_u, x_r, x_c = jnp.split(x_part, 3, -1)
    h_u, h_r = jnp.split(h @ params["W_h"][: 2 * H].T, 2, -1)
    u, r = jax.nn.sigmoid(x_u + h_u), jax.nn.sigmoid(x_r + h_r)
    h = h + u * (jnp.tanh(x_c + (r * h) @ params["W_h"][2 * H :].T) - h)
    return h, h


def lstm(params: Any, state: Any, x_part: Any) -> Any:
    """c' = f ⊙ c + i ⊙ g; h' = o ⊙ tanh(c')."""
    c, h = state
    i, f, g, o = jnp.split(h @ params["W_h"].T + x_part, 4, -1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (c, h), h


STEPS: dict[str, Callable[[Any, Any, Any], Any]] = {"rnn": rnn, "gru": gru, "gru_before": gru_before, "lstm": lstm}


class JaxScan(Contestant):
    """jit of value_and_grad over lax.scan; compiled when made."""

    name = "JAX jit + scan"
    numpy_memory = False

    def __init__(self, problem: Problem) -> None:
        T, B, D, H, _ = problem.size
        self.params = {name: jnp.asarray(value) for name, value in problem.params.items()}
        self.x, self.targets = jnp.asarray(problem.xs.reshape(T * B, D)), jnp.asarray(problem.targets.ravel())
        zero, cell = jnp.zeros((B, H), problem.dtype), STEPS[problem.cell]

        def loss(params: Any, x: Any, targets: Any) -> Any:
            x_parts = (x @ params["W_x"].T + params["b"]).reshape(T, B, -1)
            start = (zero, zero) if problem.cell == "lstm" else zero
            _, hs = jax.lax.scan(lambda state, x_part: cell(params, state, x_part), start, x_parts)
            logits = hs.reshape(T * B, H) @ params["W_yh"].T + params["b_y"]
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(T * B), targets])

        self.compiled = jax.jit(jax.value_and_grad(loss))
        self.grads: Any = {}
        self.step()

    def step(self) -> float:
        """One training step, waited for."""
        loss, self.grads = jax.block_until_ready(self.compiled(self.params, self.x, self.targets))
        return float(loss)

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        return {name: np.asarray(grad) for name, grad in self.grads.items()}
