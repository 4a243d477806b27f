"""The terms of BPTT's double sum, the Jacobians of the state, and gradients by time."""

from typing import Any

import numpy as np
import pytest
from minigrad.models import GRU, LSTM, RNN, GatedRNN, Head, RecurrentLayers, by_hand, unroll

import minigrad as mg
from minigrad import Tensor
from minigrad.bptt import Contributions

T, B, D, H, N = 5, 2, 3, 4, 6
CELLS = {
    "rnn": lambda: RNN(D, H, seed=1),
    "rnn, concatenated": lambda: RNN(D, H, form="concatenated", seed=1),
    "gated rnn": lambda: GatedRNN(D, H, seed=1),
    "gru, before": lambda: GRU(D, H, seed=1),
    "gru, after": lambda: GRU(D, H, reset="after", seed=1),
    "lstm": lambda: LSTM(D, H, seed=1),
    "lstm, peepholes": lambda: LSTM(D, H, peepholes=True, seed=1),
    "lstm, coupled": lambda: LSTM(D, H, coupled=True, seed=1),
}
every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)


def sequence(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(T, B, D))


def losses_of(cell: Any, hoist: bool = False, **options: Any) -> Tensor:
    """L_1 … L_T, each another function of its h_t."""
    hs, _ = unroll(cell, sequence(), hoist=hoist, **options)
    weights = np.random.default_rng(7).normal(size=(T, B, H))
    return (hs * weights + hs * hs).sum(axis=(1, 2))


def relative(got: Any, expected: Any) -> float:
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@every_cell
@pytest.mark.parametrize("hoist", [False, True])
def test_the_double_sum_is_the_gradient_to_the_last_bits(make: Any, hoist: bool) -> None:
    cell = make()
    losses = losses_of(cell, hoist)
    gradients = mg.grad(losses.sum(), cell.parameters(), retain_graph=True)
    for parameter, gradient in zip(cell.parameters(), gradients, strict=True):
        terms = mg.contributions(losses, parameter)
        assert terms.table.shape == (T, T, *parameter.shape)
        assert not terms.outside.any()
        assert relative(terms.gradient, gradient.numpy()) < 4e-15, parameter.name


@every_cell
def test_an_entry_is_the_gradient_of_one_loss_by_a_copy_of_the_parameter_for_one_step(make: Any) -> None:
    cell = make()
    parameter = cell.parameters()[1]
    table = mg.contributions(losses_of(cell), parameter).table
    name = next(name for name, known in cell.named_parameters() if known is parameter)
    for t in range(1, T + 1):
        copies = [Tensor(parameter.numpy(), requires_grad=True) for _ in range(T)]

        state, weights = cell.initial_state(B), np.random.default_rng(7).normal(size=(T, B, H))
        for k in range(t):
            object.__setattr__(cell, name, copies[k])
            state = cell.step(Tensor(sequence()[k]), state)
        object.__setattr__(cell, name, parameter)
        h = state[-1] if isinstance(state, tuple) else state
        loss = (h * weights[t - 1] + h * h).sum()
        for k, part in enumerate(mg.grad(loss, copies)):
            np.testing.assert_allclose(table[t - 1, k], part.numpy(), rtol=1e-12, atol=1e-15)


def test_the_terms_of_an_rnn_are_those_of_its_formula() -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    hs, _ = unroll(cell, sequence()[:, :1])
    losses = mg.cross_entropy(head(hs), np.arange(T)[:, None] % N, reduction="none").reshape((T,))
    table = mg.contributions(losses, cell.b_h).table
    h, W = hs.numpy()[:, 0], cell.W_hh.numpy()
    for t in range(T):
        (d_hs,) = mg.grad(losses[t], hs, retain_graph=True)
        row = d_hs.numpy()[t, 0]
        for k in range(t, -1, -1):
            np.testing.assert_allclose(table[t, k], row * (1 - h[k] ** 2), rtol=1e-12)
            row = (row * (1 - h[k] ** 2)) @ W


def test_terms_of_later_uses_are_zero_and_reverse_reading_turns_that_round() -> None:
    cell = GRU(D, H, seed=0)
    assert not np.triu(mg.contributions(losses_of(cell), cell.W_h).norms, 1).any()
    backwards = mg.contributions(losses_of(cell, reverse=True), cell.W_x).norms
    assert ((backwards > 0) == np.triu(np.ones((T, T), bool))).all()


