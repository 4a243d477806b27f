"""A step that promises to be pure and changes something all the same: its loop is the plain loop over it, with the same
changes, or an error says which promise was broken."""

from __future__ import annotations

import ctypes
import functools
import gc
import io
import itertools
import logging
import os
import random as random_numbers
import statistics
import threading
import warnings
from array import array
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from queue import Queue
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from loops_oracle import assert_same, by_hand, trained
from minigrad.models import RNN, unroll
from minigrad.models.cells import rnn
from one_step_cells import B, D, H, Of, Step, T, is_plain, new, random

from minigrad import Module, Tensor, explain_loop, scan, stack
from minigrad.errors import PurityError


class Counting(Module):
    count = 0


def counting(c: Any, x: Any, h: Any) -> Tensor:
    c.count += 1
    return new(c, x, h) * (2.0 if c.count == 3 else 1.0)


def counting_inside(c: Any, x: Any, h: Any) -> Tensor:
    c.inner.count += 1
    return new(c, x, h)


def appending(c: Any, x: Any, h: Any) -> Tensor:
    c.log.append(h.shape)
    return new(c, x, h)


def counting_in_a_dict(c: Any, x: Any, h: Any) -> Tensor:
    c.counts["steps"] = c.counts.get("steps", 0) + 1
    return new(c, x, h)


def counting_in_a_tensor(c: Any, x: Any, h: Any) -> Tensor:
    c.steps.data[...] += 1
    return new(c, x, h)


def drawing(c: Any, x: Any, h: Any) -> Tensor:
    return new(c, x, h) + Tensor(c.rng.standard_normal((B, H)))


def counting_before_it_reads(c: Any, x: Any, h: Any) -> Tensor:
    c.count += 1
    return new(c, x, h) * (c.count if h.sum().item() > -100 else 0.0)


def keeping(c: Any, x: Any, h: Any) -> Tensor:
    c.latest = new(c, x, h)
    return c.latest


def in_a_queue(c: Any, x: Any, h: Any) -> Tensor:
    c.queue.put(1.0)
    return new(c, x, h) * c.queue.qsize()


def at(name: str, index: Any) -> Step:
    """Counts in an entry of an attribute, and computes with it in the third step."""

    def step(c: Any, x: Any, h: Any) -> Tensor:
        getattr(c, name)[index] += 1
        return new(c, x, h) * (2.0 if getattr(c, name)[index] == 3 else 1.0)

    return step


def in_a_local_of_the_thread(c: Any, x: Any, h: Any) -> Tensor:
    c.local.count = getattr(c.local, "count", 0) + 1
    return new(c, x, h)


@functools.lru_cache
def remembered(log: Any, rows: int) -> float:
    log.count += 1
    return 1.0 + rows


def by_a_function_that_remembers(c: Any, x: Any, h: Any) -> Tensor:
    return new(c, x, h) * remembered(c.inner, x.shape[0])


