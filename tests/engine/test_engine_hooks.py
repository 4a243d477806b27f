"""Watching, changing and keeping gradients; asking for them per edge; what happens when a hook fails half-way."""

import dis
import sys
import threading
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, edge_gradients, grad, no_grad, time_step, walk
from minigrad.errors import DTypeError, GraphError, ShapeError


def leaf(*shape, seed=0, dtype=np.float64, name=None):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True, dtype=dtype, name=name)


# ---------------------------------------------------------------- register_hook


def test_a_hook_sees_the_whole_gradient_of_a_result_once_for_each_backward():
    x = leaf(3)
    h = mg.tanh(x)
    seen = []
    h.register_hook(seen.append)
    y = (h * 2.0 + h * 3.0).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(seen, [[5.0, 5.0, 5.0]] * 2)


def test_a_hook_on_a_leaf_changes_what_is_added_to_its_gradient():
    x = leaf(3)
    x.register_hook(lambda g: np.clip(g, -1.0, 1.0))
    (x * [5.0, -7.0, 0.5]).sum().backward()
    np.testing.assert_array_equal(x.grad, [1.0, -1.0, 0.5])


def test_what_a_hook_returns_goes_on_in_place_of_the_gradient_and_the_next_hook_sees_it():
    x, seen = leaf(3), []
    h = x * 1.0
    h.register_hook(lambda g: g * 10.0)
    h.register_hook(seen.append)
    h.register_hook(lambda g: g + 1.0)
    h.sum().backward()
    np.testing.assert_array_equal(seen, [[10.0, 10.0, 10.0]])
    np.testing.assert_array_equal(x.grad, [11.0, 11.0, 11.0])


def test_a_removed_hook_is_not_called_and_the_others_are():
    x, seen = leaf(2), []
    h = x * 1.0
    removals = [h.register_hook(lambda g, number=number: seen.append(number)) for number in range(3)]
    removals[1]()
    removals[1]()
    h.register_hook(lambda g: seen.append(3))
    h.sum().backward()
    assert seen == [0, 2, 3]


def test_a_hook_may_remove_itself():
    x, seen = leaf(2), []
    removals = []

    def once(g):
        seen.append(g)
        removals[0]()

    removals.append(x.register_hook(once))
    x.register_hook(lambda g: seen.append(g))
    (x * 2.0).sum().backward()
    (x * 2.0).sum().backward()
    assert len(seen) == 3


def test_writing_to_the_array_a_hook_is_given_is_an_error():
    x, w = leaf(3), leaf(3)
    s = x + w

    def careless(g):
        g *= 2.0

    x.register_hook(careless)
    with pytest.raises(ValueError, match="read-only"):
        s.sum().backward()
    assert x.grad is None
    assert w.grad is None


def test_the_array_a_hook_is_given_may_be_kept_and_does_not_change_later():
    x, kept = leaf(3), []
    h = x * 1.0
    h.register_hook(kept.append)
    y = (h + h).sum()
    y.backward(retain_graph=True)
    before = kept[0].copy()
    y.backward()
    x.grad[:] = 0.0
    np.testing.assert_array_equal(kept[0], before)


def test_the_array_a_hook_returned_is_not_taken_over():
    x, mine = leaf(3), np.ones(3)
    x.register_hook(lambda g: mine)
    (x * 2.0).sum().backward()
    mine[:] = 7.0
    np.testing.assert_array_equal(x.grad, [1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    "value", [[1.0, 2.0, 3.0], np.arange(1, 4), np.arange(1, 4, dtype=np.float32), Tensor([1.0, 2.0, 3.0])]
)
def test_a_hook_may_return_anything_that_is_an_array_of_the_shape(value):
    x = leaf(3)
    x.register_hook(lambda g: value)
    (x * 2.0).sum().backward()
    assert x.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("value", [np.ones(4), np.ones((1, 3)), 0.0, [], [[1.0], [1.0], [1.0]]], ids=str)
def test_a_hook_that_returns_another_shape_is_refused_by_name(value):
    x = leaf(3)
    with time_step(4):
        h = (x * 1.0).named("h")
    h.register_hook(lambda g: value)
    with pytest.raises(ShapeError, match=r"hook on <mul 'h' .* in time step 4>: expected None or a gradient of shape \(3,\)"):
        h.sum().backward()
    assert x.grad is None


@pytest.mark.parametrize("value", [np.ones(3, complex), ["a", "b", "c"], np.array([None] * 3), np.ones(3, bool)], ids=str)
def test_a_hook_that_returns_no_real_numbers_is_refused(value):
    x = leaf(3)
    x.register_hook(lambda g: value)
    with pytest.raises(DTypeError, match="expected None or a gradient of real numbers"):
        (x * 1.0).sum().backward()


def test_a_hook_may_return_a_tensor_with_a_history_of_which_a_plain_backward_takes_the_values():
    x, w = leaf(3), leaf(3)
    x.register_hook(lambda g: w * g)
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, 2 * w.numpy())
    assert w.grad is None


