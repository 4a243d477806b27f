"""Layers of cells: stacked, in both directions, with residual connections and dropout between them.

Arrays are time-major: xs is (T, B, D), outputs are (T, B, H · directions), stacked states are (layers · directions, B, H)
in torch's order: layer 1 forward, layer 1 backward, layer 2 forward, and so on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

from minigrad import Tensor, broadcast_to, concatenate, dropout, stack, time_step
from minigrad.arguments import count
from minigrad.errors import ArgumentError, ShapeError
from minigrad.flags import switch
from minigrad.module import Module, Parameter

from .cells import make_cell
from .checks import Seed, generator, positive_size, probability
from .head import Head
from .lengths import steps_that_count
from .recurrent import Recurrent
from .states import detached, parts_of, with_parts
from .unrolling import (
    checked_cell,
    checked_inputs,
    label_of,
    run,
    scope_if,
    stacked_over_time,
    unroll,
)

__all__ = ["Head", "RecurrentLayers", "detached", "unroll"]

Directions: TypeAlias = tuple[Recurrent[Any], ...]
OverTime: TypeAlias = Tensor | Sequence[Tensor]
"""What passes from layer to layer: (T, B, ·) in one piece, or the T steps of it one by one."""
MOST_LAYERS = 10_000
"""More than these are a mistake in an argument, and would be made for hours."""
_FOR_EACH = "for each layer a cell or a pair (forward, backward) of them"


class RecurrentLayers(Module):
    """One or more layers of cells over a sequence, each reading the outputs of the one below.

        y⁽⁰⁾ = xs                                      (T, B, D)
        x⁽ˡ⁾ = dropout(y⁽ˡ⁻¹⁾)                         between layers, in training mode; x⁽¹⁾ = xs
        y⁽ˡ⁾ = h→(x⁽ˡ⁾)                                what the layer's cell gives at every step
        y⁽ˡ⁾ = [h→(x⁽ˡ⁾), h←(x⁽ˡ⁾)]                    bidirectional: the second cell reads in reverse
        y⁽ˡ⁾ = y⁽ˡ⁻¹⁾ + …                              residual: every layer but the first adds its input

    Args:
        cell: the name of a cell; or cells of one's own, from the lowest layer up, each anything with ``step`` and
            ``initial_state``, or a pair (forward, backward) of them for a bidirectional layer. Their parameters belong
            to the layers, whether or not a cell is a Module.
        input_size: D; only with a name.
        hidden_size: H; only with a name.
        num_layers: how many layers; only with a name.
        bidirectional: whether each layer also reads the sequence in reverse; only with a name.
        residual: whether every layer but the first adds its input to its output.
        dropout: the probability with which each entry of what passes from one layer to the next is dropped, in training
            mode (``train()``, ``eval()``); the others are divided by 1 − p.
        learn_initial_state: whether the states before the first step are parameters, zero at the beginning.
        seed: integer or ``numpy.random.Generator`` for initial values and dropout; None: new each time.
        options: those of the cell, such as ``reset="after"``, ``init="orthogonal"`` or ``dtype=np.float32``.

    Raises:
        ArgumentError: a name, option or value that does not exist; sizes beside cells that have their own.

    Warns:
        UserWarning: ``dropout`` with one layer, which has no other to pass anything to.

    >>> import numpy as np
    >>> layers = RecurrentLayers("lstm", 3, 4, num_layers=2, bidirectional=True, seed=0)
    >>> hs, states = layers(np.ones((5, 2, 3)))
    >>> hs.shape, states.c.shape, states.h.shape
    ((5, 2, 8), (4, 2, 4), (4, 2, 4))
    """

    def __init__(
        self,
        cell: str | Sequence[Recurrent[Any] | tuple[Recurrent[Any], Recurrent[Any]]],
        input_size: int | None = None,
        hidden_size: int | None = None,
        *,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        residual: bool = False,
        dropout: float = 0.0,
        learn_initial_state: bool = False,
        seed: Seed = None,
        **options: Any,
    ) -> None:
        self.rng = generator(seed)
        self.cells: list[Directions]
        if isinstance(cell, str):
            if input_size is None or hidden_size is None:
                raise ArgumentError(f"layers: the cell {cell!r} needs an input_size and a hidden_size")
            directions = 2 if switch(False if bidirectional is None else bidirectional, "layers: bidirectional") else 1
            self.cells = []
            number = positive_size("layers", "num_layers", 1 if num_layers is None else num_layers)
            if number > MOST_LAYERS:
                raise ArgumentError(f"layers: num_layers must be at most {MOST_LAYERS}, got {number}")
            for _ in range(number):
                made = (make_cell(cell, input_size, hidden_size, seed=self.rng, **options) for _ in range(directions))
                self.cells.append(tuple(made))
                input_size = hidden_size * directions
        else:
            if options or any(value is not None for value in (input_size, hidden_size, num_layers, bidirectional)):
                raise ArgumentError(
                    "layers: sizes, num_layers, bidirectional and the cell's options go with the name of a cell; "
                    "cells of one's own have theirs"
                )
            if not isinstance(cell, list | tuple):
                raise ArgumentError(f"layers: expected the name of a cell or a list of cells, one for each layer; got {cell!r}")
            self.cells = [_directions(given) for given in cell]
        if not self.cells or len({len(layer) for layer in self.cells}) > 1:
            raise ArgumentError("layers: expected at least one cell, and all layers with one direction or all with two")
        self.residual = switch(residual, "layers: residual")
        self.dropout = probability("layers: dropout", dropout)
        if self.dropout and len(self.cells) == 1:
            warnings.warn(
                f"layers: dropout={dropout} does nothing with one layer: it acts between layers. Take num_layers=2 or more, or "
                "minigrad.dropout on what the layer returns",
                stacklevel=2,
            )
        self.initial_states: list[list[Parameter]] | None = None
        if switch(learn_initial_state, "layers: learn_initial_state"):
            self.initial_states = [
                [Parameter(part.numpy(), name=part.name) for part in parts_of(cell.initial_state(1))]
                for layer in self.cells
                for cell in layer
            ]

    @property
    def num_layers(self) -> int:
        """How many layers there are."""
        return len(self.cells)

    @property
    def num_directions(self) -> int:
        """1, or 2 if the layers are bidirectional."""
        return len(self.cells[0])

    def forward(
        self,
        xs: Tensor | npt.ArrayLike,
        state: Any = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
        truncated: int | None = None,
    ) -> tuple[Tensor, Any]:
        """Read a batch of sequences.

        Args:
            xs: (T, B, D), time first.
            state: the initial states, stacked as they are returned: each part (layers · directions, B, H); or a list of
                one state for each layer and direction. Left out: the learnt ones, or ``cell.initial_state(B)``.
            lengths: (B,) integers from 0 to T, in any order; see `models.layers.unroll`.
            mask: (T, B) booleans, False where a step of an example does not count; see there.
            hoist: whether cells that can do the input projection of all steps at once do so. The numbers are the same;
                without it the graph shows every step whole, which is the better picture.
            truncated: stop gradients after every k steps; None: never.

        Returns:
            The outputs of the top layer, (T, B, H · directions), 0 beyond an example's length; and the final states,
            each part (layers · directions, B, H), in torch's order. Cells whose states differ in shape or kind give a
            list of states in that order instead.

        Raises:
            ShapeError, ArgumentError: as `models.layers.unroll`, or states that are not one for each cell.
        """
        hs, finals = self.read(xs, state, lengths, mask=mask, hoist=hoist, truncated=truncated)
        return hs, _stacked(finals)

    def read(
        self,
        xs: Tensor | npt.ArrayLike,
        state: Any = None,
        lengths: npt.ArrayLike | None = None,
        *,
        mask: npt.ArrayLike | None = None,
        hoist: bool = True,
        truncated: int | None = None,
    ) -> tuple[Tensor, list[Any]]:
        """The same as a call, with the final states as a list, one for each layer and direction."""
        xs = checked_inputs("layers", self.cells[0][0], xs)
        T, B = xs.shape[:2]
        valid = steps_that_count("layers", lengths, mask, T, B)
        states = self._initial(B, state)
        finals: list[Any] = []
        y: OverTime = xs if switch(hoist, "layers: hoist") or not T else step_by_step(xs)
        for number, cells in enumerate(self.cells, 1):
            with scope_if(len(self.cells) > 1, f"layer {number}"):
                below, ways = y, []
                fed = at_every_step(self._drop, below) if number > 1 else below
                for cell, reverse in zip(cells, (False, True), strict=False):
                    if isinstance(fed, Tensor):
                        checked_inputs(f"unroll {label_of(cell)}", cell, fed)
                    with scope_if(len(cells) > 1, "backward" if reverse else "forward"):
                        hs, final = run(cell, fed, states[len(finals)], B, hoist, valid, reverse, truncated)
                    finals.append(final)
                    ways.append(stacked_over_time(cell, fed, hs, final) if isinstance(fed, Tensor) else hs)
                y = at_every_step(side_by_side, *ways)
                if self.residual and number > 1:
                    y = at_every_step(_added, below, y)
        return y if isinstance(y, Tensor) else stack(y), finals

    def _drop(self, y: Tensor) -> Tensor:
        return dropout(y, self.dropout, self.training, rng=self.rng)

    def initial_state(self, batch: int) -> Any:
        """The states before the first step, stacked as a call returns them.

        >>> RecurrentLayers("lstm", 3, 4, num_layers=2, seed=0).initial_state(5).c.shape
        (2, 5, 4)
        """
        cells = [cell for layer in self.cells for cell in layer]
        given = zip(cells, self._initial(batch, None), strict=True)
        return _stacked([cell.initial_state(batch) if state is None else state for cell, state in given])

    def final_state(self, states: Any, layer: int = -1) -> Any:
        """The final state of one layer out of all that a call returned, its directions side by side.

        Args:
            states: the second result of a call, or of `read`.
            layer: its number, from 0 for the lowest or from −1 for the top.

        Returns:
            A state of the cell's kind, each part (B, H · directions).

        >>> import numpy as np
        >>> layers = RecurrentLayers("gru", 3, 4, num_layers=2, bidirectional=True, seed=0)
        >>> layers.final_state(layers(np.ones((5, 2, 3)))[1]).shape
        (2, 8)
        """
        count(layer, "final_state: layer", -self.num_layers, self.num_layers - 1)
        first = range(self.num_layers)[layer] * self.num_directions
        ways = self._one_for_each(states, None)[first : first + self.num_directions]
        return with_parts(ways[0], [side_by_side(*parts) for parts in zip(*map(parts_of, ways), strict=True)])

    def _initial(self, batch: int, state: Any) -> list[Any]:
        """The initial state of every cell; None where the cell makes its own."""
        if state is not None:
            return self._one_for_each(state, batch)
        cells = [cell for layer in self.cells for cell in layer]
        if self.initial_states is None:
            return [None] * len(cells)
        return [
            with_parts(cell.initial_state(batch), [broadcast_to(p, (batch, *p.shape[1:])) for p in learnt])
            for cell, learnt in zip(cells, self.initial_states, strict=True)
        ]

    def _one_for_each(self, state: Any, batch: int | None) -> list[Any]:
        """The states of every layer and direction, out of stacked ones or a list."""
        count = self.num_layers * self.num_directions
        if isinstance(state, list):
            if len(state) != count:
                raise ShapeError(f"layers: expected {count} states, one for each layer and direction, got {len(state)}")
            return state
        parts = [part if isinstance(part, Tensor) else Tensor(part) for part in parts_of(state)]
        for part in parts:
            if part.ndim < 2 or part.shape[0] != count:
                B = "B" if batch is None else batch
                raise ShapeError(f"layers: a state must be (layers · directions, B, H) = ({count}, {B}, …), got {part.shape}")
        return [with_parts(state, [part[k] for part in parts]) for k in range(count)]


def step_by_step(xs: Tensor) -> list[Tensor]:
    """x_1 … x_T one by one, each made under its own time."""
    steps = []
    for t in range(1, len(xs) + 1):
        with time_step(t):
            steps.append(xs[t - 1].named("x"))
    return steps


def at_every_step(function: Callable[..., Tensor], *ys: OverTime) -> OverTime:
    """``function`` of what the layers gave: of all steps at once, or of each step under its own time."""
    if isinstance(ys[0], Tensor):
        return function(*ys)
    results = []
    for t, steps in enumerate(zip(*ys, strict=True), 1):
        with time_step(t):
            results.append(function(*steps))
    return results


def side_by_side(*ways: Tensor) -> Tensor:
    """What each direction gave, (…, H), as one tensor (…, H · directions)."""
    return ways[0] if len(ways) == 1 else concatenate(ways, axis=-1)


def _added(below: Tensor, y: Tensor) -> Tensor:
    if below.shape != y.shape:
        raise ShapeError(f"layers: residual=True needs layers of one width, got {below.shape} below and {y.shape} above")
    return below + y


def _stacked(states: list[Any]) -> Any:
    """The states of all layers and directions as one, each part stacked; the list itself where that cannot be."""
    parts = [parts_of(state) for state in states]
    if len({(type(state), *(part.shape for part in own)) for state, own in zip(states, parts, strict=True)}) > 1:
        return states
    return with_parts(states[0], [stack(column) for column in zip(*parts, strict=True)])


def _directions(given: Any) -> Directions:
    """A layer's cells: the one given, or the pair."""
    cells = given if isinstance(given, tuple) else (given,)
    if len(cells) > 2:
        raise ArgumentError(f"layers: expected the name of a cell, or {_FOR_EACH}; got {given!r}")
    return tuple(checked_cell(f"layers: expected the name of a cell, or {_FOR_EACH}", cell) for cell in cells)
