import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
import torch
from tiny import NETWORKS, PHOTOS, Poisoned, tiny

from nstlab import images
from nstlab.errors import DivergedError, ImageError, SettingError, WeightsError
from nstlab.networks import saved
from nstlab.training import checkpoints
from nstlab.training.distill import distillation
from nstlab.training.log import Log
from nstlab.training.perceptual import PerceptualObjective
from nstlab.training.task import Task

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Sums by another number of threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def state(training):
    """All tensors and numbers that a training goes on with."""
    tensors, kept = checkpoints.pack(training.task.networks, training.task.optimizers, training.task.kept)
    return {name: tensor.tolist() for name, tensor in tensors.items()} | {"kept": kept}


def finished(training):
    for _ in training:
        pass
    return training


def rows(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted training of each system: its folder and state."""
    found = {}
    for system in ("conditional", "multiscale_gan", "lapstyle"):
        folder = tmp_path_factory.mktemp(system)
        found[system] = folder, state(finished(tiny(system, folder)))
    return found


def test_a_step_says_what_it_did(tmp_path):
    training = tiny("multiscale_gan", tmp_path, guides=lambda image: image[:, :1])
    steps = list(training)
    assert [step.index for step in steps] == list(range(1, 9)) and {step.scale for step in steps} == {32}
    assert steps[0].image.shape == (1, 3, 32, 32) and steps[0].losses.keys() >= {"content", "style", "inside", "structure"}
    assert "critic" not in steps[0].losses and steps[2].losses.keys() >= {"critic", "accuracy", "adversarial"}
    assert "critic" in steps[1].losses and "adversarial" not in steps[1].losses  # it learns, and is not heard yet
    assert [row["total"] for row in training.history] == [step.total for step in steps]
    written = rows(tmp_path)
    assert [float(row["total"]) for row in written] == [step.total for step in steps]
    assert written[0]["critic"] == "" and float(written[-1]["critic"]) == steps[-1].losses["critic"]
    assert {file.name for file in tmp_path.iterdir()} == {"last.safetensors", "previous.safetensors", "log.csv"}
    assert training.task.views.keys() >= {"photo", "picture", "draft", "judgement"}


@pytest.mark.parametrize("system", ["conditional", "lapstyle"])
def test_killed_at_a_random_step_it_ends_in_the_same_weights(system, whole, tmp_path):
    command = [sys.executable, TESTS / "tiny.py", system, tmp_path, "8", "new"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        until = random.SystemRandom().randint(3, 7)  # the first checkpoint is that of step 3
        for line in process.stdout:
            if int(line) == until:
                break
        process.send_signal(signal.SIGKILL)
    resumed = tiny(system, tmp_path, resume=True)
    assert resumed.done in (3, 6)
    folder, wanted = whole[system]
    assert state(finished(resumed)) == wanted
    assert (tmp_path / "log.csv").read_text() == (folder / "log.csv").read_text()
    tensors = [checkpoints.read(path / "last.safetensors")[0] for path in (folder, tmp_path)]
    assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


TWO = """
import sys
from tiny import tiny
from nstlab.training.distill import distillation

two = [tiny(system, f"{system}-{name}", **options) for system in SYSTEMS for name, options in OPTIONS.items()]
two.append(distillation("photos", folder="pocket", **POCKET))
for training in two:
    list(training)
sys.setswitchinterval(60)  # at once, with the trainings still held: other threads are not waited for
"""
SYSTEMS = ("conditional", "multiscale_gan")
WHOLE = {"batch": 4, "accumulate": 2, "seed": 1}
POCKET = {"steps": 2, "size": 32, "seed": 1, "device": "cpu", "save_every": 100}


@pytest.fixture(scope="module")
def by_two_processes(tmp_path_factory):
    """The folder in which two processes have trained together, each training with its log."""
    folder = tmp_path_factory.mktemp("two")
    options = {"halves": {"batch": 4}, "whole": WHOLE}
    (folder / "two.py").write_text(f"SYSTEMS, OPTIONS, POCKET = {SYSTEMS}, {options}, {POCKET | {'batch': 4}}\n{TWO}")
    (folder / "photos").mkdir()
    for name in PHOTOS[:3]:
        images.save(images.load(name, 64), folder / "photos" / f"{name}.png")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "two.py"]
    environment = os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def losses_in(folder):
    return [{name: float(value) for name, value in row.items() if value} for row in rows(folder)]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_that_adds_up_their_halves(by_two_processes):
    """To the last bit: the sums are the same."""
    for system in SYSTEMS:
        halves = finished(tiny(system, batch=2, accumulate=2)).history
        assert len(halves) == 8 and losses_in(by_two_processes / f"{system}-halves") == halves
    one = finished(distillation(by_two_processes / "photos", batch=2, accumulate=2, **POCKET)).history
    assert losses_in(by_two_processes / "pocket") == one


@pytest.mark.slow
def test_the_first_two_steps_of_two_processes_are_those_of_one_with_whole_batches(by_two_processes):
    """The order of the sums differs, and with it the rounding. Each update multiplies that by a factor that depends on the
    CPU's kernels, so only the steps before and after the first update are compared; the test above covers the later ones."""
    for system in SYSTEMS:
        one, two = finished(tiny(system, **WHOLE)).history, losses_in(by_two_processes / f"{system}-whole")
        assert len(one) == len(two) == 8
        for a, b in zip(one[:2], two[:2], strict=True):
            assert b == pytest.approx(a, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("system", ["conditional", "multiscale_gan"])
def test_batches_that_add_up_are_one_large_batch(system):
    large, parts = finished(tiny(system, batch=4)), finished(tiny(system, batch=2, accumulate=2))
    for one, other in zip(large.history, parts.history, strict=True):
        assert one == pytest.approx(other, rel=2e-3, abs=2e-4)
    pictures = [made.task.generator(images.load("cat", 48), torch.tensor([0.5, 0.5])) for made in (large, parts)]
    assert torch.allclose(*pictures, atol=0.01) and not torch.allclose(pictures[0], images.load("cat", 48), atol=0.1)


def test_not_a_number_stops_and_keeps_the_last_good_weights(tmp_path):
    training = tiny(folder=tmp_path, encoder=Poisoned(2 + 2 * 5))
    states = {0: state(training)}
    with pytest.raises(DivergedError, match="step 6: try a smaller learning rate") as error:
        for step in training:
            states[step.index] = state(training)
    assert error.value.image.shape == (1, 3, 32, 32) and len(states) == 6
    assert training.done == 4 and state(training) == states[4]  # those whose losses were numbers; what step 5 made was blind
    assert [int(row["index"]) for row in rows(tmp_path)] == [1, 2, 3, 4]
    again = tiny(folder=tmp_path, resume=True)
    assert again.done == 4 and state(again) == states[4]
    assert finished(again).done == 8


@pytest.mark.parametrize("system", ["conditional", "multiscale_gan", "lapstyle"])
def test_an_error_in_the_middle_of_a_step_leaves_the_state_before_it(system, whole, monkeypatch):
    """The optimisers, the average, the gate and spectral norm may have changed by then."""
    training = tiny(system)
    steps = iter(training)
    for _ in range(5):
        next(steps)
    before, update = state(training), type(training.task.ema).update
    with monkeypatch.context() as broken:
        broken.setattr(type(training.task.ema), "update", lambda *given: update(*given) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(steps)
    assert state(training) == before and training.done == 5
    assert state(finished(training)) == whole[system][1]


def test_a_critic_whose_loss_is_no_number_takes_the_generator_back_too(monkeypatch):
    training = tiny("multiscale_gan")
    steps, states = iter(training), {}
    for step in steps:
        states[step.index] = state(training)
        if step.index == 5:
            break
    steps = iter(training)
    monkeypatch.setattr("nstlab.training.revision.discriminator_loss", lambda real, *_: real[0].mean() * float("nan"))
    with pytest.raises(DivergedError, match="step 6"):
        next(steps)
    assert training.done == 4 and state(training) == states[4]


def test_a_snapshot_is_of_its_moment_and_makes_no_new_tensors():
    moving, snapshot = {"a": torch.arange(3.0)}, checkpoints.Snapshot()
    assert snapshot.info is None
    snapshot.take(moving, {"step": 1})
    memory = snapshot.tensors["a"].data_ptr()
    moving["a"] += 1
    assert snapshot.tensors["a"].tolist() == [0, 1, 2]
    snapshot.take(moving | {"b": torch.tensor(7)}, {"step": 2})
    assert snapshot.tensors["a"].tolist() == [1, 2, 3] and snapshot.tensors["a"].data_ptr() == memory
    snapshot.take(moving, {"step": 3})
    assert snapshot.tensors.keys() == {"a"} and snapshot.info == {"step": 3}


def test_not_a_number_at_the_first_step_changes_nothing(tmp_path):
    training = tiny(folder=tmp_path, encoder=Poisoned(2))
    before = state(training)
    with pytest.raises(DivergedError, match="step 1"):
        next(iter(training))
    assert state(training) == before and not training.checkpoint.exists()


def test_weights_act_on_the_next_step(tmp_path):
    training = tiny(folder=tmp_path)
    steps = iter(training)
    first, weights = next(steps), training.task.weights
    weights.update(dict.fromkeys(weights, 0.0))
    weights["style"] = 7.0
    second = next(steps)
    assert set(second.losses) == {"style"} and second.total == pytest.approx(7 * second.losses["style"], rel=1e-5)
    assert len(first.losses) > 1
    weights["style"] = 0.0
    assert next(steps).total == 0
    weights["style"] = 7.0
    steps.close()
    resumed = tiny(folder=tmp_path, resume=True)  # by the command it was begun with
    assert resumed.done == 3 and resumed.task.weights["style"] == 7 and resumed.task.weights["content"] == 0


def test_stopped_or_closed_it_has_a_checkpoint_and_goes_on(tmp_path, whole):
    training = tiny(folder=tmp_path)
    for step in training:
        if step.index == 2:
            training.stop()
    assert step.index == 2 and checkpoints.read(training.checkpoint)[1]["step"] == 2
    for step in training:
        if step.index == 5:
            break
    assert checkpoints.read(training.checkpoint)[1]["step"] == 5
    assert state(finished(training)) == whole["conditional"][1]
    assert (tmp_path / "log.csv").read_text() == (whole["conditional"][0] / "log.csv").read_text()
    assert list(training) == [] and training.done == 8


def test_saving_from_another_thread_waits_for_the_step(tmp_path, whole):
    training = tiny(folder=tmp_path, save_every=100)
    thread = threading.Thread(target=finished, args=(training,))
    thread.start()
    while thread.is_alive():
        tensors, info = checkpoints.read(training.save())
        moments = {int(value) for name, value in tensors.items() if name.endswith(".step")}
        assert moments in ({info["step"]}, set()) and info["kept"]["ema"]["steps"] == info["step"]
    thread.join()
    assert state(training) == whole["conditional"][1]


def test_more_steps_are_allowed(tmp_path):
    finished(tiny(folder=tmp_path, steps=4, progressive=True))
    more = tiny(folder=tmp_path, steps=7, save_every=2, progressive=True, resume=True)
    assert more.done == 4 and [step.index for step in more] == [5, 6, 7]
    assert [int(row["scale"]) for row in rows(tmp_path)] == [16, 16, 32, 32, 32, 32, 32]  # it does not go back to half size
    assert list(tiny(folder=tmp_path, steps=3, progressive=True, resume=True)) == []


def test_progressive_goes_on_within_its_first_half(tmp_path):
    wanted = state(finished(tiny(progressive=True)))
    training = tiny(folder=tmp_path, progressive=True)
    for step in training:
        if step.index == 3:
            training.stop()
    assert step.scale == 16
    assert state(finished(tiny(folder=tmp_path, progressive=True, resume=True))) == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 40}, "begun with size 32, not 40"),
        ({"batch": 1}, "begun with batch 2, not 1"),
        ({"seed": 6}, "begun with seed 5, not 6"),
        ({"weights": {"style": 9}}, "begun with weight style 30.0, not 9.0"),
        ({"style": ["starry-night", "spring"]}, r"begun with styles \['starry-night', 'great-wave'\], not"),
        ({"network": {"widths": (8, 8), "blocks": 1}}, r"begun with widths \[4, 8\], not \[8, 8\]"),
        ({"lr": 0.01}, "begun with lr 0.001, not 0.01"),
        ({"k": 2.0}, "begun with k 0.0, not 2.0"),
        ({"content": PHOTOS}, "begun with names .*, not"),
        ({"guides": "saliency"}, "begun with guides none, not saliency"),
        ({"progressive": True}, "begun with progressive False, not True"),
        ({"system": "johnson", "style": "starry-night"}, "begun with system conditional, not johnson"),
    ],
)
def test_changed_options_are_named_with_both_values(options, message, whole):
    folder = whole["conditional"][0]
    with pytest.raises(SettingError, match=message):
        tiny(**{"folder": folder, "resume": True} | options)
    assert checkpoints.read(folder / "last.safetensors")[1]["step"] == 8


