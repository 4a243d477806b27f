"""check_backward: of which loss a backward pass takes the gradient, where none arrives from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

from minigrad import check_backward, errors

SYMBOLS, TARGETS = [2, 0, 1, 3], [0, 1, 3, 2]


def weights() -> dict[str, Any]:
    return arrays(U=(5, 4), W=(5, 5), V=(4, 5))


def scored(symbols: Any, targets: Any, p: Any, how: str) -> tuple[Any, list[Any]]:
    """The loss of a small language model, as an array of the shape that ``how`` says, and what its backward pass wants."""
    h, loss, kept = np.zeros((5, 1)), 0.0, []
    for symbol, target in zip(symbols, targets, strict=True):
        before, h = h, np.tanh(p["U"][:, [symbol]] + p["W"] @ h)
        q = np.exp(p["V"] @ h)
        q = q / np.sum(q)
        kept.append((before, h, q))
        loss = loss - np.log({"()": q[target, 0], "(1,)": q[target], "(1, 1)": q[[target]]}[how])
    return loss, kept


def scored_backward(symbols: Any, targets: Any, p: Any, kept: Any) -> Any:
    grads = {f"d{name}": np.zeros_like(w) for name, w in p.items()}
    later = np.zeros((5, 1))
    for (before, h, q), symbol, target in zip(kept[::-1], symbols[::-1], targets[::-1], strict=True):
        dy = q.copy()
        dy[target] -= 1
        grads["dV"] += dy @ h.T
        da = (p["V"].T @ dy + later) * (1 - h**2)
        grads["dU"][:, [symbol]] += da
        grads["dW"] += da @ before.T
        later = p["W"].T @ da
    return grads


@pytest.mark.parametrize("how", ["()", "(1,)", "(1, 1)"])
def test_a_loss_counts_once_whatever_its_shape(how: str) -> None:
    def forward(symbols: Any, targets: Any, p: Any) -> Any:
        loss, kept = scored(symbols, targets, p, how)
        return loss, kept

    assert check_backward(forward, scored_backward, (SYMBOLS, TARGETS, weights())).passed


def logistic(x: Any, w: Any, target: Any) -> Any:
    probability = 1 / (1 + np.exp(-(x @ w)))
    loss = -(target * np.log(probability) + (1 - target) * np.log(1 - probability))
    return loss, probability


def test_a_prediction_that_the_backward_pass_wants_is_no_second_loss() -> None:
    def backward(x: Any, target: Any, probability: Any) -> Any:
        dw = x * (probability - target)
        return {"dw": dw}

    assert check_backward(logistic, backward, (np.ones(4), np.ones(4), 1), outputs=("loss", "probability")).passed


def test_a_single_number_that_the_backward_pass_wants_is_no_loss_whatever_the_loss_is_called() -> None:
    def forward(x: Any, w: Any, target: Any) -> Any:
        badness, guess = logistic(x, w, target)
        return badness, guess

    def backward(x: Any, target: Any, guess: Any) -> Any:
        return {"dw": x * (guess - target)}

    assert check_backward(forward, backward, (np.ones(4), np.ones(4), 1)).passed


def test_losses_of_single_examples_are_added_up() -> None:
    def forward(x: Any, W: Any, y: Any) -> Any:
        return np.sum((x @ W - y) ** 2, axis=1)

    def backward(x: Any, W: Any, y: Any) -> Any:
        return {"dW": 2 * x.T @ (x @ W - y)}

    assert check_backward(forward, backward, arrays(x=(4, 3), W=(3, 2), y=(4, 2)), outputs=("losses",)).passed


def test_which_loss_is_asked_where_there_is_none() -> None:
    def forward(x: Any, W: Any, y: Any) -> Any:
        return x @ W

    def backward(x: Any, W: Any, y: Any) -> Any:
        return {"dW": 2 * x.T @ (x @ W - y)}

    with pytest.raises(errors.ArgumentError, match="of which loss"):
        check_backward(forward, backward, arrays(x=(4, 3), W=(3, 2), y=(4, 2)))


def mean_scored(symbols: Any, targets: Any, p: Any) -> Any:
    loss, kept = scored(symbols, targets, p, "()")
    return loss / len(symbols), kept


def test_gradients_of_the_sum_where_the_loss_is_the_mean_are_right_by_convention() -> None:
    report = check_backward(mean_scored, scored_backward, (SYMBOLS, TARGETS, weights()))
    assert report.passed
    assert any("right for the sum, where this loss is the mean" in note for note in report.notes)


def test_a_mistake_in_gradients_of_the_sum_is_named_and_the_factor_is_none() -> None:
    def backward(symbols: Any, targets: Any, p: Any, kept: Any) -> Any:
        grads = {f"d{name}": np.zeros_like(w) for name, w in p.items()}
        later = np.zeros((5, 1))
        for (before, h, q), symbol, target in zip(kept[::-1], symbols[::-1], targets[::-1], strict=True):
            dy = q.copy()
            dy[target] -= 1
            grads["dV"] += dy @ h.T
            da = (p["V"].T @ dy + later) * (1 - h**2)
            grads["dU"][:, [symbol]] += da
            grads["dW"] += da @ before.T
            later = p["W"] @ da
        return grads

    report = check_backward(mean_scored, backward, (SYMBOLS, TARGETS, weights()))
    assert report.named, report
    assert [finding.kind for finding in report.findings] == ["not transposed"]
    assert any("right for the sum" in note for note in report.notes)


def test_a_length_by_which_the_loss_is_divided_may_be_that_of_an_argument() -> None:
    """The loop over the characters but the last has T − 1 steps; the loss is divided by T."""

    def forward(text: Any, W: Any) -> Any:
        loss = 0.0
        for t in range(len(text) - 1):
            loss = loss + np.sum((W @ text[t] - text[t + 1]) ** 2)
        return loss / len(text)

    def backward(text: Any, W: Any) -> Any:
        dW = np.zeros_like(W)
        for t in range(len(text) - 1):
            dW += 2 * np.outer(W @ text[t] - text[t + 1], text[t])
        return {"dW": dW}

    assert check_backward(forward, backward, ([np.ones(3)] * 7, np.ones((3, 3)))).passed
