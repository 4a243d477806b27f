"""The search for the mistake: which changes of the right derivation give exactly the numbers that the user has?

Single changes first, then combinations: a change that explains some of the wrong gradients, and spoils none that was
explained, is kept, and the search goes on from there for the others (a beam: the most promising few). Where no single
change does, pairs are tried on the gradient that depends on the least.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change
from minigrad.checks.mistakes import catalogue
from minigrad.checks.run import Run, affected
from minigrad.checks.words import Words
from minigrad.guard import Array

__all__ = ["Explanation", "equal", "search"]

BEAM = 6
DEPTH = 6


def equal(a: Array, b: Array, rtol: float) -> bool:
    """Whether two gradients are the same: max |a − b| ≤ rtol · max |b|, and both finite."""
    if a.shape != b.shape:
        return False
    if not a.size:
        return True
    with np.errstate(all="ignore"):
        distance, largest = np.abs(a - b).max(), max(np.abs(b).max(), np.abs(a).max())
    return bool(distance <= rtol * largest) if np.isfinite(distance) else False


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
    """

    def __init__(self, chain: Chain, words: Words, given: dict[str, Array], rtol: float, deadline: float) -> None:
        self.chain, self.given, self.rtol, self.deadline = chain, given, rtol, deadline
        self.all = frozenset(given)
        self.right = frozenset(name for name in given if equal(given[name], chain.right[name], rtol))
        self.bit = {name: 1 << chain.wanted[name].number for name in given}
        wrong = 0
        for name in self.all - self.right:
            wrong |= self.bit[name]
        self.candidates = [c for c in catalogue(chain, words) if self.mask(c) & wrong]
        self.smallest = sorted(self.all - self.right, key=self._size)

    def mask(self, change: Change) -> int:
        """The lines whose gradients a change can change."""
        cached: dict[Change, int] = self.__dict__.setdefault("_masks", {})
        if change not in cached:
            cached[change] = affected(self.chain, change)
        return cached[change]

    def _size(self, name: str) -> int:
        """How many edges a gradient depends on."""
        return sum(1 for edges in self.chain.visited.values() for _ in edges) if name not in self.given else self._above(name)

    def _above(self, name: str) -> int:
        line = self.chain.wanted[name]
        return sum(1 for other in self.chain.lines if self.chain.below[other.number] >> line.number & 1)

    def late(self) -> bool:
        """Whether the time is over."""
        return time.process_time() > self.deadline

    def tried(self, changes: Sequence[Change], open_names: Iterable[str], kept: frozenset[str]) -> frozenset[str] | None:
        """The gradients that come out as the user's; None if one of ``kept`` does not any more."""
        run = Run(self.chain, changes)
        matched = []
        with np.errstate(all="ignore"):
            for name in open_names:
                if run.affected & self.bit[name] and equal(self.given[name], run.gradient(self.chain.wanted[name]), self.rtol):
                    matched.append(name)
            if not any(self.given[name].any() for name in matched):
                return frozenset()  # whatever cuts all off gives zeros: no evidence
            for name in kept:
                if run.affected & self.bit[name] and not equal(
                    self.given[name], run.gradient(self.chain.wanted[name]), self.rtol
                ):
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
            with np.errstate(all="ignore"):
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
        for target in open_names[:4]:
            options = self._different(state, target, kept)
            options = options[:160]
            found = []
            for first, second in itertools.combinations(options, 2):
                if self.late():
                    break
                if first.edges == second.edges and first.context == second.context:
                    continue
                if self.tried((*state.changes, first, second), [target], frozenset()):
                    matched = self.tried((*state.changes, first, second), open_names, kept)
                    if matched:
                        found.append(Explanation((*state.changes, first, second), kept | matched, dict(state.synonyms)))
            if found:
                return sorted(found, key=lambda e: (-len(e.explained), e.simple))[:BEAM]
        return []

    def _different(self, state: Explanation, target: str, kept: frozenset[str]) -> list[Change]:
        """Changes that change ``target``, none of ``kept``, and do so each in another way."""
        options: list[Change] = []
        seen: list[dict[str, Array]] = []
        now = Run(self.chain, state.changes).gradient(self.chain.wanted[target])
        for candidate in self.candidates:
            if not self.mask(candidate) & self.bit[target] or candidate.simple > 4 or self.late():
                continue
            run = Run(self.chain, (*state.changes, candidate))
            g = run.gradient(self.chain.wanted[target])
            if equal(g, now, 1e-9) or not np.isfinite(g).all():
                continue
            if any(not equal(self.given[name], run.gradient(self.chain.wanted[name]), self.rtol) for name in kept):
                continue
            result = {name: run.gradient(self.chain.wanted[name]) for name in self.given if name not in kept}
            if not any(all(equal(result[name], other[name], 1e-9) for name in result) for other in seen):
                seen.append(result)
                options.append(candidate)
        return options

    def run(self, start: tuple[Change, ...] = ()) -> list[Explanation]:
        """Explanations, best first; the first explains all gradients if any does."""
        explained = self.right
        if start:
            run = Run(self.chain, start)
            explained = frozenset(
                name for name in self.all if equal(self.given[name], run.gradient(self.chain.wanted[name]), self.rtol)
            )
        beam = [Explanation(start, explained)]
        best = beam
        for _ in range(DEPTH):
            following: list[Explanation] = []
            for state in beam:
                following += self.extended(state)
                if any(len(e.explained) == len(self.all) for e in following) and not state.changes:
                    break
            if not following and not self.late():
                for state in beam[:2]:
                    following += self.pairs(state)
            if not following:
                break
            following.sort(key=lambda e: (-len(e.explained), e.simple, len(e.changes)))
            unique: dict[frozenset[Change], Explanation] = {}
            for e in following:
                unique.setdefault(frozenset(e.changes), e)
            best = list(unique.values())
            if len(best[0].explained) == len(self.all) or self.late():
                break
            beam = best[:BEAM]
        return best


def search(
    chain: Chain, words: Words, given: dict[str, Array], rtol: float, deadline: float, start: tuple[Change, ...] = ()
) -> list[Explanation]:
    """Explanations of the user's gradients, best first, as far as they are found until ``deadline`` by the process's clock."""
    return Search(chain, words, given, rtol, deadline).run(start)
