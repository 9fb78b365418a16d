"""The scale schedule, and the pyramid from which the image is reconstructed exactly."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab import pyramid
from nstlab.errors import SettingError
from nstlab.pyramid import downsample, laplacian_pyramid, reconstruct, schedule, upsample, upsample_gradient


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


def test_upsampling_and_its_gradient_by_hand():
    """Two pixels 0 and 4 become 0, 1, 2, 3, 4; the first of them has the shares 1, 3/4, 1/2, 1/4 and 0 in these."""
    assert upsample(torch.tensor([[[[0.0, 4.0]]]]), (1, 5)).flatten().tolist() == [0, 1, 2, 3, 4]
    assert upsample_gradient(torch.tensor([[[[1.0, 8, 64, 512, 4096]]]]), (1, 2)).flatten().tolist() == [167, 4514]


@settings(deadline=None, max_examples=40)
@given(*(st.integers(1, 33) for _ in range(4)), st.integers(0, 99))
def test_the_gradient_of_upsampling_is_that_of_interpolation(height, width, taller, wider, seed):
    draw, size = torch.Generator().manual_seed(seed), (height + taller, width + wider)
    image = torch.rand(2, 3, height, width, generator=draw).requires_grad_()
    gradient = torch.rand(2, 3, *size, generator=draw) / (taller * wider)
    wanted = torch.nn.functional.interpolate(image, size, mode="bilinear", align_corners=True)
    (theirs,) = torch.autograd.grad(wanted, image, gradient)
    made = pyramid._Upsample.apply(image, size)
    (ours,) = torch.autograd.grad(made, image, gradient)
    assert torch.allclose(upsample(image, size), wanted, atol=1e-6) and torch.allclose(made, wanted, atol=1e-6)
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.cuda
def test_on_cuda_the_gradient_of_upsampling_is_the_same_each_time():
    draw = torch.Generator().manual_seed(0)
    image, gradient = torch.rand(2, 8, 33, 65, generator=draw), torch.randn(2, 8, 66, 130, generator=draw)
    found = []
    for device in ("cpu", *["cuda"] * 8):
        x = image.to(device).requires_grad_()
        y = upsample(x, (66, 130))
        found.append((y.detach().cpu(), torch.autograd.grad(y, x, gradient.to(device))[0].cpu()))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5) and torch.allclose(found[0][1], found[1][1], atol=1e-4)
    assert all(torch.equal(one, found[1][1]) for _, one in found[1:])


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
