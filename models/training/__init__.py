"""Training any model with any loss: `fit` in one call, `Trainer` to be stopped and resumed to the bit.

>>> import numpy as np
>>> import minigrad as mg
>>> from minigrad.models import Head
>>> xs = np.random.default_rng(0).normal(size=(200, 3))
>>> ys = xs @ [[1.0], [-2.0], [0.5]]
>>> line = Head(3, 1, seed=0)
>>> log = fit(line, (xs[:150], ys[:150]), loss=mg.mse_loss, lr=0.05, epochs=60, validation=(xs[150:], ys[150:]))
>>> line.W_yh.numpy().round(2)
array([[ 1. , -2. ,  0.5]])
>>> sorted(log), log["validation"][-1] < 1e-4
(['loss', 'lr', 'norm', 'validation'], True)
"""

from .batch import Batch
from .batches import Batches, as_source
from .evaluation import evaluate
from .fitting import fit
from .log import Log
from .losses import Loss, loss_of
from .parallel import mpi_team
from .rates import constant, cosine
from .stopping import EarlyStopping
from .trainer import Trainer

__all__ = [
    "Batch",
    "Batches",
    "EarlyStopping",
    "Log",
    "Loss",
    "Trainer",
    "as_source",
    "constant",
    "cosine",
    "evaluate",
    "fit",
    "loss_of",
    "mpi_team",
]
