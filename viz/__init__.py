"""Pictures of recorded graphs.

>>> from minigrad import Tensor
>>> x = Tensor([1.0, 2.0], requires_grad=True, name="x")
>>> draw((x * x).sum())
<Picture '': 3 boxes, 3 arrows, 0 steps>
"""

from minigrad.tracebacks import hide_frames

from .errors import GraphvizError, PictureFileError
from .picture import Picture, draw

__all__ = ["GraphvizError", "Picture", "PictureFileError", "draw"]

hide_frames(__name__)
