"""What holds for every test: how many cases of a long table are run, and what the collector goes through.

A test under two parametrizations is run for every combination, one under three or more for so many of them that any two
values of two parameters meet in one. So it is for any number of parametrizations where it is marked ``sampled(2)``; marked
``sampled(1)`` it is run for so many that every value is in one: there the values do not act on one another. ``make
test-exhaustive``, which sets EXHAUSTIVE, runs them all.
"""

import gc
import signal
from collections import defaultdict
from typing import Any

import pytest
from sampling import EXHAUSTIVE, covering

FEW = 8
"""So many cases are all run."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known; have the collector look seldom: a whole worker's modules make each look long.

    What a shell runs in the background ignores Ctrl-C, which tests send to themselves.
    """
    gc.set_threshold(5000, 10, 20)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "sampled(n): so many cases that all n values that can meet do; all with EXHAUSTIVE=1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Leave out the cases that a sample does without."""
    if EXHAUSTIVE:
        return
    tables = defaultdict(list)
    for item in items:
        if hasattr(item, "callspec"):
            tables[item.nodeid.split("[")[0]].append(item)
    left_out = set()
    for table in tables.values():
        marker = table[0].get_closest_marker("sampled")
        if marker or (len(table) > FEW and len(values(table[0])) > 2):
            n = marker.args[0] if marker else 2
            left_out |= {*table} - {table[k] for k in covering([values(item) for item in table], n)}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def values(item: Any) -> dict[str, str]:
    """The value of each parametrization, by its id: what is given together is one value."""
    return {str(place): name for place, name in enumerate(item.callspec._idlist)}


def pytest_collection_finish() -> None:
    """Take what the collection of tests has made, for good, out of what the collector and `gc.get_objects` go through."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The same after each file: code that was compiled is so many objects that a collection takes a tenth of a second."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()
