"""Lines that neither stay in their step nor go to the next one: they run in lanes above the columns.

A line leaves its column at the side, rises in a track between the columns, and follows its lane. What collects values
from many steps (a stack of all h_t) has one wire there, which every step joins; what is used far away has a lane of its
own, which its lines leave.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable

from ..diagram.items import Diagram, Link
from ..paths import Pen, Point, joined
from .columns import Lineage
from .geometry import Bus, Layout, Route
from .steps import Steps

__all__ = ["TRACK", "Lanes"]

TRACK, LANE = 7.0, 15.0
ABOVE_PANELS = 13.0
BESIDE_PANEL = 8.0


Out = tuple[int, Lineage]
"""What leaves an item: its number, and of which lineage it is."""


def _out(link: Link) -> Out:
    return link.source, link.lineage


def _is_outside_of_steps(diagram: Diagram, j: int) -> bool:
    """Whether an item stands between the laps or after all steps."""
    place = diagram.items[j].place
    return place == diagram.after or (0 <= place < diagram.after and diagram.steps[place].between)


class Lanes:
    """The lanes of a diagram, and the tracks that lead to them.

    Attributes:
        links: the numbers of the links that take a lane.
        room: how much wider the gap to the left of each step must be.
        collectors: the items after the steps for which a lane collects lines from several steps.
        crown: the one of them that stands free, so that its wire can come in from above, if any.
    """

    def __init__(self, diagram: Diagram, links: list[int]) -> None:
        self.diagram = diagram
        self.links = links
        targets = Counter(diagram.links[k].target for k in links)
        self.collectors = [j for j, n in sorted(targets.items()) if n > 1 and _is_outside_of_steps(diagram, j)]
        fed = {link.target for link in diagram.links if diagram.items[link.source].place == diagram.after}
        at_end = [j for j in self.collectors if diagram.items[j].place == diagram.after]
        self.crown = next((j for j in at_end if j not in fed), None)
        self._lane: dict[tuple[str, Hashable], int] = {}
        self._up: dict[Out, int] = {}
        self._down: dict[tuple[Out, int], int] = {}
        self._in: dict[int, int] = {}
        leaving: dict[int, int] = defaultdict(int)
        coming: dict[int, int] = defaultdict(int)
        for k in links:
            link = diagram.links[k]
            source, target = diagram.items[link.source], diagram.items[link.target]
            self._lane.setdefault(self._key(k), len(self._lane))
            if _out(link) not in self._up and not source.initial:
                self._up[_out(link)] = leaving[source.place]
                leaving[source.place] += 1
            if self._key(k) == ("collect", link.target) and target.place != diagram.after:
                if link.target not in self._in:
                    self._in[link.target] = coming[target.place]
                    coming[target.place] += 1
            elif target.place != diagram.after and (_out(link), link.target) not in self._down:
                self._down[_out(link), link.target] = coming[target.place]
                coming[target.place] += 1
        self.room = {step: TRACK * (leaving[step - 1] + coming[step]) for step in range(diagram.after + 1)}

    def _key(self, k: int) -> tuple[str, Hashable]:
        link = self.diagram.links[k]
        return ("collect", link.target) if link.target in self.collectors else ("spread", _out(link))

    def ceiling(self, layout: Layout, steps: Steps) -> float:
        """How high the highest lane runs; they all run above the panels, and above the item they come down to."""
        return self._floor(layout, steps) - (ABOVE_PANELS + LANE * (len(self._lane) - 1) if self._lane else 0.0)

    def _floor(self, layout: Layout, steps: Steps) -> float:
        crown = layout.places.get(self.crown) if self.crown is not None else None
        return steps.top if crown is None else min(steps.top, crown.y - crown.height / 2)

    def entry(self, k: int) -> Hashable:
        """Under which key the line of link k enters the region after the steps; a collecting wire enters once for all."""
        target = self.diagram.links[k].target
        return ("collect", target) if target in self.collectors else k

    def route(self, layout: Layout, steps: Steps, entry_lines: dict[Hashable, list[Point]]) -> None:
        """Draw the lines of all links that take a lane; ``entry_lines`` are their ends in the region after the steps."""
        for k in self.links:
            link = self.diagram.links[k]
            source, target = self.diagram.items[link.source], self.diagram.items[link.target]
            lane_y = self._floor(layout, steps) - ABOVE_PANELS - LANE * self._lane[self._key(k)]
            if source.initial:
                place = layout.places[source.index]
                pen = Pen(place.x + place.width / 2, place.y)
                up = pen.here[0] + BESIDE_PANEL
            else:
                pen = Pen.along(steps.line_out(source.index, link.lineage, to_right=True))
                up = steps.edges(source.place)[1] + BESIDE_PANEL + TRACK * self._up[_out(link)]
            if self._key(k)[0] == "collect":
                pen.corner(up, lane_y, vertical_first=False)
                layout.routes[k] = Route(joined(pen.points), arrow=False, junction=(up, lane_y))
                continue
            if target.place == self.diagram.after:
                end = entry_lines[k]
                down = end[0][0] - BESIDE_PANEL
            else:
                end = steps.line_in(link.lineage, target.index, from_right=False)
                down = steps.edges(target.place)[0] - BESIDE_PANEL - TRACK * self._down[_out(link), target.index]
            pen.corner(up, (pen.here[1] + lane_y) / 2, vertical_first=False)
            pen.corner((up + down) / 2, lane_y, vertical_first=True)
            pen.corner(down, (lane_y + end[0][1]) / 2, vertical_first=False)
            pen.corner(end[0][0], end[0][1], vertical_first=True)
            layout.routes[k] = Route(joined([*pen.points, *end[1:]]))
        for item in self.collectors:
            meetings = [layout.routes[k].junction for k in self.links if self.diagram.links[k].target == item]
            x, y = min(meeting for meeting in meetings if meeting is not None)
            place = layout.places[item]
            pen = Pen(x, y)
            if item == self.crown:
                pen.corner(place.x, place.y - place.height / 2, vertical_first=False)
            else:
                if self.diagram.items[item].place == self.diagram.after:
                    end = entry_lines["collect", item]
                    down = end[0][0] - BESIDE_PANEL
                else:
                    end, down = self._way_in(item, steps)
                pen.corner(down, (y + end[0][1]) / 2, vertical_first=False).corner(*end[0], vertical_first=True)
                pen.points += end[1:]
            layout.buses.append(Bus(item, joined(pen.points), collects=True))

    def _way_in(self, item: int, steps: Steps) -> tuple[list[Point], float]:
        """The end of a collecting wire at an item between laps, and the x of the track that leads down to it."""
        links = [self.diagram.links[k] for k in self.links if self.diagram.links[k].target == item]
        forward = [link for link in links if self.diagram.items[link.source].place < self.diagram.items[item].place]
        end = steps.line_in((forward or links)[0].lineage, item, from_right=False)
        return end, steps.edges(self.diagram.items[item].place)[0] - BESIDE_PANEL - TRACK * self._in[item]
