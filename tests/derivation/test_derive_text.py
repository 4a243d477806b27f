"""Derivations as they are read: Unicode, Markdown, LaTeX."""

import re
from typing import Any

import numpy as np
import pytest
from cells_to_derive import OWN, D, JointLSTM, Minimal, StackedRows, of_models
from derived import module_of
from minigrad.models import GRU, LSTM, RNN

import minigrad as mg
from minigrad import Tensor, derive
from minigrad.derivation import COTANGENT, FORWARD, INPUT, PARAMETER, STATE, Symbol

MODELS = of_models()


def lines(derivation: Any, *kinds: str) -> list[str]:
    """The lines of some kinds, with single spaces."""
    return [re.sub(" +", " ", line) for kind in kinds for line in derivation.text_of(kind)]


def test_the_lstm_reads_as_in_a_textbook() -> None:
    derivation = derive(LSTM(D, 4, seed=0))
    assert lines(derivation, FORWARD) == [
        "a_iₜ = W_ih hₜ₋₁ + W_ix xₜ + b_i",
        "iₜ = σ(a_iₜ)",
        "a_fₜ = W_fh hₜ₋₁ + W_fx xₜ + b_f",
        "fₜ = σ(a_fₜ)",
        "a_gₜ = W_gh hₜ₋₁ + W_gx xₜ + b_g",
        "gₜ = tanh(a_gₜ)",
        "a_oₜ = W_oh hₜ₋₁ + W_ox xₜ + b_o",
        "oₜ = σ(a_oₜ)",
        "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ",
        "hₜ = oₜ ⊙ tanh(cₜ)",
    ]
    assert lines(derivation, COTANGENT) == [
        "∂L/∂hₜ = ∂Lₜ/∂hₜ + ∂L₊/∂hₜ",
        "∂L/∂oₜ = ∂L/∂hₜ ⊙ tanh(cₜ)",
        "∂L/∂tanh(cₜ) = ∂L/∂hₜ ⊙ oₜ",
        "∂L/∂cₜ = ∂L/∂tanh(cₜ) ⊙ (1 − tanh²(cₜ)) + ∂L₊/∂cₜ",
        "∂L/∂iₜ = ∂L/∂cₜ ⊙ gₜ",
        "∂L/∂fₜ = ∂L/∂cₜ ⊙ cₜ₋₁",
        "∂L/∂gₜ = ∂L/∂cₜ ⊙ iₜ",
        "∂L/∂a_iₜ = ∂L/∂iₜ ⊙ iₜ ⊙ (1 − iₜ)",
        "∂L/∂a_fₜ = ∂L/∂fₜ ⊙ fₜ ⊙ (1 − fₜ)",
        "∂L/∂a_gₜ = ∂L/∂gₜ ⊙ (1 − gₜ²)",
        "∂L/∂a_oₜ = ∂L/∂oₜ ⊙ oₜ ⊙ (1 − oₜ)",
    ]
    assert lines(derivation, PARAMETER)[:3] == [
        "∂L/∂W_ih = Σₜ ∂L/∂a_iₜ hₜ₋₁ᵀ",
        "∂L/∂W_ix = Σₜ ∂L/∂a_iₜ xₜᵀ",
        "∂L/∂b_i = Σₜ ∂L/∂a_iₜ",
    ]
    assert lines(derivation, INPUT, STATE) == [
        "∂L/∂xₜ = W_ixᵀ ∂L/∂a_iₜ + W_fxᵀ ∂L/∂a_fₜ + W_gxᵀ ∂L/∂a_gₜ + W_oxᵀ ∂L/∂a_oₜ",
        "∂L₊/∂cₜ₋₁ = ∂L/∂cₜ ⊙ fₜ",
        "∂L₊/∂hₜ₋₁ = W_ihᵀ ∂L/∂a_iₜ + W_fhᵀ ∂L/∂a_fₜ + W_ghᵀ ∂L/∂a_gₜ + W_ohᵀ ∂L/∂a_oₜ",
    ]