def test_a_hook_takes_part_in_a_recorded_backward_pass():
    x = leaf(3)
    h = x * x
    remove = h.register_hook(lambda g: g * h)
    (dx,) = grad(h.sum(), x, create_graph=True)
    remove()
    np.testing.assert_allclose(dx.numpy(), 2 * x.numpy() ** 3)
    (ddx,) = grad(dx.sum(), x)
    np.testing.assert_allclose(ddx.numpy(), 6 * x.numpy() ** 2)


def test_a_hook_may_return_an_array_in_a_recorded_backward_pass_and_its_shape_and_kind_are_checked():
    x = leaf(3)
    results = [np.ones(3, np.float32), np.ones(4), np.ones(3, complex)]
    x.register_hook(lambda g: results.pop(0))
    assert grad((x * 2.0).sum(), x, create_graph=True)[0].dtype == np.float64
    with pytest.raises(ShapeError, match="hook on"):
        grad((x * 2.0).sum(), x, create_graph=True)
    with pytest.raises(DTypeError, match="hook on"):
        grad((x * 2.0).sum(), x, create_graph=True)


def test_a_hook_on_a_tensor_without_gradient_is_refused():
    with no_grad():
        unseen = leaf(1) * 2.0
    for tensor in (Tensor([1.0]), Tensor([1.0], name="x"), unseen):
        with pytest.raises(GraphError, match="register_hook: no gradient ever reaches a tensor that does not require one"):
            tensor.register_hook(print)
        with pytest.raises(GraphError, match="retain_grad: no gradient ever reaches"):
            tensor.retain_grad()


def test_a_hook_that_is_not_callable_is_refused():
    with pytest.raises(DTypeError, match="register_hook: expected a function of the gradient, got 3"):
        leaf(1).register_hook(3)


def test_a_hook_may_run_another_backward_pass():
    x, w = leaf(3), leaf(3)
    h = x * 1.0
    h.register_hook(lambda g: (w * w).sum().backward())
    h.sum().backward()
    np.testing.assert_array_equal(w.grad, 2 * w.numpy())
    np.testing.assert_array_equal(x.grad, np.ones(3))


def test_hooks_are_called_from_the_last_result_to_the_first():
    x, order = leaf(2), []
    h = x
    for t in range(5):
        h = h * 1.0
        h.register_hook(lambda g, t=t: order.append(t))
    h.sum().backward()
    assert order == [4, 3, 2, 1, 0]


# ---------------------------------------------------------------- retain_grad


def test_an_intermediate_result_keeps_its_gradient_only_if_asked():
    x = leaf(3)
    h, k = x * 2.0, x * 3.0
    h.retain_grad()
    k.register_hook(lambda g: None)
    (h * k).sum().backward()
    assert k.grad is None
    np.testing.assert_array_equal(h.grad, k.numpy())


def test_a_kept_gradient_accumulates_is_owned_and_can_be_cleared():
    x = leaf(3)
    h = x * 2.0
    h.retain_grad()
    h.retain_grad()
    y = (h + h).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    np.testing.assert_array_equal(h.grad, [4.0, 4.0, 4.0])
    h.grad[:] = 100.0
    np.testing.assert_array_equal(x.grad, [8.0, 8.0, 8.0])
    h.grad = None
    y.backward()
    np.testing.assert_array_equal(h.grad, [2.0, 2.0, 2.0])


def test_the_kept_gradient_is_the_one_after_the_hooks():
    x = leaf(3)
    h = x * 2.0
    h.register_hook(lambda g: g * 10.0)
    h.retain_grad()
    h.sum().backward()
    np.testing.assert_array_equal(h.grad, [10.0, 10.0, 10.0])


