"""DOT: readable by Graphviz, with the scene's own positions, and needed by nobody."""

import json
import re
import shutil
import subprocess
from typing import Any

import graphviz
import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from minigrad.viz import Picture, draw
from minigrad.viz.dot import quoted
from test_viz_svg import HOSTILE, hostile_graph

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program is not installed")


def by_graphviz(picture: Picture) -> dict[str, Any]:
    """What Graphviz made of the source: its own positions of everything."""
    run = subprocess.run(["dot", "-Tjson"], input=picture.graphviz().source, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    read: dict[str, Any] = json.loads(run.stdout)
    return read


def pair(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return float(x), float(y)


@needs_dot
@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_graphviz_draws_every_box_and_line_where_the_scene_has_it(name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name]())
    scene, read = picture.scene, by_graphviz(picture)
    assert [float(x) for x in read["bb"].split(",")] == pytest.approx([0, 0, scene.width, scene.height], abs=0.1)
    nodes = {entry["name"]: entry for entry in read["objects"] if "pos" in entry}
    for box in scene.boxes:
        x, y = pair(nodes[box.key]["pos"])
        assert (x, scene.height - y) == pytest.approx((box.x, box.y), abs=0.1)
        assert float(nodes[box.key]["width"]) * 72 == pytest.approx(box.width, abs=1.0)  # Graphviz rounds sizes to points
    lines = {entry["id"]: entry for entry in read["edges"] if "id" in entry}
    numbers = {entry["_gvid"]: entry["name"] for entry in read["objects"]}
    for edge in scene.edges:
        entry = lines[edge.key]
        assert (numbers[entry["tail"]], numbers[entry["head"]]) == (edge.source, edge.target)
        points = entry["pos"].split()
        if edge.arrow:
            x, y = pair(points.pop(0).removeprefix("e,"))
            assert (x, scene.height - y) == pytest.approx(edge.points[-1], abs=0.1)
        x, y = pair(points[0])
        assert (x, scene.height - y) == pytest.approx(edge.points[0], abs=0.1)


@needs_dot
def test_graphviz_draws_the_box_of_every_step() -> None:
    picture = draw(of_cell("gru", 3))
    read, scene = by_graphviz(picture), picture.scene
    clusters = [entry for entry in read["objects"] if entry["name"].startswith("cluster_")]
    assert [cluster["label"] for cluster in clusters] == ["t = 1", "t = 2", "t = 3"]
    for cluster, panel in zip(clusters, scene.panels, strict=True):
        left, low, right, high = (float(x) for x in cluster["bb"].split(","))
        assert (left, right - left) == pytest.approx((panel.x, panel.width), abs=0.1)
        assert (scene.height - high, high - low) == pytest.approx((panel.y, panel.height), abs=0.1)


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_shows_hostile_names_as_they_are(name: str) -> None:
    picture = draw(hostile_graph(name), title=name)
    rendered = subprocess.run(["dot", "-Tsvg"], input=picture.graphviz().source, capture_output=True, text=True, check=True)
    assert "<script" not in rendered.stdout
    assert "syntax error" not in rendered.stderr
    labels = [entry.get("label") for entry in by_graphviz(picture)["objects"]]
    shown = [line for box in picture.scene.boxes for line in box.lines]
    assert len(labels) > len(shown)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b", '"a &amp; b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("C:\\new", r'"C:\\new"'),
        ("one\ntwo", r'"one\ntwo"'),
        ("<b>", '"<b>"'),
    ],
)
def test_quoting_keeps_graphviz_from_reading_anything_into_a_text(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_the_source_is_made_without_graphviz_s_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    graph = draw(of_cell("lstm", 3)).graphviz()
    assert isinstance(graph, graphviz.Digraph)
    assert re.search(r"layout=\"?nop2", graph.source)
    assert graph.source.count("subgraph cluster_") == 3


def test_every_link_of_the_scene_is_one_edge_of_the_source() -> None:
    picture = draw(of_cell("gated_rnn", 3))
    source = picture.graphviz().source
    for edge in picture.scene.edges:
        assert len(re.findall(rf"\t{edge.source} -> {edge.target} \[id=\"{edge.key}\"", source)) == 1
