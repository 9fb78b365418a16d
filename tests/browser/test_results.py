"""The browser of a sweep in a real JupyterLab: a real sweep of three runs, one of which fails and is mended later."""

import subprocess
import sys
from pathlib import Path

import lab as tools
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

NSTLAB = Path(sys.executable).with_name("nstlab")
PARAMETERS = 'colour = "red"\nout = ""'
WORK = """
from pathlib import Path
from PIL import Image
from nstlab.experiments.results import emit
assert colour != "gold" or Path("mended").exists(), "no wall is that golden"
Image.new("RGB", (60, 40), colour).save(out)
emit(letters=len(colour))
"""
CSS = ".nst-results"
LABEL = f"{CSS}-label"


def sweep(folder) -> int:
    command = [NSTLAB, "sweep", folder / "walls.ipynb", "--grid", "colour=red,teal,gold", "-o", folder / "swept"]
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=120).returncode


@pytest.fixture
def swept(lab_folder):
    """A sweep in the folder `swept` of JupyterLab's, with one run that failed."""
    pytest.importorskip("distributed", reason="sweeps need dask: pip install dask distributed")
    cells = [new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}), new_code_cell(WORK)]
    nbformat.write(new_notebook(cells=cells), lab_folder / "walls.ipynb")
    assert sweep(lab_folder) == 1
    return lab_folder


def test_the_browser_of_a_sweep(lab, swept, page, tmp_path):
    cells = ["from nstlab.panels.results import SweepBrowser", "results = SweepBrowser('swept')\nresults"]
    tools.write_notebook(swept / "results.ipynb", *cells)
    tools.open_notebook(page, *lab, "results.ipynb")
    tools.run_all(page)
    tools.wait_for_text(page, LABEL, r"letters 3 · \d+ s")

    def slide(*keys):
        page.locator(f"{CSS}-colour input").focus()
        for key in keys:
            page.keyboard.press(key)

    def look(*sides):
        return [tools.pixels(page, f"{CSS}-swipe .nst-{side}") for side in sides or ("before", "after")]

    red = tools.settled(page, lambda: look("before"))
    page.locator(f"{CSS}-swipe .nst-line").wait_for(state="hidden")  # there is nothing to compare with
    slide("ArrowRight")
    tools.until(lambda: look("before") != red, what="the picture of another run")
    tools.wait_for_text(page, LABEL, "letters 4")

    page.click(f"{CSS}-compare")
    page.locator(f"{CSS}-swipe .nst-line").wait_for()
    teal = tools.settled(page, look)
    slide("ArrowLeft")
    tools.until(lambda: look() == [teal[0], red[0]], what="the picture that was kept beside the other")
    tools.wait_for_cut(page, CSS, 50)
    tools.wait_for_text(page, LABEL, "letters 3 .*\nbefore: colour teal")
    tools.move_line(page, CSS, "PageUp")
    tools.wait_for_cut(page, CSS, 60)
    page.screenshot(path=tmp_path / "results.png")

    slide("ArrowRight", "ArrowRight")
    tools.wait_for_text(page, LABEL, "failed: AssertionError: no wall is that golden")
    page.wait_for_function(f"() => document.querySelector('{CSS}-compare').disabled")
    page.locator(f"{CSS}-swipe").wait_for(state="hidden")  # what is seen is never another run's
    page.screenshot(path=tmp_path / "results_failed.png")

    (swept / "mended").touch()
    assert sweep(swept) == 0
    page.click(f"{CSS}-reload")
    tools.wait_for_text(page, LABEL, r"letters 4 · \d+ s")
    page.locator(f"{CSS}-swipe").wait_for()
    tools.until(lambda: look()[1] not in (red[0], teal[1]), what="the picture of the run that is new")
    tools.wait_for_cut(page, CSS, 60)
    tools.until(page.locator(f"{CSS}-compare").is_enabled, what="a picture to keep")
    page.set_viewport_size({"width": 620, "height": 1100})
    page.screenshot(path=tmp_path / "results_narrow.png")
    tools.check_fits(page, f"button, img, .nst-slide, {LABEL}")
    tools.check_accessible(page)
    tools.check_no_errors(page)
