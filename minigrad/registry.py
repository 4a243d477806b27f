"""The operations by name, for what lies below them: a Tensor's operators and methods call what stands here.

The operations are built on Tensor, and a Tensor's ``+`` is an operation. So that no import goes in a circle, `minigrad.ops`
enters its functions here when it is imported, and Tensor looks them up at the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad import ops as operations
else:
    operations = SimpleNamespace()

__all__ = ["enter", "operations"]


def enter(functions: Mapping[str, Any]) -> None:
    """Make functions known by their names."""
    vars(operations).update(functions)
