"""Known mistakes, as changes of the chain rule: each kind once, for every line of any forward pass that it can be made in."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigrad.checks import names
from minigrad.checks.chain import Chain, Change, Context, Edge, Run, plus
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words
from minigrad.guard import Array

__all__ = ["catalogue"]

ARRANGING = frozenset(
    {"concatenate", "write", "transpose", "getitem", "reshape", "split", "stack", "copy", "expand_dims", "squeeze"}
)
"""Operations that put entries elsewhere: a wrong operand inside them is a wrong entry of the result."""


class Spot:
    """An edge with everything that changes of it need: the user and the operand at the last time."""

    def __init__(self, chain: Chain, edge: Edge) -> None:
        self.edge = edge
        times = chain.at[edge[0]]
        self.user = times[max(times)]
        self.position: int = edge[1]
        self.operand = self.user.operands[self.position]


def catalogue(chain: Chain, words: Words) -> list[Change]:
    """All changes for this chain, the simplest first."""
    found: list[Change] = []
    for edge, contexts in chain.visited.items():
        options: list[Context] = [None, *contexts] if len(contexts) > 1 else [None]
        for context in options:
            found += (
                _seed(chain, words, edge, context) if edge[0] == "seed" else _edge(chain, words, Spot(chain, edge), context)
            )
    found += _everywhere(chain, found)
    found += _one_term(chain, words, found)
    found += _permuted(chain, words)
    found += _between_steps(chain, words)
    found.sort(key=lambda change: change.simple)
    return found


def _everywhere(chain: Chain, found: list[Change]) -> Iterator[Change]:
    """The same mistake at every place where it can be made, as one."""
    groups: dict[Any, list[Change]] = {}
    for change in found:
        if "group" in change.fields and change.context is None and change.when is None:
            groups.setdefault(change.fields["group"], []).append(change)
    for members in groups.values():
        if len(members) > 1:
            edges = frozenset(edge for change in members for edge in change.edges)
            first = members[0]
            yield Change(
                edges, first.term, first.kind, first.fields["everywhere"], simple=max(first.simple - 1, 0), fields=first.fields
            )


def _in(chain: Chain, words: Words, context: Context) -> str:
    """Where a mistake is, if it is in one copy of a term only."""
    line = _line(chain, context)
    return f", in {words.gradient(line)} alone" if line is not None else ""


def _line(chain: Chain, context: Context) -> Line | None:
    """The line that a context is for."""
    if context is None:
        return None
    times = chain.at.get(context)
    if times:
        return times[max(times)]
    return next((line for line in chain.lines if line.site == context), None)


def _seed(chain: Chain, words: Words, edge: Edge, context: Context) -> Iterator[Change]:
    name = words.seeds.get(edge[1], f"d{edge[1]}")
    place = _in(chain, words, context)
    line = next(chain.lines[number] for number, seeds in chain.seeds.items() if any(edge[1] == n for n, _ in seeds))
    about = {"line": line}
    yield Change(
        frozenset({edge}),
        lambda run, user, k, g, c: None,
        "path missing",
        f"{name}, the gradient that arrives from outside, is left out{place}",
        context,
        simple=2 + (context is not None),
        fields=about,
    )
    for other, arrived in ((n, a) for seeds in chain.seeds.values() for n, a in seeds):
        if other != edge[1] and arrived.shape == line.value.shape:
            shown = words.seeds.get(other, f"d{other}")
            yield Change(
                frozenset({edge}),
                lambda run, user, k, g, c, other=other: _seed_of(run, other),
                "wrong upstream gradient",
                f"{shown} stands in the place of {name}{place}",
                context,
                simple=3 + (context is not None),
                fields=about,
            )
    yield from _shifted_seed(chain, name, edge, context, place, about)
    for said, by in _factors(chain, words, line.value.shape):
        yield Change(
            frozenset({edge}),
            lambda run, user, k, g, c, by=by: _by(run, user, g, by),
            "factor too many",
            f"{name} is multiplied by {said}, which belongs elsewhere{place}",
            context,
            simple=5 + (context is not None),
            fields=about,
        )
    for factor, kind in ((2.0, "counted twice"), (-1.0, "sign")):
        yield Change(
            frozenset({edge}),
            lambda run, user, k, g, c, factor=factor: factor * g,
            kind,
            f"{name} is {'counted twice' if factor == 2 else 'subtracted instead of added'}{place}",
            context,
            simple=4 + (context is not None),
            fields=about,
        )


def _shifted_seed(chain: Chain, name: str, edge: Edge, context: Context, place: str, about: dict[str, Any]) -> Iterator[Change]:
    """Gradients of outputs at all steps, taken at other steps."""
    seed = next(arrived for seeds in chain.seeds.values() for n, arrived in seeds if n == edge[1])
    axes = [axis for axis, size in enumerate(seed.shape) if size == chain.steps > 1]
    ways: list[tuple[str, Callable[[Any, int], Any]]] = [
        ("is read in reverse order of time", np.flip),
        ("is read one step too late", lambda g, axis: _moved(g, axis, 1)),
        ("is read one step too early", lambda g, axis: _moved(g, axis, -1)),
        ("is read at the last step only, for every step", lambda g, axis: np.take(g, [-1] * g.shape[axis], axis)),
        ("is read at the first step only, for every step", lambda g, axis: np.take(g, [0] * g.shape[axis], axis)),
        ("is added up over all steps, for every step", lambda g, axis: g.sum(axis=axis, keepdims=True) + 0 * g),
        ("is used at the last step only", lambda g, axis: _only(g, axis, -1)),
    ]
    for axis in axes[-1:]:
        for said, way in ways:
            yield Change(
                frozenset({edge}),
                lambda run, user, k, g, c, way=way, axis=axis: way(g, axis),
                "upstream of the wrong step",
                f"{name} {said}{place}",
                context,
                simple=3,
                fields=about,
            )


def _moved(g: Any, axis: int, by: int) -> Any:
    """``g`` shifted along an axis, zeros coming in."""
    moved = np.roll(g, -by, axis)
    return _only(moved, axis, -1 if by > 0 else 0, keep=False)


def _only(g: Any, axis: int, where: int, keep: bool = True) -> Any:
    mask = np.zeros(g.shape[axis]) if keep else np.ones(g.shape[axis])
    mask[where] = 1.0 if keep else 0.0
    return g * mask.reshape([-1 if a == axis else 1 for a in range(g.ndim)])


def _factors(chain: Chain, words: Words, shape: tuple[int, ...]) -> list[tuple[str, tuple[Site, Callable[[Any], Any]]]]:
    """What a gradient could be multiplied by without cause: values, and derivatives of activations."""
    found: list[tuple[str, tuple[Site, Callable[[Any], Any]]]] = []
    for site in _values(chain, shape):
        line = _line(chain, site)
        assert line is not None
        name = words.name(line)
        found.append((name, (site, lambda v: v)))
        if line.op == "tanh":
            found.append((f"(1 - {name}**2)", (site, lambda v: 1 - v * v)))
        if line.op == "sigmoid":
            found.append((f"{name} * (1 - {name})", (site, lambda v: v * (1 - v))))
            found.append((f"(1 - {name})", (site, lambda v: 1 - v)))
    return found


def _by(run: Run, user: Line, g: Any, factor: tuple[Site, Callable[[Any], Any]]) -> Any:
    value = run.chain.value(factor[0], user.time)
    return None if value is None else g * factor[1](value)


def _edge(chain: Chain, words: Words, spot: Spot, context: Context) -> Iterator[Change]:
    """What can go wrong with one term."""
    user, position, edge = spot.user, spot.position, spot.edge
    edges = frozenset({edge})
    place = _in(chain, words, context)
    extra = 1 if context is not None else 0
    text = words.term(user, position, 1)
    of = words.gradient(spot.operand)
    through = words.name(user)
    about: dict[str, Any] = {"line": spot.operand, "user": user}

    def change(
        kind: str, said: str, term: Any, simple: int, when: Any = None, group: Any = None, everywhere: str = ""
    ) -> Change:
        fields = about if group is None else about | {"group": (kind, *group), "everywhere": everywhere}
        return Change(edges, term, kind, said + place, context, when, simple + extra, fields)

    def right(run: Run, user: Line, g: Any, c: Context) -> Any:
        return None if g is None else user.vjp(g)[position]

    yield change(
        "path missing",
        f"the path from {words.name(spot.operand)} through {through} is missing: the term {text} of {of}",
        lambda run, user, k, g, c: None,
        1,
    )
    if chain.steps > 1 and chain.looped(user):
        for when, said in _times(chain.steps):
            yield change(
                "path missing",
                f"the path from {words.name(spot.operand)} through {through} is missing {said}",
                lambda run, user, k, g, c: None,
                4,
                when,
            )
    for factor, kind, said in (
        (-1.0, "sign", "has the wrong sign"),
        (2.0, "counted twice", "is counted twice"),
        (0.5, "factor", "is halved"),
    ):
        yield change(
            kind,
            f"the term {text} of {of} {said}",
            lambda run, user, k, g, c, factor=factor: _scaled(right(run, user, g, c), factor),
            3,
        )
    if user.op in ACTIVATIONS:
        yield from _activation(chain, words, spot, change)
    if user.op == "mul":
        yield from _product(chain, words, spot, change)
    if user.op == "matmul":
        yield from _matmul(chain, words, spot, change)
    if user.op in ("concatenate", "write"):
        yield from _parts(chain, words, spot, change)
    yield from _stretched(words, spot, change)
    if user.op in ("mul", "matmul", "add", "sub") or user.op in ACTIVATIONS:
        yield from _upstream(chain, words, spot, change)
        for said, by in _factors(chain, words, user.value.shape):
            yield change(
                "factor too many",
                f"the term {text} of {of} is multiplied by {said}, which belongs elsewhere",
                lambda run, user, k, g, c, by=by: right(run, user, _by(run, user, g, by), c),
                5,
            )


def _scaled(term: Any, factor: float) -> Any:
    return None if term is None else factor * term


def _times(steps: int) -> Iterator[tuple[Callable[[int], bool], str]]:
    yield (lambda t: t == 1), "at the first step"
    yield (lambda t: t == steps), "at the last step"
    if steps > 2:
        yield (lambda t: t > 1), "at every step but the first"
        yield (lambda t: t < steps), "at every step but the last"


# -------------------------------------------------------------------- activations

SQUASHED: dict[str, list[tuple[str, str, Callable[[Any, Any], Any]]]] = {
    "tanh": [
        ("missing", "1", lambda x, y: 1.0),
        ("doubled", "(1 - {y}**2)**2", lambda x, y: (1 - y * y) ** 2),
        ("of the already activated value", "1 - tanh({y})**2", lambda x, y: 1 - np.tanh(y) ** 2),
        (
            "of the wrong quantity: what is before the tanh in the place of what comes after",
            "1 - {x}**2",
            lambda x, y: 1 - x * x,
        ),
        ("without the square", "1 - {y}", lambda x, y: 1 - y),
        ("with the square in the wrong place", "(1 - {y})**2", lambda x, y: (1 - y) ** 2),
        ("without 1 −", "{y}**2", lambda x, y: y * y),
        ("with a plus", "1 + {y}**2", lambda x, y: 1 + y * y),
        ("of a sigmoid", "{y} * (1 - {y})", lambda x, y: y * (1 - y)),
        ("of a sigmoid", "sigmoid({x}) * (1 - sigmoid({x}))", lambda x, y: _logistic(x) * (1 - _logistic(x))),
        (
            "of a sigmoid, of the already activated value",
            "sigmoid({y}) * (1 - sigmoid({y}))",
            lambda x, y: _logistic(y) * (1 - _logistic(y)),
        ),
        ("replaced by the value itself", "{y}", lambda x, y: y),
        ("without the square", "1 - {x}", lambda x, y: 1 - x),
        ("with a square root", "sqrt(1 - {y}**2)", lambda x, y: np.sqrt(1 - y * y)),
        ("of a relu", "{y} > 0", lambda x, y: (y > 0) * 1.0),
        ("with a 2", "1 - 2 * {y}", lambda x, y: 1 - 2 * y),
        ("of the square", "1 - {y}**4", lambda x, y: 1 - y**4),
    ],
    "sigmoid": [
        ("missing", "1", lambda x, y: 1.0),
        ("doubled", "({y} * (1 - {y}))**2", lambda x, y: (y * (1 - y)) ** 2),
        ("of the already activated value", "sigmoid({y}) * (1 - sigmoid({y}))", lambda x, y: _logistic(y) * (1 - _logistic(y))),
        (
            "of the wrong quantity: what is before the sigmoid in the place of what comes after",
            "{x} * (1 - {x})",
            lambda x, y: x * (1 - x),
        ),
        ("of a tanh", "1 - {y}**2", lambda x, y: 1 - y * y),
        ("of a tanh", "1 - tanh({x})**2", lambda x, y: 1 - np.tanh(x) ** 2),
        ("of a tanh, of the already activated value", "1 - tanh({y})**2", lambda x, y: 1 - np.tanh(y) ** 2),
        ("without 1 − y", "{y}", lambda x, y: y),
        ("without y", "1 - {y}", lambda x, y: 1 - y),
        ("squared instead of y (1 − y)", "{y}**2", lambda x, y: y * y),
        ("with the square in the wrong place", "(1 - {y})**2", lambda x, y: (1 - y) ** 2),
        ("with a square", "{y} * (1 - {y}**2)", lambda x, y: y * (1 - y * y)),
        ("with a square", "{y} * (1 - {y})**2", lambda x, y: y * (1 - y) ** 2),
        ("with a square", "{y}**2 * (1 - {y})", lambda x, y: y * y * (1 - y)),
        ("with a plus", "{y} * (1 + {y})", lambda x, y: y * (1 + y)),
        ("with y and x exchanged", "{x} * (1 - {y})", lambda x, y: x * (1 - y)),
        ("with y and x exchanged", "{y} * (1 - {x})", lambda x, y: y * (1 - x)),
        ("of a tanh, of what is before the sigmoid", "1 - {x}**2", lambda x, y: 1 - x * x),
    ],
    "relu": [
        ("missing", "1", lambda x, y: 1.0),
        ("replaced by the value itself", "{y}", lambda x, y: y),
        ("inverted", "{x} < 0", lambda x, y: (x < 0) * 1.0),
        ("of a tanh", "1 - {y}**2", lambda x, y: 1 - y * y),
        ("of a sigmoid", "{y} * (1 - {y})", lambda x, y: y * (1 - y)),
    ],
}
CURVES: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {
    "tanh": [("1 - {v}**2", lambda v: 1 - v * v), ("1 - tanh({v})**2", lambda v: 1 - np.tanh(v) ** 2)],
    "sigmoid": [("{v} * (1 - {v})", lambda v: v * (1 - v)), ("sigmoid'({v})", lambda v: _logistic(v) * (1 - _logistic(v)))],
}


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _activation(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    user = spot.user
    x, y = words.name(spot.operand), words.name(user)
    tight_x, tight_y = (f"({t})" if " " in t else t for t in (x, y))
    of = words.gradient(spot.operand)
    for rank, (said, formula, factor) in enumerate(SQUASHED.get(user.op, ())):
        shown = formula.format(x=tight_x, y=tight_y)
        reading = said if said == "missing" else f"{said}: {formula.format(x='x', y='y')}"
        said = f"the derivative of {user.op} in {of} is {said}" + ("" if said == "missing" else f": {shown}")
        yield change(
            "activation derivative",
            said,
            lambda run, user, k, g, c, factor=factor: g * factor(user.operands[0].value, user.value),
            2 if rank < 6 else 3,
            None,
            (user.op, rank),
            f"the derivative of every {user.op} is {reading}",
        )
    if user.op == "softmax":
        yield from _softmax(words, spot, change)
    for value in _values(chain, user.value.shape):
        if value in (user.site, spot.operand.site):
            continue
        name = words.name(_line(chain, value))  # type: ignore[arg-type]
        if user.op == "sigmoid":
            for formula, mixed in (
                ("{y} * (1 - {v})", lambda v, y: y * (1 - v)),
                ("{v} * (1 - {y})", lambda v, y: v * (1 - y)),
            ):
                yield change(
                    "activation derivative",
                    f"the derivative of sigmoid in {of} is taken of two quantities: {formula.format(v=name, y=tight_y)}",
                    lambda run, user, k, g, c, mixed=mixed, value=value: _times_value(
                        g, run.chain.value(value, user.time), partial(mixed, y=user.value)
                    ),
                    4,
                )
        for formula, curve in CURVES.get(user.op, ()):
            yield change(
                "activation derivative",
                f"the derivative of {user.op} in {of} is taken of the wrong quantity: {formula.format(v=name)}, not of {y}",
                lambda run, user, k, g, c, curve=curve, value=value: _times_value(g, run.chain.value(value, user.time), curve),
                4,
            )


def _times_value(g: Any, value: Any, curve: Callable[[Any], Any] = lambda v: v) -> Any:
    return g * 0 if value is None else g * curve(value)


def _softmax(words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    of, y = words.gradient(spot.operand), words.name(spot.user)
    options: list[tuple[str, Callable[[Any, Any, Any], Any]]] = [
        ("is missing", lambda g, y, right: g),
        (f"is that of a sigmoid: {y} * (1 - {y}), without the other entries", lambda g, y, right: g * y * (1 - y)),
        (f"is {y} alone: the label is not subtracted", lambda g, y, right: _label(g, y, right)[0] * y),
        (
            "has the sign of the label wrong: y + label",
            lambda g, y, right: _label(g, y, right)[0] * (y + _label(g, y, right)[1]),
        ),
        ("is applied twice", lambda g, y, right: right * y * (1 - y)),
        ("is not divided by the number of entries", lambda g, y, right: right / _label(g, y, right)[0]),
        ("is only the label's", lambda g, y, right: -_label(g, y, right)[0] * _label(g, y, right)[1]),
    ]
    for said, term in options:
        yield change(
            "softmax derivative",
            f"the derivative of softmax with its loss in {of} {said}",
            lambda run, user, k, g, c, term=term: term(g, user.value, user.vjp(g)[0]),
            3,
        )


def _label(g: Any, y: Any, right: Any) -> tuple[float, Any]:
    """The s and the label in right = s (y − label), where the loss is the cross-entropy of y."""
    hit = (g != 0) * 1.0
    scale = -float((g * y).sum()) / max(float(hit.sum()), 1.0)
    return (scale or 1.0), hit


# -------------------------------------------------------------------- products


def _values(chain: Chain, shape: tuple[int, ...]) -> list[Site]:
    """Places whose values a person could take by mistake: of this shape, with a name or from an activation."""
    cached: dict[tuple[int, ...], list[Site]] = chain.__dict__.setdefault("_values", {})
    if shape not in cached:
        found: list[Site] = []
        for line in chain.lines:
            if line.value.shape != shape or line.site in found or line.op == "constant" or not chain.live[line.number]:
                continue
            users = [user for user, _ in chain.users[line.number]]
            if (
                line.names
                or line.op in ACTIVATIONS
                or any(user.op in ACTIVATIONS for user in users)
                or line.op in ("sub", "argument")
            ):
                found.append(line.site)
        cached[shape] = found
    return cached[shape]


def _bases(line: Line, depth: int = 5) -> list[Line]:
    """The lines of which the entries of ``line`` are, itself first."""
    if line.op not in ARRANGING or not depth:
        return [line]
    return [line, *(base for operand in line.operands for base in _bases(operand, depth - 1) if base.op != "constant")]


def _with(line: Line, changed: dict[Site, Array], depth: int = 5) -> Array:
    """The value of ``line`` if the entries that come from one place were others."""
    if line.site in changed:
        return changed[line.site]
    if line.op not in ARRANGING or not depth:
        return line.value
    return line.compute(*(_with(operand, changed, depth - 1) for operand in line.operands))


def _replacements(chain: Chain, words: Words, operand: Line) -> Iterator[tuple[str, Callable[..., Any], str, int, Any]]:
    """What can stand in the place of an operand: (what is said, its value for (run, user, operand), kind, how simple)."""
    for base in _bases(operand):
        name = words.name(base)
        for value in _values(chain, base.value.shape):
            if value == base.site:
                continue
            other = _line(chain, value)
            assert other is not None
            state = chain.states.get(base.site, base.site) in (
                chain.states.get(value),
                chain.initial.get(value, base).site,
                value,
            )
            kind = "operand of the wrong step" if _akin(chain, base, other) else "wrong factor"
            yield (
                f"{words.name(other)} stands in the place of {name}",
                lambda run, user, at, value=value, base=base: _swapped(run, user, at, base, value, 0),
                kind,
                3 if not state else 2,
                (base.site, value),
            )
        if base.op in ("concatenate", "write") and len(_pieces(base)) == 2:
            yield (
                f"{name} is joined in the wrong order",
                lambda run, user, at, base=base: _rejoined(run, user, at, base),
                "parts in the wrong order",
                3,
                ("joined", len(_pieces(base))),
            )
        if (chain.steps > 1 and base.site in chain.states) or base.site in chain.carried:
            for shift, said in ((-1, "one step further back"), (1, "one step later")):
                yield (
                    f"{name} is taken {said}",
                    lambda run, user, at, base=base, shift=shift: _swapped(run, user, at, base, None, shift),
                    "operand of the wrong step",
                    3,
                    (base.site, shift),
                )
            yield (
                f"{name} at the first step is that of the last step: the index −1 wraps round",
                lambda run, user, at, base=base: _wrapped(run, user, at, base),
                "index −1 wraps round",
                2,
                (base.site, "wrapped"),
            )
            yield (
                f"{name} at the first step is taken as 0, not as the initial state",
                lambda run, user, at, base=base: _zeroed(run, user, at, base),
                "initial state left out",
                2,
                (base.site, "zero"),
            )


def _pieces(line: Line) -> list[Line]:
    """What an array was joined of, in order."""
    if line.op == "concatenate":
        return list(line.operands)
    base, part = line.operands
    return [*(_pieces(base) if base.op == "write" else []), part]


def _rejoined(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    first, second = (piece.value for piece in _pieces(here))
    axis = next((a for a in range(first.ndim) if first.shape[a] + second.shape[a] == here.value.shape[a]), None)
    return None if axis is None else _with(operand, {here.site: np.concatenate([second, first], axis)})


def _akin(chain: Chain, a: Line, b: Line) -> bool:
    """Whether both are the same state at two times, as far as names or the loop tell."""
    if chain.carried.get(a.site) == b.site or chain.carried.get(b.site) == a.site:
        return True
    return any(names.unmarked(x) == names.unmarked(y) for x in a.names for y in b.names)


def _site_at(run: Run, operand: Line, base: Line) -> Line | None:
    """The line that ``base`` is at the time of another use."""
    found = _bases(operand)
    for line in found:
        if (
            line.site == base.site
            or run.chain.carried.get(line.site) == base.site
            or run.chain.carried.get(base.site) == line.site
        ):
            return line
    return None


def _swapped(run: Run, user: Line, operand: Line, base: Line, value: Site | None, shift: int) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    if value is None:
        state = run.chain.carried.get(here.site, here.site)
        other = run.chain.value(state, here.time + shift)
        if other is None:
            other = np.zeros(here.value.shape)
    else:
        other = run.chain.value(value, user.time)
    return None if other is None else _with(operand, {here.site: other})


def _wrapped(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    if user.time != 1:
        return operand.value
    state = run.chain.carried.get(here.site, here.site)
    last = run.chain.value(state, run.chain.steps)
    return None if last is None else _with(operand, {here.site: last})


def _zeroed(run: Run, user: Line, operand: Line, base: Line) -> Array | None:
    here = _site_at(run, operand, base)
    if here is None:
        return None
    return operand.value if user.time != 1 else _with(operand, {here.site: np.zeros(here.value.shape)})


def _product(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if len(user.operands) != 2 or user.operands[0] is user.operands[1]:
        return
    other = user.operands[1 - position]
    name, own = words.name(other), words.name(spot.operand)
    yield change("factor missing", f"the factor {name} is missing in {of}", lambda run, user, k, g, c: g, 2)
    yield change(
        "factor doubled",
        f"the factor {name} is there twice in {of}",
        lambda run, user, k, g, c: g * user.operands[1 - k].value ** 2,
        3,
    )
    yield change(
        "wrong factor",
        f"{own} stands in the place of {name} in {of}",
        lambda run, user, k, g, c: g * user.operands[k].value,
        2,
    )
    yield change(
        "1 − z for z",
        f"1 - {name} stands in the place of {name} in {of}",
        lambda run, user, k, g, c: g * (1 - user.operands[1 - k].value),
        3,
    )
    for function, formula in (
        (np.tanh, "tanh({})"),
        (_logistic, "sigmoid({})"),
        (lambda v: 1 - v * v, "(1 - {}**2)"),
        (lambda v: v * (1 - v), "{0} * (1 - {0})"),
    ):
        yield change(
            "wrong factor",
            f"{formula.format(name)} stands in the place of {name} in {of}",
            lambda run, user, k, g, c, function=function: g * function(user.operands[1 - k].value),
            4,
        )
    for said, replaced, kind, simple, key in _replacements(chain, words, other):
        yield change(
            kind,
            f"{said} in {of}",
            lambda run, user, k, g, c, replaced=replaced: _times_value(g, replaced(run, user, user.operands[1 - k])),
            simple,
            None,
            ("mul", *key),
            f"{said} in every product of entries",
        )


def _matmul(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if len(user.operands) != 2:
        return
    other = user.operands[1 - position]
    name = words.name(other)
    square = other.value.ndim == 2 and other.value.shape[0] == other.value.shape[1]
    if square:
        yield change(
            "not transposed",
            f"{name} is not transposed in {of}",
            lambda run, user, k, g, c: _matmul_share(user, k, g, user.operands[1 - k].value.T),
            1,
            None,
            ("T", other.value.shape),
            "the weights are not transposed",
        )
    for said, replaced, kind, simple, key in _replacements(chain, words, other):
        yield change(
            kind,
            f"{said} in {of}",
            lambda run, user, k, g, c, replaced=replaced: _matmul_share(user, k, g, replaced(run, user, user.operands[1 - k])),
            simple,
            None,
            ("matmul", *key),
            f"{said} in the gradients of all weights",
        )
    if square:
        for value in _values(chain, other.value.shape):
            line = _line(chain, value)
            if line is not None and value != other.site:
                yield change(
                    "wrong factor",
                    f"{words.name(line)}, not transposed, stands in the place of {name} in {of}",
                    lambda run, user, k, g, c, value=value: _matmul_share(
                        user, k, g, _transposed(run.chain.value(value, user.time))
                    ),
                    5,
                )


def _transposed(value: Any) -> Any:
    return None if value is None else value.T


def _matmul_share(user: Line, position: int, g: Any, other: Any) -> Any:
    """The term of a matrix product if its other operand were ``other``."""
    if other is None:
        return None
    values = [other, other]
    values[position] = user.operands[position].value
    return user.at(values)(g)[position]


def _parts(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """Parts of an array taken in the wrong order."""
    user, position = spot.user, spot.position
    of = words.gradient(spot.operand)
    if user.op == "concatenate" and len(user.operands) > 1:
        sizes = [o.value.shape for o in user.operands]
        for other in range(len(sizes)):
            if other != position and sizes[other] == sizes[position]:
                yield change(
                    "parts in the wrong order",
                    f"{of} is {words.name(user.operands[other])}'s part of {words.gradient(user)}",
                    lambda run, user, k, g, c, other=other: user.vjp(g)[other],
                    3,
                )
        yield change(
            "parts in the wrong order",
            f"{of} is cut out of {words.gradient(user)} as if the parts were joined in reverse order",
            lambda run, user, k, g, c: _reversed_part(user, k, g),
            3,
            None,
            (user.op,),
            "joined parts are taken apart in reverse order",
        )
    if user.op == "write" and position == 1:
        yield change(
            "parts in the wrong order",
            f"{of} is cut out of {words.gradient(user)} as if the parts were joined in reverse order",
            lambda run, user, k, g, c: _reversed_write(run, user, g),
            3,
            None,
            (user.op,),
            "joined parts are taken apart in reverse order",
        )


def _permuted(chain: Chain, words: Words) -> Iterator[Change]:
    """Parts that were cut out of one array (gates out of one product), put back in another order."""
    cut: dict[Site, dict[Site, Line]] = {}
    for line in chain.lines:
        if line.op in ("getitem", "split") and chain.live[line.number] and line.time <= 1:
            cut.setdefault(line.operands[0].site, {})[line.site] = line
    for parts in cut.values():
        alike: dict[tuple[int, ...], list[Line]] = {}
        for part in parts.values():
            alike.setdefault(part.value.shape, []).append(part)
        for group in alike.values():
            if not 2 <= len(group) <= 4:
                continue
            sites = [part.site for part in group]
            for order in itertools.permutations(range(len(group))):
                moved = [k for k, other in enumerate(order) if k != other]
                if not moved:
                    continue
                places = {sites[k]: sites[order[k]] for k in moved}
                shown = ", ".join(
                    f"{words.gradient(group[k])} is put where {words.gradient(group[order[k]])} belongs" for k in moved
                )
                yield Change(
                    frozenset((site, 0) for site in places),
                    lambda run, user, k, g, c, places=places: _sibling_share(run, user, places[user.site], g),
                    "parts in the wrong order",
                    shown,
                    simple=2 + len(moved) // 3,
                    fields={"line": group[moved[0]]},
                )


def _reversed_part(user: Line, position: int, g: Any) -> Any:
    shapes = [o.value.shape for o in user.operands]
    axis = next((a for a in range(g.ndim) if sum(s[a] for s in shapes) == g.shape[a]), 0)
    start = sum(s[axis] for s in shapes[position + 1 :])
    index = (slice(None),) * axis + (slice(start, start + shapes[position][axis]),)
    return g[index]


def _reversed_write(run: Run, user: Line, g: Any) -> Any:
    """The part at the other end, where an array was filled with two parts along one axis."""
    shape, whole = user.operands[1].value.shape, user.value.shape
    if len(shape) != len(whole):
        return None
    axis = next((a for a in range(len(whole)) if shape[a] != whole[a]), None)
    if axis is None:
        return None
    head = _starts_at_zero(user.index, axis)
    cut = slice(whole[axis] - shape[axis], None) if head else slice(shape[axis])
    return g[(slice(None),) * axis + (cut,)]


def _starts_at_zero(index: Any, axis: int) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    part = parts[axis] if axis < len(parts) else slice(None)
    return isinstance(part, slice) and part.start in (None, 0)


def _sibling_share(run: Run, user: Line, site: Site, g: Any) -> Any:
    sibling = run.chain.at[site].get(user.time)
    return None if sibling is None else sibling.vjp(g)[0]


def _stretched(words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """A sum over the axes along which an operand such as a bias was stretched, done otherwise."""
    user, operand = spot.user, spot.operand
    if user.op not in ("add", "sub", "mul") or operand.value.shape == user.value.shape or not operand.value.size:
        return
    number = user.value.size // operand.value.size
    of = words.gradient(operand)
    if number > 1:
        yield change(
            "averaged instead of summed",
            f"{of} is the mean over the {number} examples, not the sum",
            lambda run, user, k, g, c: _scaled(user.vjp(g)[k], 1 / number),
            1,
            None,
            (number,),
            f"the gradient of every bias is the mean over the {number} examples, not the sum",
        )
        for which, said in ((0, "first"), (-1, "last")):
            yield change(
                "one example only",
                f"{of} has only the {said} example",
                lambda run, user, k, g, c, which=which: _one(user.vjp(g)[k], g, user.operands[k].value.shape, which),
                4,
            )


def _one(right: Any, g: Any, shape: tuple[int, ...], which: int) -> Any:
    extra = g.ndim - len(shape)
    for axis in range(g.ndim):
        if axis < extra or (shape[axis - extra] == 1 and g.shape[axis] != 1):
            chosen = np.zeros(g.shape)
            index = (slice(None),) * axis + (slice(None, 1) if which == 0 else slice(-1, None),)
            chosen[index] = g[index]
            g = chosen
    return g


# -------------------------------------------------------------------- gradients from the wrong place


def _upstream(chain: Chain, words: Words, spot: Spot, change: Any) -> Iterator[Change]:
    """The gradient of another quantity of the same shape in the place of the user's."""
    user = spot.user
    right, of = words.gradient(user), words.gradient(spot.operand)
    if user.op == "add" and spot.operand.value.shape == user.value.shape:
        return
    below = chain.below[spot.operand.number]
    seen: set[Site] = set()
    for line in chain.lines:
        if line.value.shape != user.value.shape or line is user or line.site in seen or not chain.live[line.number]:
            continue
        if (
            line.op == "constant"
            or below >> line.number & 1
            or (line.time != user.time and chain.looped(line) == chain.looped(user))
        ):
            continue
        if not (line.names or line.op in ACTIVATIONS or line.site in chain.roots):
            continue
        seen.add(line.site)
        yield change(
            "wrong upstream gradient",
            f"{words.gradient(line)} stands in the place of {right} in {of}",
            lambda run, user, k, g, c, site=line.site: _from_other(run, user, k, site, c),
            3,
        )
    if chain.steps == 1:
        for number, seeds in chain.seeds.items():
            for name, _ in seeds:
                if chain.lines[number].value.shape == user.value.shape:
                    shown = words.seeds.get(name, f"d{name}")
                    yield change(
                        "wrong upstream gradient",
                        f"{shown} stands in the place of {right} in {of}",
                        lambda run, user, k, g, c, name=name: user.vjp(_seed_of(run, name))[k],
                        3,
                    )


