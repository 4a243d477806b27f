"""hs[−1] is h_T: rows read of stacked states are drawn as those states, with the gradient that they get."""

import numpy as np
import pytest
from graphs_to_draw import CELLS, B, D, H, sequence
from minigrad.models import RecurrentLayers
from minigrad.models.cells import make_cell
from minigrad.models.unrolling import unroll
from minigrad.viz import draw
from minigrad.viz.diagram import build
from minigrad.viz.scene import Scene
from test_viz_matrix import lost

from minigrad import Tensor, stack, walk


def states(cell: str, T: int, hoist: bool = True) -> Tensor:
    hs, _ = unroll(make_cell(cell, D, H, seed=0), sequence(T), hoist=hoist)
    return hs


def boxes_of(scene: Scene) -> set[str]:
    return {box.full_name for box in scene.boxes}


@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_loss_of_the_last_output_is_drawn_like_one_of_the_last_state(cell: str, hoist: bool) -> None:
    hs, state = unroll(make_cell(cell, D, H, seed=0), sequence(4), hoist=hoist)
    last = state[-1] if isinstance(state, tuple) else state
    of_output, of_state = ((h * 2.0).sum().named("L") for h in (hs[-1], last))
    one, other = draw(of_output).scene, draw(of_state).scene
    assert "stack" not in boxes_of(one)
    assert [(box.full_name, box.x, box.y) for box in one.boxes] == [(box.full_name, box.x, box.y) for box in other.boxes]
    assert [edge.magnitude for edge in one.edges] == pytest.approx([edge.magnitude for edge in other.edges])
    assert lost(build(walk(of_output), [of_output.node]), of_output) == []


def test_a_square_of_the_last_output_has_one_arrow_and_says_so() -> None:
    hs = states("rnn", 3)
    scene = draw((hs[-1] * hs[-1]).sum().named("L")).scene
    square = next(box for box in scene.boxes if box.full_name == "x²")
    (edge,) = [edge for edge in scene.edges if edge.target == square.key]
    assert edge.magnitude == pytest.approx(2 * np.linalg.norm(hs[-1].numpy()))


def test_rows_at_both_ends_and_slices_with_an_axis_fewer_are_states_too() -> None:
    hs = states("gru", 3)
    scene = draw((hs[0] * hs[-1]).sum()).scene
    product = next(box.key for box in scene.boxes if box.full_name == "⊙" and box.time is None)
    assert {scene.box(edge.source).time for edge in scene.edges if edge.target == product} == {1, 3}
    assert "stack" not in boxes_of(scene)


@pytest.mark.parametrize("hoist", [False, True])
def test_a_row_of_both_directions_is_the_two_states_side_by_side(hoist: bool) -> None:
    hs, _ = RecurrentLayers("lstm", D, H, bidirectional=True, seed=0)(sequence(3), hoist=hoist)
    tensor = (hs[-1] * hs[-1]).sum().named("L")
    scene = draw(tensor).scene
    assert "stack" not in boxes_of(scene)
    joint = [box.key for box in scene.boxes if box.full_name == "[ , ]"][-1]
    arriving = [edge for edge in scene.edges if edge.target == joint]
    assert [(scene.box(edge.source).full_name, scene.box(edge.source).time) for edge in arriving] == [("h", 3), ("h", 3)]
    assert len([edge for edge in scene.edges if edge.source == joint]) == 1
    halves = np.split(hs[-1].numpy(), 2, axis=-1)
    assert [edge.magnitude for edge in arriving] == pytest.approx([2 * np.linalg.norm(half) for half in halves])
    assert lost(build(walk(tensor), [tensor.node]), tensor) == []


def test_what_reads_several_rows_or_the_whole_keeps_its_stack() -> None:
    for read in (lambda hs: hs[1:], lambda hs: hs, lambda hs: hs[:, 0]):
        assert "stack" in boxes_of(draw((read(states("rnn", 3)) ** 2).sum()).scene)
    both = states("rnn", 3)
    tensor = (both.sum() + both[-1].sum()).named("L")
    assert "stack" in boxes_of(draw(tensor).scene)
    assert lost(build(walk(tensor), [tensor.node]), tensor) == []


def test_a_stack_with_a_name_or_asked_for_is_drawn() -> None:
    rows = [Tensor(np.ones((B, H)) * k, requires_grad=True, name=f"r{k}") for k in range(3)]
    named = stack(rows).named("memory")
    assert "memory" in boxes_of(draw(named[-1].sum()).scene)
    asked = stack(rows)
    assert "stack" in boxes_of(draw(asked, asked[-1].sum(), gradient=[np.ones((3, B, H)), 1.0]).scene)


def test_every_operation_means_the_stack_too() -> None:
    assert "stack" in boxes_of(draw(states("rnn", 3)[-1].sum(), detail="operations").scene)
