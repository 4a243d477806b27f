"""A step that is written as C computes what autograd computes, and compiles without a warning."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, pair

import minigrad as mg
from minigrad import Module, Parameter, Tensor, pytree
from minigrad.checks.command import main
from minigrad.loops.emit import emitted
from minigrad.loops.program import CannotCompile

CC = shutil.which("gcc") or shutil.which("cc")
FLAGS = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC")
needs_compiler = pytest.mark.skipif(CC is None, reason="steps written as C are NOT tested: there is no C compiler")

T, B = 4, 5


class Own(Module):
    """Two states in a dict, and of everything something: joins, choices, means, powers, and numbers made of weights alone."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        random = np.random.default_rng(3)
        shapes = {"A": (hidden_size, input_size), "B": (hidden_size, 2 * hidden_size), "C": (hidden_size, hidden_size)}
        shapes |= {"leak": (hidden_size,), "scale": (1,), "tau": ()}
        for name, shape in shapes.items():
            setattr(self, name, Parameter(random.standard_normal(shape) / 2))
        self.size = hidden_size

    def initial_state(self, batch: int) -> Any:
        return {"m": Tensor(np.zeros((batch, self.size))), "h": Tensor(np.zeros((batch, self.size)))}

    def step(self, x: Tensor, state: Any) -> Any:
        m, h = state["m"], state["h"]
        a = x @ self.A.T + mg.concatenate([h, m], axis=1) @ self.B.T
        keep = mg.sigmoid(self.leak)
        m = keep * m + (1 - keep) * mg.maximum(mg.tanh(a), h * self.scale) * mg.exp(self.scale)
        q = m - m.mean(axis=1, keepdims=True) + mg.softplus(h * self.tau) * mg.tanh(self.tau)
        h = mg.where(q > 0.0, q, 0.3 * a) / (1.0 + mg.abs(h @ self.C)) + (1.5 + q * q) ** 0.5
        return {"m": m, "h": h}


CELLS = {name: pair(name)[0] for name in ("rnn", "gated rnn", "gru, reset before", "gru, reset after", "lstm")}
CELLS |= {"peepholes": pair("lstm, coupled, with peepholes")[0], "columns": pair("rnn, concatenated")[0], "own": Own(D, H)}


