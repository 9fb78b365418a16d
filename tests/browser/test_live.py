"""Panels that paint at once, in a real JupyterLab: a slider from photo to painting, and a triangle of three paintings."""

import lab as tools
from test_triangle import BOARD, LABEL, LEFT, MIDDLE, PICTURE, TOP, at, click, marked, shares

SET_UP = """
from nstlab import images, load_encoder
from nstlab.feature_transforms import AdaIN, Part
from nstlab.networks import load_decoder
from nstlab.panels.live import LiveSliders, LiveTriangle

three = ['starry-night', 'great-wave', 'composition-viii']
encoder = load_encoder('pocket')
painter = load_decoder(encoder)
look = lambda name: encoder(images.load(name, 96), ['relu4_1'])['relu4_1']
photo, described, painted = look('cat'), [AdaIN().describe(look(name)) for name in three], []

def paint(alpha=1.0, blend=(1, 0, 0)):
    painted.append((alpha, blend))
    parts = [Part(target, share) for target, share in zip(described, blend)]
    return painter(AdaIN(alpha).mix(photo, parts), 'relu4_1', (64, 96))['image'].clamp(0, 1)
"""


def test_a_slider_from_photo_to_painting(lab, lab_folder, page, tmp_path):
    panel = "LiveSliders(lambda values: paint(values['alpha']), {'alpha': 0.5})"
    tools.write_notebook(lab_folder / "slider.ipynb", SET_UP, panel)
    tools.open_notebook(page, *lab, "slider.ipynb")
    tools.run_all(page)
    page.wait_for_selector(".nst-live-picture")
    half = tools.pixels(page, ".nst-live-picture")
    page.locator(".nst-live-alpha input").focus()
    page.keyboard.press("Home")
    tools.until(lambda: tools.pixels(page, ".nst-live-picture") != half, what="another picture")
    photo = tools.settled(page, lambda: tools.pixels(page, ".nst-live-picture"))
    for _ in range(30):  # faster than anybody paints
        page.keyboard.press("ArrowRight")
    tools.until(lambda: tools.pixels(page, ".nst-live-picture") != photo, what="a picture that follows")
    tools.settled(page, lambda: tools.pixels(page, ".nst-live-picture"))
    assert tools.ask(page, "round(painted[-1][0], 2)") == 0.3
    page.screenshot(path=tmp_path / "slider.png")
    tools.check_fits(page, "img, .nst-slide")
    tools.check_accessible(page)
    tools.check_no_errors(page)


def test_the_triangle_that_paints_at_once(lab, lab_folder, page, tmp_path):
    panel = "LiveTriangle(lambda blend: paint(blend=blend), three)"
    tools.write_notebook(lab_folder / "live.ipynb", SET_UP, panel)
    tools.open_notebook(page, *lab, "live.ipynb")
    tools.run_all(page)
    page.wait_for_selector(BOARD)
    page.locator(BOARD).scroll_into_view_if_needed()
    tools.until(lambda: marked(page, MIDDLE), what="the point in the middle")
    middle = tools.pixels(page, PICTURE)

    click(page, TOP)
    tools.until(lambda: shares(page)[0] >= 98 and marked(page, TOP), what="a click on the top")
    tools.until(lambda: tools.pixels(page, PICTURE) != middle, what="another picture")
    night = tools.settled(page, lambda: tools.pixels(page, PICTURE))

    page.mouse.move(*at(page, TOP))
    page.mouse.down()
    page.mouse.move(*at(page, MIDDLE), steps=20)
    page.mouse.move(*at(page, (0.05, 0.95)), steps=20)  # beyond the corner at the left
    page.mouse.up()
    tools.until(lambda: shares(page) == [0, 100, 0] and marked(page, LEFT), what="dragging beyond a corner")
    assert tools.settled(page, lambda: tools.pixels(page, PICTURE)) not in (night, middle)
    assert tools.ask(page, "[round(share, 2) for share in painted[-1][1]]") == [0, 1, 0]
    page.screenshot(path=tmp_path / "live_triangle.png")
    tools.check_fits(page, f"svg, img, .nst-slide, {LABEL}")
    tools.check_no_errors(page)
