"""Write tests/data/torch_ops.npz: what torch says of every operation, for test_ops_against_torch.py to hold ours to.

For each case the file holds the result, the gradient of Σ w ⊙ y (w fixed, all different) for every input, and the
gradient of Σ v ⊙ g² for every input, where g are those gradients. Needs torch; the file says which version wrote it.

    python tests/torch_ops.py
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch_ops_arrays as arrays
import torch_ops_entries as entries
from numpy.typing import NDArray
from torch_ops_entries import Case, weights

FILE = Path(__file__).parent.parent / "data" / "torch_ops.npz"
KINDS = (
    entries.unary,
    entries.binary,
    entries.products,
    entries.mixtures,
    arrays.reductions,
    arrays.shaping,
    arrays.indexing,
    arrays.products_and_norms,
    arrays.softmaxes,
)


def cases() -> list[Case]:
    """All of them."""
    return [case for kind in KINDS for case in kind()]


def ask_torch(torch: Any, case: Case) -> list[NDArray[Any]]:
    """Result, gradients, and gradients of the weighted squares of the gradients."""
    xs = [torch.tensor(x, requires_grad=True) for x in case.inputs]
    y = case.theirs(torch, *xs)
    total = (y * torch.tensor(weights(tuple(y.shape))).to(y.dtype)).sum()
    first = torch.autograd.grad(total, xs, create_graph=True, materialize_grads=True)
    squares = sum((torch.tensor(weights(tuple(g.shape), 6.0)).to(g.dtype) * g * g).sum().to(torch.float64) for g in first)
    second = [torch.zeros_like(x) for x in xs]
    if squares.requires_grad:
        second = torch.autograd.grad(squares, xs, materialize_grads=True)
    return [part.numpy(force=True) for part in (y, *first, *second)]


def write() -> None:
    """Ask torch about every case and store what it says in one long row of numbers."""
    import torch

    torch.set_num_threads(1)
    answers = {case.name: ask_torch(torch, case) for case in cases()}
    if len(answers) != len(cases()):
        raise SystemExit("two cases have the same name")
    np.savez_compressed(
        FILE,
        versions=np.array([f"torch {torch.__version__}", f"numpy {np.__version__}", f"python {sys.version.split()[0]}"]),
        names=np.array(list(answers)),
        sizes=np.array([sum(part.size for part in parts) for parts in answers.values()]),
        numbers=np.concatenate([part.astype(np.float64).ravel() for parts in answers.values() for part in parts]),
    )


if __name__ == "__main__":
    write()
