"""A learner's own forward passes, written for NumPy arrays, run unchanged on Tensors and yield the right gradients."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ConversionError

SIZE, VOCABULARY, STEPS, BATCH = 4, 3, 5, 2
INPUTS, TARGETS = [0, 2, 1, 1, 0], [2, 1, 1, 0, 2]


def random_weights(**shapes: tuple[int, ...]) -> dict[str, Any]:
    rng = np.random.default_rng(11)
    return {name: rng.normal(size=shape) * 0.6 for name, shape in shapes.items()}


def as_tensors(weights: dict[str, Any]) -> dict[str, Tensor]:
    return {name: Tensor(array, requires_grad=True, name=name) for name, array in weights.items()}


# ------------------------------------------------------------------ the character model everybody begins with


def character_rnn(Wxh: Any, Whh: Any, Why: Any, bh: Any, by: Any, hprev: Any) -> tuple[Any, ...]:
    xs, hs, ys, ps = {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(INPUTS)):
        xs[t] = np.zeros((VOCABULARY, 1))
        xs[t][INPUTS[t]] = 1
        hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t - 1]) + bh)
        ys[t] = np.dot(Why, hs[t]) + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][TARGETS[t], 0])
    return loss, xs, hs, ps


def character_rnn_backward(weights: dict[str, Any]) -> dict[str, Any]:
    """The same learner's backward pass, derived on paper."""
    _, xs, hs, ps = character_rnn(**weights)
    grads = {name: np.zeros_like(array) for name, array in weights.items()}
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(INPUTS))):
        dy = np.copy(ps[t])
        dy[TARGETS[t]] -= 1
        grads["Why"] += np.dot(dy, hs[t].T)
        grads["by"] += dy
        dhraw = (1 - hs[t] * hs[t]) * (np.dot(weights["Why"].T, dy) + dhnext)
        grads["bh"] += dhraw
        grads["Wxh"] += np.dot(dhraw, xs[t].T)
        grads["Whh"] += np.dot(dhraw, hs[t - 1].T)
        dhnext = np.dot(weights["Whh"].T, dhraw)
    grads["hprev"] += dhnext
    return grads


def test_the_character_rnn_has_the_gradients_of_its_own_backward_pass() -> None:
    weights = random_weights(
        Wxh=(SIZE, VOCABULARY), Whh=(SIZE, SIZE), Why=(VOCABULARY, SIZE), bh=(SIZE, 1), by=(VOCABULARY, 1), hprev=(SIZE, 1)
    )
    tensors = as_tensors(weights)
    loss = character_rnn(**tensors)[0]
    assert loss.item() == pytest.approx(character_rnn(**weights)[0], rel=1e-15)
    loss.backward()
    for name, expected in character_rnn_backward(weights).items():
        np.testing.assert_allclose(tensors[name].grad, expected, rtol=1e-12, atol=1e-13, err_msg=name)


# ------------------------------------------------------------------ gated cells, in several dialects of NumPy


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e_x = np.exp(x - np.max(x, axis=0, keepdims=True))
    return e_x / e_x.sum(axis=0, keepdims=True)


def lstm_with_concatenation(x: Any, **weights: Any) -> Any:
    """Gates on [a, x], column vectors, one weight for each gate."""
    Wf, bf, Wi, bi = weights["Wf"], weights["bf"], weights["Wi"], weights["bi"]
    Wc, bc, Wo, bo = weights["Wc"], weights["bc"], weights["Wo"], weights["bo"]
    a = np.zeros((SIZE, BATCH))
    c = np.zeros_like(a)
    outputs = []
    for t in range(x.shape[2]):
        concat = np.concatenate((a, x[:, :, t]), axis=0)
        ft = sigmoid(np.dot(Wf, concat) + bf)
        it = sigmoid(np.dot(Wi, concat) + bi)
        cct = np.tanh(np.dot(Wc, concat) + bc)
        c = ft * c + it * cct
        ot = sigmoid(np.dot(Wo, concat) + bo)
        a = ot * np.tanh(c)
        outputs.append(softmax(np.dot(weights["Wy"], a) + weights["by"]))
    return np.stack(outputs, axis=2)


def lstm_with_slices(W: Any, U: Any, b: Any, x: Any) -> Any:
    """All gates in one product, cut apart by slices, row vectors."""
    n = SIZE
    h, c = np.zeros((BATCH, n)), np.zeros((BATCH, n))
    states = []
    for x_t in x:
        z = x_t @ W + h @ U + b
        i, f, o = sigmoid(z[:, :n]), sigmoid(z[:, n : 2 * n]), sigmoid(z[:, 2 * n : 3 * n])
        g = np.tanh(z[:, 3 * n :])
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append(h[np.newaxis])
    return np.concatenate(states)


