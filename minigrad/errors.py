"""Every error minigrad raises on purpose: one base class, one class for each kind of mistake.

Each class also derives from the built-in exception that NumPy or Python would have raised in its place, so code that
catches ``ValueError`` or ``TypeError`` keeps working.
"""

__all__ = [
    "AnomalyError",
    "ArgumentError",
    "BackwardError",
    "CheckpointError",
    "ConversionError",
    "DTypeError",
    "GradientMismatchError",
    "GraphError",
    "IndexingError",
    "LabelError",
    "MinigradError",
    "MissingPackageError",
    "MutationError",
    "NonFiniteGradientError",
    "PurityError",
    "ShapeError",
    "UnsupportedInterpreterError",
]


class MinigradError(Exception):
    """The base of every error that minigrad raises on purpose."""


class ShapeError(MinigradError, ValueError):
    """The shapes of the operands do not go together."""


class DTypeError(MinigradError, TypeError):
    """The kind of number (or of object) is not one the operation can use."""


class ArgumentError(MinigradError, ValueError):
    """An option has a value outside its range, or a name that does not exist."""


class CheckpointError(MinigradError, ValueError):
    """A checkpoint cannot be written, is damaged, or does not belong to this model; all problems are listed."""


class IndexingError(MinigradError, IndexError):
    """An index points outside the tensor or is not an index at all."""


class LabelError(MinigradError, ValueError):
    """A class label is negative, too large, not an integer, or of the wrong shape."""


class GraphError(MinigradError, RuntimeError):
    """The recorded graph cannot do what was asked: nothing recorded, already released, not a scalar."""


class MissingPackageError(MinigradError, ImportError):
    """A package that is only needed for what was just asked is not installed; the message says how to get it."""


class MutationError(MinigradError, ValueError):
    """An array that a recorded operation still needs was about to be changed."""


class ConversionError(MinigradError, TypeError):
    """A tensor that needs a gradient was about to lose it by becoming a bare array or number."""


class PurityError(MinigradError, RuntimeError):
    """A step that was promised to be pure is not: it does another thing at another time, or leaves something behind."""


class AnomalyError(MinigradError, FloatingPointError):
    """A NaN or an infinity appeared; the message says in which operation and at which time step."""


class NonFiniteGradientError(MinigradError, FloatingPointError):
    """A gradient is NaN or infinite where a finite one is needed."""


class GradientMismatchError(MinigradError, AssertionError):
    """Two sources of the same gradient disagree; the message names the worst entry and both numbers."""


class BackwardError(MinigradError, AssertionError):
    """A backward pass that was derived by hand is wrong; the message is the report that names the mistake."""


class UnsupportedInterpreterError(MinigradError, ImportError):
    """The Python that runs this cannot keep one of minigrad's promises."""
