"""The map painter in a real JupyterLab: a map is painted, corrected, taken back, kept, and used in the next cell."""

import lab as tools
from test_kit import OVERLAY

SURFACE = ".nst-painter-surface .nst-surface"


def share(page) -> float:
    return tools.ask(page, "float(painter.guide.map.mean())")


def drawn(page) -> float:
    return page.locator(SURFACE).evaluate(OVERLAY)


def becomes(page, test, what):
    """Wait until the map does, and until it is drawn as it is; return its share."""
    tools.until(lambda: test(share(page)) and abs(drawn(page) - share(page)) < 0.005, what=what)
    return share(page)


def test_the_painter(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "painter.ipynb",
        "from nstlab.panels.painter import MapPainter",
        "painter = MapPainter('cat').stroke([(0.1, 0.1), (0.3, 0.1)])\npainter",
    )
    tools.open_notebook(page, *lab, "painter.ipynb")
    tools.run_all(page)
    surface = page.locator(SURFACE)
    surface.wait_for()
    began = becomes(page, lambda now: now > 0, "the stroke drawn before the panel was shown")
    assert tools.ask(page, "tuple(painter.guide.map.shape)") == (1, 1, 300, 451)
    surface.scroll_into_view_if_needed()

    tools.drag(page, surface, (0.45, 0.3), (0.6, 0.5), (0.45, 0.75), (0.3, 0.55), (0.45, 0.3))
    marked = becomes(page, lambda now: now > began + 0.05, "painting")
    page.screenshot(path=tmp_path / "painter.png")
    page.click(".nst-painter-surface .nst-erase")
    tools.drag(page, surface, (0.4, 0.2), (0.4, 0.9))
    becomes(page, lambda now: now < marked - 0.01, "erasing")
    page.locator(".nst-painter-surface .nst-undo").press("Enter")
    becomes(page, lambda now: now == marked, "undoing")

    page.click(".nst-painter-invert")
    becomes(page, lambda now: abs(now - (1 - marked)) < 0.002, "the rest marked")
    surface.click(position={"x": 5, "y": 200})
    becomes(page, lambda now: now < 1 - marked - 0.002, "a click that erases")
    page.keyboard.press("Control+z")  # the click
    becomes(page, lambda now: abs(now - (1 - marked)) < 0.002, "undoing by key")
    page.keyboard.press("Control+z")  # the inversion
    becomes(page, lambda now: now == marked, "undoing what another button did")
    page.click(".nst-painter-surface .nst-mark")
    page.locator(".nst-painter-softness input").press("End")
    tools.until(lambda: tools.ask(page, "painter.surface.softness") == 1, what="a softer brush")

    page.keyboard.press("Control+s")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    page.reload()
    surface.wait_for()
    page.wait_for_function(f"() => {tools.SESSION}?.kernel?.connectionStatus === 'connected'")
    becomes(page, lambda now: now == marked, "the drawing after a reload")
    tools.drag(page, surface, (0.8, 0.7), (0.9, 0.9))
    marked = becomes(page, lambda now: now > marked, "painting after a reload")
    page.click(".nst-painter-clear")
    becomes(page, lambda now: now == 0, "an empty map")

    page.set_viewport_size({"width": 620, "height": 1100})  # a narrow window: nothing may stick out
    tools.drag(page, surface, (0.25, 0.25), (0.5, 0.5))
    becomes(page, lambda now: now > 0.01, "painting in a narrow window")
    assert tools.ask(page, "painter.guide.map[0, 0, 150, 225].item() > 0.9 and painter.guide.map[0, 0, 280, 430].item() == 0")
    page.screenshot(path=tmp_path / "painter_narrow.png")
    tools.check_fits(page, "button, select, .nst-surface, .nst-slide, .nst-drop")
    tools.check_accessible(page)
    tools.check_no_errors(page)
