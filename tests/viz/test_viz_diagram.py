"""From recorded nodes to items with roles: told from the graph alone."""

from collections import Counter

import numpy as np
import pytest
from graphs_to_draw import CELLS, OWN, D, H, of_cell, sequence
from minigrad.models.cells import make_cell
from minigrad.models.layers import RecurrentLayers
from minigrad.models.unrolling import unroll
from minigrad.viz.diagram import Diagram, Item, build
from minigrad.viz.diagram.items import operation_symbol
from minigrad.viz.diagram.places import BEFORE
from minigrad.viz.text import plain

from minigrad import Parameter, Tensor, concatenate, embedding, no_grad, scan, sigmoid, split, stack, tanh, time_step, walk


def diagram_of(tensor: Tensor, full: bool = False) -> Diagram:
    return build(walk(tensor), [tensor.node], full)


def captions(diagram: Diagram, place: int) -> list[str]:
    return [plain(item.caption) for item in diagram.items if item.place == place and not item.initial]


def roles(diagram: Diagram, role: str) -> list[Item]:
    return [item for item in diagram.items if item.role == role]


def test_an_lstm_step_is_eleven_items_named_as_on_paper() -> None:
    diagram = diagram_of(of_cell("lstm", 3))
    assert sorted(captions(diagram, 1)) == sorted(
        ["x₂", "Wₕ·h + Wₓ·x + b", "i₂ σ", "f₂ σ", "g₂ tanh", "o₂ σ", "⊙", "⊙", "c₂ +", "tanh", "h₂ ⊙"]
    )


@pytest.mark.parametrize(
    ("cell", "states", "gates"),
    [
        ("rnn", {"h"}, set()),
        ("gated_rnn", {"s"}, {"g", "s̃"}),
        ("gru", {"h"}, {"u", "r", "c̃"}),
        ("lstm", {"c", "h"}, {"i", "f", "g", "o"}),
    ],
)
@pytest.mark.parametrize("T", [1, 2, 5])
def test_states_are_what_is_carried_on_and_gates_what_is_only_named(
    cell: str, states: set[str], gates: set[str], T: int
) -> None:
    diagram = diagram_of(of_cell(cell, T))
    assert {item.head.name for item in roles(diagram, "state")} == states
    assert {item.head.name for item in roles(diagram, "gate")} == gates
    assert [item.head.name for item in roles(diagram, "input")] == ["x"] * T


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("hoist", [False, True])
def test_each_parameter_is_one_item_whatever_uses_it(cell: str, hoist: bool) -> None:
    tensor = of_cell(cell, 4, hoist=hoist)
    diagram = diagram_of(tensor)
    leaves = {node for node in walk(tensor) if node.is_leaf and node.requires_grad}
    assert Counter(item.head.node for item in roles(diagram, "parameter")) == Counter(leaves)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("full", [False, True])
def test_every_use_of_a_value_is_in_exactly_one_link_or_inside_one_item(name: str, full: bool) -> None:
    tensor = OWN[name]()
    diagram = diagram_of(tensor, full)
    item_of = {vertex: item.index for item in diagram.items for vertex in item.nodes}
    assert set(item_of) == set(diagram.vertices)
    assert {vertex.node for vertex in item_of} == set(walk(tensor))
    drawn = Counter(edge for link in diagram.links for edge in link.edges)
    for vertex in diagram.vertices:
        for slot, source in enumerate(vertex.inputs):
            if source is not None:
                assert drawn[vertex, slot] == (item_of[vertex] != item_of[source])
    for link in diagram.links:
        assert all(item_of[v] == link.target and item_of[v.inputs[slot]] == link.source for v, slot in link.edges)


@pytest.mark.parametrize("name", OWN)
def test_folding_makes_no_circle(name: str) -> None:
    diagram = diagram_of(OWN[name]())
    assert all(link.source < link.target for link in diagram.links)


def test_a_value_used_twice_by_one_operation_has_two_links() -> None:
    x = Tensor([2.0], requires_grad=True, name="x")
    diagram = diagram_of(x * x)
    assert [(link.source, link.target) for link in diagram.links] == [(0, 1), (0, 1)]


def test_a_gru_has_a_second_box_for_what_the_reset_gate_acts_on() -> None:
    diagram = diagram_of(of_cell("gru", 2))
    boxes = [plain(item.caption) for item in diagram.items if item.terms and item.place == 1]
    assert boxes == ["Wₕ·h + Wₓ·x + b", "Wₕ·(r⊙h) + Wₓ·x + b"]


