"""Module and Parameter: which parameters there are, under which names, and loading all or nothing."""

from collections import deque
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
from interrupting import interrupts

from minigrad import Module, Parameter, Tensor
from minigrad.checkpoint.random_state import random_state
from minigrad.errors import ArgumentError


class Affine(Module):
    def __init__(self, m=2, n=3):
        self.W = Parameter(np.ones((m, n)))
        self.b = Parameter(np.zeros(m))


class Model(Module):
    def __init__(self):
        self.layers = [Affine(), Affine(1, 2)]
        self.by_name = {"head": Affine(), "scale": Parameter([2.0])}
        self.tied = self.layers[0].W
        self.rate = 0.1
        self.constant = Tensor([1.0])
        self.pair = (Parameter([3.0]), None)


NAMES = [
    "layers.0.W", "layers.0.b", "layers.1.W", "layers.1.b", "by_name.head.W", "by_name.head.b", "by_name.scale", "pair.0",
]  # fmt: skip


def test_parameters_are_found_in_attributes_lists_tuples_and_dicts_each_once_in_order():
    model = Model()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert len(model.parameters()) == 8
    assert model.parameters()[0] is model.tied


def test_modules_gives_the_module_and_all_in_it():
    model = Model()
    assert list(model.modules()) == [model, *model.layers, model.by_name["head"]]


def test_train_and_eval_switch_all_modules_and_return_the_module():
    model = Model()
    assert model.training
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    model.train()
    assert all(module.training for module in model.modules())


def test_zero_grad_clears_every_gradient_also_of_frozen_parameters():
    model = Affine()
    (model.W * 2.0).sum().backward()
    model.W.requires_grad = False
    model.zero_grad()
    assert model.W.grad is None


def test_a_state_dict_is_a_copy_and_loads_back():
    model, other = Model(), Model()
    saved = model.state_dict()
    saved["pair.0"][:] = 7.0
    assert model.pair[0].item() == 3.0
    other.load_state_dict(saved)
    assert other.pair[0].item() == 7.0
    saved["pair.0"][:] = 9.0
    assert other.pair[0].item() == 7.0


def test_loading_keeps_the_dtype_of_the_parameter():
    model = Affine()
    model.load_state_dict({"W": np.full((2, 3), 2, np.int32), "b": np.ones(2, np.float32)})
    assert model.W.dtype == model.b.dtype == np.float64


def test_loading_lists_all_problems_and_changes_nothing():
    model = Affine()
    with pytest.raises(ArgumentError) as error:
        model.load_state_dict({"W": np.zeros((3, 2)), "b": np.array(["x", "y"]), "c": 1.0})
    assert str(error.value) == (
        "load_state_dict: nothing was loaded; W: expected shape (2, 3), got (3, 2); b: expected numbers, got dtype <U1; "
        "unknown: c"
    )
    with pytest.raises(ArgumentError, match="missing: b"):
        model.load_state_dict({"W": np.zeros((2, 3))})
    np.testing.assert_array_equal(model.W.numpy(), np.ones((2, 3)))


@pytest.mark.parametrize("state", [None, [1, 2], "W", 3.0])
def test_loading_what_is_no_mapping_is_refused(state):
    with pytest.raises(ArgumentError, match=r"load_state_dict: expected the arrays by name that state_dict\(\) returned, got"):
        Affine().load_state_dict(state)


def test_loading_names_what_is_no_array_and_keys_that_are_no_text():
    with pytest.raises(ArgumentError) as error:
        Affine().load_state_dict({"W": [[1, 2, 3], [4]], "b": np.ones(2), 7: 1.0})
    assert str(error.value) == (
        "load_state_dict: nothing was loaded; W: expected numbers or evenly nested lists of numbers, got [[1, 2, 3], [4]]; "
        "unknown: 7"
    )


def test_an_interrupt_while_loading_loads_everything_or_nothing():
    model, fresh = Affine(), {"W": np.full((2, 3), 5.0), "b": np.full(2, 7.0)}
    before = model.state_dict()
    for moment in interrupts(lambda: model.load_state_dict(fresh)):
        now = model.state_dict()
        assert any(all((now[name] == state[name]).all() for name in now) for state in (before, fresh)), moment
        model.W.data, model.b.data = before["W"], before["b"]
    np.testing.assert_array_equal(model.W.numpy(), fresh["W"])


def test_values_saved_by_an_earlier_operation_are_not_changed_by_loading():
    model = Affine()
    loss = (model.W * model.W).sum()
    model.load_state_dict({"W": np.full((2, 3), 5.0), "b": np.ones(2)})
    loss.backward()
    np.testing.assert_array_equal(model.W.grad, np.full((2, 3), 2.0))


def test_modules_that_refer_to_each_other_are_each_visited_once():
    first, second = Affine(), Affine()
    first.other, second.other = second, first
    assert [name for name, _ in first.named_parameters()] == ["W", "b", "other.W", "other.b"]
    assert list(first.modules()) == [first, second]