def gru_with_hstack(Wz: Any, Wr: Any, Wh: Any, b: Any, h0: Any, x: Any) -> Any:
    """Gates from np.hstack and np.split, in-place updates of a running total, statistics at the end."""
    h = h0
    total = 0.0
    for t in range(len(x)):
        hx = np.hstack([h, x[t]])
        z, r = sigmoid(np.matmul(hx, Wz)), sigmoid(np.matmul(hx, Wr))
        bz, bh = np.split(b, 2)
        candidate = np.tanh(np.hstack([r * h, x[t]]) @ Wh + bh)
        h = (1 - z) * h + z * candidate + 0.1 * bz
        total += np.mean(np.square(h), axis=0)
        h = np.where(h > 0.9, 0.9, np.maximum(h, -0.9))
    return np.var(total) + total.max() + np.linspace(0, 1, SIZE) @ total


LEARNERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "LSTM with concatenation": (
        lstm_with_concatenation,
        random_weights(
            **{f"W{gate}": (SIZE, SIZE + VOCABULARY) for gate in "fico"},
            **{f"b{gate}": (SIZE, 1) for gate in "fico"},
            Wy=(2, SIZE),
            by=(2, 1),
            x=(VOCABULARY, BATCH, STEPS),
        ),
    ),
    "LSTM with slices": (
        lstm_with_slices,
        random_weights(W=(VOCABULARY, 4 * SIZE), U=(SIZE, 4 * SIZE), b=(4 * SIZE,), x=(STEPS, BATCH, VOCABULARY)),
    ),
    "GRU with hstack": (
        gru_with_hstack,
        random_weights(
            Wz=(SIZE + VOCABULARY, SIZE),
            Wr=(SIZE + VOCABULARY, SIZE),
            Wh=(SIZE + VOCABULARY, SIZE),
            b=(2 * SIZE,),
            h0=(BATCH, SIZE),
            x=(STEPS, BATCH, VOCABULARY),
        ),
    ),
}


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gated_cell_has_the_gradients_of_differences_of_the_numpy_run(name: str) -> None:
    forward, weights = LEARNERS[name]
    upstream = np.random.default_rng(5).uniform(0.5, 1.5, np.shape(forward(**weights)))
    tensors = as_tensors(weights)
    y = forward(**tensors)
    np.testing.assert_allclose(y.numpy(), forward(**weights), rtol=1e-14)
    y.backward(upstream)
    for label, array in weights.items():
        numerical = np.empty_like(array)
        for place in np.ndindex(*array.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = {**weights, label: array.copy()}
                moved[label][place] += step
                sides.append((forward(**moved) * upstream).sum())
            numerical[place] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(tensors[label].grad, numerical, rtol=1e-6, atol=1e-8, err_msg=label)


@pytest.mark.parametrize("name", LEARNERS)
def test_only_some_weights_may_be_tensors(name: str) -> None:
    forward, weights = LEARNERS[name]
    every = as_tensors(weights)
    forward(**every).sum().backward()
    for label in weights:
        one = Tensor(weights[label], requires_grad=True)
        forward(**{**weights, label: one}).sum().backward()
        np.testing.assert_allclose(one.grad, every[label].grad, rtol=1e-12, atol=1e-14, err_msg=label)


# ------------------------------------------------------------------ what cannot be differentiated says so


def states_written_into_an_array(W: Any, x: Any) -> Any:
    states = np.zeros((STEPS, SIZE))
    h = np.zeros(SIZE)
    for t in range(STEPS):
        h = np.tanh(W @ h + x[t])
        states[t] = h
    return states


def test_states_written_into_an_array_are_refused_with_the_way_out() -> None:
    weights = random_weights(W=(SIZE, SIZE), x=(STEPS, SIZE))
    with pytest.raises(ConversionError, match=r"collect the h in a list and use minigrad\.stack"):
        states_written_into_an_array(**as_tensors(weights))


def test_a_running_total_in_an_array_is_refused_with_the_way_out() -> None:
    total = np.zeros(SIZE)
    with pytest.raises(ConversionError, match="use the returned tensor"):
        total += Tensor(np.ones(SIZE), requires_grad=True)


def test_the_dot_method_of_an_array_cannot_record_and_says_so() -> None:
    with pytest.raises(ConversionError, match="would be lost here"):
        np.ones((2, SIZE)).dot(Tensor(np.ones(SIZE), requires_grad=True))


@pytest.mark.parametrize("function", [np.array, np.asarray, np.sum, np.tanh, np.mean], ids=lambda f: f.__name__)
def test_a_bare_list_of_tensors_never_becomes_an_array(function: Any) -> None:
    states = [Tensor(np.ones(SIZE), requires_grad=True) for _ in range(STEPS)]
    with pytest.raises(ConversionError, match=r"minigrad\.stack"):
        function(states)
    assert mg.stack(states).sum().item() == SIZE * STEPS
