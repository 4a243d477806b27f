"""Which recorded nodes are drawn as one: affine expressions, rearrangements, sums of many terms.

Folding only ever joins nodes so that what is left has no circle: an affine expression is cut wherever something that
is not affine lies between two of its parts (a GRU's candidate is computed from the reset gate, so it gets a box of its
own, although both add up slices of the same product).
"""

from __future__ import annotations

from .circles import components, sources_first
from .cuts import CUT
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
        self._alone: set[int] = set()
        self.label = [node.label for node in recorded.nodes]
        self.named = [node.name is not None for node in recorded.nodes]
        self.part = part_numbers(recorded)
        self.constant_map = self._constant_maps()
        self.affine = self._affine()
        if not full:
            stage = self._stages()
            self._join_affine(stage)
            self._part_what_is_never_added()
            self._join_equal_formulas(stage)
            self._join_rearrangements()
            self._join_concatenations()
            self._join_sums()
        self._order = self._without_circles()
        self.group = [self.find(i) for i in range(len(self._parent))]
        self._members: dict[int, list[int]] = {}
        for i, g in enumerate(self.group):
            self._members.setdefault(g, []).append(i)

    def members(self, i: int) -> list[int]:
        """The nodes drawn together with i, in the order they were recorded."""
        return self._members[self.group[i]]

    def groups(self) -> list[list[int]]:
        """All groups in the order of recording, every group after those it is computed from."""
        return [self._members[g] for g in self._order]

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
        for label, named, inputs in zip(self.label, self.named, self.recorded.inputs, strict=True):
            if label == "matmul":
                affine.append(any(self.constant_map[j] for _, j in inputs))
            elif label in SUMS or (label in REARRANGEMENTS and not named):
                affine.append(any(affine[j] and not self.named[j] for _, j in inputs))
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
        for i, (place, inputs) in enumerate(zip(recorded.place, recorded.inputs, strict=True)):
            reached = 0
            for _, j in inputs:
                if recorded.place[j] == place and not recorded.nodes[j].is_leaf:
                    reached = max(reached, stage[j] + (affine[i] and not self._inside(i, j)))
            stage.append(reached)
        for i in range(len(affine) - 1, -1, -1):
            users = [k for k, _ in recorded.consumers[i]] if affine[i] else []
            if users and all(affine[k] and self._inside(k, i) for k in users):
                stage[i] = min([stage[k] for k in users])
        return stage

    def _join_affine(self, stage: list[int]) -> None:
        for i, affine in enumerate(self.affine):
            if affine:
                for _, j in self.recorded.inputs[i]:
                    if self._inside(i, j) and stage[i] == stage[j]:
                        self._join(i, j)

    def _part_what_is_never_added(self) -> None:
        """Divide an affine box whose results are sums of different things: each then has a box of its own."""
        recorded = self.recorded
        affine: dict[int, list[int]] = {}
        for i, is_affine in enumerate(self.affine):
            if is_affine:
                affine.setdefault(self.find(i), []).append(i)
        for members in affine.values():
            inside = set(members)
            summands: dict[int, frozenset[int]] = {}
            for i in members:
                own = {j for _, j in recorded.inputs[i] if j not in inside} if self.label[i] not in REARRANGEMENTS else set()
                within = (summands[j] for _, j in recorded.inputs[i] if j in inside)
                summands[i] = frozenset({i} if self.label[i] == "matmul" else self._bases(own)).union(*within)
            leads_to: dict[int, frozenset[frozenset[int]]] = {}
            for i in reversed(members):
                users = [k for k, _ in recorded.consumers[i]]
                ways = {summands[i]} if not users or any(k not in inside for k in users) else set()
                leads_to[i] = frozenset(ways).union(*(leads_to[k] for k in users if k in inside))
            if len(set(leads_to.values())) > 1:
                for i in members:
                    self._parent[i] = i
                for i in members:
                    for _, j in recorded.inputs[i]:
                        if j in inside and leads_to[i] == leads_to[j]:
                            self._join(i, j)

    def _bases(self, vertices: set[int]) -> set[int]:
        return {self.base(i) for i in vertices}

    def base(self, i: int) -> int:
        """What a nameless slice or reshape was made from."""
        while not self.named[i] and (self.label[i] in REARRANGEMENTS or self.label[i] == CUT) and self.recorded.inputs[i]:
            i = self.recorded.inputs[i][0][1]
        return i

    def _join_equal_formulas(self, stage: list[int]) -> None:
        """The gates that are the same sums of parts of the same products share a box, as an LSTM's do."""
        groups: dict[int, list[int]] = {}
        for i, is_affine in enumerate(self.affine):
            if is_affine:
                groups.setdefault(self.find(i), []).append(i)
        alike: dict[object, int] = {}
        for first, members in groups.items():
            inside = set(members)
            outside = {
                (self.label[i], slot, self.base(j))
                for i in members
                for slot, j in self.recorded.inputs[i]
                if j not in inside
            }
            products = sum(self.label[i] == "matmul" for i in members)
            if not products or any(self.named[i] for i in members):
                continue
            key = (self.recorded.place[first], max(stage[i] for i in members), products, frozenset(outside))
            self._join(alike.setdefault(key, first), first)

    def _join_rearrangements(self) -> None:
        """A nameless slice or reshape is drawn as part of what it rearranges, or of the one thing that uses it."""
        recorded, place = self.recorded, self.recorded.place
        nameless: list[int] = []
        for i, label in enumerate(self.label):
            learnt = label == "broadcast_to" and all(recorded.nodes[j].is_leaf for _, j in recorded.inputs[i])
            if label in REARRANGEMENTS and not self.named[i] and not self.affine[i]:
                nameless.append(i)
            elif not learnt and label != CUT:
                continue
            for _, j in recorded.inputs[i]:
                if place[i] == place[j] or (learnt and len(recorded.consumers[j]) == 1):
                    self._join(i, j)
        floating: set[int] = set()
        for i in nameless:
            if any(place[j] != place[i] or j in floating for _, j in recorded.inputs[i]):
                floating.add(i)
        for i in sorted(floating, reverse=True):
            users = [k for k, _ in recorded.consumers[i] if self.find(k) != self.find(i)]
            one_place = all(place[k] == place[i] for k in users)
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

    def _without_circles(self) -> list[int]:
        """The groups in their order. Those that need each other's results are taken apart, to be drawn node by node:
        nothing is lost, and no arrow goes back."""
        while True:
            group = [self.find(i) for i in range(len(self._parent))]
            users: dict[int, set[int]] = {g: set() for g in group}
            for g, inputs in zip(group, self.recorded.inputs, strict=True):
                for _, j in inputs:
                    if group[j] != g:
                        users[group[j]].add(g)
            order = sources_first(users)
            if len(order) == len(users):
                return order
            circles = components({g: sorted(found) for g, found in users.items()})
            together = {g for circle in circles if len(circle) > 1 for g in circle}
            self._alone.update(i for i, g in enumerate(group) if g in together)
            for i in self._alone:
                self._parent[i] = i
                self.affine[i] = False

    def _join_sums(self) -> None:
        """a + b + c is one sum: an addition whose only use is another addition is drawn as part of it.

        One with a number that counts has a place of its own, where the number is written.
        """
        recorded = self.recorded
        for i, label in enumerate(self.label):
            users = recorded.consumers[i]
            if label != "add" or self.named[i] or len(users) != 1 or not self._is_sum(i):
                continue
            k = users[0][0]
            if self._is_sum(k) and recorded.place[k] == recorded.place[i]:
                self._join(i, k)

    def _is_sum(self, i: int) -> bool:
        vertex = self.recorded.nodes[i]
        counts = None in vertex.inputs and getattr(vertex.operation, "number", None) != 0
        return self.label[i] == "add" and not self.affine[i] and not counts
