"""A representative part of the proof: mistakes planted in derived sources are named. The whole: ``make proof``."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from planting.layouts import LAYOUTS, laid_out
from planting.mistakes import KINDS, planted
from planting.proof import wrapping
from planting.subjects import BY_HAND, CELLS, SWITCHES, derived, written
from planting.trying import NAMED, tried, wrong_gradients
from sampling import EXHAUSTIVE

from minigrad import check_backward

NAMES = {kind.name: kind for kind in KINDS}
IN_AN_RNN = (
    "state gradient not carried",
    "activation derivative without the square",
    "index −1 wraps round",
    "initial state taken as 0",
    "matrix not transposed",
    "gradient transposed",
    "operand of the wrong step",
    "gradient before the activation",
    "overwritten, not accumulated",
    "adds itself",
    "first step skipped",
    "factor too many",
    "upstream in reverse",
    "bias averaged",
    "sign",
)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.name for layout in LAYOUTS])
@pytest.mark.parametrize("cell", ["rnn", "gru", "MinimalGated"])
def test_what_derive_writes_passes_in_every_layout(cell: str, layout: object) -> None:
    laid = laid_out(derived(CELLS[cell]), layout)  # type: ignore[arg-type]
    report = check_backward(laid.forward, laid.backward, laid.arguments)
    assert report.passed, report
    assert not report.notes
    assert report.comparison is not None
    assert len(report.comparison.differences) == len(laid.results(0))


def test_states_that_change_places_are_laid_out_in_columns_too() -> None:
    program = derived(SWITCHES["TwoStates"])
    assert "dfast, dslow = (" in ast.unparse(program.tree)
    laid = laid_out(program, next(layout for layout in LAYOUTS if layout.name == "columns, stacked, dict"))
    assert check_backward(laid.forward, laid.backward, laid.arguments).passed


@pytest.mark.parametrize("name", ["rnn by hand", "lstm by hand"])
def test_what_is_written_by_hand_passes_as_it_is(name: str) -> None:
    laid = laid_out(written(name), LAYOUTS[0])
    report = check_backward(laid.forward, laid.backward, laid.arguments)
    assert report.passed, report
    assert not report.notes


@pytest.mark.parametrize("kind", IN_AN_RNN)
def test_a_mistake_planted_in_an_rnn_is_named_in_any_layout(kind: str) -> None:
    number = IN_AN_RNN.index(kind)
    mistakes = planted(derived(CELLS["rnn"]), NAMES[kind])
    found = tried(derived(CELLS["rnn"]), mistakes[number % len(mistakes)], LAYOUTS[number % 4], seed=number, seconds=30.0)
    assert found is not None
    assert found.result == NAMED, found


@pytest.mark.parametrize(
    ("cell", "kind", "place"),
    [
        ("gru", "1 − z for z", 0),
        ("gru", "last step skipped", 0),
        ("gru", "gradient of another gate", 0),
        ("lstm", "activation derivative missing", 0),
        ("lstm", "operand of the wrong step", 0),
        ("lstm", "state gradient not carried", 0),
        ("lstm", "state gradient overwritten too early", 0),
        ("lstm", "states exchanged", 0),
        ("lstm", "last step only", 0),
        ("gated rnn", "activation derivative of the other curve", 0),
        ("lstm", "activation derivative of c, not of tanh c", 0),
        ("MinimalGated", "path missing", -1),
        ("MinimalGated", "sum without the product", 0),
    ],
)
def test_a_mistake_planted_in_a_gate_is_named(cell: str, kind: str, place: int) -> None:
    mistake = planted(derived(CELLS[cell]), NAMES[kind])[place]
    found = tried(derived(CELLS[cell]), mistake, LAYOUTS[1], seed=3, seconds=30.0)
    assert found is not None
    assert found.result == NAMED, found


def test_a_wrong_factor_inside_of_a_sum_is_no_wrong_axis() -> None:
    (mistake,) = planted(derived(CELLS["Normalised"]), NAMES["wrong factor"], 1)
    found = tried(derived(CELLS["Normalised"]), mistake, LAYOUTS[2], seed=1, seconds=30.0)
    assert found is not None
    assert found.result == NAMED, found
    assert ".sum(" in mistake.said


@pytest.mark.parametrize("name", ["rnn by hand", "gated rnn by hand"])
def test_a_mistake_planted_by_hand_is_named(name: str) -> None:
    assert name in BY_HAND
    found = tried(written(name), planted(written(name), NAMES["matrix not transposed"])[0], LAYOUTS[0], seed=1, seconds=30.0)
    assert found is not None
    assert found.result == NAMED, found


def test_what_is_1_at_every_step_makes_up_for_nothing() -> None:
    """The state's gradient less itself times (1 − zeros): the same numbers as an equals sign in the place of a plus."""
    program = written("lstm by hand")
    found = tried(program, planted(program, NAMES["state gradient accumulated"])[0], LAYOUTS[0], seed=0)
    assert found is not None
    assert found.result == NAMED, found


def test_every_kind_of_mistake_can_be_planted_somewhere_and_changes_gradients() -> None:
    programs = [derived(CELLS[name]) for name in ("lstm", "gru", "rnn")]
    for kind in KINDS:
        found = [(program, mistake) for program in programs for mistake in planted(program, kind, 1)]
        assert found, kind.name
        right, wrong = (laid_out(program, LAYOUTS[0]) for program in (found[0][0], found[0][1].program))
        assert wrong_gradients(right, wrong), kind.name


@pytest.mark.parametrize("wrong", ["all", "one"])
def test_random_arrays_are_never_named(wrong: str) -> None:
    laid = laid_out(derived(CELLS["rnn"]), LAYOUTS[4])
    rng = np.random.default_rng(5)
    for seed in range(4 if EXHAUSTIVE else 2):
        chosen = int(rng.integers(5))

        def noisy(found: dict[str, np.ndarray], chosen: int = chosen, seed: int = seed) -> dict[str, np.ndarray]:
            noise = np.random.default_rng([seed, int(abs(found["dxs"].ravel()[0]) * 1e6)])
            for k, name in enumerate(found):
                if wrong == "all" or k == chosen:
                    found[name] = noise.standard_normal(found[name].shape)
            return found

        noisy.__code__ = noisy.__code__.replace(co_filename="<noise>")  # no line of a source has the right arrays
        report = check_backward(laid.forward, wrapping(laid, noisy), laid.arguments, seed=seed, seconds=0.7)
        assert not report.passed
        assert not any(finding.kind for finding in report.findings), report
