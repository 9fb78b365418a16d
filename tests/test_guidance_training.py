"""The saliency head's training: what it learns from, its losses by hand, and that it learns the same each time."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from nstlab.data import Coco
from nstlab.errors import ImageError
from nstlab.networks.saliency_head import CHANNELS, NAMES, SaliencyHead, object_logit
from nstlab.training.outlines import Views, name_number, truth
from nstlab.training.saliency import folds, losses, trained, training

KINDS = [(1, "person", "person"), (2, "cat", "animal"), (3, "potted plant", "furniture"), (4, "cup", "kitchen")]


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


def test_a_damaged_outline_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"1\.png cannot be read"):
        truth(coco(tmp_path, [(1, 1, {"counts": [1], "size": "?"}, 0)]), 0)


def test_losses_by_hand():
    names = torch.zeros(1, 7, 1, 2)
    names[0, 0, 0, 0] = names[0, 1, 0, 1] = 1  # background, person
    logits = torch.zeros(1, 8, 1, 2)
    assert object_logit(logits).flatten().tolist() == pytest.approx([np.log(6)] * 2)
    found = losses(logits, names, torch.ones(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
    assert found["names"].item() == pytest.approx(np.log(7), abs=1e-5)
    assert found["outline"].item() == pytest.approx((np.log(7) + np.log(7 / 6)) / 2, abs=1e-5)
    assert found["heads"].item() == pytest.approx(np.log(2), abs=1e-5)
    assert found["iou"].item() == pytest.approx(1 - (6 / 7 + 1) / (6 / 7 + 1 + 1), abs=1e-5)
    half = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)  # what does not count changes nothing
    other = logits.clone()
    other[..., 1] = 5
    for name, value in losses(logits, names, half, torch.zeros(1, 1, 1, 2)).items():
        assert torch.allclose(value, losses(other, names, half, torch.zeros(1, 1, 1, 2))[name]), name


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
    assert SaliencyHead().eval()(features).shape == (2, len(NAMES) + 1, 11, 17)
    parts = folds(128)
    assert sorted(i for part in parts for i in part) == list(range(128)) and parts == folds(128)
