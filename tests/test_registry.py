"""Adding a system is its file and a line: nothing else has to know its name."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, fields
from pathlib import Path

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook

import nstlab
from nstlab import images, options
from nstlab.errors import SettingError
from nstlab.experiments.recipe import command
from nstlab.options import option
from nstlab.systems import registry

TOY = '''
"""A toy: the content in the painting's mean colour."""
from dataclasses import dataclass
from nstlab import images
from nstlab.options import option, plain, settings
from nstlab.systems.one_pass import Pass
from nstlab.systems.registry import System

@dataclass(frozen=True)
class ToyOptions:
    size: int = option(64, "Long side in pixels.")
    strength: float = option(0.5, "How much of the painting's colour.")

def plan(content, styles, options):
    image, painting = images.load(content, options.size), images.load(styles[0], 32)
    made = {"system": "toy", "content": plain(content), "styles": [plain(s) for s in styles], **settings(options)}
    tint = painting.mean((2, 3), keepdim=True)
    return Pass(lambda x: x.lerp(tint.expand_as(x), options.strength), image, made)

SYSTEM = System("toy", "a paper", "an idea", "nothing", "tint it", ToyOptions, plan)
'''


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy system in a package of somebody else's, for this process and for those that it starts."""
    (tmp_path / "toy_system.py").write_text(TOY)
    info = tmp_path / "toy_system-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-system\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nstlab.systems]\ntoy = toy_system:SYSTEM\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    registry.places.cache_clear()
    yield registry.load("toy")
    registry.places.cache_clear()
    sys.modules.pop("toy_system", None)


def expected(strength):
    content, painting = images.load("cat", 40), images.load("great-wave", 32)
    return content.lerp(painting.mean((2, 3), keepdim=True).expand_as(content), strength)


def test_a_toy_paints_from_python_and_from_the_command_line(toy, tmp_path):
    assert torch.equal(nstlab.stylize("cat", "great-wave", system="toy", size=40).image, expected(0.5))
    with pytest.raises(SettingError, match=r"unknown option of toy 'strenght': did you mean strength"):
        nstlab.stylize("cat", "great-wave", system="toy", strenght=1)
    out = tmp_path / "toy.png"
    words = [sys.executable, "-m", "nstlab", "stylize", "cat", "great-wave", "--system", "toy", "--strength", "0.25"]
    done = subprocess.run([*words, "--size", "40", "-o", out], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (images.load(out) - expected(0.25)).abs().max() <= 0.5 / 255 + 1e-6
    assert images.metadata(out)["settings"]["strength"] == 0.25
    assert command(out) == f"nstlab stylize --system toy --size 40 --strength 0.25 -o {out} cat great-wave"


def test_a_toy_is_listed_with_its_own_options(toy):
    python = [sys.executable, "-m", "nstlab"]
    listed = subprocess.run([*python, "systems"], capture_output=True, text=True, check=True).stdout
    assert "toy: a paper\n    an idea\n    cost: nothing; styles: any" in listed
    shown = subprocess.run([*python, "stylize", "--system", "toy", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--strength" in shown and "How much of the painting's colour." in shown and "--optimizer" not in shown


def test_a_toy_is_swept(toy, tmp_path):
    from nstlab.experiments.sweep import Sweep

    source = textwrap.dedent("""
        import nstlab
        from nstlab.course import emit
        result = nstlab.stylize("cat", "great-wave", system=system, size=40, strength=strength)
        emit(mean=round(result.image.mean().item(), 3))
    """)
    parameters = new_code_cell('system = "gatys"\nstrength = 0.5', metadata={"tags": ["parameters"]})
    notebook = tmp_path / "toy.ipynb"
    nbformat.write(new_notebook(cells=[parameters, new_code_cell(source)]), notebook)
    made = Sweep(notebook, {"system": ["toy"], "strength": ["0.25"]}, tmp_path / "swept")
    for _ in made.perform(1):
        pass
    (row,) = made.write()
    assert row["status"] == "done", row
    assert json.dumps(row).count(str(round(expected(0.25).mean().item(), 3)))


def test_a_toy_is_offered_in_the_studio(toy, monkeypatch):
    from nstlab.panels import orders
    from nstlab.panels.studio import Studio

    orders.offered.cache_clear()
    monkeypatch.setenv("NSTLAB_HEADLESS", "1")
    try:
        studio = Studio("cat", system="toy", size=128)
    finally:
        orders.offered.cache_clear()
    assert ("tint it", "toy") in studio.system.options and studio.system.value == "toy"
    assert studio.strength.layout.display == "none"  # it has no weights


@pytest.mark.parametrize("name", list(registry.SYSTEMS))
def test_every_system_says_what_it_is(name):
    system = registry.load(name)
    assert system.name == name and system.styles in ("any", "learned")
    assert all((system.paper, system.idea, system.cost, system.label))
    assert len(system.idea) < 130
    assert all(field.metadata["text"].endswith(".") for field in fields(system.options))
    assert options.settings(system.options()) == json.loads(json.dumps(options.settings(system.options())))
    assert options.words(system.options, options.settings(system.options())) == []


@dataclass(frozen=True)
class Some:
    """One option of each kind."""

    size: int = option(512, "Size.")
    k: float = option(2.0, "Factor.")
    name: str = option("vgg19", "Name.")
    weights: dict | None = option(None, "Weights.", flag="weight", kind="weights")
    masks: object = option(None, "Masks.", flag="mask", kind="texts")
    blend: object = option(None, "Shares.", kind="numbers")
    style_layers: object = option(("relu1_1",), "Layers.", kind="layers")
    regions: object = option(None, "Regions.", kind="python")


def test_settings_and_words():
    some = Some(size=torch.tensor([64]).numpy()[0], weights={"style": 0.1 + 0.2}, masks=["-a.png", "b.png"], blend=(0.25, 0.75))
    made = options.settings(some)
    assert made["size"] == 64 and type(made["size"]) is int and made["blend"] == [0.25, 0.75]
    assert options.words(Some, made) == [
        "--size", "64", "--weight", "style=0.30000000000000004", "--mask=-a.png", "--mask", "b.png", "--blend", "0.25,0.75",
    ]  # fmt: skip
    assert options.words(Some, options.settings(Some(style_layers=("relu2_1", "relu3_1")))) == [
        "--style-layers",
        "relu2_1,relu3_1",
    ]
    for lost in ({"regions": torch.zeros(1)}, {"masks": [torch.zeros(1)]}):
        with pytest.raises(SettingError, match="given in Python"):
            options.words(Some, options.settings(Some(**lost)))
    with pytest.raises(SettingError, match="unknown setting 'size; rm'"):
        options.words(Some, {"size; rm": 3})


def test_whole_numbers_as_papermill_may_pass_them():
    """-r size 48 makes text, a YAML file perhaps 48.0: settings and commands have 48; 48.5 is refused by name."""
    for value in (48, 48.0, "48", "48.0"):
        made = options.settings(options.make(Some, "some", {"size": value}))
        assert made["size"] == 48 and type(made["size"]) is int and options.words(Some, made) == ["--size", "48"]
    run = nstlab.plan("cat", ["great-wave"], size="48", steps=2.0, seed="3", encoder="pocket")
    assert run.schedule == [((32, 48), 2)] and (run.settings["size"], run.settings["steps"], run.settings["seed"]) == (48, 2, 3)
    with pytest.raises(SettingError, match="size 48.5: give a whole number"):
        nstlab.plan("cat", ["great-wave"], size=48.5, encoder="pocket")


def test_what_a_crafted_picture_says_is_no_command(tmp_path):
    image = torch.zeros(1, 3, 8, 8)
    hostile = {"system": "gatys", "content": "cat; rm -rf ~", "styles": ["$(x)"], "__import__('os')": 1}
    path = images.save(image, tmp_path / "a.png", {"settings": hostile})
    with pytest.raises(SettingError, match="unknown setting"):
        command(path)
    del hostile["__import__('os')"]
    path = images.save(image, tmp_path / "b.png", {"settings": hostile})
    assert command(path).endswith("'cat; rm -rf ~' '$(x)'")
    hostile["content"] = "cat\x1b]0;title\x07"
    with pytest.raises(SettingError, match="cannot be printed"):
        command(images.save(image, tmp_path / "b.png", {"settings": hostile}))
    for notebook in ({"notebook": 3, "parameters": {}}, {"notebook": "a.ipynb"}, {"notes": 7, "settings": [1]}):
        with pytest.raises(SettingError, match="carries no recipe"):
            command(images.save(image, tmp_path / "c.png", notebook))
    for settings in (
        {"system": "other", "content": "a", "styles": []},
        {"content": 3},
        {"system": [], "content": {}, "styles": 1},
    ):
        with pytest.raises(SettingError, match=f"{Path(tmp_path).name}"):
            command(images.save(image, tmp_path / "c.png", {"settings": settings}))
