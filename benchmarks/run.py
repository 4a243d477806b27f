"""The measurements in order: agreement, time, memory, overhead, scaling."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from benchmarks.agreement import require_agreement
from benchmarks.by_hand import ByHand, PlainlyByHand
from benchmarks.contestant import Contestant, Taped
from benchmarks.memory import peak, tape
from benchmarks.ours import Minigrad, MinigradStepByStep, MinigradUserCell
from benchmarks.overhead import PLAIN, overhead
from benchmarks.problem import SIZES, make_problem
from benchmarks.results import Measurement, Results, describe_machine, describe_versions
from benchmarks.scaling import LENGTHS, scaling
from benchmarks.timing import race

OURS: tuple[type[Contestant], ...] = (ByHand, PlainlyByHand, Minigrad, MinigradUserCell, MinigradStepByStep)


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long."""

    cells: tuple[str, ...]
    sizes: tuple[str, ...]
    dtypes: tuple[str, ...]
    seconds: float
    """For each cell, size and dtype."""
    least_rounds: int = 5
    lengths: tuple[int, ...] = LENGTHS
    tapes_of_peers: bool = True


def measure(plan: Plan, kinds: Iterable[type[Contestant]], say: Callable[[str], None]) -> Results:
    """Run the plan; `kinds` are the contestants, the first being the one that the others are divided by."""
    kinds = list(kinds)
    results = Results(machine=describe_machine(), versions=describe_versions())
    for dtype in plan.dtypes:
        for size in plan.sizes:
            for cell in plan.cells:
                steps = measure_steps(plan, [kind for kind in kinds if cell in kind.cells], cell, size, dtype)
                results.steps += steps
                say(f"{dtype} {size:6} {cell:4} " + "  ".join(f"{s.contestant} {s.timing.ratio:.2f}" for s in steps))
    if any(kind is Minigrad for kind in kinds):
        for size in plan.sizes:
            results.inference += [measure_inference(plan, cell, size, plan.dtypes[0]) for cell in plan.cells]
    taped = [kind for kind in kinds if issubclass(kind, Taped) and kind.own_tape]
    if not plan.tapes_of_peers:
        taped = [kind for kind in taped if kind is Minigrad]
    for kind in taped:
        say(f"overhead and tape: {kind.name}")
        costs = {operation: overhead(kind, operation) for operation in PLAIN}
        if all(costs.values()):
            results.overhead[kind.name] = {name: asdict(cost) for name, cost in costs.items() if cost is not None}
        weight = tape(kind)
        if weight is not None:
            results.tape[kind.name] = asdict(weight)
    if plan.lengths:
        for kind in (Minigrad, MinigradStepByStep):
            say(f"scaling: {kind.name}, T from {plan.lengths[0]} to {plan.lengths[-1]}")
            results.scaling[kind.name] = [asdict(cost) for cost in scaling(kind, plan.lengths)]
    return results


def measure_steps(plan: Plan, kinds: list[type[Contestant]], cell: str, size: str, dtype: str) -> list[Measurement]:
    """One cell at one size: everyone's gradients compared, everyone timed, everyone's memory."""
    problem = make_problem(cell, SIZES[size], dtype)
    contestants = [kind(problem) for kind in kinds]
    differences = require_agreement(contestants, dtype)
    timings = race({c.name: c.step for c in contestants}, plan.seconds, plan.least_rounds)
    steps = [Measurement(cell, size, dtype, c.name, differences[c.name], timings[c.name]) for c in contestants]
    del contestants
    return [replace(step, peak_bytes=peak(kind, problem)) for step, kind in zip(steps, kinds, strict=True)]


def measure_inference(plan: Plan, cell: str, size: str, dtype: str) -> Measurement:
    """The forward pass alone under no_grad, against the forward pass by hand."""
    problem = make_problem(cell, SIZES[size], dtype)
    yardstick, ours = ByHand(problem), Minigrad(problem)
    expected, found = yardstick.infer(), ours.infer()
    timing = race({"by hand": yardstick.infer, ours.name: ours.infer}, plan.seconds / 10, plan.least_rounds)[ours.name]
    return Measurement(cell, size, dtype, ours.name, abs(found - expected) / abs(expected), timing)
