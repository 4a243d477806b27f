"""A model, and what its training needs to go on bit for bit, to a file and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from minigrad.checkpoint.contents import Kind
from minigrad.checkpoint.files import Opened, differences, write
from minigrad.checkpoint.random_state import bad_random_state, random_state, set_random_state
from minigrad.errors import CheckpointError, DTypeError
from minigrad.files import StrPath
from minigrad.guard import Array
from minigrad.module import Module
from minigrad.optim import Optimizer
from minigrad.optim.options import Described

__all__ = ["Part", "below", "load_checkpoint", "save_checkpoint"]

Value = TypeVar("Value")

_MODEL, _OPTIMIZER = "model", "optimizer"


@runtime_checkable
class Part(Protocol):
    """Anything that is saved beside a model: an optimiser, a schedule of learning rates, a training of one's own."""

    def state_dict(self) -> dict[str, Array]:
        """A copy of all that must be remembered, by name."""

    def mismatches(self, saved: Mapping[str, Described], /) -> list[str]:
        """What is wrong with the names, shapes and dtypes of a saved state."""

    def bad_values(self, saved: Mapping[str, Array], /) -> list[str]:
        """What is wrong with the values of one whose names, shapes and dtypes are right."""

    def load_state_dict(self, saved: Mapping[str, Array], /) -> None:
        """Become what was saved; cannot fail with a state that has nothing wrong."""


def save_checkpoint(
    path: StrPath,
    model: Module,
    optimizer: Optimizer | None = None,
    *,
    notes: Mapping[str, Any] | None = None,
    **parts: Part,
) -> None:
    """Write a model and what its training needs to go on bit for bit.

    Args:
        path: the file, ``something.npz`` or ``something.safetensors``; replaced if it is there, in one piece.
        model: its parameters are saved, and the state of every ``numpy.random.Generator`` in it (dropout).
        optimizer: its options and what it remembers are saved.
        notes: anything that JSON can hold, such as the sizes and the vocabulary.
        parts: more to save under these names, such as ``scheduler=schedule``.

    Raises:
        CheckpointError: the file cannot be written, or a number in it is NaN or infinite, so that a training that has
            failed never replaces what it had learnt; what was there before is unchanged.
        DTypeError: an argument is not what it should be: no path, no Module, no optimiser or part, no mapping.

    >>> import tempfile
    >>> from minigrad import Parameter
    >>> from minigrad.optim import Adam
    >>> class Affine(Module):
    ...     def __init__(self):
    ...         self.W, self.b = Parameter([[2.0, 0.0]]), Parameter([1.0])
    >>> model, other = Affine(), Affine()
    >>> model.b.data[0] = 7.0
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(f"{folder}/affine.npz", model, Adam(model.parameters()), notes={"made on": "Monday"})
    ...     load_checkpoint(f"{folder}/affine.npz", other, Adam(other.parameters()))
    {'made on': 'Monday'}
    >>> other.b.numpy()
    array([7.])
    """
    saved = _checked("save_checkpoint", model, optimizer, parts)
    arrays = {f"{_MODEL}.{name}": values for name, values in model.state_dict().items()}
    for part, holder in saved.items():
        arrays |= {f"{part}.{name}": values for name, values in holder.state_dict().items()}
    problems = _not_finite(arrays)
    if problems:
        raise CheckpointError(f"{path} was not written: {'; '.join(problems)}; use save_arrays to keep such numbers")
    kinds = {part: type(holder).__name__ for part, holder in saved.items()}
    write("save_checkpoint", path, arrays, notes, {"parts": kinds, "random": random_state(model)})


