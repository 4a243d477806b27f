"""Names in pictures."""

import pytest
from minigrad.viz.text import Span, clean, fit, line_width, number, plain, power_of_ten, symbol_name

DEJAVU_SANS = {
    "W": 0.989, "M": 0.863, "m": 0.974, "w": 0.818, "Q": 0.787, "D": 0.770, "A": 0.684, "B": 0.686, "i": 0.278,
    "f": 0.352, "r": 0.411, "t": 0.392, "h": 0.634, "g": 0.635, "x": 0.592, "0": 0.636, "+": 0.838, "−": 0.838,
    "⊙": 0.838, "÷": 0.838, "σ": 0.634, "Σ": 0.632, "@": 1.0, "·": 0.318, " ": 0.318, "(": 0.390, "…": 1.0, "_": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(("character", "advance"), DEJAVU_SANS.items())
def test_no_character_is_thought_narrower_than_it_is_in_the_widest_common_font(character: str, advance: float) -> None:
    assert line_width((Span(character),), 1.0) >= advance


def test_what_follows_the_underscore_and_the_time_step_are_subscripts() -> None:
    assert [(s.text, s.level) for s in symbol_name("W_hx")] == [("W", 0), ("hx", -1)]
    assert [(s.text, s.level) for s in symbol_name("h", time=12)] == [("h", 0), ("12", -1)]
    assert [(s.text, s.level) for s in symbol_name("h_f", time=2, part=1)] == [("h", 0), ("f,2", -1), ("(1)", 1)]


@pytest.mark.parametrize("name", ["_", "_x", "x_", "__", ""])
def test_a_name_without_two_sides_of_an_underscore_stays_as_it_is(name: str) -> None:
    assert plain(symbol_name(name)) == name


def test_plain_text_uses_unicode_subscripts_as_far_as_they_go() -> None:
    assert plain(symbol_name("c̃", time=3)) == "c̃₃"
    assert plain(symbol_name("W_hh")) == "Wₕₕ"
    assert plain(symbol_name("W_gx", time=4)) == "W_gx₄"
    assert plain(power_of_ten(-12)) == "10⁻¹²"


def test_long_names_are_shortened_in_the_middle() -> None:
    shown = plain(symbol_name("a" * 40 + "_" + "b" * 40))
    assert len(shown) <= 28
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert "…" in shown


def test_what_no_picture_format_can_hold_is_replaced_and_controls_are_pictured() -> None:
    assert clean("a\ud800\uffff\x85\x90") == "a\ufffd\ufffd \ufffd"
    assert clean("a\x00b\x1b[31m\x07\x7f") == "a␀b␛[31m␇␡"
    assert clean("two\nlines\tand tabs") == "two lines and tabs"


@pytest.mark.parametrize("name", ["\ue000", "\U0001fae8", "名前", "a\u202eb", "e\u0301", "👩\u200d💻"])
def test_what_every_format_can_hold_stays_as_it_is(name: str) -> None:
    assert clean(name) == name


def test_text_that_is_too_wide_is_set_smaller() -> None:
    line = (Span("wide" * 10),)
    assert fit(line, 13.0, room=1000.0) == 13.0
    assert line_width(line, fit(line, 13.0, room=50.0)) == pytest.approx(50.0)


@pytest.mark.parametrize(("value", "shown"), [(0.0, "0"), (0.064, "0.064"), (1.2e-19, "1.2e-19"), (float("nan"), "nan")])
def test_numbers_have_two_digits(value: float, shown: str) -> None:
    assert number(value) == shown
