"""What is said about axes that look exchanged, and about those that do not."""

import pytest

from minigrad.axes import exchanged, misplaced


@pytest.mark.parametrize(
    ("got", "expected", "said"),
    [
        ((2, 5), (5, 2), "axes 0 and 1 look exchanged, as in data whose batch comes first: pass xs.swapaxes(0, 1)"),
        ((5, 3, 2), (None, None, 3), "axes 1 and 2 look exchanged: pass xs.swapaxes(1, 2)"),
        ((2, 3, 4), (4, 3, 2), "axes 0 and 2 look exchanged: pass xs.swapaxes(0, 2)"),
    ],
)
def test_two_axes_in_each_others_place_are_named(got: tuple[int, ...], expected: tuple[int | None, ...], said: str) -> None:
    assert exchanged("xs", got, expected) == f"; {said}"


@pytest.mark.parametrize(
    ("got", "expected"),
    [((5, 2), (5, 2)), ((3, 3), (3, None)), ((2, 5), (2, 4)), ((2, 5), (5, 2, 1)), ((2, 3, 4), (3, 4, 2)), ((), ())],
)
def test_nothing_is_said_where_it_fits_or_more_is_wrong(got: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    assert exchanged("xs", got, expected) == ""


def test_an_axis_that_should_come_last_is_named_unless_it_does_or_there_are_but_two() -> None:
    assert misplaced("logits", (2, 7, 5), (2, 5)) == (
        "; axis 1 looks like the one that comes last: pass np.moveaxis(logits, 1, -1)"
    )
    assert misplaced("logits", (2, 5, 7), (2, 5)) == ""
    assert misplaced("logits", (7, 5), (5,)) == ""
    assert misplaced("logits", (2, 7, 5), (2, 6)) == ""
