"""The project's own layers and architectures in all their forms: what every picture must be able to show."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from graphs_to_draw import CELLS, B, D, H, N
from minigrad.models import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, RecurrentLayers

from minigrad import Tensor

Case = tuple[str, Callable[[], Tensor]]
STEPS = (1, 2, 5)


def inputs(T: int) -> np.ndarray:
    return np.random.default_rng(T).normal(size=(T, B, D))


def of_layers(cell: str, T: int, hoist: bool, mode: str, **options: Any) -> Tensor:
    layers = RecurrentLayers(cell, D, H, seed=0, **options)
    given: dict[str, Any] = {"lengths": [T, max(T - 2, 0)]} if mode == "lengths" else {}
    given |= {"truncated": 2} if mode == "truncated" else {}
    hs, _ = layers(inputs(T), hoist=hoist, **given)
    return (hs * hs).sum().named("L")


def of_architecture(name: str, cell: str, T: int, **options: Any) -> Tensor:
    labels = np.arange(T * B).reshape(T, B) % N
    if name == "many to one":
        return ManyToOne(cell, D, H, N, seed=0, **options).loss(inputs(T), labels[0])
    if name == "many to many":
        return ManyToMany(cell, D, H, N, seed=0, **options).loss(inputs(T), labels)
    return OneToMany(cell, D, H, N, seed=0, **options).loss(inputs(1)[0], labels)


def of_translation(cell: str, T: int, hoist: bool, **options: Any) -> Tensor:
    sizes = {"embedding_size": D, "hidden_size": H, "start": 0, "end": 1}
    model = EncoderDecoder(cell, 7, N, seed=0, **sizes, **options)
    rng = np.random.default_rng(T)
    logits, _ = model(rng.integers(0, 7, (T, B)), rng.integers(0, N, (max(T - 1, 1), B)), hoist=hoist)
    return (logits * logits).sum().named("L")


def layers(cell: str) -> Iterator[Case]:
    for T, depth, both, hoist in product(STEPS, (1, 2, 3), (False, True), (False, True)):
        shape = {"num_layers": depth, "bidirectional": both}
        for mode, residual, learnt in (
            ("plain", False, False), ("plain", depth > 1, True), ("lengths", False, False), ("truncated", False, False)
        ):  # fmt: skip
            options = {**shape, "residual": residual, "learn_initial_state": learnt}
            name = f"{cell} T={T} layers={depth} both={both} hoist={hoist} {mode} residual={residual} learnt={learnt}"
            yield name, partial(of_layers, cell, T, hoist, mode, **options)


def architectures(cell: str) -> Iterator[Case]:
    for name, T, depth, both in product(("many to one", "many to many", "one to many"), STEPS, (1, 2), (False, True)):
        if not (both and name == "one to many"):
            options = {"num_layers": depth, "bidirectional": both}
            yield f"{name} {cell} T={T} {options}", partial(of_architecture, name, cell, T, **options)


def translations(cell: str) -> Iterator[Case]:
    for T, depth, both, attention, hoist in product(STEPS, (1, 2), (False, True), (None, "dot", "additive"), (False, True)):
        options: dict[str, Any] = {"num_layers": depth, "bidirectional": both, "attention": attention}
        yield f"translation {cell} T={T} hoist={hoist} {options}", partial(of_translation, cell, T, hoist, **options)


def every_case() -> list[Case]:
    return [case for cell in CELLS for kind in (layers, architectures, translations) for case in kind(cell)]
