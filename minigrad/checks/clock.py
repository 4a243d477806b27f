"""When a search is over: by the processor's clock, which takes its time on some machines and so is looked at now and then."""

from __future__ import annotations

import time

__all__ = ["Clock"]

SELDOM = 0.02
"""So many seconds pass between two looks."""


class Clock:
    """Says when ``deadline`` is over, by `time.process_time`; between two looks at that, by `time.perf_counter`.

    >>> Clock(0.0).late(), Clock(float("inf")).late()
    (True, False)
    """

    def __init__(self, deadline: float) -> None:
        self.deadline, self.over, self.looked = deadline, False, float("-inf")

    def late(self) -> bool:
        """Whether the time is over."""
        now = time.perf_counter()
        if not self.over and now - self.looked > SELDOM:
            self.over, self.looked = time.process_time() > self.deadline, now
        return self.over
