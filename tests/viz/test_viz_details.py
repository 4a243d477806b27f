"""How much a picture shows: operations, gates, cells, folded steps, sizes of pages."""

from collections.abc import Callable

import numpy as np
import pytest
from graphs_to_draw import CELLS, B, D, H, of_cell, sequence
from layer_cases import of_architecture, of_layers, of_translation
from minigrad.models.cells import make_cell
from minigrad.models.unrolling import unroll
from minigrad.viz import draw
from minigrad.viz.details import SIZES
from minigrad.viz.diagram import build
from minigrad.viz.diagram.cells import closed
from minigrad.viz.diagram.shortening import shortened
from minigrad.viz.overlay import Overlay
from minigrad.viz.scene import Box, Scene
from minigrad.viz.text import plain
from picture_checks import lines_through_boxes, names_of_bars_on_others, outside_the_picture, overlapping_boxes
from test_viz_matrix import lost

from minigrad import Parameter, Tensor, edge_gradients, tanh, time_step, walk
from minigrad.backward import seed
from minigrad.errors import ArgumentError

CHECKS = (overlapping_boxes, outside_the_picture)
MAKERS: dict[str, Callable[[], Tensor]] = {
    "lstm": lambda: of_layers("lstm", 5, True, "plain"),
    "two layers": lambda: of_layers("gru", 9, True, "plain", num_layers=2),
    "both directions": lambda: of_layers("rnn", 9, True, "plain", bidirectional=True),
    "two layers, both directions": lambda: of_layers("lstm", 9, False, "plain", num_layers=2, bidirectional=True),
    "lengths": lambda: of_layers("gru", 9, True, "lengths"),
    "truncated": lambda: of_layers("lstm", 9, True, "truncated"),
    "translation": lambda: of_translation("gru", 9, True, attention="additive", bidirectional=True),
}


def captions(scene: Scene, **wanted: object) -> list[str]:
    return [plain(box.lines[0]) for box in scene.boxes if all(getattr(box, k) == v for k, v in wanted.items())]


def boxes(scene: Scene, shape: str) -> list[Box]:
    return [box for box in scene.boxes if box.shape == shape]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "options",
    [{"detail": "cells"}, {"opened": 3}, {"fold": 2}, {"detail": "operations"}, {"detail": "cells", "fold": 1}],
    ids=str,
)
def test_nothing_overlaps_at_any_detail(name: str, options: dict[str, object]) -> None:
    scene = draw(MAKERS[name](), **options).scene
    assert {check.__name__: check(scene) for check in CHECKS} == {check.__name__: [] for check in CHECKS}


@pytest.mark.parametrize("name", MAKERS)
def test_closed_and_folded_diagrams_lose_nothing(name: str) -> None:
    tensor = MAKERS[name]()
    assert lost(closed(build(walk(tensor), [tensor.node])), tensor) == []
    assert lost(closed(build(walk(tensor), [tensor.node]), {1}), tensor) == []
    assert lost(shortened(build(walk(tensor), [tensor.node]), 2), tensor) == []
    assert lost(shortened(closed(build(walk(tensor), [tensor.node])), 1, shown=4), tensor) == []


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_of_a_line_between_closed_cells_is_all_that_flows_back_into_the_state(cell: str) -> None:
    tensor = of_cell(cell, 4)
    sent = edge_gradients(tensor)
    diagram = closed(build(walk(tensor), [tensor.node]))
    drawn = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]}).of_link
    compared = 0
    for magnitude, link in zip(drawn, diagram.links, strict=True):
        if diagram.items[link.source].kind == diagram.items[link.target].kind == "cell":
            total = sum(sent[vertex.node, slot] for vertex, slot in link.edges)
            assert magnitude == pytest.approx(float(np.linalg.norm(total)), rel=1e-12)
            compared += 1
    assert compared == 3 * (2 if cell == "lstm" else 1)


@pytest.mark.parametrize("cell", CELLS)
def test_a_closed_cell_is_one_box_for_each_step_with_a_line_for_each_state(cell: str) -> None:
    scene = draw(of_cell(cell, 4, loss="last step"), detail="cells").scene
    cells = boxes(scene, "cell")
    assert [box.time for box in cells] == [1, 2, 3, 4]
    states = 2 if cell == "lstm" else 1
    between = [e for e in scene.edges if e.source == cells[0].key and e.target == cells[1].key]
    assert len(between) == states
    assert len({edge.points[0][1] for edge in between}) == states
    assert all(edge.points[0][1] == edge.points[-1][1] for edge in between)


