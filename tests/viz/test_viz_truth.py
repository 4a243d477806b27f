"""What a picture says is so: cuts, initial states, scales, numbers that are not finite, shares that add up."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from graphs_to_draw import B, D, H, of_cell
from layer_cases import of_layers, of_translation
from minigrad.models import ManyToOne, OneToMany, RecurrentLayers
from minigrad.models.cells import make_cell
from minigrad.models.unrolling import unroll
from minigrad.viz import draw
from minigrad.viz.diagram import build
from minigrad.viz.diagram.items import Diagram
from minigrad.viz.furniture import Heights
from minigrad.viz.overlay import Overlay
from minigrad.viz.text import plain

from minigrad import Module, Parameter, Tensor, embedding, log, scan, sigmoid, tanh, time_step, walk
from minigrad.backward import seed


def diagram_of(tensor: Tensor) -> Diagram:
    return build(walk(tensor), [tensor.node])


def spoken(diagram: Diagram) -> list[str]:
    return [item.full_name for item in diagram.items]


def shares(tensor: Tensor) -> dict[str, np.ndarray]:
    """For each parameter the sum of what all places contribute to its gradient."""
    diagram = diagram_of(tensor)
    overlay = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]}, keep_shares=True)
    found: dict[str, np.ndarray] = {}
    for (number, _), array in overlay.share_arrays.items():
        name = f"{diagram.items[number].head.name} {diagram.items[number].part}"
        found[name] = found.get(name, 0.0) + array
    return found


def assert_shares_add_up(tensor: Tensor) -> None:
    found = shares(tensor)
    diagram = diagram_of(tensor)
    tensor.backward()
    assert found
    for item in diagram.items:
        name = f"{item.head.name} {item.part}"
        if name in found:
            np.testing.assert_allclose(found[name], item.head.node.grad, rtol=1e-10, atol=1e-15)


def test_what_stands_side_by_side_is_told_in_the_formula() -> None:
    formulas = [item.full_name for item in diagram_of(of_translation("rnn", 2, True, attention="dot")).items if item.terms]
    assert any("·[E_y[…], context]" in formula for formula in formulas)


@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "gated_rnn", "gru", "lstm"])
def test_shares_add_up_to_the_gradient_in_stacks_of_both_directions(cell: str, hoist: bool) -> None:
    assert_shares_add_up(of_layers(cell, 4, hoist, "plain", num_layers=2, bidirectional=True))
    assert_shares_add_up(of_layers(cell, 4, hoist, "lengths", num_layers=2))
    assert_shares_add_up(of_layers(cell, 5, hoist, "truncated", num_layers=2))


@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_what_the_decoder_is_given_stands_in_the_steps_of_the_decoder(attention: str | None, hoist: bool) -> None:
    diagram = diagram_of(of_translation("gru", 4, hoist, attention=attention))
    laps = {name: lap for lap, name in diagram.lap_names.items()}
    looked_up = [item for item in diagram.items if item.full_name == "E_y[…]"]
    assert [(item.role, diagram.steps[item.place].lap) for item in looked_up] == [("input", laps["decoder"])] * 3
    for item in diagram.items:
        if 0 <= item.place < diagram.after and not diagram.steps[item.place].between:
            assert item.head.scope[0] == diagram.lap_names[diagram.steps[item.place].lap]


@pytest.mark.parametrize("hoist", [False, True])
def test_the_first_input_of_one_to_many_is_x(hoist: bool) -> None:
    loss = OneToMany("rnn", D, H, 5, seed=0).loss(np.ones((B, D)), np.zeros((3, B), int), hoist=hoist)
    given = [(item.full_name, item.head.time) for item in diagram_of(loss).items if item.role == "input"]
    assert given == [("x₁", 1), ("E[…]", 2), ("E[…]", 3)]


@pytest.mark.parametrize("case", [0, 1, 2])
def test_a_row_read_at_a_step_is_shown_as_what_it_is_whether_or_not_products_were_hoisted(case: int) -> None:
    def of(hoist: bool) -> Tensor:
        if case == 2:
            return of_translation("rnn", 3, hoist, attention=None)
        return of_cell("rnn", 3, hoist=hoist, xs=Tensor(np.ones((3, B, D)), requires_grad=True, name=("x", "words")[case]))

    hoisted, stepwise = (sorted((i.full_name, i.role, i.place) for i in diagram_of(of(hoist)).items) for hoist in (True, False))
    assert hoisted == stepwise


@pytest.mark.parametrize("requires_grad", [False, True])
def test_what_a_loop_by_hand_begins_with_is_the_state_before_the_first_step(requires_grad: bool) -> None:
    W = Parameter(np.eye(H) * 0.5, name="W")
    h = Tensor(np.ones((B, H)), name="h", requires_grad=requires_grad)
    for t in (1, 2, 3):
        with time_step(t):
            h = tanh(h @ W.T).named("h")
    scene = draw(h.sum()).scene
    start = next(box for box in scene.boxes if plain(box.lines[0]) == "h₀")
    assert start.role == "state"
    assert start.x < scene.panels[0].x


def test_only_what_is_handed_from_step_to_step_is_a_state() -> None:
    W = Parameter(np.eye(H) * 0.5, name="W")
    h = Tensor(np.ones((B, H)), name="h")
    for t in (1, 2, 3):
        with time_step(t):
            h = h * sigmoid(h @ W.T)
    items = diagram_of((h * h).sum()).items
    assert [item.role for item in items if item.full_name == "⊙"] == ["state"] * 3 + ["operation"]


class WithADict(Module):
    """A cell whose step names nothing."""

    pure_step = True

    def __init__(self) -> None:
        self.W = Parameter(np.eye(H) * 0.5, name="W")

    def initial_state(self, batch_size: int) -> dict[str, Tensor]:
        return {name: Tensor(np.ones((batch_size, H)), requires_grad=True) for name in ("m", "h")}

    def step(self, x: Tensor, state: dict[str, Tensor]) -> dict[str, Tensor]:
        m = 0.9 * state["m"] + 0.1 * state["h"]
        return {"m": m, "h": tanh(m @ self.W.T + x)}


def test_states_in_a_dict_are_called_as_its_keys() -> None:
    hs, _ = unroll(WithADict(), np.ones((3, B, H)))
    states = [item.full_name for item in diagram_of(hs.sum()).items if item.role == "state"]
    assert set(states) == {"m₀", "h₀", "m₁ +", "m₂ +", "m₃ +", "h₁ tanh", "h₂ tanh", "h₃ tanh"}


@pytest.mark.parametrize("attention", [None, "dot", "additive"])
def test_shares_add_up_in_translations(attention: str | None) -> None:
    assert_shares_add_up(of_translation("gru", 3, True, attention=attention, bidirectional=True))


def test_bars_are_there_for_more_than_sixty_four_steps_whether_hoisted_or_not() -> None:
    hoisted, stepwise = (draw(of_layers("rnn", 80, hoist, "plain")).scene for hoist in (True, False))
    assert {bar.parameter for bar in hoisted.bars} == {"W_hx", "W_hh", "b_h"}
    both = [sorted((bar.parameter, bar.time, bar.value) for bar in scene.bars) for scene in (hoisted, stepwise)]
    for one, other in zip(*both, strict=True):
        assert one == pytest.approx(other, rel=1e-9) if isinstance(one, float) else one[:2] == other[:2]
        assert one[2] == pytest.approx(other[2], rel=1e-9)


def test_a_matrix_that_is_looked_up_is_a_parameter_with_bars_and_a_tied_one_has_the_share_of_the_head_too() -> None:
    rng = np.random.default_rng(0)
    E, W = Parameter(rng.normal(size=(5, H)), name="E"), Parameter(rng.normal(size=(H, H)) * 0.5, name="W")
    h, states = Tensor(np.zeros((B, H))), []
    for t in (1, 2, 3):
        with time_step(t):
            h = tanh(embedding(np.array([t, 0]), E) + h @ W.T).named("h")
        states.append(h)
    logits = states[-1] @ E.T
    loss = (logits * logits).sum()
    diagram = diagram_of(loss)
    assert [item.role for item in diagram.items if item.head.name == "E"] == ["parameter"]
    assert [item.full_name for item in diagram.items if item.role == "input"] == ["E[…]"] * 3
    bars = [(bar.parameter, bar.group) for bar in draw(loss).scene.bars]
    assert bars.count(("E", "")) == 3
    assert bars.count(("E", "after the steps")) == 1
    assert_shares_add_up(loss)


def test_truncation_shows_the_line_it_cut_with_scissors_and_no_gradient() -> None:
    scene = draw(of_layers("lstm", 5, True, "truncated"), detail="gates").scene
    assert scene.title == "LSTM, T = 5"
    cut = [badge for badge in scene.badges if badge.kind == "cut"]
    assert len({badge.time for badge in cut}) == 2
    lines = {edge.key: edge for edge in scene.edges if edge.dashed and "cut the history" in edge.tooltip}
    assert len(lines) == len(cut) == 4
    assert all(edge.magnitude is None for edge in lines.values())
    assert {plain(scene.box(edge.source).lines[0]) for edge in lines.values()} == {"c₂ +", "h₂ ⊙", "c₄ +", "h₄ ⊙"}


def test_the_last_window_alone_says_which_steps_it_has() -> None:
    layers = RecurrentLayers("rnn", D, H, seed=0)
    _, final = layers(np.ones((5, B, D)), truncated=2, hoist=False)
    scene = draw(final.sum()).scene
    assert scene.title == "RNN, t = 5"
    states = [plain(box.lines[0]) for box in scene.boxes if box.role == "state"]
    assert "h₄" in states
    assert [badge.kind for badge in scene.badges] == ["cut"]


def test_a_learnt_initial_state_is_called_by_its_name_and_time() -> None:
    diagram = diagram_of(of_layers("lstm", 3, True, "plain", learn_initial_state=True))
    assert [item.full_name for item in diagram.items if item.initial] == ["c₀", "h₀"]
    backward = diagram_of(of_layers("rnn", 3, True, "plain", learn_initial_state=True, bidirectional=True))
    assert {item.full_name for item in backward.items if item.initial} == {"h₀^(→)", "h₄^(←)"}
    one_step = diagram_of(of_layers("rnn", 1, True, "plain", learn_initial_state=True, bidirectional=True))
    assert {item.full_name for item in one_step.items if item.initial} == {"h₀^(→)", "h₂^(←)"}


def test_states_of_a_cell_of_ones_own_have_the_names_of_its_fields() -> None:
    class Pair(NamedTuple):
        fast: Tensor
        slow: Tensor

    class Mine:
        def __init__(self) -> None:
            self.W = Parameter(np.eye(H) * 0.5, name="W")

        def initial_state(self, batch: int) -> Pair:
            return Pair(Tensor(np.zeros((batch, H))), Tensor(np.zeros((batch, H))))

        def step(self, x: Tensor, state: Pair) -> Pair:
            fast = tanh(state.fast @ self.W.T + x)
            return Pair(fast, state.slow * 0.9 + fast * 0.1)

    hs, _ = unroll(Mine(), np.ones((3, B, H)))
    names = {item.full_name.split()[0] for item in diagram_of(hs.sum()).items if item.role == "state" and item.place == 1}
    assert names == {"fast₂", "slow₂"}


def test_the_scale_of_an_exploding_gradient_holds_the_losss_own_one() -> None:
    W, h = Parameter([[30.0]], name="W"), Tensor([[1e-30]], requires_grad=True, name="h")
    for t in range(1, 16):
        with time_step(t):
            h = (h @ W.T).named("h")
    scene = draw(h.sum(), fold=False).scene
    assert scene.scale is not None
    assert scene.scale.low <= 0 < 15 < scene.scale.high
    assert not any("vanished" in plain(sample.meaning) for sample in scene.samples)


def test_what_lies_below_the_scale_is_called_that() -> None:
    W, h = Parameter([[1e-4]], name="W"), Tensor([[1.0]], requires_grad=True, name="h")
    for t in range(1, 6):
        with time_step(t):
            h = (h @ W.T).named("h")
    meanings = [plain(sample.meaning) for sample in draw(h.sum()).scene.samples]
    assert any(meaning.startswith("below the scale: less than 10") for meaning in meanings)


def test_the_origin_of_a_nan_is_marked_once() -> None:
    xs = np.ones((5, B, D))
    xs[2, 0, 1] = math.nan
    hs, _ = unroll(make_cell("rnn", D, H, seed=0), xs, hoist=False)
    scene = draw((hs * hs).sum()).scene
    (badge,) = [badge for badge in scene.badges if badge.kind == "nan"]
    assert badge.time == 3
    assert badge.tooltip.startswith("NaN first appeared in x₃: ")
    assert badge.tooltip in scene.notes


def test_a_gradient_that_becomes_infinite_is_marked_where_it_does() -> None:
    x = Tensor([0.0, 1.0], requires_grad=True, name="x")
    with np.errstate(divide="ignore", invalid="ignore"):
        y = log(x)
        scene = draw((y * 0.0 + 1.0).sum() + tanh(x).sum()).scene
    assert [badge.kind for badge in scene.badges] == ["nan"]


def test_a_finite_picture_has_no_badge() -> None:
    assert draw(of_cell("lstm", 3)).scene.badges == []


def test_values_and_gradients_are_told_in_words() -> None:
    W, x = Parameter([[2.0, 0.5]], name="W"), Tensor([[1.0, -1.0]], requires_grad=True, name="x")
    h = tanh(x @ W.T).named("h")
    boxes = {box.full_name: box for box in draw((h * h).sum()).scene.boxes}
    slope = 2 * np.tanh(1.5) * (1 - np.tanh(1.5) ** 2)
    assert boxes["W"].tooltip.endswith(f"value: 2, 0.5\ngradient: {slope:.2g}, {-slope:.2g}")
    assert "\nvalue: 0.91\n" in boxes["h"].tooltip
    assert boxes["h"].tooltip.endswith("gradient: 1.8")


def test_bars_are_on_a_log_scale_if_they_span_more_than_two_decades() -> None:
    near, far = Heights([1.0, 20.0]), Heights([1e-6, 1.0])
    assert (near.is_log, far.is_log) == (False, True)
    assert near.of(10.0) == 0.5
    assert 0.0 < far.of(1e-6) < far.of(1e-3) < far.of(1.0) == 1.0
    assert far.of(0.0) == 0.0
    words = [plain(text.line) for text in draw(of_layers("lstm", 40, True, "plain", num_layers=1)).scene.texts]
    assert ("(log)" in words) == Heights([bar.value for bar in draw(of_layers("lstm", 40, True, "plain")).scene.bars]).is_log


def test_full_names_are_in_the_hover_texts_of_boxes_and_lines() -> None:
    long = "a_name_of_far_more_than_twenty_eight_characters"
    W = Parameter([[0.5]], name=long)
    scene = draw((Tensor([[1.0]], name="x") @ W.T).sum()).scene
    (box,) = [box for box in scene.boxes if box.role == "parameter"]
    assert box.full_name == long
    assert long in box.tooltip
    assert any(long in edge.tooltip for edge in scene.edges)


def test_a_classifier_of_sequences_of_different_lengths_is_drawn_with_every_state_once() -> None:
    model = ManyToOne("gru", D, H, 2, seed=0)
    diagram = diagram_of(model.loss(np.ones((4, B, D)), [0, 1], lengths=[4, 2]))
    named = [name for name in spoken(diagram) if name.startswith("h")]
    assert len(named) == len(set(named))


def test_states_of_a_scan_have_the_names_of_its_step() -> None:
    W = Parameter(np.eye(H) * 0.5, name="W")

    def step(state: Any, x: Any) -> Any:
        h, c = state
        c = c + x
        return (np.tanh(h @ W.T + c), c), h

    (h, _), _ = scan(step, (np.zeros((B, H)), np.zeros((B, H))), np.ones((3, B, H)))
    boxes = draw((h * h).sum(), detail="gates").scene.boxes
    assert {plain(line) for box in boxes if box.role == "affine" for line in box.lines} == {"W·h + c"}
    captions = {plain(line).removesuffix(" tanh") for box in boxes for line in box.lines}
    assert {"h₀", "h₁", "h₂", "h₃", "W", "L Σ"} <= captions
