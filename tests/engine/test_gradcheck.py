"""The checkers of gradients catch planted mistakes and name them; and they pass what is right."""

from typing import Any

import numpy as np
import pytest
from typing_extensions import override

import minigrad as mg
from minigrad import Module, Parameter, Tensor, gradcheck, no_grad, scope, time_step
from minigrad.checks.finite_differences import (
    assert_gradients_close,
    compare_gradients,
    gradgradcheck,
    numerical_gradient,
    numerical_gradients,
)
from minigrad.errors import ArgumentError, DTypeError, GradientMismatchError, ShapeError
from minigrad.graph import Operation
from minigrad.recording import record
from minigrad.tensor import unrecorded

RNG = np.random.default_rng(0)


class Planted(Operation):
    """y = x³ with a derivative that somebody got wrong."""

    __slots__ = ("derivative",)
    label, symbol = "planted", "?"
    keeps = (0,)
    derivative: Any

    @override
    def vjp(self, g, *saved):
        return (self.derivative(g, saved[0]),)


def cube(x, derivative):
    """x³, whose derivative is said to be ``derivative(g, x)``."""
    if not (x.requires_grad and mg.is_recording()):
        return unrecorded(x.numpy() ** 3)
    node = Planted()
    node.derivative = derivative
    return record(node, x.numpy() ** 3, (x.node,), (x.lend(Planted),))


def right(g, x):
    return 3.0 * g * x * x


def one_entry_wrong(g, x):
    one = np.zeros(x.shape)
    one.flat[-1] = 1e-3
    return right(g, x) + g * one


MISTAKES = {
    "sign": lambda g, x: -right(g, x),
    "factor": lambda g, x: 2.0 * g * x * x,
    "power": lambda g, x: 3.0 * g * x,
    "no upstream gradient": lambda g, x: 3.0 * x * x,
    "zero": lambda g, x: g * 0.0,
    "one entry of many by a thousandth": one_entry_wrong,
    "rolled": lambda g, x: right(g, x)[..., ::-1],
    "NaN": lambda g, x: g * np.nan,
    "infinity": lambda g, x: np.full(x.shape, np.inf),
}


def leaf(*shape, seed=0, name=None):
    return Tensor(np.random.default_rng(seed).standard_normal(shape) + 2.0, requires_grad=True, name=name)


# ---------------------------------------------------------------- gradcheck


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(4,), (2, 30)])
def test_gradcheck_passes_a_right_derivative(full, shape):
    assert gradcheck(lambda x: cube(x, right), leaf(*shape), full=full)
    assert gradcheck(lambda x: cube(x, right).sum(), leaf(*shape), full=full)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(4,), (2, 30)])
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_gradcheck_catches_a_planted_mistake(mistake, shape, full):
    with pytest.raises(GradientMismatchError, match=r"gradcheck: .*autograd says .*\(analytical\), central differences say"):
        gradcheck(lambda x: cube(x, mistake), leaf(*shape), full=full)


def test_gradcheck_names_the_input_the_worst_entry_and_says_which_number_is_which():
    def f(a, W):
        return (a * cube(W, one_entry_wrong)).sum()

    W = leaf(3, 5, name="W_hh")
    with pytest.raises(GradientMismatchError) as error:
        gradcheck(f, [leaf(3, 5, seed=1), W])
    text = str(error.value)
    assert text.startswith("gradcheck: input 1 (W_hh), entry (2, 4): autograd says ")
    assert "(analytical), central differences say" in text
    assert "(numerical)" in text
    assert text.endswith("1 of 15 entries differ by more than 1e-06 + 1e-05 · |numerical|")


def test_full_gradcheck_names_the_pair_of_entries_and_the_time_steps():
    with time_step(0):
        h0 = leaf(3, name="h")

    def f(h):
        with scope("rnn"), time_step(4):
            return cube(h, one_entry_wrong).named("h")

    with pytest.raises(GradientMismatchError) as error:
        gradcheck(f, h0, full=True)
    assert str(error.value).startswith(
        "gradcheck: ∂(output 0 (h, time step 4), entry (2,)) / ∂(input 0 (h, time step 0), entry (2,)): autograd says "
    )
    assert "1 of 9 derivatives differ" in str(error.value)


