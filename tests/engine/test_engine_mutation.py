"""Rule 4: an array that a recorded operation needs is never silently changed, whichever way leads to its memory."""

import copy
import gc
import itertools
import pickle
import re
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor, grad, no_grad, scope, time_step
from minigrad.errors import MutationError, ShapeError

WRITES = {
    "an entry": lambda a: a.__setitem__(0, 9.0),
    "all entries": lambda a: a.__setitem__(..., 9.0),
    "a slice": lambda a: a[1:].__setitem__(0, 9.0),
    "a view of a view": lambda a: a.reshape(3, 1).T[0, 1:].__setitem__(slice(None), 9.0),
    "a mask": lambda a: a.__setitem__(a > 0, 9.0),
    "+=": lambda a: a.__iadd__(9.0),
    "*= of a slice": lambda a: a[:2].__imul__(9.0),
    "out=": lambda a: np.exp(np.ones(3), out=a),
    "out= of a tuple": lambda a: np.modf(np.ones(3) * 1.5, out=(np.empty(3), a)),
    "out= of a function": lambda a: np.dot(np.ones((3, 3)), np.ones(3), out=a),
    "out= of a method": lambda a: np.ones((2, 3)).sum(axis=0, out=a),
    "ufunc.at": lambda a: np.add.at(a, [0, 0], 9.0),
    "reduce out=": lambda a: np.add.reduce(np.ones((2, 3)), axis=0, out=a),
    "copyto": lambda a: np.copyto(a, 9.0),
    "copyto by keyword": lambda a: np.copyto(dst=a, src=9.0),
    "put": lambda a: np.put(a, [0], 9.0),
    "put the method": lambda a: a.put([0], 9.0),
    "place": lambda a: np.place(a, [True, False, True], 9.0),
    "putmask": lambda a: np.putmask(a, [True, False, True], 9.0),
    "put_along_axis": lambda a: np.put_along_axis(a, np.array([0]), 9.0, 0),
    "fill_diagonal": lambda a: np.fill_diagonal(a.reshape(3, 1), 9.0),
    "fill": lambda a: a.fill(9.0),
    "sort": lambda a: a.sort(),
    "partition": lambda a: a.partition(1),
    "flat": lambda a: a.flat.__setitem__(0, 9.0),
    "flat of a view": lambda a: a[::-1].flat.__setitem__(slice(0, 2), 9.0),
    "clip out=": lambda a: a.clip(-9.0, 0.5, out=a),
    "the flag set by hand": lambda a: (a.setflags(write=True), a.__setitem__(0, 9.0)),
}
"""Ways to write that ask first: refused while an operation needs the array, allowed when none does."""

BACK_DOORS = {
    "asarray": lambda a: np.asarray(a).__setitem__(0, 9.0),
    "ravel": lambda a: np.ravel(a).__setitem__(0, 9.0),
    "view": lambda a: a.view(np.ndarray).__setitem__(0, 9.0),
    "ndarray's own method": lambda a: np.ndarray.__setitem__(a, 0, 9.0),
    "ndarray's own sort": lambda a: np.ndarray.sort(a),
    "memoryview": lambda a: memoryview(a).__setitem__(0, 9.0),
    "buffer": lambda a: np.frombuffer(a).__setitem__(0, 9.0),
    "as_strided": lambda a: np.lib.stride_tricks.as_strided(a, (3,), (8,)).__setitem__(0, 9.0),
    "shuffle": lambda a: np.random.default_rng(0).shuffle(a),
    "random numbers": lambda a: np.random.default_rng(0).random(out=a),
    "out= of an array's method": lambda a: np.ones((3, 3)).dot(np.ones(3), out=a),
    "nditer": lambda a: [x.__setitem__(..., 9.0) for x in np.nditer(a, op_flags=[["readwrite"]])],
    "byteswap": lambda a: a.byteswap(inplace=True),
    "setfield": lambda a: a.setfield(9.0, np.float64),
    "the iterator of flat": lambda a: a.view(np.ndarray).flat.__setitem__(0, 9.0),
    "reshape by NumPy": lambda a: np.reshape(a, (3, 1)).__setitem__((0, 0), 9.0),
    "split by NumPy": lambda a: np.split(a, 3)[0].__setitem__(0, 9.0),
    "nan_to_num": lambda a: np.nan_to_num(a, copy=False, nan=0.0),
}
"""Ways round the guard: NumPy itself refuses them."""


