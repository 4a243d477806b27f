"""The shapes of gradients: which differences are harmless, and what is wrong where they are not."""

from __future__ import annotations

from minigrad.checks.equality import equal
from minigrad.checks.finding import Finding
from minigrad.checks.report import Stage
from minigrad.checks.tracing import Line
from minigrad.checks.trial import Trial, squeezed

__all__ = ["stage_of_shapes"]


def stage_of_shapes(first: Trial, longest: Trial | None, stages: list[Stage], notes: list[str], rtol: float) -> list[Finding]:
    """The stage of shapes, at the first length and at the longest; harmless differences are noted."""
    for name, given in first.given.items():
        shape, wanted = given.shape, first.chain.right[name].shape
        if shape != wanted and squeezed(shape) == squeezed(wanted):
            called = first.answer.called.get(name, f"d{name}")
            notes.append(f"{called} has the shape {shape}, {name} has {wanted}: compared as if they were the same")
    findings: list[Finding] = []
    for trial in [first, *([longest] if longest is not None else [])]:
        for name, given in trial.given.items() if not findings else ():
            if squeezed(given.shape) != squeezed(trial.chain.right[name].shape):
                findings.append(_misshapen(trial, name, trial.answer.called.get(name, f"d{name}"), rtol))
    said = "; ".join(f"{f.gradients[0]}" for f in findings)
    stages.append(Stage("shapes", not findings, said))
    return findings


def _misshapen(trial: Trial, name: str, called: str, rtol: float) -> Finding:
    given, right = trial.given[name], trial.chain.right[name]
    wanted = f"{called} has the shape {given.shape}, but {name} has {right.shape}"
    if given.shape == right.shape[::-1]:
        return Finding(
            "transposed",
            f"{called} is transposed: it has the shape {given.shape}, {name} has {right.shape}",
            "",
            f"it cannot be subtracted from {name}",
            f"{called} = {called}.T",
            (),
            (called,),
        )
    if given.ndim > right.ndim and any(equal(given.sum(axis=axis), right, rtol) for axis in range(given.ndim)):
        return _not_summed(trial, name, called, wanted)
    line = trial.chain.wanted[name]
    for user, position in trial.chain.users[line.number]:
        alike = all(operand.value.ndim == user.value.ndim for operand in user.operands)
        if user.op == "concatenate" and alike and given.shape == user.value.shape:
            return _not_cut(trial, name, called, user, position)
    for user, _ in trial.chain.users[line.number]:
        g = trial.chain.base.cotangent(user, None)
        if g is None:
            continue
        if equal(given, g, rtol):
            return _not_summed(trial, name, called, wanted)
        for axis in range(g.ndim):
            if equal(given.ravel(), g.sum(axis=axis).ravel(), rtol):
                return Finding(
                    "summed over the wrong axis",
                    f"{called} is summed over axis {axis}, the wrong one: {wanted}",
                    trial.words.derivation(line),
                    f"each example has a gradient instead of each entry of {name}",
                    "",
                    (),
                    (called,),
                )
        if given.size == 1 and equal(given.ravel(), g.sum().reshape(1), rtol):
            return Finding(
                "summed over the wrong axis",
                f"{called} is summed over all axes: {wanted}",
                trial.words.derivation(line),
                f"all entries of {name} get the same gradient",
                "",
                (),
                (called,),
            )
    return Finding("", wanted, trial.words.derivation(line), "", "", (), (called,))


def _not_cut(trial: Trial, name: str, called: str, joined: Line, position: int) -> Finding:
    """The gradient of all that was joined, where that of a part of it should be."""
    shapes = [operand.value.shape for operand in joined.operands]
    axis = next(k for k, sizes in enumerate(zip(*shapes, strict=True)) if sum(sizes) == joined.value.shape[k])
    sizes = [shape[axis] for shape in shapes]
    begin = sum(sizes[:position])
    index = ", ".join([":"] * axis + [f"{begin or ''}:{begin + sizes[position] if position < len(sizes) - 1 else ''}"])
    return Finding(
        "not cut out of what was joined",
        f"{called} has the shape {joined.value.shape}, that of all that was joined: the part of {name} has to be cut out of it",
        trial.words.derivation(trial.chain.wanted[name]),
        f"it cannot be used as the gradient of {name}",
        f"{called} = {called}[{index}]",
        (),
        (called,),
    )


def _not_summed(trial: Trial, name: str, called: str, wanted: str) -> Finding:
    given, right = trial.given[name], trial.chain.right[name]
    return Finding(
        "not summed",
        f"{called} is not summed over the examples: {wanted}",
        trial.words.derivation(trial.chain.wanted[name]),
        f"it cannot be subtracted from {name}, or broadcasts and is added {given.size // max(right.size, 1)} times",
        "",
        (),
        (called,),
    )
