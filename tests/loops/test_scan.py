"""scan: any carry, any input and output, time steps recorded, T = 0 defined, both directions."""

from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor, scan, walk
from minigrad.errors import ArgumentError, ShapeError
from minigrad.loops.native import is_native

pytestmark = pytest.mark.usefixtures("runner")

RNG = np.random.default_rng(0)
T, B, D, H = 5, 3, 2, 4


class State(NamedTuple):
    c: object
    h: object


def weights():
    rng = np.random.default_rng(1)
    return {"W": Parameter(rng.standard_normal((H, D)), name="W"), "U": Parameter(rng.standard_normal((H, H)) / 2, name="U")}


def test_scan_is_the_loop_over_time_with_the_same_values_and_gradients():
    xs, h0 = Tensor(RNG.standard_normal((T, B, D)), requires_grad=True), Tensor(np.zeros((B, H)), requires_grad=True)
    p = weights()

    def step(h, x):
        h = mg.tanh(h @ p["U"].T + x @ p["W"].T)
        return h, h

    final, hs = scan(step, h0, xs)
    (hs * np.arange(T * B * H).reshape(T, B, H)).sum().backward()
    by_scan = [t.grad for t in (xs, h0, *p.values())]
    for t in (xs, h0, *p.values()):
        t.grad = None
    h, rows = h0, []
    for t in range(T):
        h, y = step(h, xs[t])
        rows.append(y)
    (mg.stack(rows) * np.arange(T * B * H).reshape(T, B, H)).sum().backward()
    assert hs.shape == (T, B, H)
    # NumPy's loop calls what the steps call, so it has their bits; native code agrees to rounding
    np.testing.assert_allclose(hs.numpy(), mg.stack(rows).numpy(), rtol=1e-13 if is_native() else 0.0)
    np.testing.assert_array_equal(final.numpy(), hs.numpy()[-1])
    for got, t in zip(by_scan, (xs, h0, *p.values()), strict=True):
        np.testing.assert_allclose(got, t.grad, rtol=1e-13)


def test_every_step_is_recorded_under_its_time_step():
    p = weights()
    _, hs = scan(lambda h, x: ((h := mg.tanh(h @ p["U"].T + x @ p["W"].T)), h.named("h")), np.zeros((B, H)), np.ones((T, B, D)))
    names = [(node.name, node.time) for node in walk(hs) if node.label == "tanh"]
    assert names == [("h", t) for t in range(1, T + 1)]
    assert {node.time for node in walk(hs) if node.label == "matmul"} == {1, 2, 3, 4, 5}


def test_the_slices_of_an_input_that_needs_a_gradient_belong_to_their_time_step():
    xs = Tensor(np.ones((3, 2)), requires_grad=True)
    _, ys = scan(lambda c, x: (c, x * 2.0), Tensor(0.0), xs)
    assert [node.time for node in walk(ys) if node.label == "getitem"] == [1, 2, 3]


def test_the_carry_the_inputs_and_the_outputs_may_be_any_nest():
    xs = {"x": np.arange(6.0).reshape(3, 2), "mask": (np.array([1.0, 0.0, 1.0]), None)}
    init = {"state": State(np.zeros(2), [0.0]), "count": (1,)}

    def step(carry, x):
        state = carry["state"]
        c = state.c + x["x"] * x["mask"][0]
        return {"count": (carry["count"][0] + 1,), "state": State(c, [state.h[0] + 1.0])}, State({"c": c}, (None, [x["x"]]))

    carry, ys = scan(step, init, xs)
    assert (type(carry["state"]), type(ys)) == (State, State)
    np.testing.assert_array_equal(carry["state"].c.numpy(), [4.0, 6.0])
    assert (carry["state"].h[0].item(), carry["count"][0].item()) == (3.0, 4)
    np.testing.assert_array_equal(ys.c["c"].numpy(), [[0, 1], [0, 1], [4, 6]])
    assert ys.h[0] is None
    np.testing.assert_array_equal(ys.h[1][0].numpy(), xs["x"])


def test_a_step_without_output_gives_none():
    carry, ys = scan(lambda c, x: (c + x, None), 0.0, np.ones(4))
    assert (carry.item(), ys) == (4.0, None)


def test_without_inputs_the_length_says_how_many_steps():
    carry, ys = scan(lambda c, x: (c * 2.0, c if x is None else 1 / 0), Tensor(1.0), length=5)
    assert carry.item() == 32.0
    assert ys.tolist() == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert scan(lambda c, x: (c * 2.0, c), Tensor(1.0), {"none": None}, length=2)[0].item() == 4.0


