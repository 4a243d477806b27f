"""Nothing that a cell remembers of its steps is out of date: after any change the next call does what the plain path does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from loops_cases import CELLS, FOUR, D, H, Pass, assert_close, each_kind, is_compiled, pair, plain, signature
from minigrad.models.cells import GRU, LSTM, RNN
from minigrad.models.layers import unroll
from minigrad.models.recurrent import Cell
from sampling import EXHAUSTIVE

from minigrad import Module, Parameter, Tensor, no_grad, scope, tanh, walk


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng([9, *shape]).standard_normal(shape) / 2


def first_matrix(cell: Any) -> str:
    return next(name for name, parameter in cell.named_parameters() if parameter.ndim == 2)


def freeze(*which: int) -> Callable[[Any], None]:
    def change(cell: Any) -> None:
        for k, parameter in enumerate(cell.parameters()):
            parameter.requires_grad = k not in which

    return change


def new_values(cell: Any) -> None:
    for parameter in cell.parameters():
        parameter.data = parameter.numpy() * 0.5 + 0.1


def values_in_place(cell: Any) -> None:
    for parameter in cell.parameters():
        parameter.data[...] *= 0.5


def update_without_recording(cell: Any) -> None:
    with no_grad():
        for parameter in cell.parameters():
            parameter -= 0.1


def new_parameter(cell: Any) -> None:
    name = first_matrix(cell)
    setattr(cell, name, Parameter(getattr(cell, name).numpy() * 0.5, name=name))


def loaded(cell: Any) -> None:
    cell.load_state_dict({name: parameter.numpy() * 0.5 for name, parameter in cell.named_parameters()})


def zeros_in_place(cell: Any) -> None:
    name = first_matrix(cell)
    getattr(cell, name).data[...] = 0.0


CHANGES: dict[str, Callable[[Any], None]] = {
    "nothing": lambda cell: None,
    "the first parameter frozen": freeze(0),
    "the second parameter frozen": freeze(1),
    "all but the last parameter frozen": lambda cell: freeze(*range(len(cell.parameters()) - 1))(cell),
    "none frozen": freeze(),
    "new values": new_values,
    "values written in place": values_in_place,
    "an update under no_grad": update_without_recording,
    "another parameter": new_parameter,
    "a state dict": loaded,
    "a matrix of zeros": zeros_in_place,
    "evaluation": lambda cell: cell.eval(),
}


def assert_alike(cells: tuple[Any, ...], as_loop: bool | None = True, **options: Any) -> None:
    for more in ({}, {"hoist": True, "wants_xs": False}, {"wants_xs": False, "learnt": False}):
        one, other = (Pass(cell, **{**more, **options}) for cell in cells)
        assert as_loop is None or is_compiled(one.hs) == as_loop
        assert_close(one.results(), other.results())
        assert_close(one.gradients(), other.gradients())
        for parameter, yardstick in zip(one.cell.parameters(), other.cell.parameters(), strict=True):
            assert (parameter.grad is None) == (yardstick.grad is None)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", CELLS if EXHAUSTIVE else FOUR)
@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_between_two_calls_the_second_is_what_it_would_be_without_the_first(name: str, change: str) -> None:
    cells = pair(name)
    assert_alike(cells)
    for cell in cells:
        CHANGES[change](cell)
    assert_alike(cells, as_loop=None if "frozen" in change else True)
    for cell in cells:
        freeze()(cell)
    assert_alike(cells)


@pytest.mark.parametrize("wants_xs", [False, True])
@pytest.mark.parametrize("hoist", [False, True])
def test_a_frozen_parameter_gets_no_gradient_and_the_others_theirs(wants_xs: bool, hoist: bool) -> None:
    for frozen in range(3):
        cells = pair("lstm")
        for cell in cells:
            freeze(frozen)(cell)
        one, other = (Pass(cell, learnt=False, wants_xs=wants_xs, hoist=hoist) for cell in cells)
        assert_close(one.gradients(), other.gradients())
        assert [parameter.grad is None for parameter in cells[0].parameters()] == [k == frozen for k in range(3)]


OPTIONS = {
    "output_tanh": (LSTM, {}, False),
    "peepholes": (LSTM, {"peepholes": True}, False),
    "b": (LSTM, {}, None),
    "p_f": (LSTM, {"peepholes": True}, None),
    "reset": (GRU, {"reset": "after"}, "before"),
    "b_ch": (GRU, {"reset": "after"}, None),
    "b_h": (RNN, {}, None),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_of_the_cell_that_is_set_between_two_calls_takes_effect(option: str) -> None:
    kind, given, value = OPTIONS[option]
    cells = tuple(k(D, H, seed=0, **given) for k in (kind, plain(kind)))
    assert_alike(cells)
    for cell in cells:
        setattr(cell, option, value)
    assert_alike(cells)


def test_another_nonlinearity_takes_effect() -> None:
    cells = tuple(kind(D, H, seed=0) for kind in (RNN, plain(RNN)))
    assert_alike(cells)
    for cell in cells:
        cell.nonlinearity = "relu"
    assert_alike(cells)
    for cell in cells:
        cell.nonlinearity = "tanh"
    assert_alike(cells)


def test_a_method_of_the_cell_that_is_replaced_is_run_at_every_step_until_it_is_deleted() -> None:
    cells = tuple(kind(D, H, seed=0) for kind in (RNN, plain(RNN)))
    assert_alike(cells)
    for cell in cells:
        cell.recur = lambda wx, h, cell=cell: tanh(wx - h @ cell.W_hh.T).named("h")
    assert_alike(cells, as_loop=False)
    for cell in cells:
        del cell.recur
    assert_alike(cells)


def test_a_method_of_the_class_that_is_replaced_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = tuple(kind(D, H, seed=0) for kind in (RNN, plain(RNN)))
    assert_alike(cells)
    before, recur = Pass(cells[0]).hs.numpy(), RNN.recur
    monkeypatch.setattr(RNN, "recur", lambda self, wx, h: (recur(self, wx, h) * 0.5).named("h"))
    assert_alike(cells)
    assert np.abs(Pass(cells[0]).hs.numpy() - before).max() > 0.1


def test_cells_that_compare_equal_do_not_share_what_was_recorded() -> None:
    class Equal(RNN):
        pure_step = True

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Equal)

        def __hash__(self) -> int:
            return 1

    first, second = Equal(D, H, seed=0), Equal(D, H, seed=1)
    Pass(first).loss.backward()
    first.zero_grad()
    assert_close(Pass(second).gradients(), Pass(plain(Equal)(D, H, seed=1)).gradients())
    assert first.W_hh.grad is None


def test_an_attribute_that_is_deleted_and_then_found_in_the_class_takes_effect() -> None:
    class WithGain(LSTM):
        pure_step = True
        gain = 1.0

        def project(self, x: Tensor) -> Tensor:
            return super().project(self.gain * x)

    cells = tuple(kind(D, H, seed=0) for kind in (WithGain, plain(WithGain)))
    assert_alike(cells)
    for cell in cells:
        cell.gain = 2.0
    assert_alike(cells)
    for cell in cells:
        del cell.gain
    assert_alike(cells)


@each_kind
def test_lengths_batches_dtypes_and_scopes_may_change_from_call_to_call(name: str) -> None:
    cells = pair(name)
    for T, B in ((5, 2), (3, 2), (3, 1), (70, 4), (1, 2), (5, 2)):
        assert_alike(cells, T=T, B=B)
    one, other = (Pass(cell, dtype=np.float32) for cell in cells)
    assert (one.hs.dtype, one.loss.dtype) == (other.hs.dtype, other.loss.dtype)
    assert_close(one.results(), other.results(), tolerance=1e-6)
    assert_close(one.gradients(), other.gradients(), tolerance=1e-5)
    assert_alike(cells)
    for path in ("first", "second"):
        with scope(path):
            found = [Pass(cell) for cell in cells]
        assert is_compiled(found[0].hs)
        scopes = [[node.scope for node in walk(each.loss) if not node.is_leaf] for each in found]
        assert scopes[0] == scopes[1]
        assert (path, cells[0].label) in scopes[0]


@each_kind
def test_xs_may_be_of_another_dtype_than_before_and_than_the_cell(name: str) -> None:
    cells = pair(name, dtype=np.float32)
    for dtype in (np.float32, np.float64, np.int64, np.float32):
        found = []
        for cell in cells:
            numbers = np.random.default_rng(0).standard_normal((4, 2, 3)) * 4
            xs = Tensor(numbers.astype(dtype), requires_grad=dtype is not np.int64)
            hs, _ = unroll(cell, xs)
            cell.zero_grad()
            (hs * hs).sum().backward()
            gradients = {key: parameter.grad for key, parameter in cell.named_parameters()}
            found.append({"hs": hs.numpy(), "xs": xs.grad, **gradients})
        assert_close(*found, tolerance=3e-6)


@each_kind
def test_xs_may_be_learnt_or_not_from_call_to_call(name: str) -> None:
    cells = pair(name)
    for wants_xs in (False, True, False, True):
        one, other = (Pass(cell, wants_xs=wants_xs) for cell in cells)
        assert_close(one.gradients(), other.gradients())
        assert signature(walk(one.loss)) == signature(walk(other.loss))


class Inner(Module):
    """A part of a cell, with a parameter and an option of its own."""

    def __init__(self) -> None:
        self.W, self.sign = Parameter(weights(H, D), name="W"), 1

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.W.T if self.sign == 1 else -(x @ self.W.T)


class Composed(Cell[Tensor]):
    """A cell that has another module in it, and things that change without being set."""

    label = "composed"
    pure_step = True

    def __init__(self) -> None:
        super().__init__(D, H)
        self.U, self.inner = Parameter(weights(H, H), name="U"), Inner()
        self.numbers = {"one": 1.0}

    def initial_state(self, batch: int) -> Tensor:
        return self._zeros(batch, "h")

    def project(self, x: Tensor) -> Tensor:
        return self.inner(x)

    def recur(self, wx: Tensor, h: Tensor) -> Tensor:
        return (self.numbers["one"] - tanh(wx + h @ self.U.T)).named("h")


def test_a_change_deep_inside_a_cell_takes_effect() -> None:
    cells = tuple(kind() for kind in (Composed, plain(Composed)))
    assert_alike(cells)
    for cell in cells:
        cell.inner.W = Parameter(weights(H, D) * 2.0, name="W")
    assert_alike(cells)
    for cell in cells:
        cell.inner.sign = -1
    assert_alike(cells)
    for cell in cells:
        cell.numbers["one"] = 3.0
    assert_alike(cells)
