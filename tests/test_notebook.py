import base64
import io
from types import SimpleNamespace

import nbformat
import pytest
import torch
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from nstlab.course import build, checks, figures
from nstlab.errors import SettingError
from nstlab.experiments import results


def executed(pieces, address, count=1):
    outputs = [new_output("stream", name="stdout", text=piece) for piece in pieces]
    outputs.append(new_output("execute_result", {"text/plain": f"<thing at {address}>"}, execution_count=count))
    cell = new_code_cell("print(1)", outputs=outputs, execution_count=count, metadata={"execution": {"started": address}})
    return new_notebook(cells=[cell])


def test_two_executions_differ_in_no_byte():
    one = build.normalize(executed(["a b", "\n"], "0x7f0011223344"))
    two = build.normalize(executed(["a b\n"], "0x7fffffffffff"))
    assert nbformat.writes(one) == nbformat.writes(two)
    assert one.metadata["nstlab"]["source_sha"] == results.source_hash(one)


def test_a_changed_cell_changes_the_hash():
    one, two = executed(["a"], "0x0"), executed(["a"], "0x0")
    two.cells[0].source += " "
    assert results.source_hash(one) != results.source_hash(two)


def test_results_are_found_again(tmp_path):
    result = new_output("display_data", {results.RESULT: {"total": 1.25}, "text/plain": "results: total"})
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("emit()", outputs=[result])]), path)
    assert results.results_of(path) == {"total": 1.25}
    nbformat.write(new_notebook(), path)
    with pytest.raises(SettingError, match="emitted no results"):
        results.results_of(path)


def test_check_gives_the_hint_until_it_is_right(capsys):
    checks.check(False, "Look at the sign.")
    checks.check(True, "Look at the sign.")
    assert capsys.readouterr().out == "Not yet. Look at the sign.\nRight.\n"


def told(monkeypatch, **environment) -> str:
    """What a cell hears of `headless` when nbclient, that takes no questions, runs it in that environment."""
    for name in ("NSTLAB_HEADLESS", "SERVER_SOFTWARE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asking = new_notebook(cells=[new_code_cell("from nstlab.course import headless\nprint(headless())")])
    return NotebookClient(asking, timeout=60, kernel_name="python3").execute().cells[0].outputs[0].text.strip()


def test_nobody_is_at_the_controls_of_what_takes_no_questions(monkeypatch):
    assert told(monkeypatch) == "True"
    assert told(monkeypatch, NSTLAB_HEADLESS="0") == "False"
    assert told(monkeypatch, SERVER_SOFTWARE="voila/0.5.8") == "False"
    assert told(monkeypatch, SERVER_SOFTWARE="voila/0.5.8", NSTLAB_HEADLESS="1") == "True"


def test_a_front_end_that_can_be_asked_has_somebody_at_it(monkeypatch):
    monkeypatch.delenv("NSTLAB_HEADLESS", raising=False)
    assert not results.headless()  # no notebook at all
    for answers in (True, False):
        parent = {"content": {"code": "headless()", "allow_stdin": answers}}
        kernel = SimpleNamespace(get_parent=lambda parent=parent: parent)
        monkeypatch.setattr("IPython.get_ipython", lambda kernel=kernel: SimpleNamespace(kernel=kernel))
        assert results.headless() is not answers


def test_the_figures_that_a_text_shows_are_attached(tmp_path):
    Image.new("RGB", (600, 400), "red").save(tmp_path / "of-it.png")
    text = "![all](attachment:of-it.jpg) and ![a part](attachment:of-it_10_20_100.jpg)"
    lesson = new_notebook(cells=[new_markdown_cell(text), new_markdown_cell("none", attachments={"old.jpg": {}})])
    figures.attach(lesson, tmp_path)
    sizes = {
        name: Image.open(io.BytesIO(base64.b64decode(held["image/jpeg"]))).size
        for name, held in lesson.cells[0].attachments.items()
    }
    assert sizes == {"of-it.jpg": (600, 400), "of-it_10_20_100.jpg": (280, 280)}
    assert "attachments" not in lesson.cells[1]
    nbformat.validate(lesson)
    with pytest.raises(SettingError, match="gone.png, which is not there"):
        figures.attach(new_notebook(cells=[new_markdown_cell("![it](attachment:gone.jpg)")]), tmp_path)


def test_what_is_only_laid_together_leaves_no_residue():
    one, two, noise = torch.rand((3, 1, 3, 8, 12), generator=torch.Generator().manual_seed(0))
    half = torch.zeros(1, 1, 8, 12)
    half[..., :6] = 1
    scraps = [part * mask for part in (one, two) for mask in (half, 1 - half)]
    pasted = half * two + (1 - half) * (0.3 * one + 0.7 * two)
    assert checks.residue(pasted, scraps) < 1e-4 and checks.residue(noise, scraps) > 0.1
    assert checks.residue(0 * one, [*scraps, one]) == 0  # scraps may repeat each other


def test_a_disc_has_its_area_and_its_centre():
    drawn = checks.disc(41, 61, 12.0)
    assert drawn.shape == (1, 1, 41, 61) and abs(drawn.sum().item() - 3.1416 * 144) < 20
    assert drawn[0, 0, 20, 30] == 1 and drawn[0, 0, 20, 41] == 1 and drawn[0, 0, 20, 43] == 0 and drawn[0, 0, 8, 30] == 0
