"""The pocket encoder: used as VGG-19 is, near it as far as it says, and never taken without being asked for."""

import json

import pytest
import torch

from nstlab import images, metrics
from nstlab.encoders import Encoder, load_encoder
from nstlab.encoders.pocket import ABOUT, CHANNELS, PocketEncoder, load_pocket
from nstlab.errors import ImageError, SettingError, WeightsError
from nstlab.systems import plan, stylize
from nstlab.training.distill import agreement, distillation, error, varied


@pytest.fixture(scope="module")
def pocket():
    return load_pocket(precision="fp32", device="cpu")


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (33, 50), (64, 64)])
def test_it_has_vgg19s_layers_channels_and_sizes(encoder, pocket, size):
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    theirs = encoder(image, pocket.layers)
    for layer, features in pocket(image, pocket.layers).items():
        assert features.shape == theirs[layer].shape, layer
        assert layer == "image" or features.shape[1] == CHANNELS[layer]


def test_it_stops_at_the_deepest_layer_and_names_what_it_lacks(pocket, photo):
    assert list(pocket(photo, ["relu2_1"])) == ["image", "relu2_1"]
    for layer in pocket.layers:
        alone, together = pocket(photo, [layer])[layer], pocket(photo, pocket.layers)[layer]
        assert torch.equal(alone, together)
    with pytest.raises(SettingError, match="unknown layer 'relu5_2'.*relu5_1"):
        pocket(photo, ["relu5_2"])


def test_the_first_layer_is_vgg19s_own(encoder, pocket, photo):
    assert torch.allclose(pocket(photo, ["relu1_1"])["relu1_1"], encoder(photo, ["relu1_1"])["relu1_1"], rtol=5e-3, atol=0.05)


def test_it_agrees_with_vgg19_as_far_as_it_says(encoder, pocket):
    said = json.loads(ABOUT.read_text())["agreement"]
    found = agreement(pocket, size=256, names=["cat", "coffee", "starry-night", "spring"])
    assert pocket.scales == {layer: encoder.scales[layer] for layer in pocket.layers}
    for layer in pocket.layers[1:]:
        assert found[layer]["features"] > said[layer]["features"] - 0.15, layer
        assert found[layer]["gram"] > said[layer]["gram"] - 0.2, layer
    random = PocketEncoder(precision="fp32", device="cpu")
    image = images.load("cat", 64)
    features, grams = error(random(image, random.layers), encoder(image, random.layers))["relu3_1"]
    assert features > 0.9 and grams > 0.9  # and weights that never saw VGG-19 do not


def test_what_it_paints_is_painted_in_vgg19s_eyes(fast_encoder):
    photo, painting = images.load("cat", 128), images.load("great-wave", 128)
    result = stylize(photo, painting, size=128, steps=30, encoder="pocket")
    before, after = (metrics.style_distance(fast_encoder, image, painting) for image in (photo, result.image))
    assert after < 0.5 * before
    assert any("pocket" in note for note in result.notes) and result.settings["encoder"] == "pocket"


def test_it_is_never_taken_unasked():
    assert isinstance(load_encoder(), Encoder) and isinstance(load_encoder("pocket"), PocketEncoder)
    run = plan("cat", "great-wave", size=32, steps=1)
    assert isinstance(run.objective.encoder, Encoder) and not run.notes
    with pytest.raises(SettingError, match="no choice of padding"):
        load_encoder("pocket", padding="zeros")


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("cat", "coffee", "spring")):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        images.save(images.load(name, 96), tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


TINY = {"steps": 4, "size": 32, "batch": 2, "seed": 3, "device": "cpu", "save_every": 100}


def test_a_training_is_the_same_each_time_and_after_a_stop(folder, tmp_path):
    """The pictures on their way go on from the checkpoint too: they come out of all steps before."""
    whole = distillation(folder, **TINY)
    rows = [step.losses for step in whole]
    assert rows[0].keys() >= {"features", "gram", "features relu5_1", "gram relu2_1"} and rows[0] != rows[1]
    stopped = distillation(folder, folder=tmp_path / "run", **TINY)
    for step in stopped:
        if step.index == 2:
            stopped.stop()
    resumed = distillation([folder], folder=tmp_path / "run", resume=True, **TINY)
    assert resumed.done == 2 and [step.losses for step in resumed] == rows[2:]
    for one, other in zip(whole.task.student.parameters(), resumed.task.student.parameters(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(whole.task.moving.module.pictures, resumed.task.moving.module.pictures)


def test_a_step_brings_the_student_nearer_but_for_its_first_layer(folder):
    made = distillation(folder, **TINY | {"steps": 12})
    first = made.task.student.first.weight.clone()
    totals = [step.total for step in made]
    assert sum(totals[-4:]) < sum(totals[:4]) and torch.equal(made.task.student.first.weight, first)


def test_crops_stay_pictures_and_bad_folders_are_named(tmp_path):
    crops = images.load("cat", 64)[..., :40, :40].repeat(20, 1, 1, 1)
    found = varied(crops, list(range(20)))
    assert found.shape == (20, 3, 40, 40) and found.min() >= 0 and found.max() <= 1
    changed = [not torch.equal(one, other) for one, other in zip(found, crops, strict=True)]
    assert 3 < sum(changed) < 18 and torch.equal(found, varied(crops, list(range(20))))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="empty holds no pictures"):
        distillation(tmp_path / "empty")


def test_missing_weights_are_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr("nstlab.encoders.pocket.FILE", tmp_path / "pocket.safetensors")
    with pytest.raises(WeightsError, match="pocket"):
        load_pocket()