def leaf():
    return Tensor([3.0, -1.0, 2.0], requires_grad=True, name="w")


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_mutation_between_forward_and_backward_is_refused_where_it_happens(write):
    w = leaf()
    a = w.data
    y = (w * w).sum()
    for array in (a, w.data):
        with pytest.raises(MutationError, match=r"the array of 'w' is needed for the derivative of 'mul'"):
            write(array)
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -2.0, 4.0])


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_after_release_the_array_is_writable_again(write):
    w = leaf()
    a = w.data
    y = (w * w).sum()
    y.backward()
    expected = np.array([3.0, -1.0, 2.0])
    write(expected)
    write(a)
    np.testing.assert_array_equal(w.numpy(), expected)
    np.testing.assert_array_equal(a, expected)


@pytest.mark.parametrize("write", BACK_DOORS.values(), ids=BACK_DOORS)
def test_a_way_round_the_guard_cannot_change_the_array(write):
    w = leaf()
    a = w.data
    y = (w * w).sum()
    for array in (a, w.data, a[:]):
        with pytest.raises((ValueError, TypeError), match=r"read-only|must be contiguous, writable|output array is not acc"):
            write(array)
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -2.0, 4.0])


def test_a_plain_view_taken_before_the_forward_cannot_be_written_to():
    w = leaf()
    plain = np.asarray(w.data)
    y = (w * w).sum()
    with pytest.raises(ValueError, match="read-only"):
        plain[0] = 9.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -2.0, 4.0])


# ---------------------------------------------------------------- which operation needs it


def test_the_message_names_the_operation_where_it_was_recorded_and_what_to_do():
    W, h = Tensor(np.eye(3), requires_grad=True, name="W_hh"), Tensor(np.ones((2, 3)), requires_grad=True)
    with scope("lstm"), time_step(3):
        y = h @ W.T
    with pytest.raises(MutationError) as refusal:
        W.data[0] = 0.0
    assert str(refusal.value) == (
        "data: the array of 'W_hh' is needed for the derivative of 'matmul' (lstm at time step 3). Changing it would make "
        "the gradient silently wrong. Call backward() first, drop the results that need it (a state that is "
        "carried on holds them until it is detached), compute them under no_grad, "
        "or assign a new array: t.data = values"
    )
    del y
    W.data[0] = 0.0


@pytest.mark.parametrize(
    ("view", "use", "name"),
    [
        (lambda w: w.T, lambda v: Tensor(np.ones((2, 3)), requires_grad=True) @ v, "matmul"),
        (lambda w: w.reshape(-1), mg.square, "square"),
        (lambda w: w[1:], lambda v: v * v, "mul"),
        (lambda w: mg.split(w, 3)[1], lambda v: v / v, "div"),
        (lambda w: mg.swapaxes(w, 0, 1).T, mg.log, "log"),
        (lambda w: mg.broadcast_to(w, (2, 3, 3)), lambda v: v**2, "pow"),
    ],
)
def test_an_operation_on_a_view_of_a_leaf_protects_the_leaf_and_is_the_one_named(view, use, name):
    w = Tensor(np.eye(3) + 1, requires_grad=True)
    v = view(w)
    y = use(v)
    with pytest.raises(MutationError, match=f"this array is needed for the derivative of '{name}'"):
        w.data[1, 1] = 5.0
    y.sum().backward()
    with pytest.raises(MutationError):
        v.data[...] = 0.0
    w.data[1, 1] = 5.0


