"""Every optimiser and the clipping against numbers that torch computed (torch_trajectories.py), and their refusals."""

import gc
import json
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch_trajectories
from numpy.typing import NDArray

from minigrad import Parameter, Tensor
from minigrad.errors import ArgumentError, DTypeError, MutationError, NonFiniteGradientError
from minigrad.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, clip_grad_norm_, clip_grad_value_
from minigrad.optim.lr_scheduler import StepLR

STORED = json.loads(torch_trajectories.FILE.read_text())
CLASSES = {"SGD": SGD, "Adagrad": Adagrad, "Adam": Adam, "AdamW": AdamW, "RMSprop": RMSprop}


def parameters(dtype: Any = np.float64) -> list[Parameter]:
    return [Parameter(theta, dtype=dtype) for theta in torch_trajectories.start()]


def set_gradients(tensors: list[Parameter], step: int) -> None:
    for tensor in tensors:
        tensor.grad = torch_trajectories.gradient(tensor.numpy(), step)


def flat(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([array.ravel() for array in arrays])


def described(case: dict[str, Any]) -> str:
    options = " ".join(f"{name}={value}" for name, value in case["options"].items())
    circumstances = "float32 " * (case.get("dtype") == "float32") + "gradients None " * case.get("every_third", False)
    return f"{circumstances}{case.get('optimizer', '')} {options}".strip()


@pytest.mark.parametrize("case", STORED["trajectories"], ids=described)
def test_twenty_updates_follow_torch(case: dict[str, Any]) -> None:
    tensors = parameters(case["dtype"])
    optimizer = CLASSES[case["optimizer"]](tensors, **case["options"])
    rtol, atol = (1e-12, 1e-13) if case["dtype"] == "float64" else (2e-5, 2e-5)
    for step, expected in enumerate(case["path"]):
        for number, tensor in enumerate(tensors):
            given = torch_trajectories.has_gradient(case, number, step)
            tensor.grad = torch_trajectories.gradient(tensor.numpy(), step) if given else None
        optimizer.step()
        np.testing.assert_allclose(flat([t.numpy() for t in tensors]), expected, rtol=rtol, atol=atol)


def test_the_stored_numbers_are_those_of_the_cases_that_the_script_lists() -> None:
    assert set(STORED["versions"]) == {"python", "torch", "numpy"}
    assert [{key: case[key] for key in case if key != "path"} for case in STORED["trajectories"]] == torch_trajectories.cases()
    assert len(STORED["trajectories"]) + len(STORED["clippings"]) + len(STORED["clip_values"]) > 48


@pytest.mark.parametrize("case", STORED["clippings"], ids=described)
def test_clipping_by_norm_follows_torch(case: dict[str, Any]) -> None:
    tensors = parameters()
    set_gradients(tensors, 1)
    assert clip_grad_norm_(tensors, **case["options"]) == pytest.approx(case["norm"], rel=1e-13)
    np.testing.assert_allclose(flat([t.grad for t in tensors]), case["gradients"], rtol=1e-13)


@pytest.mark.parametrize("case", STORED["clip_values"], ids=lambda case: str(case["clip_value"]))
def test_clipping_by_value_follows_torch(case: dict[str, Any]) -> None:
    tensors = parameters()
    set_gradients(tensors, 1)
    clip_grad_value_(tensors, case["clip_value"])
    np.testing.assert_allclose(flat([t.grad for t in tensors]), case["gradients"], rtol=1e-15)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        lambda p: Adam(p, lr=0.1, amsgrad=True),
        lambda p: RMSprop(p, centered=True, momentum=0.5),
    ],
)
def test_an_optimiser_restored_in_the_middle_goes_on_bit_for_bit(make: Any) -> None:
    whole, first = parameters(), parameters()
    optimizer, interrupted = make(whole), make(first)
    for step in range(10):
        set_gradients(whole, step)
        optimizer.step()
    for step in range(4):
        set_gradients(first, step)
        interrupted.step()
    second = [Parameter(tensor.numpy()) for tensor in first]
    resumed = make(second)
    resumed.load_state_dict(interrupted.state_dict())
    for step in range(4, 10):
        set_gradients(second, step)
        resumed.step()
    np.testing.assert_array_equal(flat([t.numpy() for t in second]), flat([t.numpy() for t in whole]))


