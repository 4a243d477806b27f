"""The gallery: a page with every kind of picture, each drawn by the call that stands beside it."""

import importlib.util
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest
from minigrad.viz.details import DETAILS

from minigrad import viz

SOURCE = Path(__file__).parent.parent.parent / "examples" / "gallery.py"


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gallery", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["gallery"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(gallery: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gallery")
    gallery.main(path)
    return path


def test_every_file_that_the_page_shows_or_links_to_is_there(gallery: ModuleType, folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:src|href)="([^"]+)"', page))
    assert named == {path.name for path in folder.iterdir()} - {"index.html"}
    assert len(re.findall("<figure>", page)) == len(gallery.EXHIBITS)


def test_every_picture_is_a_picture(gallery: ModuleType, folder: Path) -> None:
    for exhibit in gallery.EXHIBITS:
        root = ET.fromstring((folder / f"{exhibit.name}.svg").read_text(encoding="utf-8"))
        assert len(list(root.iter("{http://www.w3.org/2000/svg}text"))) > 3, exhibit.name


def test_every_function_and_every_detail_is_shown(gallery: ModuleType) -> None:
    calls = " ".join(exhibit.expression for exhibit in gallery.EXHIBITS)
    functions = {name for name in viz.__all__ if name.islower() and name != "render"}
    assert functions == set(re.findall(r"viz\.(\w+)", calls))
    shown = set(re.findall(r'detail="([\w ]+)"', calls)) | {"gates", "strip", "heat bar"}
    assert shown == set(DETAILS)
    assert {ending for exhibit in gallery.EXHIBITS for ending in exhibit.formats} == {
        ".svg", ".html", ".png", ".txt", ".dot", ".tex",
    }  # fmt: skip