def test_a_folder_that_holds_a_training(whole):
    folder = whole["conditional"][0]
    before = (folder / "log.csv").read_text()
    with pytest.raises(SettingError, match="holds a training already: resume it"):
        tiny(folder=folder)
    assert (folder / "log.csv").read_text() == before


def test_checkpoints_that_are_none(whole, tmp_path):
    last, previous = tmp_path / "last.safetensors", tmp_path / "previous.safetensors"
    last.write_bytes((whole["conditional"][0] / "last.safetensors").read_bytes()[:5000])
    with pytest.raises(WeightsError, match="damaged, cut short"):
        tiny(folder=tmp_path, resume=True)
    previous.touch()
    with pytest.raises(WeightsError, match=f"rename {previous}, the one before"):
        tiny(folder=tmp_path, resume=True)
    tensors, info = checkpoints.read(whole["conditional"][0] / "last.safetensors")
    checkpoints.write(last, {**tensors, "generator.core.last.bias": torch.zeros(4)}, info)
    with pytest.raises(WeightsError, match=r"another architecture: core.last.bias is \(4,\), not \(3,\)"):
        tiny(folder=tmp_path, resume=True)
    checkpoints.write(last, tensors, {"system": "conditional", "network": info["network"]})
    with pytest.raises(WeightsError, match="only what painting needs"):
        tiny(folder=tmp_path, resume=True)


