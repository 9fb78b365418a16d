"""Repetition: tiles are one pattern over and over, noise, photos and edges are not."""

import pytest
import torch

from nstlab import images, metrics
from nstlab.filters import gaussian


@pytest.fixture(scope="module")
def tiles():
    """A patch of noise 24 pixels wide, over and over."""
    patch = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    return patch.repeat(1, 1, 12, 14)[..., :280, :320]


def test_tiles_repeat_at_any_size_contrast_and_brightness(tiles):
    for picture in (
        tiles,
        0.4 + 0.05 * tiles,
        1 - tiles,
        tiles[..., :200, :],
        tiles.transpose(2, 3),
        images.resize(tiles, 640),
    ):
        assert metrics.repeats(picture) > 0.9
    soft = gaussian(tiles, 2.0)
    assert metrics.repeats(soft) > 0.9


def test_noise_does_not_repeat_and_wider_noise_hardly():
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 384, 512, generator=rng)
    assert metrics.repeats(noise) < 0.1
    assert metrics.repeats(0.5 + 2 * (gaussian(noise, 3.0) - 0.5)) < 0.3


@pytest.mark.parametrize("name", ["astronaut", "cat", "starry-night"])
def test_photos_and_paintings_hardly_repeat_whatever_their_size(name):
    large, small = (metrics.repeats(images.load(name, size)) for size in (512, 256))
    assert large < 0.25 and small == pytest.approx(large, abs=0.05)


def test_an_edge_is_like_itself_all_along_and_no_pattern():
    """One step at a slant: its correlation is a ridge, which never falls and rises again; several side by side are stripes."""
    down, across = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    step = gaussian(((across + 0.4 * down) > 180).float().expand(1, 3, -1, -1), 1.0)
    stripes = (0.5 + 0.3 * torch.sin((across + 0.4 * down) / 2)).expand(1, 3, -1, -1)
    assert metrics.repeats(step) < 0.15
    assert metrics.repeats(stripes) > 0.9


def test_score_is_read_place_by_place(tiles):
    """Tiles beside noise of the same contrast: half of the picture repeats."""
    noise = torch.rand(tiles.shape, generator=torch.Generator().manual_seed(1))
    score, contrast = metrics.repetition_map(torch.cat([tiles[..., :160], noise[..., 160:]], 3))
    assert score.shape == contrast.shape
    assert score[..., 0].min() > 0.9 and score[..., -1].max() < 0.2
    assert metrics.repeats(torch.cat([tiles[..., :160], noise[..., 160:]], 3)) == pytest.approx(0.5, abs=0.12)


def test_what_the_painting_repeats_itself_is_taken_away(tiles):
    photo = images.load("cat", 256)
    own = metrics.repeats(photo)
    assert metrics.repeats(tiles, tiles) == 0 and metrics.repeats(photo, tiles) == 0
    assert metrics.repeats(tiles, photo) == pytest.approx(metrics.repeats(tiles) - own, abs=1e-5)


def test_a_blank_and_a_narrow_picture_have_an_answer():
    assert metrics.repeats(torch.full((1, 3, 64, 64), 0.5)) == 0
    for size in ((8, 300), (5, 5), (1, 1), (300, 8)):
        assert 0 <= metrics.repeats(torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))) <= 1
