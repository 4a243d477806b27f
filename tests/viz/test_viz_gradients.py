"""Colours and bars are the real gradients."""

import gc
import math

import numpy as np
import pytest
from graphs_to_draw import CELLS, OWN, D, H, at_random, of_cell, sequence
from minigrad.models.cells import make_cell
from minigrad.models.unrolling import unroll
from minigrad.viz import draw
from minigrad.viz.diagram import build
from minigrad.viz.diagram.vertices import Vertex
from minigrad.viz.numbers import summary
from minigrad.viz.overlay import Overlay, norm
from minigrad.viz.palette import NOT_FINITE, UNTRACKED, VANISHED, Scale
from minigrad.viz.text import plain

from minigrad import Parameter, Tensor, edge_gradients, log, tanh, time_step, walk
from minigrad.backward import seed
from minigrad.errors import ArgumentError, GraphError, ShapeError

NONE = -1.0


def drawn_magnitudes(tensor: Tensor, full: bool = False) -> list[float]:
    return [NONE if edge.magnitude is None else edge.magnitude for edge in draw(tensor, full=full).scene.edges]


def expected_magnitudes(tensor: Tensor, full: bool = False) -> list[float]:
    """The norm of what each line sends back, from the engine's own list of gradients per edge.

    NaN where a line stands for the share of one step, or of one gate, of something that was computed at once.
    """
    sent = edge_gradients(tensor)
    expected: list[float] = []
    for link in build(walk(tensor), [tensor.node], full).links:
        by_source: dict[object, np.ndarray] = {}
        shared = False
        for vertex, slot in link.edges:
            source = vertex.inputs[slot]
            shared |= not (vertex.is_whole and source.is_whole)
            if (vertex.node, slot) in sent:
                by_source[source] = by_source.get(source, 0.0) + sent[vertex.node, slot]
        squares = [float(np.sum(total**2)) for total in by_source.values()]
        expected.append(math.nan if shared else math.sqrt(sum(squares)) if squares else NONE)
    return expected


def assert_magnitudes(tensor: Tensor, full: bool = False) -> None:
    drawn, expected = np.array(drawn_magnitudes(tensor, full)), np.array(expected_magnitudes(tensor, full))
    known = ~np.isnan(expected)
    assert known.all() or not full
    assert known.sum() > 0.3 * len(known)
    np.testing.assert_allclose(drawn[known], expected[known], rtol=1e-12, atol=1e-300)
    assert drawn.max() > 0


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("loss", ["every step", "last step"])
@pytest.mark.parametrize("hoist", [False, True])
def test_the_magnitude_of_every_line_is_the_norm_of_the_gradient_sent_along_it(cell: str, loss: str, hoist: bool) -> None:
    tensor = of_cell(cell, 4, loss=loss, hoist=hoist, xs=sequence(4, requires_grad=True, name="xs"))
    assert_magnitudes(tensor)
    assert_magnitudes(tensor, full=True)


@pytest.mark.parametrize("cell", CELLS)
def test_work_done_for_all_steps_at_once_is_drawn_as_if_every_step_had_done_its_own(cell: str) -> None:
    hoisted, stepwise = (draw(of_cell(cell, 4, hoist=hoist)).scene for hoist in (True, False))
    captions = [sorted((plain(box.lines[0]), box.time or 0) for box in scene.boxes) for scene in (hoisted, stepwise)]
    assert captions[0] == captions[1]
    magnitudes = [sorted(edge.magnitude or 0.0 for edge in scene.edges) for scene in (hoisted, stepwise)]
    np.testing.assert_allclose(*magnitudes, rtol=1e-9, atol=1e-15)
    lines = [sorted(edge.tooltip.split("\n")[0] for edge in scene.edges) for scene in (hoisted, stepwise)]
    assert lines[0] == lines[1]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("full", [False, True])
def test_magnitudes_are_right_for_graphs_never_seen(name: str, full: bool) -> None:
    tensor = OWN[name]()
    assert_magnitudes(tensor, full)


