"""The facts of the courses about cells, at full precision, by the engine and by hand; each told from its neighbours."""

from math import exp, tanh
from typing import Any

import numpy as np
import pytest
from cell_cases import CLASSES
from minigrad.models import by_hand
from minigrad.models.by_hand import gru as gru_by_hand
from minigrad.models.by_hand import lstm as lstm_by_hand
from minigrad.models.by_hand import rnn as rnn_by_hand
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN, LSTMState
from minigrad.models.layers import Head, unroll

from minigrad import Tensor, concatenate


def sigma(a: float) -> float:
    return 1 / (1 + exp(-a))


def set_all(cell: Any, weight: float, bias: float = 0.0) -> Any:
    cell.load_by_gate({name: np.full(v.shape, bias if name[0] == "b" else weight) for name, v in cell.by_gate().items()})
    return cell


# ---------------------------------------------------------------- C1: the simple RNN and the gate


def test_the_simple_rnn_overwrites_its_state() -> None:
    cell = RNN(1, 1, bias=False)
    cell.load_by_gate({"W_hx": [[0.7]], "W_hh": [[-0.4]]})
    h = cell.step(Tensor([[0.3]]), Tensor([[0.9]])).item()
    assert abs(h - tanh(-0.4 * 0.9 + 0.7 * 0.3)) < 1e-15


def test_one_gate_by_numbers() -> None:
    cell = GatedRNN(1, 1)
    cell.load_by_gate({"W_gs": [[0.5]], "W_gx": [[-1.2]], "W_ss": [[0.8]], "W_sx": [[0.3]]})
    s, x = 0.6, 0.9
    g, new = sigma(0.5 * s - 1.2 * x), tanh(0.8 * s + 0.3 * x)
    got = cell.step(Tensor([[x]]), Tensor([[s]])).item()
    assert abs(got - ((1 - g) * s + g * new)) < 1e-15
    assert abs(got - (g * s + (1 - g) * new)) > 1e-2


def test_gate_0_copies_bit_for_bit_and_gate_1_overwrites() -> None:
    rng = np.random.default_rng(0)
    cell = GatedRNN(1, 4)
    W_gx = np.array([[-1e4], [1e4], [-1e4], [1e4]])
    cell.load_by_gate(
        {"W_gx": W_gx, "W_gs": np.zeros((4, 4)), "W_sx": rng.normal(size=(4, 1)), "W_ss": rng.normal(size=(4, 4))}
    )
    s = Tensor(rng.normal(size=(3, 4)), requires_grad=True)
    x = Tensor(np.abs(rng.normal(size=(3, 1))) + 0.1)
    new = np.tanh(s.data @ cell.W_ss.data.T + x.data @ cell.W_sx.data.T)
    after = cell.step(x, s)
    for i, expected in enumerate([s.data, new, s.data, new]):
        assert after.data[:, i].tobytes() == expected[:, i].tobytes()
    after[:, 0].sum().backward()
    np.testing.assert_array_equal(s.grad, [[1.0, 0.0, 0.0, 0.0]] * 3)


@pytest.mark.parametrize("steps", [1, 100])
def test_a_closed_update_gate_of_the_gru_copies_bit_for_bit(steps: int) -> None:
    cell = GRU(2, 3, seed=0)
    values = cell.by_gate()
    cell.load_by_gate(values | {"b_u": np.full(3, -1e4)})
    start = np.random.default_rng(1).normal(size=(2, 3))
    _, h = unroll(cell, np.random.default_rng(2).normal(size=(steps, 2, 2)), start)
    assert h.data.tobytes() == start.tobytes()
    cell.load_by_gate(values | {"b_u": np.full(3, 1e4), "W_ch": np.zeros((3, 3)), "W_cx": np.zeros((3, 2))})
    _, h = unroll(cell, np.random.default_rng(2).normal(size=(steps, 2, 2)), start)
    np.testing.assert_array_equal(h.data, np.broadcast_to(np.tanh(values["b_c"]), (2, 3)))