def test_gradcheck_finds_errors_that_cancel_in_the_sum_of_all_entries():
    def antisymmetric(g, x):
        wrong = np.zeros(x.shape)
        wrong[0], wrong[1] = 0.5, -0.5
        return right(g, x) + (g * wrong)[::-1]

    with pytest.raises(GradientMismatchError):
        gradcheck(lambda x: cube(x, antisymmetric), leaf(4))


def test_gradcheck_of_an_error_spread_over_all_entries_reports_the_direction():
    def spread(g, x):
        return right(g, x) + 4e-7

    with pytest.raises(GradientMismatchError, match=r"no entry alone differs .* but along a random direction"):
        gradcheck(lambda x: cube(x, spread), leaf(1000), rtol=0.0)


def test_gradcheck_looks_at_parameters_that_the_function_closes_over():
    class Affine(Module):
        def __init__(self):
            self.W = Parameter(RNG.standard_normal((3, 2)))
            self.b = Parameter(RNG.standard_normal(3))

    model, x = Affine(), leaf(2)
    before = model.state_dict()
    assert gradcheck(lambda x: mg.tanh(model.W @ x + model.b), x, model)
    assert gradcheck(lambda: mg.tanh(model.W @ [1.0, 2.0] + model.b), parameters=[model.W, model.b])
    with pytest.raises(GradientMismatchError, match=r"gradcheck: parameter b, entry \(\d,\): autograd says"):
        gradcheck(lambda: cube(model.b, MISTAKES["sign"]) * model.W.sum(), parameters=dict(model.named_parameters()))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert model.W.grad is None


def test_gradcheck_checks_several_outputs_in_any_nest():
    def f(x):
        return {"a": (x * 2.0, [mg.tanh(x).sum()]), "none": None, "constant": Tensor([1.0])}

    assert gradcheck(f, leaf(3))
    assert gradcheck(f, leaf(3), full=True)
    with pytest.raises(GradientMismatchError, match=r"∂\(output 1, entry \(2,\)\)"):
        gradcheck(lambda x: (x * 1.0, cube(x, one_entry_wrong)), leaf(3), full=True)


def test_gradcheck_leaves_inputs_that_need_no_gradient_alone():
    assert gradcheck(lambda x, k, c: x[k.numpy()] * c, [leaf(3), Tensor([0, 2, 2]), Tensor([1.0, 2.0, 3.0], dtype=np.float32)])


def test_gradcheck_of_empty_and_0_d_inputs():
    for full in (False, True):
        assert gradcheck(lambda x: x * 2.0, leaf(0, 3), full=full)
        assert gradcheck(lambda x: x * x, leaf(), full=full)
        assert gradcheck(lambda x: x[:0], leaf(3), full=full)


def test_gradcheck_changes_neither_values_nor_gradients_nor_hooks():
    x, calls = leaf(3), []
    x.register_hook(calls.append)
    before = x.numpy()
    assert gradcheck(lambda x: x * x, x)
    np.testing.assert_array_equal(x.numpy(), before)
    assert x.grad is None
    assert calls == []


def test_gradcheck_puts_parameters_back_when_the_function_fails():
    p, calls = Parameter([1.0, 2.0]), []

    def f():
        calls.append(1)
        if len(calls) == 4:
            raise ZeroDivisionError
        return p * p

    with pytest.raises(ZeroDivisionError):
        gradcheck(f, parameters=[p])
    np.testing.assert_array_equal(p.numpy(), [1.0, 2.0])


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_gradcheck_refuses_what_is_not_float64(dtype):
    x = Tensor([1.0], requires_grad=True, dtype=dtype, name="x")
    with pytest.raises(DTypeError, match=r"gradcheck: input 0 \(x\) is float\d\d; finite differences need float64"):
        gradcheck(lambda x: x * x, x)
    with pytest.raises(DTypeError, match="gradcheck: expected the function to return float64 tensors, got float"):
        gradcheck(lambda x: x.astype(dtype), leaf(2))


