"""The numbers in the lessons about traps, computed a second time without the engine."""

import numpy as np
import pytest
from lesson_runs import lesson, number, numbers
from minigrad.models import GRU, LSTM, RNN, by_hand

Arrays = dict[str, np.ndarray]


def sigma(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def gru_step(w: Arrays, x: np.ndarray, h: np.ndarray, reset: str = "before", flipped: bool = False) -> np.ndarray:
    """One step; ``flipped``: the update gate multiplies the old state."""
    u = sigma(h @ w["W_uh"].T + x @ w["W_ux"].T + w["b_u"])
    r = sigma(h @ w["W_rh"].T + x @ w["W_rx"].T + w["b_r"])
    wx = x @ w["W_cx"].T + w["b_c"]
    if reset == "before":
        c = np.tanh((r * h) @ w["W_ch"].T + wx)
    else:
        c = np.tanh(r * (h @ w["W_ch"].T + w.get("b_ch", 0.0)) + wx)
    return np.asarray((1 - u) * c + u * h if flipped else u * c + (1 - u) * h)


def test_reset_before_and_after_differ_by_a_third_on_average() -> None:
    name = "trap_gru_reset"
    rng = np.random.default_rng(0)
    w = {key: rng.normal(size=value.shape) for key, value in GRU(3, 4).by_gate().items()}
    x, start = rng.normal(size=(500, 3)), rng.normal(size=(500, 4))
    before, after = gru_step(w, x, start), gru_step(w, x, start, reset="after")
    np.testing.assert_allclose(numbers(name, "h_1 by before, first example"), before[0], atol=2e-15)
    np.testing.assert_allclose(numbers(name, "h_1 by after,  first example"), after[0], atol=2e-15)
    apart = np.abs(before - after).max(axis=1)
    mean, _, largest = numbers(name, "largest difference in h_1: ")
    np.testing.assert_allclose([mean, largest], [apart.mean(), apart.max()], rtol=1e-13)
    assert 0.25 < mean < 0.4
    assert number(name, "with r = σ(0.3)", after="at most ") < 1e-13


def test_the_other_convention_of_the_update_gate_changes_the_sign_of_its_weights() -> None:
    name = "trap_update_gate"
    rng = np.random.default_rng(0)
    w, x, h = GRU(3, 4, seed=1).by_gate(), rng.normal(size=(1, 3)), rng.normal(size=(1, 4))
    right, flipped = gru_step(w, x, h)[0], gru_step(w, x, h, flipped=True)[0]
    np.testing.assert_allclose(numbers(name, "the library, Γ_u: "), right, atol=2e-15)
    np.testing.assert_allclose(numbers(name, "z, weights as they are: "), flipped, atol=2e-15)
    np.testing.assert_allclose(numbers(name, "z, sign changed: "), right, atol=2e-15)
    assert np.abs(flipped - right).max() > 0.1
    assert "(True)" in lesson(name).answer


def test_a_second_bias_matters_inside_the_reset_only() -> None:
    name = "trap_biases"
    xs = np.random.default_rng(0).normal(size=(10, 1, 3))
    w = GRU(3, 4, reset="after", seed=1).by_gate()
    moved = w | {"b_c": w["b_c"] / 2, "b_ch": w["b_ch"] + w["b_c"] / 2}
    apart, h, h_moved = 0.0, np.zeros((1, 4)), np.zeros((1, 4))
    for x in xs:
        h, h_moved = gru_step(w, x, h, "after"), gru_step(moved, x, h_moved, "after")
        apart = max(apart, float(np.abs(h - h_moved).max()))
    assert abs(number(name, "GRU reset after", after="move by ") - apart) < 1e-14
    assert apart > 0.05
    assert number(name, "LSTM, half of every bias", after="move by ") < 1e-13
    assert number(name, "LSTM, gradients of the two biases", after="differ by ") < 1e-13


@pytest.mark.parametrize(("line", "forget_bias"), [("drawn, as torch does", None), ("1, as Keras does", 1.0), ("3", 3.0)])
def test_what_the_forget_bias_leaves_of_a_gradient(line: str, forget_bias: float | None) -> None:
    xs = np.random.default_rng(1).normal(size=(30, 1, 4))
    w = LSTM(4, 32, seed=0).by_gate()
    if forget_bias is not None:
        w |= {"b_f": np.full(32, forget_bias)}
    zeros = np.zeros((30, 1, 32)), (np.ones((1, 32)), np.zeros((1, 32)))
    d_c_0, _ = by_hand.lstm.backward(w, by_hand.lstm.forward(w, xs), *zeros).state
    gate = sigma(xs[0] @ w["W_fx"].T + w["b_f"]).mean()
    start = f"b_f = {line:<21} first forget gate "
    assert abs(number("trap_forget_bias", start) - gate) < 1e-11
    left = number("trap_forget_bias", start, after="steps ")
    assert abs(left / np.sqrt((d_c_0**2).mean()) - 1) < 1e-10
    assert {None: left < 1e-6, 1.0: 1e-3 < left < 1e-2, 3.0: left > 1}[forget_bias]


def test_the_other_order_of_the_concatenation_is_not_refused_but_wrong() -> None:
    name = "trap_concatenation_order"
    rng = np.random.default_rng(0)
    w, h, x = RNN(3, 4, seed=1).by_gate(), rng.normal(size=4), rng.normal(size=3)
    W_h = np.hstack([w["W_hh"], w["W_hx"]])
    right = np.tanh(w["W_hh"] @ h + w["W_hx"] @ x + w["b_h"])
    wrong = np.tanh(W_h @ np.concatenate([x, h]) + w["b_h"])
    np.testing.assert_allclose(numbers(name, "W_h [h, x] "), right, atol=2e-15)
    np.testing.assert_allclose(numbers(name, "W_h [x, h]: "), wrong, atol=2e-15)
    np.testing.assert_allclose(numbers(name, "columns of W_h moved"), right, atol=2e-15)
    assert np.abs(wrong - right).max() > 0.1


def test_constant_weights_cannot_see_a_swapped_gate_or_a_transposed_matrix() -> None:
    name = "trap_constant_weights"
    rng = np.random.default_rng(1)
    w = {key: rng.normal(size=value.shape) for key, value in LSTM(4, 4).by_gate().items()}
    xs = np.random.default_rng(0).normal(size=(5, 1, 4))
    right = by_hand.lstm.forward(w, xs).hs
    planted = {
        "i and f exchanged": w
        | {f"{kind}_{to}{end}": w[f"{kind}_{of}{end}"] for to, of in ("if", "fi") for kind, end in ("Wx", "Wh", ("b", ""))},
        "W_·h transposed": w | {f"W_{gate}h": w[f"W_{gate}h"].T for gate in "ifgo"},
    }
    for mistake, wrong in planted.items():
        assert number(name, f"constant  weights, {mistake:<18}: ") == 0
        change = np.abs(by_hand.lstm.forward(wrong, xs).hs - right).max()
        assert abs(number(name, f"random    weights, {mistake:<18}: ") - change) < 1e-14
        assert change > 0.1
    assert number(name, "constant  weights, W_·x transposed    , D = H: ") == 0
    assert "D ≠ H: refused: lstm.load_by_gate: W_ix must be (4, 3), got (3, 4)" in lesson(name).text


@pytest.mark.parametrize(
    ("kind", "library", "theirs"),
    [
        ("LSTM", "torch", "ifgo"), ("LSTM", "Keras", "ifgo"), ("LSTM", "ONNX", "iofg"),
        ("GRU", "torch", "ruc"), ("GRU", "Keras", "urc"), ("GRU", "ONNX", "urc"),
    ],
)  # fmt: skip
def test_blocks_read_in_the_wrong_order_fit_and_give_other_states(kind: str, library: str, theirs: str) -> None:
    here = {"LSTM": "ifgo", "GRU": "urc"}[kind]
    w = {"LSTM": LSTM, "GRU": GRU}[kind](3, 4, seed=1).by_gate()
    xs = np.random.default_rng(0).normal(size=(10, 1, 3))
    as_read = {
        f"{name}_{read}{end}": (-1 if stood == "u" else 1) * w[f"{name}_{stood}{end}"]
        for read, stood in zip(here, theirs, strict=True)
        for name, end in ("Wx", "Wh", ("b", ""))
    }
    forward = {"LSTM": by_hand.lstm.forward, "GRU": by_hand.gru.forward}[kind]
    apart = np.abs(forward(as_read, xs).hs - forward(w, xs).hs).max()
    ignored, heeded = numbers("trap_gate_orders", f"{kind:<5} from {library:<6} W_x ", after="off by ")
    assert abs(ignored - apart) < 2e-15
    assert heeded < 1e-13
    assert (ignored > 0.1) == (here != theirs or kind == "GRU")


def test_what_a_step_hands_back_is_a_part_of_the_gradient_of_the_state() -> None:
    name, rng = "trap_total_and_partial", np.random.default_rng(0)
    cell, xs, d_hs = LSTM(2, 3, seed=1), rng.normal(size=(5, 1, 2)), rng.normal(size=(5, 1, 3))
    params = cell.by_gate()
    early = by_hand.lstm.forward(params, xs[:3])
    late = by_hand.lstm.backward(params, by_hand.lstm.forward(params, xs[3:], early.state), d_hs[3:])
    step = early.steps[2]
    total_h = late.state.h + d_hs[2]
    total_c = late.state.c + total_h * step.o * (1 - step.q**2)
    for start, part, whole in (
        ("dc_prev that step 4 hands back", late.state.c, total_c),
        ("dh_prev that step 4 hands back", late.state.h, total_h),
    ):
        shown = numbers(name, start, after="off by")[0] / 100
        assert abs(shown - np.abs(part - whole).max() / np.abs(whole).max()) < 0.006
    assert "(True)" in lesson(name).answer


@pytest.mark.parametrize(
    ("name", "kind"), [("ada", "activation derivative"), ("ben", "wrong upstream gradient"), ("cleo", "operator precedence")]
)
def test_each_of_three_wrong_backward_passes_is_named_and_the_right_one_passes(name: str, kind: str) -> None:
    text = lesson("trap_wrong_backward").text
    assert "right: passes" in text
    assert f"{name}: {kind}\n" in text
    assert "3 of 3 named" in lesson("trap_wrong_backward").answer
