"""How a docstring becomes Markdown: examples are fenced, and what means an index or a time step stays what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

EXAMPLE = re.compile(r"^([ ]*)>>> ")
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):")
CODE = re.compile(r"(``.*?``|`[^`]*`)", re.DOTALL)


class Fenced(griffe.Extension):
    """Griffe hands over every object that it has read; its docstring is rewritten."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        """Rewrite the docstring, if there is one."""
        if obj.docstring is not None:
            obj.docstring.value = "\n".join(markdown(obj.docstring.value.splitlines()))


def markdown(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring as Markdown; what is indented further than its section is code already."""
    example: str | None = None
    prose = 4
    for line in lines:
        began = EXAMPLE.match(line)
        if example is None and began:
            example = began[1]
            yield f"{example}```pycon"
        elif example is not None and not line.strip():
            yield f"{example}```"
            example = None
        indent = len(line) - len(line.lstrip())
        if line.strip() and not indent:
            prose = 12 if SECTION.match(line) else 4
        yield line if example is not None or indent >= prose else escaped(line)
    if example is not None:
        yield f"{example}```"


def escaped(line: str) -> str:
    """A line of prose, so that brackets and angles outside of code mean themselves."""
    parts = CODE.split(re.sub(r":(?:func|class|meth|mod):(?=`)", "", line))
    prose = (part.replace("[", "\\[").replace("]", "\\]").replace("<", "&lt;") for part in parts[::2])
    code = (*parts[1::2], "")
    return "".join(text for pair in zip(prose, code, strict=True) for text in pair)