def _seed_of(run: Run, name: str) -> Any:
    return next(seed for seeds in run.chain.seeds.values() for called, seed in seeds if called == name)


def _from_other(run: Run, user: Line, position: int, site: Site, context: Context) -> Any:
    times = run.chain.at[site]
    other = times.get(user.time) or (next(iter(times.values())) if len(times) == 1 else None)
    g = None if other is None else run.cotangent(other, context)
    return None if g is None else user.vjp(g)[position]


# -------------------------------------------------------------------- one term of a sum treated unlike the others


def _one_term(chain: Chain, words: Words, found: list[Change]) -> Iterator[Change]:
    """A gate's gradient is a sum times factors, d = (a + b) f: mistakes in what becomes of a or of b alone."""
    for root in sorted(chain.roots):
        times = chain.at.get(root)
        if not times:
            continue
        line = times[max(times)]
        path: list[Edge] = []
        here = line
        for _ in range(6):
            users = [(user, k) for user, k in chain.users[here.number] if chain.live[user.number]]
            terms: list[Edge] = [(user.site, k) for user, k in users] + [
                ("seed", n) for n, _ in chain.seeds.get(here.number, ())
            ]
            if len(set(terms)) > 1 and path:
                yield from _split(chain, words, line, path, list(dict.fromkeys(terms)), found)
                break
            if len(users) != 1 or (here is not line and here.site in chain.roots):
                break
            path.append((users[0][0].site, users[0][1]))
            here = users[0][0]