def test_the_gru_reads_as_in_a_textbook() -> None:
    derivation = derive(GRU(D, 4, seed=0))
    assert lines(derivation, COTANGENT) == [
        "∂L/∂hₜ = ∂Lₜ/∂hₜ + ∂L₊/∂hₜ",
        "∂L/∂uₜ = ∂L/∂hₜ ⊙ (c̃ₜ − hₜ₋₁)",
        "∂L/∂c̃ₜ = ∂L/∂hₜ ⊙ uₜ",
        "∂L/∂a_c̃ₜ = ∂L/∂c̃ₜ ⊙ (1 − c̃ₜ²)",
        "∂L/∂kₜ = W_chᵀ ∂L/∂a_c̃ₜ",
        "∂L/∂rₜ = ∂L/∂kₜ ⊙ hₜ₋₁",
        "∂L/∂a_uₜ = ∂L/∂uₜ ⊙ uₜ ⊙ (1 − uₜ)",
        "∂L/∂a_rₜ = ∂L/∂rₜ ⊙ rₜ ⊙ (1 − rₜ)",
    ]
    assert lines(derivation, STATE) == [
        "∂L₊/∂hₜ₋₁ = ∂L/∂hₜ ⊙ (1 − uₜ) + ∂L/∂kₜ ⊙ rₜ + W_uhᵀ ∂L/∂a_uₜ + W_rhᵀ ∂L/∂a_rₜ"
    ]
    assert "kₜ = rₜ ⊙ hₜ₋₁" in lines(derivation, FORWARD)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rnn relu split True", "∂L/∂a_hₜ = ∂L/∂hₜ ⊙ (hₜ > 0)"),
        ("rnn tanh concatenated True", "∂L₊/∂hₜ₋₁ = ∂L/∂hxₜ[hₜ₋₁]"),
        ("rnn tanh concatenated True", "hxₜ = [hₜ₋₁, xₜ]"),
        ("lstm True True False True", "∂L/∂p_i = Σₜ ∂L/∂a_iₜ ⊙ cₜ₋₁"),
        ("lstm True True False True", "∂L₊/∂cₜ₋₁ = ∂L/∂cₜ ⊙ fₜ + ∂L/∂a_iₜ ⊙ p_i + ∂L/∂a_fₜ ⊙ p_f"),
        ("lstm True False True True", "∂L/∂fₜ = ∂L/∂cₜ ⊙ cₜ₋₁ − ∂L/∂iₜ"),
        ("lstm False False False True", "∂L/∂cₜ = ∂L/∂hₜ ⊙ oₜ + ∂L₊/∂cₜ"),
        ("gru after True True True", "∂L/∂mₜ = ∂L/∂a_c̃ₜ ⊙ rₜ"),
        ("gru before False False True", "∂L₊/∂hₜ₋₁ = W_chᵀ ∂L/∂a_hₜ"),
        ("gated rnn", "∂L₊/∂sₜ₋₁ = ∂L/∂sₜ ⊙ (1 − gₜ) + W_gsᵀ ∂L/∂a_gₜ + W_ssᵀ ∂L/∂a_s̃ₜ"),
    ],
)
def test_every_switch_has_its_line(name: str, expected: str) -> None:
    assert expected in lines(derive(MODELS[name]), FORWARD, COTANGENT, PARAMETER, INPUT, STATE)


def test_rows_are_written_as_rows_and_blocks_under_the_names_of_their_gates() -> None:
    derivation = derive(StackedRows(), np.ones((2, D)))
    assert "a_zₜ = xₜ Wx_z + hₜ₋₁ Wh_z + b_z" in lines(derivation, FORWARD)
    assert "∂L/∂Wx_z = Σₜ xₜᵀ ∂L/∂a_zₜ" in lines(derivation, PARAMETER)
    assert "one example, a row" in str(derivation)
    assert "Wx_z, Wx_r, Wx_n = np.split(params[\"Wx\"], 3, axis=1)" in derivation.numpy()  # fmt: skip


def test_the_comments_name_the_paths_of_the_chain_rule() -> None:
    W = Tensor(np.eye(3), requires_grad=True, name="W")

    def step(state: Any, x: Any) -> Any:
        h = np.tanh(state["h"] @ W + x["u"])
        m = 0.5 * state["m"] + h * x["v"]
        return {"h": h, "m": m}, h * m

    ones, zeros = np.ones((2, 3)), np.zeros((2, 3))
    source = derive(step, {"u": ones, "v": ones}, {"h": zeros, "m": zeros}).numpy()
    comments = dict(line.strip().split("#")[::-1] for line in source.splitlines() if " # " in line)
    paths = {comment.strip(): code.strip() for comment, code in comments.items()}
    assert paths["mₜ → yₜ, step t + 1"] == "dm = d_hs[t - 1] * h + dm"
    assert paths["hₜ → yₜ, mₜ, step t + 1"] == "dh = d_hs[t - 1] * m + dm * v + dh"
    assert paths["W → a_hₜ"] == 'dp["W"] += h_prev.T @ da_h'
    assert paths["uₜ → a_hₜ"] == "dus[t - 1] = da_h"
    assert paths["mₜ₋₁ → mₜ"] == "dm = 0.5 * dm"


