"""The numbers in the lessons of C3, computed a second time without the engine."""

from itertools import product
from math import exp, tanh

import numpy as np
import pytest
from lesson_runs import lesson, number, numbers
from minigrad.models import GRU, RNN, Head, by_hand
from minigrad.models.language import LanguageModel


def sigma(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def test_a_state_depends_on_its_own_example_up_to_its_own_step() -> None:
    xs = np.random.default_rng(0).normal(size=(5, 3, 2))
    params = RNN(2, 4, seed=1).by_gate()
    d_hs = np.zeros((5, 3, 4))
    d_hs[2, 1] = 1
    expected = np.abs(by_hand.rnn.backward(params, by_hand.rnn.forward(params, xs), d_hs).xs).sum(axis=2)
    for j in (1, 2, 3):
        np.testing.assert_allclose(numbers("c3_indexing", f"j = {j}"), expected[:, j - 1], atol=1e-14)
    assert "(2, 1), (2, 2), (2, 3) and on no other" in lesson("c3_indexing").answer


@pytest.mark.parametrize(
    ("architecture", "sees"),
    [
        ("one-to-one", ["■"]),
        ("one-to-many", ["■"] * 3),
        ("many-to-one", ["■■■■"]),
        ("many-to-many, T_x = T_y", ["■···", "■■··", "■■■·", "■■■■"]),
        ("encoder–decoder, T_x ≠ T_y", ["■■■■"] * 3),
    ],
)
def test_what_each_output_of_an_architecture_sees(architecture: str, sees: list[str]) -> None:
    (line,) = (line for line in lesson("c3_architectures").text.splitlines() if line.startswith(f"{architecture:<27} T_x"))
    assert line.split("…: ")[1].split("   ") == [f"ŷ<{t}> {row}" for t, row in enumerate(sees, 1)]
    assert f"T_x = {len(sees[0])}, T_y = {len(sees)} " in line


def conditionals(sentence: tuple[int, ...]) -> np.ndarray:
    """Row t−1 is the distribution of word t in the lesson's language model, by the hand-derived forward pass."""
    model = LanguageModel(vocabulary_size=3, hidden_size=5, cell="lstm", seed=0)
    xs = np.eye(3)[[0, *sentence[:-1]]][:, None]
    hs = by_hand.lstm.forward(model.cell.by_gate(), xs).hs[:, 0]
    return softmax(hs @ model.head.W_yh.numpy().T + model.head.b_y.numpy())


def test_a_language_model_estimates_the_next_word_given_those_before_it() -> None:
    name = "c3_language_model"
    p, q = conditionals((2, 1, 0, 2)), conditionals((2, 1, 1, 2))
    for t in range(1, 5):
        *found, change = numbers(name, f"P(y<{t}>", after="= ")
        np.testing.assert_allclose(found, p[t - 1], atol=1e-14)
        assert abs(change - np.abs(p - q).max(axis=1)[t - 1]) < 1e-14
        assert (change > 0) == (t == 4)
    assert abs(number(name, "P((2, 1, 0, 2))", after="y<t−1>) = ") - p[range(4), [2, 1, 0, 2]].prod()) < 1e-15
    assert abs(number(name, "sum of P", after="= ") - 1) < 1e-12
    assert abs(sum(conditionals(y)[range(4), y].prod() for y in product(range(3), repeat=4)) - 1) < 1e-12


def test_drawing_and_passing_on_what_was_drawn_writes_as_the_text_does() -> None:
    name = "c3_sampling"
    assert numbers(name, "the share of cats", after="is ")[0] == 0.7
    assert abs(numbers(name, "the share of cats", after="the) = ")[0] - 0.7) < 0.05
    cat, dog, other = numbers(name, "draw, pass on the drawn word")
    assert abs(cat - 0.7) < 0.07
    assert abs(dog - 0.3) < 0.07
    assert other < 0.03
    assert numbers(name, "take the likeliest, pass it on")[1] == 0
    assert numbers(name, "draw, pass on another draw")[2] > 0.3


def test_every_gate_of_100_units_has_100_entries() -> None:
    name = "c3_lstm_gate_size"
    assert [number(name, f"Γ_{gate} ", after=": ") for gate in "ufo"] == [100, 100, 100]
    assert numbers(name, "c<t>: ") == [100, 100, 10_000]
    assert numbers(name, "W_f = [W_fh, W_fx] is ") == [100, 100, 10_000]


def test_one_gru_step_and_four_look_alikes() -> None:
    c, x = 0.6, 0.8
    u, r = float(sigma(np.array(-0.5 * c + 0.2 * x + 1.1))), float(sigma(np.array(0.4 * c - 0.7 * x + 0.3)))

    def candidate(reset: float) -> float:
        return tanh(-1.1 * reset * c + 0.9 * x - 0.2)

    right = u * candidate(r) + (1 - u) * c
    assert abs(number("c3_gru_by_numbers", "c<t> = ") - right) < 1e-15
    formulas = {
        "right": right,
        "wrong: Γ_u on the old state": (1 - u) * candidate(r) + u * c,
        "wrong: Γ_u and Γ_r exchanged": r * candidate(u) + (1 - r) * c,
        "wrong: no reset gate, Γ_r = 1": u * candidate(1.0) + (1 - u) * c,
        "wrong: no update gate, Γ_u = 1": candidate(r),
    }
    for formula, value in formulas.items():
        assert abs(number("c3_gru_by_numbers", f"{formula:<31}") - value) < 1e-15
        assert formula == "right" or abs(value - right) > 0.01


def flow(update: bool, reset: bool, T: int = 100, D: int = 3, H: int = 6) -> np.ndarray:
    """‖∂c<100>/∂c<t>‖ for t = 0 … 99 by differentiation along imaginary steps, exact at any magnitude."""
    w = GRU(D, H, seed=0).by_gate() | {"b_u": np.full(H, -6.0)}
    xs = np.random.default_rng(1).normal(size=(T, D))

    def step(c: np.ndarray, x: np.ndarray) -> np.ndarray:
        u = sigma(c @ w["W_uh"].T + x @ w["W_ux"].T + w["b_u"]) if update else 1.0
        r = sigma(c @ w["W_rh"].T + x @ w["W_rx"].T + w["b_r"]) if reset else 1.0
        return np.asarray(u * np.tanh((r * c) @ w["W_ch"].T + x @ w["W_cx"].T + w["b_c"]) + (1 - u) * c)

    c = [np.zeros(H)]
    for x in xs:
        c.append(step(c[-1], x))
    norms, product_of_jacobians = [], np.eye(H)
    for t in range(T, 0, -1):
        tilted = c[t - 1] + 1e-30j * np.eye(H)                       # row j: entry j moved along the imaginary axis
        product_of_jacobians = product_of_jacobians @ (step(tilted, xs[t - 1]).imag / 1e-30).T
        norms.append(np.linalg.norm(product_of_jacobians))
    return np.array(norms[::-1])


@pytest.mark.parametrize(
    ("line", "update", "reset"),
    [("whole GRU", True, True), ("Γ_r ≡ 1, reset gate removed", True, False), ("Γ_u ≡ 1, update gate removed", False, True)],
)
def test_only_the_update_gate_keeps_gradients_over_100_steps(line: str, update: bool, reset: bool) -> None:
    found = numbers("c3_gru_ablations", f"{line:<29}")
    np.testing.assert_allclose(found, flow(update, reset)[[99, 90, 75, 50, 25, 0]], rtol=1e-8)
    assert (found[-1] > 1) == update
    assert update or found[-1] < 1e-50


def test_both_forms_of_the_lstm_output() -> None:
    gates = {gate: 0.5 + 0.1 * k for k, gate in enumerate("ifgo")}  # the order of by_gate: W_·x, W_·h, b_·
    for column, output in enumerate((np.tanh, lambda c: c)):
        c = a = 0.0
        for t in range(1, 9):
            z = {gate: value + (value + 0.4) * a + (value + 0.8) for gate, value in gates.items()}
            i, f, o = (1 / (1 + exp(-z[gate])) for gate in "ifo")
            c = f * c + i * tanh(z["g"])
            a = o * float(output(c))
            assert abs(numbers("c3_lstm_output_forms", f"{t}   ")[column] - a) < 1e-13
        assert abs(numbers("c3_lstm_output_forms", "c<8> ")[column] - c) < 1e-13


def test_an_lstm_with_a_forget_gate_of_1_minus_the_update_gate_is_a_gru() -> None:
    T, D, H = 20, 3, 4
    g = GRU(D, H, reset_gate=False, seed=0).by_gate()
    rng = np.random.default_rng(1)
    xs, start = rng.normal(size=(T, D)), rng.normal(size=H)
    states = {"gru": start, "same": start}
    apart = 0.0
    for x in xs:
        new = {}
        for kind, c in states.items():
            u = sigma(g["W_uh"] @ c + g["W_ux"] @ x + g["b_u"])
            kept = 1 - u if kind == "gru" else u
            new[kind] = u * np.tanh(g["W_ch"] @ c + g["W_cx"] @ x + g["b_c"]) + kept * c
        states = new
        apart = max(apart, float(np.abs(states["gru"] - states["same"]).max()))
    assert number("c3_gru_and_lstm", "LSTM with Γ_f = 1 − Γ_u ", after="state ") < 1e-14
    assert number("c3_gru_and_lstm", "LSTM with Γ_f = 1 − Γ_u ", after="c<0> ") < 1e-14
    assert abs(number("c3_gru_and_lstm", "LSTM with Γ_f = Γ_u ", after="state ") - apart) < 1e-9


def test_a_mood_from_the_past_needs_one_direction_and_a_mood_from_the_future_two() -> None:
    name = "c3_mood_from_weather"
    right = {(kind, mood): number(name, f"{kind:<15} mood {mood}", after="about ")
             for kind in ("unidirectional", "bidirectional") for mood in "AB"}
    assert right["unidirectional", "A"] > 0.98
    assert right["bidirectional", "A"] > 0.98
    assert right["bidirectional", "B"] > 0.98
    assert right["unidirectional", "B"] < 0.65
    assert numbers(name, "unidirectional  y<5>", after="days ") == [1, 5]
    assert numbers(name, "bidirectional   y<5>", after="days ") == [1, 12]


def test_gradients_explode_and_clipping_is_the_cure() -> None:
    name, T, B, H = "c3_exploding_gradients", 50, 16, 8
    xs = np.random.default_rng(0).normal(size=(T, B, 1))
    targets = xs.sum(axis=0) / np.sqrt(T)
    start = RNN(1, H, nonlinearity="relu", seed=0).by_gate() | {"W_hh": 1.1 * np.eye(H)}
    head = Head(H, 1, seed=1)

    def losses(updates: int, max_norm: float) -> list[float]:
        w, found = start | {"W_yh": head.W_yh.numpy(), "b_y": head.b_y.numpy()}, []
        for _ in range(updates):
            h = [np.zeros((B, H))]
            for x in xs:
                h.append(np.maximum(h[-1] @ w["W_hh"].T + x @ w["W_hx"].T + w["b_h"], 0))
            off = h[T] @ w["W_yh"].T + w["b_y"] - targets
            found.append(float((off**2).mean()))
            dz = 2 * off / B
            dh = dz @ w["W_yh"]
            g = {"W_yh": dz.T @ h[T], "b_y": dz.sum(axis=0), **{key: np.zeros_like(start[key]) for key in start}}
            norms = {T: float(np.linalg.norm(dh))}
            for t in range(T, 0, -1):
                da = dh * (h[t] > 0)
                g["W_hh"] += da.T @ h[t - 1]
                g["W_hx"] += da.T @ xs[t - 1]
                g["b_h"] += da.sum(axis=0)
                dh = da @ w["W_hh"]
                norms[t - 1] = float(np.linalg.norm(dh))
            if not found[1:]:
                printed = numbers(name, "‖∂L/∂h_t‖ ")
                np.testing.assert_allclose(printed, [norms[t] for t in (50, 40, 30, 20, 10, 0)], rtol=1e-10)
                assert norms[0] > 50 * norms[T]
            total = np.sqrt(sum((value**2).sum() for value in g.values()))
            w = {key: w[key] - 0.05 * min(1.0, max_norm / (total + 1e-6)) * g[key] for key in w}
        return found

    clipped = losses(11, max_norm=1.0)
    printed = numbers(name, "with clipping to norm 1 the loss is ")
    np.testing.assert_allclose(printed[:3], [clipped[0], clipped[1], clipped[10]], rtol=1e-7)
    assert printed[-1] < 1
    with np.errstate(over="ignore", invalid="ignore"):
        assert not np.isfinite(losses(2, max_norm=np.inf)[1])
    assert ", inf" in next(line for line in lesson(name).text.splitlines() if line.startswith("without clipping"))
    assert "where it began: infinity first appeared in the forward of 'mse_loss'" in lesson(name).text
    assert "began to explode at time step 1 and grew" in lesson(name).text
    assert "update 2: clip_grad_norm_: the gradients of these parameters are not finite" in lesson(name).text
