"""Gradients add up, over consumers, over calls and over outputs, and arrive in arrays that nothing else refers to."""

import itertools
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, grad, no_grad, time_step
from minigrad.errors import DTypeError, GraphError, ShapeError


def leaf(*shape, seed=0, name=None):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True, name=name)


# ---------------------------------------------------------------- over calls


def test_gradients_accumulate_over_calls_and_double_exactly():
    x = leaf(4, 3)
    mg.tanh(x * 3.0).sum().backward()
    once = x.grad.copy()
    mg.tanh(x * 3.0).sum().backward()
    assert x.grad.tobytes() == (once * 2).tobytes()
    mg.tanh(x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, once + once + once)


def test_retain_graph_lets_backward_run_again_and_the_gradient_doubles_exactly():
    x = leaf(4, 3)
    y = (mg.tanh(x) * x).sum()
    y.backward(retain_graph=True)
    once = x.grad.copy()
    y.backward(retain_graph=True)
    assert x.grad.tobytes() == (once * 2).tobytes()
    y.backward()
    with pytest.raises(GraphError, match="already released"):
        y.backward()


def test_clearing_the_gradient_starts_anew():
    x = leaf(3)
    (x * 2.0).sum().backward()
    x.grad = None
    assert x.grad is None
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 3.0, 3.0])


def test_a_gradient_can_be_set_and_later_ones_are_added_to_a_copy_of_it():
    x, given = leaf(3), np.array([1, 2, 3], np.float32)
    x.grad = given
    assert x.grad.dtype == np.float64
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(given, [1.0, 2.0, 3.0])


def test_setting_a_gradient_of_the_wrong_shape_or_kind_or_on_the_wrong_tensor_is_refused():
    x = leaf(3)
    with pytest.raises(ShapeError, match=r"grad: expected floating-point values of shape \(3,\)"):
        x.grad = [1.0, 2.0]
    with pytest.raises(ShapeError, match="int64"):
        x.grad = [1, 2, 3]
    for tensor in (Tensor([1.0]), x * 2.0):
        with pytest.raises(GraphError, match="requires_grad=True"):
            tensor.grad = [1.0]
        tensor.grad = None


def test_a_gradient_held_by_the_caller_is_not_changed_by_later_calls():
    x = leaf(3)
    (x * 2.0).sum().backward()
    held = x.grad
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(held, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(x.grad, [4.0, 4.0, 4.0])


# ---------------------------------------------------------------- over consumers


def test_a_leaf_used_many_times_gets_the_sum():
    x = leaf(2, 2)
    y = x
    for _ in range(9):
        y = y + x
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 2), 10.0))


def test_a_shared_node_is_passed_once_with_its_whole_gradient():
    x = leaf(3)
    h = mg.tanh(x)
    calls = []
    h.register_hook(lambda g: calls.append(g))
    (h * h + h / 2.0 - h).sum().backward()
    assert len(calls) == 1
    np.testing.assert_allclose(calls[0], 2 * h.numpy() - 0.5, rtol=1e-15)


def test_two_to_the_60_paths_take_linear_time():
    x = Tensor([1.0], requires_grad=True)
    y = x
    start = time.perf_counter()
    for _ in range(60):
        y = y + y
    y.backward()
    assert time.perf_counter() - start < 1.0
    assert x.grad[0] == 2.0**60
    assert len(mg.walk(y)) == 61


def test_operands_that_are_one_and_the_same_tensor_each_get_their_share():
    x = leaf(3)
    (x / x + x * x - x + (x - x)).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.numpy() - 1, atol=1e-15)


def test_every_operation_adds_to_what_is_there_and_never_replaces_it():
    x = leaf(3, 3)
    uses = [
        lambda t: t.reshape(-1), lambda t: t.T, lambda t: t[0], lambda t: t[[0, 0, 2]], lambda t: t[None, ..., 1:],
        lambda t: mg.concatenate([t, t]), lambda t: mg.stack([t, t]), lambda t: mg.split(t, 3)[1], lambda t: mg.unbind(t)[2],
        lambda t: t @ t, lambda t: t @ t.T, lambda t: t + 1.0, lambda t: 2.0 * t, lambda t: t.sum(axis=0),
        lambda t: t.mean(axis=1), lambda t: mg.broadcast_to(t, (2, 3, 3)), lambda t: mg.tanh(t), lambda t: -t,
    ]  # fmt: skip
    alone = []
    for use in uses:
        use(x).sum().backward()
        alone.append(x.grad)
        x.grad = None
    for first, second in itertools.product(range(len(uses)), repeat=2):
        (uses[first](x).sum() + uses[second](x).sum()).backward()
        np.testing.assert_allclose(x.grad, alone[first] + alone[second], rtol=1e-13, atol=1e-13)
        x.grad = None


