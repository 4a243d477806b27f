"""Reverse-mode automatic differentiation on NumPy that knows time.

>>> import minigrad as mg
>>> x = mg.Tensor([1.0, 2.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
array([2., 4.])
"""

from pathlib import Path

if not Path(__file__).with_name("models").is_dir():  # a checkout: its folders models/ and viz/ stand beside this one
    __path__.append(str(Path(__file__).parent.parent))

from minigrad import checkpoint, errors, graph, ops, optim
from minigrad.anomaly import detect_anomaly
from minigrad.bptt import contributions, gradient_by_time, state_jacobians
from minigrad.derivation import Derivation, derive, explain
from minigrad.graph import walk
from minigrad.jacobians import hessian, hvp, jacobian
from minigrad.memory import keep_freed_memory
from minigrad.module import Module, Parameter
from minigrad.ops import *  # noqa: F403
from minigrad.scan import scan
from minigrad.scope import current_place, enable_grad, is_recording, no_grad, scope, time_step
from minigrad.tensor import Tensor
from minigrad.testing import assert_gradients_close, compare_gradients, gradcheck, gradgradcheck
from minigrad.transforms import edge_gradients, grad, jvp, vjp

__all__ = [
    "Derivation",
    "Module",
    "Parameter",
    "Tensor",
    "assert_gradients_close",
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
    "gradcheck",
    "gradgradcheck",
    "gradient_by_time",
    "graph",
    "hessian",
    "hvp",
    "is_recording",
    "jacobian",
    "jvp",
    "no_grad",
    "ops",
    "optim",
    "scan",
    "scope",
    "state_jacobians",
    "time_step",
    "vjp",
    "walk",
]
__all__ += ops.__all__

keep_freed_memory()
