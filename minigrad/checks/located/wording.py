"""Formulas of the derivation in the words of one statement: what stands in them has names in the user's function.

They are found by their values, at the visits of that statement.
"""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.frontier import target_of
from minigrad.checks.located.phrases import compiled, evaluated, tight
from minigrad.checks.located.places import Place
from minigrad.checks.located.pool import AtHand
from minigrad.checks.located.truths import CLOSE, marks_of
from minigrad.checks.run import plus
from minigrad.checks.tracing import Hole, Line
from minigrad.guard import Array

__all__ = ["COST", "Wording"]

COST = 1.9
"""What it costs to write a line anew: more than to write one thing in it otherwise."""
DEPTH = 6
"""A formula is written out so deep."""


class UnknownError(Exception):
    """Something in a formula has no name that is known."""


class Wording:
    """Formulas in the words of one statement.

    A loop goes back through the steps: the first visits of the statement are at the last steps, the last is at the first.
    """

    def __init__(self, at_hand: AtHand, chain: Any, early: int) -> None:
        self.at_hand, self.chain, self.base, self.early = at_hand, chain, chain.base, early
        count, steps = at_hand.changing, chain.steps
        self.times = [*range(steps, max(steps - 2, 0), -1), 1][:count] if count > 1 else [steps]
        libraries = (name for name, value in at_hand.space.items() if getattr(value, "__name__", None) == np.__name__)
        self.np = next(libraries, "np")
        by_shape: dict[tuple[int, ...], list[tuple[int, str, list[float]]]] = defaultdict(list)
        for text, (rank, values) in at_hand.values.items():
            marks = [float(marks_of(value, value.ndim)) for value in values]
            if rank < 2 and values[0].size > 1 and any(marks):
                by_shape[values[0].shape].append((2 * (text in at_hand.of_one_step) + rank, text, marks))
        self.names = {
            shape: ([text for _, text, _ in sorted(some)], np.array([marks for _, _, marks in sorted(some)]))
            for shape, some in by_shape.items()
        }

    def shape(self, place: Place) -> tuple[int, ...] | None:
        """That of what stands there; of what is added to something larger, that of the latter."""
        statement = place.statement
        nodes = [place.node]
        if isinstance(statement, ast.AugAssign) and statement.value is place.node:
            nodes.append(statement.target)
        codes = [compiled(place.function.segment(node)) for node in nodes]
        values = [None if code is None else evaluated(code, self.at_hand.space, self.at_hand.visits[0]) for code in codes]
        largest = max((value for value in values if value is not None), key=lambda value: value.size, default=None)
        return largest.shape if largest is not None and largest.size > 1 else None

    def nothing(self, statement: ast.stmt, outlets: Sequence[Place]) -> Iterator[Edit]:
        """Zeros, for the gradient of what is computed in the forward pass and read by nothing there."""
        target = target_of(self.at_hand.function, statement)
        value = names.stem(target.rpartition(".")[2])
        idle = any(value in line.names for line in self.chain.lines if not self.chain.live[line.number])
        if idle and names.is_gradient(target) and value in self.at_hand.values and len(outlets) == 1:
            text = f"{self.np}.zeros_like({value})"
            yield Edit(self.at_hand.function, statement, [(outlets[0].node, text)], COST, hit=1.0, anew=True)

    # ---------------------------------------------------------------- which gradients there are

    def gradients(self, shape: tuple[int, ...], added: bool) -> Iterator[tuple[str, Collection[str]]]:
        """The formulas for gradients of that shape: of every value, of what goes to the step before; parts, to add them up.

        With what the forward pass calls the value whose gradient it is.
        """
        tried: dict[str, Collection[str]] = {}
        for write, of in self._formulas(shape, added):
            try:
                tried.setdefault(write(), of)
            except UnknownError:
                continue
        yield from tried.items()

    def back(self, shape: tuple[int, ...]) -> Iterator[str]:
        """The formulas for what goes back to the states of the step before."""
        tried: dict[str, None] = {}
        for site in self.chain.initial:
            before = [line for time in self.times if (line := self._line(site, time - 1)) is not None]
            crossing = self._groups(before, True) if len(before) == len(self.times) else {}
            if crossing and before[0].value.shape == shape:
                try:
                    tried[self._terms(crossing, DEPTH)] = None
                except UnknownError:
                    continue
        yield from tried

    def _formulas(self, shape: tuple[int, ...], added: bool) -> Iterator[tuple[Callable[[], str], Collection[str]]]:
        for site, at in self.chain.at.items():
            lines = [at[time] for time in self.times if time in at]
            before = [line for time in self.times if (line := self._line(site, time - 1)) is not None]
            if len(lines) == len(self.times) and lines[0].value.shape == shape and not added:
                yield partial(self._sum, lines, DEPTH), lines[0].names
            if len(before) == len(self.times) and before[0].value.shape == shape:
                crossing = self._groups(before, True)
                if crossing and not added:
                    yield partial(self._terms, crossing, DEPTH), ()
                if added or len(crossing) > 1:
                    yield from ((partial(self._term, users, k, DEPTH), ()) for (_, k), users in crossing.items())
        for line in self.chain.lines:
            if line.time == 0 and line.value.shape == shape and self.chain.live[line.number]:
                if added:
                    groups = self._groups([line] * len(self.times), None)
                    yield from ((partial(self._term, users, k, DEPTH), line.names) for (_, k), users in groups.items())
                elif len(self.times) == 1:
                    yield partial(self._sum, [line], DEPTH), line.names

    def _line(self, site: Any, time: int) -> Line | None:
        """A state's line at a time; at time 0 its initial value."""
        at = self.chain.at.get(site, {})
        if not time:
            found: Line | None = self.chain.initial.get(site)
            return found
        return at.get(time) if site in self.chain.initial else None

    def _groups(self, lines: Sequence[Line], crossing: bool | None) -> dict[tuple[Any, int], list[Line]]:
        """The uses of a line at each visit, by where they are; of a line that is used at all steps those at the visit's."""
        found: dict[tuple[Any, int], list[Line]] = defaultdict(list)
        for line, time in zip(lines, self.times, strict=True):
            for user, position, crosses in self.chain.uses[line.number]:
                here = user.time in (time, 0) or self.chain.steps == 1 or crossing is False
                if here and crossing in (None, crosses):
                    found[user.site, position].append(user)
        if crossing:  # zeros that a state begins with have no uses of their own: those of the steps behind tell where they are
            at = self.chain.at
            found = {key: [at[key[0]][time] for time in self.times if time in at[key[0]]] for key in found}
        return {key: users for key, users in found.items() if len(users) == len(lines)}

    # ---------------------------------------------------------------- formulas

    def _named(self, values: Sequence[Any], count: int | None = None) -> str | None:
        """What has these values at the first visits, or at so many; if nothing has, what has them turned, or of one alone."""
        count = self.early if count is None else count
        arrays = [np.asarray(value) for value in values[:count]]
        for turned, single in ((False, False), (True, False), (False, True)) if arrays[0].ndim == 2 else ((False, False),):
            if single and 1 not in arrays[0].shape:
                break
            arrays = [np.asarray(value) for value in values[:count]]
            arrays = [array.T if turned else array.ravel() if single else array for array in arrays]
            texts, marks = self.names.get(arrays[0].shape, ([], np.zeros((0, len(arrays)))))
            if texts and any(array.any() for array in arrays):
                own = np.array([float(marks_of(array, array.ndim)) for array in arrays])
                same = np.abs(marks[:, : len(own)] - own) <= CLOSE * np.maximum(np.abs(own), 1e-3)
                for k in np.flatnonzero(same.all(axis=1)):
                    return f"{tight(texts[k])}.T" if turned else texts[k]
        return None

    def _value(self, lines: Sequence[Line]) -> str:
        """The name of a value of the forward pass."""
        text = self._named([line.value for line in lines], len(lines))
        if text is None and lines[0].op == "constant" and not lines[0].value.ndim:
            text = f"{float(lines[0].value):g}"
        if text is None and lines[0].op in ("tanh", "mul"):
            operands = [self._operand(lines, k) for k in range(len(lines[0].given))]
            text = f"{self.np}.tanh({operands[0]})" if lines[0].op == "tanh" else " * ".join(map(tight, operands))
        if text is None:
            raise UnknownError
        return text

    def _operand(self, lines: Sequence[Line], position: int) -> str:
        """What an operation is given at a place."""
        given = lines[0].given[position]
        if isinstance(given, Hole):
            return self._value([line.operands[given.number] for line in lines])
        if isinstance(given, int | float):
            return f"{given:g}"
        raise UnknownError

    def _gradient(self, lines: Sequence[Line], depth: int) -> str:
        """The name of the gradient of a value, or the formula for it."""
        values = [self.base.cotangent(line, None) for line in lines]
        text = None if any(value is None for value in values) else self._named(values)
        return self._sum(lines, depth - 1) if text is None else text

    def _sum(self, lines: Sequence[Line], depth: int) -> str:
        """The formula for the gradient of a value."""
        if depth <= 0:
            raise UnknownError
        parts = []
        seeds = [[g for _, g in self.chain.seeds.get(line.number, ())] for line in lines]
        for some in itertools.zip_longest(*seeds):
            arriving = [np.zeros(line.value.shape) if g is None else g for g, line in zip(some, lines, strict=True)]
            parts.append(self._known(arriving))
        back = [self.base.carried(line) for line in lines]
        if any(part is not None and np.any(part) for part in back[: self.early]):
            arrays = [np.zeros(line.value.shape) if g is None else g for g, line in zip(back, lines, strict=True)]
            parts.append(self._known(arrays))
        elif lines[0].site in self.chain.initial and self.chain.steps > 1:
            parts.append(self._arriving(lines[0].value.shape))
        here = self._groups(lines, False)
        total = [None] * len(lines)
        for (_, position), users in here.items():
            total = [plus(a, self.base.share(user, position, None)) for a, user in zip(total, users, strict=True)]
        if here:
            named = None if any(part is None for part in total) else self._named(total)
            parts.append(self._terms(here, depth) if named is None else named)
        if not parts:
            raise UnknownError
        return _added(parts)

    def _arriving(self, shape: tuple[int, ...]) -> str:
        """The name of what goes back to the step before, where nothing of it is right but that it is 0 at the last step."""
        space = self.at_hand.visits[0]
        zeros = [name for name, value in space.items() if isinstance(value, np.ndarray) and value.shape == shape]
        zeros = [name for name in zeros if names.says_gradient(name)]
        zeros = [name for name in zeros if not np.any(space[name]) and np.any(self.at_hand.visits[-1].get(name))]
        if len(zeros) != 1:
            raise UnknownError
        return zeros[0]

    def _known(self, values: Sequence[Any]) -> str:
        text = self._named(values)
        if text is None:
            raise UnknownError
        return text

    def _terms(self, groups: dict[tuple[Any, int], list[Line]], depth: int) -> str:
        joined = self._joined(groups, depth)
        return joined or _added([self._term(users, position, depth) for (_, position), users in groups.items()])

    def _joined(self, groups: dict[tuple[Any, int], list[Line]], depth: int) -> str | None:
        """The gradients of the parts of an array, side by side."""
        found: list[tuple[int, int, list[Line]]] = []
        axes = set()
        for users in groups.values():
            given = users[0].operands[0].value
            places = users[0].vjp(np.ones(users[0].value.shape))[0]
            if users[0].op not in ("getitem", "split") or places is None or places.shape != given.shape:
                return None
            axis = next((k for k, (n, m) in enumerate(zip(users[0].value.shape, given.shape, strict=False)) if n != m), None)
            if axis is None or users[0].value.ndim != given.ndim:
                return None
            filled = np.flatnonzero(np.moveaxis(places, axis, 0).reshape(given.shape[axis], -1).all(axis=1))
            axes.add(axis)
            found.append((int(filled[0]), len(filled), users))
        found.sort(key=lambda part: part[0])
        if len(axes) != 1 or len(found) < 2:
            return None
        axis = axes.pop()
        if sum(count for _, count, _ in found) != found[0][2][0].operands[0].value.shape[axis]:
            return None
        parts = ", ".join(self._gradient(users, depth) for _, _, users in found)
        return f"{self.np}.concatenate(({parts}), axis={axis})"

    def _term(self, users: Sequence[Line], position: int, depth: int) -> str:
        """What one use contributes."""
        shares = [self.base.share(user, position, None) for user in users]
        if any(share is None for share in shares):
            raise UnknownError
        named = self._named(shares)
        if named is not None:
            return named
        user = users[0]
        given = [k for k, part in enumerate(user.given) if isinstance(part, Hole) and part.number == position]
        if user.op == "matmul" and len(user.operands) == 2:
            return self._of_product(users, position, depth)
        g = self._gradient(users, depth)
        if user.op == "mul" and given:
            text = f"{tight(g)} * {tight(self._operand(users, 1 - given[0]))}"
        elif user.op == "div" and given == [0]:
            text = f"{tight(g)} / {tight(self._operand(users, 1))}"
        elif user.op == "add":
            text = g
        elif user.op == "sub" and given:
            text = g if given == [0] else f"-{tight(g)}"
        elif user.op == "neg":
            text = f"-{tight(g)}"
        elif user.op in ("tanh", "sigmoid"):
            text = f"{tight(g)} * {self._slope(users)}"
        elif user.op == "transpose" and user.value.ndim == 2:
            return f"{tight(g)}.T"
        elif user.op == "concatenate":
            return self._part(users, position, g)
        else:
            raise UnknownError
        return self._summed(text, user, shares[0])

    def _slope(self, users: Sequence[Line]) -> str:
        """The derivative of an activation, by what comes out of it."""
        y = self._value(users)
        if users[0].op == "sigmoid":
            return f"{tight(y)} * (1 - {y})"
        return f"(1 - {y}**2)" if y.isidentifier() or y[-1] in ")]" or "." in y else f"(1 - ({y})**2)"

    def _of_product(self, users: Sequence[Line], position: int, depth: int) -> str:
        g = self._gradient(users, depth)
        other = self._value([user.operands[1 - position] for user in users])
        style, left, right = self.at_hand.style(), users[0].operands[0].value, users[0].operands[1].value
        if position == 0 and left.ndim == 2 and right.ndim == 1:
            return f"{self.np}.outer({g}, {other})"
        if position == 1 and left.ndim == 1 and right.ndim == 2:
            return f"{self.np}.outer({other}, {g})"
        turned = other[:-2] if other.endswith(".T") else f"{tight(other)}.T"
        first, second = (g, turned) if position == 0 else (turned, g)
        if style.startswith("{}"):
            first, second = tight(first), tight(second) if "@" in style else second
        return style.format(first, second)

    def _part(self, users: Sequence[Line], position: int, g: str) -> str:
        """The part of a gradient that belongs to one of several arrays side by side."""
        user = users[0]
        shapes = [operand.value.shape for operand in user.operands]
        axis = next((k for k, sizes in enumerate(zip(*shapes, strict=True)) if sum(sizes) == user.value.shape[k]), None)
        if axis is None:
            raise UnknownError
        sizes = [shape[axis] for shape in shapes]
        begin, end = sum(sizes[:position]), sum(sizes[: position + 1])
        first = "" if not begin else self._size(begin)
        last = "" if end == sum(sizes) else self._size(end)
        index = ", ".join([":"] * axis + [f"{first}:{last}"])
        return f"{tight(g)}[{index}]"

    def _size(self, number: int) -> str:
        """What the user calls a number of rows or columns."""
        visit = self.at_hand.visits[0]
        for node in ast.walk(self.at_hand.function.tree):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
                text = self.at_hand.function.segment(node)
                try:
                    value = eval(text, self.at_hand.space, visit)
                except Exception:
                    continue
                if isinstance(value, int) and value == number:
                    return text
        return str(number)

    def _summed(self, text: str, user: Line, share: Array) -> str:
        """The text, summed over the axes along which an operand was repeated."""
        shape, whole = np.shape(share), user.value.shape
        if shape == whole:
            return text
        if len(shape) == len(whole):
            axes = [k for k, (n, m) in enumerate(zip(shape, whole, strict=True)) if n != m]
            return f"{self.np}.sum({text}, axis={axes[0]}, keepdims=True)" if len(axes) == 1 else _fail()
        if len(shape) == len(whole) - 1 and shape == whole[1:]:
            return f"{self.np}.sum({text}, axis=0)"
        return _fail()


def _fail() -> str:
    raise UnknownError


def _added(parts: Sequence[str]) -> str:
    return " + ".join(parts).replace("+ -", "- ")
