"""Sweeps without kernels: what is asked of a grid, what is on file, what is done again, and what is written at the end."""

import csv
import io
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from nstlab.cli import sweep as cli_sweep
from nstlab.errors import SettingError
from nstlab.experiments import run_notebook as rerun
from nstlab.experiments import sweep
from nstlab.experiments.contact_sheet import SIDE, contact_sheet
from nstlab.experiments.recipe import recipe

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("[0-9]*.ipynb"))
PARAMETERS = 'style = "waves"\nsize = 40\nweight = 0.5\ncolors = True\nlayers = ["a"]\nhalf = size / 2\nout: str = ""'


def write(path, code="1"):
    cell = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}, outputs=[new_output("stream", text="old")])
    nbformat.write(new_notebook(cells=[cell, new_code_cell(code)]), path)
    return path


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A notebook, and the list of (values, file name) that were run, each by a stand-in for the cluster."""
    ran = []

    def spread(tasks, jobs, address):
        for number, (text, values, folder, name) in enumerate(tasks):
            assert name.endswith(".png") and "old" not in text and Path(folder) == tmp_path
            ran.append({key: value for key, value in values.items() if key != "out"})
            picture = io.BytesIO()
            Image.new("RGB", (values.get("size", 40), 30), "teal").save(picture, "PNG")
            result = {"seconds": 1.5, "notebook": text, "picture": picture.getvalue(), "error": None}
            result["results"] = {"area": values.get("size", 40) * 30, "deep": {"of": {"it": 1}}, "size": "small"}
            if values.get("style") == "broken":
                result |= {"error": "ValueError: no such style", "picture": None, "results": {}}
            yield number, result

    monkeypatch.setattr(sweep, "_spread", spread)
    return write(tmp_path / "paint.ipynb"), ran


def perform(notebook, folder, **grid):
    swept = sweep.Sweep(notebook, grid, folder)
    for _ in swept.perform():
        pass
    return swept


def test_values_take_the_type_of_the_default(tmp_path, monkeypatch):
    notebook = rerun.read(write(tmp_path / "paint.ipynb"))
    assert notebook.parameters == {
        "style": "waves", "size": 40, "weight": 0.5, "colors": True, "layers": ["a"], "half": None, "out": ""
    }  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jpg").write_bytes(b"")
    for folder in ("photos", "cat"):  # the second is a sample's name too
        (tmp_path / folder).mkdir()
    wanted = {
        ("style", "7"): "7", ("style", "mine.jpg"): str(tmp_path / "mine.jpg"), ("size", "64"): 64, ("weight", "2"): 2.0,
        ("weight", 3): 3.0, ("colors", "false"): False, ("layers", "['b', 'c']"): ["b", "c"], ("half", "word"): "word",
        ("half", "(1, 2)"): [1, 2], ("half", "{1}"): "{1}",
        ("style", "photos"): str(tmp_path / "photos"), ("half", "photos"): str(tmp_path / "photos"), ("style", "cat"): "cat",
        ("layers", "['photos', 'b']"): [str(tmp_path / "photos"), "b"], ("style", "'photos'"): "photos", ("half", "'48'"): "48",
        ("style", "./cat"): str(tmp_path / "cat"), ("size", "48.0"): 48, ("size", 48.0): 48, ("half", "48"): 48,
    }  # fmt: skip
    for (name, value), right in wanted.items():
        found = rerun.converted(notebook, name, value)
        assert found == right and type(found) is type(right)
    for name, value in [
        ("size", "48.5"),
        ("size", "1.5"),
        ("size", "big"),
        ("weight", "nan"),
        ("weight", "inf"),
        ("colors", "2"),
    ]:
        with pytest.raises(SettingError, match=f"{name}={value}: paint.ipynb wants"):
            rerun.converted(notebook, name, value)
    with pytest.raises(SettingError, match="did you mean weight"):
        rerun.converted(notebook, "wieght", "1")


@pytest.mark.parametrize("content", ["", "{}", "[]", "hello", '{"cells": 1}', "\0\1"])
def test_what_is_no_notebook_is_refused(tmp_path, content):
    (tmp_path / "a.ipynb").write_text(content)
    with pytest.raises(SettingError, match="a.ipynb is not a Jupyter notebook"):
        rerun.read(tmp_path / "a.ipynb")


def test_other_refusals(tmp_path):
    notebook = write(tmp_path / "paint.ipynb")
    with pytest.raises(SettingError, match="did you mean .*paint.ipynb"):
        rerun.read(tmp_path / "pant.ipynb")
    nbformat.write(new_notebook(cells=[new_code_cell("1")]), tmp_path / "bare.ipynb")
    with pytest.raises(SettingError, match="has no parameters"):
        sweep.Sweep(tmp_path / "bare.ipynb", {"size": [1]}, tmp_path / "out")
    for grid in ({}, {"size": []}, {"out": ["a.png"]}, {"size": ["x"]}):
        with pytest.raises(SettingError):
            sweep.Sweep(notebook, grid, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(SettingError, match="cannot be the sweep's folder"):
        sweep.Sweep(notebook, {"size": [1]}, notebook)
    for texts in (["size"], ["=1"], ["size=1,,2"], ["size="], ["size=1", "size=2"]):
        with pytest.raises(SettingError, match="grid"):
            cli_sweep.parse_grid(texts)
    assert cli_sweep.parse_grid(["a=1, 2", "b=x=y"]) == {"a": ["1", "2"], "b": ["x=y"]}


def test_values_of_a_grid_that_hold_commas():
    for text, values in {
        "[1,2],[3,4]": ["[1,2]", "[3,4]"], "[], [ 1 ]": ["[]", "[ 1 ]"], "(1,(2,3)),4": ["(1,(2,3))", "4"],
        "'a,b',c": ["'a,b'", "c"], "['a]',\"b,'\"],1": ["['a]',\"b,'\"]", "1"], "it's.png,cat": ["it's.png", "cat"],
        "{'a': [1, 2]},{}": ["{'a': [1, 2]}", "{}"], "(1).png,a[2.png": ["(1).png", "a[2.png"], r"'a\',b'": [r"'a\',b'"],
    }.items():  # fmt: skip
        assert cli_sweep.parse_grid([f"name={text}"]) == {"name": values}
    for text in ("[1,2", "'a,b", "[(1],2"):
        with pytest.raises(SettingError, match="does not close what it opens"):
            cli_sweep.parse_grid([f"name={text}"])


def test_a_grid_of_lists_is_run_list_by_list(made, tmp_path):
    notebook, ran = made
    perform(notebook, tmp_path / "out", **cli_sweep.parse_grid(["layers=['a','b'],[]", "half=[1,2],[3,4]"]))
    assert [(values["layers"], values["half"]) for values in ran] == [
        (["a", "b"], [1, 2]), (["a", "b"], [3, 4]), ([], [1, 2]), ([], [3, 4])
    ]  # fmt: skip


def test_only_what_is_missing_is_run(made, tmp_path):
    notebook, ran = made
    perform(notebook, tmp_path / "out", size=[40, 50], style=["waves"])
    perform(notebook, tmp_path / "out", size=[40, 50, 60], style=["waves"])
    assert ran == [{"size": size, "style": "waves"} for size in (40, 50, 60)]  # a larger grid takes over what there is
    perform(notebook, tmp_path / "out", size=[40], style=["waves", "dots"])
    assert ran[3:] == [{"size": 40, "style": "dots"}]
    swept = perform(notebook, tmp_path / "out", size=[40, "40", 50], style=["waves"])
    assert len(ran) == 4 and len(swept.cells) == 2
    (tmp_path / "out" / swept.record(swept.cells[0])["picture"]).unlink()  # its picture is lost
    (tmp_path / "out" / "runs" / f"{swept.cells[1].stem}.json").write_text('{"notebook": "pai')  # cut short
    assert swept.missing() == swept.cells


def test_another_version_of_the_notebook_takes_nothing_over(made, tmp_path):
    notebook, ran = made
    perform(notebook, tmp_path / "out", size=[40, 50])
    write(notebook, "2")
    swept = sweep.Sweep(notebook, {"size": [40, 50, 60]}, tmp_path / "out")
    assert swept.outdated() == 2 and len(swept.missing()) == 3
    perform(notebook, tmp_path / "out", size=[40, 50, 60])
    assert len(ran) == 5 and not swept.outdated()
    with pytest.raises(SettingError, match="holds a sweep of paint.ipynb"):
        sweep.Sweep(write(tmp_path / "other.ipynb"), {"size": [40]}, tmp_path / "out")


def test_a_failed_run_is_told_and_tried_again(made, tmp_path):
    notebook, ran = made
    swept = perform(notebook, tmp_path / "out", style=["waves", "broken", "dots"])
    rows = swept.write()
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert rows[1]["error"] == "ValueError: no such style" and rows[1]["picture"] is None
    perform(notebook, tmp_path / "out", style=["waves", "broken", "dots"])
    assert [values["style"] for values in ran] == ["waves", "broken", "dots", "broken"]


def test_tables_and_pictures(made, tmp_path):
    notebook, _ = made
    swept = perform(notebook, tmp_path / "out", size=[40, 60], style=["waves", "broken"])
    swept.write()
    table = json.loads((tmp_path / "out" / "table.json").read_text())
    assert [row["parameters"] for row in table["rows"]] == [cell.values for cell in swept.cells]
    with open(tmp_path / "out" / "table.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert rows[2]["area"] == "1800" and rows[2]["deep.of.it"] == "1" and rows[2]["result.size"] == "small"
    assert rows[2]["size"] == "60" and rows[2]["seconds"] == "1.5" and rows[3]["error"] == "ValueError: no such style"
    values = {"style": "waves", "size": 60, "weight": 0.5, "colors": True, "layers": ["a"]}
    carried = recipe(tmp_path / "out" / rows[2]["picture"])
    assert carried["notebook"] == notebook.as_posix()
    assert {name: carried["parameters"][name] for name in values} == values and "out" not in carried["parameters"]
    with Image.open(tmp_path / "out" / "contact.png") as sheet:
        assert 2 * SIDE < sheet.width < 2.3 * SIDE and sheet.height > 2 * SIDE * 0.5


def test_labels_stand_under_their_tiles(tmp_path):
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "a.png")
    long = "content = a-very-long-name-of-a-photo-that-cannot-stand-in-one-line"
    (tmp_path / "b.png").write_text("<svg/>")
    tiles = [
        (tmp_path / "a.png", "size = 1", ""),
        (None, long, "failed\nValueError: " + "word " * 60),
        (tmp_path / "b.png", "x", ""),
    ]
    with Image.open(contact_sheet(tiles, 2, tmp_path / "sheet.png")) as sheet:
        grey = sheet.convert("L")
    assert grey.width == 2 * SIDE + 3 * 14
    dark = grey.point(lambda value: 255 if value < 60 else 0)  # type; the teal of the picture is lighter
    left, top, right, bottom = dark.crop((0, 14 + SIDE, 14 + SIDE, 14 + SIDE + 60)).getbbox()
    assert bottom - top >= 10 and 14 <= left and right <= 14 + SIDE
    assert dark.crop((14 + SIDE, 14 + SIDE, grey.width, 14 + SIDE + 60)).getbbox()[3] > 30  # a second line


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_can_be_swept(path):
    found = rerun.read(path).parameters
    assert {"content", "style", "size", "steps", "seed", "out"} <= set(found) and None not in found.values()
