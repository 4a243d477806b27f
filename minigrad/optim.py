"""Optimisers with PyTorch's formulas, names and defaults.

An optimiser changes parameters in place from the gradients that ``backward`` has left in them; θ is a parameter, g its
gradient, η the learning rate, t the number of updates so far, this one included. A parameter without a gradient is left
alone. All arithmetic is done in the parameter's own dtype.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from typing_extensions import override

from minigrad.clipping import clip_grad_norm_, clip_grad_value_
from minigrad.errors import ArgumentError
from minigrad.guard import Array
from minigrad.tensor import Tensor

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_grad_norm_", "clip_grad_value_"]

State = dict[str, Array]
"""What an optimiser remembers of one parameter: 0-d arrays and arrays of the parameter's shape, by torch's names."""


class Optimizer(ABC):
    """The common part: which parameters, the learning rate, and saving what is remembered.

    Args:
        parameters: leaf tensors that need gradients, each once; usually ``model.parameters()``.
        lr: the learning rate η; may be changed between updates by assigning to ``optimizer.lr``.

    Raises:
        ArgumentError: no parameters, one given twice, one that is not a leaf that needs a gradient, or η < 0.
    """

    remembers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr = _at_least_zero("lr", lr)
        self._states: list[State] = [{} for _ in self.parameters]
        if not self.parameters:
            raise ArgumentError("an optimiser needs at least one parameter, and none was given")
        if len({id(parameter) for parameter in self.parameters}) < len(self.parameters):
            raise ArgumentError("a parameter was given twice; it would be updated twice")
        for number, parameter in enumerate(self.parameters):
            if not (isinstance(parameter, Tensor) and parameter.requires_grad and parameter.is_leaf):
                raise ArgumentError(f"parameter {number} is not a leaf tensor with requires_grad=True: {parameter!r}")

    def zero_grad(self) -> None:
        """Forget the gradients collected so far (each ``grad`` becomes None)."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises:
            MutationError: a recorded operation still needs a parameter's values; call ``backward`` first.
        """
        for parameter, state in zip(self.parameters, self._states, strict=True):
            if parameter.grad is not None:
                state["step"] = np.asarray(state.get("step", 0) + 1)
                self._update(parameter.data, parameter.grad, state)

    @abstractmethod
    def _update(self, theta: Array, g: Array, state: State) -> None:
        """Change ``theta`` and ``state`` in place; ``g`` must stay as it is."""

    def state_dict(self) -> dict[str, Array]:
        """A copy of what is remembered: ``"3.exp_avg"`` is ``exp_avg`` of parameter number 3."""
        return {
            f"{number}.{name}": value.copy()
            for number, state in enumerate(self._states)
            for name, value in state.items()
        }

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Remember what ``state_dict`` returned.

        Raises:
            ArgumentError: keys that do not belong here, shapes that do not fit; all are listed and nothing is changed.
        """
        states: list[State] = [{} for _ in self.parameters]
        problems = []
        for key, value in saved.items():
            number, _, name = key.partition(".")
            if not (number.isdecimal() and int(number) < len(states) and name in ("step", *self.remembers)):
                problems.append(f"unknown: {key}")
                continue
            parameter = self.parameters[int(number)]
            shape = () if name == "step" else parameter.shape
            if value.shape != shape:
                problems.append(f"{key}: expected shape {shape}, got {value.shape}")
            states[int(number)][name] = value.astype(np.int64 if name == "step" else parameter.dtype)
        if problems:
            raise ArgumentError(f"{type(self).__name__}: nothing was loaded; " + "; ".join(sorted(problems)))
        self._states = states


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (torch.optim.SGD).

        g ← g + λ θ                        weight_decay λ
        b ← μ b + (1 − d) g                momentum μ, dampening d; b = g at the first update
        g ← g + μ b  (nesterov)  or  b
        θ ← θ − η g

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = SGD([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.6])
    """

    remembers = ("momentum_buffer",)

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = _at_least_zero("momentum", momentum)
        self.dampening = dampening
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        self.nesterov = nesterov
        if nesterov and (momentum == 0 or dampening != 0):
            raise ArgumentError("nesterov needs a momentum above 0 and no dampening")

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        if self.momentum:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = g.copy()
            else:
                state["momentum_buffer"] *= self.momentum
                state["momentum_buffer"] += (1 - self.dampening) * g
            b = state["momentum_buffer"]
            g = g + self.momentum * b if self.nesterov else b
        theta -= self.lr * g


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015; torch.optim.Adam).

        g ← g + λ θ                              weight_decay λ
        m ← β₁ m + (1 − β₁) g                    m = v = 0 at first
        v ← β₂ v + (1 − β₂) g²
        θ ← θ − η m̂ / (√v̂ + ε)                   m̂ = m / (1 − β₁ᵗ),  v̂ = v / (1 − β₂ᵗ)
        amsgrad: the largest v so far takes the place of v in v̂

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = Adam([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.9, -1.9])
    """

    remembers = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        for number, beta in enumerate(betas, 1):
            if not 0 <= beta < 1:
                raise ArgumentError(f"beta {number} must be at least 0 and below 1, got {beta}")
        self.betas = betas
        self.eps = _at_least_zero("eps", eps)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        self.amsgrad = amsgrad

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        self._move(theta, g, state)

    def _move(self, theta: Array, g: Array, state: State) -> None:
        (beta1, beta2), t = self.betas, int(state["step"])
        m = state.setdefault("exp_avg", np.zeros_like(g))
        v = state.setdefault("exp_avg_sq", np.zeros_like(g))
        m += (1 - beta1) * (g - m)
        v *= beta2
        v += (1 - beta2) * g * g
        if self.amsgrad:
            v = np.maximum(v, state.get("max_exp_avg_sq", v))
            state["max_exp_avg_sq"] = v
        root = np.sqrt(v)
        root /= math.sqrt(1 - beta2**t)
        root += self.eps
        theta -= self.lr / (1 - beta1**t) * (m / root)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch.optim.AdamW): θ ← θ − η λ θ, then Adam's step.

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = AdamW([theta], lr=0.1)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.899, -1.898])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(parameters, lr, betas, eps, weight_decay, amsgrad)

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        theta *= 1 - self.lr * self.weight_decay
        self._move(theta, g, state)