def test_vectors_are_written_as_vectors() -> None:
    W, U = Tensor(np.eye(3), requires_grad=True, name="W"), Tensor(np.ones((3, 2)), requires_grad=True, name="U")
    columns = derive(lambda h, x: mg.tanh(W @ h + U @ x), np.ones(2), np.ones(3))
    assert lines(columns, PARAMETER, STATE) == [
        "∂L/∂W = Σₜ ∂L/∂a_hₜ hₜ₋₁ᵀ",
        "∂L/∂U = Σₜ ∂L/∂a_hₜ xₜᵀ",
        "∂L₊/∂hₜ₋₁ = Wᵀ ∂L/∂a_hₜ",
    ]
    assert 'dp["W"] += np.outer(da_h, h_prev)' in columns.numpy()
    assert str(columns).endswith("For one example, a column.")
    rows = derive(lambda h, x: mg.tanh(h @ W + x), np.ones(3), np.ones(3))
    assert lines(rows, PARAMETER, STATE) == ["∂L/∂W = Σₜ hₜ₋₁ᵀ ∂L/∂a_hₜ", "∂L₊/∂hₜ₋₁ = ∂L/∂a_hₜ Wᵀ"]


def test_a_cell_without_names_gets_names() -> None:
    assert lines(derive(Minimal(), np.ones((2, D))), FORWARD, COTANGENT, PARAMETER) == [
        "a_hₜ = xₜ U + hₜ₋₁ V",
        "hₜ = tanh(a_hₜ)",
        "∂L/∂hₜ = ∂Lₜ/∂hₜ + ∂L₊/∂hₜ",
        "∂L/∂a_hₜ = ∂L/∂hₜ ⊙ (1 − hₜ²)",
        "∂L/∂U = Σₜ xₜᵀ ∂L/∂a_hₜ",
        "∂L/∂V = Σₜ hₜ₋₁ᵀ ∂L/∂a_hₜ",
    ]


def test_the_state_of_a_dict_has_the_names_of_its_keys() -> None:
    derivation = derive(JointLSTM(), np.ones((2, D)))
    assert derivation.state == ("c", "h")
    assert "c, h = state" in derivation.numpy()


def test_columns_in_the_code_are_written_as_they_are() -> None:
    W, b = Tensor(np.eye(3), requires_grad=True, name="W"), Tensor(np.ones((3, 1)), requires_grad=True, name="b")
    derivation = derive(lambda h, x: mg.tanh(W @ h + x + b), x=np.ones((3, 2)), state=np.zeros((3, 2)))
    assert lines(derivation, PARAMETER, STATE) == [
        "∂L/∂W = Σₜ ∂L/∂a_hₜ hₜ₋₁ᵀ",
        "∂L/∂b = Σₜ ∂L/∂a_hₜ",
        "∂L₊/∂hₜ₋₁ = Wᵀ ∂L/∂a_hₜ",
    ]


def test_the_derivative_of_softplus_is_written_as_on_paper() -> None:
    W = Tensor(np.eye(3), requires_grad=True)

    def cell(h_prev: Any, x: Any) -> Any:
        p = mg.softplus(W @ h_prev + x)
        return np.tanh(p)

    derivation = derive(cell, np.ones(3), np.ones(3))
    assert "∂L/∂a_pₜ = ∂L/∂pₜ ⊙ (1 − exp(−pₜ))" in lines(derivation, COTANGENT)
    assert "dp_ * (1 - np.exp(-p_))" in derivation.numpy()


