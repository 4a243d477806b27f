"""Packages that minigrad can use and does not need: which extra brings each, and what is said where one is missing."""

from __future__ import annotations

import importlib
from typing import Any

from minigrad.errors import MissingPackageError

__all__ = ["DISTRIBUTION", "installing", "optional_package"]

DISTRIBUTION = "minigrad-bptt"
"""What ``pip install`` calls minigrad: on PyPI its import name belongs to another project."""


def installing(extra: str) -> str:
    """The command that brings what an extra of the distribution stands for.

    >>> installing("safetensors")
    "pip install 'minigrad-bptt[safetensors]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def optional_package(module: str, extra: str, what: str, instead: str = "") -> Any:
    """The module, imported.

    Args:
        module: its import name, such as ``"tqdm.auto"``.
        extra: the extra of the distribution that brings it.
        what: what needs it, as the beginning of the message.
        instead: what can be done without it, as the end of the message.

    Raises:
        MissingPackageError: it is not installed, and the message gives the command that installs it; or it is, and cannot be
            imported.

    >>> optional_package("no_such_bar", "tqdm", "progress=")
    Traceback (most recent call last):
    minigrad.errors.MissingPackageError: progress= needs no_such_bar, which is not installed: pip install 'minigrad-bptt[tqdm]'
    """
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        package, or_else = module.split(".")[0], f", or {instead}" if instead else ""
        if (problem.name or "").split(".")[0] == package and isinstance(problem, ModuleNotFoundError):
            raise MissingPackageError(f"{what} needs {package}, which is not installed: {installing(extra)}{or_else}") from None
        raise MissingPackageError(
            f"{what} needs {package}, which is installed and cannot be imported ({problem}): "
            f"{installing(extra).replace('install', 'install --upgrade')}{or_else}"
        ) from None
