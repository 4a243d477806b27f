"""Every kind of mistake is said with what it does to learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import check_backward

WORDS = [1, 3, 0, 2, 5]
EXAMPLE = (*(np.ones(shape) for shape in ((4, 6), (4, 4), (4, 1))), WORDS)


def states(E: Any, U: Any, b: Any, words: Any) -> Any:
    hs = [np.zeros((4, 1))]
    for word in words:
        hs.append(np.tanh(E[:, word : word + 1] + U @ hs[-1] + b))
    return np.stack(hs[1:]), (E, U, b, words, hs)


RIGHT = """
def states_back(dhs, cache):
    E, U, b, words, hs = cache
    dE, dU, db, dh = np.zeros_like(E), np.zeros_like(U), np.zeros_like(b), np.zeros((4, 1))
    for t in reversed(range(len(words))):
        dz = (dhs[t] + dh) * (1 - hs[t + 1] ** 2)
        dE[:, words[t]] += dz[:, 0]
        dU += dz @ hs[t].T
        db += dz
        dh = U.T @ dz
    return dE, dU, db
"""


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("\n    return", "\n        return", "the loop is left at its first step"),
        ("dE[:, words[t]] +=", "dE[:, words[t - 1]] +=", "wrong accumulator"),
        ("dz @ hs[t].T", "dz @ hs[t + 1].T", "operand of the wrong step"),
        ("        dh = U.T @ dz\n", "", "state gradient not carried"),
        ("        dU += dz @ hs[t].T\n", "", "never computed"),
        ("+= dz\n", "+= dz + dh\n", "a term too many"),
        ("        db += dz\n", "        db += dz\n        dE += 1e-3\n", "a line too many"),
        ("dU += dz @", "dU = dz @", "overwritten, not accumulated"),
    ],
)
def test_a_mistake_that_has_a_name_has_an_effect(right: str, wrong: str, kind: str, tmp_path: Any) -> None:
    assert RIGHT.count(right) == 1
    file, space = tmp_path / "mine.py", {"np": np}
    file.write_text(RIGHT.replace(right, wrong))
    exec(compile(file.read_text(), str(file), "exec"), space)
    report = check_backward(states, space["states_back"], EXAMPLE)
    assert [finding.kind for finding in report.findings] == [kind], report
    assert all(finding.effect for finding in report.findings), report
