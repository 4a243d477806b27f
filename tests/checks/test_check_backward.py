"""check_backward: right derivations pass in every layout, and what is asked or refused is said clearly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from derivation_cases import CASES, Case, arrays, functions
from sampling import EXHAUSTIVE

from minigrad import check_backward, compare_gradients, errors
from minigrad.checks import assert_backward_correct
from minigrad.checks.grading import verdict


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_a_right_derivation_passes_in_its_own_layout(case: Case) -> None:
    report = check_backward(*functions(case), case.arguments(), **case.options)
    assert report.passed, report
    assert not report.findings


def test_a_loop_over_time_is_checked_at_one_two_and_four_steps() -> None:
    case = next(case for case in CASES if case.backward == "rnn_backward")
    report = check_backward(*functions(case), case.arguments())
    assert [stage.name for stage in report.stages] == ["shapes", "two calls agree", "T = 1", "T = 2", "T = 4"]


def test_the_first_stage_that_fails_is_the_last_one_looked_at() -> None:
    case = next(case for case in CASES if case.id == "course_columns:rnn_backward")
    report = check_backward(*functions(case, ("da[:, :, t] + da_prevt", "da[:, :, t]")), case.arguments(), seconds=0.1)
    assert [(stage.name, stage.passed) for stage in report.stages][-2:] == [("T = 1", True), ("T = 2", False)]


def linear(x: Any, W: Any, b: Any) -> Any:
    return x @ W + b


def test_an_upstream_that_is_called_dout_is_that_of_the_only_output() -> None:
    def backward(dout: Any, x: Any, W: Any) -> Any:
        return {"dx": dout @ W.T, "dW": x.T @ dout, "db": dout.sum(axis=0)}

    assert check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values())).passed


class Step:
    """Weights, cache and gradients of the weights in one object."""

    def __init__(self) -> None:
        self.Wx, self.Wh = arrays(Wx=(3, 5), Wh=(5, 5)).values()

    def forward(self, x: Any, h_prev: Any) -> Any:
        self.x, self.h_prev = x, h_prev
        self.h = np.tanh(x @ self.Wx + h_prev @ self.Wh)
        return self.h

    def backward(self, dh: Any) -> Any:
        da = dh * (1 - self.h**2)
        self.dWx, self.dWh = self.x.T @ da, self.h_prev.T @ da
        return da @ self.Wx.T, da @ self.Wh.T


global_step = Step()


def with_global_step(x: Any, h_prev: Any) -> Any:
    return global_step.forward(x, h_prev)


def with_global_step_backward(dh: Any) -> Any:
    dx, dh_prev = global_step.backward(dh)
    return {"dx": dx, "dh_prev": dh_prev, "dWx": global_step.dWx, "dWh": global_step.dWh}


def of_one_object(how: str) -> tuple[Any, Any]:
    """The two passes of one object: methods, functions around a global variable, functions around a local one."""
    step = Step()

    def around(x: Any, h_prev: Any) -> Any:
        return step.forward(x, h_prev)

    def around_backward(dh: Any) -> Any:
        dx, dh_prev = step.backward(dh)
        return {"dx": dx, "dh_prev": dh_prev, "dWx": step.dWx, "dWh": step.dWh}

    return {
        "global and method": (with_global_step, global_step.backward),
        "method and global": (global_step.forward, with_global_step_backward),
        "local and method": (around, step.backward),
        "method and local": (step.forward, around_backward),
        "local and local": (around, around_backward),
    }[how]


WAYS = ["global and method", "method and global", "local and method", "method and local", "local and local"]


@pytest.mark.parametrize("how", WAYS)
def test_both_passes_see_one_object_however_they_reach_it(how: str) -> None:
    report = check_backward(*of_one_object(how), (np.ones((4, 3)), np.ones((4, 5))), outputs=("h",))
    assert report.passed, report
    assert report.comparison is not None
    assert {"Wx", "Wh"} <= {difference.gradient for difference in report.comparison.differences}


def test_a_parameter_nobody_can_know_is_asked_for() -> None:
    def backward(dy: Any, banana: Any, W: Any) -> Any:
        return {"dx": dy @ W.T}

    with pytest.raises(errors.ArgumentError, match=r"what is 'banana'.*upstream={'banana': 'its name'}"):
        check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))


def test_gradients_without_names_are_asked_for_and_can_be_declared() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        return dy @ W.T + 0, x.T @ dy + 0, np.array(dy.sum(axis=0))

    example = tuple(arrays(x=(3, 3), W=(3, 3), b=(3,)).values())
    with pytest.raises(errors.ArgumentError, match=r"the gradient\? Say so: returns="):
        check_backward(linear, backward, example)
    assert check_backward(linear, backward, example, returns=("x", "W", "b")).passed


def test_a_forward_pass_that_returns_nothing_followable_is_refused() -> None:
    with pytest.raises(errors.ArgumentError, match="nothing that the forward pass returns depends on its arguments"):
        check_backward(lambda x: int(x.sum()), lambda x: {"dx": 0 * x}, (np.ones(3),))


def test_writing_into_an_array_from_outside_is_refused_with_advice() -> None:
    class Store:
        array = np.zeros(3)

    def forward(x: Any) -> Any:
        Store.array[:] = x * 2
        return Store.array

    with pytest.raises(errors.ConversionError, match="Make the array inside the function"):
        check_backward(forward, lambda dout: {"dx": 2 * dout}, (np.ones(3),))


def test_an_error_of_the_backward_pass_is_reported_with_its_line() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        raise ValueError("no such luck")

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert not report.passed
    assert "raises ValueError: no such luck (line" in report.stages[-1].text


def test_axes_of_length_one_are_noted_and_not_held_against_anybody() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dx": dy @ W.T, "dW": x.T @ dy, "db": dy.sum(axis=0, keepdims=True)}

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert report.passed
    assert any("compared as if they were the same" in note for note in report.notes)


class Listed(Step):
    """The same, with weights and gradients in lists too."""

    def __init__(self) -> None:
        super().__init__()
        self.params = [self.Wx, self.Wh]
        self.grads = [np.zeros_like(W) for W in self.params]

    def backward(self, dh: Any) -> Any:
        da = dh * (1 - self.h**2)
        self.grads[0][...], self.grads[1][...] = self.x.T @ da, self.h.T @ da
        return da @ self.Wx.T, da @ self.Wh.T


def test_gradients_in_a_list_are_those_of_the_weights_in_a_list_that_have_names_too() -> None:
    step = Listed()
    report = check_backward(step.forward, step.backward, (np.ones((4, 3)), np.ones((4, 5))))
    assert report.named, report
    assert report.findings[0].missing == "h stands in self.grads[1][...] in the place of h_prev", report
    assert report.findings[0].gradients == ("grads[1]",)


class Learner:
    """Clips its gradients, divides them by the number of examples, and learns from them at once."""

    def __init__(self) -> None:
        self.W, self.b = arrays(W=(3, 2), b=(2,)).values()

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout: Any, learning_rate: float) -> Any:
        dW, db = self.x.T @ dout, dout.sum(axis=0)
        for gradient in (dW, db):
            np.clip(gradient, -1, 1, out=gradient)
        dx = dout @ self.W.T
        self.W -= learning_rate * dW / len(dout)
        self.b -= learning_rate * db / len(dout)
        return dx


def test_small_steps_of_weights_are_told_from_rounding() -> None:
    learner = Learner()
    report = check_backward(learner.forward, learner.backward, (np.ones((7, 3)),))
    assert report.passed, report
    assert report.notes[0].startswith("gradients are clipped to ±1 inside")
    assert report.notes[1].endswith("divided by the rate and multiplied by 7")


def test_values_that_the_forward_pass_returns_in_a_tuple_are_known_by_name() -> None:
    def forward(x: Any, W: Any) -> Any:
        z = x @ W
        g = np.tanh(z)
        return g * z, (z, g)

    def backward(dout: Any, z: Any, g: Any, x: Any, W: Any) -> Any:
        dz = dout * (g + z * (1 - g**2))
        return {"dx": dz @ W.T, "dW": x.T @ dz}

    report = check_backward(forward, backward, (np.ones((4, 3)), np.ones((3, 2))))
    assert report.passed, report


def test_an_output_and_its_gradient_can_both_be_declared() -> None:
    def forward(x: Any, W: Any) -> Any:
        return np.tanh(x @ W)

    def backward(delta: Any, h: Any, below: Any, W: Any) -> Any:
        dz = delta * (1 - h**2)
        return {"dx": dz @ W.T, "dW": below.T @ dz}

    wanted = {"delta": "output", "h": "output", "below": "x"}
    assert check_backward(forward, backward, (np.ones((4, 3)), np.ones((3, 2))), upstream=wanted).passed


@pytest.mark.parametrize("limit", [0.5, 5.0])
def test_gradients_scaled_to_a_norm_pass_and_are_said_to_be(limit: float) -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        grads = {"dx": dy @ W.T, "dW": x.T @ dy, "db": dy.sum(axis=0)}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        return {name: g * min(1, limit / norm) for name, g in grads.items()}

    report = check_backward(linear, backward, tuple(arrays(x=(40, 3), W=(3, 2), b=(2,)).values()))
    assert report.passed, report
    assert report.notes == (f"gradients are scaled to the norm {limit:g} inside the backward pass: checked with smaller ones",)


def test_a_wrong_gradient_that_is_no_multiple_of_what_arrives_is_not_called_clipped() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dx": dy @ W.T, "dW": x.T @ dy, "db": (dy**2).sum(axis=0)}

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert not report.passed
    assert not any("clipped" in note or "norm" in note for note in report.notes)


def test_numbers_alone_are_refused_with_advice() -> None:
    with pytest.raises(errors.ArgumentError, match="of numbers alone, make arrays of one entry"):
        check_backward(lambda x: x * x, lambda dout, x: 2 * x * dout, 3.0)


def test_a_side_effect_on_what_was_given_is_noted() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        x *= 1.0000001
        return {"dW": x.T @ dy}

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert any("changes argument x in place" in note for note in report.notes)


def test_what_is_random_fails_because_two_calls_do_not_agree() -> None:
    rng = np.random.default_rng(0)

    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dW": x.T @ dy * rng.random()}

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert next(stage.name for stage in report.stages if not stage.passed) == "two calls agree"


@pytest.mark.parametrize(
    ("finish", "said"),
    [
        (lambda g, x: g / 4, "divided by 4"),
        (lambda g, x: np.clip(g, -0.1, 0.1), r"clipped to ±0.1"),
    ],
)
def test_a_convention_is_recognised_said_and_passes(finish: Any, said: str) -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        found = {"dx": dy @ W.T, "dW": x.T @ dy, "db": dy.sum(axis=0)}
        return {name: finish(g, x) for name, g in found.items()}

    report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()))
    assert report.passed, report
    assert any(said.replace("\\", "") in note for note in report.notes), report.notes


def test_the_gradient_of_a_sum_is_recognised_beside_a_small_number_in_a_logarithm() -> None:
    def forward(x: Any, W: Any, targets: Any) -> Any:
        e = np.exp(x @ W)
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(7), targets] + 1e-7).mean()
        return loss, p

    def backward(x: Any, p: Any, targets: Any) -> Any:
        d = np.array(p)
        d[np.arange(7), targets] -= 1
        return {"dW": x.T @ d}

    example = (*arrays(x=(7, 3), W=(3, 2)).values(), np.array([0, 1, 1, 0, 0, 1, 0]))
    report = check_backward(forward, backward, example)
    assert report.passed, report
    assert any("multiplied by 7" in note for note in report.notes), report.notes


def test_an_l2_penalty_is_recognised() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dx": dy @ W.T, "dW": x.T @ dy + 0.01 * W}

    assert "L2" not in str(check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values())).findings)


def test_the_assertion_fails_with_the_report_alone() -> None:
    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dx": dy @ W.T, "dW": 2 * x.T @ dy}

    example = tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values())
    with pytest.raises(errors.BackwardError, match="backward is WRONG, for linear") as caught:
        assert_backward_correct(linear, backward, example)
    assert isinstance(caught.value, AssertionError)
    assert_backward_correct(linear, lambda dy, x: {"dW": x.T @ dy}, example)


def test_random_arrays_are_never_named() -> None:
    rng = np.random.default_rng(3)

    def backward(dy: Any, x: Any, W: Any) -> Any:
        return {"dx": rng_of(dy, x), "dW": rng_of(dy, W)}

    def rng_of(dy: Any, like: Any) -> Any:
        return np.random.default_rng(int(abs(dy[0, 0]) * 1e6)).standard_normal(like.shape)

    for seed in rng.integers(0, 10_000, 20)[: None if EXHAUSTIVE else 5]:
        report = check_backward(linear, backward, tuple(arrays(x=(4, 3), W=(3, 2), b=(2,)).values()), seed=int(seed))
        assert not report.passed
        assert not any(finding.kind for finding in report.findings), report


def test_a_named_tuple_is_handed_on_whole_and_gradients_of_a_tuple_are_a_tuple() -> None:
    class Trace(NamedTuple):
        ys: Any
        kept: list[Any]
        state: Any

    def forward(x: Any, state: Any) -> Trace:
        c, h = state
        return Trace(x * h, [x, h], (c * h, h + x))

    def backward(trace: Trace, dys: Any, dstate: Any) -> Any:
        h = trace.kept[1]
        dc, dh = dstate
        assert isinstance(dstate, tuple)
        return {"dx": dys * h + dh, "dc": dc * h}

    report = check_backward(forward, backward, (np.ones((2, 3)), (np.ones((2, 3)), np.ones((2, 3)))))
    assert report.passed, report
    assert report.comparison is not None
    assert [d.gradient for d in report.comparison.differences] == ["x", "c"]


def test_keys_with_brackets_are_shown_as_they_are() -> None:
    a = {"state[0]": np.ones(2), "W": np.ones(2)}
    assert [d.gradient for d in compare_gradients(a, a).differences] == ["state[0]", "W"]


def test_what_was_not_compared_is_said_in_the_first_line() -> None:
    """A gradient that is left out, or that is called something else, is no reason to say that all is right."""
    step = next(case for case in CASES if case.id == "other_manners:Step.backward")
    whole = check_backward(*functions(step), step.arguments())
    part = check_backward(*functions(step, ("du @ Wh.T", "du")), step.arguments())
    gru_step = next(case for case in CASES if case.id == "gru_columns:gru_step_backward")
    lacking = check_backward(*functions(gru_step, ('    grads["dUz"] = da_z @ h_prev.T\n', "")), gru_step.arguments())
    assert str(whole).splitlines()[0] == "backward is right, for forward"
    assert (whole.uncompared, part.uncompared, lacking.uncompared) == ((), ("before",), ("Uz",))
    assert str(part).splitlines()[0] == "backward is right as far as it was compared, for forward"
    assert str(lacking).splitlines()[0] == "gru_step_backward is right as far as it was compared, for gru_step"
    assert verdict(lacking.as_dict()) == "right in what was compared: not Uz"
