"""The numbers in the lessons of C4 and C5, computed a second time without the engine."""

from math import exp, tanh

import numpy as np
import pytest
from lesson_runs import lesson, number, numbers
from minigrad.models import RNN, Head, by_hand
from minigrad.models.language import LanguageModel

Arrays = dict[str, np.ndarray]


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def network(D: int, H: int, N: int) -> tuple[Arrays, Arrays]:
    """The parameters of the RNN and the head that most lessons use."""
    head = Head(H, N, seed=2)
    return RNN(D, H, seed=1).by_gate(), {"W_yh": head.W_yh.numpy(), "b_y": head.b_y.numpy()}


# ---------------------------------------------------------------- C4


def test_the_two_forms_are_equal_with_the_state_first_only() -> None:
    name = "c4_two_forms"
    xs = np.random.default_rng(0).normal(size=(6, 2, 3))
    w = RNN(3, 4, seed=1).by_gate()
    right = by_hand.rnn.forward(w, xs).hs
    columns = np.hstack([w["W_hx"], w["W_hh"]])
    wrong = by_hand.rnn.forward({"W_hh": columns[:, :4], "W_hx": columns[:, 4:], "b_h": w["b_h"]}, xs).hs
    for what in ("h_1 … h_6 ", "∂L/∂W_hh ", "∂L/∂W_hx ", "∂L/∂b_h "):
        assert number(name, what, after="difference ") < 1e-13
    assert abs(number(name, "with [W_hx, W_hh]", after="difference ") - np.abs(wrong - right).max()) < 1e-13
    assert "W_h is [W_hh, W_hx] to the bit: True" in lesson(name).text
    assert lesson(name).answer.startswith("yes")


def test_five_arrays_are_trained_and_the_cost_falls_as_it_does_by_hand() -> None:
    name = "c4_what_is_trained"
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(4, 2, 3)), rng.integers(6, size=(4, 2))
    cell, head = network(3, 5, 6)
    costs = []
    for update in range(100):
        trace = by_hand.rnn.forward(cell, xs)
        out = by_hand.head.forward(head, trace.hs, targets)
        from_head = by_hand.head.backward(head, out)
        gradients = from_head.params | by_hand.rnn.backward(cell, trace, from_head.hs).params
        costs.append(float(out.loss))
        if update == 0:
            for parameter, g in gradients.items():
                assert abs(number(name, f"{parameter} ", after="‖ = ") - np.linalg.norm(g)) < 1e-11
        cell = {key: value - gradients[key] for key, value in cell.items()}
        head = {key: value - gradients[key] for key, value in head.items()}
    before, after = number(name, "cost before "), number(name, "cost before ", after="updates ")
    np.testing.assert_allclose([before, after], [costs[0], costs[-1]], atol=1e-10)
    assert lesson(name).answer.startswith("W_hh, W_hx, W_yh, b_h, b_y.")


def test_the_cost_is_the_sum_divided_by_t_times_b() -> None:
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(5, 3, 2)), rng.integers(7, size=(5, 3))
    cell, head = network(2, 4, 7)
    p = softmax(by_hand.rnn.forward(cell, xs).hs @ head["W_yh"].T + head["b_y"])
    total = -sum(np.log(p[t, b, targets[t, b]]) for t in range(5) for b in range(3))
    assert abs(number("c4_cost", "the library: ") - total / 15) < 1e-14
    for by, divisor in {"T · B": 15, "T": 5, "B": 3, "T · B · N": 105}.items():
        assert abs(number("c4_cost", f"sum of 15 terms divided by {by:<9} = ") - total / divisor) < 1e-12


