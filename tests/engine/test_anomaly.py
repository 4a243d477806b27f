"""detect_anomaly: the first NaN or infinity is found, and what is known of where it came from is said."""

import gc
import inspect
import sys
import threading
import warnings

import numpy as np
import pytest

import minigrad as mg
from minigrad import Parameter, Tensor, detect_anomaly, grad, is_recording, no_grad, scope, time_step
from minigrad.diagnosis import magnitude
from minigrad.errors import AnomalyError
from minigrad.graph import Node, Operation
from minigrad.recording import record
from minigrad.scope import state


def leaf(*values, name=None):
    return Tensor(np.array(values, dtype=np.float64), requires_grad=True, name=name)


def message(function):
    """What detect_anomaly says about what happens in ``function``."""
    with pytest.raises(AnomalyError) as error, detect_anomaly():
        function()
    return str(error.value)


@pytest.fixture(autouse=True)
def everything_is_restored():
    before = np.geterr()
    yield
    assert (state.detector, state.place.line, state.settings) == (None, None, [])
    assert np.geterr() == before


# ---------------------------------------------------------------- forward


FORWARD = {
    "log": (lambda: mg.log(leaf(-1.0, 1.0)), "NaN"),
    "log of 0": (lambda: mg.log(leaf(0.0, 1.0)), "infinity"),
    "sqrt": (lambda: mg.sqrt(leaf(-1.0)), "NaN"),
    "div": (lambda: leaf(1.0) / leaf(0.0), "infinity"),
    "div 0 by 0": (lambda: leaf(0.0) / leaf(0.0), "NaN"),
    "exp": (lambda: mg.exp(leaf(1000.0)), "infinity"),
    "pow": (lambda: leaf(-1.0) ** 0.5, "NaN"),
    "mul": (lambda: leaf(1e200) * 1e200, "infinity"),
    "add": (lambda: leaf(1e308) + 1e308, "infinity"),
    "sub": (lambda: 1e308 - leaf(-1e308), "infinity"),
    "matmul": (lambda: Tensor(np.full((2, 2), 1e200), requires_grad=True) @ np.full((2, 2), 1e200), "infinity"),
    "sum": (lambda: leaf(1e308, 1e308).sum(), "infinity"),
    "square": (lambda: mg.square(leaf(1e200)), "infinity"),
}


@pytest.mark.parametrize(("compute", "kind"), FORWARD.values(), ids=FORWARD)
def test_the_first_operation_whose_forward_is_not_finite_is_named_without_a_warning(compute, kind, request):
    label = request.node.callspec.id.split()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = message(compute)
    assert text.startswith(f"{kind} first appeared in the forward of '{label}', shape (")
    assert "return" not in text.split("recorded at")[0]


def test_the_operation_the_cell_the_gate_the_time_step_the_ranges_and_the_line_are_named():
    z = Tensor([[0.5, -2.0], [3.0, 0.25]], requires_grad=True, name="z")

    def cell():
        with scope("lstm"), time_step(17):
            return mg.log(z).named("f")

    line = inspect.getsourcelines(cell)[1] + 2
    text = message(cell)
    assert text.splitlines() == [
        "NaN first appeared in the forward of 'log' (lstm at time step 17), in the line that computes 'f', shape (2, 2): "
        "from -1.386 to 1.099, 1 of 4 entries NaN",
        "  input 0, 'z', shape (2, 2): from -2 to 3",
        f'  recorded at File "{__file__}", line {line}, in cell',
        '    return mg.log(z).named("f")',
        f'  called from File "{__file__}", line {inspect.getsourcelines(message)[1] + 3}, in message',
        "    function()",
        *text.splitlines()[6:],
    ]
    assert text.splitlines()[-1].startswith("  ln x is −∞ at 0 and undefined below; use log_softmax or cross_entropy instead")


def test_the_first_one_is_reported_not_a_later_one():
    def compute():
        x = leaf(-1.0)
        y = mg.sqrt(x)
        return mg.log(y * 0.0).sum()

    assert "'sqrt'" in message(compute)


def test_every_operand_is_described_whatever_its_kind():
    x, c = leaf(1.0, 0.0, name="x"), Tensor([0.0, 0.0])
    text = message(lambda: (x * 2.0) / c)
    assert "  input 0, a result of 'mul', shape (2,): from 0 to 2\n" in text
    assert "  input 1, a constant, shape (2,): from 0 to 0\n" in text
    text = message(lambda: np.array([1.0, 2.0]) / x)
    assert "  input 0, a constant, shape (2,): from 1 to 2\n" in text
    assert "  input 1, 'x', shape (2,): from 0 to 1\n" in text
    assert "input 1, a constant, shape (): from 0 to 0" in message(lambda: x / 0)
    W = Tensor(np.full((2, 2), 1e200), requires_grad=True, name="W")
    assert "input 1, 'W', shape (2, 2): from 1e+200 to 1e+200" in message(lambda: (x * 1e200) @ W.T)
    parts = [leaf(1.0, name="a"), leaf(np.nan, name="b")]
    assert "  input 0, 'a', shape (1,): from 1 to 1\n  input 1, 'b', shape (1,): 1 of 1 entries NaN" in message(
        lambda: mg.concatenate(parts)
    )


