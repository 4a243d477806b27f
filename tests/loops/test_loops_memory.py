"""A loop is freed at once, keeps no more than it needs, and what it keeps cannot be written to."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, Pass, each_kind, is_compiled, pair
from minigrad.models.cells import GRU, LSTM
from minigrad.models.layers import unroll
from minigrad.models.promise import cells
from minigrad.models.states import parts_of

from minigrad import edge_gradients, grad, no_grad, walk
from minigrad.loops.pool import forget_pool
from minigrad.optim import SGD

USES: dict[str, Callable[[Pass], object]] = {
    "dropped": lambda each: None,
    "backward": lambda each: each.loss.backward(),
    "backward twice": lambda each: (each.loss.backward(retain_graph=True), each.loss.backward()),
    "the first part of the state looked at": lambda each: walk(parts_of(each.final)[0]),
    "the last part of the state looked at": lambda each: walk(parts_of(each.final)[-1]),
    "hs looked at": lambda each: walk(each.hs),
    "all looked at": lambda each: walk(each.loss),
    "looked at, backward": lambda each: (walk(each.loss), each.loss.backward()),
    "backward, looked at": lambda each: (each.loss.backward(), walk(each.loss)),
    "hs looked at, backward, all looked at": lambda each: (walk(each.hs), each.loss.backward(), walk(each.loss)),
    "edges": lambda each: edge_gradients(each.loss),
    "edges, backward": lambda each: (edge_gradients(each.loss), each.loss.backward()),
    "grad": lambda each: grad(each.loss, [each.xs, parts_of(each.final)[0]]),
    "second derivatives": lambda each: grad(
        sum((g * g).sum() for g in grad(each.loss, [each.xs, each.hs], create_graph=True)), each.xs
    ),
    "watched, backward": lambda each: (parts_of(each.final)[0].retain_grad(), each.hs.retain_grad(), each.loss.backward()),
}


def left_by(cell: Any, use: Callable[[Pass], object]) -> tuple[int, int]:
    """What the collector finds when a loop has been used and dropped, and how many bytes are still there."""
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        each = Pass(cell, T=70)
        assert is_compiled(each.hs)
        use(each)
        cell.zero_grad()
        del each
        forget_pool()
        garbage = gc.collect()
        return garbage, tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.sampled(1)
@each_kind
@pytest.mark.parametrize("use", USES)
def test_a_loop_that_is_dropped_is_freed_at_once_without_the_collector(name: str, use: str) -> None:
    cell, _ = pair(name)
    left_by(cell, USES[use])  # once for what the process makes once, on the very same way
    runs = [left_by(cell, USES[use]) for _ in range(3)]
    assert [garbage for garbage, _ in runs] == [0, 0, 0]
    assert min(left for _, left in runs) < 3_000  # other threads of the process may allocate something during one of them


def held(run: Callable[[int], object]) -> float:
    """Bytes that the result of a run holds for each step more."""
    found = []
    run(3)
    for T in (100, 300):
        gc.collect()
        tracemalloc.start()
        try:
            result = run(T)
            gc.collect()
            found.append(tracemalloc.get_traced_memory()[0])
            del result
        finally:
            tracemalloc.stop()
    return (found[1] - found[0]) / 200


AFTERWARDS: dict[str, Callable[[Any, Any, Any], object]] = {
    "backward": lambda cell, hs, final: hs.sum().backward(),
    "backward from the state": lambda cell, hs, final: parts_of(final)[0].sum().backward(),
    "grad": lambda cell, hs, final: grad(hs.sum(), cell.parameters()),
    "grad of the state too": lambda cell, hs, final: grad(hs.sum(), [*cell.parameters(), *parts_of(final)]),
    "watched, backward": lambda cell, hs, final: (parts_of(final)[0].retain_grad(), hs.sum().backward()),
}


@pytest.mark.sampled(1)
@each_kind
@pytest.mark.parametrize("use", AFTERWARDS)
def test_after_backward_nothing_is_kept_of_each_step_but_the_outputs(name: str, use: str) -> None:
    cell, _ = pair(name)
    B = 200

    def run(T: int) -> object:
        hs, final = unroll(cell, np.ones((T, B, D)))
        AFTERWARDS[use](cell, hs, final)
        return hs, final

    nodes = 15_000 if use in ("grad of the state too", "watched, backward") else 200  # bytes, where all is written out
    assert held(run) < B * H * 8 + nodes


@pytest.mark.parametrize(("hoist", "bytes_each"), [(False, 32_000), (True, 24_000)])
def test_a_step_of_an_lstm_keeps_its_input_its_gates_and_its_states_and_little_else(hoist: bool, bytes_each: int) -> None:
    cell = LSTM(16, 32, seed=0)
    assert held(lambda T: unroll(cell, np.zeros((T, 8, 16)), hoist=hoist)) < bytes_each


@each_kind
def test_under_no_grad_only_the_outputs_are_kept(name: str) -> None:
    cell, _ = pair(name)

    def run(T: int) -> object:
        with no_grad():
            return unroll(cell, np.zeros((T, 50, D)))

    assert held(run) < 50 * H * 8 + 100


def test_what_a_cell_remembers_goes_with_it() -> None:
    for kind in (LSTM, GRU):
        cell = kind(D, H)
        unroll(cell, np.ones((4, 2, D)))
        gone, before = weakref.ref(cell), len(cells)
        gc.disable()
        try:
            del cell
            assert gone() is None
            assert len(cells) == before - 1
        finally:
            gc.enable()


def test_many_calls_leave_nothing_behind() -> None:
    cells = [LSTM(D, H, seed=0), GRU(D, H, seed=0)]

    def run(times: int) -> None:
        for k in range(times):
            for cell in cells:
                hs, _ = unroll(cell, np.ones((2, 1 + k % 3, D)))
                hs.sum().backward()
                cell.zero_grad()

    run(10)
    gc.collect()
    tracemalloc.start()
    try:
        run(10)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        run(100)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
    finally:
        tracemalloc.stop()


@each_kind
def test_after_backward_parameters_are_written_to_without_a_look_at_all_objects(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, _ = pair(name)
    for _ in range(6):
        unroll(cell, np.ones((3, 2, D)))[0].sum().backward()
    monkeypatch.setattr("minigrad.guard.needed_by", lambda memory: pytest.fail("somebody still refers to a parameter"))
    SGD(cell.parameters(), lr=0.1).step()
