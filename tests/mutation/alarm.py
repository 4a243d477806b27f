"""A plugin of pytest: a test that does not come to its end ends the run, which is how endless loops are caught."""

import resource
import signal
from collections.abc import Generator

import pytest

SECONDS = 150
"""For one test; the longest takes ten, on a machine of its own."""

MOST_MEMORY = 8 * 2**30
"""Of addresses: a changed size must not take the memory of everybody else. A browser reserves more than it ever uses."""


def pytest_configure() -> None:
    """Hear Ctrl-C as ever, also where the run was started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Limit the memory and set the alarm clock for one test; nobody reacts to it, so it ends the process."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most if "browser" in getattr(item, "fixturenames", ()) else MOST_MEMORY, most))
    signal.alarm(SECONDS)
    try:
        return (yield)
    finally:
        signal.alarm(0)
