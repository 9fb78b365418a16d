"""Segments: clusters that mean something, labels of the user's own, and which region goes with which."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from nstlab import images
from nstlab.encoders import weights
from nstlab.errors import SettingError, WeightsError
from nstlab.guidance import Segments, load_labels, match_looks, match_names, match_numbers, segments
from nstlab.guidance.deeplab import load_deeplab
from nstlab.guidance.segments import REGIONS, k_means, named_masks
from nstlab.guidance.things import Things


def test_things_get_their_own_label():
    found = segments(images.load("mountain-path", 320), 4, "semantic")
    labels = found.labels[0]
    height, width = labels.shape
    sky, rock, grass = (labels[int(r * height), int(c * width)].item() for r, c in ((0.05, 0.8), (0.42, 0.85), (0.9, 0.85)))
    assert len({sky, rock, grass}) == 3
    astronaut = segments(images.load("astronaut", 320), 5, "semantic").labels[0]
    face, suit, wall = (astronaut[place].item() for place in ((70, 147), (210, 100), (40, 190)))
    assert suit not in (face, wall)  # the face shares a region with the wall beside it


@pytest.mark.parametrize("method", ["things", "semantic", "color"])
def test_contract(method):
    image = torch.cat([images.load("coffee", (60, 80)), images.load("cat", (60, 80))])
    before = image.clone()
    found = segments(image, 4, method, seed=3)
    assert found.labels.shape == (2, 60, 80) and found.labels.dtype == torch.int64
    assert all(len(labels.unique()) <= 4 for labels in found.labels)
    assert found.masks().sum(1).sub(1).abs().max() < 1e-6 and sum(found.areas()) == pytest.approx(1)
    assert found.masks(2.0).sum(1).sub(1).abs().max() < 1e-5
    assert torch.equal(segments(image, 4, method, seed=3).labels, found.labels) and torch.equal(image, before)
    alone = segments(image[:1], 4, method).areas()
    assert alone == sorted(alone, reverse=True)
    assert found.resized(40).labels.shape == (2, 30, 40)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (9, 9)])
def test_any_size_and_a_blank(size):
    assert segments(torch.rand(1, 3, *size), 3).labels.shape == (1, *size)
    blank = segments(torch.full((1, 3, *size), 0.5), 5, "color")
    assert blank.labels.shape == (1, *size) and blank.count <= 5
    assert segments(torch.rand(1, 3, *size), 1).labels.max() == 0


def test_things_have_names_and_scores():
    places = {"astronaut": ("person", 0.6, 0.4), "cat": ("animal", 0.5, 0.5), "mountain-path": ("sky", 0.05, 0.8)}
    for sample, (name, row, column) in places.items():
        found = segments(images.load(sample, 320))
        height, width = found.labels.shape[-2:]
        label = found.labels[0, int(row * height), int(column * width)].item()
        assert found.names[label] == name and found.scores[label] > 0.5
        assert len(found.names) == len(found.scores) == found.count <= 5 and set(found.names) <= set(REGIONS)
    batch = segments(torch.cat([images.load(name, (160, 160)) for name in ("cat", "hill-sunset")]))
    assert batch.labels.shape == (2, 160, 160) and {"animal", "sky"} <= set(batch.names)
    assert (batch.labels[0] == batch.names.index("animal")).float().mean() > 0.5
    assert len(batch.labels[0].unique()) <= 5 and len(batch.labels[1].unique()) <= 5
    assert segments(images.load("hill-sunset", 160)).note == "no thing was recognised: all regions are background"


def test_where_no_names_are_told_apart_k_means_serves(monkeypatch):
    one = lambda picture, k: {"room": (torch.ones(1, *picture.shape[-2:], dtype=torch.bool), 0.9)}
    monkeypatch.setattr(sys.modules["nstlab.guidance.segments"], "named_masks", one)
    picture = images.load("mountain-path", 160)
    found = segments(picture, 3)
    assert torch.equal(found.labels, segments(picture, 3, "semantic").labels) and found.names == ()
    assert "all is room" in found.note
    assert segments(picture, 1).names == ("room",)


def test_named_masks_by_hand():
    names, stuff = torch.zeros(1, 7, 8, 8), torch.zeros(1, 6, 8, 8)
    names[:, 0, :4] = names[:, 1, 4:] = 1  # background above a person
    stuff[:, 0, :, :4] = 1  # sky at the left
    stuff[:, :, :, 4:] = 1 / 6  # nothing known at the right
    seen = Things(names, 1 - names[:, :1], torch.zeros(1, 1, 8, 8), stuff)
    picture = torch.full((1, 3, 64, 64), 0.5)
    masks = named_masks(picture, seen=seen)
    assert set(masks) == {"sky", "background", "person"} and sum(mask for mask, _ in masks.values()).float().mean() == 1
    assert masks["person"][0][0, 50, 20] and masks["sky"][0][0, 10, 10] and masks["background"][0][0, 10, 50]
    assert masks["person"][1] > 0.9 > masks["background"][1]
    assert set(named_masks(picture, 1, seen)) == {"person"}


def test_names_match_before_looks():
    labels = torch.zeros(1, 40, 40, dtype=torch.long)
    labels[:, :20] = 1
    content = Segments(labels, "", names=("animal", "background"))
    style = Segments(1 - labels, "", names=("background", "animal"))
    assert match_names(content, style) == {0: 1}
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 40, 40)
    match = match_looks(picture, content, picture, style)
    assert match.pairs == {0: 1, 1: 0} and match.method.startswith("names")
    assert match_looks(picture, content, picture, style, one_to_one=True).pairs == {0: 1, 1: 0}
    looks = match_looks(picture, Segments(labels, ""), picture, Segments(1 - labels, ""))
    assert looks.pairs == {0: 1, 1: 0} and "names" not in looks.method


def test_k_means_by_hand():
    points = torch.tensor([[0.0], [0.1], [5.0], [5.1], [9.0]])
    centers, labels = k_means(points, 3)
    assert sorted(round(c, 2) for c in centers.flatten().tolist()) == [0.05, 5.05, 9.0]
    assert labels[0] == labels[1] and labels[2] == labels[3] and len(set(labels.tolist())) == 3
    assert len(k_means(torch.zeros(5, 2), 3)[0]) == 1


def test_labels_of_ones_own(tmp_path):
    image = torch.rand(1, 3, 8, 8)
    array = np.arange(4).reshape(2, 2)
    np.save(tmp_path / "labels.npy", array)
    Image.fromarray(np.array([[[0, 0, 0], [255, 0, 0]], [[0, 255, 0], [255, 255, 255]]], np.uint8)).save(
        tmp_path / "labels.png"
    )
    for source in (array, torch.tensor(array).float(), tmp_path / "labels.npy", tmp_path / "labels.png"):
        found = segments(image, labels=source)
        assert found.labels[0, ::4, ::4].tolist() == [[0, 1], [2, 3]] and "yours" in found.method and "resized" in found.note
    for bad in (np.array([[0.5]]), np.array([[-1]]), np.array([[999]]), np.zeros((2, 2, 2, 2), int), "cat"):
        with pytest.raises(SettingError):
            load_labels(bad)
    with pytest.raises(SettingError, match="flat colours"):
        load_labels("cat")


def test_bad_settings():
    for k in (0, -1, 2.5):
        with pytest.raises(SettingError):
            segments(torch.rand(1, 3, 8, 8), k)
    with pytest.raises(SettingError, match="semantic"):
        segments(torch.rand(1, 3, 8, 8), 3, "semantik")
    with pytest.raises(SettingError):
        Segments(torch.zeros(1, 4, 4), "floats")


def test_same_numbers_match_and_a_lacking_label_is_said():
    content = Segments(torch.tensor([[[0, 1], [2, 2]]]), "mine")
    style = Segments(torch.tensor([[[0, 0], [2, 2]]]), "mine")
    match = match_numbers(content, style)
    assert match.pairs == {0: 0, 1: None, 2: 2} and "lacks label 1" in match.note and "global" in match.note
    assert match_numbers(content, content).note == ""


def test_likeness_matches_a_picture_with_itself_and_sky_with_sky():
    picture = images.load("mountain-path", 256)
    found = segments(picture, 4, "semantic")
    assert match_looks(picture, found, picture, found).pairs == {label: label for label in range(4)}
    mirrored = Segments(3 - found.labels, "other numbers")
    pairs = match_looks(picture, found, picture, mirrored, one_to_one=True).pairs
    assert pairs == {label: 3 - label for label in range(4)}
    other = images.load("hill-sunset", 256)
    ground_and_sky = Segments(
        (torch.arange(other.shape[2]) < 0.4 * other.shape[2]).long().view(1, -1, 1).expand(1, -1, 256), ""
    )
    ours = Segments((torch.arange(picture.shape[2]) < 0.3 * picture.shape[2]).long().view(1, -1, 1).expand(1, -1, 256), "")
    assert match_looks(picture, ours, other, ground_and_sky).pairs == {0: 0, 1: 1}
    few = match_looks(picture, found, picture, Segments(found.labels.clamp_max(1), ""), one_to_one=True)
    assert set(few.pairs) == {0, 1, 2, 3} and "twice" in few.note


def test_deeplab_offline_and_loaded(monkeypatch):
    models = weights.import_torchvision().models.segmentation
    kind = type(models.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1)

    def fails(self, **options):
        raise OSError("<urlopen error no network>")

    monkeypatch.setattr(kind, "get_state_dict", fails)
    with pytest.raises(WeightsError, match="connect to the network once"):
        segments(torch.rand(1, 3, 40, 40), method="deeplab")
    torch.manual_seed(0)
    network = models.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    monkeypatch.setattr(kind, "get_state_dict", lambda self, **options: network.state_dict())
    found = segments(torch.rand(1, 3, 40, 50), method="deeplab")
    assert found.labels.shape == (1, 40, 50) and found.names[15] == "person" and found.count == 21
    assert not load_deeplab().training
