"""The hand-derived softmax head: its own gradients, and the whole chain cell → head → loss."""

import numpy as np
import pytest
from by_hand_cases import VARIANTS, Leaves, Variant, central_differences, complex_step, make_case, state_leaves, worst
from minigrad.models.by_hand import head

N = 4


def head_leaves(T: int, B: int, H: int) -> tuple[Leaves, np.ndarray]:
    rng = np.random.default_rng([T, B, H])
    leaves = {"W_yh": rng.normal(size=(N, H)), "b_y": rng.normal(size=N), "hs": rng.normal(size=(T, B, H))}
    return leaves, rng.integers(N, size=(T, B))


@pytest.mark.parametrize(("T", "B", "H"), [(1, 1, 3), (2, 3, 2), (7, 2, 5)])
def test_every_leaf_agrees_with_complex_step_and_central_differences(T: int, B: int, H: int) -> None:
    leaves, targets = head_leaves(T, B, H)

    def loss(leaves: Leaves) -> np.number:
        return head.forward({"W_yh": leaves["W_yh"], "b_y": leaves["b_y"]}, leaves["hs"], targets).loss

    params = {"W_yh": leaves["W_yh"], "b_y": leaves["b_y"]}
    gradients = head.backward(params, head.forward(params, leaves["hs"], targets))
    got = gradients.params | {"hs": gradients.hs}
    assert worst(got, complex_step(loss, leaves))[0] < 1e-12
    assert worst(got, central_differences(loss, leaves))[0] < 1e-8


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_cell_and_head_together_agree_with_complex_step(variant: Variant) -> None:
    T, B, D, H = 5, 2, 3, 4
    case = make_case(variant, T, B, D, H, "every step")
    out, targets = head_leaves(T, B, H)
    del out["hs"]

    def loss(leaves: Leaves) -> np.number:
        state = (leaves["c_0"], leaves["h_0"]) if isinstance(case.state, tuple) else leaves["h_0"]
        params = {name: leaves[name] for name in case.params}
        trace = variant.module.forward(params, leaves["xs"], state, **variant.options)
        return head.forward({name: leaves[name] for name in out}, trace.hs, targets).loss

    trace = variant.module.forward(case.params, case.xs, case.state, **variant.options)
    answer = head.backward(out, head.forward(out, trace.hs, targets))
    gradients = variant.module.backward(case.params, trace, answer.hs)
    got = gradients.params | answer.params | {"xs": gradients.xs} | state_leaves(gradients.state)
    assert worst(got, complex_step(loss, case.leaves() | out))[0] < 1e-11


def test_loss_is_the_mean_of_minus_log_p_and_p_is_a_distribution() -> None:
    leaves, targets = head_leaves(3, 2, 4)
    trace = head.forward({"W_yh": leaves["W_yh"], "b_y": leaves["b_y"]}, leaves["hs"], targets)
    z = leaves["hs"] @ leaves["W_yh"].T + leaves["b_y"]
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(trace.p, p, rtol=1e-13)
    np.testing.assert_allclose(trace.p.sum(axis=-1), 1.0, rtol=1e-14)
    right = [p[t, b, targets[t, b]] for t in range(3) for b in range(2)]
    np.testing.assert_allclose(trace.loss, -np.mean(np.log(right)), rtol=1e-13)


def test_logits_of_a_thousand_neither_overflow_nor_warn() -> None:
    params = {"W_yh": np.array([[1000.0], [-1000.0]]), "b_y": np.zeros(2)}
    trace = head.forward(params, [[[1.0]], [[1.0]]], [[0], [1]])
    assert trace.loss == 1000.0
    np.testing.assert_array_equal(head.backward(params, trace).params["b_y"], [0.5, -0.5])
