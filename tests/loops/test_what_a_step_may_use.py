"""A step that promises to be pure may use what is known to do nothing but return its result. One that can reach anything else
is run as it is written, however it gets there; and what a natural step uses is known."""

from __future__ import annotations

import dataclasses
import enum
import functools
import io
import itertools
import logging
import math
import operator
import sys
import time
import types
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from changing_steps import OUTSIDE
from loops_oracle import assert_same, by_hand, trained
from minigrad.models import GRU, unroll
from one_step_cells import B, D, H, Of, Step, T, new, random

import minigrad as mg
from minigrad import Module, Parameter, Tensor, explain_loop, sigmoid, tanh


@pytest.mark.parametrize("name", OUTSIDE)
def test_however_a_step_gets_at_it_what_it_changes_is_as_the_plain_loop_leaves_it(name: str, capsys: Any) -> None:
    def run(loop: Any) -> dict[str, Any]:
        change, seen = OUTSIDE[name]()

        def step(c: Any, x: Any, h: Any) -> Tensor:
            change()
            return new(c, x, h)

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            found = trained(loop, cell := Of(step), random(T, B, D), dict(cell.named_parameters()))
        return found | {"seen": repr(seen()), "warned": len(warned), "printed": capsys.readouterr().out}

    with np.printoptions():  # a step may change how NumPy prints, and other tests read what it prints
        assert_same(run(unroll), run(by_hand))


FILE = io.StringIO()
REASONS: dict[str, tuple[Callable[[], Any], str]] = {
    "a module": (lambda: time.sleep(0), "may use time"),
    "a function": (lambda say=print: say(""), "may call print"),
    "a name that is built in": (lambda: id(1), "may call id"),
    "a function of NumPy's": (lambda: np.seterr(), "may call seterr"),
    "a class": (lambda: Path("a"), "may use a Path"),
    "an object": (lambda: FILE.write("a"), "may use FILE, a StringIO"),
    "an attribute": (lambda: np.ones(1).tofile(""), "may use tofile"),
    "an import": (lambda: __import__("never_imported"), "may call __import__"),
}


@pytest.mark.parametrize("name", REASONS)
def test_the_report_says_what_a_step_may_use_that_is_not_known(name: str) -> None:
    use, reason = REASONS[name]
    never = Of(lambda c, x, h: use() if h.ndim == 3 else new(c, x, h))
    assert explain_loop(unroll, never, random(T, B, D))[0].reason == f"its step {reason}"


# ---------------------------------------------------------------- what is natural

@dataclasses.dataclass(frozen=True)
class Settings:
    scale: float = 0.5


class Mode(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Gate(Module):
    """A part of a cell, with what a step does not use."""

    def __init__(self) -> None:
        self.W, self.log, self.file = Parameter(random(H, H)), logging.getLogger("gate"), sys.stdout

    def __call__(self, h: Tensor) -> Tensor:
        return sigmoid(h @ self.W)

    def report(self) -> None:
        print(self.log, self.file, time.time())


class Lazy:
    @functools.cached_property
    def scale(self) -> float:
        return 0.5

    @property
    def half(self) -> float:
        return self.scale / 2


@functools.lru_cache
def triangle(size: int) -> Any:
    return np.tril(np.ones((size, size)))


def checked(c: Any, x: Any, h: Any) -> Tensor:
    if not isinstance(h, Tensor) or x.shape[0] != h.shape[0]:
        raise ValueError(f"{x.shape} and {h}")
    return new(c, x, h)


def by_inner_functions(c: Any, x: Any, h: Any) -> Tensor:
    def gate(name: str) -> Tensor:
        return sigmoid(h @ getattr(c, name))

    return functools.reduce(operator.mul, [gate("U"), *(part * 0.5 for part in (new(c, x, h),))])


SETTINGS, MODE, GATE, LAZY, INNER = Settings(), Mode.SMALL, Gate(), Lazy(), GRU(D, H, seed=0)
assert LAZY.half
WEIGHTS = {"U": Parameter(random(H, H)), "k": types.SimpleNamespace(scale=0.5)}
LARGE = np.zeros((2000, 2000))[:H, :H]

NATURAL: dict[str, Step] = {
    "settings": lambda c, x, h: new(c, x, h) * SETTINGS.scale,
    "a mode": lambda c, x, h: new(c, x, h) if MODE is Mode.SMALL else h,
    "a part": lambda c, x, h: GATE(new(c, x, h)),
    "an attribute that is computed": lambda c, x, h: new(c, x, h) * LAZY.half,
    "a cell in a cell": lambda c, x, h: INNER.step(x, h),
    "what a function remembers": lambda c, x, h: new(c, x, h) @ triangle(H),
    "checks": checked,
    "inner functions": by_inner_functions,
    "NumPy's functions": lambda c, x, h: np.tanh(np.matmul(x, c.W.T) + np.dot(h, c.U.T) * np.sqrt(2.0)),
    "linear algebra": lambda c, x, h: new(c, x, h) @ np.linalg.inv(np.eye(H) * np.float64(2.0)),
    "random numbers that are always the same": lambda c, x, h: new(c, x, h) * np.random.default_rng(0).random(H),
    "mathematics": lambda c, x, h: new(c, x, h) * math.sqrt(H) * math.pi,
    "a function by its name": lambda c, x, h: getattr(mg, "tanh")(new(c, x, h)),  # noqa: B009
    "a dict of weights": lambda c, x, h: tanh(h @ WEIGHTS["U"]) * WEIGHTS["k"].scale,
    "a large constant": lambda c, x, h: new(c, x, h) + h @ LARGE,
    "a cast": lambda c, x, h: typing.cast(Tensor, new(c, x, h)),
}


BY_NAME = ("inner functions", "a function by its name")
"""Those with `getattr`, which may use all that the cell has."""


@pytest.mark.parametrize("name", NATURAL)
def test_what_a_natural_step_uses_is_known(name: str) -> None:
    if name == "what a function remembers":
        triangle(H)
    unused = {"log": logging.getLogger("steps"), "numbers": itertools.count(), "file": io.StringIO()}
    cell = Of(NATURAL[name], **({} if name in BY_NAME else unused))
    assert explain_loop(unroll, cell, random(T, B, D))[0].reason is None
    found, expected = (loop(cell, random(T, B, D))[0].numpy() for loop in (unroll, by_hand))
    np.testing.assert_allclose(found, expected)
