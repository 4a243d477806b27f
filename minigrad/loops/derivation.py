"""The backward pass of one step, derived from its record by the derivatives of its operations, and kept as a record too.

The derivatives are those of every backward pass: each operation's ``vjp`` is run once, on Tensors that stand for one
step's values, and what it computes is recorded. The slope of a curve such as tanh is recorded by itself, as the
derivative for g = 1: it is then computed for all steps at once (`minigrad.loops.simplifying`). Two things are put off,
since for all steps together they cost far less: the products that give the gradients of matrices (one product of all
rows), and the joining of the parts that a ``split`` had cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minigrad import graph
from minigrad.gradients import Span
from minigrad.graph import Gradient, Node, Operation
from minigrad.guard import Array
from minigrad.loops.into import CURVES, NotRepeatable
from minigrad.loops.plan import Plan
from minigrad.loops.recording import CONSTANT, RESULT, STATE, STREAM, Operand, Recorder, Step, number_of, placeholder
from minigrad.loops.runner import Program
from minigrad.loops.schedule import Schedule
from minigrad.loops.simplifying import Simplified
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import concatenate
from minigrad.ops.matmul import Matmul
from minigrad.tensor import Tensor
from minigrad.transforms import TensorSums, lift

__all__ = ["Derivative", "derive"]


@dataclass(slots=True)
class Derivative:
    """The backward pass of one step.

    Its streams are the values of the forward pass named in ``saved``, and the gradient that arrives at the output of
    each step. Its state is the gradient of the forward pass's state.
    """

    program: Program
    saved: list[Operand]
    to_streams: list[Operand | None]
    """For each stream of the forward pass, where its gradient comes from."""
    to_constants: list[tuple[int, Operand]]
    """Shares of constants, one from each step."""
    numbers: list[Array]
    """Its constants beside those of the forward pass, whose numbers come after theirs."""
    products: list[tuple[int, bool, Operand, Operand]]
    """Shares of matrices: the constant, whether its transpose was applied, the gradient and the other factor."""

    def of_forward(self) -> list[Operand]:
        """What is needed of the forward pass, of all steps."""
        return [*self.saved, *(factor for *_, factor in self.products)]

    def constants(self) -> list[int]:
        """The constants that a share is sent to, one for each share."""
        return [*(number for number, _ in self.to_constants), *(number for number, *_ in self.products)]


@dataclass
class Cutting:
    """What a part that was cut out sends to the whole."""

    span: Span
    values: Tensor


@dataclass
class StepSums(TensorSums):
    """The sums of the backward pass of one step."""

    step: Step
    one: Tensor
    """Stands for the number 1."""
    pieces: dict[Node, list[Cutting]] = field(default_factory=dict)
    to_constants: list[tuple[int, Tensor]] = field(default_factory=list)
    products: list[tuple[int, bool, Tensor, Tensor]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def derivative(self, operation: Operation, g: Gradient) -> Sequence[Gradient]:
        """What ``operation`` sends to each of its inputs that differs from step to step."""
        operands = self.step.operands[self.step.sources[operation].number]
        if isinstance(operation, CURVES):
            (slope,) = operation.vjp(self.one, *operation.lifted(lift))
            return (g * slope,)
        if isinstance(operation, Slice):
            return (Cutting(operation.span, g),)
        if isinstance(operation, Matmul):
            return self._of_product(operation, operands[1], g)
        shares = list(operation.vjp(g, *operation.lifted(lift)))
        for k, (source, (kind, number)) in enumerate(zip(operation.inputs, operands, strict=True)):
            if kind == CONSTANT:
                if source is not None and source.requires_grad:
                    self.to_constants.append((number, shares[k]))
                shares[k] = None
        return shares

    def _of_product(self, operation: Matmul, matrix: Operand, g: Gradient) -> Sequence[Gradient]:
        b, a = operation.lifted(lift)
        if matrix.kind != CONSTANT:
            raise NotRepeatable("a product with a matrix that differs from step to step")
        if a is not None:
            self.products.append((matrix.number, operation.transpose_b, g, a))
        return operation.vjp(g, b, None)

    def send(self, node: Node, share: Gradient) -> None:
        """Add ``share`` to what ``node`` has been sent."""
        if isinstance(share, Cutting):
            self.pieces.setdefault(node, []).append(share)
        elif share.shape != node.shape:
            raise NotRepeatable("a sum over a stretched axis")
        else:
            super().send(node, share)

    def take(self, node: Node) -> Gradient:
        """The sum of all shares of ``node``."""
        total = self._totals.pop(node.serial, None)
        if node in self.pieces:
            whole = self._joined(node, self.pieces.pop(node))
            total = whole if total is None else total + whole
        return total

    def _joined(self, node: Node, pieces: list[Cutting]) -> Tensor:
        pieces.sort(key=lambda piece: piece.span[:3])
        axis = pieces[0].span[0]
        bounds = [0, *(piece.span[2] for piece in pieces)]
        fits = all(
            piece.span[:3] == (axis, start, stop) and piece.values.ndim == len(node.shape)
            for piece, start, stop in zip(pieces, bounds[:-1], bounds[1:], strict=True)
        )
        if not fits or bounds[-1] != node.shape[axis]:
            raise NotRepeatable("parts that are not side by side")
        return concatenate([piece.values for piece in pieces], axis=axis)


def derive(step: Step, output: int) -> Derivative:
    """The derivative of a step; ``output`` says which part of the new state is also its output.

    Raises:
        NotRepeatable: it is not known how to repeat it.
    """
    new = [step.nodes[k] for k in step.new]
    sums, recorder = StepSums(step, placeholder(np.ones((), new[output].dtype))), Recorder()
    varying: set[Node | None] = {node for node, operand in step.sources.items() if operand.kind != CONSTANT}
    with recorder:
        arriving = [placeholder(step.values[node]) for node in new]
        upstream = placeholder(step.values[new[output]])
        seeds = [(node, g + upstream if i == output else g) for i, (node, g) in enumerate(zip(new, arriving, strict=True))]
        found, _ = graph.sweep(seeds, sums, relevant=varying)
    states, streams = [found.get(node) for node in step.states], [found.get(node) for node in step.rows]
    ends = [*states, *streams, *(share for _, share in sums.to_constants), *(g for _, _, g, _ in sums.products)]
    behind = set(graph.ancestors([None if end is None else end._node for end in ends]))
    nodes = [node for node in recorder.values if node in behind]
    return _Writer(step, sums, nodes, arriving, upstream).write(states, streams)


class _Writer:
    """Turns the recorded backward pass of one step into a program."""

    def __init__(
        self, step: Step, sums: StepSums, nodes: list[Operation], arriving: list[Tensor], upstream: Tensor
    ) -> None:
        self.step, self.sums, self.nodes = step, sums, nodes
        self.sources: dict[Node | None, Operand] = {g._node: Operand(STATE, i) for i, g in enumerate(arriving)}
        self.sources |= {node: Operand(RESULT, k) for k, node in enumerate(self.nodes)}
        self.upstream = upstream
        self.saved: list[Operand] = []
        self.numbers: list[Array] = []
        self.streams: dict[Operand | Node | None, int] = {}

    def write(self, states: list[Tensor | None], streams: list[Tensor | None]) -> Derivative:
        """The derivative, given the gradients of the old state and of the streams."""
        sums = self.sums
        used = [source for node in self.nodes for source in node.inputs]
        forward = [self.step.sources[s] for s in used if s in self.step.sources and self.step.sources[s].kind != CONSTANT]
        self.saved = list(dict.fromkeys(forward))
        for j, operand in enumerate(self.saved):
            self.streams[operand] = j
        self.sources[self.upstream._node] = Operand(STREAM, len(self.saved))
        one = self.sources[sums.one._node] = self._constant(sums.one._array)
        operands = [tuple([self._operand(node, k) for k in range(len(node.inputs))]) for node in self.nodes]
        to_constants = [self._of(share) for _, share in sums.to_constants]
        of_matrices = [self._of(g) for _, _, g, _ in sums.products]
        new = [self._of(tensor) for tensor in states]
        to_streams = [None if tensor is None else self._of(tensor) for tensor in streams]
        wanted = [*(operand for operand in to_streams if operand is not None), *to_constants, *of_matrices]
        simple = Simplified(self.nodes, operands, [*new, *wanted], {one})
        kept = [simple.now(operand) for operand in wanted]
        if any(operand.kind != RESULT for operand in kept):
            raise NotRepeatable("a gradient that is passed on as it is")
        new = list(map(simple.now, new))
        numbers = [operand.number for operand in kept]
        program = Program(Plan(Schedule(simple.nodes, simple.operands, new, numbers, every_state=False)))
        return Derivative(
            program,
            self.saved,
            [None if operand is None else simple.now(operand) for operand in to_streams],
            [(number, simple.now(share)) for (number, _), share in zip(sums.to_constants, to_constants, strict=True)],
            self.numbers,
            [
                (number, transposed, simple.now(g), self.step.sources[a._node])
                for (number, transposed, _, a), g in zip(sums.products, of_matrices, strict=True)
            ],
        )

    def _operand(self, node: Operation, k: int) -> Operand:
        source = node.inputs[k]
        if source in self.sources:
            return self.sources[source]
        operand = self.step.sources.get(source)
        if operand is not None:
            return operand if operand.kind == CONSTANT else Operand(STREAM, self.streams[operand])
        number = number_of(node, k)
        if number is None:
            raise NotRepeatable("a constant in a derivative")
        return self._constant(number)

    def _constant(self, number: Array) -> Operand:
        self.numbers.append(number)
        return Operand(CONSTANT, len(self.step.constants) + len(self.numbers) - 1)

    def _of(self, tensor: Tensor | None) -> Operand:
        operand = None if tensor is None else self.sources.get(tensor._node)
        if operand is None or operand.kind == STREAM:
            raise NotRepeatable("a gradient that is not computed")
        return operand