def test_the_first_operation_that_needs_the_array_is_the_one_named():
    w = leaf()
    results = [w + 1.0, mg.square(w), mg.log(w * w)]
    with pytest.raises(MutationError, match="'square'"):
        w.data[0] = 1.0
    assert len(results) == 3


def test_an_operation_that_does_not_need_the_values_does_not_lock_them():
    w = leaf()
    y = (w + 1.0).sum()
    w.data[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 1.0, 1.0])


def test_an_operand_is_kept_only_for_the_gradient_of_the_other():
    w, c = leaf(), Tensor([1.0, 2.0, 3.0])
    y = (w * c).sum()
    w.data[0] = 100.0
    with pytest.raises(MutationError, match="'mul'"):
        c.data[0] = 100.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 2.0, 3.0])


# ---------------------------------------------------------------- whose array it is


def test_a_constant_tensor_is_protected_like_a_leaf():
    x, w = Tensor([1.0, 2.0, 3.0]), leaf()
    y = (x * w).sum()
    with pytest.raises(MutationError, match="'mul'"):
        x.data *= 2.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 2.0, 3.0])


def test_a_result_is_protected_until_its_graph_is_released():
    w = leaf()
    h = mg.tanh(w)
    with pytest.raises(MutationError, match="'tanh'"):
        h.data[0] = 9.0
    s = w + 1.0
    with pytest.raises(MutationError, match="the result of 'add', and the graph it is part of has not been released"):
        s.data[0] = 9.0
    (h + s).sum().backward()
    h.data[0] = s.data[0] = 9.0
    assert (h.numpy()[0], s.numpy()[0]) == (9.0, 9.0)


def test_a_released_result_stays_protected_while_another_operation_needs_it():
    x, v = leaf(), Tensor([1.0, 1.0, 1.0], requires_grad=True)
    h = mg.tanh(x)
    other = (h * v).sum()
    h.sum().backward()
    with pytest.raises(MutationError, match="'mul'"):
        h.data[...] = 0.0
    (dv,) = grad(other, v)
    np.testing.assert_array_equal(dv.numpy(), h.numpy())
    h.data[...] = 0.0


def test_a_view_of_a_released_result_protects_the_memory_of_both():
    x, v = leaf(), Tensor([[1.0], [1.0], [1.0]], requires_grad=True)
    h = mg.tanh(x)
    column = h.reshape(3, 1)
    other = (column * v).sum()
    h.sum().backward()
    with pytest.raises(MutationError, match="'mul'"):
        h.data[...] = 0.0
    (dv,) = grad(other, v)
    np.testing.assert_array_equal(dv.numpy(), column.numpy())


def test_the_array_of_a_tensor_that_is_gone_stays_protected():
    w = leaf()
    x = Tensor([1.0, 2.0, 3.0])
    a = x.data
    y = (x * w).sum()
    del x
    with pytest.raises(MutationError, match="this array is needed for the derivative of 'mul'"):
        a[0] = 9.0
    y.backward()
    a[0] = 9.0
    np.testing.assert_array_equal(w.grad, [1.0, 2.0, 3.0])


def test_the_old_array_of_a_tensor_with_new_values_stays_protected():
    w = leaf()
    a = w.data
    y = (w * w).sum()
    w.data = [0.0, 0.0, 0.0]
    with pytest.raises(MutationError, match="'mul'"):
        a[0] = 9.0
    w.data[0] = 7.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -2.0, 4.0])


def test_a_detached_tensor_is_read_only_and_protects_the_original():
    w = leaf()
    d = w.detach()
    with pytest.raises(MutationError, match="shared with another tensor"):
        d.data[0] = 9.0
    v = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    y = (d * v).sum()
    w.data[0] = 9.0
    y.backward()
    np.testing.assert_array_equal(v.grad, [3.0, -1.0, 2.0])
    assert d.numpy()[0] == 9.0


