"""The triangle of three paintings in a real JupyterLab: a point is clicked and dragged, and the blends are painted."""

import re

import lab as tools

BOARD = ".nst-triangle-board svg"
LABEL = ".nst-triangle-label"
PICTURE = ".nst-triangle-picture"
MAKE = """StyleTriangle('cat', ['starry-night', 'great-wave', 'composition-viii'], size=96, steps=6, weights={'style': 3})"""
WHERE = """board => {
    const point = board.querySelector('.nst-point')
    return [point.getAttribute('cx') / 340, point.getAttribute('cy') / 310]
}"""  # the point, in shares of the board
TOP, LEFT, RIGHT, MIDDLE = (0.5, 89 / 310), (78 / 340, 0.8), (262 / 340, 0.8), (0.5, 195 / 310)


def shares(page) -> list[int]:
    return [int(number) for number in re.findall(r"(\d+) %", page.locator(LABEL).first.inner_text())]


def at(page, place, number=0) -> tuple[float, float]:
    box = page.locator(BOARD).nth(number).bounding_box()
    return box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]


def click(page, place, number=0):
    page.mouse.click(*at(page, place, number))


def marked(page, place, number=0) -> bool:
    """Whether the point is drawn there."""
    found = page.locator(BOARD).nth(number).evaluate(WHERE)
    return all(abs(a - b) < 0.02 for a, b in zip(found, place))


def test_the_triangle(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "triangle.ipynb",
        "from nstlab.panels.triangle import StyleTriangle",
        f"triangle = {MAKE}\ntriangle",
    )
    tools.open_notebook(page, *lab, "triangle.ipynb")
    tools.run_all(page)
    page.wait_for_selector(BOARD)
    tools.wait_for_text(page, LABEL, "nothing is painted here yet")
    page.locator(BOARD).scroll_into_view_if_needed()
    tools.until(lambda: marked(page, MIDDLE), what="the point in the middle")
    photo = tools.pixels(page, PICTURE)

    click(page, TOP)
    tools.until(lambda: shares(page)[0] >= 98 and marked(page, TOP), what="a click on the top")
    assert tools.pixels(page, PICTURE) == photo

    page.click(".nst-triangle-grid")
    tools.wait_for_text(page, LABEL, r"Running: picture \d of 6, step \d")
    tools.until(page.locator(".nst-triangle-blend").is_disabled, what="no second run beside the first")
    tools.wait_for_text(page, LABEL, r"painted with this blend\W.*Done|cross-faded.*Done")
    tools.until(lambda: tools.pixels(page, PICTURE) != photo, what="a painted picture")
    tools.until(page.locator(".nst-triangle-grid").is_disabled, what="nothing left to paint")

    page.mouse.move(*at(page, TOP))
    page.mouse.down()
    page.mouse.move(*at(page, MIDDLE), steps=10)
    tools.wait_for_text(page, LABEL, "cross-faded from 3")
    page.mouse.move(*at(page, (0.05, 0.95)), steps=10)  # beyond the corner at the left
    page.mouse.up()
    tools.until(lambda: shares(page) == [0, 100, 0] and marked(page, LEFT), what="dragging beyond a corner")
    tools.wait_for_text(page, LABEL, "painted with this blend")
    wave = tools.pixels(page, PICTURE)

    click(page, MIDDLE)
    tools.until(lambda: all(30 <= share <= 36 for share in shares(page)), what="a click in the middle")
    faded = tools.settled(page, lambda: tools.pixels(page, PICTURE))
    assert faded != wave
    page.screenshot(path=tmp_path / "triangle_faded.png")
    page.click(".nst-triangle-blend")
    tools.wait_for_text(page, LABEL, "painted with this blend")
    tools.until(lambda: tools.pixels(page, PICTURE) != faded, what="painting this blend")
    page.screenshot(path=tmp_path / "triangle_painted.png")

    before = shares(page)
    page.locator(".nst-triangle-share-3 input").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    tools.until(lambda: before[2] < shares(page)[2] < before[2] + 5, what="a share moved a little by key")
    for _ in range(2):
        page.keyboard.press("PageUp")
    tools.until(lambda: shares(page)[2] > before[2] + 10 and shares(page)[0] < before[0], what="a share moved by key")
    moved = tools.settled(page, lambda: shares(page))

    assert round(100 * tools.ask(page, "triangle.blend")[2]) == moved[2]

    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    page.wait_for_selector(BOARD)
    tools.until(lambda: shares(page) == moved and page.locator(BOARD).evaluate(WHERE), what="the point after a reload")
    page.locator(BOARD).scroll_into_view_if_needed()
    click(page, RIGHT)
    tools.until(lambda: shares(page)[2] >= 98 and marked(page, RIGHT), what="a click after a reload")

    page.set_viewport_size({"width": 620, "height": 1100})  # a narrow window: nothing may stick out
    click(page, LEFT)
    tools.until(lambda: shares(page)[1] >= 98 and marked(page, LEFT), what="a click in a narrow window")
    page.screenshot(path=tmp_path / "triangle_narrow.png")
    tools.check_fits(page, f"button, svg, img, .nst-slide, {LABEL}")
    tools.check_accessible(page)
    tools.check_no_errors(page)
