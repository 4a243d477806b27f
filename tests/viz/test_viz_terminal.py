"""Text for terminals: whole words in whole boxes, no wider than asked for, in ASCII where nothing else is known."""

import io
import itertools
import sys
import time
import unicodedata
from collections.abc import Sequence

import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from layer_cases import of_translation
from minigrad.viz import Picture, draw, gradient_lines, heat_bars, learning_curves, strips
from minigrad.viz.marks import marked
from minigrad.viz.paths import Pen
from minigrad.viz.scene import Badge, Scene, Tile
from minigrad.viz.sheet import DASHED, Mark, Path, Rectangle, Sheet, Words
from minigrad.viz.text import Span, plain
from minigrad.viz.writers import terminal
from minigrad.viz.writers.blocks import columns
from minigrad.viz.writers.characters import GLYPHS, in_ascii
from nasty_labels import NASTY, picture_of
from picture_checks import passing_through_in_the_terminal, torn_in_the_terminal


def picture(name: str) -> Picture:
    return draw(of_cell(name, 3) if name in CELLS else OWN[name]())


def missing_words(scene: Scene, text: str) -> list[str]:
    """The lines of boxes that are nowhere in the text."""
    return [line for box in scene.boxes for line in map(plain, box.lines) if line not in text]


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_the_words_of_every_box_are_there(name: str) -> None:
    drawn = picture(name)
    assert missing_words(drawn.scene, drawn.text(4000)) == []
    assert drawn.text(4000).count("▶") + drawn.text(4000).count("▲") > 0


def test_the_check_finds_a_box_that_is_not_there() -> None:
    drawn = picture("rnn")
    text = drawn.text(4000)
    assert missing_words(drawn.scene, text.replace("h₂", "h")) != []