# ---------------------------------------------------------------- several outputs


def test_an_output_that_feeds_another_gets_both_gradients():
    x = leaf(3)
    first = mg.tanh(x)
    second = (first * first).sum()
    (together,) = grad([first.sum(), second], x)
    np.testing.assert_allclose(together.numpy(), (1 + 2 * first.numpy()) * (1 - first.numpy() ** 2), rtol=1e-14)


def test_the_parts_of_a_split_each_send_their_gradient_home():
    x = leaf(4, 2)
    top, bottom = mg.split(x, 2)
    (top * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [[2, 2], [2, 2], [0, 0], [0, 0]])
    (bottom * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [[2, 2], [2, 2], [3, 3], [3, 3]])


def test_a_result_used_by_two_losses_needs_retain_graph_for_the_first():
    x, w = leaf(3, name="x"), leaf(3)
    h = mg.tanh(x)
    first, second = (h * w).sum(), (h * h).sum()
    first.backward(retain_graph=True)
    second.backward()
    expected = x.grad.copy()
    x.grad = w.grad = None
    h = mg.tanh(x)
    ((h * w).sum() + (h * h).sum()).backward()
    np.testing.assert_allclose(x.grad, expected, rtol=1e-15)


def test_going_through_a_part_that_another_loss_released_is_an_error_that_says_so_and_changes_nothing():
    x, w = leaf(3), leaf(3)
    h = mg.tanh(x)
    first, second = h.sum(), (h * w).sum()
    first.backward()
    before = x.grad.copy()
    with pytest.raises(GraphError, match=r"already released at <tanh \(3,\) float64>.*retain_graph=True"):
        second.backward()
    assert w.grad is None
    np.testing.assert_array_equal(x.grad, before)


def test_second_backward_without_retain_graph_is_an_error_that_says_so():
    x = leaf(3)
    y = (x * x).sum()
    y.backward()
    before = x.grad.copy()
    with pytest.raises(GraphError, match=r"backward: the graph was already released at .*retain_graph=True"):
        y.backward()
    np.testing.assert_array_equal(x.grad, before)


def test_a_graph_without_anything_saved_is_released_too():
    x = leaf(3)
    y = (x + x).sum()
    y.backward()
    with pytest.raises(GraphError, match="already released"):
        y.backward()


def test_grad_releases_what_it_passed_unless_told_otherwise():
    x = leaf(3)
    y = (x * x).sum()
    grad(y, x, retain_graph=True)
    grad(y, x)
    with pytest.raises(GraphError, match="already released"):
        grad(y, x)


def test_grad_up_to_a_result_does_not_need_or_release_what_is_before_it():
    x = leaf(3)
    h = mg.tanh(x)
    y = (h * h).sum()
    (dh,) = grad(y, h)
    np.testing.assert_array_equal(dh.numpy(), 2 * h.numpy())
    h.sum().backward()
    np.testing.assert_allclose(x.grad, 1 - h.numpy() ** 2)
    z = (h * 3.0).sum()
    np.testing.assert_array_equal(grad(z, h)[0].numpy(), [3.0, 3.0, 3.0])


def test_backward_of_a_leaf_gives_it_the_upstream_gradient():
    x = leaf(2)
    x.backward([3.0, 4.0])
    x.backward([3.0, 4.0])
    np.testing.assert_array_equal(x.grad, [6.0, 8.0])


def test_backward_works_under_no_grad_and_changes_neither_recording_nor_place():
    x = leaf(3)
    with time_step(2):
        y = mg.tanh(x).sum()
    with no_grad(), time_step(7):
        y.backward(retain_graph=True)
        (dx,) = grad(y, x, create_graph=True)
        assert not mg.is_recording()
        assert mg.current_place().time == 7
    assert dx.requires_grad
    assert dx.node.time == 2
    np.testing.assert_allclose(x.grad, dx.numpy())


def test_backward_through_a_released_part_that_needs_no_gradient_is_fine():
    x, w = leaf(3), leaf(3)
    h = mg.tanh(x)
    h.sum().backward()
    (h.detach() * w).sum().backward()
    np.testing.assert_array_equal(w.grad, h.numpy())


