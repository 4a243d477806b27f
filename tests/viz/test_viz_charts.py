"""Charts of gradients over time: the numbers are those of the table, nothing leaves the page, wrong input is named."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from graphs_to_draw import B, D, H
from minigrad.models import LSTM, RNN, unroll
from minigrad.viz import Picture, gradient_lines, heat_bars, heat_map, learning_curves, strips
from minigrad.viz.charts.axes import Axis, covering, round_steps
from minigrad.viz.charts.lines import balanced, draw_line, style_of
from minigrad.viz.charts.table import table_of
from minigrad.viz.scene import Scene
from minigrad.viz.text import line_width, plain

from minigrad import Parameter, Tensor, time_step
from minigrad.bptt import contributions, gradient_by_time, state_jacobians
from minigrad.errors import ArgumentError, DTypeError, ShapeError


def loss_of(cell: str, T: int) -> Tensor:
    made = RNN(D, H, seed=0) if cell == "rnn" else LSTM(D, H, seed=0)
    hs, _ = unroll(made, np.random.default_rng(0).normal(size=(T, B, D)))
    return (hs[-1] ** 2).sum()


MODELS = {"RNN": "rnn", "an LSTM with a rather long name": "lstm"}


def outside(scene: Scene) -> list[str]:
    """What is not on the page: tiles, points of curves, ends of words."""
    right, bottom = scene.width, scene.height
    found = [t.key for t in scene.tiles if t.x < 0 or t.x + t.width > right or not 0 <= t.y <= bottom - t.height]
    found += [c.key for c in scene.curves if any(not (0 <= x <= scene.width and 0 <= y <= scene.height) for x, y in c.points)]
    for text in scene.texts:
        width = 0.0 if text.rotated else line_width(text.line, text.size) * (1.1 if text.bold else 1.0)
        left = text.x - {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
        if left < 0 or left + width > scene.width + 1 or not 0 < text.y <= scene.height:
            found.append(text.key)
    return found


@pytest.mark.parametrize("chart", [strips, heat_bars, gradient_lines])
@pytest.mark.parametrize("size", [None, "slide", "page", "wide"])
def test_nothing_leaves_the_page_and_every_key_is_there_once(chart: object, size: str | None) -> None:
    scene = chart({name: loss_of(cell, 30) for name, cell in MODELS.items()}, size=size).scene
    assert outside(scene) == []
    keys = [part.key for kind in (scene.tiles, scene.curves, scene.texts, scene.boxes) for part in kind]
    assert len(keys) == len(set(keys))
    assert all(keys)


def test_what_leaves_the_page_is_noticed() -> None:
    scene = strips({"RNN": loss_of("rnn", 30)}).scene
    scene.width -= 100
    assert outside(scene)


def test_a_strip_has_a_box_for_each_step_with_the_numbers_of_the_table() -> None:
    table = gradient_by_time(loss_of("lstm", 20))
    scene = strips({"LSTM": table}).scene
    cells = [tile for tile in scene.tiles if tile.key.startswith("cell")]
    expected = np.hypot(table.values["c"], table.values["h"])
    assert [tile.time for tile in cells] == list(range(1, 21))
    np.testing.assert_allclose([tile.value for tile in cells], expected)
    assert cells[4].tooltip.startswith("t = 5\n‖∂L/∂")
    bars = [tile for tile in scene.tiles if tile.key.startswith("bar")]
    np.testing.assert_allclose([bar.value for bar in bars], table.contributions["W_h"])
    asked = [tile for tile in strips({"LSTM": table}, parameter="b").scene.tiles if tile.key.startswith("bar")]
    np.testing.assert_allclose([bar.value for bar in asked], table.contributions["b"])


def test_darker_is_larger_in_all_models_of_a_strip_alike() -> None:
    scene = strips({name: loss_of(cell, 20) for name, cell in MODELS.items()}).scene
    colour_of: dict[str, list[float]] = {}
    for tile in scene.tiles:
        if tile.key.startswith("cell") and tile.value:
            colour_of.setdefault(tile.colour, []).append(tile.value)
    assert scene.scale is not None
    for colour, values in colour_of.items():
        assert {scene.scale.colour(value) for value in values} == {colour}


def test_a_heat_bar_of_ten_thousand_steps_shows_the_largest_of_neighbours() -> None:
    table = gradient_by_time(loss_of("lstm", 10_000))
    scene = heat_bars(table).scene
    total = np.hypot(table.values["c"], table.values["h"])
    every = 17
    assert len(scene.tiles) == -(-10_000 // every)
    expected = [total[k : k + every].max() for k in range(0, 10_000, every)]
    np.testing.assert_allclose([tile.value for tile in scene.tiles], expected)


def test_lines_are_interrupted_where_there_is_no_number() -> None:
    scene = learning_curves({"loss": [3.0, 2.0, math.nan, 1.0, 0.5], "lr": [0.1] * 5}).scene
    pieces = [curve for curve in scene.curves if curve.key.startswith("line0")]
    assert [len(piece.points) for piece in pieces] == [4, 4]


def test_gradient_lines_stand_at_the_height_of_their_numbers() -> None:
    table = gradient_by_time(loss_of("rnn", 30))
    scene = gradient_lines({"RNN": table}).scene
    (line,) = [curve for curve in scene.curves if curve.key == "line0-0"]
    heights = [y for _, y in line.points[::3]]
    values = np.log10(table.values["h"])
    assert np.corrcoef(heights, values)[0, 1] == pytest.approx(-1.0)


def test_the_sweep_goes_over_strips_and_heat_bars_from_the_last_step_to_the_first() -> None:
    models = {"RNN": loss_of("rnn", 4), "LSTM": loss_of("lstm", 3)}
    for scene in (strips(models).scene, heat_bars(models).scene):
        assert scene.stages == ["t = 4", "t = 3", "t = 2", "t = 1"]
        assert all(tile.stage == 4 - (tile.time or 0) for tile in scene.tiles)
    wires = [curve for curve in strips(models).scene.curves if curve.key.startswith("wire")]
    assert wires
    assert all(curve.stage == 4 - (curve.time or 0) for curve in wires)
    assert heat_bars({"RNN": loss_of("rnn", 700)}).scene.stages[0] == "t = 699 … 700"


def test_a_long_sweep_is_played_faster_in_twenty_seconds() -> None:
    pages = {T: strips({"RNN": loss_of("rnn", T)}).html() for T in (3, 100, 900)}
    assert {T: int(re.findall(r'data-pace="(\d+)"', page)[0]) for T, page in pages.items()} == {3: 700, 100: 200, 900: 30}


def test_lines_differ_in_grey_too_and_each_leads_to_its_name() -> None:
    scene = gradient_lines({f"model {k}": loss_of("rnn", 12) for k in range(8)}).scene
    lines = {curve.key: curve for curve in scene.curves if curve.key.startswith("line")}
    leaders = [curve for curve in scene.curves if curve.key.startswith("to-label")]
    names = [text for text in scene.texts if text.key.startswith("label")]
    assert len({line.dash for line in list(lines.values())[:6]}) == 6
    assert len({(line.dash, line.colour) for line in lines.values()}) == len(lines) == len(leaders) == len(names) == 8
    for leader, name in zip(leaders, names, strict=True):
        line = next(line for line in lines.values() if line.group == name.group)
        assert (leader.points[0], leader.dash, leader.colour) == (line.points[-1], line.dash, line.colour)
        assert abs(leader.points[-1][1] - (name.y - 4)) < 1e-9
        assert 0 < name.x - leader.points[-1][0] < 10
    heights = sorted(name.y for name in names)
    assert min(b - a for a, b in pairwise(heights)) >= names[0].size
    assert outside(scene) == []


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_labels_balanced_keep_their_order_and_stay_between_the_ends(count: int) -> None:
    wished = sorted(np.random.default_rng(count).normal(50.0, 8.0, count).tolist())
    places = balanced(wished, 4.0, 0.0, 100.0)
    assert all(b - a >= 4.0 - 1e-9 for a, b in pairwise(places))
    assert all(-1e-9 <= place <= 100.0 + 1e-9 for place in places)
    assert abs(np.mean(places) - np.mean(wished)) < 1e-9
    assert balanced([10.0, 40.0], 4.0, 0.0, 100.0) == [10.0, 40.0]
    assert balanced([99.0, 99.5], 4.0, 0.0, 100.0) == [96.0, 100.0]


def test_a_line_stops_where_it_leaves_the_axis_and_begins_where_it_comes_back() -> None:
    scene, axis = Scene("", ""), Axis(1e-4, 1.0, 100.0, 0.0, True)
    values = [1.0, 1e-2, 1e-6, 1e-2, 0.0, 1e-4]
    drawn = draw_line(scene, "line", "a", range(1, 7), values, Axis(1, 6, 0.0, 5.0), axis, style_of(0))
    assert [curve.points[::3] for curve in scene.curves] == [
        ((0.0, 0.0), (1.0, 50.0), (1.5, pytest.approx(100.0))), ((2.5, pytest.approx(100.0)), (3.0, 50.0)),
    ]  # fmt: skip
    assert drawn.end == (5.0, pytest.approx(100.0))


def test_heat_maps_show_terms_of_bptt_and_products_of_jacobians() -> None:
    cell = RNN(D, H, seed=0)
    xs = np.random.default_rng(0).normal(size=(6, 1, D))
    norms = state_jacobians(cell, xs).norms()
    tiles = {tile.tooltip.split(":")[0]: tile.value for tile in heat_map(norms, first=0).scene.tiles}
    assert len(tiles) == 7 * 8 // 2
    assert tiles["t = 5, k = 2"] == pytest.approx(norms[5, 2])
    hs, _ = unroll(cell, Tensor(xs))
    terms = contributions([(h * h).sum() for h in hs], cell.W_hh).norms
    assert len(heat_map(terms, title="∂L_t/∂h_k").scene.tiles) == np.count_nonzero(terms)
    assert outside(heat_map(norms, title="a title").scene) == []


def test_a_large_heat_map_shows_the_largest_of_neighbours() -> None:
    table = np.arange(1.0, 250.0 * 250 + 1).reshape(250, 250)
    tiles = heat_map(table).scene.tiles
    assert len(tiles) == 84 * 84
    assert tiles[0].value == table[:3, :3].max()
    assert tiles[0].tooltip == "t = 1 … 3, k = 1 … 3: 500"


def test_learning_curves_read_records_and_columns() -> None:
    records = [{"step": 10 * k, "loss": 1.0 / k, "note": "text"} for k in range(1, 6)]
    columns = {"step": range(10, 60, 10), "loss": [1 / k for k in range(1, 6)]}
    by_records, by_columns = learning_curves(records), learning_curves(columns)
    assert [c.points for c in by_records.scene.curves] == [c.points for c in by_columns.scene.curves]
    assert [plain(text.line) for text in by_records.scene.texts if text.rotated] == ["loss"]
    assert outside(by_records.scene) == []


def test_charts_are_pictures() -> None:
    picture = learning_curves({"loss": [2.0, 1.0]}, theme="dark")
    assert isinstance(picture, Picture)
    assert picture.svg().startswith("<svg")


def test_axes_have_round_numbers() -> None:
    assert round_steps(0.0, 7.0, 4) == [0.0, 2.0, 4.0, 6.0]
    assert round_steps(3.0, 3.0, 4) == [3.0]
    assert [value for value, _ in Axis(1e-3, 1.0, 0.0, 1.0, True).ticks()] == [1.0, 0.1, 0.01, 0.001]
    axis = covering([1e-300, 1.0, math.nan], 100.0, 0.0, is_log=True)
    assert axis.low == pytest.approx(1e-12)
    assert axis.at(0.0) == axis.at(1e-300) == 100.0
    assert axis.at(1.0) == 0.0


def test_a_series_of_an_unnamed_model_follows_its_states_only() -> None:
    series = table_of("", loss_of("lstm", 5))
    assert set(series.states) == {"c", "h"}
    assert series.times == [1, 2, 3, 4, 5]


def test_what_cannot_be_charted_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="expected at least one model"):
        strips({})
    with pytest.raises(DTypeError, match=r"expected a loss or a table of gradient_by_time for 'RNN', got list"):
        strips({"RNN": [1.0]})
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(ArgumentError, match=r"'mine' has no named values in time steps; .*time_step\(t\)"):
        heat_bars({"mine": (x * x).sum()})
    with pytest.raises(ShapeError, match=r"heat_map: expected a table \(n, m\) with entries, got shape \(3,\)"):
        heat_map([1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match="expected a log with numbers"):
        learning_curves([{"note": "nothing"}])


def test_what_is_grey_is_below_the_scale_and_the_picture_says_so() -> None:
    with np.errstate(under="ignore"):
        table = 10.0 ** -np.arange(16.0).reshape(4, 4)
    for scene in (heat_map(table).scene, strips({"a": vanished(12)}).scene, heat_bars({"a": vanished(12)}).scene):
        assert [plain(sample.meaning)[:15] for sample in scene.samples] == ["below the scale"]
    assert heat_bars({"a": loss_of("rnn", 5)}).scene.samples == heat_map(np.ones((2, 2))).scene.samples == []


def vanished(T: int) -> Tensor:
    W, h = Parameter(np.eye(2) * 1e-3, name="W"), Tensor(np.ones((1, 2)), name="h")
    for t in range(1, T + 1):
        with time_step(t):
            h = (h @ W.T).named("h")
    return h.sum()


def test_rows_and_columns_of_a_map_have_the_same_numbers() -> None:
    texts = heat_map(np.ones((12, 12))).scene.texts
    numbers = [[plain(text.line) for text in texts if re.fullmatch(key, text.key)] for key in (r"row\d+", r"columns-\d+")]
    assert numbers[0] == numbers[1] == ["1", "2", "4", "6", "8", "10", "12"]


def test_an_axis_names_the_state_if_there_is_one_and_names_stand_below_one_another() -> None:
    charts = [gradient_lines({"a": loss_of(cell, 5)}).scene for cell in ("rnn", "lstm")]
    of = [plain(text.line) for scene in charts for text in scene.texts if text.rotated]
    assert of == ["‖∂L/∂h‖ (log)", "‖∂L/∂state‖ (log)"]
    names = [text for text in learning_curves({"loss": [3.0, 1.0], "rate": [0.001, 0.002]}).scene.texts if text.rotated]
    assert len({text.x for text in names}) == 1
