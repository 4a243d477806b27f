"""The other process of `minigrad.checks.isolated`: reads a task, writes its result."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from minigrad.checks.isolated import checked

__all__ = ["main"]


def main(given: str, result: str) -> None:
    """Do the task in the file ``given``; write what it found into the file ``result``."""
    task = json.loads(Path(given).read_text(encoding="utf-8"))
    if task.get("megabytes"):
        limit_memory(task["megabytes"])
    found = json.dumps(checked(task))
    Path(result).write_text(found, encoding="utf-8")


def limit_memory(megabytes: int) -> None:
    """Let this process have no more memory, where the system knows how."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


if __name__ == "__main__":
    main(*sys.argv[1:])
