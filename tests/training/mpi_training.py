"""What every process of test_parallel.py runs: some trainings, one after the other, since starting it takes long.

    mpiexec -n 2 python mpi_training.py KIND,RESULT[,CHECKPOINT[,WHAT_HAPPENS]] ...
"""

import os
import signal
import sys
from typing import Any

import numpy as np
from minigrad.models import Head, LanguageModel, ManyToMany, ManyToOne, fit
from minigrad.models.streams import Streams
from minigrad.models.training import Trainer, evaluate, mpi_team

from minigrad import Module, Parameter, cross_entropy, dropout, mse_loss
from minigrad.optim import SGD

RNG = np.random.default_rng(0)
SEQUENCES = [RNG.normal(size=(T, 2)) for T in RNG.integers(1, 9, size=23)]
TEXT = np.array([0, 1, 2, 0, 2, 1] * 60)


class HalfUsed(Module):
    """A parameter that only some examples reach, and one that none does."""

    def __init__(self) -> None:
        self.W, self.rare, self.never = Parameter(np.ones((2, 1))), Parameter([1.0]), Parameter([1.0])

    def forward(self, x: Any) -> Any:
        outputs, large = x @ self.W, x.numpy()[:, :1] > 50
        return outputs + large * self.rare if large.any() else outputs


class Noisy(Module):
    """Dropout between layers, and once more on what they come to."""

    def __init__(self, seed: int | None) -> None:
        self.rng = np.random.default_rng(seed)
        self.inner = ManyToOne("lstm", 2, 5, 4, num_layers=2, dropout=0.5, seed=seed)
        self.head = Head(4, 2, seed=seed)

    def forward(self, xs: Any, lengths: Any = None) -> Any:
        return self.head(dropout(self.inner(xs, lengths=lengths), 0.3, self.training, rng=self.rng))


def setting(kind: str) -> tuple[Module, Any, dict[str, Any]]:
    """A model, its data, and options of fit."""
    options: dict[str, Any] = {"lr": 0.02}
    if kind == "one":
        labels = np.array([int(sequence.sum() > 0) for sequence in SEQUENCES])
        return ManyToOne("lstm", 2, 5, 2, seed=0), (SEQUENCES, labels), options | {"batch_size": 7}
    if kind == "steps":
        targets = [np.cumsum(sequence[:, :1], axis=0) for sequence in SEQUENCES]
        options |= {"batch_size": 3, "accumulate": 3}
        return ManyToMany("gru", 2, 5, 1, loss=mse_loss, seed=0), (SEQUENCES, targets), options
    if kind == "dropout":  # the last batch has fewer examples than there are processes; every process has seeds of its own
        model = Noisy(seed=None)
        if mpi_team().leads:
            model = Noisy(seed=0)
        return model, (SEQUENCES[:17], np.arange(17) % 2), options | {"batch_size": 5, "loss": cross_entropy}
    if kind == "noisy text":
        model = LanguageModel(3, 6, cell="gru", num_layers=2, dropout=0.4, seed=0)
        return model, Streams(TEXT, batch=5, steps=8), options
    if kind == "text":
        return LanguageModel(3, 6, cell="lstm", seed=0), Streams(TEXT, batch=5, steps=8), options
    xs = np.arange(40.0).reshape(20, 2) * 2
    return HalfUsed(), (xs, xs[:, :1]), {"loss": mse_loss, "batch_size": 20, "optimizer": lambda p: SGD(p, lr=1e-5)}


def main(kind: str, result: str, checkpoint: str | None = None, happens: str = "") -> None:
    """Train, and let the leading process write what came of it."""
    model, data, options = setting(kind)
    team = mpi_team()
    if team.rank == 1:
        model.load_state_dict({name: value + 1 for name, value in model.state_dict().items()})

    made = 0

    def disturb(trainer: Trainer, event: str) -> None:
        nonlocal made
        made += event == "update"
        if event == "update" and trainer.updates == 18 and team.rank == team.size - 1:
            if happens == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if happens == "failing":
                raise ValueError("the disk of one process is full")
            if happens == "stopped":
                trainer.stop()
            if happens == "interrupted":
                signal.raise_signal(signal.SIGINT)

    log = fit(model, data, epochs=6, team=team, checkpoint=checkpoint, callbacks=[disturb], **options)
    judged = evaluate(model, data, options.get("loss"), team=team)
    if team.leads:
        untouched = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        facts = {"judged": judged, "finished": log.finished, "losses": log.get("loss", []), "made": made}
        np.savez(result, untouched=untouched, **facts, **model.state_dict())


if __name__ == "__main__":
    for training in sys.argv[1:]:
        main(*training.split(","))
