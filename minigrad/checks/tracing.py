"""A forward pass of plain NumPy, run once and written down line by line: the derivation that a backward pass is held to.

The arrays that the function is given are replaced by stand-ins. Each operation on them is done by minigrad's operation of the
same name, so its derivative is minigrad's own, and becomes a `Line`: what was computed, from which lines, by which line
of the user's code, for the how-manieth time (in a loop over time: at which time step). Arrays that are written to
(``concat[:n, :] = a``) are followed too: a write is a line like others.
"""

from __future__ import annotations

import linecache
import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from typing_extensions import override

from minigrad import graph
from minigrad.errors import ConversionError, GraphError, MinigradError
from minigrad.gradients import ArrayAccumulator, unbroadcast
from minigrad.guard import Array
from minigrad.scope import enable_grad
from minigrad.tensor import Tensor

__all__ = ["Hole", "Line", "Site", "Source", "Tape", "Traced", "in_double_precision", "namespaces", "replaced", "vjp_of"]

LIBRARY = sys.modules[__name__.partition(".")[0]]
"""minigrad as users import it, by name: what it imports cannot import it."""

HERE = str(Path(__file__).parent.parent)
OUTSIDE = (HERE, str(Path(np.__file__).parent), str(Path(linecache.__file__).parent))
"""Code that is not the user's."""

HELPER = re.compile(r"sigm|tanh|softmax|relu|logistic|activat|^act$|^sig$|<lambda>", re.IGNORECASE)
"""Functions whose own names for things say nothing: x, z, s."""

Site: TypeAlias = int
"""A place in the user's code where an operation stands (with the calls that lead there), or an argument, as a number."""


Vjp: TypeAlias = Callable[[Array], Sequence[Array | None]]


class Source(NamedTuple):
    """A line of the user's code."""

    file: str
    number: int
    function: str

    @property
    def text(self) -> str:
        """The line itself, as far as it can be found."""
        return linecache.getline(self.file, self.number).strip()