def test_an_open_forget_gate_and_a_closed_input_gate_carry_the_cell_and_its_gradient_over_100_steps() -> None:
    cell = LSTM(2, 3, seed=0)
    cell.load_by_gate(cell.by_gate() | {"b_f": np.full(3, 1e4), "b_i": np.full(3, -1e4)})
    start = np.random.default_rng(1).normal(size=(2, 3))
    c_0 = Tensor(start, requires_grad=True)
    _, (c, _) = unroll(cell, np.random.default_rng(2).normal(size=(100, 2, 2)), LSTMState(c_0, Tensor(np.zeros((2, 3)))))
    assert c.data.tobytes() == start.tobytes()
    c.sum().backward()
    np.testing.assert_array_equal(c_0.grad, np.ones((2, 3)))


# ---------------------------------------------------------------- C1: the LSTM by numbers


def lstm_by_numbers(output_tanh: bool) -> tuple[float, float]:
    """Every weight, h and c equal to 1, no bias, x = 5; the engine and by_hand agree to the last bits."""
    cell = set_all(LSTM(1, 1, output_tanh=output_tanh), 1.0)
    one = np.ones((1, 1))
    c, h = (part.item() for part in cell.step(Tensor([[5.0]]), LSTMState(Tensor(one), Tensor(one))))
    trace = lstm_by_hand.forward(cell.by_gate(), [[[5.0]]], (one, one), output_tanh=output_tanh)
    assert abs(trace.state.c.item() - c) < 1e-15
    assert abs(trace.state.h.item() - h) < 1e-15
    return c, h


def test_the_lstm_by_numbers_at_full_precision() -> None:
    gate, candidate = sigma(6), tanh(6)
    c, h = lstm_by_numbers(output_tanh=True)
    assert abs(c - (gate * 1 + gate * candidate)) < 1e-15
    assert abs(h - gate * tanh(c)) < 1e-15
    assert abs(c - 1.995042495722) < 1e-12
    assert abs(h - 0.961292842529) < 1e-12
    assert abs(lstm_by_numbers(output_tanh=False)[1] - gate * c) < 1e-15


def test_full_precision_tells_the_lstm_from_three_wrong_formulas_that_round_to_the_same() -> None:
    gate, candidate = sigma(6), tanh(6)
    right = lstm_by_numbers(output_tanh=True)[1]
    wrong = {
        "candidate through σ": gate * tanh(gate + gate * gate),
        "cell without the input gate": gate * tanh(gate + candidate),
        "cell without the forget gate": gate * tanh(1 + gate * candidate),
        "output without its gate": tanh(gate + gate * candidate),
    }
    assert round(right) == 1
    for formula, h in wrong.items():
        assert round(h) == 1, formula
        assert abs(h - right) > 1e-5, formula


# ---------------------------------------------------------------- C3: GRU, LSTM, sizes


def test_every_gate_of_an_lstm_with_100_units_has_100_entries() -> None:
    cell = LSTM(10, 100)
    nodes = {}
    hs, _ = unroll(cell, np.ones((1, 1, 10)))
    stack = [hs.node]
    while stack:
        node = stack.pop()
        nodes[node.name] = node.shape
        stack.extend(source for source in node.inputs if source is not None)
    assert {nodes[gate] for gate in "ifgo"} == {(1, 100)}


GRU_BY_NUMBERS = {
    "W_ux": [[0.2]], "W_uh": [[-0.5]], "b_u": [1.1],
    "W_rx": [[-0.7]], "W_rh": [[0.4]], "b_r": [0.3],
    "W_cx": [[0.9]], "W_ch": [[-1.1]], "b_c": [-0.2],
}


