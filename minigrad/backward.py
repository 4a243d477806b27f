"""The backward sweep over arrays once more, as the one loop that a training step spends its time in.

`minigrad.graph.sweep` says what a backward pass is, for arrays and Tensors, for all leaves or chosen targets.
`Tensor.backward` needs one case of it: arrays, all leaves. `sweep_arrays` is that case, with the rules of
`minigrad.gradients.ArrayAccumulator` written out where a contribution is an array that fits as it is; every other one goes
there. The tests hold the two sweeps to the same results, bit for bit.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

import numpy as np

from minigrad.gradients import MADE, ArrayAccumulator, Gathered, added_up, own
from minigrad.graph import Gradient, Node, Operation, cycle

__all__ = ["sweep_arrays"]


def sweep_arrays(output: Node, gradient: Any) -> tuple[dict[Node, Gradient], list[Operation]]:
    """What ``sweep([(output, gradient)], ArrayAccumulator())`` returns: gradients by leaf, and the operations passed.

    Each gradient is an array of its own.
    """
    sums = ArrayAccumulator()
    totals, owned, send, array = sums.totals, sums.owned, sums.send, np.ndarray
    waiting = {output.serial: output}
    newest_first = [-output.serial]
    found: dict[Node, Gradient] = {}
    passed: list[Operation] = []

    send(output, gradient)
    while newest_first:
        newest = -heappop(newest_first)
        node = waiting.pop(newest)
        g = totals.pop(newest)
        is_new = newest in owned
        if type(g) is not array:
            is_new = type(g) in MADE
            g = added_up(g, node)
        if node.watch is not None:
            g = node.watch.show(node, g, sums)
            found[node] = own(g)
        if not isinstance(node, Operation):
            found[node] = g if is_new and node.watch is None else own(g)
            continue
        passed.append(node)
        inputs = node.sources
        match node.saved:
            case ():
                contributions = node.vjp(g)
            case (a,):
                contributions = node.vjp(g, a)
            case (a, b):
                contributions = node.vjp(g, a, b)
            case _:
                contributions = node.vjp(g, *node.needed())
        for position, contribution in enumerate(contributions):
            source = inputs[position]
            if contribution is None or source is None or not source.requires_grad:
                continue
            serial = source.serial
            if serial >= newest:
                raise cycle(node, source)
            total = totals.get(serial)
            if total is None:
                waiting[serial] = source
                heappush(newest_first, -serial)
            elif type(total) is Gathered:
                total.add(source, contribution)
                continue
            if type(contribution) is not array or contribution.shape != source.shape or contribution.dtype is not source.dtype:
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
    return found, passed
