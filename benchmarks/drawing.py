"""How long it takes to draw an LSTM of T steps, and whether that grows in proportion to T; torchviz beside it.

Run it with ``python -m benchmarks.drawing``. Seconds are of CPU time, from the recorded graph to the finished SVG.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from time import perf_counter, process_time
from typing import Any

import numpy as np
from minigrad.models import RecurrentLayers

from minigrad import Tensor, viz

__all__ = ["WAYS", "Drawn", "drawing", "loss_of", "table", "torchviz"]

LENGTHS = (20, 100, 500, 10_000)
WAYS: dict[str, dict[str, Any]] = {
    "gates, folded": {"detail": "gates", "fold": 2},
    "gates, every step": {"detail": "gates", "fold": False},
    "cells, every step": {"detail": "cells", "fold": False},
    "strip": {"detail": "strip"},
    "heat bar": {"detail": "heat bar"},
}
MOST_DRAWN_WHOLE = 500
PATIENCE = 120.0
D, H, B = 8, 8, 2

TORCHVIZ = """
import sys, torch, torchviz
T, B, D, H = map(int, sys.argv[1:])
cell, h, c = torch.nn.LSTMCell(D, H), torch.zeros(B, H), torch.zeros(B, H)
loss = 0.0
for t in range(T):
    h, c = cell(torch.randn(B, D), (h, c))
    loss = loss + (h * h).sum()
sys.stdout.buffer.write(torchviz.make_dot(loss, dict(cell.named_parameters())).pipe("svg"))
"""


@dataclass(frozen=True)
class Drawn:
    """One drawing: how it was made, of how many steps, the seconds it took and the bytes of the SVG; None if it never ended."""

    way: str
    T: int
    seconds: float | None
    size: int | None


def loss_of(T: int) -> Tensor:
    """An LSTM of T steps whose every output counts.

    >>> loss_of(3).shape
    ()
    """
    xs = np.random.default_rng(0).standard_normal((T, B, D))
    hs, _ = RecurrentLayers("lstm", D, H, seed=0)(xs)
    loss: Tensor = (hs * hs).sum()
    return loss


def drawing(lengths: Sequence[int] = LENGTHS) -> list[Drawn]:
    """Every way of drawing, for every length; of more than 500 steps only those that do not show each of them in full."""
    found = []
    for way, options in WAYS.items():
        for T in lengths:
            if T <= MOST_DRAWN_WHOLE or way in ("strip", "heat bar"):
                loss = loss_of(T)
                start = process_time()
                size = len(viz.draw(loss, **options).svg())
                found.append(Drawn(way, T, process_time() - start, size))
    return found


def torchviz(T: int, patience: float = PATIENCE) -> Drawn:
    """The same by torchviz and Graphviz in a process of its own, which is ended after so many seconds of the clock."""
    command = [sys.executable, "-c", TORCHVIZ, *map(str, (T, B, D, H))]
    start = perf_counter()
    try:
        run = subprocess.run(command, capture_output=True, timeout=patience, check=True)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return Drawn("torchviz", T, None, None)
    return Drawn("torchviz", T, perf_counter() - start, len(run.stdout))


def table(drawn: Sequence[Drawn]) -> str:
    """Seconds by way and length.

    >>> print(table([Drawn("strip", 20, 0.125, 5), Drawn("torchviz", 20, None, None)]))
    | seconds | T = 20 |
    | --- | --- |
    | strip | 0.12 |
    | torchviz | never ended |
    """
    lengths = sorted({one.T for one in drawn})
    lines = ["| seconds | " + " | ".join(f"T = {T}" for T in lengths) + " |", "| --- |" + " --- |" * len(lengths)]
    for way in dict.fromkeys(one.way for one in drawn):
        of_way = {one.T: one for one in drawn if one.way == way}
        lines.append("| " + " | ".join([way, *(_written(of_way.get(T)) for T in lengths)]) + " |")
    return "\n".join(lines)


def _written(one: Drawn | None) -> str:
    return "" if one is None else "never ended" if one.seconds is None else f"{one.seconds:.2f}"


def main() -> None:
    """Measure and print."""
    drawn = drawing()
    if find_spec("torchviz") is not None and which("dot") is not None:
        drawn += [torchviz(T) for T in (20, 50)]
    else:
        print("torchviz is not measured: it needs the packages torch and torchviz and Graphviz's program dot", file=sys.stderr)
    print(table(drawn))


if __name__ == "__main__":
    main()
