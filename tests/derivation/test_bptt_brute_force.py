"""BPTT taken apart, held against loops with parameters of their own for every step, and against perturbed numbers."""

from typing import Any

import numpy as np
import pytest
from brute_force import Steps, numerical, own_layers, own_steps
from minigrad.models import GRU, LSTM, RNN, RecurrentLayers, unroll

import minigrad as mg
from minigrad import Tensor, explain, no_grad

T, B, D, H = 5, 3, 2, 3
XS = np.random.default_rng(0).normal(size=(T, B, D))
WEIGHTS = np.random.default_rng(1).normal(size=(T, B, H))
HOLES = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 0, 1]], bool)
BEHIND = np.arange(T)[:, None] < np.array([5, 2, 3])
CELLS: dict[str, Any] = {
    "rnn": lambda: RNN(D, H, seed=1),
    "gru": lambda: GRU(D, H, seed=1),
    "lstm": lambda: LSTM(D, H, seed=1),
}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "forwards": ({}, {}),
    "hoisted": ({"hoist": True}, {}),
    "reverse": ({"reverse": True}, {"reverse": True}),
    "lengths": ({"lengths": [5, 2, 3]}, {"valid": BEHIND}),
    "lengths, reverse": ({"lengths": [5, 2, 3], "reverse": True}, {"valid": BEHIND, "reverse": True}),
    "holes": ({"mask": HOLES}, {"valid": HOLES}),
    "truncated": ({"truncated": 2}, {"truncated": 2}),
    "truncated, reverse": ({"truncated": 3, "reverse": True}, {"truncated": 3, "reverse": True}),
    "lengths, truncated": ({"lengths": [5, 2, 3], "truncated": 2}, {"valid": BEHIND, "truncated": 2}),
    "holes, reverse, truncated": (
        {"mask": HOLES, "reverse": True, "truncated": 2},
        {"valid": HOLES, "reverse": True, "truncated": 2},
    ),
}
every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def losses_of(hs: Tensor) -> Tensor:
    """L_1 … L_T."""
    weights = np.random.default_rng(1).normal(size=hs.shape)
    return (hs * weights + 0.5 * hs * hs).sum(axis=(1, 2))


def norms(arrays: Any) -> np.ndarray:
    return np.array([np.linalg.norm(np.ravel(array)) for array in arrays])


