"""The state of a cell, whatever its structure: its parts, what they are called, and where its history is cut off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from minigrad import Tensor, current_place, pytree
from minigrad.errors import ArgumentError, DTypeError, ShapeError
from minigrad.graph import Leaf
from minigrad.guard import array_of
from minigrad.scope import Place
from minigrad.scope import state as state_of_thread

__all__ = [
    "as_initial", "called_alike", "checked_state", "detached", "in_order", "names_of", "parts_of", "shape_of", "tensor_of",
    "with_parts",
]  # fmt: skip

State = TypeVar("State")


def parts_of(state: Any) -> tuple[Any, ...]:
    """The tensors a state is made of: itself, or those in a tuple, a list or a dict (see `minigrad.pytree`)."""
    if isinstance(state, Tensor):
        return (state,)
    if isinstance(state, tuple) and not [part for part in state if not isinstance(part, Tensor)]:
        return tuple(state)
    return tuple(pytree.ends(state))


def with_parts(state: Any, parts: Iterable[Any]) -> Any:
    """A state of the same kind as ``state``, made of other parts: the inverse of `parts_of`."""
    if isinstance(state, Tensor):
        (part,) = parts
        return part
    if hasattr(state, "_fields") and not [part for part in state if not isinstance(part, Tensor)]:
        return type(state)(*parts)
    return pytree.rebuilt(state, list(parts))


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of a Tensor, an array or a nested list."""
    shape = getattr(value, "shape", None)
    return array_of(value, "shape").shape if shape is None else tuple(shape)


def names_of(cell: Any, state: Any) -> Sequence[str]:
    """What the parts of a state are called: as the cell says, or as the fields of a named tuple or the keys of a dict."""
    declared: Sequence[str] = getattr(cell, "state_names", ())
    if declared or isinstance(state, Tensor):
        return declared
    fields: Sequence[str] = getattr(state, "_fields", ())
    return fields or _keys_of(state)


def _keys_of(state: Any) -> Sequence[str]:
    is_flat = isinstance(state, dict) and all(isinstance(part, Tensor) for part in state.values())
    return [str(key) for key in state] if is_flat else ()


def tensor_of(value: Any) -> Tensor:
    """The value as a Tensor."""
    return value if isinstance(value, Tensor) else Tensor(value)


def as_initial(cell: Any, state: Any, given: bool, role: str = "initial state") -> Any:
    """The initial state under the names of the cell's state; leaves belong to the time now. A ``given`` one as Tensors."""
    if not given and all(map(_is_known, parts_of(state))):
        return state
    names = names_of(cell, state)
    parts = [tensor_of(part) if given else part for part in parts_of(state)]
    for part, name in zip(parts, [*names, *[None] * len(parts)], strict=False):
        if not isinstance(part, Tensor):
            continue
        if part.name is None and name is not None:
            part.named(name)
        elif part._node is None and state_of_thread.recording:
            part._node = Leaf(part.shape, part.dtype, False)
        if isinstance(part._node, Leaf):
            if given and part._node.place.time is None:
                part._node.place = current_place()
            part._node.role = part._node.role or role
    return with_parts(state, parts) if given else state


def called_alike(initial: Any, final: Any) -> None:
    """Give the parts of an initial state that have no name those that the step has given to the parts of its own."""
    for part, last in zip(parts_of(initial), parts_of(final), strict=True):
        if isinstance(part, Tensor) and isinstance(part._node, Leaf) and part._node.name is None and last._node is not None:
            part._node.name = last._node.name


def _is_known(part: Any) -> bool:
    """Whether a part of a state says what it is called, and what it is to its model."""
    node = part._node if type(part) is Tensor else None
    return isinstance(node, Leaf) and node.name is not None and node.role is not None


def checked_state(label: str, new: Any, old: Any) -> Any:
    """``new``, arrays in it as Tensors, if it has the shapes of ``old``, or ``old`` stood for a whole batch; ShapeError, which
    names cell and time step, otherwise."""
    if type(new) is Tensor and type(old) is Tensor and new._array.shape == old._array.shape:
        return new
    if isinstance(new, tuple) and type(new) is type(old) and len(new) == len(old):
        for a, b in zip(new, old, strict=True):
            if not (type(a) is type(b) is Tensor and a._array.shape == b._array.shape):
                break
        else:
            return new
    expected, got = [shape_of(part) for part in parts_of(old)], [shape_of(part) for part in parts_of(in_order(new, old))]
    if len(got) != len(expected) or not all(map(_fits, expected, got)):
        raise ShapeError(
            f"{Place(current_place().time, (label,))}: step must return a state like the one it was given, of shape "
            f"{_shapes(expected)}; got {'None' if new is None else _shapes(got)}"
        )
    return with_parts(new, map(tensor_of, parts_of(new)))


def _fits(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether a part of a state may get another shape: (1, H), (H,) or a number may stand for (B, H) before the first step."""
    if old == new:
        return True
    stretched = len(new) == 2 and old in ((1, *new[1:]), new[1:], (1,), (1, 1), ())
    return stretched or (len(new) > 2 and old == (1, *new[1:]))


def in_order(new: Any, old: Any) -> Any:
    """``new`` with its parts in the order of those of ``old``: what belongs together in two dicts, the keys say."""
    if pytree.alike(new, old):
        return new
    try:
        return with_parts(old, pytree.like(old, new, "state"))
    except ArgumentError:
        return new


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))


def detached(state: State) -> State:
    """The same state without its history: gradients stop here. For training on windows of a long sequence.

    Raises DTypeError for a state that holds something else than Tensors.

    >>> import numpy as np
    >>> from minigrad.models import LSTM, unroll
    >>> _, state = unroll(LSTM(3, 4, seed=0), np.ones((5, 2, 3)))
    >>> detached(state).h.requires_grad
    False
    """
    for part in parts_of(state):
        if not isinstance(part, Tensor):
            raise DTypeError(f"detached: expected a state made of Tensors, got {part!r:.60} in it")
    kept: State = with_parts(state, [part.detach() for part in parts_of(state)])
    return kept