@pytest.mark.parametrize("make", [SGD, Adagrad, Adam, AdamW, RMSprop, lambda p: SGD(p, momentum=0.9, weight_decay=0.1)])
def test_float32_parameters_stay_float32_with_all_that_is_remembered(make: Any) -> None:
    tensors = parameters(np.float32)
    optimizer = make(tensors)
    for step in range(3):
        set_gradients(tensors, step)
        optimizer.step()
    assert all(tensor.dtype == np.float32 for tensor in tensors)
    remembered = {key: value for key, value in optimizer.state_dict().items() if "." in key and not key.endswith("step")}
    assert all(value.dtype == np.float32 for value in remembered.values())


def several_kinds(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Groups with parameters of several shapes and two dtypes, small ones and a large one, one that is no row by row array."""
    shapes: list[tuple[int, ...]] = [(3, 4), (), (5,), (0, 2), (70, 60), (2, 2)]
    first = [Parameter(rng.standard_normal(shape), dtype) for dtype in (np.float64, np.float32) for shape in shapes]
    first[0].data = np.asfortranarray(first[0].numpy())
    others = [Parameter(rng.standard_normal(3)), Parameter(rng.standard_normal((2, 3)))]
    return [{"params": first}, {"params": others, "lr": 0.3}]


@pytest.mark.parametrize(
    "kind",
    [
        lambda p: SGD(p, momentum=0.9, nesterov=True), lambda p: Adagrad(p, lr_decay=0.1), lambda p: Adam(p, amsgrad=True),
        lambda p: AdamW(p, maximize=True), lambda p: RMSprop(p, centered=True, momentum=0.9),
    ],
)  # fmt: skip
def test_small_parameters_are_updated_together_as_each_would_be_alone(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> list[dict[str, Any]]:
        rng = np.random.default_rng(0)
        optimizer = kind(several_kinds(rng))
        for update in range(4):
            for number, parameter in enumerate(optimizer.parameters):
                g = rng.standard_normal(parameter.shape)
                parameter.grad = None if (number + update) % 4 == 0 else g
            optimizer.step()
        named = {f"{number}": parameter.numpy() for number, parameter in enumerate(optimizer.parameters)}
        return [named, optimizer.state_dict()]

    together = trained()
    for optimiser in (SGD, Adagrad, Adam, AdamW, RMSprop):
        monkeypatch.setattr(optimiser, "entrywise", False)
    for found, alone in zip(together, trained(), strict=True):
        assert list(found) == list(alone)
        for name in found:
            np.testing.assert_array_equal(found[name], alone[name])


def test_a_class_derived_from_an_optimiser_sees_each_parameter_by_itself() -> None:
    class Normalised(Adam):
        """Each parameter moves by the same length."""

        def _update(self, theta: Any, g: Any, state: Any, group: Any) -> None:
            theta -= group["lr"] * g / np.linalg.norm(g)

    first, second = Parameter([0.0, 0.0]), Parameter([0.0])
    optimizer = Normalised([first, second], lr=1.0)
    first.grad, second.grad = np.array([3.0, 4.0]), np.array([0.5])
    optimizer.step()
    np.testing.assert_allclose([*first.numpy(), *second.numpy()], [-0.6, -0.8, -1.0])


def test_updates_change_the_parameters_in_place_and_leave_gradients_alone() -> None:
    tensors = parameters()
    seen = [tensor.data for tensor in tensors]
    set_gradients(tensors, 0)
    gradients = [tensor.grad.copy() for tensor in tensors]
    AdamW(tensors, lr=0.1, weight_decay=0.3).step()
    for tensor, view, gradient in zip(tensors, seen, gradients, strict=True):
        np.testing.assert_array_equal(view, tensor.numpy())
        np.testing.assert_array_equal(tensor.grad, gradient)


def test_a_parameter_without_a_gradient_is_left_alone() -> None:
    with_gradient, without = Parameter([1.0]), Parameter([1.0])
    optimizer = Adam([with_gradient, without], lr=0.1, weight_decay=0.5)
    with_gradient.grad = np.array([1.0])
    optimizer.step()
    assert with_gradient.item() != 1.0
    assert without.item() == 1.0


def test_a_refused_update_changes_no_parameter_and_counts_no_step() -> None:
    free, needed = Parameter([1.0]), Parameter([1.0, 2.0], name="needed")
    free.grad, needed.grad = np.ones(1), np.ones(2)
    optimizer = Adam([free, needed])
    loss = (needed * needed).sum()
    with pytest.raises(MutationError, match="needed"):
        optimizer.step()
    assert free.item() == 1.0
    assert not [name for name in optimizer.state_dict() if "." in name]
    loss.backward()


def test_options_given_as_numpy_numbers_never_widen_float32() -> None:
    theta = Parameter([1.0], dtype=np.float32)
    theta.grad = np.array([0.1], np.float32)
    optimizer = Adam([theta], lr=np.float64(0.1), betas=(np.float64(0.9), np.float64(0.99)), eps=np.float64(1e-8))
    optimizer.lr = np.float64(0.2)
    optimizer.step()
    assert all(type(value) is float for value in (optimizer.lr, optimizer.eps, *optimizer.betas))
    assert optimizer.state_dict()["0.exp_avg"].dtype == np.float32


def test_centred_rmsprop_stays_a_number_where_the_variance_is_rounded_below_zero() -> None:
    theta = Parameter([1.0])
    optimizer = RMSprop([theta], lr=0.01, alpha=0.5, centered=True)
    for _ in range(200):
        theta.grad = np.array([0.1])
        optimizer.step()
        assert np.isfinite(theta.item())


def test_zero_grad_forgets_every_gradient() -> None:
    tensors = parameters()
    set_gradients(tensors, 0)
    SGD(tensors).zero_grad()
    assert all(tensor.grad is None for tensor in tensors)


@pytest.mark.parametrize("case", STORED["groups"], ids=lambda case: case["optimizer"])
def test_groups_with_options_of_their_own_under_one_schedule_follow_torch(case: dict[str, Any]) -> None:
    tensors = parameters()
    groups = [{"params": [tensor], **group} for tensor, group in zip(tensors, case["groups"], strict=True)]
    optimizer = CLASSES[case["optimizer"]](groups, **case["options"])
    schedule = StepLR(optimizer, step_size=5, gamma=0.5)
    for step, expected in enumerate(case["path"]):
        set_gradients(tensors, step)
        optimizer.step()
        schedule.step()
        np.testing.assert_allclose(flat([t.numpy() for t in tensors]), expected, rtol=1e-12, atol=1e-13)


def test_the_stored_groups_are_those_that_the_script_lists() -> None:
    assert [(case["optimizer"], case["options"], case["groups"]) for case in STORED["groups"]] == torch_trajectories.GROUPS


def test_an_option_is_an_attribute_where_the_groups_agree_and_is_set_for_all_of_them() -> None:
    one, other = parameters()
    optimizer = SGD([{"params": one, "lr": 0.5}, {"params": [other]}], lr=0.1, momentum=0.9)
    assert optimizer.momentum == 0.9
    with pytest.raises(ArgumentError, match=r"lr: the groups of parameters differ; read optimizer\.param_groups"):
        _ = optimizer.lr
    optimizer.lr = 1
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 1.0]
    with pytest.raises(ArgumentError, match="lr must be at least 0"):
        optimizer.lr = -1.0
    with pytest.raises(AttributeError, match="'SGD' object has no attribute 'betas'"):
        _ = optimizer.betas


def test_a_group_added_later_is_trained_with_the_options_of_the_optimiser() -> None:
    one, other = Parameter([1.0]), Parameter([1.0])
    optimizer = SGD([one], lr=0.5)
    optimizer.add_param_group({"params": [other], "maximize": True})
    one.grad, other.grad = np.ones(1), np.ones(1)
    optimizer.step()
    assert (one.item(), other.item()) == (0.5, 1.5)
    with pytest.raises(ArgumentError, match="given twice"):
        optimizer.add_param_group({"params": [one]})
    assert optimizer.parameters == [one, other]


def test_one_state_holds_all_groups_and_refuses_other_ones() -> None:
    def make(tensors: list[Parameter], lr: float = 0.5) -> Adam:
        return Adam([{"params": tensors[:1]}, {"params": tensors[1:], "lr": lr, "betas": (0.5, 0.6)}])

    tensors = [Parameter([1.0]) for _ in range(3)]
    optimizer, restored = make(tensors), make([Parameter([1.0]) for _ in range(3)], lr=0.1)
    for tensor in tensors:
        tensor.grad = np.ones(1)
    optimizer.step()
    restored.load_state_dict(optimizer.state_dict())
    assert [(g["lr"], g["betas"]) for g in restored.param_groups] == [(1e-3, (0.9, 0.999)), (0.5, (0.5, 0.6))]
    assert restored.state_dict().keys() == optimizer.state_dict().keys()
    cut_elsewhere = Adam([{"params": tensors[:2]}, {"params": tensors[2:]}])
    with pytest.raises(ArgumentError, match=r"groups.sizes: expected \[2, 1\] parameters, got \[1, 2\]"):
        cut_elsewhere.load_state_dict(optimizer.state_dict())
    with pytest.raises(ArgumentError, match=r"unknown: groups.1.lr; .*unknown: groups.sizes"):
        Adam(tensors).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize("saved", [None, [1.0], {"lr": 0.1}])
def test_what_is_no_state_is_refused_in_words(saved: Any) -> None:
    message = r"SGD: expected (the arrays by name that state_dict\(\) returned|an array under every name), got"
    with pytest.raises(ArgumentError, match=message):
        SGD(parameters()).load_state_dict(saved)


def everything(optimizer: Optimizer) -> list[bytes]:
    arrays = [*(tensor.numpy() for tensor in optimizer.parameters), *optimizer.state_dict().values()]
    return [array.tobytes() for array in arrays]


EVERY_KIND: list[Any] = [
    lambda p: SGD(p, lr=0.1, momentum=0.9),
    lambda p: Adagrad(p, lr=0.1),
    lambda p: Adam(p, lr=0.1, amsgrad=True),
    lambda p: AdamW(p, lr=0.1),
    lambda p: RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    lambda p: Adam([{"params": p[:1]}, {"params": p[1:], "lr": 0.2}], lr=0.1),
]


@pytest.mark.parametrize("make", EVERY_KIND)
def test_an_update_that_leaves_the_range_of_numbers_changes_nothing_at_all(make: Any) -> None:
    tensors = parameters()
    optimizer = make(tensors)
    set_gradients(tensors, 0)
    optimizer.step()
    tensors[1].data = np.full(4, -1.7e308)  # SGD, which squares nothing, needs it
    tensors[0].grad, tensors[1].grad = np.ones((2, 3)), np.full(4, 1.7e308)
    before = everything(optimizer)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        optimizer.step()
    assert everything(optimizer) == before


@pytest.mark.parametrize("make", EVERY_KIND)
def test_ctrl_c_at_any_line_of_a_step_leaves_all_of_it_or_nothing(make: Any) -> None:
    def fresh() -> Any:
        tensors = parameters()
        optimizer = make(tensors)
        set_gradients(tensors, 0)
        optimizer.step()
        set_gradients(tensors, 1)
        return optimizer

    nothing, done = fresh(), fresh()
    done.step()
    outcomes = []
    for line in range(10_000):
        interrupted = fresh()
        if not interrupted_at(line, interrupted.step):
            break
        outcomes.append(everything(interrupted))
    assert len(outcomes) > 20
    assert all(outcome in (everything(nothing), everything(done)) for outcome in outcomes)
    assert outcomes[0] == everything(nothing)


def interrupted_at(line: int, function: Any) -> bool:
    """Call a function and raise KeyboardInterrupt before line number ``line`` that it runs; whether there was one.

    Meanwhile the collector is off: what others have it call runs lines, too, and what those raise is nobody's.
    """
    left = [line]

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] < 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    found = sys.gettrace()
    gc.disable()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(found)
        gc.enable()
    return False


@pytest.mark.parametrize("make", EVERY_KIND)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_not_finite_are_refused_on_request_and_nothing_changes(make: Any, bad: float) -> None:
    tensors = parameters()
    tensors[1] = Parameter(tensors[1].numpy(), name="W_hh")
    optimizer = make(tensors)
    set_gradients(tensors, 0)
    tensors[1].grad[0] = bad
    before = everything(optimizer)
    with np.errstate(all="ignore"):
        with pytest.raises(NonFiniteGradientError, match=r"step: it would have made these .* infinite, .*: 1 \(W_hh\)\. Lower"):
            optimizer.step(error_if_nonfinite=True)
        assert everything(optimizer) == before
        optimizer.step()
    assert not np.isfinite(tensors[1].numpy()).all()


def test_finite_gradients_that_would_make_a_parameter_infinite_are_refused_on_request() -> None:
    theta = Parameter([1e308])
    theta.grad = np.array([-1e308])
    with np.errstate(over="ignore"), pytest.raises(NonFiniteGradientError, match="learning rate, which is 5"):
        SGD([theta], lr=5.0).step(error_if_nonfinite=True)
    assert theta.item() == 1e308


def test_the_learning_rate_may_change_between_updates() -> None:
    theta = Parameter([1.0])
    optimizer = SGD([theta], lr=0.5)
    for lr in (0.5, 0.25):
        optimizer.lr = lr
        theta.grad = np.array([1.0])
        optimizer.step()
    assert theta.item() == 0.25


def test_an_update_between_forward_and_backward_is_refused() -> None:
    theta = Parameter([1.0, 2.0], name="theta")
    theta.grad = np.ones(2)
    loss = (theta * theta).sum()
    with pytest.raises(MutationError, match="theta"):
        SGD([theta]).step()
    loss.backward()
    SGD([theta]).step()


def test_saved_state_is_a_copy() -> None:
    tensors = parameters()
    optimizer = SGD(tensors, momentum=0.9)
    set_gradients(tensors, 0)
    optimizer.step()
    saved = optimizer.state_dict()
    before = {key: value.copy() for key, value in saved.items()}
    optimizer.step()
    assert all((saved[key] == before[key]).all() for key in saved)


def test_a_wrong_state_lists_all_problems_and_changes_nothing() -> None:
    tensors = parameters()
    optimizer = Adam(tensors)
    set_gradients(tensors, 0)
    optimizer.step()
    before = optimizer.state_dict()
    wrong = {**before, "0.exp_avg": np.zeros(3), "5.exp_avg": np.zeros(2), "1.momentum_buffer": np.zeros(4)}
    with pytest.raises(ArgumentError) as caught:
        optimizer.load_state_dict(wrong)
    for problem in (r"0.exp_avg: expected shape (2, 3), got (3,)", "unknown: 5.exp_avg", "unknown: 1.momentum_buffer"):
        assert problem in str(caught.value)
    after = optimizer.state_dict()
    assert all((after[key] == before[key]).all() for key in before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.exp_avg": None}, "missing: 0.exp_avg"),
        ({"0.step": None}, "missing: 0.step"),
        ({"lr": None, "betas": None}, "missing: betas; missing: lr"),
        ({"0.exp_avg": np.zeros((2, 3), np.float32)}, "0.exp_avg: expected float64, got float32"),
        ({"0.step": np.asarray(1.0)}, "0.step: expected int64, got float64"),
        ({"0.step": np.asarray(0), "1.step": np.asarray(-3)}, "0.step: expected at least 1 .*, got 0; 1.step: .* got -3"),
        ({"0.exp_avg_sq": -np.ones((2, 3))}, "0.exp_avg_sq: a sum or mean of squares has negative entries"),
        ({"0.step": np.asarray(2**63 - 1)}, r"0.step: expected at least 1 and below 2⁵³, got 9223372036854775807"),
        ({"lr": np.asarray(math.inf)}, "lr must be a finite number, got inf"),
        ({"initial_lr": np.asarray(-1.0)}, "initial_lr must be at least 0"),
        ({"initial_lr": np.ones(2)}, r"initial_lr: expected shape \(\), got \(2,\)"),
        ({"lr": np.asarray(-1.0)}, "lr must be at least 0, got -1.0"),
        ({"betas": np.array([0.9, 1.0])}, "beta 2 must be at least 0 and below 1"),
        ({"betas": np.array([0.9])}, r"betas: expected shape \(2,\), got \(1,\)"),
        ({"amsgrad": np.asarray(True)}, "missing: 0.max_exp_avg_sq; missing: 1.max_exp_avg_sq"),
        ({"x.exp_avg": np.zeros(1), "00.exp_avg": np.zeros((2, 3))}, "unknown: 00.exp_avg; unknown: x.exp_avg"),
    ],
)
def test_a_state_that_could_not_have_been_saved_is_refused(change: dict[str, Any], message: str) -> None:
    tensors = parameters()
    optimizer = Adam(tensors)
    set_gradients(tensors, 0)
    optimizer.step()
    before = optimizer.state_dict()
    wrong = {name: value for name, value in {**before, **change}.items() if value is not None}
    with pytest.raises(ArgumentError, match=message):
        optimizer.load_state_dict(wrong)
    after = optimizer.state_dict()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_restored_optimiser_has_the_options_of_the_saved_one_as_in_torch() -> None:
    tensors = parameters()
    saved = SGD(tensors, lr=0.5, momentum=0.9, dampening=0.1, weight_decay=0.2, maximize=True).state_dict()
    restored = SGD(tensors, lr=0.1)
    restored.load_state_dict(saved)
    assert (restored.lr, restored.momentum, restored.dampening, restored.weight_decay) == (0.5, 0.9, 0.1, 0.2)
    assert restored.maximize is True
    other = AdamW(tensors, betas=(0.5, 0.6))
    other.load_state_dict(AdamW(tensors, betas=(0.1, 0.2)).state_dict())
    assert other.betas == (0.1, 0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(Parameter([1.0])), "params must be a list of tensors"),
        (lambda: SGD(None), "params must be a list of tensors"),
        (lambda: SGD([np.ones(1)]), "parameter 0 is not a tensor but ndarray"),
        (lambda: SGD([Parameter([1.0])], lr=True), "lr must be a number, got True"),
        (lambda: SGD([{"params": None}]), "params must be a list of tensors"),
        (lambda: SGD([{"params": [1.0]}]), "parameter 0 is not a tensor but float"),
        (lambda: SGD([{"params": [Parameter([1.0])]}, {"lr": 0.1}]), "group 1: a group of parameters is a dict with the key"),
        (lambda: SGD([{"params": [Parameter([1.0])]}, Parameter([1.0])]), "group 1: a group of parameters is a dict"),
        (lambda: SGD([Parameter([1.0])], maximize=1), "maximize must be True or False"),
        (lambda: SGD([Parameter([1.0])], lr="0.1"), "lr must be a number"),
        (lambda: SGD([Parameter([1.0])], lr=1j), "lr must be a number"),
        (lambda: SGD([Parameter([1.0])], nesterov="no"), "nesterov must be True or False"),
        (lambda: Adam([Parameter([1.0])], betas=(0.9, None)), "beta 2 must be a number"),
    ],
)
def test_options_of_the_wrong_kind_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DTypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD([Parameter([1.0])], momentum=-0.1), "momentum must be at least 0"),
        (lambda: SGD([Parameter([1.0])], weight_decay=-0.1), "weight_decay must be at least 0"),
        (lambda: SGD([Parameter([1.0])], momentum=0.9, dampening=0.1, nesterov=True), "no dampening"),
        (lambda: Adam([Parameter([1.0])], betas=0.9), "betas must be two numbers"),
        (lambda: RMSprop([Parameter([1.0])], momentum=-1.0), "momentum must be"),
        (lambda: SGD([]), "at least one parameter"),
        (lambda: SGD([Tensor([1.0])]), "parameter 0 is not a leaf"),
        (lambda: SGD([Parameter([1.0]) * 2.0]), "parameter 0 is not a leaf"),
        (lambda: SGD([p := Parameter([1.0]), p]), "given twice"),
        (lambda: SGD([Parameter([1.0])], lr=-1.0), "lr must be at least 0"),
        (lambda: SGD([Parameter([1.0])], lr=math.nan), "lr must be a finite number, got nan"),
        (lambda: SGD([Parameter([1.0])], lr=math.inf), "lr must be a finite number, got inf"),
        (lambda: SGD([Parameter([1.0])], lr=10**400), "lr must be a finite number"),
        (lambda: SGD([Parameter([1.0])], momentum=math.inf), "momentum must be a finite number"),
        (lambda: SGD([Parameter([1.0])], dampening=math.nan), "dampening must be a finite number"),
        (lambda: RMSprop([Parameter([1.0])], alpha=2), "alpha must be at least 0 and below 1, got 2.0"),
        (lambda: Adagrad([Parameter([1.0])], lr_decay=-1), "lr_decay must be at least 0"),
        (lambda: SGD([{"params": []}]), "at least one parameter"),
        (lambda: SGD([{"params": [Parameter([1.0])], "momentun": 0.9}]), "expected params and the options .* got 'momentun'"),
        (lambda: SGD([{"params": (p := [Parameter([1.0])])}, {"params": p}]), "group 1: a parameter was given twice"),
        (lambda: SGD([{"params": [Parameter([1.0])]}, {"params": [Parameter([1.0])], "lr": -1}]), "group 1: lr must be"),
        (
            lambda: SGD([{"params": [Parameter([1.0])], "nesterov": True}, {"params": [Parameter([1.0])]}]),
            "nesterov needs a momentum",
        ),
        (lambda: setattr(SGD([Parameter([1.0])]), "nesterov", True), "nesterov needs a momentum"),
        (lambda: SGD([Parameter([1.0])], nesterov=True), "nesterov needs a momentum"),
        (lambda: Adam([Parameter([1.0])], betas=(0.9, 1.0)), "beta 2 must be"),
        (lambda: Adam([Parameter([1.0])], eps=-1e-8), "eps must be"),
        (lambda: RMSprop([Parameter([1.0])], alpha=-0.1), "alpha must be"),
    ],
)
def test_bad_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


class SignSGD(Optimizer):
    """An optimiser of a user's own: θ ← θ − η sign(m), m a running mean of g."""

    remembers = ("mean",)

    def __init__(self, params: Any, lr: float = 0.1, *, maximize: bool = False) -> None:
        super().__init__(params, lr, maximize=maximize)

    def _update(self, theta: Any, g: Any, state: Any, group: Any) -> None:
        state["mean"] = 0.5 * state.get("mean", 0 * g) + 0.5 * g
        theta -= group["lr"] * np.sign(state["mean"])


def test_an_optimiser_of_ones_own_is_saved_checked_and_restored_like_the_others() -> None:
    theta = Parameter([1.0, -1.0])
    optimizer = SignSGD([theta])
    theta.grad = np.array([1.0, -2.0])
    optimizer.step()
    assert theta.numpy() == pytest.approx([0.9, -0.9])
    other = SignSGD([Parameter(theta.numpy())], lr=5.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.lr == 0.1
    with pytest.raises(ArgumentError, match=r"missing: 0\.mean"):
        other.load_state_dict({key: value for key, value in optimizer.state_dict().items() if key != "0.mean"})


def test_the_common_part_alone_is_no_optimiser() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Optimizer([Parameter([1.0])], lr=0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("clip", [lambda p: clip_grad_norm_(p, 1.0), lambda p: clip_grad_value_(p, 1.0)])
def test_a_gradient_that_is_not_finite_is_reported_by_name_and_nothing_changes(bad: float, clip: Any) -> None:
    good, spoilt = Parameter([1.0], name="b_y"), Parameter([1.0, 1.0, 1.0], name="W_hh")
    good.grad, spoilt.grad = np.array([5.0]), np.array([0.0, bad, bad])
    with pytest.raises(NonFiniteGradientError, match=r"1 \(W_hh\) \(2 of 3 entries NaN or infinite\)") as caught:
        clip([good, spoilt])
    assert "b_y" not in str(caught.value)
    assert "learning rate" in str(caught.value)
    assert good.grad.tolist() == [5.0]


def test_a_norm_that_is_not_finite_passes_on_request_as_in_torch() -> None:
    theta = Parameter([1.0, 1.0])
    theta.grad = np.array([math.inf, 2.0])
    assert clip_grad_norm_(theta, 1.0, error_if_nonfinite=False) == math.inf
    assert np.isnan(theta.grad[0])
    assert theta.grad[1] == 0


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 1e30), (np.float64, 1e300)])
def test_a_norm_whose_square_would_overflow_is_still_exact(dtype: Any, huge: float) -> None:
    theta = Parameter(np.zeros(2, dtype))
    theta.grad = np.array([3 * huge, 4 * huge], dtype)
    assert clip_grad_norm_(theta, 1.0) == pytest.approx(5 * huge, rel=1e-6)
    np.testing.assert_allclose(theta.grad, [0.6, 0.8], rtol=1e-6)


