"""Every kind of picture that minigrad draws, on one page: ``make gallery`` writes it and says where.

Each picture is one call of `minigrad.viz`; the page shows the call beside what it drew.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from minigrad import Tensor, grad, viz
from minigrad.bptt import contributions
from minigrad.models import GRU, LSTM, RNN, EncoderDecoder, GatedRNN, Head, RecurrentLayers, unroll
from minigrad.viz import Picture

B, D, H, N = 2, 3, 4, 5


@dataclass(frozen=True)
class Exhibit:
    """A picture of the gallery: what it shows, the call, and the file of each format."""

    name: str
    words: str
    call: str
    draw: Callable[[], Picture]
    formats: tuple[str, ...] = ("svg",)


def sequence(T: int, seed: int = 1) -> Tensor:
    """A random input (T, B, D)."""
    return Tensor(np.random.default_rng(seed).standard_normal((T, B, D)), name="x")
