"""The saliency head's training: what it learns from, its losses by hand, and that it learns the same each time."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from nstlab.data import Coco
from nstlab.networks.saliency_head import CHANNELS, NAMES, STUFF, SaliencyHead, object_logit
from nstlab.training import outlines
from nstlab.training.outlines import Thumbnails, Views, name_number, truth
from nstlab.training.saliency import folds, losses, trained, training

KINDS = [
    (1, "person", "person"), (2, "cat", "animal"), (3, "potted plant", "furniture"), (4, "cup", "kitchen"),
    (5, "dining table", "furniture"),
]  # fmt: skip


def square(top, left, side):
    """The outline of a square as COCO has it."""
    return [[left, top, left + side, top, left + side, top + side, left, top + side]]


def coco(folder, things, pictures=3):
    """A small set in COCO's format: `things` are (picture, category, outline, iscrowd)."""
    rng = np.random.default_rng(0)
    for number in range(1, pictures + 1):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), np.uint8)).save(folder / f"{number}.png")
    marked = [
        {"id": i, "image_id": p, "category_id": c, "segmentation": o, "iscrowd": crowd, "area": 100 - i, "bbox": [0, 0, 1, 1]}
        for i, (p, c, o, crowd) in enumerate(things, 1)
    ]
    shapes = [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 60} for n in range(1, pictures + 1)]
    kinds = [{"id": i, "name": name, "supercategory": kind} for i, name, kind in KINDS]
    (folder / "instances.json").write_text(json.dumps({"images": shapes, "annotations": marked, "categories": kinds}))
    return Coco(folder, folder / "instances.json")


def test_truth_by_hand(tmp_path):
    outlines = [(1, 1, square(10, 10, 30), 0), (1, 2, square(20, 20, 10), 0), (1, 4, square(0, 70, 4), 0)]
    crowd = (1, 1, {"counts": [0, 60 * 5, 60 * 75], "size": [60, 80]}, 1)
    known = truth(coco(tmp_path, [*outlines, crowd]), 0)
    assert known.names[15, 15] == 1 and known.names[25, 25] == 2 and known.names[50, 60] == 0
    assert known.names[2, 72] == 0 and not known.counts[2, 72]  # 16 of 4800 pixels are too few
    assert not known.counts[30, 2] and known.counts[50, 60] and known.counts[15, 15]
    assert known.heads == []
    assert name_number({"name": "potted plant", "supercategory": "furniture"}) == NAMES.index("other thing")
    assert name_number({"name": "cup", "supercategory": "kitchen"}) == NAMES.index("other thing")


def test_damaged_annotations(tmp_path):
    with pytest.warns(UserWarning, match="1 outlines in .* cannot be read and are left out"):
        found = coco(tmp_path, [(1, 1, [[1, 2, 3, 4]], 0), (1, 2, square(20, 20, 30), 0)])
    known = truth(found, 0)
    assert known.names[30, 30] == 2 and known.names.unique().tolist() == [0, 2]


def test_an_outline_that_only_decoding_refuses_is_left_out_and_named(tmp_path):
    pictures = coco(tmp_path, [(1, 1, {"counts": [1], "size": "?"}, 0)])
    with pytest.warns(UserWarning, match=r"outline 1 in 1\.png cannot be read"):
        assert truth(pictures, 0).names.sum() == 0


def test_marks_become_places_and_salient_leaves_furniture_out(tmp_path, monkeypatch):
    (tmp_path / "stuff.csv").write_text("picture,name,x,y\n1,sky,.5,.1\n1,ground,.25,.5\n2,sky,.5,.5\n")
    (tmp_path / "heads.csv").write_text("picture,x,y,height\n1,.25,.25,.2\n")
    monkeypatch.setattr(outlines, "PLACES", tmp_path / "stuff.csv")
    monkeypatch.setattr(outlines, "HEADS", tmp_path / "heads.csv")
    things = [(1, 5, square(20, 0, 40), 0), (1, 1, square(10, 10, 10), 0), (2, 5, square(10, 10, 30), 0)]
    found = coco(tmp_path, things)
    known = truth(found, 0)
    assert known.stuff == [(6.0, 40.0, STUFF.index("sky")), (30.0, 20.0, STUFF.index("ground"))]
    assert known.heads == [(15.0, 20.0, 12.0)]
    assert known.salient[15, 15] and not known.salient[50, 20]  # a table with someone at it
    assert truth(found, 1).salient[15, 15]  # a table alone
    planes = outlines._planes(known)
    assert planes.shape == (1, len(NAMES) + 2 + len(STUFF), 60, 80)
    assert planes[0, len(NAMES) + 2 + STUFF.index("sky"), 6, 40] == 1
    assert planes[0, len(NAMES) + 2 + STUFF.index("ground")].sum() == 0  # a thing lies there
    assert planes[0, len(NAMES) + 1, 15, 20] == 1 and planes[0, len(NAMES) + 1].sum() == pytest.approx(np.pi * 36, rel=0.1)