def test_truncation_cuts_the_terms_across_the_cut() -> None:
    cell = LSTM(D, H, seed=0)
    norms = mg.contributions(losses_of(cell, truncated=2), cell.W_x).norms
    windows = np.arange(T) // 2
    assert ((norms > 0) == (np.tril(np.ones((T, T), bool)) & (windows[:, None] == windows))).all()


def test_what_reaches_a_parameter_outside_of_the_steps_is_told_apart() -> None:
    cell, head = RNN(D, H, seed=1), Head(H, N, seed=2)
    hs, _ = unroll(cell, sequence())
    loss = head.loss(hs, np.zeros((T, B), int)) + (cell.W_hh * cell.W_hh).sum()
    terms = mg.contributions([loss], cell.W_hh)
    np.testing.assert_allclose(terms.outside[0], 2 * cell.W_hh.numpy(), rtol=1e-14)
    (gradient,) = mg.grad(loss, cell.W_hh, retain_graph=True)
    assert relative(terms.gradient, gradient.numpy()) < 4e-15
    of_head = mg.contributions([loss], head.W_yh)
    (gradient,) = mg.grad(loss, head.W_yh, retain_graph=True)
    assert not of_head.table.any()
    assert relative(of_head.outside[0], gradient.numpy()) < 4e-15


def test_without_any_time_step_there_are_no_terms_but_the_gradient_is_there() -> None:
    w = Tensor([2.0, 3.0], requires_grad=True)
    for loss in ((w * w).sum(), [(w * w).sum()]):
        terms = mg.contributions(loss, w)
        assert terms.table.size == 0
        assert terms.gradient.tolist() == [4.0, 6.0]


def test_in_stacked_layers_each_layer_has_its_own_terms() -> None:
    layers = RecurrentLayers("lstm", D, H, num_layers=2, seed=0)
    hs, _ = layers(sequence())
    losses = (hs * hs).sum(axis=(1, 2))
    for parameter in layers.parameters():
        (gradient,) = mg.grad(losses.sum(), parameter, retain_graph=True)
        terms = mg.contributions(losses, parameter)
        assert relative(terms.table.sum(axis=(0, 1)), gradient.numpy()) < 4e-15


def test_a_learned_initial_state_is_used_at_the_first_step() -> None:
    layers = RecurrentLayers("gru", D, H, learn_initial_state=True, seed=0)
    hs, _ = layers(sequence())
    initial = layers.initial_states[0][0]  # type: ignore[index]
    terms = mg.contributions((hs * hs).sum(axis=(1, 2)), initial)
    assert terms.norms[:, 0].all()
    assert not terms.norms[:, 1:].any()


def test_asking_changes_nothing() -> None:
    cell = RNN(D, H, seed=1)
    losses = losses_of(cell)
    seen: list[Any] = []
    cell.W_hh.register_hook(seen.append)
    mg.contributions(losses, cell.W_hh)
    mg.gradient_by_time(losses.sum())
    assert not seen
    assert cell.W_hh.grad is None
    losses.sum().backward()
    assert cell.W_hh.grad is not None


def test_the_table_prints_its_norms() -> None:
    terms = Contributions(np.array([[[3.0, 4.0], [0.0, 0.0]], [[0.6, 0.8], [0.0, 2.0]]]), np.zeros((2, 2)))
    assert str(terms).split() == ["k", "=", "1", "k", "=", "2", "L_1", "5.0e+00", "·", "L_2", "1.0e+00", "2.0e+00"]


@pytest.mark.parametrize(
    ("losses", "parameter", "error", "message"),
    [
        (lambda cell: [losses_of(cell)], lambda cell: cell.W_hh, mg.errors.ShapeError, "one entry each, got shape .* for L_1"),
        (lambda cell: [], lambda cell: cell.W_hh, mg.errors.ArgumentError, "at least one loss"),
        (lambda cell: [1.0], lambda cell: cell.W_hh, mg.errors.DTypeError, "got float for L_1"),
        (losses_of, lambda cell: cell.W_hh.numpy(), mg.errors.DTypeError, "the parameter as a Tensor, got ndarray"),
        (losses_of, lambda cell: Tensor([1.0]), mg.errors.GraphError, "does not require a gradient"),
    ],
)
def test_bad_input_is_refused(losses: Any, parameter: Any, error: type[Exception], message: str) -> None:
    cell = RNN(D, H, seed=1)
    with pytest.raises(error, match=message):
        mg.contributions(losses(cell), parameter(cell))


