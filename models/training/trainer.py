"""One training loop for any model and any loss.

Batch after batch goes through the model, gradients are clipped, parameters updated, validation data looked at. The loop
shows how it goes, ends cleanly on Ctrl-C, can be resumed to the bit, and says where gradients exploded.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any, Literal, TypeAlias

import numpy as np

from minigrad import Module, Tensor, no_grad
from minigrad.arguments import named_one_of, several
from minigrad.checkpoint import Part, below, load_checkpoint, save_checkpoint
from minigrad.errors import ArgumentError, NonFiniteGradientError
from minigrad.flags import switch
from minigrad.optim import Optimizer, clip_grad_norm_
from minigrad.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from minigrad.optim.options import MOST, Described
from minigrad.reporting import reporting

from ..checks import is_number, positive_size
from ..interruption import deferred_interrupt
from ..progress import Bar, make_bar
from ..states import detached, parts_of, with_parts
from ..streams import Streams
from .batch import Array, Batch
from .batches import Data, as_source
from .evaluation import evaluate
from .explosion import explosion
from .log import Log
from .losses import Loss, loss_of
from .rates import Schedule, ShareLR
from .stopping import EarlyStopping
from .team import Team, checked_team

__all__ = ["Callback", "Trainer"]

StrPath: TypeAlias = str | os.PathLike[str]

Callback: TypeAlias = Callable[["Trainer", Literal["update", "epoch"]], Any]
"""Called after every update and every epoch, with the trainer and which of the two it was."""

_SHOWN_OVER = 50


class Trainer:
    """A model, what it learns from, and how far it has come.

    Args:
        model: any Module.
        data: arrays, lists of sequences, streams of a text, batches; see `models.training.as_source`.
        optimizer: over the model's parameters.
        loss: from the model's outputs and the targets to one number, such as ``minigrad.mse_loss``; where sequences have
            different lengths it is given the steps that count only. None: ``model.loss(*inputs, targets)``. A model that
            returns (outputs, state) is judged by its outputs.
        max_norm: the norm to which gradients are clipped; ``math.inf`` never shrinks them.
        accumulate: over how many batches one update adds up its gradient, which is that of all of them as one batch.
        scheduler: a schedule of `minigrad.optim.lr_scheduler` for the optimiser, stepped after every update;
            `ReduceLROnPlateau` after every look at the validation data, and without any after every epoch.
        step_scheduler: ``"update"`` or ``"epoch"``: after which of them the schedule is stepped.
        validation: data that is not learnt from, looked at after every epoch; any form that ``data`` may have.
        patience: after how many epochs without a lower validation loss the training ends, the model then having its best
            weights; None: never.
        callbacks: functions called with this trainer and ``"update"`` or ``"epoch"`` after each of them.
        error_if_nonfinite: whether a gradient that is NaN or infinite, or an update that would make a parameter so, is
            refused.
        batch_size: of data given as arrays or lists.
        seed: of the order in which they are gone through.
        team: the processes that share every batch; see `models.training.parallel`.

    Attributes:
        updates: how many updates have been made.
        epoch: how many times the data has been gone through.
        log: what happened since this object was made: ``log["loss"]``, ``log["norm"]``, ``log["lr"]``, ``log["validation"]``.

    Raises:
        ArgumentError: a value that cannot be used, an optimiser that trains nothing of the model.

    >>> import minigrad as mg
    >>> from minigrad.models import Head
    >>> from minigrad.optim import Adam
    >>> xs = np.linspace(-1, 1, 64)[:, None]
    >>> line = Head(hidden_size=1, output_size=1, seed=0)
    >>> trainer = Trainer(line, (xs, 3 * xs + 2), Adam(line.parameters(), lr=0.1), loss=mg.mse_loss)
    >>> trainer.run(epochs=100)
    True
    >>> line.W_yh.numpy().round(3), line.b_y.numpy().round(3)
    (array([[3.]]), array([2.]))
    """

    def __init__(
        self,
        model: Module,
        data: Data,
        optimizer: Optimizer,
        *,
        loss: Loss | None = None,
        max_norm: float = 1.0,
        accumulate: int = 1,
        scheduler: LRScheduler | ReduceLROnPlateau | None = None,
        step_scheduler: Literal["update", "epoch"] = "update",
        validation: Data | None = None,
        patience: int | None = None,
        callbacks: Iterable[Callback] = (),
        error_if_nonfinite: bool = True,
        batch_size: int = 32,
        seed: int = 0,
        team: Team | None = None,
    ) -> None:
        if not isinstance(model, Module) or not isinstance(optimizer, Optimizer):
            raise ArgumentError(f"Trainer: expected a Module and an Optimizer, got {model!r} and {optimizer!r}")
        trained = {id(parameter) for parameter in optimizer.parameters if parameter.requires_grad}
        if not any(id(parameter) in trained for parameter in model.parameters()):
            raise ArgumentError("Trainer: none of the model's parameters is in the optimiser and needs a gradient")
        if not is_number(max_norm) or not max_norm >= 0:
            raise ArgumentError(f"Trainer: max_norm must be a number ≥ 0, or math.inf, got {max_norm!r}")
        named_one_of(step_scheduler, "Trainer: step_scheduler", ("update", "epoch"))
        if scheduler is not None and not isinstance(scheduler, LRScheduler | ReduceLROnPlateau):
            raise ArgumentError(f"Trainer: scheduler: expected a schedule of minigrad.optim, got {scheduler!r:.60}")
        if loss is not None and not callable(loss):
            raise ArgumentError(f"Trainer: loss: expected a function of outputs and targets, got {loss!r:.60}")
        callbacks = several(callbacks, "Trainer: callbacks", "a list of functions of (trainer, event)")
        for callback in callbacks:
            if not callable(callback):
                raise ArgumentError(f"Trainer: callbacks: expected functions of (trainer, event), got {callback!r:.60}")
        if scheduler is not None and scheduler.optimizer is not optimizer:
            raise ArgumentError("Trainer: the scheduler was made for another optimiser")
        if patience is not None and validation is None:
            raise ArgumentError("Trainer: patience needs validation data")
        self.model, self.optimizer, self.scheduler = model, optimizer, scheduler
        self.loss, self.max_norm = loss, float(max_norm)
        self.accumulate = positive_size("Trainer", "accumulate", accumulate)
        self.step_scheduler, self.callbacks = step_scheduler, tuple(callbacks)
        self.error_if_nonfinite = switch(error_if_nonfinite, "Trainer: error_if_nonfinite")
        self.team = checked_team(team, "Trainer")
        self.source = as_source(data, batch_size, seed)
        self.validation = None if validation is None else as_source(validation, batch_size)
        self.stopping = None if patience is None else EarlyStopping(model, patience)
        self.updates = self.epoch = self.batch = 0
        self.log = Log()
        self.stopped = False
        self._of_text = isinstance(data, Streams)
        self._state: Any = None
        self._batches: Iterator[Batch] | None = None
        self._upcoming: Batch | None = None
        self._by_share: ShareLR | None = None
        self._gathered: list[Array] | None = None
        self.team.begin(model, optimizer.parameters)

    @property
    def losses(self) -> list[float]:
        """The loss of every update, those before a resumption included."""
        return self.log.get("loss", [])

    @property
    def norms(self) -> list[float]:
        """The norm of the gradient before clipping, for each of them."""
        return self.log.get("norm", [])

    def stop(self) -> None:
        """End the training after the update that is being made; for callbacks."""
        self.stopped = True

    def run(
        self,
        updates: int | None = None,
        *,
        epochs: int | None = None,
        seconds: float | None = None,
        schedule: Schedule | None = None,
        progress: Bar | bool | None = None,
        unit: str | None = None,
    ) -> bool:
        """Train until so many updates or epochs have been made, those of earlier calls included, or the time is over.

        Ctrl-C lets the current update finish and then ends the training; pressed again a second later, it ends it at once.

        Args:
            updates: the number of updates at the end.
            epochs: the number of times the data has been gone through at the end.
            seconds: the time limit. Whichever limit is nearer ends the training.
            schedule: from the share of the training that is done to a factor of the learning rate.
            progress: where to show loss and speed; True: a bar on stderr.
            unit: what progress counts: "characters", "words".

        Returns:
            False if Ctrl-C ended it.

        Raises:
            NonFiniteGradientError: gradients exploded, and the message says where; or parameters would have. The parameters
                are those before the update.
            ArgumentError: no limit at all, or one that is not positive.
        """
        self._check_limits(updates, epochs, seconds)
        if schedule is not None and self.scheduler is not None:
            raise ArgumentError("Trainer.run: this trainer has a scheduler, and a schedule would set the same learning rate")
        began, seen, self.stopped = time.monotonic(), 0, self.stopping is not None and self.stopping.over
        shown = progress if self.team.leads else None
        with self.team.together(), deferred_interrupt() as interruption, make_bar(shown) as bar:
            share, interrupted = self._share(updates, epochs, 0.0, seconds), False
            while share < 1 and not interrupted and not self.stopped:
                if schedule is not None:
                    self._by_share = self._by_share or ShareLR(self.optimizer)
                    self._by_share.follow(schedule(share))
                seen += self._update()
                elapsed = time.monotonic() - began
                share, interrupted, self.stopped = self.team.agreed(
                    self._share(updates, epochs, elapsed, seconds), interruption.requested, self.stopped
                )
                if bar is not None:
                    speed = seen / max(elapsed, 1e-9)
                    bar.show(min(share, 1.0), f"{self._recent()}  {speed:,.0f} {unit or self._unit()}/s")
            if self.stopping is not None and self.stopping.over:
                self.stopping.restore()
        return not interrupted

    def _check_limits(self, updates: int | None, epochs: int | None, seconds: float | None) -> None:
        counts = [count for count in (updates, epochs) if count is not None]
        fine = all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in counts)
        if not fine or not (seconds is None or (is_number(seconds) and seconds > 0)) or not (counts or seconds):
            raise ArgumentError(
                f"Trainer.run: updates={updates} and epochs={epochs} must be at least 1 and seconds={seconds} positive, and "
                "one of them must be given"
            )

    def _share(self, updates: int | None, epochs: int | None, elapsed: float, seconds: float | None) -> float:
        of_updates = 0.0 if updates is None else self.updates / updates
        of_epochs = 0.0 if epochs is None else self._epochs_done() / epochs
        return max(of_updates, of_epochs, 0.0 if seconds is None else min(elapsed / seconds, 1.0))

    def _epochs_done(self) -> float:
        """How many epochs, with the part of the one that goes on where its length is known."""
        length = len(self.source) if isinstance(self.source, Sized) else math.inf
        return min(self.epoch + self.batch / length, self.epoch + 1 - 1e-9)

    def _unit(self) -> str:
        return "symbols" if self._of_text else "examples"

    def _recent(self) -> str:
        loss = float(np.mean(self.losses[-_SHOWN_OVER:]))
        shown = f"loss {loss:.3f}" + (f"  perplexity {math.exp(min(loss, 99.0)):6.2f}" if self._of_text else "")
        return shown + (f"  validation {self.log['validation'][-1]:.3f}" if "validation" in self.log else "")

    # ---------------------------------------------------------------- one update

    def _update(self) -> int:
        """One update, and what follows it; how many symbols or examples it was made from."""
        batches = self._next_batches()
        try:
            with reporting(over="ignore", invalid="ignore"):  # the checks tell
                loss, norm, state = self._learn(batches)
        except BaseException:
            self._batches = self._upcoming = None  # the update was not made: its batches are drawn again
            raise
        self._state = state
        self.updates += 1
        self.batch += len(batches)
        self.log.add(self.updates, loss=loss, norm=norm, lr=max(group["lr"] for group in self.optimizer.param_groups))
        if isinstance(self.scheduler, LRScheduler) and self.step_scheduler == "update":
            self.scheduler.step()
        self._tell("update")
        if self._upcoming is None:
            self._end_epoch()
        return sum(batch.steps if self._of_text else batch.size for batch in batches)

    def _learn(self, batches: list[Batch]) -> tuple[float, float, Any]:
        """Change the parameters; the loss before, the norm of its gradient, and the state to carry on."""
        self.optimizer.zero_grad()
        loss, state = self._backward(batches)
        refuse = self.error_if_nonfinite
        try:
            norm = clip_grad_norm_(self.optimizer.parameters, self.max_norm, error_if_nonfinite=refuse)
        except NonFiniteGradientError as error:
            if unusable := next(filter(None, (batch.unusable for batch in batches)), ""):
                raise NonFiniteGradientError(f"update {self.updates + 1}: {unusable}; look at the data") from None
            where = explosion(self.model, self.loss, map(self.team.part, batches), self._state)
            raise NonFiniteGradientError(f"update {self.updates + 1}: {where}{error}") from None
        try:
            self.optimizer.step(error_if_nonfinite=refuse)
        except NonFiniteGradientError as error:
            raise NonFiniteGradientError(f"update {self.updates + 1}: {error}") from None
        return loss, norm, state

    def _next_batches(self) -> list[Batch]:
        """The batches of one update, all of one epoch; the one after them is looked up, to know whether the epoch ends."""
        if self._batches is None:
            self._batches = self.source.batches(self.epoch, self.batch)
            self._upcoming = next(self._batches, None)
            if self._upcoming is None:
                raise ArgumentError(f"Trainer: the data has no batch number {self.batch} in epoch {self.epoch}")
        batches: list[Batch] = []
        while self._upcoming is not None and len(batches) < self.accumulate:
            batches.append(self._upcoming)
            self._upcoming = next(self._batches, None)
        return batches

    def _backward(self, batches: list[Batch]) -> tuple[float, Any]:
        """The loss of all batches, a gradient for each parameter, and the state to carry on."""
        total, loss, state = sum(batch.weight for batch in batches), 0.0, self._state
        for whole in batches:
            batch = self.team.part(whole)
            if not batch.size:
                with no_grad():
                    loss_of(self.model, self.loss, whole)  # its random numbers go on as in the processes with a part
                continue
            with self.team.sharing(whole):
                value, state_after = loss_of(self.model, self.loss, batch, None if batch.starts else state)
            share = batch.weight / total
            (value * share if share != 1 else value).backward()
            loss += value.item() * share
            state = None if batch.starts is None or state_after is None else detached(state_after)
        return self.team.add_up(self.optimizer.parameters, loss), state

    def _end_epoch(self) -> None:
        self.epoch, self.batch, self._batches = self.epoch + 1, 0, None
        watched = float(np.mean(self.losses[-_SHOWN_OVER:]))
        if self.validation is not None:
            watched = evaluate(self.model, self.validation, self.loss, team=self.team)
            self.log.add(self.updates, validation=watched)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(watched)
        elif self.scheduler is not None and self.step_scheduler == "epoch":
            self.scheduler.step()
        if self.stopping is not None:
            self.stopping.look(watched)
            self.stopped |= self.stopping.over
        self._tell("epoch")

    def _tell(self, event: Literal["update", "epoch"]) -> None:
        for callback in self.callbacks:
            callback(self, event)

    # ---------------------------------------------------------------- saving and resuming

    def save(self, path: StrPath, notes: Mapping[str, Any] | None = None) -> None:
        """Write a checkpoint of model and training, in one piece; of several processes one writes.

        Raises:
            CheckpointError: the file cannot be written, or the model holds NaN or infinity.
        """
        self._gathered = self.team.whole(self._state)
        try:
            if self.team.leads:
                save_checkpoint(path, self.model, notes=notes, trainer=self)
        finally:
            self._gathered = None

    def load(self, path: StrPath) -> dict[str, Any]:
        """Go on where the training stopped that was saved there; returns the notes.

        Raises:
            CheckpointError: missing, damaged, or of another training; all problems are listed and nothing has changed.
        """
        return load_checkpoint(path, self.model, trainer=self)

    def state_dict(self) -> dict[str, Array]:
        """What a resumed training needs besides the model's own parameters, by name."""
        return {
            **self._settings(),
            **{f"state.{number}": part for number, part in enumerate(self._carried())},
            **{f"{part}.{name}": value for part, owner in self._parts().items() for name, value in owner.state_dict().items()},
        }

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Go on where the training that returned ``saved`` stopped: the same numbers, bit for bit.

        Raises:
            ArgumentError: something is missing, or does not fit this model, this data or this optimiser; all problems are
                listed, nothing is changed.
        """
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError("Trainer: nothing was loaded; " + "; ".join(sorted(problems)))
        for part, owner in self._parts().items():
            owner.load_state_dict(below(part, saved))
        carried = [saved[name] for name in sorted(saved) if name.startswith("state.")]
        self._state = self.team.own(with_parts(self._initial(), map(Tensor, carried))) if carried else None
        self.updates, self.epoch, self.batch = (int(saved[name]) for name in ("updates", "epoch", "batch"))
        self.max_norm = float(saved["max_norm"]) if "max_norm" in saved else math.inf
        self._batches = self._upcoming = None
        if self._by_share is not None:
            self.optimizer.schedules.remove(self._by_share)
            self._by_share = None

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """What is wrong with the names, shapes and dtypes of a saved state."""
        wanted: dict[str, Described] = {"max_norm": np.zeros(()), **self._settings()}
        if any(name.startswith("state.") for name in saved):
            wanted |= {f"state.{number}": part for number, part in enumerate(parts_of(self._initial()))}
        problems = [f"missing: {name}" for name in wanted if name not in saved and name != "max_norm"]
        for part, owner in self._parts().items():
            problems += [f"{part}: {problem}" for problem in owner.mismatches(below(part, saved))]
        for name, found in saved.items():
            if name not in wanted:
                problems += [f"unknown: {name}"] * (name.partition(".")[0] not in self._parts())
            elif (found.shape, found.dtype) != (wanted[name].shape, wanted[name].dtype):
                problems.append(
                    f"{name}: expected {wanted[name].dtype} {wanted[name].shape}, got {found.dtype} {found.shape}"
                )
        return problems

    def bad_values(self, saved: Mapping[str, Array]) -> list[str]:
        """What is wrong with the values of a saved state whose names, shapes and dtypes are right."""
        problems = [
            f"{name}: expected at least 0, got {saved[name]}"
            for name in ("updates", "epoch", "batch", "max_norm")
            if name in saved and not 0 <= saved[name] < MOST
        ]
        expected = self._settings()
        for name in [name for name in expected if name.startswith("data.")] + ["accumulate"]:
            if saved[name] != expected[name]:
                problems.append(f"{name}: expected {expected[name]}, got {saved[name]}")
        for part, owner in self._parts().items():
            problems += [f"{part}: {problem}" for problem in owner.bad_values(below(part, saved))]
        return problems

    def _settings(self) -> dict[str, Array]:
        """How far the training has come, and what must be the same when it goes on."""
        numbers = {"updates": self.updates, "epoch": self.epoch, "batch": self.batch, "accumulate": self.accumulate}
        numbers |= {f"data.{name}": value for name, value in self.source.settings().items()}
        clipped = {"max_norm": np.asarray(self.max_norm)} if math.isfinite(self.max_norm) else {}
        return {name: np.asarray(value) for name, value in numbers.items()} | clipped

    def _carried(self) -> list[Array]:
        return self.team.whole(self._state) if self._gathered is None else self._gathered

    def _parts(self) -> dict[str, Part]:
        parts = {"optimizer": self.optimizer, "scheduler": self.scheduler, "stopping": self.stopping, "log": self.log}
        return {name: part for name, part in parts.items() if part is not None}

    def _initial(self) -> Any:
        """A state of the right kind and size for all streams."""
        initial_state = getattr(self.model, "initial_state", None)
        if initial_state is None:
            raise ArgumentError(
                f"Trainer: to resume a training that carries a state, {type(self.model).__name__} needs initial_state(batch)"
            )
        return initial_state(self.source.settings()["batch"])
