import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nstlab import notebook
from nstlab.errors import SettingError


def executed(pieces, address, count=1):
    outputs = [new_output("stream", name="stdout", text=piece) for piece in pieces]
    outputs.append(new_output("execute_result", {"text/plain": f"<thing at {address}>"}, execution_count=count))
    cell = new_code_cell("print(1)", outputs=outputs, execution_count=count, metadata={"execution": {"started": address}})
    return new_notebook(cells=[cell])


def test_two_executions_differ_in_no_byte():
    one = notebook.normalize(executed(["a b", "\n"], "0x7f0011223344"))
    two = notebook.normalize(executed(["a b\n"], "0x7fffffffffff"))
    assert nbformat.writes(one) == nbformat.writes(two)
    assert one.metadata["nstlab"]["source_sha"] == notebook.source_hash(one)


def test_a_changed_cell_changes_the_hash():
    one, two = executed(["a"], "0x0"), executed(["a"], "0x0")
    two.cells[0].source += " "
    assert notebook.source_hash(one) != notebook.source_hash(two)


def test_results_are_found_again(tmp_path):
    result = new_output("display_data", {notebook.RESULT: {"total": 1.25}, "text/plain": "results: total"})
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("emit()", outputs=[result])]), path)
    assert notebook.results_of(path) == {"total": 1.25}
    nbformat.write(new_notebook(), path)
    with pytest.raises(SettingError, match="emitted no results"):
        notebook.results_of(path)


def test_check_gives_the_hint_until_it_is_right(capsys):
    notebook.check(False, "Look at the sign.")
    notebook.check(True, "Look at the sign.")
    assert capsys.readouterr().out == "Not yet. Look at the sign.\nRight.\n"
