"""The pages of the site that are made and not written: the README, the lessons as they ran, the gallery, the reference.

MkDocs calls the two functions at the end (``make docs``). Every lesson is run for its page: what the page shows is what
the program printed and drew just now. The reference has one page for each module, made from its docstrings.
"""

from __future__ import annotations

import contextlib
import functools
import html
import importlib
import io
import itertools
import os
import pkgutil
import re
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent
FLOORS = {"minigrad": "The engine", "minigrad.models": "Recurrent networks", "minigrad.viz": "Pictures"}
MADE = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "examples/README.md": "lessons/index.md",
    "CHANGELOG.md": "changelog.md",
}
"""Where texts of the repository stand on the site."""
SHOWN = ("examples/unrolled_lstm.svg",)
"""Pictures that these texts show."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


class Lesson(NamedTuple):
    """A lesson as it ran: its name and source, what it printed, and its pictures by name."""

    name: str
    source: str
    printed: str
    pictures: Mapping[str, str]

    @property
    def question(self) -> str:
        """The first line of its source."""
        return html.escape(self.source.splitlines()[0].strip('"'), quote=False)

    @property
    def answer(self) -> str:
        """The last line that it printed, without the word."""
        return html.escape(self.printed.splitlines()[-1].removeprefix("Answer: "), quote=False)


def lesson_files() -> list[Path]:
    """The lessons, in order."""
    return sorted(path for path in (ROOT / "examples").glob("*.py") if re.match(r"(c\d|trap)_", path.name))


def ran(path: Path) -> Lesson:
    """Run a lesson in a folder of its own. Raises CalledProcessError if it fails."""
    found_here = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(path), folder]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, env=found_here).stdout
        pictures = {file.name: file.read_text(encoding="utf-8") for file in sorted(Path(folder).glob("*.svg"))}
    return Lesson(path.stem, path.read_text(encoding="utf-8"), printed, pictures)


def lesson_page(lesson: Lesson) -> str:
    """The question, the answer, the pictures, the program and what it printed."""
    pictures = "\n\n".join(f"![{name.removesuffix('.svg')}]({name})" for name in lesson.pictures)
    return (
        f'# {lesson.question}\n\n!!! success "Answer"\n    {lesson.answer}\n\n{pictures}\n\n'
        f'```python title="examples/{lesson.name}.py"\n{lesson.source}```\n\n```text\n{lesson.printed}```\n'
    )


def drawn() -> tuple[list[Any], dict[str, bytes]]:
    """The exhibits of examples/gallery.py, and the files that it draws."""
    program = runpy.run_path(str(ROOT / "examples" / "gallery.py"))
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), np.errstate(invalid="ignore"):
        program["main"](Path(folder))
        files = {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir()) if file.name != "index.html"}
    return list(program["EXHIBITS"]), files


def gallery_page(exhibits: list[Any], files: Iterable[str], lessons: list[Lesson]) -> str:
    """Every kind of picture with the call that draws it, and every picture of the lessons with its question."""
    page = ["# Gallery\n\nEach picture is one call. Open an SVG by itself to read names and numbers under the mouse.\n"]
    for exhibit in exhibits:
        forms = [f"{exhibit.name}{ending}" for ending in exhibit.formats if f"{exhibit.name}{ending}" in files]
        links = ", ".join(f"[{form}](gallery/{form})" for form in forms)
        picture = f"![{exhibit.words}](gallery/{exhibit.name}.svg)"
        page.append(f"## {exhibit.words}\n\n```python\n{exhibit.expression}\n```\n\n{picture}\n\n{links}\n")
    page.append("## From the lessons\n\nA click on a picture leads to its lesson.\n")
    for lesson in lessons:
        shown = "\n".join(f"[![{name}](lessons/{name})](lessons/{lesson.name}.md)" for name in lesson.pictures)
        page.append(f"### {lesson.question}\n\n{shown}\n")
    return "\n".join(page)


def linked(text: str, source: str) -> str:
    """The text of a file of the repository, its links to files turned to their pages, or into their words.

    Args:
        text: Markdown.
        source: the file's path in the repository.
    """
    here = os.path.dirname(MADE[source])

    def turned(link: re.Match[str]) -> str:
        picture, words, target, place = link[1], link[2], link[3], link[4] or ""
        page = page_of(os.path.normpath(os.path.join(os.path.dirname(source), target)))
        return words if page is None else f"{picture}[{words}]({os.path.relpath(page, here or '.')}{place})"

    return LINK.sub(turned, text)


def page_of(file: str) -> str | None:
    """Where the site has what is in a file or a folder of the repository; None if it has nothing of it."""
    path = Path(file)
    if file in SHOWN:
        return file
    if ROOT / path in lesson_files():
        return f"lessons/{path.stem}.md"
    if path.parent.name == "docs" and path.suffix == ".md":
        return path.name
    inner = [part for part in path.with_suffix("").parts if part != "__init__"]
    name = ".".join(inner if inner[:1] == ["minigrad"] else ["minigrad", *inner])
    return f"reference/{name}.md" if name in {*FLOORS, *(module for module, _ in modules())} else MADE.get(file)


@functools.cache
def modules() -> tuple[tuple[str, str], ...]:
    """Every public module of the three floors, with the floor it stands on."""
    found_all: list[tuple[str, str]] = []
    for floor in FLOORS:
        package = importlib.import_module(floor)
        for found in pkgutil.walk_packages(package.__path__[:1], floor + "."):
            above = max((one for one in FLOORS if f"{found.name}.".startswith(one + ".")), key=len)
            if above == floor != found.name and not any(part.startswith("_") for part in found.name.split(".")):
                found_all.append((found.name, floor))
    return tuple(sorted(found_all))


def public_names(package: str) -> dict[str, str]:
    """A row for each name that a package is imported for: what it is, and where its entry is."""
    rows: dict[str, str] = {}
    known = {module: importlib.import_module(module) for module, _ in modules()}
    for name in importlib.import_module(package).__all__:
        found = getattr(importlib.import_module(package), name)
        if name.startswith("_"):
            continue
        if isinstance(found, ModuleType):
            place, said = f"{found.__name__}.md", found.__doc__
        elif callable(found):
            place, said = f"{found.__module__}.md#{found.__module__}.{found.__name__}", found.__doc__
        else:
            owner = next(one for one, module in known.items() if vars(module).get(name) is found and one not in FLOORS)
            place, said = f"{owner}.md#{owner}.{name}", "What there is, by name."
        first = (said or "").splitlines()[0].replace("<", "&lt;").replace("|", "\\|")
        rows[name] = f"| [{name}]({place}) | {first} |\n"
    return rows


def reference_pages() -> dict[str, str]:
    """A page for each module, and one for each floor that lists what is imported from it, and its modules."""
    pages: dict[str, str] = {}
    rows: dict[str, list[str]] = {floor: [] for floor in FLOORS}
    for name, floor in modules():
        said = html.escape((importlib.import_module(name).__doc__ or "").splitlines()[0], quote=False).replace("|", "\\|")
        rows[floor].append(f"| [{name}]({name}.md) | {said} |\n")
        pages[f"reference/{name}.md"] = f"# {name}\n\n::: {name}\n"
    for floor, title in FLOORS.items():
        imported = f"| from {floor} import … | |\n| --- | --- |\n" + "".join(public_names(floor).values())
        table = imported + "\n| module | holds |\n| --- | --- |\n" + "".join(rows[floor])
        about = f"::: {floor}\n    options:\n      members: false\n"
        pages[f"reference/{floor}.md"] = f"# {title}: {floor}\n\n{about}\n{table}"
    return pages


def made_pages() -> dict[str, str | bytes]:
    """Every page and picture that is made, by its place on the site."""
    lessons = [ran(path) for path in lesson_files()]
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in MADE}
    pages: dict[str, str | bytes] = {page: linked(texts[file], file) for file, page in MADE.items()}
    pages |= {picture: (ROOT / picture).read_text(encoding="utf-8") for picture in SHOWN}
    pages |= {f"lessons/{lesson.name}.md": lesson_page(lesson) for lesson in lessons}
    pages |= {f"lessons/{name}": svg for lesson in lessons for name, svg in lesson.pictures.items()}
    exhibits, files = drawn()
    pages["gallery.md"] = gallery_page(exhibits, files, lessons)
    pages |= {f"gallery/{name}": content for name, content in files.items()}
    return pages | reference_pages()


def on_config(config: Any) -> Any:
    """MkDocs asks for the order of the pages."""
    lessons: list[Any] = ["lessons/index.md"]
    for course, paths in itertools.groupby(lesson_files(), lambda path: path.stem.split("_")[0]):
        lessons.append({"Traps" if course == "trap" else course.upper(): [f"lessons/{path.stem}.md" for path in paths]})
    reference: list[Any] = []
    for floor in FLOORS:
        own = [name for name, above in modules() if above == floor]
        listed = [{name.removeprefix(f"{floor}."): f"reference/{name}.md"} for name in own]
        reference.append({floor: [f"reference/{floor}.md", *listed]})
    config.nav = [
        {"minigrad": "index.md"},
        {"Coming from …": "coming_from.md"},
        {"Is it right?": [{"And if not, why?": "wrong_backward_passes.md"}, {"Planted mistakes": "proof.md"}]},
        {"Lessons": lessons},
        {"Gallery": "gallery.md"},
        {"Architecture": "architecture.md"},
        {"Reference": reference},
        {"Changes": "changelog.md"},
    ]
    return config


def on_files(files: Any, config: Any) -> Any:
    """MkDocs asks for the pages."""
    from mkdocs.structure.files import File

    for page, text in made_pages().items():
        files.append(File.generated(config, page, content=text))
    return files
