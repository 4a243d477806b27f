"""One term of a sum treated unlike the others: brackets that are missing, a mistake in one of two copies."""

from __future__ import annotations

from collections.abc import Iterator

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Edge
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.tracing import Line
from minigrad.checks.words import Words

__all__ = ["SINGLE", "one_term_changes"]


def one_term_changes(chain: Chain, words: Words, found: list[Change]) -> Iterator[Change]:
    """A gate's gradient is a sum times factors, d = (a + b) f: mistakes in what becomes of a or of b alone."""
    for root in sorted(chain.roots):
        times = sorted(chain.at.get(root, ()))
        seen: set[frozenset[Edge]] = set()
        for time in times[-2:]:  # at the last step nothing is handed back; after it, there is what the last state alone is for
            line = chain.at[root][time]
            path, terms = _way_to_a_sum(chain, line)
            if path and len(terms) > 1 and frozenset(terms) not in seen:
                seen.add(frozenset(terms))
                yield from _split(chain, words, line, path, terms, found)


def _way_to_a_sum(chain: Chain, line: Line) -> tuple[list[Edge], list[Edge]]:
    """The factors between the gradient of a line and the first that is a sum of several terms, and these terms."""
    path: list[Edge] = []
    here = line
    for _ in range(6):
        users = [(user, k) for user, k in chain.users[here.number] if chain.live[user.number]]
        terms: list[Edge] = [(user.site, k) for user, k in users] + [("seed", n) for n, _ in chain.seeds.get(here.number, ())]
        if len(set(terms)) > 1 and path:
            return path, list(dict.fromkeys(terms))
        if len(users) != 1 or (here is not line and here.site in chain.roots):
            break
        path.append((users[0][0].site, users[0][1]))
        here = users[0][0]
    return path, []


def _split(
    chain: Chain, words: Words, line: Line, path: list[Edge], terms: list[Edge], found: list[Change]
) -> Iterator[Change]:
    context = chain.states.get(line.site, line.site)
    factors = [edge for edge in path if _factor(chain, edge)]
    edges = frozenset([*terms, *path])
    single = [
        change
        for change in found
        if change.edges <= set(factors)
        and change.context in (None, context)
        and change.when is None
        and change.kind in SINGLE
        and (change.context is not None or all(len(chain.visited[edge]) == 1 for edge in change.edges))
    ]
    for term in terms:
        if term[0] == "seed":
            shown = words.seeds.get(term[1], f"d{term[1]}")
        else:
            times = chain.at[term[0]]
            shown = words.term(times[max(times)], term[1], 1)

        def drop(edge: Edge, half: int, term: Edge = term) -> bool:
            return edge in terms and (edge == term) != (half == 1)

        fields = {"line": line, "drop": drop}
        for count in range(1, len(factors) + 1):
            for skipped in {tuple(factors[:count]), (factors[count - 1],)}:
                texts = " * ".join(words.factor(chain.last(edge[0]), edge[1]) for edge in skipped)
                plain = tuple(Change(frozenset({edge}), lambda run, user, k, g, c: g, "factor missing", "") for edge in skipped)
                brackets = any(chain.last(edge[0]).op in ACTIVATIONS for edge in skipped)
                yield Change(
                    edges,
                    lambda run, user, k, g, c: g,
                    "operator precedence" if brackets else "factor missing",
                    f"in {words.gradient(line)} the factor {texts} does not multiply the term {shown}, only the rest of the sum"
                    + (": brackets are missing" if brackets else ""),
                    context,
                    None,
                    3,
                    fields,
                    plain,
                )
        for change in single:
            yield Change(
                edges,
                lambda run, user, k, g, c: g,
                change.kind,
                f"in the term {shown} of {words.gradient(line)} alone, {change.words}",
                context,
                None,
                change.simple + 2,
                fields,
                (change,),
            )


SINGLE = frozenset(
    {"wrong factor", "operand of the wrong step", "activation derivative", "factor doubled", "1 − z for z", "sign"}
)


def _factor(chain: Chain, edge: Edge) -> bool:
    user = next(iter(chain.at[edge[0]].values()))
    return user.op in ("mul", "div") or user.op in ACTIVATIONS
