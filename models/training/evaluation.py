"""How good a model is on data that it does not learn from."""

from __future__ import annotations

from minigrad import Module, no_grad
from minigrad.errors import ArgumentError

from .batches import Data, as_source
from .losses import Loss, loss_of
from .team import Team, checked_team

__all__ = ["evaluate"]


def evaluate(
    model: Module, data: Data, loss: Loss | None = None, *, batch_size: int = 256, team: Team | None = None
) -> float:
    """The mean loss over all of the data, in evaluation mode, nothing recorded; arguments as for `Trainer`.

    >>> import numpy as np
    >>> import minigrad as mg
    >>> from minigrad.models import Head
    >>> xs = np.ones((5, 1))
    >>> head = Head(1, 1, seed=0)
    >>> head.load_state_dict({"W_yh": [[2.0]], "b_y": [1.0]})
    >>> evaluate(head, (xs, 5 * xs), mg.mse_loss)
    4.0
    """
    if not isinstance(model, Module):
        raise ArgumentError(f"evaluate: expected a Module first, got {model!r:.60}")
    if loss is not None and not callable(loss):
        raise ArgumentError(f"evaluate: loss: expected a function of outputs and targets, got {loss!r:.60}")
    members, total, count, state = checked_team(team, "evaluate"), 0.0, 0.0, None
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            for whole in as_source(data, batch_size).batches(0, 0):
                batch = members.part(whole)
                if batch.size:
                    value, state = loss_of(model, loss, batch, None if batch.starts else state)
                    total, count = total + value.item() * batch.weight, count + batch.weight
    finally:
        for module, mode in modes:
            module.training = mode
    total, count = members.total(total, count)
    if not count:
        raise ArgumentError("evaluate: the data has no batch")
    return total / count
