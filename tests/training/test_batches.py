"""What becomes of arrays, lists of sequences and ready-made batches, and what is refused."""

from typing import Any

import numpy as np
import pytest
from minigrad.models.streams import Streams
from minigrad.models.training import Batch, Batches, as_source

from minigrad import Tensor
from minigrad.errors import ArgumentError, MinigradError, ShapeError

RNG = np.random.default_rng(3)


def only(*arrays: Any, **options: Any) -> Batch:
    (batch,) = Batches(*arrays, shuffle=False, **{"batch_size": 99, **options}).batches(0)
    return batch


@pytest.mark.parametrize(
    ("inputs", "targets", "axes", "per_step", "weight"),
    [
        ((6, 3), (6,), (0, 0), False, 6),
        ((6, 3), (6, 2), (0, 0), False, 6),
        ((6, 3), (9, 6), (0, 1), False, 6),
        ((9, 6, 3), (6,), (1, 0), False, 6),
        ((9, 6, 3), (6, 2), (1, 0), False, 6),
        ((9, 6, 3), (9, 6), (1, 1), True, 54),
        ((9, 6, 3), (9, 6, 2), (1, 1), True, 54),
        ((9, 6, 3), (4, 6), (1, 1), False, 6),
    ],
)
def test_the_examples_of_arrays_lie_where_time_leaves_them(
    inputs: tuple[int, ...], targets: tuple[int, ...], axes: tuple[int, int], per_step: bool, weight: int
) -> None:
    batch = only(RNG.normal(size=inputs), RNG.normal(size=targets))
    assert (batch.axes, batch.per_step, batch.weight, batch.size, batch.lengths) == (axes, per_step, weight, 6, None)


def test_integers_of_two_axes_are_symbols_in_time() -> None:
    batch = only(RNG.integers(5, size=(9, 6)), RNG.integers(5, size=(9, 6)))
    assert (batch.axes, batch.per_step, batch.weight) == ((1, 1), True, 54)