def test_names_are_those_of_the_variables_in_the_code() -> None:
    """A cell as in a course: columns, a dict of parameters, σ written out, a tuple for the state."""
    rng = np.random.default_rng(0)
    shapes = {"Wf": (3, 5), "bf": (3, 1), "Wi": (3, 5), "bi": (3, 1), "Wo": (3, 5), "bo": (3, 1), "Wc": (3, 5), "bc": (3, 1)}
    parameters = {name: Tensor(rng.normal(size=shape), requires_grad=True) for name, shape in shapes.items()}

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def cell_forward(state: Any, xt: Any) -> Any:
        a_prev, c_prev = state
        concat = np.concatenate((a_prev, xt))
        ft = sigmoid(parameters["Wf"] @ concat + parameters["bf"])
        it = sigmoid(parameters["Wi"] @ concat + parameters["bi"])
        cct = np.tanh(parameters["Wc"] @ concat + parameters["bc"])
        c_next = ft * c_prev + it * cct
        ot = sigmoid(np.dot(parameters["Wo"], concat) + parameters["bo"])
        return ot * np.tanh(c_next), c_next

    derivation = derive(cell_forward, np.ones((2, 4)), (np.zeros((3, 4)), np.zeros((3, 4))))
    assert derivation.state == ("a", "c")
    assert derivation.x == ("xt",)
    written = lines(derivation, FORWARD, COTANGENT, PARAMETER, INPUT, STATE)
    for expected in (
        "concatₜ = [aₜ₋₁, xtₜ]",
        "a_ftₜ = Wf concatₜ + bf",
        "ftₜ = σ(a_ftₜ)",
        "cₜ = ftₜ ⊙ cₜ₋₁ + itₜ ⊙ cctₜ",
        "∂L/∂itₜ = ∂L/∂cₜ ⊙ cctₜ",
        "∂L/∂Wf = Σₜ ∂L/∂a_ftₜ concatₜᵀ",
        "∂L/∂bf = Σₜ ∂L/∂a_ftₜ",
        "∂L₊/∂aₜ₋₁ = ∂L/∂concatₜ[aₜ₋₁]",
        "∂L₊/∂cₜ₋₁ = ∂L/∂cₜ ⊙ ftₜ",
    ):
        assert expected in written


def test_parts_have_the_names_of_the_variables_that_they_are_cut_into() -> None:
    W = Tensor(np.arange(8.0).reshape(2, 4) / 10, requires_grad=True, name="W")

    def step(h: Any, x: Any) -> Any:
        both = h @ W + x
        new = both[:, :2]
        gate = both[:, 2:]
        return mg.tanh(new) * mg.sigmoid(gate)

    derivation = derive(step, np.ones((5, 4)), np.ones((5, 2)))
    assert lines(derivation, FORWARD) == [
        "newₜ = hₜ₋₁ W_new + xₜ[:, :2]",
        "gateₜ = hₜ₋₁ W_gate + xₜ[:, 2:]",
        "hₜ = tanh(newₜ) ⊙ σ(gateₜ)",
    ]
    assert lines(derivation, PARAMETER) == ["∂L/∂W_new = Σₜ hₜ₋₁ᵀ ∂L/∂newₜ", "∂L/∂W_gate = Σₜ hₜ₋₁ᵀ ∂L/∂gateₜ"]


@pytest.mark.parametrize(
    "sigmoid",
    [
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: 1.0 / (np.exp(-z) + 1.0),
        lambda z: np.exp(z) / (1 + np.exp(z)),
        lambda z: 0.5 * np.tanh(0.5 * z) + 0.5,
        lambda z: 0.5 * (np.tanh(z / 2) + 1),
        lambda z: 0.5 * (1 + np.tanh(0.5 * z)),
    ],
)
def test_a_sigmoid_is_recognised_however_it_is_written(sigmoid: Any) -> None:
    derivation = derive(lambda h, x: sigmoid(h + x), np.full(3, 0.5), np.full(3, 0.25))
    assert "hₜ = σ(a_hₜ)" in lines(derivation, FORWARD)
    assert "∂L/∂a_hₜ = ∂L/∂hₜ ⊙ hₜ ⊙ (1 − hₜ)" in lines(derivation, COTANGENT)


@pytest.mark.parametrize(
    "function",
    [
        lambda z: 1 / (2 + np.exp(-z)),
        lambda z: 1 / (1 + np.exp(z)),
        lambda z: np.exp(z) / (1 + np.exp(-z)),
        lambda z: 0.5 * np.tanh(z) + 0.5,
        lambda z: 0.5 * (np.tanh(0.5 * z) + 2),
        lambda z: np.exp(2 * z) / (1 + np.exp(z)),
    ],
)
def test_what_is_only_like_a_sigmoid_keeps_its_value(function: Any) -> None:
    W = Tensor(np.array([[0.5, -1.0], [2.0, 0.25]]), requires_grad=True, name="W")

    def step(h: Any, x: Any) -> Any:
        return function(W @ h + x)

    x, h = np.array([[0.3, -0.7]]), np.array([1.0, 2.0])
    module = module_of(derive(step, x[0], h).numpy())
    trace = module.forward({"W": W.numpy()}, x, h)
    new = step(Tensor(h), Tensor(x[0]))
    np.testing.assert_allclose(trace.state, new.numpy(), rtol=1e-14)
    gradients = module.backward({"W": W.numpy()}, trace, np.array([[1.0, 2.0]]), np.zeros(2))
    (expected,) = mg.grad((new * np.array([1.0, 2.0])).sum(), W)
    np.testing.assert_allclose(gradients.params["W"], expected.numpy(), rtol=1e-12)


