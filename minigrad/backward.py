"""What `Tensor.backward` does: the sweep over arrays as one loop, and what stays of it in the leaves.

`minigrad.graph.sweep` says what a backward pass is, for arrays and Tensors, for all leaves or chosen targets.
`Tensor.backward` needs one case of it: arrays, all leaves. `sweep_arrays` is that case, with the rules of
`minigrad.gradients.ArrayAccumulator` written out where a contribution is an array that fits as it is; every other one goes
there. The tests hold the two sweeps to the same results, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush, heappushpop
from itertools import chain, repeat
from operator import attrgetter
from typing import Any, Final

import numpy as np

from minigrad.atomic import set_all
from minigrad.errors import DTypeError, GraphError, ShapeError
from minigrad.gradients import MADE, WAITING, ArrayAccumulator, Cut, Gathered, Piece, added_up, own
from minigrad.graph import INPUTS, Gradient, Node, Operation, cycle, sweep
from minigrad.guard import Array
from minigrad.locks import lock
from minigrad.scope import end_trace, state
from minigrad.values import Values, numbers_of

__all__ = ["backward", "commit", "release", "seed", "sweep_arrays"]

SERIAL: Final = attrgetter("serial")

commit_lock = lock()


def sweep_arrays(output: Node, gradient: Any) -> tuple[dict[Node, Gradient], list[Operation]]:
    """What ``sweep([(output, gradient)], ArrayAccumulator())`` comes to: gradients by leaf, and the operations passed.

    There are gradients of all leaves, and of results that are watched. Each is an array of its own.
    """
    sums = ArrayAccumulator()
    totals, owned, send, array = sums.totals, sums.owned, sums.send, np.ndarray
    waiting: dict[int, Node] = {}
    leaves: list[Node] = []  # a leaf sends nothing on: nobody waits for it but who wants to see it
    newest_first: list[int] = []
    latest = 0  # the last that was sent something for the first time: nearly always the next, and in no heap yet
    found: dict[Node, Gradient] = {}
    passed: list[Operation] = []

    send(output, gradient)
    if output.is_leaf and output.watch is None:
        leaves.append(output)
    else:
        latest = -output.serial
        waiting[output.serial] = output
    while latest or newest_first:
        newest = -(heappushpop(newest_first, latest) if latest else heappop(newest_first))
        latest = 0
        node = waiting.pop(newest)
        total = totals.pop(newest)
        g = total if type(total) is array else added_up(total, node)
        if node.watch is not None:
            g = node.watch.show(node, g, sums)
            found[node] = own(g)
        if not isinstance(node, Operation):
            continue
        passed.append(node)
        saved = node.saved
        match saved:
            case ():
                contributions = node.vjp(g)
            case (a,):
                contributions = node.vjp(g, a)
            case (a, b):
                contributions = node.vjp(g, a, b)
            case _:
                contributions = node.vjp(g, *(node.needed() if saved is None else saved))
        for source, contribution in zip(node.sources, contributions):  # noqa: B905 -- strict takes twice the time
            if contribution is None or source is None or not source.requires_grad:
                continue
            serial = source.serial
            if serial >= newest:
                raise cycle(node, source)
            total = totals.get(serial)
            if total is None:
                if source.is_leaf and source.watch is None:
                    leaves.append(source)
                else:
                    waiting[serial] = source
                    if latest:
                        heappush(newest_first, latest)
                    latest = -serial
            elif type(total) is Gathered:
                total.add(source, contribution)
                continue
            elif type(total) is Cut and type(contribution) is Piece and total.axis == contribution.span[0]:
                total.put(contribution)
                continue
            kind = type(contribution)
            if kind is not array and total is None and kind in WAITING:
                totals[serial] = contribution
            elif kind is not array or contribution.shape != source.shape or contribution.dtype is not source.dtype:
                send(source, contribution)
            elif total is None:
                totals[serial] = contribution
            elif type(total) is not array:
                send(source, contribution)
            elif serial in owned:
                total += contribution
                totals[serial] = total
            else:
                totals[serial] = total + contribution
                owned.add(serial)
    for leaf in sorted(leaves, key=SERIAL, reverse=True):
        total = totals[leaf.serial]
        is_new = leaf.serial in owned if type(total) is array else type(total) in MADE
        g = total if type(total) is array else added_up(total, leaf)
        found[leaf] = g if is_new else own(g)
    return found, passed


def backward(output: Values, gradient: Any, retain_graph: bool) -> None:
    """What `Tensor.backward` does, once its options are known to be some."""
    node, g = seed(output, gradient, "backward")
    if state.detector is None:
        found, passed = sweep_arrays(node, g)
    else:
        found, passed = _looked_at(node.written_out(), g, state.detector.array_accumulator())
    commit(found, () if retain_graph else passed)


def seed(output: Values, gradient: Any, where: str) -> tuple[Node, Array]:
    """The node of a tensor and the gradient a backward pass starts with there, checked."""
    end_trace(where)
    if output._node is None or not output._wants:
        raise GraphError(
            f"{where}: nothing was recorded for this tensor: no tensor it was computed from has requires_grad=True, "
            "or it was computed under no_grad(), or by a transform without create_graph=True"
        )
    if gradient is None:
        array = output._array
        if array.size != 1:
            raise GraphError(
                f"{where}: a tensor of shape {output.shape} has {output.size} entries; reduce it to one number with "
                ".sum() or .mean(), or pass the upstream gradient of that shape"
            )
        return output._node, np.full(array.shape, 1, array.dtype) if array.shape else np.array(1, array.dtype)
    values = np.array(gradient._array) if isinstance(gradient, Values) else numbers_of(gradient, None, f"{where}: gradient")
    if values.dtype.kind != "f" and not (isinstance(gradient, int | float) and values.dtype.kind in "iu"):
        raise DTypeError(f"{where}: expected an upstream gradient of floating-point numbers, got dtype {values.dtype}")
    if values.shape != output.shape:
        raise ShapeError(f"{where}: expected an upstream gradient of shape {output.shape}, got {values.shape}")
    return output._node, values.astype(output.dtype)


def _looked_at(output: Node, gradient: Any, sums: ArrayAccumulator) -> tuple[dict[Node, Gradient], list[Operation]]:
    """What `sweep_arrays` returns, by the sweep that goes through single steps, where every gradient is looked at."""
    found: dict[Node, Gradient] = {}
    passed: list[Operation] = []
    for node, g in sweep([(output, gradient)], sums, INPUTS):
        if isinstance(node, Operation):
            passed.append(node)
        if node.is_leaf or node.watch is not None:
            found[node] = own(g)
    return found, passed


def release(operations: Iterable[Operation]) -> None:
    """Free what the operations kept for their derivatives."""
    for operation in operations:
        operation.saved = None


def commit(found: dict[Node, Gradient], passed: Iterable[Operation]) -> None:
    """Add the gradients, each an array of its own, to the ``grad`` of leaves, and release the operations that were passed.

    All of it happens or, after an error or an interrupt, nothing.
    """
    releases = zip(passed, repeat("saved"), repeat(None))
    with commit_lock:
        totals: list[tuple[Any, str, Any]] = []
        for node, g in found.items():
            keeper: Any = node if node.is_leaf else node.watch
            if node.is_leaf or keeper.keep:
                totals.append((keeper, "grad", g if keeper.grad is None else keeper.grad + g))
        set_all(chain(totals, releases))
