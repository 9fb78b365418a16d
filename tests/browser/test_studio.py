"""The studio, served by Voila as `run.py studio` serves it, and in JupyterLab: each control used, and what it does seen."""

import contextlib
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

import lab as tools
import nbformat
import pytest

from nstlab import images
from nstlab.panels import studio_words as words

NOTEBOOK = tools.REPOSITORY / "notebooks" / "20_studio.ipynb"
TROUBLE = Path(__file__).parents[1] / "troublesome"
SMALL = """\
from nstlab.panels.studio import Studio
Studio.__init__.__kwdefaults__["more_size"] = 128
content, size, steps = 'cat', 96, {steps}"""
CSS = ".nst-studio"
PICTURE, STATUS = f"{CSS}-picture img", f"{CSS}-status"
SCRIPT = "<img src=x onerror=alert(1)>.png"


@contextlib.contextmanager
def studio(home, *options, steps=80):
    """The address of a Voila that serves the studio from the folder `home`, set to paint small pictures."""
    pytest.importorskip("voila", reason="the studio's browser test needs Voila: pip install voila")
    notebook = nbformat.read(NOTEBOOK, 4)
    at = next(n for n, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(SMALL.format(steps=steps)))
    nbformat.write(notebook, home / "studio.ipynb")
    (home / "tmp").mkdir()
    images.save(images.load("coffee", 64), home / "on-the-server.png")
    port = tools.free_port()
    environment = os.environ | {"TMPDIR": str(home / "tmp"), "IPYTHONDIR": str(home / "ipython")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tools.REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "nstlab.panels.serve", "studio.ipynb", "--no-browser", f"--port={port}", *options]
    address = f"http://127.0.0.1:{port}/"
    with tools.serving(command, home, environment, home / "server.log", f"{address}voila/static/voila.js"):
        yield address


def watched(page):
    """Leave the page, and note the dialogs that come later in `page.dialogs`."""
    page.set_default_timeout(90_000)
    if not hasattr(page, "dialogs"):
        page.on("dialog", lambda dialog: _heard(page, dialog))
    page.goto("about:blank")
    page.dialogs = []
    return page


def _heard(page, dialog):
    """Note what a dialog says; where a page asks whether it may be left, it may."""
    if dialog.type == "beforeunload":
        dialog.accept()
    else:
        page.dialogs.append(dialog.message)
        dialog.dismiss()


def visit(page, address):
    """Open the studio and wait until it can be used."""
    watched(page).goto(address, wait_until="commit")
    page.wait_for_selector(f"{PICTURE}[src]")
    tools.wait_for_text(page, STATUS, words.HELLO[:20])


def before(page):
    return tools.pixels(page, f"{CSS}-picture img.nst-before")


def after(page):
    return tools.pixels(page, f"{CSS}-picture img.nst-after")


def choose(page, name, grid="paintings"):
    page.click(f"{CSS}-{grid} [data-name='{name}']")


def add(page, kind, name, data):
    """Choose a file in a drop zone."""
    page.locator(f"{CSS}-add-{kind} input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": data} if isinstance(data, bytes) else data
    )