def test_a_leaf_that_nothing_reached_has_no_gradient_from_backward_and_zeros_from_grad():
    x, unused = leaf(3), leaf(2)
    (x * 2.0).sum().backward()
    assert unused.grad is None
    np.testing.assert_array_equal(grad((x * 2.0).sum(), [unused])[0].numpy(), [0.0, 0.0])


# ---------------------------------------------------------------- where backward starts


def test_backward_of_several_entries_needs_an_upstream_gradient():
    with pytest.raises(GraphError, match=r"shape \(3,\) has 3 entries; reduce it .* or pass the upstream gradient"):
        (leaf(3) * 2.0).backward()


def test_backward_of_no_entries_needs_an_upstream_gradient():
    x = leaf(0, 3)
    with pytest.raises(GraphError, match="0 entries"):
        (x * 2.0).backward()
    (x * 2.0).backward(np.ones((0, 3)))
    assert x.grad.shape == (0, 3)


def test_backward_of_one_entry_of_any_rank_starts_with_1():
    for shape in [(), (1,), (1, 1)]:
        x = leaf(*shape)
        (x * 2.0).backward()
        np.testing.assert_array_equal(x.grad, np.full(shape, 2.0))


@pytest.mark.parametrize("shape", [(2,), (3, 1), (1, 3), ()])
def test_an_upstream_gradient_of_the_wrong_shape_is_refused(shape):
    x = leaf(3)
    with pytest.raises(ShapeError, match=r"backward: expected an upstream gradient of shape \(3,\), got"):
        (x * 2.0).backward(np.ones(shape))
    assert x.grad is None


@pytest.mark.parametrize(
    "gradient", [np.ones(3, int), [1, 1, 1], np.ones(3, bool), [True, False, True], Tensor([1, 1, 1])], ids=str
)
def test_an_upstream_gradient_of_integers_or_booleans_is_refused(gradient):
    with pytest.raises(DTypeError, match="expected an upstream gradient of floating-point numbers, got dtype"):
        (leaf(3) * 2.0).backward(gradient)


@pytest.mark.parametrize(
    "gradient",
    [np.ones(3, complex), "abc", [1j, 0, 0], {"g": 1.0}, object(), ["a", "b", "c"]],
    ids=lambda gradient: type(gradient).__name__,
)
def test_an_upstream_gradient_of_the_wrong_kind_is_refused(gradient):
    with pytest.raises((DTypeError, ShapeError)):
        (leaf(3) * 2.0).backward(gradient)


def test_a_ragged_upstream_gradient_is_refused():
    with pytest.raises(ShapeError):
        (leaf(3) * 2.0).backward([[1.0], [1.0, 2.0], []])


def test_a_number_is_an_upstream_gradient_of_a_0_d_result():
    x = Tensor(2.0, requires_grad=True)
    (x * x).backward(3)
    (x * x).backward(np.float32(0.5))
    assert x.grad == 14.0


def test_an_upstream_gradient_of_another_float_dtype_is_converted():
    x = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    (x * x).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float32
    np.testing.assert_array_equal(x.grad, [2.0, 8.0])


def test_a_tensor_is_an_upstream_gradient():
    x, g = leaf(3), leaf(3, seed=1)
    (x * 2.0).backward(g)
    np.testing.assert_array_equal(x.grad, 2 * g.numpy())
    assert g.grad is None


def test_backward_of_something_that_was_not_recorded_is_an_error_that_says_why():
    constant = Tensor([1.0]) * 2.0
    with no_grad():
        unseen = leaf(1) * 2.0
    for tensor in (constant, unseen, Tensor([1.0]), leaf(1).detach(), Tensor([1.0], name="x")):
        with pytest.raises(GraphError, match="backward: nothing was recorded for this tensor"):
            tensor.backward()


# ---------------------------------------------------------------- ownership


ALIASES = {
    "add of two leaves": lambda x, w: x + w,
    "add to itself": lambda x, w: x + x + w,
    "reshape": lambda x, w: x.reshape(4) + w.reshape(4),
    "transpose": lambda x, w: x.T + w.T,
    "stack": lambda x, w: mg.stack([x, w, x]),
    "concatenate": lambda x, w: mg.concatenate([x, w]),
    "sum": lambda x, w: x.sum() + w.sum(axis=0) + w,
    "mean": lambda x, w: x.mean(axis=1, keepdims=True) + w,
    "broadcast": lambda x, w: mg.broadcast_to(x, (3, 2, 2)) + w,
    "getitem": lambda x, w: x[:] + w[0],
    "split": lambda x, w: mg.split(x, 1)[0] + w,
    "identity": lambda x, w: +x + w,
}


