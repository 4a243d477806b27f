"""Mistakes in pictures: false numbers, lines through boxes, lines that cannot be told apart."""

from mutation.engine import rows

MUTANTS = [
    *rows(
        "viz/diagram/picks",
        ("pictures: the row before the one that is read", "class Picks", "whole.inputs[row]", "whole.inputs[row - 1]"),
        (
            "pictures: a stack that others read as a whole is gone",
            "class Picks",
            "if all(reader in self._read or",
            "if any(reader in self._read or",
        ),
        (
            "pictures: rows of two stacks side by side send back gradients of the whole",
            "class Picks",
            "(True,) * len(made.inputs)",
            "()",
        ),
    ),
    *rows(
        "viz/diagram/items",
        ("pictures: every product is a square", "def is_square", "_base(first) is _base(second)", "True"),
    ),
    *rows(
        "viz/diagram/formula",
        (
            "pictures: of parts side by side only the first is told",
            "def _listed",
            "for part in told for",
            "for part in told[:1] for",
        ),
    ),
    *rows(
        "viz/titles",
        ("pictures: a title counts no layers", "def _models", "if len(layers) > 1", "if len(layers) > 9"),
    ),
    *rows(
        "viz/overlay",
        ("pictures: squares that underflow are zero", "def norm", "if 1e-280 < squared < 1e280", "if squared < 1e280"),
        ("pictures: of a value the first row is told", "class Overlay", "is_row = bool(vertex.rowwise)", "is_row = True"),
    ),
    *rows(
        "viz/layout/sizes",
        (
            "pictures: no room for printed numbers",
            "def look_of",
            "height=look.height + table.height",
            "height=look.height",
        ),
    ),
    *rows(
        "viz/layout/column_lines",
        (
            "pictures: lines bend beside what is higher than their end",
            "class ColumnLines",
            "if abs(self._edge(j, not up) - y) > TALL:",
            "if False:",
        ),
    ),
    *rows(
        "viz/layout/ordering",
        (
            "pictures: any order that is reached ends the search",
            "class Ordering",
            "reached = (attempt % 2, *map(tuple, candidate.values()))",
            "reached = (attempt % 2,)",
        ),
    ),
    *rows(
        "viz/painting",
        (
            "pictures: a small picture is lost on its slide",
            "def paint",
            "scene.height / page[1], LEAST_OF_A_PAGE)",
            "scene.height / page[1], 1.0)",
        ),
        (
            "pictures: the panels of a low lap are as high as all",
            "class Painter",
            "max(steps.top, min(tops, default=steps.top) - ABOVE_A_LAP)",
            "steps.top",
        ),
    ),
    *rows(
        "viz/charts/lines",
        (
            "charts: a line runs along the axis that it is below",
            "def _pieces",
            "inside = here is not None and value >= axis.low",
            "inside = here is not None",
        ),
        ("charts: all lines are solid", "def style_of", "DASHES[(k + k // len(SERIES)) % len(DASHES)]", "DASHES[0]"),
        (
            "charts: labels lie on one another",
            "def label_ends",
            "heights = balanced(wished, LABEL_PITCH, top, bottom)",
            "heights = wished",
        ),
    ),
    *rows(
        "viz/charts/strips",
        ("charts: the sweep begins with the first step", "def _swept", "sorted(told, reverse=True)", "sorted(told)"),
    ),
    *rows(
        "viz/writers/svg",
        ("svg: names are written as they are", "def escape", "or _is_safe(text)", "or True"),
    ),
    *rows(
        "viz/writers/html",
        ("html: a long sweep takes minutes", "def _tools", "LONGEST_SWEEP // max(stages, 1)", "PACE"),
    ),
]
