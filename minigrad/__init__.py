"""Reverse-mode automatic differentiation on NumPy that knows time.

>>> import minigrad as mg
>>> x = mg.Tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
array([2., 4.])
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if not Path(__file__).with_name("models").is_dir():  # a checkout: its folders models/ and viz/ stand beside this one
    __path__.append(str(Path(__file__).parent.parent))

from minigrad import checkpoint, errors, graph, ops, optim
from minigrad.anomaly import detect_anomaly
from minigrad.bptt import contributions, gradient_by_time, state_jacobians
from minigrad.checks import (
    assert_backward_correct,
    assert_gradients_close,
    check_backward,
    compare_gradients,
    gradcheck,
    gradgradcheck,
)
from minigrad.creation import ones, zeros
from minigrad.derivation import Derivation, derive, explain
from minigrad.elsewhere import of_module
from minigrad.function import Function
from minigrad.graph import walk
from minigrad.jacobians import hessian, hvp, jacobian
from minigrad.loops import explain_loop
from minigrad.loops.native import native
from minigrad.memory import keep_freed_memory
from minigrad.module import Module, Parameter
from minigrad.ops import *  # noqa: F403
from minigrad.scan import scan
from minigrad.scope import current_place, enable_grad, is_recording, no_grad, scope, time_step
from minigrad.tensor import Tensor
from minigrad.tracebacks import hide_frames
from minigrad.transforms import edge_gradients, grad, jvp, vjp

__all__ = [
    "Function",
    "Derivation",
    "Module",
    "Parameter",
    "Tensor",
    "__version__",
    "assert_backward_correct",
    "assert_gradients_close",
    "check_backward",
    "checkpoint",
    "compare_gradients",
    "contributions",
    "current_place",
    "derive",
    "detect_anomaly",
    "edge_gradients",
    "enable_grad",
    "errors",
    "grad",
    "explain",
    "explain_loop",
    "gradcheck",
    "gradgradcheck",
    "gradient_by_time",
    "graph",
    "hessian",
    "hvp",
    "is_recording",
    "jacobian",
    "jvp",
    "native",
    "no_grad",
    "ones",
    "ops",
    "optim",
    "scan",
    "scope",
    "state_jacobians",
    "time_step",
    "vjp",
    "walk",
    "zeros",
]
__all__ += ops.__all__

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        raise AttributeError(of_module(name))


def __dir__() -> list[str]:
    """What is there for users: the names above, the two other floors, and the packages that have more than these names."""
    return [*__all__, "bptt", "checks", "derivation", "loops", "models", "viz"]


keep_freed_memory()
hide_frames(__name__)
