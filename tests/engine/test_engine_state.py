"""no_grad, enable_grad, time_step and scope: per thread, restored always, right as decorators and inside generators."""

import contextlib
import threading

import numpy as np
import pytest

import minigrad as mg
from minigrad import Tensor, enable_grad, is_recording, no_grad, scope, time_step
from minigrad.errors import ArgumentError, GraphError
from minigrad.scope import state


def here():
    """The time step and the scopes that an operation recorded now gets."""
    node = (Tensor([1.0], requires_grad=True) * 2.0).node
    return node.time, node.scope


def in_new_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(autouse=True)
def state_is_restored():
    yield
    assert is_recording()
    assert here() == (None, ())
    assert state.settings == []


# ---------------------------------------------------------------- what the settings do


def test_no_grad_records_nothing_and_the_result_needs_no_gradient():
    w = Tensor([2.0], requires_grad=True)
    with no_grad():
        y = w * w
    assert (y.requires_grad, y.node, y.is_leaf) == (False, None, True)


def test_enable_grad_records_again_inside_no_grad():
    w = Tensor([2.0], requires_grad=True)
    with no_grad(), enable_grad():
        y = w * w
    assert y.requires_grad


def test_scopes_nest_and_the_innermost_time_step_counts():
    with scope("model"), time_step(3):
        with scope("lstm"), time_step(4):
            assert here() == (4, ("model", "lstm"))
        assert here() == (3, ("model",))


def test_a_leaf_knows_the_time_step_it_was_made_under():
    with time_step(0):
        h0 = Tensor([0.0], requires_grad=True)
    assert h0.node.time == 0


@pytest.mark.parametrize("t", [-1, 1.5, "3", None, True, np.float64(2)])
def test_a_time_step_that_is_no_integer_from_0_is_refused(t):
    with pytest.raises(ArgumentError, match="time_step: expected an integer ≥ 0"):
        time_step(t)


def test_a_numpy_integer_is_a_time_step():
    with time_step(np.int64(7)):
        time, _ = here()
    assert time == 7
    assert type(time) is int


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_scope_without_a_name_is_refused(name):
    with pytest.raises(ArgumentError, match="scope: expected a non-empty name"):
        scope(name)


# ---------------------------------------------------------------- restored


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, SystemExit])
@pytest.mark.parametrize("setting", [no_grad(), time_step(2), scope("cell")])
def test_every_setting_is_restored_after_an_exception(setting, error):
    with pytest.raises(error), setting:
        raise error


def test_one_setting_object_can_be_entered_again_while_it_is_active():
    setting = time_step(1)
    with setting:
        with time_step(2), setting:
            assert here() == (1, ())
        assert here() == (1, ())


# ---------------------------------------------------------------- per thread


@pytest.mark.parametrize("setting", [no_grad(), time_step(2), scope("cell")])
def test_a_setting_of_one_thread_is_not_seen_by_another(setting):
    with setting:
        assert in_new_thread(lambda: (is_recording(), here())) == (True, (None, ()))


def test_threads_that_share_one_setting_object_do_not_disturb_each_other():
    setting = no_grad()
    entered, left = threading.Event(), threading.Event()

    def other():
        with setting:
            entered.set()
            assert left.wait(10)
            return is_recording()

    results = []
    thread = threading.Thread(target=lambda: results.append(other()))
    with setting:
        thread.start()
        assert entered.wait(10)
    assert is_recording()
    left.set()
    thread.join()
    assert results == [False]


def test_a_block_left_in_another_thread_is_an_error_that_says_what_to_do():
    def generate():
        with no_grad():
            yield

    generator = generate()

    def first():
        next(generator)

    in_new_thread(first)
    with pytest.raises(GraphError, match=r"left in another thread.*decorate its function"):
        next(generator)


# ---------------------------------------------------------------- decorators


def test_a_decorated_function_runs_under_the_setting():
    @time_step(5)
    @scope("cell")
    def step():
        """Documented."""
        return here()

    assert step() == (5, ("cell",))
    assert (step.__name__, step.__doc__) == ("step", "Documented.")


def test_a_decorated_function_restores_the_state_when_it_raises():
    @no_grad()
    def broken():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()


