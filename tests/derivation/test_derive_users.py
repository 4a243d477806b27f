"""Derivations of cells as users write them: they equal autograd, and read as a person would have written them."""

import re
from typing import Any

import numpy as np
import pytest
from cells_of_users import (
    USERS,
    Above,
    Antisymmetric,
    Exchanged,
    FastWeights,
    HelperReturnsTheState,
    LayerNorm,
    Letters,
    Masked,
    NegativeBounds,
    Plain,
    Reservoir,
    Shifted,
    Signed,
    Turned,
    TwoCells,
    Untouched,
)
from cells_to_derive import D
from derived import module_of, worst
from minigrad.models import LSTM

import minigrad as mg
from minigrad import Tensor, derive
from minigrad.derivation import FORWARD, PARAMETER
from minigrad.derivation.lines import WHOLE

every_cell = pytest.mark.parametrize("make", USERS, ids=lambda make: make.__name__)
COMMANDS = {
    "begin", "end", "left", "right", "frac", "partial", "odot", "sigma", "tanh", "exp", "top", "sum_t", "sum", "tilde",
    "mathrm", "operatorname", "gamma", "beta", "max", "min", "ln", "ge", "le", "to", "text",
    "dots",
}  # fmt: skip


def derived_of(make: Any) -> Any:
    return derive(make(), np.full((2, D), 0.5))


def code_of(make: Any) -> list[str]:
    """The lines of the program, without comments and single spaces in a row."""
    return [re.sub(" +", " ", line.split("  #")[0].strip()) for line in derived_of(make).numpy().splitlines()]


@every_cell
def test_it_equals_autograd(make: Any) -> None:
    cell = make()
    derivation = derive(cell, np.full((2, D), 0.5))
    for sizes in ((1, 1, D), (4, 3, D), (3, 4, D)):
        assert worst(cell, derivation, *sizes) < 1e-12, sizes


@every_cell
def test_it_can_be_read(make: Any) -> None:
    derivation = derived_of(make)
    latex = derivation.latex()
    assert latex.isascii()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left(") == latex.count(r"\right)")
    assert set(re.findall(r"\\([a-zA-Z]+)", latex)) <= COMMANDS
    assert not re.search(r"_(\{[^{}]*\}|\w)_|\^(\{[^{}]*\}|\w)\^", latex), "a double subscript"
    assert derivation.markdown().count("$$") % 2 == 0
    assert ("place(" in derivation.numpy()) == (make is Shifted)
    assert max(len(line) for line in derivation.numpy().splitlines()) <= 132


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (HelperReturnsTheState, ["fast = np.tanh(x @ W.T + slow_prev @ U.T)", "dfast = 0.1 * (dslow @ V)"]),
        (Plain, ["i = sigmoid(x @ W_x_i.T + h_prev @ W_h_i.T + b_i)", "di = dc * g", "da_i = di * i * (1 - i)"]),
        (Above, ["h, c = state", "h_2 = o * tanh_c", "h = 0.5 * h_2 + 0.5 * h_prev", "dh_2 = 0.5 * dh"]),
        (Untouched, ["m = m_prev", "hs.append(m)", "dm = d_hs[t - 1] + dm", "dm = dm + da_h"]),
        (Exchanged, ["second = first_prev", "hs.append(second)", "dsecond = d_hs[t - 1] + dsecond", "dfirst = dsecond"]),
        (NegativeBounds, ['Wx_z, Wx_r, Wx_n = np.split(params["Wx"], 3, axis=1)']),
        (
            Masked,
            [
                "new = np.tanh(x @ W.T + h_prev @ (U * mask).T)",
                "h = keep * new + (1 - keep) * h_prev",
                'dp["U"] += (da_new.T @ h_prev) * mask',
                'dp = {name: np.zeros_like(params[name]) for name in ("W", "U")}',
            ],
        ),
        (Reservoir, ["h = np.tanh(x @ W.T + h_prev @ R.T + (0.1 * h_prev) @ S.T)"]),
        (Antisymmetric, ["A = U - U.T - 0.1 * np.eye(4)", "dA += da_m.T @ h_prev", 'dp["U"] += dA - dA.T']),
        (Signed, ["dk = dh * np.array([1.0, -1.0, 1.0, -1.0])"]),
        (
            Turned,
            [
                'dp["W"] += da.T @ x[:, ::-1]',
                "dxs[t - 1] = (da @ W)[:, ::-1]",
                "dxs[t - 1][:, :1] += dk * h_prev[:, 3:]",
                "dh[:, 1::2] += dodd",
                "np.add.at(dh, np.s_[:, [2, 0, 1, 2]], da * last[:, None])",
            ],
        ),
        (LayerNorm, ["dm = dk - dk.mean(axis=1, keepdims=True)"]),
        (TwoCells, ["c, h_lower, h_upper = state", "dupper_b_u += da_u.sum(axis=0)"]),
        (FastWeights, ["dv = (dA * k[:, None, :]).sum(axis=2)", "dh = np.zeros_like(dh)"]),
        (Letters, ['dp["W"] += np.einsum("bh,bd->hd", da, x)']),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_it_reads_as_a_person_would_write_it(make: Any, expected: list[str]) -> None:
    code = code_of(make)
    for line in expected:
        assert line in code, "\n".join(code)


