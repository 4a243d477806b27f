"""`unroll`: the graph it leaves (time, scope, names), its states, and cells of one's own."""

import gc
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from by_hand_cases import VARIANTS, Variant
from cell_cases import CLASSES, cell_of
from minigrad.models.cells import GRU, LSTM, RNN, LSTMState
from minigrad.models.layers import unroll
from minigrad.models.states import with_parts
from own_cells import Leaky, Queue, WithMemory

from minigrad import Tensor, no_grad, tanh, walk
from minigrad.errors import ArgumentError, ShapeError

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
every_cell = pytest.mark.parametrize("cell_class", CLASSES.values(), ids=CLASSES)

NAMES = {
    "rnn": ["h", "x"],
    "gated_rnn": ["g", "s", "s̃", "x"],
    "gru": ["c̃", "h", "r", "u", "x"],
    "lstm": ["c", "f", "g", "h", "i", "o", "x"],
}


@every_variant
def test_every_operation_of_a_step_knows_its_time_and_cell_and_every_gate_its_name(variant: Variant) -> None:
    cell = cell_of(variant, 3, 4)
    nodes = walk(unroll(cell, np.ones((5, 2, 3)))[0])
    for t in range(1, 6):
        named = sorted(node.name for node in nodes if node.time == t and node.name)
        assert named == NAMES[cell.label]
    parameters = [node.name for node in nodes if node.is_leaf and node.requires_grad]
    assert sorted(parameters) == sorted(name for name, _ in cell.named_parameters())
    operations = [node for node in nodes if not node.is_leaf and node.label != "stack"]
    assert {node.time for node in operations} == {1, 2, 3, 4, 5}
    assert {node.scope for node in operations} == {(cell.label,)}


@every_cell
def test_the_initial_state_stands_at_time_0_under_its_names(cell_class: Any) -> None:
    cell = cell_class(3, 4)
    template = cell.initial_state(2)
    given = with_parts(template, [Tensor(np.ones((2, 4)), requires_grad=True) for _ in cell.state_names])
    arrays = with_parts(template, [np.ones((2, 4)) for _ in cell.state_names])
    for state in (None, given, arrays):
        nodes = walk(unroll(cell, np.ones((5, 2, 3)), state)[0])
        assert sorted(node.name for node in nodes if node.time == 0) == sorted(cell.state_names)


def test_an_initial_state_that_was_computed_keeps_its_own_place_and_name() -> None:
    source = Tensor(np.ones((2, 4)), requires_grad=True, name="context")
    start = tanh(source).named("encoded")
    hs, _ = unroll(RNN(3, 4), np.ones((5, 2, 3)), start)
    assert (start.node.name, start.node.time) == ("encoded", None)
    hs.sum().backward()
    assert source.grad is not None


def test_hoisted_there_is_one_projection_for_all_steps() -> None:
    cell = LSTM(3, 4)
    counts = [Counter(node.label for node in walk(unroll(cell, np.ones((5, 2, 3)), hoist=hoist)[0])) for hoist in (False, True)]
    assert (counts[0]["matmul"], counts[1]["matmul"]) == (10, 6)


@every_cell
def test_the_final_state_continues_the_sequence(cell_class: Any) -> None:
    cell = cell_class(3, 4, seed=0)
    xs = np.random.default_rng(1).normal(size=(7, 2, 3))
    whole, end = unroll(cell, xs)
    first, middle = unroll(cell, xs[:3])
    rest, end_of_rest = unroll(cell, xs[3:], middle)
    np.testing.assert_array_equal(np.concatenate([first.numpy(), rest.numpy()]), whole.numpy())
    assert type(end) is type(end_of_rest)
    assert type(end) is (LSTMState if cell_class is LSTM else Tensor)


@every_cell
def test_row_b_of_the_batch_is_example_b_alone(cell_class: Any) -> None:
    cell = cell_class(3, 4, seed=0)
    xs = np.random.default_rng(1).normal(size=(6, 3, 3))
    together = unroll(cell, xs)[0].numpy()
    for b in range(3):
        np.testing.assert_allclose(unroll(cell, xs[:, b : b + 1])[0].numpy()[:, 0], together[:, b], rtol=1e-13)


@every_cell
@pytest.mark.parametrize("hoist", [False, True])
def test_no_steps_and_no_examples_are_defined(cell_class: Any, hoist: bool) -> None:
    cell = cell_class(3, 4)
    hs, final = unroll(cell, np.ones((0, 2, 3)), hoist=hoist)
    assert hs.shape == (0, 2, 4)
    last = final[-1] if isinstance(final, tuple) else final
    np.testing.assert_array_equal(last.numpy(), np.zeros((2, 4)))
    hs, _ = unroll(cell, np.ones((3, 0, 3)), hoist=hoist)
    assert hs.shape == (3, 0, 4)
    hs.sum().backward()
    assert all((g == 0).all() for g in cell.by_gate(grad=True).values())


@pytest.mark.parametrize("cell_class", [Leaky, WithMemory, Queue])
def test_a_users_cell_with_step_and_initial_state_is_unrolled(cell_class: Any) -> None:
    cell = cell_class()
    xs = np.random.default_rng(2).normal(size=(4, 2, 2))
    hs, final = unroll(cell, xs)
    state, expected = cell.initial_state(2), []
    for x in xs:
        state = cell.step(Tensor(x), state)
        expected.append((state[-1] if isinstance(state, tuple) else state).numpy())
    np.testing.assert_array_equal(hs.numpy(), expected)
    last = final[-1] if isinstance(final, tuple) else final
    assert last.node.time == 4
    assert last.node.scope == (cell_class.__name__,)
    assert unroll(cell, xs[:0])[0].shape == (0, 2, 3)
    with pytest.raises(ArgumentError, match=f"unroll {cell_class.__name__}: hoist=True needs a cell with project"):
        unroll(cell, xs, hoist=True)
    with pytest.raises(ShapeError, match=rf"unroll {cell_class.__name__}: xs must be \(T, B, D\), time first, got \(4,\)"):
        unroll(cell, np.ones(4))


def test_three_thousand_steps_need_no_recursion_and_are_freed_without_the_collector() -> None:
    cell = GRU(2, 3, seed=0)
    xs = np.random.default_rng(3).normal(size=(3_000, 1, 2))
    unroll(cell, xs[:2])[0].sum().backward()  # how a step of this form is run is found out once
    cell.zero_grad()
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        hs, _ = unroll(cell, xs)
        hs.sum().backward()
        del hs, _
        cell.zero_grad()
        left, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left - before < (peak - before) / 20


def test_under_no_grad_nothing_is_recorded() -> None:
    with no_grad():
        hs, (c, h) = unroll(LSTM(3, 4), np.ones((5, 2, 3)))
    assert not any(result.requires_grad for result in (hs, c, h))
    assert walk(h) == walk(c) == walk(hs) == []
