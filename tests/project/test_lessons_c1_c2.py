"""The numbers in the lessons of C1 and C2, computed a second time without the engine."""

from math import exp, log, tanh
from typing import Any

import numpy as np
import pytest
from lesson_runs import lesson, number, numbers
from minigrad.models import GRU, LSTM, RNN, Head, by_hand


def sigma(a: float) -> float:
    return 1 / (1 + exp(-a))


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum()


# ---------------------------------------------------------------- C1


@pytest.mark.parametrize(("W", "s_0"), [(1.0, 0.9), (1.0, 0.1), (2.0, 0.9), (2.0, 0.1)])
def test_a_simple_rnn_overwrites_a_state_it_was_to_keep(W: float, s_0: float) -> None:
    s = [s_0]
    for _ in range(100):
        s.append(tanh(W * s[-1]))
    first, hundredth = numbers("c1_simple_rnn", f"{W:<6} {s_0:<5}")
    assert abs(first - s[1]) < 1e-15
    assert abs(hundredth - s[100]) < 1e-13
    assert abs(first - s_0) > 3e-4


def test_one_step_of_the_simple_rnn() -> None:
    s_1 = number("c1_simple_rnn", "one step with", after="tanh(−0.15) = ")
    assert abs(s_1 - tanh(-0.4 * 0.9 + 0.7 * 0.3)) < 1e-15


def test_gates_of_0_a_half_and_1() -> None:
    rng = np.random.default_rng(0)
    W_sx, W_ss = rng.normal(size=(3, 1)), rng.normal(size=(3, 3))
    candidate = np.tanh(W_ss @ np.full(3, 1 / 3) + W_sx[:, 0])
    expected = {"0.0 ": 1 / 3, "0.5 ": (1 / 3 + candidate[1]) / 2, "1.0 ": candidate[2]}
    for i, (gate, state) in enumerate(expected.items()):
        old, new, now, *_ = numbers("c1_gates", gate)
        assert old == 1 / 3
        assert abs(new - candidate[i]) < 1e-15
        assert abs(now - state) < 1e-15
    assert lesson("c1_gates").text.count((1 / 3).hex()) == 3
    assert numbers("c1_gates", "∂s_1000[0]/∂s_0 = ") == [1, 0, 0]
    assert lesson("c1_gates").answer.count("(True)") == 2


@pytest.mark.parametrize(
    ("handed", "keep_c", "keep_h"), [("c and h", 1, 1), ("h only", 0, 1), ("c only", 1, 0), ("nothing", 0, 0)]
)
def test_the_state_of_an_lstm_is_c_and_h(handed: str, keep_c: int, keep_h: int) -> None:
    params = LSTM(2, 3, seed=1).by_gate()
    xs = np.random.default_rng(0).normal(size=(8, 1, 2))
    whole = by_hand.lstm.forward(params, xs)
    c, h = by_hand.lstm.forward(params, xs[:4]).state
    rest = by_hand.lstm.forward(params, xs[4:], (keep_c * c, keep_h * h))
    printed = number("c1_lstm_state", f"handed over {handed:<8}", after="= ")
    assert abs(printed - np.abs(rest.hs - whole.hs[4:]).max()) < 1e-14
    assert (printed == 0) == (handed == "c and h")


def test_the_lstm_by_numbers_and_its_four_look_alikes() -> None:
    gate, g = sigma(6), tanh(6)
    formulas = {
        "right: σ(6) · tanh(σ(6) + σ(6) · tanh(6))": gate * tanh(gate + gate * g),
        "wrong: candidate through σ instead of tanh": gate * tanh(gate + gate * gate),
        "wrong: no input gate, c_t = f · c + g": gate * tanh(gate + g),
        "wrong: no forget gate, c_t = c + i · g": gate * tanh(1 + gate * g),
        "wrong: no output gate, h_t = tanh(c_t)": tanh(gate + gate * g),
    }
    assert abs(number("c1_lstm_by_numbers", "c_t = ") - 1.9950424957219832) < 1e-15
    h = number("c1_lstm_by_numbers", "h_t = ")
    assert abs(h - 0.9612928425291203) < 1e-15
    for formula, value in formulas.items():
        printed, _, rounded = numbers("c1_lstm_by_numbers", formula)
        assert abs(printed - value) < 1e-15
        assert rounded == 1
        assert (abs(value - h) < 1e-15) if formula.startswith("right") else (abs(value - h) > 1e-4)


# ---------------------------------------------------------------- C2


