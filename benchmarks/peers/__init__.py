"""Other frameworks on the same work, and minigrad as native code. None is required: what is missing is named and left out.

Each file holds one package's contestants and imports it; the optional extra `peers` installs them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import NamedTuple

from benchmarks.contestant import Contestant


class Peer(NamedTuple):
    """A contestant's class, by where it is, and the package it needs."""

    package: str
    module: str
    kind: str


PEERS = (
    Peer("llvmlite", "native", "MinigradNative"),
    Peer("llvmlite", "native", "MinigradNativeUserCell"),
    Peer("torch", "torch_eager", "TorchEager"),
    Peer("torch", "torch_eager", "TorchUserCell"),
    Peer("torch", "torch_fused", "TorchFused"),
    Peer("autograd", "hips_autograd", "HipsAutograd"),
    Peer("mygrad", "my_grad", "MyGrad"),
    Peer("jax", "jax_scan", "JaxScan"),
)


def installed() -> tuple[list[type[Contestant]], list[str]]:
    """The contestants whose packages are installed, and the names of the packages that are not."""
    found: list[type[Contestant]] = []
    missing: list[str] = []
    for peer in PEERS:
        try:
            found.append(getattr(import_module(f"{__name__}.{peer.module}"), peer.kind))
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != peer.package:
                raise
            missing.append(peer.package)
    return found, list(dict.fromkeys(missing))


def advice(missing: list[str]) -> Iterator[str]:
    """One line for each package that is not installed."""
    for package in missing:
        yield f"{package} is not installed and is left out; `pip install '.[peers]'` brings every peer"
