"""A user's module that imports large packages: what pip has installed is not his, and its functions are not gone through."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from derivation_cases import arrays

import minigrad as mg
from minigrad import check_backward
from minigrad.checks.tracing import reachable

PLOTS = """
import numpy as np

class Figure:
    def draw(self, x):
        return np.zeros(3)

def plot(x):
    return Figure().draw(x)
"""
LAYERS = """
import numpy as np
import plots
from plots import Figure, plot

def squash(z):
    return 1 / (1 + np.exp(-z))

def forward(W, x):
    h = squash(W @ x)
    return h, (W, x, h)

def backward(dh, cache):
    W, x, h = cache
    dz = dh * h
    return dz @ x.T, W.T @ dz

def train():
    plot(1)
"""

Maker = Callable[[bool], ModuleType]


@pytest.fixture
def layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """The module LAYERS, which imports PLOTS, an installed package; installed itself if asked for."""

    def made(installed: bool) -> ModuleType:
        site = tmp_path / "lib" / "site-packages"
        for folder, name, text in [(site, "plots", PLOTS), (site if installed else tmp_path, "layers", LAYERS)]:
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").write_text(text)
            monkeypatch.syspath_prepend(str(folder))
        return importlib.import_module("layers")

    yield made
    for name in ("plots", "layers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("installed", [False, True])
def test_the_functions_of_installed_packages_are_reached_only_where_they_are_checked(layers: Maker, installed: bool) -> None:
    module = layers(installed)
    names = {function.__name__ for function in reachable([module.forward, module.backward])}
    assert names == {"squash", "forward", "backward", "train"}
    report = check_backward(module.forward, module.backward, arrays(W=(4, 3), x=(3, 2)), returns=("W", "x"))
    assert [finding.right for finding in report.findings] == ["dz = dh * h * (1 - h)"], report


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("through", ["the name", "scipy.special", "scipy"])
def test_what_scipy_writes_in_python_is_followed(monkeypatch: pytest.MonkeyPatch, name: str, axis: Any, through: str) -> None:
    def scipys(a: Any, axis: Any = None) -> Any:
        return getattr(mg, name)(np.array(a), axis=axis).numpy()  # of arrays alone, as SciPy's are

    scipys.__name__, scipys.__module__ = name, "scipy.special._logsumexp"
    special, scipy = ModuleType("scipy.special"), ModuleType("scipy")
    setattr(special, name, scipys)
    scipy.special = special  # type: ignore[attr-defined]
    here = globals() | {"called": {"the name": scipys, "scipy.special": special, "scipy": scipy}[through]}
    call = {"the name": "called", "scipy.special": f"called.{name}", "scipy": f"called.special.{name}"}[through]
    text = {
        "softmax": "y * (dy - (dy * y).sum({axis}, keepdims=True))",
        "log_softmax": "dy - np.exp(y) * dy.sum({axis}, keepdims=True)",
        "logsumexp": "dy * np.exp(x - y)",
    }[name].format(axis=axis)
    exec(f"def forward(x):\n    y = {call}(x, axis={axis})\n    return y, (x, y)\n", here)
    exec(f"def backward(dy, cache):\n    x, y = cache\n    return {text}\n", here)
    report = check_backward(here["forward"], here["backward"], arrays(x=(3, 2)), returns=("x",))
    assert report.passed, report
