"""Right derivations in many layouts, and how mistakes get into their source."""

from __future__ import annotations

import linecache
import re
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FOLDER = Path(__file__).parent / "derivations"


class Case(NamedTuple):
    """A forward and a backward pass in one file, and an example of the arguments; methods, of an object made of ``made_of``."""

    file: str
    forward: str
    backward: str
    arguments: Callable[[], Any]
    options: dict[str, Any] = {}
    made_of: Callable[[], Any] = lambda: (3, 5)

    @property
    def id(self) -> str:
        return f"{self.file}:{self.backward}"


def arrays(**shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {name: rng.standard_normal(shape) * 0.1 for name, shape in shapes.items()}


def course_lstm(D: int = 3, H: int = 5) -> dict[str, np.ndarray]:
    return arrays(**{f"W{k}": (H, H + D) for k in "fico"}, **{f"b{k}": (H, 1) for k in "fico"})


def course_rnn(D: int = 3, H: int = 5) -> dict[str, np.ndarray]:
    return arrays(Wax=(H, D), Waa=(H, H), Wya=(2, H), ba=(H, 1), by=(2, 1))


def gru(D: int = 3, H: int = 5) -> dict[str, np.ndarray]:
    return arrays(**{f"W{k}": (H, D) for k in "zrh"}, **{f"U{k}": (H, H) for k in "zrh"}, **{f"b{k}": (H, 1) for k in "zrh"})


def rows(D: int = 3, H: int = 5, gates: int = 1) -> list[np.ndarray]:
    return list(arrays(Wx=(D, gates * H), Wh=(H, gates * H), b=(gates * H,)).values())


CASES = [
    Case("course_columns", "rnn_cell_forward", "rnn_cell_backward", lambda: (np.ones((3, 4)), np.ones((5, 4)), course_rnn())),
    Case("course_columns", "rnn_forward", "rnn_backward", lambda: (np.ones((3, 4, 6)), np.ones((5, 4)), course_rnn())),
    Case(
        "course_columns",
        "lstm_cell_forward",
        "lstm_cell_backward",
        lambda: (np.ones((3, 4)), np.ones((5, 4)), np.ones((5, 4)), course_lstm()),
    ),
    Case("course_columns", "lstm_forward", "lstm_backward", lambda: (np.ones((3, 4, 6)), np.ones((5, 4)), course_lstm())),
    Case("rows_stacked", "rnn_step_forward", "rnn_step_backward", lambda: (np.ones((4, 3)), np.ones((4, 5)), *rows())),
    Case("rows_stacked", "rnn_forward", "rnn_backward", lambda: (np.ones((4, 6, 3)), np.ones((4, 5)), *rows())),
    Case(
        "rows_stacked",
        "lstm_step_forward",
        "lstm_step_backward",
        lambda: (np.ones((4, 3)), np.ones((4, 5)), np.ones((4, 5)), *rows(gates=4)),
    ),
    Case("rows_stacked", "lstm_forward", "lstm_backward", lambda: (np.ones((4, 6, 3)), np.ones((4, 5)), *rows(gates=4))),
    Case(
        "characters",
        "forward",
        "backward",
        lambda: (
            [0, 2, 1, 3],
            [2, 1, 3, 6],
            *arrays(h=(5, 1), Wxh=(5, 7), Whh=(5, 5), Why=(7, 5), bh=(5, 1), by=(7, 1)).values(),
        ),
    ),
    Case("gru_columns", "gru_step", "gru_step_backward", lambda: (np.ones((3, 4)), np.ones((5, 4)), gru())),
    Case("gru_columns", "gru_sequence", "gru_sequence_backward", lambda: (np.ones((6, 3, 4)), np.ones((5, 4)), gru())),
    Case("lstm_object", "LSTMCell.forward", "LSTMCell.backward", lambda: (np.ones((4, 3)), np.ones((4, 5)), np.ones((4, 5)))),
    Case("other_manners", "Step.forward", "Step.backward", lambda: (np.ones((4, 3)), np.ones((4, 5))), {}, lambda: rows()),
    Case("other_manners", "Sequence.forward", "Sequence.backward", lambda: (np.ones((4, 6, 3)),), {}, lambda: ()),
    Case("other_manners", "last_output", "last_output_backward", lambda: (np.ones((6, 3)),)),
    Case("other_manners", "Learner.forward", "Learner.learn", lambda: ([np.ones((3, 1))] * 6,), {}, lambda: ()),
    Case(
        "other_manners",
        "loss_and_gradients",
        "loss_and_gradients",
        lambda: ([0, 2, 1, 3], [2, 1, 3, 6], *arrays(U=(5, 7), W=(5, 5), V=(7, 5)).values()),
    ),
    Case(
        "other_manners",
        "gates_in_a_loop",
        "gates_in_a_loop_backward",
        lambda: (
            np.ones(3),
            np.ones(5),
            np.ones(5),
            arrays(**dict.fromkeys("ifgo", (5, 8))),
            arrays(**dict.fromkeys("ifgo", (5,))),
        ),
    ),
    Case(
        "more_manners",
        "with_global_weights",
        "with_global_weights_backward",
        lambda: ([np.ones((3, 4))] * 6, np.ones((5, 4))),
        {"upstream": {"doutputs": "outputs"}, "returns": ("h",)},
    ),
    Case("more_manners", "Layer.forward", "Layer.backward", lambda: (np.ones((4, 3)), np.ones((4, 5))), {}, lambda: ()),
    Case(
        "more_manners",
        "nested",
        "nested_backward",
        lambda: (np.ones((3, 4)), np.ones((5, 4)), *arrays(Wz=(5, 3), Uz=(5, 5), Wn=(5, 3), Un=(5, 5)).values()),
        {"returns": ("x", "h_prev", "Wz", "Uz", "Wn", "Un")},
    ),
    Case(
        "more_manners",
        "last_alone",
        "last_alone_backward",
        lambda: (np.ones((6, 3, 4)), *arrays(W=(5, 3), U=(5, 5), V=(2, 5)).values()),
    ),
]

loaded = 0


def _place(source: str, name: str, old: str) -> int:
    """Where ``old`` stands in the function called ``name``, or else in the backward pass of a step just before it."""
    starts = [found.start() for found in re.finditer(r"^ *def ", source, re.MULTILINE)] + [len(source)]
    owner, _, name = name.rpartition(".")
    here = source.index(f"def {name}(", source.index(f"class {owner}") if owner else 0)
    before = [found.start() for found in re.finditer(r"def \w*backward", source) if found.start() < here]
    for start in [here, *reversed(before)]:
        position = source.find(old, start, min(s for s in starts if s > start))
        if position >= 0:
            return position
    return -1


def functions(case: Case, *mistakes: tuple[str, str]) -> tuple[Any, Any]:
    """The two functions of a case, with each (old, new) put into the source, where old must stand once."""
    global loaded
    source = (FOLDER / f"{case.file}.py").read_text(encoding="utf-8")
    for old, new in mistakes:
        position = _place(source, case.backward, old)
        assert position >= 0, f"{case.id}: {old!r} is not there"
        source = source[:position] + new + source[position + len(old) :]
    loaded += 1
    name = f"{case.file}_{loaded}"
    file = str(FOLDER / f"{name}.py")
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module = types.ModuleType(name)
    exec(compile(source, file, "exec"), module.__dict__)
    if "." in case.forward:
        owner = getattr(module, case.forward.split(".")[0])(*case.made_of())
        return getattr(owner, case.forward.split(".")[1]), getattr(owner, case.backward.split(".")[1])
    return getattr(module, case.forward), getattr(module, case.backward)
