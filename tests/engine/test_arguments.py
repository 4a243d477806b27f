"""What functions ask of their arguments, and what they say of others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, gradcheck
from minigrad.arguments import count, fitting_memory, named_one_of, real, several, text
from minigrad.errors import ArgumentError, DTypeError, ShapeError


@pytest.mark.parametrize(("value", "found"), [(0, 0), (np.int8(3), 3), (2**63 - 1, 2**63 - 1)])
def test_a_count_is_an_integer_of_python_or_numpy(value: Any, found: int) -> None:
    assert count(value, "f") == found
    assert type(count(value, "f")) is int


@pytest.mark.parametrize(("value", "found"), [(2, 2.0), (np.float32(0.5), 0.5), (math.inf, math.inf), (-0.5, -0.5)])
def test_a_real_number_may_be_infinite(value: Any, found: float) -> None:
    assert real(value, "f") == found
    assert type(real(value, "f")) is float


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: count(True, "f: n"), ArgumentError, r"^f: n: expected an integer ≥ 0, got True$"),
        (lambda: count(1.0, "f: n"), ArgumentError, r"^f: n: expected an integer ≥ 0, got 1\.0$"),
        (lambda: count(1, "f: n", 2), ArgumentError, r"^f: n: expected an integer ≥ 2, got 1$"),
        (lambda: count(3, "f: n", 0, 2), ArgumentError, r"^f: n: expected an integer ≥ 0 and ≤ 2, got 3$"),
        (lambda: count(2**63, "f: n"), ArgumentError, r"^f: n: expected an integer ≥ 0 and ≤ 9223372036854775807, got 92"),
        (lambda: real(True, "f: x"), ArgumentError, r"^f: x: expected a number, got True$"),
        (lambda: real(math.nan, "f: x"), ArgumentError, r"^f: x: expected a number, got nan$"),
        (lambda: real(-1, "f: x", 0), ArgumentError, r"^f: x: expected a number ≥ 0, got -1$"),
        (lambda: real(10**400, "f: x"), ArgumentError, r"^f: x: expected a number, got 1000000"),
        (lambda: named_one_of(np.ones(2), "f: how", ["a"]), ArgumentError, r"^f: how: expected one of 'a', got array"),
        (lambda: named_one_of("b", "f: how", {"a": 1}), ArgumentError, r"^f: how: expected one of 'a', got 'b'$"),
        (lambda: text(b"a", "f: name"), ArgumentError, r"^f: name: expected a string, got b'a'$"),
        (lambda: several(3, "f", "a list of numbers"), DTypeError, r"^f: expected a list of numbers, got int$"),
        (lambda: several(np.array(3), "f", "a list of numbers"), DTypeError, r"^f: expected a list of numbers, got ndarray$"),
    ],
)
def test_what_does_not_do_is_refused_with_what_would(call: Callable[[], Any], kind: type, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_is_wrong_beside_memory_keeps_its_own_words() -> None:
    with pytest.raises(ShapeError, match="three axes"), fitting_memory("f"):
        raise ShapeError("three axes")
    with pytest.raises(ArgumentError, match="f do not fit into memory"), fitting_memory("f"):
        raise MemoryError


def test_a_seed_that_once_crashed_the_interpreter_is_refused() -> None:
    x = Tensor([0.5], requires_grad=True)
    with pytest.raises(ArgumentError, match="gradcheck: seed_value: expected an integer ≥ 0, got matrix"):
        gradcheck(lambda x: x * x, x, seed_value=np.ones((2, 3)).view(np.matrix))
