"""What happened in a training: numbers by name, each with the update after which it was so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from minigrad.optim.options import MOST, Described

from .batch import Array

__all__ = ["Log"]

_UPDATES, _BITS = ".updates", ".bits"


class Log(Mapping[str, list[float]]):
    """Numbers by name, in the order they came: the curves of a training.

    ``"loss"``, ``"norm"`` (of the gradient before clipping) and ``"lr"`` have a number for every update,
    ``"validation"`` one for every time it was looked at; a callback may add more.

    >>> log = Log()
    >>> log.add(1, loss=2.5)
    >>> log.add(2, loss=1.5, validation=1.75)
    >>> log["loss"], log["validation"], log.updates("validation")
    ([2.5, 1.5], [1.75], [2])
    """

    finished: bool = False
    """Whether the training came to its end rather than to Ctrl-C."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, update: int, /, **numbers: float) -> None:
        """Note numbers as they are after an update."""
        for name, number in numbers.items():
            updates, values = self._columns.setdefault(name, ([], []))
            updates.append(update)
            values.append(float(number))

    def updates(self, name: str) -> list[int]:
        """The updates after which the numbers of a name were so."""
        return self._columns[name][0]

    # ---------------------------------------------------------------- saving and resuming

    def state_dict(self) -> dict[str, Array]:
        """All numbers, by name: the updates, and the bits of the values, as a log may hold NaN and a checkpoint may not.

        >>> log, resumed = Log(), Log()
        >>> log.add(1, loss=2.5, validation=float("nan"))
        >>> resumed.load_state_dict(log.state_dict())
        >>> resumed
        Log(loss: 1 values, the last 2.5, validation: 1 values, the last nan)
        """
        found = {}
        for name, (updates, values) in self._columns.items():
            found[f"{name}{_UPDATES}"] = np.array(updates, np.int64)
            found[f"{name}{_BITS}"] = np.array(values, np.float64).view(np.int64)
        return found

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """What is wrong with the names, shapes and dtypes of a saved state."""
        problems = []
        for name, found in saved.items():
            ending = _UPDATES if name.endswith(_UPDATES) else _BITS
            other = name.removesuffix(ending) + (_BITS if ending == _UPDATES else _UPDATES)
            if not name.endswith(ending):
                problems.append(f"unknown: {name}")
            elif found.dtype != np.int64 or len(found.shape) != 1:
                problems.append(f"{name}: expected int64 (n,), got {found.dtype} {found.shape}")
            elif other not in saved:
                problems.append(f"missing: {other}")
            elif saved[other].shape != found.shape:
                problems.append(f"{name}: expected as many as in {other}, {saved[other].shape}, got {found.shape}")
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What is wrong with the values of a saved state whose names, shapes and dtypes are right."""
        counted = {name: array for name, array in saved.items() if name.endswith(_UPDATES)}
        wrong = [name for name, array in counted.items() if np.any((array < 0) | (array >= MOST))]
        return [f"{name}: expected numbers of updates, at least 0" for name in wrong]

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Become the log that returned ``saved``."""
        names = [name.removesuffix(_UPDATES) for name in saved if name.endswith(_UPDATES)]
        self._columns = {
            name: (saved[f"{name}{_UPDATES}"].tolist(), np.array(saved[f"{name}{_BITS}"]).view(np.float64).tolist())
            for name in names
        }

    # ---------------------------------------------------------------- as a mapping

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        shown = (f"{name}: {len(values)} values, the last {values[-1]:.4g}" for name, (_, values) in self._columns.items())
        return f"Log({', '.join(shown)})"
