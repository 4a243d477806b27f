"""What will be drawn: from recorded nodes to items and links that have names, roles and steps, but no positions yet."""

from viz.diagram.build import build
from viz.diagram.items import Diagram, Item, Link

__all__ = ["Diagram", "Item", "Link", "build"]
