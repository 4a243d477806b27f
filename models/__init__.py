"""Recurrent networks composed from minigrad operations."""

from models import by_hand
from models.cells import CELLS, GRU, LSTM, RNN, GatedRNN, LSTMState, make_cell
from models.layers import Head, unroll

__all__ = ["CELLS", "GRU", "LSTM", "RNN", "GatedRNN", "Head", "LSTMState", "by_hand", "make_cell", "unroll"]