def test_retain_grad_on_a_leaf_changes_nothing():
    x = leaf(3)
    x.retain_grad()
    (x * 2.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0, 2.0])


def test_grad_fills_no_grad_attribute_not_even_a_kept_one():
    x = leaf(3)
    h = x * 2.0
    h.retain_grad()
    grad(h.sum(), x)
    assert x.grad is None
    assert h.grad is None


# ---------------------------------------------------------------- edge_gradients


def test_the_gradients_of_the_edges_into_a_node_add_up_to_its_gradient():
    x, W = leaf(2, 3, name="x"), leaf(3, 3, name="W")
    h = x
    for t in range(1, 4):
        with time_step(t):
            h = mg.tanh(h @ W.T + h * 0.5)
    loss = (h[0] * h[1]).sum()
    edges = edge_gradients(loss)
    total = sum(part for (node, i), part in edges.items() if node.inputs[i] is W.node)
    per_step = {node.time: part for (node, i), part in edges.items() if node.inputs[i] is W.node}
    assert sorted(per_step) == [1, 2, 3]
    assert x.grad is None
    loss.backward()
    np.testing.assert_allclose(total, W.grad, rtol=1e-13)
    into_x = sum(part for (node, i), part in edges.items() if node.inputs[i] is x.node)
    np.testing.assert_allclose(into_x, x.grad, rtol=1e-13)


def test_edge_gradients_have_the_shape_and_dtype_of_the_input_and_are_owned():
    x, w = leaf(2, 1, dtype=np.float32), leaf(1, 3)
    edges = edge_gradients(((x + w) * x).sum())
    arrays = list(edges.values())
    for (node, i), part in edges.items():
        assert (part.shape, part.dtype) == (node.inputs[i].shape, node.inputs[i].dtype)
        assert part.flags.owndata
        assert part.flags.writeable
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[k + 1 :])


def test_edge_gradients_change_nothing_call_no_hook_and_release_nothing():
    x, seen = leaf(3), []
    h = x * x
    h.register_hook(seen.append)
    h.retain_grad()
    first = edge_gradients(h.sum())
    second = edge_gradients(h, np.ones(3))
    assert len(first) == 3
    assert len(second) == 2
    assert seen == []
    assert h.grad is None
    h.sum().backward()
    assert len(seen) == 1


def test_an_edge_to_a_constant_has_no_gradient():
    x = leaf(3)
    y = x * Tensor([1.0, 2.0, 3.0], name="c") + 1.0
    assert {(node.label, i) for node, i in edge_gradients(y.sum())} == {("sum", 0), ("add", 0), ("mul", 0)}


def test_edge_gradients_of_a_released_graph_or_a_non_scalar_say_what_to_do():
    y = leaf(3) * leaf(3)
    with pytest.raises(GraphError, match=r"edge_gradients: a tensor of shape \(3,\) has 3 entries"):
        edge_gradients(y)
    y.sum().backward()
    with pytest.raises(GraphError, match="already released"):
        edge_gradients(y.sum())


# ---------------------------------------------------------------- walk


def test_walk_gives_every_ancestor_once_inputs_before_consumers():
    x, w = leaf(3, name="x"), leaf(3, name="w")
    h = mg.tanh(x * w)
    nodes = walk(h + h, h * x)
    assert len(nodes) == len(set(nodes)) == 6
    assert [n.serial for n in nodes] == sorted(n.serial for n in nodes)
    position = {node: k for k, node in enumerate(nodes)}
    assert all(position[source] < position[node] for node in nodes for source in node.inputs)


def test_walk_takes_nodes_as_well_and_nothing_that_has_no_node():
    x = leaf(3)
    y = x * 2.0
    assert walk(y.node) == walk(y) == [x.node, y.node]
    assert walk(Tensor([1.0])) == walk() == []


def test_walk_works_on_a_released_graph_and_in_another_thread():
    x = leaf(3)
    with time_step(2), mg.scope("cell"):
        y = mg.tanh(x * 2.0).sum().named("loss")
    y.backward()
    found = []
    thread = threading.Thread(target=lambda: found.extend(walk(y)))
    thread.start()
    thread.join()
    assert [(n.label, n.name, n.time, n.scope) for n in found[1:]] == [
        ("mul", None, 2, ("cell",)), ("tanh", None, 2, ("cell",)), ("sum", "loss", 2, ("cell",))
    ]  # fmt: skip


