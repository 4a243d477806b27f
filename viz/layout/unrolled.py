"""An unrolled graph put together: parameters and their wires below, initial states, columns, and what comes after."""

from __future__ import annotations

import math
from collections.abc import Hashable

from ..diagram.items import Diagram, Item
from ..diagram.places import BEFORE
from ..paths import Pen, Point, joined, moved
from .geometry import Bus, Layout, Place, Route
from .lanes import Lanes
from .region import RegionDrawing
from .sizes import look_of
from .steps import Steps

__all__ = ["Unrolled"]

WIRES_BELOW = 24.0
WIRE_PITCH, TOP_WIRE_GAP = 5.0, 6.0
REGION_GAP = 30.0
INITIAL_GAP, BETWEEN_INITIAL = 14.0, 6.0
STRAIGHT_END = 11.0
BEFORE_RESULTS = 18.0
TAP_SPACING = 12.0


class Unrolled:
    """Fills a layout with an unrolled graph."""

    def __init__(self, diagram: Diagram, layout: Layout) -> None:
        self.diagram = diagram
        self.layout = layout
        self.items = diagram.items
        self._beside: dict[int, int] = {}
        for link in diagram.links:
            if self.items[link.source].initial:
                place = self.items[link.target].place
                self._beside[link.source] = min(place, self._beside.get(link.source, place))
        self._is_blocked = any(place == diagram.after - 1 > 0 for place in self._beside.values())
        self.kinds = [self._kind(k) for k in range(len(diagram.links))]
        self.lanes = Lanes(diagram, self._links_of("lane"))
        self.steps = layout.steps = Steps(diagram, self.lanes.room)
        self.before = [item for item in self.items if item.place == BEFORE and not item.initial]
        self.after = [item for item in self.items if item.place == diagram.after]

    def _kind(self, k: int) -> str:
        """What a link joins: items "before" all steps, "within" a step, "after" the steps; a step with what comes
        "before" ("tap"), with its neighbour ("carry"), with an initial state ("start"), with what comes after it
        ("result"), or far places (by a "lane")."""
        link, after = self.diagram.links[k], self.diagram.after
        source, target = self.items[link.source], self.items[link.target]
        if source.initial:
            return "start" if target.place == self._beside[source.index] else "lane"
        if source.place == BEFORE:
            return "before" if target.place == BEFORE else "tap"
        if source.place == target.place:
            return "after" if source.place == after else "within"
        if target.place == after:
            return "result" if source.place == after - 1 and not self._is_blocked else "lane"
        return "carry" if abs(source.place - target.place) == 1 else "lane"

    def _links_of(self, kind: str) -> list[int]:
        return [k for k, found in enumerate(self.kinds) if found == kind]

    def compose(self) -> None:
        """Place all items and draw all lines."""
        before = self._region_before()
        initial = [item for item in self.items if item.initial]
        from_above = [self.items[j] for j in sorted(self.steps.fed_from_above)]
        widths = [look_of(item).width for item in (*initial, *from_above)]
        margin = max([before.width, *widths], default=0.0)
        self.steps.shift(margin + REGION_GAP if margin else 0.0)
        for item in self.items:
            if self.steps.step_of(item.index) is not None:
                self.layout.places[item.index] = Place(*self.steps.middle(item), *self.steps.size(item), self.steps.look(item))
        self._place_initial(initial, margin)
        after, entry_lines = self._place_after()
        floor = max([self.steps.floor, self.steps.bottom, *(p.y + p.height / 2 for p in self.layout.places.values())])
        top = floor + WIRES_BELOW
        self.layout.put_region(before, self.own_before, margin - before.width, top)
        y = self.lanes.ceiling(self.layout, self.steps) + TOP_WIRE_GAP
        for item in reversed(from_above):
            look = look_of(item)
            y -= look.height + TOP_WIRE_GAP
            self.layout.places[item.index] = Place(margin / 2, y + look.height / 2 - 8, look.width, look.height, look)
        self._route_steps()
        self._route_before(before, margin - before.width, top)
        self._route_taps(after)
        self.lanes.route(self.layout, self.steps, entry_lines)

    def _region_before(self) -> RegionDrawing:
        """The region to the lower left: parameters, and what is computed from them once for all steps."""
        self.own_before = [item for item in self.before if item.index not in self.steps.fed_from_above]
        local = {item.index: j for j, item in enumerate(self.own_before)}
        links = [self.diagram.links[k] for k in self._links_of("before")]
        tapped = sorted({self.diagram.links[k].source for k in self._links_of("tap")} & local.keys())
        return RegionDrawing(
            self.own_before,
            [(local[link.source], local[link.target]) for link in links],
            exits=[(local[j], j) for j in tapped],
            pitch=WIRE_PITCH,
            late=True,
        )

    def _place_initial(self, initial: list[Item], margin: float) -> None:
        """Initial states stand beside the first column, at the height of the states they begin, as far as they fit."""
        wanted = sorted((self._beside[item.index] > 0, self._height_of_initial(item), item.index) for item in initial)
        right_end = self.steps.edges(self.diagram.after - 1)[1] + self.lanes.room[self.diagram.after] + INITIAL_GAP
        free = {False: -math.inf, True: -math.inf}
        for at_right, y, j in wanted:
            look = look_of(self.items[j])
            x = right_end + look.width / 2 if at_right else margin / 2
            y = max(y, free[at_right] + look.height / 2)
            free[at_right] = y + look.height / 2 + BETWEEN_INITIAL
            self.layout.places[j] = Place(x, y, look.width, look.height, look)

    def _height_of_initial(self, item: Item) -> float:
        beside = self._beside[item.index]
        y = None if beside > 0 else self.steps.row_y(item.lineage, beside)
        if y is not None:
            return y
        targets = (link.target for link in self.diagram.links if link.source == item.index)
        return self.layout.places[next(j for j in targets if self.items[j].place == beside)].y

    def _place_after(self) -> tuple[RegionDrawing, dict[Hashable, list[Point]]]:
        """The region to the right: what is computed from several steps, or from the last one, after the loop."""
        local = {item.index: j for j, item in enumerate(self.after)}
        crown = self.lanes.crown
        by_lane = [k for k in self.lanes.links if self.diagram.links[k].target in local]
        entered: dict[Hashable, int] = {
            self.lanes.entry(k): self.diagram.links[k].target for k in by_lane if self.diagram.links[k].target != crown
        }
        entered.update((k, self.diagram.links[k].target) for k in self._links_of("result"))
        region = RegionDrawing(
            self.after,
            [(local[link.source], local[link.target]) for link in map(self.diagram.links.__getitem__, self._links_of("after"))],
            entries=[(key, local[target]) for key, target in entered.items()],
            crown=None if crown is None else local[crown],
        )
        last = self.diagram.after - 1
        edge = max([self.steps.edges(last)[1], *(p.x + p.width / 2 for p in self.layout.places.values())])
        dx = edge + self.lanes.room[last + 1] + BEFORE_RESULTS
        dy = self.steps.frame.height / 2 - region.height / 2
        results = self._links_of("result")
        if results:
            first = self.diagram.links[results[0]].source
            level = [region.entry_y[k] for k in results if self.diagram.links[k].source == first]
            dy = self.layout.places[first].y - sum(level) / len(level)
        self.layout.put_region(region, self.after, dx, dy)
        for number, k in enumerate(self._links_of("after")):
            self.layout.routes[k] = Route(joined(moved(region.link_path(number), dx, dy)))
        entry_lines = {key: moved(region.entry_path(number), dx, dy) for number, key in enumerate(entered)}
        for k in results:
            pen = Pen.along(self.steps.line_out(self.diagram.links[k].source, self.diagram.links[k].lineage, to_right=True))
            pen.to(edge, pen.here[1])
            pen.run(*entry_lines[k][0])
            self.layout.routes[k] = Route(joined([*pen.points, *entry_lines[k][1:]]))
        self._after_at = (dx, dy)
        return region, entry_lines

    def _route_steps(self) -> None:
        for k, link in enumerate(self.diagram.links):
            source, target = self.items[link.source], self.items[link.target]
            if self.kinds[k] == "within":
                self.layout.routes[k] = Route(self.steps.line_within(k))
            elif self.kinds[k] == "carry":
                forward = source.place < target.place
                pen = Pen.along(self.steps.line_out(source.index, link.lineage, to_right=forward))
                self._arrive(k, pen, target, from_right=not forward)
            elif self.kinds[k] == "start":
                place = self.layout.places[source.index]
                at_right = place.x > self.layout.places[target.index].x
                pen = Pen(place.x + (-0.5 if at_right else 0.5) * place.width, place.y)
                self._arrive(k, pen, target, from_right=at_right)

    def _arrive(self, k: int, pen: Pen, target: Item, from_right: bool) -> None:
        end = self.steps.line_in(self.diagram.links[k].lineage, target.index, from_right)
        (x, y) = end[0]
        pen.run(x + (STRAIGHT_END if from_right else -STRAIGHT_END), y).to(x, y)
        self.layout.routes[k] = Route(joined([*pen.points, *end[1:]]))

    def _route_before(self, region: RegionDrawing, dx: float, dy: float) -> None:
        for number, k in enumerate(self._links_of("before")):
            self.layout.routes[k] = Route(joined(moved(region.link_path(number), dx, dy)))
        for number, (_, key) in enumerate(region.exits):
            self.layout.buses.append(Bus(int(str(key)), moved(region.exit_path(number), dx, dy)))
        for j in sorted(self.steps.fed_from_above):
            place = self.layout.places[j]
            self.layout.buses.append(Bus(j, [(place.x + place.width / 2, place.y)]))

    def _route_taps(self, after: RegionDrawing) -> None:
        """The lines from the wires to the steps; each wire reaches as far as its last tap."""
        bus_of = {bus.item: bus for bus in self.layout.buses}
        local = {item.index: j for j, item in enumerate(self.after)}
        taken: dict[int, int] = {}
        for k in self._links_of("tap"):
            link = self.diagram.links[k]
            y = bus_of[link.source].points[-1][1]
            if link.target in local:
                number = taken[link.target] = taken.get(link.target, -1) + 1
                points = self._tap_after(after, local[link.target], link.target, number, y)
            else:
                points = self.steps.tap(link.source, link.target, y)
            self.layout.routes[k] = Route(joined(points), junction=points[0])
        for bus in bus_of.values():
            ends = [
                self.layout.routes[k].points[0][0] for k in self._links_of("tap") if self.diagram.links[k].source == bus.item
            ]
            bus.points = joined(Pen.along(bus.points).to(max(ends), bus.points[-1][1]).points)

    def _tap_after(self, region: RegionDrawing, j: int, item: int, number: int, y: float) -> list[Point]:
        """The line from a wire to an item after the steps: from below if that is free, else through the gap beside it."""
        place = self.layout.places[item]
        half = place.width / 2
        shift = min(TAP_SPACING, half / 2) * ((number + 1) // 2) * (-1 if number % 2 else 1)
        if region.is_lowest(j) and abs(shift) < half:
            drop = math.sqrt(half * half - shift * shift) if place.look.shape == "circle" else place.height / 2
            return Pen(place.x + shift, y).to(place.x + shift, place.y + drop).points
        x = self._after_at[0] + region.gap_before(j) - number * TAP_SPACING / 2
        return Pen(x, y).corner(place.x - half, place.y + shift / 2, vertical_first=True).points
