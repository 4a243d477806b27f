import numpy as np
import pytest
from minigrad.models import by_hand
from minigrad.models.cells import CELLS
from minigrad.models.language import LanguageModel
from minigrad.models.proof import TOLERANCE, Comparison, as_table, compare_by_hand
from minigrad.models.vocabulary import IntArray


def text(seed: int = 0) -> tuple[IntArray, IntArray]:
    symbols = np.random.default_rng(seed).integers(6, size=(10, 3))
    return symbols[:-1], symbols[1:]


def model(cell: str, embedding_size: int | None, dtype: type = np.float64) -> LanguageModel:
    return LanguageModel(6, 5, cell=cell, embedding_size=embedding_size, dtype=dtype, seed=1)


def parameters(cell: str) -> set[str]:
    """The names of a cell's parameters; C1's has no biases."""
    return set(by_hand.CELLS[cell].SHAPES) - set(by_hand.gated_rnn.BIASES if cell == "gated_rnn" else ())


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("embedding_size", [None, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_autograd_and_the_hand_derived_pass_agree_on_everything(
    cell: str, embedding_size: int | None, dtype: type
) -> None:
    rows = compare_by_hand(model(cell, embedding_size, dtype), *text())
    assert all(row.equal for row in rows)
    assert all(row.largest > 1e-6 for row in rows)
    names = {row.name for row in rows}
    assert {"W_yh", "b_y", "x_1 … x_T"} <= names
    assert names >= parameters(cell)
    assert ("E" in names) == (embedding_size is not None)
    assert names >= ({"c_0", "h_0"} if cell == "lstm" else {"s_0"} if cell == "gated_rnn" else {"h_0"})


@pytest.mark.parametrize("cell", list(CELLS))
def test_a_mistake_planted_in_the_hand_derived_pass_is_seen(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = by_hand.CELLS[cell]
    right = module.backward

    def forgets_the_last_step(params, trace, d_hs, d_state=None):
        d_hs = d_hs.copy()
        d_hs[-1] = 0
        return right(params, trace, d_hs, d_state)

    monkeypatch.setattr(module, "backward", forgets_the_last_step)
    wrong = [row.name for row in compare_by_hand(model(cell, 4), *text()) if not row.equal]
    assert parameters(cell) <= set(wrong)
    assert "W_yh" not in wrong


def test_the_model_itself_is_not_touched() -> None:
    trained = model("lstm", 4, np.float32)
    before = trained.state_dict()
    compare_by_hand(trained, *text())
    assert all(np.array_equal(before[name], value) for name, value in trained.state_dict().items())
    assert all(parameter.grad is None for parameter in trained.parameters())


@pytest.mark.parametrize("difference", [2 * TOLERANCE, float("nan"), float("inf")])
def test_what_differs_or_is_not_a_number_is_not_equal(difference: float) -> None:
    row = Comparison("W_hh", (2, 2), 1.0, difference)
    assert not row.equal
    assert "DIFFERS" in as_table([row])