def derive_of(cell: Any) -> mg.Derivation:
    return derive(cell, np.full((2, D), 0.5))


EVERYTHING = [*MODELS.values(), *(make() for make in OWN)]


@pytest.mark.parametrize("cell", EVERYTHING, ids=lambda cell: type(cell).__name__)
def test_every_line_is_made_of_values_that_have_a_line_before_it(cell: Any) -> None:
    derivation = derive(cell, np.full((2, D), 0.5))
    known = {Symbol(x, 0) for x in derivation.x} | {Symbol(part, -1) for part in derivation.state}
    known |= {Symbol(parameter.name) for parameter in derivation.parameters}
    known |= {Symbol(part, 0, "L₊") for part in derivation.state} | {y.differential("L_t") for y in derivation.outputs}
    for line in derivation.lines:
        assert set(mg.derivation.expression.ends(line.formula)) <= known, line
        assert set(line.path) <= known
        assert line.formula.shape == line.shape
        known.add(line.symbol)


@pytest.mark.parametrize("cell", EVERYTHING, ids=lambda cell: type(cell).__name__)
def test_latex_is_balanced_and_has_no_letter_that_latex_does_not_know(cell: Any) -> None:
    latex = derive_of(cell).latex()
    assert latex.isascii()
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left(") == latex.count(r"\right)")
    assert latex.count(r"\begin{align*}") == latex.count(r"\end{align*}") == len({line.kind for line in derive_of(cell).lines})
    commands = set(re.findall(r"\\([a-zA-Z]+)", latex))
    known = "begin end left right frac partial odot sigma tanh exp top sum_t sum tilde hat mathrm operatorname gamma beta alpha"
    assert commands <= {*known.split(), "max", "ge", "le", "sqrt"}, commands
    assert not re.search(r"_(\{[^{}]*\}|\w)_|\^(\{[^{}]*\}|\w)\^", latex), "a double subscript"


def test_latex_of_a_line() -> None:
    latex = derive(GRU(D, 4, seed=0)).latex()
    assert r"\tilde{c}_{t} &= \tanh\left(a_{\tilde{c}, t}\right)" in latex
    du = r"\frac{\partial L}{\partial u_{t}}"
    assert rf"\frac{{\partial L}}{{\partial a_{{u, t}}}} &= {du} \odot u_{{t}} \odot \left(1 - u_{{t}}\right)" in latex
    assert r"\frac{\partial L}{\partial W_{uh}} &= \sum_t \frac{\partial L}{\partial a_{u, t}} h_{t-1}^{\top}" in latex


def test_a_notebook_shows_the_derivation_itself() -> None:
    derivation = derive(RNN(D, 4, seed=0))
    assert derivation._repr_markdown_() == derivation.markdown()
    assert derivation._repr_latex_() == derivation.latex()
    assert derivation.markdown().count("$$") == 10
    assert derivation.markdown().startswith("## rnn\n")


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: derive(3), mg.errors.DTypeError, "expected a cell .* or a function .*, got 3"),
        (lambda: derive(Minimal()), mg.errors.ArgumentError, "an example of one step's input"),
        (lambda: derive(lambda h, x: h, np.ones(2)), mg.errors.ArgumentError, "an example of the state must be given"),
        (lambda: derive(lambda h, x: mg.logsumexp(h), np.ones(2), np.array(1.0)), mg.errors.GraphError, "compose it from"),
        (lambda: derive(lambda h, x: h * h.item(), np.ones(1), np.ones(1)), mg.errors.GraphError, "reads the values"),
        (lambda: derive(lambda h, x: (h, h, h), np.ones(1), np.ones(1)), mg.errors.ArgumentError, "a new state like the old"),
    ],
)
def test_what_cannot_be_derived_is_refused(ask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ask()
