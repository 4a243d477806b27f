"""The recorded graph: its nodes, the walk over them, and the backward sweep.

A node is an operation as data: which nodes it took (``inputs``), what it kept for its derivative (``saved``), and where
in time and in the model it was recorded. Nodes refer to their inputs only, never to their consumers, so a graph holds
no reference cycle and is freed the moment its last tensor is dropped.

Every node carries a serial number that grows from inputs to consumers. The sweep therefore needs no topological sort:
it takes the pending node with the largest serial number, all of whose consumers are then done.

One operation may stand for many. The graph can then be looked at in two ways: as it was recorded (``sources``), or with
every such operation written out (``inputs``), which is what pictures, hooks and derivatives of derivatives go through.

This file knows no NumPy: gradients are whatever the operations' derivatives return. They are arrays in an ordinary
backward pass and Tensors when the backward pass is itself recorded.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, ClassVar, Protocol, TypeAlias

from typing_extensions import override

from minigrad.errors import DTypeError, GraphError
from minigrad.hooks import Watch
from minigrad.scope import Place, state

__all__ = ["CONSTANT", "OUTPUT", "Gradient", "Leaf", "Node", "Operation", "sweep", "walk"]

Gradient: TypeAlias = Any
"""An array in a plain backward pass, a Tensor in a recorded one: derivatives are written once, for both."""

OUTPUT = -1
CONSTANT = -2

STRIDE = 2**32
"""Between two serial numbers there is room for those of the operations that one stands for."""

next_serial = itertools.count(STRIDE, STRIDE).__next__


class Node:
    """A value in the recorded graph. ``sources`` are the nodes it was computed from (None for anonymous constants)."""

    __slots__ = ("dtype", "name", "place", "serial", "shape", "sources", "watch")

    label: ClassVar[str]
    symbol: ClassVar[str]
    is_leaf: ClassVar[bool]
    requires_grad: bool
    sources: tuple[Node | None, ...]
    shape: tuple[int, ...]
    dtype: Any
    place: Place
    name: str | None
    serial: int
    watch: Watch | None
    role: Any
    """What a leaf is to its model: "parameter", "input", "initial state", "cut" (a state whose history was cut off here)."""

    @property
    def inputs(self) -> tuple[Node | None, ...]:
        """The sources, every operation that stands for many written out: what a picture, or `walk`, shows."""
        return tuple([None if source is None else source.written_out() for source in self.sources])

    @inputs.setter
    def inputs(self, nodes: tuple[Node | None, ...]) -> None:
        self.sources = nodes

    def written_out(self) -> Node:
        """The node itself; the result of an operation that stands for many, as that one of them which computes it."""
        return self

    def is_made_of(self, nodes: Container[Node | None]) -> bool:
        """Whether it depends on one of these nodes, if its operation does: of several results each may read something else."""
        return True

    def watched(self) -> Node:
        """The node at which hooks see the whole gradient of this value: the node itself, or as it is written out."""
        return self

    @property
    def time(self) -> int | None:
        """The time step the node was recorded under, or None."""
        return self.place.time

    @property
    def scope(self) -> tuple[str, ...]:
        """The path of scopes the node was recorded under."""
        return self.place.scope

    def described(self) -> str:
        """The node in a sentence: its label, its name and where it was recorded, such as ``'sigmoid' named 'f' (lstm)``."""
        where = str(self.place)
        return f"{self.label!r}{f' named {self.name!r}' if self.name else ''}{f' ({where})' if where else ''}"

    @override
    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        where = str(self.place)
        return f"<{self.label}{name} {self.shape} {self.dtype}{' in ' + where if where else ''}>"


class Leaf(Node):
    """A value made by the user: a parameter, an input, an initial state. Its gradient is collected here.

    A tensor whose ``requires_grad`` was switched off has a new leaf, a constant, which remembers the one that it had: the
    leaf that earlier results lead to, and that the tensor gets back when ``requires_grad`` is switched on again.
    """

    __slots__ = ("grad", "requires_grad", "role", "thawed")

    label = "leaf"
    symbol = ""
    is_leaf = True
    grad: Any
    thawed: Leaf | None

    def __init__(self, shape: tuple[int, ...], dtype: Any, requires_grad: bool, name: str | None = None) -> None:
        self.sources = ()
        self.role = None
        self.shape = shape
        self.dtype = dtype
        self.place = state.place
        self.name = name
        self.serial = next_serial()
        self.watch = None
        self.grad = None
        self.thawed = None
        self.requires_grad = requires_grad


class Operation(Node):
    """A recorded operation. Subclasses state their formula and their derivative side by side.

    ``keeps`` says, for each entry of ``saved``, what it is: the number of an operand, ``OUTPUT`` (the result itself), or
    ``CONSTANT``. That is all a recorded backward pass needs to see the saved arrays as Tensors again. The operands are the
    inputs and, after them, what the operation reads but has no derivative for, such as the condition of ``where``.

    ``compute`` gives the result from the operands; None where it cannot be had from them alone. ``entrywise`` says that
    each entry of the result is computed by itself, with broadcasting.
    """

    __slots__ = ("saved",)

    is_leaf = False
    requires_grad = True
    role = None
    keeps: ClassVar[tuple[int, ...]] = ()
    compute: Any = None
    entrywise: ClassVar[bool] = False
    saved: tuple[Any, ...] | None

    def vjp(self, g: Gradient, *saved: Any) -> Sequence[Gradient]:
        """The gradient for each input, given ``g``, the gradient of the result; None where none is needed."""
        raise NotImplementedError

    def lifted(self, lift: Callable[[Any, Node | None], Any]) -> Sequence[Any]:
        """The saved values as Tensors that know where they came from."""
        saved = self.needed()
        origins = (self, *self.sources)
        return [
            value if value is None or kept == CONSTANT or kept >= len(self.sources) else lift(value, origins[kept + 1])
            for value, kept in zip(saved, self.keeps, strict=True)
        ]

    def towards(self, sources: tuple[Node | None, ...]) -> Operation:
        """The operation as far as it leads to these of its sources; what stands for many may stand for fewer then."""
        return self

    def borrowed(self) -> Iterable[Any]:
        """What its derivative needs, of whoever it is: nobody may write to it."""
        return self.saved or ()

    def give_way(self, memory: Any) -> None:
        """Let others write to this memory, which its derivative does not need."""

    def needed(self) -> tuple[Any, ...]:
        """What the derivative needs, or an error if it has been released."""
        saved = self.saved
        if saved is None:
            raise released(self)
        return saved


def released(operation: Operation) -> GraphError:
    """The error for a backward pass through what an earlier one has released."""
    return GraphError(
        f"backward: the graph was already released at {operation!r}: a backward pass frees what the graph kept. If a state "
        "is carried on from an earlier loss, cut it off there with detached(state) or .detach() (within one unroll, "
        "truncated= does it). If the same loss is to be passed twice, call the first backward with retain_graph=True"
    )


def walk(*roots: Any) -> list[Node]:
    """Every node that the given tensors (or nodes) were computed from, each once, inputs before their consumers.

    Iterative, so a chain of any length can be walked.

    Raises:
        DTypeError: something else than a tensor or a node is given.
        GraphError: the inputs of a node have been changed so that there is a cycle.

    >>> import minigrad as mg
    >>> x = mg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> [node.label for node in walk((x * x).sum())]
    ['leaf', 'mul', 'sum']
    """
    starts = [root if isinstance(root, Node) else getattr(root, "node", root) for root in roots]
    for start in starts:
        if start is not None and not isinstance(start, Node):
            raise DTypeError(f"walk: expected Tensors or nodes, got {type(start).__name__}")
    return ancestors([start if start is None else start.written_out() for start in starts], INPUTS)


Edges: TypeAlias = Callable[[Any], tuple["Node | None", ...]]
"""What a node was computed from: `SOURCES` as it was recorded, `INPUTS` written out; None for what does not count."""

SOURCES: Edges = attrgetter("sources")
INPUTS: Edges = attrgetter("inputs")


def ancestors(starts: Iterable[Node | None], edges: Edges = SOURCES) -> list[Node]:
    """The given nodes and all that they were computed from, inputs before their consumers."""
    stack, seen = list(starts), set[Node]()
    while stack:
        node = stack.pop()
        if node is not None and node not in seen:
            seen.add(node)
            inputs = edges(node)
            for source in inputs:
                if source is not None and source.serial >= node.serial:
                    raise cycle(node, source)
            stack.extend(inputs)
    return sorted(seen, key=lambda node: node.serial)


def cycle(node: Node, source: Node) -> GraphError:
    """The error for a node that has a newer one among its inputs: only there can a cycle close."""
    return GraphError(
        f"graph: among the inputs of {node!r} is {source!r}, which was made after it, so there is a cycle or will be one. "
        "Operations read what was there before them: do not set the inputs of a node, compute anew"
    )


class Accumulator(Protocol):
    """The gradients on their way in one sweep: what every waiting node has been sent so far, added up.

    There are two kinds: sums of arrays, fast and in place, and sums of Tensors, which are recorded.
    """

    def send(self, node: Node, contribution: Gradient) -> None:
        """Add ``contribution`` to what ``node`` has been sent."""
        ...

    def take(self, node: Node) -> Gradient:
        """The sum of all contributions, with the shape and dtype of ``node``; or what hooks on it make of that."""
        ...

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs."""
        ...


