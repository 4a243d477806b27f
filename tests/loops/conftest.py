"""Both runners of compiled loops. Tests that hold for either say ``pytestmark = pytest.mark.usefixtures("runner")``.

Native code is compiled once for each structure of a step, forward and backward, which takes half a second. So tests of every
cell are for some of them in native code: each kind, and each way in which lowering one differs from lowering another.
"""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from loops_cases import CELLS
from sampling import EXHAUSTIVE

import minigrad as mg
from minigrad.loops.native import is_native

NATIVE_CELLS = {"rnn", "gated rnn", "gru, reset before", "gru, reset after", "lstm", "lstm, coupled, with peepholes"}
WITHOUT_LLVM = "loops as native code are NOT tested: llvmlite is not installed, or does not support this interpreter"


@pytest.fixture(params=["numpy", "native"])
def runner(request: pytest.FixtureRequest) -> Iterator[str]:
    """What runs compiled loops: NumPy, or native code where there is llvmlite."""
    if request.param == "native":
        pytest.importorskip("llvmlite", reason=WITHOUT_LLVM)
        importlib.import_module("natively")  # which says where what is compiled is kept
    before = is_native()
    mg.native(request.param == "native")
    yield request.param
    mg.native(before)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "few_natively: at most two cases of a test in native code; all with EXHAUSTIVE=1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Leave out the cells that are not tried in native code, and most cases of tests that are about other things."""
    native = [item for item in items if hasattr(item, "callspec") and item.callspec.params.get("runner") == "native"]
    left_out = {item for item in native if item.callspec.params.get("name") in {*CELLS} - NATIVE_CELLS}
    tables = defaultdict(list)
    for item in native:
        if item not in left_out and item.get_closest_marker("few_natively") and not EXHAUSTIVE:
            tables[item.nodeid.split("[")[0]].append(item)
    for table in tables.values():
        left_out |= {*table} - {table[len(table) // 3], table[len(table) * 2 // 3]}
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]
