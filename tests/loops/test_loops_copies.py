"""Cells that were run are copied, pickled and saved as before, and run in several threads at once."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, bits, each_kind, is_compiled, pair

from minigrad.errors import GraphError

pytestmark = pytest.mark.usefixtures("runner")


@each_kind
def test_a_cell_that_was_run_is_copied_pickled_and_saved_as_before(name: str) -> None:
    cell, other = pair(name)
    before = pickle.dumps(cell)
    expected = Pass(cell)
    assert pickle.dumps(cell) == before
    twins = [copy.deepcopy(cell), copy.copy(cell), pickle.loads(before), type(cell)(D, H)]
    twins[-1].load_state_dict(cell.state_dict())
    for twin in twins:
        found = Pass(twin)
        assert is_compiled(found.hs)
        assert bits(found.results()) == bits(expected.results())
    twin = twins[0]
    for parameter in twin.parameters():
        parameter.data[...] = 0.25
    for parameter in other.parameters():
        parameter.data[...] = 0.25
    assert_close(Pass(twin).results(), Pass(other).results())
    assert bits(Pass(cell).results()) == bits(expected.results())


@each_kind
def test_results_of_a_loop_are_neither_pickled_nor_copied_with_their_history(name: str) -> None:
    for each in (Pass(cell, learnt=False) for cell in pair(name)):
        for make in (copy.deepcopy, pickle.dumps):
            with pytest.raises(GraphError, match="cannot be copied, pickled or plotted with its history"):
                make(each.hs)
        np.testing.assert_array_equal(copy.deepcopy(each.hs.detach()).numpy(), each.hs.numpy())


@each_kind
def test_two_threads_can_unroll_the_same_cell_at_the_same_time(name: str) -> None:
    cell, _ = pair(name)
    expected = [Pass(pair(name)[0], T=5 + k) for k in range(2)]
    wanted = [bits(each.results() | {"xs": each.gradients()["xs"]}) for each in expected]
    found: list[list[bool]] = [[], []]
    begin = threading.Barrier(2)

    def work(k: int) -> None:
        begin.wait()
        for _ in range(20):
            each = Pass(cell, T=5 + k)
            each.loss.backward()
            found[k].append(bits(each.results() | {"xs": each.xs.grad}) == wanted[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[True] * 20] * 2
