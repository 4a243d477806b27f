"""Gradients of gates taken before the derivative of their activation, in what goes on to an input, a state, or the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minigrad.checks.chain import Chain
from minigrad.checks.change import Change, Context, Edge
from minigrad.checks.fusing import ACTIVATIONS
from minigrad.checks.run import Run
from minigrad.checks.tracing import Line, Site
from minigrad.checks.words import Words

__all__ = ["unactivated"]


def unactivated(chain: Chain, words: Words) -> Iterator[Change]:
    """For what has several gates behind it: all of them, or all with one kind of activation, without that derivative."""
    products: dict[Context, dict[Edge, Site]] = {}
    for edge, contexts in chain.visited.items():
        times = chain.at.get(edge[0])
        if not times or edge[0] == "seed":
            continue
        user = times[max(times)]
        activation = _activation_after(chain, user)
        if user.op != "matmul" or activation is None or activation.value.shape != user.value.shape:
            continue
        for context in contexts:
            products.setdefault(context, {})[edge] = activation.site
    weights = {e: site for found in products.values() for e, site in found.items() if _is_of_weight(chain, e)}
    groups = [(context, found) for context, found in products.items() if context is not None]
    flow = {e: site for found in products.values() for e, site in found.items() if e not in weights}
    everywhere = [(None, flow, "what goes further back"), (None, weights, "the gradients of all weights")]
    for context, found, shown in [*((context, found, "") for context, found in groups), *everywhere]:
        for op in (None, *ACTIVATIONS):
            edges = {e: s for e, s in found.items() if op is None or next(iter(chain.at[s].values())).op == op}
            if len(set(edges.values())) < 2 or (op is not None and len(edges) == len(found)):
                continue
            line = chain.at[next(iter(edges))[0]]
            operand = line[max(line)].operands[next(iter(edges))[1]]
            yield Change(
                frozenset(edges),
                lambda run, user, k, g, c, edges=edges: _from_activation(run, user, k, edges[user.site, k], c),
                "activation derivative",
                f"in {shown or words.gradient(operand)} the gradients of all gates{'' if op is None else f' with {op}'} "
                "are those before the derivative of the activation",
                context,
                simple=2,
                fields={"line": operand},
            )


def _is_of_weight(chain: Chain, edge: Edge) -> bool:
    """Whether the edge leads to an argument that is the same at every step."""
    times = chain.at[edge[0]]
    operand = times[max(times)].operands[edge[1]]
    while operand.op == "transpose":
        operand = operand.operands[0]
    return operand.op == "argument" and operand.site not in chain.carried


def _activation_after(chain: Chain, line: Line) -> Line | None:
    """The activation that a matrix product is summed up for."""
    for _ in range(5):
        users = [user for user, _, _ in chain.uses[line.number]]
        if len(users) != 1:
            return None
        if users[0].op in ACTIVATIONS:
            return users[0]
        if users[0].op not in ("add", "reshape", "getitem", "split"):
            return None
        line = users[0]
    return None


def _from_activation(run: Run, user: Line, position: int, site: Site, context: Context) -> Any:
    other = run.chain.at[site].get(user.time) or next(iter(run.chain.at[site].values()))
    g = run.cotangent(other, context)
    return None if g is None else user.vjp(g)[position]
