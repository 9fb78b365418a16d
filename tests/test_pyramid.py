"""The scale schedule, and the pyramid from which the image is reconstructed exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab.errors import SettingError
from nstlab.pyramid import downsample, laplacian_pyramid, reconstruct, schedule, upsample


def test_downsample_by_hand():
    """A lone bright pixel at an even place keeps 6/16 of its light along a line, and its neighbours two further 1/16."""
    row = torch.zeros(1, 1, 1, 9)
    row[..., 4] = 16
    assert downsample(row).flatten().tolist() == [0, 1, 6, 1, 0]


def test_a_constant_has_no_details():
    *details, rest = laplacian_pyramid(torch.full((1, 3, 17, 12), 0.3), 3)
    assert all(detail.abs().max() < 1e-6 for detail in details) and torch.allclose(rest, torch.tensor(0.3))
    assert upsample(torch.ones(1, 1, 3, 3), (5, 6)).shape == (1, 1, 5, 6)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 65), st.integers(1, 65), st.integers(1, 6), st.integers(0, 99))
def test_reconstruction_is_exact_at_any_size(height, width, levels, seed):
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    made = laplacian_pyramid(image, levels)
    assert len(made) == levels and torch.allclose(reconstruct(made), image, atol=1e-6)
    for fine, coarse in zip(made, made[1:]):
        assert coarse.shape[-2:] == tuple(-(-side // 2) for side in fine.shape[-2:])


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4096), st.integers(1, 500))
def test_schedules_add_up_and_end_at_the_size(size, steps):
    stages = schedule(size, steps)
    assert stages[-1][0] == size and sum(count for _, count in stages) == steps
    assert [long for long, _ in stages] == sorted(long for long, _ in stages)
    assert len(stages) == 1 or stages[0][0] >= 80


def test_no_levels_is_an_error():
    with pytest.raises(SettingError, match="no picture"):
        reconstruct([])
