"""Pages, in a real browser: what they show, and what clicks and keys do to them."""

import functools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, a_browser
from graphs_to_draw import CELLS, OWN, of_cell
from minigrad.viz import draw, strips
from minigrad.viz.composing import compose
from minigrad.viz.scene import Scene
from minigrad.viz.text import legible
from minigrad.viz.writers import html
from nasty_labels import NASTY, picture_of
from programs import needs

pytestmark = needs("chromium", "chromedriver")
T = 4
STAGES = ["after the steps", "t = 4", "t = 3", "t = 2", "t = 1"]


@functools.cache
def lstm() -> Scene:
    loss = of_cell("lstm", T, loss="last")
    return compose([loss], title="LSTM & co")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as started:
        yield started


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "lstm.html"
    operations = compose([of_cell("lstm", T, loss="last")], detail="operations")
    path.write_text(html.write(lstm(), operations), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Browser, written: Path) -> Browser:
    browser.open(written)
    return browser


def of(page: Browser, expression: str) -> Any:
    return page.run(f"return {expression}")


def keys_with(page: Browser, selector: str) -> set[str]:
    found = of(page, f"[...document.querySelectorAll('.sheet:not([hidden]) {selector}')].map((mark) => mark.dataset.key)")
    return set(found)


def view_box(page: Browser) -> list[float]:
    return [float(n) for n in of(page, "document.querySelector('.sheet:not([hidden]) > svg').getAttribute('viewBox')").split()]


def reached(page: Browser) -> str:
    return str(of(page, "document.getElementById('reached').textContent"))


def slide(page: Browser, stage: int) -> None:
    page.run("const s = document.getElementById('stage'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))", stage)


def test_a_page_opens_from_a_file_without_an_error_and_asks_for_nothing(page: Browser, written: Path) -> None:
    assert page.errors() == []
    assert of(page, "document.title") == "LSTM & co"
    assert of(page, "performance.getEntriesByType('resource').length") == 0
    addresses = set(re.findall(r"https?://[^\"' )]+", written.read_text()))
    assert addresses == {"http://www.w3.org/2000/svg"}