CHANGING: dict[str, tuple[Step, Callable[[], dict[str, Any]], Callable[[Any], Any]]] = {
    "an attribute": (counting, lambda: {"count": 0}, lambda c: c.count),
    "an attribute of a module": (counting_inside, lambda: {"inner": Counting()}, lambda c: c.inner.count),
    "a list": (appending, lambda: {"log": []}, lambda c: len(c.log)),
    "a deque": (appending, lambda: {"log": deque()}, lambda c: len(c.log)),
    "a dict": (counting_in_a_dict, lambda: {"counts": {}}, lambda c: c.counts),
    "the values of a tensor": (counting_in_a_tensor, lambda: {"steps": Tensor(0)}, lambda c: c.steps.item()),
    "a queue": (in_a_queue, lambda: {"queue": Queue()}, lambda c: c.queue.qsize()),
    "a chain of dicts": (at("chain", "n"), lambda: {"chain": ChainMap({"n": 0})}, lambda c: c.chain["n"]),
    "an array of Python's": (at("numbers", 0), lambda: {"numbers": array("d", [0.0])}, lambda c: list(c.numbers)),
    "an array of C": (at("numbers", 0), lambda: {"numbers": (ctypes.c_double * 1)()}, lambda c: c.numbers[0]),
    "memory": (at("memory", 0), lambda: {"memory": memoryview(bytearray(4))}, lambda c: bytes(c.memory)),
    "an array of objects": (at("objects", 1), lambda: {"objects": np.array([None, 0])}, lambda c: c.objects[1]),
    "a large array": (at("large", 0), lambda: {"large": np.zeros(2**18)}, lambda c: (c.large[0], c.large.flags.writeable)),
    "a part of a large array": (at("part", 0), lambda: {"part": np.zeros((2, 2**18))[0]}, lambda c: c.part[0]),
    "a local of the thread": (in_a_local_of_the_thread, lambda: {"local": threading.local()}, lambda c: c.local.count),
    "what a function remembers": (by_a_function_that_remembers, lambda: {"inner": Counting()}, lambda c: c.inner.count),
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
    assert report.reason == "its step changes count"


# ---------------------------------------------------------------- what a step can reach beside its cell

Changing = tuple[Step, Callable[[], Any]]
"""A step that counts in some place, and does another thing at its third call; and what can be seen there afterwards."""

COUNT = 0
LOG: list[int] = []
SETTINGS = ModuleType("settings")
"""A module of the user's."""


def twice_at(count: int, c: Any, x: Any, h: Any) -> Tensor:
    return new(c, x, h) * (2.0 if count == 3 else 1.0)


def in_a_global() -> Changing:
    global COUNT
    COUNT = 0

    def step(c: Any, x: Any, h: Any) -> Tensor:
        global COUNT
        COUNT += 1
        return twice_at(COUNT, c, x, h)

    return step, lambda: COUNT


def in_a_list() -> Changing:
    LOG.clear()

    def step(c: Any, x: Any, h: Any) -> Tensor:
        LOG.append(len(LOG))
        return twice_at(len(LOG), c, x, h)

    return step, lambda: len(LOG)


def in_a_module() -> Changing:
    SETTINGS.count = 0

    def step(c: Any, x: Any, h: Any) -> Tensor:
        SETTINGS.count += 1
        return twice_at(SETTINGS.count, c, x, h)

    return step, lambda: SETTINGS.count


def in_a_closure() -> Changing:
    count = 0

    def step(c: Any, x: Any, h: Any) -> Tensor:
        nonlocal count
        count += 1
        return twice_at(count, c, x, h)

    return step, lambda: count


def in_containers() -> Changing:
    counts: Any = {"a": [{"b": (deque([0]), set(), Counter(), OrderedDict(), defaultdict(int))}]}

    def step(c: Any, x: Any, h: Any) -> Tensor:
        last, numbers, counted, ordered, more = counts["a"][0]["b"]
        last[0] += 1
        numbers.add(last[0])
        counted["n"] += 1
        ordered[last[0]] = ordered.pop(last[0] - 1, 0) + 1
        more["n"] += 2
        return twice_at(last[0], c, x, h)

    return step, lambda: repr(counts)


def in_an_array_that_grows() -> Changing:
    numbers = array("d", [1.0])

    def step(c: Any, x: Any, h: Any) -> Tensor:
        numbers.append(numbers[0])
        numbers[0] = len(numbers)
        return new(c, x, h) * numbers[0]

    return step, lambda: numbers


def by_what_a_set_pops() -> Changing:
    numbers = set(range(1, 20))
    return lambda c, x, h: new(c, x, h) * float(numbers.pop()), lambda: sorted(numbers)


def in_an_attribute_of_a_class() -> Changing:
    class Counted:
        count = 0

    def step(c: Any, x: Any, h: Any) -> Tensor:
        Counted.count += 1
        return twice_at(Counted.count, c, x, h)

    return step, lambda: Counted.count


def in_an_attribute_of_a_function() -> Changing:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        step.count = getattr(step, "count", 0) + 1
        return twice_at(step.count, c, x, h)

    return step, lambda: step.count


def in_a_default() -> Changing:
    def step(c: Any, x: Any, h: Any, counts: Any = [0], *, more: Any = {"n": 0}) -> Tensor:  # noqa: B006
        counts[0] += 1
        more["n"] += 1
        return twice_at(counts[0], c, x, h)

    return step, lambda: (step.__defaults__, step.__kwdefaults__)


class Slotted:
    __slots__ = ("count", "later")


class Box:
    def __init__(self) -> None:
        self.count, self.slotted = 0, Slotted()
        self.slotted.count = 0

    def counted(self) -> int:
        self.count += 1
        self.slotted.count += 1
        self.slotted.later = True
        return self.count


def in_an_object() -> Changing:
    box = Box()
    return lambda c, x, h: twice_at(box.counted(), c, x, h), lambda: (box.count, box.slotted.count)


def by_a_bound_method() -> Changing:
    box = Box()
    counted = partial(Box.counted, box)
    return lambda c, x, h: twice_at(counted(), c, x, h), lambda: (box.count, box.slotted.count)


def by_an_object_that_is_called() -> Changing:
    counts = [0]

    class Called:
        def __call__(self) -> int:
            counts[0] += 1
            return counts[0]

    called = Called()
    return lambda c, x, h: twice_at(called(), c, x, h), lambda: counts


def in_a_descriptor() -> Changing:
    class Next:
        count = 0

        def __get__(self, owner: Any, kind: Any) -> int:
            self.count += 1
            return self.count

    class Holding:
        count = Next()

    holding = Holding()
    return lambda c, x, h: twice_at(holding.count, c, x, h), lambda: vars(vars(Holding)["count"])


def in_an_array() -> Changing:
    counts = np.zeros(1, int)

    def step(c: Any, x: Any, h: Any) -> Tensor:
        counts[0] += 1
        return twice_at(int(counts[0]), c, x, h)

    return step, lambda: int(counts[0])


def in_a_context_variable() -> Changing:
    count: ContextVar[int] = ContextVar("count", default=0)
    count.set(0)

    def step(c: Any, x: Any, h: Any) -> Tensor:
        count.set(count.get() + 1)
        return twice_at(count.get(), c, x, h)

    return step, count.get


def in_an_iterator() -> Changing:
    numbers = itertools.count(1)
    return lambda c, x, h: twice_at(next(numbers), c, x, h), lambda: next(numbers)


def in_a_generator() -> Changing:
    numbers = (number for number in range(1, 100))
    return lambda c, x, h: twice_at(next(numbers), c, x, h), lambda: next(numbers)


def of_random_numbers_of_python() -> Changing:
    random_numbers.seed(0)
    return lambda c, x, h: new(c, x, h) * random_numbers.random(), random_numbers.random


def of_random_numbers_of_numpy() -> Changing:
    np.random.seed(0)  # noqa: NPY002
    rand = np.random.rand
    return lambda c, x, h: new(c, x, h) * rand(), rand


def of_generators() -> Changing:
    generators = [np.random.default_rng(0), np.random.RandomState(0), random_numbers.Random(0)]

    def step(c: Any, x: Any, h: Any) -> Tensor:
        return new(c, x, h) * sum(generator.random() for generator in generators)

    return step, lambda: [generator.random() for generator in generators]


def in_what_numpy_is_told() -> Changing:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        return new(c, x, h) * (2.0 if np.geterr()["over"] == "raise" else 1.0)

    return step, lambda: np.geterr()["over"]


OUTSIDE: tuple[Callable[[], Changing], ...] = (
    in_a_global, in_a_list, in_a_module, in_a_closure, in_containers, in_an_array_that_grows, by_what_a_set_pops,
    in_an_attribute_of_a_class,
    in_an_attribute_of_a_function, in_a_default, in_an_object, by_a_bound_method,
    by_an_object_that_is_called, in_a_descriptor, in_an_array,
    in_a_context_variable, in_an_iterator, in_a_generator, of_random_numbers_of_python, of_random_numbers_of_numpy,
    of_generators, in_what_numpy_is_told,
)  # fmt: skip


@pytest.mark.parametrize("kind", OUTSIDE, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("count", [1, 5])
def test_what_a_step_changes_outside_of_its_cell_is_as_the_plain_loop_leaves_it(kind: Any, count: int) -> None:
    def run(loop: Any) -> dict[str, Any]:
        step, changed = kind()
        cell = Of(step)
        return trained(loop, cell, random(count, B, D), dict(cell.named_parameters())) | {"changed": repr(changed())}

    assert_same(run(unroll), run(by_hand))


@pytest.mark.parametrize("kind", OUTSIDE, ids=lambda kind: kind.__name__)
def test_so_it_is_for_the_function_of_a_scan(kind: Any) -> None:
    def run(loop: Any) -> dict[str, Any]:
        step, changed = kind()
        cell = Of(lambda *_: None)
        _, hs = loop(lambda h, x: (new_h := step(cell, x, h), new_h), np.full((B, H), 0.1), random(T, B, D))
        hs.sum().backward()
        return {"hs": hs.numpy(), "changed": repr(changed())} | {name: p.grad for name, p in cell.named_parameters()}

    def plainly(f: Any, h: Any, xs: Any) -> Any:
        ys, h = [], Tensor(h)
        for x in xs:
            h, y = f(h, Tensor(x))
            ys.append(y)
        return h, stack(ys)

    assert_same(run(scan), run(plainly))


def with_a_warning(c: Any, x: Any, h: Any) -> Tensor:
    warnings.warn("deep", stacklevel=1)
    return new(c, x, h)


def printed(c: Any, x: Any, h: Any) -> Tensor:
    print(x.shape)
    return new(c, x, h)


def written_to_a_file(c: Any, x: Any, h: Any) -> Tensor:
    c.file.write("step ")
    return new(c, x, h)


def logged(c: Any, x: Any, h: Any) -> Tensor:
    c.logger.warning("step")
    return new(c, x, h)


@pytest.mark.parametrize("step", [with_a_warning, printed, written_to_a_file, logged], ids=lambda step: step.__name__)
def test_what_a_step_says_it_says_at_every_step(step: Step, capsys: Any, caplog: Any) -> None:
    said = []
    for loop in (unroll, by_hand):
        caplog.clear()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            loop(cell := Of(step, file=io.StringIO(), logger=logging.getLogger("steps")), random(T, B, D))
        said.append((len(warned), capsys.readouterr().out, cell.file.getvalue(), len(caplog.records)))
    assert said[0] == said[1] != (0, "", "", 0)


def test_what_a_step_does_not_use_costs_it_nothing() -> None:
    class Talking(Of):
        def summary(self) -> None:
            print(self.logger, next(self.numbers))

    cell = Talking(new, logger=logging.getLogger("steps"), numbers=itertools.count(), file=io.StringIO())
    assert not is_plain(cell, random(T, B, D))


def test_large_containers_are_as_long_as_the_plain_loop_leaves_them() -> None:
    def run(loop: Any) -> list[int]:
        many, names = list(range(10_000)), dict.fromkeys(range(10_000))

        def step(c: Any, x: Any, h: Any) -> Tensor:
            many.append(0)
            names[len(names)] = None
            return new(c, x, h)

        loop(Of(step), random(T, B, D))
        return [len(many), len(names)]

    assert run(unroll) == run(by_hand) == [10_000 + T] * 2


def test_tensors_that_a_step_leaves_in_a_list_are_those_of_the_plain_loop() -> None:
    kept: list[Tensor] = []

    def step(c: Any, x: Any, h: Any) -> Tensor:
        kept.append(new(c, x, h))
        return kept[-1]

    hs, _ = unroll(Of(step), random(T, B, D))
    np.testing.assert_array_equal(stack(kept).numpy(), hs.numpy())


@pytest.mark.parametrize("kind", [Tensor, np.asarray])
def test_noise_that_begins_after_the_first_call_is_that_of_the_plain_loop(kind: Any) -> None:
    def run(loop: Any) -> list[np.ndarray]:
        generators = [np.random.default_rng(0)]  # not an attribute of the cell

        def step(c: Any, x: Any, h: Any) -> Tensor:
            return new(c, x, h) + kind(generators[0].standard_normal(H) if c.training else np.zeros(H))

        cell, found = Of(step), []
        for cell.training in (False, True, True, False):
            found.append(loop(cell, random(T, B, D))[0].numpy())
        return found

    np.testing.assert_allclose(run(unroll), run(by_hand))


@pytest.mark.parametrize("count", [1, 4])
def test_a_broken_promise_that_leaves_no_trace_is_an_error_at_every_call(count: int) -> None:
    cell = Of(lambda c, x, h: new(c, x, h) * (c.b * 1.0)._node.serial)
    for _ in range(3):
        with pytest.raises(PurityError, match="must be pure"):
            unroll(cell, random(count, B, D))


def test_a_promise_that_is_kept_by_the_first_call_alone_is_broken_by_the_second() -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        return new(c, x, h) + Tensor(c.scale * (c.b * 1.0)._node.serial * np.ones(H))

    cell = Of(step, scale=0.0)
    unroll(cell, random(T, B, D))
    cell.scale = 1.0
    with pytest.raises(PurityError, match="is not the same at its first and at its last step"):
        unroll(cell, random(T, B, D))


@pytest.mark.parametrize(
    "step",
    [
        lambda c, x, h: new(c, x, h) * c.source.random(),
        lambda c, x, h: new(c, x, h) + np.random.default_rng(c.seeds.spawn(1)[0]).standard_normal(H),
        lambda c, x, h: new(c, x, h) * (2.0 if np.random.default_rng().random() < 0.5 else 1.0),
        lambda c, x, h: new(c, x, h) * (2.0 if random_numbers.Random().random() < 0.5 else 1.0),
        lambda c, x, h: new(c, x, h) * (2.0 if statistics.NormalDist().samples(1)[0] > 0 else 1.0),
        lambda c, x, h: new(c, x, h) * (2.0 if np.datetime64("now") < np.datetime64("2000") else 1.0),
    ],
)
def test_random_numbers_that_never_come_again_are_drawn_by_the_plain_loop(step: Step) -> None:
    cell = Of(step, source=random_numbers.SystemRandom(), seeds=np.random.SeedSequence(1))
    assert is_plain(cell, random(T, B, D))
    assert cell.seeds.n_children_spawned in (0, T)


def checking(cell: Any, state: Any, batch: int) -> None:
    calls.append("checked")
    print("checked")


def growing(cell: Any) -> Any:
    calls.append("read")
    return cell.weights * float(len(calls) % 5)


calls: list[str] = []
INHERITED: dict[str, dict[str, Any]] = {
    "a check": {"check_state": checking},
    "a weight": {"W_hh": property(growing, lambda cell, weights: setattr(cell, "weights", weights))},
    "an option": {"nonlinearity": property(lambda cell: calls.append("read") or ("tanh", "relu")[len(calls) % 2], print)},
}


@pytest.mark.parametrize("name", INHERITED)
def test_what_the_step_of_a_cell_of_minigrad_calls_may_be_a_method_of_the_users(name: str, capsys: Any) -> None:
    kind, found = type("Derived", (RNN,), INHERITED[name]), []
    for loop in (unroll, by_hand):
        cell, said = kind(D, H, seed=0), capsys.readouterr().out
        calls.clear()
        if loop is by_hand and name == "a check":
            cell.check_state(cell.initial_state(B), B)  # unroll checks the state that it is given
        hs, _ = loop(cell, random(T, B, D))
        said = capsys.readouterr().out
        found.append((hs.numpy().tolist(), list(calls), said))
    assert found[0] == found[1]


def test_methods_and_functions_of_minigrad_that_were_exchanged_do_what_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(f: Any) -> Any:
        return lambda *args: calls.append("called") or f(*args)

    for place, name in ((RNN, "recur"), (rnn, "affine")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, counted(getattr(place, name)))
            calls.clear()
            unroll(RNN(D, H, seed=0), random(T, B, D))
            assert len(calls) == T


def test_a_number_that_changes_its_sign_or_its_kind_has_changed() -> None:
    def turning(c: Any, x: Any, h: Any) -> Tensor:
        c.sign, c.count = -c.sign, (float if type(c.count) is int else int)(c.count)
        return new(c, x, h) * np.copysign(1.0, c.sign) * (2.0 if type(c.count) is int else 1.0)

    assert_same(*[trained(loop, Of(turning, sign=0.0, count=1), random(T, B, D), {}) for loop in (unroll, by_hand)])


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_loop_that_is_left_at_its_first_step_leaves_what_that_has_done(error: type[BaseException]) -> None:
    def leaving(c: Any, x: Any, h: Any) -> Tensor:
        c.log.append("begun")
        c.large[0] = 1.0
        raise error

    cell = Of(leaving, log=[], large=np.zeros(2**16))
    with pytest.raises(error):
        unroll(cell, random(T, B, D))
    assert (cell.log, cell.large[0]) == (["begun"], 1.0)


def test_a_step_may_turn_the_garbage_collector_off() -> None:
    def step(c: Any, x: Any, h: Any) -> Tensor:
        gc.disable()
        return new(c, x, h)

    try:
        unroll(Of(step), random(T, B, D))
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_step_that_is_overridden_without_a_promise_may_do_as_it_likes() -> None:
    class Noisy(RNN):
        def step(self, x: Any, state: Any) -> Any:
            return super().step(x, state) + Tensor(np.frombuffer(os.urandom(H), np.uint8) / 255)

    class Maybe(Noisy):
        pure_step = 1

    for kind in (Noisy, Maybe):
        hs, _ = unroll(kind(D, H, seed=0), random(T, B, D))
        assert hs.shape == (T, B, H)
    hs, _ = unroll(Noisy(D, H, seed=0), random(T, B, D), hoist=True)
    assert (hs.numpy() > unroll(RNN(D, H, seed=0), random(T, B, D))[0].numpy()).any(axis=(1, 2)).all()


class Halved(RNN):
    pure_step = True

    def step(self, x: Any, state: Any) -> Any:
        return super().step(x, state) * 0.5


class Centred(RNN):
    pure_step = True

    def project(self, x: Any) -> Any:
        return super().project(x - x.mean())


class Shared(RNN):
    pure_step = True

    def project(self, x: Any) -> Any:
        return super().project(x / len(x))


class Chosen(RNN):
    pure_step = True

    def project(self, x: Any) -> Any:
        return super().project(x) * (2.0 if x.numpy().max() > 0.6 else 1.0)


@pytest.mark.parametrize("kind", [Halved, Centred, Shared, Chosen])
@pytest.mark.parametrize("padding", [0, 2])
def test_a_step_that_is_not_known_to_be_hoisted_is_what_runs(kind: Any, padding: int) -> None:
    xs = random(T, B, D)
    xs[T - padding :] = 0.0
    found = [
        loop(kind(D, H, seed=0), xs, **options)[0].numpy()
        for loop, options in ((unroll, {"hoist": True}), (unroll, {}), (by_hand, {}))
    ]
    np.testing.assert_allclose(found[0], found[2])
    np.testing.assert_allclose(found[1], found[2])


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
