import json

import pytest
import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.panels.results import SweepBrowser


def row(folder, style, weight, status="done"):
    picture = f"{style}-{weight}.png"
    images.save(torch.full((1, 3, 8, 12), weight / 10), folder / picture)
    made = {"parameters": {"style": style, "weight": weight, "size": 96}, "status": status, "seconds": 3.0, "error": None}
    return made | {"picture": picture, "results": {"loss": {"style": weight / 4}, "kept": True, "name": "x"}}


@pytest.fixture
def folder(tmp_path):
    rows = [row(tmp_path, style, weight) for style in ("wave", "night") for weight in (1, 5)]
    rows[3] |= {"status": "failed", "error": "<b>no</b>", "picture": None, "results": {}}
    (tmp_path / "table.json").write_text(json.dumps({"rows": rows}))
    return tmp_path


def test_sliders_choose_the_run(folder):
    panel = SweepBrowser(folder)
    assert list(panel.sliders) == ["style", "weight"] and panel.label.value == "loss.style 0.25 · 3 s"
    first = panel.swipe.before
    panel.sliders["weight"].value = 5
    assert panel.row["parameters"] == {"style": "wave", "weight": 5, "size": 96} and panel.swipe.before != first
    panel.sliders["style"].value = "night"
    assert ">failed: &lt;b&gt;no&lt;/b&gt;<" in panel.label.value and panel.compare_button.disabled
    assert panel.swipe.layout.display == "none"  # what is seen is never another run's
    panel.sliders["weight"].value = 1
    assert panel.swipe.layout.display == "" and panel.swipe.before and not panel.swipe.after


def test_the_kept_picture_stays_at_the_left(folder):
    panel = SweepBrowser(folder)
    panel.compare()
    panel.sliders["weight"].value = 5
    assert panel.swipe.before != panel.swipe.after and panel.swipe.position == 0.5
    assert panel.label.value.endswith("before: <b>style wave, weight 1</b>")
    panel.swipe.position = 0.2
    panel.sliders["weight"].value = 1
    assert panel.swipe.position == 0.2


def test_reload(folder):
    panel = SweepBrowser(folder)
    table = json.loads((folder / "table.json").read_text())
    table["rows"][0]["results"] = {"loss": 7}
    (folder / "table.json").write_text(json.dumps(table))
    panel.reload()
    assert panel.label.value == "loss 7 · 3 s"
    (folder / "table.json").write_text(json.dumps({"rows": table["rows"][:2]}))
    panel.reload()
    assert "another grid now" in panel.label.value


def test_what_is_no_sweep(tmp_path):
    with pytest.raises(SettingError, match="is not the table of a sweep"):
        SweepBrowser(tmp_path)
