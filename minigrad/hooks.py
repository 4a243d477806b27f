"""What somebody asked to see of the gradient of a value: hooks, and the gradient itself where it is to be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from minigrad.graph import Gradient, Node

__all__ = ["Removal", "Watch"]


class Showing(Protocol):
    """How gradients of some kind are shown to hooks, and taken back from them."""

    def shown(self, g: Gradient) -> Gradient:
        """``g`` as a hook may see and keep it."""
        ...

    def replacement(self, node: Node, changed: Any) -> Gradient:
        """What a hook returned in place of the gradient of ``node``, checked."""
        ...


class Watch:
    """What was asked for at one node."""

    __slots__ = ("grad", "hooks", "keep")

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.keep = False
        self.grad: Any = None

    def add(self, hook: Callable[[Any], Any]) -> Removal:
        """Have a further hook called, after those that are there."""
        key = max(self.hooks, default=0) + 1
        self.hooks[key] = hook
        return Removal(self.hooks, key)

    def show(self, node: Node, g: Gradient, sums: Showing) -> Gradient:
        """Let every hook see the gradient, and replace it if the hook returns another."""
        for hook in list(self.hooks.values()):
            changed = hook(sums.shown(g))
            if changed is not None:
                g = sums.replacement(node, changed)
        return g


class Removal:
    """What takes a hook away again."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[int, Callable[[Any], Any]], key: int) -> None:
        self._hooks = hooks
        self._key = key

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self._key, None)

    __call__ = remove