class RMSprop(Optimizer):
    """RMSprop (Hinton; torch.optim.RMSprop).

        g ← g + λ θ                        weight_decay λ
        v ← α v + (1 − α) g²               v = 0 at first
        centered: a ← α a + (1 − α) g, and v − a² takes the place of v below
        b ← μ b + g / (√v + ε)             momentum μ
        θ ← θ − η b

    >>> theta = Tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = RMSprop([theta], lr=0.1, alpha=0.75)
    >>> (theta * theta).sum().backward()
    >>> optimizer.step()
    >>> theta.numpy()
    array([ 0.8, -1.8])
    """

    remembers = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.alpha = _at_least_zero("alpha", alpha)
        self.eps = _at_least_zero("eps", eps)
        self.weight_decay = _at_least_zero("weight_decay", weight_decay)
        self.momentum = _at_least_zero("momentum", momentum)
        self.centered = centered

    @override
    def _update(self, theta: Array, g: Array, state: State) -> None:
        if self.weight_decay:
            g = g + self.weight_decay * theta
        v = state.setdefault("square_avg", np.zeros_like(g))
        v *= self.alpha
        v += (1 - self.alpha) * g * g
        if self.centered:
            a = state.setdefault("grad_avg", np.zeros_like(g))
            a += (1 - self.alpha) * (g - a)
            v = v - a * a
        b = g / (np.sqrt(v) + self.eps)
        if self.momentum:
            buffer = state.setdefault("momentum_buffer", np.zeros_like(g))
            buffer *= self.momentum
            buffer += b
            b = buffer
        theta -= self.lr * b


def _at_least_zero(name: str, value: float) -> float:
    if not value >= 0:
        raise ArgumentError(f"{name} must be at least 0, got {value}")
    return value