def _split(
    chain: Chain, words: Words, line: Line, path: list[Edge], terms: list[Edge], found: list[Change]
) -> Iterator[Change]:
    context = chain.states.get(line.site, line.site)
    factors = [edge for edge in path if _factor(chain, edge)]
    edges = frozenset([*terms, *path])
    single = [
        change
        for change in found
        if change.edges <= set(factors)
        and change.context in (None, context)
        and change.when is None
        and change.kind in SINGLE
        and (change.context is not None or all(len(chain.visited[edge]) == 1 for edge in change.edges))
    ]
    for term in terms:
        if term[0] == "seed":
            shown = words.seeds.get(term[1], f"d{term[1]}")
        else:
            times = chain.at[term[0]]
            shown = words.term(times[max(times)], term[1], 1)

        def drop(edge: Edge, half: int, term: Edge = term) -> bool:
            return edge in terms and (edge == term) != (half == 1)

        fields = {"line": line, "drop": drop}
        for count in range(1, len(factors) + 1):
            for skipped in {tuple(factors[:count]), (factors[count - 1],)}:
                texts = " * ".join(words.factor(chain.at[edge[0]][max(chain.at[edge[0]])], edge[1]) for edge in skipped)
                plain = tuple(Change(frozenset({edge}), lambda run, user, k, g, c: g, "factor missing", "") for edge in skipped)
                yield Change(
                    edges,
                    lambda run, user, k, g, c: g,
                    "operator precedence",
                    f"in {words.gradient(line)} the factor {texts} does not multiply the term {shown}, only the rest of the "
                    "sum: brackets are missing",
                    context,
                    None,
                    3,
                    fields,
                    plain,
                )
        for change in single:
            yield Change(
                edges,
                lambda run, user, k, g, c: g,
                change.kind,
                f"in the term {shown} of {words.gradient(line)} alone, {change.words}",
                context,
                None,
                change.simple + 2,
                fields,
                (change,),
            )