class Line:
    """One line of the forward pass: a value, and how it was computed.

    Attributes:
        op: the operation, "argument" or "constant".
        operands: the lines it was computed from.
        value: what came out.
        site, time: where in the code, and the how-manieth time that place was reached, counted from 1; 0 for arguments.
        compute: the value for other values of the operands.
        vjp, at: the gradients of the operands, given that of the value; the same where the operands have other values.
        given: all that the operation was given, with the numbers of operands in the place of operands.
        names: what the code calls it.
        sources: the lines of the user's code, innermost first.
    """

    __slots__ = (
        "at",
        "compute",
        "given",
        "index",
        "names",
        "number",
        "op",
        "operands",
        "site",
        "sources",
        "time",
        "value",
        "vjp",
    )

    def __init__(
        self,
        op: str,
        operands: tuple[Line, ...],
        value: Array,
        site: Site,
        time: int,
        compute: Callable[..., Array],
        vjp: Vjp,
        at: Callable[[Sequence[Array]], Vjp] | None = None,
        given: tuple[Any, ...] = (),
    ) -> None:
        self.op, self.operands, self.value, self.site, self.time = op, operands, value, site, time
        self.compute, self.vjp, self.given = compute, vjp, given
        self.at: Callable[[Sequence[Array]], Vjp] = at or (lambda values: vjp)
        self.index: Any = None
        self.number = -1
        self.names: list[str] = []
        self.sources: tuple[Source, ...] = ()

    @property
    def name(self) -> str | None:
        """What the code calls it, if anything."""
        return self.names[0] if self.names else None

    @override
    def __repr__(self) -> str:
        return (
            f"<{self.number}: {self.name or ''} = {self.op}({', '.join(str(o.number) for o in self.operands)}) at {self.time}>"
        )


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
            if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
                return type(value)(hidden(part) for part in value)
            return value

        holed_args, holed_keywords = hidden(tuple(args)), {key: hidden(value) for key, value in keywords.items()}
        leaves = [Tensor(line.value, requires_grad=True) for line in operands]
        with enable_grad():
            result = function(*_filled(holed_args, leaves), **_filled(holed_keywords, leaves))
        results = result if isinstance(result, list | tuple) else [result]
        traced = []
        for which, tensor in enumerate(results):
            if not isinstance(tensor, Tensor):
                return result

            def compute(*values: Array, which: int = which) -> Array:
                again = function(*_filled(holed_args, values), **_filled(holed_keywords, values))
                return np.asarray(again[which] if isinstance(again, list | tuple) else again)

            def at(values: Sequence[Array], which: int = which) -> Vjp:
                moved = [Tensor(value, requires_grad=True) for value in values]
                with enable_grad():
                    again = function(*_filled(holed_args, moved), **_filled(holed_keywords, moved))
                return _local(again[which] if isinstance(again, list | tuple) else again, moved)

            vjp = _local(tensor, leaves)
            op = tensor.node.label if isinstance(tensor.node, graph.Operation) else getattr(function, "__name__", "function")
            line = Line(op, tuple(operands), tensor._array, -1, 0, compute, vjp, at, holed_args)
            traced.append(Traced(self, self._placed(line, which)))
        return traced if isinstance(result, list | tuple) else traced[0]

    def getitem(self, x: Traced, index: Any) -> Traced:
        """``x[index]``: what was written there, if exactly that part was."""
        base, key = x.line, _counted(_key(index), x.shape)
        while base.op == "write" and key is not None:
            written = _counted(_key(base.index), x.shape)
            if written == key and base.operands[1].value.shape == base.value[index].shape:
                return Traced(self, base.operands[1])
            if written is None or not _apart(written, key):
                break
            base = base.operands[0]
        part: Traced = self.apply(operator.getitem, (Traced(self, base), _plain(index)))
        part.line.index = index
        return part

    def write(self, base: Line, index: Any, value: Any) -> Line:
        """``base`` after ``base[index] = value``."""
        index = _plain(index)
        value = value if isinstance(value, Traced) else self.constant(value)
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
        before = sys.getprofile()

        def noticed(frame: FrameType, event: str, argument: Any) -> None:
            code = frame.f_code
            if event == "return" and not code.co_filename.startswith(OUTSIDE) and not HELPER.search(code.co_name):
                self._learn(frame.f_locals)

        with replaced(users, partial(_stand_in, self)):
            sys.setprofile(noticed)
            try:
                result = call()
            finally:
                sys.setprofile(before)
                self.root = None
        for line in self.lines:
            found = self.own_names.get(line.number) or self.names.get(line.site, [])
            line.names = list(dict.fromkeys([*line.names, *found]))
        return result

    def _learn(self, variables: dict[str, Any]) -> None:
        for name, value in reversed(list(variables.items())):
            for suffix, part in _named_parts(value):
                line = part.line
                self.names[line.site] = list(dict.fromkeys([suffix or name, *self.names.get(line.site, ())]))
                self.own_names[line.number] = list(dict.fromkeys([suffix or name, *self.own_names.get(line.number, ())]))

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


class Hole:
    """Where an operand goes."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


def _filled(template: Any, values: Sequence[Any]) -> Any:
    if isinstance(template, Hole):
        return values[template.number]
    if isinstance(template, list | tuple) and not hasattr(template, "_fields"):
        return type(template)(_filled(part, values) for part in template)
    if isinstance(template, dict):
        return {key: _filled(part, values) for key, part in template.items()}
    return template


def _local(tensor: Tensor, leaves: list[Tensor]) -> Vjp:
    """The derivative of one operation on ``leaves``: minigrad's."""
    node, places = tensor.node, [leaf.node for leaf in leaves]
    if not isinstance(node, graph.Operation):
        return lambda g: [None] * len(places)
    if len(set(places)) == len(places) and list(node.inputs) == places:
        one = node  # a single operation, by far the commonest case: no sweep needed

        def alone(g: Array) -> Sequence[Array | None]:
            sums = ArrayAccumulator()
            shares = sums.derivative(one, g)
            return [None if s is None or p is None else sums.whole(p, s) for s, p in zip(shares, places, strict=True)]

        return alone

    def swept(g: Array) -> Sequence[Array | None]:
        found, _ = graph.sweep([(node, g)], ArrayAccumulator())
        return [None if place is None else found.get(place) for place in places]

    return swept


