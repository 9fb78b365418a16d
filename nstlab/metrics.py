"""What was kept and what was painted, as numbers. None means anything alone: read preservation at matched style."""

import torch
import torch.nn.functional as F

from nstlab.color import luminance
from nstlab.filters import at_size, gradient
from nstlab.guidance.edges import canny
from nstlab.losses.region import guided_gram
from nstlab.losses.structure import ssim_map
from nstlab.stats import covariance, gram, matrix_power, mean_std, single

UNUSED_STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_2", "relu4_3")  # none of them is read by the default objective


def ssim(a: torch.Tensor, b: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """Structural similarity of the luminance of two images; 1 is the same. With a map (1, 1, H, W) weighted by it."""
    similarity = ssim_map(luminance(a), luminance(b))
    return _average(similarity, guide)


def gmsd(a: torch.Tensor, b: torch.Tensor, guide: torch.Tensor | None = None) -> float:
    """Gradient magnitude similarity deviation (Xue et al. 2014) of two images: 0 is the same. Ignores colour.

    On luminance at half size, by Prewitt-like gradients; with a map, deviation about the mean inside it.
    """
    strengths = []
    for image in (a, b):
        right, down = gradient(F.avg_pool2d(luminance(image), 2, ceil_mode=True))
        strengths.append((right.square() + down.square()).sqrt())
    c = 0.0026
    similarity = (2 * strengths[0] * strengths[1] + c) / (strengths[0].square() + strengths[1].square() + c)
    if guide is not None:
        guide = at_size(guide, similarity.shape[-2:])
    mean = _average(similarity, guide)
    return _average((similarity - mean).square(), guide) ** 0.5


def edge_f1(image: torch.Tensor, content: torch.Tensor, tolerance: float = 0.0075, threshold: float = 0.5) -> float:
    """F1 of the edges of `image` against those of `content`, matched within `tolerance` of the diagonal (by dilation)."""
    found, wanted = (canny(x) > threshold for x in (image, content))
    radius = max(1, round(tolerance * (image.shape[-1] ** 2 + image.shape[-2] ** 2) ** 0.5))
    if not bool(found.any()) or not bool(wanted.any()):
        return float(bool(found.any()) == bool(wanted.any()))
    wide = [F.max_pool2d(x.float(), 2 * radius + 1, 1, radius) > 0 for x in (found, wanted)]
    precision = (found & wide[1]).sum() / found.sum()
    recall = (wanted & wide[0]).sum() / wanted.sum()
    return float(2 * precision * recall / (precision + recall).clamp_min(1e-9))


@torch.no_grad()
def style_distance(encoder, image, style, layers=UNUSED_STYLE_LAYERS, statistic: str = "gram", guide=None) -> float:
    """Distance of an image's statistics from a painting's, mean over `layers`; with a map, of the region's statistics.

    "gram": squared Gram distance over the painting's Gram energy; "mean_std": squared differences of channel mean and
    deviation; "frechet": Frechet distance of the places' features, over the channels (single-image, encoder-swapped).
    """
    ours, theirs = encoder(image, layers), encoder(style, layers)
    total = 0.0
    for layer in layers:
        a, b = single(ours[layer]), single(theirs[layer])
        if statistic == "gram":
            region = gram(a) if guide is None else guided_gram(a, at_size(guide, a.shape[-2:]))
            total += (F.mse_loss(region, gram(b)) / gram(b).square().mean().clamp_min(1e-12)).item()
        elif statistic == "mean_std":
            total += sum(F.mse_loss(x, y).item() for x, y in zip(mean_std(a), mean_std(b)))
        else:
            total += _frechet(a, b)
    return total / len(layers)


def _frechet(a, b) -> float:
    (mean_a, cov_a), (mean_b, cov_b) = covariance(a.double()), covariance(b.double())
    root = matrix_power(cov_a, 0.5)
    cross = matrix_power(root @ cov_b @ root, 0.5)
    trace = (cov_a + cov_b - 2 * cross).diagonal(dim1=1, dim2=2).sum()
    return ((mean_a - mean_b).square().sum() + trace).clamp_min(0).item() / a.shape[1]


@torch.no_grad()
def feature_distance(encoder, image, content, layers=("relu3_1", "relu4_2"), guide=None) -> dict[str, float]:
    """Mean squared feature difference of two images at each of `layers`; with a map, inside the region it marks."""
    ours, theirs = encoder(image, layers), encoder(content, layers)
    found = {}
    for layer in layers:
        error = (single(ours[layer]) - single(theirs[layer])).square().mean(1, keepdim=True)
        found[layer] = _average(error, None if guide is None else at_size(guide, error.shape[-2:]))
    return found


def color_distance(a: torch.Tensor, b: torch.Tensor, bins: int = 8) -> float:
    """Chi-square distance of the joint RGB histograms of two images: 0 the same, 1 nothing in common."""
    histograms = []
    for image in (a, b):
        codes = (image.clamp(0, 1) * bins).long().clamp_max(bins - 1)
        joint = (codes[:, 0] * bins + codes[:, 1]) * bins + codes[:, 2]
        counts = torch.bincount(joint.flatten(), minlength=bins**3).float()
        histograms.append(counts / counts.sum())
    p, q = histograms
    return (0.5 * ((p - q).square() / (p + q).clamp_min(1e-12)).sum()).item()


def depth_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    """RMSE of a depth map after the best scale (not below 0) and shift, over the truth's deviation.

    0 for maps that differ by those alone; 1 is no better than flat, as a reversed map is.
    """
    x, y = (m.flatten().double() for m in (found, truth))
    x, y = x - x.mean(), y - y.mean()
    scale = ((x * y).sum() / x.square().sum().clamp_min(1e-12)).clamp_min(0)
    return ((scale * x - y).square().mean().sqrt() / y.square().mean().sqrt().clamp_min(1e-12)).item()


def _average(values: torch.Tensor, guide: torch.Tensor | None) -> float:
    return values.mean().item() if guide is None else ((values * guide).sum() / guide.sum().clamp_min(1e-9)).item()