def test_the_gru_of_the_course_by_numbers() -> None:
    cell = GRU(1, 1)
    cell.load_by_gate(GRU_BY_NUMBERS)
    x, h = 0.8, 0.6
    u, r = sigma(-0.5 * h + 0.2 * x + 1.1), sigma(0.4 * h - 0.7 * x + 0.3)
    candidate = tanh(-1.1 * (r * h) + 0.9 * x - 0.2)
    got = cell.step(Tensor([[x]]), Tensor([[h]])).item()
    assert abs(got - (u * candidate + (1 - u) * h)) < 1e-15
    neighbours = {
        "u on the old state (torch's z)": u * h + (1 - u) * candidate,
        "u and r exchanged": r * tanh(-1.1 * u * h + 0.9 * x - 0.2) + (1 - r) * h,
        "no reset gate": u * tanh(-1.1 * h + 0.9 * x - 0.2) + (1 - u) * h,
        "no update gate": candidate,
    }
    for formula, wrong in neighbours.items():
        assert abs(got - wrong) > 1e-2, formula


def test_reset_before_and_after_are_different_functions_of_the_same_weights() -> None:
    rng = np.random.default_rng(0)
    D, H = 3, 4
    before, after = GRU(D, H, seed=1), GRU(D, H, reset="after", seed=1)
    weights = {name: 1.5 * rng.normal(size=value.shape) for name, value in before.by_gate().items()}
    before.load_by_gate(weights)
    after.load_by_gate(weights | {"b_ch": np.zeros(H)})
    x, h = rng.normal(size=(2, D)), rng.normal(size=(2, H))
    got_before = before.step(Tensor(x), Tensor(h)).numpy()
    got_after = after.step(Tensor(x), Tensor(h)).numpy()

    def gate(name: str) -> Any:
        return 1 / (1 + np.exp(-(h @ weights[f"W_{name}h"].T + x @ weights[f"W_{name}x"].T + weights[f"b_{name}"])))

    u, r, wx = gate("u"), gate("r"), x @ weights["W_cx"].T + weights["b_c"]
    np.testing.assert_allclose(got_before, u * np.tanh((r * h) @ weights["W_ch"].T + wx) + (1 - u) * h, rtol=1e-13)
    np.testing.assert_allclose(got_after, u * np.tanh(r * (h @ weights["W_ch"].T) + wx) + (1 - u) * h, rtol=1e-13)
    assert np.abs(got_before - got_after).max() > 0.1


def test_the_second_bias_of_reset_after_is_not_redundant() -> None:
    cell = GRU(1, 1, reset="after")
    cell.load_by_gate(GRU_BY_NUMBERS | {"b_c": [0.0], "b_ch": [-0.2]})
    moved = cell.step(Tensor([[0.8]]), Tensor([[0.6]])).item()
    cell.load_by_gate(GRU_BY_NUMBERS | {"b_ch": [0.0]})
    assert abs(moved - cell.step(Tensor([[0.8]]), Tensor([[0.6]])).item()) > 1e-2


def test_the_lstm_without_output_tanh_is_the_formula_printed_in_the_course() -> None:
    rng = np.random.default_rng(0)
    cells = [LSTM(2, 3, output_tanh=flag, seed=1) for flag in (True, False)]
    x, c, h = Tensor(rng.normal(size=(2, 2))), Tensor(rng.normal(size=(2, 3))), Tensor(rng.normal(size=(2, 3)))
    standard, printed = (cell.step(x, LSTMState(c, h)) for cell in cells)
    np.testing.assert_array_equal(standard.c.data, printed.c.data)
    np.testing.assert_allclose(standard.h.data / np.tanh(standard.c.data), printed.h.data / printed.c.data, rtol=1e-12)
    assert np.abs(standard.h.data - printed.h.data).max() > 1e-3


# ---------------------------------------------------------------- C4: two forms of one step, the cost


