"""Any length, no cycles, no growth, the same bits: what a graph costs and when it is freed."""

import gc
import os
import subprocess
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, edge_gradients, grad, no_grad, time_step, walk
from minigrad.graph import Node


def live(kind):
    return sum(issubclass(type(found), kind) for found in gc.get_objects())


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


# ---------------------------------------------------------------- any length


def test_a_chain_of_100_000_steps_goes_forward_backward_and_away_under_the_default_recursion_limit():
    assert sys.getrecursionlimit() <= 1000
    x = Tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    assert len(walk(y)) == 100_001
    edges = edge_gradients(y)
    assert len(edges) == 100_000
    del edges
    y.backward()
    assert x.grad[0] == 1.0
    del y


def test_a_chain_of_100_000_steps_can_be_dropped_before_backward():
    x = Tensor([1.0], requires_grad=True)
    y = x
    for t in range(100_000):
        with time_step(t):
            y = mg.tanh(y + x)
    before = live(Node)
    del y
    assert before - live(Node) == 200_000


SMALL_STACK = (256 if sys.version_info < (3, 12) else 8192) * 1024
"""In bytes. From 3.12 on CPython itself frees a chain of objects by thousands of nested calls before it goes round."""


def test_a_chain_of_very_many_steps_in_a_thread_with_a_small_stack():
    """So many that a hundred bytes of stack for each would be three times what there is."""
    gradients, steps = [], 3 * SMALL_STACK // 100

    def run():
        x = Tensor([1.0], requires_grad=True)
        y = x
        for _ in range(max(steps, 200_000)):
            y = -y
        y.backward()
        gradients.append(x.grad[0])

    found = threading.stack_size(SMALL_STACK)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(found)
    assert gradients == [1.0]


def test_a_recorded_backward_pass_over_10_000_steps_can_be_differentiated_again():
    x = Tensor([0.5], requires_grad=True)
    y = x
    for _ in range(10_000):
        y = y * x / x
    (dy,) = grad((y * y).sum(), x, create_graph=True)
    (ddy,) = grad(dy.sum(), x)
    np.testing.assert_allclose([dy.item(), ddy.item()], [1.0, 2.0], rtol=1e-9)


# ---------------------------------------------------------------- no cycles


def test_a_dropped_graph_is_freed_at_once_with_the_garbage_collector_off(no_collector):
    before = live(Node), live(Tensor)
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    h = mg.tanh(x @ x.T).named("h")
    parts = mg.split(mg.concatenate([h, mg.stack(mg.unbind(h))], axis=-1), 2, axis=1)
    logits = (parts[0] * mg.sigmoid(parts[1]) + h[[0, 0, 2]] - h.reshape(9).reshape(3, 3)).T
    loss = mg.cross_entropy(logits, [0, 1, 2]) + mg.log_softmax(logits).mean() + (mg.softmax(h) ** 2.0).sum()
    del parts, logits, h, x, loss
    assert (live(Node), live(Tensor)) == before


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_of_any_order_leave_nothing_behind_with_the_garbage_collector_off(no_collector, create_graph):
    before = live(Node), live(Tensor)
    x = Tensor(np.ones((3, 4)), requires_grad=True)
    x.register_hook(lambda g: g * 2.0)
    y = mg.tanh(x @ x.T)
    y.retain_grad()
    (dx,) = grad(y.sum(), x, create_graph=create_graph, retain_graph=True)
    if create_graph:
        dx.sum().backward(retain_graph=True)
    y.sum().backward()
    del x, y, dx
    assert (live(Node), live(Tensor)) == before


def test_a_failed_backward_leaves_nothing_behind_with_the_garbage_collector_off(no_collector):
    before = live(Node), live(Tensor)

    def fail():
        x = Tensor([1.0], requires_grad=True)
        y = x * 2.0
        y.register_hook(lambda g: 1 / 0)
        y.backward()

    with pytest.raises(ZeroDivisionError):
        fail()
    sys.exc_info()
    assert (live(Node), live(Tensor)) == before


def test_the_arrays_of_a_dropped_graph_are_freed_with_it(no_collector):
    x = Tensor(np.ones(1000), requires_grad=True)
    h = mg.tanh(x)
    array = weakref.ref(h._array)
    y = (h * h).sum()
    del h
    assert array() is not None
    y.backward()
    assert array() is None


def test_a_released_graph_keeps_its_nodes_but_not_its_arrays():
    x = Tensor(np.ones(100_000), requires_grad=True)
    tracemalloc.start()
    try:
        y = mg.tanh(mg.tanh(mg.tanh(x))).sum()
        held = tracemalloc.get_traced_memory()[0]
        y.backward()
        x.grad = None
        released = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held > 3 * 800_000
    assert released < 10_000
    assert [node.label for node in walk(y)] == ["leaf", "tanh", "tanh", "tanh", "sum"]


