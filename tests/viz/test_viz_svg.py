"""SVG: well-formed, safe, the same bytes every time, and showing what the scene holds."""

import hashlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from minigrad.viz import draw
from minigrad.viz.palette import gate_fills
from minigrad.viz.scene import Box
from minigrad.viz.sheet import Mark, Sheet, Words
from minigrad.viz.text import Span, legible, line_width
from minigrad.viz.writers import svg
from minigrad.viz.writers.svg import escape
from nasty_labels import NASTY, picture_of

SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "style", "title", "desc", "rect", "g", "path", "polygon", "circle", "text", "tspan"}


def group(root: ET.Element, name: str) -> list[ET.Element]:
    return [part for g in root.iter(f"{SVG}g") if g.get("class") == name for part in g]


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_every_picture_is_well_formed_xml_with_title_description_and_view_box(name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name](), title=f"{name} & <co>")
    root = ET.fromstring(picture.svg())
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == f"{name} & <co>"
    assert "boxes" in (root.findtext(f"{SVG}desc") or "")
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root.get("role") == "img"


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_names_are_shown_not_obeyed_and_told_whole_on_hover(kind: str) -> None:
    name = NASTY[kind]
    picture = picture_of(name)
    root = ET.fromstring(picture.svg())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= ELEMENTS
    assert not any(key.startswith("on") or "href" in key for element in root.iter() for key in element.attrib)
    told = [box.findtext(f"{SVG}title") or "" for box in group(root, "boxes")]
    assert len(told) == len(picture.scene.boxes) > 0
    assert all(title.startswith(legible(name)) for title in told)
    assert root.findtext(f"{SVG}title") == picture.sheet().name


def test_escaped_text_reads_back_as_it_was() -> None:
    text = "<&>\"' ]]> &lt; \r\n\t"
    assert ET.fromstring(f"<a>{escape(text)}</a>").text == text
    assert ET.fromstring(f'<a b="{escape(text.strip())}"/>').get("b") == text.strip()


def test_the_document_shows_every_part_of_the_scene() -> None:
    picture = draw(of_cell("lstm", 4), title="four steps")
    scene, root = picture.scene, ET.fromstring(picture.svg())
    for name, parts in {
        "panels": scene.panels,
        "edges": scene.edges,
        "wires": scene.wires,
        "junctions": scene.junctions,
        "boxes": scene.boxes,
        "bars": scene.bars,
        "texts": scene.texts,
    }.items():
        assert len(group(root, name)) == len(parts) > 0
    ends = Counter((edge.get("data-from"), edge.get("data-to")) for edge in group(root, "edges"))
    assert ends == Counter((edge.source, edge.target) for edge in scene.edges)
    words = "".join(root.itertext())
    for expected in ("four steps", "t = 4", "‖gradient‖", "share of", "∂L/∂W", "cross-entropy", "needs no gradient"):
        assert expected in words


def test_hover_texts_tell_name_operation_shape_step_and_gradient() -> None:
    root = ET.fromstring(draw(of_cell("lstm", 3)).svg())
    titles = [box[0].text or "" for box in group(root, "boxes")]
    gate = next(title for title in titles if "f₂" in title)
    for expected in ("sigmoid", "shape (2, 4) float64", "time step 2", "lstm", "‖gradient‖"):
        assert expected in gate
    lines = [edge[0].text or "" for edge in group(root, "edges")]
    assert any("c₁" in line and "‖gradient‖ " in line for line in lines)


def test_colours_and_widths_of_lines_are_those_of_the_scene() -> None:
    picture = draw(of_cell("rnn", 3))
    shown = {str(drawn.get("data-key")): drawn for drawn in group(ET.fromstring(picture.svg()), "edges")}
    assert len(shown) == len(picture.scene.edges)
    for edge in picture.scene.edges:
        drawn = shown[edge.key]
        path = drawn.find(f"{SVG}path")
        assert path is not None
        assert path.get("stroke") == edge.colour
        assert float(path.get("stroke-width", 1)) == pytest.approx(edge.width, abs=0.051)
        assert (drawn.find(f"{SVG}polygon") is not None) == edge.arrow


def test_it_shrinks_with_the_page_by_a_rule_that_converters_pass_over() -> None:
    root = ET.fromstring(draw(of_cell("lstm", 5)).svg())
    assert root.get("style") is None
    assert float(root.get("width", 0)) > 1000
    style = root.findtext(f"{SVG}style") or ""
    assert style.startswith("@media screen, print { svg.minigrad { max-width: 100%; height: auto }")
    assert root.get("class") == "minigrad"


def test_two_pictures_can_stand_in_one_page_since_nothing_has_an_id() -> None:
    document = draw(of_cell("gru", 3)).svg()
    assert " id=" not in document
    assert "url(#" not in document


