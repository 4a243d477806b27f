"""A child that is forked while other threads train can train itself."""

import ast
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from minigrad.models.cells import LSTM
from minigrad.models.layers import unroll

from minigrad import Tensor, backward
from minigrad.locks import lock
from minigrad.loops import pool

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 20


def train(cell: LSTM) -> None:
    hs, _ = unroll(cell, Tensor(np.ones((5, 2, 3))))
    (hs * hs).sum().backward()


def forked(work: Callable[[], Any]) -> bool:
    """Whether a forked child did the work and ended in time."""
    child = os.fork()
    if not child:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(PATIENCE)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


@contextmanager
def held_by_another_thread(one: AbstractContextManager[Any], seconds: float = 0.3) -> Iterator[None]:
    """Inside, another thread holds the lock, and lets it go after a while."""
    taken = threading.Event()

    def hold() -> None:
        with one:
            taken.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(PATIENCE)
    yield
    thread.join()


@pytest.mark.parametrize("one", [backward.commit_lock, pool.kept_lock], ids=["gradients", "pool"])
def test_a_lock_that_another_thread_holds_is_free_in_the_child(one: AbstractContextManager[Any]) -> None:
    cell = LSTM(3, 4, seed=0)
    with held_by_another_thread(one):
        assert forked(lambda: train(cell))
    train(cell)


def test_a_lock_that_forks_do_not_know_of_hangs_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_engine_forks.PATIENCE", 1)
    unknown = threading.Lock()
    with held_by_another_thread(unknown):
        assert not forked(unknown.acquire)


def test_the_thread_that_holds_a_lock_may_fork() -> None:
    one = lock()

    def take_it_in_another_thread() -> None:
        thread = threading.Thread(target=lambda: one.__enter__())
        thread.start()
        thread.join()

    def let_go_and_take() -> None:
        one.__exit__(None, None, None)
        take_it_in_another_thread()

    with one:
        assert forked(let_go_and_take)


def test_children_forked_while_threads_train_can_train() -> None:
    stop = threading.Event()

    def keep_training() -> None:
        cell = LSTM(3, 4, seed=0)
        while not stop.is_set():
            train(cell)

    threads = [threading.Thread(target=keep_training) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        cell = LSTM(3, 4, seed=0)
        assert all(forked(lambda: train(cell)) for _ in range(30))
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def locks_made_in(path: Path) -> list[str]:
    """The calls in a file that make a lock by hand."""
    makers = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Event", "Barrier", "allocate_lock"}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = [call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls]
    return [name for name in names if name in makers]


def test_every_lock_is_made_where_forks_are_thought_of() -> None:
    found = {
        str(path.relative_to(ROOT)): made
        for folder in ("minigrad", "models", "viz")
        for path in (ROOT / folder).rglob("*.py")
        if (made := locks_made_in(path))
    }
    assert found == {"minigrad/locks.py": ["RLock"]}
