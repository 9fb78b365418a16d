import pytest
import torch

from nstlab import color, images
from nstlab.errors import SettingError
from nstlab.stats import covariance


@pytest.fixture(scope="module")
def pair():
    return images.load("starry-night", 80).double(), images.load("astronaut", 64).double()


@pytest.mark.parametrize("mode", color.MATCHES)
def test_mean_and_covariance_match_before_clipping(pair, mode):
    source, target = pair
    matched = color.match_colors(source, target, mode, clip=False)
    for ours, theirs in zip(covariance(matched), covariance(target)):
        assert (ours - theirs).abs().max() < 1e-6
    assert (color.match_colors(source, source, mode, clip=False) - source).abs().max() < 1e-6


def test_monge_moves_pixels_least(pair):
    source, target = pair
    moved = {m: (color.match_colors(source, target, m, clip=False) - source).square().mean().item() for m in color.MATCHES}
    assert moved["monge"] <= min(moved.values()) + 1e-12


def test_luminance_mode_leaves_chroma(pair):
    content = pair[1]
    brightness = torch.rand(1, 1, *content.shape[-2:], dtype=torch.float64)
    result = color.with_luminance(content, brightness, clip=False)
    assert (color.luminance(result) - brightness).abs().max() < 1e-6
    chroma = (result - color.luminance(result)) - (content - color.luminance(content))
    assert chroma.abs().max() < 1e-6


def test_match_luminance(pair):
    matched = color.match_luminance(*pair, clip=False)
    assert matched[:, :1].mean() == pytest.approx(color.luminance(pair[1]).mean().item())
    assert matched[:, :1].std() == pytest.approx(color.luminance(pair[1]).std().item())
    assert torch.equal(matched[:, 0], matched[:, 2])


def test_a_grey_painting_has_finite_colours(pair):
    grey = color.luminance(pair[0]).expand_as(pair[0])
    for mode in color.MATCHES:
        assert color.match_colors(grey, pair[1], mode).isfinite().all()
    with pytest.raises(SettingError, match="monge"):
        color.match_colors(*pair, mode="monje")


def test_oklab_by_the_book():
    """White, and the primaries as Ottosson's page gives them."""
    book = {(1, 1, 1): (1.0, 0, 0), (1, 0, 0): (0.628, 0.225, 0.126), (0, 0, 1): (0.452, -0.032, -0.312)}
    for rgb, lab in book.items():
        found = color.to_oklab(torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)).flatten()
        assert torch.allclose(found, torch.tensor(lab), atol=1e-3)


def test_oklab_there_and_back(photo):
    assert torch.allclose(color.from_oklab(color.to_oklab(photo)), photo, atol=1e-4)
    other = images.load("great-wave", tuple(photo.shape[-2:]))
    mixed = color.with_chroma(photo, other)
    inside = ((mixed > 0) & (mixed < 1)).all(1, keepdim=True)
    lightness = (color.to_oklab(mixed)[:, :1] - color.to_oklab(photo)[:, :1]).abs() * inside
    chroma = (color.to_oklab(mixed)[:, 1:] - color.to_oklab(other)[:, 1:]).abs() * inside
    assert max(lightness.max(), chroma.max()) < 1e-3
