"""The cells of the engine beside the hand-derived ones: the same case, computed by autograd."""

from typing import Any

from by_hand_cases import Case, Leaves, Variant, as_tuple, state_leaves
from minigrad.models.cells import GRU, LSTM, RNN, GatedRNN
from minigrad.models.layers import unroll
from minigrad.models.recurrent import Cell
from minigrad.models.states import with_parts

from minigrad import Tensor

CLASSES = {"rnn": RNN, "gated_rnn": GatedRNN, "gru": GRU, "lstm": LSTM}


def cell_of(variant: Variant, D: int, H: int, **more: Any) -> Cell[Any]:
    """The engine's cell for a variant of by_hand."""
    options = dict(variant.options)
    if variant.module.__name__.endswith(".rnn"):
        options = {"nonlinearity": variant.options.get("activation", "tanh")}
    options["bias"] = any(name[0] == "b" for name in variant.shapes)
    return CLASSES[variant.module.__name__.split(".")[-1]](D, H, **options, **more)


def by_autograd(case: Case, hoist: bool, **more: Any) -> Leaves:
    """The gradient of the case's loss by the engine, by leaf name."""
    cell = cell_of(case.variant, case.xs.shape[-1], case.d_hs.shape[-1], **more)
    cell.load_by_gate(case.params)
    return gradients(cell, case, hoist)


def gradients(cell: Cell[Any], case: Case, hoist: bool) -> Leaves:
    """The gradient of the case's loss by a cell that has its parameters already."""
    xs = Tensor(case.xs, requires_grad=True)
    starts = tuple(Tensor(part, requires_grad=True) for part in as_tuple(case.state))
    hs, final = unroll(cell, xs, with_parts(cell.initial_state(1), starts), hoist=hoist)
    loss = (hs * case.d_hs).sum()
    for part, sent in zip(as_tuple(final), as_tuple(case.d_state), strict=True):
        loss = loss + (part * sent).sum()
    loss.backward()
    grads = tuple(start.grad for start in starts)
    return cell.by_gate(grad=True) | {"xs": xs.grad} | state_leaves(grads if isinstance(case.state, tuple) else grads[0])