SINGLE = frozenset(
    {"wrong factor", "operand of the wrong step", "activation derivative", "factor doubled", "1 − z for z", "sign"}
)


def _factor(chain: Chain, edge: Edge) -> bool:
    user = next(iter(chain.at[edge[0]].values()))
    return user.op in ("mul", "div") or user.op in ACTIVATIONS


# -------------------------------------------------------------------- between steps


def _between_steps(chain: Chain, words: Words) -> Iterator[Change]:
    if chain.steps < 2:
        return
    yield from _carried(chain, words)
    yield from _accumulated(chain, words)


def _carried(chain: Chain, words: Words) -> Iterator[Change]:
    states = sorted(chain.initial)
    groups: list[list[Site]] = [[site] for site in states]
    if len(states) > 1:
        groups.append(states)
    for group in groups:
        lines = [chain.at[site][max(chain.at[site])] for site in group]
        shown = " and ".join(words.name(line) for line in lines)
        edges = frozenset(("carried", site) for site in group)
        about = {"line": lines[0]}
        yield Change(
            edges,
            lambda run, line, t, terms, c: terms() if t == 0 else None,
            "state gradient not carried",
            f"the gradient of {shown} is not handed to the step before: each step sees only its own loss",
            simple=0,
            fields=about,
        )
        yield Change(
            edges,
            lambda run, line, t, terms, c: plus(terms(), _later(run, line)),
            "state gradient accumulated",
            f"the gradient of {shown} that is handed back is added up over the steps, not replaced at every step",
            simple=3,
            fields=about,
        )
        for k in range(2, chain.steps):
            yield Change(
                edges,
                lambda run, line, t, terms, c, k=k: None if t and (run.chain.steps - t) % k == 0 else terms(),
                "truncated",
                f"the gradient of {shown} is cut every {k} steps (truncated backpropagation)",
                simple=3,
                fields=about,
            )
        for time, said in ((1, "first"), (chain.steps - 1, "last")):
            yield Change(
                edges,
                lambda run, line, t, terms, c, time=time: None if t == time else terms(),
                "state gradient not carried",
                f"the gradient of {shown} is not handed back at the {said} step",
                simple=3,
                fields=about,
            )
    yield from _forwards(chain, states)
    for first in states:
        for second in states:
            a, b = (chain.at[site][max(chain.at[site])] for site in (first, second))
            if first < second and a.value.shape == b.value.shape:
                yield Change(
                    frozenset({("carried", first), ("carried", second)}),
                    lambda run, line, t, terms, c, first=first, second=second: _terms_of(
                        run, second if line.site == first else first, t
                    ),
                    "states exchanged",
                    f"the gradients of {words.name(a)} and {words.name(b)} that are handed back are exchanged",
                    simple=4,
                    fields={"line": a},
                )
            if first != second and a.value.shape == b.value.shape:
                yield Change(
                    frozenset({("carried", first)}),
                    lambda run, line, t, terms, c, second=second: _terms_of(run, second, t),
                    "states exchanged",
                    f"the gradient of {words.name(b)} is handed back as that of {words.name(a)}",
                    simple=3,
                    fields={"line": a},
                )


