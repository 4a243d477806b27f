"""Random cells are the loop over their step in native code too: few programs, since each is compiled, in many runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from loops_oracle import assert_same, by_hand, seen
from minigrad.models import unroll
from natively import natively, why_not
from test_loops_oracle import ENDS, Case

PROGRAMS = ((0, "tensor"), (2, "pair"), (5, "dict"))
"""What a step computes, and the kind of its state."""


@pytest.fixture(autouse=True)
def native_code() -> Iterator[None]:
    with natively():
        yield


def case_of(seed: int) -> Case:
    """A random case of one of the programs: the way it is written, what is done with it, and its options are random."""
    case = Case(seed)
    number, case.start = PROGRAMS[seed % len(PROGRAMS)]
    case.end, case.how, case.frozen, case.wants_xs = ENDS[number], "float", "", True
    return case


@pytest.mark.parametrize("seed", range(60))
def test_a_random_cell_is_the_loop_over_its_step_in_native_code_too(seed: int) -> None:
    case = case_of(seed)
    assert_same(seen(lambda: case.run(unroll, True)), seen(lambda: case.run(by_hand, False)), 1e-12)


def test_most_of_them_are_native_code() -> None:
    found = [why_not(unroll, (case := case_of(seed)).cell(True)[0], case.xs(), **case.options) for seed in range(60)]
    assert found.count("") > 30
    assert not any(found)
