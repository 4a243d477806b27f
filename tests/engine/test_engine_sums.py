"""Sums of rows and of columns are NumPy's, whatever the dtype, the order in memory and the size; and so are sums of shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad.gradients import ArrayAccumulator, OfResult, OuterProduct, Partial, Piece, added_up
from minigrad.graph import Leaf, Node
from minigrad.guard import Array
from minigrad.sums import add_rows, column_sums, row_sums

SHAPES = ((1, 1), (1, 5), (4, 1), (3, 4), (130, 7), (0, 3), (3, 0))
DTYPES = ("f2", "f4", "f8", np.longdouble, ">f8")
EXACT = {"f2": 2e-3, "f4": 1e-6}


def matrix(shape: tuple[int, ...], dtype: Any = float) -> Array:
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sums_of_columns_and_of_rows_have_numpys_shape_dtype_and_value(shape: tuple[int, int], dtype: Any) -> None:
    x = matrix(shape, dtype)
    tolerance = EXACT.get(str(dtype), 1e-13) * 10
    exact = x.astype(np.longdouble)
    for found, expected in ((column_sums(x), exact.sum(0)), (row_sums(x), exact.sum(1, keepdims=True))):
        assert isinstance(found, np.ndarray)
        assert (found.shape, found.dtype.newbyteorder("=")) == (expected.shape, x.dtype.newbyteorder("="))
        np.testing.assert_allclose(found.astype(np.longdouble), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_the_order_in_memory_does_not_count(dtype: str) -> None:
    x = matrix((12, 10), dtype)
    for view in (
        x.T,
        x[::2, ::3],
        x[::-1],
        np.asfortranarray(x),
        np.broadcast_to(x[0], (4, 10)),
        np.broadcast_to(x[:, :1], (12, 5)),
    ):
        tolerance = 10 * EXACT.get(dtype, 1e-14)
        np.testing.assert_allclose(column_sums(view), view.astype(float).sum(0), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(row_sums(view), view.astype(float).sum(1, keepdims=True), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_what_is_not_finite_stays_in_its_own_row_and_column(dtype: str) -> None:
    x = matrix((6, 5), dtype)
    x[2, 3], x[4, 1] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        assert np.isfinite(column_sums(x)).tolist() == [True, False, True, False, True]
        assert np.isfinite(row_sums(x)[:, 0]).tolist() == [True, True, False, True, False, True]
        assert np.isnan(column_sums(x)[3])
        assert column_sums(x)[1] == np.inf


def test_sums_of_many_numbers_in_single_precision_are_exact_to_three_digits() -> None:
    x = np.full((100_000, 2), 0.1, np.float32)
    np.testing.assert_allclose(column_sums(x), 1e4, rtol=1e-3)
    np.testing.assert_allclose(row_sums(np.ascontiguousarray(x.T)), 1e4, rtol=1e-3)


# ---------------------------------------------------------------- shares that waited


def node(*shape: int, dtype: Any = np.float64) -> Leaf:
    return Leaf(shape, np.dtype(dtype), True)


def dense(share: Any, to: Node) -> Array:
    """A share as an array of the shape of the node, in the simplest way."""
    whole = np.zeros(to.shape)
    if isinstance(share, OuterProduct):
        whole += np.einsum("rm,rn->mn", share.left, share.right)
    elif isinstance(share, Piece):
        whole[share.span[3]] += share.values
    elif isinstance(share, Partial):
        np.add.at(whole, share.index, share.values)
    else:
        whole += share if share.shape == to.shape else share.reshape(-1, *to.shape).sum(0)
    return whole


def columns(start: int, stop: int) -> tuple[int, int, int, Any]:
    return 1, start, stop, (slice(None), slice(start, stop))


MATRIX = {
    "a product": OuterProduct(matrix((5, 3)), matrix((5, 4))),
    "another product": OuterProduct(matrix((2, 3)), matrix((2, 4))),
    "an array": matrix((3, 4)),
    "the first columns": Piece(matrix((3, 2)), columns(0, 2)),
    "the last column": Piece(matrix((3, 1)), columns(3, 4)),
    "a row": Piece(matrix((4,)), (0, 1, 2, 1)),
    "entries": Partial(matrix((3,)), ([0, 2, 0], [1, 1, 1]), exact=False),
    "a corner": Partial(matrix((2, 2)), np.s_[1:, :2], exact=True),
}
VECTOR = {
    "rows": matrix((5, 4)),
    "more rows": matrix((2, 4)),
    "rows of all steps": matrix((3, 2, 4)),
    "an array": matrix((4,)),
    "a part": Piece(matrix((2,)), (0, 1, 3, slice(1, 3))),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("first", MATRIX)
def test_contributions_to_a_matrix_add_up_whatever_kind_comes_first(first: str, dtype: Any) -> None:
    to = node(3, 4, dtype=dtype)
    for others in ([], *[[name] for name in MATRIX], list(MATRIX)):
        sums, sent = ArrayAccumulator(), [MATRIX[name] for name in (first, *others)]
        for share in sent:
            sums.send(to, share)
        total = sums.take(to)
        assert (total.dtype, total.shape) == (to.dtype, to.shape)
        tolerance = 1e-14 if dtype == np.float64 else 1e-6
        np.testing.assert_allclose(total, sum(dense(share, to) for share in sent), rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("first", VECTOR)
def test_contributions_to_a_vector_add_up_whatever_kind_comes_first(first: str) -> None:
    to = node(4)
    for others in ([], *[[name] for name in VECTOR], list(VECTOR), ["rows"] * 200):
        sums, sent = ArrayAccumulator(), [VECTOR[name] for name in (first, *others)]
        before = [share.copy() for share in sent if isinstance(share, np.ndarray)]
        for share in sent:
            sums.send(to, share)
        np.testing.assert_allclose(sums.take(to), sum(dense(share, to) for share in sent), rtol=1e-13, atol=1e-13)
        after = [share for share in sent if isinstance(share, np.ndarray)]
        assert [share.tobytes() for share in after] == [share.tobytes() for share in before]


def test_one_contribution_that_waited_is_added_up_with_the_dtype_and_the_shape_of_its_node() -> None:
    for share in MATRIX.values():
        if not isinstance(share, np.ndarray):
            to = node(3, 4, dtype=np.float32)
            found = added_up(share, to)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, dense(share, to), rtol=1e-5, atol=1e-6)
    stretched = node(1, 4)
    np.testing.assert_allclose(
        added_up(OuterProduct(matrix((5, 3)), matrix((5, 4))), stretched),
        dense(MATRIX["a product"], node(3, 4)).sum(0, keepdims=True),
        rtol=1e-13,
    )


def test_contributions_to_several_results_stay_apart() -> None:
    to, x, y = node(2), matrix((2,)), matrix((2,)) + 1
    sums = ArrayAccumulator()
    for which, share in ((0, x), (-1, y), (0, y)):
        sums.send(to, OfResult(share, which))
    found = sums.take(to)
    assert found.keys() == {0, -1}
    np.testing.assert_array_equal(found[0], x + y)
    np.testing.assert_array_equal(found[-1], y)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(127,), (128,), (40, 16), (500,)])
@pytest.mark.parametrize("kind", [np.int64, np.int8, np.uint8])
def test_rows_are_added_where_they_were_taken_from(shape: tuple[int, ...], kind: Any, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.integers(0 if kind is np.uint8 else -7, 7, shape).astype(kind)
    rows = rng.integers(-9, 9, (*shape, 2, 3)).astype(dtype)
    found, expected = np.ones((2, 300, 2, 3), dtype)
    add_rows(found, numbers, rows)
    np.add.at(expected, numbers, rows)
    np.testing.assert_array_equal(found, expected)
