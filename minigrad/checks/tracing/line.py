"""One line of a traced forward pass: what was computed, from which lines, and by which line of the user's code."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from typing_extensions import override

from minigrad.guard import Array

__all__ = ["Line", "Site", "Source", "Vjp"]

Site: TypeAlias = int
"""A place in the user's code where an operation stands (with the calls that lead there), or an argument, as a number."""


Vjp: TypeAlias = Callable[[Array], Sequence[Array | None]]


class Source(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The line itself, as far as it can be found."""
        return linecache.getline(self.file, self.number).strip()


class Line:
    """One line of the forward pass: a value, and how it was computed.

    Attributes:
        op: the operation, "argument" or "constant".
        operands: the lines it was computed from.
        value: what came out.
        site, time: where in the code, and the how-manieth time that place was reached, counted from 1; 0 for arguments.
        compute: the value for other values of the operands.
        vjp, at: the gradients of the operands, given that of the value; the same where the operands have other values.
        given: all that the operation was given, with the numbers of operands in the place of operands.
        names: what the code calls it.
        sources: the lines of the user's code, innermost first.
    """

    __slots__ = (
        "at",
        "compute",
        "given",
        "index",
        "names",
        "number",
        "op",
        "operands",
        "site",
        "sources",
        "time",
        "value",
        "vjp",
    )

    def __init__(
        self,
        op: str,
        operands: tuple[Line, ...],
        value: Array,
        site: Site,
        time: int,
        compute: Callable[..., Array],
        vjp: Vjp,
        at: Callable[[Sequence[Array]], Vjp] | None = None,
        given: tuple[Any, ...] = (),
    ) -> None:
        self.op, self.operands, self.value, self.site, self.time = op, operands, value, site, time
        self.compute, self.vjp, self.given = compute, vjp, given
        self.at: Callable[[Sequence[Array]], Vjp] = at or (lambda values: vjp)
        self.index: Any = None
        self.number = -1
        self.names: list[str] = []
        self.sources: tuple[Source, ...] = ()

    @property
    def name(self) -> str | None:
        """What the code calls it, if anything."""
        return self.names[0] if self.names else None

    @override
    def __repr__(self) -> str:
        return (
            f"<{self.number}: {self.name or ''} = {self.op}({', '.join(str(o.number) for o in self.operands)}) at {self.time}>"
        )
