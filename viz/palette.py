"""Colours and widths: one for each role, a scale for gradients, and the same in the dark.

Every text has a contrast of at least 4.5 with what is behind it, every line of at least 2 with the page and the panels
(WCAG's measure); the scale of gradients grows darker all the way, so that it reads in grey and to colour-blind people,
and the wires of parameters are blue, which it never is. In the dark theme every colour keeps its hue and has its
lightness turned round, so that the strongest gradient, darkest on paper, is brightest on a dark page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

__all__ = ["FILLS", "INK", "PAGE", "SOFT", "THEMES", "Scale", "colour_at", "contrast", "dark", "gate_fills"]

PAGE = "#ffffff"
INK = "#263238"
SOFT = "#3f525b"
OUTLINE = "#455a64"
PANEL_FILL, PANEL_LINE, PANEL_INK = "#f6fbf7", "#81b884", "#2e7d32"
WIRE, JUNCTION = "#5b9bd5", "#1f6fb4"
COLLECTOR, COLLECTOR_JUNCTION = "#7c8fd0", "#3949ab"

FILLS = {
    "state": "#fff59d",
    "input": "#c8e6c9",
    "parameter": "#ffe0b2",
    "affine": "#eceff1",
    "operation": PAGE,
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
    (222, 158, 46),
    (232, 126, 36),
    (226, 88, 38),
    (202, 50, 52),
    (166, 24, 74),
    (122, 8, 92),
    (72, 0, 88),
)
"""From the faintest gradient to the strongest; darker as it grows, so it also reads in black and white."""

VANISHED, VANISHED_FILL = "#9aa7ae", "#e1e7ea"
UNTRACKED = "#78909c"
NOT_FINITE, ALARM = "#00a3b8", "#00697a"

SERIES = ("#0072b2", "#d55e00", "#009e73", "#a0487f", "#8a6d00", "#4d4d4d")
"""Colours of the lines of a chart, told apart by colour-blind people too (after Okabe and Ito 2008)."""

SHADES = 600
"""Into how many steps the scale of gradients is divided: more than the eye tells apart, few enough to be remembered."""

THINNEST, WIDEST = 1.1, 5.2


def colour_at(fraction: float) -> str:
    """The colour a fraction (0 to 1) of the way along the scale.

    >>> colour_at(0.0), colour_at(1.0)
    ('#de9e2e', '#480058')
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
    def covering(cls, magnitudes: list[float], decades: int = 9, around: float | None = None) -> Scale:
        """The scale whose top is the largest of ``magnitudes`` and which reaches at most ``decades`` down from there.

        It reaches further down if it must to hold ``around``, where the sweep began: what is below the scale of an
        exploding gradient has not vanished.

        >>> Scale.covering([1e-30, 3e-5, 0.2])
        Scale(low=-9, high=0)
        >>> Scale.covering([0.02, 0.2])
        Scale(low=-2, high=0)
        >>> Scale.covering([0.5, 1e30], around=1.0)
        Scale(low=0, high=30)
        """
        positive = [m for m in magnitudes if 0.0 < m < math.inf]
        if not positive:
            return cls(-1, 0)
        high = math.ceil(math.log10(max(positive)) - 1e-9)
        low = math.floor(math.log10(min(positive)) + 1e-9)
        lowest = high - decades
        if around is not None and 0.0 < around < math.inf:
            lowest = min(lowest, math.floor(math.log10(around) + 1e-9))
        return cls(max(min(low, high - 1), lowest), high)

    def fraction(self, magnitude: float) -> float:
        """Where a positive magnitude lies between the ends, from 0 to 1."""
        position = (math.log10(magnitude) - self.low) / (self.high - self.low)
        return 0.0 if position < 0.0 else 1.0 if position > 1.0 else position

    def vanished(self, magnitude: float) -> bool:
        """Whether a magnitude is below the scale."""
        return magnitude < 10.0**self.low * (1 - 1e-9)

    def colour(self, magnitude: float | None) -> str:
        """The colour of an edge; None is an edge through which no gradient is sent."""
        return self.line(magnitude)[0]

    def line(self, magnitude: float | None) -> tuple[str, float]:
        """The colour and the width of an edge."""
        if magnitude is None:
            return UNTRACKED, THINNEST
        if not math.isfinite(magnitude):
            return NOT_FINITE, WIDEST
        if self.vanished(magnitude):
            return VANISHED, THINNEST
        fraction = self.fraction(magnitude)
        return _shade(round(fraction * SHADES)), THINNEST + 0.4 + (WIDEST - THINNEST - 0.4) * fraction


@cache
def _shade(number: int) -> str:
    return colour_at(number / SHADES)


def contrast(one: str, other: str) -> float:
    """WCAG's contrast between two colours, from 1 (none) to 21 (black on white).

    >>> contrast("#000000", "#ffffff")
    21.0
    """
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@cache
def dark(colour: str) -> str:
    """The same hue with its lightness turned round (in OKLab, where lightness is as the eye sees it).

    >>> dark(PAGE), dark(INK)
    ('#121212', '#d6e5ed')
    """
    lightness, a, b = _oklab(colour)
    turned = min(0.18 + 1.06 * (1.0 - lightness), 0.96)
    for part in range(20, -1, -1):
        channels = _linear(turned, a * part / 20, b * part / 20)
        if all(-1e-4 <= channel <= 1.0 + 1e-4 for channel in channels):
            break
    return "#" + "".join(f"{round(255 * _companded(min(max(c, 0.0), 1.0))):02x}" for c in channels)


THEMES: dict[str, Callable[[str], str]] = {"light": str, "dark": dark}


def _channels(colour: str) -> tuple[float, float, float]:
    """Red, green and blue in proportion to light."""
    r, g, b = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return _expanded(r), _expanded(g), _expanded(b)


def _expanded(c: float) -> float:
    return c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4


def _companded(c: float) -> float:
    return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055


def _luminance(colour: str) -> float:
    r, g, b = _channels(colour)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _oklab(colour: str) -> tuple[float, float, float]:
    """Björn Ottosson's OKLab (2020)."""
    r, g, b = _channels(colour)
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    middle = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _linear(lightness: float, a: float, b: float) -> tuple[float, float, float]:
    """From OKLab back to red, green and blue in proportion to light."""
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