def test_a_constant_has_the_name_of_the_array_in_the_code_and_is_given_beside_the_parameters() -> None:
    cell = Masked()
    derivation = derive(cell, np.ones((2, D)))
    assert derivation.constants.keys() == {"mask", "keep"}
    assert derivation.constants["keep"] is not None
    np.testing.assert_array_equal(derivation.constants["keep"], cell.keep)
    assert "params: W, U; and, not to be learned, mask, keep." in derivation.numpy()
    assert {parameter.name for parameter in derivation.parameters if parameter.wants} == {"W", "U"}
    assert "not to be learned" not in derive(LSTM(D, 4, seed=0)).numpy()


def test_what_is_computed_twice_is_written_once() -> None:
    lines = derive(lambda h, x: mg.tanh(h * x) + mg.exp(h * x), np.ones(3), np.ones(3)).text_of(FORWARD)
    assert sum("hₜ₋₁ ⊙ xₜ" in line for line in lines) == 1


def test_an_embedding_is_added_to_where_its_rows_came_from() -> None:
    E = Tensor(np.ones((6, 4)), requires_grad=True, name="E")
    code = derive(lambda h, ids: mg.tanh(E[ids] + h), np.zeros(3, int), np.zeros((3, 4))).numpy()
    assert 'np.add.at(dp["E"], ids, da_h)' in code


def test_what_was_given_is_not_written_to_where_a_part_is_added_to_what_is_handed_on() -> None:
    W = Tensor(np.array([0.5, 2.0]), requires_grad=True, name="W")

    def step(state: Any, x: Any) -> Any:
        a, b = state
        return (b, mg.tanh(a * W)), b[:1] * x[:1]

    start = (Tensor(np.array([0.3, -0.4]), requires_grad=True), Tensor(np.array([0.1, 0.2]), requires_grad=True))
    code = derive(step, np.ones(2), start).numpy()
    assert "db = da.copy()" in code
    module, rng = module_of(code), np.random.default_rng(0)
    xs, d_ys, d_state = rng.normal(size=(3, 2)), rng.normal(size=(3, 1)), tuple(rng.normal(size=(2, 2)))
    before = [part.copy() for part in d_state]
    trace = module.forward({"W": W.numpy()}, xs, tuple(part.numpy() for part in start))
    gradients = module.backward({"W": W.numpy()}, trace, d_ys, d_state)
    for part, old in zip(d_state, before, strict=True):
        np.testing.assert_array_equal(part, old)
    last, ys = mg.scan(step, start, xs)
    loss = (ys * d_ys).sum() + sum((part * d).sum() for part, d in zip(last, d_state, strict=True))
    found = [gradients.params["W"], *gradients.state]
    for a, expected in zip(found, mg.grad(loss, [W, *start]), strict=True):
        np.testing.assert_allclose(a, expected.numpy(), rtol=1e-12)


def test_what_is_the_same_at_every_step_is_computed_once_and_its_gradient_is_added_up() -> None:
    derivation = derive(Antisymmetric(), np.ones((2, D)))
    lines = [re.sub(" +", " ", line) for kind in (FORWARD, PARAMETER, WHOLE) for line in derivation.text_of(kind)]
    assert "A = U − Uᵀ − 0.1 I" in lines
    assert "∂L/∂A = Σₜ ∂L/∂a_mₜ hₜ₋₁ᵀ" in lines
    assert "∂L/∂U = ∂L/∂A − (∂L/∂A)ᵀ" in lines
    U = Tensor(np.eye(3) + 0.1, requires_grad=True, name="U")

    def step(h: Any, x: Any) -> Any:
        A = U * np.tril(np.ones((3, 3)))
        B = mg.tanh(A) @ A
        new = mg.tanh(B @ h + U @ x + A @ x)
        return new, new

    both = derive(step, np.ones(3), np.ones(3))
    assert "∂L/∂U = … + " in "".join(re.sub(" +", " ", line) for line in both.text_of(WHOLE))
    module, rng = module_of(both.numpy()), np.random.default_rng(0)
    params = {"U": U.numpy()} | both.constants
    xs, h_0, d_hs = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
    gradients = module.backward(params, module.forward(params, xs, h_0), d_hs, np.zeros(3))
    _, hs = mg.scan(step, Tensor(h_0), xs)
    (expected,) = mg.grad((hs * d_hs).sum(), U)
    np.testing.assert_allclose(gradients.params["U"], expected.numpy(), rtol=1e-12)
