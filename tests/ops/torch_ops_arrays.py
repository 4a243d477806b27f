"""Cases for torch_ops.py: reductions, other arrangements, indexing, softmax and losses."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_ops_entries import Case, numbers

Array = NDArray[Any]


def reductions() -> Iterator[Case]:
    """Sums, means and extremes over axes."""
    named: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "sum": ("sum", {}, {}),
        "mean": ("mean", {}, {}),
        "var": ("var", {}, {"correction": 0}),
        "var ddof": ("var", {"ddof": 1}, {"correction": 1}),
        "std": ("std", {}, {"correction": 0}),
        "std ddof": ("std", {"ddof": 1}, {"correction": 1}),
        "max": ("amax", {}, {}),
        "min": ("amin", {}, {}),
        "logsumexp": ("logsumexp", {}, {}),
    }
    shapes: tuple[tuple[tuple[int, ...], Any], ...] = (
        ((5,), None),
        ((5,), 0),
        ((3, 4), None),
        ((3, 4), 0),
        ((3, 4), -1),
        ((3, 4), (0, 1)),
        ((2, 3, 4), 1),
        ((2, 3, 4), (0, 2)),
        ((2, 3, 4), (-1, 0)),
        ((0, 3), 1),
    )
    for name, (theirs, our_options, their_options) in named.items():
        ours = name.split()[0]
        for shape, axis in shapes:
            for keepdims in (False, True):
                dims = tuple(range(len(shape))) if axis is None else axis
                yield Case(
                    f"{name} {shape} {axis} {keepdims}",
                    (numbers(*shape, phase=len(name)),),
                    lambda mg, x, n=ours, a=axis, k=keepdims, o=our_options: getattr(mg, n)(x, a, keepdims=k, **o),
                    lambda torch, x, n=theirs, d=dims, k=keepdims, o=their_options: getattr(torch, n)(x, dim=d, keepdim=k, **o),
                )
    tied = np.array([[1.0, 3.0, 3.0], [3.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    for name, theirs in (("max", "amax"), ("min", "amin")):
        for axis in (0, 1, (0, 1)):
            yield Case(
                f"{name} ties {axis}",
                (tied,),
                lambda mg, x, n=name, a=axis: getattr(mg, n)(x, a),
                lambda torch, x, n=theirs, a=axis: getattr(torch, n)(x, a),
            )
    yield Case("sum of nothing", (numbers(0, 3),), lambda mg, x: x.sum(axis=0), lambda torch, x: x.sum(0))
    yield Case("sum of a number", (numbers(),), lambda mg, x: x.sum(), lambda torch, x: x.sum())
    equal = np.full((2, 3), 0.5)
    yield Case("std of equal numbers", (equal,), lambda mg, x: x.std(axis=1), lambda torch, x: x.std(1, correction=0))
    for axis in (0, 1, -1):
        yield Case(
            f"cumsum {axis}", (numbers(3, 4),), lambda mg, x, a=axis: x.cumsum(a), lambda torch, x, a=axis: x.cumsum(a)
        )
    yield Case("cumsum None", (numbers(3, 4),), lambda mg, x: mg.cumsum(x), lambda torch, x: x.reshape(-1).cumsum(0))


def shaping() -> Iterator[Case]:
    """The same entries in another arrangement; squared, so that the arrangement shows in second derivatives too."""
    functions: dict[str, tuple[tuple[int, ...], Callable[..., Any], Callable[..., Any]]] = {
        "reshape": ((2, 6), lambda mg, x: x.reshape(3, 4), lambda torch, x: x.reshape(3, 4)),
        "reshape -1": ((2, 3, 2), lambda mg, x: x.reshape((-1, 2)), lambda torch, x: x.reshape(-1, 2)),
        "ravel": ((2, 3), lambda mg, x: mg.ravel(x), lambda torch, x: x.ravel()),
        "T": ((2, 3), lambda mg, x: x.T, lambda torch, x: x.T),
        "transpose": ((2, 3, 4), lambda mg, x: mg.transpose(x, (1, 2, 0)), lambda torch, x: x.permute(1, 2, 0)),
        "transpose all": ((2, 3, 4), lambda mg, x: mg.transpose(x), lambda torch, x: x.permute(2, 1, 0)),
        "swapaxes": ((2, 3, 4), lambda mg, x: mg.swapaxes(x, 0, -1), lambda torch, x: x.swapaxes(0, -1)),
        "moveaxis": ((2, 3, 4), lambda mg, x: mg.moveaxis(x, 0, -1), lambda torch, x: x.moveaxis(0, -1)),
        "moveaxis two": ((2, 3, 4), lambda mg, x: mg.moveaxis(x, [0, 1], [2, 0]), lambda torch, x: x.moveaxis((0, 1), (2, 0))),
        "squeeze": ((2, 1, 3, 1), lambda mg, x: mg.squeeze(x), lambda torch, x: x.squeeze()),
        "squeeze one": ((2, 1, 3, 1), lambda mg, x: mg.squeeze(x, -1), lambda torch, x: x.squeeze(-1)),
        "expand_dims": ((2, 3), lambda mg, x: mg.expand_dims(x, 1), lambda torch, x: x.unsqueeze(1)),
        "expand_dims last": ((2, 3), lambda mg, x: mg.expand_dims(x, -1), lambda torch, x: x.unsqueeze(-1)),
        "broadcast_to": ((2, 1), lambda mg, x: mg.broadcast_to(x, (4, 2, 3)), lambda torch, x: x.broadcast_to(4, 2, 3)),
        "broadcast_to number": ((), lambda mg, x: mg.broadcast_to(x, (2, 3)), lambda torch, x: x.broadcast_to(2, 3)),
        "flip": ((2, 3), lambda mg, x: mg.flip(x), lambda torch, x: x.flip(0, 1)),
        "flip one": ((2, 3), lambda mg, x: mg.flip(x, 1), lambda torch, x: x.flip(1)),
        "pad": ((2, 3), lambda mg, x: mg.pad(x, ((1, 0), (2, 1))), lambda torch, x: torch.nn.functional.pad(x, (2, 1, 1, 0))),
        "pad value": (
            (3,),
            lambda mg, x: mg.pad(x, 2, constant_values=1.5),
            lambda torch, x: torch.nn.functional.pad(x, (2, 2), value=1.5),
        ),
        "repeat": ((2, 3), lambda mg, x: mg.repeat(x, 2), lambda torch, x: x.repeat_interleave(2)),
        "repeat axis": ((2, 3), lambda mg, x: mg.repeat(x, 2, axis=1), lambda torch, x: x.repeat_interleave(2, 1)),
        "repeat counts": (
            (3, 2),
            lambda mg, x: mg.repeat(x, [2, 0, 3], axis=0),
            lambda torch, x: x.repeat_interleave(torch.tensor([2, 0, 3]), 0),
        ),
        "tile": ((2, 3), lambda mg, x: mg.tile(x, 2), lambda torch, x: torch.tile(x, (2,))),
        "tile axes": ((2, 3), lambda mg, x: mg.tile(x, (2, 1, 3)), lambda torch, x: torch.tile(x, (2, 1, 3))),
        "split": ((6, 2), lambda mg, x: mg.split(x, 3)[1], lambda torch, x: x.split(2)[1]),
        "split at": ((6, 2), lambda mg, x: mg.split(x, [1, 4])[1], lambda torch, x: x.tensor_split([1, 4])[1]),
        "split last axis": ((2, 6), lambda mg, x: mg.split(x, 3, axis=-1)[2], lambda torch, x: x.split(2, -1)[2]),
        "unbind": ((3, 2), lambda mg, x: mg.unbind(x)[1], lambda torch, x: x.unbind()[1]),
        "unbind axis": ((3, 2), lambda mg, x: mg.unbind(x, 1)[1], lambda torch, x: x.unbind(1)[1]),
        "copy": ((2, 3), lambda mg, x: mg.copy(x), lambda torch, x: x.clone()),
        "astype": ((2, 3), lambda mg, x: x.astype(np.float32), lambda torch, x: x.to(torch.float32)),
    }
    for name, (shape, ours, theirs) in functions.items():
        yield Case(
            name,
            (numbers(*shape),),
            lambda mg, x, f=ours: f(mg, x * x),
            lambda torch, x, f=theirs: f(torch, x * x),
        )
    joins: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any], Callable[..., Any]]] = {
        "concatenate": (((2, 3), (1, 3)), lambda mg, *xs: mg.concatenate(xs), lambda torch, *xs: torch.cat(xs)),
        "concatenate last": (((2, 3), (2, 1)), lambda mg, *xs: mg.concatenate(xs, -1), lambda torch, *xs: torch.cat(xs, -1)),
        "concatenate empty": (((0, 3), (2, 3)), lambda mg, *xs: mg.concatenate(xs), lambda torch, *xs: torch.cat(xs)),
        "concatenate None": (
            ((2, 3), (1, 2)),
            lambda mg, *xs: mg.concatenate(xs, axis=None),
            lambda torch, *xs: torch.cat([x.reshape(-1) for x in xs]),
        ),
        "stack": (((2, 3), (2, 3)), lambda mg, *xs: mg.stack(xs), lambda torch, *xs: torch.stack(xs)),
        "stack axis": (((2, 3), (2, 3)), lambda mg, *xs: mg.stack(xs, 1), lambda torch, *xs: torch.stack(xs, 1)),
        "stack last": (((2, 3), (2, 3)), lambda mg, *xs: mg.stack(xs, -1), lambda torch, *xs: torch.stack(xs, -1)),
        "stack numbers": (((), ()), lambda mg, *xs: mg.stack(xs), lambda torch, *xs: torch.stack(xs)),
        "vstack": (((3,), (2, 3)), lambda mg, *xs: mg.vstack(xs), lambda torch, *xs: torch.vstack(xs)),
        "hstack": (((2, 3), (2, 1)), lambda mg, *xs: mg.hstack(xs), lambda torch, *xs: torch.hstack(xs)),
        "hstack vectors": (((3,), (2,)), lambda mg, *xs: mg.hstack(xs), lambda torch, *xs: torch.hstack(xs)),
    }
    for name, (shapes, ours, theirs) in joins.items():
        yield Case(
            name,
            tuple(numbers(*shape, phase=k) for k, shape in enumerate(shapes)),
            lambda mg, *xs, f=ours: f(mg, *[x * x for x in xs]),
            lambda torch, *xs, f=theirs: f(torch, *[x * x for x in xs]),
        )


def indexing() -> Iterator[Case]:
    """Every kind of index, and look-ups by integer arrays."""
    rows, columns = np.array([0, 2, 2, -1]), np.array([1, 0, 0, 3])
    mask = numbers(3, 4) > 0
    indices: dict[str, Any] = {
        "int": 1,
        "negative int": -1,
        "ints": (1, 2),
        "slice": slice(1, None),
        "step": slice(None, None, 2),
        "column": (slice(None), 1),
        "columns": (slice(None), slice(1, 3)),
        "ellipsis": (..., 0),
        "newaxis": (None, slice(None), None, 2),
        "rows": rows,
        "pairs": (rows, columns),
        "outer pairs": (rows[:, None], columns),
        "rows of slice": (slice(1, None), columns),
        "mask": mask,
        "row mask": np.array([True, False, True]),
        "mask and int": (np.array([True, False, True]), 1),
        "matrix of rows": np.array([[0, 1], [2, 0]]),
        "nothing": slice(0, 0),
        "no rows": np.zeros(0, int),
    }
    for name, index in indices.items():
        yield Case(
            f"getitem {name}",
            (numbers(3, 4),),
            lambda mg, x, i=index: (x * x)[i],
            lambda torch, x, i=index: (x * x)[_torch_index(torch, i)],
        )
    yield Case("getitem reversed", (numbers(3, 4),), lambda mg, x: (x * x)[::-1], lambda torch, x: (x * x).flip(0))
    yield Case("take", (numbers(3, 4),), lambda mg, x: mg.take(x * x, rows, 0), lambda torch, x: (x * x)[torch.tensor(rows)])
    yield Case(
        "take columns",
        (numbers(3, 4),),
        lambda mg, x: mg.take(x * x, columns, -1),
        lambda torch, x: (x * x)[:, torch.tensor(columns)],
    )
    flat = np.array([[5, 0], [5, 11]])
    yield Case(
        "take flat",
        (numbers(3, 4),),
        lambda mg, x: mg.take(x * x, flat),
        lambda torch, x: torch.take(x * x, torch.tensor(flat)),
    )
    for axis, labels in ((1, [[1, 1], [0, 3], [2, 2]]), (0, [[0, 1, 2, 2]]), (-1, [[3], [3], [0]])):
        picked = np.array(labels)
        yield Case(
            f"take_along_axis {axis}",
            (numbers(3, 4),),
            lambda mg, x, i=picked, a=axis: mg.take_along_axis(x * x, i, a),
            lambda torch, x, i=picked, a=axis: torch.take_along_dim(x * x, torch.tensor(i), a),
        )
    for axis, entries in ((0, [[2, 0], [1, 1]]), (1, [[3, 3, 0, 1, 2], [0, 0, 0, 2, 2]]), (-1, [[0]])):
        yield Case(
            f"gather {axis} {np.shape(entries)}",
            (numbers(3, 4),),
            lambda mg, x, i=entries, a=axis: mg.gather(x * x, a, i),
            lambda torch, x, i=entries, a=axis: torch.gather(x * x, a, torch.tensor(i)),
        )
    for shape in ((), (4,), (2, 3), (0,)):
        ids = (np.arange(math.prod(shape)) * 2 % 5).reshape(shape)
        yield Case(
            f"embedding {shape}",
            (numbers(5, 3),),
            lambda mg, table, i=ids: mg.embedding(i, table * table),
            lambda torch, table, i=ids: torch.nn.functional.embedding(torch.tensor(i), table * table),
        )


def products_and_norms() -> Iterator[Case]:
    """The product of many numbers, some of them 0, and the length of vectors, one of them 0."""
    for zeros in ((), (1,), (1, 3)):
        x = numbers(5)
        x[list(zeros)] = 0
        yield Case(f"prod zeros at {zeros}", (x,), lambda mg, x: mg.prod(x), lambda torch, x: torch.prod(x))
    yield Case("prod axis", (numbers(3, 4),), lambda mg, x: mg.prod(x, 1), lambda torch, x: torch.prod(x, 1))
    for ord in (1, 2, np.inf):
        yield Case(
            f"norm {ord}",
            (numbers(3, 4),),
            lambda mg, x, p=ord: mg.norm(x, p, axis=1),
            lambda torch, x, p=ord: torch.linalg.vector_norm(x, p, dim=1),
        )
    yield Case("norm of all", (numbers(3, 4),), lambda mg, x: x.norm(), lambda torch, x: x.norm())


def _torch_index(torch: Any, index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_torch_index(torch, part) for part in index)
    return torch.tensor(index) if isinstance(index, np.ndarray) else index


def softmaxes() -> Iterator[Case]:
    """Softmax, its relatives, and the losses."""
    for name in ("softmax", "log_softmax"):
        for shape, axis in (((5,), 0), ((3, 4), -1), ((3, 4), 0), ((2, 3, 4), 1), ((1,), 0), ((2, 1), 1), ((0, 3), 1)):
            yield Case(
                f"{name} {shape} {axis}",
                (numbers(*shape),),
                lambda mg, x, n=name, a=axis: getattr(mg, n)(x, a),
                lambda torch, x, n=name, a=axis: getattr(torch, n)(x, a),
            )
        for number, scores in enumerate(LARGE):
            yield Case(
                f"{name} at extremes {number}",
                (scores,),
                lambda mg, x, n=name: getattr(mg, n)(x, -1),
                lambda torch, x, n=name: getattr(torch, n)(x, -1),
            )
    for number, scores in enumerate(LARGE):
        yield Case(
            f"logsumexp at extremes {number}",
            (scores,),
            lambda mg, x: mg.logsumexp(x, -1),
            lambda torch, x: torch.logsumexp(x, -1),
        )
    for reduction in ("mean", "sum", "none"):
        for shape in ((3, 4), (2, 3, 4), (4,), (1, 1)):
            labels = (np.arange(math.prod(shape[:-1])) * 3 % shape[-1]).reshape(shape[:-1])
            yield Case(
                f"cross_entropy {shape} {reduction}",
                (numbers(*shape),),
                lambda mg, x, t=labels, r=reduction: mg.cross_entropy(x, t, r),
                lambda torch, x, t=labels, r=reduction: _cross_entropy(torch, x, t, r),
            )
        some = np.array([[0, -100], [2, 1], [-100, 3]])
        yield Case(
            f"cross_entropy ignore {reduction}",
            (numbers(3, 2, 4),),
            lambda mg, x, t=some, r=reduction: mg.cross_entropy(x, t, r, ignore_index=-100),
            lambda torch, x, t=some, r=reduction: _cross_entropy(torch, x, t, r),
        )
        yield Case(
            f"cross_entropy mask {reduction}",
            (numbers(3, 2, 4),),
            lambda mg, x, t=some, r=reduction: mg.cross_entropy(x, t, r, mask=t >= 0),
            lambda torch, x, t=some, r=reduction: _cross_entropy(torch, x, t, r),
        )
        yield Case(
            f"mse_loss {reduction}",
            (numbers(3, 4), numbers(3, 4, phase=2)),
            lambda mg, a, b, r=reduction: mg.mse_loss(a, b, r),
            lambda torch, a, b, r=reduction: torch.nn.functional.mse_loss(a, b, reduction=r),
        )
        yield Case(
            f"binary_cross_entropy {reduction}",
            (numbers(3, 4), numbers(3, 4, phase=2, low=0.1, high=0.9)),
            lambda mg, x, t, r=reduction: mg.binary_cross_entropy_with_logits(x, t, r),
            lambda torch, x, t, r=reduction: torch.nn.functional.binary_cross_entropy_with_logits(x, t, reduction=r),
        )
        for smoothing, weighted in ((0.2, False), (0.0, True), (0.2, True), (1.0, True)):
            importance = np.array([0.5, 0.0, 2.0, 1.5]) if weighted else None
            yield Case(
                f"cross_entropy smoothing {smoothing} weighted {weighted} {reduction}",
                (numbers(3, 2, 4),),
                lambda mg, x, t=some, r=reduction, w=importance, e=smoothing: mg.cross_entropy(
                    x, t, r, ignore_index=-100, weight=w, label_smoothing=e
                ),
                lambda torch, x, t=some, r=reduction, w=importance, e=smoothing: _cross_entropy(
                    torch, x, t, r, weight=None if w is None else torch.tensor(w), label_smoothing=e
                ),
            )
    for number, scores in enumerate(LARGE):
        label = np.array(int(np.argmax(scores)))
        yield Case(
            f"cross_entropy at extremes {number}",
            (scores,),
            lambda mg, x, t=label: mg.cross_entropy(x, t),
            lambda torch, x, t=label: _cross_entropy(torch, x, t, "mean"),
        )
    large = np.array([-1e308, -1e3, -40.0, 0.0, 40.0, 1e3, 1e308])
    for target in (0.0, 1.0):
        yield Case(
            f"binary_cross_entropy at extremes {target}",
            (large,),
            lambda mg, x, t=target: mg.binary_cross_entropy_with_logits(x, np.full(7, t), "none"),
            lambda torch, x, t=target: torch.nn.functional.binary_cross_entropy_with_logits(
                x, torch.full((7,), t, dtype=x.dtype), reduction="none"
            ),
        )


LARGE = (
    np.array([1e3, -1e3, 0.0]),
    np.array([1e3, 1e3 - 1, 1e3 - 2]),
    np.array([-1e3, -1e3 - 1, -1e3 - 2]),
    np.array([1e308, 1e308, 0.0]),
    np.array([-np.inf, 0.0, 1.0]),
    np.array([-np.inf, -np.inf, 1.0]),
)


def _cross_entropy(torch: Any, x: Any, targets: Array, reduction: str, **options: Any) -> Any:
    """torch's, with our convention that the classes are on the last axis."""
    t = torch.tensor(targets)
    loss = torch.nn.functional.cross_entropy(x.reshape(-1, x.shape[-1]), t.reshape(-1), reduction=reduction, **options)
    return loss.reshape(t.shape) if reduction == "none" else loss
