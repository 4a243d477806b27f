"""How much memory a training step takes at its peak, what the tape holds after the forward pass, and what is left."""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.contestant import Contestant, Taped
from benchmarks.problem import Problem, Size, make_problem

TAPE_SIZE = Size(T=400, B=8, D=32, H=32, N=32)
"""The LSTM whose tape is weighed, in float64."""


@dataclass(frozen=True)
class Tape:
    """Bytes for each time step of an LSTM: held after the forward pass, and still held when backward is done.

    The second is measured when the interpreter's free lists are full already, and without the gradients themselves.
    """

    kept: float
    left: float


def peak(kind: type[Contestant], problem: Problem) -> int | None:
    """The largest number of bytes in use during one training step, the contestant's own buffers included.

    None for contestants whose arrays are not NumPy's: tracemalloc does not see them.
    """
    if not kind.numpy_memory:
        return None
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kind(problem).step()
        _, top = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return top - before


def tape(kind: type[Taped], size: Size = TAPE_SIZE) -> Tape | None:
    """What the tape of an LSTM in float64 weighs; None where it cannot be seen on this machine."""
    contestant = kind(make_problem("lstm", size, "float64"))
    contestant.step()
    gc.collect()
    kept = growth(kind, contestant.forward)
    contestant.step()
    left = growth(kind, contestant.step)
    if kept is None or left is None:
        return None
    gradients = sum(gradient.nbytes for gradient in contestant.gradients().values()) if kind.numpy_memory else 0
    return Tape(kept / size.T, (left - gradients) / size.T)


def growth(kind: type[Contestant], run: Callable[[], object]) -> int | None:
    """How many more bytes are in use while the result of `run` is alive; None where it cannot be seen."""
    tracemalloc.start()
    try:
        before = in_use(kind)
        result = run()
        after = in_use(kind)
        del result
    finally:
        tracemalloc.stop()
    return None if before is None or after is None else after - before


def in_use(kind: type[Contestant]) -> int | None:
    """Bytes of Python objects and NumPy arrays, and for other frameworks those of the C library's heap as well."""
    traced, _ = tracemalloc.get_traced_memory()
    if kind.numpy_memory:
        return traced
    heap = c_heap()
    return None if heap is None else traced + heap


class Mallinfo2(ctypes.Structure):
    """glibc's account of its heap."""

    names = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    _fields_ = [(name, ctypes.c_size_t) for name in names]


def c_heap() -> int | None:
    """Bytes handed out by malloc and not freed, where the C library tells (glibc ≥ 2.33)."""
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)
