"""Tests of pictures that could not be tried are told of at the end, whatever else is told."""

from collections import Counter

import pytest
from programs import HOW


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = (report.longrepr[2] for report in terminalreporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple))
    for reason, times in Counter(reason for reason in reasons if HOW in reason).items():
        terminalreporter.write_line(
            f"NOT TRIED: {times} tests of pictures; {reason.removeprefix('Skipped: ')}", red=True, bold=True
        )
