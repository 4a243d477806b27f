"""What a check of a backward pass found, stage by stage: printed for a person, as data for a program."""

from __future__ import annotations

from typing import Any, NamedTuple

from typing_extensions import override

from minigrad.checks.comparison import Comparison
from minigrad.checks.finding import Finding

__all__ = ["Report", "Stage"]


class Stage(NamedTuple):
    """One stage of the check: what was looked at, whether it is right, and what is wrong if not."""

    name: str
    passed: bool
    text: str = ""


class Report:
    """Whether a backward pass is right, and if not, why.

    Attributes:
        names: what the two functions are called.
        stages: what was looked at, up to the first stage that failed.
        comparison: all gradients of the last stage beside autograd's, None if it did not get that far.
        findings: the mistakes, named or narrowed down; empty if there are none.
        notes: what is worth knowing and no mistake: conventions, what was not compared, side effects.
        uncompared: parameters whose gradients were not compared, since none was returned; and other arguments, where one was
            returned of which it cannot be told what it belongs to.
    """

    def __init__(
        self,
        names: tuple[str, str],
        stages: list[Stage],
        comparison: Comparison | None = None,
        findings: tuple[Finding, ...] = (),
        notes: tuple[str, ...] = (),
        uncompared: tuple[str, ...] = (),
    ) -> None:
        self.names, self.stages, self.comparison = names, tuple(stages), comparison
        self.findings, self.notes, self.uncompared = findings, notes, uncompared

    @property
    def passed(self) -> bool:
        """Whether every stage was right."""
        return all(stage.passed for stage in self.stages)

    @property
    def named(self) -> bool:
        """Whether every mistake was named: with the named mistakes in it, the right derivation gives exactly these numbers."""
        return bool(self.findings) and all(finding.kind for finding in self.findings)

    def __bool__(self) -> bool:
        return self.passed

    def as_dict(self) -> dict[str, Any]:
        """All of it as numbers, texts, lists and dicts, for JSON."""
        return {
            "forward": self.names[0],
            "backward": self.names[1],
            "passed": self.passed,
            "named": self.named,
            "stages": [stage._asdict() for stage in self.stages],
            "findings": [finding._asdict() for finding in self.findings],
            "gradients": []
            if self.comparison is None
            else [{"of": d.gradient, "relative": d.relative, "agrees": d.agrees} for d in self.comparison.differences],
            "notes": list(self.notes),
            "uncompared": list(self.uncompared),
        }

    @override
    def __repr__(self) -> str:
        return str(self)

    @override
    def __str__(self) -> str:
        said = "is WRONG" if not self.passed else "is right as far as it was compared" if self.uncompared else "is right"
        lines = [f"{self.names[1]} {said}, for {self.names[0]}"]
        for stage in self.stages:
            lines.append(f"  {'ok   ' if stage.passed else 'FAILS'} {stage.name}{': ' + stage.text if stage.text else ''}")
        if self.findings:
            lines.append("")
        for number, finding in enumerate(self.findings, 1):
            lines.append(f"{number}. {finding}" if len(self.findings) > 1 else str(finding))
        if self.comparison is not None and not self.passed:
            lines += ["", str(self.comparison)]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)