def test_a_released_graph_says_so() -> None:
    cell = RNN(D, H, seed=1)
    losses = losses_of(cell)
    losses.sum().backward()
    for ask in (lambda: mg.contributions(losses, cell.W_hh), lambda: mg.gradient_by_time(losses.sum())):
        with pytest.raises(mg.errors.GraphError, match="already released"):
            ask()


# ---------------------------------------------------------------- Jacobians of the state


def test_the_jacobian_of_an_rnn_is_the_slope_times_the_matrix() -> None:
    cell = RNN(D, H, seed=1)
    hs, _ = unroll(cell, sequence()[:, :1])
    jacobians = mg.state_jacobians(cell, sequence()[:, :1])
    W, h = cell.W_hh.numpy(), hs.numpy()[:, 0]
    factors = [np.diag(1 - h[t] ** 2) @ W for t in range(T)]
    np.testing.assert_allclose(jacobians.steps, factors, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(jacobians.between(4, 1), factors[3] @ factors[2] @ factors[1], rtol=1e-13, atol=1e-16)
    assert (jacobians.between(2, 2) == np.eye(H)).all()
    assert not jacobians.between(1, 3).any()
    norms = jacobians.norms()
    assert norms.shape == (T + 1, T + 1)
    assert norms[4, 1] == pytest.approx(np.linalg.svd(jacobians.between(4, 1))[1][0], rel=1e-12)
    assert jacobians.radii()[4, 1] == pytest.approx(np.abs(np.linalg.eigvals(jacobians.between(4, 1))).max(), rel=1e-12)


@every_cell
def test_products_of_jacobians_are_the_gradient_by_the_initial_state(make: Any) -> None:
    cell, xs = make(), sequence()[:, :1]
    start = mg.pytree.mapped(lambda part: Tensor(np.full(part.shape, 0.3), requires_grad=True), cell.initial_state(1))
    hs, _ = unroll(cell, xs, start)
    parts = mg.pytree.ends(start)
    jacobians = mg.state_jacobians(cell, xs, start)
    for t in (1, T):
        row = np.concatenate([g.numpy().ravel() for g in mg.grad(hs[t - 1, 0, 1], parts, retain_graph=True)])
        output = list(jacobians.parts)[-1]
        np.testing.assert_allclose(jacobians.between(t, 0, of=output)[1], row, rtol=1e-12, atol=1e-16)


def test_the_four_blocks_of_an_lstm_and_that_h_alone_is_not_its_state() -> None:
    cell, xs = LSTM(D, H, seed=1), sequence()[:, :1]
    jacobians = mg.state_jacobians(cell, xs)
    assert jacobians.parts == {"c": slice(0, H), "h": slice(H, 2 * H)}
    trace = by_hand.lstm.forward(cell.by_gate(), xs)
    np.testing.assert_allclose(jacobians.between(3, 2, of="c", by="c"), np.diag(trace.steps[2].f[0]), rtol=1e-13)
    of_h = [jacobians.between(t, t - 1, of="h", by="h") for t in (2, 3)]
    assert np.abs(jacobians.between(3, 1, of="h", by="h") - of_h[1] @ of_h[0]).max() > 1e-3


def test_a_function_of_the_carry_and_a_batch_are_taken_too() -> None:
    cell, xs = GRU(D, H, seed=1), sequence()
    both = mg.state_jacobians(lambda h, x: (cell.step(x, h), None), xs, cell.initial_state(B))
    first = mg.state_jacobians(cell, xs[:, :1])
    np.testing.assert_allclose(both.steps[:, :H, :H], first.steps, rtol=1e-13, atol=1e-16)
    assert not both.steps[:, :H, H:].any()


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda j: j.between(6, 0), mg.errors.ArgumentError, "t must be from 0 to T = 5, got 6"),
        (lambda j: j.norms(of="c"), mg.errors.ArgumentError, "no part 'c'; it has h"),
        (lambda j: mg.state_jacobians(lambda h, x: h, sequence()), mg.errors.ArgumentError, "the state before the first step"),
        (lambda j: mg.state_jacobians(3, sequence(), 0.0), mg.errors.DTypeError, "expected a cell"),
        (
            lambda j: mg.state_jacobians(lambda h, x: (h, h, x), sequence(), np.zeros(3)),
            mg.errors.ArgumentError,
            "the old one is \\(3,\\), it returned \\(\\(3,\\), \\(3,\\), \\(2, 3\\)\\)",
        ),
    ],
)
def test_bad_questions_about_jacobians_are_refused(ask: Any, error: type[Exception], message: str) -> None:
    jacobians = mg.state_jacobians(RNN(D, H, seed=0), sequence()[:, :1])
    with pytest.raises(error, match=message):
        ask(jacobians)


