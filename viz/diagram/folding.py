"""Which recorded nodes are drawn as one: affine expressions, rearrangements, sums of many terms.

Folding only ever joins nodes so that what is left has no circle: an affine expression is cut wherever something that
is not affine lies between two of its parts (a GRU's candidate is computed from the reset gate, so it gets a box of its
own, although both add up slices of the same product).
"""

from __future__ import annotations

from .numbering import part_numbers
from .places import BEFORE, Recorded

__all__ = ["Folding"]

REARRANGEMENTS = frozenset({"getitem", "split", "reshape", "transpose", "broadcast_to", "astype"})
SUMS = frozenset({"add", "sub"})


class Folding:
    """The recorded nodes joined into groups: ``group[i]`` is the smallest number of a node drawn together with i."""

    def __init__(self, recorded: Recorded, full: bool = False) -> None:
        self.recorded = recorded
        self._parent = list(range(len(recorded.nodes)))
        self.label = [node.label for node in recorded.nodes]
        self.named = [node.name is not None for node in recorded.nodes]
        self.part = part_numbers(recorded)
        self.constant_map = self._constant_maps()
        self.affine = self._affine()
        if not full:
            self._join_affine()
            self._join_rearrangements()
            self._join_concatenations()
            self._join_sums()
        self.group = [self.find(i) for i in range(len(self._parent))]
        self._members: dict[int, list[int]] = {}
        for i, g in enumerate(self.group):
            self._members.setdefault(g, []).append(i)

    def members(self, i: int) -> list[int]:
        """The nodes drawn together with i, in the order they were recorded."""
        return self._members[self.group[i]]

    def groups(self) -> list[list[int]]:
        """All groups, in the order in which they were completed."""
        return sorted(self._members.values(), key=lambda members: members[-1])

    def find(self, i: int) -> int:
        """The number that stands for the group of i."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def _join(self, i: int, j: int) -> None:
        first, second = sorted((self.find(i), self.find(j)))
        self._parent[second] = first

    def _constant_maps(self) -> list[bool]:
        """Which nodes can be the matrix or the bias of an affine map: untimed leaves, and slices of them."""
        found: list[bool] = []
        for i, node in enumerate(self.recorded.nodes):
            inputs = self.recorded.inputs[i]
            if node.is_leaf:
                found.append(node.time is None and self.recorded.place[i] in (BEFORE, self.recorded.after))
            else:
                sliced = self.label[i] in REARRANGEMENTS and not self.named[i]
                found.append(sliced and all(found[j] for _, j in inputs))
        return found

    def _affine(self) -> list[bool]:
        """Which nodes are parts of an affine expression W·x + … + b."""
        affine: list[bool] = []
        for i in range(len(self.label)):
            sources = [j for _, j in self.recorded.inputs[i]]
            if self.label[i] == "matmul":
                affine.append(any(self.constant_map[j] for j in sources))
            elif self.label[i] in SUMS or (self.label[i] in REARRANGEMENTS and not self.named[i]):
                affine.append(any(affine[j] and not self.named[j] for j in sources))
            else:
                affine.append(False)
        return affine

    def _inside(self, i: int, j: int) -> bool:
        """Whether i, computed from j, may be drawn in one box with it."""
        return not self.named[j] and self.affine[j] and self.recorded.place[i] == self.recorded.place[j]

    def _stages(self) -> list[int]:
        """How often something not affine was followed by something affine on the way to each node.

        Nodes of one stage can be joined without making a circle. A part that only later stages use is moved there.
        """
        recorded, affine = self.recorded, self.affine
        stage: list[int] = []
        for i in range(len(affine)):
            reached = 0
            for _, j in recorded.inputs[i]:
                if recorded.place[j] == recorded.place[i] and not recorded.nodes[j].is_leaf:
                    reached = max(reached, stage[j] + (affine[i] and not self._inside(i, j)))
            stage.append(reached)
        for i in range(len(affine) - 1, -1, -1):
            users = [k for k, _ in recorded.consumers[i]]
            if affine[i] and users and all(affine[k] and self._inside(k, i) for k in users):
                stage[i] = min(stage[k] for k in users)
        return stage

    def _join_affine(self) -> None:
        stage = self._stages()
        for i, affine in enumerate(self.affine):
            if affine:
                for _, j in self.recorded.inputs[i]:
                    if self._inside(i, j) and stage[i] == stage[j]:
                        self._join(i, j)

    def _join_rearrangements(self) -> None:
        """A nameless slice or reshape is drawn as part of what it rearranges, or of the one thing that uses it."""
        recorded = self.recorded
        for i in range(len(self.label)):
            if self.label[i] not in REARRANGEMENTS or self.named[i] or self.affine[i]:
                continue
            for _, j in recorded.inputs[i]:
                if recorded.place[i] == recorded.place[j]:
                    self._join(i, j)
        floating: list[bool] = []
        for i in range(len(self.label)):
            free = self.label[i] in REARRANGEMENTS and not self.named[i] and not self.affine[i]
            elsewhere = any(recorded.place[j] != recorded.place[i] or floating[j] for _, j in recorded.inputs[i])
            floating.append(free and elsewhere)
        for i in range(len(self.label) - 1, -1, -1):
            if floating[i]:
                users = [k for k, _ in recorded.consumers[i] if self.find(k) != self.find(i)]
                one_place = all(recorded.place[k] == recorded.place[i] for k in users)
                if users and one_place and len({self.find(k) for k in users}) == 1:
                    self._join(i, users[0])

    def _join_concatenations(self) -> None:
        """A nameless [h, x] that only one affine box uses is written inside it."""
        recorded = self.recorded
        for i, label in enumerate(self.label):
            if label != "concatenate" or self.named[i]:
                continue
            users = [k for k, _ in recorded.consumers[i]]
            if users and all(self.affine[k] and recorded.place[k] == recorded.place[i] for k in users):
                groups = {self.find(k) for k in users}
                if len(groups) == 1:
                    self._join(i, users[0])

    def _join_sums(self) -> None:
        """a + b + c is one sum: an addition whose only use is another addition is drawn as part of it."""
        recorded = self.recorded
        for i, label in enumerate(self.label):
            users = recorded.consumers[i]
            if label != "add" or self.named[i] or self.affine[i] or len(users) != 1:
                continue
            k = users[0][0]
            if self.label[k] == "add" and not self.affine[k] and recorded.place[k] == recorded.place[i]:
                self._join(i, k)
