"""Whatever is given to anything public, an error is one of minigrad's own, and says more than NumPy or Python would."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models import interop
from public_calls import Call, engine, operations
from public_calls_models import cells, files, pictures, training, whole_models

import minigrad as mg
from minigrad import checkpoint, models, optim, viz
from minigrad.errors import MinigradError


def endless() -> list[Any]:
    nest: list[Any] = []
    nest.append(nest)
    return nest


MASKED = np.ma.masked_equal([[1.0, 2.0, 3.0]] * 2, 1.0)
MATRIX = np.ones((2, 3)).view(np.matrix)
BAD: dict[str, Callable[[], Any]] = {
    "None": lambda: None, "a word": lambda: "word", "an object": object, "True": lambda: True, "NaN": lambda: float("nan"),
    "−1": lambda: -1, "1.5": lambda: 1.5, "a ragged list": lambda: [1, [2, 3]], "a list that holds itself": endless,
    "masked": lambda: MASKED, "a matrix": lambda: MATRIX, "objects": lambda: np.array([object()]), "an empty dict": dict,
    "an empty array": lambda: np.zeros(0), "four axes": lambda: np.ones((2, 1, 3, 2)), "a function": lambda: lambda *_: None,
    "10³⁰": lambda: 10**30, "half of a pair": lambda: "\ud800",
}  # fmt: skip
CALLS: dict[str, Call] = {
    name: call
    for part in (operations, engine, cells, whole_models, training, files, pictures)
    for name, call in part()
}
ENDLESS_WORK = {("fit", "epochs", "10³⁰"), ("fit", "updates", "10³⁰"), ("fit", "updates", "NaN")}
"""What is right, and never ends."""

OF_THE_CALLER = {
    ("scan", "f"), ("scan", "init"), ("Function", "f"), ("Function", "v"), ("fit", "loss"), ("evaluate", "loss"),
    ("fit", "optimizer"), ("t pow", "b"),
}  # fmt: skip
"""Where a function of the caller's own is called, whose errors are the caller's (a matrix's ** is NumPy's)."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a word is a path too


@pytest.mark.parametrize("name", CALLS)
def test_the_right_call_is_right(name: str) -> None:
    function, arguments = CALLS[name]
    function(**{argument: make() for argument, make in arguments.items()})


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_is_taken_or_refused_in_our_own_words(name: str) -> None:
    function, arguments = CALLS[name]
    for argument in arguments:
        for what, bad in BAD.items():
            if (name, argument, what) in ENDLESS_WORK:
                continue
            spoilt = {key: make() for key, make in arguments.items()} | {argument: bad()}
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    function(**spoilt)
                except Exception as error:
                    if not isinstance(error, MinigradError) and (name, argument) not in OF_THE_CALLER:
                        raise AssertionError(f"{name}({argument}={what}): {type(error).__name__}: {error}") from error


def test_a_foreign_error_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALLS, "int", (int, {"x": lambda: 1}))
    with pytest.raises(AssertionError, match=r"int\(x=None\): TypeError"):
        test_a_bad_argument_is_taken_or_refused_in_our_own_words("int")


NO_FUNCTIONS = {
    "Derivation", "Gradients", "Module", "LRScheduler", "Optimizer", "Part", "Picture", "below", "current_place",
    "enable_grad", "is_recording", "no_grad", "compare", "LSTMState",
}  # fmt: skip
"""What is never called by a user with arguments of his own."""


def test_everything_public_is_tried() -> None:
    tried = {word for name in CALLS for word in name.replace(".", " ").split()}
    for package in (mg, models, optim, checkpoint, viz, interop):
        for name in package.__all__:
            found = getattr(package, name)
            if callable(found) and not (inspect.isclass(found) and issubclass(found, Exception)):
                assert name in tried | NO_FUNCTIONS, f"{package.__name__}.{name} has no call in public_calls"
