"""What a step does beside returning its result: seen, undone and said, so that the plain loop that follows finds all as it was.

A step can change what it can reach: the attributes of its cell, globals and closures, attributes of functions, classes and
modules, and the lists, dicts, sets, arrays and other objects that hang there; the random numbers that come next; context
variables. All of it is noted before a step is traced, and compared when the trace is over. A step that can reach what is not
known (`reachable`), be it a file, a lock, or a function of C, is not traced at all. Nobody can tell who changed something: what
another thread does meanwhile to an object that the step can reach, in the milliseconds of one trace, is taken for the step's,
and undone with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from typing import Any, TypeVar, cast

from minigrad import pytree
from minigrad.graph import Operation, next_serial
from minigrad.loops.program import CannotCompile
from minigrad.loops.purity.reachable import Reachable
from minigrad.loops.purity.snapshots import ABSENT, different
from minigrad.module import Parameter
from minigrad.tensor import Tensor

__all__ = ["Effects", "without_effects"]

Value = TypeVar("Value")


def without_effects(
    root: Any, names: Iterable[str], function: Callable[..., Value], *args: Any, carry: Sequence[Tensor] = ()
) -> Value:
    """What a function returns that does nothing else.

    Args:
        root: whose methods it calls; or a function that it calls.
        names: the names of those methods.
        function: the function. Where there is a carry, it returns a tuple whose first part is the new one.
        args: what it is given.
        carry: the tensors that it is given in the plain loop, where others stand for them.

    Raises:
        CannotCompile: it does something else, which has been undone, or may do what cannot be undone, and was not called; or
            what it does may depend on which tensors, of whatever values, it is given.
    """
    effects, before, serial = Effects(root, names), copy_context(), next_serial()
    if effects.lasting is not None:
        raise CannotCompile(f"its step {effects.lasting}")
    inside, changed = before.copy(), None
    try:
        effects.lock()
        result = inside.run(function, *args)
    except Exception:
        effects.undone()
        raise
    except BaseException:  # the plain loop, too, would be left here, with what it has done
        effects.unlock()
        raise
    changed = effects.undone()
    changed = next((variable.name for variable in inside if inside[variable] is not before.get(variable, ABSENT)), changed)
    if changed is not None:
        raise CannotCompile(f"its step changes {changed}")
    if effects.asks_classes and any(type(part) is not Tensor for part in carry):
        raise CannotCompile("its step may ask for the class of its state, which is another before the first step alone")
    if carry and effects.tells_apart:
        new = pytree.ends(cast(Any, result)[0])
        if effects.reaches(carry) or _has_twice(carry) or _has_twice(new) or not all(_is_made(part, serial) for part in new):
            raise CannotCompile("its step may tell by `is` which of several tensors it was given")
    return result


def _has_twice(tensors: Sequence[Any]) -> bool:
    return len(set(map(id, tensors))) < len(tensors)


def _is_made(part: Any, serial: int) -> bool:
    """Whether a result was computed since then: nobody else has it."""
    node = part._node if isinstance(part, Tensor) else None
    return isinstance(node, Operation) and node.serial > serial


class Effects:
    """All that some code can change, as it is before it is run.

    Args:
        root: an object whose methods are the code, or a function.
        names: the names of the methods.

    >>> class Counting:
    ...     count = 0
    ...     def step(self):
    ...         self.count += 1
    >>> counting = Counting()
    >>> effects = Effects(counting, ["step"])
    >>> counting.step()
    >>> effects.undone(), counting.count
    ('count', 0)
    """

    __slots__ = ("_kept", "_large", "asks_classes", "lasting", "reaches", "tells_apart")

    def __init__(self, root: Any, names: Iterable[str] = ()) -> None:
        reachable = Reachable(root, names)
        self.lasting = reachable.lasting
        """What the code may do that cannot be undone; None if nothing of the kind is known."""
        self.tells_apart, self.reaches = reachable.tells_apart, reachable.reaches
        """Whether the code may ask which of several tensors it was given; whether it can get at one of these."""
        self.asks_classes = reachable.asks_classes or reachable.reaches([type, Parameter])
        """Whether the code may ask of which class a tensor is that it was given."""
        self._kept, self._large = reachable.kept, reachable.large

    def lock(self) -> None:
        """Let nobody write to large arrays, which are not copied, until all is undone: a step that does raises an error."""
        for value in self._large:
            value.flags.writeable = False

    def unlock(self) -> None:
        """Let large arrays be written to again."""
        for value in sorted(self._large, key=lambda value: value.base is not None):
            value.flags.writeable = True  # of a view, if the array that it is of can be written to

    def undone(self) -> str | None:
        """Undo what the code has done; what that was, or None."""
        self.unlock()
        changed = None
        for kept in self._kept:
            what = different(kept)
            if what is not None:
                changed = what
                kept.put_back(kept.then)
        return changed
