"""Marks: everything in a scene becomes some, in the order of painting, with what writers need to know of it."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from layer_cases import every_case
from minigrad.viz import draw
from minigrad.viz.marks import SMALLEST, marked
from minigrad.viz.palette import THEMES, dark
from minigrad.viz.paths import Pen, shortened
from minigrad.viz.scene import Badge, Curve, Scene, Text, Tile
from minigrad.viz.sheet import LAYERS, Circle, Mark, Path, Rectangle, Words
from minigrad.viz.tables import table_of
from minigrad.viz.text import Span, line_width, number, plain
from picture_checks import (
    hard_to_see,
    lines_through_boxes,
    outside_the_picture,
    overlapping_boxes,
    words_outside_their_boxes,
)

from minigrad import Parameter, Tensor, tanh, time_step


def everything() -> Scene:
    """A scene with something of every kind in it."""
    scene = draw(of_cell("lstm", 3)).scene
    scene.badges += [Badge("g0", 40.0, 40.0, "nan", 1, "NaN began here"), Badge("g1", 80.0, 40.0, "cut", 2, "cut here")]
    scene.tiles.append(Tile("i0", 10.0, 300.0, 20.0, 8.0, "#e87e24", 1, "step 1", 0.25))
    scene.curves.append(Curve("c0", tuple(Pen(0, 0).to(100, 100).points), "#455a64", 1.0, (4.0, 3.0), "RNN"))
    scene.texts.append(Text(12.0, 200.0, (Span("rotated"),), 11.0, key="y axis", rotated=True))
    table = table_of(("shape 2 × 4", "value: min 0.1, mean 0.5"), 40.0)
    scene.boxes[0] = scene.boxes[0]._replace(table=table, full_name="a name that nobody would cut")
    scene.boxes[1] = scene.boxes[1]._replace(shape="fold")
    return scene


def of_layer(scene: Scene, layer: str) -> list[Mark]:
    return dict(marked(scene).layers()).get(layer, [])


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_every_key_is_there_once(name: str) -> None:
    scene = draw(of_cell(name, 3) if name in CELLS else OWN[name]()).scene
    keys = Counter(mark.key for mark in marked(scene).marks)
    assert [key for key, times in keys.items() if times > 1] == []


def test_everything_in_a_scene_becomes_a_mark_of_its_layer() -> None:
    scene = everything()
    found = {layer: len(marks) for layer, marks in marked(scene).layers()}
    kinds = ("panels", "tiles", "wires", "curves", "edges", "junctions", "boxes", "badges", "bars", "texts")
    assert found == {kind: len(getattr(scene, kind)) for kind in kinds} | {"legend": 1}
    assert list(found) == list(LAYERS)


def test_times_ends_and_hover_texts_come_along() -> None:
    scene = everything()
    lines = {mark.key: mark for mark in of_layer(scene, "edges")}
    for edge in scene.edges:
        mark = lines[edge.key]
        assert (mark.source, mark.target, mark.time, mark.tooltip) == (edge.source, edge.target, edge.time, edge.tooltip)
    boxes = {mark.key: mark for mark in of_layer(scene, "boxes")}
    for box in scene.boxes:
        assert boxes[box.key].time == box.time
        assert boxes[box.key].role == box.role
        assert boxes[box.key].tooltip.endswith(box.tooltip)


def test_a_name_that_the_hover_text_lacks_is_put_before_it() -> None:
    scene = everything()
    first = of_layer(scene, "boxes")[0]
    assert first.tooltip == f"a name that nobody would cut\n{scene.boxes[0].tooltip}"
    scene.boxes[0] = scene.boxes[0]._replace(full_name=scene.boxes[0].tooltip.split("\n")[0])
    assert of_layer(scene, "boxes")[0].tooltip == scene.boxes[0].tooltip


def words_of(mark: Mark) -> list[str]:
    return [plain(shape.line) for shape in mark.shapes if isinstance(shape, Words)]


def test_values_are_printed_on_demand_only_each_in_its_box() -> None:
    scene = everything()
    assert words_of(of_layer(scene, "boxes")[0])[-3:] == ["value", "min 0.1", "mean 0.5"]
    loss = of_cell("rnn", 3)
    assert all(not box.table.columns for box in draw(loss).scene.boxes)
    for box in draw(loss, values=True).scene.boxes:
        told = [line.partition(": ")[2].split("; ")[0].split(", ") for line in box.tooltip.splitlines() if ": " in line]
        printed = [plain(line) for column in box.table.columns for line in column if not line[0].soft]
        assert printed == [number for numbers in told for number in numbers] or box.shape == "circle"


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_with_values_every_word_is_in_its_box_and_everything_in_the_picture(name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name](), values=True)
    sheet = picture.sheet()
    printed = 0
    for mark in dict(sheet.layers())["boxes"]:
        outline, *words = mark.shapes
        assert isinstance(outline, Rectangle | Circle)
        if isinstance(outline, Circle):
            continue
        printed += len(words)
        assert outline.x >= 0
        assert outline.x + outline.width <= sheet.width
        for line in words:
            assert isinstance(line, Words)
            assert outline.holds((line.start + 1, line.y - line.size * 0.6))
            assert outline.holds((line.start + line_width(line.line, line.size) - 1, line.y))
    assert printed > 2 * sum(box.shape != "circle" for box in picture.scene.boxes)
    assert overlapping_boxes(picture.scene) == []
    assert outside_the_picture(picture.scene) == []
    assert lines_through_boxes(picture.scene) == []


def test_room_for_values_is_made_where_they_are_and_nowhere_else() -> None:
    loss = of_cell("lstm", 3)
    plain_scene, scene = draw(loss).scene, draw(loss, values=True).scene
    assert scene.height < 2.5 * plain_scene.height
    for before, after in zip(plain_scene.boxes, scene.boxes, strict=True):
        assert (after.width, after.height) == (before.width, before.height) or after.table.columns or before.width > 90
    assert [bar.height for bar in scene.bars] == [bar.height for bar in plain_scene.bars]


def test_what_stands_for_steps_that_are_not_shown_is_dashed() -> None:
    outline = of_layer(everything(), "boxes")[1].shapes[0]
    assert isinstance(outline, Rectangle)
    assert outline.dashed


def test_badges_are_signs_no_larger_than_they_may_be() -> None:
    nan, cut = of_layer(everything(), "badges")
    for mark, x in ((nan, 40.0), (cut, 80.0)):
        for shape in mark.shapes:
            points = shape.points if isinstance(shape, Path) else [(shape.x, shape.y)]
            assert all(abs(px - x) <= 9 and abs(py - 40.0) <= 9 for px, py in points)
    assert [plain(shape.line) for shape in nan.shapes if isinstance(shape, Words)] == ["!"]
    assert sum(isinstance(shape, Circle) for shape in cut.shapes) == 3


def test_an_arrow_ends_where_its_line_ends_and_the_line_ends_inside_it() -> None:
    stem, corners = Path(Pen(0, 0).to(50, 0).points, "#000000", 2.0, arrow=True).stem_and_head()
    assert corners[0] == (50, 0)
    assert corners[1][0] == corners[2][0] == pytest.approx(50 - 9.0)
    assert 50 - 9.0 < stem[-1][0] < 50
    assert Path(Pen(0, 0).to(50, 0).points, "#000000", 2.0).stem_and_head()[1] == []


def test_a_theme_changes_colours_and_nothing_else() -> None:
    light, night = (marked(everything(), THEMES[theme]) for theme in ("light", "dark"))
    assert (night.page, night.ink) == (dark(light.page), dark(light.ink))
    for a, b in zip(light.marks, night.marks, strict=True):
        assert a._replace(shapes=()) == b._replace(shapes=())
        for one, other in zip(a.shapes, b.shapes, strict=True):
            for field, value in one._asdict().items():
                changed = getattr(other, field)
                assert changed == (dark(value) if isinstance(value, str) and value.startswith("#") else value)


def test_words_know_where_they_start() -> None:
    words = Words(100.0, 0.0, (Span("mmmm"),), 10.0, "#000000")
    assert words.start == 100.0
    assert words._replace(anchor="middle").start == pytest.approx(80.0)
    assert words._replace(anchor="end").start == pytest.approx(60.0)


CASES = every_case()


@pytest.mark.parametrize("number", range(5, len(CASES), 53))
def test_in_every_form_of_every_layer_words_are_in_their_boxes_and_all_is_seen_on_light_and_dark(number: int) -> None:
    name, make = CASES[number]
    picture = draw(make())
    for sheet in (picture.sheet(), picture.themed("dark").sheet()):
        assert words_outside_their_boxes(sheet) == [], name
        assert hard_to_see(sheet) == [], name


@pytest.mark.parametrize("theme", THEMES)
def test_all_is_seen_in_a_picture_with_something_of_every_kind(theme: str) -> None:
    sheet = marked(everything(), THEMES[theme])
    assert hard_to_see(sheet) == []


def test_the_measures_find_words_that_stick_out_and_what_is_hard_to_see() -> None:
    sheet = draw(of_cell("lstm", 2)).sheet()
    assert words_outside_their_boxes(sheet) == hard_to_see(sheet) == []
    box = next(mark for mark in sheet.marks if mark.layer == "boxes" and mark.role == "gate")
    outline, words = box.shapes
    wide = box._replace(shapes=(outline, words._replace(size=30.0)))
    pale = box._replace(shapes=(outline, words._replace(colour="#b0bec5")))
    line = Mark("curves", "c0", (Path(Pen(0, 0).to(9, 0).points, "#ffe0b2", 1.0),))
    assert words_outside_their_boxes(replace(sheet, marks=(wide,))) != []
    assert hard_to_see(replace(sheet, marks=(pale,))) != []
    assert hard_to_see(replace(sheet, marks=(line,))) != []


def test_a_long_name_below_a_bar_is_cut_where_it_would_be_too_small_to_read_and_told_on_hover() -> None:
    W, h = Parameter(np.eye(3) * 0.5, name="weights of the recurrent projection"), Tensor(np.ones((2, 3)), name="h")
    for t in (1, 2):
        with time_step(t):
            h = tanh(h @ W.T).named("h")
    for bar in of_layer(draw(h.sum()).scene, "bars"):
        name = bar.shapes[2]
        assert isinstance(name, Words)
        assert name.size >= SMALLEST
        assert "…" in plain(name.line)
        assert "weights of the recurrent projection" in bar.tooltip


def test_the_value_of_what_is_drawn_is_told_though_no_operation_keeps_it() -> None:
    loss = of_cell("rnn", 2)
    (box,) = (box for box in draw(loss, values=True).scene.boxes if box.role == "loss")
    assert f"value: {number(loss.item())}" in box.tooltip
    assert number(loss.item()) in [plain(line) for column in box.table.columns for line in column]


@pytest.mark.parametrize("end", [(), ((30, 204), (30, 207), (30, 211))])
@pytest.mark.parametrize("length", [6.0, 9.0, 14.0])
def test_the_line_of_an_arrow_ends_where_the_arrow_begins(end: tuple[tuple[float, float], ...], length: float) -> None:
    points = [(0.0, 0.0), (0.0, 100.0), (30.0, 100.0), (30.0, 200.0), *end]
    stem, (ux, uy) = shortened(points, length)
    (x, y), (ex, ey) = stem[-1], points[-1]
    assert math.dist((x, y), (ex, ey)) == pytest.approx(length, abs=0.1)
    assert (x + ux * length, y + uy * length) == pytest.approx((ex, ey), abs=0.2)