def test_gradcheck_refuses_what_it_cannot_check():
    with pytest.raises(DTypeError, match="no input has requires_grad=True"):
        gradcheck(lambda x: x, Tensor([1.0]))
    with pytest.raises(DTypeError, match="got ndarray"):
        gradcheck(lambda x: x.numpy(), leaf(2))
    noise = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="returned something else the second time; fix its seed, or switch dropout off"):
        gradcheck(lambda x: x * noise.standard_normal(), leaf(2))


def test_gradcheck_of_a_large_input_takes_few_evaluations():
    calls = []

    def f(x):
        calls.append(1)
        return mg.tanh(x)

    gradcheck(f, leaf(100, 100))
    assert len(calls) <= 10


# ---------------------------------------------------------------- gradgradcheck


@pytest.mark.parametrize("full", [False, True])
def test_gradgradcheck_passes_right_second_derivatives(full):
    def f(W, x):
        return mg.tanh(W @ x), (mg.sigmoid(x) * x).sum()

    assert gradgradcheck(f, [leaf(2, 3), leaf(3, seed=1)], full=full)


def test_gradgradcheck_leaves_inputs_that_need_no_gradient_alone():
    assert gradgradcheck(lambda k, x, c: x[k.numpy()] * x.sum() * c, [Tensor([0, 1]), leaf(3), Tensor(2.0)])


def test_gradgradcheck_catches_a_derivative_that_is_right_but_forgets_that_it_depends_on_x():
    def forgetful(g, x):
        return 3.0 * g * (x.detach() * x.detach() if isinstance(x, Tensor) else x * x)

    assert gradcheck(lambda x: cube(x, forgetful), leaf(3))
    with pytest.raises(GradientMismatchError, match=r"gradcheck: input 0, entry .*autograd says 0\.0"):
        gradgradcheck(lambda x: cube(x, forgetful), leaf(3))


def test_gradgradcheck_catches_a_derivative_that_is_not_linear_in_the_upstream_gradient():
    def cut_off(g, x):
        return 3.0 * (g.detach() if isinstance(g, Tensor) else g) * x * x

    with pytest.raises(GradientMismatchError, match=r"input 1 \(upstream gradient 0\)"):
        gradgradcheck(lambda x: cube(x, cut_off), leaf(3))


# ---------------------------------------------------------------- differences


def test_numerical_gradients_of_a_nest_have_its_structure_and_put_everything_back():
    p = {"W": Parameter([[1.0, 2.0]]), "b": (np.array([3.0]), None)}

    def loss():
        with no_grad():
            return float((p["W"].numpy() ** 2).sum() + p["b"][0][0] ** 3)

    found = numerical_gradients(loss, p)
    np.testing.assert_allclose(found["W"], [[2.0, 4.0]], rtol=1e-8)
    np.testing.assert_allclose(found["b"][0], [27.0], rtol=1e-8)
    assert found["b"][1] is None
    assert (p["W"].tolist(), p["b"][0].tolist()) == ([[1.0, 2.0]], [3.0])


def test_a_numerical_gradient_puts_the_entry_back_after_an_error():
    a = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda: 1 / 0, a)
    np.testing.assert_array_equal(a, [1.0, 2.0])


# ---------------------------------------------------------------- comparison of sources


G = {"W_hh": RNG.standard_normal((3, 4)), "b_h": RNG.standard_normal(3), "x": np.zeros((2, 0))}


