import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_cli import run
from tiny import Poisoned, TinyEncoder, tiny

from nstlab import images
from nstlab.training import checkpoints, task

QUICK = ("--content", "samples", "--guides", "none", "--size", 32, "--batch", 2, "--device", "cpu")
SCRIPT = """
import sys
from nstlab import cli
from nstlab.training import task
from tiny import TinyEncoder
task.load_encoder = lambda name, **_: TinyEncoder()
sys.argv = ["nstlab", *sys.argv[1:]]
cli.main()
"""


@pytest.fixture
def tiny_encoder(monkeypatch):
    monkeypatch.setattr(task, "load_encoder", lambda name, **_: TinyEncoder())


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_train_resume_and_paint(monkeypatch, capsys, tmp_path, tiny_encoder):
    out, picture = tmp_path / "run", tmp_path / "a.png"
    options = ("--style", "starry-night", "--style", "great-wave", *QUICK, "--save-every", 2, "--weight", "style=40")
    assert run(monkeypatch, "train", "conditional", "-o", out, *options, "--steps", 3) == 0
    assert capsys.readouterr().out.strip() == str(out / "last.safetensors") and len(rows(out)) == 3
    assert checkpoints.read(out / "last.safetensors")[1]["settings"]["weight style"] == 40
    assert run(monkeypatch, "train", "conditional", "-o", out, *options, "--steps", 3) == 2
    assert "holds a training already: resume it" in capsys.readouterr().err
    assert run(monkeypatch, "train", "conditional", "-o", out, *options, "--steps", 3, "--resume") == 0
    assert "has its 3 steps already: ask for more with --steps" in capsys.readouterr().err
    assert run(monkeypatch, "train", "conditional", "-o", out, *options, "--steps", 5, "--resume") == 0
    assert len(rows(out)) == 5
    options = ("--system", "conditional", "--checkpoint", out / "last.safetensors", "--size", 40)
    assert run(monkeypatch, "stylize", "cat", "great-wave", "starry-night", "--blend", "0.3,0.7", "-o", picture, *options) == 0
    settings = images.metadata(picture)["settings"]
    assert settings["blend"] == [0.3, 0.7] and settings["styles"] == ["great-wave", "starry-night"]
    assert run(monkeypatch, "stylize", "cat", "spring", "-o", picture, *options) == 2
    assert "unknown style of last.safetensors 'spring'" in capsys.readouterr().err
    assert run(monkeypatch, "stylize", "cat", "great-wave", "-o", picture, *options, "--steps", 9) == 2
    assert "No such option: --steps" in capsys.readouterr().err


def test_with_vgg_and_saliency(monkeypatch, capsys, tmp_path):
    images.save(images.load("astronaut", 96), tmp_path / "face.png")
    options = ("--content", tmp_path / "face.png", "--size", 48, "--batch", 1, "--steps", 2)
    assert run(monkeypatch, "train", "johnson", "-o", tmp_path / "run", "--style", "great-wave", *options) == 0
    row = rows(tmp_path / "run")[-1]
    assert all(float(row[name]) > 0 for name in ("content", "style", "smoothness", "inside", "structure", "semantic"))


def test_the_full_system_trains(monkeypatch, tmp_path, tiny_encoder):
    out = tmp_path / "run"
    small = ("--style", "starry-night", *QUICK, "--steps", 2, "--validation", 3)
    assert run(monkeypatch, "train", "lapstyle", "-o", out, *small) == 0
    assert len((out / "validation.txt").read_text().splitlines()) == 3
    assert run(monkeypatch, "stylize", "cat", "-o", tmp_path / "a.png", "--system", "lapstyle", "--checkpoint",
               out / "last.safetensors", "--size", 32) == 0  # fmt: skip


