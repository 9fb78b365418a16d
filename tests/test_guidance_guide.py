"""Guides, maps of the user's own, and the filters that maps are made with."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from nstlab.errors import ImageError, SettingError
from nstlab.filters import box, gaussian, guided_filter, shrink, stretch
from nstlab.guidance import Guide, load_map


def test_a_map_file_is_read_and_resized_with_a_note(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.tile(np.array([0, 255], np.uint8).repeat(16), (32, 1))).save(path)
    guide = load_map(path, (64, 64))
    assert guide.map.shape == (1, 1, 64, 64) and guide.map[0, 0, 5, 5] == 0 and guide.map[0, 0, 5, 60] == 1
    assert "mask.png" in guide.method and "resized from 32 x 32 to 64 x 64" in guide.note
    assert load_map(path).note == "" and "stretched" in load_map(path, (64, 32)).note


@pytest.mark.parametrize("brush", [(255, 255, 255), (0, 0, 0), (200, 30, 30)])
def test_a_brush_on_a_transparent_layer_is_its_opacity(brush, tmp_path):
    layer = np.zeros((4, 6, 4), np.uint8)
    layer[:, 3:, :3], layer[:, 3, 3], layer[:, 4:, 3] = brush, 102, 255
    guide = load_map(Image.fromarray(layer))
    assert torch.allclose(guide.map[0, 0, 0], torch.tensor([0, 0, 0, 0.4, 1, 1])) and "where the brush was" in guide.note
    layer[:, 5, :3] = 255 - layer[:, 5, :3]  # and a second colour
    guide = load_map(Image.fromarray(layer))
    assert guide.map[..., :3].max() == 0 and "transparent is 0" in guide.note


def test_a_picture_that_is_opaque_everywhere_is_its_brightness():
    layer = np.full((4, 6, 4), 255, np.uint8)
    layer[:, :3, :3] = 0
    guide = load_map(Image.fromarray(layer))
    assert guide.map[0, 0, 0].tolist() == [0, 0, 0, 1, 1, 1] and guide.note == ""


def test_arrays_are_taken_as_they_are(tmp_path):
    values = np.random.default_rng(0).random((8, 9))
    np.save(tmp_path / "map.npy", values)
    for source in (values, torch.tensor(values), torch.tensor(values)[None, None], tmp_path / "map.npy"):
        assert torch.allclose(load_map(source, (8, 9)).map[0, 0].double(), torch.tensor(values), atol=1e-6)
    assert load_map(values > 0.5).map.unique().tolist() == [0, 1]


@pytest.mark.parametrize("bad", [255.0, -0.5, float("nan"), float("inf")])
def test_a_bad_range_is_a_clear_error(bad):
    values = torch.zeros(4, 4)
    values[1, 1] = bad
    with pytest.raises(SettingError, match=r"\[0, 1\]"):
        load_map(values)
    with pytest.raises(SettingError):
        Guide(values[None, None], "mine")
    if bad == 255:
        with pytest.raises(SettingError, match="dividing by 255"):
            load_map(values)


def test_bad_shapes_and_files_are_clear_errors(tmp_path):
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    for source, error in (
        (torch.zeros(3, 4, 4), SettingError),
        (torch.zeros(4), SettingError),
        (torch.zeros(0, 4), SettingError),
        (torch.zeros(1, 3, 4, 4), SettingError),
        (tmp_path / "bad.npy", ImageError),
        (tmp_path / "none.npy", ImageError),
        (tmp_path / "none.png", ImageError),
    ):
        with pytest.raises(error):
            load_map(source)


def test_a_uniform_map_says_so():
    assert load_map(torch.zeros(4, 4)).uniform and "singles nothing out" in load_map(torch.zeros(4, 4)).note
    assert "1 everywhere" in load_map(torch.ones(4, 4)).note and not load_map(torch.eye(4)).uniform
    assert torch.equal(load_map(torch.eye(4)).inverted().map[0, 0], 1 - torch.eye(4))


def test_nothing_changes_its_argument():
    values = torch.rand(5, 5)
    before = values.clone()
    load_map(values, (9, 9)).map.add_(1)
    guide = load_map(values)
    guide.map.mul_(0)
    assert torch.equal(values, before)


def test_box_is_the_mean_of_the_window():
    x = torch.rand(2, 3, 11, 14)
    for radius in (1, 3):
        expected = F.avg_pool2d(F.pad(x, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)
        assert torch.allclose(box(x, radius), expected, atol=1e-5)
    assert torch.equal(box(x, 0), x) and torch.allclose(box(torch.ones(1, 1, 1, 2), 4), torch.ones(1, 1, 1, 2))


def test_gaussian_and_stretch():
    assert torch.allclose(gaussian(torch.full((1, 2, 6, 7), 0.3), 2.0), torch.full((1, 2, 6, 7), 0.3), atol=1e-6)
    spot = torch.zeros(1, 1, 21, 21)
    spot[..., 10, 10] = 1
    assert gaussian(spot, 2.0).sum() == pytest.approx(1, abs=1e-4)
    assert stretch(torch.tensor([[[[2.0, 4.0, 3.0]]]])).tolist() == [[[[0, 1, 0.5]]]]
    assert stretch(torch.full((2, 1, 3, 3), 7.0)).abs().sum() == 0


def test_guided_filter_keeps_the_pictures_edge_and_drops_noise():
    torch.manual_seed(0)
    step = torch.zeros(1, 1, 40, 40)
    step[..., 20:] = 1
    noisy = step + 0.2 * torch.randn_like(step)
    result = guided_filter(noisy, step.expand(1, 3, 40, 40), 4)
    assert (result - step).abs().mean() < 0.35 * (noisy - step).abs().mean()
    assert result[..., 21].mean() - result[..., 18].mean() > 0.9
    large = guided_filter(noisy, step.expand(1, 3, 40, 40), 4, full=torch.rand(1, 3, 90, 80))
    assert large.shape == (1, 1, 90, 80) and shrink(large, 30).shape == (1, 1, 30, 27)
    with pytest.raises(SettingError):
        guided_filter(noisy, torch.rand(1, 3, 9, 9), 2)
