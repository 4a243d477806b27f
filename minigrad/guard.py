"""Arrays handed out by ``Tensor.data``: they read as NumPy arrays and ask before they are written to.

A recorded operation keeps the arrays its derivative needs. If one of them changed between forward and backward, the
gradient would be silently wrong; so every write through ``Tensor.data``, or a view of it, first asks the tensor, which
refuses while a recorded operation still needs the values, and says which one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from typing_extensions import override

__all__ = ["Array", "GuardedArray", "bare"]

Array = npt.NDArray[Any]

_WRITING_FUNCTIONS = frozenset({"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"})


class Owner(Protocol):
    """What a guarded array asks: the tensor whose memory it shows."""

    _data: Any

    def _allow_write(self) -> None: ...


class GuardedArray(np.ndarray[Any, Any]):
    """A view of a tensor's array whose writes the tensor must allow; whatever is computed from it is a plain array."""

    _owner: Owner | None

    @classmethod
    def over(cls, owner: Owner) -> Array:
        """A guarded view of all of the owner's array."""
        guarded: GuardedArray = owner._data.view(cls)
        guarded._owner = owner
        return guarded

    @override
    def __array_finalize__(self, source: Any) -> None:
        self._owner = getattr(source, "_owner", None)

    def _ask(self) -> None:
        if self._owner is not None and np.may_share_memory(bare(self), self._owner._data):
            self._owner._allow_write()

    @override
    def __setitem__(self, index: Any, value: Any) -> None:
        self._ask()
        super().__setitem__(index, value)

    @override
    def __array_ufunc__(self, ufunc: np.ufunc, method: Any, *inputs: Any, **kwargs: Any) -> Any:
        written = list(_guarded_in(kwargs.get("out", ())))
        if method == "at":
            written.extend(_guarded_in(inputs[:1]))
        for target in written:
            target._ask()
        plain = {key: bare(value) for key, value in kwargs.items()}
        result = getattr(ufunc, method)(*bare(inputs), **plain)
        return kwargs["out"][0] if len(kwargs.get("out", ())) == 1 else result

    @override
    def __array_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: Iterable[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        arguments = tuple(args)
        written = list(_guarded_in(kwargs.get("out", ())))
        if func.__name__ in _WRITING_FUNCTIONS:
            written.extend(_guarded_in(arguments[:1]))
        for target in written:
            target._ask()
        return func(*bare(arguments), **{key: bare(value) for key, value in kwargs.items()})

    @override
    def fill(self, value: Any) -> None:
        self._ask()
        super().fill(value)

    @override
    def sort(self, *args: Any, **kwargs: Any) -> None:
        self._ask()
        super().sort(*args, **kwargs)

    @override
    def partition(self, *args: Any, **kwargs: Any) -> None:
        self._ask()
        super().partition(*args, **kwargs)

    @override
    def put(self, *args: Any, **kwargs: Any) -> None:
        self._ask()
        super().put(*args, **kwargs)

    @property
    @override
    def flat(self) -> Any:
        """An iterator over all entries; asked for as a whole, because it can write."""
        self._ask()
        return bare(self).flat

    @override
    def __repr__(self) -> str:
        return repr(bare(self))

    @override
    def __str__(self) -> str:
        return str(bare(self))

    @override
    def __reduce__(self) -> Any:
        return bare(self).__reduce__()

    @override
    def __deepcopy__(self, memo: Any, /) -> Any:
        return bare(self).copy()


def bare(value: Any) -> Any:
    """``value`` with every guarded array in it, also inside tuples and lists, replaced by its plain view."""
    if isinstance(value, GuardedArray):
        return value.view(np.ndarray)
    if type(value) in (tuple, list):
        return type(value)(bare(part) for part in value)
    return value


def _guarded_in(value: Any) -> Iterable[GuardedArray]:
    if isinstance(value, GuardedArray):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _guarded_in(part)