def test_a_view_made_under_no_grad_is_read_only_and_may_be_used_while_the_original_changes():
    w, v = leaf(), Tensor([[1.0, 1.0, 1.0]], requires_grad=True)
    with no_grad():
        row = w.reshape(1, 3)
    with pytest.raises(MutationError, match="shared with another tensor"):
        row.data[...] = 0.0
    y = (row * v).sum()
    w.data[0] = 9.0
    y.backward()
    np.testing.assert_array_equal(v.grad, [[3.0, -1.0, 2.0]])


def test_a_detached_result_protects_the_memory_it_shares():
    w, v = leaf(), Tensor([1.0, 1.0, 1.0], requires_grad=True)
    h = w * 2.0
    d = h.detach()
    y = (d * v).sum()
    h.sum().backward()
    h.data[...] = 0.0
    y.backward()
    np.testing.assert_array_equal(v.grad, [6.0, -2.0, 4.0])


def test_a_detached_state_that_shall_need_a_gradient_gets_an_array_of_its_own():
    h = leaf() * 2.0
    state = h.detach()
    state.requires_grad = True
    with no_grad():
        state += 1.0
    np.testing.assert_array_equal(state.numpy(), [7.0, -1.0, 5.0])
    np.testing.assert_array_equal(h.numpy(), [6.0, -2.0, 4.0])


# ---------------------------------------------------------------- arrays of the caller


