"""Receptive fields, what excites a channel, and which pictures are alike."""

import pytest
import torch

from nstlab import images
from nstlab.encoders import load_encoder, probing
from nstlab.encoders.probing import VGG19_LAYERS, cut, random_encoder, receptive_field, strongest_channels, survey
from nstlab.errors import SettingError


@pytest.mark.parametrize(
    "layer, size, stride",
    [("relu1_1", 3, 1), ("relu1_2", 5, 1), ("relu2_1", 10, 2), ("relu3_1", 24, 4), ("relu4_2", 84, 8), ("relu5_4", 252, 16)],
)
def test_receptive_fields_known_from_the_arithmetic(layer, size, stride):
    assert receptive_field(layer)[:2] == (size, stride)


@pytest.mark.parametrize("layer", ["relu1_2", "relu2_1", "relu3_3", "relu4_2"])
def test_the_field_is_exactly_where_the_gradient_reaches(layer, rng):
    encoder = load_encoder(precision="fp32", device="cpu", pooling="average")
    image = torch.rand(1, 3, 128, 136, generator=rng).requires_grad_()
    features = encoder(image, [layer])[layer]
    row, column = features.shape[2] // 2, features.shape[3] // 2
    features[0, :, row, column].sum().backward()
    touched = image.grad.abs().amax((0, 1))
    rows, columns = touched.amax(1).nonzero().flatten(), touched.amax(0).nonzero().flatten()
    found = rows[0].item(), columns[0].item(), rows[-1].item() + 1, columns[-1].item() + 1
    assert found == receptive_field(layer, encoder.layers).box(row, column)


def test_the_names_are_those_of_the_encoder(encoder):
    assert encoder.layers == VGG19_LAYERS
    vgg16 = tuple(layer for layer in VGG19_LAYERS if layer[-1] != "4")
    assert receptive_field("relu5_1", vgg16).size < receptive_field("relu5_1").size
    with pytest.raises(SettingError, match="relu4_2"):
        receptive_field("relu42")


def test_strongest_channels():
    features = torch.tensor([1.0, 5.0, 3.0]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    assert strongest_channels(features, 2) == [1, 2]
    assert strongest_channels(features, 9) == [1, 2, 0]
    assert strongest_channels(features, 1, usual=torch.tensor([0.0, 5.0, 0.0])) == [2]


@pytest.fixture(scope="module")
def few(encoder):
    return survey(encoder, ["cat", "coffee", "starry-night"], ["relu1_1", "relu3_1"], size=64)


def test_a_survey_keeps_mean_peak_and_place(few, encoder):
    features = encoder(images.load("coffee", 64), ["relu3_1"])["relu3_1"][0]
    assert torch.allclose(few.means["relu3_1"][1], features.mean((1, 2)), atol=1e-5)
    assert torch.allclose(few.peaks["relu3_1"][1], features.amax((1, 2)))
    row, column = few.places["relu3_1"][1, 7].tolist()
    assert features[7, row, column] == features[7].max()


def test_patches_come_strongest_first_and_are_what_the_unit_sees(few, encoder):
    found = few.patches("relu3_1", 7, 2)
    strengths = [strength for _, _, strength in found]
    assert strengths == sorted(strengths, reverse=True) and len(found) == 2
    assert all(patch.shape == (1, 3, 24, 24) for patch, _, _ in found)
    assert len(few.patches("relu3_1", 7, 99)) == 3
    with pytest.raises(SettingError, match="0 to 255"):
        few.patches("relu3_1", 256)


def test_alike_pictures_are_neighbours(encoder):
    cat = images.load("cat", 64)
    looked = survey(encoder, [cat, images.load("great-wave", 64), cat.flip(3), images.load("coffee", 64)], ["relu4_1"], 64)
    assert looked.neighbours("relu4_1", 0, 1) == [2]
    assert looked.neighbours("relu4_1", 2) == [0, *looked.neighbours("relu4_1", 2)[1:]]
    table = looked.similarity("relu4_1")
    assert torch.allclose(table, table.T) and torch.allclose(table.diag(), torch.ones(4))


def test_cut_is_white_beyond_the_border():
    image = torch.zeros(1, 3, 10, 10)
    patch = cut(image, (-2, 4, 6, 14))
    assert patch.shape == (1, 3, 8, 10)
    assert (patch[..., :2, :] == 1).all() and (patch[..., 6:] == 1).all() and (patch[..., 2:, :6] == 0).all()


def test_a_random_encoder_repeats_and_keeps_its_signal():
    one, two, three = random_encoder(1), random_encoder(1), random_encoder(2)
    image = images.load("cat", 64)
    first, again, other = (net(image, ["relu4_1"])["relu4_1"] for net in (one, two, three))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert 1 < probing.survey(one, [image], ["relu4_1"], 64).means["relu4_1"].mean() < 1000
