"""One training shared by several processes through MPI: the numbers of one process, sooner.

    python examples/parallel.py                       one process
    mpiexec -n 4 python examples/parallel.py          four, on this machine or on many

Every process has the whole model and learns from its part of every batch; gradients are added up over all of them. So the
losses that are printed are the same for any number of processes, but for rounding.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from minigrad.models import LanguageModel, Trainer
from minigrad.models.streams import Streams
from minigrad.models.text import python_sources
from minigrad.models.training import mpi_team
from minigrad.models.vocabulary import UNKNOWN, Vocabulary

from minigrad.optim import Adam


def main(arguments: list[str] | None = None) -> None:
    """Train a character model, and say how fast it went."""
    parser = argparse.ArgumentParser(description="Train a character model on several processes.")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=256, help="hidden units (%(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="streams, shared by the processes (%(default)s)")
    parser.add_argument("--seq-len", type=int, default=50, help="time steps of a chunk (%(default)s)")
    options = parser.parse_args(arguments)

    text = python_sources(400_000)
    vocabulary = Vocabulary.from_text(text, min_count=5, unknown=UNKNOWN)
    model = LanguageModel(len(vocabulary), options.hidden, embedding_size=32, dtype=np.float32, seed=0)
    streams = Streams(vocabulary.encode(text), batch=options.batch, steps=options.seq_len)
    team = mpi_team()
    trainer = Trainer(model, streams, Adam(model.parameters(), lr=0.003), team=team)

    trainer.run(updates=2)  # the first ones also find out how to run fast
    began = time.perf_counter()
    trainer.run(updates=2 + options.updates)
    seconds = time.perf_counter() - began
    if team.leads:
        speed = options.updates * options.batch * options.seq_len / seconds
        print(
            f"{team.size} process{'es' if team.size > 1 else ''}: {options.updates} updates in {seconds:.2f} s, "
            f"{speed:,.0f} characters/s, loss {trainer.losses[0]:.6f} … {trainer.losses[-1]:.6f}"
        )


if __name__ == "__main__":
    main()