def gradients(loss: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    """Zeros where the loss does not depend on a leaf."""
    for leaf in leaves:
        leaf.grad = None
    loss.backward(retain_graph=True)
    return [np.zeros(leaf.shape) if leaf.grad is None else np.array(leaf.grad) for leaf in leaves]


def close(found: Any, expected: Any) -> None:
    scale = max(float(np.abs(expected).max(initial=0)), 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)


@every_cell
@pytest.mark.parametrize("way", [WAYS[name] for name in ("lengths, reverse", "holes")], ids=str)
def test_the_loop_that_the_others_are_held_against_is_what_perturbed_numbers_say(make: Any, way: Any) -> None:
    cell, (_, options) = make(), way
    steps = own_steps(cell, XS, **options)
    total = losses_of(steps.hs).sum()
    name = next(iter(steps.copies[0]))
    k = 2
    expected = gradients(total, [steps.copies[k][name], *steps.added[k]])

    def loss(value: Any, part: int | None) -> float:
        copies, added = [dict(one) for one in steps.copies], [list(one) for one in steps.added]
        if part is None:
            copies[k][name] = Tensor(value)
        else:
            added[k][part] = Tensor(value)
        with no_grad():
            return losses_of(own_steps(cell, XS, **options, copies=copies, added=added).hs).sum().item()

    found = [numerical(lambda value: loss(value, None), steps.copies[k][name].numpy())]
    found += [
        numerical(lambda value, part=part: loss(value, part), added.numpy()) for part, added in enumerate(steps.added[k])
    ]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


@pytest.mark.sampled(1)
@every_cell
@every_way
def test_contributions(make: Any, way: Any) -> None:
    cell, (given, options) = make(), way
    losses = losses_of(unroll(cell, XS, **given)[0])
    steps = own_steps(cell, XS, **options)
    own = losses_of(steps.hs)
    np.testing.assert_allclose(losses.numpy(), own.numpy(), rtol=1e-12)
    for name, parameter in cell.named_parameters():
        expected = np.stack([gradients(own[t], [one[name] for one in steps.copies]) for t in range(T)])
        terms = mg.contributions(losses, parameter)
        close(terms.table, expected)
        close(mg.contributions(losses.sum(), parameter).table, expected)
        assert not terms.outside.any()


@pytest.mark.sampled(1)
@every_cell
@every_way
def test_gradient_by_time(make: Any, way: Any) -> None:
    cell, (given, options) = make(), way
    table = mg.gradient_by_time(losses_of(unroll(cell, XS, **given)[0]).sum())
    steps = own_steps(cell, XS, **options)
    total = losses_of(steps.hs).sum()
    sent = [gradients(total, one) for one in steps.added]
    for k, one in enumerate(sent):
        if len(one) == 2:  # c also sends something to the h of its own step: h = o tanh(c)
            (c, h), (d_c, d_h) = (part.numpy() for part in steps.states[k]), one
            d_c += d_h * h / np.tanh(c) * (1 - np.tanh(c) ** 2)
    for part, name in enumerate(cell.state_names):
        close(table.values[name], norms([one[part] for one in sent]))
    for name, _ in cell.named_parameters():
        close(table.contributions[name], norms(gradients(total, [one[name] for one in steps.copies])))


LAYERS: dict[str, dict[str, Any]] = {
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "two layers in both directions": {"num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("lengths", [None, [5, 2, 3]], ids=["all steps", "lengths"])
@pytest.mark.parametrize("options", LAYERS.values(), ids=LAYERS)
def test_of_layers(options: dict[str, Any], lengths: Any) -> None:
    layers = RecurrentLayers("gru", D, H, seed=0, **options)
    losses = losses_of(layers(XS, lengths=lengths)[0])
    hs, of_cells = own_layers(layers, XS, None if lengths is None else BEHIND)
    own = losses_of(hs)
    cells = [cell for cells in layers.cells for cell in cells]
    table = mg.gradient_by_time(losses.sum())
    for cell, steps in zip(cells, of_cells, strict=True):
        for name, parameter in cell.named_parameters():
            copies = [one[name] for one in steps.copies]
            close(mg.contributions(losses, parameter).table, np.stack([gradients(own[t], copies) for t in range(T)]))
            share = norms(gradients(own.sum(), copies))
            assert sum(np.allclose(found, share, rtol=1e-10) for found in table.contributions.values()) == 1


@every_cell
def test_state_jacobians(make: Any) -> None:
    cell, xs = make(), XS[:, :1]
    jacobians = mg.state_jacobians(cell, xs)
    n = H * len(cell.state_names)

    def state_at(t: int, k: int, change: np.ndarray) -> np.ndarray:
        """The state of step t, where something is added to that of step k."""
        with no_grad():
            parts = cell.initial_state(1)
            for step in range(t + 1):
                parts = parts if step == 0 else cell.step(xs[step - 1], parts)
                if step == k:
                    moved = np.split(change, len(cell.state_names))
                    ends = [part + more for part, more in zip(mg.pytree.ends(parts), moved, strict=True)]
                    parts = mg.pytree.rebuilt(parts, ends)
            return np.concatenate([part.numpy().ravel() for part in mg.pytree.ends(parts)])

    for k in range(T + 1):
        for t in range(k, T + 1):
            expected = numerical(lambda change, t=t, k=k: state_at(t, k, change), np.zeros(n)).T
            np.testing.assert_allclose(jacobians.between(t, k), expected, atol=1e-9)


# ---------------------------------------------------------------- explain


def formulas_by_hand(steps: Steps, name: str, read: list[int], reverse: bool) -> dict[str, np.ndarray]:
    """The sums over terms, one by one, of a loss that reads some steps."""
    own = losses_of(steps.hs)
    table = np.zeros((T, T, *steps.copies[0][name].shape))
    for t in read:
        table[t] = gradients(own[t], [one[name] for one in steps.copies])
    last, first, words = (0, T - 1, ("1", "T")) if reverse else (T - 1, 0, ("T", "1"))
    return {
        "the double sum with the product": table.sum(axis=(0, 1)),
        f"one step only, t = {words[0]}": table[last, last],
        "k = t only, no product": sum(table[t, t] for t in range(T)),
        f"the first step only, k = {words[1]}": table[:, first].sum(axis=0),
        f"the last loss only, t = {words[0]}": table[last].sum(axis=0),
    }


@pytest.mark.parametrize("read", [range(T), [1, 3], [4], [0]], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
@every_cell
def test_formulas_of_losses_at_some_steps_read_forwards_and_in_reverse(make: Any, reverse: bool, read: Any) -> None:
    cell = make()
    hs, _ = unroll(cell, XS, reverse=reverse)
    losses = losses_of(hs)
    for name, parameter in cell.named_parameters():
        explanation = explain(sum(losses[t] for t in read), parameter)
        expected = formulas_by_hand(own_steps(cell, XS, reverse=reverse), name, list(read), reverse)
        found = dict(explanation.formulas)
        found.pop("the sum without the product", None)
        assert found.keys() == expected.keys()
        for words, value in expected.items():
            close(found[words], value)
        order = "Σ_{k ≥ t} ( Π_{i = t … k−1} ∂" if reverse else "Σ_{k ≤ t} ( Π_{i = k+1 … t} ∂"
        assert order in explanation.formula
        assert ("ₜ₊₁" in str(explanation)) == reverse
        assert ("ₜ₋₁" in str(explanation)) != reverse


@pytest.mark.parametrize("read", [range(T), [1, 3]], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_sum_without_the_product(reverse: bool, read: Any) -> None:
    cell = RNN(D, H, seed=1)
    hs, _ = unroll(cell, XS, reverse=reverse)
    losses = losses_of(hs)
    explanation = explain(sum(losses[t] for t in read), cell.W_hh)
    h, W = hs.numpy(), np.zeros((H, H))
    order = list(reversed(range(T))) if reverse else list(range(T))
    for place, k in enumerate(order):
        later = sum(WEIGHTS[t] + h[t] for t in order[place:] if t in read)
        before = h[order[place - 1]] if place else np.zeros((B, H))
        W = W + (later * (1 - h[k] ** 2)).T @ before
    close(explanation.formulas["the sum without the product"], W)


def test_one_step() -> None:
    cell = RNN(D, H, seed=1)
    hs, _ = unroll(cell, XS[:1])
    explanation, still = (explain((hs * hs).sum(), parameter) for parameter in (cell.W_hx, cell.W_hh))
    (gradient,) = mg.grad((hs * hs).sum(), cell.W_hx)
    for value in explanation.formulas.values():
        close(value, gradient.numpy())
    assert "The largest and only term is that of t = 1, k = 1." in str(explanation)
    assert "Σ_{k ≤ t}" in still.formula
    assert "every term of the double sum is 0" in str(still)


def test_layers_have_their_own_formulas() -> None:
    stacked = RecurrentLayers("rnn", D, H, num_layers=2, seed=0)
    loss = losses_of(stacked(XS)[0]).sum()
    (lower,), (upper,) = stacked.cells
    assert "∂Lₜ/∂sₜ · Σ_{k ≤ t} ( Π_{i = k+1 … t} ∂sᵢ/∂sᵢ₋₁ ) · ∂⁺sₖ/∂W_hh" in explain(loss, lower.W_hh).formula
    assert "s = (h, …) is the state of this layer and of those above it." in explain(loss, lower.W_hh).factors
    assert "∂hᵢ/∂hᵢ₋₁" in explain(loss, upper.W_hh).formula
    both = RecurrentLayers("rnn", D, H, bidirectional=True, seed=0)
    loss = losses_of(both(XS)[0]).sum()
    ((forwards, backwards),) = both.cells
    assert "Σ_{k ≤ t}" in explain(loss, forwards.b_h).formula
    assert "Σ_{k ≥ t}" in explain(loss, backwards.b_h).formula
    deep = RecurrentLayers("rnn", D, H, num_layers=2, bidirectional=True, seed=0)
    loss = losses_of(deep(XS)[0]).sum()
    explanation = explain(loss, deep.cells[0][0].b_h)
    assert explanation.formula == "∂L/∂b_h = Σₜ Σₖ ∂Lₜ/∂hₖ · ∂⁺hₖ/∂b_h"
    assert "|t − k|" in str(explanation)
    first = losses_of(deep(XS)[0])[0]
    assert explain(first, deep.cells[0][0].b_h).formula == explanation.formula
    assert "Σ_{k ≥ t}" in explain(loss, deep.cells[1][1].b_h).formula


def test_steps_without_a_loss_and_uses_that_do_nothing_have_not_vanished() -> None:
    cell = RNN(D, H, seed=1)
    hs, _ = unroll(cell, XS)
    explanation = explain((hs[1::2] * hs[1::2]).sum(), cell.W_hh)
    assert not explanation.vanished.any()
    assert "None has vanished." in str(explanation)
