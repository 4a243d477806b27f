"""A tensor as a Python object: how it is made, shown, compared, copied, and never quietly turned into a bare array."""

import copy
import math
import operator
import pickle
import re

import numpy as np
import pytest

import minigrad as mg
from minigrad import Module, Parameter, Tensor, no_grad, time_step
from minigrad.errors import ConversionError, DTypeError, GraphError, ShapeError


def leaf(*shape, seed=0, name=None):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True, name=name)


# ---------------------------------------------------------------- made of what


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.0, np.float64, ()),
        (1, np.int64, ()),
        (True, np.bool_, ()),
        ([1.0, 2], np.float64, (2,)),
        ([[1, 2], [3, 4]], np.int64, (2, 2)),
        ([], np.float64, (0,)),
        (np.float32(1), np.float32, ()),
        (np.ones((2, 0), np.float16), np.float16, (2, 0)),
        (np.array([1, 2], np.uint8), np.uint8, (2,)),
        (range(3), np.int64, (3,)),
        (Tensor([1.0, 2.0], dtype=np.float32), np.float32, (2,)),
        ([Tensor(1.0), Tensor(2.0)], np.float64, (2,)),
        (np.arange(6.0)[::-2], np.float64, (3,)),
        (np.broadcast_to(1.0, (2, 3)), np.float64, (2, 3)),
        (np.arange(3.0).astype(">f8"), np.float64, (3,)),
    ],
    ids=str,
)
def test_a_tensor_is_made_of_numbers_and_keeps_their_dtype(data, dtype, shape):
    t = Tensor(data)
    assert (t.dtype, t.shape, t.ndim, t.size) == (dtype, shape, len(shape), math.prod(shape))
    assert type(t._array) is np.ndarray
    assert t._array.flags.owndata
    assert t._array.dtype.isnative


@pytest.mark.parametrize("data", [1j, [1.0, 2j], np.ones(2, complex)], ids=str)
def test_complex_numbers_are_refused(data):
    with pytest.raises(DTypeError, match="expected real numbers, got complex ones"):
        Tensor(data)


@pytest.mark.parametrize(
    "data",
    [None, "abc", b"abc", ["a", "b"], object(), {1.0: 2.0}, {1.0}, [None, 1.0], np.array(["x"]), np.datetime64("2020-01-01"),
     np.array([1, None]), lambda: 1, Exception, np.zeros(2, [("a", float)])],
    ids=lambda data: re.sub("0x.*", "", str(data)),
)  # fmt: skip
def test_what_is_no_number_is_refused_by_name(data):
    with pytest.raises((DTypeError, ShapeError), match="Tensor: expected"):
        Tensor(data)


@pytest.mark.parametrize("data", [[[1.0], [1.0, 2.0]], [1.0, [2.0]], [np.ones(2), np.ones(3)]], ids=str)
def test_a_ragged_list_is_refused(data):
    with pytest.raises(ShapeError, match="expected numbers or evenly nested lists of numbers"):
        Tensor(data)


@pytest.mark.parametrize("dtype", ["nonsense", complex, object, "U3", 3])
def test_a_dtype_that_is_none_or_not_real_is_refused(dtype):
    with pytest.raises(DTypeError, match="Tensor: expected"):
        Tensor([1.0], dtype=dtype)


def test_an_integer_too_large_for_any_dtype_is_refused():
    with pytest.raises((DTypeError, ShapeError), match="Tensor: expected"):
        Tensor(10**30)


def test_a_tensor_made_of_one_that_needs_a_gradient_is_refused_with_advice():
    for data in (leaf(2), [leaf(2), leaf(2)], [[leaf(), leaf()]], [leaf(), 1.0], [leaf(1), [1.0]]):
        with pytest.raises(ConversionError, match=r"use .*\.detach\(\)"):
            Tensor(data)


def test_a_name_that_is_no_string_is_refused():
    for name in (3, b"x", ["x"]):
        with pytest.raises(DTypeError, match="name: expected a string or None"):
            Tensor([1.0], name=name)
        with pytest.raises(DTypeError, match="name: expected a string or None"):
            Tensor([1.0]).named(name)


def test_the_mathematical_properties_cannot_be_assigned():
    t = leaf(2)
    for name in ("shape", "dtype", "ndim", "size", "T", "node", "is_leaf", "nonsense"):
        with pytest.raises(AttributeError):
            setattr(t, name, None)


# ---------------------------------------------------------------- never quietly a bare array


