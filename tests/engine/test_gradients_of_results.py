"""The gradient of a result is None unless it was asked for; whoever reads it is told why."""

import warnings

import numpy as np
import pytest
from minigrad.models import RNN, unroll

from minigrad import Tensor, no_grad


def test_reading_the_gradient_of_a_result_says_why_there_is_none() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2.0
    y.sum().backward()
    with pytest.warns(UserWarning, match=r"grad: this tensor is a result \(of 'mul'\).* call retain_grad\(\) on it before"):
        assert y.grad is None
    hs, _ = unroll(RNN(3, 4, seed=0), np.ones((5, 2, 3)))
    with pytest.warns(UserWarning, match="no backward pass keeps"):
        assert hs.grad is None


def test_where_it_was_asked_for_or_cannot_be_there_is_nothing_to_say() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert x.grad is None
        y = x * 2.0
        y.retain_grad()
        assert y.grad is None
        y.sum().backward()
        assert y.grad is not None
        assert Tensor([1.0]).grad is None
        assert (Tensor([1.0]) * 2.0).grad is None
        with no_grad():
            assert (x * 2.0).grad is None
