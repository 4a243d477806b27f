"""The step of a class that promises a pure one is traced once; after a change in anything that it reads it is traced anew."""

from __future__ import annotations

import copy
import gc
import types
import weakref
from abc import ABCMeta
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from minigrad.models import GRU, LSTM, RNN, GatedRNN, unroll
from minigrad.models.promise import MOST_CHANGES

from minigrad import Module, Parameter, Tensor, stack, tanh
from minigrad.elsewhere import NamesElsewhere
from minigrad.loops.purity.assumptions import Assumptions, Unknown
from minigrad.loops.trace import Trace
from minigrad.ops.transcendental import Tanh

H = 3
XS = np.random.default_rng(1).standard_normal((5, 2, H))


class Scaled(Module):
    """What the classes here have in common."""

    pure_step = True
    scale: Any = 0.5

    def __init__(self) -> None:
        self.W = Parameter(np.random.default_rng(0).standard_normal((H, H)), name="W")

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, H)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return tanh(x + h @ self.W.T) * self.scale


def helped(h: Tensor, factor: float = 0.5) -> Tensor:
    return h * factor


settings = types.ModuleType("settings")
settings.FACTOR = 0.5  # type: ignore[attr-defined]
making_up: Any = types.ModuleType("making_up")
TABLE = {"factor": 0.5}
FACTOR = 0.5


def made_with(factor: float) -> Callable[[Tensor], Tensor]:
    return lambda h: h * factor


def kind(step: Callable[..., Tensor], *bases: type, **attributes: Any) -> Any:
    """A class with that step."""
    return type("Mine", bases or (Scaled,), {"step": step, "pure_step": True, **attributes})


def by_attribute() -> Any:
    cell = Scaled()
    cell.scale = 0.5
    return cell, lambda: setattr(cell, "scale", 2.0)


def by_attribute_of_the_class() -> Any:
    mine = kind(Scaled.step, scale=0.5)
    return mine(), lambda: setattr(mine, "scale", 2.0)


def by_attribute_of_a_base() -> Any:
    base = type("Base", (Scaled,), {"scale": 0.5})
    return kind(Scaled.step, base)(), lambda: setattr(base, "scale", 2.0)


def by_attribute_that_hides_that_of_the_class() -> Any:
    cell = Scaled()
    return cell, lambda: setattr(cell, "scale", 2.0)


def by_attribute_of_a_class_that_hides_that_of_a_base() -> Any:
    mine = kind(Scaled.step)
    return mine(), lambda: setattr(mine, "scale", 2.0)


def by_names_that_change_places() -> Any:
    cell = Scaled()
    cell.__dict__.update(other=2.0, scale=0.5)

    def change() -> None:
        values = cell.__dict__.pop("other"), cell.__dict__.pop("scale")
        cell.__dict__.update(scale=values[0], other=values[1])

    return cell, change


def by_code_of_the_step() -> Any:
    mine = kind(lambda self, x, h: tanh(x + h @ self.W.T) * 0.5)
    return mine(), lambda: setattr(mine.step, "__code__", (lambda self, x, h: tanh(x + h @ self.W.T) * 2.0).__code__)


def by_default_of_the_step() -> Any:
    def step(self: Any, x: Tensor, h: Tensor, factor: float = 0.5) -> Tensor:
        return tanh(x + h @ self.W.T) * factor

    mine = kind(step)
    return mine(), lambda: setattr(mine.step, "__defaults__", (2.0,))


def by_method_that_it_calls() -> Any:
    mine = kind(lambda self, x, h: self.shrunk(tanh(x + h @ self.W.T)), shrunk=lambda self, h: h * 0.5)
    return mine(), lambda: setattr(mine, "shrunk", lambda self, h: h * 2.0)


def by_code_of_a_method_that_it_calls() -> Any:
    mine = kind(lambda self, x, h: self.shrunk(tanh(x + h @ self.W.T)), shrunk=lambda self, h: h * 0.5)
    return mine(), lambda: setattr(mine.shrunk, "__code__", (lambda self, h: h * 2.0).__code__)


def by_property() -> Any:
    mine = kind(lambda self, x, h: tanh(x + h @ self.W.T) * self.half, half=property(lambda self: 0.5))
    return mine(), lambda: setattr(mine, "half", property(lambda self: 2.0))


def by_global() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * FACTOR)()
    return cell, lambda: globals().update(FACTOR=2.0)


def by_global_that_hides_a_builtin() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * (round(1.5) / 4))()
    return cell, lambda: globals().update(round=lambda number: 8)


