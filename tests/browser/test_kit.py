"""The controls of the kit in a real JupyterLab: each is used by mouse, finger and keyboard, and Python hears of it."""

import lab as tools
import pytest
from kit_notebook import KIT

WIDTHS = (360, 1280, 1920)
THEMES = ("JupyterLab Light", "JupyterLab Dark")
OVERLAY = """surface => {
    const canvas = surface.querySelector('canvas')
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    return data.reduce((sum, value, i) => sum + (i % 4 === 3 ? value : 0), 0) / 255 / 0.55 / canvas.width / canvas.height
}"""  # how much of the picture is marked, as it is drawn


@pytest.fixture(scope="module")
def opened(lab, lab_folder, tab):
    """The notebook with all controls, run once for all tests here."""
    tab.errors, tab.lost = [], []
    tab.set_viewport_size({"width": 1280, "height": 1100})
    tools.write_notebook(lab_folder / "kit.ipynb", KIT)
    tools.open_notebook(tab, *lab, "kit.ipynb")
    tools.run_all(tab)
    tab.wait_for_selector(".kit-picture img[src]")


@pytest.fixture
def kit(opened, page):
    """The page with the controls."""
    yield page
    tools.check_no_errors(page)


def hears(page, expression, wanted):
    wanted = pytest.approx(wanted, abs=0.01) if isinstance(wanted, float) else wanted
    tools.until(lambda: tools.ask(page, expression) == wanted, what=f"{expression} == {wanted!r}")


def command(page, name, options=None):
    """Run a command of JupyterLab's."""
    tools.within(
        page, "async ([name, options]) => { await window.jupyterapp.commands.execute(name, options) }", [name, options]
    )


def finger(page, *points):
    """Drag a finger through places of the window."""
    session = page.context.new_cdp_session(page)
    for kind, (x, y) in zip(["touchStart"] + ["touchMove"] * (len(points) - 1), points, strict=True):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def within(locator, *shares):
    """Places in an element, in the window."""
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]


def test_swipe(kit):
    frame, line = kit.locator(".kit-swipe .nst-swipe-frame"), kit.locator(".kit-swipe .nst-line")
    tools.wait_for_cut(kit, ".kit", 50)
    tools.drag(kit, frame, (0.5, 0.5), (0.3, 0.4))
    hears(kit, "swipe.position", 0.3)
    assert line.get_attribute("aria-valuenow") == "30" and "30 % " in line.get_attribute("aria-valuetext")
    assert kit.evaluate("document.activeElement.className") == "nst-line"
    for key, percent in (
        ("End", 100),
        ("Home", 0),
        ("PageUp", 10),
        ("ArrowRight", 12),
        ("Shift+ArrowRight", 22),
        ("ArrowLeft", 20),
    ):
        kit.keyboard.press(key)
        tools.wait_for_cut(kit, ".kit", percent)
    hears(kit, "swipe.position", 0.2)
    finger(kit, *within(frame, (0.2, 0.5), (0.5, 0.5), (0.8, 0.5)))
    tools.until(lambda: abs(tools.ask(kit, "swipe.position") - 0.8) < 0.02, what="a finger moving the line")
    tools.ask(kit, "swipe.set_trait('position', 0.4)")
    tools.wait_for_cut(kit, ".kit", 40)
    before = tools.pixels(kit, ".kit-swipe .nst-after")
    tools.ask(kit, "swipe.set_trait('after', parts.jpeg(photo.flip(-1)))")
    tools.until(lambda: tools.pixels(kit, ".kit-swipe .nst-after") != before, what="another picture")
    tools.wait_for_cut(kit, ".kit", 40)  # the line stays
    tools.ask(kit, "swipe.set_trait('after', b'')")
    line.wait_for(state="hidden")
    tools.ask(kit, "swipe.set_trait('after', parts.jpeg(1 - photo))")
    line.wait_for()
    assert kit.locator(".kit-swipe .nst-before").get_attribute("alt") == "a cat"


