"""For NumPy functions that are not recorded: the nearest thing that is."""

from __future__ import annotations

import difflib
from collections.abc import Collection

__all__ = ["INSTEAD", "nearest"]

INSTEAD = {
    "np.add.outer": "x[:, None] + y",
    "np.subtract.outer": "x[:, None] - y",
    "np.multiply.outer": "np.outer(x, y)",
    "np.multiply.reduce": "np.exp(np.sum(np.log(x), axis=0))",
    "np.append": "np.concatenate([x, y])",
    "np.arctan": "np.sin and np.cos",
    "np.array_split": "np.split(x, [2, 4])",
    "np.average": "np.sum(w * x) / np.sum(w)",
    "np.cbrt": "np.sign(x) * np.abs(x) ** (1 / 3)",
    "np.column_stack": "np.stack([x, y], axis=1)",
    "np.cosh": "(np.exp(x) + np.exp(-x)) / 2",
    "np.cumprod": "np.exp(np.cumsum(np.log(x)))",
    "np.diag": "x[np.arange(n), np.arange(n)]",
    "np.diagonal": "x[np.arange(n), np.arange(n)]",
    "np.diff": "x[1:] - x[:-1]",
    "np.dstack": "np.stack([x, y], axis=2)",
    "np.exp2": "2.0 ** x",
    "np.fabs": "np.abs(x)",
    "np.float_power": "np.power(x, 2)",
    "np.floor_divide": "np.floor(x / y)",
    "np.fmax": "np.maximum(x, y)",
    "np.fmin": "np.minimum(x, y)",
    "np.heaviside": "np.where(x > 0, 1.0, 0.0)",
    "np.hypot": "np.sqrt(x ** 2 + y ** 2)",
    "np.inner": "np.dot(x, y.T)",
    "np.linalg.norm": "np.sqrt(np.sum(x ** 2))",
    "np.log10": "np.log(x) / np.log(10.0)",
    "np.log2": "np.log(x) / np.log(2.0)",
    "np.matvec": "A @ x",
    "np.median": "np.mean(x)",
    "np.mod": "x - y * np.floor(x / y)",
    "np.nan_to_num": "np.where(np.isfinite(x), x, 0.0)",
    "np.nanmean": "np.mean(x[np.isfinite(x)])",
    "np.nansum": "np.sum(np.where(np.isnan(x), 0.0, x))",
    "np.prod": "np.exp(np.sum(np.log(x)))",
    "np.ptp": "np.max(x) - np.min(x)",
    "np.reciprocal": "1.0 / x",
    "np.remainder": "x - y * np.floor(x / y)",
    "np.roll": "np.concatenate([x[-1:], x[:-1]])",
    "np.sinh": "(np.exp(x) - np.exp(-x)) / 2",
    "np.sort": "np.take_along_axis(x, np.argsort(x))",
    "np.tan": "np.sin(x) / np.cos(x)",
    "np.tensordot": "np.einsum('ij,jk->ik', A, B)",
    "np.trace": "np.sum(x[np.arange(n), np.arange(n)])",
    "np.tril": "x * np.tril(np.ones(x.shape))",
    "np.triu": "x * np.triu(np.ones(x.shape))",
    "np.vecdot": "np.sum(x * y, axis=-1)",
}
"""NumPy's function and an expression that says the same, or nearly, in recorded ones. x and y are vectors (matrices for
functions of matrices), w weights, n the length of an axis."""


def nearest(name: str, known: Collection[str]) -> str:
    """Advice for someone who called ``name``: one expression or one name, not the whole list.

    >>> nearest("np.linalg.norm", [])
    'write np.sqrt(np.sum(x ** 2)), or use t.numpy() if no gradient is wanted'
    >>> nearest("np.cumulative_sum", ["np.cumsum", "np.sum", "np.tanh"])
    'the nearest that is: np.cumsum; or use t.numpy() if no gradient is wanted'
    """
    if name in INSTEAD:
        return f"write {INSTEAD[name]}, or use t.numpy() if no gradient is wanted"
    alike = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if alike:
        return f"the nearest that is: {alike[0]}; or use t.numpy() if no gradient is wanted"
    return "use the operators and functions of minigrad, or t.numpy() if no gradient is wanted"
