"""A loop, compiled and run: a step is traced, all steps are computed, and the results take their place in the graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from minigrad.loops.explain import note
from minigrad.loops.program import CannotCompile
from minigrad.loops.purity.prove import prove
from minigrad.loops.recorded import RecordedLoop
from minigrad.loops.running import Flats, Start
from minigrad.loops.trace import Flat
from minigrad.loops.traced import Memory, key_of, remember, traced_step
from minigrad.loops.windows import WINDOWS
from minigrad.loops.written import MASK
from minigrad.module import Parameter
from minigrad.scope import state
from minigrad.tensor import Tensor

__all__ = ["Memory", "execute"]


def execute(
    step: Flat,
    carry: Flats,
    xs: Flats,
    times: range,
    names: Sequence[str | None],
    *,
    what: str,
    key: Hashable,
    window: int | None = None,
    cut_names: Sequence[str | None] = (),
    memory: Memory | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """The loop ``carry, ys = step(carry, xs_t)`` over ``times``, compiled.

    Args:
        step: the step, on flat lists of Tensors; pure.
        carry: the initial carry.
        xs: what is taken row by row, each (T, …); row t − 1 belongs to time t.
        times: 1 … T, or T … 1.
        names: what the rows of the xs are called.
        what: what messages call the loop.
        key: what tells this step from others; a step is compared with itself at another time once for each.
        window: after how many steps each time the carry loses its history; None: never.
        cut_names: what the parts of the carry are called that have lost it.
        memory: what earlier calls with this step left there.

    Returns:
        The last carry; and the ys of all steps, each (T, …).

    Raises:
        CannotCompile: the loop has to be run plainly; nothing has happened.
        PurityError: the step is not pure.
    """
    for tensor in (*carry, *xs):
        if type(tensor) is not Tensor and type(tensor) is not Parameter:
            raise CannotCompile(f"a {type(tensor).__name__} may have operators of its own")
    traced, consts, place = None, None, None
    if memory is not None:
        place = key_of(carry, xs, names)
        traced = memory.get(place)
        consts = None if traced is None else traced.consts_now()
    is_known = traced is not None and consts is not None
    if traced is None or consts is None:
        traced = traced_step(step, carry, xs, times, names)
        consts = traced.first_consts()
    mask, ends = [xs[names.index(name)] if name in names else None for name in (MASK, WINDOWS)]
    window = len(times) if window is None else window
    start = Start(RecordedLoop, traced, consts, carry, xs, times, window, cut_names, mask, ends)
    run = start.run()
    if state.loops is not None:
        note(what, len(times), len(run.executable.body), native=run.executable.remark)
    if not is_known:
        prove(key, step, traced, consts, run, xs, times, names)
        if memory is not None:
            remember(memory, place, traced)
    return start.results(run)
