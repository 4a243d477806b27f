"""The hand-derived gradients of every cell against complex-step and central differences of its forward pass."""

import inspect
from types import ModuleType

import numpy as np
import pytest
from by_hand_cases import (
    BY_NAME,
    LOSSES,
    VARIANTS,
    Variant,
    central_differences,
    complex_step,
    every_size,
    make_case,
    worst,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)


@pytest.mark.sampled(2)
@every_variant
@pytest.mark.parametrize("losses", LOSSES)
@every_size
def test_every_leaf_agrees_with_complex_step(variant: Variant, losses: str, T: int, B: int, D: int, H: int) -> None:
    case = make_case(variant, T, B, D, H, losses)
    difference, leaf = worst(case.by_hand(), complex_step(case.loss, case.leaves()))
    assert difference < 1e-11, leaf


@pytest.mark.sampled(1)
@every_variant
@pytest.mark.parametrize(("T", "B", "D", "H"), [(1, 2, 3, 2), (2, 1, 2, 3), (12, 2, 2, 3)])
def test_every_leaf_agrees_with_central_differences(variant: Variant, T: int, B: int, D: int, H: int) -> None:
    case = make_case(variant, T, B, D, H, "every step", seed=1)
    difference, leaf = worst(case.by_hand(), central_differences(case.loss, case.leaves()))
    assert difference < 1e-8, leaf


@every_variant
def test_state_and_its_upstream_gradient_left_out_are_zeros(variant: Variant) -> None:
    case = make_case(variant, 4, 2, 3, 2, "last step")
    module, options = variant.module, variant.options
    zeros = tuple(np.zeros_like(s) for s in case.state) if isinstance(case.state, tuple) else np.zeros_like(case.state)
    short = module.forward(case.params, case.xs, **options)
    full = module.forward(case.params, case.xs, zeros, **options)
    assert (short.hs == full.hs).all()
    g_short = module.backward(case.params, short, case.d_hs)
    g_full = module.backward(case.params, full, case.d_hs, zeros)
    assert (g_short.xs == g_full.xs).all()
    assert all((g_short.params[name] == g_full.params[name]).all() for name in case.params)


@every_variant
@pytest.mark.parametrize(("T", "B"), [(0, 2), (3, 0)])
def test_no_steps_and_no_examples_are_defined(variant: Variant, T: int, B: int) -> None:
    case = make_case(variant, T, B, 3, 2, "every step")
    gradients = case.by_hand()
    assert all((gradients[name] == 0).all() for name in case.params)
    assert gradients["xs"].shape == (T, B, 3)
    if T == 0:
        sent = case.d_state[1] if isinstance(case.d_state, tuple) else case.d_state
        assert (gradients["h_0"] == sent).all()


@every_variant
def test_backward_changes_nothing_it_was_given(variant: Variant) -> None:
    case = make_case(variant, 3, 2, 3, 2, "every step")
    before = {name: leaf.copy() for name, leaf in case.leaves().items()} | {"d_hs": case.d_hs.copy()}
    first = case.by_hand()
    second = case.by_hand()
    after = case.leaves() | {"d_hs": case.d_hs}
    assert all((before[name] == after[name]).all() for name in before)
    assert all((first[name] == second[name]).all() for name in first)


@every_variant
def test_float32_stays_float32(variant: Variant) -> None:
    case = make_case(variant, 3, 2, 3, 2, "last step")
    params = {name: value.astype(np.float32) for name, value in case.params.items()}
    trace = variant.module.forward(params, case.xs.astype(np.float32), **variant.options)
    gradients = variant.module.backward(params, trace, case.d_hs.astype(np.float32))
    assert {value.dtype.name for value in gradients.params.values()} == {"float32"}
    assert gradients.xs.dtype.name == trace.hs.dtype.name == "float32"


