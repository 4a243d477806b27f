"""Lines of plain recurrent networks: gradients of all steps in one array, loops within loops, rectifiers, caches."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import check_backward
from minigrad.checks import Report


class Words:
    """A network over words, one index at each step, that goes back from each output in turn."""

    def __init__(self) -> None:
        self.E, self.R, self.O = np.ones((4, 6)), np.ones((4, 4)), np.ones((6, 4))

    def read(self, words: Any) -> Any:
        s, o = np.zeros((len(words) + 1, 4)), np.zeros((len(words), 6))
        for t in np.arange(len(words)):
            s[t] = np.tanh(self.E[:, words[t]] + self.R.dot(s[t - 1]))
            z = np.exp(self.O.dot(s[t]))
            o[t] = z / z.sum()
        return o, s

    def loss(self, words: Any, following: Any) -> Any:
        o, _ = self.read(words)
        return -np.sum(np.log(o[np.arange(len(words)), following]))

    def back(self, words: Any, following: Any) -> Any:
        o, s = self.read(words)
        dE, dR, dO = np.zeros_like(self.E), np.zeros_like(self.R), np.zeros_like(self.O)
        wrong = o
        wrong[np.arange(len(words)), following] -= 1.0
        for t in np.arange(len(words)):
            dO += np.outer(wrong[t], s[t])
            inner = self.O.T.dot(wrong[t]) * (1 - s[t] ** 2)
            for k in np.arange(t + 1)[::-1]:
                dR += np.outer(inner, s[k])
                dE[:, words[k]] += inner
                inner = self.R.T.dot(inner) * (1 - s[k - 1] ** 2)
        return dE, dR, dO


def of_words(words: Words) -> Report:
    return check_backward(words.loss, words.back, ([1, 3, 0, 2], [3, 0, 2, 5]))


def test_a_wrong_line_is_found_beside_gradients_that_are_added_at_an_index() -> None:
    assert [f.right for f in of_words(Words()).findings] == ["dR += np.outer(inner, s[k - 1])"]


class OfTheOuterStep(Words):
    def back(self, words: Any, following: Any) -> Any:
        o, s = self.read(words)
        dE, dR, dO = np.zeros_like(self.E), np.zeros_like(self.R), np.zeros_like(self.O)
        wrong = o
        wrong[np.arange(len(words)), following] -= 1.0
        for t in np.arange(len(words)):
            dO += np.outer(wrong[t], s[t])
            inner = self.O.T.dot(wrong[t]) * (1 - s[t] ** 2)
            for k in np.arange(t + 1)[::-1]:
                dR += np.outer(inner, s[k - 1])
                dE[:, words[t]] += inner
                inner = self.R.T.dot(inner) * (1 - s[k - 1] ** 2)
        return dE, dR, dO


def test_the_index_of_the_outer_loop_in_the_place_of_the_inner_ones_is_named() -> None:
    assert [f.right for f in of_words(OfTheOuterStep()).findings] == ["dE[:, words[k]] += inner"]


def softly(x: Any, W: Any, Y: Any) -> Any:
    z = np.exp(x @ W)
    return -np.sum(Y * np.log(z / z.sum(axis=1, keepdims=True)))


def softly_back(x: Any, W: Any, Y: Any) -> Any:
    z = np.exp(x @ W)
    d_z = z / z.sum(axis=1, keepdims=True)
    d_z[np.arange(len(x))] -= 1
    return x.T @ d_z


def test_one_that_is_subtracted_everywhere_is_not_what_is_wanted() -> None:
    report = check_backward(softly, softly_back, (np.ones((3, 4)), np.ones((4, 5)), np.eye(5)[[0, 3, 1]]), returns=("W",))
    assert [finding.right for finding in report.findings] == ["d_z[np.arange(len(x))] -= Y"], report


def bent(x: Any, h: Any, W: Any, U: Any) -> Any:
    out = np.maximum(0, W @ x + U @ h)
    return out, (out, h, x, W, U)


def bent_back(d_out: Any, cache: Any) -> Any:
    out, h, x = cache[:3]
    inner = d_out * (1 - out**2)
    return inner @ x.T, inner @ h.T


def test_the_slope_of_another_activation_is_that_of_a_rectifier() -> None:
    example = [np.ones(shape) for shape in ((3, 2), (5, 2), (5, 3), (5, 5))]
    report = check_backward(bent, bent_back, example, outputs=("out", "cache"), returns=("W", "U"))
    assert [finding.right for finding in report.findings] == ["inner = d_out * (out > 0)"], report


def bent_back_hidden(d_out: Any, cache: Any) -> Any:
    h, h, x, *_ = cache
    inner = d_out * (h > 0)
    return inner @ x.T, inner @ h.T


def test_what_is_unpacked_under_a_name_that_is_used_again_is_still_in_the_cache() -> None:
    example = [np.ones(shape) for shape in ((3, 2), (5, 2), (5, 3), (5, 5))]
    report = check_backward(bent, bent_back_hidden, example, outputs=("out", "cache"), returns=("W", "U"))
    assert [finding.right for finding in report.findings] == ["inner = d_out * (cache[0] > 0)"], report


def all_in_one(x: Any, W: Any, y: Any) -> Any:
    out = np.tanh(W @ x)
    diff = out - y
    squares = diff * diff
    loss = 0.5 * np.sum(squares)
    d_z = np.sin(diff * out)
    d_W = d_z @ np.cos(x.T)
    return loss, d_W


def test_lines_of_the_forward_pass_are_not_taken_for_gradients() -> None:
    """Whatever they are called: what follows them is corrected."""
    report = check_backward(all_in_one, all_in_one, (np.ones((3, 2)), np.ones((4, 3)), np.ones((4, 2))))
    assert [finding.right for finding in report.findings] == ["d_z = diff * (1 - out**2)", "d_W = d_z @ x.T"], report
