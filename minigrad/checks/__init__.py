"""Checks of gradients: autograd against finite differences, and derivations of yours against autograd."""

from minigrad.checks.comparison import Comparison, Difference, assert_gradients_close, compare_gradients
from minigrad.checks.finite_differences import gradcheck, gradgradcheck, numerical_gradient, numerical_gradients

__all__ = [
    "Comparison",
    "Difference",
    "assert_gradients_close",
    "compare_gradients",
    "gradcheck",
    "gradgradcheck",
    "numerical_gradient",
    "numerical_gradients",
]
