"""The benchmarks compute the same as what they time, and say in the right form what they found."""

from __future__ import annotations

import doctest
import gc
import importlib
import json
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.agreement import Disagreement, require_agreement
from benchmarks.by_hand import ByHand
from benchmarks.command import parser, plan_of
from benchmarks.contestant import Contestant
from benchmarks.drawing import WAYS, Drawn, drawing, torchviz
from benchmarks.memory import peak, tape
from benchmarks.ours import Minigrad
from benchmarks.overhead import overhead
from benchmarks.picture import picture
from benchmarks.problem import GATES, Arrays, Problem, Size, make_problem
from benchmarks.results import Measurement, Results, load
from benchmarks.run import OURS
from benchmarks.scaling import scaling
from benchmarks.tables import BEGIN, END, compact, put_into, readme_table, report
from benchmarks.timing import Timing, race

ROOT = Path(__file__).parent.parent.parent
SMALL = Size(T=5, B=3, D=4, H=6, N=7)
MODULES = [path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__main__"] + ["by_hand"]


def installed_peers() -> list[type[Contestant]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peers.installed()[0]


@pytest.mark.parametrize("cell", GATES)
def test_the_yardstick_has_the_gradients_of_central_differences(cell: str) -> None:
    problem = make_problem(cell, SMALL)
    yardstick = ByHand(problem)
    yardstick.step()
    gradients = yardstick.gradients()
    assert gradients.keys() == problem.params.keys()
    random = np.random.default_rng(1)
    for name, value in problem.params.items():
        direction, step = random.standard_normal(value.shape), 1e-6

        def loss(shift: float, name: str = name, value: np.ndarray = value, along: np.ndarray = direction) -> float:
            return ByHand(replace(problem, params=problem.params | {name: value + shift * along})).step()

        numerical = (loss(step) - loss(-step)) / (2 * step)
        assert numerical == pytest.approx(float((gradients[name] * direction).sum()), rel=1e-6, abs=1e-9), name


@pytest.mark.sampled(2)
@pytest.mark.parametrize("size", [SMALL, Size(T=1, B=1, D=3, H=3, N=2)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", GATES)
def test_all_contestants_agree_on_every_gradient(cell: str, dtype: str, size: Size) -> None:
    problem = make_problem(cell, size, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        contestants = [kind(problem) for kind in [*OURS, *installed_peers()] if cell in kind.cells]
        differences = require_agreement(contestants, dtype)
    assert differences.keys() >= {"by hand", "minigrad", "minigrad, user's cell", "minigrad, step by step"}


def test_the_yardsticks_second_step_gives_the_same_bits_as_its_first() -> None:
    for cell in GATES:
        yardstick = ByHand(make_problem(cell, SMALL))
        loss, first = yardstick.step(), {name: grad.copy() for name, grad in yardstick.gradients().items()}
        assert yardstick.step() == loss
        assert all(np.array_equal(grad, first[name]) for name, grad in yardstick.gradients().items())


class Mistaken(ByHand):
    """By hand with one entry of one gradient slightly wrong."""

    name = "mistaken"

    def gradients(self) -> Arrays:
        gradients = super().gradients()
        gradients["W_h"] = gradients["W_h"].copy()
        gradients["W_h"][0, 1] += 1e-6
        return gradients


class Forgetful(ByHand):
    """By hand without one gradient."""

    name = "forgetful"

    def gradients(self) -> Arrays:
        return {name: grad for name, grad in super().gradients().items() if name != "b_y"}


class Double(ByHand):
    """By hand with gradients of another dtype."""

    name = "double"

    def gradients(self) -> Arrays:
        return {name: grad.astype(np.float64) for name, grad in super().gradients().items()}


@pytest.mark.parametrize(
    ("kind", "dtype", "says"),
    [(Mistaken, "float64", "gradient of W_h differs"), (Forgetful, "float64", "b_y"), (Double, "float32", "dtype float64")],
)
def test_whoever_computes_something_else_is_refused(kind: type[ByHand], dtype: str, says: str) -> None:
    problem = make_problem("rnn", SMALL, dtype)
    with pytest.raises(Disagreement, match=says):
        require_agreement([ByHand(problem), kind(problem)], dtype)


def test_an_unknown_cell_is_refused_with_the_right_names() -> None:
    with pytest.raises(ValueError, match=r"'lsmt'.*rnn, gru, gru_before, lstm"):
        make_problem("lsmt", SMALL)


def test_a_peer_that_is_not_installed_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", (peers.Peer("absent", "absent_peer", "Absent"),))

    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'absent' ({name})", name="absent.numpy")

    monkeypatch.setattr(peers, "import_module", absent)
    assert peers.installed() == ([], ["absent"])
    assert list(peers.advice(["absent"])) == [
        "absent is not installed and is left out; `pip install '.[peers]'` brings every peer"
    ]


def test_a_peer_that_is_broken_is_not_taken_for_one_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError(f"No module named 'elsewhere' ({name})", name="elsewhere")

    monkeypatch.setattr(peers, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        peers.installed()


def test_contestants_take_turns_and_the_first_is_the_unit() -> None:
    calls: list[str] = []
    timings = race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, seconds=0.0, least_rounds=2)
    assert timings["a"].ratio == timings["a"].ratio_of_minima == 1
    assert timings["a"].rounds == 2
    switches = sum(before != after for before, after in pairwise(calls))
    assert switches >= 3


def test_what_was_hidden_from_the_collector_before_a_race_stays_hidden() -> None:
    gc.freeze()
    race({"a": lambda: None}, seconds=0.0, least_rounds=1)
    assert gc.get_freeze_count() > 0


def test_peak_memory_counts_every_array_of_the_step() -> None:
    problem = make_problem("rnn", Size(T=20, B=8, D=16, H=32, N=16))
    states = 20 * 8 * 32 * 8
    for kind in (ByHand, Minigrad):
        found = peak(kind, problem)
        assert found is not None
        assert 3 * states < found < 30 * states


def test_the_tape_is_released_by_the_backward_pass() -> None:
    weight = tape(Minigrad, Size(T=50, B=4, D=8, H=16, N=8))
    assert weight is not None
    assert abs(weight.left) < weight.kept / 50


def test_overhead_is_measured_against_numpys_own_call() -> None:
    cost = overhead(Minigrad, "tanh")
    assert cost is not None
    assert cost.unit > 0
    assert cost.forward > 0
    assert cost.backward > 0


def test_scaling_reports_every_length() -> None:
    assert [cost.T for cost in scaling(Minigrad, (2, 5))] == [2, 5]


def results() -> Results:
    timing = Timing(median=2e-3, minimum=1e-3, ratio=1.0, ratio_of_minima=1.0, rounds=4)
    steps = [
        Measurement(cell, size, "float32", name, 1e-7, replace(timing, ratio=ratio), memory)
        for size in ("tiny", "char")
        for cell in ("rnn", "lstm")
        for name, ratio, memory in (("by hand", 1.0, 2_000_000), ("minigrad", 1.25, 3_000_000), ("peer <x> & co", 31.4, None))
    ]
    return Results(
        machine={"date": "2026-01-02", "processor": "a <fast> one", "cores": "2", "system": "Linux x86_64"},
        versions={"python": "3.11", "numpy": "2.0"},
        steps=steps,
        inference=[replace(steps[0], contestant="minigrad")],
        overhead={"minigrad": {name: {"unit": 2e-7, "forward": 4e-7, "backward": 5e-7} for name in ("tanh", "add")}},
        tape={"minigrad": {"kept": 27_000.0, "left": 100.0}},
        scaling={"minigrad": [{"T": 10, "seconds": 1e-5, "bytes": 7000.0}]},
    )


def test_results_survive_the_way_through_json(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results().save(path)
    assert load(path) == results()
    assert json.loads(path.read_text())["sizes"]["char"] == {"T": 50, "B": 32, "D": 65, "H": 128, "N": 65}


def test_a_foreign_json_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"format": 99}')
    with pytest.raises(ValueError, match=r"other\.json"):
        load(path)


def test_the_readmes_table_is_generated_between_its_markers() -> None:
    page = f"# title\n\n{BEGIN}\nold\n{END}\n\nend\n"
    changed = put_into(page, results())
    assert changed == f"# title\n\n{readme_table(results())}\n\nend\n"
    assert put_into(changed, results()) == changed
    assert "| minigrad | 1.25 / 1.25 | 1.25 / 1.25 |" in changed
    assert "2026-01-02, a <fast> one, 2 cores, one thread; python 3.11, numpy 2.0." in changed


@pytest.mark.parametrize("page", ["no markers", f"{END}\n{BEGIN}", f"{BEGIN}\n{END}\n{BEGIN}\n{END}"])
def test_a_page_without_the_markers_once_each_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="benchmark table"):
        put_into(page, results())


def test_the_report_names_everything_that_was_measured() -> None:
    text = "\n".join(report(results()))
    for part in ("ratio to by hand, float32", "Peak memory", "| peer <x> & co | – / – | – / – |", "in units of np.tanh",
                 "| minigrad | 27 | 0.1 |", "| T | 10 |", "Inference"):  # fmt: skip
        assert part.replace("| 27 |", "| 27.0 |") in text


def test_the_picture_is_well_formed_and_shows_every_measurement() -> None:
    root = ElementTree.fromstring(picture(results()))
    titles = [title.text for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(results().steps)
    assert "peer <x> & co, lstm, char: 31.40" in titles


@pytest.mark.parametrize(("ratio", "text"), [(0.4, "0.40"), (2.994, "2.99"), (3.04, "3.0"), (9.94, "9.9"), (128.2, "128")])
def test_ratios_are_written_with_the_digits_that_mean_something(ratio: float, text: str) -> None:
    assert compact(ratio) == text


def test_options_narrow_the_plan() -> None:
    plan = plan_of(parser().parse_args(["--quick", "--sizes", "tiny", "--cells", "lstm", "--seconds", "0"]))
    assert (plan.sizes, plan.cells, plan.dtypes, plan.seconds) == (("tiny",), ("lstm",), ("float32",), 0)


def test_the_command_measures_prints_and_writes(tmp_path: Path) -> None:
    arguments = ["--quick", "--no-peers", "--sizes", "tiny", "--cells", "rnn", "--seconds", "0.1", "--out", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "| by hand | 1.00 |" in run.stdout
    assert load(tmp_path / "results.json").contestants() == [
        "by hand", "by hand, plainly", "minigrad", "minigrad, user's cell", "minigrad, step by step"
    ]  # fmt: skip
    ElementTree.fromstring((tmp_path / "results.svg").read_text(encoding="utf-8"))


def test_a_folder_that_cannot_be_made_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--out", str(tmp_path / "file" / "folder")],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.startswith("benchmarks: the folder")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_the_docstrings_print_what_they_say(module: str) -> None:
    name = "benchmarks" if module == "__init__" else f"benchmarks.{module}"
    assert doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_a_problem_is_the_same_bits_every_time() -> None:
    first, second = make_problem("gru", SMALL), make_problem("gru", SMALL)
    assert isinstance(first, Problem)
    assert np.array_equal(first.xs, second.xs)
    assert all(np.array_equal(value, second.params[name]) for name, value in first.params.items())


def test_the_size_of_a_drawing_grows_in_proportion_to_its_steps_or_not_at_all() -> None:
    sizes = {(one.way, one.T): one.size or 0 for one in drawing((50, 100, 200))}
    for way in WAYS:
        first, second = sizes[way, 100] - sizes[way, 50], sizes[way, 200] - sizes[way, 100]
        assert second < 2.2 * max(first, 1000), way
    assert sizes["gates, folded", 200] < 1.05 * sizes["gates, folded", 50]


def test_a_drawing_that_never_ends_is_ended() -> None:
    assert torchviz(5, patience=0.01) == Drawn("torchviz", 5, None, None)
