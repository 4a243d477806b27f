"""Golden files: what every cell at every level of detail looks like in every format, for reviewers to read.

A file holds the picture as text, and of the other formats how many elements of each kind they have and a digest of all
their bytes. A change that is meant is written down by ``make golden``.
"""

import hashlib
import os
import re
from collections import Counter
from pathlib import Path

import pytest
from graphs_to_draw import CELLS, of_cell
from minigrad.viz import Picture, draw

LEVELS = {"operations": 2, "gates": 2, "cells": 4, "strip": 8, "heat bar": 8}
FOLDER = Path(__file__).parent / "golden"
KINDS = {
    "svg": r"<(rect|circle|ellipse|path|polygon|text)\b",
    "html": r"<(rect|circle|ellipse|path|polygon|text|li|button)\b",
    "dot": r'^\t+(?:subgraph|"[^"]*" (->)|"[^"]*" \[)',
    "tex": r"^\\(node|draw|path|fill|definecolor)\b",
}


def described(picture: Picture) -> str:
    written = {"svg": picture.svg(), "html": picture.html(), "dot": picture.graphviz().source, "tex": picture.tikz()}
    written["html"] = re.sub(r"<(style|script)>.*?</\1>", "", written["html"], flags=re.DOTALL)
    lines = [f"{picture!r}"]
    for form, text in written.items():
        kinds = Counter(found[1] or "node" for found in re.finditer(KINDS[form], text, re.MULTILINE))
        counted = ", ".join(f"{times} {kind}" for kind, times in sorted(kinds.items()))
        lines.append(f"{form}: {counted}; sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}")
    return "\n".join([*lines, "", picture.text(100)])


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("cell", CELLS)
def test_the_pictures_are_those_that_were_looked_at(cell: str, level: str) -> None:
    path = FOLDER / f"{cell}_{level.replace(' ', '_')}.txt"
    found = described(draw(of_cell(cell, LEVELS[level], loss="last"), detail=level))
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8"), f"{path.name} is another picture now; if that is meant: make golden"


def test_a_change_of_one_colour_or_one_word_is_noticed() -> None:
    loss = of_cell("lstm", 2, loss="last")
    pictures = [draw(loss), draw(loss).themed("dark"), draw(loss, title="another")]
    assert len({described(picture) for picture in pictures}) == 3


def test_there_is_no_golden_file_without_its_picture() -> None:
    expected = {f"{cell}_{level.replace(' ', '_')}.txt" for cell in CELLS for level in LEVELS}
    assert {path.name for path in FOLDER.iterdir()} == expected
