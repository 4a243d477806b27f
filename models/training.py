"""One small training loop: truncated backpropagation through time over a long text.

Chunk after chunk of the text's streams goes through the model, the state carried over, the gradients clipped, the
parameters updated. The loop shows how it goes, ends cleanly on Ctrl-C, can be resumed to the bit, and says where gradients
exploded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from minigrad import Tensor, edge_gradients
from minigrad.checkpoint import below
from minigrad.errors import ArgumentError, NonFiniteGradientError
from minigrad.optim import Optimizer, clip_grad_norm_
from minigrad.optim.lr_scheduler import LRScheduler
from minigrad.optim.options import Described

from .interruption import deferred_interrupt
from .language import LanguageModel
from .progress import Progress
from .recurrent import parts_of, with_parts
from .streams import Chunk, Streams
from .unrolling import detached

__all__ = ["Trainer", "constant", "cosine"]

Array: TypeAlias = npt.NDArray[Any]
Schedule: TypeAlias = Callable[[float], float]
"""From the share of the training that is done (0 to 1) to a factor of the learning rate."""

_SHOWN_OVER = 50


def constant(share: float) -> float:
    """The learning rate stays as it is."""
    return 1.0


def cosine(share: float) -> float:
    """The learning rate rises over the first fiftieth of the training and falls along a cosine to a hundredth.

    >>> [round(cosine(share), 3) for share in (0.0, 0.01, 0.02, 0.51, 1.0)]
    [0.01, 0.505, 1.0, 0.505, 0.01]
    """
    if share < 0.02:
        return 0.01 + 0.99 * share / 0.02
    return 0.505 + 0.495 * math.cos(math.pi * min((share - 0.02) / 0.98, 1.0))


class Trainer:
    """A model, what it learns from, and how far it has come.

    Args:
        model: the language model to train.
        streams: the text, cut into streams.
        optimizer: over the model's parameters. Its learning rate at this moment is what schedules multiply.
        max_norm: the norm to which gradients are clipped; ``math.inf`` never shrinks them.
        scheduler: a schedule of `minigrad.optim.lr_scheduler` for the optimiser, stepped after every update; in its
            place `run` takes a function of the share of the training that is done.

    Attributes:
        updates: how many updates have been made.
        losses: the loss of every chunk learnt from since this object was made, in nats per symbol.
        norms: the norm of the gradient before clipping, for each of them.

    >>> from minigrad.optim import Adam
    >>> model = LanguageModel(vocabulary_size=3, hidden_size=8, seed=0)
    >>> streams = Streams(np.array([0, 1, 2] * 50), batch=2, steps=10)
    >>> trainer = Trainer(model, streams, Adam(model.parameters(), lr=0.05))
    >>> trainer.run(updates=40)
    True
    >>> trainer.losses[0] > 1 > 0.1 > trainer.losses[-1]
    True
    """

    def __init__(
        self,
        model: LanguageModel,
        streams: Streams,
        optimizer: Optimizer,
        *,
        max_norm: float = 1.0,
        scheduler: LRScheduler | None = None,
    ) -> None:
        self.model = model
        self.streams = streams
        self.optimizer = optimizer
        self.max_norm = max_norm
        self.scheduler = scheduler
        self.updates = 0
        self.losses: list[float] = []
        self.norms: list[float] = []
        self._base_lr = optimizer.lr
        self._state: Any = None

    def run(
        self,
        updates: int,
        *,
        seconds: float | None = None,
        schedule: Schedule = constant,
        progress: Progress | None = None,
        unit: str = "symbols",
    ) -> bool:
        """Train until ``updates`` updates have been made, those of earlier calls included, or the time is over.

        Ctrl-C lets the current update finish and then ends the training; pressed again a second later, it ends it at once.

        Args:
            updates: the number of updates at the end.
            seconds: the time limit; the schedule then follows whichever of the two is nearer to its end.
            schedule: the factor of the learning rate over the training.
            progress: where to show loss, perplexity and speed.
            unit: what progress calls the symbols: "characters", "words".

        Returns:
            False if Ctrl-C ended it.

        Raises:
            NonFiniteGradientError: gradients exploded, and the message says where; or parameters would have. The parameters
                are those before the update.
            ArgumentError: ``updates`` is below 1, or ``seconds`` is not positive.
        """
        if updates < 1 or not (seconds is None or seconds > 0):
            raise ArgumentError(f"Trainer.run: updates={updates} must be at least 1, and seconds={seconds} positive or None")
        began, begun_with = time.monotonic(), self.updates
        symbols_of_one = self.streams.batch * self.streams.steps
        share = self.updates / updates
        with deferred_interrupt() as interruption:
            while share < 1 and not interruption.requested:
                if self.scheduler is None:
                    self.optimizer.lr = self._base_lr * schedule(share)
                self._update()
                elapsed = time.monotonic() - began
                share = max(self.updates / updates, 0 if seconds is None else min(elapsed / seconds, 1.0))
                if progress is not None:
                    speed = (self.updates - begun_with) * symbols_of_one / max(elapsed, 1e-9)
                    progress.show(share, f"{self._recent_loss()}  {speed:,.0f} {unit}/s")
        return not interruption.requested

    def _recent_loss(self) -> str:
        loss = float(np.mean(self.losses[-_SHOWN_OVER:]))
        return f"loss {loss:.3f}  perplexity {math.exp(min(loss, 99.0)):6.2f}"

    def _update(self) -> None:
        chunk = self.streams[self.updates % len(self.streams)]
        state = None if chunk.starts else self._state
        self.optimizer.zero_grad()
        with np.errstate(over="ignore", invalid="ignore"):  # the checks tell
            loss, state_after = self._backward(chunk, state)
            try:
                norm = clip_grad_norm_(self.optimizer.parameters, self.max_norm)
            except NonFiniteGradientError as error:
                raise NonFiniteGradientError(self._explosion(chunk, state, error)) from None
            self._step()
        if self.scheduler is not None:
            self.scheduler.step()
        self._state = state_after
        self.updates += 1
        self.losses.append(loss)
        self.norms.append(norm)

    def _step(self) -> None:
        try:
            self.optimizer.step(error_if_nonfinite=True)
        except NonFiniteGradientError as error:
            raise NonFiniteGradientError(f"update {self.updates + 1}: {error}") from None

    def _backward(self, chunk: Chunk, state: Any) -> tuple[float, Any]:
        loss, state = self.model.loss(chunk.inputs, chunk.targets, state)
        loss.backward()
        return loss.item(), detached(state)

    def _explosion(self, chunk: Chunk, state: Any, error: NonFiniteGradientError) -> str:
        """What went wrong, and at which time step it began: going back in time, gradients grow at every step."""
        loss, _ = self.model.loss(chunk.inputs, chunk.targets, state)
        report = f"update {self.updates + 1}: "
        if not math.isfinite(loss.item()):
            return f"{report}the loss is {loss.item()}. {error}"
        sizes: dict[int, float] = {}
        for (node, _), g in edge_gradients(loss).items():
            if node.time is not None:
                sizes[node.time] = float(np.max([sizes.get(node.time, 0.0), np.abs(g).max(initial=0)]))
        last = max(sizes)
        spoilt = [t for t, size in sizes.items() if not math.isfinite(size)]
        if spoilt:
            began = max(spoilt)
            report += (
                f"backpropagating from time step {last}, where the largest gradient is {sizes[last]:.1e}, it grew to "
                f"{sizes.get(began + 1, sizes[last]):.1e} at time step {min(began + 1, last)} and was no longer finite at "
                f"time step {began}. "
            )
        return report + str(error)

    # ---------------------------------------------------------------- saving and resuming

    def state_dict(self) -> dict[str, Array]:
        """What a resumed training needs besides the model's own parameters, by name."""
        return {
            **self._settings(),
            **{f"state.{number}": part.numpy() for number, part in enumerate(self._carried(self._state))},
            **{f"{part}.{name}": value for part, owner in self._parts().items() for name, value in owner.state_dict().items()},
        }

    def load_state_dict(self, saved: Mapping[str, Array]) -> None:
        """Go on where the training that returned ``saved`` stopped: the same numbers, bit for bit.

        Raises:
            ArgumentError: something is missing, or does not fit this model, these streams or this optimiser; all
                problems are listed, nothing is changed.
        """
        problems = self.mismatches(saved) or self.bad_values(saved)
        if problems:
            raise ArgumentError("Trainer: nothing was loaded; " + "; ".join(sorted(problems)))
        for part, owner in self._parts().items():
            owner.load_state_dict(below(part, saved))
        carried = [Tensor(saved[name]) for name in sorted(saved) if name.startswith("state.")]
        self._state = with_parts(self._initial(), carried) if carried else None
        self.updates = int(saved["updates"])
        self._base_lr, self.max_norm = float(saved["base_lr"]), float(saved["max_norm"])

    def mismatches(self, saved: Mapping[str, Described]) -> list[str]:
        """What is wrong with the names, shapes and dtypes of a saved state."""
        wanted: dict[str, Described] = dict(self._settings())
        if any(name.startswith("state.") for name in saved):
            wanted |= {f"state.{number}": part for number, part in enumerate(self._carried(self._initial()))}
        problems = [f"missing: {name}" for name in wanted if name not in saved]
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
        counts = ("updates", "base_lr", "max_norm")
        problems = [f"{name}: expected at least 0, got {saved[name]}" for name in counts if not saved[name] >= 0]
        if (saved["streams"] != self._settings()["streams"]).any():
            problems.append(
                "streams: expected batch {}, {} steps and {} chunks, got batch {}, {} steps and {} chunks".format(
                    *self._settings()["streams"], *saved["streams"]
                )
            )
        for part, owner in self._parts().items():
            problems += [f"{part}: {problem}" for problem in owner.bad_values(below(part, saved))]
        return problems

    def _settings(self) -> dict[str, Array]:
        return {
            "updates": np.asarray(self.updates),
            "base_lr": np.asarray(self._base_lr),
            "max_norm": np.asarray(float(self.max_norm)),
            "streams": np.array([self.streams.batch, self.streams.steps, len(self.streams)]),
        }

    def _parts(self) -> dict[str, Optimizer | LRScheduler]:
        return {"optimizer": self.optimizer} | ({} if self.scheduler is None else {"scheduler": self.scheduler})

    def _initial(self) -> Any:
        return self.model.cell.initial_state(self.streams.batch)

    def _carried(self, state: Any) -> tuple[Any, ...]:
        return () if state is None else parts_of(state)