def test_a_norm_whose_squares_are_hardly_numbers_is_still_exact() -> None:
    theta = Parameter(np.zeros(2, np.float32))
    theta.grad = np.array([3e-23, 4e-23], np.float32)
    assert clip_grad_norm_(theta, 1.0) == pytest.approx(5e-23, rel=1e-6, abs=0)


def test_a_norm_beyond_all_numbers_is_reported_though_every_gradient_is_finite() -> None:
    theta = Parameter(np.zeros(4))
    theta.grad = np.full(4, 1.5e308)
    with pytest.raises(NonFiniteGradientError, match="the norm of the gradients overflows"):
        clip_grad_norm_(theta, 1.0)
    assert theta.grad.tolist() == [1.5e308] * 4


def test_small_gradients_are_not_touched_by_clipping() -> None:
    theta = Parameter([0.0, 0.0])
    theta.grad = np.array([0.3, -0.4])
    assert clip_grad_norm_(theta, 1.0) == pytest.approx(0.5)
    assert theta.grad.tolist() == [0.3, -0.4]


def test_no_gradient_at_all_has_norm_zero() -> None:
    assert clip_grad_norm_([Parameter([1.0])], 1.0) == 0.0


@pytest.mark.parametrize("clip", [clip_grad_norm_, clip_grad_value_])
def test_a_generator_that_was_read_before_is_refused_since_nothing_would_be_clipped(clip: Any) -> None:
    read = iter(parameters())
    list(read)
    with pytest.raises(ArgumentError, match="got none of them; a generator has some only when it is first read"):
        clip(read, 1.0)


def test_bad_limits_are_refused() -> None:
    theta = Parameter([1.0])
    for max_norm, norm_type in ((-1.0, 2.0), (math.nan, 2.0), (1.0, 0.0)):
        with pytest.raises(ArgumentError, match=r"max_norm|norm_type"):
            clip_grad_norm_(theta, max_norm, norm_type)
    with pytest.raises(ArgumentError, match="clip_value"):
        clip_grad_value_(theta, -1.0)