CONVERSIONS = {
    "out[t] = h": lambda h: np.zeros((3, 2)).__setitem__(0, h),
    "out[...] = h": lambda h: np.zeros((3, 2)).__setitem__(..., h),
    "out[t, :] = h": lambda h: np.zeros((3, 2)).__setitem__((0, slice(None)), h),
    "out[mask] = h": lambda h: np.zeros((3, 2)).__setitem__(np.array([True, False, False]), h),
    "out[indices] = h": lambda h: np.zeros((3, 2)).__setitem__([0, 1], h),
    "out[t, k] = scalar": lambda h: np.zeros((3, 2)).__setitem__((0, 0), h[0]),
    "out[t] = entry of one": lambda h: np.zeros(3).__setitem__(0, h[:1]),
    "float32 out[t] = h": lambda h: np.zeros((3, 2), np.float32).__setitem__(0, h),
    "object out[t] = h": lambda h: np.zeros((3, 2), object).__setitem__(0, h),
    "out.flat = h": lambda h: np.zeros((3, 2)).flat.__setitem__(slice(0, 2), h),
    "out.fill(scalar)": lambda h: np.zeros(2).fill(h[0]),
    "out += h": lambda h: np.zeros((3, 2)).__iadd__(h),
    "out @= h": lambda h: np.zeros((2, 2)).__imatmul__(h[None]),
    "np.add(out=)": lambda h: np.add(h, 1.0, out=np.zeros(2)),
    "np.copyto": lambda h: np.copyto(np.zeros(2), h),
    "np.put": lambda h: np.put(np.zeros(2), [0], h),
    "np.asarray": np.asarray,
    "np.array": np.array,
    "np.array(dtype)": lambda h: np.array(h, dtype=np.float32),
    "np.asanyarray": np.asanyarray,
    "np.ascontiguousarray": np.ascontiguousarray,
    "np.array of a list": lambda h: np.array([h, h]),
    "np.array of nested lists": lambda h: np.array([[h, h], [h, h]]),
    "np.array of scalars": lambda h: np.array([h[0], h[1]]),
    "np.array of numbers and scalars": lambda h: np.array([1.0, h[0]]),
    "np.array of objects": lambda h: np.array([h, h], dtype=object),
    "np.asarray of a tuple": lambda h: np.asarray((h, np.ones(2))),
    "np.fromiter": lambda h: np.fromiter((h[k] for k in range(2)), float),
    "np.float64": lambda h: np.float64(h[0]),
    "float": lambda h: float(h[0]),
    "int": lambda h: int(h[0]),
    "complex": lambda h: complex(h[0]),
    "math.exp": lambda h: math.exp(h[0]),
    "math.floor": lambda h: math.floor(h[0]),
    "out -= h": lambda h: np.zeros(2).__isub__(h),
    "np.vectorize": lambda h: np.vectorize(lambda x: x)(h),
    "np.save": lambda h: np.save("/dev/null", h),
    "np.savetxt": lambda h: np.savetxt("/dev/null", h),
    "np.random.shuffle": lambda h: np.random.default_rng(0).permutation(h),
    "np.testing": lambda h: np.testing.assert_allclose(h, [0.0, 0.0]),
    "Tensor": lambda h: Tensor(h),
    "set data": lambda h: setattr(leaf(2), "data", h),
    "set grad": lambda h: setattr(leaf(2), "grad", h),
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("kind", ["leaf", "result"])
def test_a_tensor_that_needs_a_gradient_never_quietly_becomes_a_bare_array(convert, kind):
    h = leaf(2) if kind == "leaf" else leaf(2) * 1.0
    with pytest.raises((ConversionError, ValueError)) as refusal:
        convert(h)
    error = refusal.value if isinstance(refusal.value, ConversionError) else refusal.value.__cause__
    assert isinstance(error, ConversionError)  # for an entry of a float array, NumPy raises its own error from ours
    assert re.search(r"stack|detach\(\)|item\(\)|numpy\(\)|returned tensor", str(error))


def test_numpy_refuses_the_conversions_in_which_it_does_not_pass_our_error_on():
    h = leaf(2)
    with pytest.raises(ValueError, match="Error setting single item of array"):
        np.zeros(2).flat[0] = h[0]
    with pytest.raises(TypeError, match="WRITEBACKIFCOPY"):
        np.nditer(h)


def test_assigning_into_an_array_says_collect_in_a_list_and_stack():
    out, h = np.zeros((3, 2)), leaf(2)
    with pytest.raises(ConversionError, match=r"this was out\[t\] = h, collect the h in a list and use minigrad\.stack"):
        out[0] = h
    assert not out.any()


def test_float_says_item():
    with pytest.raises(ConversionError, match=r"float\(\): this tensor needs a gradient, .* use \.item\(\)"):
        float(leaf())
    assert leaf().item() == leaf().numpy()


def test_a_tensor_without_gradient_converts_freely_to_a_copy():
    t = Tensor([1.0, 2.0])
    out = np.zeros((2, 2))
    out[0] = t
    out[1, 0] = t[1]
    np.testing.assert_array_equal(out, [[1.0, 2.0], [2.0, 0.0]])
    array = np.asarray(t)
    array[0] = 9.0
    np.testing.assert_array_equal(t.numpy(), [1.0, 2.0])
    assert np.asarray(t, dtype=np.float32).dtype == np.float32
    assert np.array([t, t]).shape == (2, 2)
    assert (float(t[0]), int(t[1]), math.exp(Tensor(0.0))) == (1.0, 2, 1.0)
    with no_grad():
        assert np.asarray(leaf(2) * 1.0).shape == (2,)


def test_a_conversion_without_a_copy_is_refused():
    with pytest.raises(ValueError, match="copy"):
        np.asarray(Tensor([1.0]), copy=False)


def test_float_int_and_item_of_several_entries_are_refused():
    t = Tensor([1.0, 2.0])
    for convert in (float, int, Tensor.item):
        with pytest.raises(ShapeError, match=r"item: expected exactly one entry, got shape \(2,\)"):
            convert(t)


def test_an_integer_tensor_is_an_index_and_a_float_one_is_not():
    assert [10, 20, 30][Tensor(1)] == 20
    assert list(range(Tensor(3))) == [0, 1, 2]
    with pytest.raises(DTypeError, match="index: expected an integer tensor, got dtype float64"):
        [1, 2][Tensor(1.0)]
    with pytest.raises(ShapeError):
        [1, 2][Tensor([0, 1])]


# ---------------------------------------------------------------- truth, comparison, membership, length, iteration


def test_the_truth_of_one_entry_is_defined_and_of_several_or_none_it_is_an_error():
    assert Tensor(2.0)
    assert not Tensor([[0.0]])
    assert leaf(1)
    for shape in ((2,), (0,), (2, 2)):
        with pytest.raises(ShapeError, match=r"bool: a tensor of shape .* is neither true nor false; use np\.any"):
            bool(Tensor(np.zeros(shape)))


def test_comparisons_go_entry_by_entry_and_give_booleans_without_gradient():
    x = leaf(3)
    for compared in (x > 0, x >= 0, x < 0.0, x <= 0, x == x, x != 1, x > x.numpy(), x.numpy() >= x, np.float64(0) < x):
        assert isinstance(compared, Tensor)
        assert compared.dtype == np.bool_
        assert not compared.requires_grad
    np.testing.assert_array_equal((x > 0).numpy(), x.numpy() > 0)
    np.testing.assert_array_equal(operator.gt(0, x).numpy(), x.numpy() < 0)
    with pytest.raises(ShapeError, match="cannot be broadcast"):
        x == Tensor([1.0, 2.0])  # noqa: B015


@pytest.mark.parametrize("other", [None, "abc", object(), 1j, {}], ids=lambda other: type(other).__name__)
def test_equality_with_something_that_is_no_number_is_false_and_order_is_an_error(other):
    x = leaf(2)
    assert (x == other) is False
    assert (x != other) is True
    assert (other == x) is False
    with pytest.raises(TypeError):
        x < other  # noqa: B015


def test_tensors_hash_by_identity():
    first, second = Tensor([1.0]), Tensor([1.0])
    assert hash(first) == hash(first)
    assert len({first, second, first}) == 2
    assert {first: "a"}[first] == "a"
    assert second not in {first}


def test_membership_in_a_list_finds_the_same_object():
    x, y = leaf(3), leaf(3)
    assert x in [x, y]
    assert [x, y].index(x) == 0
    assert None not in [x]
    with pytest.raises(ShapeError, match="neither true nor false"):
        y in [x]  # noqa: B015
    assert Tensor(1.0) in [Tensor(2.0), Tensor(1.0)]


def test_membership_in_a_tensor_looks_at_its_entries():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert 3.0 in x
    assert 5.0 not in x
    assert None not in x
    assert 1.0 not in Tensor(np.zeros((0, 2)))
    assert leaf(2).numpy()[1] in leaf(2)


def test_the_length_is_that_of_the_first_axis():
    assert len(Tensor(np.zeros((3, 4)))) == 3
    assert len(Tensor([])) == 0
    with pytest.raises(ShapeError, match=r"len: a tensor of shape \(\) has no length"):
        len(Tensor(1.0))


def test_iteration_gives_the_rows_with_their_gradients():
    x = leaf(3, 2)
    first, second, third = x
    (first * 1.0 + second * 2.0 + third * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [[1, 1], [2, 2], [3, 3]])
    assert list(Tensor(np.zeros((0, 2)))) == []
    with pytest.raises(ShapeError, match=r"iteration: a tensor of shape \(\) cannot be iterated over"):
        iter(Tensor(1.0))
    assert [row.item() for row in reversed(Tensor([1.0, 2.0]))] == [2.0, 1.0]
    assert [(k, row.item()) for k, row in enumerate(Tensor([1.0, 2.0]))] == [(0, 1.0), (1, 2.0)]


# ---------------------------------------------------------------- operands of other kinds


OTHERS = [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), [1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), np.array(2.0)]