def by_helper() -> Any:
    cell = kind(lambda self, x, h: helped(tanh(x + h @ self.W.T)))()
    return cell, lambda: globals().update(helped=lambda h: h * 2.0)


def by_default_of_a_helper() -> Any:
    cell = kind(lambda self, x, h: helped(tanh(x + h @ self.W.T)))()
    return cell, lambda: setattr(helped, "__defaults__", (2.0,))


def factored(h: Tensor, *, factor: float = 0.5) -> Tensor:
    return h * factor


def by_keyword_default_of_a_helper() -> Any:
    cell = kind(lambda self, x, h: factored(tanh(x + h @ self.W.T)))()
    return cell, lambda: factored.__kwdefaults__.update(factor=2.0)  # type: ignore[union-attr]


def by_module() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * settings.FACTOR)()  # type: ignore[attr-defined]
    return cell, lambda: setattr(settings, "FACTOR", 2.0)


def by_entry_of_a_dict() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * TABLE["factor"])()
    return cell, lambda: TABLE.update(factor=2.0)


def by_closure() -> Any:
    factor = 0.5

    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        return tanh(x + h @ self.W.T) * factor

    def change() -> None:
        nonlocal factor
        factor = 2.0

    return kind(step)(), change


def by_function_in_an_attribute() -> Any:
    cell = kind(lambda self, x, h: self.f(tanh(x + h @ self.W.T)))()
    cell.f = made_with(0.5)
    return cell, lambda: setattr(cell, "f", made_with(2.0))


def by_what_a_function_in_an_attribute_keeps() -> Any:
    cell = kind(lambda self, x, h: self.f(tanh(x + h @ self.W.T)))()
    cell.f = made_with(0.5)
    return cell, lambda: setattr(cell.f.__closure__[0], "cell_contents", 2.0)


def by_bases() -> Any:
    first, second = type("First", (Scaled,), {"scale": 0.5}), type("Second", (Scaled,), {"scale": 2.0})
    mine = kind(Scaled.step, first)
    return mine(), lambda: setattr(mine, "__bases__", (second,))


def by_class_of_the_object() -> Any:
    cell = kind(Scaled.step)()
    return cell, lambda: setattr(cell, "__class__", kind(Scaled.step, scale=2.0))


def by_parameter() -> Any:
    cell = Scaled()
    return cell, lambda: setattr(cell, "W", Parameter(cell.W.numpy() * 2.0, name="W"))


def by_attribute_that_a_module_had_not() -> Any:
    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        try:
            factor = settings.SCALE
        except AttributeError:
            factor = 0.5
        return tanh(x + h @ self.W.T) * factor

    return kind(step)(), lambda: setattr(settings, "SCALE", 2.0)


def by_method_of_tensors() -> Any:
    cell, doubled = kind(lambda self, x, h: (x + h @ self.W.T).tanh())(), Tensor.tanh
    return cell, lambda: setattr(Tensor, "tanh", lambda tensor: doubled(tensor) * 2.0)


def by_operator_of_tensors() -> Any:
    cell, product = kind(lambda self, x, h: tanh(x + h @ self.W.T))(), Tensor.__matmul__
    return cell, lambda: setattr(Tensor, "__matmul__", lambda a, b: product(a, b) * 2.0)


def by_method_of_parameters() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * self.W.mean())()
    return cell, lambda: setattr(Parameter, "mean", lambda tensor: -Tensor.mean(tensor))


def by_bases_of_a_helper() -> Any:
    first, second = (type(name, (), {"scale": scale}) for name, scale in (("First", 0.5), ("Second", 2.0)))
    helper: Any = type("Helper", (first,), {})
    return kind(lambda self, x, h: tanh(x + h @ self.W.T) * helper.scale)(), lambda: setattr(helper, "__bases__", (second,))


def by_registration() -> Any:
    special: Any = ABCMeta("Special", (), {})
    mine = kind(lambda self, x, h: tanh(x + h @ self.W.T) * (2.0 if isinstance(self, special) else 0.5))
    return mine(), lambda: special.register(mine)


def by_subscription_of_a_class() -> Any:
    class Options:
        factor = 0.5

        def __class_getitem__(cls, number: float) -> float:
            return cls.factor * number

    return kind(lambda self, x, h: tanh(x + h @ self.W.T) * Options[1])(), lambda: setattr(Options, "factor", 2.0)