@pytest.mark.parametrize("seed", range(25))
def test_magnitudes_are_right_for_random_recurrent_programs(seed: int) -> None:
    tensor = at_random(seed)
    assert_magnitudes(tensor)


def shares(tensor: Tensor) -> tuple[dict[tuple[str, int], np.ndarray], Overlay]:
    diagram = build(walk(tensor), [tensor.node])
    overlay = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]}, keep_shares=True)
    return {(str(diagram.items[p].head.name), step): a for (p, step), a in overlay.share_arrays.items()}, overlay


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("T", [1, 2, 6])
def test_the_shares_of_all_steps_add_up_to_the_gradient_of_the_parameter(cell: str, hoist: bool, T: int) -> None:
    tensor = of_cell(cell, T, hoist=hoist)
    found, _ = shares(tensor)
    tensor.backward()
    leaves = {str(node.name): node for node in walk(tensor) if node.is_leaf and node.requires_grad}
    names = {name for name, _ in found}
    assert names == set(leaves) - {"W_yh", "b_y"}
    for name in names:
        total = sum(array for (other, _), array in found.items() if other == name)
        np.testing.assert_allclose(total, leaves[name].grad, rtol=1e-12, atol=1e-15)


def test_a_hoisted_projection_has_the_shares_of_one_done_step_by_step() -> None:
    hoisted, _ = shares(of_cell("lstm", 5, hoist=True))
    stepwise, _ = shares(of_cell("lstm", 5))
    assert hoisted.keys() == stepwise.keys()
    for key in hoisted:
        np.testing.assert_allclose(hoisted[key], stepwise[key], rtol=1e-12, atol=1e-15)


def test_a_planted_wrong_share_is_caught_by_the_sum() -> None:
    tensor = of_cell("rnn", 3)
    found, _ = shares(tensor)
    tensor.backward()
    leaf = next(node for node in walk(tensor) if node.name == "W_hh")
    wrong = 2 * found["W_hh", 1] + found["W_hh", 2]
    assert not np.allclose(wrong, leaf.grad)


def test_bars_show_the_norms_of_the_shares() -> None:
    tensor = of_cell("gru", 3)
    found, _ = shares(tensor)
    bars = {(bar.parameter, bar.time - 1): bar for bar in draw(tensor).scene.bars}
    assert bars.keys() == found.keys()
    tallest = max(bars.values(), key=lambda bar: bar.value)
    for key, bar in bars.items():
        assert bar.value == pytest.approx(float(np.linalg.norm(found[key])))
        assert bar.height == pytest.approx(max(tallest.height * bar.value / tallest.value, 0.8), abs=0.01)


def test_a_parameter_that_reaches_the_steps_in_two_ways_has_the_sum_as_its_share() -> None:
    W = Parameter(np.array([[0.5, -0.2], [0.1, 0.3]]), name="W")
    doubled = W * 2.0
    h = Tensor(np.ones((1, 2)), requires_grad=True)
    for t in (1, 2, 3):
        with time_step(t):
            h = tanh(h @ W.T + h @ doubled.T).named("h")
    loss = h.sum()
    found, _ = shares(loss)
    loss.backward()
    np.testing.assert_allclose(sum(array for (name, _), array in found.items() if name == "W"), W.grad, rtol=1e-12)


def told(tensor: Tensor) -> dict[tuple[str, int | None], str]:
    """What the picture says of the value of everything that has a name."""
    diagram = build(walk(tensor), [tensor.node])
    overlay = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]})
    named = ((item.head, overlay.values.get(item.index, ("",))[0]) for item in diagram.items if item.head.name)
    return {(str(head.name), head.time): said for head, said in named if said.startswith("value: ")}


