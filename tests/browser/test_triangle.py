"""The triangle of three paintings in a real JupyterLab: a point is clicked and dragged, and the blends are painted."""

import re

import lab as tools

CANVAS = "canvas.nst-triangle-canvas"
LABEL = ".nst-triangle-label"
PICTURE = ".nst-triangle-picture"
MAKE = """StyleTriangle('cat', ['starry-night', 'great-wave', 'composition-viii'], size=96, steps=6, weights={'style': 3})"""
WHERE = """canvas => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    let count = 0, x = 0, y = 0
    for (let i = 0; i < data.length; i += 4) {
        if (data[i] === 230 && data[i + 1] === 159 && data[i + 2] === 0 && data[i + 3] === 255) {
            count += 1; x += i / 4 % canvas.width; y += Math.floor(i / 4 / canvas.width)
        }
    }
    return count && [x / count / canvas.width, y / count / canvas.height]
}"""  # the middle of the orange point, in shares of the canvas
TOP, LEFT, RIGHT, MIDDLE = (0.5, 89 / 310), (78 / 340, 0.8), (262 / 340, 0.8), (0.5, 195 / 310)


def shares(page) -> list[int]:
    return [int(number) for number in re.findall(r"(\d+) %", page.locator(LABEL).first.inner_text())]


def at(page, place, number=0) -> tuple[float, float]:
    box = page.locator(CANVAS).nth(number).bounding_box()
    return box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]


def click(page, place, number=0):
    page.mouse.click(*at(page, place, number))


def marked(page, place, number=0) -> bool:
    """Whether the orange point is drawn there."""
    found = page.locator(CANVAS).nth(number).evaluate(WHERE)
    return bool(found) and all(abs(a - b) < 0.02 for a, b in zip(found, place))


def test_the_triangle(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "triangle.ipynb",
        "from nstlab.panels.triangle import StyleTriangle",
        f"triangle = {MAKE}\ntriangle",
        "print('blend', *(round(share, 2) for share in triangle.blend))",
    )
    tools.open_notebook(page, *lab, "triangle.ipynb")
    tools.run_all(page)
    page.wait_for_selector(CANVAS)
    tools.wait_for_text(page, LABEL, "nothing is painted here yet")
    page.locator(CANVAS).scroll_into_view_if_needed()
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
    page.locator(".nst-triangle-share-3 .noUi-handle").focus()
    for key in ("ArrowRight", "ArrowRight", "PageUp", "PageUp"):
        page.keyboard.press(key)
    tools.until(lambda: shares(page)[2] > before[2] + 10 and shares(page)[0] < before[0], what="a share moved by key")
    moved = tools.settled(page, lambda: shares(page))

    page.locator(f"{tools.PANEL} .jp-CodeCell .cm-content").nth(2).click()
    page.keyboard.press("Control+Enter")
    printed = f"{tools.PANEL} .jp-CodeCell:nth-of-type(3) .jp-OutputArea-output"
    tools.wait_for_text(page, printed, rf"blend .* 0\.{moved[2]}")

    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    page.wait_for_selector(CANVAS)
    tools.until(lambda: shares(page) == moved and page.locator(CANVAS).evaluate(WHERE), what="the point after a reload")
    page.locator(CANVAS).scroll_into_view_if_needed()
    click(page, RIGHT)
    tools.until(lambda: shares(page)[2] >= 98 and marked(page, RIGHT), what="a click after a reload")
    tools.check_no_errors(page)


def test_a_narrow_window(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "narrow_triangle.ipynb",
        "from nstlab.panels.triangle import StyleTriangle",
        MAKE,
        MAKE.replace("'cat'", "'astronaut'"),
    )
    for number, _ in tools.narrow_canvases(page, lab, "narrow_triangle.ipynb", CANVAS):
        click(page, RIGHT, number)
        tools.until(lambda number=number: marked(page, RIGHT, number), what="the point where the mouse clicks")
        page.screenshot(path=tmp_path / f"triangle_narrow_{number}.png")
        tools.check_covers(page, CANVAS, ".nst-triangle-corners", number)
        tools.check_fits(page, f"button, canvas, img, .slider-container, {LABEL}", number)
    tools.check_no_errors(page)