def by_a_pattern_with_a_keyword() -> Any:
    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        match self:
            case Scaled(chosen=True):
                return tanh(x + h @ self.W.T) * 2.0
        return tanh(x + h @ self.W.T) * 0.5

    cell = kind(step, chosen=False)()
    return cell, lambda: setattr(cell, "chosen", True)


def by_what_it_prints(text: Callable[[Any], str]) -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * float(text(self)), __repr__=lambda self: str(self.factor))()
    cell.factor = 0.5
    return cell, lambda: setattr(cell, "factor", 2.0)


def by_repr() -> Any:
    return by_what_it_prints(repr)


def by_an_f_string() -> Any:
    return by_what_it_prints(lambda value: f"{value}")


def by_percent() -> Any:
    return by_what_it_prints(lambda value: "%r" % value)  # noqa: UP031


def by_a_copy_of_the_object() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * copy.copy(self), __copy__=lambda self: self.factor)()
    cell.factor = 0.5
    return cell, lambda: setattr(cell, "factor", 2.0)


class Drawn(Scaled):
    """Whose objects read, when they are made, what is in TABLE."""

    pure_step = True

    def __init__(self) -> None:
        super().__init__()
        self.factor = TABLE["factor"]

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return tanh(x + h @ self.W.T) * Drawn().factor


def by_another_object_of_its_class() -> Any:
    return Drawn(), lambda: TABLE.update(factor=2.0)


def by_another_object_of_the_same_class() -> Any:
    mine = kind(lambda self, x, h: tanh(x + h @ self.W.T) * type(self)().factor, Drawn)
    return mine(), lambda: TABLE.update(factor=2.0)


def by_name_that_tensors_do_not_have() -> Any:
    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        try:
            factor = x.device
        except AttributeError:
            factor = 0.5
        return tanh(x + h @ self.W.T) * factor

    return kind(step)(), lambda: setattr(NamesElsewhere, "device", 2.0)


KNOWN = [
    by_attribute, by_attribute_of_the_class, by_attribute_of_a_base, by_attribute_that_hides_that_of_the_class,
    by_attribute_of_a_class_that_hides_that_of_a_base, by_names_that_change_places, by_code_of_the_step,
    by_default_of_the_step, by_method_that_it_calls, by_code_of_a_method_that_it_calls, by_property, by_global,
    by_global_that_hides_a_builtin, by_helper, by_default_of_a_helper, by_module, by_entry_of_a_dict, by_closure,
    by_function_in_an_attribute, by_what_a_function_in_an_attribute_keeps, by_bases, by_class_of_the_object, by_parameter,
    by_attribute_that_a_module_had_not,
    by_method_of_tensors,
    by_operator_of_tensors,
    by_method_of_parameters,
    by_name_that_tensors_do_not_have,
    by_keyword_default_of_a_helper, by_bases_of_a_helper, by_registration, by_subscription_of_a_class,
    by_a_pattern_with_a_keyword, by_repr, by_an_f_string, by_percent, by_another_object_of_its_class,
    by_another_object_of_the_same_class,
]  # fmt: skip


def by_entry_of_a_list() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * self.factors[0])()
    cell.factors = [0.5]
    return cell, lambda: cell.factors.__setitem__(0, 2.0)


def by_entry_of_an_array() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * self.factors)()
    cell.factors = np.full(H, 0.5)
    return cell, lambda: cell.factors.fill(2.0)


def by_attribute_of_an_object() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * self.options.factor)()
    cell.options = types.SimpleNamespace(factor=0.5)
    return cell, lambda: setattr(cell.options, "factor", 2.0)


def by_a_name_that_is_made_up() -> Any:
    mine = kind(lambda self, x, h: getattr(self, "shr" + "unk")(tanh(x + h @ self.W.T)), shrunk=lambda self, h: h * 0.5)
    return mine(), lambda: setattr(mine.shrunk, "__code__", (lambda self, h: h * 2.0).__code__)


def by_what_it_imports() -> Any:
    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        import test_loops_assumptions

        return tanh(x + h @ self.W.T) * test_loops_assumptions.FACTOR

    return kind(step)(), lambda: globals().update(FACTOR=2.0)


def by_attribute_that_is_asked_for_by_its_name() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * (2.0 if hasattr(settings, "DOUBLED") else 0.5))()
    return cell, lambda: setattr(settings, "DOUBLED", True)


def by_attribute_that_a_module_makes_up() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * making_up.FACTOR)()
    making_up.__getattr__ = lambda name: 0.5
    return cell, lambda: setattr(making_up, "__getattr__", lambda name: 2.0)


