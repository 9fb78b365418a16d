"""A Jupyter server of its own and a browser that looks at it."""

import ast
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
HARMFUL = ("serious", "critical")
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"
ANOTHER = """async name => {
    const { shell, commands } = window.jupyterapp
    for (const widget of [...shell.widgets('main')]) {
        await widget.sessionContext?.shutdown()
        if (widget.context) widget.context.model.dirty = false
        widget.dispose()
    }
    await commands.execute('docmanager:open', { path: name })
    return true
}"""
ASK = """async expression => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
    const reply = await kernel.requestExecute({ code: '', silent: true, user_expressions: { it: expression } }).done
    const found = reply.content.user_expressions.it
    return found.status === 'ok' ? found.data['text/plain'] : found.ename + ': ' + found.evalue
}"""
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
def jupyter(root: Path, home: Path, app: str = "lab"):
    """JupyterLab, or Notebook ("notebook"), serving the folder `root`, its settings in `home`; yields (address, token)."""
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
    module, traits = {"lab": ("jupyterlab", "LabApp"), "notebook": ("notebook", "JupyterNotebookApp")}[app]
    command = [sys.executable, "-m", module, "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"]
    command += ["--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    command += ["--LabApp.extension_manager=readonly", f"--{traits}.expose_app_in_browser=True"]
    with serving(command, root, environment, home / "server.log", f"{address}/api?token={token}"):
        yield address, token


@contextlib.contextmanager
def serving(command, folder: Path, environment: dict, log: Path, ready: str):
    """A server that runs in `folder`, from when it answers at the address `ready`."""
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(ready, server, log)
        yield
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(15)
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
    raise RuntimeError("the server did not start: " + log.read_text()[-2000:])


def write_notebook(path: Path, *cells: str) -> Path:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells], metadata=kernel), path)
    return path


def open_notebook(page, address, token, name):
    """Open a notebook, instead of the one before, and wait until its kernel listens; the toolbar says so too early."""
    if page.url.startswith(f"{address}/lab"):
        within(page, ANOTHER, name)
        page.errors, page.lost = [], []  # what the notebook before says at its end is not this one's
    else:
        page.goto(f"{address}/lab/tree/{name}?token={token}&reset")
    page.wait_for_selector(f"{PANEL} .jp-Notebook")
    page.wait_for_function(f"() => {SESSION}?.kernel?.connectionStatus === 'connected'")
    within(page, f"async () => {{ await {SESSION}.kernel.info; return true }}")
    page.wait_for_function(f"() => {SESSION}.kernel.status === 'idle'")


def run_all(page):
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def ask(page, expression: str):
    """The value of a Python expression in the kernel of the notebook that is open, of literals alone."""
    return ast.literal_eval(within(page, ASK, expression))


def within(page, function, argument=None, seconds=20):
    """Evaluate an async JavaScript function of one argument, but not for ever."""
    late = f"new Promise((_, no) => setTimeout(() => no(new Error('no answer in time')), {seconds * 1000}))"
    return page.evaluate(f"argument => Promise.race([({function})(argument), {late}])", argument)


def pixels(page, selector) -> str:
    """What a picture shows, as a fingerprint of its bytes; the selector is that of an image, or of what holds one."""
    function = """async selector => {
        for (let i = 0; i < 20; i++) {
            try {
                const found = document.querySelector(selector)
                const image = found.matches("img") ? found : found.querySelector("img")
                const data = await (await fetch(image.src)).arrayBuffer()
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


def upload(page, zone, name, data):
    """Choose a file for a drop zone: its bytes, or its path."""
    inside = {"name": name, "mimeType": "image/png", "buffer": data}
    page.locator(f"{zone} input").set_input_files(inside if isinstance(data, bytes) else data)


def png(width, height, color, mode="RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (width, height), color).save(buffer, "PNG")
    return buffer.getvalue()


def drag(page, canvas, *points):
    """Draw with the left button through points, in shares of the canvas."""
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=12)
    page.mouse.up()


def wait_for_cut(page, css, percent):
    """Wait until the line between before and after stands there: so much of `after` is cut away at its left."""
    cut = "([s, p]) => getComputedStyle(document.querySelector(s)).clipPath.includes(` ${p}%)`)"
    page.wait_for_function(cut, arg=[f"{css}-swipe .nst-layer:nth-of-type(2)", percent])


def move_line(page, css, key, times=1):
    """Move that line by the keyboard: PageUp is ten to the right."""
    page.locator(f"{css}-swipe .nst-line").focus()
    for _ in range(times):
        page.keyboard.press(key)


def check_no_errors(page):
    """Nothing stands in red under a cell, nothing went wrong in the page, and it asked no other server for anything."""
    assert page.locator(f"{PANEL} .jp-OutputArea-output[data-mime-type$='stderr']").all_inner_texts() == []
    assert page.errors == [] and page.lost == []


def check_accessible(page, context=".nstlab-panel"):
    """axe finds nothing serious in the panel."""
    from axe_playwright_python.sync_playwright import Axe

    rules = [rule for rule in Axe().run(page, context=context).response["violations"] if rule["impact"] in HARMFUL]
    assert [(rule["id"], node["html"][:200]) for rule in rules for node in rule["nodes"]] == []


def check_fits(page, parts, number=0):
    """Of the panel that is `number` in the page, nothing sticks out: neither its content nor any of these parts."""
    panel = page.locator(".nstlab-panel").nth(number)
    assert panel.evaluate("e => e.scrollWidth - e.clientWidth") <= 2
    right = panel.bounding_box()["x"] + panel.bounding_box()["width"]
    boxes = [part.bounding_box() for part in panel.locator(parts).all()]
    assert boxes and all(box["x"] + box["width"] <= right + 2 for box in boxes)
