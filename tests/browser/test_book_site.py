"""The whole book, built once and opened from its folder, as somebody without a network would."""

import re

import lab as tools
import pytest
from solutions import letters, solution_lines

from nstlab.course import book, sites, slides

NOTEBOOKS = tools.REPOSITORY / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
PAGES = ("index", "03_style_loss", "05_saliency", "HISTORY", "reference/losses", "search")
SIZES = {"desk": (1280, 1000), "phone": (390, 844)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the students' book."""
    pytest.importorskip("myst_nb", reason='the book needs Sphinx: pip install "nstlab[book]"')
    folder = tmp_path_factory.mktemp("site") / "book"
    book.build(NOTEBOOKS, folder)
    return folder


def visit(browser, size, scheme="light"):
    """A page that keeps its errors, and every address that is not in a folder, in `page.errors`."""
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: page.errors.append(message.text) if message.type in ("error", "warning") else None)
    local = ("file:", "data:", "blob:", "about:")
    page.on("request", lambda request: None if request.url.startswith(local) else page.errors.append(request.url))
    return page


def test_it_holds_every_notebook_and_no_solution(site):
    assert {path.stem for path in PATHS} | set(PAGES) <= {str(path.relative_to(site))[:-5] for path in sites.html(site)}
    words = {letters(line) for line in solution_lines(PATHS) if not re.search("[\"'<>&]", line)}
    assert len(words) > 30
    for path in site.rglob("*"):
        if path.suffix in (".html", ".js", ".ipynb", ".txt") and "mathjax" not in path.parts:
            text = letters(re.sub(r"<[^>]+>|\\\\n", "", path.read_text(encoding="utf-8")))
            assert not [word for word in words if word in text], path


def test_pictures_wait_until_they_are_in_view(site):
    for path in sites.html(site):
        assert not sites.Page(path.read_text(encoding="utf-8")).eager, path


@pytest.mark.parametrize("size, scheme", [("desk", "dark"), ("phone", "light")])
def test_a_page_opens_without_a_network(browser, site, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python").Axe()
    page = visit(browser, size, scheme)
    for name in PAGES:
        page.goto(f"{(site / name).as_uri()}.html")
        page.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise.then(() => true)")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), f"{name} is too wide"
        assert page.locator("html").get_attribute("data-theme") == scheme
        found = axe.run(page, options={"preload": False}).response["violations"]
        serious = [(rule["id"], rule["nodes"][0]["html"]) for rule in found if rule["impact"] in ("serious", "critical")]
        assert not serious, f"{name}: {serious}"
    assert page.errors == []
    page.context.close()


def test_formulas_pictures_search_and_colours(browser, site):
    page = visit(browser, "desk")
    page.goto(f"{(site / '03_style_loss').as_uri()}.html")
    page.wait_for_selector("mjx-container[display]")
    picture = page.locator(".bd-article img").last
    picture.scroll_into_view_if_needed()
    page.wait_for_function("picture => picture.naturalWidth > 0", arg=picture.element_handle())
    page.get_by_role("button", name="Color mode").click()
    page.locator(".theme-change-button[data-mode=dark]").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.keyboard.press("Control+k")
    page.keyboard.type("mode collapse")
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results li a[href*='12_adversarial']")
    page.locator("#search-results li a[href*='12_adversarial']").first.click()
    page.wait_for_selector("article h1:has-text('Adversarial')")  # the theme has a second one, for print
    assert page.errors == []
    page.context.close()


def test_slides_open_without_a_network_and_fit(browser, tmp_path):
    pytest.importorskip("nbconvert", reason='slides need nbconvert: pip install "nstlab[book]"')
    assert slides.main([str(NOTEBOOKS), "12", "--out", str(tmp_path / "slides")]) == 0
    page = visit(browser, "desk")
    page.goto(f"{(tmp_path / 'slides' / '12_adversarial').as_uri()}.html")
    page.wait_for_function("window.Reveal?.isReady() && MathJax.startup?.promise.then(() => true)")
    sizes = page.evaluate(
        """() => Reveal.getSlides().map(slide => {
            const {h, v} = Reveal.getIndices(slide)
            Reveal.slide(h, v)
            return [slide.scrollWidth, slide.scrollHeight, slide.innerText.slice(0, 60)]
        })"""
    )
    assert len(sizes) > 15
    assert not [(text, wide, tall) for wide, tall, text in sizes if wide > slides.WIDTH + 5 or tall > slides.HEIGHT]
    assert page.errors == []
    page.context.close()