def test_a_full_disk_stops_with_the_old_checkpoint_whole(tmp_path):
    training = tiny(folder=tmp_path)
    steps = iter(training)
    for _ in range(5):
        next(steps)
    before = (tmp_path / "last.safetensors").read_bytes()
    resource = pytest.importorskip("resource", reason="Windows has no limits of processes")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(WeightsError, match=r"last.safetensors cannot be written .*untouched"):
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert tiny(folder=tmp_path, resume=True).done == 3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch": 9}, SettingError, "8 pictures are fewer than a batch of 9"),
        ({"content": "nowhere/"}, ImageError, "no such file"),
        ({"steps": 0}, SettingError, "steps 0"),
        ({"lr": 0}, SettingError, "learning rate 0"),
        ({"system": "jonson"}, SettingError, "did you mean johnson"),
        ({"weights": {"adversarial": 1}}, SettingError, "unknown weight 'adversarial'"),
        ({"network": {"width": 3}}, SettingError, "did you mean widths"),
        ({"guides": "depth"}, SettingError, "unknown guides"),
        ({"system": "multiscale_gan", "progressive": True}, SettingError, "crops of 16 pixels are too small"),
        ({"tensorboard": True}, SettingError, "TensorBoard"),
    ],
)
def test_bad_settings(options, error, message):
    system = options.pop("system", "conditional")
    if system not in ("conditional", "multiscale_gan"):
        from nstlab.systems.train import training as make

        with pytest.raises(error, match=message):
            make(system)
    else:
        with pytest.raises(error, match=message):
            tiny(system, **options)