def test_brush(kit):
    surface, undo = kit.locator(".kit-brush .nst-surface"), kit.locator(".kit-brush .nst-undo")
    surface.scroll_into_view_if_needed()
    drawn = lambda: surface.evaluate(OVERLAY)
    share = lambda: tools.ask(kit, "float(shown().mean() / 255)")
    assert undo.is_disabled() and drawn() == 0
    tools.drag(kit, surface, (0.2, 0.2), (0.6, 0.5), (0.3, 0.8))
    tools.until(undo.is_enabled, what="a stroke to take back")
    marked = share()
    assert 0.02 < marked < 0.2 and drawn() == pytest.approx(marked, abs=0.003)
    assert tools.ask(kit, "shown().shape == tuple(photo.shape[-2:])")
    assert tools.ask(kit, "int(shown()[int(0.2 * shown().shape[0]) + 1, int(0.2 * shown().shape[1]) + 1])") > 250
    tools.wait_for_text(kit, ".kit-brush .nst-share", f"^{100 * marked:.1f} % of the picture is marked")

    kit.click(".kit-brush .nst-erase")
    tools.drag(kit, surface, (0.1, 0.2), (0.9, 0.2))
    tools.until(lambda: share() < marked, what="erasing")
    kit.keyboard.press("Control+z")
    tools.until(lambda: share() == marked and drawn() == pytest.approx(marked, abs=0.003), what="undoing by key")
    kit.keyboard.press("e")
    hears(kit, "brush.tool", "mark")

    kit.keyboard.press("]")
    hears(kit, "brush.size", 44)
    for key in ("Home", "ArrowRight", "ArrowRight"):
        kit.locator(".kit-brush input").press(key)
    hears(kit, "brush.size", 4)
    surface.focus()
    for key in ("Space", *["ArrowLeft"] * 10, "Space"):
        kit.keyboard.press(key)
    tools.until(lambda: share() > marked, what="painting by keys")
    undo.click()
    tools.until(lambda: share() == marked, what="undoing by the button")
    kit.keyboard.press("Escape")
    tools.ask(kit, "brush.set_trait('size', 40)")
    finger(kit, *within(surface, (0.7, 0.8), (0.8, 0.8), (0.9, 0.85)))
    tools.until(lambda: share() > marked, what="a finger painting")

    tools.ask(
        kit,
        "brush.set_trait('mask', (lambda b: (Image.new('L', (50, 40), 128).save(b, 'PNG'), b.getvalue())[1])(io.BytesIO()))",
    )
    tools.until(lambda: drawn() == pytest.approx(128 / 255, abs=0.01), what="a mask from Python")
    tools.drag(kit, surface, (0.4, 0.5), (0.6, 0.5))
    tools.until(lambda: share() > 0.51, what="painting on it")
    assert tools.ask(kit, "shown().shape") == (40, 50)  # it comes back as large as it was sent


def test_thumbnails(kit):
    chosen = lambda css: kit.locator(f"{css} [aria-selected=true]").evaluate_all("all => all.map(e => e.dataset.name)")
    reached = lambda: kit.evaluate("document.activeElement.dataset.name")
    assert chosen(".kit-one") == ["great-wave"]
    kit.locator(".kit-one [data-name=starry-night]").click()
    hears(kit, "one.chosen", "starry-night")
    assert kit.locator(".kit-one .nst-check:visible").count() == 1  # not by its colour alone
    for key, name in (
        ("ArrowRight", "great-wave"),
        ("End", "mona-lisa"),
        ("ArrowRight", "mona-lisa"),
        ("Home", "starry-night"),
    ):
        kit.keyboard.press(key)
        assert reached() == name
        assert kit.locator(".kit-one [tabindex='0']").evaluate_all("all => all.map(e => e.dataset.name)") == [name]
    kit.keyboard.press("ArrowRight")
    kit.keyboard.press("Enter")
    hears(kit, "one.chosen", "great-wave")
    kit.keyboard.press("Tab")  # one press leads out of a grid and into the next
    assert kit.evaluate("document.activeElement.closest('.kit-several') !== null")
    for key in ("Space", "ArrowRight", "Space", "ArrowRight", "Space"):
        kit.keyboard.press(key)
    hears(kit, "several.chosen", ["great-wave", "composition-viii"])  # of two that it may have, the last two
    assert kit.locator(".kit-several .nst-check:visible").all_inner_texts() == ["1", "2"]
    kit.keyboard.press("Space")
    hears(kit, "several.chosen", ["great-wave"])
    tools.ask(kit, "one.set_trait('chosen', 'mona-lisa')")
    tools.until(lambda: chosen(".kit-one") == ["mona-lisa"], what="a choice from Python")
    tools.ask(kit, "one.set_trait('items', [*items, {'name': 'mine', 'picture': items[0]['picture'], 'alt': 'my own'}])")
    kit.locator(".kit-one [data-name=mine]").click()
    hears(kit, "one.chosen", "mine")
    seen = "all => all.every(e => e.complete && e.naturalWidth > 0)"
    tools.until(lambda: kit.locator(".kit-one img").evaluate_all(seen), what="all pictures")


