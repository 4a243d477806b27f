"""The Jacobians of a recurrence: how a state depends on the states before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minigrad import pytree
from minigrad.errors import ArgumentError, ShapeError
from minigrad.guard import Array
from minigrad.steps import is_cell, part_names, step_of, tensors_of
from minigrad.transforms import vjp

__all__ = ["StateJacobians", "state_jacobians"]


@dataclass(frozen=True)
class StateJacobians:
    """The Jacobians of a recurrence from step to step.

    A state s is all its parts side by side in one vector, and so are all examples of a batch: n entries.

    Attributes:
        steps: (T, n, n); ``steps[t − 1]`` is ∂s_t/∂s_{t−1}, x_t and the parameters held fixed.
        parts: for each part of the state, such as ``"h"``, which entries of s it is.
    """

    steps: Array
    parts: dict[str, slice] = field(repr=False)

    def between(self, t: int, k: int, of: str | None = None, by: str | None = None) -> Array:
        """∂s_t/∂s_k = Π_{i=k+1..t} ∂s_i/∂s_{i−1}, the latest step on the left; for k = t the identity, for k > t zero.

        Args:
            t, k: from 0 (the initial state) to T.
            of, by: a part of the state each: ``of="h", by="c"`` gives the block ∂h_t/∂c_k. None: all of the state.

        Raises:
            ArgumentError: there is no such time or no such part.
        """
        T, n = len(self.steps), self.steps.shape[-1]
        for name, time in (("t", t), ("k", k)):
            if not 0 <= time <= T:
                raise ArgumentError(f"between: {name} must be from 0 to T = {T}, got {time}")
        product = np.eye(n, dtype=self.steps.dtype) if k <= t else np.zeros((n, n), self.steps.dtype)
        for i in range(k, t):
            product = self.steps[i] @ product
        return product[self._part(of), self._part(by)]

    def norms(self, of: str | None = None, by: str | None = None) -> Array:
        """(T + 1, T + 1): the largest singular value of ∂s_t/∂s_k at [t, k]: how much a change of s_k can grow until t."""
        return self._table(lambda block: float(np.linalg.norm(block, 2)), of, by)

    def radii(self, part: str | None = None) -> Array:
        """(T + 1, T + 1): the spectral radius of ∂s_t/∂s_k at [t, k], the largest absolute value of an eigenvalue."""
        return self._table(lambda block: float(np.abs(np.linalg.eigvals(block)).max()), part, part)

    def _table(self, size: Any, of: str | None, by: str | None) -> Array:
        rows, columns, T = self._part(of), self._part(by), len(self.steps)
        table = np.zeros((T + 1, T + 1))
        for k in range(T + 1):
            product = np.eye(self.steps.shape[-1], dtype=self.steps.dtype)
            for t in range(k, T + 1):
                product = product if t == k else self.steps[t - 1] @ product
                table[t, k] = size(product[rows, columns])
        return table

    def _part(self, name: str | None) -> slice:
        if name is None:
            return slice(None)
        if name not in self.parts:
            raise ArgumentError(f"state_jacobians: the state has no part {name!r}; it has {', '.join(self.parts)}")
        return self.parts[name]


def state_jacobians(cell_or_step: Any, xs: Any, state: Any = None) -> StateJacobians:
    """∂s_t/∂s_{t−1} of every step of a recurrence, and by their products ∂s_t/∂s_k.

    The Jacobian of an LSTM's state has four blocks, since (c, h) together are the state: ∂h_t/∂h_{t−1} with c_{t−1} held
    fixed is another matrix than the one with c_{t−1} computed from h_{t−2}; the products of the whole matrices are the ones
    that the chain rule asks for.

    Args:
        cell_or_step: a cell, or a function as `minigrad.scan` takes it, ``step(carry, x)``.
        xs: (T, …), time first, or a pytree of such arrays.
        state: the state before the first step; by default the cell's own. A batch of one example gives its Jacobians; of a
            larger batch the matrices of all examples stand along one diagonal.

    Raises:
        ArgumentError: a function is given without a state.
        DTypeError: neither a cell nor a function is given, or the state is not made of floating-point numbers.

    >>> W = np.array([[0.5, 0.0], [1.0, 0.5]])
    >>> jacobians = state_jacobians(lambda h, x: W @ h + x, np.zeros((3, 2)), state=np.zeros(2))
    >>> jacobians.between(2, 0)
    array([[0.25, 0.  ],
           [1.  , 0.25]])
    >>> jacobians.radii()[3, :]
    array([0.125, 0.25 , 0.5  , 1.   ])
    """
    step, inputs = step_of(cell_or_step, "state_jacobians"), tensors_of(xs)
    sequences = pytree.ends(inputs)
    if not sequences or not all(sequence.ndim for sequence in sequences):
        raise ShapeError(f"state_jacobians: expected xs with a first axis, time, got {xs!r:.60}")
    if state is None:
        if not is_cell(cell_or_step):
            raise ArgumentError("state_jacobians: of a function, the state before the first step must be given")
        if sequences[0].ndim < 2:
            raise ShapeError(f"state_jacobians: expected xs (T, B, D) for a cell, got {sequences[0].shape}")
        state = cell_or_step.initial_state(sequences[0].shape[1])
    carry = tensors_of(state)
    names, blocks = part_names(cell_or_step, carry), []
    sizes = [int(np.prod(part.shape)) for part in pytree.ends(carry)]
    ends = np.cumsum([0, *sizes])
    for k in range(len(sequences[0])):
        x = pytree.rebuilt(inputs, [sequence[k].detach() for sequence in sequences])
        carry, block = _jacobian(lambda s, x=x: step(s, x)[0], carry, ends)
        blocks.append(block)
    dtype = pytree.ends(carry)[0].dtype
    steps = np.stack(blocks) if blocks else np.zeros((0, ends[-1], ends[-1]), dtype)
    return StateJacobians(steps, {name: slice(a, b) for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)})


def _jacobian(step: Any, carry: Any, ends: Array) -> tuple[Any, Array]:
    """The new carry, and its Jacobian with respect to the old one, row by row."""
    new, pullback = vjp(step, carry)
    parts = pytree.ends(new)
    rows = []
    for row in range(ends[-1]):
        unit = np.zeros(ends[-1], parts[0].dtype)
        unit[row] = 1
        upstream = [unit[a:b].reshape(part.shape) for a, b, part in zip(ends[:-1], ends[1:], parts, strict=True)]
        (pulled,) = pullback(pytree.rebuilt(new, upstream))
        rows.append(np.concatenate([end.numpy().ravel() for end in pytree.ends(pulled)]))
    return new, np.stack(rows) if rows else np.zeros((0, 0))