def test_a_hoisted_projection_is_shown_where_its_rows_are_used() -> None:
    xs = sequence(3, requires_grad=True, name="xs")
    diagram = diagram_of(of_cell("lstm", 3, hoist=True, xs=xs))
    assert captions(diagram, 2)[:2] == ["xs₃", "Wₕ·h + Wₓ·xs + b"]
    assert {item.role for item in diagram.items if item.head.name == "xs"} == {"input"}


def test_the_concatenated_form_is_written_with_brackets() -> None:
    assert "W_h·[h, x] + b_h".replace("_h", "ₕ") in captions(diagram_of(OWN["concatenated rnn"]()), 1)


def test_matrices_before_and_after_their_operand_are_written_in_their_order() -> None:
    rng = np.random.default_rng(0)
    W, x = Parameter(rng.normal(size=(2, 2)), name="W"), Tensor(rng.normal(size=(2, 2)), name="x")
    for product, written in ((x @ W.T, "W·x"), (W @ x, "W·x"), (x @ W, "x·W")):
        assert plain(diagram_of(product).items[-1].caption) == written


def test_a_mere_sum_of_nameless_things_is_a_circle_not_a_formula() -> None:
    a, b = (Tensor(np.ones((2, 2)), requires_grad=True, name=name) for name in "ab")
    captions_of = [plain(item.caption) for item in diagram_of(tanh(a) + sigmoid(b) * a).items]
    assert captions_of == ["a", "b", "tanh", "σ", "⊙", "+"]


def test_an_operand_is_known_through_slices_and_stacks_and_look_ups() -> None:
    E, W = Parameter(np.ones((5, 3)), name="E"), Parameter(np.ones((2, 3)), name="W")
    assert plain(diagram_of(embedding(np.array([0, 1]), E) @ W.T).items[-1].caption) == "W·E[…]"
    h = Tensor(np.ones((2, 3)), requires_grad=True, name="h")
    assert plain(diagram_of(stack([h, h])[0] @ W.T).items[-1].caption) == "W·h"


def test_a_leaf_without_a_name_shows_its_shape() -> None:
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    assert plain(diagram_of(x * x).items[0].caption) == "2×3"
    assert plain(diagram_of(Tensor(1.0, requires_grad=True) * 2.0).items[0].caption) == "number"


def test_signs_of_terms_are_kept() -> None:
    W, b, x = Parameter([[1.0]], name="W"), Parameter([1.0], name="b"), Tensor([[2.0]], name="x")
    assert plain(diagram_of(x @ W.T - b).items[-1].caption) == "W·x − b"


def test_one_minus_a_gate_says_so() -> None:
    assert "1−" in captions(diagram_of(of_cell("gated_rnn", 2)), 0)


def test_an_operation_with_a_number_shows_the_number() -> None:
    g, none = Tensor([0.5], requires_grad=True), np.ones(2)
    written = {
        "1+": 1 + g, "+ 2": g + np.float64(2), "1−": 1 - g, "2.5−": 2.5 - g, "− 1": g - 1, "2·": 2 * g, "0.5·": g * 0.5,
        "÷ 5": g / 5, "3÷": 3 / g, "x²": g**2, "x³": g**3.0, "x⁻¹": g**-1, "2^x": 2**g, "max(…, 0)": np.maximum(g, 0),
        "≈0.667·": g * (2 / 3), "0.99·": Tensor(0.99) * g, "const+": none + g, "const−": none - g,
    }  # fmt: skip
    assert [plain(diagram_of(result).items[-1].caption) for result in written.values()] == list(written)
    sum(written.values()).sum().backward()
    assert [plain(diagram_of(result).items[-1].caption) for result in written.values()] == list(written)


def test_a_named_result_equals_what_is_done_to_it() -> None:
    """"h + 2" would say that two is still to be added to h."""
    h = Tensor([0.5], requires_grad=True)
    written = {"z = 1 − …": 1 - h, "z = … + 2": h + 2, "z = 2·…": h * 2, "z = …³": h**3}
    assert [plain(diagram_of(result.named("z") * 1).items[1].caption) for result in written.values()] == list(written)


def test_numbers_of_a_compiled_step_are_shown_too() -> None:
    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = ((3 + h) * 0.5 - x) / 7
        return h, h

    h, _ = scan(step, Tensor([0.5], requires_grad=True, name="h"), np.ones((2, 1)))
    first, second = (["x" + t, "3+", "0.5·", "−", f"h{t} = … ÷ 7"] for t in "₁₂")
    assert [captions(diagram_of(h), column) for column in (0, 1)] == [first, second]
    h.sum().backward()
    assert captions(diagram_of(h), 1) == second


