"""Saving and showing pictures, and what is said when that is not possible."""

import base64
import os
import re
import struct
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from graphs_to_draw import of_cell
from layer_cases import of_layers, of_translation
from minigrad.viz import GraphvizError, Picture, PictureFileError, RenderingError, draw, learning_curves, render
from minigrad.viz.writers import png
from programs import needs

from minigrad import Tensor, exp, no_grad
from minigrad.errors import ArgumentError, DTypeError, GraphError, MinigradError

needs_dot = needs("dot")


@pytest.fixture
def picture() -> Picture:
    return draw(of_cell("rnn", 2))


@pytest.mark.parametrize("ending", [".svg", ".SVG", ".dot", ".gv", ".txt"])
def test_text_formats_are_saved_as_they_are_and_return_their_path(picture: Picture, tmp_path: Path, ending: str) -> None:
    path = picture.save(tmp_path / f"picture{ending}")
    expected = {".svg": picture.svg(), ".txt": picture.text()}.get(ending.lower(), picture.graphviz().source)
    assert path.read_text(encoding="utf-8") == expected
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@needs_dot
def test_a_pdf_is_rendered_by_graphviz(picture: Picture, tmp_path: Path) -> None:
    assert picture.save(str(tmp_path / "picture.pdf")).read_bytes().startswith(b"%PDF")


@needs_dot
def test_a_png_is_rendered_by_graphviz_where_the_extra_is_missing(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "available", lambda: False)
    assert size_of(picture.png()) == pytest.approx((2 * picture.scene.width, 2 * picture.scene.height), abs=3)


def test_a_png_has_two_pixels_a_point_and_its_words(picture: Picture) -> None:
    drawn = picture.png()
    assert size_of(drawn) == pytest.approx((2 * picture.scene.width, 2 * picture.scene.height), abs=2)
    assert len(drawn) > 1.2 * len(png.render(re.sub("<text.*?</text>", "", picture.svg())))


def size_of(image: bytes) -> tuple[int, int]:
    assert image.startswith(b"\x89PNG")
    return struct.unpack(">II", image[16:24])


def test_a_png_without_any_font_is_refused_since_its_words_would_be_missing(
    picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    resvg = png._resvg
    monkeypatch.setattr(png, "_resvg", lambda svg, **options: resvg(svg, skip_system_fonts=True, **options))
    png._folders_of_fonts.cache_clear()
    try:
        with pytest.raises(RenderingError, match=r"needs a font.*fonts-dejavu-core.*save as \.svg"):
            picture.png()
        assert picture._repr_mimebundle_() == ({"image/svg+xml": picture.svg(), "text/plain": repr(picture)}, {})
    finally:
        png._folders_of_fonts.cache_clear()


@pytest.mark.parametrize(("ending", "way_without"), [("png", r"pip install 'minigrad-bptt\[png\]'"), ("pdf", r"save as \.svg")])
def test_a_missing_graphviz_program_is_named_with_how_to_install_it_and_the_way_without(
    picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, way_without: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(png, "available", lambda: False)
    with pytest.raises(
        GraphvizError, match=rf"\.{ending} needs Graphviz's program 'dot'.*apt-get install graphviz.*{way_without}"
    ) as error:
        picture.save(tmp_path / f"picture.{ending}")
    assert isinstance(error.value, MinigradError)
    assert list(tmp_path.iterdir()) == []


def test_render_draws_and_saves_in_one_call(tmp_path: Path) -> None:
    loss = of_cell("rnn", 2)
    path = render(loss, tmp_path / "rnn.svg", title="an RNN", theme="dark")
    assert path.read_text() == draw(loss, title="an RNN", theme="dark").svg()
    assert render([loss, loss * 2.0], tmp_path / "two.dot", gradients=False).read_text().startswith("digraph")


def test_a_path_given_to_draw_is_told_where_it_belongs(tmp_path: Path) -> None:
    loss = of_cell("rnn", 2)
    for path in ("x.svg", Path("x.svg")):
        with pytest.raises(DTypeError, match=r"got the path 'x\.svg'.*viz\.render\(loss, path\).*draw\(loss\)\.save"):
            draw(loss, path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("title", 3, "title must be text, got 3"),
        ("theme", "pink", "theme: expected one of 'light', 'dark', got 'pink'"),
        ("theme", 3, "theme: expected one of 'light', 'dark', got 3"),
        ("values", "yes", "values: expected True or False, got 'yes'"),
        ("full", "no", "full: expected True or False, got 'no'"),
        ("gradients", 2, "gradients: expected True or False, got 2"),
    ],
)
def test_options_of_a_wrong_kind_are_refused_by_name(option: str, value: object, message: str) -> None:
    with pytest.raises((DTypeError, ArgumentError), match=message):
        draw(of_cell("rnn", 2), **{option: value})  # type: ignore[arg-type]


def test_a_dark_picture_is_dark_in_every_format(picture: Picture) -> None:
    night = picture.themed("dark")
    assert 'fill="#121212"' in night.svg()
    assert 'bgcolor="#121212"' in night.graphviz().source
    assert night.text() == picture.text()


def test_an_unknown_format_lists_the_right_ones(picture: Picture, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, .*\.dot, .*\.png, \.pdf, got .*picture\.jpeg"):
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


def test_a_notebook_shows_the_svg_and_where_it_cannot_the_png(picture: Picture) -> None:
    bundle, metadata = picture._repr_mimebundle_()
    assert bundle["image/svg+xml"] == picture.svg()
    assert bundle["text/plain"] == repr(picture)
    assert base64.b64decode(bundle["image/png"]) == picture.png()
    assert metadata["image/png"]["width"] == round(picture.scene.width)
    assert repr(picture) == "<Picture 'RNN, T = 2': 15 boxes, 18 arrows, 2 steps>"


def test_the_title_tells_scope_and_number_of_steps_unless_given() -> None:
    tensor = of_cell("gru", 3)
    assert draw(tensor).scene.title == "GRU, T = 3"
    assert draw(of_layers("lstm", 2, True, "plain", num_layers=2, bidirectional=True)).scene.title == (
        "LSTM, 2 layers, both directions, T = 2"
    )
    assert draw(of_translation("rnn", 2, True)).scene.title == "RNN, encoder, decoder, T = 2 + 1"
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


def test_full_and_another_detail_contradict_each_other() -> None:
    with pytest.raises(ArgumentError, match="full=True shows every operation, and detail='cells' something else"):
        draw(of_cell("rnn", 2), full=True, detail="cells")


def test_show_opens_a_page_in_a_browser_and_says_where_it_is_if_there_is_none(
    picture: Picture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) is None)
    path = picture.show()
    assert opened == [path.as_uri()]
    assert path.read_text() == picture.html()
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    path = picture.show()
    assert capsys.readouterr().err == f"no browser was found here; the picture is in {path}\n"


def test_charts_are_pictures_too() -> None:
    chart = learning_curves({"loss": [2.0, 1.0, 0.5]}, title="a training")
    assert isinstance(chart, Picture)
    assert "a training" in chart.svg()
    assert repr(chart).startswith("<Picture 'a training'")
    assert "Args:" in (learning_curves.__doc__ or "")


def test_a_picture_of_what_is_not_finite_shows_it_and_warns_of_nothing() -> None:
    x = Tensor([1000.0, 1.0], requires_grad=True, name="x")
    with np.errstate(over="ignore", invalid="ignore"):
        loss = (exp(x) - exp(x)).sum()
    assert "NaN or infinite" in draw(loss).svg()
