"""Names that people bring along from PyTorch and JAX and do not find here: what to write instead.

>>> import minigrad as mg
>>> mg.zeros(2, 3).expand(4, 2, 3)
Traceback (most recent call last):
AttributeError: 'Tensor' object has no attribute 'expand'; write x.broadcast_to(shape)
>>> mg.randn(2, 3)
Traceback (most recent call last):
AttributeError: module 'minigrad' has no attribute 'randn'; write Tensor(array), the array made by NumPy
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

__all__ = ["NamesElsewhere", "of_module"]


def _by_name(rows: Mapping[str, str]) -> dict[str, str]:
    return {name: instead for names, instead in rows.items() for name in names.split()}


_TENSOR = _by_name({
    "cpu cuda to device is_cuda": "there is no device; leave it out (x.astype(dtype) changes the dtype)",
    "double float half long int bool type type_as": "write x.astype(np.float64), or another dtype of NumPy's",
    "contiguous is_contiguous": "arrays are NumPy's; leave it out",
    "mm bmm mv addmm": "write x @ y",
    "t": "write x.T",
    "expand expand_as": "write x.broadcast_to(shape)",
    "chunk": "write x.split(number, axis)",
    "narrow select index_select": "write x[i:j], or x.take(indices, axis)",
    "masked_fill": "write minigrad.where(mask, value, x)",
    "masked_select": "write x[mask]",
    "add sub mul div pow neg": "write the operator: x + y, x - y, x * y, x / y, x ** y, -x",
    "eq ne lt le gt ge": "write the comparison: x == y, x < y",
    "clamp": "write x.clip(low, high)",
    "grad_fn": "what computed it is x.node, and minigrad.walk(x) lists all before it",
    "topk sort argsort": "write np.argsort(x), and x.take_along_axis(indices, axis)",
    (
        "abs_ add_ addcdiv_ addcmul_ addmm_ bernoulli_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ copy_ cos_ detach_ div_ "
        "divide_ erf_ exp_ expm1_ exponential_ fill_ fill_diagonal_ floor_ fmod_ index_add_ index_copy_ index_fill_ "
        "index_put_ lerp_ log_ log1p_ logit_ masked_fill_ masked_scatter_ mul_ multiply_ nan_to_num_ neg_ negative_ "
        "normal_ pow_ random_ reciprocal_ relu_ remainder_ resize_ round_ rsqrt_ scatter_ scatter_add_ set_ sigmoid_ "
        "sign_ sin_ softmax_ sqrt_ square_ squeeze_ sub_ subtract_ swapaxes_ t_ tanh_ transpose_ tril_ triu_ true_divide_ "
        "trunc_ uniform_ unsqueeze_ zero_"
    ): "tensors are not changed in place: write x = x + 1, and for a parameter p.data[...] = values",
})  # fmt: skip

_MODULE = _by_name({
    "nn functional utils": (
        "Module, Parameter and functions such as cross_entropy are minigrad's own; cells, layers, Head and fit are in "
        "minigrad.models, clip_grad_norm_ in minigrad.optim"
    ),
    "randn rand randint normal arange linspace eye full zeros_like ones_like full_like empty from_numpy as_tensor array": (
        "write Tensor(array), the array made by NumPy"
    ),
    "manual_seed random": "there is no global generator: pass seed= or rng= where numbers are drawn",
    "save load": "write minigrad.checkpoint.save_checkpoint(path, model), load_checkpoint",
    "value_and_grad jit vmap": "write y, pullback = minigrad.vjp(f, x); loops over time are compiled by scan and unroll",
    "inference_mode set_grad_enabled": "write with no_grad():",
    "device cuda": "there is no device; leave it out",
    "mm bmm": "write x @ y",
    "clamp": "write minigrad.clip(x, low, high)",
    "cross_entropy_loss CrossEntropyLoss NLLLoss": "write minigrad.cross_entropy(logits, targets)",
    "MSELoss": "write minigrad.mse_loss(outputs, targets)",
    "BCELoss BCEWithLogitsLoss binary_cross_entropy": "write minigrad.binary_cross_entropy_with_logits(logits, targets)",
})  # fmt: skip


class _Elsewhere:
    """A name that a Tensor does not have: reading it is the error that Python raises, with what to write instead.

    It stands in the class, which therefore needs no ``__getattr__``: where there is one, Python 3.11 takes six times as long
    for every attribute that there is, and an operation reads ten of them.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, instance: Any, kind: type) -> Any:
        if instance is None:
            raise AttributeError(f"type object {kind.__name__!r} has no attribute {self.name!r}", name=self.name, obj=kind)
        said = f"{kind.__name__!r} object has no attribute {self.name!r}; {self.instead}"
        raise AttributeError(said, name=self.name, obj=instance)


class NamesElsewhere:
    """What a Tensor inherits: the names that it does not have."""

    __slots__ = ()

    @override
    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name not in _TENSOR]


for _name, _instead in _TENSOR.items():
    setattr(NamesElsewhere, _name, _Elsewhere(_name, _instead))


def of_module(name: str) -> str:
    """What to say of an attribute that the module ``minigrad`` does not have."""
    floors = "networks and their training are in minigrad.models, pictures in minigrad.viz, optimisers in minigrad.optim"
    instead = "" if name.startswith("_") else _MODULE.get(name, floors)
    return f"module 'minigrad' has no attribute {name!r}{instead and '; ' + instead}"