def test_perplexity_is_taken_over_all_symbols() -> None:
    name = "c4_perplexity"
    text = np.random.default_rng(0).permutation(np.repeat(np.arange(10), [400, 200, 100, 100, 50, 50, 40, 30, 20, 10]))
    learnt, unseen = text[:800], text[800:]
    assert abs(number(name, "uniform model: ", after="perplexity ") - 10) < 1e-12
    counts = np.bincount(learnt)
    p = (counts - 0.5 + 0.5) / counts.sum()  # Kneser and Ney's: nothing was seen once, so D = ½, mixed with D · N / N
    assert (counts > 2).all()
    one_gram = exp(-np.log(p[unseen[1:]]).mean())
    assert abs(number(name, "1-gram model: ", after="perplexity ") - one_gram) < 1e-11
    assert abs(number(name, "1-gram, exp of the mean", after="definition: ") - one_gram) < 1e-11

    model = LanguageModel(10, hidden_size=4, seed=1)
    nats = []
    for sentence in (unseen[:4], unseen[4:]):
        hs = by_hand.lstm.forward(model.cell.by_gate(), np.eye(10)[sentence[:-1]][:, None]).hs[:, 0]
        p = softmax(hs @ model.head.W_yh.numpy().T + model.head.b_y.numpy())
        nats.append(-np.log(p[range(len(p)), sentence[1:]]))
    assert [len(part) for part in nats] == numbers(name, "two sentences of ")[:2]
    over_all, averaged = exp(np.concatenate(nats).mean()), float(np.mean([exp(part.mean()) for part in nats]))
    assert abs(number(name, "two sentences of ", after="symbols ") - over_all) < 1e-11
    assert abs(number(name, " " * 42 + "mean of the sentences' perplexities ") - averaged) < 1e-11
    assert averaged - over_all > 1


@pytest.mark.parametrize("W", [0.9, 1.0, 1.1])
def test_tanh_bounds_the_state_and_relu_does_not(W: float) -> None:
    h, slope = 0.5, 1.0
    for _ in range(50):
        h = tanh(W * h)
        slope *= W * (1 - h * h)
    np.testing.assert_allclose(numbers("c4_activations", f"tanh, W_hh = {W}: h_50 = "), [h, slope], rtol=1e-12)
    np.testing.assert_allclose(numbers("c4_activations", f"relu, W_hh = {W}: h_50 = "), [0.5 * W**50, W**50], rtol=1e-12)


def test_one_step_with_relu() -> None:
    assert number("c4_activations", "relu, h_0 = 0.4, x_1 = 0.3: ", after="+ 0.1) = ") == 0
    assert abs(number("c4_activations", "relu, h_0 = 0.4, x_1 = 0.1: ", after="+ 0.1) = ") - 0.1) < 1e-15


def test_layers_are_cells_over_cells_and_side_by_side() -> None:
    name = "c4_deep_and_bidirectional"
    for line in ("deep: outputs (6, 2, 4) ", "deep: final states (2, 2, 4) ", "bidirectional: outputs (6, 2, 8): "):
        assert number(name, line, after="largest difference ") < 1e-13
    assert numbers(name, "an LSTM with 3 layers", after="outputs ") == [6, 2, 8, 6, 2, 4]


@pytest.mark.parametrize("cell", ["rnn", "gated_rnn", "gru", "lstm"])
def test_scan_repeats_unroll(cell: str) -> None:
    line = f"{cell:<10} scan and unroll: states differ by "
    assert number("c4_scan", line) < 1e-13
    assert number("c4_scan", line, after="gradients by ") < 1e-13


def test_scan_runs_what_is_no_network() -> None:
    means = [sum([2, 4, 9, 1][: t + 1]) / (t + 1) for t in range(4)]
    assert numbers("c4_scan", "running mean of ", after="]: ") == [*means, 4, 16]


# ---------------------------------------------------------------- C5


def test_an_rnn_generalises_over_positions_of_a_fixed_length() -> None:
    name = "c5_fixed_length"
    share = sum("111" in format(number, "010b") for number in range(1024)) / 1024
    assert abs(number(name, "1 1 1 is in ") - 100 * share) < 0.05
    size_r, by_heart_r, rest_r = numbers(name, "RNN ")
    size_f, by_heart_f, rest_f = numbers(name, "feed-forward ")
    assert (size_r, size_f) == (8 + 64 + 8 + 16 + 2, 80 + 8 + 16 + 2)
    assert by_heart_r == by_heart_f == 1
    assert rest_r > 0.95 > 0.88 > rest_f


