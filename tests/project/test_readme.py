"""The README shows real code and real output: every python block is run, and what it prints is compared."""

import contextlib
import io
import linecache
import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent.parent / "README.md"
LOOPS = README.parent / "minigrad" / "loops" / "README.md"
each_readme = pytest.mark.parametrize("readme", [README, LOOPS], ids=["the project", "loops"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks_with_output(text: str) -> list[tuple[str, str]]:
    """Each python block with the text block that follows it directly ('' if none does)."""
    found = BLOCK.findall(text)
    pairs = []
    for number, (language, code) in enumerate(found):
        if language == "python":
            following = found[number + 1] if number + 1 < len(found) else ("", "")
            pairs.append((code, following[1] if following[0] == "text" else ""))
    return pairs


def up_to_rounding(printed: str) -> str:
    """The text with numbers of the size of rounding errors, which differ from machine to machine, made equal."""
    return re.sub(r"\d\.\de-1[4-9]|0\.0e\+00", "rounding", printed)


def run(code: str, namespace: dict[str, object]) -> str:
    printed, name = io.StringIO(), f"<README block {len(linecache.cache)}>"
    linecache.cache[name] = len(code), None, code.splitlines(keepends=True), name  # so that its functions have a source
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), namespace)
    return printed.getvalue()


@each_readme
def test_every_block_prints_what_the_readme_shows(readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "readme"}
    pairs = blocks_with_output(readme.read_text(encoding="utf-8"))
    assert pairs, "the README shows no code"
    for code, expected in pairs:
        assert up_to_rounding(run(code, namespace)) == up_to_rounding(expected), code


def test_a_wrong_output_is_noticed() -> None:
    ((code, expected),) = blocks_with_output("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    assert up_to_rounding(run(code, {})) != up_to_rounding(expected)
    assert up_to_rounding("1.0e-13") != up_to_rounding("1.0e-16") == up_to_rounding("0.0e+00")


@each_readme
def test_every_file_the_readme_links_to_exists(readme: Path) -> None:
    text = BLOCK.sub("", readme.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", text) + re.findall(r'src="(?!http)([^"]+)"', text):
        assert (readme.parent / target).exists(), target


def test_the_picture_is_the_one_the_first_block_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _ = blocks_with_output(README.read_text(encoding="utf-8"))[0]
    run(code, {"__name__": "readme"})
    shown = README.parent / "examples" / "unrolled_lstm.svg"
    assert (tmp_path / "unrolled_lstm.svg").read_bytes() == shown.read_bytes()
