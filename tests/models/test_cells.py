"""The cells as objects: sizes, options, names of parameters, initial values, messages."""

from typing import Any

import numpy as np
import pytest
from by_hand_cases import VARIANTS, Variant
from cell_cases import CLASSES, cell_of
from minigrad.models.cells import CELLS, GRU, LSTM, RNN, GatedRNN, LSTMState, make_cell
from minigrad.models.layers import Head, unroll

from minigrad import Tensor
from minigrad.errors import ArgumentError, DTypeError, GraphError, MinigradError, ShapeError

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
every_cell = pytest.mark.parametrize("cell_class", CLASSES.values(), ids=CLASSES)


def test_parameters_have_the_courses_names_and_shapes() -> None:
    shapes = {name: {n: p.shape for n, p in make_cell(name, 3, 5).named_parameters()} for name in CELLS}
    assert shapes == {
        "rnn": {"W_hx": (5, 3), "W_hh": (5, 5), "b_h": (5,)},
        "gated_rnn": {"W_gx": (5, 3), "W_gs": (5, 5), "W_sx": (5, 3), "W_ss": (5, 5)},
        "gru": {"W_x": (15, 3), "W_h": (15, 5), "b": (15,)},
        "lstm": {"W_x": (20, 3), "W_h": (20, 5), "b": (20,)},
    }
    assert [p.name for p in LSTM(3, 5).parameters()] == ["W_x", "W_h", "b"]
    assert list(RNN(3, 5, bias=False).state_dict()) == ["W_hx", "W_hh"]
    assert GRU(3, 5, reset="after").b_ch.shape == (5,)


@every_variant
def test_by_gate_has_the_names_and_shapes_of_by_hand(variant: Variant) -> None:
    size = {"D": 3, "H": 5}
    wanted = {name: tuple(size[letter] for letter in letters) for name, letters in variant.shapes.items()}
    assert {name: value.shape for name, value in cell_of(variant, 3, 5).by_gate().items()} == wanted


def test_row_blocks_stand_in_the_stated_order() -> None:
    lstm, gru = LSTM(2, 3), GRU(2, 3)
    for k, gate in enumerate("ifgo"):
        np.testing.assert_array_equal(lstm.by_gate()[f"W_{gate}x"], lstm.W_x.data[3 * k : 3 * k + 3])
        np.testing.assert_array_equal(lstm.by_gate()[f"b_{gate}"], lstm.b.data[3 * k : 3 * k + 3])
    for k, gate in enumerate("urc"):
        np.testing.assert_array_equal(gru.by_gate()[f"W_{gate}h"], gru.W_h.data[3 * k : 3 * k + 3])


@every_variant
def test_load_by_gate_is_the_inverse_of_by_gate(variant: Variant) -> None:
    source, target = cell_of(variant, 3, 4, seed=1), cell_of(variant, 3, 4, seed=2)
    target.load_by_gate(source.by_gate())
    for name, value in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[name], value)


def test_by_gate_hands_out_copies() -> None:
    cell = LSTM(2, 3)
    before = cell.state_dict()
    for value in cell.by_gate().values():
        value[...] = 7.0
    np.testing.assert_array_equal(cell.state_dict()["W_x"], before["W_x"])


def test_a_refused_load_changes_nothing_and_names_the_parameter() -> None:
    cell = LSTM(2, 3, seed=0)
    before = cell.state_dict()
    values = cell.by_gate()
    del values["W_ix"]
    with pytest.raises(ArgumentError, match=r"lstm.load_by_gate: expected exactly W_ix, .*; missing: W_ix; unknown: W_zx"):
        cell.load_by_gate(values | {"W_zx": np.ones((3, 2))})
    with pytest.raises(ShapeError, match=r"lstm.load_by_gate: b_f must be \(3,\), got \(2,\)"):
        cell.load_by_gate(cell.by_gate() | {"W_ix": np.zeros((3, 2)), "b_f": np.ones(2)})
    for b_o in (["a", "b", "c"], [None] * 3, np.ones(3) + 1j):
        with pytest.raises(DTypeError, match=r"lstm.load_by_gate: b_o must hold real numbers, got dtype "):
            cell.load_by_gate(cell.by_gate() | {"W_ix": np.zeros((3, 2)), "b_o": b_o})
    assert all((cell.state_dict()[name] == value).all() for name, value in before.items())


