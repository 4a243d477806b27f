"""Which cases `make test` runs where there are very many: the same ones each time, and every n values meet in one."""

from itertools import combinations, product

import pytest
from sampling import EXHAUSTIVE, covering

CASES = [{"x": x, "y": y, "z": z} for x, y, z in product(range(7), "abc", (False, True)) if (x, z) != (3, True)]


@pytest.mark.parametrize(("n", "most"), [(1, 7), (2, 22), (3, len(CASES))])
def test_all_values_that_can_meet_do_in_few_cases(n: int, most: int) -> None:
    chosen = [CASES[place] for place in covering(CASES, n)]
    assert len(chosen) <= most
    wanted, met = ({meeting for case in cases for meeting in combinations(case.items(), n)} for cases in (CASES, chosen))
    assert met == wanted


@pytest.mark.sampled(1)
@pytest.mark.parametrize("x", range(3))
@pytest.mark.parametrize("y", range(5))
def test_a_marked_test_is_run_for_some_of_its_cases(x: int, y: int, request: pytest.FixtureRequest) -> None:
    run = [item for item in request.session.items if item.nodeid.split("[")[0] == request.node.nodeid.split("[")[0]]
    assert len(run) <= (15 if EXHAUSTIVE else 5)