def sweep(
    seeds: Iterable[tuple[Node, Gradient]], sums: Accumulator, edges: Edges = SOURCES
) -> Iterator[tuple[Node, Gradient]]:
    """One backward pass: from the gradients of some nodes to the gradients of what they were computed from.

    The waiting node with the largest serial number goes next: everything that consumes it is newer, so its gradient is
    complete. It sends each of its inputs a contribution, which waits there with the contributions of other consumers.

    Args:
        seeds: nodes with the gradients to start from.
        sums: how gradients are computed and added.
        edges: which graph to go through.

    Yields:
        Every node that is reached, with its whole gradient, before its inputs are sent their contributions.
    """
    waiting: dict[int, Node] = {}
    newest_first: list[int] = []

    def send(node: Node, contribution: Gradient) -> None:
        if node.serial not in waiting:
            waiting[node.serial] = node
            heappush(newest_first, -node.serial)
        sums.send(node, contribution)

    for node, g in seeds:
        send(node, g)
    while newest_first:
        node = waiting.pop(-heappop(newest_first))
        g = sums.take(node)
        yield node, g
        if isinstance(node, Operation) and any(inputs := edges(node)):
            for source, contribution in zip(inputs, sums.derivative(node.towards(inputs), g), strict=True):
                if source is not None and source.requires_grad and contribution is not None:
                    if source.serial >= node.serial:
                        raise cycle(node, source)
                    send(source, contribution)


def depends_on(nodes: Iterable[Node], targets: set[Node], edges: Edges = SOURCES) -> set[Node | None]:
    """Those of ``nodes`` (inputs before consumers) that are targets or were computed from one."""
    relevant: set[Node | None] = set()
    for node in nodes:
        if node in targets or (any(source in relevant for source in edges(node)) and node.is_made_of(relevant)):
            relevant.add(node)
    return relevant


def among(nodes: Container[Node | None], edges: Edges = SOURCES) -> Edges:
    """The edges that lead to one of these nodes, as a graph by themselves."""
    return lambda node: tuple([source if source in nodes else None for source in edges(node)])