def load_checkpoint(path: StrPath, model: Module, optimizer: Optimizer | None = None, **parts: Part) -> dict[str, Any]:
    """Put what `save_checkpoint` has written into a model, an optimiser and other parts of the same kind.

    Parts that are not given are left in the file. Everything is checked first; after an error, and after Ctrl-C, nothing has
    changed.

    Returns:
        The notes.

    Raises:
        CheckpointError: missing, damaged, or not the checkpoint of such a model, optimiser or part: all problems in one
            message.
        DTypeError: an argument is not what it should be: no path, no Module, no optimiser or part.
    """
    wanted = _checked("load_checkpoint", model, optimizer, parts)
    with Opened(path, "load_checkpoint") as opened:
        opened.refuse(_misfits(opened, model, wanted))
        names = [name for name in opened.kinds if name.partition(".")[0] in (_MODEL, *wanted)]
        arrays = opened.read(names)
        states = {part: below(part, arrays) for part in wanted}
        random = opened.contents.more["random"]
        opened.refuse([
            *_not_finite(arrays),
            *bad_random_state(model, random),
            *(f"{part}: {problem}" for part, holder in wanted.items() for problem in holder.bad_values(states[part])),
        ])
        notes = opened.notes()
    before = {part: holder.state_dict() for part, holder in wanted.items()}, model.state_dict(), random_state(model)
    try:
        _become(model, wanted, states, below(_MODEL, arrays), random)
    except BaseException:
        _become(model, wanted, *before)
        raise
    return notes


def _become(
    model: Module, wanted: Mapping[str, Part], states: Mapping[str, Any], arrays: Mapping[str, Array], random: Mapping[str, Any]
) -> None:
    for part, holder in wanted.items():
        holder.load_state_dict(states[part])
    model.load_state_dict(arrays)
    set_random_state(model, random)


def _checked(where: str, model: Module, optimizer: Optimizer | None, parts: Mapping[str, Part]) -> dict[str, Part]:
    """All parts but the model, by name. Raises DTypeError for what is none."""
    if not isinstance(model, Module):
        raise DTypeError(f"{where}: expected a Module to save or load, got {model!r:.60}")
    wanted = dict(parts) if optimizer is None else {_OPTIMIZER: optimizer, **parts}
    for name, part in wanted.items():
        if not isinstance(part, Part):
            raise DTypeError(
                f"{where}: {name}: expected an optimiser, a schedule, a Trainer or something with the same methods, got "
                f"{part!r:.60}; numbers and words are notes, as in save_checkpoint(…, notes={{{name!r}: …}})"
            )
    return wanted


def _misfits(opened: Opened, model: Module, wanted: Mapping[str, Part]) -> list[str]:
    """What can be seen to be wrong before any array is read."""
    parameters = {name: Kind(parameter.shape, parameter.dtype) for name, parameter in model.named_parameters()}
    problems = [f"{_MODEL}: {problem}" for problem in differences(below(_MODEL, opened.kinds), parameters)]
    there, random = opened.contents.more.get("parts"), opened.contents.more.get("random")
    if not isinstance(there, dict) or not isinstance(random, dict):
        return ["it does not say that it holds a model; load its arrays with load_arrays", *problems]
    problems += [
        f"{name} belongs to nothing in it" for name in opened.kinds if name.partition(".")[0] not in (_MODEL, *there)
    ]
    for part, holder in wanted.items():
        if part not in there:
            problems.append(f"it holds no {part}")
        elif there[part] != type(holder).__name__:
            problems.append(f"{part}: it holds that of a {there[part]!r}, and this one is a {type(holder).__name__}")
        else:
            problems += [f"{part}: {problem}" for problem in holder.mismatches(below(part, opened.kinds))]
    return problems


def below(part: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """What belongs to a part, under the part's own names."""
    return {name.removeprefix(f"{part}."): value for name, value in named.items() if name.startswith(f"{part}.")}


def _not_finite(arrays: Mapping[str, Array]) -> list[str]:
    return [
        f"{name} has {np.count_nonzero(~np.isfinite(values))} of {values.size} entries NaN or infinite"
        for name, values in arrays.items()
        if values.dtype.kind == "f" and not np.isfinite(values).all()
    ]
