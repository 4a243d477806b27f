"""Products with packed matrices: equal to NumPy's for all shapes, strides and tiles."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from natively import natively

import minigrad as mg
from minigrad import Tensor, scan
from minigrad.loops.native import blas, gemm
from minigrad.loops.native import run as running

LENGTHS = (1, 2, 5, 7, 11, 12, 13, 24, 31, 32, 33, 64, 65, 97, 130)
INTEGER = ctypes.c_int64


def multiplied(a: Any, b: Any, transposed: bool, of_y: int) -> Any:
    """A B, or A Bᵀ, in rows of ``of_y`` numbers; what lies behind what was packed must stay as it is."""
    multiply, pack = gemm.functions(a.itemsize)
    (m, k), n = a.shape, b.shape[0 if transposed else 1]
    apart_a, apart_b = a.strides[0] // a.itemsize, b.strides[0] // b.itemsize
    size = gemm.room(a.itemsize, n, k)
    memory, y = np.full(size + 100, 255, np.uint8), np.full((m, of_y), 7, a.dtype)
    packed = -(-memory.ctypes.data // gemm.LINE) * gemm.LINE
    ctypes.CFUNCTYPE(None, *[INTEGER] * 6)(pack)(n, k, b.ctypes.data, apart_b, transposed, packed)
    ctypes.CFUNCTYPE(None, *[INTEGER] * 8)(multiply)(m, n, k, a.ctypes.data, apart_a, packed, y.ctypes.data, of_y)
    assert (memory[size:] == 255).all()
    return y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_all_shapes_are_numpys(dtype: str) -> None:
    random = np.random.default_rng(0)
    accuracy = 40 * np.finfo(dtype).eps
    for _ in range(300):
        m, n, k = (int(random.choice(LENGTHS)) for _ in range(3))
        beside_a, beside_b, beside_y = (int(extra) for extra in random.integers(0, 4, 3))
        transposed = bool(random.integers(2))
        a = random.standard_normal((m, k + beside_a)).astype(dtype)[:, :k]
        b = random.standard_normal((n, k + beside_b) if transposed else (k, n + beside_b)).astype(dtype)
        b = b[:, :k] if transposed else b[:, :n]
        y = multiplied(a, b, transposed, n + beside_y)
        of_b = b.T if transposed else b
        np.testing.assert_array_less(abs(y[:, :n] - a @ of_b), accuracy * (abs(a) @ abs(of_b)) + 1e-30)
        assert (y[:, n:] == 7).all()


def test_an_entry_has_the_same_bits_whatever_else_is_computed_beside_it() -> None:
    random = np.random.default_rng(1)
    a, b = random.standard_normal((29, 17)), random.standard_normal((17, 45))
    whole = multiplied(a, b, False, 45)
    for m in range(1, 14):
        np.testing.assert_array_equal(multiplied(a[:m], b, False, 45), whole[:m])
    np.testing.assert_array_equal(multiplied(a, np.ascontiguousarray(b[:, 40:]), False, 5), whole[:, 40:])


@pytest.mark.parametrize("tile", [gemm.Tile(6, 2, 4), gemm.Tile(6, 2, 2), gemm.Tile(8, 2, 8)], ids=str)
def test_every_processors_tile_computes_the_same(tile: gemm.Tile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemm, "tile_of", lambda _: tile)
    gemm.functions.cache_clear()
    random = np.random.default_rng(2)
    try:
        for m, n, k in ((1, 1, 1), (5, 7, 3), (13, 33, 20)):
            a, b = random.standard_normal((m, k)), random.standard_normal((k, n))
            np.testing.assert_allclose(multiplied(a, b, False, n), a @ b, 1e-12, 1e-13)
    finally:
        gemm.functions.cache_clear()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("T", [1, 3, 4, 40])
def test_loops_agree_whoever_does_their_products(threads: int, T: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas, "threads", lambda: threads)
    monkeypatch.setattr(running, "SHARED", 8)
    monkeypatch.setattr("minigrad.loops.compile.structures", {})  # whose executables know how their products are done
    random = np.random.default_rng(T)
    W, U = (Tensor(random.standard_normal((5, 5)) / 3, requires_grad=True) for _ in range(2))
    xs = random.standard_normal((T, 3, 5))

    def gradients() -> list[Any]:
        W.grad = U.grad = None
        hs = scan(lambda h, x: (mg.tanh(h @ W.T + x @ U),) * 2, np.zeros((3, 5)), xs)[1]
        (hs * hs).sum().backward()
        return [hs.numpy(), W.grad, U.grad]

    plain = gradients()
    with natively():
        native = gradients()
    for found, expected in zip(native, plain, strict=True):
        np.testing.assert_allclose(found, expected, 1e-11, 1e-13)