def check_looks(page, folder, name):
    """Nothing sticks out on a phone, a laptop and a projector, light and dark; the pictures are kept."""
    for width, height in ((360, 740), (1280, 800), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(150)
            page.screenshot(path=folder / f"{name}_{width}_{scheme}.png", full_page=width == 360)
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 1
        frame = page.locator(f"{CSS}-picture .nst-swipe-frame").bounding_box()
        assert frame["width"] >= (300 if width == 360 else 450) and frame["height"] < height  # large, and whole
        tools.check_fits(page, "button:visible, .nst-swipe-frame, .nst-drop, select:visible")
    page.set_viewport_size({"width": 1280, "height": 1000})
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(300)  # colours change over a moment


def check_bad_uploads(page, folder):
    """Each is refused with one plain sentence, and the photo stays."""
    with (folder / "long.png").open("wb") as file:
        file.truncate(40_000_000)
    photo = before(page)
    bad = {
        "huge.png": (tools.png(20_000, 10_000, 1, "1"), r"huge.png has .*more than \d+ million pixels: make a smaller copy"),
        "letter.png": (b"Dear teacher,\nthis is no picture.", "letter.png is not a picture in a format that can be read"),
        "long.png": (folder / "long.png", "long.png has 40 MB, and at most 20 MB can be uploaded"),
        "logo.png": ((TROUBLE / "logo.eps").read_bytes(), "logo.png is not a picture"),
    }
    for name, (data, said) in bad.items():
        add(page, "photo", name, data)
        text = tools.wait_for_text(page, f"{CSS}-add-photo .nst-drop-status", said)
        assert "\n" not in text.strip() and "Traceback" not in text
    assert before(page) == photo


@pytest.fixture(scope="module")
def served(browser, tmp_path_factory):
    home = tmp_path_factory.mktemp("studio")
    with studio(home, "--Visitors.most=2") as address:
        yield address, home


def test_a_visit(served, page, tmp_path):
    address, home = served
    visit(page, address)
    assert page.locator(".jp-InputArea-editor, a[href*=colab]").count() == 0  # no code, and no links for those who read it
    photo = before(page)
    check_looks(page, tmp_path, "opened")

    choose(page, "great-wave")
    tools.wait_for_text(page, STATUS, "A first look")
    looked = after(page)
    assert page.locator(f"{CSS}-strip [role=option]").count() == 1 and looked != photo
    line = page.locator(f"{CSS}-picture .nst-line")
    share = lambda: int(line.get_attribute("aria-valuenow"))
    assert share() == 50
    box = page.locator(f"{CSS}-picture .nst-swipe-frame").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    tools.until(lambda: abs(share() - 20) <= 2, what="the line where it was dragged")
    check_looks(page, tmp_path, "looked")

    page.locator(f"{CSS}-paint").focus()
    page.keyboard.press("Enter")
    tools.wait_for_text(page, STATUS, r"Painting: about \d+ \w+ left")
    tools.until(lambda: after(page) != looked, what="a picture that changes")
    page.screenshot(path=tmp_path / "painting.png")
    page.click(f"{CSS}-stop")
    tools.wait_for_text(page, STATUS, "Stopped early")
    page.click(f"{CSS}-paint")
    tools.wait_for_text(page, STATUS, "Painted at 96 px")
    page.click(f"{CSS}-more")
    tools.wait_for_text(page, STATUS, "Painted at 128 px")

    page.click(f"{CSS}-protect")
    surface = page.locator(f"{CSS}-brush .nst-surface")
    surface.wait_for()
    tools.wait_for_text(page, STATUS, "What is blue")
    page.locator(f"{CSS}-picture").wait_for(state="hidden")
    tools.drag(page, surface, (0.1, 0.9), (0.9, 0.9))
    page.locator(f"{CSS}-forget").wait_for()
    page.screenshot(path=tmp_path / "kept.png")
    page.click(f"{CSS}-protect")
    page.locator(f"{CSS}-finer-button").click()
    page.locator(f"{CSS}-system select").select_option(label="at once, like any painting")
    page.click(f"{CSS}-paint")
    page.wait_for_selector(f"{CSS}-download-map")
    tools.wait_for_text(page, STATUS, "Painted at 96 px")

    with page.expect_download() as loading:
        page.click(f"{CSS}-download")
    saved = tmp_path / "saved.png"
    loading.value.save_as(saved)
    assert loading.value.suggested_filename == "cat-great-wave-96.png"
    kept = images.metadata(saved)
    assert kept["settings"]["system"] == "adain" and kept["settings"]["guide"] == "protected.png"
    page.locator(f"{CSS}-take summary").first.click()
    assert "nstlab stylize" in page.locator(f"{CSS}-command").inner_text()
    painted = after(page)
    page.locator(f"{CSS}-strip [role=option]").last.click()
    tools.wait_for_text(page, STATUS, "A first look")
    tools.until(lambda: after(page) != painted, what="the first look")
    check_looks(page, tmp_path, "made")
    tools.check_accessible(page)

    check_bad_uploads(page, tmp_path)
    add(page, "photo", "mine.png", tools.png(300, 200, "tomato"))
    tools.until(lambda: before(page) != photo, what="the photo that was uploaded")
    add(page, "painting", SCRIPT, tools.png(120, 90, "navy"))
    tools.wait_for_text(page, f"{CSS}-paintings", "onerror")
    tools.wait_for_text(page, STATUS, "A first look")
    for _ in range(6):  # a storm of clicks
        for name in ("spring", "mona-lisa", "great-wave"):
            choose(page, name)
        page.click(f"{CSS}-paint", force=True)
    tools.until(lambda: page.locator(f"{CSS}-paintings [aria-selected=true]").get_attribute("data-name") == "great-wave")
    assert page.locator("img[src='x']").count() == 0 and page.dialogs == []
    assert list((home / "tmp").rglob("*.png")) == [] and [path.name for path in home.glob("*.png")] == ["on-the-server.png"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{address}voila/files/on-the-server.png")
    assert page.errors == [] and page.lost == []
    page.goto("about:blank")  # somebody else may come


def test_three_come_where_two_may_be(served, browser, tmp_path):
    address, _ = served
    pages = [browser.new_context(viewport={"width": 1280, "height": 900}).new_page() for _ in range(3)]
    first, second, third = pages
    visit(first, address)
    visit(second, address)
    theirs = before(second)
    watched(third).goto(address)
    tools.wait_for_text(third, "h1", "The studio is full")
    assert "You are the next one" in third.locator("main").inner_text()
    third.screenshot(path=tmp_path / "full.png")

    add(first, "photo", "mine.png", tools.png(300, 200, "tomato"))
    tools.until(lambda: before(first) != theirs, what="the photo that was uploaded")
    for visitor in (first, second):
        choose(visitor, "great-wave")
        tools.wait_for_text(visitor, STATUS, "A first look")
    first.click(f"{CSS}-paint")
    tools.wait_for_text(first, STATUS, "Painting")
    second.click(f"{CSS}-paint")
    tools.wait_for_text(second, STATUS, r"(you are number 1 in line|Getting ready|Painting|Painted)")
    tools.wait_for_text(second, STATUS, "Painted at 96 px")
    tools.wait_for_text(first, STATUS, "Painted at 96 px")
    assert before(second) == theirs and "mine" not in second.locator(f"{CSS}-photos").inner_text()

    first.goto("about:blank")  # the tab is closed, and its place is free
    third.wait_for_selector(f"{PICTURE}[src]")
    assert before(third) == theirs
    for visitor in pages:
        visitor.context.close()


def test_a_visit_in_which_nothing_happens(page, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    with studio(home, "--idle", "6", "--Visitors.spare=0") as address:
        watched(page).goto(address, wait_until="commit")
        tools.wait_for_text(page, f"{CSS}-ended", "This visit has ended, because nothing happened")
        page.wait_for_timeout(2500)  # its kernel is ended meanwhile
        page.screenshot(path=tmp_path / "ended.png")
        assert page.dialogs == []
        page.goto("about:blank")  # it would go on looking for its kernel


def test_in_jupyterlab(lab, lab_folder, page, tmp_path):
    tools.write_notebook(
        lab_folder / "studio.ipynb",
        "from nstlab.panels.studio import Studio",
        "studio = Studio('cat', size=96, more_size=128, steps=20)\nstudio",
    )
    tools.open_notebook(page, *lab, "studio.ipynb")
    page.locator(f"{tools.PANEL} .jp-CodeCell").first.wait_for()
    tools.run_all(page)
    page.wait_for_selector(f"{PICTURE}[src]")
    first = page.locator(f"{CSS}-paintings [role=option]").first
    first.scroll_into_view_if_needed()
    first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    tools.wait_for_text(page, STATUS, "A first look")
    page.click(f"{CSS}-paint")
    tools.wait_for_text(page, STATUS, "Painted at 96 px")
    page.click(f"{CSS}-save")
    tools.wait_for_text(page, f"{CSS}-saved", r"Saved as .*\.png")
    assert len(list(lab_folder.glob("cat-*-96.png"))) == 1
    page.screenshot(path=tmp_path / "lab.png")
    tools.check_accessible(page)
    tools.check_no_errors(page)
