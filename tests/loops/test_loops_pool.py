"""Arrays are used again only when nobody can tell: results that are held never change, and no more is kept than said."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from loops_cases import D, H, Pass, assert_close, bits, each_kind, pair
from loops_formulas import OfFormula, StepByStep, weights
from minigrad.models.cells import GRU, LSTM, RNN
from minigrad.models.layers import unroll
from minigrad.models.states import parts_of, with_parts

from minigrad import Tensor, concatenate, grad, no_grad, tanh, walk
from minigrad.loops import pool
from minigrad.loops.pool import CHUNK, MOST, MOST_BYTES, RUNS, Arrays, forget_pool, rows_of


@pytest.fixture(autouse=True)
def none_kept() -> Iterator[None]:
    forget_pool()
    yield
    forget_pool()


def whole(k: Any, x: Tensor, h: Tensor) -> Tensor:
    """The gradients of x and of h are parts of one product."""
    return tanh(concatenate([x, h], axis=1) @ concatenate([k.A, k.P], axis=1).T)


CELLS: dict[str, Callable[[bool], Any]] = {
    **{kind.__name__: lambda alike, kind=kind: pair_of(kind)[not alike] for kind in (RNN, GRU, LSTM)},
    "one whose gradients are parts of a whole": lambda alike: (OfFormula if alike else StepByStep)(whole, H),
}
each_cell = pytest.mark.parametrize("name", CELLS)


def pair_of(kind: type[Any]) -> tuple[Any, Any]:
    return pair({RNN: "rnn", GRU: "gru, reset before", LSTM: "lstm"}[kind])


def inputs(number: int, T: int, B: int = 2) -> Tensor:
    return Tensor(weights(T, B, D, seed=number), requires_grad=True)


def everything(cell: Any, number: int, T: int, reverse: bool) -> dict[str, np.ndarray]:
    """Whatever a run hands out, as it is handed out: nothing is copied."""
    xs = inputs(number, T)
    hs, final = unroll(cell, xs, reverse=reverse)
    seen: dict[str, Any] = {}
    hs.register_hook(lambda g: seen.update(hook=g) or None)
    leaves = [xs, *([cell.A, cell.P] if isinstance(cell, OfFormula) else cell.parameters())]
    gradients = grad((hs * hs).sum(), leaves, retain_graph=True)
    (at_hs,) = grad((hs * hs).sum() + sum((part * 0.5).sum() for part in parts_of(final)), [hs], retain_graph=True)
    hs.sum().backward()
    with no_grad():
        unrecorded, last = unroll(cell, xs, reverse=reverse)
    held = {
        "hs": hs.data,
        "a row": hs.data[T // 2],
        "a Tensor of a row": hs[0].detach().data,
        "hs's gradient": at_hs,
        "hs without recording": unrecorded.data,
        "a hook's gradient": seen["hook"],
        **{f"final {k}": part.data for k, part in enumerate((*parts_of(final), *parts_of(last)))},
        **{f"gradient {k}": g for k, g in enumerate(gradients)},
        **{f"leaf {k}": leaf.grad for k, leaf in enumerate(leaves)},
    }
    return {name: value if isinstance(value, np.ndarray) else value.data for name, value in held.items()}


@pytest.mark.sampled(1)
@each_cell
@pytest.mark.parametrize(("T", "reverse"), [(1, False), (5, True), (CHUNK + 1, False)])
def test_what_is_held_of_ten_runs_never_changes(name: str, T: int, reverse: bool) -> None:
    cell = CELLS[name](True)
    held, copies = [], []
    for number in range(10):
        cell.zero_grad()
        held.append(everything(cell, number, T, reverse))
        copies.append({key: value.copy() for key, value in held[-1].items()})
    for values, copied in zip(held, copies, strict=True):
        assert bits(values) == bits(copied)
    for number in range(10):
        other = CELLS[name](False)
        assert_close(held[number], everything(other, number, T, reverse), 1e-12)


@each_cell
def test_a_gradient_that_is_held_never_changes(name: str) -> None:
    cell, held = CELLS[name](True), []
    for number in range(10):
        xs = inputs(number, 6)
        held.append(grad(unroll(cell, xs)[0].sum(), [xs, *cell.parameters()]))
    for number in range(10):
        xs, other = inputs(number, 6), CELLS[name](False)
        expected = grad(unroll(other, xs)[0].sum(), [xs, *other.parameters()])
        values = [{str(k): g.data for k, g in enumerate(each)} for each in (held[number], expected)]
        assert_close(*values, 1e-12)


@each_cell
@pytest.mark.parametrize("reverse", [False, True])
def test_loops_of_one_cell_in_one_graph_do_not_overwrite_what_waits_to_be_added_up(name: str, reverse: bool) -> None:
    cells = [CELLS[name](alike) for alike in (True, False)]
    for number in range(2 * RUNS):
        found = []
        for cell in cells:
            cell.zero_grad()
            xs, doubled = inputs(number, 5), inputs(number + 1, 5)
            hs = [unroll(cell, each, reverse=reverse)[0] for each in (xs, doubled, xs * 0.5, doubled * xs)]
            sum((each * weights(5, 2, H, seed=k)).sum() for k, each in enumerate(hs)).backward()
            found.append({"xs": xs.grad, "doubled": doubled.grad, **{key: p.grad for key, p in cell.named_parameters()}})
        assert_close(*found, 1e-12)


@each_cell
def test_loops_of_one_cell_that_read_the_same_input_add_up_their_gradients(name: str) -> None:
    cells = [CELLS[name](alike) for alike in (True, False)]
    for number in range(2 * RUNS):
        found = []
        for cell in cells:
            xs = inputs(number, 5)
            hs = [unroll(cell, xs)[0] for _ in range(3)]
            found.append(
                {"xs": grad(sum((each * weights(5, 2, H, seed=k)).sum() for k, each in enumerate(hs)), [xs])[0].numpy()}
            )
        assert_close(*found, 1e-12)


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "the graph": lambda each: each,
    "the graph, after a backward pass that retains it": lambda each: (each.loss.backward(retain_graph=True), each)[1],
    "all its nodes": lambda each: (walk(each.loss), each)[1],
}


@each_kind
@pytest.mark.parametrize("holder", HOLDERS)
def test_a_graph_that_is_held_keeps_its_values(name: str, holder: str) -> None:
    cell, other = pair(name)
    held = [HOLDERS[holder](Pass(cell, T=4)) for _ in range(RUNS + 2)]
    for _ in range(RUNS + 2):
        Pass(cell, T=4, B=2, losses="hs").loss.backward()
        cell.zero_grad()
    expected = Pass(other, T=4).gradients()
    for each in held:
        assert_close(each.gradients(), expected, 1e-12)


def addresses(cell: Any, T: int = 6, **options: Any) -> int:
    """The address of the arrays that a forward pass uses."""
    used: list[int] = []
    original = Arrays.lend

    def lend(self: Arrays, user: Any) -> Arrays:
        used.append(id(self))
        return original(self, user)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Arrays, "lend", lend)
        with no_grad():
            unroll(cell, np.ones((T, 2, D)), **options)
    assert len(used) == 1
    return used[0]


@each_cell
def test_runs_of_another_length_do_not_use_what_was_kept(name: str) -> None:
    found: list[dict[str, np.ndarray]] = []
    for alike in (True, False):
        cell, gradients = CELLS[name](alike), {}
        for number, T in enumerate([5] * (RUNS + 2) + [1, 3, 7]):
            xs = inputs(number, T)
            hs, _ = unroll(cell, xs)
            gradients[str(number)] = grad((hs * hs).sum(), [xs])[0].numpy()
            del hs, xs
        found.append(gradients)
    assert_close(*found)


@pytest.mark.parametrize("truncated", [1, 2, 3])
def test_runs_with_windows_are_alike_however_many_there_were(truncated: int) -> None:
    found = []
    for cell in pair_of(LSTM):
        gradients = []
        for _ in range(RUNS + 3):
            hs, _ = unroll(cell, inputs(0, 5), truncated=truncated)
            gradients.append(grad((hs * hs).sum(), cell.parameters())[0].numpy())
        found.append({str(number): gradient for number, gradient in enumerate(gradients)})
    assert_close(*found)


def test_after_some_runs_of_one_form_and_length_the_arrays_of_one_are_kept_and_used_again() -> None:
    cell = LSTM(D, H, seed=0)
    for number in range(RUNS):
        assert len(pool.kept) == 0, number
        addresses(cell)
    (only,) = pool.kept
    assert {addresses(cell) for _ in range(5)} == {id(only)}
    assert pool.kept == [only]


def test_runs_of_several_lengths_by_turns_keep_nothing() -> None:
    cell = LSTM(D, H, seed=0)
    for number in range(6 * RUNS):
        addresses(cell, T=5 + number % 2)
    assert pool.kept == []


@each_kind
def test_arrays_are_kept_for_one_length_and_one_direction(name: str) -> None:
    cell, other = pair(name)
    for _ in range(RUNS + 1):
        Pass(cell, T=6).gradients()
    for T, reverse in ((6, True), (5, False), (7, True), (6, False), (1, False), (CHUNK + 6, True), (6, True)):
        for _ in range(RUNS + 2):
            one = Pass(cell, T=T, reverse=reverse)
            expected = Pass(other, T=T, reverse=reverse)
            assert_close(one.results(), expected.results(), 1e-12)
            assert_close(one.gradients(), expected.gradients(), 1e-12)


def test_arrays_serve_one_cell_after_the_other_of_equal_form() -> None:
    cells = [(LSTM(D, H, seed=k), pair("lstm", seed=k)[1]) for k in range(3)]
    for _ in range(RUNS):
        for cell, other in cells:
            assert_close(Pass(cell).gradients(), Pass(other).gradients(), 1e-12)
    assert 1 <= len(pool.kept) <= 3


def test_arrays_are_in_use_as_long_as_their_run_lives_and_anything_refers_to_them() -> None:
    cell = RNN(D, H, seed=0)
    for _ in range(RUNS):
        addresses(cell)
    (only,) = pool.kept

    class User:
        """Stands for a run."""

    assert only.is_free()
    user: Any = User()
    only.lend(user)
    assert not only.is_free()
    del user
    assert only.is_free()
    view = next(value for value in only.values.values() if isinstance(value, np.ndarray) and value.ndim > 1)[..., :1]
    assert not only.is_free()
    del view
    assert only.is_free()


def test_two_runs_that_live_at_the_same_time_have_arrays_of_their_own() -> None:
    cell, other = pair("lstm")
    for _ in range(RUNS + 1):
        Pass(cell).gradients()
    one, two = Pass(cell, losses="hs"), Pass(cell, losses="state")
    expected = [Pass(other, losses=losses).gradients() for losses in ("hs", "state")]
    assert_close(one.gradients(), expected[0], 1e-12)
    assert_close(two.gradients(), expected[1], 1e-12)


def test_large_arrays_are_not_kept() -> None:
    cell = RNN(D, 64, seed=0)
    B = MOST_BYTES // (64 * 8 * 10) + 1
    for _ in range(RUNS + 2):
        hs, _ = unroll(cell, np.ones((10, B, D)))
        hs.sum().backward()
        del hs
    assert pool.kept == []
    for _ in range(RUNS + 2):
        unroll(cell, np.ones((10, 1, D)))
    assert len(pool.kept) == 1


def test_views_of_many_short_rows_count_too() -> None:
    cell = RNN(D, 1, seed=0)
    for T, kept in ((MOST_BYTES // 8, 0), (8, 1)):
        for _ in range(RUNS + 1):
            with no_grad():
                unroll(cell, np.ones((T, 1, D)))
        assert len(pool.kept) == kept


def test_no_more_than_so_many_are_kept() -> None:
    held = []
    for B in range(1, MOST + 5):
        cell = RNN(D, H, seed=0)
        for _ in range(RUNS + 1):
            held.append(unroll(cell, np.ones((3, B, D))))
            held[-1][0].sum().backward()
        assert len(pool.kept) <= MOST
    assert len(pool.kept) == MOST


def test_forget_pool_frees_them_and_begins_to_count_anew() -> None:
    cell = RNN(D, H, seed=0)
    for _ in range(RUNS):
        addresses(cell)
    roots = [weakref.ref(root) for root in pool.kept[0]._roots]
    assert all(root() is not None for root in roots)
    forget_pool()
    assert pool.kept == []
    assert all(root() is None for root in roots)
    for _ in range(RUNS - 1):
        addresses(cell)
        assert pool.kept == []
    addresses(cell)
    assert len(pool.kept) == 1


def test_a_run_that_lives_may_go_on_after_its_arrays_are_forgotten() -> None:
    cell, other = pair("gru, reset before")
    for _ in range(RUNS + 1):
        Pass(cell).gradients()
    one = Pass(cell)
    forget_pool()
    for _ in range(RUNS + 1):
        Pass(cell).gradients()
    assert_close(one.gradients(), Pass(other).gradients(), 1e-12)


@each_kind
def test_hs_may_be_written_to_after_backward_and_later_runs_do_not_see_it(name: str) -> None:
    cell, other = pair(name)
    for _ in range(2 * RUNS):
        one, expected = Pass(cell), Pass(other)
        assert_close(one.gradients(), expected.gradients(), 1e-12)
        assert_close(one.results(), expected.results(), 1e-12)
        one.hs.data[...] = np.nan
        for part in parts_of(one.final):
            part.data[...] = np.nan
        one.xs.grad[...] = np.nan


class Stopped(Exception):
    """What a hook raises."""


@each_kind
def test_an_error_in_the_middle_leaves_things_right_also_while_its_traceback_is_held(name: str) -> None:
    cell, other = pair(name)
    expected = Pass(other)
    wanted = expected.results(), expected.gradients()
    held = []

    def stop(g: Any) -> None:
        raise Stopped

    for _ in range(2 * RUNS):
        failing = Pass(cell)
        failing.xs.register_hook(stop)
        with pytest.raises(Stopped) as error:
            failing.loss.backward()
        held.append(error.value)
        one = Pass(cell)
        assert_close(one.results(), wanted[0], 1e-12)
        assert_close(one.gradients(), wanted[1], 1e-12)
    assert len(pool.kept) <= MOST


def error_in(run: Callable[[], Any]) -> FloatingPointError | None:
    """What NumPy raises where a result is undefined, if it does: 2.0 does not notice that in products of matrices."""
    try:
        with np.errstate(invalid="raise"):
            run()
    except FloatingPointError as error:
        return error
    return None


@each_kind
def test_a_floating_point_error_in_the_loop_leaves_things_right(name: str) -> None:
    cell, other = pair(name)
    expected = Pass(other)
    wanted = expected.results(), expected.gradients()
    held = []
    start = with_parts(cell.initial_state(2), [Tensor(np.full((2, H), np.inf)) for _ in cell.state_names])
    for _ in range(2 * RUNS):
        held.append(error_in(lambda: unroll(cell, inputs(0, 5), start)))
        assert type(held[-1]) is type(error_in(lambda: other.step(inputs(0, 5)[0], start)))
        one = Pass(cell)
        assert_close(one.results(), wanted[0], 1e-12)
        assert_close(one.gradients(), wanted[1], 1e-12)


@each_kind
def test_threads_that_run_one_cell_at_the_same_time_again_and_again_do_not_disturb_each_other(name: str) -> None:
    cell, _ = pair(name)
    expected = [bits(Pass(pair(name)[0], T=6, reverse=reverse).results()) for reverse in (False, True)]
    right: list[int] = [0, 0, 0]
    begin = threading.Barrier(3)

    def work(k: int) -> None:
        begin.wait()
        held = []
        for number in range(25):
            held.append(Pass(cell, T=6, reverse=k == 2))
            if number % 3 == 2:
                held.clear()
            else:
                right[k] += bits(held[-1].results()) == expected[k == 2]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [17, 17, 17]
    assert len(pool.kept) <= MOST


def test_gradients_of_threads_do_not_disturb_each_other() -> None:
    names = ("rnn", "gru, reset before", "lstm", "lstm")
    expected = [pair(name)[1] for name in names]
    wanted = [grad(unroll(cell, inputs(k, 7))[0].sum(), cell.parameters()) for k, cell in enumerate(expected)]
    cells = {name: pair(name)[0] for name in set(names)}
    wrong: list[str] = []
    begin = threading.Barrier(len(names))

    def work(k: int) -> None:
        cell = cells[names[k]]
        begin.wait()
        for _ in range(25):
            found = grad(unroll(cell, inputs(k, 7))[0].sum(), cell.parameters())
            if not all(
                np.allclose(one.data, other.data, rtol=1e-12, atol=1e-14) for one, other in zip(found, wanted[k], strict=True)
            ):
                wrong.append(names[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(names))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("T", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 2])
def test_rows_come_in_chunks_in_the_order_in_which_they_are_computed(T: int) -> None:
    value = np.arange(T + 1.0)[:, None]
    for reverse, order in ((False, range(T)), (True, range(T - 1, -1, -1))):
        rows = [row for start in range(0, T, CHUNK) for row in rows_of(value[:T], start, min(start + CHUNK, T), T, reverse)]
        assert [int(row[0]) for row in rows] == list(order)
        assert all(row.base is not None for row in rows)
        for start in range(0, T, CHUNK):
            states = [int(row[0]) for row in rows_of(value, start, min(start + CHUNK, T), T, reverse, 1)]
            first = T - start if reverse else start
            last = max(T - start - CHUNK, 0) if reverse else min(start + CHUNK, T)
            assert states == list(range(first, last + (-1 if reverse else 1), -1 if reverse else 1))


def test_many_runs_leave_no_garbage() -> None:
    cell = LSTM(D, H, seed=0)
    for _ in range(RUNS + 1):
        Pass(cell).gradients()
    cell.zero_grad()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            Pass(cell).gradients()
            cell.zero_grad()
        assert gc.collect() == 0
    finally:
        gc.enable()
