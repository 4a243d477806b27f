"""What the models say to the mistakes that people make most."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from minigrad.models import LSTM, RecurrentLayers, detached, unroll

import minigrad as mg
from minigrad import Tensor, optim
from minigrad.errors import AnomalyError, GraphError, MinigradError, MutationError

XS = np.random.default_rng(0).standard_normal((4, 2, 3))


def train(carried: Callable[[Any], Any], retain: bool = False) -> None:
    """Three windows of one sequence."""
    cell, state = LSTM(3, 4, seed=0), None
    sgd = optim.SGD(cell.parameters(), lr=0.1)
    for _ in range(3):
        hs, state = unroll(cell, XS, state)
        (hs * hs).sum().backward(retain_graph=retain)
        sgd.step()
        state = carried(state)


def test_a_state_carried_on_with_its_history_is_answered_with_what_cuts_it_off() -> None:
    with pytest.raises(GraphError, match=r"from an earlier loss, cut it off there with detached\(state\).*truncated="):
        train(lambda state: state)
    with pytest.raises(MutationError, match="a state that is carried on holds them until it is detached"):
        train(lambda state: state, retain=True)
    train(detached)


class Roots:
    """A cell of one's own that takes roots."""

    def initial_state(self, batch: int) -> Tensor:
        return mg.zeros(batch, 3, requires_grad=True)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return mg.sqrt(h - x * x)  # my formula


def said(call: Callable[[], Any]) -> str:
    with mg.detect_anomaly(), pytest.raises(MinigradError) as caught:
        call()
    assert isinstance(caught.value, AnomalyError)
    return str(caught.value)


def test_an_anomaly_in_a_cell_of_minigrads_names_its_formula_and_the_users_line() -> None:
    holed = np.where(np.arange(4)[:, None, None] == 2, np.nan, XS)
    for call in (
        lambda: unroll(LSTM(3, 4, seed=0), holed),  # my call
        lambda: RecurrentLayers("lstm", 3, 4, num_layers=2, seed=0)(holed, hoist=False),  # my call
    ):
        text = said(call)
        assert text.count("# my call") == 1
        assert f'called from File "{__file__}"' in text
        assert text.count("recorded at File") == 1
        assert not any(machinery in text for machinery in ("unrolling.py", "recurrence.py", "layers.py", "step_by_step"))


def test_an_anomaly_in_ones_own_cell_names_its_line_and_the_call() -> None:
    text = said(lambda: unroll(Roots(), XS))
    assert "recorded at" in text.splitlines()[2]
    assert "# my formula" in text.splitlines()[3]
    assert f'called from File "{__file__}"' in text
    assert not any(machinery in text for machinery in ("unrolling.py", "recurrence.py"))