def test_batches_are_cut_along_the_examples_and_the_last_may_be_smaller() -> None:
    xs, ys = RNG.normal(size=(4, 7, 2)), np.arange(7)
    batches = list(Batches(xs, ys, batch_size=3, shuffle=False).batches(0))
    assert [batch.size for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(batches[1].inputs[0], xs[:, 3:6])
    np.testing.assert_array_equal(batches[1].targets, [3, 4, 5])
    dropped = Batches(xs, ys, batch_size=3, drop_last=True)
    assert len(dropped) == len(list(dropped.batches(0))) == 2


def test_every_epoch_has_an_order_of_its_own_that_the_seed_decides() -> None:
    def order(seed: int, epoch: int, start: int = 0) -> list[int]:
        source = Batches(np.arange(20.0), np.arange(20), batch_size=6, seed=seed)
        return [int(k) for batch in source.batches(epoch, start) for k in batch.targets]

    assert sorted(order(0, 0)) == list(range(20))
    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert order(4, 2, start=2) == order(4, 2)[12:]


def test_several_inputs_and_padded_sequences_with_their_lengths() -> None:
    xs, more, ys = RNG.normal(size=(5, 4, 2)), RNG.normal(size=(4, 3)), RNG.integers(2, size=(5, 4))
    batch = only(xs, more, ys, lengths=[5, 1, 2, 3])
    assert [array.shape for array in batch.inputs] == [(5, 4, 2), (4, 3)]
    assert (batch.lengths.tolist(), batch.weight, batch.steps) == ([5, 1, 2, 3], 11, 11)
    np.testing.assert_array_equal(batch.valid, np.arange(5)[:, None] < [5, 1, 2, 3])


def test_sequences_that_are_all_of_one_length_need_no_lengths() -> None:
    batch = only([np.ones((3, 2)), np.zeros((3, 2))], [np.ones(3, int), np.zeros(3, int)])
    assert (batch.inputs[0].shape, batch.targets.shape, batch.lengths, batch.per_step) == ((3, 2, 2), (3, 2), None, True)


def test_targets_may_have_lengths_of_their_own_and_are_filled_up_with_what_is_asked_for() -> None:
    batch = only([[1, 2, 3], [4]], [[5, 9], [6, 7, 8, 9]], padding=9)
    assert batch.targets.T.tolist() == [[5, 9, 9, 9], [6, 7, 8, 9]]
    assert (batch.lengths.tolist(), batch.target_lengths.tolist(), batch.weight) == ([3, 1], [2, 4], 6)
    assert batch.valid is None


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
@pytest.mark.parametrize(
    "arrays",
    [
        (RNG.normal(size=(4, 3)), RNG.normal(size=4)),
        ([RNG.normal(size=(T, 2)) for T in (3, 1, 2, 3)], [0, 1, 1, 0]),
        ([RNG.normal(size=(T, 2)) for T in (3, 1, 2, 3)], [np.arange(T) for T in (3, 1, 2, 3)]),
        ([[1, 2, 3], [4], [1, 1]], [[5, 9], [6, 7, 8, 9], [9]]),
    ],
)
def test_parts_of_a_batch_have_its_examples_and_its_weight(arrays: Any, parts: int) -> None:
    batch = only(*arrays)
    cut = [batch.part(number, parts) for number in range(parts)]
    assert sum(part.size for part in cut) == batch.size
    assert sum(part.weight for part in cut) == batch.weight
    assert max(part.size for part in cut) - min(part.size for part in cut) <= 1
    np.testing.assert_array_equal(np.concatenate([part.inputs[0] for part in cut], batch.axes[0]), batch.inputs[0])
    np.testing.assert_array_equal(np.concatenate([part.targets for part in cut], batch.axes[-1]), batch.targets)


def test_streams_are_gone_through_chunk_by_chunk() -> None:
    source = as_source(Streams(np.arange(50) % 7, batch=2, steps=5))
    batches = list(source.batches(0, 0))
    assert [batch.starts for batch in batches] == [True, False, False, False]
    assert (batches[0].weight, batches[0].steps, batches[0].per_step) == (10, 10, True)
    assert source.settings() == {"batch": 2, "steps": 5, "chunks": 4}


def test_tensors_are_data_too() -> None:
    assert only(Tensor(np.ones((4, 2))), Tensor(np.ones(4))).size == 4


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((np.ones((6, 3)), np.ones(5)), {}, ShapeError, r"the inputs are 6 examples, and array 2 of 2 is \(5,\)"),
        (
            (np.ones((100, 20, 3)), np.ones(100)),
            {},
            ShapeError,
            r"The inputs, \(100, 20, 3\), look as if their examples lay on the first axis; here time comes first: xs.swapaxes",
        ),
        ((np.ones((6, 3)), np.ones((6, 6))), {}, ShapeError, r"array 2 of 2, \(6, 6\), has 6 on both of its first axes; say"),
        ((np.ones((6, 3)), np.ones(6)), {"batch_axis": 2}, ArgumentError, r"inputs, \(6, 3\), has no axis 2 for the examples"),
        ((np.ones((6, 3)), np.ones(6)), {"batch_axis": (0,)}, ArgumentError, "one number for each of 2 arrays"),
        ((np.ones((6, 3)), np.ones((3, 2))), {"batch_axis": 0}, ShapeError, "the inputs are 6 examples, and array 2 of 2 3"),
        ((np.ones((0, 3)), np.ones(0)), {}, ArgumentError, "there is not one example"),
        ((np.ma.masked_array(np.ones((6, 3))), np.ones(6)), {}, MinigradError, "batches: inputs.*masked"),
        (([], []), {}, ArgumentError, "there is not one example"),
        (([[1, 2], [3]], [0]), {}, ShapeError, "the inputs are 2 examples, and array 2 of 2 1"),
        (([np.ones((3, 2)), np.ones((4, 3))], [0, 1]), {}, ShapeError, r"all sequences must be \(T, …\) with the same …"),
        (([np.ones(3), np.ones((4, 3))], [0, 1]), {}, ShapeError, "examples have 1, 2 axes; all need as many"),
        (([np.ones(3), np.ones(4)], [0, 1]), {}, ShapeError, r"make those of one number each \(T, 1\)"),
        (
            ([np.ones((3, 2)), np.ones((3, 2))], [np.ones(3), np.ones(3)]),
            {},
            ShapeError,
            "can be one for each step or one vector",
        ),
        ((["one", "two"], [0, 1]), {}, ArgumentError, "inputs, example 0: expected numbers, got str"),
        ((np.ones((6, 3)), None), {}, ArgumentError, "array 2 of 2: expected numbers, got NoneType"),
        ((np.ones((6, 3)), np.ones(6)), {"lengths": [1, 2]}, ShapeError, "lengths must be 6 integers, one for each example"),
        ((np.ones((6, 3)), np.ones(6)), {"drop_last": True}, ArgumentError, "leaves nothing of 6 examples in batches of 99"),
        ((np.ones((6, 3)), np.ones(6)), {"shuffle": 1}, ArgumentError, "shuffle: expected True or False"),
    ],
)
def test_data_that_cannot_be_told_is_refused(arrays: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Batches(*arrays, **{"batch_size": 99, **options})


def test_targets_of_as_many_numbers_as_examples_are_told_apart_by_their_axis() -> None:
    assert only(np.ones((6, 3)), np.ones((6, 6)), batch_axis=0).axes == (0, 0)
    assert only(np.ones((6, 3)), np.ones((6, 6)), batch_axis=(0, 1)).axes == (0, 1)


@pytest.mark.parametrize("batch", [3, "xy", ()])
def test_what_is_no_batch_is_refused(batch: Any) -> None:
    with pytest.raises(ArgumentError, match=r"a batch is a tuple \(inputs, targets\)"):
        next(as_source([batch]).batches(0, 0))