def test_terms_that_are_numbers_and_terms_that_come_twice_are_written() -> None:
    W, x = Parameter([[1.0]], name="W"), Tensor([[2.0]], name="x")
    Wx = x @ W.T
    for result, written in ((Wx + 1 + 1 - 2, "W·x + 1 + 1 − 2"), (x @ W.T + x @ W.T, "W·x + W·x"), (Wx + Wx, "W·x + …")):
        assert plain(diagram_of(result).items[-1].caption) == written


def test_a_sum_hides_no_number_but_the_zero_that_sum_begins_with() -> None:
    a, b = (Tensor([1.0], requires_grad=True, name=name) for name in "ab")
    assert [plain(item.caption) for item in diagram_of(1 + a + b).items] == ["a", "b", "1+", "+"]
    assert [plain(item.caption) for item in diagram_of(sum([a, b])).items] == ["a", "b", "+"]


def test_the_sum_of_many_losses_is_one_item() -> None:
    diagram = diagram_of(OWN["rnn, mean of losses"]())
    after = [item for item in diagram.items if item.place == diagram.after and not item.head.is_leaf]
    assert [item.head.label for item in after] == ["add", "div"]
    assert sum(link.target == after[0].index for link in diagram.links) == 4


def test_equal_names_in_several_scopes_are_numbered() -> None:
    diagram = diagram_of(OWN["gru under lstm"]())
    assert {"h₁⁽¹⁾ +", "h₁⁽²⁾ ⊙", "c₁ +"} <= set(captions(diagram, 0))
    assert "Wₕ⁽²⁾·h⁽²⁾ + Wₓ⁽²⁾·h⁽¹⁾ + b⁽²⁾" in captions(diagram, 0)
    assert {plain(item.caption) for item in diagram.items if item.initial} == {"c₀", "h₀⁽¹⁾", "h₀⁽²⁾"}


def test_a_decoder_has_columns_of_its_own_after_those_of_its_encoder() -> None:
    diagram = diagram_of(OWN["encoder and decoder"]())
    assert [(step.lap, step.time) for step in diagram.steps] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_both_directions_share_their_columns() -> None:
    diagram = diagram_of(OWN["both directions"]())
    assert [(step.lap, step.time) for step in diagram.steps] == [(0, 1), (0, 2), (0, 3), (0, 4)]