def test_the_repr_names_the_parameters_and_their_shapes():
    assert repr(Affine()) == "Affine(W (2, 3), b (2,))"


def test_a_parameter_is_a_leaf_that_needs_a_gradient_and_stays_one():
    p = Parameter([1.0], name="p", dtype=np.float32)
    assert (p.requires_grad, p.is_leaf, p.name, p.dtype) == (True, True, "p", np.float32)
    assert type(p * 2.0) is Tensor
    assert type(p.detach()) is Tensor


class PlainCell:
    """A cell that is no Module, with parameters in an object within."""

    def __init__(self):
        self.W = Parameter([[0.5]])
        self.gate = SimpleNamespace(b=Parameter([0.1]), inner=Affine())


class Slotted:
    __slots__ = ("W", "__hidden", "unset")

    def __init__(self):
        self.W, self.__hidden = Parameter([1.0]), Parameter([2.0])


class SlottedModule(Module):
    __slots__ = ("kept",)

    def __init__(self):
        self.kept = Parameter([1.0])


def names_of(**attributes):
    module = Module()
    vars(module).update(attributes)
    return [name for name, _ in module.named_parameters()]


@pytest.mark.parametrize(
    ("held", "names"),
    [
        (PlainCell(), ["x.W", "x.gate.b", "x.gate.inner.W", "x.gate.inner.b"]),
        (Slotted(), ["x.W", "x._Slotted__hidden"]),
        (SlottedModule(), ["x.kept"]),
        (Tensor([1.0], requires_grad=True), ["x"]),
        (deque([Affine(), 3]), ["x.0.W", "x.0.b"]),
        (MappingProxyType({"a": Parameter([1.0])}), ["x.a"]),
        ({"a": Parameter([1.0])}.values(), ["x.0"]),
        ([[PlainCell().gate]], ["x.0.0.b", "x.0.0.inner.W", "x.0.0.inner.b"]),
        ({"a": {"b": (Parameter([1.0]),)}}, ["x.a.b.0"]),
        (Tensor([1.0]), []),
        (Tensor([1.0], requires_grad=True) * 2, []),
        (range(10**12), []),
        (np, []),
        ({1, 2}, []),
    ],
)
def test_parameters_are_found_wherever_an_attribute_keeps_them(held, names):
    assert names_of(x=held) == names


def test_parameters_of_the_class_are_found_and_those_of_the_instance_take_their_place():
    class Shared(Module):
        W = Parameter([1.0])
        part = Affine()
        rule = staticmethod(np.tanh)

    shared = Shared()
    assert [name for name, _ in shared.named_parameters()] == ["W", "part.W", "part.b"]
    own = shared.W = Parameter([2.0])
    assert next(iter(shared.parameters())) is own


@pytest.mark.parametrize("kind", [set, frozenset])
@pytest.mark.parametrize("part", [Parameter([1.0]), Affine()])
def test_a_set_with_a_part_in_it_is_refused_by_its_path(kind, part):
    with pytest.raises(ArgumentError, match=rf"layers.weights is a {kind.__name__}, whose order is not fixed; keep"):
        names_of(layers={"weights": kind([part])})


@pytest.mark.parametrize(
    ("attributes", "path"),
    [
        ({"x": {"a.b": Parameter([1.0]), "a": {"b": Parameter([2.0])}}}, "x.a.b"),
        ({"x": {1: Parameter([1.0]), "1": Parameter([2.0])}}, "x.1"),
        ({"x": {1: Affine(), "1": Affine()}}, "x.1"),
    ],
)
def test_two_parts_with_one_path_are_refused(attributes, path):
    with pytest.raises(ArgumentError, match=rf"two parts have the path '{path}'"):
        names_of(**attributes)


def test_one_part_that_is_reached_on_two_ways_is_no_collision():
    W = Parameter([1.0])
    assert names_of(x={"a.b": W, "a": {"b": W}}) == ["x.a.b"]


def test_a_module_inside_of_a_plain_object_is_switched_and_found():
    module = Module()
    module.cell = PlainCell()
    module.eval()
    assert not module.cell.gate.inner.training
    assert [name for name, _ in module.named_modules()] == ["", "cell.gate.inner"]


def test_lists_and_objects_that_hold_themselves_are_looked_through_once():
    held = [Parameter([1.0])]
    held.append(held)
    plain = SimpleNamespace(held=held)
    plain.itself = plain
    assert names_of(x=plain) == ["x.held.0"]


def test_random_numbers_of_plain_objects_are_saved_too():
    module = Module()
    module.noise = SimpleNamespace(rng=np.random.default_rng(0))
    module.shared = [module.noise.rng]
    assert list(random_state(module)) == ["noise.rng", "shared.0"]


def test_calling_a_module_calls_its_forward():
    class Doubled(Affine):
        def forward(self, x, *, times=2.0):
            return x * times

    assert Doubled()(3.0) == 6.0
    assert Doubled()(3.0, times=4.0) == 12.0
    with pytest.raises(ArgumentError, match="Affine was called, and it has no method forward; define forward"):
        Affine()(3.0)
