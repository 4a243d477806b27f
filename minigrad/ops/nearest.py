"""For NumPy functions that are not recorded: the nearest thing that is."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["INSTEAD", "nearest"]

INSTEAD = {
    "np.add.at": "y[i] (indexing adds its gradients up by itself)",
    "np.add.outer": "x[:, None] + y",
    "np.add.reduceat": "np.stack([np.sum(part) for part in np.split(x, [2])])",
    "np.append": "np.concatenate([x, y])",
    "np.arccosh": "np.log(x + np.sqrt(x ** 2 - 1))",
    "np.arcsinh": "np.log(x + np.sqrt(x ** 2 + 1))",
    "np.arctanh": "np.log((1 + x) / (1 - x)) / 2",
    "np.argwhere": "np.argwhere(x.numpy())",
    "np.array_split": "np.split(x, [2])",
    "np.atleast_2d": "x[None, :]",
    "np.average": "np.sum(w * x) / np.sum(w)",
    "np.broadcast_arrays": "np.broadcast_to(x, (2, n))",
    "np.cbrt": "np.sign(x) * np.abs(x) ** (1 / 3)",
    "np.column_stack": "np.stack([x, y], axis=1)",
    "np.cosh": "(np.exp(x) + np.exp(-x)) / 2",
    "np.cumprod": "np.exp(np.cumsum(np.log(x)))",
    "np.cumulative_sum": "np.cumsum(x)",
    "np.diag": "A[np.arange(n), np.arange(n)]",
    "np.diagonal": "A[np.arange(n), np.arange(n)]",
    "np.diff": "x[1:] - x[:-1]",
    "np.divmod": "np.floor(x / y), x - y * np.floor(x / y)",
    "np.dstack": "np.stack([A, B], axis=2)",
    "np.exp2": "2.0 ** x",
    "np.fabs": "np.abs(x)",
    "np.flatnonzero": "np.flatnonzero(x.numpy())",
    "np.fliplr": "np.flip(A, 1)",
    "np.flipud": "np.flip(A, 0)",
    "np.float_power": "np.power(x, y)",
    "np.floor_divide": "np.floor(x / y)",
    "np.fmax": "np.maximum(x, y)",
    "np.fmin": "np.minimum(x, y)",
    "np.fmod": "x - y * np.trunc(x / y)",
    "np.heaviside": "np.where(x > 0, 1.0, 0.0)",
    "np.hypot": "np.sqrt(x ** 2 + y ** 2)",
    "np.inner": "np.dot(A, B.T)",
    "np.isin": "np.isin(x.numpy(), y.numpy())",
    "np.ldexp": "x * 2.0 ** y",
    "np.log10": "np.log(x) / np.log(10.0)",
    "np.log2": "np.log(x) / np.log(2.0)",
    "np.matvec": "A @ x",
    "np.median": "x[np.argsort(x)[n // 2]]",
    "np.mod": "x - y * np.floor(x / y)",
    "np.multiply.outer": "np.outer(x, y)",
    "np.multiply.reduce": "np.exp(np.sum(np.log(x), axis=0))",
    "np.nan_to_num": "np.where(np.isfinite(x), x, 0.0)",
    "np.nanmean": "np.mean(x[np.isfinite(x)])",
    "np.nansum": "np.sum(np.where(np.isnan(x), 0.0, x))",
    "np.nonzero": "np.nonzero(x.numpy())",
    "np.ptp": "np.max(x) - np.min(x)",
    "np.reciprocal": "1.0 / x",
    "np.remainder": "x - y * np.floor(x / y)",
    "np.roll": "np.concatenate([x[-1:], x[:-1]])",
    "np.searchsorted": "np.searchsorted(x.numpy(), y.numpy())",
    "np.select": "np.where(c, x, y)",
    "np.sinh": "(np.exp(x) - np.exp(-x)) / 2",
    "np.sort": "np.take_along_axis(x, np.argsort(x), axis=-1)",
    "np.subtract.outer": "x[:, None] - y",
    "np.tan": "np.sin(x) / np.cos(x)",
    "np.tensordot": "np.einsum('ij,jk->ik', A, B)",
    "np.trace": "np.sum(A[np.arange(n), np.arange(n)])",
    "np.tril": "A * np.tril(np.ones(A.shape))",
    "np.triu": "A * np.triu(np.ones(A.shape))",
    "np.unique": "np.unique(x.numpy())",
    "np.vecdot": "np.sum(x * y, axis=-1)",
    "np.vecmat": "x @ A",
}
"""For each function an expression in recorded ones that says the same, for the commonest use: x and y are vectors of n
entries (positive ones under a logarithm), A and B matrices, w weights, c a condition."""


def nearest(name: str, known: Collection[str]) -> str:
    """Advice for someone who called ``name``: one expression or one name, not the whole list.

    >>> nearest("np.tan", [])
    'write np.sin(x) / np.cos(x), or use t.numpy() if no gradient is wanted'
    >>> nearest("np.nanmax", ["np.max", "np.min"])
    'the nearest that is: np.max; or use t.numpy() if no gradient is wanted'
    """
    if name in INSTEAD:
        return f"write {INSTEAD[name]}, or use t.numpy() if no gradient is wanted"
    bare = "np." + name.rpartition(".")[2].removeprefix("nan")
    if bare in known:
        return f"the nearest that is: {bare}; or use t.numpy() if no gradient is wanted"
    return "compute it from the functions of minigrad, or use t.numpy() if no gradient is wanted"
