"""Where the results of a step lie.

In the loop every call writes into an array that is there already: into its row of the results of all steps if somebody
needs them later, else into one array that every step uses again. What a result is computed from takes its place
beforehand, if nothing else needs it. Parts that are put side by side are written where they belong at once; parts that
are cut out are views. What is done alike with parts that lie side by side, such as the gates of a cell, has results side
by side, so that one call can do it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, cast

from minigrad.graph import Operation
from minigrad.guard import Array
from minigrad.loops.program import CONST, LOCAL, Ref
from minigrad.loops.schedule import BODY, PROLOGUE, Schedule
from minigrad.loops.windows import Window
from minigrad.ops.arithmetic import Multiply
from minigrad.ops.indexing import Slice
from minigrad.ops.joining import Concatenate

__all__ = ["MINUS_UNIT", "NEW", "SCRATCH", "STACK", "TRANSPOSED", "UNIT", "Buffers", "Parts", "View"]

NEW: Final = "new"
STACK: Final = "stack"
SCRATCH: Final = "scratch"
UNIT: Final = "one"
MINUS_UNIT: Final = "minus one"
TRANSPOSED: Final = "transposed"
"""Kinds of arrays beside those of operands: the new state, a result of all steps, a result of one step that the next
overwrites, the numbers 1 and −1, and the transpose of a constant."""


class View(NamedTuple):
    """A view, where a value lies: of which array, and of which part of it (seen from one row, if there is a row for each step).

    The path consists of indices, which are tuples, and `Parts`.
    """

    array: int
    path: tuple[Any, ...] = ()


class Row(NamedTuple):
    """What an array holds of one step."""

    shape: tuple[int, ...]
    dtype: Any


class Parts(NamedTuple):
    """In the path of a view: cut the columns into so many parts of that width, and put the parts first."""

    number: int
    width: int

    def of(self, array: Array) -> Array:
        """(…, B, number · width) as (…, number, B, width); (number · width,) as (number, 1, width)."""
        parts = array.reshape(*array.shape[:-1], self.number, self.width)
        return parts[:, None] if array.ndim == 1 else parts.swapaxes(-3, -2)


class Buffers:
    """The arrays, and the views of all values in them.

    Args:
        schedule: when each operation is computed.
    """

    __slots__ = ("_alike", "_given", "arrays", "copies", "cut", "results", "schedule", "views")

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.arrays: list[tuple[str, Any]] = []
        """The kind of each array, and which of the kind it is, or the shape of one of its rows."""
        self.views: list[View] = []
        self.results: dict[int, int] = {}
        """The view of each result."""
        self.copies: dict[int, list[tuple[Ref, int]]] = {}
        """What has to be copied where, for each result that others are put side by side in."""
        self._given: dict[tuple[str, Any], int] = {}
        self.cut: dict[int, Parts] = {}
        """The results that are laid out part by part."""
        self._alike: dict[int, list[int]] = {}
        self._place_all()

    def view(self, array: int, path: tuple[Any, ...] = ()) -> int:
        """A new view."""
        self.views.append(View(array, path))
        return len(self.views) - 1

    def view_of(self, kind: str, number: Any) -> int:
        """The view of a result, or of something given."""
        if kind == LOCAL:
            return self.results[number]
        if (kind, number) not in self._given:
            self._given[kind, number] = self._new_array(kind, number)
        return self._given[kind, number]

    def _new_array(self, kind: str, what: Any) -> int:
        self.arrays.append((kind, what))
        return self.view(len(self.arrays) - 1)

    def _fresh(self, k: int) -> int:
        node = self.schedule.nodes[k]
        shape: tuple[int, ...] = node.shape
        if k in self.cut:
            shape = (self.cut[k].number, shape[0], self.cut[k].width)
        return self._new_array(STACK if self.schedule.stacked[k] else SCRATCH, Row(shape, node.dtype))

    # ---------------------------------------------------------------- the order in which places are given

    def _place_all(self) -> None:
        schedule = self.schedule
        self._place_new_state()
        joins = [k for k, node in enumerate(schedule.nodes) if isinstance(node, Concatenate)]
        for k in sorted(joins, key=lambda k: schedule.phase[k] != BODY):
            self._place_joined(k)
        self._alike = self._find_alike()
        self.cut = {k: parts for k in range(len(schedule.nodes)) if (parts := self._only_cut(k)) is not None}
        for k in reversed(range(len(schedule.nodes))):
            if schedule.is_computed(Ref(LOCAL, k)) and not isinstance(schedule.nodes[k], Window):
                if k not in self.results:
                    self._place_side_by_side([m for m in self._alike.get(k, [k]) if m not in self.results])
                self._give_place_to_operand(k)
        for k, node in enumerate(schedule.nodes):
            if isinstance(node, Window):
                self.results[k] = self.view_of(*schedule.operands[k][0])
            elif isinstance(node, Slice):
                self._place_part(k, node)

    def _place_new_state(self) -> None:
        for i, operand in enumerate(self.schedule.new):
            stays = self.schedule.every_carry or operand.kind != LOCAL or not self.schedule.stacked[operand.number]
            if stays and self.schedule.is_computed(operand) and not isinstance(self.schedule.nodes[operand.number], Window):
                self.results.setdefault(operand.number, self.view_of(NEW, i))

    def _place_side_by_side(self, members: Sequence[int]) -> None:
        """Give results their places: one its own, several one beside the other."""
        if len(members) == 1:
            self.results[members[0]] = self._fresh(members[0])
            return
        kind = STACK if any(self.schedule.stacked[member] for member in members) else SCRATCH
        node = self.schedule.nodes[members[0]]
        self.arrays.append((kind, Row((len(members), *node.shape), node.dtype)))
        for j, member in enumerate(members):
            self.results[member] = self.view(len(self.arrays) - 1, ((j,),))

    def _give_place_to_operand(self, k: int) -> None:
        """Let an operand that nothing else needs be computed where the result will be, if that can be.

        Not in columns of an array: to write there is slow, so it is done once only. And no product of matrices in a part of
        an array: it needs one piece of memory.
        """
        schedule, (array, path) = self.schedule, self.views[self.results[k]]
        if not schedule.nodes[k].entrywise or k in self.cut or any(len(index) > 1 for index in path):
            return
        kind, _ = self.arrays[array]
        over_time = kind == STACK or (kind == NEW and schedule.every_carry)
        for r in schedule.results_of(k):
            free = r not in self.results and r not in schedule.kept and schedule.uses[Ref(LOCAL, r)] == 1
            here, there = schedule.nodes[r], schedule.nodes[k]
            fits = (here.shape, here.dtype) == (there.shape, there.dtype) and (over_time or not schedule.stacked[r])
            fits = fits and (here.entrywise or (not path and schedule.is_product(r)))
            group = self._alike.get(r, [r])
            if free and fits and (len(group) == 1 or path == ((group.index(r),),)):
                self.results[r] = self.results[k]
                return

    # ---------------------------------------------------------------- parts cut out

    def _place_part(self, k: int, node: Slice) -> None:
        (operand,) = self.schedule.operands[k]
        whole, (_, start, _, index) = self.views[self.view_of(*operand)], node.span
        if operand.kind == LOCAL and operand.number in self.cut:
            index = start // self.cut[operand.number].width
        self.results[k] = self.view(whole.array, (*whole.path, index if isinstance(index, tuple) else (index,)))

    def _only_cut(self, k: int) -> Parts | None:
        """The parts of a result of the loop that is used for nothing but its columns, all of one width.

        It is then laid out part by part, so that whatever is computed from a part finds it in one piece.
        """
        schedule, node, result = self.schedule, self.schedule.nodes[k], Ref(LOCAL, k)
        if schedule.phase[k] != BODY or k in self.results or k in schedule.kept:
            return None
        if len(self._alike.get(k, [k])) > 1 or not schedule.is_entrywise(result):
            return None
        users = [schedule.nodes[m] for m, operands in enumerate(schedule.operands) if result in operands]
        widths = [place[0] for user in users if (place := _columns(user)) is not None]
        if not len(widths) == schedule.uses[result] > 1 or len(set(widths)) > 1 or node.shape[1] % (width := widths[0]):
            return None
        for operand in schedule.operands[k]:
            shape = schedule.program.value(operand).shape
            if shape != node.shape and not (shape == node.shape[1:] and operand.kind == CONST):
                return None
        return Parts(node.shape[1] // width, width)

    def _find_alike(self) -> dict[int, list[int]]:
        """The operations of the loop that do the same with parts side by side; for each of them all of its group."""
        parts: dict[Ref, tuple[Any, int]] = {}  # what it is a part of, and which
        groups: dict[int, list[int]] = {}
        latest: dict[Any, tuple[list[int], list[int]]] = {}
        for k, node in enumerate(self.schedule.nodes):
            operands, result = self.schedule.operands[k], Ref(LOCAL, k)
            place, of_parts = _columns(node), all(operand in parts for operand in operands)
            if place is not None:
                parts[result] = (operands[0], place[0]), place[1]
            elif of_parts and self.schedule.phase[k] == BODY and self.schedule.is_entrywise(result):
                wholes, which = zip(*[parts[operand] for operand in operands], strict=True)
                opcode = self.schedule.kind_of(k), wholes
                group, following = latest.get(opcode, ([], []))
                if list(which) != following:
                    group = []
                group.append(k)
                latest[opcode] = group, [number + 1 for number in which]
                groups[k] = group
                parts[result] = group[0], len(group)
        return groups

    # ---------------------------------------------------------------- parts put side by side

    def _place_joined(self, k: int) -> None:
        """Let the parts that are joined be computed where they belong, as far as that can be; the others are copied."""
        schedule, node = self.schedule, cast(Concatenate, self.schedule.nodes[k])
        parts = schedule.results_of(k)
        homeless = {r for r in parts if r not in self.results and schedule.is_entrywise(Ref(LOCAL, r))}
        homeless = {r for r in homeless if not isinstance(schedule.nodes[r], Window)}  # nothing computes those
        schedule.stacked[k] = schedule.stacked[k] or any(schedule.stacked[r] for r in homeless)
        self.results[k], self.copies[k] = self._fresh(k), []
        before = (slice(None),) * node.axis
        for operand, (start, stop) in zip(schedule.operands[k], node.bounds, strict=True):
            place = self.view(self.views[self.results[k]].array, ((*before, slice(start, stop)),))
            if operand.kind == LOCAL and operand.number in homeless:
                homeless.remove(operand.number)
                self.results[operand.number] = place
            else:
                self.copies[k].append((operand, place))
        if schedule.phase[k] == BODY:
            for shared, members in groupby(parts, self._multiplied):
                factors = [] if shared is None else list(dict.fromkeys(schedule.operands[m][1].number for m in members))
                if factors:
                    self._place_side_by_side(factors)

    def _multiplied(self, m: int) -> tuple[Ref, tuple[int, ...]] | None:
        """What is multiplied with a factor that is computed before the loop and has no place yet, and the factor's shape."""
        schedule, node = self.schedule, self.schedule.nodes[m]
        if not isinstance(node, Multiply):
            return None
        g, factor = schedule.operands[m]
        free = schedule.is_entrywise(factor) and schedule.phase[factor.number] == PROLOGUE and factor.number not in self.results
        return (g, node.shape) if free and schedule.nodes[factor.number].shape == node.shape else None

    # ---------------------------------------------------------------- several views as one

    def side_by_side(self, places: Sequence[int]) -> View | None:
        """Slots as one, with an axis for them in front, if they are parts next to each other, or all of them the same."""
        views = [self.views[place] for place in places]
        array, path = first = views[0]
        if all(view == first for view in views):
            return first
        if any(view.array != array or not view.path or view.path[:-1] != path[:-1] for view in views):
            return None
        *before, start = path[-1]
        if [view.path[-1] for view in views] != [(*before, _later(start, j)) for j in range(len(views))]:
            return None
        if isinstance(start, int):
            return View(array, (*path[:-1], (slice(start, start + len(views)),)))
        if len(before) != 1:
            return None
        width = start.stop - start.start
        columns = slice(start.start, start.start + len(views) * width)
        return View(array, (*path[:-1], (*before, columns), Parts(len(views), width)))


def _columns(node: Operation) -> tuple[int, int] | None:
    """The width of columns that were cut out of a matrix, and how often that width lies before them."""
    if not isinstance(node, Slice) or len(node.shape) != 2 or node.span[0] != 1:
        return None
    _, start, stop, _ = node.span
    width = stop - start
    return None if not width or start % width else (width, start // width)


def _later(index: int | slice, steps: int) -> int | slice:
    """The part that comes so many parts later."""
    if isinstance(index, int):
        return index + steps
    width = index.stop - index.start
    return slice(index.start + steps * width, index.stop + steps * width)
