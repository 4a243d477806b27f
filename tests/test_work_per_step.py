"""A guard against slow-downs that times nothing: what one time step makes the engine do, counted."""

from __future__ import annotations

import pytest

from benchmarks.proxy import work

KNOWN = {"rnn": (4, 114), "gru": (20, 417), "gru_before": (21, 476), "lstm": (16, 333)}
"""Nodes, and calls of functions forward and backward. Lower them when the engine does with less."""


@pytest.mark.parametrize("cell", KNOWN)
def test_a_time_step_costs_no_more_nodes_and_calls_than_it_is_known_to(cell: str) -> None:
    found, (nodes, calls) = work(cell), KNOWN[cell]
    assert found.nodes <= nodes
    assert found.forward_calls + found.backward_calls <= 1.1 * calls  # other versions of Python and NumPy differ a little


def test_the_work_of_a_time_step_does_not_depend_on_the_number_of_steps() -> None:
    assert work("lstm", 10, 30) == work("lstm", 30, 50) == work("lstm", 10, 30)