def test_folders_of_pictures(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no pictures"):
        tiny(content=tmp_path / "empty")
    for folder in ("a", "b"):
        (tmp_path / "twice" / folder).mkdir(parents=True)
        images.save(images.load("spring", 40), tmp_path / "twice" / folder / "same.png")
    with pytest.raises(SettingError, match="two paintings are called same"):
        tiny(style=tmp_path / "twice")
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="cannot be made"):
        tiny(folder=tmp_path / "file" / "run")


def test_damaged_pictures_are_left_out_and_named_once(tmp_path):
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for name in PHOTOS:
        images.save(images.load(name, 40), photos / f"{name}.png")
    for name in ("cat", "rocket"):
        (photos / f"{name}.png").write_bytes((photos / f"{name}.png").read_bytes()[:99])
    with pytest.warns(UserWarning, match="skipped"):
        training = tiny(folder=run, content=photos, steps=9, progressive=True)
        for step in training:
            if step.index == 8:
                training.stop()
        resumed = tiny(folder=run, content=photos, steps=18, progressive=True, resume=True)
        finished(resumed)
    for name in ("cat", "rocket"):  # at half size, at full size and after the stop
        for notes in (training.notes, resumed.notes, (run / "notes.txt").read_text().splitlines()):
            assert len([note for note in notes if f"{name}.png" in note]) == 1
    assert len(resumed.notes) == len(resumed.log.notes) == 2 and len(resumed.history) == 18


