"""Bad inputs: every one gets a typed error that names the operation, what it expected and what it got."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor
from minigrad.errors import ArgumentError, ConversionError, DTypeError, IndexingError, LabelError, MinigradError, ShapeError

M = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
V = Tensor([1.0, 2.0, 3.0], requires_grad=True)
HS = Tensor(np.zeros((5, 2, 3)), requires_grad=True)
NUMBER = Tensor(1.0, requires_grad=True)
WHOLE = Tensor([1, 2, 3])
TRUTH = Tensor([True, False, True])
RAGGED: Any = [[1], [1, 2]]

Bad = tuple[Callable[[], Any], type[MinigradError], str]

ENTRYWISE: list[Bad] = [
    (lambda: M + np.ones(4), ShapeError, r"add: shapes \(2, 3\) and \(4,\) cannot be broadcast"),
    (lambda: M**np.ones(4), ShapeError, r"pow: shapes \(2, 3\) and \(4,\)"),
    (lambda: M / Tensor(np.ones((3, 3))), ShapeError, r"div: shapes \(2, 3\) and \(3, 3\)"),
    (lambda: mg.maximum(M, np.ones(4)), ShapeError, "maximum: shapes"),
    (lambda: mg.logaddexp(M, np.ones(4)), ShapeError, "logaddexp: shapes"),
    (lambda: mg.compare(np.less, M, np.ones(4)), ShapeError, "less: shapes"),
    (lambda: M + "a", DTypeError, "add: expected a Tensor, a real number or an array of real numbers, got str"),
    (lambda: M + None, DTypeError, "add: .* got NoneType"),
    (lambda: M + 1j, DTypeError, "add: .* got complex"),
    (lambda: M * np.array([1j]), DTypeError, "mul: .* got an array of dtype complex128"),
    (lambda: M - np.array([None]), DTypeError, "sub: .* got an array of dtype object"),
    (lambda: M + {}, DTypeError, "add: .* got dict"),
    (lambda: mg.add(M, RAGGED), ShapeError, "add: expected numbers or evenly nested lists"),
    (lambda: M + 10**400, DTypeError, "add: not defined for float64 and 10000"),
    (lambda: Tensor(np.array([1], np.int8)) + 300, DTypeError, "add: not defined for int8 and 300"),
    (lambda: TRUTH - TRUTH, DTypeError, "sub: not defined for bool and bool"),
    (lambda: -TRUTH, DTypeError, "neg: not defined for bool"),
    (lambda: WHOLE**-1, DTypeError, "pow: not defined for int64 and -1; convert to numbers that can hold the result"),
    (lambda: mg.exp("a"), DTypeError, "exp: expected a Tensor"),
    (lambda: mg.sqrt([["a"]]), DTypeError, "sqrt: .* dtype <U1"),
    (lambda: mg.tanh(1j), DTypeError, "tanh: .* got complex"),
    (lambda: mg.softplus(None), DTypeError, "softplus: .* got NoneType"),
    (lambda: mg.where(M, M, 0.0), DTypeError, "where: expected a condition of booleans, got float64; write x != 0"),
    (lambda: mg.where(M > 0, M, np.ones(4)), ShapeError, r"where: shapes \(2, 3\), \(2, 3\) and \(4,\)"),
    (lambda: mg.where(M > 0, M, "a"), DTypeError, "where: .* got str"),
    (lambda: mg.where(M > 0, M), ArgumentError, "where: expected a condition and two choices"),
    (lambda: mg.clip(M), ArgumentError, "clip: expected a lower bound, an upper bound or both, got none"),
    (lambda: mg.clip(M, 0.0, min=0.0), ArgumentError, "clip: expected a_min or min, got both"),
    (lambda: mg.clip(M, np.ones(4)), ShapeError, r"clip: shapes \(2, 3\) and \(4,\)"),
    (lambda: mg.clip(M, "a"), DTypeError, "clip: .* got str"),
    (lambda: M.astype("foo"), DTypeError, "astype: expected a dtype such as np.float32, got 'foo'"),
    (lambda: M.astype(complex), DTypeError, "astype: .* got complex128"),
    (lambda: M.astype(int), DTypeError, "astype: int64 has no gradient"),
]
PRODUCTS: list[Bad] = [
    (lambda: M @ M, ShapeError, r"matmul: .* got \(2, 3\) @ \(2, 3\)"),
    (lambda: M @ 3.0, ShapeError, r"matmul: .* got \(2, 3\) @ \(\)"),
    (lambda: M @ "a", DTypeError, "matmul: .* got str"),
    (lambda: np.ones((2, 2, 3)) @ Tensor(np.ones((3, 3, 4))), ShapeError, "matmul: expected"),
    (lambda: mg.dot(M, M), ShapeError, r"dot: .* got \(2, 3\) and \(2, 3\)"),
    (lambda: mg.dot(M, "a"), DTypeError, "mul: .* got str"),
    (lambda: mg.vdot(M, V), ShapeError, "vdot: expected operands with equally many entries, got 6 and 3"),
    (lambda: mg.outer(M, "a"), DTypeError, "outer: .* got str"),
    (lambda: mg.einsum("ij,jk", M, V), ShapeError, "einsum: 'jk' of 'ij,jk' names 2 axes, the operand has 1"),
    (lambda: mg.einsum("ij,jk", M), ArgumentError, "einsum: 'ij,jk' names 2 operands, got 1"),
    (lambda: mg.einsum("ij,ij->i", M, np.ones((2, 4))), ShapeError, "einsum: a letter of 'ij,ij->i' stands for axes of"),
    (lambda: mg.einsum("ii->i", M), ShapeError, "einsum: a letter of 'ii->i' stands for axes of different lengths in"),
    (lambda: mg.einsum("ij->k", M), ArgumentError, "einsum: in 'ij->k' every letter after ->"),
    (lambda: mg.einsum("ij->ii", M), ArgumentError, "einsum: in 'ij->ii' every letter after ->"),
    (lambda: mg.einsum("ij->i->j", M), ArgumentError, "einsum: in 'ij->i->j'"),
    (lambda: mg.einsum("i!->i", M), ArgumentError, "einsum: expected letters"),
    (lambda: mg.einsum("i...j.->i", M), ArgumentError, "einsum: expected letters"),
    (lambda: mg.einsum(""), ArgumentError, "einsum: '' names 1 operands, got 0"),
    (lambda: mg.einsum(M, [0, 1]), ArgumentError, "einsum: expected subscripts such as 'ij,jk->ik' first, got Tensor"),
]
REDUCTIONS: list[Bad] = [
    (lambda: M.sum(axis=2), ArgumentError, "sum: expected an axis from -2 to 1, got 2"),
    (lambda: M.sum(axis=(0, -2)), ArgumentError, r"sum: expected each axis once, got \(0, -2\)"),
    (lambda: M.sum(axis=1.0), ArgumentError, "sum: expected an integer axis, got 1.0"),
    (lambda: M.mean(axis="a"), ArgumentError, "mean: expected an integer axis, got 'a'"),
    (lambda: M.max(axis=-3), ArgumentError, "max: expected an axis from -2 to 1, got -3"),
    (lambda: M.var(axis=4), ArgumentError, "var: expected an axis"),
    (lambda: NUMBER.sum(axis=1), ArgumentError, r"sum: expected no axis, since the shape is \(\), got 1"),
    (lambda: mg.flip(NUMBER, 0), ArgumentError, r"flip: expected no axis, since the shape is \(\), got 0"),
    (lambda: mg.cumsum(M, 2), ArgumentError, "cumsum: expected an axis from -2 to 1, got 2"),
    (lambda: mg.cumsum(M, (0, 1)), ArgumentError, "cumsum: expected an integer axis"),
    (lambda: mg.logsumexp(M, 4), ArgumentError, "logsumexp: expected an axis"),
    (lambda: mg.softmax(M, 2), ArgumentError, "softmax: expected an axis"),
    (lambda: mg.log_softmax(NUMBER, 1), ArgumentError, "log_softmax: expected no axis"),
    (lambda: mg.argmax(M, 3), ArgumentError, "argmax: expected an axis"),
    (lambda: mg.argmin(M, (0, 1)), ArgumentError, "argmin: expected an integer axis"),
]
ARRANGING: list[Bad] = [
    (lambda: M.reshape(4), ShapeError, r"reshape: 6 entries of shape \(2, 3\) do not fit into 4"),
    (lambda: M.reshape(-1, -1), ShapeError, r"reshape: expected lengths ≥ 0, or −1 for one .* found, got \(-1, -1\)"),
    (lambda: M.reshape(np.int64(-1), -1), ShapeError, "reshape: expected lengths ≥ 0, or −1 for one that is to be found"),
    (lambda: M.reshape(np.int64(-2), 3), ShapeError, "reshape: expected lengths ≥ 0, or −1 for one that is to be found"),
    (lambda: M.reshape("a"), ShapeError, "reshape: .* do not fit into 'a'"),
    (lambda: mg.transpose(M, (0,)), ArgumentError, r"transpose: expected each of the 2 axes once, got \(0,\)"),
    (lambda: mg.transpose(M, (0, 0)), ArgumentError, "transpose: expected each axis once"),
    (lambda: Tensor(np.ones((2, 3, 4))).transpose(0, 1), ArgumentError, r"; to exchange two of them, swapaxes\(0, 1\)"),
    (lambda: M.transpose(0, 2), ArgumentError, "transpose: expected an axis from -2 to 1, got 2"),
    (lambda: mg.swapaxes(M, 0, 2), ArgumentError, "swapaxes: expected an axis"),
    (lambda: mg.moveaxis(M, [0, 1], [0]), ArgumentError, "moveaxis: expected as many sources as destinations"),
    (lambda: mg.moveaxis(M, 3, 0), ArgumentError, "moveaxis: expected an axis"),
    (lambda: mg.squeeze(M, 0), ShapeError, r"squeeze: axis 0 of shape \(2, 3\) has length 2, not 1"),
    (lambda: mg.expand_dims(M, 5), ArgumentError, "expand_dims: expected an axis from -3 to 2, got 5"),
    (lambda: mg.expand_dims(M, (0, 0)), ArgumentError, "expand_dims: expected each axis once"),
    (lambda: mg.broadcast_to(M, (2, 4)), ShapeError, r"broadcast_to: shape \(2, 3\) cannot be stretched to \(2, 4\)"),
    (lambda: mg.broadcast_to(M, "ab"), ShapeError, "broadcast_to: .* to 'ab'"),
    (lambda: mg.flip(M, 2), ArgumentError, "flip: expected an axis"),
    (lambda: mg.pad(M, -1), ArgumentError, "pad: expected widths that are integers ≥ 0, got -1"),
    (lambda: mg.pad(M, 1.5), ArgumentError, "pad: expected widths that are integers ≥ 0, got 1.5"),
    (lambda: mg.pad(M, (1, 2, 3)), ShapeError, r"pad: pad_width \(1, 2, 3\) does not give \(before, after\) for 2 axes"),
    (lambda: mg.pad(M, 1, constant_values=[1, 2, 3]), ShapeError, "pad: constant_values"),
    (lambda: mg.pad(M, 1, constant_values=V[0]), DTypeError, "pad: constant_values gets no gradient"),
    (lambda: mg.pad(M, 1, "edge"), ArgumentError, "pad: expected mode 'constant', got 'edge'"),
    (lambda: mg.repeat(M, -1), ArgumentError, "repeat: expected repeats that are integers ≥ 0, got -1"),
    (lambda: mg.repeat(M, 1.5), ArgumentError, "repeat: expected repeats that are integers ≥ 0"),
    (lambda: mg.repeat(M, [1, 2], axis=1), ShapeError, "repeat: expected one number or 3, one for each entry along axis 1"),
    (lambda: mg.repeat(M, RAGGED), ShapeError, "repeat: expected numbers or evenly nested lists"),
    (lambda: mg.tile(M, -1), ArgumentError, "tile: expected reps that are integers ≥ 0"),
    (lambda: mg.tile(M, [[1, 2], [3, 4]]), ArgumentError, "tile: expected reps"),
    (lambda: mg.concatenate([M, V]), ShapeError, r"concatenate: shapes must be equal except along axis 0, got \[\(2, 3\),"),
    (lambda: mg.concatenate([]), ShapeError, "concatenate: expected at least one tensor"),
    (lambda: mg.concatenate(5), DTypeError, "concatenate: expected a sequence of tensors, got int"),
    (lambda: mg.concatenate([M, M], axis=2), ArgumentError, "concatenate: expected an axis"),
    (lambda: mg.concatenate([NUMBER, NUMBER]), ShapeError, r"concatenate: a tensor of shape \(\) has no axis to join along;"),
    (lambda: mg.concatenate([M, "a"]), DTypeError, "concatenate: .* got str"),
    (lambda: mg.stack([M, V]), ShapeError, r"stack: all shapes must be equal, got \[\(2, 3\), \(3,\)\]"),
    (lambda: mg.stack([M, M], axis=3), ArgumentError, "stack: expected an axis from -3 to 2, got 3"),
    (lambda: mg.vstack([M, NUMBER]), ShapeError, "vstack: shapes must be equal"),
    (lambda: mg.hstack([M, V]), ShapeError, "hstack: shapes must be equal"),
    (lambda: mg.split(M, 2, axis=1), ShapeError, r"split: axis 1 of shape \(2, 3\) cannot be cut into 2 equal parts"),
    (lambda: mg.split(M, 0), ShapeError, "split: .* cannot be cut into 0 equal parts"),
    (lambda: mg.split(M, 1.5), DTypeError, "split: expected a number of parts or a sequence of integers, got 1.5"),
    (lambda: mg.split(M, [0.5]), DTypeError, "split: expected a number of parts"),
    (lambda: mg.unbind(M, 2), ArgumentError, "unbind: expected an axis"),
    (lambda: mg.unbind(NUMBER), ArgumentError, "unbind: expected no axis"),
]
INDEXING: list[Bad] = [
    (lambda: M[2], IndexingError, r"getitem: the index does not fit shape \(2, 3\)"),
    (lambda: M[0, 0, 0], IndexingError, "getitem: the index does not fit"),
    (lambda: M[[0, 5]], IndexingError, "getitem: the index does not fit"),
    (lambda: M[[0, 1], [0, 1, 2]], IndexingError, "getitem: the index does not fit"),
    (lambda: M[np.ones((3, 2), bool)], IndexingError, "getitem: the index does not fit"),
    (lambda: M[..., ...], IndexingError, "getitem: the index does not fit"),
    (lambda: M[::0], IndexingError, "getitem: the index does not fit"),
    (lambda: M["a":], IndexingError, "getitem: the index does not fit"),
    (lambda: M[0.5], IndexingError, "getitem: expected integers, slices, None, ... or arrays .*, got 0.5"),
    (lambda: M["a"], IndexingError, "getitem: expected integers, .*, got 'a'"),
    (lambda: M[V], IndexingError, "getitem: expected integers"),
    (lambda: M[RAGGED], ShapeError, "getitem: expected numbers or evenly nested lists"),
    (lambda: mg.take(M, [2], axis=0), IndexingError, r"take: expected integers from -2 to 1, got 2 at position \(0,\)"),
    (lambda: mg.take(M, [0, -3], axis=0), IndexingError, r"take: expected integers from -2 to 1, got -3 at position \(1,\)"),
    (lambda: mg.take(M, [0.5]), DTypeError, "take: expected integers, got dtype float64"),
    (lambda: mg.take(M, [True]), DTypeError, "take: expected integers, got dtype bool"),
    (lambda: mg.take(M, RAGGED), ShapeError, "take: expected numbers or evenly nested lists"),
    (lambda: mg.take_along_axis(M, [[-1], [0]], 1), IndexingError, r"take_along_axis: expected integers from 0 to 2, got -1"),
    (lambda: mg.take_along_axis(M, [0, 1], 1), ShapeError, r"take_along_axis: expected indices of the shape \(2, 3\)"),
    (lambda: mg.take_along_axis(M, np.zeros((4, 1), int), 1), ShapeError, "take_along_axis: expected indices of the shape"),
    (lambda: mg.take_along_axis(NUMBER, [0], 0), ArgumentError, "take_along_axis: expected no axis"),
    (lambda: mg.gather(M, 1, [[-1], [0]]), IndexingError, r"take_along_axis: expected integers from 0 to 2, got -1"),
    (lambda: mg.gather(M, 1, [0]), ShapeError, r"gather: expected an index of at most the shape \(2, 3\), off axis 1, got"),
    (lambda: mg.gather(M, 1, [[0], [0], [0]]), ShapeError, r"gather: expected an index of at most .*, got \(3, 1\)"),
    (lambda: mg.gather(M, 2, [[0]]), ArgumentError, "gather: expected an axis from -2 to 1, got 2"),
    (lambda: mg.gather(M, 0, [[0.5]]), DTypeError, "gather: expected integers, got dtype float64"),
    (lambda: mg.embedding([-1], M), IndexingError, r"embedding: expected integers from 0 to 1, got -1 at position \(0,\)"),
    (lambda: mg.embedding([[0, 2]], M), IndexingError, r"embedding: expected integers from 0 to 1, got 2 at position \(0, 1\)"),
    (lambda: mg.embedding([0.5], M), DTypeError, "embedding: expected integers, got dtype float64"),
    (lambda: mg.embedding(M, [0, 1]), DTypeError, "embedding: expected integers, got dtype float64"),
    (lambda: mg.embedding([True], M), DTypeError, "embedding: expected integers, got dtype bool"),
    (lambda: mg.embedding([0], V), ShapeError, r"embedding: expected a table of shape \(V, D\), got \(3,\)"),
]
LOSSES: list[Bad] = [
    (lambda: mg.cross_entropy(M, [0]), ShapeError, r"cross_entropy: logits of shape \(2, 3\) need targets of shape \(2,\),"),
    (lambda: mg.cross_entropy(M, [[0], [1]]), ShapeError, r"cross_entropy: .* got \(2, 1\)"),
    (lambda: mg.cross_entropy(M, [0, -1]), LabelError, r"cross_entropy: expected labels from 0 to 2, got -1 at position"),
    (lambda: mg.cross_entropy(M, [3, 0]), LabelError, r"cross_entropy: expected labels from 0 to 2, got 3 at position \(0,\)"),
    (lambda: mg.cross_entropy(M, [0.0, 1.0]), LabelError, "cross_entropy: expected integer class labels, got dtype float64"),
    (lambda: mg.cross_entropy(M, [True, False]), LabelError, "cross_entropy: expected integer class labels, got dtype bool"),
    (lambda: mg.cross_entropy(M, RAGGED), ShapeError, "cross_entropy, targets: expected numbers or evenly nested lists"),
    (lambda: mg.cross_entropy(M, [0, 1], "avg"), ArgumentError, "cross_entropy: expected reduction 'mean', 'sum' or 'none',"),
    (lambda: mg.cross_entropy(M, [0, 1], ignore_index="a"), ArgumentError, "cross_entropy: expected ignore_index"),
    (lambda: mg.cross_entropy(M, [0, 1], ignore_index=True), ArgumentError, "cross_entropy: expected ignore_index"),
    (lambda: mg.cross_entropy(M, [0, 1], mask=[1, 0]), DTypeError, "cross_entropy: expected a mask of booleans, got dtype"),
    (lambda: mg.cross_entropy(M, [0, 1], mask=[True]), ShapeError, r"cross_entropy: expected a mask of shape \(2,\), got"),
    (lambda: mg.cross_entropy(M, [7, 7], ignore_index=7), ArgumentError, "cross_entropy: no target is left to average over"),
    (lambda: mg.cross_entropy(M, [0, 1], mask=[False, False]), ArgumentError, "cross_entropy: no target is left"),
    (lambda: mg.cross_entropy(Tensor([[1, 2]]), [0]), DTypeError, "cross_entropy: expected floating-point logits, got dtype"),
    (lambda: mg.cross_entropy(NUMBER, 0), ShapeError, r"cross_entropy: expected logits of shape \(\.\.\., N\) with N ≥ 1, got"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=[1.0, 2.0]), ShapeError, r"a weight for each of 3 classes, \(3,\), got"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=[1, -2, 1]), ArgumentError, "expected finite weights ≥ 0, got -2 for class 1"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=[1, 1, np.nan]), ArgumentError, "expected finite weights ≥ 0, got nan for"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=["a"] * 3), DTypeError, "expected weights that are real numbers, got dtype"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=V * 1.0), ConversionError, r"weight= is a constant: pass weight\.detach\(\)"),
    (lambda: mg.cross_entropy(M, [0, 1], weight=[0, 0, 1.0]), ArgumentError, "no target is left to average over whose class"),
    (lambda: mg.cross_entropy(M, [0, 1], label_smoothing=1.5), ArgumentError, "expected label_smoothing from 0 to 1, got 1.5"),
    (lambda: mg.cross_entropy(M, [0, 1], label_smoothing=True), ArgumentError, "label_smoothing from 0 to 1, got True"),
    (lambda: mg.cross_entropy(M, [0, 3], label_smoothing=0.1), LabelError, "expected labels from 0 to 2, got 3"),
    (lambda: mg.cross_entropy(HS, np.zeros((2, 5), int)), ShapeError, r"axes 0 and 1 look exch.*targets\.swapaxes\(0, 1\)"),
    (lambda: mg.cross_entropy(HS, np.zeros((5, 3), int)), ShapeError, r"axis 1 looks like .* np\.moveaxis\(logits, 1, -1\)"),
    (
        lambda: mg.cross_entropy(HS, np.zeros((5, 2), int), mask=np.ones((2, 5), bool)),
        ShapeError,
        r"expected a mask of shape \(5, 2\), got \(2, 5\); axes 0 and 1 look exchanged.*mask\.swapaxes\(0, 1\)",
    ),
    (lambda: mg.mse_loss(HS, np.zeros((2, 5, 3))), ShapeError, r"axes 0 and 1 look exchanged.*target\.swapaxes"),
    (lambda: mg.cross_entropy(M, np.eye(3)[:2]), LabelError, r"got dtype float64; pass targets\.argmax\(-1\) of one-hot rows"),
    (lambda: mg.norm(V, "fro"), ArgumentError, "norm: expected ord None, 1, 2 or np.inf, got 'fro'"),
    (lambda: mg.norm(M, 2), ArgumentError, "norm: ord=2 over 2 axes is a norm of matrices.* Of each row or column take axis="),
    (lambda: mg.norm(M, 3, 0), ArgumentError, "norm: expected ord None, 1, 2 or np.inf, got 3"),
    (lambda: mg.prod(M, 2), ArgumentError, "prod: expected an axis from -2 to 1, got 2"),
    (lambda: mg.zeros(2, -1), ShapeError, r"zeros: expected lengths that are integers ≥ 0, as in zeros\(2, 3\), got 2, -1"),
    (lambda: mg.ones("a"), ShapeError, "ones: expected lengths that are integers ≥ 0, .*, got 'a'"),
    (lambda: mg.ones((2, 3), 4), ShapeError, r"ones: .*, got \(2, 3\), 4"),
    (lambda: mg.mse_loss(np.ones((3, 1)), V), ShapeError, r"mse_loss: .* got \(3, 1\) and \(3,\); losses do not broadcast"),
    (lambda: mg.mse_loss(V, 0.0), ShapeError, r"mse_loss: .* got \(3,\) and \(\)"),
    (lambda: mg.mse_loss(V, V, "avg"), ArgumentError, "mse_loss: expected reduction"),
    (
        lambda: mg.binary_cross_entropy_with_logits(V, [[0], [1], [1]]),
        ShapeError,
        r"binary_cross_entropy_with_logits: .* got \(3,\) and \(3, 1\); losses do not broadcast",
    ),
    (
        lambda: mg.binary_cross_entropy_with_logits(V, [0, 1, 2]),
        LabelError,
        r"binary_cross_entropy_with_logits: expected targets from 0 to 1, got 2.0 at position \(2,\)",
    ),
    (lambda: mg.binary_cross_entropy_with_logits(V, [0, 1, np.nan]), LabelError, r"got nan at position \(2,\)"),
    (lambda: mg.dropout(M, 1.5, rng=0), ArgumentError, "dropout: expected a probability from 0 to 1, got 1.5"),
    (lambda: mg.dropout(M, -0.1, rng=0), ArgumentError, "dropout: expected a probability"),
    (lambda: mg.dropout(M, np.nan, rng=0), ArgumentError, "dropout: expected a probability"),
    (lambda: mg.dropout(M, "a", rng=0), ArgumentError, "dropout: expected a probability"),
    (lambda: mg.dropout(M, 1.5, training=False), ArgumentError, "dropout: expected a probability"),
    (lambda: mg.dropout(M, 0.5), ArgumentError, "dropout: expected rng to be a np.random.Generator or a seed ≥ 0, got None"),
    (lambda: mg.dropout(M, 0.5, rng=-1), ArgumentError, "dropout: expected rng"),
]
ALL = [*ENTRYWISE, *PRODUCTS, *REDUCTIONS, *ARRANGING, *INDEXING, *LOSSES]


@pytest.mark.parametrize(("call", "kind", "message"), ALL, ids=[message[:60] for _, _, message in ALL])
def test_a_bad_input_is_refused_in_our_own_words(call: Callable[[], Any], kind: type[MinigradError], message: str) -> None:
    with pytest.raises(MinigradError, match=message) as caught:
        call()
    assert type(caught.value) is kind
    assert len(str(caught.value)) < 300


def test_masked_positions_may_hold_anything() -> None:
    logits = Tensor(np.array([[0.5, -0.5], [np.nan, np.inf], [-np.inf, -np.inf]]), requires_grad=True)
    loss = mg.cross_entropy(logits, [1, -7, 99], mask=[True, False, False])
    assert loss.item() == pytest.approx(np.log(1 + np.e))
    (g,) = mg.grad(loss, logits, create_graph=True)
    (second,) = mg.grad((g * g).sum(), logits)
    np.testing.assert_array_equal(g.numpy()[1:], np.zeros((2, 2)))
    np.testing.assert_array_equal(second.numpy()[1:], np.zeros((2, 2)))
    assert np.isfinite(second.numpy()).all()


def test_mask_and_ignore_index_leave_out_what_either_names() -> None:
    rows = Tensor(np.arange(12.0).reshape(4, 3) % 5)
    losses = mg.cross_entropy(rows, [0, 1, 2, 0], "none").numpy()
    both = mg.cross_entropy(rows, [0, -1, 2, 0], ignore_index=-1, mask=[True, True, False, True])
    assert both.item() == pytest.approx((losses[0] + losses[3]) / 2)


def test_the_callers_arrays_may_change_between_forward_and_backward() -> None:
    condition, labels, ids = np.array([True, False, True]), np.array([0, 2]), np.array([1, 1])
    mask, index, factor = np.array([True, True]), np.array([0, 0]), np.array([2.0, 3.0, 4.0])
    M_leaf, V_leaf = Tensor(M.numpy(), requires_grad=True), Tensor(V.numpy(), requires_grad=True)

    def forward() -> Tensor:
        total = mg.where(condition, V_leaf, 0.0).sum() + mg.cross_entropy(M_leaf, labels, mask=mask)
        total = total + mg.embedding(ids, M_leaf).sum() + V_leaf[index].sum() + (V_leaf * factor).sum()
        return total + mg.take(V_leaf, index).sum() + mg.maximum(V_leaf, factor).sum() + mg.mse_loss(V_leaf, factor)

    expected = [g.numpy() for g in mg.grad(forward(), [M_leaf, V_leaf])]
    loss = forward()
    for array in (condition, labels, ids, mask, index, factor):
        array[...] = 0
    for found, wanted in zip(mg.grad(loss, [M_leaf, V_leaf]), expected, strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)


def test_dropout_is_repeatable_and_keeps_the_mean() -> None:
    x = Tensor(np.ones((100, 100)), requires_grad=True)
    once, again = mg.dropout(x, 0.3, rng=5), mg.dropout(x, 0.3, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(once.numpy(), again.numpy())
    assert set(np.unique(once.numpy())) == {0.0, 1 / 0.7}
    assert once.numpy().mean() == pytest.approx(1, abs=0.02)
    generator = np.random.default_rng(5)
    first, second = mg.dropout(x, 0.3, rng=generator), mg.dropout(x, 0.3, rng=generator)
    assert (first.numpy() != second.numpy()).any()
    assert mg.dropout(x, 0.3, training=False) is x
    assert mg.dropout(x, 0.0) is x
    assert not mg.dropout(x, 1.0, rng=0).numpy().any()


def test_dropout_keeps_what_is_not_finite_out_of_dropped_places() -> None:
    x = Tensor(np.full(50, np.inf), requires_grad=True)
    y = mg.dropout(x, 0.5, rng=1)
    assert set(y.numpy()) == {0.0, np.inf}
    y.backward(np.full(50, np.nan))
    assert x.grad is not None
    np.testing.assert_array_equal(np.isnan(x.grad), np.isinf(y.numpy()))


def test_the_losses_of_a_list_or_a_generator_are_added_up_as_by_the_sum_that_import_replaces() -> None:
    losses = [Tensor(2.0, requires_grad=True) for _ in range(3)]
    for given in (losses, tuple(losses), iter(losses)):
        total = mg.sum(given)
        assert total.item() == 6.0
        assert all(g == 1.0 for g in mg.grad(total, losses))
    assert mg.sum(n for n in (1.0, 2.0)).item() == 3.0
    with pytest.raises(mg.errors.ShapeError, match=r"stack\(list\)\.sum\(axis=0\) adds them entry by entry"):
        mg.sum([Tensor([1.0, 2.0], requires_grad=True)] * 2)


@pytest.mark.parametrize("name", ["mean", "max", "exp", "tanh"])
def test_a_list_of_tensors_is_to_be_stacked(name: str) -> None:
    said = rf"{name}: expected a Tensor or numbers, got a list of Tensors .*: minigrad.stack\(list\)"
    with pytest.raises(mg.errors.ConversionError, match=said):
        getattr(mg, name)([Tensor([1.0], requires_grad=True)] * 2)


def test_the_larger_of_two_numbers_is_no_maximum_over_an_axis() -> None:
    with pytest.raises(mg.errors.ArgumentError, match=r"max: the number 3 has no axes. The larger of two is maximum\(3, 1\); "):
        mg.max(3, 1)
    with pytest.raises(mg.errors.ArgumentError, match=r"smaller of two is minimum\(3, 1\); Python's own min is builtins.min"):
        mg.min(3, 1)