def test_the_value_that_is_told_is_the_whole_value() -> None:
    W = Parameter(np.array([[0.5, -0.2], [0.1, 0.3]]), name="W")
    h, expected = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="h_0"), {}
    for t in (1, 2):
        with time_step(t):
            h = tanh(h @ W.T).named("h")
        expected["h", t] = f"value: {summary(h.data)}"
    said = told(h.sum())
    assert said == expected | {("W", None): "value: 0.5, -0.2, 0.1, 0.3", ("h_0", None): "value: 1, 2, 3, 4"}


@pytest.mark.parametrize("cell", CELLS)
def test_the_values_of_a_hoisted_projection_are_those_of_one_done_step_by_step(cell: str) -> None:
    xs = sequence(3, requires_grad=True, name="x")
    hoisted, stepwise = (told(of_cell(cell, 3, hoist=hoist, xs=xs)) for hoist in (True, False))
    assert hoisted.items() <= stepwise.items()
    assert all(name.startswith("b") for name, _ in stepwise.keys() - hoisted.keys())  # they are added before the loop
    assert any("W" in name for name, _ in stepwise)


def test_drawing_changes_nothing() -> None:
    tensor = of_cell("lstm", 3)
    draw(tensor)
    leaves = [node for node in walk(tensor) if node.is_leaf and node.requires_grad]
    assert all(leaf.grad is None for leaf in leaves)
    tensor.backward()
    again = of_cell("lstm", 3)
    again.backward()
    for leaf, other in zip(leaves, [n for n in walk(again) if n.is_leaf and n.requires_grad], strict=True):
        np.testing.assert_array_equal(leaf.grad, other.grad)


def test_after_backward_the_picture_is_forward_only_and_says_so() -> None:
    tensor = of_cell("rnn", 2)
    tensor.backward()
    scene = draw(tensor).scene
    assert len(scene.boxes) > 5
    assert scene.scale is None
    assert {edge.magnitude for edge in scene.edges} == {None}
    (note,) = scene.notes
    assert "forward only: the graph was freed by backward()" in note
    assert "retain_graph=True" in note
    kept = of_cell("rnn", 2)
    kept.backward(retain_graph=True)
    assert draw(kept).scene.bars
    assert draw(kept).scene.notes == []


def test_a_given_upstream_gradient_is_where_the_sweep_starts() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    y = x * 3.0
    assert [edge.magnitude for edge in draw(y, gradient=[1.0, 0.0]).scene.edges] == [3.0]
    with pytest.raises(GraphError, match=r"draw: .*2 entries.*gradients=False"):
        draw(y)
    with pytest.raises(ShapeError, match="draw"):
        draw(y, gradient=[1.0])


def test_several_tensors_are_drawn_with_the_sum_of_their_gradients() -> None:
    x = Tensor([1.0], requires_grad=True, name="x")
    double, square = x * 2.0, x * x
    edges = draw(double, square, gradient=[np.array([1.0]), np.array([10.0])]).scene.edges
    assert [edge.magnitude for edge in edges] == [2.0, 10.0, 10.0]
    with pytest.raises(ArgumentError, match="expected 2 gradients"):
        draw(double, square, gradient=[np.array([1.0])])


def test_vanished_gradients_are_drawn_thin_and_grey_and_needless_ones_dashed() -> None:
    W = Parameter([[1e-4]], name="W")
    h = Tensor([[1.0]], requires_grad=True, name="h")
    for t in range(1, 6):
        with time_step(t):
            h = (h @ W.T + Tensor([[0.0]], name="x")).named("h")
    scene = draw(h.sum()).scene
    carried = [edge for edge in scene.edges if edge.source == scene.boxes[2].key or "h" in edge.tooltip.split("→")[0]]
    assert min(e.magnitude for e in carried if e.magnitude is not None) < 1e-15
    faint = [e for e in scene.edges if e.magnitude is not None and scene.scale.vanished(e.magnitude)]
    assert faint
    assert {e.colour for e in faint} == {VANISHED}
    assert max(e.width for e in faint) < min(e.width for e in scene.edges if e.magnitude and e not in faint)
    needless = [e for e in scene.edges if e.magnitude is None]
    assert needless
    assert all(e.dashed and e.colour == UNTRACKED for e in needless)