@pytest.mark.parametrize("shape", [{"num_layers": 3}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("hoist", [False, True])
def test_residual_layers_share_their_columns(hoist: bool, shape: dict[str, int]) -> None:
    hs, _ = RecurrentLayers("rnn", D, H, residual=True, seed=0, **shape)(sequence(3), hoist=hoist)
    diagram = diagram_of((hs * hs).sum())
    assert [(step.lap, step.time) for step in diagram.steps] == [(0, 1), (0, 2), (0, 3)]
    assert all({"+", "[ , ]"} & set(captions(diagram, column)) for column in range(3))


@pytest.mark.parametrize("promise", [False, True])
def test_an_initial_state_of_nameless_numbers_has_the_name_of_what_follows(promise: bool) -> None:
    class Own:
        pure_step = promise
        W = Parameter(np.eye(2), name="W")

        def initial_state(self, batch: int) -> Tensor:
            return Tensor(np.zeros((batch, 2)))

        def step(self, x: Tensor, h: Tensor) -> Tensor:
            return tanh(h @ self.W.T + x).named("h")

    hs, _ = unroll(Own(), np.ones((3, 1, 2)))
    diagram = diagram_of(hs.sum())
    assert [plain(item.caption) for item in diagram.items if item.initial] == ["h₀"]
    assert captions(diagram, 0) == ["x₁", "W·h + x", "h₁ tanh"]


def test_an_initial_state_without_a_name_in_the_loop_is_known_by_what_reads_it() -> None:
    diagram = diagram_of(OWN["minimal gated unit without names"]())
    (initial,) = (item for item in diagram.items if item.initial)
    later = {item.lineage for item in diagram.items if item.place == 2 and item.role == "state"}
    assert {initial.lineage} == later


def test_drawn_in_full_every_recorded_node_is_an_item() -> None:
    tensor = of_cell("gru", 2)
    diagram = diagram_of(tensor, full=True)
    assert [[vertex.node for vertex in item.nodes] for item in diagram.items] == [[node] for node in walk(tensor)]


def test_a_slice_of_a_parameter_that_a_step_makes_is_a_tap_of_that_step() -> None:
    W = Parameter(np.ones((2, 2)), name="W")
    h = Tensor(np.ones((1, 1)), requires_grad=True, name="h")
    for t in (1, 2):
        with time_step(t):
            first, second = split(W, 2)
            h = tanh(h @ first[:, :1].T + h @ second[:, :1].T).named("h")
    diagram = diagram_of(h)
    (parameter,) = (item for item in diagram.items if item.head.name == "W")
    assert parameter.place == BEFORE
    assert [diagram.items[link.target].place for link in diagram.links if link.source == parameter.index] == [0, 1]


def test_where_sequences_end_the_kept_state_and_the_new_one_are_both_states() -> None:
    layers = RecurrentLayers("gru", D, H, seed=0)
    hs, _ = layers(np.ones((4, 3, D)), lengths=[1, 4, 2], hoist=False)
    diagram = diagram_of((hs * hs).sum())
    assert [plain(i.caption) for i in roles(diagram, "state") if not i.initial] == [
        "h₁ +", "h′₂ +", "h₂ where", "h′₃ +", "h₃ where", "h₄ +"
    ]  # fmt: skip
    assert {item.head.name for item in roles(diagram, "gate")} == {"u", "r", "c̃"}
    kept = [i for i in roles(diagram, "state") if i.initial or i.head.label == "where" or i.place in (0, 3)]
    assert len({item.lineage for item in kept}) == 1


def test_the_first_step_shows_what_a_concatenation_of_constants_is_made_of() -> None:
    cell = make_cell("rnn", D, H, seed=0, form="concatenated")
    hs, _ = unroll(cell, sequence(3))
    diagram = diagram_of((hs * hs).sum())
    assert captions(diagram, 0) == [caption.replace("₂", "₁") for caption in captions(diagram, 1)]
    assert captions(diagram, 0) == ["x₁", "Wₕ·[h, x] + bₕ", "h₁ tanh"]
    assert [plain(item.caption) for item in diagram.items if item.initial] == ["h₀"]


def test_a_reset_after_the_product_has_a_box_for_each_sum_and_none_for_what_is_never_added() -> None:
    cell = make_cell("gru", D, H, seed=0, reset="after")
    hs, _ = unroll(cell, sequence(3))
    diagram = diagram_of(hs.sum())
    item = {plain(item.caption): item for item in diagram.items if item.place == 1}
    assert {"Wₕ·h + Wₓ·x + b", "Wₕ·h + b_ch", "Wₓ·x + b + r⊙(Wₕ·h + b_ch)"} < set(item)
    links = {(link.source, link.target) for link in diagram.links}
    (gated,) = (k for source, k in links if source == item["r₂ σ"].index)
    assert plain(operation_symbol(diagram.items[gated].head)) == "⊙"
    assert (item["Wₕ·h + b_ch"].index, gated) in links
    assert (gated, item["Wₓ·x + b + r⊙(Wₕ·h + b_ch)"].index) in links
    targets = {target for source, target in links if source == item["Wₕ·h + Wₓ·x + b"].index}
    assert targets == {item["u₂ σ"].index, item["r₂ σ"].index}


def test_parts_are_called_by_layer_and_direction_where_the_scopes_tell() -> None:
    layers = RecurrentLayers("gru", D, H, num_layers=2, bidirectional=True, seed=0)
    hs, _ = layers(sequence(2), hoist=False)
    diagram = diagram_of(hs.sum())
    states = {item.part for item in roles(diagram, "state")}
    assert states == {item.part for item in roles(diagram, "parameter")} == {"1→", "1←", "2→", "2←"}


def test_a_concatenation_of_constants_stays_a_constant_and_is_remembered_in_time_steps_only() -> None:
    x, h = Tensor([1.0], name="x"), Tensor([2.0])
    assert concatenate([h, x]).node is None
    with time_step(1):
        joined = concatenate([h, x])
        assert concatenate([h, h]).node is None
        assert concatenate([joined, joined]).node is None
        with no_grad():
            assert concatenate([h, x]).node is None
    assert joined.node is not None
    assert joined.node.inputs == (None, x.node)
    assert joined.is_leaf
    assert not joined.requires_grad
    joined.requires_grad = True
    (joined * joined).sum().backward()
    assert joined.grad is not None
    assert joined.grad.tolist() == [4.0, 2.0]
    assert x.grad is None