def test_outlines_that_cannot_be_decoded_are_left_out_of_a_training(tmp_path):
    pytest.importorskip("pycocotools")
    (tmp_path / "photos").mkdir()
    for name in PHOTOS[:3]:
        images.save(images.load(name, 40).expand(1, 3, -1, -1), tmp_path / "photos" / f"{name}.png")
    shapes = [images.load(tmp_path / "photos" / f"{name}.png").shape[2:] for name in PHOTOS[:3]]
    outlines = [[[3, 3, 20, 3, 20, 20]], {"counts": [5, 3], "size": list(shapes[1])}, [[1, 1, 2, 2]]]
    data = {
        "images": [{"id": n, "file_name": f"{name}.png", "height": h, "width": w}
                   for n, (name, (h, w)) in enumerate(zip(PHOTOS, shapes))],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "segmentation": o} for n, o in enumerate(outlines)],
        "categories": [{"id": 1, "name": "thing"}],
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(data))
    options = {"content": tmp_path / "photos", "annotations": tmp_path / "instances.json", "guides": lambda x: x[:, :1]}
    with pytest.warns(UserWarning, match="cannot be read"):
        training = finished(tiny(folder=tmp_path / "run", **options))
    assert training.done == 8 and len(training.notes) == 2
    for found in (training.notes, (tmp_path / "run" / "notes.txt").read_text().splitlines()):
        assert "1 outlines" in found[0] and f"outline 1 in {PHOTOS[1]}.png cannot be read" in found[1]


def test_data_that_moved_is_the_same_data(tmp_path):
    """What the pictures are decides, not where they lie or how the path is typed."""
    (tmp_path / "here").mkdir()
    for name in PHOTOS:
        images.save(images.load(name, 40), tmp_path / "here" / f"{name}.png")
    finished(tiny(folder=tmp_path / "run", content=tmp_path / "here", steps=2))
    (tmp_path / "here").rename(tmp_path / "there")
    moved = tiny(folder=tmp_path / "run", content=f"{tmp_path}/run/../there/", steps=3, resume=True)
    assert moved.done == 2 and finished(moved).done == 3
    (tmp_path / "there" / "cat.png").unlink()
    with pytest.raises(SettingError, match="begun with pictures 8, not 7"):
        tiny(folder=tmp_path / "run", content=tmp_path / "there", steps=3, resume=True)


def test_the_first_process_says_for_all_whether_there_is_a_checkpoint(tmp_path, monkeypatch):
    """A second process may not see the folder of the first one, or later."""
    from lightning_fabric import Fabric

    finished(tiny(folder=tmp_path, steps=2))
    told = []
    monkeypatch.setattr(Fabric, "broadcast", lambda self, value, src=0: told.append(value) or False)
    assert tiny(folder=tmp_path, steps=3).done == 0 and told[0] is True  # not resumed, and no complaint: it was told of none


