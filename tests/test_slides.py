"""Slides: where a cell goes, what is left out, and that a deck loads nothing from elsewhere."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from solutions import solution_lines

from nstlab.course import sites, slides
from nstlab.errors import SettingError

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def text(source):
    return {"cell_type": "markdown", "source": source, "metadata": {}}


def code(source, *outputs):
    return {"cell_type": "code", "source": source, "metadata": {}, "outputs": list(outputs), "execution_count": 1}


def picture(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    data = {"image/png": base64.b64encode(buffer.getvalue()).decode(), "text/plain": "<a>"}
    return {"output_type": "execute_result", "data": data, "metadata": {}}


def printed(lines):
    return {"output_type": "stream", "name": "stdout", "text": "x\n" * lines}


def deck(*cells):
    """[(kind, source, whether its code is hidden)] of the arranged cells."""
    made = slides.arranged({"cells": list(cells)})["cells"]
    kind = lambda cell: cell["metadata"]["slideshow"]["slide_type"]
    return [(kind(cell), cell["source"], slides.PICTURE in cell["metadata"].get("tags", [])) for cell in made]


def test_a_heading_opens_a_slide_and_what_fits_stays_on_it():
    wide = picture(900, 300)
    assert deck(text("# A\n\nOne."), code("a", wide), text("## B\n\nTwo.\n\n### C"), code("b", printed(1)), code("c")) == [
        ("slide", "# A\n\nOne.", False), ("-", "a", True), ("slide", "## B\n\nTwo.", False), ("subslide", "### C", False),
        ("-", "b", False),
    ]  # fmt: skip


def test_what_does_not_fit_gets_a_slide_below():
    tall = picture(300, 900)
    kinds = [kind for kind, *_ in deck(text("## A\n\n" + "word " * 60), code("a", tall), code("b", tall))]
    assert kinds == ["slide", "subslide", "subslide"]


def test_long_text_goes_to_the_notes_and_formulas_stay():
    long = ("word " * 70).strip()
    made = deck(text(f"## A\n\n{long}\n\n$$ x $$\n\n{long}\n\n- a list"))
    assert [kind for kind, *_ in made] == ["slide", "notes"]
    assert "$$ x $$" in made[0][1] and "- a list" in made[0][1] and made[1][1] == long


def test_code_without_room_for_what_it_prints_is_hidden():
    assert [hidden for *_, hidden in deck(code("a", printed(3)), code("b", printed(20)))] == [False, True]


def test_exercises_keep_their_tasks_only():
    made = deck(
        text("## Exercises\n\n**1.** Do."), code("answer = 1", printed(1)), text("## Summary\n\nDone."), code("b", printed(1))
    )
    assert [source for _, source, _ in made] == ["## Exercises\n\n**1.** Do.", "## Summary\n\nDone.", "b"]


def test_a_deck_loads_nothing_from_elsewhere_and_holds_no_solution(tmp_path):
    pytest.importorskip("nbconvert")
    assert slides.main([str(NOTEBOOKS), "03", "--out", str(tmp_path / "deck")]) == 0
    assert sites.broken(tmp_path / "deck") == []
    page = (tmp_path / "deck" / "03_style_loss.html").read_text(encoding="utf-8")
    read = sites.Page(page)
    assert {load.split("/")[0] for load in read.loads if not load.startswith("data:")} == {"reveal", "mathjax"}
    assert 'src="mathjax/tex-chtml-full.js"' in page and "requirejs" not in page.lower()
    assert not [line for line in solution_lines([NOTEBOOKS / "03_style_loss.ipynb"]) if line in page]
    assert page.count("<section") > 20 and 'alt="The larger the painting' in page


def test_a_name_that_fits_no_notebook_is_refused():
    with pytest.raises(SettingError, match="no notebook begins with 99"):
        slides.chosen(NOTEBOOKS, ["03", "99"])
    assert [path.stem[:2] for path in slides.chosen(NOTEBOOKS, ["1"])] == sorted(
        path.stem[:2] for path in NOTEBOOKS.glob("1*.ipynb")
    )


def test_every_cell_of_every_notebook_finds_its_slide():
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            cell["source"] = "".join(cell["source"])
            cell.setdefault("outputs", [])
            for output in cell["outputs"]:
                if "text" in output:
                    output["text"] = "".join(output["text"])
        kinds = {cell["metadata"]["slideshow"]["slide_type"] for cell in slides.arranged({"cells": cells})["cells"]}
        assert kinds <= {"slide", "subslide", "-", "notes"}