def test_a_decorated_function_may_call_itself():
    @scope("level")
    def descend(depth):
        return descend(depth - 1) if depth else here()

    assert descend(3) == (None, ("level",) * 4)


def test_calls_of_one_decorated_function_may_overlap_in_two_threads():
    both = threading.Barrier(2, timeout=10)

    @no_grad()
    def meet(t):
        with time_step(t):
            both.wait()
            seen = state.place.time, is_recording()
            both.wait()
        return seen

    results = {}

    def run(t):
        results[t] = (meet(t), is_recording())

    threads = [threading.Thread(target=run, args=(t,)) for t in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {1: ((1, False), True), 2: ((2, False), True)}


def test_an_asynchronous_function_cannot_be_decorated():
    async def later():
        pass

    async def many():
        yield

    for function in (later, many):
        with pytest.raises(ArgumentError, match=f"no_grad: cannot decorate the asynchronous function '{function.__name__}'"):
            no_grad()(function)


# ---------------------------------------------------------------- generators


def test_a_decorated_generator_runs_under_the_setting_and_its_consumer_does_not():
    @no_grad()
    def numbers():
        yield is_recording()
        yield is_recording()

    for inside in numbers():
        assert (inside, is_recording()) == (False, True)


def test_a_decorated_generator_passes_on_what_is_sent_thrown_and_returned():
    @time_step(3)
    def conversation():
        try:
            answer = yield here()
            while True:
                answer = yield (answer, here())
        except ValueError as error:
            yield (str(error), here())
        return "done"

    talk = conversation()
    assert next(talk) == (3, ())
    assert talk.send("hello") == ("hello", (3, ()))
    assert talk.throw(ValueError("no")) == ("no", (3, ()))
    with pytest.raises(StopIteration) as end:
        next(talk)
    assert end.value.value == "done"


def test_a_decorated_generator_cleans_up_under_the_setting_when_it_is_closed():
    seen = []

    @no_grad()
    def numbers():
        try:
            yield 1
        finally:
            seen.append(is_recording())

    generator = numbers()
    next(generator)
    generator.close()
    assert seen == [False]


def test_a_decorated_generator_may_be_resumed_in_another_thread():
    @time_step(6)
    def steps():
        while True:
            yield here()

    generator = steps()
    assert next(generator) == (6, ())
    assert in_new_thread(lambda: (next(generator), here())) == ((6, ()), (None, ()))


def test_decorated_generators_may_take_turns():
    def steps(t):
        @time_step(t)
        def run():
            yield here()
            yield here()

        return run()

    assert list(zip(steps(1), steps(2), strict=True)) == [((1, ()), (2, ()))] * 2


def test_a_with_block_in_a_generator_lasts_until_the_block_is_left():
    def steps():
        for t in (1, 2):
            with time_step(t):
                yield t

    assert [(t, here()) for t in steps()] == [(1, (1, ())), (2, (2, ()))]


def test_a_with_block_in_a_context_manager_function_works():
    @contextlib.contextmanager
    def inference():
        with no_grad(), scope("inference"):
            yield

    with inference():
        assert not is_recording()


def test_blocks_that_end_in_another_order_than_they_began_take_back_their_own_change_only():
    def generate():
        with no_grad(), time_step(1):
            yield

    generator = generate()
    next(generator)
    with no_grad(), scope("outer"), time_step(2):
        generator.close()
        assert not is_recording()
        with enable_grad():
            assert here() == (2, ("outer",))
    assert is_recording()


def test_a_generator_that_outlives_the_block_it_was_started_in_keeps_its_own_setting():
    def generate():
        with no_grad():
            yield is_recording()
            yield is_recording()

    with time_step(3), enable_grad():
        generator = generate()
        assert next(generator) is False
    assert next(generator) is False
    assert list(generator) == []


def test_a_dropped_generator_leaves_its_block():
    def generate():
        with no_grad():
            yield

    generator = generate()
    next(generator)
    assert not is_recording()
    del generator
    assert is_recording()


def test_the_state_seen_from_minigrad_is_that_of_this_module():
    with mg.no_grad():
        assert not mg.is_recording()