def test_softmax_the_output_matrix_and_the_state_each_do_their_part() -> None:
    name = "c2_output_distribution"
    params, W_o = RNN(2, 3, bias=False, seed=0).by_gate(), Head(3, 4, seed=1).W_yh.numpy()
    xs = np.random.default_rng(2).normal(size=(5, 1, 2))
    other = np.concatenate([-xs[:4], xs[4:]])
    z, z_other = (W_o @ by_hand.rnn.forward(params, x).hs[4, 0] for x in (xs, other))
    np.testing.assert_allclose(numbers(name, "W_o s_5 ", after="= ")[:4], z, atol=2e-15)
    p = np.array(numbers(name, "softmax(W_o s_5) ", after="= ")[:4])
    np.testing.assert_allclose(p, softmax(z), atol=2e-15)
    assert p.min() > 0 > z.min()
    assert abs(numbers(name, "softmax(W_o s_5) ", after="sum ")[0] - 1) < 1e-15
    np.testing.assert_allclose(numbers(name, "same x_5", after="x_4: "), softmax(z_other), atol=2e-15)
    np.testing.assert_allclose(numbers(name, "rows 0 and 1"), p[[1, 0, 2, 3]], atol=2e-15)
    assert np.abs(softmax(z_other) - p).max() > 0.1


def test_the_rnn_uses_history_that_no_window_holds() -> None:
    name = "c2_variable_history"
    perplexity = {n: number(name, f"{n}-gram ", after="perplexity ") for n in range(1, 9)}
    rnn, rule = (number(name, who, after="perplexity ") for who in ("RNN (GRU)", "the rule"))
    assert number(name, "uniform") == 8
    assert abs(rule - exp((log(3) + log(7) + 5 * log(2)) / 7)) < 1e-11
    assert min(perplexity, key=lambda n: perplexity[n]) == 5
    assert rule * 0.98 < rnn < 1.05 * rule < 0.9 * min(perplexity.values())
    assert f"n = 5, at perplexity {perplexity[5]:.2f}" in lesson(name).answer


def test_the_1_gram_perplexity_is_kneser_and_neys_by_its_definition() -> None:
    learnt, unseen = written_again(900, seed=0), written_again(300, seed=1)
    symbols = "".join(sorted(set(learnt)))
    counts = np.array([learnt.count(symbol) for symbol in symbols])
    assert (counts > 2).all()  # nothing was seen once, so the discount is ½ and never cuts a count to 0
    p = (counts - 0.5 + 0.5 * len(symbols) * 1 / len(symbols)) / counts.sum()
    nats = -np.mean([np.log(p[symbols.index(symbol)]) for symbol in unseen[1:]])
    assert abs(number("c2_variable_history", "1-gram ", after="perplexity ") - exp(nats)) < 1e-10


def written_again(count: int, seed: int) -> str:
    """The words of the lesson's text."""
    rng = np.random.default_rng(seed)
    text = ""
    for _ in range(count):
        kind, letters = rng.integers(3), rng.choice(["a", "b"], size=rng.integers(2, 9))
        text += "([{"[kind] + "".join(letters) + ")]}"[kind]
    return text


def test_the_influence_of_far_inputs_is_that_of_the_hand_derived_gradients() -> None:
    name, T, D, H = "c2_far_context", 60, 2, 8
    xs = np.random.default_rng(0).normal(size=(T, 1, D))
    cells: dict[str, tuple[Any, Any]] = {
        "RNN": (by_hand.rnn, RNN(D, H, seed=1)),
        "GRU": (by_hand.gru, GRU(D, H, seed=1)),
        "LSTM": (by_hand.lstm, LSTM(D, H, seed=1)),
        "LSTM, b_f = 6": (by_hand.lstm, LSTM(D, H, forget_bias=6.0, seed=1)),
    }
    for label, (formulas, cell) in cells.items():
        trace = formulas.forward(cell.by_gate(), xs)
        rows = []
        for i in range(H):
            d_hs = np.zeros((T, 1, H))
            d_hs[-1, 0, i] = 1
            rows.append(formulas.backward(cell.by_gate(), trace, d_hs).xs[::-1, 0])
        norms = np.linalg.norm(rows, axis=(0, 2))
        *found, moved = numbers(name, f"{label:<25}")
        np.testing.assert_allclose(found, norms[[0, 1, 5, 10, 30, 59]], rtol=1e-7)
        assert all(value > 0 for value in found)
        if "6" in label:
            assert found[-1] > 0.01
            assert moved > 0.01
    assert lesson(name).answer.startswith("false.")


def test_the_encoded_state_remembers_which_bracket_to_close() -> None:
    name = "c2_encode_generate"
    brackets, symbols, own = numbers(name, "of ")[:3]
    assert symbols == 2000
    assert own / brackets > 0.95
    assert "write the same symbols: True" in lesson(name).text
    for prompt, right in (("(ab ", ")"), ("[ab ", "]"), ("{ab ", "}"), ("{abbababa ", "}")):
        line = next(line for line in lesson(name).text.splitlines() if line.startswith(prompt))
        assert "state of 16 numbers" in line
        p = {bracket: float(line.split(f"P({bracket}) = ")[1].split()[0]) for bracket in ")]}"}
        assert p[right] > 4 * max(p[other] for other in p if other != right)
