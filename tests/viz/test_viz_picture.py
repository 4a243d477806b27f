"""Saving and showing pictures, and what is said when that is not possible."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from graphs_to_draw import of_cell
from minigrad.viz import GraphvizError, Picture, PictureFileError, draw

from minigrad import Tensor, no_grad
from minigrad.errors import ArgumentError, DTypeError, GraphError, MinigradError

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program is not installed")


@pytest.fixture
def picture() -> Picture:
    return draw(of_cell("rnn", 2))


@pytest.mark.parametrize("ending", [".svg", ".SVG", ".dot", ".gv"])
def test_text_formats_are_saved_as_they_are_and_return_their_path(picture: Picture, tmp_path: Path, ending: str) -> None:
    path = picture.save(tmp_path / f"picture{ending}")
    expected = picture.svg() if ending.lower() == ".svg" else picture.graphviz().source
    assert path.read_text(encoding="utf-8") == expected
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@needs_dot
@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_images_are_rendered_by_graphviz(picture: Picture, tmp_path: Path, ending: str, magic: bytes) -> None:
    assert picture.save(str(tmp_path / f"picture{ending}")).read_bytes().startswith(magic)


def test_a_missing_graphviz_program_is_named_with_the_way_out(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GraphvizError, match=r"picture\.png needs Graphviz's program 'dot'.*save as \.svg") as error:
        picture.save(tmp_path / "picture.png")
    assert isinstance(error.value, MinigradError)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_lists_the_right_ones(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, \.dot, \.gv, \.png, \.pdf, got .*picture\.jpeg"):
        picture.save(tmp_path / "picture.jpeg")


def test_a_folder_that_does_not_exist_is_named_and_nothing_is_left(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(PictureFileError, match=r"nowhere/picture\.svg cannot be written: No such file") as error:
        picture.save(tmp_path / "nowhere" / "picture.svg")
    assert isinstance(error.value, OSError)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_not_touched(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "picture.svg").mkdir()
    with pytest.raises(PictureFileError, match=r"picture\.svg cannot be written"):
        picture.save(tmp_path / "picture.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["picture.svg"]


def test_a_file_in_the_place_of_the_folder_is_named(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("keep")
    with pytest.raises(PictureFileError, match=r"notes/picture\.svg cannot be written: Not a directory"):
        picture.save(tmp_path / "notes" / "picture.svg")
    assert (tmp_path / "notes").read_text() == "keep"


def test_an_interrupted_write_leaves_the_old_file(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "picture.svg"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PictureFileError, match="No space left"):
        picture.save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["picture.svg"]


def test_a_saved_file_has_the_usual_permissions(picture: Picture, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    usual = (tmp_path / "plain").stat().st_mode
    assert picture.save(tmp_path / "picture.svg").stat().st_mode == usual


def test_a_notebook_shows_the_svg(picture: Picture) -> None:
    assert picture._repr_svg_() == picture.svg()
    assert repr(picture) == "<Picture 'rnn, T = 2': 15 boxes, 18 arrows, 2 steps>"


def test_the_title_tells_scope_and_number_of_steps_unless_given() -> None:
    tensor = of_cell("gru", 3)
    assert draw(tensor).scene.title == "gru, T = 3"
    assert draw(tensor, title="GRU, D = 3").scene.title == "GRU, D = 3"
    assert draw(tensor, title="").scene.title == ""


def test_what_cannot_be_drawn_is_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="at least one tensor"):
        draw()
    with pytest.raises(DTypeError, match="expected Tensors, got ndarray"):
        draw(np.ones(3))
    with pytest.raises(GraphError, match="nothing was recorded"):
        draw(Tensor([1.0]))
    x = Tensor([1.0], requires_grad=True)
    with no_grad():
        y = x * 2.0
    with pytest.raises(GraphError, match="no_grad"):
        draw(y)
