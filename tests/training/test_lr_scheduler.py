"""Learning-rate schedules against torch's numbers (torch_trajectories.py), and what they refuse."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch_trajectories

from minigrad import Parameter
from minigrad.errors import ArgumentError, DTypeError
from minigrad.optim import SGD, lr_scheduler
from minigrad.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

EVERYTHING = json.loads(torch_trajectories.FILE.read_text())
STORED = EVERYTHING["schedules"]


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


@pytest.mark.parametrize("case", EVERYTHING["beside"], ids=lambda case: " and ".join(name for name, _ in case["schedules"]))
def test_schedules_side_by_side_and_a_rate_set_by_hand_follow_torch(case: dict[str, Any]) -> None:
    descent = optimizer()
    schedules = [getattr(lr_scheduler, name)(descent, **options) for name, options in case["schedules"]]
    found = []
    for step in range(20):
        if step == 8:
            descent.lr = 0.2
        found.append(descent.lr)
        for schedule in schedules:
            schedule.step()
    np.testing.assert_allclose(found, case["rates"], rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("case", EVERYTHING["plateaus"], ids=lambda case: str(case["options"]))
def test_on_a_plateau_the_rate_falls_as_torchs(case: dict[str, Any]) -> None:
    descent = optimizer()
    schedule = ReduceLROnPlateau(descent, **case["options"])
    found = []
    for value in torch_trajectories.WATCHED:
        schedule.step(value)
        found.append(descent.lr)
    np.testing.assert_allclose(found, case["rates"], rtol=1e-12)
    assert len(set(found)) > 2


def test_the_stored_compositions_and_plateaus_are_those_that_the_script_lists() -> None:
    listed = [[[name, options] for name, options in several] for several in torch_trajectories.BESIDE]
    assert [case["schedules"] for case in EVERYTHING["beside"]] == listed
    assert [case["options"] for case in EVERYTHING["plateaus"]] == torch_trajectories.PLATEAUS


def test_a_plateau_goes_on_where_it_was_saved() -> None:
    whole, stopped, resumed = optimizer(), optimizer(), optimizer(0.9)
    of_whole, of_stopped, of_resumed = (ReduceLROnPlateau(o, patience=1, cooldown=1) for o in (whole, stopped, resumed))
    for value in torch_trajectories.WATCHED:
        of_whole.step(value)
    assert "best" not in of_stopped.state_dict()
    for value in torch_trajectories.WATCHED[:6]:
        of_stopped.step(value)
    resumed.load_state_dict(stopped.state_dict())
    of_resumed.load_state_dict(of_stopped.state_dict())
    for value in torch_trajectories.WATCHED[6:]:
        of_resumed.step(value)
    assert resumed.lr == whole.lr
    for saved, message in (
        ({"best": np.ones(2)}, r"best: expected one float64, got float64 \(2,\)"),
        ({"num_bad_epochs": np.asarray(-1)}, "num_bad_epochs: expected 0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            of_resumed.load_state_dict({**of_stopped.state_dict(), **saved})


def test_a_number_that_is_none_is_never_the_best_one() -> None:
    schedule = ReduceLROnPlateau(optimizer(), patience=1)
    for value in (math.nan, math.inf):
        schedule.step(value)
        assert schedule.best is None
    schedule.step(5.0)
    assert (schedule.best, schedule.num_bad_epochs) == (5.0, 0)


def test_a_plateau_and_a_schedule_together_multiply() -> None:
    descent = optimizer(1.0)
    decay, plateau = ExponentialLR(descent, 0.5), ReduceLROnPlateau(descent, factor=0.1, patience=0)
    for value in (1.0, 1.0):
        decay.step()
        plateau.step(value)
    decay.step()
    assert descent.lr == pytest.approx(0.1 * 0.5**3)


def test_a_schedule_made_after_loading_starts_from_the_rate_that_was_given_at_first() -> None:
    descent = optimizer(1e-3)
    rates(ExponentialLR(descent, 0.1), 2)
    assert descent.lr == pytest.approx(1e-5)
    loaded = optimizer(7.0)
    loaded.load_state_dict(descent.state_dict())
    schedule = StepLR(loaded, step_size=1)
    assert schedule.base_lrs == [1e-3]


def test_a_rate_set_in_a_group_is_kept_and_the_schedule_goes_on_from_there() -> None:
    one, other = Parameter([1.0]), Parameter([1.0])
    descent = SGD([{"params": [one]}, {"params": [other], "lr": 0.5}], lr=1.0)
    schedule = ExponentialLR(descent, 0.5)
    schedule.step()
    assert schedule.get_last_lr() == [0.5, 0.25]
    descent.param_groups[1]["lr"] = 3.0
    descent.add_param_group({"params": [Parameter([1.0])], "lr": 8.0})
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 1.5, 4.0]


def test_a_rate_set_where_the_schedule_is_at_zero_is_what_it_goes_on_from() -> None:
    descent = optimizer(1.0)
    schedule = CosineAnnealingLR(descent, T_max=2)
    schedule.step()
    schedule.step()
    assert descent.lr == 0
    descent.lr = 4.0
    schedule.step()
    assert descent.lr == pytest.approx(2.0)


def test_a_schedule_that_belongs_to_a_row_takes_no_steps_of_its_own() -> None:
    descent = optimizer()
    parts = [LinearLR(descent), StepLR(descent, 2)]
    SequentialLR(descent, parts, [3])
    with pytest.raises(ArgumentError, match="it is part of a SequentialLR"):
        parts[1].step()


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
        ({"last_epoch": np.asarray(-1), "base_lr": np.asarray(np.nan)}, "base_lr: .* got nan; last_epoch: .* 2⁵³, got -1"),
    ],
)
def test_a_wrong_state_is_refused_and_nothing_changes(saved: Any, message: str) -> None:
    schedule = StepLR(optimizer(), 2)
    schedule.step()
    with pytest.raises(ArgumentError, match=message):
        schedule.load_state_dict(saved)
    assert (schedule.last_epoch, schedule.base_lrs, schedule.optimizer.lr) == (1, [0.3], 0.3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StepLR(optimizer(), 0), "step_size must be an integer ≥ 1"),
        (lambda: StepLR(optimizer(), 2.0), "step_size must be an integer ≥ 1"),
        (lambda: CosineAnnealingLR(optimizer(), 0), "T_max must be an integer ≥ 1"),
        (lambda: LinearLR(optimizer(), start_factor=0.0), "start_factor=0.0 must be above 0"),
        (lambda: LinearLR(optimizer(), end_factor=1.5), "end_factor=1.5 from 0 to 1"),
        (lambda: LinearLR(optimizer(), total_iters=0), "total_iters must be"),
        (lambda: StepLR(optimizer(), 2, gamma=-1), "gamma must be at least 0"),
        (lambda: ExponentialLR(optimizer(), math.inf), "gamma must be a finite number"),
        (lambda: MultiStepLR(optimizer(), [1.5]), "a milestone must be an integer ≥ 0"),
        (lambda: CosineAnnealingLR(optimizer(), 5, eta_min=math.nan), "eta_min must be a finite number"),
        (lambda: ReduceLROnPlateau(optimizer(), "least"), "mode: expected one of 'min', 'max', got 'least'"),
        (lambda: ReduceLROnPlateau(optimizer(), factor=1.0), "factor must be below 1"),
        (lambda: ReduceLROnPlateau(optimizer(), patience=-1), "patience must be an integer ≥ 0"),
        (lambda: SequentialLR(d := optimizer(), [ReduceLROnPlateau(d)], []), "cannot be one of several in a row"),
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
