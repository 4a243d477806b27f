"""Where everything stands: the columns side by side, what feeds them below, what reads them to the right."""

from __future__ import annotations

from itertools import chain

from ..diagram.items import Diagram
from ..paths import joined
from .geometry import Layout, Route
from .region import RegionDrawing
from .unrolled import Unrolled

__all__ = ["lay_out"]


def lay_out(diagram: Diagram) -> Layout:
    """Place a diagram: in columns if it has time steps, from left to right otherwise."""
    layout = Layout()
    if diagram.steps:
        unrolled = Unrolled(diagram, layout)
        unrolled.compose()
        layout.ceiling = unrolled.lanes.ceiling(layout, unrolled.steps)
        layout.floor = unrolled.steps.bottom
        layout.right = unrolled.steps.edges(diagram.after - 1)[1]
    else:
        region = RegionDrawing(diagram.items, [(link.source, link.target) for link in diagram.links])
        layout.put_region(region, diagram.items, 0.0, 0.0)
        for k in range(len(diagram.links)):
            layout.routes[k] = Route(joined(region.link_path(k)))
    lines = [*(route.points for route in layout.routes.values()), *(bus.points for bus in layout.buses)]
    places = layout.places.values()
    across, heights = zip((layout.right, layout.ceiling), (layout.right, layout.floor), *chain(*lines), strict=True)
    layout.ceiling = min(min(heights), *[place.y - place.height / 2 for place in places])
    layout.floor = max(max(heights), *[place.y + place.height / 2 for place in places])
    layout.right = max(max(across), *[place.x + place.width / 2 for place in places])
    return layout
