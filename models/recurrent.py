"""What a recurrent cell is: the two methods that anything unrolled must have, and what the cells here share.

Nothing in this file computes a step; the equations are in `models.cells`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, current_place
from minigrad.arguments import too_large
from minigrad.errors import ArgumentError, DTypeError, GraphError, ShapeError
from minigrad.flags import switch
from minigrad.module import Module, Parameter
from minigrad.ops.arithmetic import add_to
from minigrad.recording import given, plain
from minigrad.scope import Place

from .checks import Seed, positive_size
from .states import parts_of, shape_of

__all__ = [
    "Cell",
    "Recurrent",
    "Seed",
    "State",
    "affine",
    "positive_size",
    "stacked_gates",
]

State = TypeVar("State")
Array: TypeAlias = npt.NDArray[Any]
Blocks: TypeAlias = dict[str, dict[str, Any]]


class Recurrent(Protocol[State]):
    """Anything that can be unrolled. A state is a Tensor (B, H), or a tuple of them whose last entry is the output h.

    A class may promise that its step is pure, ``pure_step = True``: its loops are then compiled (see `Cell.pure_step`).
    """

    def step(self, x: Tensor, state: State, /) -> State:
        """The new state, from one input x (B, D) and the old state."""
        ...

    def initial_state(self, batch: int, /) -> State:
        """The state before the first step, for ``batch`` examples."""
        ...


class Cell(Module, ABC, Generic[State]):
    """The base of the four cells: sizes, checks of shapes, and the parameters seen gate by gate.

    A cell says how it computes a step in two parts: `project` is what needs no state (W_x x_t + b) and may be done for
    all T steps at once; `recur` is the rest.
    """

    label: ClassVar[str]
    """The cell's name: for `make_cell`, in messages, and as the scope its operations are recorded in."""

    state_names: ClassVar[tuple[str, ...]] = ("h",)
    """The names of the parts of its state, in order."""

    pure_step: ClassVar[bool]
    """Whether a step depends on its arguments, on parameters and on constants alone, and does nothing but return its result.
    A class that sets it to True promises that for itself, and for classes derived from it that override none of ``step``,
    ``project`` and ``recur``; their loops are traced, and compiled. Without the promise every step is run as it is written."""

    blocks: Blocks
    """For a parameter that holds several matrices: where in it each per-gate matrix lies."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size = positive_size(self.label, "input_size", input_size)
        self.hidden_size = positive_size(self.label, "hidden_size", hidden_size)
        self.blocks = {}

    @abstractmethod
    def project(self, x: Tensor) -> Any:
        """The part of a step that needs no state, of one x (B, D) or of all of them (T, B, D): a Tensor or a tuple."""

    @abstractmethod
    def recur(self, wx: Any, state: State) -> State:
        """The new state, from the projected input of one step and the old state."""

    @abstractmethod
    def initial_state(self, batch: int) -> State:
        """The state of zeros, each part (batch, H). Raises ArgumentError unless batch is an integer ≥ 0."""

    def step(self, x: Tensor, state: State) -> State:
        """The new state from one input x (B, D) and the old state, each part (B, H).

        Raises ShapeError, which names the cell and the time step, for any other shape.
        """
        shape = shape_of(x)
        if len(shape) != 2 or shape[1] != self.input_size:
            raise ShapeError(f"{self._here()}: x must be (B, D) with D = {self.input_size}, got {shape}")
        self.check_state(state, shape[0])
        return self.recur(self.project(x), state)

    def forward(self, *inputs: Any, **options: Any) -> NoReturn:
        """Raise ArgumentError: a call would not say whether one step is meant or all of them."""
        raise ArgumentError(
            f"{self.label}: a cell is not called: unroll(cell, xs) makes all steps, and cell.step(x, state) one; a model for "
            "fit is ManyToOne or ManyToMany with this cell, or a Module of your own"
        )

    def check_state(self, state: State, batch: int) -> None:
        """Raise ShapeError unless every part of ``state`` is (batch, H).

        Raise ArgumentError if its parts do not say which is which, as a plain tuple's do not, where the cell's have names.
        """
        shape, is_named = (batch, self.hidden_size), getattr(state, "_fields", None) == self.state_names
        known: Any = (state,) if isinstance(state, Tensor) else state if is_named else ()
        if [x._array.shape for x in known if isinstance(x, Tensor)] == [shape] * len(self.state_names):
            return
        if len(self.state_names) > 1 and not is_named:
            self._refuse_without_names(state)
        parts = parts_of(state)
        if len(parts) != len(self.state_names):
            raise ShapeError(f"{self._here()}: the state must be ({', '.join(self.state_names)}), got {len(parts)} parts")
        for name, part in zip(self.state_names, parts, strict=True):
            if shape_of(part) != shape:
                raise ShapeError(
                    f"{self._here()}: the state {name} must be (B, H) = ({batch}, {self.hidden_size}), "
                    f"got {shape_of(part)}"
                )

    def _refuse_without_names(self, state: Any) -> None:
        kind = type(self.initial_state(0))
        if isinstance(state, tuple | list | dict) and hasattr(kind, "_fields"):
            order, named = ", ".join(self.state_names), ", ".join(f"{name}={name}_0" for name in self.state_names)
            fields = getattr(state, "_fields", ())
            got = f"a {type(state).__name__} of {', '.join(fields)}" if fields else f"a plain {type(state).__name__}"
            unclear = f", which does not say what is what: the order is ({order}) here and (h, c) in torch and Keras"
            raise ArgumentError(
                f"{self._here()}: the state must be {kind.__name__}({order}), got {got}"
                f"{'' if isinstance(state, dict) else unclear}. Write {kind.__name__}({named})"
            )

    def _here(self) -> str:
        return str(Place(current_place().time, (self.label,)))

    def _zeros(self, batch: int, name: str) -> Tensor:
        if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 0:
            raise ArgumentError(f"{self.label}.initial_state: batch must be an integer ≥ 0, got {batch!r}")
        for like in vars(self).values():
            if isinstance(like, Parameter):
                break
        else:
            like = self.parameters()[0]
        shape = batch, self.hidden_size
        try:
            return given(np.zeros(shape, like._array.dtype), name, "initial state")
        except (MemoryError, ValueError):  # ValueError: more bytes than there are addresses
            raise too_large(f"{self.label}.initial_state: {shape} numbers") from None

    # ---------------------------------------------------------------- the parameters, gate by gate

    def by_gate(self, grad: bool = False, concatenated: bool = False) -> dict[str, Array]:
        """The parameters, or with ``grad=True`` their gradients, under their per-gate names: new NumPy arrays.

        The names and shapes are those that `models.by_hand` uses, so the two can be compared key by key. With
        ``concatenated=True`` the two matrices of a gate stand side by side as in C3 and C4, the state first:
        W_u = [W_uh, W_ux], (H, H + D), acts on [h_{t−1}, x_t].

        Raises GraphError when gradients are asked for and there are none.

        >>> from minigrad.models.cells import GRU
        >>> {name: matrix.shape for name, matrix in GRU(3, 4, bias=False).by_gate(concatenated=True).items()}
        {'W_u': (4, 7), 'W_r': (4, 7), 'W_c': (4, 7)}
        """
        grad = switch(grad, f"{self.label}.by_gate: grad")
        result: dict[str, Array] = {}
        for name, parameter in self.named_parameters():
            values = parameter.grad if grad else parameter.data
            if values is None:
                raise GraphError(f"{self.label}.by_gate: {name} has no gradient; call backward() on a loss first")
            for gate, index in self._blocks_of(name).items():
                result[gate] = np.array(values[index])
        if not concatenated:
            return result
        pairs = self._pairs(result)
        joined = {W: np.concatenate([result.pop(name) for name in pair], axis=1) for W, pair in pairs.items()}
        return joined | result

    def load_by_gate(self, values: Mapping[str, npt.ArrayLike]) -> None:
        """Set the parameters from arrays under their per-gate names: the inverse of `by_gate`, in either form.

        Raises ArgumentError for missing or unknown names, ShapeError for a wrong shape and DTypeError for what are no real
        numbers; then nothing is changed.
        """
        wanted = self.by_gate()
        arrays = {name: plain(value, f"{self.label}.load_by_gate: {name}") for name, value in values.items()}
        for joined, (state_part, input_part) in self._pairs(wanted).items():
            if joined in arrays:
                both = arrays.pop(joined)
                self._check_loaded(joined, both, (self.hidden_size, self.hidden_size + self.input_size))
                arrays[state_part], arrays[input_part] = np.split(both, [self.hidden_size], axis=1)
        missing = ", ".join(name for name in wanted if name not in arrays)
        unknown = ", ".join(name for name in arrays if name not in wanted)
        if missing or unknown:
            raise ArgumentError(
                f"{self.label}.load_by_gate: expected exactly {', '.join(wanted)}"
                f"{'; missing: ' + missing if missing else ''}{'; unknown: ' + unknown if unknown else ''}"
            )
        for name in wanted:
            self._check_loaded(name, arrays[name], wanted[name].shape)
        for name, parameter in self.named_parameters():
            whole = parameter.numpy()
            for gate, index in self._blocks_of(name).items():
                whole[index] = arrays[gate]
            parameter.data = whole

    def _blocks_of(self, name: str) -> dict[str, Any]:
        return self.blocks.get(name, {name: ...})

    def _pairs(self, names: Iterable[str]) -> dict[str, tuple[str, str]]:
        """For each gate the name of its concatenated matrix and of the two that it consists of."""
        h, gates = self.state_names[-1], [name[2:-1] for name in names if name.startswith("W_") and name.endswith("x")]
        return {f"W_{gate}": (f"W_{gate}{h}", f"W_{gate}x") for gate in gates}

    def _check_loaded(self, name: str, array: Array, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            raise ShapeError(f"{self.label}.load_by_gate: {name} must be {shape}, got {array.shape}")
        if array.dtype.kind not in "fiu":
            raise DTypeError(f"{self.label}.load_by_gate: {name} must hold real numbers, got dtype {array.dtype}")


def stacked_gates(gates: Iterable[str], hidden_size: int) -> Blocks:
    """Where the matrices of each gate lie in W_x, W_h and b: H rows each, one gate above the other.

    >>> stacked_gates("ur", 4)["W_x"]
    {'W_ux': slice(0, 4, None), 'W_rx': slice(4, 8, None)}
    """
    rows = {gate: slice(k * hidden_size, (k + 1) * hidden_size) for k, gate in enumerate(gates)}
    return {
        "W_x": {f"W_{gate}x": place for gate, place in rows.items()},
        "W_h": {f"W_{gate}h": place for gate, place in rows.items()},
        "b": {f"b_{gate}": place for gate, place in rows.items()},
    }


def affine(x: Tensor, W: Tensor, b: Tensor | None) -> Tensor:
    """W x + b for rows x (..., D) and a matrix W (M, D); b (M,) or None."""
    wx = x @ W.T
    return wx if b is None else add_to(wx, b)
