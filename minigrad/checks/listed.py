"""A returned list of gradients, one for each array of a list among the arguments: ``dxs`` of ``xs``, whatever the names."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minigrad.checks import names
from minigrad.checks.containers import is_array

if TYPE_CHECKING:
    from minigrad.checks.adapter import Adapter

__all__ = ["of_a_list"]


def of_a_list(adapter: Adapter, result: Any) -> dict[str, str] | None:
    """The arguments that the arrays in a returned list are the gradients of, with what each is called; None if it is none.

    The list has one name, and there is one list of as many arrays of these shapes whose name does not say otherwise. What a
    loop that goes back puts into it one behind the other begins with the last step.
    """
    called = names.returned_names(adapter.backward) or []
    name = called[0] if len(called) == 1 else None
    written = any(map(len, names.names_inside(adapter.backward)))
    if not isinstance(result, list) or name is None or written or not all(map(is_array, result)):
        return None
    groups: dict[str, list[str]] = {}
    for leaf in adapter.trained():
        base, _, rest = leaf.path.rpartition("[")
        if base.isidentifier() and rest.removesuffix("]").isdigit() and leaf.value.ndim:
            groups.setdefault(base, []).append(leaf.name)
    shapes = {leaf.name: leaf.value.shape for leaf in adapter.leaves}
    fitting = [g for g in groups.values() if [shapes[leaf] for leaf in g] == [part.shape for part in result]]
    if len(fitting) != 1 or (names.says_gradient(name) and not _may_be(name, fitting[0], [*groups.values()])):
        return None
    (group,) = fitting
    labels = [f"{name}[{k}]" for k in range(len(group))]
    return dict(zip(group[::-1] if _begins_with_the_last(adapter.backward, name) else group, labels, strict=True))


def _may_be(name: str, group: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Whether a name is not that of the gradients of another list."""
    known = [other[0] for other in others]
    return names.match([names.stem(name)], known, lambda a, b: True).get(names.stem(name), group[0]) == group[0]


def _begins_with_the_last(function: Any, name: str) -> bool:
    """Whether the list is filled by a loop that goes back, one behind the other, and never turned round."""
    tree = names.tree_of(function)
    nodes = [] if tree is None else list(ast.walk(tree))
    for node in nodes:
        called = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        if called is not None and ast.unparse(called.value) == name and called.attr in ("reverse", "insert", "appendleft"):
            return False
        if isinstance(node, ast.Subscript | ast.Call) and ast.unparse(node) in (f"{name}[::-1]", f"reversed({name})"):
            return False
    loops = [node for node in nodes if isinstance(node, ast.For) and _goes_back(node.iter)]
    calls = [node for loop in loops for node in ast.walk(loop) if isinstance(node, ast.Call)]
    return any(ast.unparse(call.func) == f"{name}.append" for call in calls)


def _goes_back(steps: ast.expr) -> bool:
    text = ast.unparse(steps)
    return text.startswith("reversed(") or text.endswith(("[::-1]", "-1)"))