def test_a_nan_that_was_already_in_a_parameter_is_traced_to_an_earlier_update_and_clipping():
    W = Parameter([[1.0, np.nan]], name="W_hh")
    text = message(lambda: W @ np.ones(2))
    assert "  input 0, 'W_hh', shape (1, 2): from 1 to 1, 1 of 2 entries NaN\n" in text
    assert text.startswith("NaN in the forward of 'matmul' was already in input 0, 'W_hh'\n")
    assert "\n  an earlier update must have put it there, which is what exploding gradients do" in text
    assert "clip_grad_norm_" in text


def test_a_nan_that_was_already_in_the_data_says_so():
    W = Parameter([1.0, 2.0], name="W")
    for x in (np.array([np.inf, 1.0]), Tensor([np.nan, 1.0]), Tensor([np.nan, 1.0], name="x")):
        text = message(lambda x=x: W * x)
        assert " was already in input 1, a constant\n" in text or " was already in input 1, 'x'\n" in text
        assert text.endswith("\n  look at the data that were passed in")


def test_a_nan_recorded_before_the_context_says_so():
    with np.errstate(all="ignore"):
        y = mg.sqrt(leaf(-1.0))
    text = message(lambda: y * 2.0)
    assert text.startswith("NaN in the forward of 'mul' was already in input 0, a result of 'sqrt'\n")
    assert "\n  it was recorded before detect_anomaly() was entered; have the whole forward pass inside" in text


def test_what_is_not_recorded_is_not_looked_at():
    with detect_anomaly(), no_grad():
        assert np.isnan(mg.sqrt(leaf(-1.0)).item())
    with detect_anomaly():
        assert np.isnan(mg.sqrt(Tensor([-1.0])).item())


def test_infinities_can_be_allowed_and_then_only_nan_counts():
    x = leaf(1.0, 2.0)
    with detect_anomaly(infinity=False):
        masked = mg.where(np.array([True, False]), x, -np.inf)
        mg.softmax(masked)[0].backward()
        with pytest.raises(AnomalyError, match="NaN first appeared in the forward of 'sub'"):
            masked - masked
    np.testing.assert_array_equal(x.grad, [0.0, 0.0])


def test_the_name_that_the_line_is_about_to_give_is_known_only_if_there_is_one():
    def two():
        x = leaf(-1.0)
        return mg.sqrt(x).named("a"), mg.sqrt(x).named("b")

    assert "'sqrt', shape" in message(two)
    assert "'sqrt', in the line that computes 'c', shape" in message(lambda: mg.sqrt(leaf(-1.0)).named('c'))


def test_what_cannot_be_found_out_about_an_operand_is_said():
    class Mine(Operation):
        __slots__ = ()
        label, symbol = "mine", "?"

        def vjp(self, g, *saved):
            return (g,)

    x = leaf(1.0, name="x")
    assert "\n  input 0, 'x', not known\n" in message(lambda: record(Mine(), np.array([np.nan]), (x.node,), ()))
    assert "input 1, a constant, shape (2,): from -3 to 2" in message(lambda: leaf(0.0, 1.0) ** np.array([-3, 2]))


def test_code_without_a_file_is_still_reported():
    space = {"mg": mg, "x": leaf(-1.0)}
    assert 'recorded at File "<string>", line 1, in <module>\n' in message(lambda: exec("mg.sqrt(x)", space))


# ---------------------------------------------------------------- backward


def test_the_first_operation_whose_backward_is_not_finite_is_named():
    x = leaf(4.0, 0.0, name="x")

    def train():
        with scope("norm"), time_step(3):
            y = mg.sqrt(x).named("r")
        (y * 2.0).sum().backward()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = message(train)
    line = inspect.getsourcelines(train)[1] + 2
    assert text.splitlines()[:5] == [
        "infinity first appeared in the backward of 'sqrt' named 'r' (norm at time step 3), in the gradient for input 0, 'x', "
        "shape (2,): "
        "from 0.5 to 0.5, 1 of 2 entries infinite",
        "  upstream gradient, shape (2,): from 2 to 2",
        "  its result, shape (2,): from 0 to 2",
        f'  recorded at File "{__file__}", line {line}, in train',
        '    y = mg.sqrt(x).named("r")',
    ]
    assert "its derivative is infinite at 0; use sqrt(x + ε)" in text
    assert x.grad is None


