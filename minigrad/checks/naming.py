"""The search for the mistake: which changes of the right derivation give exactly the numbers that the user has?

Single changes first, then combinations: a change that explains some of the wrong gradients, and spoils none that was
explained, is kept, and the search goes on from there for the others (a beam: the most promising few). Where no single
change does, pairs are tried on the gradient that depends on the least.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change
from minigrad.checks.clock import Clock
from minigrad.checks.equality import clipped, equal
from minigrad.checks.mistakes import catalogue
from minigrad.checks.run import Run, affected
from minigrad.checks.words import Words
from minigrad.guard import Array
from minigrad.reporting import reporting

__all__ = ["Explanation", "search", "weights"]

BEAM = 6
DEPTH = 6
SOME = 160
"""So many changes are paired whatever they do together."""
MANY = 40
"""So many pairs are tried whose effects add up to what is missing."""
CLOSE = 1e-10
"""How much of a gradient, squared, may be left of it."""


@dataclass
class Explanation:
    """Changes that explain some of the wrong gradients.

    Attributes:
        changes: the changes, all made at once.
        explained: the gradients that come out as the user's with these changes (and as they were, if the changes do not
            concern them).
        synonyms: for each change, others that give the same.
    """

    changes: tuple[Change, ...]
    explained: frozenset[str]
    synonyms: dict[Change, list[Change]] = field(default_factory=dict)

    @property
    def simple(self) -> int:
        """The smaller, the likelier."""
        return sum(change.simple for change in self.changes)


class Search:
    """The search on one problem.

    Args:
        chain: the right derivation.
        given: the user's gradients, by the names of ``chain.wanted``.
        rtol: how equal is equal.
        deadline: when to stop, by the process's clock.
        bound: what all gradients are clipped to in the end, if they are.
    """

    def __init__(
        self, chain: Chain, words: Words, given: dict[str, Array], rtol: float, deadline: float, bound: float | None = None
    ) -> None:
        self.chain, self.given, self.rtol, self.bound = chain, given, rtol, bound
        self.late = Clock(deadline).late
        self.all = frozenset(given)
        self.right = frozenset(name for name in given if self.fits(name, chain.right[name]))
        self.bit = {name: 1 << chain.wanted[name].number for name in given}
        wrong = 0
        for name in self.all - self.right:
            wrong |= self.bit[name]
        self.candidates = [c for c in catalogue(chain, words) if self.mask(c) & wrong and self._is_more_than_one(c)]
        self.smallest = sorted(self.all - self.right, key=self._size)

    def fits(self, name: str, g: Array) -> bool:
        """Whether a gradient is the user's."""
        return equal(self.given[name], clipped(g, self.bound, self.given[name]), self.rtol)

    def _is_more_than_one(self, change: Change) -> bool:
        """Whether a mistake that is said to be made everywhere shows at more than one place."""
        if "members" not in change.fields:
            return True
        whole = 0
        for bit in self.bit.values():
            whole |= bit
        return sum(1 for member in change.fields["members"] if self.mask(member) & whole) > 1

    def mask(self, change: Change) -> int:
        """The lines whose gradients a change can change."""
        return affected(self.chain, change)

    def _size(self, name: str) -> int:
        """How many edges a gradient depends on."""
        return sum(1 for edges in self.chain.visited.values() for _ in edges) if name not in self.given else self._above(name)

    def _above(self, name: str) -> int:
        line = self.chain.wanted[name]
        return sum(1 for other in self.chain.lines if self.chain.below[other.number] >> line.number & 1)

    def tried(self, changes: Sequence[Change], open_names: Iterable[str], kept: frozenset[str]) -> frozenset[str] | None:
        """The gradients that come out as the user's; None if one of ``kept`` does not any more."""
        run = Run(self.chain, changes)
        matched = []
        with reporting(all="ignore"):
            for name in open_names:
                if run.affected & self.bit[name] and self.fits(name, run.gradient(self.chain.wanted[name])):
                    matched.append(name)
            if not any(self.given[name].any() for name in matched):
                return frozenset()  # whatever cuts all off gives zeros: no evidence
            for name in kept:
                if run.affected & self.bit[name] and not self.fits(name, run.gradient(self.chain.wanted[name])):
                    return None
        return frozenset(matched)

    def extended(self, state: Explanation) -> list[Explanation]:
        """The states that one more change leads to: with more gradients explained, best first, synonyms together."""
        kept = state.explained
        open_names = [name for name in self.smallest if name not in kept]
        reach = 0
        for name in open_names:
            reach |= self.bit[name]
        found: dict[frozenset[str], list[tuple[Change, frozenset[str]]]] = {}
        for candidate in self.candidates:
            if not self.mask(candidate) & reach or candidate in state.changes:
                continue
            if self.late():
                break
            matched = self.tried((*state.changes, candidate), open_names, kept)
            if matched:
                found.setdefault(matched, []).append((candidate, matched))
        results = []
        for matched, options in found.items():
            for group in self._same(state, [candidate for candidate, _ in options]):
                results.append(Explanation((*state.changes, group[0]), kept | matched, {**state.synonyms, group[0]: group[1:]}))
        results.sort(key=lambda e: (-len(e.explained), e.simple))
        return results

    def _same(self, state: Explanation, options: list[Change]) -> list[list[Change]]:
        """Options that give the same for every gradient, together."""
        groups: list[tuple[dict[str, Array], list[Change]]] = []
        for option in options:
            run = Run(self.chain, (*state.changes, option))
            result = {name: run.gradient(self.chain.wanted[name]) for name in self.given}
            for known, members in groups:
                if all(equal(result[name], known[name], self.rtol) for name in result):
                    members.append(option)
                    break
            else:
                groups.append((result, [option]))
        return [members for _, members in groups]

    def pairs(self, state: Explanation) -> list[Explanation]:
        """Two more changes at once, for the gradient that depends on the least."""
        kept = state.explained
        open_names = [name for name in self.smallest if name not in kept]
        for target in [name for name in open_names if self.given[name].any()][:4]:
            options, deltas = self._different(state, target, kept)
            found = []
            for first, second in itertools.chain(self._sums(state, target, options, deltas), self._products(options)):
                if self.late():
                    break
                if self.tried((*state.changes, first, second), [target], frozenset()):
                    matched = self.tried((*state.changes, first, second), open_names, kept)
                    if matched:
                        found.append(Explanation((*state.changes, first, second), kept | matched, dict(state.synonyms)))
                        if len(found) == BEAM:
                            break
            if found:
                return sorted(found, key=lambda e: (-len(e.explained), e.simple))
        return []

    def _sums(
        self, state: Explanation, target: str, options: list[Change], deltas: list[Array]
    ) -> Iterator[tuple[Change, Change]]:
        """Pairs of changes at different places: what they do to a gradient adds up to what is missing."""
        if len(options) < 2:
            return
        missing = (self.given[target] - Run(self.chain, state.changes).gradient(self.chain.wanted[target])).ravel()
        rows = np.stack([delta.ravel() for delta in deltas])
        rest = missing - rows
        size = np.einsum("ij,ij->i", rest, rest)
        distance = size[:, None] - 2 * rest @ rows.T + np.einsum("ij,ij->i", rows, rows)[None, :]
        close = np.argwhere(distance <= CLOSE * (missing @ missing))
        pairs = [(int(i), int(j)) for i, j in close if i < j]
        for i, j in sorted(pairs, key=lambda pair: options[pair[0]].simple + options[pair[1]].simple)[:MANY]:
            yield options[i], options[j]

    def _products(self, options: list[Change]) -> Iterator[tuple[Change, Change]]:
        """Pairs of changes one after the other, whatever they do together; first those of one gate's derivation."""
        for split in (change for change in options if change.inner):
            for other in self.candidates:
                if not other.inner and other.edges <= split.edges and other.context in (None, split.context):
                    yield split, other
        for first, second in itertools.combinations(options[:SOME], 2):
            if not (first.edges == second.edges and first.context == second.context):
                yield first, second

    def _different(self, state: Explanation, target: str, kept: frozenset[str]) -> tuple[list[Change], list[Array]]:
        """Changes that change ``target``, none of ``kept``, each in another way; and by how much they change it."""
        options: list[Change] = []
        deltas: list[Array] = []
        seen: set[Any] = set()
        now = Run(self.chain, state.changes).gradient(self.chain.wanted[target])
        for candidate in self.candidates:
            if not self.mask(candidate) & self.bit[target] or candidate.simple > 5 or self.late():
                continue
            run = Run(self.chain, (*state.changes, candidate))
            g = run.gradient(self.chain.wanted[target])
            if equal(g, now, 1e-9) or not np.isfinite(g).all():
                continue
            if any(not self.fits(name, run.gradient(self.chain.wanted[name])) for name in kept):
                continue
            results = [run.gradient(self.chain.wanted[name]) for name in self.given if name not in kept]
            mark = tuple(float(f"{result.ravel() @ weights(result.size):.9e}") for result in results)
            if mark not in seen:
                seen.add(mark)
                options.append(candidate)
                deltas.append(g - now)
        return options, deltas

    def run(self, start: tuple[Change, ...] = ()) -> list[Explanation]:
        """Explanations, best first; the first explains all gradients if any does."""
        explained = self.right
        if start:
            run = Run(self.chain, start)
            explained = frozenset(name for name in self.all if self.fits(name, run.gradient(self.chain.wanted[name])))
        waiting, done = [Explanation(start, explained)], list[Explanation]()
        paired: set[frozenset[Change]] = set()
        for _ in range(DEPTH):
            following: list[Explanation] = []
            for state in waiting:
                further = self.extended(state)
                following += further
                if not further:
                    done.append(state)
                if any(self.is_whole(e) for e in further) and not state.changes:
                    break
            if not following and not self.late():
                for state in _best(done)[:2]:
                    if frozenset(state.changes) not in paired:
                        paired.add(frozenset(state.changes))
                        following += self.pairs(state)
            waiting = _best(following)
            if not waiting or self.is_whole(waiting[0]) or self.late():
                break
            waiting = _varied(state for state in waiting if not any(_beats(other, state) for other in (*waiting, *done)))
        return _best([*waiting, *done])

    def is_whole(self, state: Explanation) -> bool:
        """Whether it explains all gradients."""
        return len(state.explained) == len(self.all)