@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_numbers_arrays_and_lists_on_either_side_record(other):
    x = leaf(2)
    x.data[...] = [0.5, 1.5]
    a, b = x.numpy(), np.asarray(other, dtype=np.float64)
    pairs = [
        (x + other, a + b), (other + x, b + a), (x - other, a - b), (other - x, b - a), (x * other, a * b), (other * x, b * a),
        (x / other, a / b), (other / x, b / a), (x**other, a**b), (other**x, b**a),
    ]  # fmt: skip
    for y, expected in pairs:
        assert isinstance(y, Tensor)
        assert y.requires_grad
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-15)


def test_a_list_times_a_matrix_records():
    W = leaf(2, 3)
    y = [[1.0, 2.0]] @ W
    np.testing.assert_allclose(y.numpy(), [[1.0, 2.0]] @ W.numpy())
    assert y.requires_grad


def test_the_builtin_sum_records():
    x = leaf(3)
    sum([x * 1.0, x * 2.0]).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 3.0, 3.0])


@pytest.mark.parametrize(
    "other",
    [None, "abc", object(), 1j, {}, np.array(["a"]), np.array([1j, 2j]), [None]],
    ids=lambda other: type(other).__name__,
)
def test_an_operand_that_is_no_real_number_is_refused_by_name(other):
    x = leaf(2)
    for operate in (lambda: x + other, lambda: x @ other, lambda: x**other):
        with pytest.raises(DTypeError, match=r"(add|matmul|pow): expected a Tensor, a real number or an array of"):
            operate()