def test_a_forward_outside_the_context_is_still_named_but_not_its_line():
    x = leaf(0.0)
    y = mg.sqrt(x)
    text = message(lambda: y.backward())
    assert "backward of 'sqrt'" in text
    assert "recorded before detect_anomaly() was entered, so the line of code is not known" in text


def test_an_upstream_gradient_that_is_not_finite_says_so():
    x = leaf(1.0, 2.0)
    y = (x * 2.0).named("y")
    text = message(lambda: y.backward([np.nan, 1.0]))
    assert text.startswith("NaN was already in the gradient that backward of 'mul' named 'y' was started with, shape (2,): ")


def test_an_overflow_in_the_sum_of_the_shares_names_the_node():
    x = leaf(1.0, name="x")
    y = (x * 1e308 + (x - 1.5) * 1e308).sum()
    text = message(lambda: y.backward())
    assert text.startswith("infinity first appeared in the sum of the gradients that the consumers of 'leaf' named 'x' send")


def test_a_hook_that_returns_nan_is_named():
    x = leaf(1.0)
    h = (x * 2.0).named("h")
    h.register_hook(lambda g: g * np.nan)
    assert message(lambda: h.backward()).startswith("NaN first appeared in what a hook on 'mul' named 'h' returned")


@pytest.mark.parametrize("transform", [
    lambda f, x: grad(f(x), x),
    lambda f, x: grad(f(x), x, create_graph=True),
    lambda f, x: mg.vjp(f, x)[1](),
    lambda f, x: mg.jvp(f, x, np.ones(1)),
    lambda f, x: mg.jacobian(f, x),
    lambda f, x: mg.hessian(f, x),
], ids=["grad", "create_graph", "vjp", "jvp", "jacobian", "hessian"])  # fmt: skip
def test_every_way_to_differentiate_is_looked_at(transform):
    text = message(lambda: transform(lambda x: mg.sqrt(x).sum(), leaf(0.0)))
    assert "infinity first appeared in the " in text
    assert "sqrt(x).sum()" in text


def test_a_recorded_backward_names_the_operation_that_is_undone_in_a_note():
    x = leaf(0.0)
    with pytest.raises(AnomalyError) as error, detect_anomaly():
        grad(mg.sqrt(x).named("r").sum(), x, create_graph=True)
    assert error.value.__notes__ == ["in the recorded backward of 'sqrt' named 'r'"]


def test_the_second_derivative_is_looked_at():
    x = leaf(0.0)

    def second():
        (dx,) = grad((x**1.5).sum(), x, create_graph=True)
        return grad(dx.sum(), x)

    assert "'pow'" in message(second)


# ---------------------------------------------------------------- explosion


def recurrent(T, scale, activation=lambda z: z):
    """An RNN whose state is multiplied by ``scale`` at every step, with its parameter."""
    W = Parameter(np.eye(2) * scale, name="W_hh")
    h = Tensor(np.ones((1, 2)), requires_grad=True)
    for t in range(1, T + 1):
        with scope("rnn"), time_step(t):
            h = activation(h @ W.T).named("h")
    return h, W


def test_an_overflow_in_backward_says_where_gradients_began_to_explode_and_mentions_clipping():
    def exploding():
        x = leaf(1.0)
        h = x
        for t in range(1, 101):
            with scope("rnn"), time_step(t):
                step = h * (1e8 if t < 90 else 1.0)
                h = step - step.detach() + 1.0
        h.sum().backward()

    text = message(exploding)
    assert "infinity first appeared in the backward of 'mul' (rnn at time step 51)" in text
    assert "gradients began to explode at time step 89 and grew by a factor of about 1e+08 a step up to time step 52" in text
    assert "(largest norm by time step: t = 89: 1.0e+00, t = 82: 1.0e+56, " in text
    assert "clip gradients at every update (minigrad.clipping.clip_grad_norm_)" in text


def test_an_overflow_in_forward_says_where_values_began_to_explode():
    text = message(lambda: recurrent(50, 1e10))
    assert "infinity first appeared in the forward of 'matmul' (rnn at time step 31), in the line that computes 'h'" in text
    assert "values began to explode at time step 1 and grew by a factor of about 1e+10 a step up to time step 30" in text
    assert "largest norm by time step: t = 1: 1.4e+10, t = 7: " in text
    assert "clip_grad_norm_" in text


def test_a_short_explosion_is_listed_whole():
    text = message(lambda: recurrent(50, 1e70))
    assert "(largest norm by time step: t = 1: 1.4e+70, t = 2: 1.4e+140, t = 3: 1.4e+210, t = 4: 1.4e+280)" in text