USES = {
    "mul": lambda w, a: w * a,
    "rmul": lambda w, a: a * w,
    "div": lambda w, a: a / w,
    "pow": lambda w, a: w**a,
    "matmul": lambda w, a: w @ a,
    "rmatmul": lambda w, a: a @ w,
    "reshape first": lambda w, a: mg.reshape(a, (3, 3)) * w,
    "transpose first": lambda w, a: mg.transpose(a) * w,
    "index first": lambda w, a: mg.getitem(a, slice(None)) * w,
    "broadcast first": lambda w, a: mg.broadcast_to(a, (2, 3, 3)) * w,
    "split first": lambda w, a: mg.split(a, 1)[0] * w,
    "unbind first": lambda w, a: mg.unbind(a)[0] * w,
    "squeeze first": lambda w, a: mg.squeeze(a) * w,
    "expand_dims first": lambda w, a: mg.expand_dims(a, 0) * w,
    "cast first": lambda w, a: mg.astype(a, np.float64) * w,
    "Tensor first": lambda w, a: Tensor(a) * w,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_array_operand_that_the_caller_changes_later_does_not_change_the_gradient(use):
    a = np.arange(1.0, 10.0).reshape(3, 3)

    def gradient(change):
        w = Tensor(np.arange(2.0, 11.0).reshape(3, 3), requires_grad=True)
        mine = a.copy()
        y = use(w, mine)
        if change:
            mine[...] = 77.0
        y.sum().backward()
        return w.grad

    np.testing.assert_array_equal(gradient(True), gradient(False))


def test_an_index_array_that_the_caller_changes_later_does_not_change_the_gradient():
    w, rows, mask = leaf(), np.array([0, 2, 2]), np.array([True, False, True])
    y = w[rows].sum() + w[mask].sum() + w[rows[:1], None].sum()
    rows[:], mask[:] = 1, False
    y.backward()
    np.testing.assert_array_equal(w.grad, [3.0, 0.0, 3.0])


def test_labels_that_the_caller_changes_later_do_not_change_the_gradient():
    logits, labels = Tensor(np.zeros((2, 2)), requires_grad=True), np.array([0, 1])
    loss = mg.cross_entropy(logits, labels)
    labels[:] = 0
    loss.backward()
    np.testing.assert_array_equal(logits.grad, [[-0.25, 0.25], [0.25, -0.25]])


def test_a_tensor_does_not_share_the_array_it_was_made_of():
    numbers = np.array([1.0, 2.0])
    t = Tensor(numbers, requires_grad=True)
    p = Parameter(numbers)
    numbers[:] = 9.0
    np.testing.assert_array_equal(t.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(p.numpy(), [1.0, 2.0])
    t.data = numbers
    numbers[:] = 5.0
    np.testing.assert_array_equal(t.numpy(), [9.0, 9.0])


def test_numpy_gives_a_new_array_every_time():
    t = leaf()
    t.numpy()[0] = 9.0
    assert t.numpy()[0] == 3.0


# ---------------------------------------------------------------- new values, and operators in place


def test_assigning_data_gives_new_values_and_earlier_results_keep_the_old_ones():
    w = leaf()
    y = (w * w).sum()
    w.data = np.array([1.0, 1.0, 1.0], np.float32)
    assert w.dtype == np.float64
    z = (w * w).sum()
    y.backward()
    z.backward()
    np.testing.assert_array_equal(w.grad, [8.0, 0.0, 6.0])


def test_assigning_data_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match=r"data: expected values of shape \(3,\), got \(2,\)"):
        leaf().data = [1.0, 2.0]


def test_a_result_cannot_be_given_new_values():
    h = leaf() * 2.0
    with pytest.raises(MutationError, match="the result of 'mul'"):
        h.data = [0.0, 0.0, 0.0]


def test_an_augmented_assignment_to_data_changes_the_array_in_place():
    w = leaf()
    a = w.data
    w.data -= 1.0
    w.data[:2] *= 10.0
    np.testing.assert_array_equal(a, [20.0, -20.0, 1.0])
    a += 1.0
    np.testing.assert_array_equal(w.numpy(), [21.0, -19.0, 2.0])


def test_assigning_a_reversed_view_of_itself_is_an_assignment():
    w = leaf()
    w.data = w.data[::-1]
    np.testing.assert_array_equal(w.numpy(), [2.0, -1.0, 3.0])


def test_an_in_place_operator_on_a_leaf_is_refused_while_recording():
    w = leaf()
    for operation in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"):
        with pytest.raises(MutationError, match=r"under no_grad\(\); to compute with it, write t = t \+ x"):
            getattr(w, operation)(1.0)


def test_an_in_place_operator_updates_a_leaf_under_no_grad():
    w = leaf()
    same = w
    with no_grad():
        w -= 1.0
        w *= [1.0, 2.0, 3.0]
    assert w is same
    assert w.is_leaf
    assert w.requires_grad
    np.testing.assert_array_equal(w.numpy(), [2.0, -4.0, 3.0])


def test_an_in_place_operator_is_refused_while_a_recorded_operation_needs_the_leaf():
    w = leaf()
    y = (w * w).sum()
    with no_grad(), pytest.raises(MutationError, match="'mul'"):
        w -= 1.0
    y.backward()
    with no_grad():
        w -= w.grad
    np.testing.assert_array_equal(w.numpy(), [-3.0, 1.0, -2.0])


def test_an_in_place_operator_that_would_change_the_shape_or_dtype_of_a_leaf_does_neither():
    w = leaf()
    with no_grad(), pytest.raises(ShapeError, match="in-place operator"):
        w += np.ones((2, 3))
    single = Tensor([1.0], requires_grad=True, dtype=np.float32)
    with no_grad():
        single += np.float64(1) / 3
        single += np.array([1 / 3])
    assert single.dtype == np.float32


def test_an_in_place_operator_on_a_result_gives_a_new_recorded_result():
    w = leaf()
    total = w * 1.0
    first = total
    total += w
    total *= 2.0
    assert first is not total
    total.sum().backward()
    np.testing.assert_array_equal(w.grad, [4.0, 4.0, 4.0])


def test_item_assignment_is_refused_with_the_ways_that_work():
    with pytest.raises(MutationError, match=r"stack or concatenate, select with where"):
        leaf()[0] = 1.0


# ---------------------------------------------------------------- the guard itself


def test_reading_is_always_possible():
    w = leaf()
    y = (w * w).sum()
    a = w.data
    np.testing.assert_array_equal(a, [3.0, -1.0, 2.0])
    assert list(a) == list(a.flat) == [3.0, -1.0, 2.0]
    assert (len(a.flat), a.flat[1]) == (3, -1.0)
    np.testing.assert_array_equal(np.asarray(a.flat, dtype=np.float32), [3.0, -1.0, 2.0])
    np.testing.assert_array_equal(np.sort(a), [-1.0, 2.0, 3.0])
    np.testing.assert_array_equal(a[a > 0], [3.0, 2.0])
    assert [a.sum(), a.max(), np.linalg.norm(a) ** 2] == pytest.approx([4.0, 3.0, 14.0])
    assert (repr(a), str(a)) == ("array([ 3., -1.,  2.])", "[ 3. -1.  2.]")
    assert [entry for _, entry in np.ndenumerate(a)] == [3.0, -1.0, 2.0]
    y.backward()


def test_what_is_computed_from_guarded_arrays_is_plain_and_writable():
    w = leaf()
    y = (w * w).sum()
    for computed in (w.data + 1, np.exp(w.data), w.data @ w.data * w.data, np.concatenate([w.data, w.data])):
        assert type(computed) is np.ndarray
        computed[0] = 9.0
    for copied in (w.data.copy(), w.data[[0, 1]], w.data.astype(np.float64), np.array(w.data)):
        copied[0] = 9.0
        copied[:1].fill(8.0)
        copied.flat[0] = 7.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [6.0, -2.0, 4.0])


