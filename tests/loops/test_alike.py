"""Which cells are known to do the same at every step: those whose source is a straight line of formulas."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from minigrad.models import GRU, LSTM, RNN, GatedRNN, unroll
from minigrad.models.alike import steps_are_alike
from minigrad.models.recurrent import parts_of

import minigrad as mg
from minigrad import Module, Parameter, Tensor, concatenate, sigmoid, split, tanh

DECAY = 0.3
LIST = [0.3]


class Both(NamedTuple):
    c: Tensor
    h: Tensor


class Base(Module):
    H = 3

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.U, self.W = (Parameter(rng.standard_normal((3, 3)), name=name) for name in "UW")
        self.V = Parameter(rng.standard_normal((6, 3)), name="V")
        self.b = Parameter(rng.standard_normal(3), name="b")
        self.t, self.log, self.rest = 0, [], iter(range(1, 100))

    def initial_state(self, batch: int) -> Any:
        return Tensor(np.zeros((batch, 3)))


class Plain(Base):
    def step(self, x, h):
        """With a docstring."""
        a = x @ self.U.T + h @ self.W.T + self.b
        return tanh(a).named("h")


class InNumPy(Base):
    def step(self, x, h):
        return np.tanh(np.dot(x, self.U) + np.matmul(h, self.W) - self.b)


class WithMethod(Base):
    def pre(self, x, h):
        return x @ self.U.T + 0.5 * h @ self.W.T

    def step(self, x, h):
        return tanh(self.pre(x, h) * DECAY)


class Gates(Base):
    def step(self, x, h):
        H = self.H
        a = h @ self.V.T
        u, c = a[:, :H] + x @ self.U.T, a[:, H : 2 * H]
        return sigmoid(u) * tanh(c) + (1 - sigmoid(u)) * h


class Joined(Base):
    def step(self, x, h):
        p, q = split(concatenate([h, x], axis=-1) @ self.V, [1], axis=-1)
        return tanh(concatenate([p, q], axis=-1) + -h)


class TwoParts(Base):
    def initial_state(self, batch):
        return Both(Tensor(np.zeros((batch, 3))), Tensor(np.zeros((batch, 3))))

    def step(self, x, state):
        c, h = state
        z = x @ self.U.T + h @ self.W.T
        c = z.sigmoid() * c + z.tanh()
        return Both(c, sigmoid(z + self.b) * tanh(c))


class Inherits(Plain):
    pass


ALIKE = [Plain, InNumPy, WithMethod, Gates, Joined, TwoParts, Inherits]


class Appends(Base):
    def step(self, x, h):
        h = tanh(x @ self.U + h)
        self.log.append(h)
        return h


class AppendsInTheFormula(Base):
    def step(self, x, h):
        return tanh(x @ self.U + h) if self.log.append(h) is None else h


class Counts(Base):
    def step(self, x, h):
        self.t += 1
        return tanh(x @ self.U + h * self.t)


class Stores(Base):
    def step(self, x, h):
        self.last = tanh(x @ self.U + h)
        return self.last


class Branches(Base):
    def step(self, x, h):
        if h.data.sum() > 0:
            return tanh(x @ self.U)
        return tanh(x @ self.U + h @ self.W)


class Chooses(Base):
    def step(self, x, h):
        return tanh(x @ self.U + (h if self.t else x))


class CallsAnother(Base):
    def step(self, x, h):
        return outside(x @ self.U + h)


class CallsAMethodThatCounts(Base):
    def pre(self, x):
        self.t += 1
        return x * self.t

    def step(self, x, h):
        return tanh(self.pre(x) + h)


class CallsItself(Base):
    def step(self, x, h):
        return self.step(x, h)


class ReadsAProperty(Base):
    @property
    def scale(self):
        self.t += 1
        return self.t

    def step(self, x, h):
        return tanh(x @ self.U + h * self.scale)


class AsksForAttributes(Base):
    def __getattr__(self, name):
        return len(name)

    def step(self, x, h):
        return tanh(x @ self.U + h)


class Draws(Base):
    def step(self, x, h):
        return tanh(x @ self.U + h * np.random.default_rng().random())


class Advances(Base):
    def step(self, x, h):
        return tanh(x @ self.U + h * next(self.rest))


class ReadsAList(Base):
    def step(self, x, h):
        return tanh(x @ self.U + h * LIST[0])


class ReadsAValue(Base):
    def step(self, x, h):
        return tanh(x @ self.U + h * x.data.sum())


class NamesInTheFormula(Base):
    def step(self, x, h):
        return tanh((a := x @ self.U) + h) * a


class Comprehends(Base):
    def step(self, x, h):
        return tanh(sum(part for part in (x, h)))


class Loops(Base):
    def step(self, x, h):
        for _ in range(2):
            h = tanh(x @ self.U + h)
        return h


class HasADefault(Base):
    def step(self, x, h, memory=[]):  # noqa: B006
        return tanh(x @ self.U + h)


class AsksAbove(Plain):
    def step(self, x, h):
        return super().step(x, h)


class Decorated(Base):
    @mg.scope("own")
    def step(self, x, h):
        return tanh(x @ self.U + h)


class HasAStepOfItsOwn(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.step = lambda x, h: tanh(x @ self.U + h)


class SaysNo(Plain):
    steps_alike = False


class Unread(Plain):
    exec("def step(self, x, h):\n    return tanh(x @ self.U + h)")


def hiding(tanh: Any) -> Any:
    class Hides(Base):
        def step(self, x, h):
            return tanh(x @ self.U + h)

    return Hides


Hides = hiding(lambda x: x * np.random.default_rng().random())


class RenamesItsInput(Base):
    def step(self, x, h):
        return tanh(x.named("input") @ self.U.T + h)


class RenamesItsState(Base):
    def step(self, x, h):
        return tanh(x @ self.U.T + h.named("before"))


DIFFERENT = [
    Appends, AppendsInTheFormula, Counts, Stores, Branches, Chooses, CallsAnother, CallsAMethodThatCounts, CallsItself,
    ReadsAProperty, AsksForAttributes, Draws, Advances, ReadsAList, ReadsAValue, NamesInTheFormula, Comprehends, Loops,
    HasADefault, AsksAbove, Decorated, HasAStepOfItsOwn, SaysNo, Unread, Hides,
]  # fmt: skip


def outside(x: Tensor) -> Tensor:
    return tanh(x)


def rolled(hs: Tensor) -> bool:
    return hs.node is not None and hs.node.is_folded


@pytest.mark.parametrize("kind", ALIKE)
def test_a_straight_line_of_formulas_is_alike_and_repeated_with_the_same_results(kind: Any) -> None:
    xs, found = np.random.default_rng(1).standard_normal((7, 2, 3)), []
    for cell in (kind(), type(kind.__name__, (kind,), {"steps_alike": False})()):
        x = Tensor(xs, requires_grad=True)
        hs, final = unroll(cell, x)
        (hs * hs * hs).sum().backward()
        used = [p for p in cell.parameters() if p.grad is not None]
        found.append((rolled(hs), hs.numpy(), x.grad, *(p.numpy() for p in parts_of(final)), *(p.grad for p in used)))
    assert steps_are_alike(kind(), "step")
    assert [results[0] for results in found] == [True, False]
    for ours, plain in zip(*(results[1:] for results in found), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", DIFFERENT)
def test_anything_else_is_run_anew_at_every_step(kind: Any) -> None:
    assert not steps_are_alike(kind(), "step")


def test_what_a_step_leaves_behind_is_there_for_every_step() -> None:
    counted = (Appends, lambda cell: len(cell.log)), (Counts, lambda cell: cell.t), (Advances, lambda cell: next(cell.rest))
    for kind, seen in counted:
        cell = kind()
        hs, _ = unroll(cell, np.ones((5, 2, 3)))
        assert not rolled(hs)
        assert seen(cell) in (5, 6)


@pytest.mark.parametrize("kind", [RNN, GatedRNN, GRU, LSTM])
def test_the_cells_here_say_that_they_are_alike(kind: Any) -> None:
    cell = kind(3, 4)
    assert steps_are_alike(cell, "step")
    assert steps_are_alike(cell, "recur")


def test_what_a_name_stands_for_is_looked_up_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert steps_are_alike(Plain(), "step")
    monkeypatch.setitem(globals(), "tanh", outside)
    assert not steps_are_alike(Plain(), "step")
    monkeypatch.undo()
    cell = Plain()
    cell.b = LIST
    assert not steps_are_alike(cell, "step")


def test_a_source_that_was_changed_after_the_import_is_not_believed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "changing_cell.py"
    text = "from minigrad import tanh\nclass Cell:\n    def step(self, x, h):\n        return tanh({} + h)\n"
    file.write_text(text.format("x"))
    monkeypatch.syspath_prepend(tmp_path)
    import changing_cell

    file.write_text(text.format("x * 2.0"))
    assert not steps_are_alike(changing_cell.Cell(), "step")


@pytest.mark.parametrize("learnt", [True, False])
@pytest.mark.parametrize("kind", [RenamesItsInput, RenamesItsState])
def test_names_that_a_step_gives_to_what_it_was_given_are_those_of_the_step_by_step_graph(kind: Any, learnt: bool) -> None:
    xs, graphs = Tensor(np.ones((3, 2, 3)), requires_grad=learnt), []
    for cell in (kind(), type("Plain", (kind,), {"steps_alike": False})()):
        hs, _ = unroll(cell, xs)
        graphs.append([(node.label, node.name, node.time) for node in mg.walk(hs)])
    assert graphs[0] == graphs[1]


class Doubled(Parameter):
    """A parameter that is more than its values."""

    @property
    def T(self) -> Tensor:
        """Twice the transpose."""
        return super().T * 2.0


class WithDoubled:
    """A cell with such a parameter."""

    def __init__(self) -> None:
        self.W = Doubled(np.ones((3, 3)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One step."""
        return tanh(x @ self.W.T + h)


def test_what_is_derived_from_tensors_may_do_anything() -> None:
    assert not steps_are_alike(WithDoubled(), "step")


def test_code_that_replaces_that_of_the_step_is_read_anew() -> None:
    class Replaced:
        def step(self, x: Tensor, h: Tensor) -> Tensor:
            return tanh(x + h)

        def other(self, x: Tensor, h: Tensor) -> Tensor:
            print(x)
            return tanh(x + h)

    assert steps_are_alike(Replaced(), "step")
    Replaced.step.__code__ = Replaced.other.__code__
    assert not steps_are_alike(Replaced(), "step")


class WithModuleAsPart(Module):
    """A class that promises, has a part called as a method of the cells is, and an attribute of its own called defined."""

    steps_alike = True
    defined = 3

    def __init__(self) -> None:
        self.project = WithDoubled()

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One step."""
        return tanh(x + h)


def test_a_promise_holds_whatever_else_the_class_and_the_cell_have() -> None:
    cell = WithModuleAsPart()
    assert steps_are_alike(cell, "step")
    cell.step = lambda x, h: h
    assert not steps_are_alike(cell, "step")