def test_the_policy_of_the_page_forbids_the_network_and_the_browser_tells_of_attempts(browser: Browser, written: Path) -> None:
    bad = written.with_name("bad.html")
    bad.write_text(written.read_text().replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    browser.open(bad)
    assert any("Content Security Policy" in error for error in browser.errors())


@pytest.mark.parametrize("stage", range(len(STAGES) + 1))
def test_the_slider_lights_what_the_sweep_has_reached_and_says_how_far_it_is(page: Browser, stage: int) -> None:
    slide(page, stage)
    scene = lstm()
    ahead = {edge.key for edge in scene.edges if edge.stage is not None and edge.stage >= stage}
    assert keys_with(page, ".edges > g.ahead") == ahead
    assert bool(ahead) == (stage < len(STAGES))
    expected = f"backward has reached {STAGES[stage - 1]}" if stage else "backward has not begun"
    assert reached(page) == expected == of(page, "document.getElementById('stage').getAttribute('aria-valuetext')")


def test_a_line_that_the_sweep_has_not_reached_is_grey_and_thin(page: Browser) -> None:
    slide(page, 1)
    style = of(page, "getComputedStyle(document.querySelector('.edges > g.ahead > path')).stroke")
    assert style == "rgb(154, 167, 174)"
    lit = "getComputedStyle(document.querySelector('.edges > g:not(.ahead) > path')).stroke"
    assert of(page, lit) != style


def test_play_goes_through_all_stages_in_their_order_and_stops_at_the_last(page: Browser) -> None:
    seen = page.run(
        """
        const reached = document.getElementById("reached"), play = document.getElementById("play"), seen = [];
        play.dataset.pace = 5;
        return new Promise((done) => {
          new MutationObserver(() => {
            seen.push(reached.textContent);
            if (seen.length === 6) setTimeout(() => done([seen, play.getAttribute("aria-pressed"), play.textContent]), 60);
          }).observe(reached, { childList: true, characterData: true, subtree: true });
          play.click();
        });
        """
    )
    assert seen[0] == ["backward has not begun", *(f"backward has reached {stage}" for stage in STAGES)]
    assert seen[1:] == ["false", "▶ play backward"]


def test_a_strip_is_swept_from_the_last_step_to_the_first(browser: Browser, tmp_path: Path) -> None:
    browser.open(strips({"LSTM": of_cell("lstm", T, loss="last")}).save(tmp_path / "strip.html"))
    assert browser.errors() == []
    slide(browser, 2)
    assert reached(browser) == "backward has reached t = 3"
    ahead = [t for t in (1, 2) for _ in ("cell", "bar")]
    assert sorted(key.split("-")[1] for key in keys_with(browser, ".tiles > g.ahead")) == sorted(map(str, ahead))
    assert {key.split("-")[2] for key in keys_with(browser, ".curves > g.ahead")} == {"1", "2"}
    dimmed = "getComputedStyle(document.querySelector('.curves > g.ahead')).opacity"
    assert float(of(browser, f"new Promise((done) => setTimeout(() => done({dimmed}), 400))")) < 0.2


def test_keys_step_through_the_sweep(page: Browser) -> None:
    page.press(",")
    assert reached(page) == "backward has reached t = 2"
    page.press(",", ",", ".")
    assert reached(page) == "backward has reached t = 3"
    page.press(",", ",", ",", ",", ",")
    assert reached(page) == "backward has not begun"


def test_a_click_on_a_parameter_lights_all_its_uses_and_a_second_one_ends_it(page: Browser) -> None:
    scene = lstm()
    parameter = next(box.key for box in scene.boxes if box.role == "parameter")
    page.click(f".sheet:not([hidden]) g[data-key='{parameter}'] > rect")
    edges = {edge.key for edge in scene.edges if edge.source == parameter}
    boxes = {parameter} | {edge.target for edge in scene.edges if edge.source == parameter}
    assert len(edges) == T
    assert keys_with(page, ".edges > g.lit") == edges
    assert keys_with(page, ".boxes > g.lit") == boxes
    assert keys_with(page, ".wires > g.lit") == {wire.key for wire in scene.wires if wire.source == parameter}
    assert len(keys_with(page, ".bars > g.lit")) == T
    assert f"{len(boxes) - 1} uses are lit" in of(page, "document.getElementById('told').textContent")
    page.click(f".sheet:not([hidden]) g[data-key='{parameter}'] > rect")
    assert keys_with(page, "g.lit") == set()
    assert not of(page, "document.querySelector('svg').classList.contains('lighting')")


def test_a_click_on_a_step_opens_it_into_its_operations_and_escape_goes_back(page: Browser) -> None:
    slide(page, 3)
    page.click(".panels > g[data-t='3'] > text")
    x, y, width, height = view_box(page)
    panel = next(p for p in compose([of_cell("lstm", T, loss="last")], detail="operations").panels if p.time == 3)
    assert x < panel.x < panel.x + panel.width < x + width
    assert y < panel.y < panel.y + panel.height < y + height
    assert width < 2 * panel.width
    assert len(keys_with(page, ".boxes > g")) > len(lstm().boxes)
    assert reached(page) == f"backward has reached {STAGES[2]}"
    assert not of(page, "document.getElementById('back').hidden")
    page.press("Escape")
    assert len(keys_with(page, ".boxes > g")) == len(lstm().boxes)
    assert of(page, "document.getElementById('back').hidden")


def test_hovering_tells_what_a_box_holds(page: Browser) -> None:
    box = next(box for box in lstm().boxes if box.role == "gate")
    page.hover(f".sheet:not([hidden]) g[data-key='{box.key}'] > rect")
    assert of(page, "document.getElementById('told').textContent") == box.tooltip
    assert of(page, "document.querySelectorAll('svg title').length") == 2  # those of the two sheets, and no second hover text


def test_the_wheel_zooms_about_the_pointer_and_dragging_moves(page: Browser) -> None:
    before = view_box(page)
    page.wheel((700, 300), -400)
    x, y, width, height = view_box(page)
    assert width < before[2]
    assert width / height == pytest.approx(before[2] / before[3], rel=1e-6)
    page.drag((700, 300), (600, 250))
    moved = view_box(page)
    assert moved[0] > x
    assert moved[1] > y
    assert moved[2:] == [width, height]
    assert keys_with(page, "g.lit") == set()
    page.press("0")
    assert view_box(page) == before


def test_zoom_buttons_and_keys_do_the_same(page: Browser) -> None:
    before = view_box(page)
    page.click("#closer")
    clicked = view_box(page)
    page.click("#fit")
    assert view_box(page) == before
    page.run("document.activeElement.blur()")
    page.press("+")
    assert view_box(page) == clicked
    page.press("ArrowRight")
    assert view_box(page)[0] > clicked[0]


def test_the_keyboard_reaches_the_boxes_goes_from_one_to_the_next_and_lights_them(page: Browser) -> None:
    page.run("document.querySelector('details > summary').focus()")
    for _ in range(8):
        page.press("Tab")
        if of(page, "document.activeElement.closest('.boxes') !== null"):
            break
    first = of(page, "document.activeElement.dataset.key")
    boxes = {box.key: box for box in lstm().boxes}
    page.press("ArrowRight")
    second = of(page, "document.activeElement.dataset.key")
    assert boxes[second].x > boxes[first].x
    page.press("Enter")
    assert second in keys_with(page, ".boxes > g.chosen")
    assert of(page, "document.querySelectorAll('.sheet:not([hidden]) .boxes > g[tabindex=\"0\"]').length") == 1


def test_the_dark_is_switched_on_and_off(page: Browser) -> None:
    page.press("t")
    assert of(page, "getComputedStyle(document.querySelector('svg > rect')).fill") == "rgb(18, 18, 18)"
    assert of(page, "getComputedStyle(document.body).backgroundColor") == "rgb(18, 18, 18)"
    page.press("t")
    assert of(page, "getComputedStyle(document.querySelector('svg > rect')).fill") == "rgb(255, 255, 255)"


def test_it_prints_on_one_page_without_its_tools(page: Browser) -> None:
    pdf = page.printed()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1


def test_everything_that_can_be_used_has_a_name_and_changes_are_announced(page: Browser) -> None:
    nameless = of(
        page,
        "[...document.querySelectorAll('button, input, summary, [role=button], [tabindex]')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent).trim()).map((e) => e.outerHTML)",
    )
    assert nameless == []
    assert of(page, "[...document.querySelectorAll('[aria-live]')].map((e) => e.id)") == ["reached", "told"]
    assert of(page, "document.querySelector('svg').getAttribute('role')") == "group"
    assert of(page, "document.documentElement.lang") == "en"


def test_a_picture_without_steps_has_no_sweep_to_play(browser: Browser, tmp_path: Path) -> None:
    browser.open(draw(OWN["expression"](), gradients=False).save(tmp_path / "expression.html"))
    assert of(browser, "document.getElementById('sweep').hidden")
    assert browser.errors() == []


SCRIPTS_OTHERS_TOLD = """[
    document.querySelectorAll('script').length,
    document.querySelectorAll('img, iframe, object, foreignObject').length,
    [...document.querySelectorAll('.sheet:not([hidden]) .boxes > g')].map((box) => box.told),
]"""


@pytest.mark.parametrize("kind", NASTY)
def test_nasty_names_are_shown_not_obeyed_and_told_whole(browser: Browser, tmp_path: Path, kind: str) -> None:
    name = NASTY[kind]
    browser.open(picture_of(name).save(tmp_path / "nasty.html"))
    scripts, others, told = of(browser, SCRIPTS_OTHERS_TOLD)
    assert browser.errors() == []
    assert (scripts, others) == (1, 0)
    assert len(told) > 2
    assert all(text.startswith(legible(name)) for text in told)


def test_in_a_notebook_s_column_the_picture_shrinks_and_none_of_it_is_cut_off(browser: Browser, tmp_path: Path) -> None:
    picture = draw(of_cell("lstm", 5))
    assert picture.scene.width > 1200
    page = tmp_path / "cell.html"
    page.write_text(f"<!DOCTYPE html><div style='width: 640px'>{picture.svg()}</div>", encoding="utf-8")
    browser.open(page)
    frame = "document.querySelector('svg').getBoundingClientRect()"
    width, height = of(browser, f"[{frame}.width, {frame}.height]")
    assert width == 640
    assert height == pytest.approx(640 * picture.scene.height / picture.scene.width, abs=1)
    right = "Math.max(...[...document.querySelectorAll('svg text, svg rect')].map((e) => e.getBoundingClientRect().right))"
    assert of(browser, right) <= 640 + 8 + 0.5


OUTSIDE = """
    const outside = [];
    for (const box of document.querySelectorAll(".boxes > g")) {
      const frame = box.children[0].getBBox();
      for (const text of box.querySelectorAll("text")) {
        const words = text.getBBox();
        const sides = words.x < frame.x - 0.5 || words.x + words.width > frame.x + frame.width + 0.5;
        const ends = words.y < frame.y - 3 || words.y + words.height > frame.y + frame.height + 3;
        if (sides || ends) outside.push(text.textContent);
      }
    }
    return outside;
"""


@pytest.mark.parametrize("name", [*CELLS, *OWN])
def test_every_word_is_inside_its_box_as_the_browser_sets_it(browser: Browser, tmp_path: Path, name: str) -> None:
    picture = draw(of_cell(name, 3) if name in CELLS else OWN[name]())
    browser.open(picture.save(tmp_path / "picture.svg"))
    assert browser.run(OUTSIDE.replace("box.children[0]", "box.querySelector('rect, circle')")) == []


def test_the_measure_finds_a_word_that_is_too_long_for_its_box(browser: Browser, tmp_path: Path) -> None:
    path = draw(of_cell("lstm", 2)).save(tmp_path / "picture.svg")
    root = ET.fromstring(path.read_text())
    long = next(element for element in root.iter("{http://www.w3.org/2000/svg}text") if element.text == "tanh")
    path.write_text(path.read_text().replace(">tanh<", ">tanhtanh<"))
    browser.open(path)
    assert long is not None
    assert "tanhtanh" in browser.run(OUTSIDE.replace("box.children[0]", "box.querySelector('rect, circle')"))