def test_gradients_by_gate_before_backward_are_refused() -> None:
    with pytest.raises(GraphError, match=r"gru.by_gate: W_x has no gradient; call backward"):
        GRU(2, 3).by_gate(grad=True)


@every_cell
def test_initial_values_are_seeded_uniform_in_one_over_root_H(cell_class: Any) -> None:
    H = 400 if cell_class is GatedRNN else 300
    cell = cell_class(2, H, seed=3)
    values = np.concatenate([p.numpy().ravel() for p in cell.parameters()]) * np.sqrt(H)
    assert np.abs(values).max() <= 1.0
    assert abs(values.mean()) < 0.01
    assert abs(values.var() - 1 / 3) < 0.01
    same = cell_class(2, H, seed=np.random.default_rng(3)).state_dict()
    other = cell_class(2, H, seed=4).state_dict()
    for name, value in cell.state_dict().items():
        assert (same[name] == value).all()
        assert (other[name] != value).any()


@every_cell
def test_float32_parameters_give_float32_states_and_gradients(cell_class: Any) -> None:
    cell = cell_class(2, 3, dtype=np.float32, seed=0)
    hs, _ = unroll(cell, np.ones((4, 2, 2), np.float32))
    hs.sum().backward()
    assert hs.dtype == np.float32
    assert {g.dtype.name for g in cell.by_gate(grad=True).values()} == {"float32"}


@every_cell
@pytest.mark.parametrize("size", [0, -1, 2.0, True, None, "3"])
def test_sizes_that_are_not_positive_integers_are_refused(cell_class: Any, size: Any) -> None:
    with pytest.raises(ArgumentError, match=rf"{cell_class.label}: hidden_size must be an integer ≥ 1, got {size!r}"):
        cell_class(2, size)
    with pytest.raises(ArgumentError, match=rf"{cell_class.label}: input_size must be an integer ≥ 1, got {size!r}"):
        cell_class(size, 2)


@every_cell
@pytest.mark.parametrize(("size", "shown"), [(10**30, "1e.30"), (2**63, "9.22e.18")])
def test_sizes_beyond_counting_are_refused(cell_class: Any, size: int, shown: str) -> None:
    message = rf"{cell_class.label}: hidden_size must be at most 9223372036854775807, got {shown}"
    with pytest.raises(ArgumentError, match=message):
        cell_class(2, size)


@every_cell
@pytest.mark.parametrize("init", ["uniform", "xavier_normal"])
def test_sizes_beyond_memory_are_refused_by_the_name_of_the_parameter(cell_class: Any, init: str) -> None:
    with pytest.raises(ArgumentError, match=r"^W_\w+: \d × \(\d+, \d+\) numbers do not fit into memory; choose smaller sizes"):
        cell_class(2, 2**62, init=init)


def test_options_that_do_not_exist_are_refused_with_those_that_do() -> None:
    with pytest.raises(ArgumentError, match="expected one of 'rnn', 'gated_rnn', 'gru', 'lstm', got 'LSTM'"):
        make_cell("LSTM", 2, 3)
    with pytest.raises(ArgumentError, match="gru: reset: expected one of 'before', 'after', got 'middle'"):
        make_cell("gru", 2, 3, reset="middle")
    with pytest.raises(ArgumentError, match="seed: expected an integer ≥ 0"):
        LSTM(2, 3, seed="lucky")  # the type checker would say so too
    with pytest.raises(ArgumentError, match="seed: expected an integer ≥ 0"):
        LSTM(2, 3, seed=-1)
    with pytest.raises(DTypeError, match="dtype: parameters are floating-point numbers, got int64"):
        LSTM(2, 3, dtype=np.int64)
    with pytest.raises(DTypeError, match="dtype: parameters are floating-point numbers, got 'flot64'"):
        LSTM(2, 3, dtype="flot64")
    with pytest.raises(ArgumentError, match="forget_bias: expected None, or a finite number and bias=True, got nan"):
        LSTM(2, 3, forget_bias=float("nan"))


