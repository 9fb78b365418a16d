"""Distances between two images: of luminance, edges, features, colours and depth.

None of them means much by itself: compare preservation between outputs of equal style distance. Images are (1, 3, H, W) in
[0, 1], maps (1, 1, H, W); everything is computed on the device of the first image.
"""

import torch
import torch.nn.functional as F

from nstlab.color import luminance
from nstlab.errors import choose
from nstlab.filters import at_size
from nstlab.guidance.edges import canny
from nstlab.losses.region import guided_gram
from nstlab.losses.structure import ssim_map
from nstlab.stats import covariance, gram, matrix_power, mean_std, single

UNUSED_STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_3")  # none of them is read by the default objective
GMSD_C = 170 / 255**2  # the constant of Xue et al. (2014), for values in [0, 1]


def ssim(a: torch.Tensor, b: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """Mean structural similarity of the luminance of two images, 1 if they are equal; weighted by the map if one is given."""
    similarity = ssim_map(luminance(a), luminance(b.to(a.device)))
    return _average(similarity, guide)


def gmsd(a: torch.Tensor, b: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """Gradient magnitude similarity deviation of the luminance of two images (Xue et al. 2014): 0 if they are equal.

    As in the paper: at half size, with Prewitt's filters divided by 3 and zero padding. With a map, mean and deviation are
    weighted by it.
    """
    similarity = _gradient_similarity(luminance(a), luminance(b.to(a.device)))
    guide = None if guide is None else at_size(guide, similarity.shape[-2:])
    mean = _average(similarity, guide)
    return _average((similarity - mean).square(), guide) ** 0.5


def _gradient_similarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Similarity (1, 1, H/2, W/2) of the gradient magnitudes of two maps, from 0 to 1."""
    down = torch.tensor([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]], dtype=a.dtype, device=a.device) / 3
    kernels = torch.stack([down.T, down])[:, None]
    x, y = (F.conv2d(F.avg_pool2d(m, 2, ceil_mode=True), kernels, padding=1).square().sum(1, keepdim=True) for m in (a, b))
    return (2 * (x * y).sqrt() + GMSD_C) / (x + y + GMSD_C)


def edge_f1(image: torch.Tensor, content: torch.Tensor, tolerance: float = 0.0075, threshold: float = 0.5) -> float:
    """F1 score of the edges of `image` against those of `content`, matched within `tolerance` times the diagonal."""
    found, wanted = (canny(x) > threshold for x in (image, content.to(image.device)))
    radius = max(1, round(tolerance * (image.shape[-1] ** 2 + image.shape[-2] ** 2) ** 0.5))
    if not bool(found.any()) or not bool(wanted.any()):
        return float(bool(found.any()) == bool(wanted.any()))
    wide = [F.max_pool2d(x.float(), 2 * radius + 1, 1, radius) > 0 for x in (found, wanted)]
    precision = (found & wide[1]).sum() / found.sum()
    recall = (wanted & wide[0]).sum() / wanted.sum()
    return float(2 * precision * recall / (precision + recall).clamp_min(1e-9))


@torch.no_grad()
def style_distance(encoder, image, style, layers=UNUSED_STYLE_LAYERS, statistic: str = "gram", guide=None) -> float:
    """Mean over `layers` of the distance between an image's feature statistics and a painting's.

    `statistic` is "gram" (mean squared difference of the Gram matrices over the mean square of the painting's; with a map,
    the image's Gram matrix is that of the region), "mean_std" (mean squared differences of the channels' means and of their
    standard deviations) or "frechet" (Frechet distance of normal distributions fitted to the features of all places, over
    the number of channels). Raises SettingError for another statistic.
    """
    choose("statistic", statistic, ("gram", "mean_std", "frechet"))
    ours, theirs = encoder(image, layers), encoder(style, layers)
    total = 0.0
    for layer in layers:
        a, b = single(ours[layer]), single(theirs[layer])
        if statistic == "gram":
            region = gram(a) if guide is None else guided_gram(a, at_size(guide.to(a.device), a.shape[-2:]))
            total += (F.mse_loss(region, gram(b)) / gram(b).square().mean().clamp_min(1e-12)).item()
        elif statistic == "mean_std":
            total += sum(F.mse_loss(x, y).item() for x, y in zip(mean_std(a), mean_std(b)))
        else:
            total += _frechet(a, b)
    return total / len(layers)


def _frechet(a, b) -> float:
    (mean_a, cov_a), (mean_b, cov_b) = covariance(_double(a)), covariance(_double(b))
    root = matrix_power(cov_a, 0.5)
    cross = matrix_power(root @ cov_b @ root, 0.5)
    trace = (cov_a + cov_b - 2 * cross).diagonal(dim1=1, dim2=2).sum()
    return ((mean_a - mean_b).square().sum() + trace).clamp_min(0).item() / a.shape[1]


@torch.no_grad()
def feature_distance(encoder, image, content, layers=("relu3_1", "relu4_2"), guide=None) -> dict[str, float]:
    """{layer: mean squared feature difference of two images}; with a map, weighted by it."""
    ours, theirs = encoder(image, layers), encoder(content, layers)
    found = {}
    for layer in layers:
        error = (single(ours[layer]) - single(theirs[layer])).square().mean(1, keepdim=True)
        found[layer] = _average(error, None if guide is None else at_size(guide, error.shape[-2:]))
    return found


def color_distance(a: torch.Tensor, b: torch.Tensor, bins: int = 8) -> float:
    """Chi-square distance of the joint RGB histograms of two images: 0 if equal, 1 if they have no colour in common."""
    histograms = []
    for image in (a, b.to(a.device)):
        codes = (image.clamp(0, 1) * bins).long().clamp_max(bins - 1)
        joint = (codes[:, 0] * bins + codes[:, 1]) * bins + codes[:, 2]
        counts = torch.bincount(joint.flatten(), minlength=bins**3).float()
        histograms.append(counts / counts.sum())
    p, q = histograms
    return (0.5 * ((p - q).square() / (p + q).clamp_min(1e-12)).sum()).item()


def depth_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    """RMSE of a depth map after the best scale (at least 0) and shift, over the standard deviation of the truth.

    0 for maps that differ by a scale and a shift only; 1 for a flat map and for a reversed one.
    """
    x, y = (_double(m.flatten()) for m in (found, truth.to(found.device)))
    x, y = x - x.mean(), y - y.mean()
    scale = ((x * y).sum() / x.square().sum().clamp_min(1e-12)).clamp_min(0)
    return ((scale * x - y).square().mean().sqrt() / y.square().mean().sqrt().clamp_min(1e-12)).item()


def _double(x: torch.Tensor) -> torch.Tensor:
    """The tensor in float64; on the CPU if it is on MPS, which has no float64."""
    return (x.cpu() if x.device.type == "mps" else x).double()


def _average(values: torch.Tensor, guide: torch.Tensor | None) -> float:
    if guide is None:
        return values.mean().item()
    guide = guide.to(values.device)
    return ((values * guide).sum() / guide.sum().clamp_min(1e-9)).item()
