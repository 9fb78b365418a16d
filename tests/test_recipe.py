"""Every picture says how it was made: by a notebook, or by `nstlab stylize`."""

import shlex
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from nstlab import images
from nstlab.cli import app as cli
from nstlab.course import figures
from nstlab.errors import ImageError, SettingError
from nstlab.experiments.recipe import command, recipe, stamped
from nstlab.systems import plan

ROOT = Path(__file__).parent.parent
OPTIONS = (
    "--size 40 --steps 2 --blend 0.25,0.75 --weight style=2 --weight content=0.5 --encoder pocket"
    " --colors oklab --start noise --seed 3 --stroke 1.5"
)
PICTURES = sorted((ROOT / "figures").glob("*.png"))


def test_a_stamp_changes_no_pixel(tmp_path):
    image = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    path = images.save(image, tmp_path / "a.png", {"settings": {"size": 30}})
    plain = path.read_bytes()
    parameters = {"content": "ä.jpg", "style": "7", "size": 30, "k": 2.0, "deep": True, "layers": ["relu1_1"]}
    path.write_bytes(stamped(plain, "notebooks/05 saliency.ipynb", parameters))
    assert recipe(path) == {"notebook": "notebooks/05 saliency.ipynb", "parameters": parameters}
    assert torch.equal(images.load(path), (image * 255).round() / 255) and images.metadata(path)["settings"] == {"size": 30}
    assert shlex.split(command(path)) == [
        "papermill", "notebooks/05 saliency.ipynb", "a.ipynb", "-p", "content", "ä.jpg", "-r", "style", "7",
        "-p", "size", "30", "-p", "k", "2.0", "-p", "deep", "True", "-y", '{"layers": ["relu1_1"]}', "-p", "out", str(path),
    ]  # fmt: skip
    assert stamped(b"GIF89a...", "a.ipynb", {}) == b"GIF89a..."


def run(monkeypatch, words):
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_what_stylize_made_its_command_makes_again(monkeypatch, capsys, tmp_path):
    out = tmp_path / "a b.png"
    words = ["nstlab", "stylize", "cat", "spring", "great-wave", "-o", str(out), *OPTIONS.split()]
    assert run(monkeypatch, words) == 0
    before = out.read_bytes()
    capsys.readouterr()
    assert run(monkeypatch, ["nstlab", "recipe", str(out)]) == 0
    said = shlex.split(capsys.readouterr().out)
    out.unlink()
    assert run(monkeypatch, said) == 0 and out.read_bytes() == before
    assert sorted(said) == sorted(words)


def saved(path, content="cat", **options):
    """A picture with the settings of a run that was planned and not run."""
    settings = plan(content, "spring", size=32, steps=1, encoder="pocket", **options).settings
    return images.save(torch.zeros(1, 3, 8, 8), path, {"settings": settings})


def test_a_system_and_its_files_are_named(tmp_path):
    guide = images.save(torch.linspace(0, 1, 8).expand(1, 3, 8, 8), tmp_path / "guide.png")
    options = {
        "system": "preserve",
        "guide": str(guide),
        "weights": {"semantic": 0.0},
        "optimizer": "adam",
        "start": str(guide),
    }
    said = shlex.split(command(saved(tmp_path / "a.png", **options)))
    wanted = f"--system preserve --guide {guide} --weight semantic=0 --optimizer adam --start {guide} --size 32 --steps 1"
    assert said[:2] == ["nstlab", "stylize"] and said[-4:] == ["-o", str(tmp_path / "a.png"), "cat", "spring"]
    assert sorted(said[2:-4]) == sorted([*wanted.split(), "--encoder", "pocket"])


def test_a_picture_of_the_first_edition_says_so(tmp_path):
    settings = plan("cat", "spring", size=32, steps=1, encoder="pocket", system="preserve").settings | {"regions": None}
    path = images.save(torch.zeros(1, 3, 8, 8), tmp_path / "old.png", {"settings": settings})
    with pytest.raises(SettingError, match=r"old.png: unknown setting 'regions': another version of nstlab"):
        command(path)


def test_every_setting_has_an_option(tmp_path):
    path = saved(tmp_path / "a.jpg", style_layers=["relu1_1"], levels=1)
    said = shlex.split(command(path))
    assert "--style-layers relu1_1" in " ".join(said) and "--levels 1" in " ".join(said)


def test_pictures_without_a_recipe_say_so(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("hello")
    for name, said in [("plain.png", "carries no recipe"), ("text.png", "is not a picture"), ("none.png", "no such file")]:
        assert run(monkeypatch, ["nstlab", "recipe", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert said in error and len(error.splitlines()) == 1
    with pytest.raises(SettingError, match="content was given in Python"):
        command(saved(tmp_path / "a.png", content=torch.zeros(1, 3, 32, 32)))
    with pytest.raises(ImageError):
        recipe(tmp_path)


@pytest.mark.parametrize("name", figures.listed(ROOT / "figures"))
def test_the_list_of_figures_can_be_made(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    figure = figures.listed()[name]
    notebook, _ = figures.full_recipe(**figure)
    assert set(figure) == {"notebook", "parameters"} and name.endswith(".png") and "out" in notebook.parameters


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_every_figure_carries_its_recipe(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    figure = figures.listed()[path.name]
    _, values = figures.full_recipe(**figure)
    assert recipe(path) == {"notebook": figure["notebook"], "parameters": values}, "run: python run.py figures"
    height, width = images.load(path).shape[-2:]
    assert path.stat().st_size < 600_000 * height * width / 512**2 + 50_000  # 600 kB for 512 x 512, and so on by the pixel
