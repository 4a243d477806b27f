"""A batch: what one call of a model sees. Time comes first in it: sequences are (T, B, …), everything else is (B, …)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Batch"]

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """What one call of a model sees.

    Attributes:
        inputs: what the model is called with, in order.
        targets: what its outputs are compared with.
        axes: for each of the inputs and then the targets, the axis on which the examples lie.
        lengths: (B,) the lengths of the sequences; None where all are of full length.
        per_step: whether there is a target for every step of the inputs.
        target_lengths: (B,) the lengths of the targets, where they differ.
        starts: for streams, whether the state begins anew rather than being carried over; None for all else.
    """

    inputs: tuple[Any, ...]
    targets: Any
    axes: tuple[int, ...]
    lengths: Array | None = None
    target_lengths: Array | None = None
    starts: bool | None = None

    @property
    def size(self) -> int:
        """B, the number of examples."""
        return int(np.shape(self.inputs[0])[self.axes[0]])

    @property
    def steps(self) -> int:
        """How many inputs there are: Σ lengths, T · B, or B where there is no time."""
        if self.lengths is not None:
            return int(self.lengths.sum())
        return self.size * (len(self.inputs[0]) if self.axes[0] else 1)

    @property
    def per_step(self) -> bool:
        """Whether there is a target for every step of the inputs."""
        in_time = self.targets is not None and self.axes[0] == self.axes[-1] == 1
        return in_time and np.shape(self.targets)[:2] == np.shape(self.inputs[0])[:2]

    @property
    def weight(self) -> int:
        """How many targets count, as the mean in a loss is over them."""
        if self.target_lengths is not None:
            return int(self.target_lengths.sum())
        return self.steps if self.per_step else self.size

    @property
    def valid(self) -> Array | None:
        """Which targets count, (T, B); None where all do."""
        if self.lengths is None or not self.per_step:
            return None
        valid: Array = np.arange(len(self.targets))[:, None] < self.lengths
        return valid

    @property
    def unusable(self) -> str:
        """What is NaN or infinite in it, in words; nothing where no number is that counts."""
        for k, (array, axis) in enumerate(zip((*self.inputs, self.targets), self.axes, strict=True)):
            if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
                continue
            bad = ~np.isfinite(array)
            lengths = self.lengths if k < len(self.inputs) or self.per_step else self.target_lengths
            if axis == 1 and lengths is not None:
                bad[np.arange(len(bad))[:, None] >= lengths] = False
            if bad.any():
                what = "targets" if k == len(self.inputs) else f"inputs {k}" if k else "inputs"
                first = tuple(np.argwhere(bad)[0].tolist())
                return f"{bad.sum()} of {bad.size} numbers in the {what} of a batch are NaN or infinite, the first at {first}"
        return ""

    def share(self, number: int, parts: int) -> tuple[int, int]:
        """Where the examples of one of several parts begin and end."""
        return self.size * number // parts, self.size * (number + 1) // parts

    def part(self, number: int, parts: int) -> Batch:
        """One of several parts of nearly as many examples each; the weights of all add up to that of the whole."""
        chosen = slice(*self.share(number, parts))
        *inputs, targets = (
            array if array is None else array[(slice(None),) * axis + (chosen,)]
            for array, axis in zip((*self.inputs, self.targets), self.axes, strict=True)
        )
        lengths, of_targets = (None if n is None else n[chosen] for n in (self.lengths, self.target_lengths))
        return Batch(tuple(inputs), targets, self.axes, lengths, of_targets, self.starts)
