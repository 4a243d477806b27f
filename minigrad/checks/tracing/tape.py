"""A forward pass of plain NumPy, run once and written down line by line: the derivation that a backward pass is held to.

The arrays that the function is given are replaced by stand-ins. Each operation on them is done by minigrad's operation of the
same name, so its derivative is minigrad's own, and becomes a `Line`: what was computed, from which lines, by which line
of the user's code, for the how-manieth time (in a loop over time: at which time step). Arrays that are written to
(``concat[:n, :] = a``) are followed too: a write is a line like others.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import FrameType
from typing import Any

import numpy as np

from minigrad import graph
from minigrad.checks.tracing.indices import apart, counted, key_of
from minigrad.checks.tracing.line import Line, Site, Source, Vjp
from minigrad.checks.tracing.local import Hole, filled, local
from minigrad.checks.tracing.modules import BUILT_IN, stand_in_for
from minigrad.checks.tracing.namespaces import OUTSIDE, replaced
from minigrad.checks.tracing.noticing import noticing
from minigrad.checks.tracing.stand_in import Traced, Whole, plain_index
from minigrad.gradients import unbroadcast
from minigrad.guard import Array
from minigrad.scope import enable_grad
from minigrad.tensor import Tensor

__all__ = ["Tape"]

HELPER = re.compile(r"sigm|tanh|softmax|relu|logistic|activat|^act$|^sig$|<lambda>", re.IGNORECASE)


class Tape:
    """All lines of one forward pass, in order. Tapes of the same code share ``sites``, so that a place has one number."""

    def __init__(self, sites: dict[Any, Site] | None = None) -> None:
        self.lines: list[Line] = []
        self.sites: dict[Any, Site] = {} if sites is None else sites
        self.counts: dict[Site, int] = {}
        self.names: dict[Site, list[str]] = {}
        self.own_names: dict[int, list[str]] = {}
        self.root: FrameType | None = None

    def leaf(self, value: Array, name: str, op: str = "argument") -> Traced:
        """A value that is given."""
        line = Line(op, (), value, self._site((op, name)), 0, lambda: value, lambda g: ())
        line.names.append(name)
        return Traced(self, self._kept(line))

    def constant(self, value: Any) -> Traced:
        """An array of numbers that the function made by itself, and may write to."""
        array = np.array(value, float)
        line = Line("constant", (), array, -1, 0, lambda: array, lambda g: ())
        if not array.ndim:
            line.names.append(f"{float(array):g}")
        self._placed(line)
        line.time = 0
        return Traced(self, line)

    def apply(self, function: Callable[..., Any], args: Sequence[Any], keywords: dict[str, Any] | None = None) -> Any:
        """``function`` of stand-ins: a stand-in for the result (or a list of them), after a line about it."""
        operands: list[Line] = []
        keywords = keywords or {}
        if function is np.add or (function is np.subtract and _is_zero(args[0])):
            # 0 + x at the first step is total + x at the others: both have two operands
            args = [self.constant(arg) if isinstance(arg, int | float | np.floating) else arg for arg in args]

        def hidden(value: Any) -> Any:
            if isinstance(value, Traced):
                operands.append(value.line)
                return Hole(len(operands) - 1)
            if isinstance(value, Whole):
                return np.asarray(value)
            if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
                return type(value)(hidden(part) for part in value)
            return value

        holed_args, holed_keywords = hidden(tuple(args)), {key: hidden(value) for key, value in keywords.items()}
        leaves = [Tensor(line.value, requires_grad=True) for line in operands]
        with enable_grad():
            result = function(*filled(holed_args, leaves), **filled(holed_keywords, leaves))
        results = result if isinstance(result, list | tuple) else [result]
        traced = []
        for which, tensor in enumerate(results):
            if not isinstance(tensor, Tensor):
                return result

            def compute(*values: Array, which: int = which) -> Array:
                again = function(*filled(holed_args, values), **filled(holed_keywords, values))
                return np.asarray(again[which] if isinstance(again, list | tuple) else again)

            def at(values: Sequence[Array], which: int = which) -> Vjp:
                moved = [Tensor(value, requires_grad=True) for value in values]
                with enable_grad():
                    again = function(*filled(holed_args, moved), **filled(holed_keywords, moved))
                return local(again[which] if isinstance(again, list | tuple) else again, moved)

            vjp = local(tensor, leaves)
            op = tensor.node.label if isinstance(tensor.node, graph.Operation) else getattr(function, "__name__", "function")
            line = Line(op, tuple(operands), tensor._array, -1, 0, compute, vjp, at, holed_args)
            traced.append(Traced(self, self._placed(line, which)))
        return traced if isinstance(result, list | tuple) else traced[0]

    def getitem(self, x: Traced, index: Any) -> Traced:
        """``x[index]``: what was written there, if exactly that part was."""
        base, key = x.line, counted(key_of(index), x.shape)
        while base.op == "write" and key is not None:
            written = counted(key_of(base.index), x.shape)
            if written == key and base.operands[1].value.shape == base.value[index].shape:
                return Traced(self, base.operands[1])
            if written is None or not apart(written, key):
                break
            base = base.operands[0]
        part: Traced = self.apply(operator.getitem, (Traced(self, base), plain_index(index)))
        part.line.index = index
        return part

    def write(self, base: Line, index: Any, value: Any) -> Line:
        """``base`` after ``base[index] = value``."""
        index = plain_index(index)
        value = value if isinstance(value, Traced) else self.constant(value)
        there = np.shape(base.value[index])
        if value.shape != there and value.shape[-len(there) :] == there and value.line.value.size == base.value[index].size:
            value = self.apply(np.reshape, (value, there))  # a row that is a matrix of one row is read as a row
        part, shape = value.line, value.line.value.shape

        def compute(old: Array, new: Array) -> Array:
            whole = np.array(old)
            whole[index] = new
            return whole

        def vjp(g: Array) -> Sequence[Array | None]:
            rest = np.array(g)
            rest[index] = 0
            return rest, unbroadcast(_aligned(np.array(g[index]), shape), shape)

        line = Line("write", (base, part), compute(base.value, part.value), -1, 0, compute, vjp)
        line.index = index
        return self._placed(line)

    def run(self, call: Callable[[], Any], users: Sequence[Any]) -> Any:
        """What ``call`` returns, given stand-ins; afterwards the lines have the names that the user's code gave them.

        ``users`` are the user's functions and objects that it runs.
        """
        self.root = sys._getframe()

        def noticed(frame: FrameType, event: str, argument: Any) -> None:
            code = frame.f_code
            if event == "return" and not code.co_filename.startswith(OUTSIDE) and not _is_helper(frame):
                self._learn(frame.f_locals)

        try:
            with replaced(users, partial(stand_in_for, self), BUILT_IN), noticing(noticed):
                result = call()
        finally:
            self.root = None
        for line in self.lines:
            found = self.own_names.get(line.number) or self.names.get(line.site, [])
            line.names = list(dict.fromkeys([*line.names, *found]))
        self._name_what_is_written()
        return result

    def _name_what_is_written(self) -> None:
        """What the code has in an array alone, ``zs[t] = sigmoid(…)``, is called as the array; so is what that was first."""
        arrays = {line.site: line.names for line in self.lines if line.op == "write" and line.names}
        for line in self.lines:
            if line.op == "write":
                before, written = line.operands
                for part in (before, written):
                    if not part.names and (part is before or part.op != "constant"):
                        part.names = arrays.get(line.site, [])[:1]

    def _learn(self, variables: dict[str, Any]) -> None:
        attributes: dict[str, Any] = {}
        for value in list(variables.values()):
            attributes = _attributes(value) | attributes
        for name, value in reversed(list({**attributes, **variables}.items())):
            if name == "_":  # what nobody wants has no name
                continue
            is_kept = name in attributes and name not in variables and not isinstance(value, Traced)
            for suffix, part in _named_parts(value):
                line = part.line
                if is_kept and line.op == "argument":  # self.params[0] may have a name of its own
                    continue
                for known, place in ((self.names, line.site), (self.own_names, line.number)):
                    before = known.get(place, [])
                    both = [*before, name] if isinstance(value, list) else [suffix or name, *before]
                    known[place] = list(dict.fromkeys(both))

    def _placed(self, line: Line, which: int = 0) -> Line:
        """``line`` with its place in the user's code."""
        frame: FrameType | None = sys._getframe(1)
        path: list[tuple[int, int]] = []
        sources: list[Source] = []
        while frame is not None and frame is not self.root:
            code = frame.f_code
            if not code.co_filename.startswith(OUTSIDE):
                path.append((id(code), frame.f_lasti))
                sources.append(Source(code.co_filename, frame.f_lineno, code.co_name))
            frame = frame.f_back
        line.site, line.sources = self._site((*path, line.op, which)), tuple(sources)
        line.time = self.counts[line.site] = self.counts.get(line.site, 0) + 1
        return self._kept(line)

    def _site(self, place: Any) -> Site:
        return self.sites.setdefault(place, len(self.sites))

    def _kept(self, line: Line) -> Line:
        line.number = len(self.lines)
        self.lines.append(line)
        return line


