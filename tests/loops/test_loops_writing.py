"""What a loop needs for its derivative cannot be written to until it is released, and everything can be afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, each_kind, every_cell, is_compiled, pair, plain
from loops_oracle import by_hand
from minigrad.models.layers import unroll
from minigrad.models.recurrent import Cell
from minigrad.models.states import parts_of, with_parts
from one_step_cells import B, Of, T, new, random

from minigrad import Parameter, Tensor, concatenate, edge_gradients, no_grad, tanh, walk
from minigrad.errors import MutationError, ShapeError

pytestmark = [pytest.mark.usefixtures("runner"), pytest.mark.few_natively]


@each_kind
@pytest.mark.parametrize("looked_at", [False, True])
def test_what_backward_needs_cannot_be_written_to_until_then(name: str, looked_at: bool) -> None:
    one = Pass(pair(name)[0])
    if looked_at:
        walk(one.loss)
    everything = {**one.leaves(), "hs": one.hs, **{f"final {k}": part for k, part in enumerate(parts_of(one.final))}}
    protected = [tensor for key, tensor in everything.items() if not key.startswith(("b", "start"))]
    for tensor in protected:
        with pytest.raises(MutationError):
            tensor.data[...] = 0.0
    with pytest.raises(MutationError), no_grad():
        protected[0] -= 1.0
    if looked_at:
        edge_gradients(one.loss)
    assert_close(one.gradients(), Pass(pair(name)[1]).gradients())
    if looked_at:
        walk(one.loss)
    for tensor in everything.values():
        tensor.data[...] = 0.0


@each_kind
@pytest.mark.parametrize("looked_at", [False, True])
def test_parameters_can_be_written_to_when_the_results_are_dropped(name: str, looked_at: bool) -> None:
    one = Pass(pair(name)[0])
    cell, nodes = one.cell, walk(one.loss) if looked_at else []
    del one, nodes
    for parameter in cell.parameters():
        parameter.data[...] = 0.0


@each_kind
def test_an_initial_state_that_is_needed_may_be_written_to_when_the_gradient_has_passed(name: str) -> None:
    one, other = (Pass(cell) for cell in pair(name))
    for steps in (one, other):
        with pytest.raises(MutationError, match="needed for the derivative"):
            parts_of(steps.start)[-1].data[...] = np.nan
    assert_close(one.gradients(), other.gradients())
    for steps in (one, other):
        parts_of(steps.start)[-1].data[...] = np.nan


class OfTwoFactors(Cell[Tensor]):
    """A cell whose recurrent matrix is a product: a constant of every step that is computed anew at each call."""

    label = "of two factors"
    pure_step = True

    def __init__(self) -> None:
        super().__init__(D, H)
        self.A, self.B, self.W = (Parameter(np.full(shape, 0.3), name="A") for shape in ((H, 1), (1, H), (H, D)))

    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    def project(self, x: Tensor) -> Tensor:
        return x @ self.W.T

    def recur(self, wx: Tensor, h: Tensor) -> Tensor:
        return (wx + h @ (self.A @ self.B).T).tanh()


def test_what_was_computed_of_parameters_alone_is_not_kept_by_the_cell() -> None:
    cells = [kind() for kind in (OfTwoFactors, plain(OfTwoFactors))]
    for _ in range(2):
        one, other = (Pass(cell) for cell in cells)
        assert is_compiled(one.hs)
        with pytest.raises(MutationError):
            cells[0].A.data[...] = 0.0
        assert_close(one.gradients(), other.gradients())
        del one, other
        for cell in cells:
            Pass(cell)
            cell.A.data[...] += 0.1


def test_under_no_grad_nothing_is_lent() -> None:
    cell, _ = pair("lstm")
    with no_grad():
        results = Pass(cell, wants_xs=False, learnt=False)
    for parameter in cell.parameters():
        parameter.data[...] = 0.0
    assert results.hs.numpy().any()


def test_parameters_can_be_written_to_when_a_step_failed_while_it_was_recorded() -> None:
    class Failing(Cell[Tensor]):
        label = "failing"
        pure_step = True

        def __init__(self) -> None:
            super().__init__(D, H)
            self.W = Parameter(np.ones((H, D)), name="W")

        def initial_state(self, batch: int) -> Tensor:
            return self._zeros(batch, "h")

        def project(self, x: Tensor) -> Tensor:
            return x @ self.W.T

        def recur(self, wx: Tensor, h: Tensor) -> Tensor:
            return concatenate([wx.tanh() * h, h], axis=-1)

    cell = Failing()
    for _ in range(2):
        with pytest.raises(ShapeError, match="failing at time step 1"):
            unroll(cell, np.ones((4, 2, D)))
        cell.W.data[...] += 1.0
    assert (cell.W.numpy() == 3.0).all()


@every_cell
def test_writing_to_the_given_arrays_after_the_call_changes_nothing(name: str) -> None:
    found = []
    for k in (0, 1):
        cell = pair(name)[k]
        xs = np.random.default_rng(0).standard_normal((5, 2, D))
        start = [np.full((2, H), 0.3) for _ in cell.state_names]
        hs, _ = unroll(cell, xs, with_parts(cell.initial_state(2), start))
        if k == 0:
            xs[...] = np.nan
            start[0][...] = np.nan
        (hs * hs).sum().backward()
        found.append({"hs": hs.numpy()} | {key: parameter.grad for key, parameter in cell.named_parameters()})
    assert_close(*found)


def test_writing_to_an_array_that_a_step_used_changes_no_gradient() -> None:
    found = []
    for loop in (unroll, by_hand):
        cell = Of(lambda c, x, h: new(c, x, h) * c.mask, mask=np.array([0.0, 1.0, 2.0, 3.0]))
        hs, _ = loop(cell, random(T, B, D))
        cell.mask[...] = np.nan
        (hs * hs).sum().backward()
        found.append({key: parameter.grad for key, parameter in cell.named_parameters()})
    assert_close(*found)


def test_what_a_frozen_matrix_alone_would_need_may_be_written_to() -> None:
    found = []
    for loop in (unroll, by_hand):
        cell, start = Of(lambda c, x, h: tanh(x @ c.W.T) + h @ c.U.T), Tensor(random(B, H))
        cell.U.requires_grad = False
        hs, _ = loop(cell, random(T, B, D), start)
        start.data[...] = np.nan
        hs.sum().backward()
        found.append({"W": cell.W.grad})
    assert_close(*found)


@each_kind
def test_hs_can_be_written_to_after_backward_unless_another_tensor_shows_it(name: str) -> None:
    one = Pass(pair(name)[0])
    cut = one.hs.detach()
    one.loss.backward()
    with pytest.raises(MutationError, match="shared with another tensor"):
        one.hs.data[0] = 0.0
    with pytest.raises(MutationError, match="shared with another tensor"):
        cut.data[0] = 0.0
    del cut
    finals = [part.numpy() for part in parts_of(one.final)]
    one.hs.data[...] = 7.0
    assert (one.hs.numpy() == 7.0).all()
    for part, before in zip(parts_of(one.final), finals, strict=True):
        np.testing.assert_array_equal(part.numpy(), before)
