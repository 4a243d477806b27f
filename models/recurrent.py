"""What a recurrent cell is: the two methods that anything unrolled must have, and what the cells here share.

Nothing in this file computes a step; the equations are in `models.cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, current_place
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.module import Module, Parameter
from minigrad.scope import Place

State = TypeVar("State")
Array: TypeAlias = npt.NDArray[Any]
Seed: TypeAlias = int | np.random.Generator | None


class Recurrent(Protocol[State]):
    """Anything that can be unrolled. A state is a Tensor (B, H), or a tuple of them whose last entry is the output h."""

    def step(self, x: Tensor, state: State, /) -> State:
        """The new state, from one input x (B, D) and the old state."""
        ...

    def initial_state(self, batch: int, /) -> State:
        """The state before the first step, for ``batch`` examples."""
        ...


class Cell(Module, Generic[State]):
    """The base of the four cells: sizes, checks of shapes, and the parameters seen gate by gate.

    A cell says how it computes a step in two parts: `project` is what needs no state (W_x x_t + b) and may be done for
    all T steps at once; `recur` is the rest.
    """

    label: ClassVar[str]
    """The cell's name: for `make_cell`, in messages, and as the scope its operations are recorded in."""

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    """The names of the parts of its state, in order."""

    packed: ClassVar[dict[str, tuple[str, ...]]] = {}
    """For a parameter that stacks several matrices: the per-gate names of its row blocks, from the top."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size = positive_size(self.label, "input_size", input_size)
        self.hidden_size = positive_size(self.label, "hidden_size", hidden_size)

    def project(self, x: Tensor) -> Any:
        """The part of a step that needs no state, of one x (B, D) or of all of them (T, B, D): a Tensor or a tuple."""
        raise NotImplementedError

    def recur(self, wx: Any, state: State) -> State:
        """The new state, from the projected input of one step and the old state."""
        raise NotImplementedError

    def initial_state(self, batch: int) -> State:
        """The state of zeros, each part (batch, H). Raises ArgumentError unless batch is an integer ≥ 0."""
        raise NotImplementedError

    def step(self, x: Tensor, state: State) -> State:
        """The new state from one input x (B, D) and the old state, each part (B, H).

        Raises ShapeError, which names the cell and the time step, for any other shape.
        """
        shape = shape_of(x)
        if len(shape) != 2 or shape[1] != self.input_size:
            raise ShapeError(f"{self._here()}: x must be (B, D) with D = {self.input_size}, got {shape}")
        self.check_state(state, shape[0])
        return self.recur(self.project(x), state)

    def check_state(self, state: State, batch: int) -> None:
        """Raise ShapeError unless every part of ``state`` is (batch, H)."""
        parts = parts_of(state)
        names = ", ".join(self.state_names)
        if len(parts) != len(self.state_names):
            raise ShapeError(f"{self._here()}: the state must be ({names}), got {len(parts)} parts")
        for name, part in zip(self.state_names, parts, strict=True):
            if shape_of(part) != (batch, self.hidden_size):
                raise ShapeError(
                    f"{self._here()}: the state {name} must be (B, H) = ({batch}, {self.hidden_size}), "
                    f"got {shape_of(part)}"
                )

    def _here(self) -> str:
        return str(Place(current_place().time, (self.label,)))

    def _zeros(self, batch: int, name: str) -> Tensor:
        if isinstance(batch, bool) or not isinstance(batch, int | np.integer) or batch < 0:
            raise ArgumentError(f"{self.label}.initial_state: batch must be an integer ≥ 0, got {batch!r}")
        dtype = self.parameters()[0].dtype
        return Tensor(np.zeros((batch, self.hidden_size), dtype), name=name)

    # ---------------------------------------------------------------- the parameters, gate by gate

    def by_gate(self, grad: bool = False) -> dict[str, Array]:
        """The parameters, or with ``grad=True`` their gradients, under their per-gate names: new NumPy arrays.

        The names and shapes are those that `models.by_hand` uses, so the two can be compared key by key.

        Raises GraphError when gradients are asked for and there are none.
        """
        result: dict[str, Array] = {}
        for name, parameter in self.named_parameters():
            values = parameter.grad if grad else parameter.data
            if values is None:
                raise GraphError(f"{self.label}.by_gate: {name} has no gradient; call backward() on a loss first")
            gates = self.packed.get(name, (name,))
            blocks = np.split(np.array(values), len(gates))
            result.update({gate: block.copy() for gate, block in zip(gates, blocks, strict=True)})
        return result

    def load_by_gate(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Set the parameters from arrays under their per-gate names: the inverse of `by_gate`.

        Raises ArgumentError for missing or unknown names and ShapeError for a wrong shape; then nothing is changed.
        """
        wanted = self.by_gate()
        missing = ", ".join(name for name in wanted if name not in values)
        unknown = ", ".join(name for name in values if name not in wanted)
        if missing or unknown:
            raise ArgumentError(
                f"{self.label}.load_by_gate: expected exactly {', '.join(wanted)}"
                f"{'; missing: ' + missing if missing else ''}{'; unknown: ' + unknown if unknown else ''}"
            )
        arrays = {name: np.asarray(values[name]) for name in wanted}
        for name, array in arrays.items():
            if array.shape != wanted[name].shape:
                raise ShapeError(f"{self.label}.load_by_gate: {name} must be {wanted[name].shape}, got {array.shape}")
        for name, parameter in self.named_parameters():
            parameter.data = np.concatenate([arrays[gate] for gate in self.packed.get(name, (name,))])


def parts_of(state: Any) -> tuple[Any, ...]:
    """The tensors a state is made of: itself, or the entries of a tuple."""
    return tuple(state) if isinstance(state, tuple) else (state,)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a Tensor, an array or a nested list."""
    shape = getattr(value, "shape", None)
    return np.shape(value) if shape is None else tuple(shape)


def positive_size(where: str, name: str, size: int) -> int:
    """``size`` if it is an integer ≥ 1; ArgumentError otherwise.

    >>> positive_size("lstm", "hidden_size", 0)
    Traceback (most recent call last):
    minigrad.errors.ArgumentError: lstm: hidden_size must be an integer ≥ 1, got 0
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
        raise ArgumentError(f"{where}: {name} must be an integer ≥ 1, got {size!r}")
    return int(size)


def uniform(hidden_size: int, dtype: npt.DTypeLike, seed: Seed) -> Callable[..., Parameter]:
    """A function that draws parameters uniformly from (−1/√H, 1/√H), as torch does for its recurrent layers.

    Raises ArgumentError for another kind of seed and DTypeError for a dtype that is not floating-point.

    >>> draw = uniform(hidden_size=4, dtype=np.float64, seed=0)
    >>> draw("W_hx", 4, 2).shape
    (4, 2)
    """
    if isinstance(seed, bool) or not (
        seed is None or isinstance(seed, np.random.Generator) or (isinstance(seed, int | np.integer) and seed >= 0)
    ):
        raise ArgumentError(f"seed: expected an integer ≥ 0, a numpy.random.Generator or None, got {seed!r}")
    if np.dtype(dtype).kind != "f":
        raise DTypeError(f"dtype: parameters are floating-point numbers, got {np.dtype(dtype)}")
    rng = np.random.default_rng(seed)
    bound = 1 / np.sqrt(hidden_size)

    def draw(name: str, *shape: int) -> Parameter:
        return Parameter(rng.uniform(-bound, bound, shape).astype(dtype), name=name)

    return draw