def test_drop_zone(kit):
    file = kit.locator(".kit-zone input")
    said = lambda text: tools.wait_for_text(kit, ".kit-zone .nst-drop-status", text)
    with kit.expect_file_chooser() as chosen:
        file.focus()  # not before: the browser has to know by then that the test waits for its dialog
        kit.keyboard.press("Enter")
    data = tools.png(9, 9, "red")
    large = {"name": "large.png", "mimeType": "image/png", "buffer": data + bytes(12_000_000)}  # in one piece it is too much
    chosen.value.set_files([{"name": "a & b.png", "mimeType": "image/png", "buffer": data}, large])
    hears(kit, "heard", [("a & b.png", len(data)), ("large.png", len(data) + 12_000_000)])
    tools.until(lambda: kit.locator(".kit-zone .nst-drop-status").inner_text() == "", what="nothing more to say")
    drop = """(zone, [name, size, type]) => {
        const data = new DataTransfer()
        data.items.add(new File([new Uint8Array(size)], name, { type }))
        for (const kind of ['dragenter', 'dragover', 'drop'])
            zone.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }))
    }"""
    zone = kit.locator(".kit-zone .nst-drop")
    zone.evaluate(drop, ["huge.png", 20_000_001, "image/png"])
    said("huge.png has 20 MB, and at most 20 MB can be uploaded: make a smaller copy of it")
    zone.evaluate(drop, ["letter.txt", 5, "text/plain"])
    said("letter.txt is not a file of a kind that is taken here")
    zone.evaluate(drop, ["bad.png", 5, "image/png"])
    said("^bad.png is <not> good$")
    zone.evaluate(drop, ["dropped.png", 3_000_000, "image/png"])
    hears(kit, "heard[-1]", ("dropped.png", 3_000_000))
    file.set_input_files([{"name": f"{n}.png", "mimeType": "image/png", "buffer": data} for n in range(13)])
    said("13 files at once are too many")
    assert tools.ask(kit, "len(heard)") == 4  # the two, the bad one and the one that was dropped
    native = (
        "['FileReader.prototype.readAsArrayBuffer', 'HTMLInputElement.prototype.click'].every(f => /native code/.test(eval(f)))"
    )
    assert kit.evaluate(native)  # the page is as its host made it


