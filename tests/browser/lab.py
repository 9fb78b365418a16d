"""A JupyterLab of its own and a browser that looks at it."""

import contextlib
import io
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from PIL import Image
from waiting import until

REPOSITORY = Path(__file__).parents[2]
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
SESSION = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session"


def find_chromium() -> str | None:
    """The browser to test with: $NSTLAB_CHROMIUM, one on the PATH, or playwright's own."""
    named = os.environ.get("NSTLAB_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if shutil.which(name):
            return shutil.which(name)
    kept = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    return next((str(path) for path in sorted(kept.glob("chromium-*/chrome-linux*/chrome"))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def jupyter_lab(root: Path, home: Path):
    """JupyterLab serving the folder `root`, its settings in `home`; yields (address, token)."""
    port, token = free_port(), secrets.token_hex(16)
    address = f"http://127.0.0.1:{port}"
    pages = home / "config" / "labconfig"
    pages.mkdir(parents=True)
    announcements = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (pages / "page_config.json").write_text(json.dumps(announcements))
    folders = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    folders |= {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    environment = os.environ | {name: str(home / folder) for name, folder in folders.items()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    environment.pop("NSTLAB_HEADLESS", None)  # somebody is at the controls
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.extension_manager=readonly", "--LabApp.expose_app_in_browser=True"]
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"{address}/api?token={token}", server, log)
        yield address, token
    finally:
        server.terminate()
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait_for(address, server, log, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(address, timeout=2)
            return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError("JupyterLab did not start: " + log.read_text()[-2000:])


def write_notebook(path: Path, *cells: str) -> Path:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=kernel), path)
    return path


def open_notebook(page, address, token, name):
    """Open a notebook and wait until its kernel listens; the indicator in the toolbar says so too early."""
    page.goto(f"{address}/lab/tree/{name}?token={token}&reset")
    page.wait_for_selector(f"{PANEL} .jp-Notebook")
    page.wait_for_function(f"() => {SESSION}?.kernel?.connectionStatus === 'connected'")
    within(page, f"async () => {{ await {SESSION}.kernel.info; return true }}")
    page.wait_for_function(f"() => {SESSION}.kernel.status === 'idle'")


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def narrow_canvases(page, lab, name, canvas):
    """Open a notebook in a narrow window, run it, and yield (number, canvas) of its two panels, each in view."""
    page.set_viewport_size({"width": 620, "height": 1100})
    open_notebook(page, *lab, name)
    run_all(page)
    for number in (0, 1):
        found = page.locator(canvas).nth(number)
        found.wait_for()
        found.scroll_into_view_if_needed()
        yield number, found


def within(page, function, argument=None, seconds=20):
    """Evaluate an async JavaScript function of one argument, but not for ever."""
    late = f"new Promise((_, no) => setTimeout(() => no(new Error('no answer in time')), {seconds * 1000}))"
    return page.evaluate(f"argument => Promise.race([({function})(argument), {late}])", argument)


def pixels(page, selector) -> str:
    """What an Image widget shows, as a fingerprint of its bytes."""
    function = """async selector => {
        for (let i = 0; i < 20; i++) {
            try {
                const data = await (await fetch(document.querySelector(selector).src)).arrayBuffer()
                let hash = 5381
                for (const byte of new Uint8Array(data)) hash = (hash * 33 + byte) >>> 0
                return data.byteLength + ':' + hash
            } catch (error) { await new Promise(done => setTimeout(done, 50)) }  // replaced while it was read
        }
        throw new Error('no picture at ' + selector)
    }"""
    return within(page, function, selector)


def settled(page, look):
    """What `look()` returns once the kernel is idle and nothing changes any more."""
    found = [None]

    def steady():
        page.wait_for_function(f"() => {SESSION}.kernel.status === 'idle'")
        found.append(look())
        time.sleep(0.3)
        return found[-1] == found[-2]

    until(steady, what="a panel at rest")
    return found[-1]


def wait_for_text(page, selector, pattern):
    """Wait until the text of an element matches a regular expression, and return it."""
    test = "([s, p]) => { const e = document.querySelector(s); return e && new RegExp(p).test(e.innerText) && e.innerText }"
    return page.wait_for_function(test, arg=[selector, pattern]).json_value()


def upload(page, button, name, data):
    """Press an upload button and choose a file: its bytes, or its path."""
    with page.expect_file_chooser() as chosen:
        page.click(button)
    inside = {"name": name, "mimeType": "image/png", "buffer": data}
    chosen.value.set_files(inside if isinstance(data, bytes) else data)


def png(width, height, color, mode="RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def drag(page, canvas, *points):
    """Draw with the left button through points, in shares of the canvas."""
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()


def wait_for_cut(page, css, percent):
    """Wait until the line between before and after stands there: so much of `after` is cut away at its left."""
    cut = "([s, p]) => getComputedStyle(document.querySelector(s)).clipPath.includes(` ${p}%`)"
    page.wait_for_function(cut, arg=[f"{css}-after", percent])


def move_line(page, css, key, times=1):
    """Move that line by the keyboard: PageUp is five to the right."""
    page.locator(f"{css}-swipe .noUi-handle").focus()
    for _ in range(times):
        page.keyboard.press(key)


def check_no_errors(page):
    """Nothing stands in red under a cell, and nothing went wrong in the page."""
    assert page.locator(f"{PANEL} .jp-OutputArea-output[data-mime-type$='stderr']").all_inner_texts() == []
    assert page.errors == []


def check_fits(page, parts, number=0):
    """Of the panel that is `number` in the page, nothing sticks out: neither its content nor any of these parts."""
    panel = page.locator(".nstlab-panel").nth(number)
    assert panel.evaluate("e => e.scrollWidth - e.clientWidth") <= 2
    right = panel.bounding_box()["x"] + panel.bounding_box()["width"]
    boxes = [part.bounding_box() for part in panel.locator(parts).all()]
    assert boxes and all(box["x"] + box["width"] <= right + 2 for box in boxes)


def check_covers(page, over, under, number=0):
    """Two things lie exactly one upon the other."""
    upper, lower = (page.locator(selector).nth(number).bounding_box() for selector in (over, under))
    assert all(abs(upper[side] - lower[side]) <= 1 for side in lower)
