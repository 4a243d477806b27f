"""Lines of the picture as cubic Bézier curves: a start point, then three points for every piece."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["Pen", "Point", "moved", "shortened"]

Point = tuple[float, float]
CORNER = 10.0
CLOSE = 0.05
"""How exactly the end of an arrow's line is found: less is not seen."""


class Pen:
    """Draws one line, piece by piece.

    >>> Pen(0, 0).to(0, 3).points
    [(0, 0), (0.0, 1.0), (0.0, 2.0), (0, 3)]
    """

    def __init__(self, x: float, y: float) -> None:
        self.points: list[Point] = [(x, y)]

    @classmethod
    def along(cls, points: Sequence[Point]) -> Pen:
        """A pen that has drawn a line already."""
        pen = cls(*points[0])
        pen.points = list(points)
        return pen

    @property
    def here(self) -> Point:
        """Where the pen is."""
        return self.points[-1]

    def to(self, x: float, y: float) -> Pen:
        """A straight piece."""
        (x0, y0) = self.here
        if abs(x - x0) + abs(y - y0) > 0.05:
            dx, dy = (x - x0) / 3, (y - y0) / 3
            self.points += [(x0 + dx, y0 + dy), (x - dx, y - dy), (x, y)]
        return self

    def rise(self, x: float, y: float, centre: Point | None = None) -> Pen:
        """A curve that leaves vertically and arrives vertically, or pointing at a centre."""
        (x0, y0) = self.here
        if abs(x - x0) < 0.05 and centre is None:
            return self.to(x, y)
        middle = (y0 + y) / 2
        aim = (x, middle)
        if centre is not None:
            stretch = 0.45 * abs(y - y0) / math.hypot(x - centre[0], y - centre[1])
            stretch = min(stretch, abs(x - x0) / max(abs(x - centre[0]), 0.1))
            aim = (x + (x - centre[0]) * stretch, y + (y - centre[1]) * stretch)
        self.points += [(x0, middle), aim, (x, y)]
        return self

    def run(self, x: float, y: float) -> Pen:
        """A curve that leaves and arrives horizontally."""
        (x0, y0) = self.here
        if abs(y - y0) < 0.05:
            return self.to(x, y)
        middle = (x0 + x) / 2
        self.points += [(middle, y0), (middle, y), (x, y)]
        return self

    def corner(self, x: float, y: float, vertical_first: bool) -> Pen:
        """Along one axis, round a corner, then along the other."""
        (x0, y0) = self.here
        radius = min(CORNER, abs(x - x0), abs(y - y0))
        if radius < 0.05:
            return self.to(x, y)
        dx, dy = math.copysign(radius, x - x0), math.copysign(radius, y - y0)
        if vertical_first:
            self.to(x0, y - dy)
            self.points += [(x0, y - dy * 0.45), (x0 + dx * 0.55, y), (x0 + dx, y)]
        else:
            self.to(x - dx, y0)
            self.points += [(x - dx * 0.45, y0), (x, y0 + dy * 0.55), (x, y0 + dy)]
        return self.to(x, y)


def moved(points: Sequence[Point], dx: float, dy: float) -> list[Point]:
    """The same line elsewhere."""
    return [(x + dx, y + dy) for x, y in points]


def shortened(points: Sequence[Point], length: float) -> tuple[list[Point], Point]:
    """The line without so much of its end, and the direction (of length 1) from there to where it ended."""
    (x3, y3) = points[-1]
    while len(points) > 4 and math.dist(points[-4], points[-1]) < length:
        points = points[:-3]
    (x0, y0), (x1, y1), (x2, y2), (xe, ye) = points[-4:]
    if x0 == x1 == x2 == xe or y0 == y1 == y2 == ye:
        far = math.hypot(xe - x0, ye - y0) or 1.0
        ux, uy = (xe - x0) / far, (ye - y0) / far
        third = max(far - length, 0.05 * far) / 3
        dx, dy = ux * third, uy * third
        return [*points[:-3], (x0 + dx, y0 + dy), (x0 + dx * 2, y0 + dy * 2), (x0 + dx * 3, y0 + dy * 3)], (ux, uy)
    beyond = math.hypot(x3 - xe, y3 - ye)
    low, high = 0.05, 1.0
    t = 1.0 - (length - beyond) / (3.0 * math.hypot(xe - x2, ye - y2) or length)
    for attempt in range(12):
        if attempt > 3 or not low < t < high:
            t = (low + high) / 2
        across, down = _start_of(x0, x1, x2, xe, t), _start_of(y0, y1, y2, ye, t)
        dx, dy = x3 - across[2], y3 - down[2]
        reach = math.hypot(dx, dy) or 1.0
        if abs(reach - length) < CLOSE:
            break
        low, high = (t, high) if reach > length else (low, t)
        t = 1.0 - (1.0 - t) * (length - beyond) / max(reach - beyond, CLOSE)
    return [*points[:-4], (x0, y0), *zip(across, down, strict=True)], (dx / reach, dy / reach)


def _start_of(a: float, b: float, c: float, d: float, t: float) -> tuple[float, float, float]:
    """Where the first part of a cubic piece, up to parameter t, goes from its start (de Casteljau), in one coordinate."""
    ab, bc, cd = a + (b - a) * t, b + (c - b) * t, c + (d - c) * t
    abc, bcd = ab + (bc - ab) * t, bc + (cd - bc) * t
    return ab, abc, abc + (bcd - abc) * t


def joined(points: Sequence[Point]) -> list[Point]:
    """The same line with straight pieces that continue one another made one piece."""
    result = list(points[:4])
    for k in range(3, len(points) - 1, 3):
        (ax, ay), (bx, by), (cx, cy), _ = last = result[-4:]
        (x, y), (ux, uy), (vx, vy), (ex, ey) = points[k : k + 4]
        if ax == bx == cx == x == ux == vx == ex or ay == by == cy == y == uy == vy == ey:
            result[-4:] = Pen(*last[0]).to(ex, ey).points
        else:
            result += points[k + 1 : k + 4]
    return result