def test_an_operator_that_tensors_do_not_have_is_a_type_error():
    x = leaf(2)
    for operate in (operator.floordiv, operator.mod, divmod, operator.and_, operator.lshift, round):
        with pytest.raises(TypeError):
            operate(x, 2)


# ---------------------------------------------------------------- shown


def test_the_repr_shows_shape_dtype_operation_time_step_and_name():
    x = Tensor([[1.0, 2.0]], requires_grad=True, name="x")
    with time_step(3):
        h = mg.tanh(x).named("h")
    assert repr(x) == "Tensor([[1., 2.]], shape=(1, 2), dtype=float64, requires_grad=True, name='x')"
    assert repr(h) == "Tensor([[0.7616, 0.964 ]], shape=(1, 2), dtype=float64, op=tanh, time=3, name='h')"
    assert repr(Tensor(1)) == "Tensor(1, shape=(), dtype=int64)"
    assert str(Tensor([True])) == "Tensor([ True], shape=(1,), dtype=bool)"


@pytest.mark.parametrize("shape", [(1_000_000,), (1000, 1000), (3,) * 12, (0, 5), (1,) * 20, (50, 1), (1, 50), (2, 2, 500)])
def test_the_repr_never_floods_the_terminal(shape):
    text = repr(Tensor(np.zeros(shape)).named("a" * 30))
    assert len(text) < 1500
    assert text.count("\n") < 40


@pytest.mark.parametrize("shape", [(3, 6), (10, 2), (2, 5, 2)])
def test_the_repr_of_few_rows_shows_every_entry(shape):
    values = np.arange(math.prod(shape)).reshape(shape)
    shown = repr(Tensor(values))
    assert "..." not in shown
    assert [int(word) for word in re.findall(r"\d+", shown.partition("shape")[0])] == values.ravel().tolist()
    assert "..." in repr(Tensor(np.zeros((11, 1))))