def test_the_parameters_of_closed_cells_are_one_box_whose_bars_are_the_norms_of_all_of_them() -> None:
    tensor = of_cell("lstm", 3, loss="last step")
    (parameters,) = captions(draw(tensor, detail="cells").scene, role="parameter")
    assert parameters == "θ = Wₓ, Wₕ, b"
    alone: dict[int, float] = {}
    for bar in draw(tensor, detail="gates").scene.bars:
        alone[bar.time] = float(np.hypot(alone.get(bar.time, 0.0), bar.value))
    joint = {bar.time: bar.value for bar in draw(tensor, detail="cells").scene.bars}
    assert joint == pytest.approx(alone)


def test_one_cell_is_open_among_closed_ones_and_its_states_run_straight_through_them() -> None:
    scene = draw(of_cell("lstm", 5, loss="last step"), opened=3).scene
    assert [box.time for box in boxes(scene, "cell")] == [1, 2, 4, 5]
    assert {"f₃ σ", "i₃ σ", "g₃ tanh", "o₃ σ", "c₃ +", "h₃ ⊙"} <= set(captions(scene, time=3))
    c = next(box for box in scene.boxes if plain(box.lines[0]) == "c₃ +")
    (line,) = [edge for edge in scene.edges if edge.source == c.key and scene.box(edge.target).shape == "cell"]
    assert {y for _, y in line.points} == {c.y}
    assert lines_through_boxes(scene) == []


def test_stacks_are_rows_and_directions_two_lanes() -> None:
    scene = draw(of_layers("gru", 4, True, "plain", num_layers=2, bidirectional=True), detail="cells").scene
    heights = {plain(box.lines[0]): box.y for box in boxes(scene, "cell")}
    assert [name for name, _ in sorted(heights.items(), key=lambda entry: -entry[1])] == [
        "GRU^(1→)", "GRU^(1←)", "GRU^(2→)", "GRU^(2←)"
    ]  # fmt: skip
    assert len({(plain(box.lines[0]), box.y) for box in boxes(scene, "cell")}) == 4


def test_no_arrow_of_one_direction_passes_through_the_other() -> None:
    scene = draw(of_layers("lstm", 4, True, "plain", bidirectional=True), detail="gates").scene
    assert lines_through_boxes(scene) == []
    within = [(plain(box.lines[0]), box.y) for box in scene.boxes if box.time in (1, 2, 3, 4)]
    assert min(y for name, y in within if "→" in name) > max(y for name, y in within if "←" in name)


def test_encoder_and_decoder_are_named_and_the_memory_stands_between_them() -> None:
    scene = draw(of_translation("gru", 3, True, attention="dot"), detail="cells").scene
    assert [plain(text.line) for text in scene.texts if text.key.startswith("lap-name")] == ["encoder", "decoder"]
    assert [(panel.label, panel.group) for panel in scene.panels] == [
        ("t = 1", "encoder"), ("t = 2", "encoder"), ("t = 3", "encoder"), ("t = 1", "decoder"), ("t = 2", "decoder")
    ]  # fmt: skip
    memory = next(box for box in scene.boxes if plain(box.lines[0]) == "stack")
    assert scene.panels[2].x + scene.panels[2].width < memory.x < scene.panels[3].x


def test_hidden_steps_are_one_box_that_says_which_and_their_shares_are_added_up() -> None:
    tensor = of_layers("lstm", 50, True, "plain")
    scene = draw(tensor).scene
    assert [panel.time for panel in scene.panels] == [1, 2, 49, 50]
    (fold,) = boxes(scene, "fold")
    assert [plain(line) for line in fold.lines] == ["⋯", "t = 3 … 48", "46 steps"]
    assert scene.title == "LSTM, T = 50"
    shown: dict[str, float] = {}
    total: dict[str, np.ndarray] = {}
    diagram = build(walk(tensor), [tensor.node])
    overlay = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]}, keep_shares=True)
    for (number, place), array in overlay.share_arrays.items():
        name = str(diagram.items[number].head.name)
        if 2 <= place < 48:
            total[name] = total.get(name, 0.0) + array
    for bar in scene.bars:
        if bar.time == 3:
            shown[bar.parameter] = bar.value
    assert shown == pytest.approx({name: float(np.linalg.norm(array)) for name, array in total.items()})


