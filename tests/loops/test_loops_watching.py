"""Hooks, kept gradients, and derivatives of derivatives go through a loop as through its steps one by one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, bits, both, both_directions, each_kind, every_cell, is_compiled, pair, starts
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of

from minigrad import Tensor, grad, gradgradcheck, hessian, hvp, jacobian, jvp, no_grad, vjp, walk
from minigrad.errors import GraphError

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]


def results(each: Pass) -> dict[str, Tensor]:
    return {"hs": each.hs, **dict(zip(each.cell.state_names, parts_of(each.final), strict=True))}


def subsets(name: str) -> list[tuple[str, ...]]:
    names = ("hs", *pair(name)[0].state_names)
    return [chosen for count in range(1, len(names) + 1) for chosen in itertools.combinations(names, count)]


@each_kind
@both_directions
@pytest.mark.parametrize("losses", ["hs", "state", "c", "h", "hs and state"])
@pytest.mark.parametrize("looked_at", [False, True], ids=["", "looked at"])
def test_what_is_watched_has_the_whole_gradient_whatever_else_is_watched(
    name: str, reverse: bool, losses: str, looked_at: bool
) -> None:
    for watched in subsets(name):
        found = []
        for each in both(name, T=4, reverse=reverse, losses=losses):
            seen: dict[str, Any] = {}
            for key in watched:
                results(each)[key].retain_grad()
                results(each)[key].register_hook(lambda g, key=key, seen=seen: seen.update({f"hook {key}": np.array(g)}))
            if looked_at:
                walk(each.loss)
            gradients = each.gradients()
            kept = {f"kept {key}": results(each)[key].grad for key in watched}
            assert {key.split()[1]: value for key, value in bits(seen).items()} == {
                key.split()[1]: value for key, value in bits({k: g for k, g in kept.items() if g is not None}).items()
            }
            found.append(gradients | kept)
        assert_close(*found)


@each_kind
@pytest.mark.parametrize("losses", ["hs", "state", "hs and state"])
def test_a_hook_that_returns_another_gradient_has_its_effect(name: str, losses: str) -> None:
    for watched in subsets(name):
        found = []
        for each in both(name, T=4, losses=losses):
            for number, key in enumerate(watched):
                results(each)[key].register_hook(lambda g, number=number: g * (2.0 + number) + 0.5)
            found.append(each.gradients())
        assert_close(*found)


@each_kind
def test_a_hook_that_was_removed_is_not_called(name: str) -> None:
    found, untouched = both(name)
    hooks = [result.register_hook(lambda g: g * 100.0) for result in results(found).values()]
    for hook in hooks:
        hook.remove()
    assert_close(found.gradients(), untouched.gradients())


@each_kind
def test_hooks_on_xs_the_initial_state_and_the_parameters_see_the_whole_gradient_once(name: str) -> None:
    each = Pass(pair(name)[0], T=5)
    seen: list[tuple[str, np.ndarray]] = []
    for key, leaf in each.leaves().items():
        leaf.register_hook(lambda g, key=key: seen.append((key, np.array(g))))
    gradients = each.gradients()
    assert sorted(key for key, _ in seen) == sorted(gradients)
    assert bits(dict(seen)) == bits(gradients)


@each_kind
def test_an_error_in_a_hook_leaves_every_gradient_and_the_graph_as_they_were(name: str) -> None:
    each = Pass(pair(name)[0])

    def fail(g: Any) -> None:
        raise RuntimeError("in a hook")

    hook = parts_of(each.final)[0].register_hook(fail)
    with pytest.raises(RuntimeError, match="in a hook"):
        each.gradients()
    assert [leaf.grad for leaf in each.leaves().values()] == [None] * len(each.leaves())
    hook.remove()
    assert_close(each.gradients(), Pass(pair(name)[1]).gradients())


@each_kind
@both_directions
def test_grad_with_respect_to_results_of_the_loop_is_that_of_the_steps_one_by_one(name: str, reverse: bool) -> None:
    for watched in subsets(name):
        found = []
        for each in both(name, T=4, reverse=reverse):
            wanted = [results(each)[key] for key in watched] + list(each.leaves().values())
            for create_graph in (False, True):
                gradients = grad(each.loss, wanted, create_graph=create_graph, retain_graph=True)
                found.append({str(k): g.numpy() for k, g in enumerate(gradients)})
        for other in found[1:]:
            assert_close(other, found[0])


@each_kind
@pytest.mark.parametrize("T", [2, 4])
def test_a_graph_that_grad_passed_only_as_far_as_the_last_state_still_leads_from_there(name: str, T: int) -> None:
    for part in range(len(pair(name)[0].state_names)):
        found = []
        for each in both(name, T=T, losses="hs"):
            end = parts_of(each.final)[part]
            (first,) = grad(each.loss, end)
            with pytest.raises(GraphError, match="already released"):
                each.hs.sum().backward()
            (end * end).sum().backward()
            found.append({"first": first.numpy()} | {key: leaf.grad for key, leaf in each.leaves().items()})
            with pytest.raises(GraphError, match="already released"):
                end.sum().backward()
        assert_close(*found)


@every_cell
@both_directions
def test_second_derivatives_are_those_of_the_steps_one_by_one(name: str, reverse: bool) -> None:
    found = []
    for each in both(name, T=4, reverse=reverse):
        leaves = list(each.leaves().values())
        first = grad(each.loss, leaves, create_graph=True)
        penalty = sum((g * g).sum() for g in first) + each.loss
        second = grad(penalty, leaves, retain_graph=True)
        penalty = sum((g * g).sum() for g in grad(each.loss, leaves, create_graph=True))
        found.append({f"{order} {k}": g.numpy() for order, gs in enumerate((first, second)) for k, g in enumerate(gs)})
        penalty.backward()
        found[-1] |= {key: leaf.grad for key, leaf in each.leaves().items()}
    assert_close(*found, tolerance=1e-12)


@each_kind
def test_a_recorded_backward_pass_can_be_watched(name: str) -> None:
    found = []
    for each in both(name, T=3):
        seen: list[Tensor] = []
        hooks = [result.register_hook(lambda g, seen=seen: seen.append(g * 1.0)) for result in results(each).values()]
        (first,) = grad(each.loss, each.xs, create_graph=True)
        for hook in hooks:
            hook.remove()
        (second,) = grad((first * first).sum(), each.xs)
        found.append({"second": second.numpy()} | {str(k): g.numpy() for k, g in enumerate(seen)})
    assert_close(*found, tolerance=1e-12)


@each_kind
def test_transforms_of_functions_that_contain_a_loop_agree(name: str) -> None:
    random = np.random.default_rng(0)
    xs, direction = random.standard_normal((2, 3, 2, D))
    found = []
    for cell in pair(name):
        start = starts(cell, 2, learnt=False)

        def hidden(x: Tensor, cell: Any = cell, start: Any = start) -> Tensor:
            hs, final = unroll(cell, x, start)
            return hs + parts_of(final)[0] * 0.5

        def loss(x: Tensor, hidden: Any = hidden) -> Tensor:
            return (hidden(x) ** 2).sum()

        value, change = jvp(hidden, (xs,), (direction,))
        _, pullback = vjp(hidden, xs)
        found.append(
            {
                "value": value.numpy(),
                "jvp": change.numpy(),
                "vjp": pullback(np.ones((3, 2, H)))[0].numpy(),
                "hvp": hvp(loss, (xs,), (direction,))[0].numpy(),
                "jacobian": jacobian(hidden, xs).numpy(),
                "hessian": hessian(loss, xs).numpy(),
            }
        )
    assert_close(*found, tolerance=1e-12)


@pytest.mark.parametrize("name", ["gru, reset before", "lstm with peepholes"])
def test_second_derivatives_are_those_of_finite_differences(name: str) -> None:
    cell, _ = pair(name)
    xs = Tensor(np.random.default_rng(0).standard_normal((3, 1, D)), requires_grad=True)
    assert gradgradcheck(lambda x: unroll(cell, x)[0], [xs])


def test_a_loop_recorded_before_no_grad_is_differentiated_inside_it() -> None:
    each = Pass(pair("lstm")[0])
    with no_grad():
        gradients = each.gradients(retain_graph=True)
    gradients = {key: g.copy() for key, g in gradients.items()}
    assert is_compiled(each.hs)
    assert bits(gradients) == bits(each.gradients())
