"""What a run found, as data: written to JSON, read back by whoever makes tables and pictures of it."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import minigrad
from benchmarks.problem import SIZES
from benchmarks.timing import Timing

FORMAT = 1
PACKAGES = ("numpy", "llvmlite", "torch", "autograd", "mygrad", "jax")


@dataclass(frozen=True)
class Measurement:
    """One contestant at one size: how its gradients differ from those by hand, its time, its peak memory."""

    cell: str
    size: str
    dtype: str
    contestant: str
    difference: float
    timing: Timing
    peak_bytes: int | None = None


@dataclass
class Results:
    """Everything that one run of the benchmarks measured."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    steps: list[Measurement] = field(default_factory=list)
    inference: list[Measurement] = field(default_factory=list)
    overhead: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    """By contestant and operation: seconds for `unit`, `forward` and `backward`."""
    tape: dict[str, dict[str, float]] = field(default_factory=dict)
    """By contestant: bytes for each time step `kept` after forward and `left` after backward."""
    scaling: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    """By contestant: `T`, and `seconds` and `bytes` for each time step."""

    def ratio(self, cell: str, size: str, dtype: str, contestant: str) -> float | None:
        """The contestant's time divided by that by hand, or None if it was not measured."""
        for step in self.steps:
            if (step.cell, step.size, step.dtype, step.contestant) == (cell, size, dtype, contestant):
                return step.timing.ratio
        return None

    def contestants(self) -> list[str]:
        """Their names, in the order in which they were measured."""
        return list(dict.fromkeys(step.contestant for step in self.steps))

    def sizes(self) -> list[str]:
        """The sizes that were measured, from tiny to big."""
        return [size for size in SIZES if any(step.size == size for step in self.steps)]

    def cells(self) -> list[str]:
        """The cells that were measured."""
        return list(dict.fromkeys(step.cell for step in self.steps))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        sizes = {name: SIZES[name]._asdict() for name in self.sizes()}
        text = json.dumps({"format": FORMAT, "sizes": sizes, **asdict(self)}, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what `Results.save` wrote.

    Raises:
        ValueError: the file is something else.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise ValueError(f"{path}: expected benchmark results of format {FORMAT}")
    found.pop("sizes")
    for key in ("steps", "inference"):
        found[key] = [Measurement(**(step | {"timing": Timing(**step["timing"])})) for step in found[key]]
    return Results(**found)


def describe_machine() -> dict[str, str]:
    """The date and what the times depend on."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor() -> str:
    """The processor's name, as well as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def describe_versions() -> dict[str, str]:
    """Python and every package involved that is installed."""
    versions: dict[str, Any] = {"python": platform.python_version(), "minigrad": minigrad.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
