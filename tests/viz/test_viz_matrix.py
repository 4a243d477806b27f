"""All layers in all their forms are drawn at every detail: no crash, nothing lost, nothing on top of anything else.

Of about a thousand cases every 107th is drawn at each detail, not the same ones: 107 shares no factor with the lengths of the
loops that make them, so all values of all options occur. Where every test is run it is every 29th.
"""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from layer_cases import every_case
from minigrad.viz import draw
from minigrad.viz.details import Detail, detailed
from minigrad.viz.diagram import build
from minigrad.viz.diagram.items import Diagram
from minigrad.viz.writers.blocks import columns
from picture_checks import (
    lines_through_boxes,
    lines_through_labels,
    names_of_bars_on_others,
    outside_the_picture,
    overlapping_boxes,
    torn_in_the_terminal,
    words_outside_their_boxes,
)
from sampling import EXHAUSTIVE

from minigrad import Tensor, walk

CASES = every_case()
STEP = 29 if EXHAUSTIVE else 107


def lost(diagram: Diagram, tensor: Tensor) -> list[str]:
    """The recorded nodes that no item stands for, and the vertices and uses that are in no item and no link."""
    item_of = {vertex: item.index for item in diagram.items for vertex in item.nodes}
    drawn = {vertex.node for vertex in item_of}
    links = {(link.source, link.target) for link in diagram.links}
    missing = [repr(node) for node in walk(tensor) if node not in drawn]
    missing += [repr(vertex) for vertex in diagram.vertices if vertex not in item_of]
    for vertex in diagram.vertices:
        for source in vertex.inputs:
            ends = None if source is None else (item_of[source], item_of[vertex])
            if ends is not None and ends[0] != ends[1] and ends not in links:
                missing.append(f"{source!r} → {vertex!r}")
    return missing


def shown(tensor: Tensor, detail: str) -> Diagram:
    diagram = build(walk(tensor), [tensor.node], detail == "operations")
    return detailed(diagram, Detail(detail), []) if detail == "cells" else diagram


@pytest.mark.parametrize(
    ("detail", "number"),
    [(detail, k) for start, detail in enumerate(("operations", "gates", "cells")) for k in range(7 * start, len(CASES), STEP)],
)
def test_every_form_of_every_layer_is_drawn_whole(detail: str, number: int) -> None:
    name, make = CASES[number]
    tensor = make()
    assert lost(shown(tensor, detail), tensor) == [], name
    picture = draw(tensor, detail=detail, fold=False)
    sheet = picture.sheet()
    for check in (overlapping_boxes, outside_the_picture, lines_through_boxes, lines_through_labels):
        assert check(picture.scene) == [], f"{name}: {check.__name__}"
    assert words_outside_their_boxes(sheet) == names_of_bars_on_others(sheet) == [], name
    assert all(edge.magnitude is None or edge.magnitude >= 0 for edge in picture.scene.edges)
    keys = {box.key for box in picture.scene.boxes}
    assert keys <= {mark.get("data-key") for mark in ET.fromstring(picture.svg()).iter()}
    assert keys <= set(re.findall(r'^\t+"(n\d+)" \[', picture.graphviz().source, re.MULTILINE))
    assert max(map(columns, picture.text(100).splitlines())) <= 100
    assert torn_in_the_terminal(sheet, 100) == [], name
    if detail == "cells":
        page = picture.html()
        assert all(f'data-key="{key}"' in page for key in keys)


@pytest.mark.parametrize("number", range(5, len(CASES), 89))
def test_every_form_of_every_layer_is_drawn_along_time(number: int) -> None:
    name, make = CASES[number]
    for detail in ("strip", "heat bar"):
        picture = draw(make(), detail=detail)
        assert len(picture.scene.tiles) > 0, name
        assert ET.fromstring(picture.svg()).tag.endswith("svg")
        assert picture.text(100)


def test_a_lost_node_and_a_lost_use_are_noticed() -> None:
    tensor = CASES[40][1]()
    diagram = build(walk(tensor), [tensor.node])
    item = next(item for item in diagram.items if item.role == "affine")
    without_item = replace(diagram, items=[other for other in diagram.items if other is not item])
    with pytest.raises(KeyError):
        lost(without_item, tensor)
    item.nodes = item.nodes[:-1]
    with pytest.raises(KeyError):
        lost(diagram, tensor)
    again = build(walk(tensor), [tensor.node])
    assert lost(replace(again, links=again.links[:-1]), tensor)
