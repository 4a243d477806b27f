"""A progress bar: one that redraws itself on a terminal, and plain lines everywhere else; tqdm's where it is installed."""

import importlib.util
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, TextIO

from minigrad.errors import ArgumentError
from minigrad.extras import optional_package

__all__ = ["Bar", "Progress", "TqdmBar", "make_bar"]

_BAR_WIDTH = 24
_SECONDS_BETWEEN_REDRAWS = 0.1
_PLAIN_LINES = 10


class Bar(Protocol):
    """Anything that shows how far a long job is."""

    def show(self, share: float, text: str) -> None:
        """Say that a share of the job (0 to 1) is done, and how it goes in a few words."""
        ...


class Progress:
    """How far a long job is, on stderr.

    On a terminal one line is redrawn at most ten times a second. Elsewhere (a log file, a pipe) about ten plain lines
    are written over the whole job.

    Args:
        stream: where to write; ``sys.stderr`` when None.

    >>> import io
    >>> log = io.StringIO()
    >>> with Progress(log) as progress:
    ...     for step in range(1, 5):
    ...         progress.show(step / 4, f"step {step}")
    >>> print(log.getvalue(), end="")
     25 %  step 1
     50 %  step 2
     75 %  step 3
    100 %  step 4
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._redraws = self._stream.isatty()
        self._next_time = 0.0
        self._next_share = 0.0
        self._unfinished_line = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_line()

    def show(self, share: float, text: str) -> None:
        """Say that a share of the job (0 to 1) is done, and how it goes in a few words."""
        if self._redraws:
            self._redraw(share, text)
        elif share >= self._next_share or share >= 1:
            self._next_share = share + 1 / _PLAIN_LINES
            self._stream.write(f"{100 * share:3.0f} %  {text}\n")
            self._stream.flush()

    def end_line(self) -> None:
        """Leave the bar as it is, so that what is written next begins on a line of its own."""
        if self._unfinished_line:
            self._stream.write("\n")
            self._stream.flush()
            self._unfinished_line = False

    def _redraw(self, share: float, text: str) -> None:
        now = time.monotonic()
        if now < self._next_time and share < 1:
            return
        self._next_time = now + _SECONDS_BETWEEN_REDRAWS
        report = f" {100 * share:3.0f} %  {text}"
        columns = shutil.get_terminal_size().columns - 1
        width = max(min(_BAR_WIDTH, columns - len(report)), 0)
        done = round(width * min(share, 1.0))
        self._stream.write("\r\x1b[K" + f"{'━' * done}{'╌' * (width - done)}{report}"[:columns])
        self._stream.flush()
        self._unfinished_line = True


class TqdmBar:
    """How far a long job is, as a bar of the package tqdm, in a notebook as one of its widgets.

    >>> import io
    >>> log = io.StringIO()
    >>> with TqdmBar(log) as bar:
    ...     bar.show(0.5, "loss 1.23")
    >>> "50%" in log.getvalue(), "loss 1.23" in log.getvalue()
    (True, True)
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        tqdm = optional_package("tqdm.auto", "tqdm", "TqdmBar", "take a Progress").tqdm
        self._bar: Any = tqdm(total=100, file=stream, bar_format="{percentage:3.0f}% |{bar}| {elapsed}<{remaining} {postfix}")

    def __enter__(self) -> "TqdmBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, share: float, text: str) -> None:
        """Say that a share of the job (0 to 1) is done, and how it goes in a few words."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(100 * share - self._bar.n)
        self._bar.refresh()


@contextmanager
def make_bar(wanted: Bar | bool | None) -> Iterator[Bar | None]:
    """The bar that is asked for: one of one's own, none for None or False, and for True tqdm's, or without tqdm a `Progress`.

    Raises ArgumentError for anything else.
    """
    if wanted is None or wanted is False:
        yield None
    elif wanted is True:
        with TqdmBar() if importlib.util.find_spec("tqdm") else Progress() as bar:
            yield bar
    elif hasattr(wanted, "show"):
        yield wanted
    else:
        raise ArgumentError(f"progress: expected True, False or an object with show(share, text), got {wanted!r}")
