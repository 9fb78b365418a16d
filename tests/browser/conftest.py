import re

import pytest
from lab import FLAGS, find_chromium, jupyter

FOREIGN = re.compile(r"(https?|wss?)://(?!127\.0\.0\.1[:/]|localhost[:/])")
ENDED = ("net::ERR_ABORTED",)  # a request that the page itself gave up, as when another notebook is opened


@pytest.fixture(scope="session")
def browser():
    """A headless chromium, or a skip that says how to get one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need playwright: pip install playwright")
    pytest.importorskip("jupyterlab", reason="the browser tests need JupyterLab: pip install jupyterlab")
    path = find_chromium()
    if path is None:
        pytest.skip("no chromium here: install one (Debian: apt install chromium; others: playwright install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def lab(browser, lab_folder, tmp_path_factory):
    """(address, token) of a JupyterLab that serves `lab_folder`."""
    with jupyter(lab_folder, tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture(scope="session")
def tab(browser):
    """The one page in which all notebooks are opened, with a finger as well as a mouse."""
    context = browser.new_context(has_touch=True)
    page = context.new_page()
    page.set_default_timeout(40_000)
    page.errors, page.lost = [], []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: page.lost.append(request.url) if FOREIGN.match(request.url) else None)
    page.on("requestfailed", lambda request: page.lost.append(request.url) if request.failure not in ENDED else None)
    yield page
    context.close()


@pytest.fixture
def page(tab, tmp_path):
    """That page as it was: `page.errors` and `page.lost` begin empty, and a screenshot is taken when the test is over.

    `page.lost` are requests that failed or went to another server.
    """
    tab.errors, tab.lost = [], []
    tab.set_viewport_size({"width": 1280, "height": 1100})
    tab.emulate_media(color_scheme="light", reduced_motion="no-preference")
    yield tab
    tab.screenshot(path=tmp_path / "at_the_end.png")
