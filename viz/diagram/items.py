"""The graph as it will be drawn, before anything has a position: items (boxes, circles) and the links between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from ..text import LONGEST, Line, Span, clean, plain, symbol_name
from .cuts import CUT
from .formula import join, number_of
from .places import Step
from .vertices import Vertex

__all__ = ["Diagram", "Item", "Link", "is_square", "operation_symbol"]

ELEMENTWISE = frozenset({"add", "sub", "mul", "div", "neg", "pow", "maximum", "minimum", "where"})
LIGHT = ELEMENTWISE | {"tanh", "sigmoid", "relu", "softplus", "exp", "clip", "dropout", "astype", "getitem", "split", "reshape"}


@dataclass
class Item:
    """One thing in the picture: a recorded node, or several drawn as one.

    Attributes:
        index: its number among the items; grows from inputs to consumers.
        nodes: the recorded nodes it stands for, in the order they were recorded.
        head: the node that gives it its name and operation.
        place: BEFORE, a column, or the number of columns for what comes after the steps.
        role: "parameter", "input", "state", "gate", "affine", "operation" (a small circle), "activation", "loss".
        terms: the terms of an affine expression, else empty.
        initial: whether it is drawn beside the first (or last) column rather than with a wire to every step.
        lineage: what it has in common with the items that play its part at other steps.
        part: which of several parts with the same names it belongs to, by number or by layer and direction (2←); None
            where there is one.
        is_output: whether it is what was asked to be drawn.
        primes: how many others of its step have its name and come after it: h′ is what h was before it was masked.
        kind: "cell" for a closed cell, "fold" for steps that are not shown, else empty.
        title: what is written in it, for what stands for several items; their own captions otherwise.
        symbol: a short name for it where there is little room.
        inner: the lineages of the items that it stands for.
        ports: the lineages of the states that it hands on, from top to bottom.
        printed: its value and its gradient in words, where they are to be printed in it.
    """

    index: int
    nodes: tuple[Vertex, ...]
    head: Vertex
    place: int
    role: str
    terms: list[Line]
    initial: bool = False
    lineage: tuple[object, ...] = ()
    part: str | None = None
    is_output: bool = False
    primes: int = 0
    kind: str = ""
    title: Line = ()
    symbol: Line = ()
    inner: frozenset[tuple[object, ...]] = frozenset()
    ports: tuple[tuple[object, ...], ...] = ()
    printed: tuple[str, ...] = ()

    @property
    def elementwise(self) -> bool:
        """Whether each entry of the result depends on the same entries of the operands only, linearly or by product."""
        return self.head.label in ELEMENTWISE and not self.terms and not self.kind

    @property
    def light(self) -> bool:
        """Whether it is an element-wise operation or activation, not a matrix product or a reduction."""
        return self.head.label in LIGHT and not self.terms and not self.kind

    @cached_property
    def caption(self) -> Line:
        """Name and operation, as far as there are any."""
        if self.title:
            return self.title
        name = self.name
        if self.terms:
            return name or join(self.terms)
        if self.head.is_leaf and not self.head.inputs:
            return name or (Span("×".join(map(str, self.head.shape)) or "number"),)
        if self.head.label == "broadcast_to" and self.role == "state" and name:
            return name
        if self.role == "input":
            looked_up = self.head.inputs[0] if self.head.inputs and not name else None
            return name or ((*symbol_name(looked_up.name), Span("[…]")) if looked_up and looked_up.name else name)
        symbol = operation_symbol(self.head, bool(name))
        return (*name, Span(" "), *[span._replace(soft=True) for span in symbol]) if name else symbol

    @cached_property
    def full_name(self) -> str:
        """What it is called, uncut: its name and time step, or its caption."""
        name = self.head.name
        if self.title or name is None or len(name) <= LONGEST:
            return clean(plain(self.caption).strip())
        return clean(name if self.head.time is None else f"{name}, t = {self.head.time}")

    @property
    def name(self) -> Line:
        """Its name with its time step, L for a nameless loss, or nothing."""
        if self.head.name is not None:
            return symbol_name(self.head.name + "′" * min(self.primes, 3), self.head.time, self.part)
        return (Span("L"),) if self.role == "loss" else ()


@dataclass(slots=True)
class Link:
    """An arrow from one item to another, and the inputs of recorded operations that it stands for.

    ``lineage`` is that of what it carries, which may be a part of what its source stands for.
    """

    source: int
    target: int
    lineage: tuple[object, ...] = ()
    edges: list[tuple[Vertex, int]] = field(default_factory=list)

    @property
    def is_cut(self) -> bool:
        """Whether truncation has cut the history here: no gradient goes back."""
        for vertex, slot in self.edges:
            source = vertex.inputs[slot]
            if source is not None and (source.label == CUT or source.role == "cut"):
                return True
        return False


@dataclass(slots=True)
class Diagram:
    """Items and links of one picture, with the steps that become its columns.

    Attributes:
        vertices: all that the items stand for, inputs first.
        roots: the vertices of the tensors that were asked for.
        lap_names: what each lap is called ("encoder"), where there are several.
        after: the place of what comes after the last step.
    """

    items: list[Item]
    links: list[Link]
    steps: list[Step]
    vertices: list[Vertex] = field(default_factory=list)
    roots: list[Vertex] = field(default_factory=list)
    lap_names: dict[int, str] = field(default_factory=dict)
    after: int = field(init=False)

    def __post_init__(self) -> None:
        self.after = len(self.steps)


def operation_symbol(vertex: Vertex, named: bool = False) -> Line:
    """What a picture shows for an operation: 1− for what is subtracted from one, ÷ 5, x³; behind a name = 1 − …, = … ÷ 5."""
    if is_square(vertex):
        return (Span("x²"),)
    if None not in vertex.inputs or vertex.label not in WITH_A_NUMBER:
        return (Span(vertex.symbol),)
    first, written = vertex.inputs[0] is None, number_of(vertex)
    if vertex.label == "pow":
        operand = "…" if named else "x"
        return (Span(("= " if named else "") + (written if first else operand)), Span(operand if first else written, 1))
    whole = WITH_A_NUMBER[vertex.label][not first].format(written)
    if named:
        return (Span(f"= {whole}"),)
    short = whole.removesuffix("…").removeprefix("…").strip()
    return (Span(short.replace(" ", "") if first else short),)


def is_square(vertex: Vertex) -> bool:
    """Whether it is the product of a row with itself, each read of the whole by an index of its own."""
    if vertex.label != "mul" or len(vertex.inputs) != 2:
        return False
    first, second = vertex.inputs
    return first is not second and _base(first) is not None and _base(first) is _base(second)


def _base(vertex: Vertex | None) -> Vertex | None:
    """What a row is a row of, where reading it changes nothing."""
    while vertex is not None and vertex.handed_on is not None:
        vertex = vertex.handed_on
    return vertex


WITH_A_NUMBER = {
    "add": ("{} + …", "… + {}"), "sub": ("{} − …", "… − {}"), "mul": ("{}·…", "{}·…"), "div": ("{} ÷ …", "… ÷ {}"), "pow": (),
    "maximum": ("max({}, …)", "max(…, {})"), "minimum": ("min({}, …)", "min(…, {})"),
}  # fmt: skip
"""How operations are written that have a number as their first operand, or as their second."""
