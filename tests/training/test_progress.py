import io

import pytest
from minigrad.models.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_about_ten_plain_lines_whatever_the_number_of_steps() -> None:
    log = io.StringIO()
    with Progress(log) as progress:
        for step in range(1, 1001):
            progress.show(step / 1000, f"step {step}")
    lines = log.getvalue().splitlines()
    assert 10 <= len(lines) <= 12
    assert lines[-1] == "100 %  step 1000"
    assert "\r" not in log.getvalue()
    assert "\x1b" not in log.getvalue()


def test_a_terminal_gets_one_line_that_is_redrawn_and_ended() -> None:
    terminal = Terminal()
    with Progress(terminal) as progress:
        progress.show(0.5, "halfway")
        progress.show(1.0, "done")
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 2
    assert terminal.getvalue().endswith("100 %  done\n")


def test_a_terminal_is_not_redrawn_more_often_than_it_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([step * 0.001 for step in range(1000)])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    terminal = Terminal()
    with Progress(terminal) as progress:
        for step in range(500):
            progress.show(step / 1000, "")
    assert terminal.getvalue().count("\r") <= 6


def test_the_bar_fits_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, expected in ((25, "━━╌╌╌╌  25 %  the report"), (19, "  25 %  the report"), (15, "  25 %  the re")):
        monkeypatch.setenv("COLUMNS", str(columns))
        terminal = Terminal()
        with Progress(terminal) as progress:
            progress.show(0.25, "the report")
        assert terminal.getvalue().removeprefix("\r\x1b[K").rstrip("\n") == expected


def test_an_error_during_the_job_leaves_the_cursor_on_a_new_line() -> None:
    terminal = Terminal()

    def interrupted_job() -> None:
        with Progress(terminal) as progress:
            progress.show(0.5, "halfway")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_job()
    assert terminal.getvalue().endswith("\n")


def test_nothing_shown_writes_nothing() -> None:
    terminal = Terminal()
    with Progress(terminal):
        pass
    assert terminal.getvalue() == ""
