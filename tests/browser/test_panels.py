"""The panels in a real JupyterLab, in a real browser: what a student clicks does what it says."""

import re
import time

import lab as tools

from nstlab import images


def step_of(text: str) -> int:
    return int(re.search(r"step (\d+)", text).group(1))


def test_the_mixer(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "mixer.ipynb",
        "import nstlab\nfrom nstlab.panels.mixer import LossMixer",
        "run = nstlab.plan('cat', 'great-wave', size=48, steps=2000, levels=1, optimizer='adam')",
        "mixer = LossMixer(run).autorun()\nmixer",
    )
    tools.open_notebook(page, *lab, "mixer.ipynb")
    tools.run_all(page)
    page.wait_for_selector(".nst-mixer-start")
    tools.wait_for_text(page, ".nst-mixer-label", "press Start")
    start = tools.pixels(page, ".nst-mixer-swipe .nst-after")
    photo = tools.pixels(page, ".nst-mixer-swipe .nst-before")
    tools.until(page.locator(".nst-mixer-pause").is_disabled, what="nothing to pause")

    page.locator(".nst-mixer-swipe .nst-after").scroll_into_view_if_needed()
    page.click(".nst-mixer-start")
    tools.wait_for_text(page, ".nst-mixer-label", r"running, step ([4-9]|\d\d)")
    tools.until(lambda: tools.pixels(page, ".nst-mixer-swipe .nst-after") != start, what="a new picture")

    before = page.locator(".nst-mixer-weight-style").inner_text()
    page.locator(".nst-mixer-slider-style input").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("b => document.querySelector('.nst-mixer-weight-style').innerText !== b", arg=before)
    tools.drag(page, page.locator(".nst-mixer-slider-content input"), (0.5, 0.5), (-0.2, 0.5))
    tools.wait_for_text(page, ".nst-mixer-weight-content", "off")

    page.click(".nst-mixer-pause")
    tools.wait_for_text(page, ".nst-mixer-label", "paused")
    look = lambda: (tools.pixels(page, ".nst-mixer-swipe .nst-after"), page.locator(".nst-mixer-label").inner_text())
    held = tools.settled(page, look)  # the step that was under way is over
    page.screenshot(path=tmp_path / "mixer_paused.png")
    time.sleep(1)
    assert look() == held

    tools.wait_for_text(page, ".nst-mixer-pause", "Go on")
    page.click(".nst-mixer-pause")
    tools.until(lambda: tools.pixels(page, ".nst-mixer-swipe .nst-after") != held[0], what="a picture after the pause")
    assert step_of(page.locator(".nst-mixer-label").inner_text()) > step_of(held[1])

    tools.move_line(page, ".nst-mixer", "PageUp", 4)
    tools.wait_for_cut(page, ".nst-mixer", 40)
    page.screenshot(path=tmp_path / "mixer_line.png")

    page.click(".nst-mixer-reset")
    tools.wait_for_text(page, ".nst-mixer-label", "press Start")
    tools.until(lambda: tools.pixels(page, ".nst-mixer-swipe .nst-after") == start, what="the start picture")
    tools.until(lambda: tools.pixels(page, ".nst-mixer-swipe .nst-before") == photo, what="the photo beside it")
    tools.wait_for_text(page, ".nst-mixer-weight-content", "off")

    page.set_viewport_size({"width": 620, "height": 1100})  # a narrow window: nothing may stick out
    page.screenshot(path=tmp_path / "mixer_narrow.png")
    tools.check_fits(page, "button, img, .nst-slide, .nst-mixer-label")
    tools.check_accessible(page)
    tools.check_no_errors(page)


def test_the_feature_explorer(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "explorer.ipynb",
        "import nstlab\nfrom nstlab.panels.explorer import FeatureExplorer\nfrom nstlab.encoders.probing import survey",
        "encoder = nstlab.load_encoder()\nfound = survey(encoder, ['cat', 'coffee'], size=64)",
        "explorer = FeatureExplorer('cat', 'relu2_1', encoder=encoder, size=64, surveyed=found)\nexplorer",
    )
    tools.open_notebook(page, *lab, "explorer.ipynb")
    tools.run_all(page)
    tools.wait_for_text(page, ".nst-explorer-label", "relu2_1, channel")
    views = [f".nst-explorer-{name}" for name in ("photo", "map", "patches")]
    page.locator(views[0]).scroll_into_view_if_needed()

    def look():
        return [tools.pixels(page, view) for view in views]

    first = tools.settled(page, look)
    page.click(".nst-explorer-next")
    tools.wait_for_text(page, ".nst-explorer-label", "number 2 in strength")
    tools.until(lambda: look()[1] != first[1] and look()[2] != first[2], what="another channel's map and patches")

    page.locator(".nst-explorer-layer input").focus()
    page.keyboard.press("ArrowRight")
    tools.wait_for_text(page, ".nst-explorer-label", "relu2_2, channel")
    second = tools.settled(page, look)
    page.locator(".nst-explorer-channel input").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    tools.until(lambda: look()[1] != second[1], what="another map")

    second = tools.settled(page, look)
    page.locator(".nst-explorer-pick select").select_option("coffee")
    tools.until(lambda: look()[0] != second[0] and look()[1] != second[1], what="another photo and its map")
    second = tools.settled(page, look)
    page.screenshot(path=tmp_path / "explorer.png")
    page.locator(".nst-explorer-path input").fill("no-such-picture.jpg")
    page.keyboard.press("Enter")
    tools.wait_for_text(page, ".nst-explorer-label", "there is no such file")
    assert look() == second

    tools.upload(page, ".nst-explorer-upload", "mine.png", images.locate("rocket").read_bytes())
    tools.wait_for_text(page, ".nst-explorer-chosen", "mine.png")
    tools.until(lambda: look()[0] != second[0], what="the picture that was uploaded")
    page.set_viewport_size({"width": 620, "height": 1100})
    tools.settled(page, look)
    page.screenshot(path=tmp_path / "explorer_narrow.png")
    tools.check_fits(page, "button:visible, img, select, .nst-slide, .nst-drop, .nst-explorer-label")
    tools.check_accessible(page)
    tools.check_no_errors(page)
