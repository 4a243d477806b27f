"""Mistakes between time steps: what is handed back to the step before, and what is added up over all steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change
from minigrad.checks.run import Run, plus
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words

__all__ = ["step_changes"]


def step_changes(chain: Chain, words: Words) -> Iterator[Change]:
    """All mistakes between steps."""
    if chain.steps < 2:
        return
    yield from _carried(chain, words)
    yield from _accumulated(chain, words)


def _carried(chain: Chain, words: Words) -> Iterator[Change]:
    states = sorted(chain.initial)
    groups: list[list[Site]] = [[site] for site in states]
    if len(states) > 1:
        groups.append(states)
    for group in groups:
        lines = [chain.last(site) for site in group]
        shown = " and ".join(words.name(line) for line in lines)
        edges = frozenset(("carried", site) for site in group)
        about = {"line": lines[0]}
        yield Change(
            edges,
            lambda run, line, t, terms, c: terms() if t == 0 else None,
            "state gradient not carried",
            f"the gradient of {shown} is not handed to the step before: each step sees only its own loss",
            simple=0,
            fields=about,
        )
        yield Change(
            edges,
            lambda run, line, t, terms, c: plus(terms(), _later(run, line)),
            "state gradient accumulated",
            f"the gradient of {shown} that is handed back is added up over the steps, not replaced at every step",
            simple=3,
            fields=about,
        )
        for kind, said, kept in (
            ("factor missing", "is handed to the step before as it is, without its way back through the step", False),
            ("state gradient accumulated", "is added to that of the step before, and not set anew at every step", True),
        ):
            yield Change(
                edges,
                lambda run, line, t, terms, c, kept=kept: plus(terms() if kept else None, _whole_later(run, line)),
                kind,
                f"the whole gradient of {shown} {said}",
                simple=3,
                fields=about,
            )
        for k in range(2, chain.steps):
            yield Change(
                edges,
                lambda run, line, t, terms, c, k=k: None if t and (run.chain.steps - t) % k == 0 else terms(),
                "truncated",
                f"the gradient of {shown} is cut every {k} steps (truncated backpropagation)",
                simple=3,
                fields=about,
            )
        for place, said in ((0, "first"), (1, "last")):
            yield Change(
                edges,
                lambda run, line, t, terms, c, place=place: None if t == (1, run.chain.steps - 1)[place] else terms(),
                "state gradient not carried",
                f"the gradient of {shown} is not handed back at the {said} step",
                simple=3,
                fields=about,
            )
    yield from _outputs_again(chain, words, states)
    yield from _forwards(chain, states)
    for first in states:
        for second in states:
            a, b = (chain.last(site) for site in (first, second))
            if first < second and a.value.shape == b.value.shape:
                yield Change(
                    frozenset({("carried", first), ("carried", second)}),
                    lambda run, line, t, terms, c, first=first, second=second: _terms_of(
                        run, second if line.site == first else first, t
                    ),
                    "states exchanged",
                    f"the gradients of {words.name(a)} and {words.name(b)} that are handed back are exchanged",
                    simple=4,
                    fields={"line": a},
                )
            if first != second and a.value.shape == b.value.shape:
                yield Change(
                    frozenset({("carried", first)}),
                    lambda run, line, t, terms, c, second=second: _terms_of(run, second, t),
                    "states exchanged",
                    f"the gradient of {words.name(b)} is handed back as that of {words.name(a)}",
                    simple=3,
                    fields={"line": a},
                )


def _outputs_again(chain: Chain, words: Words, states: list[Site]) -> Iterator[Change]:
    """What is computed from the last state alone sends its gradient to every state."""
    for site in states:
        last = chain.last(site)
        others = [line for line in chain.at[site].values() if line is not last]
        after = [user for user, _ in chain.users[last.number] if chain.live[user.number] and not chain.looped(user)]
        if after or (chain.seeds.get(last.number) and not any(chain.seeds.get(line.number) for line in others)):
            shown = words.name(last)
            yield Change(
                frozenset({("carried", site)}),
                lambda run, line, t, terms, c: plus(terms(), _from_after(run, line)) if 0 < t < run.chain.steps else terms(),
                "upstream of the wrong step",
                f"the gradient that arrives at the last {shown} alone is added to that of {shown} at every step",
                simple=2,
                fields={"line": last},
            )


def _from_after(run: Run, line: Line) -> Any:
    """What arrives at the last of the states of which ``line`` is one, from after the loop."""
    chain = run.chain
    last = chain.last(line.site)
    total = None
    for _, seed in chain.seeds.get(last.number, ()):
        total = plus(total, seed)
    for user, position in chain.users[last.number]:
        if chain.live[user.number] and not chain.looped(user):
            total = plus(total, run.share(user, position, None))
    return total


def _forwards(chain: Chain, states: list[Site]) -> Iterator[Change]:
    """A loop over time that runs forwards: each step gets what the step before it handed on."""
    if states:
        yield Change(
            frozenset(("carried", site) for site in states),
            lambda run, line, t, terms, c: _handed(run, line, run.chain.steps - 1 if t == 0 else t - 2),
            "loop in the wrong direction",
            "the loop over time runs forwards: the gradient is handed from each step to the next",
            simple=2,
            fields={"line": chain.last(states[0])},
        )


def _state_at(run: Run, line: Line, time: int) -> Line | None:
    site = run.chain.carried.get(line.site, line.site)
    return run.chain.initial.get(site) if time == 0 else run.chain.at.get(site, {}).get(time)


def _handed(run: Run, line: Line, time: int) -> Any:
    other = _state_at(run, line, time)
    return None if other is None else run.right_carried(other)


def _later(run: Run, line: Line) -> Any:
    """What was handed back at later steps, added up."""
    later = _state_at(run, line, line.time + 1)
    return None if later is None or later.time >= run.chain.steps else run.carried(later)


def _whole_later(run: Run, line: Line) -> Any:
    """The whole gradient of the same state at the step after."""
    later = _state_at(run, line, line.time + 1)
    return None if later is None else run.cotangent(later, None)


def _terms_of(run: Run, site: Site, time: int) -> Any:
    line = run.chain.initial.get(site) if time == 0 else run.chain.at[site].get(time)
    return None if line is None else run.right_carried(line)


def _same_part(chain: Chain, user: Line) -> bool:
    """Whether a part that is cut out is the same at every step: of a weight, not of the inputs."""
    indices = [str(other.index) for other in chain.at[user.site].values()]
    return user.op not in ("getitem", "split", "take") or len(set(indices)) == 1


def _accumulated(chain: Chain, words: Words) -> Iterator[Change]:
    """Terms of several steps added up otherwise: for one parameter, or for all."""
    steps = chain.steps
    totals: list[tuple[Line, list[Line]]] = []
    for line in chain.lines:
        users = [user for user, _ in chain.users[line.number] if chain.live[user.number] and _same_part(chain, user)]
        if not chain.looped(line) and len({user.time for user in users if chain.looped(user)}) == steps:
            totals.append((line, users))
    ways: list[tuple[str, str, Callable[[int, int], float]]] = [
        (
            "overwritten, not accumulated",
            "has only the first step: at every step it is overwritten, not added to",
            lambda t, T: t == 1,
        ),
        ("last step only", "has only the last step", lambda t, T: t == T),
        ("a step is skipped", "lacks the first step", lambda t, T: t > 1),
        ("a step is skipped", "lacks the last step", lambda t, T: t < T),
        ("adds itself", "is doubled at every step before the next term is added", lambda t, T: 2.0 ** (t - 1)),
        ("adds itself", "is added up again at every step: early terms count more often", lambda t, T: T - t + 1.0),
        ("adds itself", "is added up again at every step: late terms count more often", lambda t, T: t * 1.0),
        ("averaged over the steps", f"is divided by the number of steps, {steps}", lambda t, T: 1 / T),
    ]
    groups = [[line] for line, _ in totals]
    parameters = [line for line, _ in totals]
    if len(parameters) > 1:
        groups.append(parameters)
    single: dict[str, list[Change]] = defaultdict(list)
    for group in groups:
        shown = ", ".join(words.gradient(line) for line in group)
        shown = shown if len(group) == 1 else f"each of {shown}"
        for kind, said, weight in ways:
            change = Change(
                frozenset(("weighted", line.site) for line in group),
                lambda run, user, t, g, c, weight=weight: float(weight(t, run.chain.steps)),
                kind,
                f"{shown} {said}",
                simple=2 if len(group) > 1 else 3,
                fields={"line": group[0], "each": single[said]} if len(group) > 1 else {"line": group[0]},
            )
            single[said] += [change] if len(group) == 1 else []
            yield change
    line = parameters[0] if parameters else chain.lines[0]
    yield Change(
        frozenset({("skipped", -1)}),
        lambda run, user, t, g, c: None,
        "a step is skipped",
        "the loop over time leaves out the last step",
        simple=1,
        fields={"line": line},
    )
    yield Change(
        frozenset([("skipped", 1), *(("carried", site) for site in chain.initial)]),
        lambda run, line, t, terms, c: _handed(run, line, 1) if t == 0 else terms(),
        "a step is skipped",
        "the loop over time leaves out the first step",
        simple=1,
        fields={"line": line},
    )
