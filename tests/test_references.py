"""What is written by hand because it is the lesson, against what the field's libraries make of the same picture."""

import numpy as np
import pytest
import scipy.ndimage
import torch

from nstlab import color, filters, images, metrics
from nstlab.encoders.weights import import_torchvision
from nstlab.losses.smoothness import total_variation
from nstlab.losses.structure import WINDOW, ssim_map


@pytest.fixture(scope="module")
def piq():
    import_torchvision()  # which it imports
    return pytest.importorskip("piq")


@pytest.fixture(scope="module")
def pair():
    """A photo and a painting (1, 3, 60, 84): even sides, since libraries differ in how they halve odd ones."""
    return images.load("astronaut", (60, 84)), images.load("starry-night", (60, 84))


@pytest.mark.parametrize("sigma", [0.7, 1.5, 4.0])
def test_blur_equals_scipys(sigma, pair):
    radius = round(3 * sigma)
    ours = filters.gaussian(pair[0].double(), sigma)[0].numpy()
    for channel, blurred in zip(pair[0][0].double().numpy(), ours, strict=True):
        reference = scipy.ndimage.gaussian_filter(channel, sigma, mode="mirror", radius=max(1, radius))
        assert np.allclose(blurred, reference, atol=1e-12)


def test_sobel_equals_scipys(pair):
    grey = color.luminance(pair[0].double())
    right, down = filters.gradient(grey)
    for ours, axis in ((right, 1), (down, 0)):
        assert np.allclose(ours[0, 0], scipy.ndimage.sobel(grey[0, 0].numpy(), axis, mode="mirror") / 8, atol=1e-12)
    length = np.hypot(right[0, 0], down[0, 0])
    assert np.allclose(filters.sobel(pair[0].double())[0, 0], 2 * length, atol=1e-5)


def test_laplacian_equals_scipys(pair):
    pooled = torch.nn.functional.avg_pool2d(pair[0], 2).sum(1)[0]
    reference = -scipy.ndimage.laplace(pooled.numpy())[1:-1, 1:-1]
    assert np.allclose(filters.laplacian(pair[0], 2)[0, 0], reference, atol=1e-5)


def test_ssim_equals_piqs(pair, piq):
    """Which looks at whole windows alone, where ours mirrors the picture at its border."""
    grey = [color.luminance(image) for image in pair]
    edge = WINDOW // 2
    inner = ssim_map(*grey)[..., edge:-edge, edge:-edge].mean().item()
    assert inner == pytest.approx(piq.ssim(*grey, data_range=1.0, downsample=False).item(), abs=1e-5)


def test_total_variation_equals_piqs(pair, piq):
    """piq adds up what ours takes the mean of, all differences of both directions."""
    wide = torch.cat([pair[0]] * 2, 3)
    for image in (pair[0], wide):
        _, channels, height, width = image.shape
        across = (image[..., 1:] - image[..., :-1]).square().sum().item()
        both = piq.total_variation(image, norm_type="l2_squared").item()
        mean = across / (channels * height * (width - 1)) + (both - across) / (channels * (height - 1) * width)
        assert total_variation(image).item() == pytest.approx(mean, rel=1e-4)


def test_gmsd_equals_piqs(pair, piq):
    noise = torch.randn(pair[0].shape, generator=torch.Generator().manual_seed(1))
    for other in (pair[1], (pair[0] + 0.1 * noise).clamp(0, 1)):
        assert metrics.gmsd(pair[0], other) == pytest.approx(piq.gmsd(pair[0], other).item(), rel=1e-4)


def test_lab_equals_kornias():
    """Values of kornia 0.9.0 (rgb_to_lab, D65), which is not installed here: 32 MB for six numbers."""
    image = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.5, 0.7], [1, 1, 1], [0, 0, 0]]).T.reshape(1, 3, 1, 6)
    wanted = torch.tensor(
        [[53.241, 80.092, 67.203], [87.735, -86.183, 83.180], [32.296, 79.186, -107.86], [50.972, -6.398, -33.709]]
        + [[100.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    )
    assert torch.allclose(filters.rgb_to_lab(image)[0, :, 0].T, wanted, atol=0.02)
