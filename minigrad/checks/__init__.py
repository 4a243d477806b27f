"""Checks of gradients: autograd against finite differences, and derivations of yours against autograd."""

from minigrad.checks.backward import assert_backward_correct, check_backward
from minigrad.checks.comparison import Comparison, Difference, assert_gradients_close, compare_gradients
from minigrad.checks.finding import Finding
from minigrad.checks.finite_differences import gradcheck, gradgradcheck, numerical_gradient, numerical_gradients
from minigrad.checks.report import Report, Stage

__all__ = [
    "Comparison",
    "Difference",
    "Finding",
    "Report",
    "Stage",
    "assert_backward_correct",
    "assert_gradients_close",
    "check_backward",
    "compare_gradients",
    "gradcheck",
    "gradgradcheck",
    "numerical_gradient",
    "numerical_gradients",
]
