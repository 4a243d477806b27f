"""What happened in a training: numbers by name, each with the update after which it was so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

__all__ = ["Log"]


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

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        shown = (f"{name}: {len(values)} values, the last {values[-1]:.4g}" for name, (_, values) in self._columns.items())
        return f"Log({', '.join(shown)})"
