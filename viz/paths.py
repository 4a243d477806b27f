"""Lines of the picture as cubic Bézier curves: a start point, then three points for every piece."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["Pen", "Point", "moved", "shortened"]

Point = tuple[float, float]
CORNER = 10.0


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
        return [*points[:-3], *((x0 + ux * third * k, y0 + uy * third * k) for k in (1, 2, 3))], (ux, uy)
    low, high = 0.05, 1.0
    for _ in range(10):
        t = (low + high) / 2
        u = 1 - t
        a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
        if math.hypot(a * x0 + b * x1 + c * x2 + d * xe - x3, a * y0 + b * y1 + c * y2 + d * ye - y3) > length:
            low = t
        else:
            high = t
    kept = _start_of(points[-4:], low)
    (x, y) = kept[-1]
    reach = math.hypot(x3 - x, y3 - y) or 1.0
    return [*points[:-4], *kept], ((x3 - x) / reach, (y3 - y) / reach)


def _start_of(piece: Sequence[Point], t: float) -> list[Point]:
    """The first part of a cubic piece, up to parameter t (de Casteljau)."""
    rows = [list(piece)]
    while len(rows[-1]) > 1:
        rows.append([(x + (u - x) * t, y + (v - y) * t) for (x, y), (u, v) in zip(rows[-1], rows[-1][1:], strict=False)])
    return [row[0] for row in rows]


def joined(points: Sequence[Point]) -> list[Point]:
    """The same line with straight pieces that continue one another made one piece."""
    result = list(points[:4])
    for k in range(3, len(points) - 1, 3):
        piece = points[k : k + 4]
        last = result[-4:]
        for axis in (0, 1):
            if all(p[axis] == piece[0][axis] for p in (*last, *piece)):
                result[-4:] = Pen(*last[0]).to(*piece[3]).points
                break
        else:
            result += piece[1:]
    return result
