"""Autograd through the unrolled cells against the hand-derived gradients and against finite differences."""

import numpy as np
import pytest
from by_hand_cases import LOSSES, SIZES, VARIANTS, Variant, central_differences, make_case, worst
from cell_cases import by_autograd, cell_of
from minigrad.models.by_hand import head as head_by_hand
from minigrad.models.layers import Head, unroll
from minigrad.models.states import with_parts

from minigrad import Tensor, gradcheck, no_grad

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)


@pytest.mark.sampled(2)
@every_variant
@pytest.mark.parametrize("hoist", [False, True])
@pytest.mark.parametrize("losses", LOSSES)
@pytest.mark.parametrize(("T", "B", "D", "H"), [*SIZES, (30, 4, 5, 2)])
def test_autograd_and_by_hand_agree_to_1e_10_on_every_leaf(
    variant: Variant, hoist: bool, losses: str, T: int, B: int, D: int, H: int
) -> None:
    case = make_case(variant, T, B, D, H, losses, seed=2)
    difference, leaf = worst(by_autograd(case, hoist), case.by_hand())
    assert difference < 1e-12, leaf


@pytest.mark.sampled(1)
@every_variant
@pytest.mark.parametrize(("T", "B", "D", "H"), [(1, 2, 3, 2), (7, 1, 2, 3)])
def test_autograd_agrees_with_central_differences_of_the_other_implementation(
    variant: Variant, T: int, B: int, D: int, H: int
) -> None:
    case = make_case(variant, T, B, D, H, "every step", seed=3)
    difference, leaf = worst(by_autograd(case, hoist=False), central_differences(case.loss, case.leaves()))
    assert difference < 1e-8, leaf


@every_variant
def test_gradcheck_passes_on_inputs_and_state(variant: Variant) -> None:
    rng = np.random.default_rng(5)
    cell = cell_of(variant, 2, 3, seed=6)
    starts = [Tensor(rng.normal(size=(2, 3)), requires_grad=True) for _ in cell.state_names]

    def hs(xs: Tensor, *state: Tensor) -> Tensor:
        return unroll(cell, xs, with_parts(cell.initial_state(2), state))[0]

    assert gradcheck(hs, [Tensor(rng.normal(size=(4, 2, 2)), requires_grad=True), *starts])


@every_variant
def test_the_whole_chain_cell_head_loss_agrees_with_by_hand(variant: Variant) -> None:
    T, B, D, H, N = 6, 3, 4, 5, 7
    rng = np.random.default_rng(7)
    cell, head = cell_of(variant, D, H, seed=8), Head(H, N, seed=9)
    xs, targets = rng.normal(size=(T, B, D)), rng.integers(N, size=(T, B))

    hs, _ = unroll(cell, xs, hoist=True)
    loss = head.loss(hs, targets)
    loss.backward()

    trace = variant.module.forward(cell.by_gate(), xs, **variant.options)
    answer = head_by_hand.forward(head.state_dict(), trace.hs, targets)
    d_head = head_by_hand.backward(head.state_dict(), answer)
    d_cell = variant.module.backward(cell.by_gate(), trace, d_head.hs)

    np.testing.assert_allclose(hs.numpy(), trace.hs, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(loss.item(), answer.loss, rtol=1e-14)
    assert worst(cell.by_gate(grad=True), d_cell.params)[0] < 1e-12
    assert worst({name: p.grad for name, p in head.named_parameters()}, d_head.params)[0] < 1e-12


@every_variant
def test_hoisting_changes_no_number(variant: Variant) -> None:
    cell = cell_of(variant, 3, 4, seed=10)
    xs = np.random.default_rng(11).normal(size=(9, 2, 3))
    with no_grad():
        plain, hoisted = (unroll(cell, xs, hoist=hoist)[0].numpy() for hoist in (False, True))
    np.testing.assert_allclose(plain, hoisted, rtol=1e-14, atol=1e-16)


@every_variant
def test_gradients_add_up_over_two_sequences(variant: Variant) -> None:
    cell = cell_of(variant, 3, 4, seed=12)
    first, second = np.random.default_rng(13).normal(size=(2, 5, 2, 3))
    grads = []
    for sequences in ([first], [second], [first, second]):
        cell.zero_grad()
        for xs in sequences:
            unroll(cell, xs)[0].sum().backward()
        grads.append(cell.by_gate(grad=True))
    assert worst(grads[2], {name: grads[0][name] + grads[1][name] for name in grads[0]})[0] < 1e-14
