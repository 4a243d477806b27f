"""Native loops are asked for, and say what they cannot do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

import minigrad as mg
from minigrad.errors import ArgumentError, MissingPackageError
from minigrad.loops.native import is_native, request


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = request.requested.copy()
    yield
    request.requested[:] = before


def test_loops_run_in_numpy_unless_native_code_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINIGRAD_NATIVE", raising=False)
    request.requested.clear()
    assert not is_native()


def test_without_llvmlite_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llvmlite", None)
    with pytest.raises(MissingPackageError, match=r"native needs llvmlite, .*pip install 'minigrad-bptt\[native\]'"):
        mg.native()
    mg.native(False)
    assert not is_native()


def test_the_environment_asks_for_it_with_one_and_with_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, expected in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("MINIGRAD_NATIVE", value)
        monkeypatch.setitem(sys.modules, "llvmlite", sys)
        request.requested.clear()
        assert is_native() is expected
    monkeypatch.setenv("MINIGRAD_NATIVE", "yes")
    request.requested.clear()
    with pytest.raises(ArgumentError, match="MINIGRAD_NATIVE: expected 0 or 1 in the environment, got 'yes'"):
        is_native()


def test_on_is_true_or_false() -> None:
    with pytest.raises(ArgumentError, match="native: on: expected True or False, got 'no'"):
        mg.native("no")  # type: ignore[arg-type]


def test_importing_minigrad_imports_no_llvmlite() -> None:
    code = "import sys, minigrad.loops.native.lower, minigrad.loops.native.source; assert 'llvmlite' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
