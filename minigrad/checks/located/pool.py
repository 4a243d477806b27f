"""All that could stand in a statement, with its values there: what has a name, what is computed, and products of such."""

from __future__ import annotations

import ast
import copy
import itertools
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import override

from minigrad.checks.located.phrases import HOLE, Phrase, evaluated, parsed, tight
from minigrad.checks.located.watching import Visit
from minigrad.checks.located.written import Written
from minigrad.guard import Array

__all__ = ["AtHand", "Pool", "product_of", "with_zeros_of"]

MANY = 20_000
"""So many products of three are tried."""
NAMED = re.compile(r"^\w+(?:\.\w+|\[(?:\"\w+\"|'\w+')\])+$|^\w+$")
"""What is held by something: ``self.W``, ``params["W"]``."""


class _Kind(NamedTuple):
    """Some expressions of one kind: how far they are from what has a name, their values at each visit, and their texts."""

    costs: Any
    stacks: list[Array]
    text: Callable[[int], str]


class Pool:
    """Expressions for arrays of one shape, and their values at each visit, one stack each."""

    def __init__(self, kinds: Sequence[_Kind], shape: tuple[int, ...], visits: int) -> None:
        self.kinds = [kind for kind in kinds if len(kind.stacks[0])]
        self.starts = list(itertools.accumulate((len(kind.stacks[0]) for kind in self.kinds), initial=0))
        empty = np.zeros((0, *shape))
        self.stacks = [np.concatenate([empty, *(kind.stacks[k] for kind in self.kinds)]) for k in range(visits)]
        self.costs = np.concatenate([np.zeros(0), *(np.broadcast_to(k.costs, len(k.stacks[0])) for k in self.kinds)])

    def text(self, number: int) -> str:
        """The text of one of them."""
        which = bisect_right(self.starts, number) - 1
        return self.kinds[which].text(number - self.starts[which])


