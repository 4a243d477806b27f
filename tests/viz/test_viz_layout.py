"""Geometry of pictures: nothing collides, what belongs together stands together, and every picture is the same."""

from collections import Counter
from dataclasses import replace

import pytest
from graphs_to_draw import CELLS, OWN, at_random, of_cell, sequence
from layer_cases import of_layers, of_translation
from minigrad.viz import draw
from minigrad.viz.layout.arranging import Rows, arrange
from minigrad.viz.scene import Box, Scene
from minigrad.viz.text import line_width, plain
from picture_checks import (
    lines_that_double_back,
    lines_through_boxes,
    lines_through_labels,
    lines_through_their_own_ends,
    outside_the_picture,
    overlapping_boxes,
)

from minigrad import Tensor, walk

CHECKS = (
    overlapping_boxes,
    lines_through_boxes,
    lines_through_their_own_ends,
    lines_through_labels,
    outside_the_picture,
    lines_that_double_back,
)


def scene_of_cell(cell: str, T: int, **options: str | bool | Tensor) -> Scene:
    return draw(of_cell(cell, T, **options)).scene


def caption(box: Box) -> str:
    return plain(box.lines[0])


def boxes_at(scene: Scene, time: int | None, role: str) -> list[Box]:
    return [box for box in scene.boxes if box.time == time and box.role == role]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("T", [1, 2, 3, 8])
@pytest.mark.parametrize("loss", ["every step", "last step"])
@pytest.mark.parametrize("hoist", [False, True])
def test_nothing_collides_in_the_picture_of_a_cell(cell: str, T: int, loss: str, hoist: bool) -> None:
    xs = sequence(T, requires_grad=True, name="xs") if T == 3 else None
    scene = scene_of_cell(cell, T, loss=loss, hoist=hoist, xs=xs)
    assert {check.__name__: check(scene) for check in CHECKS} == {check.__name__: [] for check in CHECKS}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("full", [False, True])
def test_nothing_collides_in_the_picture_of_a_graph_never_seen(name: str, full: bool) -> None:
    scene = draw(OWN[name](), full=full).scene
    assert {check.__name__: check(scene) for check in CHECKS} == {check.__name__: [] for check in CHECKS}


@pytest.mark.parametrize("seed", range(40))
def test_nothing_collides_in_the_picture_of_a_random_recurrent_program(seed: int) -> None:
    for full in (False, True):
        scene = draw(at_random(seed), full=full).scene
        assert {check.__name__: check(scene) for check in CHECKS} == {check.__name__: [] for check in CHECKS}


def test_the_checks_catch_planted_collisions() -> None:
    scene = scene_of_cell("lstm", 3)
    first, second = scene.boxes[6], scene.boxes[7]
    moved = first._replace(x=second.x + 3, y=second.y - 2)
    assert overlapping_boxes(replace(scene, boxes=[moved if b is first else b for b in scene.boxes]))
    middle = first._replace(key="new", x=scene.width / 2, y=scene.panels[1].y + 41, width=60.0)
    assert lines_through_boxes(replace(scene, boxes=[*scene.boxes, middle]))
    edge = next(e for e in scene.edges if scene.box(e.source).shape == scene.box(e.target).shape == "box")
    target = scene.box(edge.target)
    deeper = edge._replace(points=(*edge.points[:-1], (target.x, target.y)))
    assert lines_through_their_own_ends(replace(scene, edges=[deeper if e is edge else e for e in scene.edges]))
    panel = scene.panels[0]
    across = edge._replace(points=tuple((panel.label_x + 10, panel.y + k) for k in (0, 5, 15, 40)))
    assert lines_through_labels(replace(scene, edges=[*scene.edges, across]))
    assert outside_the_picture(replace(scene, height=scene.height / 2))
    (x, y), *_, (u, v) = edge.points
    there_and_back = edge._replace(points=((x, y), (x, y + 9), (x, y - 9), (u, v)))
    assert lines_that_double_back(replace(scene, edges=[*scene.edges, there_and_back])) == [edge.key]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("T", [1, 3, 6])
