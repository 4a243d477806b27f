"""`RecurrentLayers`: what it computes, its states in torch's order, dropout, learnt initial states, cells of one's own."""

from typing import Any

import numpy as np
import pytest
from cell_cases import CLASSES
from differences import assert_gradients, leaves_of, weighted
from minigrad.models.cells import GRU, LSTM, RNN, LSTMState
from minigrad.models.layers import RecurrentLayers, unroll
from minigrad.models.states import parts_of, with_parts
from own_cells import Leaky, WithMemory

from minigrad import Tensor, concatenate, walk
from minigrad.errors import ArgumentError, ShapeError

T, B, D, H = 5, 3, 2, 4
KINDS = [
    {"num_layers": 1},
    {"num_layers": 3},
    {"num_layers": 1, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 3, "residual": True},
    {"num_layers": 2, "bidirectional": True, "residual": True},
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: " ".join(f"{k}={v}" for k, v in kind.items()))
every_cell = pytest.mark.parametrize("name", CLASSES)
either_way = pytest.mark.parametrize("hoist", [False, True])


def inputs(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(T, B, D))


def random_states(layers: RecurrentLayers, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    shape = (layers.num_layers * layers.num_directions, B, H)
    parts = [Tensor(rng.normal(size=shape), requires_grad=True) for _ in layers.cells[0][0].state_names]
    return LSTMState(*parts) if len(parts) == 2 else parts[0]


@every_cell
@every_kind
@either_way
def test_layers_are_cells_unrolled_over_each_other_and_states_are_ordered_as_torchs(
    name: str, kind: dict[str, Any], hoist: bool
) -> None:
    layers = RecurrentLayers(name, D, H, seed=0, **kind)
    state = random_states(layers)
    hs, finals = layers(inputs(), state, hoist=hoist)

    y, k = Tensor(inputs()), 0
    for number, cells in enumerate(layers.cells):
        below, outputs = y, []
        for cell, reverse in zip(cells, (False, True), strict=False):
            start = [part.numpy()[k] for part in parts_of(state)]
            one, final = unroll(cell, below, with_parts(cell.initial_state(B), start), reverse=reverse)
            for part, stacked in zip(parts_of(final), parts_of(finals), strict=True):
                np.testing.assert_allclose(stacked.numpy()[k], part.numpy(), rtol=1e-12, atol=1e-15)
            outputs.append(one)
            k += 1
        y = concatenate(outputs, axis=-1)
        if number and kind.get("residual"):
            y = y + below
    np.testing.assert_allclose(hs.numpy(), y.numpy(), rtol=1e-12, atol=1e-15)
    assert type(finals) is type(state)
    assert hs.shape == (T, B, H * layers.num_directions)


@pytest.mark.sampled(2)
@every_cell
@every_kind
@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
def test_gradients_of_all_parameters_inputs_and_states_are_those_of_central_differences(
    name: str, kind: dict[str, Any], lengths: Any
) -> None:
    layers = RecurrentLayers(name, D, H, seed=2, **kind)
    xs, state = Tensor(inputs(3), requires_grad=True), random_states(layers, 4)

    def loss() -> Tensor:
        hs, final = layers(xs, state, lengths)
        return weighted(hs, *parts_of(final))

    leaves = leaves_of(layers, xs=xs, **{f"state {n}": part for n, part in enumerate(parts_of(state))})
    assert_gradients(loss, leaves, every_entry=False, tolerance=1e-8)


@every_kind
@pytest.mark.parametrize("padding", [np.nan, np.inf, 1e300])
def test_padding_may_hold_anything_and_its_gradient_is_exactly_0(kind: dict[str, Any], padding: float) -> None:
    layers, lengths = RecurrentLayers("lstm", D, H, seed=5, **kind), [2, 5, 0]
    results = []
    for filling in (0.0, padding):
        xs = inputs(6)
        for b, length in enumerate(lengths):
            xs[length:, b] = filling
        leaf = Tensor(xs, requires_grad=True)
        layers.zero_grad()
        hs, final = layers(leaf, None, lengths)
        weighted(hs, *final).backward()
        for b, length in enumerate(lengths):
            assert not hs.numpy()[length:, b].any()
            assert not leaf.grad[length:, b].any()
        results.append([hs.numpy(), *(part.numpy() for part in final), leaf.grad, *(p.grad for p in layers.parameters())])
    for clean, dirty in zip(*results, strict=True):
        np.testing.assert_array_equal(clean, dirty)


@every_cell
@either_way
def test_final_states_continue_the_sequence(name: str, hoist: bool) -> None:
    layers = RecurrentLayers(name, D, H, num_layers=2, seed=7)
    whole, end = layers(inputs(), hoist=hoist)
    first, middle = layers(inputs()[:2], hoist=hoist)
    rest, end_of_rest = layers(inputs()[2:], middle, hoist=hoist)
    np.testing.assert_allclose(np.concatenate([first.numpy(), rest.numpy()]), whole.numpy(), rtol=1e-13)
    for a, b in zip(parts_of(end), parts_of(end_of_rest), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-13)


@every_kind
@either_way
def test_no_steps_and_no_examples_are_defined(kind: dict[str, Any], hoist: bool) -> None:
    layers = RecurrentLayers("lstm", D, H, seed=8, **kind)
    rows, width = layers.num_layers * layers.num_directions, H * layers.num_directions
    hs, state = layers(np.ones((0, B, D)), hoist=hoist)
    assert (hs.shape, state.c.shape) == ((0, B, width), (rows, B, H))
    assert not state.h.numpy().any()
    hs, state = layers(np.ones((T, 0, D)), hoist=hoist)
    assert (hs.shape, state.c.shape) == ((T, 0, width), (rows, 0, H))


# ---------------------------------------------------------------- the graph


def test_every_operation_says_its_layer_direction_cell_and_time() -> None:
    layers = RecurrentLayers("rnn", D, H, num_layers=2, bidirectional=True, seed=9)
    nodes = walk(layers(inputs(), hoist=False)[0])
    scopes = {node.scope for node in nodes if node.name == "h" and not node.is_leaf}
    assert scopes == {(f"layer {n}", way, "rnn") for n in (1, 2) for way in ("forward", "backward")}
    assert {node.scope for node in walk(RecurrentLayers("rnn", D, H)(inputs())[0]) if node.name == "h"} == {("rnn",)}


def test_unhoisted_a_layer_reads_the_state_below_at_its_own_time_step_by_step() -> None:
    layers = RecurrentLayers("rnn", D, H, num_layers=2, residual=True, seed=10)
    nodes = walk(layers(inputs(), hoist=False)[0])
    h = {(node.scope[0], node.time): node for node in nodes if node.name == "h"}
    for t in range(1, T + 1):
        (product,) = (node for node in nodes if node.label == "matmul" and h["layer 1", t] in node.inputs and node.time == t)
        assert product.scope == ("layer 2", "rnn")
        (total,) = (node for node in nodes if node.label == "add" and set(node.inputs) == {h["layer 1", t], h["layer 2", t]})
        assert total.time == t
    assert [node.label for node in nodes].count("stack") == 1


def test_both_directions_read_the_same_inputs() -> None:
    layers = RecurrentLayers("rnn", D, H, bidirectional=True, seed=10)
    for xs in (inputs(), Tensor(inputs(), requires_grad=True)):
        nodes = walk(layers(xs, hoist=False)[0])
        assert sorted(node.time for node in nodes if node.name == "x" and node.time) == [1, 2, 3, 4, 5]


def test_hoisted_the_whole_input_is_called_x_unless_it_has_a_name() -> None:
    layers = RecurrentLayers("rnn", D, H, seed=10)
    assert "x" in {node.name for node in walk(layers(inputs())[0])}
    named = Tensor(inputs(), requires_grad=True, name="embedded")
    assert not {node.name for node in walk(layers(named)[0])} & {"x"}
    assert named.name == "embedded"


# ---------------------------------------------------------------- dropout


def test_dropout_acts_between_layers_in_training_and_never_in_evaluation() -> None:
    plain, dropping = (RecurrentLayers("gru", D, H, num_layers=3, dropout=p, seed=11) for p in (0.0, 0.5))
    plain.load_state_dict(dropping.state_dict())
    expected = plain(inputs())[0].numpy()
    assert np.abs(dropping(inputs())[0].numpy() - expected).max() > 1e-3
    dropping.eval()
    np.testing.assert_array_equal(dropping(inputs())[0].numpy(), expected)
    dropping.train()
    assert np.abs(dropping(inputs())[0].numpy() - expected).max() > 1e-3
    with pytest.warns(UserWarning, match=r"layers: dropout=0\.9 does nothing with one layer: .* num_layers=2 or more"):
        alone = RecurrentLayers("gru", D, H, dropout=0.9, seed=12)
    np.testing.assert_array_equal(alone(inputs())[0].numpy(), alone.eval()(inputs())[0].numpy())


def test_dropout_is_decided_by_the_seed_and_moves_on_with_every_call() -> None:
    first, again = (RecurrentLayers("rnn", D, H, num_layers=2, dropout=0.5, seed=13) for _ in range(2))
    a, b = first(inputs())[0].numpy(), first(inputs())[0].numpy()
    np.testing.assert_array_equal(again(inputs())[0].numpy(), a)
    np.testing.assert_array_equal(again(inputs(), hoist=False)[0].numpy().round(12), b.round(12))
    assert (a != b).any()


def test_dropout_keeps_the_mean_of_what_passes_to_the_next_layer() -> None:
    layers = RecurrentLayers("rnn", 1, 2000, num_layers=2, dropout=0.3, seed=14)
    hs = unroll(layers.cells[0][0], np.ones((1, 1, 1)))[0].numpy().ravel()
    seen = []
    layers.cells[1][0].project = lambda x: seen.append(x.numpy().ravel()) or RNN.project(layers.cells[1][0], x)
    layers(np.ones((1, 1, 1)))
    (dropped,) = seen
    kept = dropped != 0
    assert abs(kept.mean() - 0.7) < 0.03
    np.testing.assert_allclose(dropped[kept], hs[kept] / 0.7, rtol=1e-13)


def test_the_residual_path_is_never_dropped() -> None:
    layers = RecurrentLayers("rnn", D, H, num_layers=2, residual=True, dropout=1.0, seed=15)
    below = unroll(layers.cells[0][0], inputs())[0].numpy()
    above = unroll(layers.cells[1][0], np.zeros((T, B, H)))[0].numpy()
    np.testing.assert_allclose(layers(inputs())[0].numpy(), below + above, rtol=1e-12)


def test_gradients_under_dropout_are_those_of_central_differences() -> None:
    layers = RecurrentLayers("lstm", D, H, num_layers=2, dropout=0.4, residual=True, seed=15)
    xs = Tensor(inputs(), requires_grad=True)

    def loss() -> Tensor:
        layers.rng = np.random.default_rng(16)
        return weighted(layers(xs)[0])

    assert_gradients(loss, leaves_of(layers, xs=xs), every_entry=False, tolerance=1e-8)


# ---------------------------------------------------------------- initial states that are learnt


@every_cell
def test_learnt_initial_states_are_parameters_that_every_example_shares(name: str) -> None:
    layers = RecurrentLayers(name, D, H, num_layers=2, bidirectional=True, learn_initial_state=True, seed=17)
    learnt = [parameter for key, parameter in layers.named_parameters() if key.startswith("initial_states")]
    states = layers.cells[0][0].state_names
    assert [parameter.name for parameter in learnt] == [*states] * 4
    rng = np.random.default_rng(18)
    for parameter in learnt:
        assert not parameter.numpy().any()
        parameter.data = rng.normal(size=parameter.shape)
    hs, _ = layers(inputs())
    parts = [np.repeat([p.numpy() for p in learnt[k :: len(states)]], B, axis=1) for k in range(len(states))]
    given, _ = layers(inputs(), with_parts(layers.cells[0][0].initial_state(B), parts))
    np.testing.assert_array_equal(hs.numpy(), given.numpy())
    assert_gradients(lambda: weighted(layers(inputs())[0]), leaves_of(layers), every_entry=False, tolerance=1e-8)


def test_without_being_asked_no_initial_state_is_a_parameter() -> None:
    assert len(RecurrentLayers("lstm", D, H).parameters()) == 3
    assert list(RecurrentLayers("gru", D, H, num_layers=2).state_dict()) == [
        f"cells.{layer}.0.{name}" for layer in (0, 1) for name in ("W_x", "W_h", "b")
    ]


# ---------------------------------------------------------------- cells of one's own


def test_cells_of_ones_own_are_stacked_and_read_in_both_directions() -> None:
    pairs = [(Leaky(2, 3), Leaky(2, 3)), (Leaky(6, 3), Leaky(6, 3))]
    layers = RecurrentLayers(pairs)
    hs, states = layers(inputs())
    y = Tensor(inputs())
    for forward, backward in pairs:
        y = concatenate([unroll(forward, y)[0], unroll(backward, y, reverse=True)[0]], axis=-1)
    np.testing.assert_array_equal(hs.numpy(), y.numpy())
    assert states.shape == (4, B, 3)
    hs.sum().backward()
    assert all(cell.W.grad is not None for pair in pairs for cell in pair)
    scopes = {node.scope for node in walk(hs) if node.label == "tanh"}
    assert scopes == {(f"layer {n}", way, "Leaky") for n in (1, 2) for way in ("forward", "backward")}


def test_different_cells_give_their_states_as_a_list_and_take_them_so() -> None:
    layers = RecurrentLayers([GRU(D, 5, seed=0), LSTM(5, 4, seed=1), WithMemory(4, 3)])
    hs, states = layers(inputs()[:3])
    assert [tuple(part.shape for part in parts_of(state)) for state in states] == [((B, 5),), ((B, 4),) * 2, ((B, 3),) * 2]
    rest, _ = layers(inputs()[3:], states)
    whole, _ = layers(inputs())
    np.testing.assert_allclose(np.concatenate([hs.numpy(), rest.numpy()]), whole.numpy(), rtol=1e-13)


def test_one_cell_may_serve_two_layers() -> None:
    cell = RNN(H, H, seed=2)
    layers = RecurrentLayers([cell, cell])
    assert len(layers.parameters()) == 3
    xs = np.ones((2, B, H))
    weighted(layers(xs)[0]).backward()
    assert_gradients(lambda: weighted(layers(xs)[0]), leaves_of(layers), every_entry=True, tolerance=1e-8)


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("lstm",), {}, "layers: the cell 'lstm' needs an input_size and a hidden_size"),
        (("lsmt", 2, 3), {}, "expected one of 'rnn', 'gated_rnn', 'gru', 'lstm', got 'lsmt'"),
        (("gru", 2, 3), {"num_layers": 0}, "layers: num_layers must be an integer ≥ 1, got 0"),
        (("gru", 2, 3), {"bidirectional": "yes"}, "layers: bidirectional: expected True or False, got 'yes'"),
        (("gru", 2, 3), {"dropout": 1.5}, "layers: dropout: expected a probability from 0 to 1, got 1.5"),
        (("gru", 2, 3), {"dropout": float("nan")}, "layers: dropout: expected a probability from 0 to 1, got nan"),
        (("gru", 2, 3), {"output_tanh": False}, "gru: an option: expected one of 'reset', .*, got 'output_tanh'"),
        (("gru", 2, 0), {}, "gru: hidden_size must be an integer ≥ 1, got 0"),
        (([],), {}, "layers: expected at least one cell"),
        (([Leaky()], 2, 3), {}, "layers: sizes, num_layers, bidirectional and the cell's options go with the name"),
        (([Leaky(), (Leaky(), Leaky())],), {}, "all layers with one direction or all with two"),
        ((Leaky(),), {}, "layers: expected the name of a cell or a list of cells, one for each layer; got"),
        ((None,), {}, "or a list of cells, one for each layer; got None"),
        ((["gru"],), {}, r"layers: expected the name of a cell, or .*; 'gru' has neither"),
        (([(Leaky(), Leaky(), Leaky())],), {}, r"or a pair \(forward, backward\) of them; got"),
    ],
)
def test_what_makes_no_layers_is_refused(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        RecurrentLayers(*arguments, **options)


def test_what_does_not_fit_is_refused_with_the_expected_shape() -> None:
    layers = RecurrentLayers("lstm", D, H, num_layers=2)
    with pytest.raises(ShapeError, match=r"layers: xs must be \(T, B, D\) with D = 2, time first, got \(5, 3, 4\)"):
        layers(np.ones((5, 3, 4)))
    with pytest.raises(ShapeError, match=r"layers: a state must be \(layers · directions, B, H\) = \(2, 3, …\), got \(3, 4\)"):
        layers(np.ones((T, B, D)), LSTMState(np.ones((B, H)), np.ones((B, H))))
    with pytest.raises(ShapeError, match=r"lstm: the state c must be \(B, H\) = \(3, 4\), got \(2, 4\)"):
        layers(np.ones((T, B, D)), LSTMState(np.ones((2, 2, H)), np.ones((2, B, H))))
    with pytest.raises(ShapeError, match="layers: expected 2 states, one for each layer and direction, got 1"):
        layers(np.ones((T, B, D)), [None])
    with pytest.raises(ArgumentError, match="layers: lengths must be from 0 to T = 5, got 6 for example 0"):
        layers(np.ones((T, B, D)), lengths=[6, 1, 1])
    messages = {True: r"unroll rnn: xs must be \(T, B, D\) with D = 3", False: "rnn at time step 1: x must be .* D = 3"}
    for hoist, message in messages.items():
        with pytest.raises(ShapeError, match=message):
            RecurrentLayers([RNN(D, 4), RNN(3, 4)])(np.ones((T, B, D)), hoist=hoist)
    with pytest.raises(ShapeError, match="layers: residual=True needs layers of one width, got"):
        RecurrentLayers([RNN(D, 3), RNN(3, 4)], residual=True)(np.ones((T, B, D)))
