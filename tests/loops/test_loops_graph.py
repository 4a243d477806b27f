"""Whoever looks at a loop finds the operations of every step, as if they had been recorded one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import (
    Pass,
    assert_close,
    bits,
    both,
    both_directions,
    each_kind,
    every_cell,
    hoisted_or_not,
    pair,
    signature,
)
from minigrad.models import unroll
from minigrad.models.states import parts_of
from minigrad.viz import draw
from one_step_cells import B, D, Of, T, new, random

from minigrad import edge_gradients, grad, walk
from minigrad.errors import GraphError


def plain_graph(name: str, **options: Any) -> bool:
    """Whether nothing in the first step is a constant of both, which the plain path joins without recording it."""
    return name != "rnn, concatenated" or options.get("learnt", True) or options.get("wants_xs", True)


@every_cell
@hoisted_or_not
@both_directions
@pytest.mark.parametrize("T", [1, 2, 4])
def test_the_graph_is_that_of_the_steps_one_by_one(name: str, hoist: bool, reverse: bool, T: int) -> None:
    for wants_xs, learnt in ((True, True), (False, True), (False, False)):
        if plain_graph(name, learnt=learnt, wants_xs=wants_xs):
            one, other = both(name, T=T, hoist=hoist, reverse=reverse, wants_xs=wants_xs, learnt=learnt)
            assert signature(walk(one.loss)) == signature(walk(other.loss))


STEPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "the old state has another name": (lambda c, x, h: new(c, x, h.named("old")), {}),
    "xs have another name": (lambda c, x, h: new(c, x.named("input"), h), {}),
    "numbers without a slope": (lambda c, x, h: new(c, x, h) * (h > 0) + np.floor(h), {}),
    "masks with names": (lambda c, x, h: new(c, x, h) * (h > 0).named("m") + np.floor(h).named("whole"), {}),
    "some examples end": (new, {"lengths": [5, 3]}),
    "windows": (new, {"truncated": 2}),
    "windows that end where each example does": (new, {"lengths": [5, 3], "truncated": 1}),
    "windows that end with all examples at once": (
        new, {"mask": np.array([[1, 1], [0, 0], [1, 1], [1, 1], [1, 1]], bool), "truncated": 2},
    ),
    "a step that no example takes": (new, {"mask": np.array([[1, 1], [0, 0], [1, 0], [0, 0], [1, 1]], bool)}),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_graph_of_a_users_step_is_that_of_the_steps_one_by_one(name: str, reverse: bool) -> None:
    (step, options), found = STEPS[name], []
    for pure in (True, False):
        cell = Of(step)
        if not pure:
            cell.step = cell.step  # a promise is made by a class
        hs, _ = unroll(cell, random(T, B, D), reverse=reverse, **options)
        nodes = [(node.name, node.time, node.label) for node in walk(hs)]
        (g,) = grad((hs * hs).sum(), [cell.U], create_graph=True)
        (g * g).sum().backward()
        found.append((nodes, cell.W.grad))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1])


def test_a_name_that_is_given_when_the_steps_were_written_out_is_seen() -> None:
    hs, h = unroll(Of(new), random(T, B, D))
    for result in (hs, h):
        assert walk(result)[-1].name is None
        result.name = "mine"
        assert walk(result)[-1].name == "mine"


@every_cell
@hoisted_or_not
@both_directions
def test_it_is_the_same_graph_after_backward(name: str, hoist: bool, reverse: bool) -> None:
    one, other = both(name, T=3, hoist=hoist, reverse=reverse)
    one.loss.backward()
    other.loss.backward()
    assert signature(walk(one.loss)) == signature(walk(other.loss))


@every_cell
@hoisted_or_not
@both_directions
def test_every_operation_has_what_it_would_have_kept(name: str, hoist: bool, reverse: bool) -> None:
    for wants_xs in (False, True):
        one, other = both(name, T=3, hoist=hoist, reverse=reverse, wants_xs=wants_xs)
        for node, expected in zip(walk(one.loss), walk(other.loss), strict=True):
            found, wanted = getattr(node, "saved", ()), getattr(expected, "saved", ())
            for value, array in zip(found, wanted, strict=True):
                assert value is not None or array is None
                if isinstance(array, np.ndarray):
                    np.testing.assert_allclose(value, array, rtol=1e-13, atol=1e-15)
                    assert value.shape == array.shape


@each_kind
@both_directions
def test_every_result_has_its_part_of_the_graph(name: str, reverse: bool) -> None:
    one, other = both(name, T=3, reverse=reverse)
    for found, expected in zip((one.hs, *parts_of(one.final)), (other.hs, *parts_of(other.final)), strict=True):
        assert signature(walk(found)) == signature(walk(expected))
        assert (found.name, found.node.time, found.node.scope) == (expected.name, expected.node.time, expected.node.scope)
        assert repr(found.node) == repr(expected.node)


@each_kind
@pytest.mark.parametrize("backward_first", [False, True])
def test_whichever_result_is_looked_at_first_each_operation_is_written_out_once(name: str, backward_first: bool) -> None:
    number = len(parts_of(pair(name)[0].initial_state(1)))
    for order in itertools.permutations(range(number + 1)):
        one = Pass(pair(name)[0], T=3)
        if backward_first:
            one.loss.backward()
        results = [one.hs, *parts_of(one.final)]
        parts = [walk(results[k]) for k in order]
        whole = walk(one.loss)
        assert whole == walk(one.loss)
        assert set().union(*parts) <= set(whole)
        assert signature(whole) == signature(walk(Pass(pair(name)[1], T=3).loss))


@every_cell
@both_directions
def test_serial_numbers_grow_from_inputs_to_consumers(name: str, reverse: bool) -> None:
    first = Pass(pair(name)[0], T=4, reverse=reverse)
    one = Pass(first.cell, T=4, reverse=reverse)
    for nodes in (walk(one.loss), walk(first.loss, one.loss)):
        serials = [node.serial for node in nodes]
        assert len(set(serials)) == len(serials)
        for node in nodes:
            assert all(source is None or source.serial < node.serial for source in node.inputs)


LOOKS: dict[str, Callable[[Pass], object]] = {
    "at the loss": lambda each: walk(each.loss),
    "at hs": lambda each: walk(each.hs),
    "at the first part of the state": lambda each: walk(parts_of(each.final)[0]),
    "at the last part of the state": lambda each: walk(parts_of(each.final)[-1]),
    "at a picture": lambda each: draw(each.loss),
    "at the gradients of edges": lambda each: edge_gradients(each.loss),
    "at what an operation kept": lambda each: [getattr(node, "saved", None) for node in walk(each.loss)],
    "twice": lambda each: (walk(each.loss), edge_gradients(each.loss), walk(each.hs)),
}


@pytest.mark.sampled(1)
@each_kind
@pytest.mark.parametrize("look", LOOKS)
def test_looking_changes_no_bit_of_a_later_backward(name: str, look: str) -> None:
    for options in ({}, {"losses": "hs", "reverse": True}, {"losses": "h", "hoist": True}):
        seen, unseen = (Pass(pair(name)[0], T=5, **options) for _ in range(2))
        LOOKS[look](seen)
        assert bits(seen.gradients()) == bits(unseen.gradients())


@each_kind
@pytest.mark.parametrize("look", [None, *LOOKS])
def test_a_second_backward_says_that_the_graph_was_released(name: str, look: str | None) -> None:
    one = Pass(pair(name)[0], T=3)
    if look is not None:
        LOOKS[look](one)
    one.loss.backward()
    gradients = bits({key: leaf.grad for key, leaf in one.leaves().items()})
    total = one.hs.sum() + parts_of(one.final)[0].sum()
    for again in (one.hs.sum().backward, one.loss.backward, total.backward, lambda: grad(one.hs.sum(), one.xs)):
        with pytest.raises(GraphError, match="already released"):
            again()
    with pytest.raises(GraphError, match="already released"):
        edge_gradients(one.hs.sum())
    with pytest.raises(GraphError, match="already released"):
        grad(one.hs.sum(), one.xs, create_graph=True)
    assert bits({key: leaf.grad for key, leaf in one.leaves().items()}) == gradients
    assert len(walk(one.loss)) == len(walk(Pass(pair(name)[1], T=3).loss))


@every_cell
def test_with_retain_graph_a_second_backward_doubles_every_gradient_exactly(name: str) -> None:
    one = Pass(pair(name)[0], T=5)
    once = one.gradients(retain_graph=True)
    once = {key: g.copy() for key, g in once.items()}
    one.loss.backward()
    for key, leaf in one.leaves().items():
        np.testing.assert_array_equal(leaf.grad, 2.0 * once[key])


@every_cell
@both_directions
def test_the_gradients_of_edges_are_those_of_the_steps_one_by_one(name: str, reverse: bool) -> None:
    found = []
    for each in both(name, T=3, reverse=reverse):
        position = {node: k for k, node in enumerate(walk(each.loss))}
        edges = edge_gradients(each.loss)
        found.append({f"{position[node]} {k}": g for (node, k), g in edges.items()})
        sums: dict[Any, Any] = {}
        for (node, k), g in edges.items():
            sums[node.inputs[k]] = sums.get(node.inputs[k], 0.0) + g
        gradients = each.gradients()
        assert_close({key: sums[leaf.node] for key, leaf in each.leaves().items()}, gradients)
    assert_close(*found)


@each_kind
def test_the_gradients_of_edges_can_be_had_of_every_result(name: str) -> None:
    found = []
    for each in both(name, T=3):
        edges = {}
        for number, result in enumerate((each.hs, *parts_of(each.final))):
            position = {node: k for k, node in enumerate(walk(result))}
            upstream = np.random.default_rng(0).standard_normal(result.shape)
            of_result = edge_gradients(result, upstream).items()
            edges |= {f"{number} {position[node]} {k}": g for (node, k), g in of_result}
        found.append(edges)
    assert_close(*found)
