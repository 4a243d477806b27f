"""Gradients of whole models against central differences, at every entry or along random directions."""

from collections.abc import Callable

import numpy as np

from minigrad import Module, Tensor, no_grad


def leaves_of(module: Module, **others: Tensor) -> dict[str, Tensor]:
    """The parameters of a module and other leaves, by name."""
    return dict(module.named_parameters()) | others


def assert_gradients(loss: Callable[[], Tensor], leaves: dict[str, Tensor], *, every_entry: bool, tolerance: float) -> None:
    """Autograd's gradient of ``loss()`` is that of five-point differences, for every leaf, relative to its largest entry.

    Along random directions (``every_entry=False``) each leaf is tested three times, whatever its size.
    """
    for leaf in leaves.values():
        leaf.grad = None
    loss().backward()
    rng = np.random.default_rng(0)
    for name, leaf in leaves.items():
        found = leaf.grad
        assert found is not None, f"{name} has no gradient"
        if every_entry:
            directions = np.eye(leaf.size).reshape(-1, *leaf.shape)
        else:
            directions = rng.normal(size=(3, *leaf.shape)) / np.sqrt(leaf.size)
        for direction in directions:
            expected = along(loss, leaf, direction)
            difference = abs((found * direction).sum() - expected)
            assert difference <= tolerance * max(1.0, np.abs(found).max()), f"{name}: off by {difference:.1e}"


def along(loss: Callable[[], Tensor], leaf: Tensor, direction: np.ndarray, step: float = 1e-3) -> float:
    """The derivative of ``loss()`` when ``leaf`` moves in a direction, by the five-point central difference."""
    start = leaf.numpy()

    def at(offset: float) -> float:
        leaf.data = start + offset * direction
        with no_grad():
            return float(loss().item())

    near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
    leaf.data = start
    return (8 * near - far) / (12 * step)


def weighted(*outputs: Tensor) -> Tensor:
    """A random linear function of all outputs, the same on every call."""
    rng = np.random.default_rng(1)
    total = Tensor(0.0)
    for output in outputs:
        total = total + (output * rng.normal(size=output.shape)).sum()
    return total
