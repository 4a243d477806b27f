"""A backward pass that raises an error: the line that does so is written otherwise, so that the rest can be looked at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from minigrad.checks.adapter import Adapter
from minigrad.checks.effects import EFFECTS
from minigrad.checks.finding import Finding
from minigrad.checks.located.edit import Edit
from minigrad.checks.located.lines import shown
from minigrad.checks.located.raising import Raising, corrections, raising
from minigrad.checks.located.statements import all_statements
from minigrad.checks.located.written import Written, taken_as
from minigrad.checks.report import Report
from minigrad.checks.tracing import reachable
from minigrad.checks.trial import Trial, UserError
from minigrad.errors import MinigradError

__all__ = ["Running", "running_again"]

KIND = "raises an error"


class Running(NamedTuple):
    """A function with a line written so that it runs.

    Attributes:
        function: as it is then.
        where, right: the line as it is written, and as it should be.
        error: that it raises, or what it is the cause of: "this line raises ValueError: ...".
    """

    function: Written
    where: str
    right: str
    error: str

    def taken(self) -> AbstractContextManager[None]:
        """While it lasts, the function runs so."""
        return taken_as(self.function)

    def findings(self, rest: Report) -> tuple[Finding, ...]:
        """The line as a finding, and what is found in the ``rest`` when it runs.

        It is named if all that is wrong besides was found, so that nothing else can be meant.
        """
        again = f"{self.where.partition(',')[0]}, {self.right}"
        same = next((finding for finding in rest.findings if finding.where == again and finding.kind), None)
        others = tuple(finding for finding in rest.findings if finding is not same)
        if rest.passed or rest.named:
            right = self.right if same is None else same.right
            return Finding(KIND, self.error, self.where, EFFECTS[KIND], right), *others
        said = f"{self.error}; it runs as `{self.right}`, which may be meant"
        return Finding("", said, self.where), *rest.findings


def running_again(adapter: Adapter, error: UserError, run: Callable[[], Trial], rtol: float) -> Running | None:
    """The correction of a line that raises an error with which most gradients are right; None if none lets it run.

    Args:
        adapter: of the backward pass.
        error: what it raised.
        run: runs it on a random problem.
        rtol: how equal is equal.
    """
    line = raising(adapter, error.__cause__)
    best: tuple[int, Running] | None = None
    for edit in [] if line is None else corrections(line, reachable(adapter.users())):
        assert line is not None
        try:
            changed = edit.applied()
            with taken_as(changed):
                right = _right(adapter, line, run, rtol)
        except (SyntaxError, StopIteration):
            continue
        if right is not None and (best is None or right > best[0]):
            where = f"line {edit.function.line(edit.statement)}, {shown(edit.function, edit.statement)}"
            best = right, Running(changed, where, _corrected(edit, changed), _said(edit, line))
    return None if best is None else best[1]


def _right(adapter: Adapter, line: Raising, run: Callable[[], Trial], rtol: float) -> int | None:
    """How many gradients are right; −1 where it comes further, to another error; None where it comes no further."""
    try:
        trial = run()
        right = trial.chain.right
        return sum(g.shape == right[name].shape and trial.fits(name, right[name], rtol) for name, g in trial.given.items())
    except UserError as error:
        other = raising(adapter, error.__cause__)
        return -1 if other is not None and other.statement.lineno > line.statement.lineno else None
    except MinigradError:
        return None


def _corrected(edit: Edit, changed: Written) -> str:
    """The line as it is written then."""
    number = next(k for k, (each, _) in enumerate(all_statements(edit.function.tree)) if each is edit.statement)
    return shown(changed, next(each for k, (each, _) in enumerate(all_statements(changed.tree)) if k == number))


def _said(edit: Edit, line: Raising) -> str:
    """Which line raises what, and whether it is the one that is corrected."""
    itself = edit.statement is line.statement
    who = "this line" if itself else f"because of this line, line {line.function.line(line.statement)}"
    return f"{who} raises {type(line.error).__name__}: {line.error}"
