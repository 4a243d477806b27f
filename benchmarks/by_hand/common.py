"""What the cells written by hand share: everything that is done once for all T steps."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from benchmarks.problem import GATES, Array, Arrays, Problem


class Head:
    """logits = hs W_yhᵀ + b_y, cross-entropy averaged over T and B, and the gradients of both, for all steps at once."""

    def __init__(self, problem: Problem) -> None:
        T, B, _, H, N = problem.size
        dtype = problem.dtype
        self.params = problem.params
        self.labels = np.arange(T * B), problem.targets.ravel()
        self.logits = np.empty((T * B, N), dtype)
        self.row = np.empty((T * B, 1), dtype)
        self.ones_N = np.ones((N, 1), dtype)
        self.ones_TB = np.ones(T * B, dtype)
        self.d_hs = np.empty((T * B, H), dtype)
        self.grads = {"W_yh": np.empty((N, H), dtype), "b_y": np.empty(N, dtype)}

    def forward(self, hs: Array) -> float:
        """The loss for hs (T·B, H); leaves softmax(logits) / (T·B) in `logits`."""
        logits, row, count = self.logits, self.row, len(self.logits)
        np.dot(hs, self.params["W_yh"].T, out=logits)
        logits += self.params["b_y"]
        logits -= np.max(logits, axis=1, keepdims=True, out=row)
        picked = float(logits[self.labels].sum())
        np.exp(logits, out=logits)
        np.dot(logits, self.ones_N, out=row)
        loss = (float(np.log(row).sum()) - picked) / count
        row *= count
        logits /= row
        return loss

    def backward(self, hs: Array) -> None:
        """Fills `d_hs` (T·B, H) and the gradients of W_yh and b_y."""
        d_logits = self.logits
        d_logits[self.labels] -= 1 / len(d_logits)
        np.dot(d_logits.T, hs, out=self.grads["W_yh"])
        np.dot(self.ones_TB, d_logits, out=self.grads["b_y"])
        np.dot(d_logits, self.params["W_yh"], out=self.d_hs)


class Recurrence(ABC):
    """A cell unrolled over T: projection of all inputs, the loop forward, the head, the loop backward, weight gradients.

    `order` is the cell's own order of the problem's row blocks; the first `sigmoids` of them are σ gates, whose
    weights enter the forward loop halved (σ(x) = ½ tanh(½x) + ½).
    """

    order: tuple[int, ...]
    sigmoids: int

    def __init__(self, problem: Problem) -> None:
        T, B, D, H, _ = problem.size
        rows, dtype = GATES[problem.cell] * H, problem.dtype
        self.size, self.dtype = problem.size, dtype
        self.head = Head(problem)
        self.W_x, self.W_h, self.b = (self.reorder(problem.params[name], self.order) for name in ("W_x", "W_h", "b"))
        self.half = np.array(0.5, dtype)
        self.scale = np.ones((rows, 1), dtype)
        self.scale[: self.sigmoids * H] = 0.5
        self.scaled_W_x, self.scaled_W_h = np.empty_like(self.W_x), np.empty_like(self.W_h)
        self.x = problem.xs.reshape(T * B, D)
        self.hs = np.zeros((T + 1, B, H), dtype)
        self.x_part = np.empty((T * B, rows), dtype)
        self.ones_TB = np.ones(T * B, dtype)
        self.grads: Arrays = {"W_x": np.empty_like(self.W_x), "b": np.empty_like(self.b)}

    def step(self) -> float:
        """One training step; returns the loss and leaves the gradients to `gradients`."""
        self.forward()
        self.backward()
        return self.loss

    def forward(self) -> None:
        """Hidden states and loss from inputs and parameters."""
        np.multiply(self.W_h, self.scale, out=self.scaled_W_h)
        np.multiply(self.W_x, self.scale, out=self.scaled_W_x)
        np.dot(self.x, self.scaled_W_x.T, out=self.x_part)
        self.x_part += self.b * self.scale[:, 0]
        self.loop_forward()
        self.loss = self.head.forward(self.flat(self.hs[1:]))

    def backward(self) -> None:
        """Gradients of every parameter; the states and gates of `forward` are still in their buffers."""
        self.head.backward(self.flat(self.hs[1:]))
        self.loop_backward()

    def input_gradients(self, d_z: Array) -> None:
        """Gradients of W_x and b from d_z (T·B, rows), the gradient of all pre-activations in the cell's order."""
        np.matmul(d_z.T, self.x, out=self.grads["W_x"])
        np.dot(self.ones_TB, d_z, out=self.grads["b"])

    def gradients(self) -> Arrays:
        """The gradients of the last step by the problem's names, rows in the problem's order."""
        order = np.argsort(self.order)
        packed = {name: self.reorder(grad, order) for name, grad in self.grads.items() if name != "b_ch"}
        return self.grads | packed | self.head.grads

    def reorder(self, rows: Array, order: tuple[int, ...] | Array) -> Array:
        """A copy of `rows` (gates · H, …) with its blocks of H rows in another order."""
        blocks = rows.reshape(len(order), self.size.H, *rows.shape[1:])
        return blocks[list(order)].reshape(rows.shape)

    def per_gate(self, steps: Array) -> Array:
        """The view (T, gates, B, H) of an array (T·B, gates · H)."""
        T, B, _, H, _ = self.size
        return steps.reshape(T, B, -1, H).transpose(0, 2, 1, 3)

    def flat(self, steps: Array) -> Array:
        """The view (T·B, H) of an array (T, B, H)."""
        return steps.reshape(-1, self.size.H)

    @abstractmethod
    def loop_forward(self) -> None:
        """Fill hs[1:] (T, B, H) from x_part = W_x x + b of all steps, in the halved weights."""

    @abstractmethod
    def loop_backward(self) -> None:
        """Fill `grads` from head.d_hs."""
