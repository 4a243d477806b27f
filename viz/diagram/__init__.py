"""What will be drawn: from recorded nodes to items and links that have names, roles and steps, but no positions yet."""

from .build import build
from .items import Diagram, Item, Link

__all__ = ["Diagram", "Item", "Link", "build"]
