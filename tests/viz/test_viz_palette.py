"""Colours: measured contrast, an order that survives grey and colour blindness, and the same in the dark."""

import pytest
from minigrad.viz import palette
from minigrad.viz.palette import FILLS, GATE_FILLS, INK, PAGE, SOFT, THEMES, colour_at, contrast, dark

RAMP = [colour_at(k / 40) for k in range(41)]
LINES = [palette.WIRE, palette.COLLECTOR, palette.VANISHED, palette.UNTRACKED, palette.NOT_FINITE, palette.PANEL_LINE]
LINES += [palette.JUNCTION, palette.COLLECTOR_JUNCTION, palette.OUTLINE]
CONFUSION = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""Machado, Oliveira and Fernandes (2009), at full severity, for linear light."""


def seen(colour: str, blindness: str) -> str:
    light = palette._channels(colour)
    mixed = [sum(a * c for a, c in zip(row, light, strict=True)) for row in CONFUSION[blindness]]
    return "#" + "".join(f"{round(255 * palette._companded(min(max(c, 0.0), 1.0))):02x}" for c in mixed)


def distance(one: str, other: str) -> float:
    """In OKLab, where 0.02 is what an eye just notices."""
    a, b = palette._oklab(one), palette._oklab(other)
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5


@pytest.mark.parametrize("theme", THEMES)
def test_every_text_has_a_contrast_of_at_least_four_and_a_half_with_what_is_behind_it(theme: str) -> None:
    shown = THEMES[theme]
    for behind in (PAGE, palette.PANEL_FILL, *FILLS.values(), *GATE_FILLS):
        for text in (INK, SOFT):
            assert contrast(shown(text), shown(behind)) >= 4.5, (text, behind)
    assert contrast(shown(palette.PANEL_INK), shown(palette.PANEL_FILL)) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_the_faintest_line_has_a_contrast_of_at_least_two_with_page_and_panel(theme: str) -> None:
    shown = THEMES[theme]
    for line in (*LINES, *RAMP):
        for behind in (PAGE, palette.PANEL_FILL):
            assert contrast(shown(line), shown(behind)) >= 2.0, (line, behind)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", [None, *CONFUSION])
def test_a_stronger_gradient_stands_out_more_for_every_eye_and_in_grey(theme: str, eye: str | None) -> None:
    shown = [THEMES[theme](colour) for colour in RAMP]
    strengths = [contrast(colour if eye is None else seen(colour, eye), THEMES[theme](PAGE)) for colour in shown]
    assert strengths == sorted(strengths)
    assert strengths[-1] > 4 * strengths[0]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("eye", [None, *CONFUSION])
def test_wires_are_mistaken_for_no_gradient_by_any_eye(theme: str, eye: str | None) -> None:
    def view(colour: str) -> str:
        shown = THEMES[theme](colour)
        return shown if eye is None else seen(shown, eye)

    assert min(distance(view(wire), view(colour)) for wire in (palette.WIRE, palette.COLLECTOR) for colour in RAMP) > 0.08


def test_the_measures_find_colours_that_are_too_much_alike() -> None:
    assert contrast("#777777", "#888888") < 1.5
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)
    assert distance(RAMP[0], RAMP[1]) < 0.08
    assert contrast("#ffb74d", "#ffffff") < 2.0  # a wire in orange, as it once was


def test_what_is_dark_on_paper_is_bright_in_the_dark() -> None:
    grey = [f"#{k:02x}{k:02x}{k:02x}" for k in range(0, 256, 15)]
    strengths = [contrast(dark(colour), "#000000") for colour in grey]
    assert strengths == sorted(strengths, reverse=True)


def test_a_hue_stays_itself_in_the_dark() -> None:
    for colour in (palette.WIRE, "#c62828", "#2e7d32"):
        r, g, b = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        dr, dg, db = (int(dark(colour)[k : k + 2], 16) for k in (1, 3, 5))
        assert [r, g, b].index(max(r, g, b)) == [dr, dg, db].index(max(dr, dg, db))