def test_infinite_and_missing_numbers_have_their_own_colour() -> None:
    x = Tensor([0.0, 1.0], requires_grad=True, name="x")
    with np.errstate(divide="ignore"):
        scene = draw(log(x).sum()).scene
    assert [edge.colour for edge in scene.edges] == [NOT_FINITE, scene.scale.colour(math.sqrt(2.0))]
    assert any("NaN or infinite" in sample.meaning[0].text for sample in scene.samples)


def test_the_larger_the_gradient_the_wider_and_darker_the_line() -> None:
    scale = Scale.covering([1e-7, 1.0])
    magnitudes = [10.0**k for k in range(-7, 1)]
    widths = [scale.line(m)[1] for m in magnitudes]
    assert widths == sorted(widths)
    brightness = [sum(int(scale.colour(m)[k : k + 2], 16) for k in (1, 3, 5)) for m in magnitudes]
    assert brightness == sorted(brightness, reverse=True)


@pytest.mark.parametrize("smallest", [0.0, 1e-300, 5e-324])
def test_the_scale_reaches_down_at_most_nine_decades(smallest: float) -> None:
    scale = Scale.covering([smallest, 0.5])
    assert scale.high == 0
    assert scale.low >= -9
    assert scale.line(smallest)[1] > 0


def test_a_picture_without_any_gradient_still_has_a_scale() -> None:
    assert Scale.covering([]) == Scale.covering([0.0, math.nan]) == Scale(-1, 0)


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_norms_neither_overflow_nor_underflow(scale: float, times: int) -> None:
    assert norm(np.array([3.0, -4.0] * times) * scale) == pytest.approx(5.0 * times**0.5 * scale, rel=1e-12, abs=0.0)


def test_norms_of_nothing_and_of_nonsense() -> None:
    assert norm(np.zeros((0, 3))) == 0.0
    for times in (1, 100):
        assert math.isnan(norm(np.array([1.0, math.nan] * times)))
        assert math.isnan(norm(np.array([math.inf, math.nan] * times)))
        assert norm(np.array([-math.inf, 1.0] * times)) == math.inf


def test_hover_text_of_a_parameter_tells_the_norm_of_its_gradient() -> None:
    tensor = of_cell("lstm", 3)
    diagram = build(walk(tensor), [tensor.node])
    overlay = Overlay(diagram, {diagram.roots[0]: seed(tensor, None, "test")[1]})
    W = next(item for item in diagram.items if item.head.name == "W_x")
    tensor.backward()
    assert overlay.of_item[W.index] == pytest.approx(float(np.linalg.norm(W.head.node.grad)))


def test_a_drawn_picture_leaves_nothing_of_its_diagram_for_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        picture = draw(of_cell("lstm", 3), values=True)
        assert len(picture.html()) > len(picture.svg())
        assert [found for found in gc.get_objects() if isinstance(found, Vertex | Overlay)] == []
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_values_of_biases_sums_and_last_states_are_told(name: str) -> None:
    cell = make_cell(name, D, H, seed=0)
    hs, _ = unroll(cell, np.random.default_rng(0).normal(size=(3, 1, D)))
    told = {box.full_name: box.tooltip for box in draw((hs * hs).sum(), detail="gates").scene.boxes}
    bias = next(parameter for key, parameter in cell.named_parameters() if key.startswith("b"))
    assert f"value: {summary(bias.numpy())}" in told[bias.name]
    boxes = draw((hs * hs).sum(), detail="gates").scene.boxes
    last = next(box for box in boxes if box.full_name == "h" and box.time == 3)
    assert f"value: {summary(hs[2].numpy())}" in last.tooltip
    assert all("value: " in box.tooltip for box in boxes if box.role == "affine")