def test_reverse_goes_from_the_last_step_to_the_first_and_leaves_outputs_in_place():
    xs = np.array([1.0, 2.0, 3.0])
    order = []

    def step(c, x):
        order.append(mg.current_place().time)
        return c * 10.0 + x, c

    carry, ys = scan(step, Tensor(0.0), xs, reverse=True)
    assert order == [3, 2, 1]
    assert carry.item() == 321.0
    assert ys.tolist() == [32.0, 3.0, 0.0]
    forward, zs = scan(step, Tensor(0.0), xs[::-1])
    assert forward.item() == carry.item()
    assert zs.tolist() == ys.tolist()[::-1]


@pytest.mark.parametrize("reverse", [False, True])
def test_no_steps_give_the_initial_carry_and_outputs_of_length_0(reverse):
    p = weights()
    h0 = Tensor(np.ones((B, H)), requires_grad=True)
    calls = []

    def step(h, x):
        calls.append((x.shape, mg.is_recording()))
        h = mg.tanh(h @ p["U"].T + x @ p["W"].T)
        return h, {"h": h, "sum": h.sum(), "none": None, "label": h > 0}

    final, ys = scan(step, h0, np.zeros((0, B, D)), reverse=reverse)
    assert final is h0
    assert ys["h"].shape == (0, B, H)
    assert (ys["sum"].shape, ys["none"], ys["label"].dtype) == ((0,), None, np.bool_)
    assert calls == [((B, D), False)]
    final.sum().backward()
    np.testing.assert_array_equal(h0.grad, np.ones((B, H)))
    assert scan(lambda c, x: (c, None), 1.0, length=0)[0].item() == 1.0


def test_one_step():
    carry, ys = scan(lambda c, x: (c + x, c), Tensor([1.0]), np.array([[5.0]]))
    assert (carry.tolist(), ys.tolist()) == ([6.0], [[1.0]])


def test_a_batch_of_no_examples():
    _, hs = scan(lambda h, x: (h, h), np.zeros((0, H)), np.zeros((T, 0, D)))
    assert hs.shape == (T, 0, H)


def test_derivatives_of_any_order_go_through_a_scan():
    def f(w):
        return scan(lambda c, x: (mg.tanh(c * w + x), None), Tensor(0.1), np.array([0.2, -0.3, 0.4]))[0]

    def numerical(function, eps):
        return (function(0.7 + eps) - function(0.7 - eps)) / (2 * eps)

    first = mg.jacobian(f, 0.7).item()
    second = mg.hessian(f, 0.7).item()
    np.testing.assert_allclose(first, numerical(lambda w: f(Tensor(w)).item(), 1e-6), rtol=1e-8)
    np.testing.assert_allclose(second, numerical(lambda w: mg.jacobian(f, w).item(), 1e-6), rtol=1e-8)
    np.testing.assert_allclose(mg.jvp(f, 0.7, 1.0)[1].item(), first, rtol=1e-13)


def test_a_scan_in_a_scan():
    xs = np.arange(6.0).reshape(2, 3)
    total, rows = scan(lambda c, row: scan(lambda d, x: (d + x, d), c, row), Tensor(0.0), xs)
    assert total.item() == 15.0
    assert rows.tolist() == [[0, 0, 1], [3, 6, 10]]


# ---------------------------------------------------------------- refused


def test_parts_of_the_input_of_different_lengths_are_refused_by_name():
    with pytest.raises(ShapeError, match=r"xs\['x'\] has 3, xs\['mask'\] has 2"):
        scan(lambda c, x: (c, None), 0.0, {"x": np.ones(3), "mask": np.ones((2, 5))})


def test_an_input_without_a_time_axis_is_refused():
    with pytest.raises(ShapeError, match=r"scan: xs\[1\] must have a first axis, which is time, got shape \(\)"):
        scan(lambda c, x: (c, None), 0.0, (np.ones(3), 2.0))


def test_an_unknown_or_contradictory_number_of_steps_is_refused():
    with pytest.raises(ArgumentError, match="scan: without xs, length must say how many steps there are"):
        scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(ArgumentError, match="scan: xs has 3 time steps, but length is 4"):
        scan(lambda c, x: (c, None), 0.0, np.ones(3), length=4)
    for length in (-1, 1.5, True, "3"):
        with pytest.raises(ArgumentError, match="scan: expected a length that is an integer ≥ 0"):
            scan(lambda c, x: (c, None), 0.0, length=length)