def test_columns_stand_in_the_order_of_time_and_hold_their_steps(cell: str, T: int) -> None:
    scene = scene_of_cell(cell, T)
    assert [panel.label for panel in scene.panels] == [f"t = {t}" for t in range(1, T + 1)]
    for panel, following in zip(scene.panels, [*scene.panels[1:], None], strict=True):
        assert following is None or panel.x + panel.width < following.x
        for box in scene.boxes:
            if box.time == panel.time:
                assert panel.x < box.x - box.width / 2
                assert box.x + box.width / 2 < panel.x + panel.width
                assert box.role == "input" or panel.y < box.y < panel.y + panel.height


@pytest.mark.parametrize(("cell", "state"), [("lstm", "c"), ("gru", "h"), ("gated_rnn", "s")])
@pytest.mark.parametrize("T", [2, 5])
def test_the_state_that_is_only_gated_runs_straight_across_the_picture(cell: str, state: str, T: int) -> None:
    scene = scene_of_cell(cell, T)
    states = [box for box in scene.boxes if box.role == "state" and caption(box).startswith(state)]
    assert len(states) == T + 1
    (y,) = {box.y for box in states}
    on_line = {box.key for box in scene.boxes if box.y == y and box.shape == "circle"} | {box.key for box in states}
    along = [edge for edge in scene.edges if {edge.source, edge.target} <= on_line]
    assert len(along) == 2 * T
    assert all({point[1] for point in edge.points} == {y} for edge in along)


@pytest.mark.parametrize("cell", CELLS)
def test_what_plays_the_same_part_stands_at_the_same_height_in_every_column(cell: str) -> None:
    scene = scene_of_cell(cell, 5)
    heights: dict[str, set[float]] = {}
    for box in scene.boxes:
        if box.time and box.role in ("state", "gate", "input", "affine"):
            heights.setdefault(caption(box).translate(str.maketrans("", "", "₁₂₃₄₅")), set()).add(box.y)
    assert len(heights) >= 3
    assert all(len(ys) == 1 for ys in heights.values())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("T", [1, 4])
def test_each_parameter_is_drawn_once_with_one_tap_for_every_use_in_every_step(cell: str, T: int) -> None:
    tensor = of_cell(cell, T, loss="last step")
    scene = draw(tensor).scene
    parameters = [box for box in scene.boxes if box.role == "parameter"]
    names = {node.name for node in walk(tensor) if node.is_leaf and node.requires_grad}
    assert len(parameters) == len(names)
    for parameter in parameters:
        taps = [edge for edge in scene.edges if edge.source == parameter.key]
        times = Counter(edge.time for edge in taps)
        twice = cell == "gru"
        assert set(times.values()) == {1 + twice}
        assert sorted(times) == list(range(1, T + 1))
        (wire,) = (wire for wire in scene.wires if wire.source == parameter.key)
        (y,) = {point[1] for point in wire.points[-4:]}
        left, right = min(p[0] for p in wire.points), max(p[0] for p in wire.points)
        for tap in taps:
            x, start = tap.points[0]
            assert start == y
            assert left <= x <= right
            assert any(j.x == x and j.y == y for j in scene.junctions)


@pytest.mark.parametrize("cell", CELLS)
def test_all_states_are_collected_by_one_wire_when_the_loss_reads_every_step(cell: str) -> None:
    scene = scene_of_cell(cell, 5)
    (stack,) = (box for box in scene.boxes if caption(box) == "stack")
    into = [edge for edge in scene.edges if edge.target == stack.key]
    assert len(into) == 5
    assert [edge.arrow for edge in into] == [False] * 4 + [True]
    (wire,) = (wire for wire in scene.wires if wire.source == stack.key)
    assert all(edge.points[-1][1] == wire.points[0][1] for edge in into[:-1])


