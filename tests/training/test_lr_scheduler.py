"""Learning-rate schedules against torch's numbers (torch_trajectories.py), and what they refuse."""

import json
from typing import Any

import numpy as np
import pytest
import torch_trajectories

from minigrad import Parameter
from minigrad.errors import ArgumentError, DTypeError
from minigrad.optim import SGD, lr_scheduler
from minigrad.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

STORED = json.loads(torch_trajectories.FILE.read_text())["schedules"]


def optimizer(lr: float = 0.3) -> SGD:
    return SGD([Parameter([1.0])], lr=lr)


def rates(schedule: LRScheduler, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.lr)
        assert schedule.get_last_lr() == [schedule.optimizer.lr]
        schedule.step()
    return found


@pytest.mark.parametrize("case", STORED, ids=lambda case: " ".join(map(str, [case["name"], *case["options"].values()])))
def test_twenty_steps_give_torchs_learning_rates(case: dict[str, Any]) -> None:
    schedule = getattr(lr_scheduler, case["name"])(optimizer(), **case["options"])
    np.testing.assert_allclose(rates(schedule, 20), case["rates"], rtol=1e-13, atol=1e-17)


def test_the_stored_schedules_are_those_that_the_script_lists() -> None:
    assert [(case["name"], case["options"]) for case in STORED] == torch_trajectories.SCHEDULES


def test_any_function_of_the_step_is_a_schedule() -> None:
    assert rates(LambdaLR(optimizer(2.0), lambda t: 1 / (1 + t)), 3) == [2.0, 1.0, 2 / 3]


def test_any_factor_from_step_to_step_is_a_schedule_and_is_restored() -> None:
    schedule = MultiplicativeLR(optimizer(2.0), lambda t: 1 / (1 + t))
    assert rates(schedule, 4) == pytest.approx([2, 1, 1 / 3, 1 / 12])
    restored = MultiplicativeLR(optimizer(1.0), lambda t: 1 / (1 + t))
    restored.load_state_dict(schedule.state_dict())
    assert rates(restored, 3) == rates(schedule, 3)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 1.0])
def test_a_cycle_of_any_length_ends_at_its_last_rate_and_stays_there(steps: int, share: float) -> None:
    schedule = OneCycleLR(optimizer(), 1.0, steps, pct_start=share)
    last = 1.0 if share == 1 else 1 / 25e4
    assert rates(schedule, steps + 2)[steps - 1 :] == pytest.approx([last] * 3)


def test_schedules_in_a_row_each_begin_at_their_own_start() -> None:
    descent = optimizer(1.0)
    parts = [LinearLR(descent, 0.5, total_iters=2), ExponentialLR(descent, 0.5), StepLR(descent, 1, 0.1)]
    assert rates(SequentialLR(descent, parts, [2, 5]), 7) == pytest.approx([0.5, 0.75, 1, 0.5, 0.25, 1, 0.1])


@pytest.mark.parametrize("stop", [0, 1, 5, 8])
def test_a_restored_schedule_goes_on_bit_for_bit(stop: int) -> None:
    def make(lr: float) -> LRScheduler:
        descent = optimizer(lr)
        return SequentialLR(descent, [LinearLR(descent), CosineAnnealingLR(descent, 7)], [4])

    whole, first, second = make(0.3), make(0.3), make(0.7)
    expected = rates(whole, 12)
    before = rates(first, stop)
    second.load_state_dict(first.state_dict())
    assert before + rates(second, 12 - stop) == expected


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"last_epoch": np.asarray(3)}, "missing: base_lr"),
        ({"last_epoch": np.asarray(3), "base_lr": np.asarray(1.0), "x": np.asarray(1)}, "unknown: x"),
        ({"last_epoch": np.asarray(3.0), "base_lr": np.asarray(1.0)}, "last_epoch: expected one int64, got float64"),
        ({"last_epoch": np.asarray(3), "base_lr": np.ones(2)}, r"base_lr: expected one float64, got float64 \(2,\)"),
        ({"last_epoch": np.asarray(-1), "base_lr": np.asarray(np.nan)}, "base_lr: .* got nan; last_epoch: .* got -1"),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_changes(saved: Any, message: str) -> None:
    schedule = StepLR(optimizer(), 2)
    schedule.step()
    with pytest.raises(ArgumentError, match=message):
        schedule.load_state_dict(saved)
    assert (schedule.last_epoch, schedule.base_lr, schedule.optimizer.lr) == (1, 0.3, 0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepLR(optimizer(), 0), "step_size must be an integer ≥ 1"),
        (lambda: StepLR(optimizer(), 2.0), "step_size must be an integer ≥ 1"),
        (lambda: CosineAnnealingLR(optimizer(), 0), "T_max must be an integer ≥ 1"),
        (lambda: LinearLR(optimizer(), start_factor=0.0), "start_factor=0.0 must be above 0"),
        (lambda: LinearLR(optimizer(), end_factor=1.5), "end_factor=1.5 from 0 to 1"),
        (lambda: LinearLR(optimizer(), total_iters=0), "total_iters must be"),
        (lambda: ConstantLR(optimizer(), 1.5), "factor must be from 0 to 1, got 1.5"),
        (lambda: PolynomialLR(optimizer(), power=-1), "power must be at least 0, got -1"),
        (lambda: OneCycleLR(optimizer(), 1.0, 0), "total_steps must be an integer ≥ 1"),
        (lambda: OneCycleLR(optimizer(), 1.0, 9, pct_start=2), "expected pct_start from 0 to 1"),
        (lambda: OneCycleLR(optimizer(), 1.0, 9, anneal_strategy="sin"), "'cos' or 'linear', got 0.3 and 'sin'"),
        (lambda: OneCycleLR(optimizer(), 1.0, 9, div_factor=0), "must be above 0"),
        (lambda: LambdaLR(optimizer(), lambda t: -1.0), "lr must be at least 0"),
        (lambda: StepLR(Parameter([1.0]), 2), "needs an optimiser"),
        (lambda: SequentialLR(descent := optimizer(), [StepLR(descent, 1)], [2]), "one milestone fewer"),
        (lambda: SequentialLR(d := optimizer(), [StepLR(d, 1)] * 3, [5, 2]), "rising"),
        (lambda: SequentialLR(optimizer(), [StepLR(optimizer(), 1)], []), "made for the optimiser given"),
    ],
)
def test_bad_schedules_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_a_factor_that_is_no_number_is_refused() -> None:
    with pytest.raises(DTypeError, match="gamma must be a number"):
        ExponentialLR(optimizer(), "0.9")


def test_a_step_that_cannot_be_taken_is_not_counted() -> None:
    schedule = LambdaLR(optimizer(1.0), lambda t: 1.0 - t)
    schedule.step()
    with pytest.raises(ArgumentError, match="lr must be at least 0"):
        schedule.step()
    assert (schedule.last_epoch, schedule.optimizer.lr) == (1, 0.0)


def test_equal_milestones_count_twice_as_in_torch() -> None:
    assert rates(MultiStepLR(optimizer(1.0), [1, 1, 2], 0.5), 3) == [1, 0.25, 0.125]
