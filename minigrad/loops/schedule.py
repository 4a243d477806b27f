"""When each operation of a step is computed.

What does not depend on the state is computed for all steps at once, before the loop; what the state does not depend on,
after it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from minigrad.graph import Operation
from minigrad.loops.into import NotRepeatable
from minigrad.loops.recording import RESULT, STATE, Operand
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate
from minigrad.ops.matmul import Matmul

__all__ = ["AFTER", "BEFORE", "LOOP", "Schedule"]

BEFORE, LOOP, AFTER = range(3)


class Schedule:
    """The operations of a step, with the phase in which each of them is computed.

    Args:
        nodes: the operations, in order.
        operands: where the operands of each come from.
        new: for each part of the state, where its new value comes from.
        kept: those results that are needed of all steps.
        every_state: whether the states of all steps are needed, or only the last.

    Raises:
        NotRepeatable: a part of the state does not depend on the state before; or what is needed of all steps is cut out
            of a state that the next step overwrites.
    """

    __slots__ = ("every_state", "kept", "new", "nodes", "operands", "phase", "stacked", "uses")

    def __init__(
        self,
        nodes: Sequence[Operation],
        operands: Sequence[tuple[Operand, ...]],
        new: Sequence[Operand],
        kept: Iterable[int],
        every_state: bool,
    ) -> None:
        self.nodes, self.operands, self.new, self.every_state = nodes, operands, new, every_state
        self.kept = set(kept)
        self.uses = Counter([operand for sources in (*operands, new) for operand in sources])
        """How often each operand is used."""
        if not every_state and any(self._is_of_state(Operand(RESULT, k)) for k in self.kept):
            raise NotRepeatable("a part of a state of which only the last is kept")
        self.phase = self._phases()
        self.stacked = self._stacked()
        """Whether a result has a row for each step."""

    def _phases(self) -> list[int]:
        count = len(self.nodes)
        depends, feeds = [False] * count, [False] * count
        for k, operands in enumerate(self.operands):
            depends[k] = any(o.kind == STATE or (o.kind == RESULT and depends[o.number]) for o in operands)
        for operand in self.new:
            if operand.kind == RESULT:
                feeds[operand.number] = True
        for k in reversed(range(count)):
            of_state = any(map(self._is_of_state, self.operands[k]))
            if feeds[k] or (of_state and not self.every_state):
                feeds[k] = True
                for o in self.operands[k]:
                    if o.kind == RESULT:
                        feeds[o.number] = True
        if any(o.kind == RESULT and not depends[o.number] for o in self.new):
            raise NotRepeatable("a state that does not depend on the one before")
        return [BEFORE if not d else LOOP if f else AFTER for d, f in zip(depends, feeds, strict=True)]

    def _is_of_state(self, operand: Operand) -> bool:
        """Whether it is a part of the state before the step, or cut out of one."""
        while operand.kind == RESULT and isinstance(self.nodes[operand.number], Slice):
            (operand,) = self.operands[operand.number]
        return operand.kind == STATE

    def _stacked(self) -> list[bool]:
        stacked = [phase != LOOP or k in self.kept for k, phase in enumerate(self.phase)]
        for k in reversed(range(len(self.nodes))):
            if self.phase[k] == AFTER or (stacked[k] and isinstance(self.nodes[k], Slice)):
                for operand in self.operands[k]:
                    if operand.kind == RESULT:
                        stacked[operand.number] = True
        return stacked

    def is_computed(self, operand: Operand) -> bool:
        """Whether it is the result of a call, not a part or a whole of other results."""
        return operand.kind == RESULT and not isinstance(self.nodes[operand.number], Slice | Concatenate)

    def is_entrywise(self, operand: Operand) -> bool:
        """Whether it is the result of a call that computes each entry by itself, wherever it lies."""
        return self.is_computed(operand) and not isinstance(self.nodes[operand.number], Matmul)

    def results_of(self, k: int) -> list[int]:
        """The results that operation ``k`` takes."""
        return [operand.number for operand in self.operands[k] if operand.kind == RESULT]
