"""Recurrent networks composed from minigrad operations."""

from minigrad.tracebacks import hide_frames

from . import by_hand, interop
from .architectures import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from .cells import CELLS, GRU, LSTM, RNN, GatedRNN, LSTMState, make_cell
from .initialisers import INITIALISERS
from .layers import Head, RecurrentLayers, detached, unroll

__all__ = [
    "CELLS",
    "GRU",
    "INITIALISERS",
    "LSTM",
    "RNN",
    "EncoderDecoder",
    "GatedRNN",
    "Head",
    "LSTMState",
    "ManyToMany",
    "ManyToOne",
    "OneToMany",
    "OneToOne",
    "RecurrentLayers",
    "by_hand",
    "detached",
    "interop",
    "make_cell",
    "unroll",
]

hide_frames(__name__)
