"""A guard against slow-downs that times nothing: what one time step makes the engine do, counted."""

from __future__ import annotations

import pytest

from benchmarks.ours import Minigrad, MinigradStepByStep, MinigradUserCell
from benchmarks.proxy import work

NODES = {"rnn": 4, "gru": 20, "gru_before": 21, "lstm": 16}
"""The operations of a step, whether they are recorded one by one or stand in the record of one step."""

STEP_BY_STEP = {"rnn": (6, 151), "gru": (21, 423), "gru_before": (22, 489), "lstm": (18, 363)}
"""Nodes, and calls of functions forward and backward, of a user's cell. Lower them when the engine does with less."""


@pytest.mark.parametrize("cell", STEP_BY_STEP)
def test_a_step_that_is_recorded_costs_no_more_nodes_and_calls_than_it_is_known_to(cell: str) -> None:
    found, (nodes, calls) = work(cell, contestant=MinigradStepByStep), STEP_BY_STEP[cell]
    assert found.nodes <= nodes
    assert found.forward_calls + found.backward_calls <= 1.1 * calls  # other versions of Python and NumPy differ a little


@pytest.mark.parametrize("cell", NODES)
def test_a_step_of_a_loop_that_is_recorded_as_one_costs_no_call_that_python_sees(cell: str) -> None:
    for contestant, nodes in ((Minigrad, NODES[cell]), (MinigradUserCell, STEP_BY_STEP[cell][0])):
        work(cell, contestant=contestant)  # traced and compiled
        assert work(cell, contestant=contestant) == (nodes, 0, 0)


@pytest.mark.parametrize("cell", NODES)
def test_every_64_steps_such_a_loop_prepares_the_next_with_few_calls(cell: str) -> None:
    found = work(cell, 100, 100 + 64 * 4)
    assert found.forward_calls + found.backward_calls < 2.5


def test_the_work_of_a_time_step_does_not_depend_on_the_number_of_steps() -> None:
    assert work("lstm", 10, 30) == work("lstm", 30, 50) == work("lstm", 10, 30)
    found = [work("lstm", short, short + 20, MinigradStepByStep) for short in (10, 30, 10)]
    assert found[0] == found[1] == found[2]
