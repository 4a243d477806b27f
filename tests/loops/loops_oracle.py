"""The oracle: a cell's step repeated by a loop that is written here, example by example, and whatever can be seen of a run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, concatenate, grad, no_grad, pytree, stack, time_step


def tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def parts(state: Any) -> list[Tensor]:
    """The tensors of a state, its output h last."""
    return [tensor(end) for end in pytree.ends(state)]


def by_hand(
    cell: Any,
    xs: Any,
    state: Any = None,
    lengths: Sequence[int] | None = None,
    reverse: bool = False,
    truncated: int | None = None,
    **_: Any,
) -> tuple[Tensor, list[Tensor]]:
    """What `unroll` says it computes: hs (T, B, H), and the parts of the final state."""
    xs = tensor(xs)
    T, B = xs.shape[:2]
    if lengths is None:
        hs, final = _steps(cell, xs, cell.initial_state(B) if state is None else state, range(T), reverse, truncated)
        return stack(hs), parts(final)
    columns, finals = [], []
    for b, length in enumerate(lengths):
        start = cell.initial_state(1) if state is None else pytree.mapped(lambda part, b=b: part[b : b + 1], state)
        hs, final = _steps(cell, xs[:, b : b + 1], start, range(length), reverse, truncated)
        h = parts(start)[-1]
        columns.append(stack([*hs, *[Tensor(np.zeros(h.shape, h.dtype)) for _ in range(T - length)]]))
        finals.append(parts(final))
    return concatenate(columns, axis=1), [concatenate(list(part), axis=0) for part in zip(*finals, strict=True)]


def _steps(cell: Any, xs: Tensor, state: Any, steps: range, reverse: bool, truncated: int | None) -> tuple[list[Any], Any]:
    hs: list[Any] = [None] * len(steps)
    for done, t in enumerate(reversed(steps) if reverse else steps):
        if truncated is not None and done and done % truncated == 0:
            state = pytree.mapped(lambda part: tensor(part).detach(), state)
        with time_step(t + 1):
            state = cell.step(xs[t], state)
        hs[t] = parts(state)[-1]
    return hs, state


def seen(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a run returns, the categories of its warnings, and the type of its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found: dict[str, Any] = {}
        try:
            found = run()
        except Exception as error:
            found = {"error": type(error).__name__}
    return found | {"warnings": sorted({warning.category.__name__ for warning in caught})}


def assert_same(found: dict[str, Any], expected: dict[str, Any], tolerance: float = 1e-10) -> None:
    """Two runs look the same: errors, warnings, numbers, dtypes, and what is None."""
    for what in ("error", "warnings"):
        assert found.get(what) == expected.get(what), f"{what}: {found.get(what)} for {expected.get(what)}"
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if not isinstance(value, np.ndarray):
            assert type(found[name]) is type(value), f"{name}: {found[name]} for {value}"
            assert found[name] == value, name
            continue
        got = found[name]
        assert isinstance(got, np.ndarray), f"{name}: {got} for {value}"
        assert (got.shape, got.dtype) == (value.shape, value.dtype), name
        scale = np.abs(value[np.isfinite(value)]).max(initial=0.0) if value.dtype.kind == "f" else 1.0
        np.testing.assert_allclose(got, value, rtol=tolerance, atol=tolerance * max(float(scale), 1e-3), err_msg=name)


def numbers(results: dict[str, Tensor]) -> dict[str, Any]:
    """The values of results, and whether they require a gradient."""
    values = {name: result.numpy() for name, result in results.items()}
    return values | {f"{name} wants": result.requires_grad for name, result in results.items()}


def gradients(leaves: dict[str, Any]) -> dict[str, Any]:
    """Copies of the gradients of leaves."""
    return {f"d {name}": None if leaf.grad is None else leaf.grad.copy() for name, leaf in leaves.items()}


def results_of(unrolled: tuple[Tensor, Any]) -> dict[str, Tensor]:
    """The results of a loop by name."""
    hs, final = unrolled
    return {"hs": hs} | {f"final {k}": part for k, part in enumerate(parts(final))}


def loss_of(results: dict[str, Tensor], which: Sequence[str] | None = None) -> Tensor:
    """A number that depends on the named results, and on each of their entries in another way."""
    chosen = [result for name, result in results.items() if which is None or name in which]
    weighed = [(y * np.cos(np.arange(y.size, dtype=y.dtype).reshape(y.shape))).sum() for y in chosen]
    return sum(weighed[1:], weighed[0])


def trained(loop: Callable[..., Any], cell: Any, xs: Any, leaves: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Values and gradients of one pass forward and backward."""
    results = results_of(loop(cell, xs, **options))
    found = numbers(results)
    loss_of(results).backward()
    return found | gradients(leaves)


def twice_differentiated(
    loop: Callable[..., Any], cell: Any, xs: Any, leaves: dict[str, Any], **options: Any
) -> dict[str, Any]:
    """The gradient of the square of the gradient."""
    wanted = [leaf for leaf in leaves.values() if leaf.requires_grad]
    first = grad(loss_of(results_of(loop(cell, xs, **options))), wanted, create_graph=True)
    sum((g * g).sum() for g in first).backward()
    return gradients(leaves)


def unrecorded(loop: Callable[..., Any], cell: Any, xs: Any, leaves: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Values under `no_grad`."""
    with no_grad():
        return numbers(results_of(loop(cell, xs, **options)))
