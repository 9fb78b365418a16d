"""The training panel in a real JupyterLab, in a real browser: a real training of a small network, steered while it runs."""

import re
import time

import lab as tools

SETUP = """
import nstlab
from nstlab.panels.training import TrainingPanel
from nstlab.systems.train import training
draft = {"widths": (8, 16), "blocks": 1}
options = {"network": {"widths": (8, 16), "blocks": 1, "draft": draft}, "task": {"warmup_steps": 3}}
photos = ["two-dogs", "coffee", "rocket", "honey-bee"]
"""
MAKE = """
def make():
    return training("multiscale_gan", photos, "starry-night", size=64, batch=2, steps=3000, guides="none", folder="run",
                    resume=True, **options)
"""
VIEWS = ("photo", "draft", "picture", "judgement")


def test_the_training_panel(lab, lab_folder, page, tmp_path):
    cells = [SETUP.strip(), MAKE.strip(), "panel = TrainingPanel(make).autorun()\npanel"]
    tools.write_notebook(lab_folder / "training.ipynb", *cells)
    tools.open_notebook(page, *lab, "training.ipynb")
    tools.run_all(page)
    page.wait_for_selector(".nst-training-start")
    tools.wait_for_text(page, ".nst-training-label", "press Start: 3000 steps")
    for name in ("pause", "stop"):
        tools.until(page.locator(f".nst-training-{name}").is_disabled, what=f"nothing to {name}")
    page.locator(".nst-training-start").scroll_into_view_if_needed()

    def step() -> int:
        return int(re.search(r"step (\d+)", page.locator(".nst-training-label").inner_text()).group(1))

    def look():
        return [tools.pixels(page, f".nst-training-{name}") for name in VIEWS]

    page.locator(".nst-training-start").focus()
    page.keyboard.press("Enter")
    tools.wait_for_text(page, ".nst-training-label", r"running, step ([6-9]|\d\d+) of 3000, .* s a step, about .* left")
    page.wait_for_selector(".nst-training-judgement")
    first = look()
    before = page.locator(".nst-training-weight-style").inner_text()
    page.locator(".nst-training-slider-style input").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("b => document.querySelector('.nst-training-weight-style').innerText !== b", arg=before)
    moved = step()
    tools.until(lambda: step() > moved + 1, what="a step with the new weight")
    tools.until(lambda: all(one != other for one, other in zip(look(), first, strict=True)), what="new pictures and a new map")

    page.click(".nst-training-pause")
    tools.wait_for_text(page, ".nst-training-label", "paused")
    held = tools.settled(page, lambda: (step(), look()))
    page.locator(".nst-training-curves").scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "training_paused.png")
    time.sleep(1)
    assert (step(), look()) == held
    tools.wait_for_text(page, ".nst-training-pause", "Go on")
    page.click(".nst-training-pause")
    tools.until(lambda: step() > held[0] and look()[2] != held[1][2], what="a picture after the pause")

    page.click(".nst-training-stop")
    tools.wait_for_text(page, ".nst-training-label", "stopped, step .* saved in run: Start goes on")
    stopped = tools.settled(page, lambda: (step(), look()))
    time.sleep(1)
    assert (step(), look()) == stopped
    assert (lab_folder / "run" / "last.safetensors").exists()

    tools.run_all(page)  # as on another day: a new panel goes on from the checkpoint
    tools.wait_for_text(page, ".nst-training-label", f"step {stopped[0]} of 3000, from the checkpoint in run")
    page.click(".nst-training-start")
    tools.until(lambda: step() > stopped[0], what="a step after the checkpoint")
    tools.wait_for_text(page, ".nst-training-label", r"running, .* s a step")
    page.wait_for_selector(".nst-training-judgement")
    page.set_viewport_size({"width": 620, "height": 1100})  # a narrow window: nothing may stick out
    page.click(".nst-training-stop")
    tools.wait_for_text(page, ".nst-training-label", "stopped")
    page.screenshot(path=tmp_path / "training_narrow.png")
    tools.check_fits(page, "button, img, .nst-slide, .progress, .nst-training-label")
    tools.check_accessible(page)
    tools.check_no_errors(page)
