import pytest
from lab import FLAGS, find_chromium, jupyter_lab


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
    with jupyter_lab(lab_folder, tmp_path_factory.mktemp("home")) as place:
        yield place


@pytest.fixture
def page(browser, tmp_path):
    """A page whose errors are kept in `page.errors`; a screenshot is taken when the test is over."""
    context = browser.new_context(viewport={"width": 1280, "height": 1100})
    page = context.new_page()
    page.set_default_timeout(40_000)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    yield page
    page.screenshot(path=tmp_path / "at_the_end.png")
    context.close()