def by_a_name_in_a_format() -> Any:
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * float("{0.factor}".format(self)))()  # noqa: UP030, UP032
    cell.factor = 0.5
    return cell, lambda: setattr(cell, "factor", 2.0)


def by_the_name_of_a_class() -> Any:
    helper = type("Half", (), {})
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * (0.5 if helper.__name__ == "Half" else 2.0))()
    return cell, lambda: setattr(helper, "__name__", "Double")


def by_a_pattern_without_keywords() -> Any:
    class Pair(Scaled):
        __match_args__: Any = ("first", "second")
        first, second = 0.5, 2.0

    def step(self: Any, x: Tensor, h: Tensor) -> Tensor:
        match self:
            case Pair(factor):
                return tanh(x + h @ self.W.T) * factor
        return h

    return kind(step, Pair)(), lambda: setattr(Pair, "__match_args__", ("second", "first"))


def by_getattr_under_another_name() -> Any:
    fetch = getattr
    cell = kind(lambda self, x, h: tanh(x + h @ self.W.T) * fetch(self, "fac" + "tor"))()
    cell.factor = 0.5
    return cell, lambda: setattr(cell, "factor", 2.0)


UNKNOWN = [
    by_a_copy_of_the_object, by_getattr_under_another_name, by_a_name_in_a_format, by_the_name_of_a_class,
    by_a_pattern_without_keywords,
    by_entry_of_a_list, by_entry_of_an_array, by_attribute_of_an_object, by_a_name_that_is_made_up, by_what_it_imports,
    by_attribute_that_is_asked_for_by_its_name, by_attribute_that_a_module_makes_up,
]  # fmt: skip


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the changes change in this module, put back."""
    monkeypatch.setitem(globals(), "FACTOR", FACTOR)
    monkeypatch.setitem(globals(), "helped", helped)
    monkeypatch.setitem(TABLE, "factor", 0.5)
    monkeypatch.setattr(factored, "__kwdefaults__", {"factor": 0.5})
    monkeypatch.setattr(settings, "FACTOR", 0.5)
    monkeypatch.setattr(Tensor, "__matmul__", Tensor.__matmul__)
    monkeypatch.setattr(Tensor, "tanh", Tensor.tanh)
    device = vars(NamesElsewhere)["device"]
    yield
    NamesElsewhere.device = device
    for name in ("SCALE", "DOUBLED"):
        vars(settings).pop(name, None)
    if "mean" in vars(Parameter):
        del Parameter.mean
    helped.__defaults__ = (0.5,)
    globals().pop("round", None)


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of xs of the steps that are traced."""
    found: list[int] = []

    def counted(step: Any, carry: Any, xs: Any, names: Any) -> Any:
        found.append(len(xs))
        return Trace(step, carry, xs, names)

    monkeypatch.setattr("minigrad.loops.traced.Trace", counted)
    return found


def outcome(cell: Any, loop: Callable[[Any], Tensor]) -> list[Any]:
    cell.W.grad = None
    hs = loop(cell)
    (hs * hs).sum().backward()
    return [hs.numpy(), cell.W.grad]


def plainly(cell: Any) -> Tensor:
    h, hs = cell.initial_state(2), []
    for x in XS:
        h = cell.step(Tensor(x), h)
        hs.append(h.h if isinstance(h, Named) else h)
    return stack(hs)


def compiled(cell: Any) -> Tensor:
    hs, _ = unroll(cell, XS)
    return hs


