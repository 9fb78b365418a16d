"""The kit where there is no JupyterLab: in Notebook 7 and served by Voila, a control works as it does there."""

import contextlib
import os
import sys

import lab as tools
import pytest

CELL = """
from nstlab import images
from nstlab.panels import kit, parts
import ipywidgets as widgets

photo = parts.jpeg(images.load("cat", 200))
swipe = kit.Swipe(photo, photo, alt=("a cat", "a cat")).add_class("kit-swipe")
brush = kit.Brush(photo, size=40, alt="a cat")
thumbs = kit.Thumbnails([{"name": n, "picture": photo, "alt": n} for n in ("one", "two")], "one")
zone, said = kit.DropZone("Upload", 20), widgets.HTML().add_class("kit-said")
heard = []

def tell(*_):
    said.value = f"{swipe.position:.1f} {len(brush.history)} {thumbs.chosen} {heard}"

zone.on_files(lambda files: (heard.extend((name, len(data)) for name, data in files), tell()))
for control in (swipe, brush, thumbs):
    control.observe(tell)
parts.Panel([swipe, brush, thumbs, zone, said])
"""


def use_all(page):
    """Use the four controls; Python says in a label what it has heard of them."""
    page.locator(".nst-line").wait_for()
    tools.move_line(page, ".kit", "PageUp", 3)
    tools.wait_for_cut(page, ".kit", 80)
    tools.wait_for_text(page, ".kit-said", "^0.8 0 one")
    surface = page.locator(".nst-surface")
    surface.scroll_into_view_if_needed()
    for undone in (True, False):
        tools.drag(page, surface, (0.3, 0.3), (0.6, 0.6))
        tools.wait_for_text(page, ".kit-said", "^0.8 1 one")
        if undone:
            page.keyboard.press("Control+z")
            tools.wait_for_text(page, ".kit-said", "^0.8 0 one")
    page.locator(".nst-thumb").first.focus()
    for key in ("ArrowRight", "Enter"):
        page.keyboard.press(key)
    tools.wait_for_text(page, ".kit-said", "^0.8 1 two")
    tools.upload(page, ".nst-drop", "mine.png", tools.png(9, 9, "red"))
    tools.wait_for_text(page, ".kit-said", r"two \[\('mine.png', \d+\)\]")
    tools.check_accessible(page)
    assert page.errors == [] and page.lost == []


@contextlib.contextmanager
def left(page, picture):
    """Leave the page before its server ends, whatever happens: it would go on asking for it. Keep a `picture` of it."""
    try:
        yield
    finally:
        page.screenshot(path=picture)
        page.goto("about:blank")


def test_notebook_7(browser, page, tmp_path):
    pytest.importorskip("notebook", reason="this test needs Notebook: pip install notebook")
    tools.write_notebook(tmp_path / "kit.ipynb", CELL)
    (tmp_path / "home").mkdir()
    with tools.jupyter(tmp_path, tmp_path / "home", "notebook") as (address, token), left(page, tmp_path / "notebook.png"):
        page.goto(f"{address}/notebooks/kit.ipynb?token={token}")
        page.wait_for_function(f"() => {tools.SESSION}?.kernel?.connectionStatus === 'connected'")
        page.wait_for_function(f"() => {tools.SESSION}.kernel.status === 'idle'")
        page.errors, page.lost = [], []  # what Notebook says of its own settings as it starts is not the kit's
        tools.run_all(page)
        use_all(page)


def test_voila(browser, page, tmp_path):
    pytest.importorskip("voila", reason="this test needs Voila: pip install voila")
    tools.write_notebook(tmp_path / "kit.ipynb", CELL)
    port = tools.free_port()
    environment = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tools.REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "nstlab.panels.serve", "kit.ipynb", "--no-browser", f"--port={port}"]
    address = f"http://127.0.0.1:{port}"
    ready = f"{address}/voila/static/voila.js"
    with tools.serving(command, tmp_path, environment, tmp_path / "server.log", ready), left(page, tmp_path / "voila.png"):
        page.goto(address, wait_until="commit")
        use_all(page)
