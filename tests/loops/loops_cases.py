"""The same cell twice: compiled, its loop recorded as one operation, and plain, recorded step by step.

There are two yardsticks: a derived class that says ``pure_step = False``, and, for loops that are hoisted too, the cell itself
while nothing can be compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of, with_parts

from minigrad import Tensor
from minigrad.graph import Node
from minigrad.loops.loop import Result
from minigrad.loops.program import CannotCompile

D, H = 3, 4

CELLS: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "rnn": (RNN, {}),
    "rnn without a bias": (RNN, {"bias": False}),
    "rnn, concatenated": (RNN, {"form": "concatenated"}),
    "gated rnn": (GatedRNN, {}),
    "gru, reset before": (GRU, {}),
    "gru, reset after": (GRU, {"reset": "after"}),
    "gru without a bias": (GRU, {"bias": False}),
    "gru, reset after, without a bias": (GRU, {"reset": "after", "bias": False}),
    "gru without a reset gate": (GRU, {"reset_gate": False}),
    "gru without an update gate": (GRU, {"update_gate": False, "reset": "after"}),
    "gru without gates": (GRU, {"update_gate": False, "reset_gate": False}),
    "lstm": (LSTM, {}),
    "lstm without a bias": (LSTM, {"bias": False}),
    "lstm with peepholes": (LSTM, {"peepholes": True}),
    "lstm, coupled": (LSTM, {"coupled": True}),
    "lstm, coupled, with peepholes": (LSTM, {"coupled": True, "peepholes": True}),
    "lstm without the output's tanh": (LSTM, {"output_tanh": False}),
}

FOUR = ("rnn", "gated rnn", "gru, reset before", "lstm")
"""One of each kind, where switches make no difference."""

every_cell = pytest.mark.parametrize("name", CELLS)
each_kind = pytest.mark.parametrize("name", FOUR)
hoisted_or_not = pytest.mark.parametrize("hoist", [False, True], ids=["", "hoisted"])
both_directions = pytest.mark.parametrize("reverse", [False, True], ids=["", "reverse"])


@cache
def plain(kind: type[Any]) -> type[Any]:
    """The same cell, whose steps are run one by one."""
    return type("Plain", (kind,), {"pure_step": False})


def pair(name: str, **more: Any) -> tuple[Any, Any]:
    """A cell whose loops are compiled, and the same one whose are not, with equal parameters."""
    kind, options = CELLS[name]
    options = {"seed": 1, **options, **more}
    return kind(D, H, **options), plain(kind)(D, H, **options)


@contextmanager
def plainly() -> Iterator[None]:
    """Inside, every loop is run step by step."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise CannotCompile("plainly")

    with pytest.MonkeyPatch.context() as patch:
        for module in ("minigrad.models.recurrence", "minigrad.scan"):
            patch.setattr(sys.modules[module], "execute", refuse)
        yield


def is_compiled(tensor: Tensor) -> bool:
    """Whether a tensor is a result of a loop that was recorded as one operation, or such a result with padding."""
    node = tensor._node
    return node is not None and any(isinstance(found, Result) for found in (node, *node.sources[:1]))


def starts(cell: Any, B: int, dtype: Any = np.float64, learnt: bool = True, rounded: bool = False) -> Any:
    """An initial state that is not zero, and learnt."""
    random = np.random.default_rng([B, 7])
    like = cell.initial_state(B)
    numbers = [random.standard_normal((B, H)).astype(np.float32 if rounded else dtype) for _ in parts_of(like)]
    parts = [Tensor(array.astype(dtype), requires_grad=learnt) for array in numbers]
    return with_parts(like, parts)