def test_walk_of_something_else_is_refused():
    with pytest.raises(DTypeError, match="walk: expected Tensors or nodes, got ndarray"):
        walk(np.ones(3))


# ---------------------------------------------------------------- nothing half-changed


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, SystemExit])
def test_an_error_in_a_hook_passes_through_and_nothing_is_half_changed(error):
    x, w = leaf(3), leaf(3, seed=1)
    h = x * w
    k = mg.tanh(h)
    k.retain_grad()

    def fail(g):
        raise error("no")

    remove = h.register_hook(fail)
    y = (k * w).sum()
    with pytest.raises(error, match="no"):
        y.backward()
    assert (x.grad, w.grad, k.grad) == (None, None, None)
    remove()
    y.backward()
    assert x.grad is not None


SIGNALS_ARRIVE_AFTER = {"CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "RESUME"}
"""The instructions after which CPython looks whether Ctrl-C was pressed."""


def after_an_interrupt(number):
    """The leaves of a small graph after a backward pass that Ctrl-C interrupted the ``number``-th time it could."""
    x, w = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0], requires_grad=True)
    h = x * w
    h.retain_grad()
    loss = (h * h + h).sum()
    count, before = 0, {}

    def interrupt(frame, event, argument):
        nonlocal count
        if "minigrad" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            count += before.get(frame) in SIGNALS_ARRIVE_AFTER
            before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if count == number:
                raise KeyboardInterrupt
        return interrupt

    found = sys.gettrace()
    sys.settrace(interrupt)
    try:
        loss.backward()
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    finally:
        sys.settrace(found)
    return interrupted, (x, w, h), loss


def test_an_interrupt_at_any_moment_leaves_all_gradients_or_none():
    _, leaves, _ = after_an_interrupt(10**9)
    whole = [leaf.grad.tolist() for leaf in leaves]
    outcomes = []
    interrupted = True
    while interrupted:
        interrupted, leaves, loss = after_an_interrupt(len(outcomes) + 1)
        gradients = [None if leaf.grad is None else leaf.grad.tolist() for leaf in leaves]
        assert gradients in ([None, None, None], whole)
        outcomes.append(gradients == whole)
        if gradients == whole:
            with pytest.raises(GraphError, match="already released"):
                loss.backward()
        else:
            loss.backward()
            assert [leaf.grad.tolist() for leaf in leaves] == whole
    assert outcomes.count(False) > 50
    assert outcomes.count(True) > 1


# ---------------------------------------------------------------- threads


def test_a_graph_built_in_one_thread_can_be_walked_and_differentiated_in_another():
    x = leaf(3)
    results = {}

    def build():
        with time_step(1):
            results["y"] = mg.tanh(x * 2.0).sum()

    def differentiate():
        results["y"].backward()

    for work in (build, differentiate):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    np.testing.assert_allclose(x.grad, 2 * (1 - np.tanh(2 * x.numpy()) ** 2), rtol=1e-14)
    assert results["y"].node.time == 1


class Slow(np.ndarray):
    """An array that lets other threads run while something is added to it."""

    def __add__(self, other):
        time.sleep(1e-3)
        return super().__add__(other)


def test_threads_that_share_leaves_lose_no_gradient():
    x = Tensor(np.zeros(50), requires_grad=True)
    x.node.grad = np.zeros(50).view(Slow)
    rounds, workers = 20, 4

    def work():
        for _ in range(rounds):
            (x * 1.0 + x * 2.0).sum().backward()

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(np.asarray(x.grad), np.full(50, 3.0 * rounds * workers))


def test_threads_that_record_at_once_keep_serial_numbers_growing_from_inputs_to_consumers():
    x = Tensor([1.0], requires_grad=True)
    losses = []

    def work():
        y = x
        for _ in range(300):
            y = mg.tanh(y + x)
        losses.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nodes = walk(*losses)
    assert len({node.serial for node in nodes}) == len(nodes) == 4 * 600 + 1
    assert all(source.serial < node.serial for node in nodes for source in node.inputs)
    assert len({loss.item() for loss in losses}) == 1