@pytest.mark.sampled(1)
@pytest.mark.parametrize("width", [24, 40, 80, 132])
@pytest.mark.parametrize("name", ["lstm", "attention", "both directions", "expression"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = picture(name).text(width).splitlines()
    assert max(map(columns, lines)) <= width
    assert len(lines) > 10


def test_a_wide_picture_is_cut_before_a_step_and_nothing_is_lost() -> None:
    drawn = draw(of_cell("rnn", 6))
    whole, cut = drawn.text(4000), drawn.text(60)
    assert missing_words(drawn.scene, cut) == []
    bands = cut.split("\n\n")
    assert len(bands) > 2
    assert [whole.count(f"t = {t}") for t in range(1, 7)] == [cut.count(f"t = {t}") for t in range(1, 7)] == [1] * 6
    starts = ["".join(line[:2] for line in band.splitlines()) for band in bands[1:] if " t = " in band]
    assert len(starts) > 2
    assert all("╰─" in start for start in starts[1:])


@pytest.mark.parametrize("name", [*CELLS, "attention", "expression"])
def test_in_ascii_every_character_is_and_every_line_is_as_long(name: str) -> None:
    drawn = picture(name)
    plain_text, text = drawn.text(100, ascii_only=True), drawn.text(100)
    assert plain_text.isascii()
    for line, original in zip(plain_text.splitlines(), text.splitlines(), strict=True):
        assert len(line) == sum(not unicodedata.combining(c) for c in original)


def test_letters_have_their_likeness_in_ascii() -> None:
    assert in_ascii("σ α Σ ∂ c₁ ĉ 名 █") == "s a S d c1 c ?? #"


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_names_neither_move_the_cursor_nor_tear_the_boxes(kind: str) -> None:
    drawn = picture_of(NASTY[kind])
    text = drawn.text(4000)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Cf") for c in text.replace("\n", ""))
    lines = text.splitlines()
    names = [row for row, line in enumerate(lines) if row and "┌" in lines[row - 1] and "└" in lines[row + 1] and "│" in line]
    assert len(names) > 2
    assert all(columns(lines[row - 1].split("┐")[0]) == columns(lines[row + 1].split("┘")[0]) for row in names)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("detail", ["gates", "cells", "operations"])
@pytest.mark.parametrize("name", CELLS)
def test_items_and_lines_keep_clear_of_one_another(name: str, detail: str, width: int) -> None:
    shown = draw(of_cell(name, 3), detail=detail).sheet()
    assert torn_in_the_terminal(shown, width) == passing_through_in_the_terminal(shown, width) == []


def test_a_line_through_an_item_and_items_on_one_another_are_noticed() -> None:
    line = Mark("edges", "e", (Path(Pen(0, 100).to(300, 100).points, "#000000", 2.0),), source="a", target="b")
    assert passing_through_in_the_terminal(sheet(box("c", 150, 100, "between"), line), 40) == ["e through c"]
    broad = Mark("boxes", "d", (Rectangle(100, 86, 100, 28, "#ffffff", "#000000"), words(150, 104, "below")))
    assert torn_in_the_terminal(sheet(box("c", 150, 100, "above"), broad), 40) == ["d runs into c"]


def test_the_passes_over_time_are_named() -> None:
    text = draw(of_translation("gru", 3, True, attention="dot"), detail="cells").text(100)
    assert " encoder ─" in text
    assert " decoder ─" in text


def test_what_a_bar_is_stands_in_lines_below_one_another() -> None:
    rows = draw(of_cell("rnn", 3)).text(100).splitlines()
    first = next(k for k, row in enumerate(rows) if "share of" in row)
    assert "step t in" in rows[first + 1]
    assert "∂L/∂W" in rows[first + 2]


@pytest.mark.parametrize("width", [60, 90, 140])
def test_charts_have_all_their_words_and_fit(width: int) -> None:
    models = {"a GRU with a long name": of_cell("gru", 30), "an LSTM": of_cell("lstm", 30)}
    for chart in (strips(models), heat_bars(models), gradient_lines(models), learning_curves({"the loss": [3.0, 2.0, 0.5]})):
        rows = chart.text(width).splitlines()
        assert max(map(columns, rows)) <= width
        for text in chart.scene.texts:
            if text.key.rstrip("0123456789") not in ("title", "scale", "scale-name"):
                assert any(plain(text.line) in row for row in rows), plain(text.line)


def sheet(*marks: Mark) -> Sheet:
    return Sheet("", "a sheet", 300.0, 200.0, "#ffffff", "#000000", "#444444", (), marks)


def box(key: str, x: float, y: float, name: str) -> Mark:
    return Mark("boxes", key, (Rectangle(x - 20, y - 14, 40, 28, "#ffffff", "#000000"), words(x, y + 4, name)))


def words(x: float, y: float, text: str) -> Words:
    return Words(x, y, (Span(text),), 13.0, "#000000", "middle")


def edge(start: tuple[float, float], end: tuple[float, float], width: float = 2.0, dashed: bool = False) -> Mark:
    path = Path(Pen(*start).to(*end).points, "#000000", width, DASHED if dashed else (), arrow=True)
    return Mark("edges", "e0", (path,), source="a", target="b")


@pytest.mark.parametrize(
    ("width", "dashed", "expected"), [(2.0, False, "──"), (5.0, False, "━━"), (2.0, True, "┄┄"), (1.1, False, "┄┄")]
)
def test_the_weight_of_a_line_tells_its_strength(width: float, dashed: bool, expected: str) -> None:
    drawn = terminal.write(sheet(box("a", 30, 20, "a"), box("b", 250, 20, "b"), edge((50, 20), (230, 20), width, dashed)))
    (row,) = (line for line in drawn.splitlines() if "▶" in line)
    assert f"│a│{expected}" in row
    assert row.endswith("▶│b│")


@pytest.mark.parametrize(
    ("start", "end", "arrow"), [((30, 60), (30, 150), "▼"), ((30, 150), (30, 60), "▲"), ((200, 20), (50, 20), "◀")]
)
def test_arrows_point_where_the_line_goes(start: tuple[float, float], end: tuple[float, float], arrow: str) -> None:
    assert terminal.write(sheet(edge(start, end))).count(arrow) == 1


def test_where_lines_meet_the_character_has_an_arm_for_each_with_its_weight() -> None:
    names = ("UP", "DOWN", "LEFT", "RIGHT")
    assert len(GLYPHS) == 81
    for weights, glyph in zip(itertools.product(range(3), repeat=4), GLYPHS, strict=True):
        if sum(weights) == 0:
            assert glyph == " "
            continue
        told = unicodedata.name(glyph).replace("VERTICAL", "UP DOWN").replace("HORIZONTAL", "LEFT RIGHT").split()
        assert {arm for arm, weight in zip(names, weights, strict=True) if weight} == set(told) & set(names)
        assert {"LIGHT": 1, "HEAVY": 2}.keys() & set(told) == {("LIGHT", "HEAVY")[weight - 1] for weight in weights if weight}


def test_bars_grow_with_their_numbers() -> None:
    drawn = draw(of_cell("lstm", 3))
    bars = sorted(drawn.scene.bars, key=lambda bar: bar.height)
    small, tall = (heights(drawn.scene, [bar.x]) for bar in (bars[0], bars[-1]))
    assert 0 < sum(small) < sum(tall)


def heights(scene: Scene, places: Sequence[float]) -> list[int]:
    alone = Scene("", "", scene.width, scene.height, bars=[bar for bar in scene.bars if bar.x in places])
    text = terminal.write(marked(alone), 4000)
    return [" ▁▂▃▄▅▆▇█".index(c) for c in text if c in "▁▂▃▄▅▆▇█"]


def test_tiles_are_darker_where_their_colour_is() -> None:
    scene = Scene("", "", 300.0, 40.0)
    scene.tiles = [
        Tile(f"i{k}", 100.0 * k, 0.0, 100.0, 40.0, c, k, "") for k, c in enumerate(("#de9e2e", "#e25826", "#480058"))
    ]
    (row,) = {line for line in terminal.write(marked(scene), 30).splitlines() if "█" in line}
    assert list(dict.fromkeys(row)) == ["░", "▒", "█"]


def test_badges_are_signs() -> None:
    scene = Scene("", "", 100.0, 100.0, badges=[Badge("g0", 10, 10, "nan", 1, ""), Badge("g1", 90, 90, "cut", 1, "")])
    text = terminal.write(marked(scene))
    assert "!" in text
    assert "✂" in text


def test_print_fits_the_terminal_and_its_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw(of_cell("rnn", 3))
    monkeypatch.setenv("COLUMNS", "64")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert str(drawn) == drawn.text(64).rstrip("\n")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert str(drawn) == drawn.text(64, ascii_only=True).rstrip("\n")


def test_writing_takes_time_in_proportion_to_the_number_of_steps() -> None:
    drawn = {T: draw(of_cell("rnn", T)) for T in (20, 160)}
    times: dict[int, list[float]] = {T: [] for T in drawn}
    for _ in range(3):
        for T, shown in drawn.items():
            begin = time.process_time()
            shown.text()
            times[T].append(time.process_time() - begin)
    assert min(times[160]) < 8 * 3 * min(times[20])


def test_rows_of_which_one_is_too_close_to_another_keep_their_distance_from_the_next() -> None:
    loss = of_translation("lstm", 1, True, num_layers=1, bidirectional=True, attention="additive")
    assert torn_in_the_terminal(draw(loss, detail="cells", fold=False).sheet(), 100) == []