def test_equal_gradients_agree_whatever_the_order_of_the_names():
    comparison = compare_gradients(G, dict(reversed(G.items())), {k: v + 1e-14 for k, v in G.items()})
    assert comparison.agree
    assert comparison.worst.relative < 1e-12
    assert "DIFFERS" not in str(comparison)
    assert_gradients_close(G, G)


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        (lambda W: -W, "-1 times autograd"),
        (lambda W: W / 3, "0.333333 times autograd"),
        (lambda W: W * 0, "0 times autograd"),
        (lambda W: W + np.eye(3, 4) * 1e-3, r"entry \(\d, \d\): "),
        (lambda W: np.where(W[1, 2] == W, np.nan, W), r"entry \(1, 2\): nan instead of"),
        (lambda W: np.where(W[1, 2] == W, np.inf, W), r"entry \(1, 2\): inf instead of"),
    ],
)
def test_a_wrong_gradient_is_named_with_the_worst_entry_or_the_factor(wrong, verdict):
    with pytest.raises(GradientMismatchError, match=f"DIFFERS: {verdict}") as error:
        assert_gradients_close(G, {**G, "W_hh": wrong(G["W_hh"])}, names=("autograd", "by hand"))
    assert str(error.value).startswith("gradients differ, most at W_hh, entry (")
    assert str(error.value).count("equal") == 2


def test_the_table_has_a_line_for_every_gradient_of_every_source():
    table = str(compare_gradients(G, G, {**G, "b_h": G["b_h"] * 2}, names=("autograd", "by hand", "numerical")))
    lines = table.splitlines()
    assert len(lines) == 7
    assert lines[0].split("   ")[0].strip() == "gradient of"
    assert lines[4].startswith("b_h           3 ")
    assert lines[4].endswith("DIFFERS: 2 times autograd")
    assert repr(compare_gradients(G)) == str(compare_gradients(G))


def test_sources_may_be_tensors_tuples_nests_or_one_array():
    assert compare_gradients(Tensor([1.0]), np.array([1.0])).differences[0].gradient == "x"
    assert [d.gradient for d in compare_gradients((1.0, {"a": 2.0}), (1.0, {"a": 2.0})).differences] == ["[0]", "[1]['a']"]
    assert compare_gradients({}, {}).worst is None
    assert compare_gradients({}, {}).agree


def test_zero_gradients_agree_and_a_tiny_one_where_zero_is_expected_differs():
    zero = {"W": np.zeros((2, 2))}
    assert compare_gradients(zero, zero).agree
    assert compare_gradients(zero, {"W": np.full((2, 2), 1e-13)}).agree
    assert not compare_gradients(zero, {"W": np.full((2, 2), 1e-9)}).agree


def test_a_small_gradient_is_measured_against_its_own_size():
    tiny = {"W": np.array([1e-9, 2e-9])}
    assert not compare_gradients(tiny, {"W": np.array([1e-9, 2.01e-9])}).agree


def test_sources_that_do_not_go_together_are_refused():
    with pytest.raises(ArgumentError, match=r"by hand: expected a dict with the keys .*, got a dict with the keys"):
        compare_gradients(G, {"W_hh": G["W_hh"]}, names=("autograd", "by hand"))
    with pytest.raises(ShapeError, match=r"compare_gradients: other, b_h: expected the shape \(3,\), got \(3, 1\)"):
        compare_gradients(G, {**G, "b_h": G["b_h"][:, None]})
    with pytest.raises(ArgumentError, match="expected 2 names, one for each source, got 1"):
        compare_gradients(G, G, names=("autograd",))
    with pytest.raises(DTypeError, match="other, b_h: expected an array of real numbers, got"):
        compare_gradients(G, {**G, "b_h": "abc"})


@pytest.mark.parametrize("full", [False, True])
def test_what_is_allowed_is_relative_to_the_numerical_derivative_and_not_to_what_is_claimed(full: bool) -> None:
    ten_times = mg.Function(lambda x: (2.0 * x, ()), lambda g, _: (20.0 * g,))
    with pytest.raises(GradientMismatchError):
        gradcheck(ten_times, leaf(2), rtol=0.95, full=full)
    assert gradcheck(ten_times, leaf(2), rtol=9.5, full=full)