def _forwards(chain: Chain, states: list[Site]) -> Iterator[Change]:
    """A loop over time that runs forwards: each step gets what the step before it handed on."""
    if states:
        yield Change(
            frozenset(("carried", site) for site in states),
            lambda run, line, t, terms, c: _handed(run, line, run.chain.steps - 1 if t == 0 else t - 2),
            "loop in the wrong direction",
            "the loop over time runs forwards: the gradient is handed from each step to the next",
            simple=2,
            fields={"line": chain.at[states[0]][chain.steps]},
        )


def _state_at(run: Run, line: Line, time: int) -> Line | None:
    site = run.chain.carried.get(line.site, line.site)
    return run.chain.initial.get(site) if time == 0 else run.chain.at.get(site, {}).get(time)


def _handed(run: Run, line: Line, time: int) -> Any:
    other = _state_at(run, line, time)
    return None if other is None else run.right_carried(other)


def _later(run: Run, line: Line) -> Any:
    """What was handed back at later steps, added up."""
    later = _state_at(run, line, line.time + 1)
    return None if later is None or later.time >= run.chain.steps else run.carried(later)


def _terms_of(run: Run, site: Site, time: int) -> Any:
    line = run.chain.initial.get(site) if time == 0 else run.chain.at[site].get(time)
    return None if line is None else run.right_carried(line)


