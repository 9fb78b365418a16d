"""Colour: luminance, OkLab, and giving one picture the colours of another (Gatys et al. 2016b, 2017)."""

import torch

from nstlab.errors import choose
from nstlab.stats import covariance, matrix_power, monge_matrix

MATCHES = ("monge", "pca", "cholesky")


def luminance(image: torch.Tensor) -> torch.Tensor:
    """Luminance map (N, 1, H, W) of an image: 0.299 R + 0.587 G + 0.114 B (Rec. 601)."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (image * weights).sum(1, keepdim=True)


def with_luminance(image: torch.Tensor, brightness: torch.Tensor, clip: bool = True) -> torch.Tensor:
    """The image with another luminance (N, 1, H, W): at each pixel the same number is added to all channels."""
    result = image + (brightness - luminance(image))
    return result.clamp(0, 1) if clip else result


def match_luminance(style: torch.Tensor, content: torch.Tensor, clip: bool = True) -> torch.Tensor:
    """The style in grey, its luminance shifted and scaled to the mean and standard deviation of the content's."""
    ours, theirs = luminance(style), luminance(content)
    matched = (ours - ours.mean()) * (theirs.std() / ours.std().clamp_min(1e-6)) + theirs.mean()
    return (matched.clamp(0, 1) if clip else matched).expand_as(style)


def match_colors(source: torch.Tensor, target: torch.Tensor, mode: str = "monge", clip: bool = True) -> torch.Tensor:
    """The source recoloured by an affine map, so that its RGB mean and covariance become the target's.

    The map is x -> A (x - mean_s) + mean_t with A S A^T = T, where S and T are the covariances. `mode` chooses A: "monge"
    changes the pixels least, "pca" is T^1/2 S^-1/2, "cholesky" is L_t L_s^-1. Computed in float64; exact before clipping to
    [0, 1]. Raises SettingError for an unknown mode.
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
        matrix = monge_matrix(cov_s, cov_t)
    flat = matrix @ (source.double().flatten(2) - mean_s) + mean_t
    result = flat.reshape(source.shape).to(source.dtype)
    return result.clamp(0, 1) if clip else result


# OkLab (Ottosson 2020): lightness L and two chroma axes, in which equal distances look about equally large

TO_CONES = ((0.4122214708, 0.5363325363, 0.0514459929), (0.2119034982, 0.6806995451, 0.1073969566),
            (0.0883024619, 0.2817188376, 0.6299787005))  # fmt: skip
TO_LAB = ((0.2104542553, 0.7936177850, -0.0040720468), (1.9779984951, -2.4285922050, 0.4505937099),
          (0.0259040371, 0.7827717662, -0.8086757660))  # fmt: skip


def to_oklab(image: torch.Tensor) -> torch.Tensor:
    """OkLab colours (N, 3, H, W) of an sRGB image: lightness in [0, 1], then the green-red and the blue-yellow axis."""
    linear = torch.where(image <= 0.04045, image / 12.92, ((image.clamp_min(0) + 0.055) / 1.055) ** 2.4)
    cones = _apply(TO_CONES, linear)
    return _apply(TO_LAB, cones.sign() * cones.abs() ** (1 / 3))


def from_oklab(lab: torch.Tensor, clip: bool = True) -> torch.Tensor:
    """The sRGB image (N, 3, H, W) of OkLab colours; colours outside sRGB are clipped."""
    linear = _apply(_inverse(TO_CONES), _apply(_inverse(TO_LAB), lab) ** 3)
    image = torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(1e-9) ** (1 / 2.4) - 0.055)
    return image.clamp(0, 1) if clip else image


def with_chroma(image: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
    """The lightness of one image with the chroma of another of the same size, both in OkLab."""
    return from_oklab(torch.cat([to_oklab(image)[:, :1], to_oklab(colors)[:, 1:]], 1))


KEPT = ("style", "luminance", "oklab", "only")


def keep_colors(image: torch.Tensor, photo: torch.Tensor, colors: str) -> torch.Tensor:
    """The stylized image with the colours that `colors`, one of KEPT, asks for.

    "style": its own. "luminance": the photo's chroma with the stylized luminance; "oklab": the same in OkLab. "only": the
    photo's lightness with the stylized chroma, in OkLab. Raises SettingError.
    """
    choose("colors", colors, KEPT)
    if colors == "luminance":
        return with_luminance(photo, luminance(image))
    if colors == "style":
        return image
    return with_chroma(image, photo) if colors == "oklab" else with_chroma(photo, image)


def _inverse(matrix):
    return torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64)).tolist()


def _apply(matrix, image: torch.Tensor) -> torch.Tensor:
    return torch.einsum("ij,njhw->nihw", torch.tensor(matrix, dtype=image.dtype, device=image.device), image)