def test_a_deep_copy_or_pickle_of_guarded_values_is_a_plain_array():
    w = leaf()
    y = (w * w).sum()
    for duplicate in (copy.deepcopy(w.data), pickle.loads(pickle.dumps(w.data))):
        assert type(duplicate) is np.ndarray
        duplicate[0] = 9.0
    y.backward()
    assert w.numpy()[0] == 3.0


def test_a_copy_that_the_caller_locked_stays_locked():
    copied = leaf().data.copy()
    copied.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        copied[0] = 9.0


def test_many_views_of_a_free_array_can_be_written_to_in_turn():
    w = leaf()
    views = [w.data, w.data[1:], w.data.reshape(3, 1), np.asarray(w.data)]
    for number, view in enumerate(itertools.chain(views[:3], views[:3])):
        view[0] = number
    np.testing.assert_array_equal(w.numpy(), [5.0, 4.0, 2.0])


def test_changing_the_shape_of_a_view_in_place_does_not_change_the_tensor():
    w = leaf()
    a = w.data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy would rather have reshape
        a.shape = (3, 1)
    assert w.data.shape == w.shape == (3,)


def test_a_guarded_array_does_not_keep_the_tensor_and_its_graph_alive():
    w = leaf()
    gc.disable()
    try:
        y = w * 2.0
        values = y.data
        node = y.node
        before = len(gc.get_referrers(node))
        del y
        assert len(gc.get_referrers(node)) == before - 1
    finally:
        gc.enable()
    np.testing.assert_array_equal(values, [6.0, -2.0, 4.0])


def test_writing_a_tensor_that_needs_a_gradient_into_data_is_an_error_that_says_what_to_do():
    w, h = leaf(), leaf() * 1.0
    with pytest.raises(TypeError, match=re.escape("t.numpy() or t.detach()")):
        w.data[...] = h


def test_an_error_in_a_refused_write_changes_nothing():
    w = leaf()
    y = (w * w).sum()
    with pytest.raises(MutationError):
        w.data += 1.0
    np.testing.assert_array_equal(w.numpy(), [3.0, -1.0, 2.0])
    y.backward()
    assert w.grad is not None
