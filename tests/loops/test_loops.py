"""A loop over time that is recorded as one operation has the results and the gradients of the loop recorded step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from loops_cases import (
    CELLS,
    Pass,
    assert_close,
    bits,
    both,
    both_directions,
    each_kind,
    every_cell,
    hoisted_or_not,
    is_compiled,
    pair,
    starts,
)
from minigrad.models.head import Head
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of

from minigrad import Tensor, gradcheck, no_grad, unbind
from minigrad.backward import sweep_arrays
from minigrad.gradients import ArrayAccumulator
from minigrad.graph import sweep

pytestmark = pytest.mark.usefixtures("runner")

LOSSES = ("hs", "state", "c", "h", "hs and state")


@pytest.mark.sampled(2)
@every_cell
@hoisted_or_not
@both_directions
@pytest.mark.parametrize("wanted", [True, False], ids=["", "of parameters alone"])
@pytest.mark.parametrize("T", [1, 2, 5])
def test_results_and_gradients_are_those_of_the_loop_step_by_step(
    name: str, hoist: bool, reverse: bool, wanted: bool, T: int, runner: str
) -> None:
    for losses in LOSSES if runner == "numpy" else LOSSES[-1:]:
        options: dict[str, Any] = {"losses": losses, "wants_xs": wanted, "learnt": wanted}
        one, other = both(name, T=T, hoist=hoist, reverse=reverse, **options)
        assert_close(one.results(), other.results())
        assert_close(one.gradients(), other.gradients())


@pytest.mark.sampled(2)
@every_cell
@both_directions
@pytest.mark.parametrize("T", [64, 65, 130])
def test_so_they_are_where_one_chunk_of_steps_ends_and_the_next_begins(name: str, reverse: bool, T: int) -> None:
    one, other = both(name, T=T, reverse=reverse, hoist=T == 65)
    assert_close(one.results(), other.results())
    assert_close(one.gradients(), other.gradients())


@each_kind
@pytest.mark.parametrize("B", [0, 1, 7])
def test_so_they_are_for_any_number_of_examples(name: str, B: int) -> None:
    one, other = both(name, T=3, B=B)
    assert_close(one.results(), other.results())
    assert_close(one.gradients(), other.gradients())


@pytest.mark.sampled(2)
@every_cell
@hoisted_or_not
def test_in_float32_they_are_as_near_to_the_numbers_of_float64_as_the_steps_one_by_one(name: str, hoist: bool) -> None:
    """Sums in another order round otherwise, so both are held to what is right, in units of what was added up."""
    narrow = pair(name, dtype=np.float32)[0]
    exact = pair(name)[1]
    for parameter, rounded in zip(exact.parameters(), narrow.parameters(), strict=True):
        parameter.data = rounded.numpy().astype(np.float64)
    passes = *both(name, T=9, hoist=hoist, dtype=np.float32), Pass(exact, T=9, hoist=hoist, rounded=True)
    one, other, right = ({**each.results(), **each.gradients(), "loss": each.loss.numpy()} for each in passes)
    assert one["hs"].dtype == np.float32
    sizes = {key: np.abs(value).max() for key, value in right.items()} | {"loss": passes[-1].size}
    errors = [{key: np.abs(found[key] - value).max() / sizes[key] for key, value in right.items()} for found in (one, other)]
    assert np.mean(list(errors[0].values())) < 2 * np.mean(list(errors[1].values()))
    assert max(errors[0].values()) < 20 * np.finfo(np.float32).eps


@pytest.mark.sampled(2)
@each_kind
@pytest.mark.parametrize("learnt", [("xs",), ("start",), ("xs", "start"), ()])
def test_the_parts_of_the_initial_state_and_xs_are_learnt_or_not_each_by_itself(name: str, learnt: tuple[str, ...]) -> None:
    found = []
    for cell in pair(name):
        for parameter in cell.parameters():
            parameter.requires_grad = not learnt
        xs = Tensor(np.random.default_rng(0).standard_normal((5, 2, 3)), requires_grad="xs" in learnt)
        start = starts(cell, 2, learnt=False)
        parts_of(start)[0].requires_grad = "start" in learnt
        hs, final = unroll(cell, xs, start)
        sum((part.tanh().sum() for part in parts_of(final)), (hs * hs).sum()).backward()
        leaves = {**dict(cell.named_parameters()), "xs": xs, "start": parts_of(start)[0]}
        found.append({key: leaf.grad for key, leaf in leaves.items()})
    assert_close(*found)
    assert any(g is not None for g in found[0].values())


@pytest.mark.parametrize("name", ["rnn, concatenated", "gru, reset before", "lstm, coupled, with peepholes"])
@both_directions
def test_the_gradients_are_those_of_finite_differences(name: str, reverse: bool) -> None:
    cell, _ = pair(name)

    def results(xs: Tensor, *start: Tensor) -> Any:
        hs, final = unroll(cell, xs, type(like)(*start) if len(start) > 1 else start[0], reverse=reverse)
        return [hs * hs, *parts_of(final)]

    like = starts(cell, 2)
    xs = Tensor(np.random.default_rng(0).standard_normal((6, 2, 3)), requires_grad=True)
    assert gradcheck(results, [xs, *parts_of(like)], parameters=cell, full=True)


@every_cell
def test_both_sweeps_through_a_loop_find_the_same_gradients(name: str) -> None:
    one = Pass(pair(name)[0], T=7)
    found, _ = sweep_arrays(one.loss.node, np.ones(()))
    reached = sweep([(one.loss.node, np.ones(()))], ArrayAccumulator())
    expected = {node: g for node, g in reached if node.is_leaf}
    assert found.keys() == expected.keys()
    assert_close({str(n.serial): g for n, g in found.items()}, {str(n.serial): g for n, g in expected.items()})


@pytest.mark.sampled(2)
@each_kind
@hoisted_or_not
def test_under_no_grad_nothing_is_recorded_and_the_numbers_are_the_same(name: str, hoist: bool) -> None:
    cell, other = pair(name)
    recorded = Pass(cell, T=70, hoist=hoist)
    with no_grad():
        found = Pass(cell, T=70, hoist=hoist)
        step_by_step = Pass(other, T=70, hoist=hoist)
    assert found.hs.node is None
    assert [part.node for part in parts_of(found.final)] == [None] * len(cell.state_names)
    assert not found.loss.requires_grad
    assert bits(found.results()) == bits(recorded.results())
    assert_close(found.results(), step_by_step.results())


@each_kind
def test_what_needs_no_gradient_at_all_is_not_recorded(name: str) -> None:
    cell, _ = pair(name)
    for parameter in cell.parameters():
        parameter.requires_grad = False
    hs, final = unroll(cell, np.ones((5, 2, 3)))
    assert not any(result.requires_grad for result in (hs, *parts_of(final)))
    assert hs.node is None


@each_kind
def test_the_same_seed_gives_the_same_bits_twice(name: str) -> None:
    one, again = (Pass(pair(name)[0], T=66) for _ in range(2))
    assert bits(one.results()) == bits(again.results())
    assert bits(one.gradients()) == bits(again.gradients())


@each_kind
def test_one_cell_run_twice_in_a_graph_gets_the_sum_of_both_gradients(name: str) -> None:
    found = []
    for cell in pair(name):
        xs = Tensor(np.random.default_rng(0).standard_normal((6, 2, 3)), requires_grad=True)
        first, middle = unroll(cell, xs[:4], starts(cell, 2))
        rest, _ = unroll(cell, xs[4:], middle)
        back, _ = unroll(cell, xs, reverse=True)
        ((first * first).sum() + (rest * back[4:]).sum()).backward()
        found.append({"xs": xs.grad} | {key: parameter.grad for key, parameter in cell.named_parameters()})
    assert_close(*found)


@each_kind
def test_single_steps_of_hs_have_the_gradients_of_the_steps_one_by_one(name: str) -> None:
    found = []
    for each in both(name, T=6):
        hs = each.hs
        first, *_, last = unbind(hs)
        loss = (hs[2] * hs[3:5]).sum() + hs[[0, 0, 1], :, 1].sum() + (first * last).sum() + (hs[::2] ** 2).mean()
        loss.backward()
        found.append({key: leaf.grad for key, leaf in each.leaves().items()})
    assert_close(*found)


@each_kind
def test_an_upstream_gradient_of_any_layout_and_dtype_is_taken(name: str) -> None:
    numbers = np.random.default_rng(0).standard_normal((4, 2, 3))
    for upstream in (numbers.T, numbers.T.astype(np.float32), np.broadcast_to(numbers[:, 0, 0], (3, 2, 4))):
        found = []
        for each in both(name, T=3):
            each.hs.backward(upstream)
            found.append({key: leaf.grad for key, leaf in each.leaves().items()})
        assert_close(*found)


@pytest.mark.sampled(2)
@every_cell
@hoisted_or_not
def test_arrays_may_lie_in_memory_in_any_order(name: str, hoist: bool) -> None:
    found = []
    for k, cell in enumerate(pair(name)):
        for parameter in cell.parameters():
            parameter.data = np.asfortranarray(parameter.numpy()) if k == 0 else parameter.numpy()
        start = starts(cell, 2)
        for part in parts_of(start):
            part.data = np.asfortranarray(part.numpy())
        xs = np.random.default_rng(0).standard_normal((2, 3, 5))
        laid_out = Tensor(xs.transpose(2, 0, 1) if k == 0 else xs.transpose(2, 0, 1).copy(), requires_grad=True)
        hs, _ = unroll(cell, laid_out, start, hoist)
        (hs.transpose(1, 0, 2) * hs.numpy().transpose(1, 0, 2)).sum().backward()
        leaves = {"xs": laid_out, **dict(cell.named_parameters())}
        found.append({"hs": hs.numpy()} | {key: leaf.grad for key, leaf in leaves.items()})
    assert_close(*found)


@each_kind
def test_loops_one_on_top_of_the_other_have_the_gradients_of_the_steps_one_by_one(name: str) -> None:
    found = []
    for k in (0, 1):
        first, head = pair(name)[k], Head(4, 5, seed=0)
        second = pair("lstm")[k]
        second = type(second)(4, 4, seed=3)
        xs = Tensor(np.random.default_rng(0).standard_normal((6, 2, 3)), requires_grad=True)
        hs, _ = unroll(first, xs, hoist=True)
        tops, _ = unroll(second, hs, hoist=True, reverse=True)
        assert is_compiled(tops) == (k == 0)
        loss = head.loss(tops, np.arange(12).reshape(6, 2) % 5)
        loss.backward()
        parameters = [parameter for module in (first, second, head) for parameter in module.parameters()]
        found.append({str(number): leaf.grad for number, leaf in enumerate([xs, *parameters])})
    assert_close(*found)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_preactivations_saturate_without_a_warning(name: str, dtype: Any) -> None:
    for scale in (-1000.0, 1000.0):
        found = []
        for cell in pair(name, dtype=dtype):
            xs = Tensor(np.full((4, 2, 3), scale, dtype), requires_grad=True)
            hs, final = unroll(cell, xs)
            sum((part.sum() for part in parts_of(final)), hs.sum()).backward()
            leaves = {"xs": xs, **dict(cell.named_parameters())}
            found.append({"hs": hs.numpy()} | {key: leaf.grad for key, leaf in leaves.items()})
            with no_grad():
                unroll(cell, xs)
        assert all(np.isfinite(array).all() for array in found[0].values())
        assert_close(*found, tolerance=1e-5 if dtype is np.float32 else 1e-13)
