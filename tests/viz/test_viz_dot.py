"""DOT: readable by Graphviz, with the scene's own positions, and needed by nobody."""

import json
import re
import subprocess
import time
import xml.etree.ElementTree as ET
from typing import Any

import graphviz
import numpy as np
import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from minigrad.viz import Picture, draw, learning_curves
from minigrad.viz.text import legible
from minigrad.viz.writers.dot_text import quoted
from nasty_labels import NASTY, picture_of
from programs import needs

SVG, TITLE = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}title"
needs_dot = needs("dot")


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
@pytest.mark.parametrize("kind", NASTY)
def test_graphviz_shows_nasty_names_as_they_are_and_tells_them_whole_on_hover(kind: str) -> None:
    picture = picture_of(NASTY[kind])
    source = picture.graphviz().source
    rendered = subprocess.run(["dot", "-Tsvg"], input=source.encode(), capture_output=True, check=True)
    assert rendered.stderr == b""
    root = ET.fromstring(rendered.stdout)
    assert not any(element.tag.endswith("script") for element in root.iter())
    titles = [(link.get(TITLE) or "").replace("\u200b", "").replace("\xa0", " ") for link in root.iter(f"{SVG}a")]
    told = [title for title in titles if "shape " in title]
    assert len(told) == len(picture.scene.boxes) > 0
    assert all(title.startswith(legible(NASTY[kind]).replace("\t", " ")) for title in told)


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
    assert graph.source.count('subgraph "cluster_') == 3


def test_every_link_of_the_scene_is_one_edge_of_the_source() -> None:
    picture = draw(of_cell("gated_rnn", 3))
    source = picture.graphviz().source
    for edge in picture.scene.edges:
        assert len(re.findall(rf'\t"{edge.source}" -> "{edge.target}" \[id="{edge.key}"', source)) == 1


def test_every_box_is_one_node_and_those_of_a_step_are_in_its_cluster() -> None:
    picture = draw(of_cell("lstm", 3))
    source = picture.graphviz().source
    clusters = source.split("subgraph")[1:]
    for box in picture.scene.boxes:
        assert source.count(f'\t"{box.key}" [') == 1
    for t, cluster in enumerate(clusters, 1):
        inside = set(re.findall(r'^\t\t"(n\d+)" \[', cluster.split("\n\t}")[0], re.MULTILINE))
        expected = {box.key for box in picture.scene.boxes if box.time == t and box.role not in ("input",)}
        assert inside >= expected - {box.key for box in picture.scene.boxes if box.role == "loss"} > set()


def test_writing_takes_time_in_proportion_to_the_number_of_steps() -> None:
    scenes = {T: draw(of_cell("rnn", T)) for T in (40, 320)}
    times = {T: [] for T in scenes}
    for _ in range(3):
        for T, picture in scenes.items():
            begin = time.process_time()
            picture.graphviz()
            times[T].append(time.process_time() - begin)
    assert min(times[320]) < 8 * 3 * min(times[40])


@needs_dot
def test_a_pdf_has_the_size_of_the_picture() -> None:
    picture = draw(of_cell("lstm", 3))
    pdf = picture.graphviz().pipe(format="pdf")
    found = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ([0-9.]+) ?\]", pdf)
    assert found is not None
    assert (float(found[1]), float(found[2])) == pytest.approx((picture.scene.width, picture.scene.height), abs=2.0)


@needs_dot
def test_graphviz_reads_strings_of_any_length() -> None:
    curve = learning_curves({"loss": list(np.random.default_rng(0).random(3000) + 0.5)})
    assert max(map(len, re.findall(r'"[^"]*"', curve.graphviz().source))) < 16_384
    read = by_graphviz(curve)
    (longest,) = (edge["pos"] for edge in read["edges"] if len(edge["pos"]) > 16_384)
    assert len(longest.split()) == max(len(line.points) for line in curve.scene.curves)
    assert by_graphviz(picture_of("🔥" * 10_000))
