"""Results as text: the lines that the command prints, and the table of the README."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.problem import SIZES
from benchmarks.results import Measurement, Results, load

BEGIN, END = "<!-- benchmark table: begin -->", "<!-- benchmark table: end -->"


def ratio_table(results: Results, dtype: str, show: Callable[[Measurement], str] | None = None) -> Iterator[str]:
    """A Markdown table: a row for each contestant, a column for each size, the cells of a network side by side."""
    show = show or (lambda step: compact(step.timing.ratio))
    cells, sizes = results.cells(), results.sizes()
    found = {(s.contestant, s.size, s.cell): show(s) for s in results.steps if s.dtype == dtype}
    yield f"| {' / '.join(cells)} | " + " | ".join(sizes) + " |"
    yield "| --- |" + " --- |" * len(sizes)
    for contestant in results.contestants():
        columns = [" / ".join(found.get((contestant, size, cell), "–") for cell in cells) for size in sizes]
        yield f"| {contestant} | " + " | ".join(columns) + " |"


def compact(ratio: float) -> str:
    """Two digits that mean something.

    >>> compact(0.953), compact(1.083), compact(12.7)
    ('0.95', '1.08', '13')
    """
    return f"{ratio:.2f}" if ratio < 3 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def megabytes(step: Measurement) -> str:
    """The peak memory of one training step in MB."""
    return "–" if step.peak_bytes is None else compact(step.peak_bytes / 1e6)


def milliseconds(step: Measurement) -> str:
    """The fastest training step."""
    return compact(step.timing.minimum * 1e3)


def dtypes(results: Results) -> list[str]:
    """Those that were measured."""
    return list(dict.fromkeys(step.dtype for step in results.steps))


def report(results: Results) -> Iterator[str]:
    """Everything that was measured, as Markdown."""
    yield heading(results)
    for dtype in dtypes(results):
        yield from ("", f"Time of one training step, ratio to by hand, {dtype} (medians of {rounds(results)} rounds):", "")
        yield from ratio_table(results, dtype)
        yield from ("", f"The same, fastest turns, {dtype}:", "")
        yield from ratio_table(results, dtype, lambda step: compact(step.timing.ratio_of_minima))
        yield from ("", f"Milliseconds, fastest turn, {dtype}:", "")
        yield from ratio_table(results, dtype, milliseconds)
        if any(step.peak_bytes for step in results.steps):
            yield from ("", f"Peak memory of one training step, MB, {dtype} (– where the memory is not NumPy's):", "")
            yield from ratio_table(results, dtype, megabytes)
    if results.inference:
        yield from ("", "Inference (forward pass and loss, nothing recorded), ratio to by hand:", "")
        for step in results.inference:
            yield f"- {step.contestant}, {step.cell}, {step.size}, {step.dtype}: {compact(step.timing.ratio)}"
    yield from smaller_tables(results)


def smaller_tables(results: Results) -> Iterator[str]:
    """Overhead, memory of the tape and scaling, where they were measured."""
    if results.overhead:
        yield from ("", "One recorded operation on one entry, in units of np.tanh of one entry:", "")
        yield "| | unit, µs | tanh forward | tanh backward | + forward | + backward |"
        yield "| --- |" + " --- |" * 5
        for contestant, costs in results.overhead.items():
            unit = costs["tanh"]["unit"]
            ratios = [costs[name][way] / costs[name]["unit"] for name in ("tanh", "add") for way in ("forward", "backward")]
            yield f"| {contestant} | {unit * 1e6:.2f} | " + " | ".join(map(compact, ratios)) + " |"
    if results.tape:
        yield from ("", "Tape of an LSTM (B = 8, H = 32, float64), kB for each time step:", "")
        yield "| | after forward | after backward |"
        yield "| --- | --- | --- |"
        for contestant, weight in results.tape.items():
            yield f"| {contestant} | {weight['kept'] / 1e3:.1f} | {weight['left'] / 1e3:.1f} |"
    for contestant, costs_by_T in results.scaling.items():
        yield from ("", f"Cost of each time step by length, {contestant} (LSTM, B = 1, H = 16, float64):", "")
        yield "| T | " + " | ".join(f"{cost['T']:.0f}" for cost in costs_by_T) + " |"
        yield "| --- |" + " --- |" * len(costs_by_T)
        yield "| µs | " + " | ".join(f"{cost['seconds'] * 1e6:.1f}" for cost in costs_by_T) + " |"
        yield "| kB of tape | " + " | ".join(f"{cost['bytes'] / 1e3:.1f}" for cost in costs_by_T) + " |"


def rounds(results: Results) -> str:
    """How many rounds were timed, from the fewest to the most."""
    counts = sorted({step.timing.rounds for step in results.steps})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def heading(results: Results) -> str:
    """When, where and with what."""
    machine, versions = results.machine, results.versions
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, one thread; {packages}"


def readme_table(results: Results) -> str:
    """The README's table, between its markers: float32 (or what was measured), sizes explained."""
    dtype = dtypes(results)[0]
    sizes = "; ".join(f"{name} {tuple(SIZES[name])}" for name in results.sizes())
    table = "\n".join(ratio_table(results, dtype))
    return (
        f"{BEGIN}\n{table}\n\nOne training step divided by hand-written NumPy, {dtype}, {rounds(results)} rounds, medians; "
        f"smaller is better.\n(T, B, D, H, N): {sizes}.\n{heading(results)}.\n{END}"
    )


def put_into(text: str, results: Results) -> str:
    """`text` with the table between its markers replaced.

    Raises:
        ValueError: the markers are not there, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"expected {BEGIN} and then {END}, once each, on lines of their own")
    return before + readme_table(results) + after


def main(arguments: list[str]) -> None:
    """`python -m benchmarks.tables results.json [README.md]`: print the table, or put it into the file."""
    if len(arguments) not in (1, 2):
        raise SystemExit("usage: python -m benchmarks.tables results.json [README.md]")
    try:
        results = load(Path(arguments[0]))
        if len(arguments) == 1:
            print(readme_table(results))
            return
        page = Path(arguments[1])
        page.write_text(put_into(page.read_text(encoding="utf-8"), results), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SystemExit(f"benchmarks.tables: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