def _best(states: Iterable[Explanation]) -> list[Explanation]:
    """Each of the states once, those that explain most with the least first."""
    unique: dict[frozenset[Change], Explanation] = {}
    for state in sorted(states, key=lambda e: (-len(e.explained), e.simple, len(e.changes))):
        unique.setdefault(frozenset(state.changes), state)
    return list(unique.values())


def _varied(states: Iterable[Explanation]) -> list[Explanation]:
    """The first few, of which only two explain the same gradients."""
    count: Counter[frozenset[str]] = Counter()
    found: list[Explanation] = []
    for state in states:
        count[state.explained] += 1
        if count[state.explained] <= 2:
            found.append(state)
    return found[:BEAM]


def _beats(a: Explanation, b: Explanation) -> bool:
    """Whether ``a`` explains all that ``b`` does, and more, with no more changes."""
    return a.explained > b.explained and len(a.changes) <= len(b.changes)


@lru_cache
def weights(size: int) -> Array:
    """Weights of a sum that tells arrays apart."""
    return np.asarray(np.cos(np.arange(1.0, size + 1)))


def search(
    chain: Chain,
    words: Words,
    given: dict[str, Array],
    rtol: float,
    deadline: float,
    start: tuple[Change, ...] = (),
    bound: float | None = None,
) -> list[Explanation]:
    """Explanations of the user's gradients, best first, as far as they are found until ``deadline`` by the process's clock."""
    return Search(chain, words, given, rtol, deadline, bound).run(start)
