"""A loop is freed at once, keeps no more than it needs, and what it keeps cannot be written to."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rolling_cases import D, H, Pass, assert_close, each_kind, every_cell, pair, plain, rolled

from minigrad import Parameter, Tensor, concatenate, edge_gradients, grad, no_grad, walk
from minigrad.errors import MutationError, ShapeError
from models.cells import GRU, LSTM
from models.layers import unroll
from models.recurrent import Cell, parts_of, recorded

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


@each_kind
@pytest.mark.parametrize("use", USES)
def test_a_loop_that_is_dropped_is_freed_at_once_without_the_collector(name: str, use: str) -> None:
    cell, _ = pair(name)
    USES[use](Pass(cell, T=70))
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        each = Pass(cell, T=70)
        assert rolled(each.hs)
        USES[use](each)
        cell.zero_grad()
        del each
        garbage = gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert garbage == 0
    assert left < 3_000


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


@each_kind
@pytest.mark.parametrize("looked_at", [False, True])
def test_what_backward_needs_cannot_be_written_to_until_then(name: str, looked_at: bool) -> None:
    one = Pass(pair(name)[0])
    if looked_at:
        walk(one.loss)
    everything = {**one.leaves(), "hs": one.hs, **{f"final {k}": part for k, part in enumerate(parts_of(one.final))}}
    protected = [tensor for key, tensor in everything.items() if not key.startswith(("b", "start"))]
    for tensor in protected:
        with pytest.raises(MutationError):
            tensor.data[...] = 0.0
    with pytest.raises(MutationError), no_grad():
        protected[0] -= 1.0
    if looked_at:
        edge_gradients(one.loss)
    assert_close(one.gradients(), Pass(pair(name)[1]).gradients())
    if looked_at:
        walk(one.loss)
    for tensor in everything.values():
        tensor.data[...] = 0.0


@each_kind
@pytest.mark.parametrize("looked_at", [False, True])
def test_parameters_can_be_written_to_when_the_results_are_dropped(name: str, looked_at: bool) -> None:
    one = Pass(pair(name)[0])
    cell, nodes = one.cell, walk(one.loss) if looked_at else []
    del one, nodes
    for parameter in cell.parameters():
        parameter.data[...] = 0.0


@each_kind
def test_the_initial_state_is_copied_so_that_it_may_be_written_to_at_once(name: str) -> None:
    one, other = (Pass(cell) for cell in pair(name))
    for part in parts_of(one.start):
        part.data[...] = np.nan
    assert_close(one.gradients(), other.gradients())


class OfTwoFactors(Cell[Tensor]):
    """A cell whose recurrent matrix is a product: a constant of every step that is computed anew at each call."""

    label = "of two factors"
    steps_alike = True

    def __init__(self) -> None:
        super().__init__(D, H)
        self.A, self.B, self.W = (Parameter(np.full(shape, 0.3), name="A") for shape in ((H, 1), (1, H), (H, D)))

    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    def project(self, x: Tensor) -> Tensor:
        return x @ self.W.T

    def recur(self, wx: Tensor, h: Tensor) -> Tensor:
        return (wx + h @ (self.A @ self.B).T).tanh()


def test_what_was_computed_of_parameters_alone_is_not_kept_by_the_cell() -> None:
    cells = [kind() for kind in (OfTwoFactors, plain(OfTwoFactors))]
    for _ in range(2):
        one, other = (Pass(cell) for cell in cells)
        assert rolled(one.hs)
        with pytest.raises(MutationError):
            cells[0].A.data[...] = 0.0
        assert_close(one.gradients(), other.gradients())
        del one, other
        for cell in cells:
            Pass(cell)
            cell.A.data[...] += 0.1


def test_under_no_grad_nothing_is_lent() -> None:
    cell, _ = pair("lstm")
    with no_grad():
        results = Pass(cell, wants_xs=False, learnt=False)
    for parameter in cell.parameters():
        parameter.data[...] = 0.0
    assert results.hs.numpy().any()


def test_parameters_can_be_written_to_when_a_step_failed_while_it_was_recorded() -> None:
    class Failing(Cell[Tensor]):
        label = "failing"
        steps_alike = True

        def __init__(self) -> None:
            super().__init__(D, H)
            self.W = Parameter(np.ones((H, D)), name="W")

        def initial_state(self, batch: int) -> Tensor:
            return self._zeros(batch, "h")

        def project(self, x: Tensor) -> Tensor:
            return x @ self.W.T

        def recur(self, wx: Tensor, h: Tensor) -> Tensor:
            return concatenate([wx.tanh() * h, h], axis=-1)

    cell = Failing()
    for _ in range(2):
        with pytest.raises(ShapeError, match="failing at time step 1"):
            unroll(cell, np.ones((4, 2, D)))
        cell.W.data[...] += 1.0
    assert (cell.W.numpy() == 3.0).all()


@every_cell
def test_writing_to_the_given_arrays_after_the_call_changes_nothing(name: str) -> None:
    found = []
    for k in (0, 1):
        cell = pair(name)[k]
        xs = np.random.default_rng(0).standard_normal((5, 2, D))
        start = tuple(np.full((2, H), 0.3) for _ in cell.state_names)
        hs, _ = unroll(cell, xs, start if len(start) > 1 else start[0])
        if k == 0:
            xs[...] = np.nan
            start[0][...] = np.nan
        (hs * hs).sum().backward()
        found.append({"hs": hs.numpy()} | {key: parameter.grad for key, parameter in cell.named_parameters()})
    assert_close(*found)


@each_kind
def test_hs_can_be_written_to_after_backward_unless_another_tensor_shows_it(name: str) -> None:
    one = Pass(pair(name)[0])
    cut = one.hs.detach()
    one.loss.backward()
    with pytest.raises(MutationError, match="shared with another tensor"):
        one.hs.data[0] = 0.0
    with pytest.raises(MutationError, match="shared with another tensor"):
        cut.data[0] = 0.0
    del cut
    finals = [part.numpy() for part in parts_of(one.final)]
    one.hs.data[...] = 7.0
    assert (one.hs.numpy() == 7.0).all()
    for part, before in zip(parts_of(one.final), finals, strict=True):
        np.testing.assert_array_equal(part.numpy(), before)


def test_what_a_cell_remembers_goes_with_it() -> None:
    for kind in (LSTM, GRU):
        cell = kind(D, H)
        unroll(cell, np.ones((4, 2, D)))
        gone, before = weakref.ref(cell), len(recorded)
        gc.disable()
        try:
            del cell
            assert gone() is None
            assert len(recorded) == before - 1
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