MISTAKES = [
    ("rnn", "dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1]"),
    ("rnn", "dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1] if d_hs[t - 1].any() else dh"),
    ("rnn", "(1 - h * h)", "(1 - h)"),
    ("rnn", "(1 - h * h)", "(1 - h_prev * h_prev)"),
    ("rnn", 'dp["W_hh"] += da.T @ h_prev', 'dp["W_hh"] = da.T @ h_prev'),
    ("rnn", "da.T @ h_prev", "da.T @ h"),
    ("rnn", "da.T @ h_prev", "h_prev.T @ da"),
    ("rnn", "da @ W_hh", "da @ W_hh.T"),
    ("rnn", "da.sum(axis=0)", "da.mean(axis=0)"),
    ("rnn-relu", "(h > 0)", "(h_prev > 0)"),
    ("gated_rnn", "ds * (s_tilde - s_prev)", "ds * s_tilde"),
    ("gated_rnn", "(1 - g) * ds +", "g * ds +"),
    ("gated_rnn", "da_g @ W_gs + da_s @ W_ss", "da_g @ W_ss + da_s @ W_gs"),
    ("gated_rnn", "da_g @ W_gs +", ""),
    ("gated_rnn", "da_g @ W_gx + ", ""),
    ("gated_rnn-bias", 'dp["b_g"] += da_g', 'dp["b_g"] = da_g'),
    ("gated_rnn-bias", 'dp["b_s"] += da_s.sum', 'dp["b_s"] += da_g.sum'),
    ("gru-before", "dh_through_candidate = r * dk", "dh_through_candidate = dk"),
    ("gru-before", "da_c.T @ (r * h_prev)", "da_c.T @ h_prev"),
    ("gru-before", "dr = dk * h_prev", "dr = da_c * h_prev"),
    ("gru-before", "dh * (c_tilde - h_prev)", "dh * (h_prev - c_tilde)"),
    ("gru-before", "(1 - u) * dh + ", ""),
    ("gru-before", " + da_r @ W_rh", ""),
    ("gru-after", "dr = da_c * m", "dr = da_c * h_prev"),
    ("gru-after", "dm.T @ h_prev", "da_c.T @ h_prev"),
    ("gru-after", 'dp["b_ch"] += dm.sum(axis=0)', 'dp["b_ch"] += da_c.sum(axis=0)'),
    ("gru-after", "dh_through_candidate = dm @ W_ch", "dh_through_candidate = da_c @ W_ch"),
    ("lstm", "dc = f * dc", "dc = 0 * dc"),
    ("lstm", "dc = f * dc", "dc = i * dc"),
    ("lstm", " if trace.output_tanh else dq) + dc", " if trace.output_tanh else dq)"),
    ("lstm", "df = dc * c_prev", "df = dc * trace.steps[t - 1].c"),
    ("lstm", "do = dh * q", "do = dh * trace.steps[t - 1].c"),
    ("lstm", '("i", da_i), ("f", da_f)', '("i", da_f), ("f", da_i)'),
    ("lstm", "da_g = dg * (1 - g * g)", "da_g = dg * g * (1 - g)"),
    ("lstm", " + da_o @ W_oh", ""),
    ("lstm-no-output-tanh", "dq * (1 - q * q) if trace.output_tanh else dq", "dq * (1 - q * q)"),
]


@pytest.mark.parametrize(("name", "right", "wrong"), MISTAKES)
def test_a_planted_mistake_is_caught(name: str, right: str, wrong: str) -> None:
    variant = BY_NAME[name]
    source = inspect.getsource(variant.module)
    assert source.count(right) == 1
    mistaken = ModuleType("mistaken")
    mistaken.__package__, mistaken.__spec__ = variant.module.__package__, variant.module.__spec__
    exec(compile(source.replace(right, wrong), "mistaken", "exec"), mistaken.__dict__)
    case = make_case(variant, 3, 2, 2, 3, "every step")
    expected = complex_step(case.loss, case.leaves())
    assert worst(case.by_hand(), expected)[0] < 1e-11
    assert worst(case.by_hand(mistaken), expected)[0] > 1e-3
