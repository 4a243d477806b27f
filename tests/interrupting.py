"""Ctrl-C at every moment at which Python listens, one after the other."""

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


def interrupts(program: Callable[[], Any], most: int = 100_000) -> Iterator[int]:
    """Run the program with KeyboardInterrupt at its 1st, 2nd, … moment, until it runs to its end.

    The moments are those at which CPython hears signals: as a function of Python begins, and after a function in C has
    returned. After each interrupt the number of its moment is yielded, while the traceback is still alive.
    """
    for moment in range(1, most):
        left = moment

        def press(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal left
            left -= event in ("call", "c_return")
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

        try:
            sys.setprofile(press)
            try:
                program()
            finally:
                sys.setprofile(None)
        except KeyboardInterrupt:
            yield moment
        else:
            assert moment > 1, "the program was never interrupted"
            return
    raise AssertionError(f"the program has more than {most} moments")
