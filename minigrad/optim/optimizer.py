"""What all optimisers share: the parameters, the options, and what is remembered from update to update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol, cast

import numpy as np

from minigrad.errors import ArgumentError, DTypeError
from minigrad.guard import Array, GuardedArray
from minigrad.tensor import Tensor

__all__ = ["Described", "Optimizer", "State", "as_float", "at_least_zero", "switch"]

State = dict[str, Array]
"""What an optimiser remembers of one parameter: 0-d arrays and arrays of the parameter's shape, by torch's names."""


class Described(Protocol):
    """An array, or what the header of a file says of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its kind of number."""


class Optimizer(ABC):
    """Changes parameters in place from the gradients that ``backward`` has left in them.

    A subclass says in ``_update`` how one parameter changes, in ``options`` which numbers its formula has, and in
    ``remembers`` what it may keep of every parameter.

    Args:
        params: leaf tensors that need gradients, each once; usually ``model.parameters()``.
        lr: the learning rate η; may be changed between updates by assigning to ``optimizer.lr``.
        maximize: go up instead of down: −g takes the place of g.

    Attributes:
        initial_lr: the learning rate that schedules start from, once there is one; see `minigrad.optim.lr_scheduler`.

    Raises:
        ArgumentError: no parameters, one given twice, one that is not a leaf that needs a gradient, or η < 0.
        DTypeError: parameters that are not tensors, or an option of the wrong kind.
    """

    options: ClassVar[tuple[str, ...]] = ("lr", "maximize")
    """The arguments of the constructor besides ``params``; attributes of the same names hold their values."""

    remembers: ClassVar[tuple[str, ...]] = ()
    """What is kept of every parameter, besides the number of its updates; with some options only a part of it."""

    squares: ClassVar[tuple[str, ...]] = ()
    """What of it is never negative."""

    def __init__(self, params: Iterable[Tensor], lr: float, *, maximize: bool = False) -> None:
        self.parameters = _checked(params)
        self.lr = lr
        self.initial_lr: float | None = None
        self.maximize = switch("maximize", maximize)
        self._states: list[State] = [{} for _ in self.parameters]

    @property
    def lr(self) -> float:
        """The learning rate η."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = at_least_zero("lr", lr)

    def zero_grad(self) -> None:
        """Forget the gradients collected so far (each ``grad`` becomes None)."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient: all of them, or on an error none.

        Raises:
            MutationError: a recorded operation still needs a parameter's values; call ``backward`` first.
        """
        updates = [
            (cast(GuardedArray, parameter.data).unlocked(), parameter.grad, state)
            for parameter, state in zip(self.parameters, self._states, strict=True)
            if parameter.grad is not None
        ]
        for theta, g, state in updates:
            state["step"] = np.asarray(state.get("step", 0) + 1)
            self._update(theta, -g if self.maximize else g, state)

    @abstractmethod
    def _update(self, theta: Array, g: Array, state: State) -> None:
        """Change ``theta`` and ``state`` in place; ``g`` must stay as it is."""

    # ---------------------------------------------------------------- saving and resuming

    def state_dict(self) -> dict[str, Array]:
        """A copy of all that the next update depends on, besides parameters and gradients.

        The options are there under their names; ``"3.exp_avg"`` is ``exp_avg`` of parameter number 3.

        >>> from minigrad.optim import SGD
        >>> {name: value.item() for name, value in SGD([Tensor([1.0], requires_grad=True)], momentum=0.9).state_dict().items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'lr': 0.001, 'momentum': 0.9, 'dampening': 0.0, 'weight_decay': 0.0, 'nesterov': False, 'maximize': False}
        """
        return {name: np.asarray(getattr(self, name)) for name in self.options} | {
            f"{number}.{name}": value.copy()
            for number, state in enumerate(self._states)
            for name, value in state.items()
        }

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Become the optimiser that returned ``saved``: with its options, as in torch, and what it remembered.

        Raises:
            ArgumentError: names, shapes, dtypes or values that do not belong here; all are listed, nothing is changed.
        """
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError(f"{type(self).__name__}: nothing was loaded; " + "; ".join(sorted(problems)))
        for name, value in self._options_in(saved).items():
            setattr(self, name, value)
        self._states = [{} for _ in self.parameters]
        for key in saved.keys() - set(self.options):
            number, _, name = key.partition(".")
            self._states[int(number)][name] = np.array(saved[key])

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """Names that are missing or unknown in ``saved``, and shapes and dtypes that do not fit."""
        wanted: dict[str, Described] = {name: np.asarray(getattr(self, name)) for name in self.options}
        problems = [f"missing: {name}" for name in wanted if name not in saved]
        for number, parameter in enumerate(self.parameters):
            wanted |= {f"{number}.{name}": parameter for name in self.remembers} | {f"{number}.step": np.asarray(0)}
        for name, found in saved.items():
            if name not in wanted:
                problems.append(f"unknown: {name}")
            elif found.shape != wanted[name].shape:
                problems.append(f"{name}: expected shape {wanted[name].shape}, got {found.shape}")
            elif found.dtype != wanted[name].dtype:
                problems.append(f"{name}: expected {wanted[name].dtype}, got {found.dtype}")
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What ``saved`` cannot hold even though its names, shapes and dtypes fit."""
        try:
            like_saved = type(self)(self.parameters, **self._options_in(saved))
        except ArgumentError as problem:
            return [str(problem)]
        problems = []
        for number in sorted({key.partition(".")[0] for key in saved.keys() - set(self.options)}):
            needed = ("step", *like_saved._remembered())
            problems += [f"missing: {number}.{name}" for name in needed if f"{number}.{name}" not in saved]
            if saved.get(f"{number}.step", np.asarray(1)) < 1:
                problems.append(f"{number}.step: expected at least 1, got {saved[f'{number}.step']}")
            for name in self.squares:
                if np.any(saved.get(f"{number}.{name}", np.asarray(0)) < 0):
                    problems.append(f"{number}.{name}: a mean of squares has negative entries")
        return problems

    def _remembered(self) -> tuple[str, ...]:
        """What is kept of every parameter with the options as they are now."""
        return self.remembers

    def _options_in(self, saved: Mapping[str, Array]) -> dict[str, Any]:
        return {name: tuple(value) if isinstance(value := saved[name].tolist(), list) else value for name in self.options}


