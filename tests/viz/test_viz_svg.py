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
from minigrad.viz.svg import escape

from minigrad import Parameter, Tensor, scope, tanh, time_step

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "a\"b'c",
    "&amp; & &#60;",
    "]]>",
    "line\nbreak",
    "nul\x00 esc\x1b",
    "\\\\n \\l <b>bold</b>",
    "</title></svg>",
    "<html>",
    "W_",
    "_",
    " ",
    "𝔚_𝔥",
    "名前_時",
    "\u202egnol",
    "x" * 300,
    "\ud800",
)


def group(root: ET.Element, name: str) -> list[ET.Element]:
    return [part for g in root.iter(f"{SVG}g") if g.get("class") == name for part in g]


def hostile_graph(name: str) -> Tensor:
    W = Parameter([[0.5]], name=name)
    with time_step(0):
        h = Tensor([[1.0]], requires_grad=True, name=name)
    for t in (1, 2):
        with scope(name), time_step(t):
            h = tanh(h @ W.T + Tensor([[0.1]], name=name)).named(name)
    return (h * h).sum().named(name)


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_every_picture_is_well_formed_xml_with_title_description_and_view_box(name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name](), title=f"{name} & <co>")
    root = ET.fromstring(picture.svg())
    assert root.tag == f"{SVG}svg"
    assert root[0].text == f"{name} & <co>"
    assert "boxes" in (root[1].text or "")
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root.get("role") == "img"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_shown_not_obeyed(name: str) -> None:
    picture = draw(hostile_graph(name), title=name)
    root = ET.fromstring(picture.svg())
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "rect", "g", "path", "polygon", "circle", "text", "tspan", "linearGradient", "stop",
    }  # fmt: skip
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_escaped_text_reads_back_as_it_was() -> None:
    text = "<&>\"' ]]> &lt;"
    assert ET.fromstring(f'<a b="{escape(text)}">{escape(text)}</a>').text == text
    assert ET.fromstring(f'<a b="{escape(text)}"/>').get("b") == text


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
    gate = next(title for title in titles if title.startswith("f₂"))
    assert gate.split("\n")[:5] == ["f₂ σ", "sigmoid", "shape (2, 4) float64", "time step 2", "in lstm"]
    assert "‖gradient‖" in gate
    lines = [edge[0].text or "" for edge in group(root, "edges")]
    assert any(line.startswith("c₁ + → ⊙\n‖gradient‖ ") for line in lines)


def test_colours_and_widths_of_lines_are_those_of_the_scene() -> None:
    picture = draw(of_cell("rnn", 3))
    shown = {str(drawn.get("id")): drawn for drawn in group(ET.fromstring(picture.svg()), "edges")}
    assert len(shown) == len(picture.scene.edges)
    for edge in picture.scene.edges:
        drawn = shown[edge.key]
        path = drawn.find(f"{SVG}path")
        assert path is not None
        assert path.get("stroke") == edge.colour
        assert float(path.get("stroke-width", 0)) == pytest.approx(edge.width, abs=0.051)
        assert (drawn.find(f"{SVG}polygon") is not None) == edge.arrow


HASHES = """
import sys, hashlib
sys.path.insert(0, {tests!r})
from graphs_to_draw import of_cell, OWN
from minigrad.viz import draw
for tensor in (of_cell("lstm", 3), of_cell("gru", 3, hoist=True), OWN["lstm with peepholes"](), OWN["attention"]()):
    picture = draw(tensor)
    print(hashlib.sha256((picture.svg() + picture.graphviz().source).encode()).hexdigest())
"""


def test_where_lines_run_together_the_strongest_is_painted_last() -> None:
    drawn = group(ET.fromstring(draw(of_cell("lstm", 4)).svg()), "edges")
    widths = [float(line.find(f"{SVG}path").get("stroke-width")) for line in drawn]
    assert widths == sorted(widths)


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


def test_five_hundred_steps_are_drawn_and_written_without_recursion() -> None:
    limit = sys.getrecursionlimit()
    text = draw(of_cell("lstm", 500)).svg()
    assert sys.getrecursionlimit() == limit
    assert text.count('<g data-t="500"') >= 1
    assert len(text) < 8_000_000


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
