"""Nothing that a cell remembers of its steps is out of date: after any change the next call does what the plain path does."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from rolling_cases import D, H, Pass, assert_close, bits, each_kind, every_cell, pair, plain, rolled

from minigrad import Module, Parameter, Tensor, no_grad, scope, tanh, walk
from minigrad.errors import GraphError
from models.cells import GRU, LSTM, RNN
from models.layers import unroll
from models.recurrent import Cell


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


def assert_alike(cells: tuple[Any, Any], is_rolled: bool | None = True, **options: Any) -> None:
    for more in ({}, {"hoist": True, "wants_xs": False}, {"wants_xs": False, "learnt": False}):
        one, other = (Pass(cell, **{**more, **options}) for cell in cells)
        assert is_rolled is None or rolled(one.hs) == is_rolled
        assert_close(one.results(), other.results())
        assert_close(one.gradients(), other.gradients())
        for parameter, yardstick in zip(one.cell.parameters(), other.cell.parameters(), strict=True):
            assert (parameter.grad is None) == (yardstick.grad is None)


@every_cell
@pytest.mark.parametrize("change", CHANGES)
def test_after_a_change_between_two_calls_the_second_is_what_it_would_be_without_the_first(name: str, change: str) -> None:
    cells = pair(name)
    assert_alike(cells)
    for cell in cells:
        CHANGES[change](cell)
    assert_alike(cells, is_rolled=None if "frozen" in change else True)
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
    assert_alike(cells, is_rolled=False)
    for cell in cells:
        cell.nonlinearity = "tanh"
    assert_alike(cells)


def test_a_method_of_the_cell_that_is_replaced_or_deleted_takes_effect() -> None:
    cells = tuple(kind(D, H, seed=0) for kind in (RNN, plain(RNN)))
    assert_alike(cells)
    for cell in cells:
        cell.recur = lambda wx, h, cell=cell: tanh(wx - h @ cell.W_hh.T).named("h")
    assert_alike(cells)
    for cell in cells:
        del cell.recur
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
        assert rolled(found[0].hs)
        scopes = [[node.scope for node in walk(each.loss) if not node.is_leaf] for each in found]
        assert scopes[0] == scopes[1]
        assert (path, cells[0].label) in scopes[0]


@each_kind
def test_xs_of_another_dtype_than_the_cells_gives_what_the_steps_one_by_one_give(name: str) -> None:
    found = []
    for cell in pair(name, dtype=np.float32):
        hs, _ = unroll(cell, Tensor(np.random.default_rng(0).standard_normal((4, 2, 3)), requires_grad=True))
        (hs * hs).sum().backward()
        found.append({"hs": hs.numpy()} | {key: parameter.grad for key, parameter in cell.named_parameters()})
    assert_close(*found, tolerance=1e-6)


class Inner(Module):
    """A part of a cell, with a parameter and an option of its own."""

    def __init__(self) -> None:
        self.W, self.sign = Parameter(weights(H, D), name="W"), 1

    def __call__(self, x: Tensor) -> Tensor:
        return x @ self.W.T if self.sign == 1 else -(x @ self.W.T)


class Composed(Cell[Tensor]):
    """A cell that has another module in it, and things that change without being set."""

    label = "composed"
    steps_alike = True

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


@each_kind
def test_a_cell_that_was_run_is_copied_pickled_and_saved_as_before(name: str) -> None:
    cell, other = pair(name)
    before = pickle.dumps(cell)
    expected = Pass(cell)
    assert pickle.dumps(cell) == before
    twins = [copy.deepcopy(cell), copy.copy(cell), pickle.loads(before), type(cell)(D, H)]
    twins[-1].load_state_dict(cell.state_dict())
    for twin in twins:
        found = Pass(twin)
        assert rolled(found.hs)
        assert bits(found.results()) == bits(expected.results())
    twin = twins[0]
    for parameter in twin.parameters():
        parameter.data[...] = 0.25
    for parameter in other.parameters():
        parameter.data[...] = 0.25
    assert_close(Pass(twin).results(), Pass(other).results())
    assert bits(Pass(cell).results()) == bits(expected.results())


@each_kind
def test_results_of_a_loop_are_neither_pickled_nor_copied_with_their_history(name: str) -> None:
    for each in (Pass(cell, learnt=False) for cell in pair(name)):
        for make in (copy.deepcopy, pickle.dumps):
            with pytest.raises(GraphError, match="cannot be copied with its history"):
                make(each.hs)
        np.testing.assert_array_equal(copy.deepcopy(each.hs.detach()).numpy(), each.hs.numpy())


@each_kind
def test_two_threads_can_unroll_the_same_cell_at_the_same_time(name: str) -> None:
    cell, _ = pair(name)
    expected = [Pass(pair(name)[0], T=5 + k) for k in range(2)]
    wanted = [bits(each.results() | {"xs": each.gradients()["xs"]}) for each in expected]
    found: list[list[bool]] = [[], []]
    begin = threading.Barrier(2)

    def work(k: int) -> None:
        begin.wait()
        for _ in range(20):
            each = Pass(cell, T=5 + k)
            each.loss.backward()
            found[k].append(bits(each.results() | {"xs": each.xs.grad}) == wanted[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[True] * 20] * 2
