"""The NumPy source of a derivation: it is plain, and equals autograd."""

import ast
from typing import Any

import numpy as np
import pytest
from cells_to_derive import OWN, D, of_models
from derived import module_of, worst
from own_cells import Leaky, Queue, WithMemory
from random_cells import RandomCell

import minigrad as mg
from minigrad import Tensor, derive

MODELS = of_models()
every_cell = pytest.mark.parametrize("cell", MODELS.values(), ids=MODELS)
every_own = pytest.mark.parametrize("make", [*OWN, Leaky, WithMemory, Queue], ids=lambda make: make.__name__)


@every_cell
def test_of_every_cell_it_equals_autograd(cell: Any) -> None:
    derivation = derive(cell)
    for sizes in ((1, 1, D), (5, 3, D), (0, 2, D)):
        if sizes[0]:
            assert worst(cell, derivation, *sizes) < 1e-12, sizes


@every_own
def test_of_a_cell_of_ones_own_it_equals_autograd(make: Any) -> None:
    cell = make(D, 4)
    derivation = derive(cell, np.full((2, D), 0.5))
    for sizes in ((1, 1, D), (4, 3, D), (3, 4, D)):
        assert worst(cell, derivation, *sizes) < 1e-12, sizes


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5), (2, 7), (7, 2)])
def test_the_source_derived_at_one_size_runs_at_every_other(sizes: tuple[int, int]) -> None:
    for name, cell in of_models(*sizes).items():
        assert worst(cell, derive(MODELS[name]), 3, 2, sizes[0]) < 1e-12, name
    for make in OWN:
        assert worst(make(*sizes), derive(make(), np.full((2, D), 0.5)), 3, 2, sizes[0]) < 1e-12, make.__name__


@every_cell
def test_it_is_plain_numpy_without_a_word_of_minigrad(cell: Any) -> None:
    source = derive(cell).numpy()
    assert "minigrad" not in source
    imported = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [alias.name for node in imported for alias in node.names] == ["Any", "NamedTuple", "numpy"]


@every_cell
def test_every_variable_is_used_and_none_is_computed_twice(cell: Any) -> None:
    functions = {node.name: node for node in ast.parse(derive(cell).numpy()).body if isinstance(node, ast.FunctionDef)}
    for name in ("forward", "backward"):
        names = [node for node in ast.walk(functions[name]) if isinstance(node, ast.Name)]
        stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
        assert stored <= loaded | {"x"}, stored - loaded


