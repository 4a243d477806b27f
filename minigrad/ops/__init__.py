"""The operations, each with its formula, its derivative and what it saves, side by side."""

from minigrad.operators import Operators
from minigrad.ops import indexing, nearest, protocol, shape
from minigrad.ops.arithmetic import add, divide, multiply, negative, power, square, subtract
from minigrad.ops.casting import astype, copy
from minigrad.ops.constants import argmax, argmin, compare
from minigrad.ops.cross_entropy import cross_entropy
from minigrad.ops.cumulative import cumsum
from minigrad.ops.dropout import dropout
from minigrad.ops.einsum import einsum
from minigrad.ops.extremes import max, min
from minigrad.ops.gathering import embedding, take, take_along_axis
from minigrad.ops.indexing import getitem
from minigrad.ops.joining import concatenate, hstack, split, stack, unbind, vstack
from minigrad.ops.kinks import absolute, clip, maximum, minimum, relu, where
from minigrad.ops.losses import binary_cross_entropy_with_logits, mse_loss
from minigrad.ops.matmul import matmul
from minigrad.ops.norms import norm, prod
from minigrad.ops.padding import flip, pad, repeat, tile
from minigrad.ops.products import dot, outer, vdot
from minigrad.ops.reductions import mean, std, sum, var
from minigrad.ops.shape import (
    broadcast_to,
    expand_dims,
    moveaxis,
    ravel,
    reshape,
    squeeze,
    swapaxes,
    transpose,
)
from minigrad.ops.softmax import log_softmax, logsumexp, softmax
from minigrad.ops.torch_names import cat, gather
from minigrad.ops.transcendental import (
    cos,
    exp,
    expm1,
    log,
    log1p,
    logaddexp,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
)
from minigrad.registry import enter

abs = absolute
amax = max
amin = min
concat = concatenate
div = divide
mse = mse_loss
mul = multiply
neg = negative
pow = power
sub = subtract
true_divide = divide

__all__ = [
    "abs",
    "absolute",
    "add",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "astype",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "cat",
    "clip",
    "compare",
    "concat",
    "concatenate",
    "copy",
    "cos",
    "cross_entropy",
    "cumsum",
    "div",
    "divide",
    "dot",
    "dropout",
    "einsum",
    "embedding",
    "exp",
    "expand_dims",
    "expm1",
    "flip",
    "gather",
    "getitem",
    "hstack",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "moveaxis",
    "mse",
    "mse_loss",
    "mul",
    "multiply",
    "neg",
    "negative",
    "norm",
    "outer",
    "pad",
    "pow",
    "power",
    "prod",
    "ravel",
    "relu",
    "repeat",
    "reshape",
    "sigmoid",
    "sin",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tanh",
    "tile",
    "transpose",
    "true_divide",
    "unbind",
    "var",
    "vdot",
    "vstack",
    "where",
]

enter({name: globals()[name] for name in __all__})
enter({"indexing": indexing, "nearest": nearest, "protocol": protocol, "shape": shape})

OPERATORS = {"__add__": add, "__sub__": subtract, "__mul__": multiply, "__truediv__": divide, "__matmul__": matmul}
for name, operation in OPERATORS.items():
    setattr(Operators, name, operation)