@pytest.mark.parametrize("returned", [None, 1.0, (1.0,), (1.0, 2.0, 3.0), [1.0, 2.0]], ids=str)
def test_a_step_that_returns_no_pair_is_refused(returned):
    with pytest.raises(ArgumentError, match=r"scan, time step 1: expected f to return the pair \(carry, output\), got"):
        scan(lambda c, x: returned, 0.0, np.ones(3))


def test_a_carry_that_changes_its_structure_or_shape_is_refused_with_the_place_and_time_step():
    init = State(np.zeros(2), np.zeros(3))
    with pytest.raises(ArgumentError, match=r"scan, time step 1: the carry: expected a State of 2, got a tuple of 2"):
        scan(lambda c, x: ((c.c, c.h), None), init, np.ones(3))
    with pytest.raises(ShapeError, match=r"scan, time step 2: the carry\.h must keep its shape \(3,\), got \(3, 1\)"):
        scan(lambda c, x: (State(c.c, c.h if x.item() == 1 else c.h[:, None]), None), init, np.array([1.0, 2.0]))
    with pytest.raises(ShapeError, match=r"scan, time step 1: the carry must keep its shape \(\), got \(2,\)"):
        scan(lambda c, x: (c + x, None), 0.0, np.ones((3, 2)))


def test_an_output_that_changes_its_structure_is_refused():
    with pytest.raises(ArgumentError, match=r"time step 2: the output: expected a dict with the keys a, got None"):
        scan(lambda c, x: (c, {"a": x} if x.item() == 1 else None), 0.0, np.array([1.0, 2.0]))
    with pytest.raises(ShapeError, match="stack"):
        scan(lambda c, x: (c, x if x.item() == 1 else x[None]), 0.0, np.array([1.0, 2.0]))


def test_an_error_inside_a_step_names_the_time_step():
    with pytest.raises(ShapeError, match="matmul") as error:
        scan(lambda c, x: (c, x @ np.ones((3, 3)) if x.sum().item() > 2 else x), 0.0, np.array([[1.0, 1.0], [2.0, 2.0]]))
    assert error.value.__notes__ == ["in scan, time step 2"]


@pytest.mark.parametrize("start", [0.5, 1, np.float64(2.0)])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_carry_that_is_one_number_and_handed_on_is_compiled(start: float, reverse: bool) -> None:
    xs = Tensor(np.arange(12.0).reshape(4, 3), requires_grad=True)
    (report,) = mg.explain_loop(scan, lambda c, x: (c, x * 2.0), start, xs, reverse=reverse)
    carry, ys = scan(lambda c, x: (c, x * 2.0), start, xs, reverse=reverse)
    ys.sum().backward()
    assert report.is_compiled
    assert (carry.item(), ys.tolist(), xs.grad.tolist()) == (start, (xs.numpy() * 2.0).tolist(), np.full((4, 3), 2.0).tolist())


def pair(carry: Any, x: Any) -> Any:
    h_prev, c_prev = carry
    c = 0.5 * c_prev + x
    return (np.tanh(c) + h_prev, c), h_prev


@pytest.mark.parametrize("detected", [False, True])
@pytest.mark.parametrize(
    ("step", "init", "names"),
    [
        (lambda h, x: (h + x, h), 0.0, ["h"]),
        (lambda h_prev, x: (h_prev + x, None), np.zeros(()), ["h"]),
        (lambda _, x: (_ + x, None), 0.0, ["carry"]),
        (lambda s, x: ({"h": s["h"] + x, "n": s["n"] * x}, None), {"h": 0.0, "n": 0.0}, ["h", "n"]),
        (lambda s, x: ((s[0] + x, s[1] * x), None), (0.0, 1.0), ["s_1", "s_2"]),
        (pair, (0.0, 0.0), ["h", "c"]),
    ],
)
def test_states_have_the_names_that_the_step_has_for_them(step: Any, init: Any, names: list[str], detected: bool) -> None:
    xs = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    with mg.detect_anomaly() if detected else nullcontext():
        carry, _ = scan(step, init, xs)
    ends = [carry] if isinstance(carry, Tensor) else list(carry.values() if isinstance(carry, dict) else carry)
    assert [end.name for end in ends] == names
    timed = {(node.name, node.time) for node in walk(*ends) if node.name is not None and not node.is_leaf}
    assert {(names[0], t) for t in (1, 2, 3)} <= timed


def test_a_name_that_was_given_stays() -> None:
    init, outside = Tensor(0.0, requires_grad=True, name="start"), Tensor(2.0, requires_grad=True) * 1.0
    (carry, _), _ = scan(lambda s, x: (((s[0] * x).named("mine"), s[1]), None), (init, outside), np.ones(2))
    assert (carry.name, init.name, outside.name) == ("mine", "start", None)