@pytest.mark.parametrize(("T", "panels"), [(6, 6), (7, 4)])
def test_more_than_six_steps_are_folded_unless_all_are_asked_for(T: int, panels: int) -> None:
    tensor = of_cell("rnn", T)
    assert len(draw(tensor).scene.panels) == panels
    assert len(draw(tensor, fold=False).scene.panels) == T
    assert len(draw(tensor, fold=1).scene.panels) == 2
    assert len(draw(tensor, fold=3).scene.panels) == T


def test_a_single_step_is_not_hidden() -> None:
    assert len(draw(of_cell("rnn", 5), fold=2).scene.panels) == 5


def test_an_opened_step_is_not_folded_away() -> None:
    scene = draw(of_cell("lstm", 30), opened=15).scene
    assert 15 in [panel.time for panel in scene.panels]
    assert [plain(box.lines[1]) for box in boxes(scene, "fold")] == ["t = 5 … 14", "t = 16 … 26"]


def test_what_is_high_is_drawn_as_cells_unless_gates_are_asked_for() -> None:
    tensor = of_layers("gru", 3, True, "plain", num_layers=3)
    assert len(boxes(draw(tensor).scene, "cell")) == 9
    assert boxes(draw(tensor, detail="gates").scene, "cell") == []


@pytest.mark.parametrize("size", ["slide", "page", "wide"])
@pytest.mark.parametrize("T", [3, 50])
def test_a_picture_fits_the_size_asked_for(size: str, T: int) -> None:
    scene = draw(of_layers("lstm", T, True, "plain"), size=size).scene
    assert scene.width <= SIZES[size][0]
    assert scene.height <= SIZES[size][1]
    assert [check(scene) for check in CHECKS] == [[], []]


def test_names_on_a_slide_are_at_least_twelve_points_high() -> None:
    scene = draw(of_layers("lstm", 50, True, "plain"), size="slide").scene
    assert scene.width / scene.height == pytest.approx(13.3 / 7.5, rel=0.01)
    assert min(box.font for box in scene.boxes) * 13.3 * 72 / scene.width >= 11.99
    ends = [x + side * box.width / 2 for box in scene.boxes for x, side in ((box.x, -1), (box.x, 1))]
    assert max(ends) - min(ends) > 0.85 * scene.width


def test_what_fits_no_slide_says_how_small_its_words_become() -> None:
    scene = draw(of_layers("gru", 3, True, "plain", num_layers=3, bidirectional=True), size="slide").scene
    assert scene.width / scene.height == pytest.approx(13.3 / 7.5, rel=0.03)
    share = round(100 * min(SIZES["slide"][0] / scene.width, SIZES["slide"][1] / scene.height))
    (note,) = scene.notes
    assert int(note.partition(" have ")[2].partition("%")[0]) == pytest.approx(share, abs=2)
    assert any(note in plain(text.line) for text in scene.texts)


def test_the_symbol_of_several_parameters_is_explained() -> None:
    scene = draw(of_layers("lstm", 8, True, "plain"), detail="cells").scene
    assert "θ = Wₓ, Wₕ, b" in {plain(box.lines[0]) for box in boxes(scene, "box")}
    assert {plain(bar.label) for bar in scene.bars} == {"θ"}


def test_a_graph_too_large_for_one_place_is_folded_with_a_note() -> None:
    y = Tensor([1.0], requires_grad=True, name="x")
    for _ in range(1100):
        y = tanh(y)
    scene = draw(y, gradient=[1.0]).scene
    (fold,) = boxes(scene, "fold")
    assert plain(fold.lines[1]) == "1081 operations"
    (note,) = scene.notes
    assert "time_step(t)" in note
    assert any(note in plain(text.line) for text in scene.texts)


def test_a_sequence_too_long_for_any_picture_is_folded_with_a_note() -> None:
    y = Tensor([1.0], requires_grad=True)
    for t in range(1, 7001):
        with time_step(t):
            y = tanh(y * y)
    scene = draw(y, gradient=[1.0], fold=False).scene
    assert len(scene.panels) == 4
    assert "folded: 14001 boxes" in scene.notes[0]


