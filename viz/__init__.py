"""Pictures of recorded graphs.

>>> from minigrad import Tensor
>>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
>>> draw((x * x).sum())
<Picture '': 3 boxes, 3 arrows, 0 steps>
"""

from minigrad.tracebacks import hide_frames

from .charting import gradient_lines, heat_bars, heat_map, learning_curves, strips
from .drawing import draw, render
from .errors import GraphvizError, PictureFileError, RenderingError
from .picture import Picture

__all__ = [
    "GraphvizError",
    "Picture",
    "PictureFileError",
    "RenderingError",
    "draw",
    "gradient_lines",
    "heat_bars",
    "heat_map",
    "learning_curves",
    "render",
    "strips",
]


def __dir__() -> list[str]:
    """What is there for users."""
    return __all__


hide_frames(__name__)
