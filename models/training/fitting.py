"""From a model and data to a trained model in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from minigrad import Module, Tensor
from minigrad.arguments import several
from minigrad.errors import ArgumentError, CheckpointError
from minigrad.files import as_path
from minigrad.optim import Adam, Optimizer
from minigrad.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from ..progress import Bar
from .batches import Data
from .log import Log
from .losses import Loss
from .rates import Schedule
from .team import Team
from .trainer import Callback, Trainer

__all__ = ["fit"]


def fit(
    model: Module,
    data: Data,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | Callable[[list[Tensor]], Optimizer] | None = None,
    lr: float | None = None,
    epochs: int | None = None,
    updates: int | None = None,
    seconds: float | None = None,
    batch_size: int = 32,
    validation: Data | None = None,
    patience: int | None = None,
    max_norm: float = 1.0,
    accumulate: int = 1,
    scheduler: LRScheduler | ReduceLROnPlateau | None = None,
    step_scheduler: Literal["update", "epoch"] = "update",
    schedule: Schedule | None = None,
    callbacks: Iterable[Callback] = (),
    progress: Bar | bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    error_if_nonfinite: bool = True,
    seed: int = 0,
    team: Team | None = None,
) -> Log:
    """Train any model on any data; what is not said here is said at `Trainer`.

    Args:
        model: any Module.
        data: ``(inputs, targets)`` as arrays or lists of sequences, `Batches`, streams of a text, batches one by one.
        loss: from outputs and targets to one number; None: the model's own method ``loss``.
        optimizer: over the model's parameters, or a class or function that makes one of them; None: Adam.
        lr: the learning rate of Adam, 0.001 if left out; only where no optimiser is given.
        epochs: how often the data is gone through; 10 where neither updates nor seconds are given.
        updates: how many updates are made.
        seconds: how long it may take.
        batch_size: of data given as arrays or lists.
        validation: data that is not learnt from.
        patience: after how many epochs without a lower validation loss to end, with the best weights.
        max_norm: the norm to which gradients are clipped; ``math.inf`` never shrinks them.
        accumulate: over how many batches one update adds up its gradient.
        scheduler: a schedule of `minigrad.optim.lr_scheduler` for the optimiser given.
        step_scheduler: ``"update"`` or ``"epoch"``: after which of them it is stepped.
        schedule: from the share of the training that is done to a factor of the learning rate.
        callbacks: functions called with the trainer and ``"update"`` or ``"epoch"`` after each of them.
        progress: True shows a bar on stderr, tqdm's where it is installed.
        checkpoint: a file that the training is saved to after every epoch, at the end, and on Ctrl-C; if it is there, the
            training goes on from it, to the bit.
        error_if_nonfinite: whether gradients that are NaN or infinite are refused.
        seed: of the order of the examples.
        team: the processes that share every batch; see `models.training.parallel`.

    Returns:
        What happened, by name; ``log.finished`` is False if Ctrl-C ended it.

    Raises:
        NonFiniteGradientError: gradients exploded; the message says where.
        ArgumentError, ShapeError: values or data that cannot be used.
        CheckpointError: the checkpoint that is there is damaged or of another training; or it cannot be written.

    >>> import numpy as np
    >>> from minigrad.models import ManyToOne
    >>> rng = np.random.default_rng(0)
    >>> sequences = [rng.normal(size=(rng.integers(3, 9), 1)) for _ in range(64)]
    >>> positive = np.array([int(sequence.sum() > 0) for sequence in sequences])
    >>> model = ManyToOne("gru", 1, 8, 2, seed=0)
    >>> log = fit(model, (sequences, positive), lr=0.02, epochs=20)
    >>> log["loss"][0] > 0.6 and log["loss"][-1] < 0.2
    True
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"fit: expected a Module to train first, got {model!r:.60}")
    if isinstance(optimizer, Optimizer):
        chosen = optimizer
    elif optimizer is None:
        chosen = Adam(model.parameters(), lr=1e-3 if lr is None else lr)
    elif callable(optimizer):
        chosen = optimizer(model.parameters())
    else:
        raise ArgumentError(f"fit: optimizer: expected an Optimizer, or what makes one of parameters, got {optimizer!r:.60}")
    if lr is not None and optimizer is not None:
        raise ArgumentError("fit: lr is that of Adam where no optimizer is given; the one that is given has its own")
    if checkpoint is not None:
        as_path(checkpoint, "fit: checkpoint")
    callbacks = several(callbacks, "fit: callbacks", "a list of functions of (trainer, event)")
    trainer = Trainer(
        model,
        data,
        chosen,
        loss=loss,
        max_norm=max_norm,
        accumulate=accumulate,
        scheduler=scheduler,
        step_scheduler=step_scheduler,
        validation=validation,
        patience=patience,
        callbacks=[*callbacks, *([] if checkpoint is None else [_saving(checkpoint)])],
        error_if_nonfinite=error_if_nonfinite,
        batch_size=batch_size,
        seed=seed,
        team=team,
    )
    if checkpoint is not None:
        with trainer.team.together():
            _go_on(trainer, checkpoint)
    if epochs is None and updates is None and seconds is None:
        epochs = 10
    trainer.log.finished = trainer.run(updates, epochs=epochs, seconds=seconds, schedule=schedule, progress=progress)
    if checkpoint is not None:
        trainer.save(checkpoint)
    if trainer.stopping is not None and trainer.log.finished:
        trainer.stopping.restore()
    return trainer.log


def _go_on(trainer: Trainer, path: str | os.PathLike[str]) -> None:
    """Load the checkpoint if it is there, in all processes or in none."""
    there = Path(path).exists()
    (processes,) = trainer.team.total(float(there))
    if processes and not there:
        raise CheckpointError(f"{path} is there for {processes:.0f} of the processes only; its folder must be one that all see")
    if there:
        trainer.load(path)


def _saving(path: str | os.PathLike[str]) -> Callback:
    """A callback that saves the training after every epoch."""

    def save(trainer: Trainer, event: Literal["update", "epoch"]) -> None:
        if event == "epoch":
            trainer.save(path)

    return save
