"""TikZ: every shape is drawn, every name is escaped, and a TeX that is there sets it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from graphs_to_draw import CELLS, OWN, of_cell
from minigrad.viz import Picture, draw
from minigrad.viz.sheet import Circle, Rectangle, Words
from minigrad.viz.sheet import Path as Line
from minigrad.viz.writers.tikz import in_tex
from nasty_labels import NASTY, picture_of

UNESCAPED = re.compile(r"(?<!\\)[$&#_%]")
DOCUMENT = r"""
\documentclass{article}
\usepackage[paperwidth=3000bp,paperheight=2000bp,margin=5bp]{geometry}
\usepackage{tikz,lmodern}
\pagestyle{empty}
\begin{document}\noindent\input{picture.tex}\end{document}
"""


def has_tex() -> bool:
    """Whether there is a TeX that has what the document asks for."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return False
    looked_for = [subprocess.run(["kpsewhich", f"{name}.sty"], capture_output=True) for name in ("tikz", "lmodern")]
    return all(found.returncode == 0 for found in looked_for)


def unbalanced(text: str) -> bool:
    """Whether a brace that counts is opened and not closed, or the other way round."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", re.sub(r"\\\\", "", text)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return True
    return depth != 0


def texts(picture: Picture) -> list[str]:
    return re.findall(r"^\\node\[.*?\] at \(.*?\) (\{.*\});$", picture.tikz(), re.MULTILINE)


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_every_shape_is_drawn_once(name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name]())
    shapes = [shape for mark in picture.sheet().marks for shape in mark.shapes]
    lines = picture.tikz().splitlines()
    for kind, command in ((Words, r"\node["), (Line, r"\draw[")):
        assert sum(line.startswith(command) for line in lines) == sum(isinstance(shape, kind) for shape in shapes) > 0
    assert sum(line.startswith(r"\path[") for line in lines) == sum(isinstance(s, Rectangle | Circle) for s in shapes)
    assert sum("-- cycle" in line for line in lines) == sum(isinstance(s, Line) and s.arrow for s in shapes)
    assert lines[-1] == r"\end{tikzpicture}"


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_names_are_set_and_not_obeyed(kind: str) -> None:
    picture = picture_of(NASTY[kind])
    assert not unbalanced(picture.tikz().split("\n", 1)[1])  # the first line is a comment
    assert len(texts(picture)) == sum(isinstance(shape, Words) for mark in picture.sheet().marks for shape in mark.shapes)
    assert not any(UNESCAPED.search(text) for text in texts(picture))
    assert not any(re.search(r"\\(input|rm|write)\b", text) for text in texts(picture))
    assert picture.tikz().splitlines()[0].startswith("% ")
    assert picture.tikz().splitlines()[1].startswith(r"\definecolor")


def test_the_checks_find_what_tex_would_stumble_over() -> None:
    assert unbalanced("a{b")
    assert unbalanced("a}b{")
    assert not unbalanced(r"\{ {x}")
    assert UNESCAPED.search("a_b")
    assert not UNESCAPED.search(r"a\_b")


def test_accents_and_symbols_are_tex_s_own() -> None:
    assert in_tex("c̃ ⊙ σ − ∂L") == r"\~{c} \ensuremath{\odot} \ensuremath{\sigma} \ensuremath{-} \ensuremath{\partial}L"
    assert in_tex("\\") == r"\textbackslash{}"


def test_every_colour_that_is_used_is_defined() -> None:
    text = draw(of_cell("lstm", 2), theme="dark").tikz()
    assert set(re.findall(r"\bc[0-9a-f]{6}\b", text)) == set(re.findall(r"\\definecolor\{(c[0-9a-f]{6})\}", text))


@pytest.mark.skipif(not has_tex(), reason="TeX with TikZ and the fonts lmodern is not installed")
@pytest.mark.parametrize("name", [*CELLS, "attention"])
def test_tex_sets_it(tmp_path: Path, name: str) -> None:
    draw(of_cell(name, 2) if name in CELLS else OWN[name]()).save(tmp_path / "picture.tex")
    (tmp_path / "page.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