def vjp_of(function: Callable[..., Any], keywords: dict[str, Any]) -> tuple[Any, Callable[[Sequence[Array]], Vjp]]:
    """How to compute ``function(x)``, and its derivative at any x."""

    def at(values: Sequence[Array]) -> Vjp:
        leaf = Tensor(values[0], requires_grad=True)
        with enable_grad():
            return _local(function(leaf, **keywords), [leaf])

    return lambda value: function(value, **keywords).numpy(), at


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


def _plain(index: Any) -> Any:
    if isinstance(index, Traced):
        return index.line.value.astype(int)
    return tuple(_plain(part) for part in index) if isinstance(index, tuple) else index


def _key(index: Any) -> tuple[Any, ...] | None:
    """An index of integers and slices in a form that can be compared; None for any other."""
    parts = index if isinstance(index, tuple) else (index,)
    key: list[Any] = []
    for part in parts:
        if isinstance(part, slice):
            key.append((part.start, part.stop, part.step))
        elif isinstance(part, int | np.integer):
            key.append(int(part))
        else:
            return None
    whole = (None, None, None)
    while key and key[-1] == whole:
        key.pop()
    return tuple(key)


def _counted(key: tuple[Any, ...] | None, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """The key with integers counted from the front."""
    if key is None:
        return None
    return tuple(part + size if isinstance(part, int) and part < 0 else part for part, size in zip(key, shape, strict=False))


def _apart(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Whether two indices certainly take different entries: different integers ≥ 0 on some axis."""
    return any(isinstance(i, int) and isinstance(j, int) and i != j and min(i, j) >= 0 for i, j in zip(a, b, strict=False))


VALUES_ONLY = {
    np.shape,
    np.ndim,
    np.size,
    np.argmax,
    np.argmin,
    np.isnan,
    np.isfinite,
    np.isinf,
    np.allclose,
    np.array_equal,
    np.any,
    np.all,
    np.argsort,
    np.sign,
    np.isclose,
    np.array_repr,
    np.array_str,
    np.array2string,
    np.floor,
    np.round,
    np.floor_divide,
    np.remainder,
}
"""Functions whose results have no derivative: they are given the bare values."""


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A stand-in for an array: it has its values, and every operation on it is written down."""

    __array_priority__ = 2000
    __slots__ = ("line", "parent", "tape")

    def __init__(self, tape: Tape, line: Line, parent: tuple[Traced, Any] | None = None) -> None:
        self.tape, self.line, self.parent = tape, line, parent

    # ---------------------------------------------------------------- NumPy's protocol

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.pop("out", None)
        keywords = {key: value for key, value in keywords.items() if key not in ("where", "casting")}
        if ufunc in VALUES_ONLY or all(kind.endswith("?") for kind in ufunc.types):
            return getattr(ufunc, method)(*_values(inputs), **keywords)
        called = ufunc if method == "__call__" else getattr(ufunc, method)
        if ufunc is np.reciprocal:
            called, inputs = np.divide, (1.0, *inputs)
        if ufunc.__name__ == "expit":  # SciPy's
            called = LIBRARY.sigmoid
        result = self.tape.apply(called, inputs, keywords)
        return result if out is None else _into(out[0], result)

    def __array_function__(self, function: Any, types: Any, args: Any, keywords: Any) -> Any:
        out = keywords.pop("out", None) if "out" in keywords else None
        if function in VALUES_ONLY:
            return function(*_values(args), **dict(zip(keywords, _values(tuple(keywords.values())), strict=True)))
        special = SPECIAL.get(function)
        if special is not None:
            return special(self.tape, *args, **keywords)
        result = self.tape.apply(function, args, keywords)
        return result if out is None else _into(out, result)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise ConversionError(
            "check_backward: the forward pass puts a value that depends on its arguments into an array that was there before "
            "(or hands it to a function that is not NumPy's), where it cannot be followed. Make the array inside the function, "
            "with np.zeros, or collect the values in a list and np.stack them"
        )

    # ---------------------------------------------------------------- what an array has

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self.line.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.line.value.ndim

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.line.value.size

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.line.value.dtype

    @property
    def T(self) -> Traced:
        """The transposed."""
        return self if self.ndim < 2 else self.tape.apply(np.transpose, (self,))

    def __getattr__(self, name: str) -> Any:
        """A method of arrays: NumPy's function of that name."""
        if name in METHODS:
            function = METHODS[name]
            return lambda *args, **keywords: function(self, *args, **keywords)
        raise AttributeError(f"{name!r}: not a method of arrays that check_backward can follow")

    def reshape(self, *shape: Any, **keywords: Any) -> Any:
        """As of an array."""
        return self.tape.apply(np.reshape, (self, shape[0] if len(shape) == 1 else shape))

    def transpose(self, *axes: Any) -> Any:
        """As of an array."""
        return self.tape.apply(np.transpose, (self, axes[0] if len(axes) == 1 else axes) if axes else (self,))

    def copy(self, *_: Any) -> Traced:
        """A stand-in with the same values, which can be written to by itself."""
        return Traced(self.tape, self.line)

    __copy__ = __deepcopy__ = copy

    def astype(self, dtype: Any, **_: Any) -> Any:
        """Floats stay followed; other numbers are bare values."""
        return self.copy() if np.dtype(dtype).kind == "f" else self.line.value.astype(dtype)

    def item(self, *where: Any) -> Any:
        """The only entry, as a number."""
        return self.line.value.item(*where)

    def tolist(self) -> Any:
        """The entries, as numbers."""
        return self.line.value.tolist()

    def fill(self, value: Any) -> None:
        """Every entry becomes ``value``."""
        self[...] = value

    def __len__(self) -> int:
        return len(self.line.value)

    def __iter__(self) -> Iterator[Traced]:
        return (self[k] for k in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.line.value)

    def __float__(self) -> float:
        return float(self.line.value)

    def __int__(self) -> int:
        return int(self.line.value)

    def __format__(self, spec: str) -> str:
        return format(self.line.value.item() if self.size == 1 else self.line.value, spec)

    __hash__ = object.__hash__

    @override
    def __repr__(self) -> str:
        return f"Traced({self.line.value!r})"

    # ---------------------------------------------------------------- writing

    def __getitem__(self, index: Any) -> Traced:
        part = self.tape.getitem(self, index)
        if _key(index) is not None and part.ndim:
            part.parent = (self, index)
        return part

    def __setitem__(self, index: Any, value: Any) -> None:
        self._become(self.tape.write(self.line, index, value))

    def _become(self, line: Line) -> None:
        self.line = line
        if self.parent is not None:
            whole, index = self.parent
            whole[index] = Traced(self.tape, line)

    def _in_place(self, function: Any, other: Any) -> Traced:
        result: Traced = self.tape.apply(function, (self, other))
        if not self.ndim:
            return result
        self._become(result.line)
        return self

    def __iadd__(self, other: Any) -> Traced:
        return self._in_place(np.add, other)

    def __isub__(self, other: Any) -> Traced:
        return self._in_place(np.subtract, other)

    def __imul__(self, other: Any) -> Traced:
        return self._in_place(np.multiply, other)

    def __itruediv__(self, other: Any) -> Traced:
        return self._in_place(np.divide, other)


METHODS: dict[str, Any] = {
    name: getattr(np, name)
    for name in (
        "sum",
        "mean",
        "dot",
        "max",
        "min",
        "clip",
        "ravel",
        "squeeze",
        "argmax",
        "argmin",
        "var",
        "std",
        "swapaxes",
        "cumsum",
        "repeat",
        "take",
        "prod",
        "any",
        "all",
        "round",
    )
} | {"flatten": np.ravel}


def _values(args: Any) -> tuple[Any, ...]:
    return tuple(arg.line.value if isinstance(arg, Traced) else arg for arg in args)


def _into(out: Any, result: Any) -> Any:
    if isinstance(out, tuple):
        out = out[0]
    if not isinstance(out, Traced):
        return out.__setitem__(..., result)
    out._become(result.line)
    return out


def _filled_like(value: float) -> Callable[..., Any]:
    def make(tape: Tape, like: Any, *args: Any, dtype: Any = None, **_: Any) -> Any:
        return tape.constant(np.full(np.shape(like), args[0] if args else value))

    return make


def _pieces(axis_of: Callable[[int], int]) -> Callable[..., Any]:
    return lambda tape, x, parts: tape.apply(np.split, (x, parts, axis_of(x.ndim)))


def _columns(tape: Tape, arrays: Any) -> Any:
    columns = [array if np.ndim(array) > 1 else array[:, None] for array in arrays]
    return tape.apply(np.concatenate, (columns, 1))


def _appended(tape: Tape, array: Any, values: Any, axis: int | None = None) -> Any:
    return tape.apply(np.concatenate, ([array, values] if axis is not None else [np.ravel(array), np.ravel(values)], axis or 0))


SPECIAL: dict[Any, Callable[..., Any]] = {
    np.append: _appended,
    np.zeros_like: _filled_like(0.0),
    np.ones_like: _filled_like(1.0),
    np.empty_like: _filled_like(0.0),
    np.full_like: _filled_like(0.0),
    np.copy: lambda tape, x, *_, **__: Traced(tape, x.line),
    np.hsplit: _pieces(lambda ndim: 1 if ndim > 1 else 0),
    np.vsplit: _pieces(lambda ndim: 0),
    np.array_split: lambda tape, x, parts, axis=0: tape.apply(np.split, (x, parts, axis)),
    np.column_stack: _columns,
    np.atleast_2d: lambda tape, x: x if x.ndim > 1 else tape.apply(np.reshape, (x, (1, -1))),
}


# -------------------------------------------------------------------- the names that a function uses


class _Numpy:
    """NumPy, except that the arrays it makes can hold what is followed."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        if name in ("r_", "c_"):
            return _Joining(self._tape, name)
        found = getattr(np, name)
        if name in ("sum", "mean", "max", "min"):
            return lambda x, *args, **keywords: found(_gathered(self._tape, x, np.asarray, {}, ()), *args, **keywords)
        return _maker(self._tape, found) if name in MAKERS else found


class _Joining:
    """``np.r_[h, x]`` and ``np.c_[h, x]`` of stand-ins."""

    def __init__(self, tape: Tape, name: str) -> None:
        self._tape, self._name = tape, name

    def __getitem__(self, parts: Any) -> Any:
        if not isinstance(parts, tuple) or not any(isinstance(part, Traced) for part in parts):
            return getattr(np, self._name)[parts]
        return self._tape.apply(np.concatenate, (parts,)) if self._name == "r_" else _columns(self._tape, parts)


class _Minigrad:
    """minigrad, except that its operations take stand-ins."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        found = getattr(LIBRARY, name)
        return _operation(self._tape, found) if _is_operation(found) else found


MAKERS = frozenset({"zeros", "ones", "empty", "full", "array", "asarray", "asanyarray", "ascontiguousarray", "eye", "identity"})


def _maker(tape: Tape, function: Any) -> Any:
    function = np.zeros if function is np.empty else function

    def made(*args: Any, **keywords: Any) -> Any:
        if args and function.__name__ in ("array", "asarray", "asanyarray", "ascontiguousarray"):
            return _gathered(tape, args[0], function, keywords, args[1:])
        array = function(*args, **keywords)
        return tape.constant(array) if array.dtype.kind == "f" else array

    return made


def _gathered(tape: Tape, data: Any, function: Any, keywords: dict[str, Any], rest: Any) -> Any:
    if isinstance(data, Traced):
        return data.copy()
    if isinstance(data, list | tuple) and any(isinstance(part, Traced) for _, part in _deep(data)):
        parts = [_gathered(tape, part, np.array, {}, ()) for part in data]
        return tape.apply(np.stack, (parts,))
    array = function(data, *rest, **keywords)
    return tape.constant(array) if array.dtype.kind == "f" and function is np.array else array


def _deep(data: Any) -> Iterator[tuple[None, Any]]:
    if isinstance(data, list | tuple):
        for part in data:
            yield from _deep(part)
    else:
        yield None, data


def _is_operation(value: Any) -> bool:
    return callable(value) and str(getattr(value, "__module__", "")).startswith("minigrad.ops")


def _operation(tape: Tape, function: Any) -> Any:
    return lambda *args, **keywords: tape.apply(function, args, keywords)


def _stand_in(tape: Tape, value: Any) -> Any:
    """What a name of the user's module means while its functions are followed; None to leave it alone."""
    if value is np:
        return _Numpy(tape)
    if value is LIBRARY:
        return _Minigrad(tape)
    if getattr(value, "__module__", None) == "numpy" and getattr(value, "__name__", "") in MAKERS:
        return _maker(tape, value)
    if _is_operation(value):
        return _operation(tape, value)
    return None


@contextmanager
def replaced(users: Sequence[Any], stand_in_for: Callable[[Any], Any]) -> Iterator[None]:
    """While it lasts, global names of these functions, and of the user's functions that they use, mean something else.

    Args:
        users: the functions, and classes with methods.
        stand_in_for: what a value is replaced by; None to leave it.
    """
    changed: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for names in namespaces(users):
            for name, value in list(names.items()):
                stand_in = stand_in_for(value)
                if stand_in is not None:
                    changed.append((names, name, value))
                    names[name] = stand_in
        yield
    finally:
        for names, name, value in changed:
            names[name] = value


def namespaces(users: Sequence[Any]) -> list[dict[str, Any]]:
    """The global names of these functions and of all functions of the user's that can be reached from there."""
    found: dict[int, dict[str, Any]] = {}
    seen: set[int] = set()
    waiting = list(users)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, MethodType):
            waiting += [value.__func__, type(value.__self__)]
        elif isinstance(value, FunctionType):
            waiting += [cell.cell_contents for cell in value.__closure__ or () if _is_set(cell)]
            if value.__code__.co_filename.startswith(OUTSIDE):
                continue
            if id(value.__globals__) not in found:
                found[id(value.__globals__)] = value.__globals__
                waiting += list(value.__globals__.values())
        elif isinstance(value, type):
            waiting += [part for part in vars(value).values() if isinstance(part, FunctionType | staticmethod | classmethod)]
        elif isinstance(value, staticmethod | classmethod):
            waiting.append(value.__func__)
        elif isinstance(value, ModuleType):
            file = getattr(value, "__file__", None)
            if file and not file.startswith(OUTSIDE):
                waiting += [part for part in vars(value).values() if isinstance(part, FunctionType | type)]
        elif callable(value) and isinstance(vars(type(value)).get("__call__"), FunctionType):
            waiting.append(type(value))
    return list(found.values())


class _Doubles:
    """NumPy, except that what it makes in single precision is in double precision."""

    float32 = single = float16 = half = np.float64

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return _in_doubles(found) if name in MAKERS else found


def _in_doubles(maker: Any) -> Any:
    maker = np.zeros if maker is np.empty else maker

    def made(*args: Any, **keywords: Any) -> Any:
        array = maker(*args, **keywords)
        return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize < 8 else array

    return made


def in_double_precision(value: Any) -> Any:
    """What a global name means where a check runs the user's code: NumPy without single precision."""
    return _Doubles() if value is np else None


def _is_set(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def problem_of(error: BaseException) -> str:
    """An error of the user's code in one line."""
    return f"{type(error).__name__}: {error}" if not isinstance(error, MinigradError | GraphError) else str(error)