@pytest.mark.parametrize("case", KNOWN, ids=lambda case: case.__name__)
def test_a_step_is_traced_once_and_again_after_a_change(case: Callable[[], Any], traced: list[int]) -> None:
    cell, change = case()
    before = outcome(cell, compiled)
    assert traced == [1]
    outcome(cell, compiled)
    assert traced == [1]
    change()
    for found, expected in zip(outcome(cell, compiled), outcome(cell, plainly), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not any(np.array_equal(found, old) for old in before)
    assert traced == [1, 1]
    outcome(cell, compiled)
    assert traced == [1, 1]


@pytest.mark.parametrize("case", UNKNOWN, ids=lambda case: case.__name__)
def test_a_step_that_reads_what_may_change_without_being_replaced_is_traced_at_each_call(
    case: Callable[[], Any], traced: list[int]
) -> None:
    cell, change = case()
    with pytest.raises(Unknown):
        Assumptions(cell, ["step"])
    before = outcome(cell, compiled)
    change()
    for found, expected in zip(outcome(cell, compiled), outcome(cell, plainly), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert not any(np.array_equal(found, old) for old in before)
    assert len(traced) == 2


def test_a_derivative_that_is_exchanged_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one plants a mistake, to see what notices it."""
    cell, right = Scaled(), Tanh.vjp
    before = outcome(cell, compiled)
    monkeypatch.setattr(Tanh, "vjp", lambda self, g, y: [part * 2.0 for part in right(self, g, y)])
    for found, expected in zip(outcome(cell, compiled), outcome(cell, plainly), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    monkeypatch.undo()
    for found, expected in zip(outcome(cell, compiled), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_cell_that_changes_at_every_call_is_traced_at_every_call(traced: list[int]) -> None:
    cell = Scaled()
    for k in range(MOST_CHANGES + 5):
        cell.scale = 0.01 * k
        np.testing.assert_allclose(outcome(cell, compiled)[0], outcome(cell, plainly)[0], rtol=1e-12)
    assert len(traced) == MOST_CHANGES + 5


class Named(NamedTuple):
    c: Tensor
    h: Tensor


def test_states_of_another_class_with_the_same_parts_are_traced_by_themselves() -> None:
    class Pairs(Scaled):
        def initial_state(self, batch: int) -> Any:
            return (Tensor(np.zeros((batch, H))), Tensor(np.ones((batch, H))))

        def step(self, x: Tensor, state: Any) -> Any:
            c, h = state
            factor = 0.5 if type(state) is tuple else 2.0
            new = tanh(x + c + h @ self.W.T) * factor
            return (c, new) if type(state) is tuple else Named(c, new) if isinstance(state, Named) else [c, new]

    Pairs.pure_step = True
    cell = Pairs()
    first = unroll(cell, XS)[0].numpy()
    for kind in (list, Named._make):
        other = unroll(cell, XS, kind(cell.initial_state(2)))[0].numpy()
        assert not np.allclose(first, other)
        np.testing.assert_array_equal(unroll(cell, XS)[0].numpy(), first)


def test_states_of_a_named_tuple_of_ones_own_are_compiled_and_traced_once(traced: list[int]) -> None:
    class Gated(Scaled):
        def initial_state(self, batch: int) -> Any:
            return Named(Tensor(np.zeros((batch, H))), Tensor(np.ones((batch, H))))

        def step(self, x: Tensor, state: Any) -> Any:
            return state._replace(c=state.c * 0.5 + x, h=tanh(state.c + state.h @ self.W.T))

    Gated.pure_step = True
    cell = Gated()
    for _ in range(3):
        np.testing.assert_allclose(outcome(cell, compiled)[0], outcome(cell, plainly)[0], rtol=1e-12)
    assert traced == [1]


def test_a_trace_for_a_tensor_is_none_for_a_parameter(traced: list[int]) -> None:
    cell, h_0 = kind(lambda self, x, h: tanh(x + h @ self.W.T) * (0.5 if type(h) is Tensor else 2.0))(), np.full((2, H), 0.1)
    for state in (Tensor(h_0), Parameter(h_0), Tensor(h_0)):
        hs, _ = unroll(cell, XS, state)
        np.testing.assert_allclose(hs.numpy()[0], cell.step(Tensor(XS[0]), state).numpy(), rtol=1e-12)
    assert traced == [1, 1]  # of which the second has ended: the loop was run step by step


@pytest.mark.parametrize("make", [RNN, GatedRNN, GRU, LSTM])
@pytest.mark.parametrize("method", ["step", "recur"])
def test_what_the_cells_of_minigrad_read_is_known(make: Any, method: str) -> None:
    cell = make(H, 4)
    assert Assumptions(cell, [method]).hold(cell)


def test_a_cell_is_freed_though_its_step_is_remembered() -> None:
    cell = Scaled()
    compiled(cell)
    gone = weakref.ref(cell)
    gc.disable()
    try:
        del cell
        assert gone() is None
    finally:
        gc.enable()


class Slotted:
    """Attributes that are not in a dict."""

    __slots__ = ("scale",)


class Listed(list[int]):
    """A list with attributes."""


class Chosen(np.random.Generator):
    """A generator with attributes."""


@pytest.mark.parametrize("owner", [Slotted(), (1, 2), Listed(), Chosen(np.random.PCG64(0))], ids=lambda one: type(one).__name__)
def test_an_object_that_holds_more_than_attributes_is_not_known(owner: Any) -> None:
    with pytest.raises(Unknown):
        Assumptions(owner, ["step"])
