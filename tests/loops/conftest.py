"""Both runners of compiled loops. Tests that hold for either say ``pytestmark = pytest.mark.usefixtures("runner")``.

Native code is compiled once for each structure of a step, forward and backward, which takes half a second. So tests of every
cell are for some of them in native code: each kind, and each way in which lowering one differs from lowering another.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from loops_cases import CELLS

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Leave out the cells that are not tried in native code."""
    config.hook.pytest_deselected(items=[item for item in items if _is_left_out(item)])
    items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: Any) -> bool:
    given = item.callspec.params if hasattr(item, "callspec") else {}
    return given.get("runner") == "native" and given.get("name") in {*CELLS} - NATIVE_CELLS
