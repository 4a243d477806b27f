"""A step that promises to be pure and changes something all the same: its loop is the plain loop over it, with the same
changes, or an error says which promise was broken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_oracle import assert_same, by_hand, trained
from minigrad.models import unroll
from one_step_cells import B, D, H, Of, Step, T, is_plain, new, random

from minigrad import Module, Tensor, explain_loop
from minigrad.errors import PurityError


class Counter(Module):
    count = 0


def counting(c: Any, x: Any, h: Any) -> Tensor:
    c.count += 1
    return new(c, x, h) * (2.0 if c.count == 3 else 1.0)


def counting_inside(c: Any, x: Any, h: Any) -> Tensor:
    c.inner.count += 1
    return new(c, x, h)


def logging(c: Any, x: Any, h: Any) -> Tensor:
    c.log.append(h.shape)
    return new(c, x, h)


def counting_in_a_dict(c: Any, x: Any, h: Any) -> Tensor:
    c.counts["steps"] = c.counts.get("steps", 0) + 1
    return new(c, x, h)


def drawing(c: Any, x: Any, h: Any) -> Tensor:
    return new(c, x, h) + Tensor(c.rng.standard_normal((B, H)))


def counting_before_it_reads(c: Any, x: Any, h: Any) -> Tensor:
    c.count += 1
    return new(c, x, h) * (c.count if h.sum().item() > -100 else 0.0)


def keeping(c: Any, x: Any, h: Any) -> Tensor:
    c.latest = new(c, x, h)
    return c.latest


CHANGING: dict[str, tuple[Step, Callable[[], dict[str, Any]], Callable[[Any], Any]]] = {
    "an attribute": (counting, lambda: {"count": 0}, lambda c: c.count),
    "an attribute of a module": (counting_inside, lambda: {"inner": Counter()}, lambda c: c.inner.count),
    "a list": (logging, lambda: {"log": []}, lambda c: len(c.log)),
    "a deque": (logging, lambda: {"log": deque()}, lambda c: len(c.log)),
    "a dict": (counting_in_a_dict, lambda: {"counts": {}}, lambda c: c.counts),
    "a generator": (drawing, dict, lambda c: c.rng.bit_generator.state["state"]["state"]),
    "an attribute, and then the trace ends": (counting_before_it_reads, lambda: {"count": 0}, lambda c: c.count),
    "a tensor that is kept": (keeping, dict, lambda c: c.latest.shape),
}


@pytest.mark.parametrize("name", CHANGING)
def test_what_a_step_changes_in_its_cell_is_as_the_plain_loop_leaves_it(name: str) -> None:
    step, attributes, changed = CHANGING[name]

    def run(loop: Any) -> dict[str, Any]:
        cell = Of(step, **attributes())
        found = {}
        for call in range(3):
            cell.zero_grad()
            once = trained(loop, cell, random(T, B, D), dict(cell.named_parameters()))
            found |= {f"{call} {name}": value for name, value in once.items()} | {f"{call} changed": changed(cell)}
        return found

    assert_same(run(unroll), run(by_hand))


def test_the_report_says_what_a_step_changes() -> None:
    report = explain_loop(unroll, Of(counting, count=0), random(T, B, D))[0]
    assert report.reason == "its step changes its attribute count"


@pytest.mark.parametrize("kind", [Tensor, np.asarray])
def test_noise_that_begins_after_the_first_call_is_a_broken_promise(kind: Any) -> None:
    generators = [np.random.default_rng(0)]  # not an attribute of the cell

    def step(c: Any, x: Any, h: Any) -> Tensor:
        return new(c, x, h) + kind(generators[0].standard_normal(H) if c.training else np.zeros(H))

    cell = Of(step)
    cell.training = False
    unroll(cell, random(T, B, D))
    cell.training = True
    with pytest.raises(PurityError, match="must be pure"):
        unroll(cell, random(T, B, D))


def test_an_array_that_a_step_writes_to_is_a_broken_promise() -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        c.array += 1
        return new(c, x, h) * c.array

    with pytest.raises(PurityError, match="must be pure"):
        unroll(Of(step, array=np.zeros(1)), random(T, B, D))


@pytest.mark.parametrize("count", [1, 4])
def test_a_broken_promise_is_an_error_at_every_call(count: int) -> None:
    cell = Of(lambda c, x, h: new(c, x, h) * np.random.rand())  # noqa: NPY002
    for _ in range(3):
        with pytest.raises(PurityError, match="must be pure"):
            unroll(cell, random(count, B, D))


def test_a_promise_does_not_speak_for_a_class_that_was_mixed_in_behind_it() -> None:
    class Base(Of):
        pure_step = False

        def step(self, x: Any, state: Any) -> Any:
            return new(self, x, state)

    class Promising(Base):
        pure_step = True

        def step(self, x: Any, state: Any) -> Any:
            return super().step(x, state) * 0.5

    class Mixed(Base):
        def step(self, x: Any, state: Any) -> Any:
            return super().step(x, state)

    class Both(Promising, Mixed):
        pass

    assert not is_plain(Promising(new), random(T, B, D))
    reason = explain_loop(unroll, Both(new), random(T, B, D))[0].reason
    assert reason == "Mixed, behind Promising, overrides step, and does not promise pure_step = True"


READING: dict[str, Step] = {
    "item": lambda c, x, h: new(c, x, h) * c.b[0].item(),
    "numpy": lambda c, x, h: new(c, x, h) * float(np.max(c.b.numpy())),
    "a truth value": lambda c, x, h: new(c, x, h) * (2.0 if c.b[0] > 0 else 1.0),
    "a position": lambda c, x, h: new(c, x, h) + c.U[c.b.argmax()],
    "format": lambda c, x, h: new(c, x, h) * float(f"{c.b[0]:.3f}"),
    "the name": lambda c, x, h: new(c, x, h) * len(c.b.name),
}


@pytest.mark.parametrize("name", READING)
def test_what_a_step_makes_in_python_of_the_values_of_a_parameter_is_made_anew_when_they_change(name: str) -> None:
    cell = Of(READING[name])
    for _ in range(2):
        for _ in range(2):
            found, expected = (loop(cell, random(T, B, D))[0].numpy() for loop in (unroll, by_hand))
            np.testing.assert_allclose(found, expected)
        cell.b.data, cell.b.name = -cell.b.numpy(), "another"


def test_an_attribute_of_a_function_that_a_step_reads_may_change() -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        return new(c, x, h) * step.scale

    cell = Of(step)
    for scale in (1.0, 2.0):
        step.scale = scale
        found, expected = (loop(cell, random(T, B, D))[0].numpy() for loop in (unroll, by_hand))
        np.testing.assert_allclose(found, expected)
