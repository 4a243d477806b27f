"""Recurrent networks composed from minigrad operations."""

from models import by_hand, interop
from models.architectures import EncoderDecoder, ManyToMany, ManyToOne, OneToMany, OneToOne
from models.cells import CELLS, GRU, LSTM, RNN, GatedRNN, LSTMState, make_cell
from models.initialisers import INITIALISERS
from models.layers import Head, RecurrentLayers, detached, unroll

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
