"""Recurrent networks composed from minigrad operations."""

from minigrad.tracebacks import hide_frames

from . import by_hand, interop
from .architectures import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from .cells import CELLS, GRU, LSTM, RNN, GatedRNN, LSTMState, make_cell
from .initialisers import INITIALISERS
from .language import LanguageModel
from .layers import Head, RecurrentLayers, detached, unroll
from .lengths import padded
from .training import Batches, Trainer, evaluate, fit

__all__ = [
    "CELLS",
    "GRU",
    "INITIALISERS",
    "LSTM",
    "RNN",
    "Batches",
    "EncoderDecoder",
    "GatedRNN",
    "Head",
    "LSTMState",
    "LanguageModel",
    "ManyToMany",
    "ManyToOne",
    "OneToMany",
    "OneToOne",
    "RecurrentLayers",
    "Trainer",
    "by_hand",
    "detached",
    "evaluate",
    "fit",
    "interop",
    "make_cell",
    "padded",
    "unroll",
]


def __dir__() -> list[str]:
    """What is there for users: the names above, and the modules that are imported by their own."""
    return [*__all__, "attention", "cells", "language", "ngram", "progress", "streams", "text", "training", "vocabulary"]


hide_frames(__name__)
