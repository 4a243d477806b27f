"""What all optimisers share: groups of parameters, their options, and what is remembered from update to update."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad.arguments import several
from minigrad.atomic import set_all_items
from minigrad.errors import ArgumentError, DTypeError, NonFiniteGradientError
from minigrad.guard import Array
from minigrad.module import is_parameter
from minigrad.optim.options import MOST, Check, Described, at_least_zero, named_arrays, switch
from minigrad.optim.together import Change, alike, joined, parted
from minigrad.tensor import Tensor, forget_gradients

if TYPE_CHECKING:
    from minigrad.optim.lr_scheduler import LRScheduler

__all__ = ["Group", "Optimizer", "State"]

State: TypeAlias = dict[str, Array]
"""What an optimiser remembers of one parameter: 0-d arrays and arrays of the parameter's shape, by torch's names."""

Group: TypeAlias = dict[str, Any]
"""Parameters that share their options, as in torch: ``{"params": [...], "lr": 0.1, ...}``, every option by name."""


class Optimizer(ABC):
    """Changes parameters in place from the gradients that ``backward`` has left in them.

    A subclass says in ``_update`` how one parameter changes, in ``options`` which numbers its formula has, and in
    ``remembers`` what it may keep of every parameter.

    Args:
        params: leaf tensors that need gradients, each once, usually ``model.parameters()``; those whose ``requires_grad`` has
            been switched off stay as they are until it is on again. Or groups of them in torch's form,
            ``[{"params": cell.parameters()}, {"params": head.parameters(), "lr": 0.1}]``, each with options of its own beside
            or in place of those that follow.
        lr: the learning rate η.
        maximize: go up instead of down: −g takes the place of g.
        options: what else the formula of a subclass has.

    Attributes:
        param_groups: the groups, one if none were given. Every option is an attribute too: ``optimizer.lr`` is the learning
            rate if the groups agree on one; assigned to, it is that of all groups.
        schedules: what sets the learning rate, in the order they were made; see `minigrad.optim.lr_scheduler`.

    Raises:
        ArgumentError: no parameters, one given twice, one that is not a leaf that needs a gradient; an option that does
            not exist, or whose value is out of range.
        DTypeError: parameters that are not tensors, or an option of the wrong kind.

    >>> from minigrad.optim import SGD
    >>> W, b = Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([{"params": [W]}, {"params": [b], "lr": 0.5}], lr=0.1)
    >>> (W + b).sum().backward()
    >>> optimizer.step()
    >>> W.item(), b.item()
    (0.9, 0.5)
    """

    options: ClassVar[Mapping[str, Check]] = {"lr": at_least_zero, "maximize": switch}
    """The arguments of the constructor besides ``params``, each with its check."""

    remembers: ClassVar[tuple[str, ...]] = ()
    """What is kept of every parameter, besides the number of its updates; with some options only a part of it."""

    entrywise: ClassVar[bool] = False
    """Whether ``_update`` changes each entry by itself, whichever stand beside it; then small parameters are updated as one. A
    class says so for itself: one that is derived from it may look at whole parameters."""

    squares: ClassVar[tuple[str, ...]] = ()
    """What of it is never negative."""

    lr: float
    """The learning rate of all groups."""

    _forgot = False
    """Whether the last `zero_grad` forgot a gradient."""

    def __init__(self, params: Iterable[Any], lr: float, *, maximize: bool = False, **options: Any) -> None:
        self.param_groups: list[Group] = []
        self.schedules: list[LRScheduler] = []
        self._states: list[State] = []
        self._defaults = self._checked({"lr": lr, "maximize": maximize, **options}, "")
        for group in _groups(params):
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters: ``{"params": tensors}``, and options where they differ from the optimiser's."""
        number = len(self.param_groups)
        where = f"group {number}: " if number else ""
        if not isinstance(group, Mapping) or "params" not in group:
            raise DTypeError(f"{where}a group of parameters is a dict with the key 'params', got {group!r}")
        unknown = [name for name in group if name not in ("params", *self.options)]
        if unknown:
            raise ArgumentError(f"{where}expected params and the options {', '.join(self.options)}; got {unknown[0]!r}")
        parameters = _parameters(group["params"], where, len(self._states))
        known = {id(parameter) for parameter in self.parameters}
        if any(id(parameter) in known for parameter in parameters):
            raise ArgumentError(f"{where}a parameter was given twice; it would be updated twice")
        given = {name: value for name, value in group.items() if name != "params"}
        self.param_groups.append({"params": parameters, **self._checked(self._defaults | given, where)})
        self._states += [{} for _ in parameters]

    def _checked(self, given: Mapping[str, Any], where: str) -> Group:
        """The options of a group, each as its check returns it. A subclass adds what must hold between them."""
        return {name: check(where + name, given[name]) for name, check in self.options.items()}

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters of all groups."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def __getattr__(self, name: str) -> Any:
        if name not in type(self).options or not vars(self).get("param_groups"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value, *others = (group[name] for group in self.param_groups)
        if any(other != value for other in others):
            raise ArgumentError(f"{name}: the groups of parameters differ; read optimizer.param_groups[k][{name!r}]")
        return value

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).options:
            return super().__setattr__(name, value)
        checked = [self._checked(self._options_of(group) | {name: value}, "")[name] for group in self.param_groups]
        set_all_items((group, name, new) for group, new in zip(self.param_groups, checked, strict=True))
        return None

    def _options_of(self, group: Group) -> Group:
        return {name: group[name] for name in self.options}

    def zero_grad(self) -> None:
        """Forget the gradients collected so far (each ``grad`` becomes None)."""
        parameters = self.parameters
        self._forgot = bool([parameter for parameter in parameters if parameter.grad is not None])
        forget_gradients(parameters)

    def step(self, *, error_if_nonfinite: bool = False) -> None:
        """Update every parameter that has a gradient: all of them, or, after any error and after Ctrl-C, none.

        A gradient that is NaN or infinite is written into its parameter unless that is refused. Where no parameter has a
        gradient because `zero_grad` came after ``backward``, a warning says so.

        Args:
            error_if_nonfinite: whether NaN and infinity are refused, in gradients and in what parameters would become.

        Raises:
            MutationError: a recorded operation still needs a parameter's values; call ``backward`` first.
            NonFiniteGradientError: numbers that are not finite, if that is refused; the parameters are named.
        """
        changes: list[Change] = []
        for number, (parameter, group) in enumerate(self._trained()):
            g = parameter.grad
            if g is not None and parameter.requires_grad:
                changes.append(Change(number, parameter._unlocked(), g, group, self._states[number]))
        states = list(self._states)
        moved: list[tuple[Any, Any, Any]] = []
        spoilt: list[int] = []
        alone = [[change] for change in changes]
        for batch in alike(changes) if vars(type(self)).get("entrywise") else alone:
            theta, g, state = joined(batch)
            group = batch[0].group
            state["step"] = np.asarray(state.get("step", 0) + 1)
            self._update(theta, -g if group["maximize"] else g, state, group)
            for change, new, remembered in parted(batch, theta, state):
                states[change.number] = remembered
                moved.append((change.array, ..., new))
                if error_if_nonfinite and not (np.isfinite(change.g).all() and np.isfinite(new).all()):
                    spoilt.append(change.number)
        if self._forgot and not moved:
            warnings.warn(
                f"{type(self).__name__}.step: no parameter has a gradient since zero_grad(), and none was changed; call "
                "zero_grad() first, then backward() on the loss, then step()",
                stacklevel=2,
            )
        if spoilt:
            raise NonFiniteGradientError(
                f"{type(self).__name__}.step: it would have made these parameters NaN or infinite, and was not done: "
                f"{', '.join(map(self._called, sorted(spoilt)))}. Lower the learning rate, which is "
                f"{_rates(self.param_groups)}, or clip the gradients"
            )
        set_all_items([*moved, (self._states, slice(None), states)])

    @abstractmethod
    def _update(self, theta: Array, g: Array, state: State, group: Group) -> None:
        """Change ``theta`` and ``state`` in place with the options in ``group``; ``g`` must stay as it is."""

    def _called(self, number: int) -> str:
        name = self.parameters[number].name
        return f"{number}" if name is None else f"{number} ({name})"

    def _trained(self) -> Iterator[tuple[Tensor, Group]]:
        return ((parameter, group) for group in self.param_groups for parameter in group["params"])

    # ---------------------------------------------------------------- saving and resuming

    def state_dict(self) -> dict[str, Array]:
        """A copy of all that the next update depends on, besides parameters and gradients.

        The options are there under their names, those of groups after the first as ``"groups.1.lr"``; ``"3.exp_avg"`` is
        ``exp_avg`` of parameter number 3. ``"initial_lr"`` is what schedules start from, once there is one.

        >>> from minigrad.optim import SGD
        >>> {name: value.item() for name, value in SGD([Tensor([1.0], requires_grad=True)], momentum=0.9).state_dict().items()}
        ... # doctest: +NORMALIZE_WHITESPACE
        {'lr': 0.001, 'momentum': 0.9, 'dampening': 0.0, 'weight_decay': 0.0, 'nesterov': False, 'maximize': False}
        """
        return self._options_now() | {
            f"{number}.{name}": value.copy() for number, state in enumerate(self._states) for name, value in state.items()
        }

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Become the optimiser that returned ``saved``: with its options, as in torch, and what it remembered.

        Raises:
            ArgumentError: names, shapes, dtypes or values that do not belong here; all are listed, nothing is changed.
        """
        named_arrays(type(self).__name__, saved)
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError(f"{type(self).__name__}: nothing was loaded; " + "; ".join(sorted(problems)))
        states: list[State] = [{} for _ in self._states]
        for key in saved.keys() - self._option_kinds():
            number, _, name = key.partition(".")
            states[int(number)][name] = np.array(saved[key])
        groups = [
            {"params": group["params"], **self._options_in(saved, number)} | _initial_lr(saved, number)
            for number, group in enumerate(self.param_groups)
        ]
        set_all_items([(self.param_groups, slice(None), groups), (self._states, slice(None), states)])

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """Names that are missing or unknown in ``saved``, and shapes and dtypes that do not fit."""
        options = self._option_kinds()
        wanted: dict[str, Described] = dict(options)
        for number, parameter in enumerate(self.parameters):
            wanted |= {f"{number}.{name}": parameter for name in self.remembers} | {f"{number}.step": np.asarray(0)}
        problems = [f"missing: {name}" for name in options if name not in saved and not name.endswith("initial_lr")]
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
        problems: list[str] = []
        groups: list[Group] = []
        for number in range(len(self.param_groups)):
            prefix = _prefix(number)
            try:
                groups.append(self._checked(self._options_in(saved, number), prefix))
                at_least_zero(f"{prefix}initial_lr", _initial_lr(saved, number).get("initial_lr", 0.0))
            except ArgumentError as problem:
                problems.append(str(problem))
        sizes = self._options_now().get("groups.sizes")
        if sizes is not None and (saved["groups.sizes"] != sizes).any():
            problems.append(f"groups.sizes: expected {sizes.tolist()} parameters, got {saved['groups.sizes'].tolist()}")
        if problems:
            return problems
        owners = [group for group, own in zip(groups, self.param_groups, strict=True) for _ in own["params"]]
        for key in sorted({key.partition(".")[0] for key in saved.keys() - self._option_kinds()}):
            needed = ("step", *self._remembered(owners[int(key)]))
            problems += [f"missing: {key}.{name}" for name in needed if f"{key}.{name}" not in saved]
            if not 1 <= saved.get(f"{key}.step", np.asarray(1)) < MOST:
                problems.append(f"{key}.step: expected at least 1 and below 2⁵³, got {saved[f'{key}.step']}")
            for name in self.squares:
                if np.any(saved.get(f"{key}.{name}", np.asarray(0)) < 0):
                    problems.append(f"{key}.{name}: a sum or mean of squares has negative entries")
        return problems

    def _remembered(self, group: Group) -> tuple[str, ...]:
        """What is kept of every parameter with these options."""
        return self.remembers

    def _options_now(self) -> dict[str, Array]:
        """The options of all groups under the names they are saved by."""
        names = (*self.options, "initial_lr")
        found = {
            f"{_prefix(number)}{name}": np.asarray(group[name])
            for number, group in enumerate(self.param_groups)
            for name in names
            if name in group
        }
        sizes = [len(group["params"]) for group in self.param_groups]
        return found if len(sizes) == 1 else found | {"groups.sizes": np.asarray(sizes)}

    def _option_kinds(self) -> dict[str, Array]:
        """The same, with the initial learning rates that may be there."""
        return {f"{_prefix(k)}initial_lr": np.zeros(()) for k in range(len(self.param_groups))} | self._options_now()

    def _options_in(self, saved: Mapping[str, Array], number: int) -> dict[str, Any]:
        found = {name: saved[_prefix(number) + name].tolist() for name in self.options}
        return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _prefix(number: int) -> str:
    return f"groups.{number}." if number else ""


def _initial_lr(saved: Mapping[str, Array], number: int) -> dict[str, float]:
    name = f"{_prefix(number)}initial_lr"
    return {"initial_lr": saved[name].item()} if name in saved else {}


def _rates(groups: Iterable[Group]) -> str:
    """The learning rates of all groups, in words."""
    return ", ".join(f"{rate:.3g}" for rate in dict.fromkeys(group["lr"] for group in groups))


def _groups(params: Any) -> list[Any]:
    """What was given as params, as a list of groups."""
    if isinstance(params, Tensor | Mapping) or not isinstance(params, Iterable):
        raise DTypeError(f"params must be a list of tensors such as model.parameters(), or of groups of them, got {params!r}")
    given = several(params, "params", "a list of tensors such as model.parameters(), or of groups of them")
    if not given:
        raise ArgumentError("an optimiser needs at least one parameter, and none was given")
    return given if any(isinstance(entry, Mapping) for entry in given) else [{"params": given}]


def _parameters(given: Any, where: str, first: int) -> list[Tensor]:
    """The tensors of one group; ``first`` is the number of the first of them."""
    if isinstance(given, Tensor):
        given = [given]
    if not isinstance(given, Iterable):
        raise DTypeError(f"{where}params must be a list of tensors such as model.parameters(), got {given!r}")
    parameters = list(given)
    if not parameters:
        raise ArgumentError(f"{where}at least one parameter is needed, and none was given")
    for number, parameter in enumerate(parameters, first):
        if not isinstance(parameter, Tensor):
            instead = "; pass model.parameters()" if isinstance(parameter, tuple | str) else ""
            raise DTypeError(f"{where}parameter {number} is not a tensor but {type(parameter).__name__}{instead}")
        if not is_parameter(parameter):
            raise ArgumentError(f"{where}parameter {number} is not a leaf tensor with requires_grad=True: {parameter!r}")
    if len({id(parameter) for parameter in parameters}) < len(parameters):
        raise ArgumentError(f"{where}a parameter was given twice; it would be updated twice")
    return parameters
