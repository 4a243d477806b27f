"""PyTorch's own layers nn.RNN, nn.GRU and nn.LSTM, whose forward and backward are compiled code."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.contestant import Taped
from benchmarks.problem import Array, Arrays, Problem

torch.set_num_threads(1)

LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}


class TorchFused(Taped):
    """torch's layer and a linear head. Its GRU has gates r, z, n with z = 1 − u, and two biases for each gate."""

    name = "torch nn (fused)"
    cells = tuple(LAYERS)
    numpy_memory = False

    def __init__(self, problem: Problem) -> None:
        _, _, D, H, N = problem.size
        self.problem = problem
        self.x, self.targets = torch.tensor(problem.xs), torch.tensor(problem.targets).reshape(-1)
        self.layer = LAYERS[problem.cell](D, H, dtype=self.x.dtype)
        self.head = torch.nn.Linear(H, N, dtype=self.x.dtype)
        params = problem.params
        b_hh = np.zeros_like(params["b"])
        if problem.cell == "gru":
            b_hh[2 * H :] = params["b_ch"]
        values = {
            self.layer.weight_ih_l0: self.turned(params["W_x"]),
            self.layer.weight_hh_l0: self.turned(params["W_h"]),
            self.layer.bias_ih_l0: self.turned(params["b"]),
            self.layer.bias_hh_l0: b_hh,
            self.head.weight: params["W_yh"],
            self.head.bias: params["b_y"],
        }
        with torch.no_grad():
            for parameter, value in values.items():
                parameter.copy_(torch.from_numpy(value))

    def turned(self, rows: Array) -> Array:
        """From gates u, r, c to gates r, z, n."""
        if self.problem.cell != "gru":
            return rows
        H = self.problem.size.H
        return np.concatenate([rows[H : 2 * H], -rows[:H], rows[2 * H :]])

    def turned_back(self, rows: Array) -> Array:
        """From gates r, z, n to gates u, r, c."""
        if self.problem.cell != "gru":
            return rows
        H = self.problem.size.H
        return np.concatenate([-rows[H : 2 * H], rows[:H], rows[2 * H :]])

    def forward(self) -> Any:
        """The loss, recorded."""
        hs, _ = self.layer(self.x)
        logits = self.head(hs.reshape(-1, self.problem.size.H))
        return torch.nn.functional.cross_entropy(logits, self.targets)

    def backward(self, loss: Any) -> None:
        """Fresh gradients of every parameter."""
        self.layer.zero_grad(set_to_none=True)
        self.head.zero_grad(set_to_none=True)
        loss.backward()

    def gradients(self) -> Arrays:
        """The gradients of the last step."""
        layer, head, H = self.layer, self.head, self.problem.size.H
        grads = {
            "W_x": self.turned_back(layer.weight_ih_l0.grad.numpy()),
            "W_h": self.turned_back(layer.weight_hh_l0.grad.numpy()),
            "b": self.turned_back(layer.bias_ih_l0.grad.numpy()),
            "W_yh": head.weight.grad.numpy(),
            "b_y": head.bias.grad.numpy(),
        }
        if self.problem.cell == "gru":
            grads["b_ch"] = layer.bias_hh_l0.grad.numpy()[2 * H :]
        return grads