class AtHand:
    """What is at hand in a statement.

    Args:
        function: that it is in.
        known: the phrases of the function.
        visits: the variables there.
        changing: at so many of the visits something is to be changed, at the others not.
    """

    def __init__(self, function: Written, known: Sequence[Phrase], visits: Sequence[Visit], changing: int) -> None:
        self.function, self.visits, self.changing, self.known = function, visits, changing, known
        self.space = function.function.__globals__
        self.values: dict[str, tuple[int, list[Array]]] = {}
        self.of_one_step = {phrase.text for phrase in known if phrase.of_one_step}
        self.fixed = {phrase.text for phrase in known if phrase.of_one_step and phrase.rank == 0}
        self.lost = {phrase.text for phrase in known if phrase.lost}
        self.unmentioned = {phrase.text for phrase in known if phrase.rank == 1 and NAMED.match(phrase.text)}
        self.numbers: dict[str, float] = {}  # what has a name and is the same number at all visits
        for phrase in known:
            values = [evaluated(phrase.code, self.space, visit) for visit in visits]
            if phrase.rank < 2 and (number := self._number(phrase)) is not None:
                self.numbers[phrase.text] = number
            found = [value for value in values if value is not None and np.isfinite(value).all()]
            shapes = {value.shape for value in found}
            if len(shapes) > 1 and len(full := {value.shape for value in found if value.any()}) == 1:
                (shape,) = shapes = full  # zeros of another shape at first: dh = 0, or a state without its batch
                found = with_zeros_of(found, shape)
                shapes = {value.shape for value in found}
            is_nothing = len(found) > 1 and any(all(map(whole, found)) for whole in (_is_zero, _is_one))  # fits anywhere
            if len(found) == len(values) and len(shapes) == 1 and not is_nothing:
                self.values[phrase.text] = phrase.rank, found
        self.pools: dict[tuple[int, ...], Pool] = {}

    def written_in(self, function: Written) -> AtHand:
        """The same for the function with other text in this statement: what is at hand is not computed again."""
        other = copy.copy(self)
        other.function = function
        if other.style() != self.style():
            other.pools = {}
        return other

    def _number(self, phrase: Phrase) -> float | None:
        """The number that an expression stands for at all visits, if it is worth multiplying with."""
        found = set()
        for visit in self.visits:
            try:
                value = eval(phrase.code, self.space, visit)
            except Exception:
                return None
            if type(value) not in (int, float, np.float64, np.int64) or value in (0, 1):
                return None
            found.add(float(value))
        return found.pop() if len(found) == 1 else None

    def pool(self, shape: tuple[int, ...]) -> Pool:
        """All of that shape."""
        if shape not in self.pools:
            here = [(text, rank, values) for text, (rank, values) in self.values.items() if values[0].shape == shape]
            kinds = [_phrases(here, len(self.visits), shape), *_products(here, len(self.visits), shape)]
            kinds += [*self._stretched(shape), *self._renamed(shape), *self._dots(shape), *self._outers(shape)]
            self.pools[shape] = Pool(kinds, shape, len(self.visits))
        return self.pools[shape]

    def _stretched(self, shape: tuple[int, ...]) -> Iterator[_Kind]:
        """Products of two names, of which one is stretched, as peepholes are."""
        names = [(text, values) for text, (rank, values) in self.values.items() if rank == 0]
        whole = [entry for entry in names if entry[1][0].shape == shape]
        small = [entry for entry in names if entry[1][0].shape != shape and entry[1][0].size > 1 and _fits(entry[1][0], shape)]
        pairs = list(itertools.product(small, whole))
        if pairs and np.prod(shape):
            stacks = [np.array([x[1][k] * y[1][k] for x, y in pairs]) for k in range(len(self.visits))]
            yield _Kind(0.5, stacks, lambda k: product_of(pairs[k][0][0], pairs[k][1][0]))

    def _renamed(self, shape: tuple[int, ...]) -> Iterator[_Kind]:
        """What he computes somewhere, with another name in the place of one of those in it."""
        by_shape: dict[tuple[int, ...], list[tuple[str, list[Array]]]] = {}
        for text, (rank, values) in self.values.items():
            if rank == 0:
                by_shape.setdefault(values[0].shape, []).append((text, values))
        for phrase in self.known:
            if phrase.rank != 1 or phrase.text not in self.values or self.values[phrase.text][1][0].shape != shape:
                continue
            for part, code in phrase.around:
                names = by_shape.get(self.values[part][1][0].shape, []) if part in self.values else []
                stacks = [self._stack(code, [values[k] for _, values in names], k, shape) for k in range(len(self.visits))]
                found = [stack for stack in stacks if stack is not None]
                if names and len(found) == len(stacks):
                    yield _Kind(0.65, found, lambda k, n=names, t=phrase.text, p=part: _renamed(t, p, n[k][0]))  # type: ignore[misc]

    def _stack(self, code: CodeType, values: list[Array], visit: int, shape: tuple[int, ...]) -> Array | None:
        """What comes of an expression at a visit for each of some values in it, all at once or one by one."""
        if not values:
            return None
        whole = evaluated(code, self.space, {**self.visits[visit], HOLE: np.array(values)})
        if whole is not None and whole.shape == (len(values), *shape):
            return whole
        single = [evaluated(code, self.space, {**self.visits[visit], HOLE: value}) for value in values]
        return None if any(one is None or one.shape != shape for one in single) else np.array(single)

    def _dots(self, shape: tuple[int, ...]) -> Iterator[_Kind]:
        """Matrix products of two names, each as it is or transposed."""
        style = self.style()
        names = [
            (text, values)
            for text, (rank, values) in self.values.items()
            if (rank == 0 and values[0].ndim in (1, 2)) or (text in self.unmentioned and values[0].ndim == 2)
        ]
        sides = [
            (f"{text}.T" if turned else text, [value.T for value in values] if turned else values)
            for text, values in names
            for turned in ((False, True) if values[0].ndim > 1 else (False,))
        ]
        pairs = [
            (x, y)
            for x, y in itertools.product(sides, sides)
            for p, q in [(x[1][0].shape, y[1][0].shape)]
            if len(p) + len(q) > 2 and p[-1] == q[0] and (*p[:-1], *q[1:]) == shape
        ]
        if pairs:
            stacks = [np.array([x[1][k] @ y[1][k] for x, y in pairs]) for k in range(len(self.visits))]
            turned = ".T @ " in self.function.text or ".T, " in self.function.text
            costs = np.array([0.51 if turned and x[1][0].ndim < y[1][0].ndim else 0.5 for x, y in pairs])
            yield _Kind(costs, stacks, lambda k: style.format(pairs[k][0][0], pairs[k][1][0]))

    def _outers(self, shape: tuple[int, ...]) -> Iterator[_Kind]:
        """Outer products of two names, where he writes such."""
        library = next((name for name in ("np", "numpy") if f"{name}.outer(" in self.function.text), None)
        names = [(text, values) for text, (rank, values) in self.values.items() if rank == 0 and values[0].ndim == 1]
        pairs = [(x, y) for x, y in itertools.product(names, names) if (x[1][0].size, y[1][0].size) == shape]
        if pairs and library:
            stacks = [np.array([np.outer(x[1][k], y[1][k]) for x, y in pairs]) for k in range(len(self.visits))]
            yield _Kind(0.5, stacks, lambda k: f"{library}.outer({pairs[k][0][0]}, {pairs[k][1][0]})")

    def style(self) -> str:
        """How he writes a matrix product."""
        text = self.function.text
        if ".dot(" in text:
            library = next((name for name in ("np", "numpy") if f"{name}.dot(" in text), None)
            return f"{library}.dot({{}}, {{}})" if library else "{}.dot({})"
        return "{} @ {}" if " @ " in text or "matmul" not in text else "np.matmul({}, {})"