def test_all_marks_that_ship_are_in_the_picture_and_have_a_name():
    for file, height in ((outlines.HEADS, True), (outlines.PLACES, False)):
        for row in outlines._rows(file):
            assert 0 <= float(row["x"]) <= 1 and 0 <= float(row["y"]) <= 1
            assert 0 < float(row["height"]) < 1 if height else row["name"] in STUFF


def test_losses_by_hand():
    names = torch.zeros(1, 7, 1, 2)
    names[0, 0, 0, 0] = names[0, 1, 0, 1] = 1  # background, person
    logits = torch.zeros(1, 14, 1, 2)
    heads, stuff = torch.zeros(1, 1, 1, 2), torch.zeros(1, 6, 1, 2)
    stuff[0, 2, 0, 0] = 1
    assert object_logit(logits).flatten().tolist() == pytest.approx([np.log(6)] * 2)
    found = losses(logits, names, torch.ones(1, 1, 1, 2), heads, stuff)
    assert found["names"].item() == pytest.approx(np.log(7), abs=1e-5)
    assert found["outline"].item() == pytest.approx((np.log(7) + np.log(7 / 6)) / 2, abs=1e-5)
    assert found["heads"].item() == pytest.approx(np.log(2), abs=1e-5)
    assert found["iou"].item() == pytest.approx(1 - (6 / 7 + 1) / (6 / 7 + 1 + 1), abs=1e-5)
    assert found["stuff"].item() == pytest.approx(np.log(6), abs=1e-5)
    assert losses(logits, names, torch.ones(1, 1, 1, 2), heads, 0 * stuff)["stuff"] == 0  # nothing is marked
    half = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)  # what does not count changes nothing
    other = logits.clone()
    other[..., 1] = 5
    for name, value in losses(logits, names, half, heads, stuff).items():
        assert torch.allclose(value, losses(other, names, half, heads, stuff)[name]), name


def test_thumbnails_are_small_and_decoded_once(tmp_path, monkeypatch):
    found = coco(tmp_path, [(n, 2, square(10, 20, 40), 0) for n in (1, 2, 3)])
    small = Thumbnails(found, [2, 0])
    assert small.names == ["3.png", "1.png"] and small.load(0).shape == (1, 3, 48, 64)
    monkeypatch.setattr(found, "load", None)
    assert small.load(0).shape == (1, 3, 48, 64)


def test_it_learns_and_learns_the_same_again(tmp_path):
    found = coco(tmp_path, [(n, 2, square(10, 20, 40), 0) for n in (1, 2, 3)])
    views = Views(found, crops=1)
    made = training(views, steps=12, batch=2, device="cpu")
    totals = [step.total for step in made]
    assert totals[-1] < totals[0] and set(made.history[0]) >= {"outline", "iou", "names", "heads"}
    again = trained(views, steps=12, batch=2, device="cpu").state_dict()
    for name, value in made.task.ema.module.state_dict().items():
        assert torch.equal(value, again[name]), name


def test_head_takes_any_grid_and_folds_part_the_pictures():
    features = {name: torch.rand(2, count, 6, 9) for name, count in CHANNELS.items()}
    features["stride8"] = torch.rand(2, CHANNELS["stride8"], 11, 17)
    assert SaliencyHead().eval()(features).shape == (2, len(NAMES) + 1 + len(STUFF), 11, 17)
    parts = folds(128)
    assert sorted(i for part in parts for i in part) == list(range(128)) and parts == folds(128)