def test_an_interrupt_ends_after_the_step_and_resume_goes_on(tmp_path):
    script, out, done = tmp_path / "train.py", tmp_path / "run", 0
    script.write_text(SCRIPT)
    command = [sys.executable, script, "train", "johnson", "--style", "spring", "-o", out, *QUICK, "--save-every", 10000]
    command = [str(part) for part in [*command, "--steps", 10000, "--resume"]]
    tests = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}", "OMP_NUM_THREADS": "1"}
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            while not (out / "log.csv").exists() or len((out / "log.csv").read_text().splitlines()) < done + 4:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            said = process.communicate(timeout=60)[1]
        assert process.returncode == 130, said
        before, done = done, int(re.search(r"stopped at step (\d+) of 10000: go on with --resume", said)[1])
        assert checkpoints.read(out / "last.safetensors")[1]["step"] == done >= before + 3
        assert [int(row["index"]) for row in rows(out)] == list(range(1, done + 1))


def test_a_loss_that_is_not_a_number(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(task, "load_encoder", lambda name, **_: Poisoned(8))
    code = run(monkeypatch, "train", "johnson", "-o", tmp_path, "--style", "spring", *QUICK, "--steps", 9)
    said = capsys.readouterr().err.strip()
    assert code == 2 and re.search(r"not a number at step 4: try a smaller .* are kept in .*last.safetensors$", said)
    assert "\n" not in said and checkpoints.read(tmp_path / "last.safetensors")[1]["step"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "gatys"), "unknown trainable system 'gatys'"),
        (("train", "johnson", "--style", "spring", "--content", "nowhere"), "neither a file nor a sample picture"),
        (("train", "johnson", "--style", "spring", "--batch", "40"), "13 pictures are fewer than a batch of 40"),
        (("train", "johnson", "--style", "spring", "--weight", "styl=3"), "did you mean style"),
        (("train", "johnson", "--style", "spring", "--annotations", "nothing.json"), "samples: there is no such folder"),
        (("train", "johnson", "--style", "spring", "--precision", "fp8"), "unknown precision"),
        (("train", "johnson", "--style", "spring", "--warmup-steps", "9"), "johnson has no critic: leave out --warmup-steps"),
        (("train", "johnson", "--style", "spring", "--critic", "layers=2"), "johnson has no critic"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "layers"), "critic 'layers': write it as NAME=VALUE"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "nrom=instance"), "did you mean norm"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "norm=batch"), "unknown norm 'batch'"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "grey=perhaps"), "grey perhaps: true or false"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "lr=0"), "learning rate 0"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "gate=high"), "gate=high: give a number"),
        (("train", "multiscale_gan", "--style", "spring", "--critic", "gate=2"), "gate from 0.0 to 2"),
        (("train", "johnson", "--style", "spring", "--blocks", "-1"), "blocks -1"),
        (("train", "johnson", "--style", "spring", "--init-from", "none.safetensors"), "no such checkpoint"),
        (("train", "johnson", "--style", "spring", "--device", "tpu9"), "device 'tpu9' is not available"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, monkeypatch, capsys, tmp_path, tiny_encoder):
    assert run(monkeypatch, *arguments, "-o", tmp_path / "run") == 2
    said = capsys.readouterr().err.strip()
    assert message in said and "\n" not in said.split("nstlab: ")[-1] and not (tmp_path / "run" / "last.safetensors").exists()


def test_slim(monkeypatch, capsys, tmp_path):
    list(tiny("johnson", tmp_path / "run", steps=2))
    last = tmp_path / "run" / "last.safetensors"
    assert run(monkeypatch, "slim", last, "-o", tmp_path / "small.safetensors") == 0
    assert run(monkeypatch, "stylize", "cat", "-o", tmp_path / "a.png", "--system", "johnson", "--checkpoint",
               tmp_path / "small.safetensors", "--size", 32) == 0  # fmt: skip
    assert run(monkeypatch, "slim", last, "-o", tmp_path / "small.pt") == 2
    assert run(monkeypatch, "slim", tmp_path / "none.safetensors", "-o", tmp_path / "small.safetensors") == 2
    assert "no such checkpoint" in capsys.readouterr().err
