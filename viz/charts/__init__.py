"""Charts of gradients over time, as scenes: strips, heat bars, lines, T × T heat maps, learning curves."""

from .curves import gradient_lines, learning_curves
from .maps import heat_map
from .strips import heat_bars, strips

__all__ = ["gradient_lines", "heat_bars", "heat_map", "learning_curves", "strips"]
