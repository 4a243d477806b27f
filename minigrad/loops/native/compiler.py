"""A compiler for generated code: from the small part of Python that it is written in to instructions of LLVM.

A module of generated code begins with imports and constants, which Python itself executes. What follows are functions of
integers, floating-point numbers, truth values and pointers: loops over ranges, branches, arithmetic, entries of memory, and
calls of one another, of what `minigrad.loops.native.llvm` defines, and of ``math``. Arguments of ``run``, which is called from
outside, are integers where nothing else is said; those of others are what they are first called with. What a function returns
is said behind an arrow. A name that is assigned to once is the value; one that is assigned to again is a variable.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from llvmlite import ir

from minigrad.loops.program import CannotCompile

__all__ = ["BYTE", "DOUBLE", "LONG", "SHORT", "SINGLE", "TRUTH", "Word", "module_of"]

LONG, SHORT, BYTE, TRUTH, SINGLE, DOUBLE = *map(ir.IntType, (64, 32, 8, 1)), ir.FloatType(), ir.DoubleType()
KINDS: Final = {"int64": LONG, "float32": SINGLE, "float64": DOUBLE}
WIDER: Final = (BYTE, TRUTH, LONG, SINGLE, DOUBLE)
"""Of two numbers of different kinds the first becomes one of the second."""

OF_INTEGERS: Final = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.FloorDiv: "sdiv", ast.RShift: "ashr",
    ast.BitAnd: "and_", ast.BitOr: "or_", ast.BitXor: "xor",
}  # fmt: skip
OF_FLOATS: Final = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
SIGNS: Final = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
OF_LLVM: Final = ("log", "sin", "cos", "pow")
"""Functions of ``math`` that LLVM knows; others are called by their names in C."""


class Word:
    """What generated code calls and LLVM has instructions for: ``emit`` writes them, and returns the value, if there is one."""

    def __init__(self, emit: Callable[..., Any]) -> None:
        self.emit = emit


def module_of(source: str) -> Any:
    """The functions of generated code as a module of LLVM.

    Raises:
        CannotCompile: there is something in it that generated code is not written in.
    """
    body, namespace = ast.parse(source).body, dict[str, Any]()
    beginning: list[ast.stmt] = [node for node in body if not isinstance(node, ast.FunctionDef)]
    exec(compile(ast.Module(beginning, []), "<native loop>", "exec"), namespace)
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    given = functions["run"].args.args
    kinds = [KINDS[ast.unparse(argument.annotation)] if argument.annotation else LONG for argument in given]
    return _Function(ir.Module("loop"), functions, namespace, "run", kinds).module


class _Function:
    """A function, and in the same module those that it calls."""

    def __init__(self, module: Any, functions: Any, namespace: dict[str, Any], name: str, kinds: Sequence[Any]) -> None:
        self.module, self.functions, self.namespace, node = module, functions, namespace, functions[name]
        self.result = KINDS[ast.unparse(node.returns)] if node.returns else ir.VoidType()
        self.function = ir.Function(module, ir.FunctionType(self.result, kinds), name)
        self.function.linkage = "" if name == "run" else "internal"
        self.flags: tuple[str, ...] = ()
        """Of arithmetic with floating-point numbers."""
        self._first, self._block = (self.function.append_basic_block(name) for name in ("variables", "body"))
        self.builder = ir.IRBuilder(self._block)
        stored = [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
        changed = [ast.unparse(each.target) for each in ast.walk(node) if isinstance(each, ast.AugAssign)]
        given = [argument.arg for argument in node.args.args]
        self._variable = {name for name, times in Counter([*given, *stored, *changed]).items() if times > 1}
        self._values: dict[str, Any] = {}
        for argument, value in zip(given, self.function.args, strict=True):
            self._store(ast.Name(argument), value)
        self._do(node.body)
        if not self.builder.block.is_terminated:
            self.builder.ret_void()
        ir.IRBuilder(self._first).branch(self._block)

    def converted(self, kind: Any, value: Any) -> Any:
        """A number as one of another kind; as a truth value, whether it is not zero."""
        was, builder = value.type, self.builder
        if was == kind:
            return value
        if kind == TRUTH:
            return self._compared("!=", value, was(0))
        steps = {(TRUTH, BYTE): "zext", (TRUTH, LONG): "zext", (SINGLE, DOUBLE): "fpext", (DOUBLE, SINGLE): "fptrunc"}
        return getattr(builder, steps.get((was, kind), "uitofp" if was == TRUTH else "sitofp"))(value, kind)

    def _alike(self, *values: Any) -> list[Any]:
        kind = max([value.type for value in values], key=WIDER.index)
        return [self.converted(kind, value) for value in values]

    # ---------------------------------------------------------------- statements

    def _do(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.Pass() | ast.Expr(value=ast.Constant()):
                    pass
                case ast.Expr(value=call):
                    self._of(call)
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=parts)):
                    for target, value in zip(targets, [self._of(part) for part in parts], strict=True):
                        self._store(target, value)
                case ast.Assign(targets=[target], value=one):
                    self._store(target, self._of(one))
                case ast.AugAssign(target=target, op=sign, value=one):
                    self._store(target, self._computed(sign, self._of(target), self._of(one)))
                case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=given), body=inner):
                    self._over(name, [self._of(each) for each in given], inner)
                case ast.If(test=test, body=inner, orelse=others):
                    with self.builder.if_else(self.converted(TRUTH, self._of(test))) as (then, otherwise):
                        with then:
                            self._do(inner)
                        with otherwise:
                            self._do(others)
                case ast.Return(value=ast.expr() as one):
                    self.builder.ret(self.converted(self.result, self._of(one)))
                case _:
                    raise CannotCompile(f"{ast.unparse(node)!r:.80} has no meaning in native code")

    def _over(self, name: str, given: Sequence[Any], body: Sequence[ast.stmt]) -> None:
        """A loop over a range."""
        start, stop, step = {1: (LONG(0), *given, LONG(1)), 2: (*given, LONG(1))}.get(len(given), given)
        builder, before = self.builder, self.builder.block
        condition, inside, after = (builder.append_basic_block(name) for name in ("while", "do", "done"))
        builder.branch(condition)
        builder.position_at_end(condition)
        count = builder.phi(LONG)
        count.add_incoming(start, before)
        builder.cbranch(builder.icmp_signed("<", count, stop), inside, after)
        builder.position_at_end(inside)
        self._store(ast.Name(name), count)
        self._do(body)
        count.add_incoming(builder.add(count, step, flags=("nsw",)), builder.block)
        builder.branch(condition)
        builder.position_at_end(after)

    def _store(self, target: ast.expr, value: Any) -> None:
        """Let an entry of memory, or a name, be a value."""
        if isinstance(target, ast.Subscript):
            place = self.builder.gep(self._of(target.value), [self._of(target.slice)])
        else:
            name = ast.unparse(target)
            if name not in self._variable:
                self._values[name] = value
                return
            place = self._values.get(name) or ir.IRBuilder(self._first).alloca(value.type)
            self._values[name] = place
            if place.type.pointee != value.type:
                raise CannotCompile(f"{name} is of one kind and then of another in native code")
        self.builder.store(self.converted(place.type.pointee, value), place)

    # ---------------------------------------------------------------- expressions

    def _of(self, node: ast.expr) -> Any:
        builder = self.builder
        match node:
            case ast.Constant(value=int() | float() as number):
                return DOUBLE(number) if isinstance(number, float) else LONG(int(number))
            case ast.Name(id=name):
                return self._known(name)
            case ast.Subscript(value=pointer, slice=index):
                entry = builder.load(builder.gep(self._of(pointer), [self._of(index)]))
                return self.converted(TRUTH, entry) if entry.type == BYTE else entry
            case ast.UnaryOp(op=ast.Not(), operand=one):
                return builder.not_(self.converted(TRUTH, self._of(one)))
            case ast.UnaryOp(op=ast.USub(), operand=one):
                value = self._of(one)
                return (builder.neg if isinstance(value.type, ir.IntType) else builder.fneg)(value)
            case ast.BinOp(left=left, op=sign, right=right):
                return self._computed(sign, self._of(left), self._of(right))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._compared(SIGNS[type(operator)], *self._alike(self._of(left), self._of(right)))
            case ast.Call(func=ast.Attribute(attr=name), args=given):
                return self._called(name, *map(self._of, given))
            case ast.Call(func=ast.Name(id=name), args=given):
                return self._result(name, [self._of(each) for each in given])
        raise CannotCompile(f"{ast.unparse(node)!r:.80} has no meaning in native code")

    def _known(self, name: str) -> Any:
        value = self._values.get(name)
        if value is not None:
            return self.builder.load(value) if name in self._variable else value
        value = self.namespace.get(name)
        if isinstance(value, int):
            return LONG(value)
        if isinstance(value, np.floating):
            return KINDS[value.dtype.name](float(value))
        raise CannotCompile(f"{name} has no value in native code")

    def _computed(self, sign: ast.operator, *values: Any) -> Any:
        a, b = self._alike(*values)
        if isinstance(sign, ast.Pow):
            return self._called("pow", a, b)
        if isinstance(a.type, ir.IntType):
            return getattr(self.builder, OF_INTEGERS[type(sign)])(a, b)
        return getattr(self.builder, OF_FLOATS[type(sign)])(a, b, flags=self.flags)

    def _compared(self, sign: str, a: Any, b: Any) -> Any:
        """How two numbers compare; a NaN is unequal to all."""
        if isinstance(a.type, ir.IntType):
            return self.builder.icmp_signed(sign, a, b)
        return (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, a, b)

    def _result(self, name: str, values: list[Any]) -> Any:
        """What another function of the module, a word, a dtype, min or max make of values."""
        if name in self.functions:
            if name not in self.module.globals:
                _Function(self.module, self.functions, self.namespace, name, [value.type for value in values])
            return self.builder.call(self.module.globals[name], values)
        if name in ("min", "max"):
            return self.builder.select(self._compared("<" if name == "min" else ">", *values), *values)
        found = self.namespace.get(name)
        if isinstance(found, Word):
            return found.emit(self, *values)
        if found in (np.float32, np.float64):
            return self.converted(KINDS[found.__name__], *values)
        raise CannotCompile(f"{name} is no function in native code")

    def _called(self, name: str, *values: Any) -> Any:
        """A function of ``math``."""
        kind = ir.FunctionType(values[0].type, [value.type for value in values])
        if name in OF_LLVM:
            return self.builder.call(self.module.declare_intrinsic(f"llvm.{name}", [values[0].type], kind), values)
        name += "f" if values[0].type == SINGLE else ""
        if name not in self.module.globals:
            ir.Function(self.module, kind, name)
        return self.builder.call(self.module.globals[name], values)