def test_nothing_is_kept_that_no_derivative_needs():
    x = Tensor(np.ones(100_000), requires_grad=True)
    tracemalloc.start()
    try:
        y = (((x + 1.0) - 2.0).reshape(100, 1000).T * 3.0).sum()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 10_000
    y.backward()


def test_under_no_grad_nothing_is_kept():
    w = Tensor(np.ones(10_000), requires_grad=True)
    with no_grad():
        h = w
        before = live(Node)
        tracemalloc.start()
        try:
            for _ in range(100):
                h = mg.tanh(h * w)
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert live(Node) == before
    assert held < 100_000


# ---------------------------------------------------------------- no growth


def test_1000_training_steps_leave_as_many_objects_and_as_much_memory_as_300(no_collector):
    rng = np.random.default_rng(0)
    W = Tensor(rng.standard_normal((8, 8)) / 3, requires_grad=True, name="W")
    xs, labels = rng.standard_normal((5, 2, 8)), rng.integers(0, 8, (5, 2))
    losses = np.zeros(1000)
    held = []
    loss = None

    def train(steps):
        nonlocal loss
        for step in range(steps):
            h, hs = Tensor(np.zeros((2, 8))), []
            for t, x in enumerate(xs, 1):
                with time_step(t), mg.scope("rnn"):
                    h = mg.tanh(x + h @ W.T).named("h")
                hs.append(h)
            loss = mg.cross_entropy(mg.stack(hs), labels)
            loss.backward()
            losses[step] = loss.item()
            W.data -= 0.1 * W.grad
            W.grad = None
        del h, hs

    for steps in (300, 1000):
        train(steps)
        objects = live(Node), live(Tensor)
        assert gc.collect() == 0  # nothing to find; it also empties the interpreter's own lists of free tuples
        held.append((objects, sys.getallocatedblocks()))
    assert held[0][0] == held[1][0]
    assert held[1][1] - held[0][1] < 500  # one object a step would be 1000
    assert losses[999] < losses[0]


def test_asking_for_values_and_gradients_of_every_kind_does_not_grow():
    x = Tensor(np.ones((3, 3)), requires_grad=True, name="x")

    def look():
        y = mg.tanh(x @ x.T)
        repr(y), y.data.sum(), y.detach(), y.numpy(), walk(y), edge_gradients(y.sum())
        remove = y.register_hook(lambda g: g)
        remove()
        y.sum().backward()
        x.requires_grad = False
        x.requires_grad = True
        x.grad = None

    held = []
    for rounds in (300, 1000):
        for _ in range(rounds):
            look()
        gc.collect()
        held.append((len(gc.get_objects()), sys.getallocatedblocks()))
    assert held[1][0] - held[0][0] < 20
    assert held[1][1] - held[0][1] < 500  # the interpreter's and NumPy's own lists still fill up; a leak would be 1000


# ---------------------------------------------------------------- the same bits

PROGRAM = """
import numpy as np, minigrad as mg
rng = np.random.default_rng(0)
W = mg.Tensor(rng.standard_normal((7, 7)), requires_grad=True)
E = mg.Tensor(rng.standard_normal((5, 7)), requires_grad=True)
h = mg.Tensor(np.zeros((3, 7)))
loss = 0.0
for t in range(20):
    h = mg.tanh(E[rng.integers(0, 5, 3)] + h @ W.T)
    a, b = mg.split(mg.concatenate([h, h * h], axis=1), 2, axis=1)
    loss = loss + mg.cross_entropy(a * mg.sigmoid(b), rng.integers(0, 7, 3))
(dW,) = mg.grad(loss, W, create_graph=True)
(ddW,) = mg.grad((dW * dW).sum(), W, retain_graph=True)
loss.backward()
print(b"".join(a.tobytes() for a in (dW.numpy(), ddW.numpy(), W.grad, E.grad)).hex())
"""


def test_the_same_bits_on_every_run():
    runs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "77")
    }
    assert len(runs) == 1
    assert len(runs.pop()) > 2000


def test_the_same_bits_after_other_work_in_the_same_process():
    def gradient():
        rng = np.random.default_rng(3)
        x = Tensor(rng.standard_normal((4, 6)), requires_grad=True)
        y = mg.tanh(x @ x.T) + mg.softmax(x) @ x.T
        (y * y + mg.sigmoid(y)).sum().backward()
        return x.grad.tobytes()

    first = gradient()
    kept = [Tensor([1.0], requires_grad=True) * 2.0 for _ in range(1000)]
    assert gradient() == first
    del kept
    assert gradient() == first
