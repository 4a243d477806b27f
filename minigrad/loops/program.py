"""A step of a loop as a program: what `trace` records, what `differentiate` derives, what every pass takes and returns.

    carry_t, y_t = step(carry_{t−1}, x_t)

A program is a list of lines. Each line applies one operation, its opcode, to operands, and an operand is one of four
things: a part of ``xs`` (the row of time t), a part of the ``carry`` (the state that the step before left), a ``const``
(a parameter, or anything else that is the same at every step), or a ``local``: the result of an earlier line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from typing_extensions import override

from minigrad.graph import Operation

__all__ = ["CARRY", "CONST", "LOCAL", "XS", "CannotCompile", "Line", "Program", "Ref", "Undefined", "Value"]

XS: Final = "xs"
CARRY: Final = "carry"
CONST: Final = "const"
LOCAL: Final = "local"


class CannotCompile(Exception):
    """A step that is not known to be the same program at every time, or that a backend has no kernels for.

    Its loop is run as any other Python code, and `explain_loop` says why.
    """


class Undefined(CannotCompile):
    """A number overflows or is not defined at some step, of which the plain loop warns, or not, as NumPy is told to."""

    def __init__(self) -> None:
        super().__init__("numbers overflow, or are not defined: the plain loop says where")


class Ref(NamedTuple):
    """An operand: the kind, and which of that kind."""

    kind: str
    number: int


class _Locals(dict[int, Ref]):
    """The refs of locals, made once."""

    def __missing__(self, number: int) -> Ref:
        ref = self[number] = Ref(LOCAL, number)
        return ref


LOCALS: Final = _Locals()


class Value(NamedTuple):
    """What stands for one of the xs, a part of the carry, or a const. ``number`` is set where a const is a Python number."""

    shape: tuple[int, ...]
    dtype: Any
    name: str | None = None
    requires_grad: bool = False
    number: float | None = None


class Line(NamedTuple):
    """One operation as data, and its operands.

    ``origin`` belongs to derived programs: the number of the forward line whose derivative it is part of; None for the sum
    of what several lines contributed.
    """

    op: Operation
    operands: tuple[Ref, ...]
    origin: int | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the result."""
        return self.op.shape

    @property
    def dtype(self) -> Any:
        """The dtype of the result."""
        return self.op.dtype

    @property
    def name(self) -> str | None:
        """What the result is called in the code that was traced."""
        return self.op.name

    @property
    def scope(self) -> tuple[str, ...]:
        """The scopes it was traced under."""
        return self.op.place.scope


@dataclass(frozen=True)
class Program:
    """One step.

    Args:
        xs: what the step takes of time t.
        carry: the parts of the state that it is given.
        consts: what is the same at every step.
        lines: the operations, operands before their consumers.
        new_carry: for each part of the state, where its new value comes from.
        ys: the outputs.
    """

    xs: tuple[Value, ...]
    carry: tuple[Value, ...]
    consts: tuple[Value, ...]
    lines: tuple[Line, ...]
    new_carry: tuple[Ref, ...]
    ys: tuple[Ref, ...]

    def value(self, ref: Ref) -> Value | Line:
        """What an operand refers to."""
        kinds: dict[str, Sequence[Value | Line]] = {XS: self.xs, CARRY: self.carry, CONST: self.consts, LOCAL: self.lines}
        return kinds[ref.kind][ref.number]

    def word(self, ref: Ref) -> str:
        """What an operand is called: its name, or its kind and number."""
        value = self.value(ref)
        if isinstance(value, Value) and value.number is not None:
            return f"{value.number:g}"
        words = {XS: "x", CARRY: "carry", CONST: "const", LOCAL: "l"}
        word = f"{words[ref.kind]}{ref.number}"
        return word if value.name is None else value.name if ref.kind == CONST else f"{word}:{value.name}"

    def live(self, wanted: Iterable[Ref]) -> Program:
        """The program without the lines that neither its results nor anything in ``wanted`` depend on."""
        return self.pruned(wanted)[0]

    def pruned(self, wanted: Iterable[Ref]) -> tuple[Program, dict[Ref, Ref]]:
        """The same as `live`, and where each local that is left stands now."""
        needed = {number for kind, number in (*wanted, *self.new_carry, *self.ys) if kind == LOCAL}
        for k in reversed(range(len(self.lines))):
            if k in needed:
                needed.update([number for kind, number in self.lines[k].operands if kind == LOCAL])
        if len(needed) == len(self.lines):
            return self, {LOCALS[k]: LOCALS[k] for k in range(len(self.lines))}
        place = {Ref(LOCAL, old): LOCALS[new] for new, old in enumerate(sorted(needed))}
        return self._moved(place, sorted(needed), self.consts), place

    def with_consts(self, lines: Iterable[int], values: Sequence[Value]) -> tuple[Program, dict[Ref, Ref]]:
        """The program with further consts, which stand in the place of some lines; and where each local stands now."""
        place = {Ref(LOCAL, k): Ref(CONST, len(self.consts) + number) for number, k in enumerate(lines)}
        left = [k for k in range(len(self.lines)) if Ref(LOCAL, k) not in place]
        place |= {Ref(LOCAL, old): LOCALS[new] for new, old in enumerate(left)}
        return self._moved(place, left, (*self.consts, *values)), place

    def _moved(self, place: dict[Ref, Ref], left: Iterable[int], consts: tuple[Value, ...]) -> Program:
        def moved(refs: Iterable[Ref]) -> tuple[Ref, ...]:
            return tuple([place.get(ref, ref) for ref in refs])

        lines = tuple([Line(line.op, moved(line.operands), line.origin) for line in map(self.lines.__getitem__, left)])
        return Program(self.xs, self.carry, consts, lines, moved(self.new_carry), moved(self.ys))

    @override
    def __str__(self) -> str:
        def listed(kind: str, values: Sequence[Value]) -> str:
            return ", ".join(f"{self.word(Ref(kind, k))} {value.shape}" for k, value in enumerate(values))

        kinds = ((XS, self.xs), (CARRY, self.carry), (CONST, self.consts))
        rows = [f"{kind:6}{listed(kind, values)}" for kind, values in kinds]
        for k, line in enumerate(self.lines):
            operands = ", ".join(map(self.word, line.operands))
            rows.append(f"  {self.word(Ref(LOCAL, k))} = {opcode(line.op)}({operands})  {line.shape}")
        rows += [f"carry ← {', '.join(map(self.word, self.new_carry))}", f"ys    ← {', '.join(map(self.word, self.ys))}"]
        return "\n".join(rows)


def opcode(op: Operation) -> str:
    """What a line calls its operation: the label, and what else decides the result."""
    words: dict[str, Callable[[Any], str]] = {
        "transpose_b": lambda transposed: "ᵀ" if transposed else "",
        "span": lambda span: f"[{span[1]}:{span[2]}]",
        "function": lambda function: "" if op.label in function.__name__ else f" {function.__name__}",
    }
    return op.label + "".join(word(getattr(op, slot)) for slot, word in words.items() if hasattr(op, slot))

