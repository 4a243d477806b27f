"""Kinds of mistakes, as edits of the syntax tree of a backward pass, and what each may rightly be called.

A rule finds the places where a person could make a mistake, and says what would stand there. It knows the text alone: names,
sums, products, and that ``dz`` is the gradient of ``z``.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .program import Program, Site, names_in, sites, steps_of

__all__ = ["KINDS", "Kind", "Planted", "planted"]


class Planted(NamedTuple):
    """A program with a mistake in it: the kind, what was changed, and what it may be called."""

    kind: str
    said: str
    program: Program
    names: frozenset[str]


Edit = Callable[[Program], str]
"""Changes a program, and says what it changed."""


class Kind(NamedTuple):
    """A kind of mistake: what the table calls it, what a report may call it, and all edits that make it."""

    name: str
    names: frozenset[str]
    edits: Callable[[Program], list[Edit]]


def planted(program: Program, kind: Kind, places: int | None = None) -> list[Planted]:
    """The program with the mistake at each place where it can be made, or at so many places that lie far apart."""
    found = []
    edits = kind.edits(program)
    if places is not None and edits:
        edits = [edits[k * len(edits) // places] for k in range(places)]
    for edit in edits:
        other = program.copied()
        said = edit(other)
        ast.fix_missing_locations(other.tree)
        found.append(Planted(kind.name, said, other, kind.names))
    return found


# ---------------------------------------------------------------- what stands in a backward pass


def terms(e: ast.expr, sign: str = "+") -> list[tuple[str, ast.expr]]:
    """The terms of a sum, with their signs."""
    if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Add | ast.Sub):
        minus = isinstance(e.op, ast.Sub)
        return [*terms(e.left, sign), *terms(e.right, {"+": "-", "-": "+"}[sign] if minus else sign)]
    return [(sign, e)]


def summed(parts: list[tuple[str, ast.expr]]) -> str:
    """The sum of terms."""
    text = "".join(f" {sign} ({ast.unparse(part)})" for sign, part in parts).strip()
    return text.removeprefix("+ ")


def factors(e: ast.expr) -> list[ast.expr]:
    """The factors of a product of entries."""
    if isinstance(e, ast.BinOp) and isinstance(e.op, ast.Mult):
        return [*factors(e.left), *factors(e.right)]
    return [e]


def multiplied(parts: list[ast.expr | str]) -> str:
    """The product of factors."""
    return " * ".join(f"({part if isinstance(part, str) else ast.unparse(part)})" for part in parts)


def is_gradient(e: ast.expr) -> bool:
    """Whether it is a variable ``dz``, or a product or part of one."""
    return any(name.startswith("d") and name not in ("dp",) for name in names_in(e))


def target(statement: ast.stmt) -> str:
    """What a statement gives a value to."""
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0])
    return ast.unparse(statement.target) if isinstance(statement, ast.AugAssign) else ""


def body(program: Program) -> list[ast.stmt]:
    """The statements of the loop over time, but the one that takes what the forward pass left."""
    return program.loop().body[1:]


def values_of(program: Program) -> list[str]:
    """The variables of a step that are as wide as the state: neither the input nor anything else."""
    x = {"x", *names_in(program.loop("forward").target)}
    return [name for name in program.step() if name not in x and not name.startswith("k")]


def curves(program: Program) -> dict[str, str]:
    """Which variables are a sigmoid, and which a tanh, by the forward pass."""
    found = {}
    for statement in steps_of(program.loop("forward").body):
        value = getattr(statement, "value", None)
        value = value.body if isinstance(value, ast.IfExp) else value
        if isinstance(statement, ast.Assign) and isinstance(value, ast.Call):
            called = ast.unparse(value.func)
            if called in ("sigmoid", "np.tanh"):
                found[target(statement)] = called.removeprefix("np.")
    return found


def products(program: Program) -> Iterator[tuple[Site, list[ast.expr]]]:
    """Products of entries with a gradient in them, outermost first."""
    inside: set[int] = set()
    for site in sites(body(program)):
        if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.Mult) and id(site.node) not in inside:
            parts = factors(site.node)
            node = site.node
            while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
                inside.add(id(node.left))
                node = node.left  # type: ignore[assignment]
            if any(is_gradient(part) for part in parts):
                yield site, parts


def at(program: Program, find: Callable[[Program], Iterator[tuple[Site, str]]]) -> list[Edit]:
    """Edits that replace an expression: ``find`` says where, and by what."""

    def edit(k: int) -> Edit:
        def change(other: Program) -> str:
            site, text = next(itertools.islice(find(other), k, None))
            old = ast.unparse(site.statement)
            site.replace(text)
            return f"{old} → {ast.unparse(ast.fix_missing_locations(site.statement))}"

        return change

    return [edit(k) for k, _ in enumerate(find(program))]


# ---------------------------------------------------------------- rules


def dropped_terms(program: Program) -> Iterator[tuple[Site, str]]:
    """A term of a sum left out; the state gradient that comes back is another kind."""
    for site in sites(body(program)):
        parts = terms(site.node)
        if site.parent is not site.statement or len(parts) < 2 or not is_gradient(site.node):
            continue
        for k, (_, part) in enumerate(parts):
            if ast.unparse(part) != target(site.statement):
                yield site, summed([*parts[:k], *parts[k + 1 :]])


def dropped_states(program: Program) -> list[Edit]:
    """What comes back from the next step is not added; of all states, where there are several."""

    def find(other: Program) -> Iterator[tuple[Site, str]]:
        for site in sites(body(other)):
            parts = terms(site.node)
            if site.parent is site.statement and len(parts) > 1:
                kept = [(sign, part) for sign, part in parts if ast.unparse(part) != target(site.statement)]
                if len(kept) < len(parts):
                    yield site, summed(kept)

    def both(other: Program) -> str:
        for site, text in list(find(other)):
            site.replace(text)
        return "no state gradient is added"

    edits = at(program, find)
    return [*edits, both] if len(edits) > 1 else edits


def derivatives(change: str) -> Callable[[Program], Iterator[tuple[Site, str]]]:
    """The derivative of an activation, taken as ``change`` says."""

    def find(program: Program) -> Iterator[tuple[Site, str]]:
        found, values = curves(program), values_of(program)
        for site, parts in products(program):
            texts = [ast.unparse(part) for part in parts]
            for value, curve in found.items():
                here: list[ast.expr | str] = list(parts)
                if curve == "tanh":
                    places = [k for k, text in enumerate(texts) if text in (f"1 - {value} ** 2", f"1 - {value} * {value}")]
                    if not places:
                        continue
                    k = places[0]
                    del here[k]
                    right = f"1 - {value} ** 2"
                else:
                    k = next((k for k in range(len(texts) - 1) if texts[k : k + 2] == [value, f"1 - {value}"]), -1)
                    if k < 0 or not any(is_gradient(part) for part in parts[:k]):
                        continue
                    del here[k : k + 2]
                    right = f"{value} * (1 - {value})"
                others = [other for other in values if other != value and found.get(other) == curve] or [
                    other for other in values if other != value
                ]
                name = "np.tanh" if curve == "tanh" else "sigmoid"
                new = {
                    "missing": "",
                    "doubled": f"({right}) * ({right})",
                    "of the activated value": f"1 - np.tanh({value}) ** 2"
                    if curve == "tanh"
                    else f"{name}({value}) * (1 - {name}({value}))",
                    "without the square": f"1 - {value}" if curve == "tanh" else "",
                    "without the value": f"1 - {value}" if curve == "sigmoid" else "",
                    "of the other curve": f"{value} * (1 - {value})" if curve == "tanh" else f"1 - {value} ** 2",
                    "of the old state": f"1 - {value}_prev ** 2" if value in states(program) and curve == "tanh" else "",
                    "of another quantity": f"1 - {others[0]} ** 2" if curve == "tanh" else f"{others[0]} * (1 - {others[0]})",
                }[change]
                if not new and change != "missing":
                    continue
                if new:
                    here.insert(k, new)
                yield site, multiplied(here)

    return find


def of_the_state_itself(program: Program) -> Iterator[tuple[Site, str]]:
    """1 − c² in the place of 1 − tanh² c."""
    for site, parts in products(program):
        for k, part in enumerate(parts):
            text = ast.unparse(part)
            for value in program.step():
                inner = value.removeprefix("tanh_")
                if value != inner and inner in program.step() and text == f"1 - {value} ** 2":
                    yield site, multiplied([*parts[:k], f"1 - {inner} ** 2", *parts[k + 1 :]])


def matrices(program: Program) -> Iterator[tuple[Site, str]]:
    """A square matrix of the parameters not transposed, or transposed where it is not to be."""
    square = {name for name, shape in program.sizes.items() if len(shape) == 2 and shape[0] == shape[1]}
    for site in sites(body(program)):
        if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.MatMult):
            right = ast.unparse(site.node.right)
            if right.removesuffix(".T") in square:
                turned = right.removesuffix(".T") if right.endswith(".T") else f"{right}.T"
                yield site, f"({ast.unparse(site.node.left)}) @ {turned}"


def collected(program: Program) -> Iterator[tuple[Site, str]]:
    """What is added to a gradient of a parameter, as it is."""
    for site in sites(body(program)):
        if isinstance(site.statement, ast.AugAssign) and site.parent is site.statement and target(site.statement)[0] == "d":
            yield site, ast.unparse(site.node)


def outer(program: Program) -> Iterator[tuple[Site, str]]:
    """The product for a square parameter turned round."""
    for site, _ in collected(program):
        name = parameter(program, site.statement)
        if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.MatMult) and name and _is_square(program, name):
            left, right = ast.unparse(site.node.left), ast.unparse(site.node.right)
            yield site, f"({right}).T @ {left.removesuffix('.T')}" if left.endswith(".T") else f"({right}).T @ ({left}).T"


def parameter(program: Program, statement: ast.stmt) -> str | None:
    """The parameter whose gradient a statement adds to."""
    text = target(statement)
    name = text[4:-2] if text.startswith("dp['") else text.removeprefix("d")
    return name if name in program.sizes else None


def _is_square(program: Program, name: str) -> bool:
    shape = program.sizes[name]
    return len(shape) == 2 and shape[0] == shape[1]


def states(program: Program) -> list[str]:
    """The parts of the state whose old and new value a step has."""
    return [name for name in program.state if {name, f"{name}_prev"} <= set(program.step())]


def new_for_old(program: Program) -> Iterator[tuple[Site, str]]:
    """The state of this step in the place of that of the step before."""
    for site in sites(body(program)):
        if isinstance(site.node, ast.Name) and site.node.id in (f"{part}_prev" for part in states(program)):
            yield site, site.node.id.removesuffix("_prev")


def output(program: Program) -> str:
    """The part of the state that is the output."""
    for statement in program.loop("forward").body:
        text = ast.unparse(statement)
        if text.startswith("hs.append("):
            return text[len("hs.append(") : -1]
    return next((name for name in ("h", "s") if name in program.state), "")


def wrapped(program: Program) -> Iterator[tuple[Site, str]]:
    """hs[t − 2], which at t = 1 is the last one."""
    for site, _ in collected(program):
        for inner in sites([site.statement]):
            if isinstance(inner.node, ast.Name) and inner.node.id == f"{output(program)}_prev":
                yield inner, "trace.hs[t - 2]"


def zero_before(program: Program) -> Iterator[tuple[Site, str]]:
    """The state before the first step taken as 0."""
    for site, _ in collected(program):
        for inner in sites([site.statement]):
            if isinstance(inner.node, ast.Name) and inner.node.id in (f"{part}_prev" for part in states(program)):
                yield inner, f"({inner.node.id} if t > 1 else 0 * {inner.node.id})"


def before_activation(program: Program) -> Iterator[tuple[Site, str]]:
    """dz in the place of da_z, in what a parameter or the step before receives."""
    known = {target(statement) for statement in steps_of(body(program))}
    for site in sites(body(program)):
        if isinstance(site.node, ast.Name) and site.node.id.startswith("da_") and f"d{site.node.id[3:]}" in known:
            yield site, f"d{site.node.id[3:]}"


def other_gate(program: Program) -> Iterator[tuple[Site, str]]:
    """da_w in the place of da_z, where both are known."""
    lines = [*steps_of(body(program))]
    gates = [name for line in lines if (name := target(line)).startswith("da_")]
    for site in sites(body(program)):
        known = [name for line in lines[: lines.index(site.statement)] if (name := target(line)) in gates]
        if isinstance(site.node, ast.Name) and site.node.id in gates and {*known} - {site.node.id}:
            others = [gate for gate in known if gate != site.node.id]
            yield site, others[gates.index(site.node.id) % len(others)]


def wrong_factors(program: Program) -> Iterator[tuple[Site, str]]:
    """Another value of the step in the place of a factor."""
    values = values_of(program)
    for site, parts in products(program):
        for k, part in enumerate(parts):
            if isinstance(part, ast.Name) and part.id in values:
                others = [v for v in values if v != part.id and v.removesuffix("_prev") != part.id.removesuffix("_prev")]
                yield site, multiplied([*parts[:k], others[(values.index(part.id) + k) % len(others)], *parts[k + 1 :]])


def missing_factors(program: Program) -> Iterator[tuple[Site, str]]:
    """A factor left out that is no part of the derivative of an activation."""
    for site, parts in products(program):
        texts = [ast.unparse(part) for part in parts]
        for k, part in enumerate(parts):
            activation = any(f"1 - {texts[k]}" in text for text in texts)
            if isinstance(part, ast.Name) and part.id in values_of(program) and not activation:
                yield site, multiplied([*parts[:k], *parts[k + 1 :]])


def more_factors(program: Program) -> Iterator[tuple[Site, str]]:
    """A factor too many in what a variable ``dz`` is."""
    for site in sites(body(program)):
        if site.parent is site.statement and isinstance(site.statement, ast.Assign) and target(site.statement).startswith("d"):
            own = target(site.statement).removeprefix("da_").removeprefix("d")
            if own in values_of(program):
                yield site, f"({ast.unparse(site.node)}) * {own}"


def exchanged_gates(program: Program) -> Iterator[tuple[Site, str]]:
    """1 − z for z, and z for 1 − z, where z is a gate."""
    gates = [value for value, curve in curves(program).items() if curve == "sigmoid"]
    for site, parts in products(program):
        texts = [ast.unparse(part) for part in parts]
        for z in gates:
            if z in texts and f"1 - {z}" in texts:
                continue
            for k, text in enumerate(texts):
                if text in (z, f"1 - {z}"):
                    yield site, multiplied([*parts[:k], f"1 - {z}" if text == z else z, *parts[k + 1 :]])


def precedence(program: Program) -> Iterator[tuple[Site, str]]:
    """a (b − c) without its brackets."""
    for site, parts in products(program):
        for k, part in enumerate(parts):
            inner = terms(part)
            if len(inner) == 2 and isinstance(inner[0][1], ast.Name) and isinstance(part, ast.BinOp):
                first = multiplied([*parts[:k], inner[0][1]])
                rest = multiplied([inner[1][1], *parts[k + 1 :]])
                yield site, f"{first} {inner[1][0]} {rest}"


def written_out(program: Program) -> list[Edit]:
    """A sum written out where it is used, without brackets: ``a * v + b`` for ``(a + b) * v``."""

    def find(other: Program) -> Iterator[tuple[ast.Assign, Site, list[ast.expr]]]:
        sums = {
            target(s): s
            for s in body(other)
            if isinstance(s, ast.Assign)
            and len(terms(s.value)) == 2
            and "@" not in ast.unparse(s.value)
            and any(ast.unparse(part) == target(s) for _, part in terms(s.value))
        }
        for site, parts in products(other):
            definition = sums.get(parts[0].id) if isinstance(parts[0], ast.Name) else None
            if definition is None or site.parent is not site.statement or target(site.statement) == target(definition):
                continue
            yield definition, site, parts

    def edit(k: int) -> Edit:
        def change(other: Program) -> str:
            definition, site, parts = next(itertools.islice(find(other), k, None))
            name = target(definition)
            kept = ast.parse(f"{name}_next = {name}").body[0]
            first, second = terms(definition.value)
            texts = [
                ast.unparse(part).replace(name, f"{name}_next") if ast.unparse(part) == name else ast.unparse(part)
                for part in (first[1], second[1])
            ]
            loop = other.loop()
            loop.body.insert(loop.body.index(definition), kept)
            old = ast.unparse(site.statement)
            site.replace(f"({texts[0]}) {second[0]} {texts[1]} * {multiplied(list(parts[1:]))}")
            return f"{old} → {ast.unparse(ast.fix_missing_locations(site.statement))}"

        return change

    return [edit(k) for k, _ in enumerate(find(program))]


def scaled(text: str) -> Callable[[Program], Iterator[tuple[Site, str]]]:
    """What a parameter receives, times a number."""

    def find(program: Program) -> Iterator[tuple[Site, str]]:
        for site, old in collected(program):
            yield site, text.format(old)

    return find


def negated(program: Program) -> Iterator[tuple[Site, str]]:
    """A term with the wrong sign."""
    for site in sites(body(program)):
        if site.parent is not site.statement or not isinstance(site.statement, ast.Assign) or target(site.statement)[0] != "d":
            continue
        parts = terms(site.node)
        for k, (sign, part) in enumerate(parts):
            if ast.unparse(part) != target(site.statement):
                yield site, summed([*parts[:k], ("-" if sign == "+" else "+", part), *parts[k + 1 :]])


def twice(program: Program) -> Iterator[tuple[Site, str]]:
    """A term counted twice."""
    for site in sites(body(program)):
        parts = terms(site.node)
        if site.parent is site.statement and len(parts) > 1 and is_gradient(site.node):
            for k, part in enumerate(parts):
                if ast.unparse(part[1]) != target(site.statement):
                    yield site, summed([*parts[: k + 1], part, *parts[k + 1 :]])


def averaged(program: Program) -> Iterator[tuple[Site, str]]:
    """The mean over the examples, where the sum is."""
    for site, text in collected(program):
        if text.endswith(".sum(axis=0)"):
            yield site, text.replace(".sum(axis=0)", ".mean(axis=0)")


def upstream(index: str) -> Callable[[Program], Iterator[tuple[Site, str]]]:
    """The gradient of the output of another step."""

    def find(program: Program) -> Iterator[tuple[Site, str]]:
        for site in sites(body(program)):
            if isinstance(site.node, ast.Subscript) and ast.unparse(site.node) == "d_hs[t - 1]":
                yield site, f"d_hs[{index}]"

    return find


# ---------------------------------------------------------------- rules for statements


def statements(change: Callable[[Program, list[ast.stmt], int], str | None]) -> Callable[[Program], list[Edit]]:
    """Edits of whole statements of the loop: ``change`` makes one at a place, or returns None where there is nothing to do."""

    def lists(program: Program) -> list[tuple[list[ast.stmt], int]]:
        loop = program.loop()
        inner = [node.body for node in steps_of(loop.body) if isinstance(node, ast.For | ast.If)]
        return [(found, k) for found in [loop.body, *inner] for k in range(len(found))]

    def edits(program: Program) -> list[Edit]:
        found = []
        for k in range(len(lists(program))):
            other = program.copied()
            if change(other, *lists(other)[k]) is not None:
                found.append(lambda other, k=k: str(change(other, *lists(other)[k])))
        return found

    return edits


def overwritten(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """= for +=."""
    line = here[k]
    if not isinstance(line, ast.AugAssign) or target(line)[0] != "d":
        return None
    here[k] = ast.parse(ast.unparse(line).replace("+=", "=", 1)).body[0]
    if target(here[k]).startswith("dp["):
        return f"{ast.unparse(line)} → {ast.unparse(here[k])}"
    here[k] = ast.parse(ast.unparse(line).replace(" +=", "[...] =", 1)).body[0]
    return f"{ast.unparse(line)} → {ast.unparse(here[k])}"


def only_if(condition: str) -> Callable[[Program, list[ast.stmt], int], str | None]:
    """A parameter receives something at some steps only."""

    def change(program: Program, here: list[ast.stmt], k: int) -> str | None:
        if not isinstance(here[k], ast.AugAssign) or target(here[k])[0] != "d":
            return None
        old = ast.unparse(here[k])
        here[k] = ast.parse(f"if {condition}:\n    {old}").body[0]
        return f"{old} → if {condition}: {old}"

    return change


def adds_itself(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """The sum so far is added again."""
    if not isinstance(here[k], ast.AugAssign) or target(here[k])[0] != "d" or not isinstance(here[k], ast.AugAssign):
        return None
    old = ast.unparse(here[k])
    here[k] = ast.parse(f"{old} + {target(here[k])}").body[0]
    return f"{old} → {ast.unparse(here[k])}"


def other_accumulator(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """What one parameter receives is added to another of the same shape."""
    mine = parameter(program, here[k]) if isinstance(here[k], ast.AugAssign) else None
    if mine is None:
        return None
    same = [name for name in program.sizes if program.sizes[name] == program.sizes[mine]]
    if len(same) < 2:
        return None
    old = ast.unparse(here[k])
    here[k] = ast.parse(old.replace(mine, same[(same.index(mine) + 1) % len(same)], 1)).body[0]
    return f"{old} → {ast.unparse(here[k])}"


def exchanged_gradients(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """Two parameters receive what belongs to the other."""
    mine = parameter(program, here[k]) if isinstance(here[k], ast.AugAssign) else None
    for j in range(k + 1, len(here)):
        other = parameter(program, here[j]) if isinstance(here[j], ast.AugAssign) else None
        if mine and other and program.sizes[mine] == program.sizes[other]:
            a, b = ast.unparse(here[k]), ast.unparse(here[j])
            here[k], here[j] = (ast.parse(a.replace(mine, other, 1)).body[0], ast.parse(b.replace(other, mine, 1)).body[0])
            return f"what {mine} and {other} receive is exchanged"
    return None


def last_states(program: Program) -> list[int]:
    """Where in the loop the state gradients for the step before are made."""
    lines = body(program)
    places = []
    for part in program.state:
        found = [k for k, line in enumerate(lines) if isinstance(line, ast.Assign) and target(line) == f"d{part}"]
        if found:
            places.append(found[-1] + 1)
    return places


def state_line(change: Callable[[Program, list[ast.stmt], int], str | None]) -> Callable[[Program], list[Edit]]:
    """Edits of the lines that make what goes back to the step before."""

    def at_state(program: Program, here: list[ast.stmt], k: int) -> str | None:
        return change(program, here, k) if here is program.loop().body and k in last_states(program) else None

    return statements(at_state)


def added_up(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """+= for =."""
    old = ast.unparse(here[k])
    here[k] = ast.parse(old.replace(" = ", " += ", 1)).body[0]
    return f"{old} → {ast.unparse(here[k])}"


def handed_on(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """The gradient of the state goes back as it is, without its way through the step: the sum without the product."""
    old = ast.unparse(here[k])
    if "@" not in old:
        return None
    del here[k]
    return f"{old} is left out"


def too_early(program: Program, here: list[ast.stmt], k: int) -> str | None:
    """A state gradient overwritten before it has been used for the gates."""
    name = target(here[k])
    line = here[k]
    readers = [j for j in range(1, k) if name in names_in(getattr(here[j], "value", here[j])) and target(here[j]) != name]
    assert isinstance(line, ast.Assign)
    made = [j for j in range(1, k) if target(here[j]) == name]
    if not readers or not made or any(used not in known_before(here, made[-1]) for used in names_in(line.value)):
        return None
    del here[k]
    here.insert(made[-1] + 1, line)
    return f"{ast.unparse(line)} stands right after {ast.unparse(here[made[-1]])}"


def known_before(here: list[ast.stmt], k: int) -> set[str]:
    """The variables that have a value after the statement k."""
    return {"np"} | {
        name for line in here[: k + 1] if isinstance(line, ast.Assign) for target in line.targets for name in names_in(target)
    }


def exchanged_states(program: Program) -> list[Edit]:
    """The gradients of two states handed back to each other."""
    names = [f"d{part}" for part in program.state]

    def change(other: Program) -> str:
        text = f"{', '.join(names)} = {', '.join(reversed(names))}"
        other.loop().body.append(ast.parse(text).body[0])
        return text

    return [change] if len(names) == 2 and len(last_states(program)) == 2 else []


def range_of(text: str) -> Callable[[Program], list[Edit]]:
    """Another loop over time."""

    def change(other: Program) -> str:
        loop = other.loop()
        old = ast.unparse(loop.iter)
        loop.iter = ast.parse(text, mode="eval").body
        return f"{old} → {text}"

    return lambda program: [change]


def expressions(find: Callable[[Program], Iterator[tuple[Site, str]]]) -> Callable[[Program], list[Edit]]:
    """Edits that replace an expression."""
    return lambda program: at(program, find)


def kind(name: str, names: str, edits: Callable[[Program], list[Edit]]) -> Kind:
    """A kind of mistake, with what it may be called between bars."""
    return Kind(name, frozenset(names.split("|")), edits)


ACTIVATION = "activation derivative"
KINDS = (
    kind("state gradient not carried", "state gradient not carried|path missing|overwritten, not accumulated", dropped_states),
    *(
        kind(f"activation derivative {change}", f"{ACTIVATION}{also}", expressions(derivatives(change)))
        for change, also in (
            ("missing", ""),
            ("doubled", ""),
            ("of the activated value", ""),
            ("without the square", ""),
            ("without the value", "|factor missing|wrong factor"),
            ("of the other curve", ""),
            ("of the old state", ""),
            ("of another quantity", ""),
        )
    ),
    kind("activation derivative of c, not of tanh c", ACTIVATION, expressions(of_the_state_itself)),
    kind("index −1 wraps round", "index −1 wraps round|operand of the wrong step|wrong factor", expressions(wrapped)),
    kind("initial state taken as 0", "initial state left out|wrong factor", expressions(zero_before)),
    kind("path missing", "path missing|state gradient not carried", expressions(dropped_terms)),
    kind("matrix not transposed", "not transposed", expressions(matrices)),
    kind("gradient transposed", "transposed|not transposed", expressions(outer)),
    kind("operand of the wrong step", "operand of the wrong step|wrong factor|factor too many", expressions(new_for_old)),
    kind("gradient before the activation", f"wrong upstream gradient|{ACTIVATION}", expressions(before_activation)),
    kind("gradient of another gate", "wrong upstream gradient|gradients exchanged|wrong accumulator", expressions(other_gate)),
    kind("wrong accumulator", "wrong accumulator|never computed|is zero", statements(other_accumulator)),
    kind(
        "gradients exchanged",
        "gradients exchanged|parts in the wrong order|wrong upstream gradient",
        statements(exchanged_gradients),
    ),
    kind("overwritten, not accumulated", "overwritten, not accumulated", statements(overwritten)),
    kind("adds itself", "adds itself|state gradient accumulated", statements(adds_itself)),
    kind("last step only", "last step only|some steps only", statements(only_if("t == len(trace.steps)"))),
    kind("first step only", "overwritten, not accumulated|some steps only", statements(only_if("t == 1"))),
    kind("first step skipped", "a step is skipped", range_of("range(len(trace.steps), 1, -1)")),
    kind("last step skipped", "a step is skipped", range_of("range(len(trace.steps) - 1, 0, -1)")),
    kind("loop in the wrong direction", "loop in the wrong direction", range_of("range(1, len(trace.steps) + 1)")),
    kind("upstream in reverse", "upstream of the wrong step", expressions(upstream("len(trace.steps) - t"))),
    kind("upstream one step late", "upstream of the wrong step", expressions(upstream("t - 2"))),
    kind("brackets missing", "operator precedence|factor missing", expressions(precedence)),
    kind("brackets missing, written out", "operator precedence|factor missing", written_out),
    kind("bias averaged", "averaged instead of summed", expressions(averaged)),
    kind("factor 2", "counted twice|factor", expressions(scaled("2 * ({})"))),
    kind("factor ½", "factor", expressions(scaled("0.5 * ({})"))),
    kind("path counted twice", "counted twice|factor", expressions(twice)),
    kind("sign", "sign", expressions(negated)),
    kind("1 − z for z", "1 − z for z|wrong factor", expressions(exchanged_gates)),
    kind("factor missing", "factor missing", expressions(missing_factors)),
    kind("wrong factor", "wrong factor|operand of the wrong step", expressions(wrong_factors)),
    kind("factor too many", "factor too many|factor doubled", expressions(more_factors)),
    kind("states exchanged", "states exchanged|gradients exchanged", exchanged_states),
    kind("state gradient accumulated", "state gradient accumulated|a term too many", state_line(added_up)),
    kind("sum without the product", "factor missing", state_line(handed_on)),
    kind("state gradient overwritten too early", "lines in the wrong order", state_line(too_early)),
)
"""The commonest first."""