def with_zeros_of(values: Sequence[Array], shape: tuple[int, ...]) -> list[Array]:
    """The values with zeros of that shape in the place of zeros that are stretched to it, or have as many entries."""
    size = int(np.prod(shape))
    return [v if v.any() or not (v.size == size or _fits(v, shape)) else np.zeros(shape) for v in values]


def _fits(value: Array, shape: tuple[int, ...]) -> bool:
    """Whether a product with an array of that shape has that shape."""
    return value.ndim <= len(shape) and all(n in (1, m) for n, m in zip(value.shape[::-1], shape[::-1], strict=False))


def _stacked(values: Sequence[list[Array]], visits: int, shape: tuple[int, ...]) -> list[Array]:
    return [np.array([value[k] for value in values]).reshape(len(values), *shape) for k in range(visits)]


def _phrases(here: list[tuple[str, int, list[Array]]], visits: int, shape: tuple[int, ...]) -> _Kind:
    """What has a name, is computed somewhere, or is made of what has a name."""
    stacks = _stacked([values for _, _, values in here], visits, shape)
    return _Kind(np.array([0.3 * rank for _, rank, _ in here]), stacks, lambda k: here[k][0])


def _products(here: list[tuple[str, int, list[Array]]], visits: int, shape: tuple[int, ...]) -> Iterator[_Kind]:
    """Products of a name and anything, and of two names and something made of a third."""
    names = [text for text, rank, _ in here if rank == 0]
    made = [text for text, rank, _ in here if rank == 2]
    x, y, z = (
        _stacked([values for _, rank, values in here if wanted(rank)], visits, shape)
        for wanted in (lambda rank: rank == 0, lambda rank: True, lambda rank: rank == 2)
    )
    if not names or not np.prod(shape):
        return
    ranks = np.array([0.5 + 0.2 * rank for _, rank, _ in here])
    pairs = [(p[:, None] * q[None]).reshape(-1, *shape) for p, q in zip(x, y, strict=True)]
    yield _Kind(np.tile(ranks, len(names)), pairs, lambda k: product_of(names[k // len(here)], here[k % len(here)][0]))
    first, second = np.triu_indices(len(names), 1)
    if made and 0 < len(first) * len(made) <= MANY:
        triples = [(p[first][:, None] * p[second][:, None] * r[None]).reshape(-1, *shape) for p, r in zip(x, z, strict=True)]
        yield _Kind(
            1.1, triples, lambda k: product_of(names[first[k // len(made)]], names[second[k // len(made)]], made[k % len(made)])
        )


def product_of(*parts: str) -> str:
    """The text of a product; of a name with itself, the square."""
    named = isinstance(parsed(parts[0]), ast.Name | ast.Attribute | ast.Subscript)
    if len(parts) == 2 and parts[0] == parts[1] and (named or (tight(parts[0]) == parts[0] and " " not in parts[0])):
        return f"{parts[0]}**2"
    return " * ".join([tight(parts[0]), *(f"({p})" if _is_matmul(p) else tight(p) for p in parts[1:])])


def _is_matmul(text: str) -> bool:
    node = parsed(text)
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)


def _renamed(text: str, old: str, new: str) -> str:
    return ast.unparse(_Renaming(old, new).visit(ast.parse(text, mode="eval")))


class _Renaming(ast.NodeTransformer):
    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = ast.unparse(ast.parse(old)), ast.parse(new, mode="eval").body

    @override
    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and ast.unparse(node) == self.old:
            return self.new
        return self.generic_visit(node)


def _is_zero(value: Array) -> bool:
    return not value.any()


def _is_one(value: Array) -> bool:
    return bool((value == 1).all())
