"""Pages that stand alone: pictures that load when they come into view, buttons with names, and a check of every link.

This is a Sphinx extension (`setup`) for what concerns all pages of the book.
"""

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

TAG = re.compile(r"<(\w+)((?:\s+[\w:.-]+(?:=\"[^\"]*\")?)+)\s*/?>")
ATTRIBUTE = re.compile(r"([\w:.-]+)=\"([^\"]*)\"")
LOADING = {"img": "src", "script": "src", "iframe": "src", "source": "src", "link": "href"}
NOT_LOADED = ("canonical", "author", "license", "next", "prev", "index", "search")  # relations that a `link` only states
UNNAMED = "<summary><span"


class Page:
    """What one page of HTML has: `anchors` to jump to, `links` to follow, `loads` that it fetches itself, `eager` pictures."""

    def __init__(self, text: str):
        self.anchors, self.links, self.loads, self.eager = {"", "top"}, [], [], []
        for tag, attributes in TAG.findall(text):
            given = {key: unescape(value) for key, value in ATTRIBUTE.findall(attributes)}
            self.anchors |= {given[key] for key in ("id", "name") if key in given}
            if tag == "a" and "href" in given:
                self.links.append(given["href"])
            if given.get(LOADING.get(tag)) and given.get("rel") not in NOT_LOADED:
                self.loads.append(given[LOADING[tag]])
            if tag == "img" and given.get("loading") != "lazy":
                self.eager.append(given.get("src", ""))


def broken(folder: Path) -> list[str]:
    """'page: link' for each link inside the site `folder` that leads nowhere, and for all that it would load from elsewhere."""
    folder = Path(folder).resolve()
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in html(folder)}
    faults = []
    for path, page in pages.items():
        for link in dict.fromkeys([*page.loads, *page.links]):
            parts = urlsplit(link)
            if parts.scheme == "data":
                continue
            if parts.netloc or parts.scheme:
                wrong = link in page.loads
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                wrong = not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors)
            if wrong:
                faults.append(f"{path.relative_to(folder)}: {link}")
    return sorted(faults)


def html(folder: Path) -> list[Path]:
    """The pages of the site, without those inside of packages that it uses."""
    return [path for path in sorted(Path(folder).rglob("*.html")) if "_static" not in path.parts]


def name_buttons(folder: Path) -> None:
    """Give the arrows that unfold the table of contents a name, which a screen reader can say; the theme gives none."""
    for path in html(folder):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(UNNAMED, '<summary aria-label="Unfold"><span'), encoding="utf-8")


def setup(app) -> dict:
    """Sphinx calls this for an extension."""
    app.connect("doctree-resolved", _load_lazily)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _load_lazily(app, tree, name) -> None:
    from docutils import nodes

    for image in tree.findall(nodes.image):
        image["loading"] = "lazy"