def test_parameters_of_a_head_within_the_steps_come_from_above() -> None:
    scene = draw(OWN["rnn, mean of losses"]()).scene
    below = {caption(b) for b in scene.boxes if b.role == "parameter" and b.y > scene.panels[0].y}
    above = {caption(b) for b in scene.boxes if b.role == "parameter" and b.y < scene.panels[0].y}
    assert (below, above) == ({"Wₕₓ", "Wₕₕ", "bₕ"}, {"W_yh", "b_y"})


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_all_text_fits_its_box_in_the_widest_common_font(name: str) -> None:
    scene = scene_of_cell(name, 12) if name in CELLS else draw(OWN[name]()).scene
    for box in scene.boxes:
        for line in box.lines:
            assert line_width(line, box.font) <= box.width + 0.01
    for bar, following in zip(scene.bars, scene.bars[1:], strict=False):
        assert bar.time != following.time or bar.x + bar.width / 2 < following.x - following.width / 2


def test_the_panels_of_a_low_lap_are_low_and_hold_what_is_in_them() -> None:
    scene = draw(of_translation("gru", 3, True, attention="dot")).scene
    tops = {name: {panel.y for panel in scene.panels if panel.group == name} for name in ("encoder", "decoder")}
    assert [len(found) for found in tops.values()] == [1, 1]
    assert min(tops["encoder"]) > min(tops["decoder"]) + 100
    for name, (top,) in tops.items():
        inside = [box.y - box.height / 2 for box in scene.boxes if box.group == name and box.time in (1, 2)]
        assert 20 < min(inside) - top < 60


def test_a_graph_without_steps_is_drawn_from_left_to_right() -> None:
    scene = draw(OWN["multilayer"]()).scene
    assert scene.panels == []
    for edge in scene.edges:
        source, target = scene.box(edge.source), scene.box(edge.target)
        assert source.x < target.x or source.role == "parameter"


def test_a_single_leaf_is_a_picture() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    (box,) = draw(x, gradient=[1.0, 1.0]).scene.boxes
    assert caption(box) == "x"


def test_gradients_do_not_move_anything() -> None:
    tensor = of_cell("gru", 3)
    plain_scene, coloured = draw(tensor, gradients=False).scene, draw(tensor).scene
    for before, after in zip(plain_scene.boxes, coloured.boxes, strict=True):
        assert before.x == after.x
        assert before.tooltip == after.tooltip.split("\n‖gradient")[0].split("\nvalue")[0].split("\ngradient")[0]
    shift = coloured.boxes[0].y - plain_scene.boxes[0].y
    assert {round(a.y - b.y - shift, 9) for a, b in zip(coloured.boxes, plain_scene.boxes, strict=True)} == {0.0}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_closed_cells_stand_above_one_another_and_are_met_where_lines_come_from(cell: str) -> None:
    scene = draw(of_layers(cell, 3, True, "plain", num_layers=3), detail="cells").scene
    cells = [box for box in scene.boxes if box.shape == "cell"]
    for t in (1, 2, 3):
        assert len({round(box.x, 1) for box in cells if box.time == t}) == 1
    lowest = max(cells, key=lambda box: box.y).key
    up = [edge for edge in scene.edges if edge.target == lowest and edge.points[0][1] > edge.points[-1][1]]
    assert len({edge.source for edge in up}) == 2
    for edge in up:
        assert len({x for x, _ in edge.points}) == 1


def test_rows_that_were_arranged_before_are_arranged_as_they_were_whatever_became_of_that() -> None:
    rows = Rows([0, 1, 1, 2], [30.0] * 4, [(0, 1), (0, 2), (1, 3), (0, 3)])
    first, second = arrange(rows), arrange(rows)
    assert first == second
    first.centre[0] += 1
    first.bends[3].clear()
    first.order[1].reverse()
    assert arrange(rows) == second
