"""Between forward and backward, what may be written to and what not is what the steps decide, each recorded by itself; and no
write changes what was computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from loops_cases import is_compiled, plainly
from loops_oracle import assert_same, loss_of, results_of, seen
from minigrad.models import unroll
from one_step_cells import B, Of, Step, new, random

from minigrad import Parameter, Tensor, broadcast_to, enable_grad, exp, grad, no_grad, scan, tanh
from minigrad.errors import MutationError

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]

H = 4

STEPS: dict[str, Step] = {
    "an ordinary step": new,
    "a part of x": lambda c, x, h: tanh(x[:, :1] * h + h @ c.U.T),
    "x, transposed": lambda c, x, h: (x.T * h.T).T + h,
    "x, in another shape": lambda c, x, h: x.reshape(B * H).reshape(B, H) * h,
    "x, not recorded": lambda c, x, h: h * x.detach() + x,
    "a part of the state": lambda c, x, h: h[:, :1] * h + x,
    "a part of the state, beside a weight": lambda c, x, h: h[:, :1] * (x @ c.W.T),
    "the state, transposed": lambda c, x, h: (h.T * x.T).T + h,
    "a part of a weight": lambda c, x, h: h * c.U[0] + tanh(x @ c.W.T),
    "a bias for each row": lambda c, x, h: h * broadcast_to(c.b, (B, H)) + x @ c.W.T,
    "of a weight": lambda c, x, h: h * exp(c.b) + x @ c.W.T,
    "what is not used": lambda c, x, h: (tanh(h @ (c.U * c.V)), tanh(x @ c.W.T + h))[1],
    "x, not used": lambda c, x, h: (x * h, tanh(h @ c.U.T))[1],
    "x for the next step": lambda c, x, s: (x, s[0] * tanh(s[1] @ c.U.T)),
    "x as it is": lambda c, x, h: x,
    "a part of x as it is": lambda c, x, h: x[:, :],
    "two products with x": lambda c, x, h: tanh(x @ c.W.T + h @ c.U.T) @ c.V.T,
}
X_ITSELF = ("x for the next step", "x as it is", "a part of x as it is")
OPTIONS: dict[str, tuple[int, dict[str, Any]]] = {
    "one step": (1, {}),
    "several steps": (4, {}),
    "one step at a time": (3, {"truncated": 1}),
    "windows": (4, {"truncated": 2}),
    "lengths": (4, {"lengths": [2, 4]}),
    "lengths, the last steps of none": (4, {"lengths": [2, 0]}),
    "lengths, all the same": (3, {"lengths": [3, 3], "reverse": True}),
}
WRITTEN = ("xs", "h", "W", "U", "V", "b")


def cell_of(step: Step, h: Any) -> Of:
    return Of(step, h, W=Parameter(random(H, H)), V=Parameter(random(H, H)))


def both(run: Callable[[], dict[str, Any]]) -> None:
    found = seen(run)
    with plainly():
        assert_same(found, seen(run))


def attempt(write: Callable[[], Any]) -> bool:
    """Whether something may be written to."""
    try:
        write()
    except MutationError:
        return False
    return True


def gradients_by(loss: Tensor, wanted: Sequence[Tensor], create_graph: bool) -> dict[str, Any]:
    return {str(k): g.numpy() for k, g in enumerate(grad(loss, wanted, create_graph=create_graph))}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("wanted", ["weights", "everything"])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", STEPS)
def test_what_may_be_written_to_is_what_the_plain_loop_does_not_need(
    name: str, option: str, wanted: str, create_graph: bool
) -> None:
    T, options = OPTIONS[option]
    writable = []

    def run(written: str) -> dict[str, Any]:
        xs, h = (Tensor(random(*shape), requires_grad=wanted == "everything") for shape in ((T, B, H), (B, H)))
        cell = cell_of(STEPS[name], (h, h) if name == "x for the next step" else h)
        results = results_of(unroll(cell, xs, **options))
        operands = {"xs": xs, "h": h, **dict(cell.named_parameters())}
        if name in X_ITSELF and written == "xs":
            del results["final 0"]  # the plain loop hands out the last row of the xs itself
        before = {key: result.numpy() for key, result in results.items()}
        may = attempt(lambda: operands[written].data.fill(0.25))
        writable.append(may)
        after = {f"{key} then": result.numpy() for key, result in results.items()}
        leaves = [leaf for leaf in operands.values() if leaf.requires_grad]
        return {"may": may} | before | after | gradients_by(loss_of(results), leaves, create_graph)

    for written in WRITTEN:
        both(lambda written=written: run(written))
    assert True in writable


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("reading", ["xs", "a weight"])
def test_a_result_whose_own_graph_was_released_may_be_written_to(reading: str, option: str, create_graph: bool) -> None:
    """A loop reads such arrays as they are: what is computed anew, step by step or with more than before, is what it was."""
    T, options = OPTIONS[option]

    def run() -> dict[str, Any]:
        leaf = Tensor(random(T, B, H) if reading == "xs" else random(H), requires_grad=True)
        made = leaf * 2.0
        if reading == "xs":
            cell, xs = cell_of(lambda c, x, h: tanh(x + h @ c.V), Tensor(random(B, H))), made
        else:
            cell, xs = cell_of(lambda c, x, h: tanh(x + made + h @ c.V), Tensor(random(B, H))), Tensor(random(T, B, H))
        hs, h = unroll(cell, xs, **options)
        made.sum().backward()
        may = attempt(lambda: made.data.fill(0.25))
        assert may
        return {"hs": hs.numpy()} | gradients_by((h * h).sum(), [cell.V, made], create_graph)

    both(run)


@pytest.mark.parametrize("how", ["under no_grad", "dropped", "released"])
@pytest.mark.parametrize("loop", [unroll, scan])
def test_what_is_remembered_of_a_loop_needs_no_weights(loop: Any, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of weights, as in a weight that is scaled by its norm, is computed once before a loop."""
    monkeypatch.setattr("minigrad.loops.compile.structures", {})
    cell, xs = cell_of(lambda c, x, h: tanh(x @ (c.U * c.V) + h), Tensor(random(B, H))), random(3, B, H)
    with no_grad() if how == "under no_grad" else enable_grad():
        if loop is unroll:
            hs, _ = unroll(cell, xs)
        else:
            _, hs = scan(lambda h, x: (h_t := cell.step(x, h), h_t), cell.start, xs)
    if how == "released":
        hs.sum().backward()
    elif how == "dropped":
        del hs, _
    for weight in (cell.U, cell.V):
        weight.data[...] = 0.0


def test_outputs_that_are_parts_of_the_xs_are_their_own() -> None:
    xs = Tensor(random(3, B, H))
    with_xs, _ = unroll(cell_of(lambda c, x, h: x[:, :], Tensor(random(B, H))), xs)
    before = with_xs.numpy()
    xs.data[...] = 0.0
    np.testing.assert_array_equal(with_xs.numpy(), before)


def test_xs_are_not_copied() -> None:
    xs = Tensor(random(3, B, H))
    hs, _ = unroll(cell_of(new, Tensor(random(B, H))), xs)
    assert is_compiled(hs)
    assert hs._node.loop.values.given["xs"][0] is xs._array


def test_what_was_written_to_is_copied_once() -> None:
    xs, cell = Tensor(random(3, B, H)), cell_of(new, Tensor(random(B, H)))
    hs, _ = unroll(cell, xs)
    values = hs._node.loop.values
    xs.data[...] = 0.0
    run = values.run
    cell.b.data[...] = 0.0
    xs.data[...] = 1.0
    assert values.run is run
    with pytest.raises(MutationError):
        cell.U.data[...] = 0.0
    hs.sum().backward()
    cell.U.data[...] = 0.0
