"""Depth: true where it can be, and honest where it cannot."""

import numpy as np
import pytest
import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.guidance import depth, motorcycle, stereo
from nstlab.guidance.depth import match_stereo
from nstlab.training.scene_depth import training, varied


def test_stereo_finds_a_known_shift():
    torch.manual_seed(0)
    scene = images.resize(torch.rand(1, 3, 30, 60), (60, 120))
    left, right = scene.clone(), torch.roll(scene, -6, 3)  # what is at x in the left is at x - 6 in the right
    near = scene[..., 20:40, 50:80]
    right[..., 20:40, 38:68] = near  # and a square that is nearer, 12 pixels
    disparity, sure = match_stereo(left, right, 20)
    assert (disparity[0, 0, 5:15, 30:90] - 6).abs().median() < 0.3
    assert (disparity[0, 0, 24:36, 56:74] - 12).abs().median() < 0.5
    assert sure[0, 0, 5:15, 30:90].float().mean() > 0.9


def test_stereo_agrees_with_the_true_disparity():
    left, right, truth = motorcycle(240)
    guide = stereo(left, right)
    assert guide.map.shape == truth.map.shape == (1, 1, *left.shape[-2:])
    ours, theirs = guide.map.flatten(), truth.map.flatten()
    assert torch.corrcoef(torch.stack([ours, theirs]))[0, 1] > 0.9
    assert "stereo" in guide.method and "matched" in guide.note and "true" in truth.method
    assert torch.equal(depth(left, right=right).map, guide.map)


def test_pseudo_depth_says_that_it_is_a_guess():
    picture = images.load("mountain-path", 200)
    guide = depth(picture)
    assert "pseudo" in guide.method and "guess" in guide.note
    height = guide.map.shape[2]
    assert guide.map[:, :, -height // 5 :].mean() > guide.map[:, :, : height // 5].mean() + 0.4
    assert guide.map.shape == (1, 1, *picture.shape[-2:])


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (9, 7)])
def test_any_size(size):
    assert depth(torch.rand(2, 3, *size)).map.shape == (2, 1, *size)


def test_own_map_and_bad_settings():
    own = depth(torch.rand(1, 3, 8, 8), map=np.eye(4))
    assert "yours" in own.method and own.map.shape == (1, 1, 8, 8)
    with pytest.raises(SettingError, match="pseudo"):
        depth(torch.rand(1, 3, 8, 8), "psudo")
    with pytest.raises(SettingError, match="same size"):
        stereo(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
    with pytest.raises(SettingError, match="depth map"):
        depth(torch.rand(1, 3, 8, 8), map=np.full((8, 8), 12.0))


def test_the_depth_network_learns_the_same_each_time_and_after_a_stop(tmp_path):
    options = {"batch": 4, "size": 32, "pool": 12, "seed": 2, "device": "cpu"}
    whole = training(steps=30, **options)
    rows = [step.losses["depth"] for step in whole]
    assert sum(rows[-5:]) < 0.9 * sum(rows[:5])
    stopped = training(steps=30, folder=tmp_path, **options)
    for step in stopped:
        if step.index == 17:
            stopped.stop()
    resumed = training(steps=30, folder=tmp_path, resume=True, **options)
    assert resumed.done == 17 and [step.losses["depth"] for step in resumed] == rows[17:]
    pairs = zip(whole.task.network.parameters(), resumed.task.network.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert step.image.shape == (1, 3, 32, 32) and len(list(tmp_path.glob("*.safetensors"))) == 2


def test_the_depth_networks_scenes_are_varied_by_hand():
    image = torch.full((3, 3, 8, 8), 0.5)
    found = varied(image, [1, 2, 1], blurred=False)
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])
    assert 0.5**1.6 - 0.1 < found.mean() < 0.5**0.6 + 0.1 and (found.std((1, 2, 3)) < 0.13).all()
    assert (varied(image, [1, 2, 1], blurred=True) - found).abs().max() < 1e-6  # a plain picture has nothing to blur
