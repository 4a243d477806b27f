"""The same backward pass in other layouts: rows or columns, parameters apart or stacked, dicts or tuples."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .program import Program, loaded, names_in

__all__ = ["LAYOUTS", "Laid", "Layout", "laid_out"]


class Layout(NamedTuple):
    """How a backward pass is laid out.

    Attributes:
        name: for the table.
        columns: whether an example is a column.
        stacked: whether parameters of the same shape are stacked in one array.
        as_dict: whether gradients are returned in a dict.
        whole: as `derive` writes it: a dict of parameters, and the forward pass's result handed to the backward pass.
    """

    name: str
    columns: bool = False
    stacked: bool = False
    as_dict: bool = False
    whole: bool = False


LAYOUTS = (
    Layout("as derived", whole=True),
    Layout("columns, apart, tuple", columns=True),
    Layout("rows, stacked, tuple", stacked=True),
    Layout("columns, stacked, dict", columns=True, stacked=True, as_dict=True),
    Layout("rows, apart, dict", as_dict=True),
    Layout("columns, apart, dict", columns=True, as_dict=True),
    Layout("rows, apart, tuple"),
    Layout("columns, stacked, tuple", columns=True, stacked=True),
)
"""The first four are those of planted mistakes; a right derivation passes in all."""


class Laid(NamedTuple):
    """A program in a layout: its functions, example arguments, and how to run both passes on random numbers."""

    source: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    arguments: Any
    results: Callable[[int], dict[str, np.ndarray]]


def laid_out(program: Program, layout: Layout, T: int = 4, D: int = 3) -> Laid:
    """The program in a layout.

    Raises:
        NotImplementedError: the program has something in it that cannot be turned into columns by rule.
    """
    xs = np.ones((T, len(next(iter(program.state.values()))), D))
    if layout.whole:
        source = ast.unparse(ast.fix_missing_locations(program.tree))
        module = loaded(source, program.package)
        params = {name: np.ones(shape) for name, shape in program.sizes.items()}
        states = list(program.state.values())
        arguments = (params, xs, states[0] if len(states) == 1 else tuple(states))
        forward = partial(module.forward, **program.options) if program.options else module.forward
        named = dict(zip(("params", "xs", "state"), arguments, strict=True)) | program.options
        given = named if program.options else arguments
        return Laid(source, module.forward, module.backward, given, partial(_as_derived, forward, module.backward, arguments))
    laid = _Laid(program, layout)
    source = laid.source()
    module = loaded(source)
    flat = (laid.turned(xs), *map(laid.turned, program.state.values()), *laid.parameters().values())
    return Laid(source, module.forward, module.backward, flat, partial(_flat, module, laid.returned, flat))


class _Laid:
    """A program of plain functions of arrays."""

    def __init__(self, program: Program, layout: Layout) -> None:
        self.program, self.layout = program, layout
        self.names = {name: name if name.isascii() else f"p_{k}" for k, name in enumerate(program.sizes)}
        self.groups: dict[str, list[str]] = {}
        for name, shape in program.sizes.items():
            same = [group for group, members in self.groups.items() if program.sizes[members[0]] == shape]
            if layout.stacked and same:
                self.groups[same[0]].append(name)
            else:
                self.groups[f"W_{'abcdefghij'[len(self.groups)]}" if layout.stacked else self.names[name]] = [name]
        self.state = list(program.state)
        self.flip = _Columns({self.variable(name): shape for name, shape in program.sizes.items()})

    def turned(self, array: np.ndarray) -> np.ndarray:
        """An array of examples in this layout."""
        return np.swapaxes(array, -1, -2) if self.layout.columns else array

    def parameters(self) -> dict[str, np.ndarray]:
        """Examples of the parameters."""
        found = {}
        for group, members in self.groups.items():
            shape = self.program.sizes[members[0]]
            shape = (len(members) * shape[0], *shape[1:])
            found[group] = np.ones((*shape, 1) if len(shape) == 1 and self.layout.columns else shape)
        return found

    def variable(self, name: str) -> str:
        """What the program calls a parameter inside."""
        for node in ast.walk(self.program.function("forward")):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
                for target, value in zip(node.targets[0].elts, node.value.elts, strict=True):
                    if ast.unparse(value) == f"params[{name!r}]":
                        return ast.unparse(target)
            elif isinstance(node, ast.Assign) and ast.unparse(node.value) == f"params[{name!r}]":
                return ast.unparse(node.targets[0])
        raise NotImplementedError(f"{name} is not taken out of params as it is")

    def source(self) -> str:
        """The module."""
        tree = self.program.tree
        helpers = [
            ast.unparse(node)
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name not in ("forward", "backward")
        ]
        return "\n\n".join(["import numpy as np", *helpers, self._forward(), self._backward()]) + "\n"

    def _unstacked(self) -> list[str]:
        lines = []
        for group, members in self.groups.items():
            if len(members) > 1:
                lines.append(f"{', '.join(map(self.variable, members))} = np.split({group}, {len(members)})")
            elif self.variable(members[0]) != group:
                lines.append(f"{self.variable(members[0])} = {group}")
        return lines

    def _forward(self) -> str:
        loop = self.program.loop("forward")
        cache = ", ".join(["xs", "steps", "hs", *self.groups])
        body = [
            *self._unstacked(),
            *(f"{part} = {part}0" for part in self.state),
            "steps, hs = [], []",
            *self._loop(loop),
            "hs = np.array(hs)",
            f"cache = ({cache})",
            f"return hs, {', '.join(self.state)}, cache",
        ]
        arguments = ", ".join(["xs", *(f"{part}0" for part in self.state), *self.groups])
        return _function(f"forward({arguments})", body)

    def _backward(self) -> str:
        loop = self.program.loop()
        of = {name: f"d{self.variable(name)}" for name in self.program.sizes}
        gradients = [f"d{group}" for group in self.groups]
        returned = self.returned = ["dxs", *(f"d{part}0" for part in self.state), *gradients]
        joined = [
            f"d{group} = np.concatenate([{', '.join(of[name] for name in members)}])"
            if len(members) > 1
            else f"d{group} = {of[members[0]]}"
            for group, members in self.groups.items()
            if f"d{group}" != of[members[0]]
        ]
        body = [
            f"{', '.join(['xs', 'steps', 'hs', *self.groups])} = cache",
            *self._unstacked(),
            *(f"{of[name]} = np.zeros_like({self.variable(name)})" for name in self.program.sizes),
            "dxs = np.zeros_like(xs)",
            *self._loop(loop, of),
            *(f"d{part}0 = d{part}" for part in self.state),
            *joined,
            "return "
            + (f"{{{', '.join(f'{name!r}: {name}' for name in returned)}}}" if self.layout.as_dict else ", ".join(returned)),
        ]
        return _function(f"backward({', '.join(['dhs', *(f'd{part}' for part in self.state), 'cache'])})", body)

    def _loop(self, loop: ast.For, of: dict[str, str] | None = None) -> list[str]:
        changed = _Renamed(of or {}).visit(ast.parse(ast.unparse(ast.fix_missing_locations(loop))).body[0])
        if self.layout.columns:
            vectors = {f"d{self.variable(name)}" for name, shape in self.program.sizes.items() if len(shape) == 1}
            changed = self.flip.statement(changed, {} if of is None else dict.fromkeys(of.values(), True), vectors)
        return ast.unparse(ast.fix_missing_locations(changed)).split("\n")


class _Renamed(ast.NodeTransformer):
    """``trace.steps`` is ``steps``, and ``dp["W"]`` a variable."""

    def __init__(self, of: dict[str, str]) -> None:
        self.of = of

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Name(node.attr, node.ctx) if isinstance(node.value, ast.Name) and node.value.id == "trace" else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "dp" and isinstance(node.slice, ast.Constant):
            return ast.Name(self.of[str(node.slice.value)], node.ctx)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name("dhs", node.ctx) if node.id == "d_hs" else node


class _Columns:
    """Formulas of rows as formulas of columns: every array of examples is transposed, and no parameter."""

    def __init__(self, sizes: dict[str, tuple[int, ...]]) -> None:
        self.matrices = {name for name, shape in sizes.items() if len(shape) == 2}

    def statement(self, node: Any, parameters: dict[str, bool], vectors: set[str]) -> Any:
        """A statement, with those inside of it."""
        if isinstance(node, ast.For | ast.If):
            node.body = [self.statement(inner, parameters, vectors) for inner in node.body]
            node.orelse = [self.statement(inner, parameters, vectors) for inner in node.orelse]
        elif isinstance(node, ast.Assign | ast.AugAssign):
            target = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
            if isinstance(node.value, ast.Tuple):
                node.value.elts = [self.turned(part) for part in node.value.elts]
            elif not isinstance(node.value, ast.Subscript):
                as_it_is = target in parameters and target not in vectors
                node.value = self.same(node.value) if as_it_is else self.turned(node.value)
        return node

    def turned(self, e: ast.expr) -> ast.expr:
        """The transposed of what the formula gave in rows."""
        match e:
            case ast.Name():
                return _transposed(e) if e.id in self.matrices else e
            case ast.Attribute(value=inner, attr="T"):
                return self.same(inner)
            case ast.BinOp(left=a, op=ast.MatMult(), right=b):
                return ast.BinOp(self.turned(b), ast.MatMult(), self.turned(a))
            case ast.Call(func=ast.Attribute(value=inner, attr="sum" | "mean" as name), keywords=[*keywords]) if _is_array(
                inner
            ):
                axis = next(keyword.value for keyword in keywords if keyword.arg == "axis")
                other = 1 - ast.literal_eval(axis) % 2
                return ast.parse(f"({ast.unparse(self.turned(inner))}).{name}(axis={other}, keepdims=True)", mode="eval").body
            case ast.Subscript():
                return e
            case _:
                return self._inside(e, self.turned)

    def same(self, e: ast.expr) -> ast.expr:
        """What the formula gave, where it is as before in columns too."""
        match e:
            case ast.Name():
                return e if e.id in self.matrices or e.id.removeprefix("d") in self.matrices else _transposed(e)
            case ast.Attribute(value=inner, attr="T"):
                return self.turned(inner)
            case ast.BinOp(left=a, op=ast.MatMult(), right=b):
                return ast.BinOp(self.same(a), ast.MatMult(), self.same(b))
            case ast.Subscript():
                return _transposed(e)
            case ast.Call(func=ast.Attribute(value=inner)) if _is_array(inner):
                raise NotImplementedError(ast.unparse(e))
            case _ if not self.matrices & {name.removeprefix("d") for name in names_in(e)} and not isinstance(e, ast.Constant):
                return _transposed(self.turned(e))
            case _:
                return self._inside(e, self.same)

    def _inside(self, e: ast.expr, change: Callable[[ast.expr], ast.expr]) -> ast.expr:
        match e:
            case ast.BinOp(left=a, op=op, right=b):
                return ast.BinOp(change(a), op, change(b))
            case ast.UnaryOp(op=op, operand=a):
                return ast.UnaryOp(op, change(a))
            case ast.IfExp(test=test, body=a, orelse=b):
                return ast.IfExp(test, change(a), change(b))
            case ast.Compare(left=a, ops=ops, comparators=[*others]):
                return ast.Compare(change(a), ops, [change(other) for other in others])
            case ast.Call(func=f, args=[*args], keywords=[]):
                return ast.Call(f, [change(argument) for argument in args], [])
            case ast.Constant():
                return e
        raise NotImplementedError(ast.unparse(e))


def _transposed(e: ast.expr) -> ast.expr:
    return ast.Attribute(e, "T", ast.Load())


def _is_array(e: ast.expr) -> bool:
    return not (isinstance(e, ast.Name) and e.id == "np")


def _function(signature: str, body: list[str]) -> str:
    return "\n".join([f"def {signature}:", *(f"    {line}" for line in body)])


# ---------------------------------------------------------------- running


def _drawn(arrays: Any, rng: np.random.Generator) -> Any:
    if isinstance(arrays, dict):
        return {name: _drawn(array, rng) for name, array in arrays.items()}
    if isinstance(arrays, tuple):
        drawn = [_drawn(array, rng) for array in arrays]
        return type(arrays)(*drawn) if hasattr(arrays, "_fields") else tuple(drawn)
    return rng.standard_normal(np.shape(arrays)) / 2


def _as_derived(forward: Any, backward: Any, arguments: tuple[Any, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    params, xs, state = _drawn(arguments, rng)
    trace = forward(params, xs, state)
    gradients = backward(params, trace, _drawn(trace.hs, rng), _drawn(trace.state, rng))
    states = gradients.state if isinstance(gradients.state, tuple) else (gradients.state,)
    named = {f"state[{k}]" if len(states) > 1 else "state": part for k, part in enumerate(states)}
    return dict(gradients.params) | {"xs": gradients.xs} | named


def _flat(module: Any, returned: list[str], arguments: tuple[Any, ...], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    *outputs, cache = module.forward(*_drawn(arguments, rng))
    gradients = module.backward(*_drawn(tuple(outputs), rng), cache)
    return gradients if isinstance(gradients, dict) else dict(zip(returned, gradients, strict=True))
