"""One mistake in a gradient: what is missing, where it belongs, what it does, and the line as it should be."""

from __future__ import annotations

from typing import NamedTuple

from typing_extensions import override

__all__ = ["Finding"]


class Finding(NamedTuple):
    """One mistake.

    Attributes:
        kind: which kind of mistake, in two or three words; "" where it could not be named, only narrowed down.
        missing: one sentence: what is missing or too much.
        where: the line of the derivation it belongs in, and the line of the forward pass that it comes from.
        effect: what it does to learning.
        right: the line of the derivation as it should be.
        synonyms: other readings that give exactly the same numbers.
        gradients: which gradients it makes wrong.
    """

    kind: str
    missing: str
    where: str = ""
    effect: str = ""
    right: str = ""
    synonyms: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()

    @override
    def __str__(self) -> str:
        lines = [self.missing]
        for label, text in (("where", self.where), ("effect", self.effect), ("right", self.right)):
            if text:
                lines.append(f"    {label + ':':8}{text}")
        if self.synonyms:
            lines.append("    the same numbers come from: " + "; or: ".join(self.synonyms))
        return "\n".join(lines)
