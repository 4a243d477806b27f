"""Cells put together at random, to be derived."""

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import Tensor


class RandomCell:
    """A step of operations drawn at random from what is there so far: some with names, some not, some used several times."""

    def __init__(self, seed: int, D: int = 3, H: int = 4) -> None:
        rng = np.random.default_rng(seed)
        self.seed, self.H, self.parts = seed, H, int(rng.integers(1, 4))
        draw = np.random.default_rng(0)
        shapes = {"W": (H, D), "U": (H, H), "V": (H, H), "P": (2 * H, H), "Q": (3 * H, D), "b": (H,), "p": (H,), "s": (1,)}
        for name, shape in shapes.items():
            setattr(self, name, Tensor(draw.normal(size=shape) / 2, requires_grad=True))

    def initial_state(self, batch: int) -> Any:
        states = tuple(Tensor(np.full((batch, self.H), 0.1 * (k + 1))) for k in range(self.parts))
        return states[0] if self.parts == 1 else states

    def step(self, x: Tensor, state: Any) -> Any:
        rng, H = np.random.default_rng([self.seed, 1]), self.H
        values = [*(state if self.parts > 1 else (state,)), x @ self.W.T]

        def some() -> Any:
            return values[int(rng.integers(len(values)))]

        choices: list[Any] = [
            lambda: some() + some(),
            lambda: some() - some(),
            lambda: some() * some(),
            lambda: -some(),
            lambda: 1 - some(),
            lambda: some() - 0.25,
            lambda: 0.5 * some(),
            lambda: some() / 2,
            lambda: some() / (1 + some() ** 2),
            lambda: some() @ self.U.T,
            lambda: some() @ self.V,
            lambda: mg.tanh(some() @ self.V.T + self.b),
            lambda: mg.sigmoid(some() @ self.U.T + some()),
            lambda: 1 / (1 + np.exp(-some())),
            lambda: np.concatenate([some(), some()], axis=1) @ self.P,
            lambda: mg.split(mg.tanh(x @ self.Q.T), 3, axis=-1)[int(rng.integers(3))],
            lambda: (x @ self.Q.T + np.concatenate([some(), some(), some()], axis=-1))[:, H : 2 * H],
            lambda: self.p * some() + self.s * some(),
            lambda: mg.maximum(some(), 0.1 * some()),
            lambda: mg.relu(some()) - abs(some()),
            lambda: mg.where(some() > some(), some(), 0.5),
            lambda: some() - some().mean(axis=1, keepdims=True),
            lambda: some().sum(axis=-1, keepdims=True) * some(),
            lambda: mg.softmax(some(), axis=-1),
        ]
        for number in range(int(rng.integers(3, 9))):
            value = choices[int(rng.integers(len(choices)))]()
            if rng.random() < 0.3:
                value = value.named("uvwyzaq"[number % 7])
            values.append(value)
        new = [mg.tanh(values[-1]), *(some() for _ in range(self.parts - 1))][::-1]
        return new[0] if self.parts == 1 else tuple(new)