class Pass:
    """A forward pass of one cell on random numbers, the same for every cell.

    ``losses`` says what the loss sees: hs, the final state, the part c or h of it alone, or all. ``rounded``: the random
    numbers are those that float32 has.
    """

    def __init__(
        self,
        cell: Any,
        T: int = 5,
        B: int = 2,
        losses: str = "hs and state",
        wants_xs: bool = True,
        learnt: bool = True,
        hoist: bool = False,
        reverse: bool = False,
        dtype: Any = np.float64,
        rounded: bool = False,
    ) -> None:
        random = np.random.default_rng([T, B])

        def drawn(*shape: int) -> Any:
            return random.standard_normal(shape).astype(np.float32 if rounded else dtype).astype(dtype)

        self.cell = cell
        self.xs = Tensor(drawn(T, B, D), requires_grad=wants_xs, name="xs")
        self.start = starts(cell, B, dtype, rounded=rounded) if learnt else None
        self.hs, self.final = unroll(cell, self.xs, self.start, hoist, reverse=reverse)
        weights = drawn(T, B, H), drawn(2, B, H)
        shares = [(self.hs * weights[0]).sum()] if "hs" in losses else []
        for part, name, weight in zip(parts_of(self.final), cell.state_names, weights[1], strict=False):
            if "state" in losses or losses == name or (len(cell.state_names) == 1 and losses in "ch"):
                shares.append((part * weight).sum())
        self.loss = sum(shares[1:], shares[0])
        self.size = float(np.abs(self.hs.numpy() * weights[0]).sum())
        """About as much as was added up to the loss, which is small where it cancels."""

    def leaves(self) -> dict[str, Tensor]:
        """Everything that has a gradient."""
        given = dict(self.cell.named_parameters())
        if self.xs.requires_grad:
            given["xs"] = self.xs
        if self.start is not None:
            given |= {f"start {k}": part for k, part in enumerate(parts_of(self.start))}
        return given

    def results(self) -> dict[str, Any]:
        """Outputs, final state and loss."""
        parts = {f"final {name}": part.numpy() for name, part in zip(self.cell.state_names, parts_of(self.final), strict=True)}
        return {"hs": self.hs.numpy(), "loss": self.loss.numpy(), **parts}

    def gradients(self, **options: Any) -> dict[str, Any]:
        """The gradients of all leaves, by a backward pass that starts from none."""
        for leaf in self.leaves().values():
            leaf.grad = None
        self.loss.backward(**options)
        return {name: leaf.grad for name, leaf in self.leaves().items()}


def both(name: str, **options: Any) -> tuple[Pass, Pass]:
    """The same pass of the cell whose loop is compiled and of the one whose is not."""
    dtype = {"dtype": options["dtype"]} if "dtype" in options else {}
    one = Pass(pair(name, **dtype)[0], **options)
    with plainly():
        other = Pass(pair(name, **dtype)[0], **options)
    assert is_compiled(one.hs)
    assert not is_compiled(other.hs)
    return one, other


def assert_close(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-13) -> None:
    """Every entry is there, has the same dtype, and differs by no more than the largest entry times the tolerance.

    Zeros are not None: what no gradient reaches has none.
    """
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name] is None) == (value is None), f"{name}: {found[name]} for {value}"
        if value is None:
            continue
        got = np.asarray(found[name])
        assert (got.shape, got.dtype) == (value.shape, value.dtype), name
        largest = np.abs(value[np.isfinite(value)]).max(initial=1e-3)
        np.testing.assert_allclose(got, value, rtol=0.0, atol=tolerance * largest, err_msg=name)


def bits(arrays: dict[str, Any]) -> dict[str, bytes]:
    """The bits of arrays."""
    return {name: np.asarray(array).tobytes() for name, array in arrays.items()}


def signature(nodes: list[Node]) -> list[tuple[Any, ...]]:
    """Nodes, each with the positions of its inputs, without who they are."""
    position: dict[Node | None, int] = {node: k for k, node in enumerate(nodes)}
    return [
        (
            node.label, node.symbol, node.name, node.time, node.scope, node.shape, node.dtype, node.requires_grad, node.is_leaf,
            getattr(node, "transpose_b", None), tuple(position.get(source) for source in node.inputs),
        )
        for node in nodes
    ]  # fmt: skip
