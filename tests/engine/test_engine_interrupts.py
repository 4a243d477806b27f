"""Ctrl-C at any moment leaves no setting behind, and is never lost itself."""

import contextlib
import signal
from collections.abc import Callable, Generator

import numpy as np
import pytest
from interrupting import interrupts

import minigrad as mg
from minigrad import Tensor, detect_anomaly, enable_grad, no_grad, scan, scope, time_step
from minigrad.reporting import reporting
from minigrad.scope import Place, Setting, state

HELD = no_grad()
WARNINGS = np.geterr()


def blocks() -> None:
    with no_grad():
        pass


def blocks_of_one_object() -> None:
    for _ in range(2):
        with HELD, HELD:
            pass


def nested_blocks() -> None:
    with scope("cell"), time_step(3), no_grad(), enable_grad():
        pass


@no_grad()
@time_step(3)
def a_decorated_function() -> None:
    pass


def a_decorated_generator() -> None:
    @scope("cell")
    def generate() -> Generator[int]:
        yield 1
        yield 2

    assert list(generate()) == [1, 2]


def blocks_with_an_error() -> None:
    with contextlib.suppress(ZeroDivisionError), no_grad(), time_step(1):
        raise ZeroDivisionError


def anomalies() -> None:
    with detect_anomaly():
        pass


def a_forward_pass() -> None:
    W, h = mg.Parameter(np.eye(2)), Tensor([[1.0, 2.0]])
    for t in (1, 2, 3):
        with time_step(t), scope("cell"):
            h = mg.tanh(h @ W)


def reports() -> None:
    with reporting(all="raise"), reporting(over="ignore"):
        pass


def a_calm_derivative() -> None:
    x = mg.Parameter([0.0])
    (1.0 / (x + 1.0)).sum().backward()


def a_compiled_loop() -> None:
    W = mg.Parameter(np.eye(2))
    h, _ = scan(lambda h, x: (mg.tanh(h @ W + x), h), np.ones((1, 2)), np.ones((3, 1, 2)))
    h.sum().backward()


PROGRAMS = (
    reports,
    a_calm_derivative,
    a_compiled_loop,
    blocks,
    blocks_of_one_object,
    nested_blocks,
    a_decorated_function,
    a_decorated_generator,
    blocks_with_an_error,
    anomalies,
    a_forward_pass,
)


class Model(mg.Module):
    def __init__(self) -> None:
        self.a, self.b, self.c = (mg.Parameter(np.ones(2)) for _ in range(3))
        self.inner = mg.Module()

    def begin(self) -> None:
        self.train()
        for parameter in self.parameters():
            parameter.grad = np.ones(2)

    def shares(self) -> tuple[set[str], set[bool]]:
        """What is to be seen at its parameters and at its modules: at all of them the same."""
        return {str(p.grad) for p in self.parameters()}, {module.training for module in self.modules()}


@pytest.mark.parametrize(
    "change",
    [
        lambda model: mg.optim.clip_grad_norm_(model.parameters(), 1.0),
        lambda model: mg.optim.clip_grad_value_(model.parameters(), 0.5),
        Model.zero_grad,
        lambda model: mg.optim.SGD(model.parameters()).zero_grad(),
        Model.eval,
    ],
    ids=["clip_grad_norm_", "clip_grad_value_", "zero_grad", "the optimiser's zero_grad", "eval"],
)
def test_an_interrupt_never_divides_what_is_done_to_a_whole_model(change: Callable[[Model], object]) -> None:
    model = Model()
    model.begin()
    untouched = model.shares()
    for _ in interrupts(lambda: change(model)):
        assert [len(share) for share in model.shares()] == [1, 1]
        model.begin()
    assert model.shares() != untouched


def is_as_found() -> bool:
    settings = state.recording, state.place, state.differentiating, state.detector, state.settings, np.geterr()
    return settings == (True, Place(None, ()), False, None, [], WARNINGS)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_an_interrupt_at_any_moment_leaves_no_setting_behind(program: Callable[[], None]) -> None:
    for moment in interrupts(program):
        assert is_as_found(), moment
    assert is_as_found()


def test_an_interrupt_as_blocks_end_out_of_order_takes_back_no_others_change() -> None:
    def generate() -> Generator[None]:
        with no_grad(), time_step(1):
            yield

    def program() -> None:
        generator = generate()
        next(generator)
        with scope("outer"), time_step(2):
            generator.close()
            assert state.place == Place(2, ("outer",))
            assert state.recording

    for _ in interrupts(program):
        pass
    assert is_as_found()


def test_interrupts_by_a_signal_leave_no_setting_behind() -> None:
    def program() -> None:
        while True:
            nested_blocks()
            blocks_of_one_object()
            anomalies()

    def press(*_: object) -> None:
        raise KeyboardInterrupt

    found = signal.signal(signal.SIGALRM, press)
    try:
        for delay in np.random.default_rng(0).uniform(2e-5, 3e-4, 300):
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - the timer is to go off in the program
                signal.setitimer(signal.ITIMER_REAL, delay)
                program()
            assert is_as_found()
    finally:
        signal.signal(signal.SIGALRM, found)


def test_a_setting_of_which_nothing_is_taken_back_is_noticed() -> None:
    class Forgetful(Setting):
        def enter(self) -> bool:
            state.recording, found = False, state.recording
            return found

        def leave(self, found: bool) -> None:
            len("a moment")
            state.recording = found

        def __exit__(self, *_: object) -> None:
            self.leave(state.settings.pop()[2])

    def program() -> None:
        with Forgetful():
            pass

    try:
        assert not all(state.recording for _ in interrupts(program))
    finally:
        state.recording = True
        state.settings.clear()


def test_settings_work_in_an_exit_stack_and_when_their_methods_are_called_by_hand() -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(no_grad())
        stack.enter_context(time_step(4))
        assert (state.recording, state.place) == (False, Place(4, ()))
    assert is_as_found()
    setting = scope("cell")
    setting.__enter__()
    assert state.place == Place(None, ("cell",))
    setting.__exit__(None, None, None)
    assert is_as_found()


def test_an_exit_that_was_looked_up_by_hand_ends_its_own_block() -> None:
    setting = no_grad()
    enter, leave = setting.__enter__, setting.__exit__
    enter()
    assert not state.recording
    leave(None, None, None)
    assert is_as_found()
