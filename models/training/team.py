"""Who trains: one process, or several that share every batch. This file says what is asked of them; it knows one alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

from minigrad import Module, Tensor
from minigrad.errors import ArgumentError

from ..states import parts_of
from .batch import Array, Batch

__all__ = ["OneProcess", "Team", "checked_team"]


@runtime_checkable
class Team(Protocol):
    """Processes that make every update together, each from its part of the batch."""

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and shows."""
        ...

    def begin(self, model: Module, parameters: Sequence[Tensor]) -> None:
        """Give the parameters the same values in all processes, and the model's random numbers the same beginning."""
        ...

    def together(self) -> Any:
        """A context in which an error of one process ends all of them."""
        ...

    def part(self, batch: Batch) -> Batch:
        """What this process learns of a batch."""
        ...

    def sharing(self, batch: Batch) -> AbstractContextManager[None]:
        """A context in which random numbers for this process's part of a batch are those of the whole batch."""
        ...

    def add_up(self, parameters: Sequence[Tensor], loss: float) -> float:
        """Make every gradient the sum over all processes; the sum of their losses."""
        ...

    def total(self, *numbers: float) -> tuple[float, ...]:
        """The sums of numbers over all processes."""
        ...

    def agreed(self, share: float, interrupted: bool, stopped: bool) -> tuple[float, bool, bool]:
        """How far all have come, and whether one of them was interrupted or stopped."""
        ...

    def whole(self, state: Any) -> list[Array]:
        """The parts of a carried state, of all examples."""
        ...

    def own(self, state: Any) -> Any:
        """What this process carries of a state of all examples."""
        ...


class OneProcess:
    """A team of one."""

    leads = True

    def begin(self, model: Module, parameters: Sequence[Tensor]) -> None:
        """Nothing to do."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """Errors are everybody's already."""
        yield

    def part(self, batch: Batch) -> Batch:
        """All of it."""
        return batch

    def sharing(self, batch: Batch) -> AbstractContextManager[None]:
        """Nothing is to be shared."""
        return nullcontext()

    def add_up(self, parameters: Sequence[Tensor], loss: float) -> float:
        """The loss as it is."""
        return loss

    def total(self, *numbers: float) -> tuple[float, ...]:
        """The numbers as they are."""
        return numbers

    def agreed(self, share: float, interrupted: bool, stopped: bool) -> tuple[float, bool, bool]:
        """All three as they are."""
        return share, interrupted, stopped

    def whole(self, state: Any) -> list[Array]:
        """The parts of the state."""
        return [] if state is None else [part.numpy() for part in parts_of(state)]

    def own(self, state: Any) -> Any:
        """All of it."""
        return state


def checked_team(team: Team | None, where: str) -> Team:
    """The team; of one process where none is given.

    Raises:
        ArgumentError: it is something else.
    """
    if team is not None and not isinstance(team, Team):
        raise ArgumentError(f"{where}: team: expected None or a team such as MPITeam(), got {team!r:.50}")
    return OneProcess() if team is None else team