def _is_helper(frame: FrameType) -> bool:
    """Whether a function's own names for things say nothing, x, z, s: an activation, or what takes one value to another."""
    code, caller = frame.f_code, frame.f_back
    if HELPER.search(code.co_name):
        return True
    inner = caller is not None and not caller.f_code.co_filename.startswith(OUTSIDE)
    return inner and code.co_argcount == 1 and not code.co_kwonlyargcount and code.co_nlocals <= 2


def _attributes(value: Any, depth: int = 0) -> dict[str, Any]:
    """What an object of the user's holds, and the objects in it: ``self.h``, ``self.state.h``, ``self.hs[t]``."""
    if type(value).__module__.partition(".")[0] in ("builtins", "numpy", "types", OWN) or depth > 1:
        return {}
    found: dict[str, Any] = {}
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if isinstance(part, Traced | list | dict):
            found.setdefault(name, part)
        else:
            found = _attributes(part, depth + 1) | found
    return found


OWN = __name__.partition(".")[0]


def _named_parts(value: Any, depth: int = 0) -> Iterator[tuple[str, Traced]]:
    """The stand-ins in a variable; those under a text in a dict with that text."""
    if isinstance(value, Traced):
        yield "", value
    elif isinstance(value, dict) and depth < 2:
        for key, part in list(value.items()):
            for suffix, found in _named_parts(part, depth + 1):
                yield suffix or (key if isinstance(key, str) else ""), found
    elif isinstance(value, list) and depth < 2:
        for part in value:
            yield from _named_parts(part, depth + 1)


def _aligned(g: Array, shape: tuple[int, ...]) -> Array:
    """``g`` without leading axes of length 1 that ``shape`` has in excess."""
    return g.reshape((1,) * (len(shape) - g.ndim) + g.shape) if len(shape) > g.ndim else g


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float | np.floating) and not value