def test_nothing_that_was_given_is_changed() -> None:
    cell = MODELS["lstm True True False True"]
    module, rng = module_of(derive(cell).numpy()), np.random.default_rng(0)
    params = {name: value.copy() for name, value in cell.by_gate().items()}
    xs, d_hs, (c, h, dc, dh) = rng.normal(size=(3, 2, D)), rng.normal(size=(3, 2, 4)), rng.normal(size=(4, 2, 4))
    given = [*params.values(), xs, d_hs, c, h, dc, dh]
    before = [array.copy() for array in given]
    trace = module.forward(params, xs, (c, h))
    first, second = (module.backward(params, trace, d_hs, (dc, dh)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(given, before, strict=True))
    assert all((first.params[name] == second.params[name]).all() for name in params)


LSTM_LINES = [
    ("dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1] + dh"),
    ("do = dh * q", "do = dh * tanh_c"),
    ("dq = dh * o", "dtanh_c = dh * o"),
    ("dc = (dq * (1 - q * q) if trace.output_tanh else dq) + dc", "dc = dtanh_c * (1 - tanh_c**2) + dc"),
    ("di = dc * g", "di = dc * g"),
    ("df = dc * c_prev", "df = dc * c_prev"),
    ("dg = dc * i", "dg = dc * i"),
    ("da_i = di * i * (1 - i)", "da_i = di * i * (1 - i)"),
    ("da_f = df * f * (1 - f)", "da_f = df * f * (1 - f)"),
    ("da_g = dg * (1 - g * g)", "da_g = dg * (1 - g**2)"),
    ("da_o = do * o * (1 - o)", "da_o = do * o * (1 - o)"),
    ("dxs[t - 1] = da_i @ W_ix + da_f @ W_fx + da_g @ W_gx + da_o @ W_ox",) * 2,
    ("dh = da_i @ W_ih + da_f @ W_fh + da_g @ W_gh + da_o @ W_oh",) * 2,
    ("dc = f * dc", "dc = dc * f"),
]
GRU_LINES = [
    ("dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1] + dh"),
    ("dc_tilde = dh * u", "dc_tilde = dh * u"),
    ("du = dh * (c_tilde - h_prev)", "du = dh * (c_tilde - h_prev)"),
    ("da_c = dc_tilde * (1 - c_tilde * c_tilde)", "da_c_tilde = dc_tilde * (1 - c_tilde**2)"),
    ("da_u = du * u * (1 - u)", "da_u = du * u * (1 - u)"),
    ("dk = da_c @ W_ch", "dk = da_c_tilde @ W_ch"),
    ("dr = dk * h_prev", "dr = dk * h_prev"),
    ('dp["W_ch"] += da_c.T @ (r * h_prev)', 'dp["W_ch"] += da_c_tilde.T @ (r * h_prev)'),
    ("da_r = dr * r * (1 - r)", "da_r = dr * r * (1 - r)"),
    ('dp["W_uh"] += da_u.T @ h_prev', 'dp["W_uh"] += da_u.T @ h_prev'),
]
RNN_LINES = [
    ("dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1] + dh"),
    ('dp["W_hh"] += da.T @ h_prev', 'dp["W_hh"] += da_h.T @ h_prev'),
    ('dp["b_h"] += da.sum(axis=0)', 'dp["b_h"] += da_h.sum(axis=0)'),
    ("dh = da @ W_hh", "dh = da_h @ W_hh"),
]


@pytest.mark.parametrize(
    ("by_hand", "name", "lines"),
    [
        ("lstm", "lstm True False False True", LSTM_LINES),
        ("gru", "gru before True True True", GRU_LINES),
        ("rnn", "rnn tanh split True", RNN_LINES),
    ],
)
def test_it_has_the_lines_that_a_person_wrote(by_hand: str, name: str, lines: list[tuple[str, str]]) -> None:
    import inspect

    from minigrad.models.by_hand import CELLS

    person = [line.split("  #")[0].strip() for line in inspect.getsource(CELLS[by_hand].backward).splitlines()]
    derived = [line.split("  #")[0].strip() for line in derive(MODELS[name]).numpy().splitlines()]
    for theirs, ours in lines:
        assert theirs in person
        assert ours in derived


def test_derived_and_by_hand_take_the_same_parameters_and_give_the_same_gradients() -> None:
    from minigrad.models.by_hand import lstm

    cell, rng = MODELS["lstm True False False True"], np.random.default_rng(1)
    module, params = module_of(derive(cell).numpy()), cell.by_gate()
    xs, state, d_hs = rng.normal(size=(4, 2, D)), tuple(rng.normal(size=(2, 2, 4))), rng.normal(size=(4, 2, 4))
    theirs = lstm.backward(params, lstm.forward(params, xs, state), d_hs, state)
    ours = module.backward(params, module.forward(params, xs, state), d_hs, state)
    for name in params:
        np.testing.assert_allclose(ours.params[name], theirs.params[name], rtol=1e-12)


MISTAKES = [
    ("dh = d_hs[t - 1] + dh", "dh = d_hs[t - 1]"),
    ("+ dc ", "     "),
    ("(1 - g**2)", "(1 - g)"),
    ("da_i @ W_ih", "da_f @ W_ih"),
    ("dp[\"W_fh\"] += da_f.T", "dp[\"W_fh\"] = da_f.T"),
    ("dc = dc * f", "dc = dc * i"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong"), MISTAKES)
def test_a_mistake_in_the_source_would_be_seen(right: str, wrong: str) -> None:
    cell = MODELS["lstm True False False True"]
    derivation = derive(cell)
    assert derivation.numpy().count(right) == 1
    assert worst(cell, derivation, 3, 2, D, change=lambda source: source.replace(right, wrong)) > 1e-3


def test_a_function_is_derived_with_the_tensors_around_it_and_its_own_output() -> None:
    W = Tensor(np.array([[0.5, -1.0], [0.25, 2.0]]), requires_grad=True)
    U = Tensor(np.array([[1.0, -1.0]]), requires_grad=True, name="U")

    def step(h: Any, x: Any) -> Any:
        h = mg.tanh(W @ h + x)
        return h, U @ h

    derivation = derive(step, x=np.zeros(2), state=np.zeros(2))
    module, rng = module_of(derivation.numpy()), np.random.default_rng(0)
    xs, h_0, d_ys, d_h = rng.normal(size=(5, 2)), rng.normal(size=2), rng.normal(size=(5, 1)), rng.normal(size=2)
    params = {"W": W.numpy(), "U": U.numpy()}
    gradients = module.backward(params, module.forward(params, xs, h_0), d_ys, d_h)
    h, ys = mg.scan(step, Tensor(h_0), xs)
    for name, expected in zip("WU", mg.grad((ys * d_ys).sum() + (h * d_h).sum(), (W, U)), strict=True):
        np.testing.assert_allclose(gradients.params[name], expected.numpy(), rtol=1e-12)


def test_rows_of_an_embedding_are_derived() -> None:
    rng = np.random.default_rng(0)
    E, U = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in ((6, 4), (4, 4)))

    def step(h: Any, ids: Any) -> Any:
        return mg.tanh(E[ids] + h @ U.T)

    derivation = derive(step, x=np.zeros(3, int), state=np.zeros((3, 4)))
    module = module_of(derivation.numpy())
    ids, h_0, d_hs = rng.integers(6, size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 4))
    params = {"E": E.numpy(), "U": U.numpy()}
    gradients = module.backward(params, module.forward(params, ids, h_0), d_hs, np.zeros((3, 4)))
    h, hs = Tensor(h_0), []
    for t in range(5):
        h = step(h, ids[t])
        hs.append(h)
    loss = (mg.stack(hs) * d_hs).sum()
    for name, expected in zip("EU", mg.grad(loss, (E, U)), strict=True):
        np.testing.assert_allclose(gradients.params[name], expected.numpy(), rtol=1e-12, atol=1e-15)
    assert gradients.xs is None


@pytest.mark.parametrize("seed", range(60))
def test_of_cells_put_together_at_random_it_equals_autograd(seed: int) -> None:
    cell = RandomCell(seed)
    derivation = derive(cell, np.full((2, D), 0.5))
    assert worst(cell, derivation, 3, 2, D) < 1e-11
    assert derivation.latex()
    assert derivation.markdown()
