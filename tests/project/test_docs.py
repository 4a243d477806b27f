"""The site: every page's code is run, every lesson and module has its page, and the whole builds without a warning."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from lesson_runs import LESSONS, lesson
from test_readme import blocks_with_output, run, up_to_rounding

ROOT = Path(__file__).parent.parent.parent
WRITTEN = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "proof.md")
"""The pages that are written by hand; proof.md is what ``make proof`` has found."""


def loaded(name: str) -> ModuleType:
    """A program of docs/, as MkDocs loads it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    return loaded("pages")


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.name)
def test_every_block_of_a_page_prints_what_the_page_shows(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    pairs = blocks_with_output(page.read_text(encoding="utf-8"))
    assert pairs, "the page shows no code"
    for code, expected in pairs:
        assert up_to_rounding(run(code, namespace)) == up_to_rounding(expected), code


def test_every_lesson_has_a_page_with_its_source_its_output_and_its_pictures(pages: ModuleType) -> None:
    assert [path.stem for path in pages.lesson_files()] == LESSONS
    name = LESSONS[0]
    ran = pages.ran(ROOT / "examples" / f"{name}.py")
    assert ran.printed == lesson(name).text
    assert sorted(ran.pictures) == sorted(picture.name for picture in lesson(name).folder.iterdir())
    text = pages.lesson_page(ran)
    assert ran.source in text
    assert ran.printed in text
    for picture in ran.pictures:
        assert f"({picture})" in text
        assert f"(lessons/{picture})" in pages.gallery_page([], [], [ran])


def test_the_gallery_shows_every_exhibit_with_its_call(pages: ModuleType) -> None:
    exhibits, files = pages.drawn()
    page = pages.gallery_page(exhibits, files, [])
    assert len(exhibits) > 10
    for exhibit in exhibits:
        assert f"```python\n{exhibit.expression}\n```" in page
        assert f"{exhibit.name}.svg" in files
        assert f"(gallery/{exhibit.name}.svg)" in page


def test_a_lesson_that_fails_ends_the_build(pages: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "c1_broken.py").write_text("raise SystemExit(1)\n", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        pages.ran(tmp_path / "c1_broken.py")


def test_links_lead_to_pages_where_there_are_any_and_are_words_elsewhere(pages: ModuleType) -> None:
    text = "[lessons](examples/README.md) [engine](minigrad) [mine](benchmarks) ![x](examples/unrolled_lstm.svg) [u](https://a.b)"
    assert pages.linked(text, "README.md") == (
        "[lessons](lessons/index.md) [engine](reference/minigrad.md) mine ![x](examples/unrolled_lstm.svg) [u](https://a.b)"
    )
    there = "[g](minigrad/graph.py) [o](minigrad/ops) [b](models/by_hand) [c](docs/coming_from.md) [t](tests/x.py) [n](viz/y)"
    assert pages.linked(there, "ARCHITECTURE.md") == (
        "[g](reference/minigrad.graph.md) [o](reference/minigrad.ops.md) [b](reference/minigrad.models.by_hand.md) "
        "[c](coming_from.md) t n"
    )
    assert pages.linked("[a](c1_gates.py#L3) [b](lesson.py)", "examples/README.md") == "[a](c1_gates.md#L3) b"


def test_every_shipped_module_is_in_the_reference(pages: ModuleType) -> None:
    made = pages.reference_pages()
    shipped = {
        ".".join((floor, *path.relative_to(ROOT / folder).with_suffix("").parts)).removesuffix(".__init__")
        for floor, folder in (("minigrad", "minigrad"), ("minigrad.models", "models"), ("minigrad.viz", "viz"))
        for path in (ROOT / folder).rglob("*.py")
        if not any(part.startswith("_") and part != "__init__.py" for part in path.parts)
    }
    assert set(made) == {f"reference/{name}.md" for name in shipped}
    for name in shipped - set(pages.FLOORS):
        assert f"::: {name}\n" in made[f"reference/{name}.md"]
        assert sum(f"[{name}]({name}.md)" in made[f"reference/{floor}.md"] for floor in pages.FLOORS) == 1


def test_every_public_name_has_its_place_on_the_page_of_its_floor(pages: ModuleType) -> None:
    made = pages.reference_pages()
    for floor in pages.FLOORS:
        package = importlib.import_module(floor)
        rows = pages.public_names(floor)
        assert set(rows) == {name for name in package.__all__ if not name.startswith("_")}
        for name, row in rows.items():
            assert row in made[f"reference/{floor}.md"]
            found = re.fullmatch(r"\| \[(\w+)\]\(([\w.]+)\.md(?:#([\w.]+))?\) \| (.+) \|\n", row)
            assert found is not None, row
            owner = importlib.import_module(found[2])
            assert f"reference/{found[2]}.md" in made
            place = getattr(owner, found[3].removeprefix(f"{found[2]}.")) if found[3] else owner
            assert (found[1], place) == (name, getattr(package, name))


DOCSTRING = """x[t] is x^{(i)<t>}, see :func:`x[t]`.

    y = x[t]

Args:
    x: (T,) or [].

>>> x[0]
1

Done[1].""".splitlines()
MARKDOWN = r"""x\[t\] is x^{(i)&lt;t>}, see `x[t]`.

    y = x[t]

Args:
    x: (T,) or \[\].

```pycon
>>> x[0]
1
```

Done\[1\].""".splitlines()


@pytest.mark.skipif(importlib.util.find_spec("griffe") is None, reason="make docs installs what reads docstrings")
def test_examples_are_fenced_and_brackets_in_prose_are_no_links() -> None:
    assert list(loaded("docstrings").markdown(DOCSTRING)) == MARKDOWN


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="make docs installs what builds the site")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [Path(sys.executable).with_name("mkdocs"), "build", "--quiet", "--strict", "--site-dir", tmp_path]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert not built.returncode, built.stdout + built.stderr
    assert not built.stderr
    softmax = (tmp_path / "reference" / "minigrad.ops.softmax.html").read_text(encoding="utf-8")
    assert "log_softmax" in softmax
    assert "&gt;&gt;&gt;" in re.sub(r"<[^>]*>", "", softmax)
