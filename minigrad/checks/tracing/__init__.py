"""A forward pass of plain NumPy, followed line by line."""

from minigrad.checks.tracing.line import Line, Site, Source
from minigrad.checks.tracing.local import Hole, vjp_of
from minigrad.checks.tracing.modules import in_double_precision
from minigrad.checks.tracing.namespaces import is_set, is_users, namespaces, reachable, replaced
from minigrad.checks.tracing.noticing import noticing
from minigrad.checks.tracing.stand_in import Traced, whole_numbers
from minigrad.checks.tracing.tape import Tape

__all__ = [
    "Hole", "Line", "Site", "Source", "Tape", "Traced", "in_double_precision", "is_set", "is_users", "namespaces",
    "noticing", "reachable", "replaced", "vjp_of", "whole_numbers",
]  # fmt: skip
