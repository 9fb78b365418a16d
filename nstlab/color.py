"""Colour: luminance, and giving one picture the colours of another (Gatys et al. 2016b, 2017)."""

import torch

from nstlab.errors import choose
from nstlab.stats import covariance, matrix_power

MATCHES = ("monge", "pca", "cholesky")


def luminance(image: torch.Tensor) -> torch.Tensor:
    """Map (N, 1, H, W) of the brightness Y = 0.299 R + 0.587 G + 0.114 B."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def with_luminance(image: torch.Tensor, brightness: torch.Tensor, clip: bool = True) -> torch.Tensor:
    """The image with another brightness (N, 1, H, W) and its own chroma: the same grey is added to all channels."""
    result = image + (brightness - luminance(image))
    return result.clamp(0, 1) if clip else result


def match_luminance(style: torch.Tensor, content: torch.Tensor, clip: bool = True) -> torch.Tensor:
    """The style in grey, its brightness shifted and stretched to the content's mean and standard deviation."""
    ours, theirs = luminance(style), luminance(content)
    matched = (ours - ours.mean()) * (theirs.std() / ours.std().clamp_min(1e-6)) + theirs.mean()
    return (matched.clamp(0, 1) if clip else matched).expand_as(style)


def match_colors(source: torch.Tensor, target: torch.Tensor, mode: str = "monge", clip: bool = True) -> torch.Tensor:
    """The source recoloured by one affine map so that its RGB mean and covariance are the target's.

    The map is x -> A (x - mean_s) + mean_t with A S A^T = T; three choices of A: "monge" moves the pixels least,
    "pca" is T^1/2 S^-1/2, "cholesky" is L_t L_s^-1. Computed in float64; exact before clipping to [0, 1].
    """
    choose("colour match", mode, MATCHES)
    mean_s, cov_s = covariance(source.double())
    mean_t, cov_t = covariance(target.double())
    tiny = 1e-12 * torch.eye(3, dtype=torch.float64, device=source.device)  # a grey picture has a singular covariance
    cov_s, cov_t = cov_s + tiny, cov_t + tiny
    if mode == "cholesky":
        matrix = torch.linalg.cholesky(cov_t) @ torch.linalg.inv(torch.linalg.cholesky(cov_s))
    elif mode == "pca":
        matrix = matrix_power(cov_t, 0.5) @ matrix_power(cov_s, -0.5)
    else:
        root, inverse = matrix_power(cov_s, 0.5), matrix_power(cov_s, -0.5)
        matrix = inverse @ matrix_power(root @ cov_t @ root, 0.5) @ inverse
    flat = matrix @ (source.double().flatten(2) - mean_s) + mean_t
    result = flat.reshape(source.shape).to(source.dtype)
    return result.clamp(0, 1) if clip else result