def test_the_prediction_is_a_vector_of_n_numbers_between_0_and_1() -> None:
    xs = np.random.default_rng(0).normal(size=(3, 1, 4))
    cell, head = network(4, 5, 12)
    hs = by_hand.rnn.forward(cell, xs).hs[:, 0]
    for scale in (1, 10):
        for t in (1, 2, 3):
            y = softmax(scale * head["W_yh"] @ hs[t - 1] + head["b_y"])
            line = f"{scale:>2} U: scores h_{t} "
            length, smallest, largest, total = numbers("c5_prediction_vector", line, after=f"ŷ_{t}: length ")
            assert length == 12
            assert 0 < smallest < largest < 1
            np.testing.assert_allclose([smallest, largest], [y.min(), y.max()], atol=1e-9)
            assert total == 1


def loss_of_step(cell: Arrays, head: Arrays, xs: np.ndarray, targets: np.ndarray, b_h: np.ndarray, t: int) -> complex:
    """L_t where step k has the hidden bias b_h[k − 1] of its own, and the output bias b_y."""
    h = np.zeros(len(cell["b_h"]))
    for k in range(t):
        h = np.tanh(cell["W_hh"] @ h + cell["W_hx"] @ xs[k, 0] + b_h[k])
    z = head["W_yh"] @ h + head["b_y"]
    return complex(np.log(np.exp(z).sum()) - z[targets[t - 1, 0]])


def test_the_gradient_of_the_output_bias_is_a_sum_over_steps() -> None:
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(4, 1, 2)), rng.integers(5, size=(4, 1))
    cell, head = network(2, 3, 5)
    b_h, total = np.tile(cell["b_h"], (4, 1)), np.zeros(5)
    for t in range(1, 5):
        tilted = [head | {"b_y": head["b_y"] + 1e-30j * np.eye(5)[n]} for n in range(5)]
        g = np.array([loss_of_step(cell, moved, xs, targets, b_h, t).imag / 1e-30 for moved in tilted])
        np.testing.assert_allclose(numbers("c5_output_bias", f"t = {t}: ", after="b_y = "), g, atol=2e-15)
        total += g
    np.testing.assert_allclose(numbers("c5_output_bias", "sum over t ", after="= "), total, atol=5e-15)
    np.testing.assert_allclose(numbers("c5_output_bias", "autograd's ", after="= "), total, atol=5e-15)


def test_the_gradient_of_the_hidden_bias_is_the_double_sum_and_each_wrong_answer_is_what_it_says() -> None:
    T, H = 5, 3
    rng = np.random.default_rng(0)
    xs, targets = rng.normal(size=(T, 1, 2)), rng.integers(4, size=(T, 1))
    cell, head = network(2, H, 4)
    hs = by_hand.rnn.forward(cell, xs).hs[:, 0]
    part = np.zeros((T + 1, T + 1, H))  # part[t, k]: ∂L_t by the bias of step k alone
    for t in range(1, T + 1):
        for k in range(1, t + 1):
            for j in range(H):
                b_h = np.tile(cell["b_h"].astype(complex), (T, 1))
                b_h[k - 1, j] += 1e-30j
                part[t, k, j] = loss_of_step(cell, head, xs, targets, b_h, t).imag / 1e-30
    steps, slope = range(1, T + 1), 1 - np.vstack([np.zeros(H), hs]) ** 2
    answers = {
        "autograd": part.sum(axis=(0, 1)),
        "the double sum with the product": part.sum(axis=(0, 1)),
        "one step only, t = T": part[T, T],
        "k = t only, no product": sum(part[t, t] for t in steps),
        "the sum without the product": sum(part[t, t] / slope[t] * slope[k] for t in steps for k in range(1, t + 1)),
        "the first step only (k = 0 there)": part[:, 1].sum(axis=0),
    }
    right = answers["autograd"]
    for answer, value in answers.items():
        printed = numbers("c5_hidden_bias", f"{answer:<35}")
        np.testing.assert_allclose(printed[:H], value, atol=5e-15)
        distance = np.abs(value - right).max() / np.abs(right).max()
        if "double" not in answer and answer != "autograd":
            assert distance > 0.05
            assert abs(printed[H] - distance) < 0.06 * distance
    handed_in = numbers("c5_hidden_bias", "handed in by a program that detaches the state at every step: ")
    np.testing.assert_allclose(handed_in[:H], answers["k = t only, no product"], atol=5e-15)
    assert "this is: k = t only, no product\n" in lesson("c5_hidden_bias").text
    assert lesson("c5_hidden_bias").answer.startswith("the double sum with the product.")