def test_more_than_a_thousand_steps_are_a_heat_bar_by_default() -> None:
    scene = draw(of_layers("rnn", 1200, True, "plain")).scene
    assert scene.panels == []
    assert len(scene.tiles) == 600


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detail": "gate"}, r"draw: detail must be one of 'operations', 'gates', .*got 'gate'"),
        ({"size": "A4"}, r"draw: size must be one of 'slide', 'page', 'wide', or left out; got 'A4'"),
        ({"fold": -1}, r"draw: fold must be True, False or a number of steps from 1, got -1"),
        ({"fold": "two"}, r"draw: fold must be True, False or a number of steps from 1, got 'two'"),
        ({"opened": 9}, r"draw: opened=9, but what is drawn was recorded from 1 to 3"),
        ({"opened": "last"}, r"draw: opened must be the number of a time step, got 'last'"),
        ({"opened": 2, "detail": "gates"}, r"draw: opened= opens one cell among closed ones: detail must be 'cells'"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        draw(of_cell("rnn", 3), **options)


def test_a_strip_shows_one_loss() -> None:
    losses = of_cell("rnn", 3), of_cell("rnn", 3)
    with pytest.raises(ArgumentError, match=r"detail='strip' shows one loss; .*viz\.strips\(\{name: loss, …\}\)"):
        draw(*losses, detail="strip")


def test_stages_follow_the_sweep_from_the_last_step_to_the_first() -> None:
    scene = draw(of_cell("lstm", 4), detail="gates").scene
    assert scene.stages == ["after the steps", "t = 4", "t = 3", "t = 2", "t = 1"]
    for panel in scene.panels:
        assert scene.stages[panel.stage or 0] == panel.label
    both = draw(of_layers("rnn", 2, True, "plain", bidirectional=True)).scene
    assert both.stages == [
        "after the steps", "direction ←, t = 1", "direction ←, t = 2", "direction →, t = 2", "direction →, t = 1",
    ]  # fmt: skip
    taps = [edge for edge in scene.edges if scene.box(edge.source).role == "parameter" and edge.time]
    assert all(scene.stages[edge.stage or 0] == f"t = {edge.time}" for edge in taps)


def test_a_users_loop_without_scopes_can_be_closed_too() -> None:
    cell = make_cell("rnn", D, H, seed=0)
    state, states = cell.initial_state(B), []
    for t in range(1, 4):
        with time_step(t):
            state = cell.step(sequence(3)[t - 1], state)
            states.append((state * 2.0).sum().named("ℓ"))
    loss = states[0] + states[1] + states[2]
    scene = draw(loss, detail="cells").scene
    assert len(boxes(scene, "cell")) == 3
    assert len([box for box in scene.boxes if box.full_name == "ℓ"]) == 3


def test_masked_steps_have_two_names() -> None:
    hs, _ = unroll(make_cell("gru", D, H, seed=0), np.ones((4, B, D)), lengths=[4, 2])
    names = [name for name in captions(draw(hs.sum(), detail="gates").scene, time=3) if name.startswith("h")]
    assert names == ["h′₃ +", "h₃ where"]


def test_what_is_looked_up_goes_to_the_cell_beside_the_context_not_through_the_attention() -> None:
    scene = draw(of_translation("gru", 3, True, attention="dot"), detail="cells").scene
    words = {box.key: plain(box.lines[0]) for box in scene.boxes}
    ends = {(words[edge.source], words[edge.target]) for edge in scene.edges}
    assert {("E_y[…]", "GRU⁽²⁾"), ("attention", "GRU⁽²⁾")} <= ends
    assert ("E_y[…]", "attention") not in ends


def test_a_long_loop_without_time_steps_is_folded_and_told_how_to_get_columns() -> None:
    W, h = Parameter(np.eye(H) * 0.5, name="W"), Tensor(np.ones((B, H)), name="h")
    for _ in range(60):
        h = tanh(h @ W.T)
    loss = h.sum()
    scene = draw(loss).scene
    assert len(scene.boxes) < 60
    assert [plain(box.lines[1]) for box in scene.boxes if box.shape == "fold"] == ["103 operations"]
    assert any("time_step(t)" in note for note in scene.notes)
    assert len(draw(loss, fold=False).scene.boxes) == len(draw(loss, detail="gates", fold=False).scene.boxes) > 120


def test_the_bars_of_hidden_steps_keep_clear_of_those_beside_them() -> None:
    loss = of_architecture("many to one", "rnn", 20, num_layers=1, bidirectional=True)
    for detail in ("operations", "gates", "cells"):
        assert names_of_bars_on_others(draw(loss, detail=detail).sheet()) == []