def _same_part(chain: Chain, user: Line) -> bool:
    """Whether a part that is cut out is the same at every step: of a weight, not of the inputs."""
    indices = [str(other.index) for other in chain.at[user.site].values()]
    return user.op not in ("getitem", "split", "take") or len(set(indices)) == 1


def _accumulated(chain: Chain, words: Words) -> Iterator[Change]:
    """Terms of several steps added up otherwise: for one parameter, or for all."""
    steps = chain.steps
    totals: list[tuple[Line, list[Line]]] = []
    for line in chain.lines:
        users = [user for user, _ in chain.users[line.number] if chain.live[user.number] and _same_part(chain, user)]
        if not chain.looped(line) and len({user.time for user in users if chain.looped(user)}) == steps:
            totals.append((line, users))
    ways: list[tuple[str, str, Callable[[int], float]]] = [
        (
            "overwritten, not accumulated",
            "has only the first step: at every step it is overwritten, not added to",
            lambda t: t == 1,
        ),
        ("last step only", "has only the last step", lambda t: t == steps),
        ("a step is skipped", "lacks the first step", lambda t: t > 1),
        ("a step is skipped", "lacks the last step", lambda t: t < steps),
        ("adds itself", "is doubled at every step before the next term is added", lambda t: 2.0 ** (t - 1)),
        ("adds itself", "is added up again at every step: early terms count more often", lambda t: steps - t + 1.0),
        ("adds itself", "is added up again at every step: late terms count more often", lambda t: t * 1.0),
        ("averaged over the steps", f"is divided by the number of steps, {steps}", lambda t: 1 / steps),
    ]
    groups = [[line] for line, _ in totals]
    parameters = [line for line, _ in totals]
    if len(parameters) > 1:
        groups.append(parameters)
    for group in groups:
        shown = words.gradient(group[0]) if len(group) == 1 else "the gradient of every parameter"
        for kind, said, weight in ways:
            yield Change(
                frozenset(("weighted", line.site) for line in group),
                lambda run, user, t, g, c, weight=weight: float(weight(t)),
                kind,
                f"{shown} {said}",
                simple=2 if len(group) > 1 else 3,
                fields={"line": group[0]},
            )
    line = parameters[0] if parameters else chain.lines[0]
    yield Change(
        frozenset({("skipped", steps)}),
        lambda run, user, t, g, c: None,
        "a step is skipped",
        "the loop over time leaves out the last step",
        simple=1,
        fields={"line": line},
    )
    yield Change(
        frozenset([("skipped", 1), *(("carried", site) for site in chain.initial)]),
        lambda run, line, t, terms, c: _handed(run, line, 1) if t == 0 else terms(),
        "a step is skipped",
        "the loop over time leaves out the first step",
        simple=1,
        fields={"line": line},
    )
