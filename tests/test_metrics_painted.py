"""Kept and painted, measured: strokes place by place, likeness above them, and what is still recognised."""

import pytest
import torch

from nstlab import images, metrics
from nstlab.filters import gaussian
from nstlab.guidance.faces import Box, faces


@pytest.fixture(scope="module")
def content():
    return images.load("astronaut", 256)


@pytest.fixture(scope="module")
def painted(content):
    """Diagonal strokes 3 pixels wide over all of the photo."""
    place = torch.arange(256).view(1, 1, 1, -1) + torch.arange(256).view(1, 1, -1, 1)
    strokes = (0.15 * torch.sin(place * torch.pi / 3 / 2**0.5)).expand(1, 3, -1, -1)
    return (0.2 + 0.6 * content + strokes).clamp(0, 1)


def test_a_photo_is_bare_and_what_is_painted_all_over_is_not(content, painted):
    assert metrics.painted_inside(metrics.stroke_share(painted, content, painted)) == (1, 0)
    for unpainted in (content, 0.3 + 0.5 * content, 1 - content, gaussian(content, 1.0)):
        share, bare = metrics.painted_inside(metrics.stroke_share(unpainted, content, painted))
        assert share < 0.05 and bare > 0.97


def test_share_is_read_place_by_place(content, painted):
    """Half of the picture painted, and all of it with strokes of half the strength: a quarter of the variance."""
    half = torch.cat([painted[..., :128], content[..., 128:]], 3)
    guide = torch.zeros(1, 1, 256, 256)
    guide[..., :112] = 1
    share = metrics.stroke_share(half, content, painted)
    assert metrics.painted_inside(share, guide) == (1, 0)
    assert metrics.painted_inside(share, guide.flip(3))[0] < 0.01 and metrics.painted_inside(share, guide.flip(3))[1] == 1
    faint = 0.2 + 0.6 * content + (painted - 0.2 - 0.6 * content) / 2
    assert metrics.stroke_share(faint, content, painted).median().item() == pytest.approx(0.25, abs=0.05)


@pytest.mark.parametrize("strength", [0.05, 0.15, 0.4])
def test_noise_does_not_pass_for_paint(content, painted, strength):
    """White noise of any strength, in grey and in colours, and single pixels of black and white."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 256, 256, generator=rng)
    salt = torch.rand(1, 1, 256, 256, generator=rng) < strength / 8
    for noisy in (content + strength * noise, content + strength * noise[:, :1], torch.where(salt, 1 - content, content)):
        share, bare = metrics.painted_inside(metrics.stroke_share(noisy.clamp(0, 1), content, painted))
        assert share < 0.3 and bare > (0.5 if strength > 0.3 else 0.9)


def test_energy_of_a_wave_by_hand():
    """A blur by sigma leaves exp(-2 pi^2 sigma^2 / p^2) of a wave of period p; the variance of a wave is half its square."""
    size, period, amplitude = 512, 12, 0.2
    wave = amplitude * torch.sin(torch.arange(size) * 2 * torch.pi / period).expand(1, 3, size, size)
    passed = [torch.exp(torch.tensor(-2 * torch.pi**2 * sigma**2 / period**2)) for sigma in (1.0, 4.0)]
    want = ((passed[0] - passed[1]) * amplitude) ** 2 / 2
    found = metrics.stroke_energy(0.5 + wave, torch.full((1, 3, size, size), 0.5))[..., 256, 256]
    assert found.item() == pytest.approx(want.item(), rel=0.05)


def test_structure_does_not_see_strokes_and_sees_forms(content):
    fine = 0.08 * torch.tensor([1.0, -1.0]).repeat(128).expand(1, 3, 256, 256)
    moved = content.roll(12, 3)
    assert metrics.structure(content, content) == pytest.approx(1, abs=1e-4)
    assert metrics.structure((content + fine).clamp(0, 1), content) > 0.9
    assert metrics.ssim((content + fine).clamp(0, 1), content) < 0.7
    assert metrics.structure(moved, content) < 0.6
    left = torch.ones(1, 1, 256, 256)
    left[..., 128:] = 0
    half = torch.cat([content[..., :140], moved[..., 140:]], 3)
    assert metrics.structure(half, content, left) > 0.95 > metrics.structure(half, content)


def test_recognised_by_a_classifier():
    cat = images.load("cat", 256)
    same = metrics.recognised(cat, cat)
    assert same.still and same.kept == pytest.approx(1, abs=1e-4) and 0 < same.sure <= 1
    grey = metrics.recognised(torch.full_like(cat, 0.5), cat)
    coffee = metrics.recognised(images.resize(images.load("coffee"), tuple(cat.shape[-2:])), cat)
    assert not grey.still and not coffee.still and max(grey.kept, coffee.kept) < 0.3
    guide = torch.zeros(1, 1, *cat.shape[-2:])
    guide[..., : cat.shape[-1] // 2] = 1
    half = torch.cat([cat[..., : 3 * cat.shape[-1] // 4], torch.zeros_like(cat[..., 3 * cat.shape[-1] // 4 :])], 3)
    assert metrics.recognised(half, cat, guide).kept > metrics.recognised(half, cat).kept - 0.05


def test_faces_are_found_where_they_were(content):
    wanted = faces(content)
    assert len(wanted) == 1
    assert metrics.faces_found(content, wanted) == [True]
    assert metrics.faces_found(torch.full_like(content, 0.5), wanted) == [False]
    elsewhere = Box(wanted[0].top + 100, wanted[0].left, wanted[0].height, wanted[0].width)
    assert metrics.faces_found(content, [wanted[0], elsewhere]) == [True, False]
    assert metrics.faces_found(content, []) == []