class Compiled:
    """The functions that were compiled from what was written of a cell."""

    def __init__(self, cell: Any, real: str, folder: Path) -> None:
        source, self.header = emitted(cell, D, "step", real)
        (folder / "step.c").write_text(source)
        (folder / "step.h").write_text(self.header)
        assert CC is not None
        done = subprocess.run(
            [CC, *FLAGS, "step.c", "-o", "step.so", "-lm"], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        self.library = ctypes.CDLL(str(folder / "step.so"))
        self.weights = re.findall(r"    step_real \*(\w+); /\*", self.header)

    def room(self, which: str) -> int:
        """How many numbers an array must have room for."""
        rows, more = re.findall(rf"step_{which}\(batch\) \(\(batch\) \* (\d+) \+ (\d+)\)", self.header)[0]
        return int(rows) * B + int(more)

    def call(self, which: str, *arrays: Any) -> None:
        """Call a function with arrays, and structs of arrays as dicts."""
        given = [self._struct(a) if isinstance(a, dict) else ctypes.c_void_p(a.ctypes.data) for a in arrays]
        getattr(self.library, f"step_{which}")(ctypes.c_int(B), *given)

    def _struct(self, arrays: dict[str, Any]) -> Any:
        return (ctypes.c_void_p * len(self.weights))(*[arrays[name].ctypes.data for name in self.weights])


def gradients_in_c(cell: Any, real: str, xs: Any, start: list[Any], arriving: list[list[Any]], folder: Path) -> dict[str, Any]:
    """T steps forward and backward by compiled functions."""
    compiled, dtype = Compiled(cell, real, folder), np.dtype({"float": "f4", "double": "f8"}[real])
    weights = {name: np.ascontiguousarray(p.numpy(), dtype) for name, p in cell.named_parameters()}
    sent = {name: np.zeros_like(weight) for name, weight in weights.items()}
    states, kept = [start], []
    for x in xs:
        states.append([np.full_like(part, np.nan) for part in start])
        kept.append(np.full(compiled.room("saved"), np.nan, dtype))
        compiled.call("forward", weights, x, *states[-2], *states[-1], kept[-1])
    g, d_xs = [np.zeros_like(part) for part in start], np.full_like(xs, np.nan)
    for t in reversed(range(len(xs))):
        g = [part + extra for part, extra in zip(g, arriving[t], strict=True)]
        old, spare = [np.full_like(part, np.nan) for part in g], np.full(compiled.room("spare"), np.nan, dtype)
        compiled.call("backward", weights, xs[t], *states[t], *states[t + 1], kept[t], *g, d_xs[t], *old, spare, sent)
        g = old
    named = {f"state {k}": part for k, part in enumerate(states[-1])} | {f"start {k}": part for k, part in enumerate(g)}
    return {**named, "xs": d_xs, **sent}


@needs_compiler
@pytest.mark.parametrize(("name", "real"), [*[(name, "double") for name in CELLS], ("lstm", "float"), ("own", "float")])
def test_steps_in_c_have_the_states_and_gradients_of_autograd(name: str, real: str, tmp_path: Path) -> None:
    cell, random = CELLS[name], np.random.default_rng(0)
    dtype = np.dtype({"float": "f4", "double": "f8"}[real])
    like = cell.initial_state(B)
    shapes = [part.shape for part in pytree.ends(like)]
    xs = random.standard_normal((T, B, D))
    start, *arriving = ([random.standard_normal(shape) for shape in shapes] for _ in range(T + 1))

    leaves = [Tensor(part, requires_grad=True) for part in start]
    inputs, state, loss = Tensor(xs, requires_grad=True), pytree.rebuilt(like, leaves), Tensor(0.0)
    cell.zero_grad()
    for x, weights in zip(inputs, arriving, strict=True):
        state = cell.step(x, state)
        loss = sum(((part * w).sum() for part, w in zip(pytree.ends(state), weights, strict=True)), loss)
    loss.backward()
    expected = {f"state {k}": part.numpy() for k, part in enumerate(pytree.ends(state))}
    expected |= {f"start {k}": leaf.grad for k, leaf in enumerate(leaves)} | {"xs": inputs.grad}
    expected |= {name: parameter.grad for name, parameter in cell.named_parameters()}

    def cast(arrays: list[Any]) -> list[Any]:
        return [array.astype(dtype) for array in arrays]

    found = gradients_in_c(cell, real, xs.astype(dtype), cast(start), list(map(cast, arriving)), tmp_path)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        tolerance = 1e-12 if real == "double" else 2e-5
        np.testing.assert_allclose(found[key], value, 0, tolerance * np.abs(value).max(), err_msg=key)


class WithSoftmax(Module):
    """A step that has no native form."""

    def initial_state(self, batch: int) -> Tensor:
        return Tensor(np.zeros((batch, H)))

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        return mg.tanh(h + mg.softmax(x[:, :1] + h, axis=1))


def test_a_step_without_a_native_form_is_refused_and_the_reason_is_said() -> None:
    with pytest.raises(CannotCompile, match="'softmax' has no formula"):
        emitted(WithSoftmax(), D, "step")


CELL = """
    from minigrad.models import RNN

    class Leaky(RNN):
        def step(self, x, h):
            return 0.5 * h + 0.5 * super().step(x, h)
"""


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaky.py").write_text(textwrap.dedent(CELL))
    place = f"{tmp_path / 'leaky.py'}:Leaky"
    assert main(["emit", place, "--c", "--sizes", "2,6", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "leaky.c"), str(tmp_path / "leaky.h")]
    header = (tmp_path / "leaky.h").read_text()
    assert "leaky_real *W_hx; /* (6, 2) */" in header
    assert "typedef float leaky_real;" in header


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sizes", "2"], "emit: --sizes: expected two numbers such as 3,4, got '2'"),
        (["--name", "a-b"], "emit: --name: expected a name that C has, got 'a-b'"),
    ],
)
def test_the_command_says_what_it_cannot_take(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "leaky.py").write_text(textwrap.dedent(CELL))
    assert main(["emit", f"{tmp_path / 'leaky.py'}:Leaky", "--c", "--out", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.glob("*.[ch]"))


@pytest.mark.parametrize("parameters", ["", ", H=4, *, scale=0.5"])
def test_the_command_takes_a_class_that_needs_no_sizes(parameters: str, tmp_path: Path) -> None:
    body = CELL.replace("class Leaky", "class Sized") + f"""
    class Leaky(Sized):
        def __init__(self{parameters}):
            super().__init__(3, 4)
    """
    (tmp_path / "leaky.py").write_text(textwrap.dedent(body))
    assert main(["emit", f"{tmp_path / 'leaky.py'}:Leaky", "--c", "--out", str(tmp_path)]) == 0
    assert "leaky_real *W_hx; /* (4, 3) */" in (tmp_path / "leaky.h").read_text()


@pytest.mark.parametrize("line", ["Leaky = 3", "def Leaky(a, b, c): pass", "def Leaky(): return 3"])
def test_the_command_says_what_is_no_cell(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaky.py").write_text(line)
    assert main(["emit", f"{tmp_path / 'leaky.py'}:Leaky", "--c", "--out", str(tmp_path)]) == 2
    assert "expected a cell with step(x, state) and initial_state(batch)" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaky.py").write_text(textwrap.dedent(CELL))
    folder = tmp_path / "nowhere"
    assert main(["emit", f"{tmp_path / 'leaky.py'}:Leaky", "--c", "--out", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"minigrad: {folder / 'leaky.c'}: No such file or directory")
