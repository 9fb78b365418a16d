"""The studio, served by Voila as `run.py studio` serves it: two visitors at once, and what must not be uploaded."""

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request

import lab as tools
import nbformat
import pytest

from nstlab import images

NOTEBOOK = tools.REPOSITORY / "notebooks" / "20_studio.ipynb"
SMALL = "content, style, size, steps = 'cat', 'great-wave', 96, 400"
CSS = ".nst-studio"
SCRIPT = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, folder of the server's temporary files) of a Voila that serves the studio, set to paint small pictures."""
    pytest.importorskip("voila", reason="the studio's browser test needs Voila: pip install voila")
    home = tmp_path_factory.mktemp("studio")
    notebook = nbformat.read(NOTEBOOK, 4)
    at = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(SMALL))
    nbformat.write(notebook, home / "studio.ipynb")
    (home / "tmp").mkdir()
    images.save(images.load("coffee", 64), home / "on-the-server.png")
    port = tools.free_port()
    environment = os.environ | {"TMPDIR": str(home / "tmp"), "IPYTHONDIR": str(home / "ipython")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tools.REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "nstlab.panels.serve", "studio.ipynb", "--no-browser", f"--port={port}"]
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        tools._wait_for(f"http://127.0.0.1:{port}/voila/static/voila.js", server, home / "server.log")
        yield f"http://127.0.0.1:{port}", home
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(15)
        server.kill()


def visit(page, address):
    """Open the studio; its icons come from another server, which need not be there."""
    page.dialogs = []
    page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
    page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body="", content_type="text/css"))
    page.goto(address, wait_until="commit")


def before(page):
    return tools.pixels(page, f"{CSS}-swipe .nst-before")


def after(page):
    return tools.pixels(page, f"{CSS}-swipe .nst-after")


def check_bad_uploads(page, folder):
    """Each is refused with one plain sentence, and the photo stays."""
    with (folder / "long.png").open("wb") as file:
        file.truncate(40_000_000)  # more than the connection takes in one piece
    photo = before(page)
    bad = {
        "huge.png": (
            tools.png(20_000, 10_000, 1, "1"),
            r"huge.png has .*more than \d+ million pixels: make a smaller copy of it",
        ),
        "letter.png": (b"Dear teacher,\nthis is no picture.", "letter.png is not a picture in a format that can be read here"),
        SCRIPT: (tools.png(8, 8, "red"), r"<img src=x onerror=alert\(1\)>.png' holds characters that no file name should"),
        "long.png": (None, "long.png has 40 MB, and at most 20 MB can be uploaded"),
    }
    for name, (data, said) in bad.items():
        tools.upload(page, f"{CSS}-photo-upload", name, data if data is not None else folder / name)
        text = tools.wait_for_text(page, f"{CSS}-photo-chosen", said)
        assert "\n" not in text.strip() and "Traceback" not in text
        assert page.locator(f"{CSS}-photo-pick select").input_value() == "cat"
    assert before(page) == photo
    assert page.locator("img[src='x']").count() == 0 and page.dialogs == []


def protect(page):
    """Choose the system that protects, and mark a place of the photo that it is to protect."""
    page.locator(f"{CSS}-system select").select_option(label="keep what matters, and paint it too")
    tools.wait_for_text(page, f"{CSS}-hint", "Nothing is marked")
    page.click(f"{CSS}-protect")
    canvas = page.locator("canvas.nst-painter-canvas")
    canvas.wait_for()
    page.locator(f"{CSS}-after").wait_for(state="hidden")
    tools.drag(page, canvas, (0.3, 0.3), (0.7, 0.5))
    tools.wait_for_text(page, ".nst-painter-label", r"[1-9]\.\d % of the picture")
    page.click(f"{CSS}-protect")
    tools.wait_for_text(page, f"{CSS}-hint", r"[1-9] % of the photo is marked to be kept")
    canvas.wait_for(state="hidden")


def test_two_visitors(served, page, browser, tmp_path):
    address, home = served
    other = browser.new_context().new_page()
    other.set_default_timeout(90_000)
    page.set_default_timeout(90_000)
    visit(page, address)
    visit(other, address)
    for visitor in (page, other):
        visitor.wait_for_selector(f"{CSS}-paint")
        tools.wait_for_text(visitor, f"{CSS}-label", "Press Paint")
    assert page.locator(".jp-InputArea-editor, a[href*=colab]").count() == 0  # no code, and no links for those who read it
    theirs = before(other)
    assert before(page) == theirs  # both on the cat
    assert page.locator(f"{CSS}-photo-path").is_hidden()  # no files of the server
    check_bad_uploads(page, tmp_path)

    tools.upload(page, f"{CSS}-photo-upload", "mine.png", tools.png(300, 200, "tomato"))
    tools.wait_for_text(page, f"{CSS}-photo-chosen", "mine.png")
    tools.until(lambda: before(page) != theirs, what="the photo that was uploaded")
    mine = after(page)
    page.locator(f"{CSS}-painting-2-pick select").select_option("starry-night")
    protect(page)
    page.locator(f"{CSS}-paint").focus()
    page.keyboard.press("Enter")
    tools.wait_for_text(page, f"{CSS}-label", r"painting: step [3-9]")
    tools.until(lambda: after(page) != mine, what="a picture that changes")
    page.click(f"{CSS}-pause")
    tools.wait_for_text(page, f"{CSS}-label", "paused: step")
    page.wait_for_selector(f"{CSS}-download")
    tools.wait_for_text(page, f"{CSS}-pause", "Go on")
    page.click(f"{CSS}-stop")
    tools.wait_for_text(page, f"{CSS}-label", "stopped: step")

    tools.move_line(page, CSS, "PageUp", 3)
    tools.wait_for_cut(page, CSS, 15)
    page.screenshot(path=tmp_path / "studio.png")
    with page.expect_download() as loading:
        page.click(f"{CSS}-download")
    saved = tmp_path / "saved.png"
    loading.value.save_as(saved)
    assert loading.value.suggested_filename == "mine-great-wave-starry-night.png"
    kept = images.metadata(saved)
    assert kept["settings"]["system"] == "preserve" and "guide: painted by hand" in kept["notes"]
    settings = kept["settings"]
    assert (settings["content"], settings["styles"], settings["size"]) == ("mine.png", ["great-wave", "starry-night"], 96)
    assert images.load(saved).shape == (1, 3, 64, 96)

    assert (before(other), after(other)) == (theirs, theirs)  # the other visitor sees nothing of this
    assert "Press Paint" in other.locator(f"{CSS}-label").inner_text() and other.locator(f"{CSS}-download").count() == 0
    assert list((home / "tmp").rglob("*.png")) == [] and sorted(path.name for path in home.glob("*.png")) == [
        "on-the-server.png"
    ]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address}/voila/files/on-the-server.png")
    other.context.close()

    page.set_viewport_size({"width": 420, "height": 1000})
    page.screenshot(path=tmp_path / "studio_narrow.png")
    parts = ("button", "img", "select", ".slider-container", ".progress", f"{CSS}-label", f"{CSS}-save")
    tools.check_fits(page, ", ".join(f"{part}:visible" for part in parts))
    assert page.errors == []