def test_concatenated_and_split_form_of_the_rnn_step_are_equal_with_the_state_first() -> None:
    cell = RNN(3, 4, seed=0)
    rng = np.random.default_rng(1)
    h, x = Tensor(rng.normal(size=(2, 4))), Tensor(rng.normal(size=(2, 3)))
    W_h = concatenate([cell.W_hh, cell.W_hx], axis=-1)
    joined = np.tanh(concatenate([h, x], axis=-1) @ W_h.T + cell.b_h)
    split = cell.step(x, h)
    np.testing.assert_allclose(joined.data, split.data, rtol=1e-14)
    grads = []
    for form in (joined, split):
        cell.zero_grad()
        (form * form).sum().backward()
        grads.append(cell.by_gate(grad=True))
    for name in grads[0]:
        np.testing.assert_allclose(grads[0][name], grads[1][name], rtol=1e-12)


def test_the_cost_is_averaged_over_time_and_batch() -> None:
    head = Head(3, 5, seed=0)
    rng = np.random.default_rng(1)
    hs, targets = rng.normal(size=(4, 2, 3)), rng.integers(5, size=(4, 2))
    each = [head.loss(Tensor(hs[t, b]), targets[t, b]).item() for t in range(4) for b in range(2)]
    assert abs(head.loss(Tensor(hs), targets).item() - np.mean(each)) < 1e-15


# ---------------------------------------------------------------- C5: the gradient of the hidden bias


def test_the_hidden_bias_gradient_is_the_double_sum_and_none_of_the_wrong_answers() -> None:
    T, D, H, N = 5, 2, 3, 4
    rng = np.random.default_rng(0)
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    xs, targets = rng.normal(size=(T, 1, D)), rng.integers(N, size=(T, 1))
    hs, _ = unroll(cell, xs)
    (head.loss(hs, targets) * float(T)).backward()  # L = Σ_t L_t

    h = hs.numpy()[:, 0]
    z = h @ head.W_yh.data.T + head.b_y.data
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dL_dh = [(p[t] - np.eye(N)[targets[t, 0]]) @ head.W_yh.data for t in range(T)]
    dh_db = [np.diag(1 - h[k] ** 2) for k in range(T)]
    dh_dh = [np.diag(1 - h[i] ** 2) @ cell.W_hh.data for i in range(T)]

    def product(k: int, t: int) -> np.ndarray:
        jacobian = np.eye(H)
        for i in range(k + 1, t + 1):
            jacobian = dh_dh[i] @ jacobian
        return jacobian

    right = sum(dL_dh[t] @ product(k, t) @ dh_db[k] for t in range(T) for k in range(t + 1))
    np.testing.assert_allclose(cell.b_h.grad, right, rtol=1e-12)
    trace = rnn_by_hand.forward(cell.by_gate(), xs)
    d_hs = np.reshape(dL_dh, (T, 1, H))
    np.testing.assert_allclose(rnn_by_hand.backward(cell.by_gate(), trace, d_hs).params["b_h"], right, rtol=1e-12)
    wrong = {
        "one step only": dL_dh[-1] @ dh_db[-1],
        "k = t only": sum(dL_dh[t] @ dh_db[t] for t in range(T)),
        "the sum without the product": sum(dL_dh[t] @ dh_db[k] for t in range(T) for k in range(t + 1)),
        "k = 0 only": sum(dL_dh[t] @ product(0, t) @ dh_db[0] for t in range(T)),
    }
    for answer, value in wrong.items():
        assert np.abs(value - right).max() > 1e-2, answer
    np.testing.assert_allclose(head.b_y.grad, (p - np.eye(N)[targets[:, 0]]).sum(axis=0), rtol=1e-12)


# ---------------------------------------------------------------- both implementations


@pytest.mark.parametrize("name", CLASSES)
def test_every_cell_has_its_hand_derivation_under_the_same_name(name: str) -> None:
    assert set(by_hand.CELLS[name].SHAPES) == set(CLASSES[name](2, 3, bias=True).by_gate())
    assert set(gru_by_hand.SHAPES_AFTER) == set(GRU(2, 3, reset="after").by_gate())