@pytest.mark.parametrize("anchor", ["start", "middle", "end"])
def test_a_line_of_several_pieces_starts_where_its_width_says_since_converters_anchor_every_piece(anchor: str) -> None:
    line = (Span("W"), Span("hx", -1), Span(" tanh", soft=True))
    words = Words(100.0, 20.0, line, 13.0, "#000000", anchor)
    (drawn,) = (ET.fromstring(row) for row in svg.write(sheet_with(words)).splitlines() if row.startswith("<g data"))
    text = drawn.find("text")
    assert text is not None
    assert text.get("text-anchor") is None
    expected = 100.0 - line_width(line, 13.0) * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
    assert float(text.get("x", 0)) == pytest.approx(expected, abs=0.06)
    assert "".join(text.itertext()) == "Whx tanh"


def test_a_line_of_one_piece_is_anchored_by_whoever_shows_it_in_fonts_of_their_own() -> None:
    assert 'text-anchor="middle"' in svg.write(sheet_with(Words(9.0, 9.0, (Span("tanh"),), 13.0, "#000000", "middle")))


def test_sub_and_superscripts_come_back_to_the_line() -> None:
    line = (Span("W"), Span("hx", -1), Span("(1)", 1), Span(" end"))
    row = next(row for row in svg.write(sheet_with(Words(0.0, 0.0, line, 10.0, "#000000"))).splitlines() if "<tspan" in row)
    shifts = [float(piece.get("dy", 0)) for piece in ET.fromstring(row).iter("tspan")]
    assert shifts[0] > 0 > shifts[1]
    assert sum(shifts) == pytest.approx(0.0, abs=0.11)


def sheet_with(words: Words) -> Sheet:
    mark = Mark("texts", "t0", (words,))
    return Sheet("", "one line", 200.0, 40.0, "#ffffff", "#000000", "#444444", (), (mark,))


def test_where_lines_run_together_the_strongest_is_painted_last() -> None:
    drawn = group(ET.fromstring(draw(of_cell("lstm", 4)).svg()), "edges")
    widths = [float(path.get("stroke-width", 1)) for line in drawn if (path := line.find(f"{SVG}path")) is not None]
    assert widths == sorted(widths)


HASHES = """
import sys, hashlib
sys.path.insert(0, {tests!r})
from graphs_to_draw import of_cell, OWN
from minigrad.viz import draw
for tensor in (of_cell("lstm", 3), of_cell("gru", 3, hoist=True), OWN["lstm with peepholes"](), OWN["attention"]()):
    picture = draw(tensor, theme="dark")
    print(hashlib.sha256((picture.svg() + picture.graphviz().source + picture.text()).encode()).hexdigest())
"""


def test_the_same_graph_gives_the_same_bytes_in_every_process() -> None:
    script = HASHES.format(tests=str(Path(__file__).parent))
    outputs = set()
    for seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
        outputs.add(run.stdout)
    assert len(outputs) == 1


def test_drawing_twice_in_one_process_gives_the_same_bytes() -> None:
    first, second = (hashlib.sha256(draw(of_cell("lstm", 3)).svg().encode()).hexdigest() for _ in range(2))
    assert first == second


def test_a_gate_has_the_same_colour_in_every_picture() -> None:
    fills: dict[str, set[str]] = {}
    for tensor in (of_cell("lstm", 2), of_cell("gated_rnn", 2), of_cell("gru", 2), OWN["lstm with peepholes"]()):
        shown = {box.tooltip[: box.tooltip.index("₁")]: box.fill for box in draw(tensor).scene.boxes if is_first_gate(box)}
        assert len(set(shown.values())) == len(shown) > 1
        for name, fill in shown.items():
            fills.setdefault(name, set()).add(fill)
    assert set(fills) == {"i", "f", "g", "o", "u", "r", "c̃", "s̃"}
    assert all(len(found) == 1 for found in fills.values())


def is_first_gate(box: Box) -> bool:
    return box.role == "gate" and box.time == 1


def test_gates_with_other_names_get_what_the_usual_ones_leave() -> None:
    fills = gate_fills(["k", "f", "j"])
    assert fills["f"] == gate_fills(["f"])["f"]
    assert len(set(fills.values())) == 3
    many = gate_fills([f"v{k}" for k in range(20)])
    assert len(set(many.values())) == 8


@pytest.mark.parametrize("name", NASTY.values())
def test_no_name_makes_a_picture_wider_than_a_page(name: str) -> None:
    picture = picture_of(name)
    assert picture.scene.width < 2500
    assert ET.fromstring(picture.svg()).findtext(f"{SVG}title") == picture.sheet().name