def test_an_overflow_that_did_not_grow_over_time_does_not_speak_of_explosion():
    def compute():
        x = leaf(1.0)
        for t in range(1, 4):
            with time_step(t):
                y = x * (1e308 if t == 3 else 1.0)
        return y * 1e10

    text = message(compute)
    assert "explode" not in text
    assert "an overflow; if this happened in training, clip gradients" in text


# ---------------------------------------------------------------- what it leaves alone


def test_results_and_gradients_are_the_same_bits_as_without():
    rng = np.random.default_rng(0)
    W0, x0 = rng.standard_normal((4, 4)), rng.standard_normal((3, 4))

    def gradient():
        W = Parameter(W0)
        a, b = mg.split(mg.tanh(x0 @ W.T) @ W, 2, axis=1)
        (mg.softmax(a * mg.sigmoid(b))[:, 0] + W[[0, 0, 1]].sum() + W.reshape(-1)[3]).sum().backward()
        return W.grad.tobytes()

    expected = gradient()
    with detect_anomaly():
        assert gradient() == expected


def test_it_is_restored_after_the_error_and_the_graph_can_still_be_used():
    x = leaf(4.0, 0.0)
    with time_step(2):
        y = mg.sqrt(x).sum()
        with pytest.raises(AnomalyError), detect_anomaly():
            y.backward()
        assert mg.current_place().time == 2
    with np.errstate(all="ignore"):
        y.backward()
    np.testing.assert_array_equal(x.grad, [0.25, np.inf])


def test_it_nests_and_keeps_the_place():
    with scope("a"), detect_anomaly(), time_step(1), detect_anomaly(), scope("b"):
        y = leaf(1.0) * 2.0
        assert (y.node.time, y.node.scope) == (1, ("a", "b"))
    with detect_anomaly():
        with detect_anomaly(infinity=False):
            mg.log(leaf(0.0))
        with pytest.raises(AnomalyError):
            mg.log(leaf(0.0))


def test_it_is_a_decorator_of_functions_and_generators():
    @detect_anomaly()
    def f(x):
        return mg.sqrt(x)

    @detect_anomaly()
    def g():
        yield state.detector is not None
        yield mg.sqrt(leaf(-1.0))

    with pytest.raises(AnomalyError):
        f(leaf(-1.0))
    generator = g()
    assert next(generator)
    assert state.detector is None
    with pytest.raises(AnomalyError):
        next(generator)


def test_it_concerns_its_own_thread_only():
    results = []

    def other():
        with np.errstate(all="ignore"):
            results.append(mg.sqrt(leaf(-1.0)).item())

    with detect_anomaly():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert np.isnan(results[0])


def test_warnings_of_numpy_are_silent_inside_and_come_back():
    with detect_anomaly():
        np.log(np.zeros(1))
    with pytest.warns(RuntimeWarning):
        np.log(np.zeros(1))
    assert is_recording()


def test_nothing_is_kept_after_the_context():
    def run():
        with detect_anomaly():
            x = leaf(1.0)
            y = x
            for t in range(20):
                with time_step(t):
                    y = mg.tanh(y * 2.0)
            y.backward()

    run()
    gc.collect()
    gc.disable()
    try:
        before = sum(issubclass(type(found), Node) for found in gc.get_objects())
        run()
        assert sum(issubclass(type(found), Node) for found in gc.get_objects()) == before
    finally:
        gc.enable()


def test_the_line_of_code_is_looked_for_only_inside_the_context():
    x = leaf(1.0)
    with detect_anomaly():
        inside = x * 2.0
    outside = x * 2.0
    assert inside.node.place.line.calls[0][1] == sys._getframe().f_lineno - 2
    assert outside.node.place.line is None
    (g,) = grad(inside * inside, x, create_graph=True)
    assert all(node.place.line is None for node in mg.walk(g) if node.serial > outside.node.serial)


def test_zero_size_and_integer_results_are_no_anomaly():
    with detect_anomaly():
        x = Tensor(np.zeros((0, 3)), requires_grad=True)
        (mg.log(x) * 2.0).sum().backward()
        assert (x > 0).shape == (0, 3)
    assert x.grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("array", "norm"),
    [
        (np.zeros((2, 3)), 0.0),
        (np.zeros((0, 3)), 0.0),
        (np.array([3.0, -4.0]), 5.0),
        (np.array([3e200, -4e200]), 5e200),
        (np.array([1.5e308, 1.5e308]), np.inf),
        (np.array([1.0, -np.inf]), np.inf),
        (np.array([1.0, np.nan, np.inf]), np.nan),
        (np.array([6e4, 8e4], np.float32), 1e5),
    ],
)
def test_the_magnitude_of_an_array_is_its_norm_also_of_zeros_and_of_what_is_not_finite(array, norm):
    np.testing.assert_allclose(magnitude(array), norm, rtol=1e-7)
