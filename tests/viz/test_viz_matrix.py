"""All layers in all their forms are drawn: no crash, nothing lost, nothing on top of anything else.

Of about a thousand cases every eleventh is drawn: 11 shares no factor with the lengths of the loops that make them, so all
values of all options occur.
"""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from layer_cases import every_case
from minigrad.viz import draw
from minigrad.viz.diagram import build
from minigrad.viz.diagram.items import Diagram
from picture_checks import outside_the_picture, overlapping_boxes

from minigrad import Tensor, walk

CASES = every_case()


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


@pytest.mark.parametrize("number", range(0, len(CASES), 11))
def test_every_form_of_every_layer_is_drawn_whole(number: int) -> None:
    name, make = CASES[number]
    tensor = make()
    assert lost(build(walk(tensor), [tensor.node]), tensor) == [], name
    picture = draw(tensor)
    assert overlapping_boxes(picture.scene) == [], name
    assert outside_the_picture(picture.scene) == [], name
    assert ET.fromstring(picture.svg()).tag.endswith("svg")
    assert all(edge.magnitude is None or edge.magnitude >= 0 for edge in picture.scene.edges)


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