def test_sliders(kit):
    kit.evaluate("window.jupyterapp.shell.currentWidget.context.model.dirty = true")
    kit.locator(".kit-slider input").focus()
    kit.keyboard.press("ArrowRight")
    hears(kit, "slider.value", 0.51)
    tools.wait_for_text(kit, ".kit-slider output", "51 %")
    kit.keyboard.press("Control+s")  # what is pressed with Ctrl is JupyterLab's
    saved = "!window.jupyterapp.shell.currentWidget.context.model.dirty"
    tools.until(lambda: kit.evaluate(saved), what="saving the notebook")
    kit.mouse.click(*within(kit.locator(".kit-slider input"), (0.9, 0.5))[0])
    tools.until(lambda: tools.ask(kit, "slider.value") > 0.8, what="a press on the slider")
    tools.ask(kit, "slider.set_trait('value', 0.1)")
    tools.wait_for_text(kit, ".kit-slider output", "10 %")
    kit.locator(".kit-size input").press("End")
    hears(kit, "size.value", 384)
    assert kit.locator(".kit-size input").get_attribute("aria-valuetext") == "384"
    tools.ask(kit, "size.set_trait('value', 192)")
    tools.wait_for_text(kit, ".kit-size output", "192")


def test_triangle(kit):
    board = kit.locator(".kit-triangle svg")
    near = lambda *blend: all(abs(a - b) < 0.02 for a, b in zip(tools.ask(kit, "triangle.blend"), blend, strict=True))
    top, left, middle = within(board, (0.5, 89 / 310), (78 / 340, 0.8), (0.5, 195 / 310))
    kit.mouse.click(*top)
    tools.until(lambda: near(1, 0, 0), what="a press at the top")
    kit.mouse.click((top[0] + left[0]) / 2, (top[1] + left[1]) / 2)
    tools.until(lambda: near(0.5, 0.5, 0), what="the middle of an edge")
    outside = within(board, (0.0, 1.0))[0]
    kit.mouse.move(*middle)
    kit.mouse.down()
    kit.mouse.move(*outside, steps=10)  # the nearest place of the triangle is the corner at the left
    kit.mouse.up()
    tools.until(lambda: near(0, 1, 0), what="dragging beyond a corner")
    beside = within(board, (0.5, 0.95))[0]
    kit.mouse.click(*beside)
    tools.until(lambda: near(0, 0.5, 0.5), what="below the middle of the lower edge")
    finger(kit, left, top)
    tools.until(lambda: near(1, 0, 0), what="a finger")
    tools.ask(kit, "triangle.set_trait('blend', [1 / 3, 1 / 3, 1 / 3])")
    point = "board => ['cx', 'cy'].map(name => Number(board.querySelector('.nst-point').getAttribute(name)))"
    tools.until(lambda: board.evaluate(point) == pytest.approx([170, 195]), what="the point in the middle")
    assert kit.locator(".kit-triangle .nst-dot").count() == 2


@pytest.mark.parametrize("theme", THEMES)
def test_looks(kit, tmp_path, theme):
    """Nothing serious for axe, nothing sticks out, and the theme is the host's, from phone to projector."""
    dark = theme.endswith("Dark")
    command(kit, "apputils:change-theme", {"theme": theme})
    kit.wait_for_function("dark => document.body.dataset.jpThemeLight === String(!dark)", arg=dark)
    kit.wait_for_function(
        "dark => getComputedStyle(document.querySelector('.nst-kit')).colorScheme === (dark ? 'dark' : 'light')", arg=dark
    )
    command(kit, "application:toggle-left-area")
    for width in WIDTHS:
        kit.set_viewport_size({"width": width, "height": 2700})
        tools.check_fits(kit, ".nst-kit, .nst-surface, .nst-swipe-frame, .nst-thumb, .nst-drop, .nst-slide, .nst-board, img")
        kit.screenshot(path=tmp_path / f"kit_{'dark' if dark else 'light'}_{width}.png")
    tools.check_accessible(kit)
    command(kit, "application:toggle-left-area")
    command(kit, "apputils:change-theme", {"theme": THEMES[0]})


def test_focus_is_seen_and_motion_can_be_spared(kit):
    kit.locator(".kit-one [tabindex='0']").focus()
    kit.keyboard.press("Tab")
    outlined = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert kit.evaluate(outlined) == "solid"
    moving = "() => getComputedStyle(document.querySelector('.kit-brush .nst-button')).transitionDuration"
    assert kit.evaluate(moving) != "0s"
    kit.emulate_media(reduced_motion="reduce")
    assert kit.evaluate(moving) == "0s"