@pytest.mark.parametrize("function", ALIASES.values(), ids=ALIASES)
def test_a_leaf_gradient_is_owned_writable_and_unaliased_to_anything(function):
    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    y = function(x, w)
    y.retain_grad()
    kept = []
    x.register_hook(kept.append)
    w.register_hook(kept.append)
    upstream = np.random.default_rng(2).standard_normal(y.shape)
    y.backward(upstream, retain_graph=True)
    arrays = [x.grad, w.grad, y.grad, upstream, x.data, w.data, y.data, *kept]
    for first, second in itertools.combinations(arrays, 2):
        assert not np.shares_memory(first, second)
    for tensor in (x, w):
        assert type(tensor.grad) is np.ndarray
        assert tensor.grad.flags.owndata
        assert tensor.grad.flags.writeable
        assert all(stride for stride in tensor.grad.strides)
    expected = [x.grad.copy(), w.grad.copy()]
    x.grad[...] = np.nan
    x.grad = w.grad = None
    y.backward(upstream)
    np.testing.assert_array_equal(x.grad, expected[0])
    np.testing.assert_array_equal(w.grad, expected[1])


def test_an_upstream_gradient_that_the_caller_changes_later_does_not_change_the_gradient():
    x, upstream = leaf(3), np.ones(3)
    (x + 0.0).backward(upstream)
    upstream[:] = 7.0
    np.testing.assert_array_equal(x.grad, [1.0, 1.0, 1.0])
    g = Tensor([1.0, 1.0, 1.0])
    x.grad = None
    (x + 0.0).backward(g)
    g.data[:] = 7.0
    np.testing.assert_array_equal(x.grad, [1.0, 1.0, 1.0])


def test_an_upstream_gradient_of_stride_0_becomes_a_full_array():
    x = leaf(3, 4)
    (x + 0.0).backward(np.broadcast_to(np.float64(2), (3, 4)))
    assert x.grad.strides == (32, 8)
    x.grad[0, 0] = 5.0
    assert x.grad.sum() == 5.0 + 11 * 2.0


def test_the_results_of_grad_are_owned_too():
    x, w = leaf(2, 2), leaf(2, 2, seed=1)
    dx, dw = grad((x + w).sum(), [x, w])
    assert not np.shares_memory(dx.data, dw.data)
    dx.data[...] = 0.0
    np.testing.assert_array_equal(dw.numpy(), np.ones((2, 2)))


def test_grad_of_one_input_named_twice_gives_two_arrays():
    x = leaf(2)
    first, second = grad((x * 3.0).sum(), [x, x])
    assert not np.shares_memory(first.data, second.data)


def test_a_gradient_may_be_used_as_an_operand_and_changed_afterwards():
    x = leaf(3)
    (x * 2.0).sum().backward()
    y = (x * x.grad).sum()
    x.grad[:] = 100.0
    x.grad = None
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])


# ---------------------------------------------------------------- dtype


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_gradient_has_the_dtype_and_shape_of_its_variable(dtype):
    x = Tensor(np.ones((2, 1)), requires_grad=True, dtype=dtype)
    w = Tensor(np.ones((1, 3)), requires_grad=True, dtype=np.float64)
    ((x * w + x) @ w.T).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (dtype, (2, 1))
    assert (w.grad.dtype, w.grad.shape) == (np.float64, (1, 3))


@pytest.mark.parametrize("scalar", [2, 2.0, True, np.int64(2), np.float64(2), np.float32(2), np.bool_(True)], ids=repr)
def test_a_scalar_never_changes_the_dtype_of_a_tensor(scalar):
    x = Tensor([1.0, 2.0], requires_grad=True, dtype=np.float32)
    for y in (x * scalar, scalar * x, x + scalar, scalar - x, x / scalar, scalar / x, x**scalar):
        assert y.dtype == np.float32
        y.sum().backward()
    assert x.grad.dtype == np.float32


# ---------------------------------------------------------------- whether a gradient is wanted


def test_a_tensor_that_needs_no_gradient_gets_none_and_costs_no_graph():
    x, c = leaf(3), Tensor([1.0, 2.0, 3.0], name="c")
    y = x * c
    y.sum().backward()
    assert c.grad is None
    assert (c * 2.0).node is None
    assert [node.name for node in y.node.inputs] == [None, "c"]


