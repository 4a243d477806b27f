"""Write into the READMEs and the pages of docs/ what their code blocks really print, and draw its picture anew:
``make readme``."""

import os
import shutil
import tempfile
from pathlib import Path

from test_readme import LOOPS, README, blocks_with_output, run


def write(page: Path) -> None:
    """Run every block in an empty folder; replace the outputs shown; keep the pictures beside the examples."""
    text = page.read_text(encoding="utf-8")
    here = Path.cwd()
    namespace: dict[str, object] = {"__name__": "readme"}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for code, shown in blocks_with_output(text):
                printed = run(code, namespace)
                if printed or shown:
                    block = f"```python\n{code}```\n\n```text\n"
                    text = text.replace(f"{block}{shown}```", f"{block}{printed}```")
            for picture in Path(folder).glob("*.svg"):
                shutil.copy(picture, README.parent / "examples" / picture.name)
        finally:
            os.chdir(here)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for page in (README, LOOPS, *sorted((README.parent / "docs").glob("*.md"))):
        write(page)
