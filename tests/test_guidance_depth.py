"""Depth: true where it can be, and honest where it cannot."""

import numpy as np
import pytest
import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.guidance import depth, motorcycle, stereo
from nstlab.guidance.depth import match_stereo


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
