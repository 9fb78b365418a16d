"""The map painter in a real JupyterLab: a mouse paints on the photo, and the map is there in the next cell."""

import re

import lab as tools

CANVAS = "canvas.nst-painter-canvas"
INK = """canvas => {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    let sum = 0
    for (let i = 3; i < data.length; i += 4) sum += data[i]
    return sum
}"""  # all the colour that lies on the photo
ALPHA = """canvas => {
    const at = share => canvas.getContext('2d').getImageData(share * canvas.width, share * canvas.height, 1, 1).data[3]
    return {middle: at(0.5), corner: at(0.05)}
}"""
PRINTED = f"{tools.PANEL} .jp-CodeCell:nth-of-type(3) .jp-OutputArea-output"


def share(page) -> float:
    return float(re.search(r"([\d.]+) %", page.locator(".nst-painter-label").inner_text()).group(1))


def printed_mean(page) -> float:
    return float(re.search(r"mean ([\d.]+)", page.locator(PRINTED).inner_text()).group(1))


def ink(page) -> int:
    return page.locator(CANVAS).evaluate(INK)


def drag(page, *points, number=0):
    tools.drag(page, page.locator(CANVAS).nth(number), *points)


def at_rest(page) -> tuple[float, int]:
    return tools.settled(page, lambda: (share(page), ink(page)))


def test_the_painter(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "painter.ipynb",
        "from nstlab.panels.painter import MapPainter",
        "painter = MapPainter('cat').stroke([(0.1, 0.1), (0.3, 0.1)])\npainter",
        "print(f'mean {painter.guide.map.mean():.3f}, {tuple(painter.guide.map.shape)}')",
    )
    tools.open_notebook(page, *lab, "painter.ipynb")
    tools.run_all(page)
    page.wait_for_selector(CANVAS)
    tools.wait_for_text(page, ".nst-painter-label", "of the picture is marked")
    tools.wait_for_text(page, PRINTED, r"mean 0\.\d+, \(1, 1, 300, 451\)")
    page.locator(CANVAS).scroll_into_view_if_needed()
    began = at_rest(page)
    assert began[0] > 0 and began[1] > 0  # the stroke drawn before the panel was shown

    drag(page, (0.45, 0.3), (0.6, 0.5), (0.45, 0.75), (0.3, 0.55), (0.45, 0.3))
    tools.until(lambda: share(page) > began[0] + 5 and ink(page) > 2 * began[1], what="painting")
    marked = at_rest(page)
    page.screenshot(path=tmp_path / "painter.png")

    page.locator(".nst-painter-tool").get_by_text("erase").click()
    drag(page, (0.4, 0.2), (0.4, 0.9))
    tools.until(lambda: share(page) < marked[0] - 1 and ink(page) < marked[1], what="erasing")

    page.locator(".nst-painter-undo").focus()
    page.keyboard.press("Enter")
    tools.until(lambda: at_rest(page) == marked, what="undoing")
    page.locator(".nst-painter-tool").get_by_text("mark").click()
    page.click(".nst-painter-invert")
    tools.until(lambda: abs(share(page) - (100 - marked[0])) < 0.2, what="the rest marked")
    page.locator(CANVAS).click(position={"x": 5, "y": 200})
    page.keyboard.press("Control+z")  # the click
    page.keyboard.press("Control+z")  # the inversion
    tools.until(lambda: at_rest(page) == marked, what="undoing by key")
    page.keyboard.press("Escape")  # the keyboard is not caught in the canvas
    page.wait_for_function("() => document.activeElement.tagName !== 'CANVAS'")

    size = page.locator(".nst-painter-brush").inner_text()
    page.mouse.wheel(0, -300)
    page.wait_for_function("s => document.querySelector('.nst-painter-brush').innerText !== s", arg=size)

    page.locator(f"{tools.PANEL} .jp-CodeCell .cm-content").nth(2).click()
    page.keyboard.press("Control+Enter")
    tools.until(lambda: abs(printed_mean(page) - marked[0] / 100) < 0.002, what="using the map")

    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    page.wait_for_selector(CANVAS)
    tools.until(lambda: at_rest(page) == marked, what="the drawing after a reload")
    drag(page, (0.8, 0.7), (0.9, 0.9))
    tools.until(lambda: ink(page) > marked[1] and share(page) > marked[0], what="painting after a reload")
    tools.check_no_errors(page)


def test_a_narrow_window(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "narrow.ipynb",
        "from nstlab.panels.painter import MapPainter",
        "MapPainter('two-dogs')",
        "MapPainter('astronaut', size=600)",
    )
    for number, canvas in tools.narrow_canvases(page, lab, "narrow.ipynb", CANVAS):
        drag(page, (0.25, 0.25), (0.5, 0.5), number=number)
        tools.until(lambda canvas=canvas: canvas.evaluate(ALPHA)["middle"] > 100, what="paint where the mouse points")
        assert canvas.evaluate(ALPHA)["corner"] == 0
        page.screenshot(path=tmp_path / f"painter_narrow_{number}.png")
        tools.check_covers(page, CANVAS, ".nst-painter-photo", number)
        tools.check_fits(page, "button, canvas, img, .slider-container, .nst-painter-label", number)
    tools.check_no_errors(page)
