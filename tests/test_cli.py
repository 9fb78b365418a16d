import subprocess
import sys

import pytest
import torch

from nstlab import images, optimize
from nstlab.cli import app as cli
from nstlab.cli import stylize as cli_stylize
from nstlab.errors import DivergedError


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["nstlab", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "nstlab", "samples"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "starry-night" in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "nstlab", "paint"], capture_output=True, text=True, timeout=120)
    assert wrong.returncode == 2 and wrong.stderr.startswith("nstlab: ") and "Traceback" not in wrong.stderr


def test_stylize_writes_the_picture_and_says_where(monkeypatch, capsys, tmp_path):
    out = tmp_path / "a.jpg"
    code = run(
        monkeypatch,
        "stylize",
        "cat",
        "spring",
        "great-wave",
        "-o",
        out,
        "--size",
        48,
        "--steps",
        3,
        "--weight",
        "style=2",
        "--colors",
        "match",
    )
    assert code == 0 and capsys.readouterr().out.strip() == str(out)
    assert images.load(out).shape == (1, 3, 32, 48)
    assert images.metadata(out)["settings"]["styles"] == ["spring", "great-wave"]


def test_samples_and_doctor(monkeypatch, capsys):
    assert run(monkeypatch, "samples") == 0
    listed = capsys.readouterr().out
    assert len(listed.splitlines()) == 25 and "astronaut" in listed and "CC-BY-4.0" in listed
    assert run(monkeypatch, "doctor") == 0
    said = capsys.readouterr().out
    assert "torch" in said and "precision" in said and "nstlab weights get vgg19-torchvision" in said
    assert run(monkeypatch, "weights", "list") == 0 and "CC BY 4.0" in capsys.readouterr().out


def test_without_arguments_it_helps(monkeypatch, capsys):
    assert run(monkeypatch) == 0 and "stylize" in capsys.readouterr().out


def test_ctrl_c_keeps_the_picture_so_far(monkeypatch, capsys, tmp_path):
    original = cli_stylize.progress

    def interrupted(steps):
        for step in original(steps):
            yield step
            if step.index == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(cli_stylize, "progress", interrupted)
    out = tmp_path / "a.png"
    assert run(monkeypatch, "stylize", "cat", "spring", "-o", out, "--size", 32, "--steps", 9) == 130
    assert "stopped at step 2" in capsys.readouterr().err and images.load(out).shape[-1] == 32


def test_a_diverged_run_keeps_the_last_good_picture(monkeypatch, capsys, tmp_path):
    def diverge(self, image):
        raise DivergedError(4, images.load("cat", 32), optimize.ADVICE)

    monkeypatch.setattr("nstlab.optimize._Evaluation.__call__", diverge)
    out = tmp_path / "a.png"
    assert run(monkeypatch, "stylize", "cat", "spring", "-o", out, "--size", 32) == 2
    said = capsys.readouterr().err
    assert "at step 4" in said and "try a smaller step size" in said and str(out) in said and out.exists()


def test_a_map_that_marks_nothing_is_said_in_one_line(monkeypatch, capsys, tmp_path):
    images.save(torch.zeros(1, 3, 20, 30), tmp_path / "black.png")
    out = tmp_path / "a.png"
    words = ["stylize", "cat", "spring", "-o", out, "--size", 32, "--steps", 2, "--system", "preserve"]
    assert run(monkeypatch, *words, "--guide", tmp_path / "black.png") == 0
    said = capsys.readouterr().err.strip().splitlines()
    assert out.exists() and all(line.startswith("note: ") for line in said) and "nothing is protected" in " ".join(said)
    assert run(monkeypatch, *words, "--guide", tmp_path / "nowhere.png") == 2
    assert "nowhere.png" in capsys.readouterr().err
    assert run(monkeypatch, *words[:-1], "gatys", "--guide", tmp_path / "black.png") == 2