def test_the_repr_does_not_depend_on_numpys_print_options():
    with np.printoptions(threshold=10**9, edgeitems=10**6, linewidth=10**6, precision=17):
        assert len(repr(Tensor(np.linspace(0, 1, 10_000)))) < 300


def test_the_repr_of_a_node_says_what_and_where():
    with mg.scope("lstm"), time_step(2):
        f = mg.sigmoid(leaf(2, 3)).named("f")
    assert repr(f.node) == "<sigmoid 'f' (2, 3) float64 in lstm at time step 2>"
    assert repr(leaf(2, name="W").node) == "<leaf 'W' (2,) float64>"


def test_format_specifications_apply_to_one_entry_and_are_refused_for_several():
    loss = (leaf(3) ** 2.0).sum()
    assert f"{loss:.3f}" == f"{loss.item():.3f}"
    assert f"{Tensor([[2]]):03d}" == "002"
    assert f"{loss}" == str(loss)
    assert f"{leaf(3)}" == str(leaf(3))
    with pytest.raises(ShapeError, match=r"format: '\.3f' is for one number, got a tensor of shape \(3,\)"):
        f"{leaf(3):.3f}"


# ---------------------------------------------------------------- copied and pickled


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": lambda t, n=n: pickle.loads(pickle.dumps(t, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_leaf_has_its_values_gradient_name_and_wish_for_gradients_and_shares_nothing(duplicate):
    x = Tensor(np.arange(6.0).reshape(2, 3).T, requires_grad=True, name="x", dtype=np.float32)
    (x * 2.0).sum().backward()
    x.register_hook(lambda g: 1 / 0)
    twin = duplicate(x)
    assert (type(twin), twin.name, twin.requires_grad, twin.dtype, twin.is_leaf) == (Tensor, "x", True, np.float32, True)
    np.testing.assert_array_equal(twin.numpy(), x.numpy())
    np.testing.assert_array_equal(twin.grad, x.grad)
    assert not np.shares_memory(twin.data, x.data)
    assert not np.shares_memory(twin.grad, x.grad)
    (twin * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((3, 2), 2.0))
    np.testing.assert_array_equal(twin.grad, np.full((3, 2), 5.0))


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_constant_or_a_parameter_is_one(duplicate):
    constant, parameter = duplicate(Tensor([1, 2])), duplicate(Parameter([1.0], name="b"))
    assert (constant.requires_grad, constant.node, constant.dtype) == (False, None, np.int64)
    assert (type(parameter), parameter.requires_grad, parameter.name, parameter.grad) == (Parameter, True, "b", None)
    frozen = Parameter([1.0])
    frozen.requires_grad = False
    assert not duplicate(frozen).requires_grad


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_result_cannot_be_copied_with_its_history_and_the_error_says_detach(duplicate):
    h = mg.tanh(leaf(2))
    with pytest.raises(GraphError, match=r"a result \(of 'tanh'\) cannot be copied, .* with its history; use \.detach\(\)"):
        duplicate(h)
    np.testing.assert_array_equal(duplicate(h.detach()).numpy(), h.numpy())
    with no_grad():
        np.testing.assert_array_equal(duplicate(mg.tanh(leaf(2))).numpy(), h.numpy())


class Labelled(Tensor):
    """A tensor with something more to remember."""

    def __init__(self, data, label):
        super().__init__(data)
        self.label = label


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
def test_a_copy_of_a_subclass_keeps_its_class_and_its_attributes(duplicate):
    twin = duplicate(Labelled([1.0], ["a"]))
    assert (type(twin), twin.label, twin.item()) == (Labelled, ["a"], 1.0)


def test_a_deep_copy_keeps_one_tensor_that_is_used_twice_one():
    x = leaf(2)
    first, second = copy.deepcopy([x, x])
    assert first is second
    again = pickle.loads(pickle.dumps([x, x]))
    assert again[0] is again[1]


def test_a_module_can_be_copied_and_pickled():
    class Affine(Module):
        def __init__(self):
            self.W = Parameter(np.eye(2), name="W")
            self.tied = self.W

    twin = copy.deepcopy(Affine())
    assert twin.W is twin.tied
    assert twin.W.requires_grad


def test_detach_shares_the_values_and_has_no_history():
    x = leaf(3, name="x")
    for tensor in (x, x * 2.0):
        d = tensor.detach()
        assert (d.requires_grad, d.node, d.is_leaf, d.name) == (False, None, True, None)
        np.testing.assert_array_equal(d.numpy(), tensor.numpy())
        assert np.shares_memory(d.data, tensor.data)
    y = (x * x.detach()).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad, x.numpy())
