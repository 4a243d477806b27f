"""Colours and widths: one for each role, and a scale for gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["FILLS", "INK", "SOFT", "Scale", "colour_at", "gate_fills"]

INK = "#263238"
SOFT = "#607d8b"
OUTLINE = "#455a64"
PANEL_FILL, PANEL_LINE, PANEL_INK = "#f6fbf7", "#a5d6a7", "#2e7d32"
WIRE, JUNCTION = "#ffb74d", "#ef6c00"
COLLECTOR = "#b0a6d8"
COLLECTOR_JUNCTION = "#7e57c2"

FILLS = {
    "state": "#fff59d",
    "input": "#c8e6c9",
    "parameter": "#ffe0b2",
    "affine": "#eceff1",
    "operation": "#ffffff",
    "activation": "#eceff1",
    "loss": "#e1bee7",
}
GATE_FILLS = ("#bbdefb", "#ffcdd2", "#d1c4e9", "#b2dfdb", "#ffccbc", "#dcedc8", "#f8bbd0", "#b3e5fc")
BLUE, PINK, PURPLE, TEAL, ORANGE = GATE_FILLS[:5]
GATES = {
    "i": BLUE,
    "u": BLUE,
    "z": BLUE,
    "f": PINK,
    "r": PINK,
    "g": PURPLE,
    "c̃": PURPLE,
    "h̃": PURPLE,
    "o": TEAL,
    "s̃": ORANGE,
}
"""The usual gates and candidates have the same colour in every picture, so that two pictures can be compared."""


def gate_fills(names: Iterable[str]) -> dict[str, str]:
    """The fill of every gate: the usual ones their own, others the next colour that no usual gate of the picture has.

    >>> gate_fills(["f", "attention", "g"])
    {'f': '#ffcdd2', 'attention': '#bbdefb', 'g': '#d1c4e9'}
    """
    distinct = list(dict.fromkeys(names))
    fills = {name: GATES[name] for name in distinct if name in GATES}
    free = [c for c in GATE_FILLS if c not in fills.values()]
    others = (name for name in distinct if name not in GATES)
    fills |= {name: free[k % len(free)] for k, name in enumerate(others)}
    return {name: fills[name] for name in distinct}


RAMP = (
    (255, 237, 160),
    (254, 204, 100),
    (254, 160, 62),
    (246, 70, 35),
    (205, 38, 48),
    (160, 20, 70),
    (84, 0, 92),
)
"""From the faintest gradient to the strongest; darker as it grows, so it also reads in black and white."""

VANISHED = "#b8c4cb"
UNTRACKED = "#90a4ae"
NOT_FINITE = "#00acc1"

THINNEST, WIDEST = 1.1, 5.2


def colour_at(fraction: float) -> str:
    """The colour a fraction (0 to 1) of the way along the scale.

    >>> colour_at(0.0), colour_at(1.0)
    ('#ffeda0', '#54005c')
    """
    position = min(max(fraction, 0.0), 1.0) * (len(RAMP) - 1)
    k = min(int(position), len(RAMP) - 2)
    mixed = (a + (b - a) * (position - k) for a, b in zip(RAMP[k], RAMP[k + 1], strict=True))
    return "#" + "".join(f"{round(c):02x}" for c in mixed)


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale from 10^low to 10^high for the magnitudes of gradients.

    What is smaller than 10^low has vanished: it is drawn thin and grey, but drawn.
    """

    low: int
    high: int

    @classmethod
    def covering(cls, magnitudes: list[float], decades: int = 9) -> Scale:
        """The scale whose top is the largest of ``magnitudes`` and which reaches at most ``decades`` down from there.

        >>> Scale.covering([1e-30, 3e-5, 0.2])
        Scale(low=-9, high=0)
        >>> Scale.covering([0.02, 0.2])
        Scale(low=-2, high=0)
        """
        positive = [m for m in magnitudes if 0.0 < m < math.inf]
        if not positive:
            return cls(-1, 0)
        high = math.ceil(math.log10(max(positive)) - 1e-9)
        low = math.floor(math.log10(min(positive)) + 1e-9)
        return cls(max(min(low, high - 1), high - decades), high)

    def fraction(self, magnitude: float) -> float:
        """Where a positive magnitude lies between the ends, from 0 to 1."""
        return min(max((math.log10(magnitude) - self.low) / (self.high - self.low), 0.0), 1.0)

    def vanished(self, magnitude: float) -> bool:
        """Whether a magnitude is below the scale."""
        return magnitude < 10.0**self.low * (1 - 1e-9)

    def colour(self, magnitude: float | None) -> str:
        """The colour of an edge; None is an edge through which no gradient is sent."""
        if magnitude is None:
            return UNTRACKED
        if not math.isfinite(magnitude):
            return NOT_FINITE
        return VANISHED if self.vanished(magnitude) else colour_at(self.fraction(magnitude))

    def width(self, magnitude: float | None) -> float:
        """The width of an edge."""
        if magnitude is None:
            return THINNEST
        if not math.isfinite(magnitude):
            return WIDEST
        if self.vanished(magnitude):
            return THINNEST
        return THINNEST + 0.4 + (WIDEST - THINNEST - 0.4) * self.fraction(magnitude)