def test_switching_requires_grad_off_stops_gradients_of_earlier_results_and_on_again_lets_them_through():
    x, w = leaf(3, name="x"), leaf(3, seed=1)
    y = (x * w).sum()
    x.requires_grad = False
    y.backward(retain_graph=True)
    assert x.grad is None
    assert (x * 2.0).node is None
    x.requires_grad = True
    y.backward()
    np.testing.assert_array_equal(x.grad, w.numpy())
    np.testing.assert_array_equal(w.grad, 2 * x.numpy())
    assert x.name == "x"


def test_switching_requires_grad_off_and_on_keeps_the_gradient_and_the_newest_name():
    x = leaf(3)
    (x * 2.0).sum().backward()
    x.requires_grad = False
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])
    x.name = "frozen"
    x.requires_grad = False
    x.requires_grad = True
    x.requires_grad = True
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])
    assert (x.name, x.node.name) == ("frozen", "frozen")


def test_switching_requires_grad_on_later_does_not_reach_what_was_recorded_before():
    x, w = Tensor([1.0, 2.0, 3.0], name="x"), leaf(3)
    y = (x**2.0 * w).sum() + (w**x).sum()
    x.requires_grad = True
    y.backward()
    assert x.grad is None
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])


def test_a_result_recorded_while_the_leaf_was_frozen_sends_it_nothing():
    x, w = leaf(3, name="x"), leaf(3, seed=1)
    x.requires_grad = False
    y = (w * w) ** x
    x.requires_grad = True
    y.sum().backward()
    assert x.grad is None
    assert w.grad is not None


def test_requires_grad_cannot_be_switched_off_on_a_result():
    y = leaf(3) * 2.0
    y.requires_grad = True
    with pytest.raises(GraphError, match=r"requires_grad: cannot be switched off on a result \(of 'mul'\); use .detach\(\)"):
        y.requires_grad = False


@pytest.mark.parametrize("data", [[1, 2], [True, False], np.arange(3, dtype=np.uint8)], ids=str)
def test_only_floating_point_tensors_can_need_a_gradient(data):
    with pytest.raises(DTypeError, match=r"only floating-point tensors have gradients, got dtype .*write 1.0 for 1"):
        Tensor(data, requires_grad=True)
    t = Tensor(data)
    with pytest.raises(DTypeError, match="only floating-point tensors"):
        t.requires_grad = True
    assert not t.requires_grad


def test_gradients_are_added_while_the_lock_is_held(monkeypatch):
    x = leaf()
    held = []

    class Lock:
        def __enter__(self):
            held.append(x.grad)

        def __exit__(self, *error):
            held.append(x.grad)

    monkeypatch.setattr("minigrad.backward.commit_lock", Lock())
    (x * 3.0).sum().backward()
    assert held[0] is None
    np.testing.assert_array_equal(held[1], np.full(x.shape, 3.0))


def test_a_watched_result_keeps_its_gradient_only_if_asked():
    x = leaf()
    y = x * 3.0
    y.register_hook(lambda g: None)
    y.sum().backward()
    assert y.grad is None


@pytest.mark.parametrize("uses", [1, 2, 63, 64, 65, 66, 130])
def test_a_bias_that_is_used_many_times_gets_the_sum_of_all_rows(uses: int) -> None:
    rng = np.random.default_rng(uses)
    b = Tensor(rng.standard_normal(3), requires_grad=True)
    upstream = rng.standard_normal((uses, 4, 3))
    total = Tensor(0.0)
    for g in upstream:
        total = total + (g * (b + np.zeros((4, 3)))).sum()
    total = total + (b * b).sum() + (b * np.ones((5, 2, 3))).sum() + (b * 2.0).sum()
    total.backward()
    np.testing.assert_allclose(b.grad, upstream.sum(axis=(0, 1)) + 2 * b.numpy() + 10 + 2, rtol=1e-13)


def test_a_bias_keeps_its_dtype_when_rows_of_another_are_added_to_it() -> None:
    b = Tensor(np.zeros(3, np.float32), requires_grad=True)
    total = sum(((b + np.zeros((2, 3), np.float64)).sum() for _ in range(5)), Tensor(0.0))
    total.backward()
    assert b.grad.dtype == np.float32
    assert b.grad.tolist() == [10.0, 10.0, 10.0]