# ---------------------------------------------------------------- gradients by time


@every_cell
@pytest.mark.parametrize("hoist", [False, True])
def test_gradients_by_time_are_those_of_the_recorded_nodes(make: Any, hoist: bool) -> None:
    cell = make()
    loss = losses_of(cell, hoist).sum()
    table = mg.gradient_by_time(loss)
    assert table.times.tolist() == list(range(1, T + 1))
    arrived: dict[Any, Any] = {}
    for (node, k), share in mg.edge_gradients(loss).items():
        arrived[node.inputs[k]] = arrived.get(node.inputs[k], 0) + share
    for node in mg.walk(loss):
        if node.name in table.values and node.time and node in arrived and not node.is_leaf:
            norm = table.values[node.name][node.time - 1]
            assert norm == pytest.approx(np.linalg.norm(arrived[node].ravel()), rel=1e-12)
    for name, parameter in cell.named_parameters():
        terms = mg.contributions([loss], parameter).norms[0]
        np.testing.assert_allclose(table.contributions[name], terms, rtol=1e-12)
    assert set(cell.state_names) <= set(table.values)


def test_c_of_an_lstm_has_its_total_derivative_and_what_the_cell_function_returns_is_a_part_of_it() -> None:
    cell, xs = LSTM(D, H, seed=1), sequence()
    hs, _ = unroll(cell, xs)
    totals = mg.gradient_by_time((hs * hs).sum(), names=("c",)).values["c"]
    params, d_hs = cell.by_gate(), 2 * hs.numpy()
    start = by_hand.lstm.forward(params, xs[:3]).state
    late = by_hand.lstm.backward(params, by_hand.lstm.forward(params, xs[3:], start), d_hs[3:])
    dc_prev, dh_prev = late.state
    assert abs(np.linalg.norm(dc_prev) - totals[2]) > 1e-3
    step = by_hand.lstm.forward(params, xs[:3]).steps[2]
    through_h = (d_hs[2] + dh_prev) * step.o * (1 - step.q**2)
    assert np.linalg.norm(through_h + dc_prev) == pytest.approx(totals[2], rel=1e-13)


def test_stacked_layers_are_told_apart_by_their_scopes() -> None:
    layers = RecurrentLayers("gru", D, H, num_layers=2, seed=0)
    hs, _ = layers(sequence())
    table = mg.gradient_by_time((hs * hs).sum(), names=("h",))
    assert len(table.values) == 2
    assert all(name.endswith("gru/h") for name in table.values)
    assert len(table.contributions) == len(layers.parameters())


def test_a_step_without_the_value_has_a_dot_and_not_a_zero() -> None:
    w = Tensor([2.0], requires_grad=True, name="w")
    with mg.time_step(1):
        a = (w * 3).named("a")
    with mg.time_step(2):
        b = (a * w).named("b")
    lines = str(mg.gradient_by_time(b.sum())).splitlines()
    assert [line.split() for line in lines[1:]] == [["1", "2.00e+00", "·", "6.00e+00"], ["2", "·", "1.00e+00", "6.00e+00"]]


def test_bad_questions_about_gradients_by_time_are_refused() -> None:
    hs, _ = unroll(RNN(D, H, seed=0), sequence())
    with pytest.raises(mg.errors.ArgumentError, match="no value of a time step is named 'c'"):
        mg.gradient_by_time(hs.sum(), names=("h", "c"))
    with pytest.raises(mg.errors.GraphError, match="has 40 entries"):
        mg.gradient_by_time(hs)
    with pytest.raises(mg.errors.DTypeError, match="got float"):
        mg.gradient_by_time(1.0)  # type: ignore[arg-type]