@every_cell
def test_a_wrong_shape_names_cell_time_step_expected_and_got(cell_class: Any) -> None:
    cell, label, name = cell_class(3, 4), cell_class.label, cell_class.state_names[0]
    state = cell.initial_state(2)
    with pytest.raises(ShapeError, match=rf"^{label}: x must be \(B, D\) with D = 3, got \(2, 5\)$"):
        cell.step(Tensor(np.ones((2, 5))), state)
    with pytest.raises(ShapeError, match=rf"^{label}: x must be \(B, D\) with D = 3, got \(3,\)$"):
        cell.step(Tensor(np.ones(3)), state)
    with pytest.raises(ShapeError, match=rf"^{label}: the state {name} must be \(B, H\) = \(1, 4\), got \(2, 4\)$"):
        cell.step(Tensor(np.ones((1, 3))), state)
    with pytest.raises(ShapeError, match=rf"^unroll {label}: xs must be \(T, B, D\) with D = 3, time first, got \(7, 2, 4\)$"):
        unroll(cell, np.ones((7, 2, 4)))
    with pytest.raises(ShapeError, match=rf"^{label}: the state {name} must be \(B, H\) = \(1, 4\), got \(2, 4\)$"):
        unroll(cell, np.ones((7, 1, 3)), state)


def test_a_step_that_goes_wrong_inside_the_loop_says_at_which_time() -> None:
    class Shrinking(RNN):
        def recur(self, wx: Tensor, state: Tensor) -> Tensor:
            return super().recur(wx, state)[:, :-1]

    with pytest.raises(ShapeError, match=r"^rnn at time step 1: step must return a state .* of shape \(2, 4\); got \(2, 3\)$"):
        unroll(Shrinking(3, 4), np.ones((5, 2, 3)))


def test_the_lstm_wants_both_parts_of_its_state() -> None:
    with pytest.raises(ShapeError, match=r"lstm: the state must be \(c, h\), got 1 parts"):
        unroll(LSTM(3, 4), np.ones((5, 2, 3)), Tensor(np.ones((2, 4))))
    with pytest.raises(ShapeError, match=r"lstm: the state h must be \(B, H\) = \(2, 4\), got \(2, 5\)"):
        unroll(LSTM(3, 4), np.ones((5, 2, 3)), LSTMState(np.ones((2, 4)), np.ones((2, 5))))


@pytest.mark.parametrize("batch", [-1, 2.5, None, True])
def test_a_batch_that_is_no_count_is_refused(batch: Any) -> None:
    with pytest.raises(ArgumentError, match=r"gru.initial_state: batch must be an integer ≥ 0"):
        GRU(2, 3).initial_state(batch)


def test_the_state_of_the_lstm_is_the_pair_c_h_and_not_its_gates() -> None:
    state = LSTM(2, 3).initial_state(4)
    assert isinstance(state, LSTMState)
    assert LSTMState._fields == ("c", "h")
    assert (state.c.name, state.h.name) == ("c", "h")


def test_the_head_refuses_sizes_shapes_and_labels_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="head: output_size must be an integer ≥ 1, got 0"):
        Head(3, 0)
    head = Head(3, 5)
    with pytest.raises(ShapeError, match=r"head: hs must be \(..., H\) with H = 3, got \(2, 4\)"):
        head(Tensor(np.ones((2, 4))))
    for targets in ([[-1]], [[5]], [[0.5]], [0]):
        with pytest.raises(MinigradError, match="cross_entropy"):
            head.loss(Tensor(np.ones((1, 1, 3))), targets)