def at_least_zero(name: str, value: Any) -> float:
    """``value`` as a float; ArgumentError if it is negative or NaN, DTypeError if it is no number."""
    found = as_float(name, value)
    if not found >= 0:
        raise ArgumentError(f"{name} must be at least 0, got {found}")
    return found


def as_float(name: str, value: Any) -> float:
    """``value`` as a float, so that it never widens a float32 array; DTypeError if it is no number."""
    if not isinstance(value, int | float | np.number) or np.iscomplexobj(value):
        raise DTypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def switch(name: str, value: Any) -> bool:
    """``value`` if it is True or False; DTypeError otherwise, so that ``"no"`` does not count as yes."""
    if not isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def _checked(params: Any) -> list[Tensor]:
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise DTypeError(f"params must be a list of tensors such as model.parameters(), got {params!r}")
    parameters = list(params)
    if not parameters:
        raise ArgumentError("an optimiser needs at least one parameter, and none was given")
    for number, parameter in enumerate(parameters):
        if not isinstance(parameter, Tensor):
            advice = "; make one optimiser for each group of parameters" if isinstance(parameter, dict) else ""
            raise DTypeError(f"parameter {number} is not a tensor but {type(parameter).__name__}{advice}")
        if not (parameter.requires_grad and parameter.is_leaf):
            raise ArgumentError(f"parameter {number} is not a leaf tensor with requires_grad=True: {parameter!r}")
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise ArgumentError("a parameter was given twice; it would be updated twice")
    return parameters