def test_checkpoints_by_the_old_names_go_on(whole, tmp_path):
    folder = whole["multiscale_gan"][0]
    tensors, info = checkpoints.read(folder / "last.safetensors")
    old = {new: name for name, new in saved.RENAMED.items()}
    for key in ("settings", "kept"):
        info[key] = {old.get(name, name): value for name, value in info[key].items()}
    assert {"rate", "critic_rate", "warmup"} <= info["settings"].keys() and "average" in info["kept"]
    named = {old.get(name.split(".")[0], name.split(".")[0]) + "." + name.split(".", 1)[1]: t for name, t in tensors.items()}
    assert any(name.startswith("average.") for name in named)
    checkpoints.write(tmp_path / "last.safetensors", named, info)
    assert state(tiny("multiscale_gan", tmp_path, resume=True)) == whole["multiscale_gan"][1]


def test_a_critic_may_have_fewer_paintings_than_a_batch():
    training = tiny("multiscale_gan", style="starry-night", batch=4, steps=3)
    assert finished(training).history[-1]["critic"] > 0


def test_every_scale_has_its_terms(monkeypatch):
    made = tiny("multiscale_gan", network=NETWORKS["multiscale_gan"] | {"scales": 3})
    seen, call = [], PerceptualObjective.__call__

    def noted(self, picture, photo, *others):
        seen.append((picture.shape[-1], photo.shape[-1]))
        return call(self, picture, photo, *others)

    monkeypatch.setattr(PerceptualObjective, "__call__", noted)
    next(iter(made))
    assert seen == [(32, 32), (16, 16), (8, 8)]


def test_styles_are_drawn_evenly_and_by_step():
    training = tiny(batch=4)
    drawn = [torch.cat(training.draw(2, index)) for index in range(200)]
    assert 0.4 < torch.stack(drawn).float().mean() < 0.6
    assert torch.equal(drawn[7], torch.cat(training.draw(2, 7)))
    other = tiny(batch=4, seed=6)
    assert not torch.equal(torch.stack(drawn), torch.stack([torch.cat(other.draw(2, index)) for index in range(200)]))


def test_learning_rates_rise_and_fall():
    paces = [Task().lr_factor(index, 1000) for index in range(1000)]
    assert paces[0] == 1 / 50 and paces[49:701] == [1.0] * 652 and paces[-1] == 0.05
    assert paces == sorted(paces[:100]) + sorted(paces[100:], reverse=True)


def test_a_log_cut_short_or_of_others(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("index,scale,total,style\n1,32,2.5,1.5\n2,32,2.25,1.25\n3,32,2.0,\n4,32,1.")
    kept = Log(tmp_path, 3).rows
    assert [row["index"] for row in kept] == [1, 2, 3] and kept[0]["style"] == 1.5 and "style" not in kept[2]
    log.write_text("index,scale,total\n1,32,2.5\n2,32")
    assert [row["index"] for row in Log(tmp_path, 9).rows] == [1]
    log.write_text("name,age\nme,7\n")
    with pytest.raises(SettingError, match="not the log of a training"):
        Log(tmp_path)
    assert log.read_text() == "name,age\nme,7\n"


def test_tensorboard_gets_the_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    training = finished(tiny("johnson", tmp_path, steps=3, tensorboard=True))
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in board.Scalars("style")] == [1, 2, 3]
    assert board.Scalars("total")[-1].value == pytest.approx(training.history[-1]["total"], rel=1e-6)


def test_bf16_trains_too():
    history = finished(tiny("multiscale_gan", precision="bf16", steps=4)).history
    reference = finished(tiny("multiscale_gan", steps=4)).history
    assert history[0]["total"] == pytest.approx(reference[0]["total"], rel=0.05) and history != reference


def test_memory_does_not_grow(tmp_path):
    process, used = psutil.Process(), {}
    for step in tiny(folder=tmp_path, steps=120, save_every=20):
        used[step.index] = process.memory_info().rss
    assert used[120] < 1.05 * used[20]
