"""Statistics of features (N, C, H, W) over places: Gram matrix, mean and standard deviation, covariance."""

import torch

ROUNDING = 1e-5  # a smaller standard deviation is that of a constant channel, rounded
BLOCK = 2**16  # places whose features are held in float64 at a time


def gram(features: torch.Tensor) -> torch.Tensor:
    """Gram matrix F F^T / (C H W) of each item, (N, C, C), in float32 for bf16 features.

    Multiplied in the features' own precision, so bf16 stays fast. Normalised as in Johnson et al. (2016), so that tiling the
    picture hardly changes it.
    """
    return product(places_first(features)) / (features.shape[1] * features.shape[2] * features.shape[3])


def places_first(features: torch.Tensor) -> torch.Tensor:
    """Features (N, C, H, W) as (N, H W, C); for channels_last features both this and its gradient are views."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def product(rows: torch.Tensor) -> torch.Tensor:
    """R^T R of each item of (N, places, C), as (N, C, C) in float32 or better."""
    if len(rows) == 1:
        return single(_Product.apply(rows.squeeze(0)).unsqueeze(0))
    return single(_Product.apply(rows))


class _Product(torch.autograd.Function):
    """R^T R of R (..., places, C). Its gradient R (g + g^T) is one product, where autograd would compute two."""

    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        return rows.mT @ rows

    @staticmethod
    def backward(ctx, gradient):
        (rows,) = ctx.saved_tensors
        return rows @ (gradient + gradient.mT)


def single(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 if it has fewer bits, else as it is: sums of squares need more precision than bf16 has."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def mean_std(features: torch.Tensor, eps: float = 1e-5, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel over places, each (N, C); `eps` is added to the variance.

    With a mask (1 or N, 1, h, w) each place counts by its value there; a mask that is 0 everywhere gives NaN.
    """
    flat = single(features).flatten(2)
    if mask is None:
        return flat.mean(2), (flat.var(2, unbiased=False) + eps).sqrt()
    weights = _weights(mask, flat)
    mean = (flat * weights).sum(2)
    return mean, (((flat - mean[..., None]).square() * weights).sum(2) + eps).sqrt()


def _weights(mask: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
    """A mask as weights (1 or N, 1, places) that add up to 1."""
    weights = mask.to(flat.device, flat.dtype).flatten(2)
    return weights / weights.sum(2, keepdim=True)


def with_moments(features: torch.Tensor, mean: torch.Tensor, std: torch.Tensor, eps: float = 1e-5, mask=None) -> torch.Tensor:
    """Features with another mean and standard deviation of each channel over places, each (N, C); in float32 or better.

    With a `mask` it is the features' moments inside it that are replaced. The deviation is met exactly where the features'
    variance is at least `eps`; below it, the variances of both sides are raised by what the features' lacks, so that a channel
    that is dead gets the mean and no noise is blown up.
    """
    own_mean, own_std = (each[..., None, None] for each in mean_std(features, eps=0, mask=mask))
    lack = (eps - own_std.square()).clamp_min(0)
    gain = ((std[..., None, None].square() + lack) / (own_std.square() + lack)).sqrt()
    return (single(features) - own_mean) * gain.where(own_std > ROUNDING, 0) + mean[..., None, None]


def covariance(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (N, C, 1) and covariance (N, C, C) of the channels over places, divided by the number of places.

    In float32 for features of fewer bits.
    """
    flat = single(features).flatten(2)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    return mean, centred @ centred.transpose(1, 2) / flat.shape[2]


def moments(features: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """`covariance` in float64, block by block of the places; with a mask (1 or N, 1, h, w) each place counts by its value.

    A device without float64 hands the work to the CPU.
    """
    flat = features.flatten(2)
    flat = flat.cpu() if flat.device.type == "mps" else flat
    weights = flat.new_full((1, 1, flat.shape[2]), 1 / flat.shape[2], dtype=torch.float64)
    if mask is not None:
        weights = _weights(mask.double(), weights)
    parts = list(zip(flat.split(BLOCK, 2), weights.split(BLOCK, 2), strict=True))
    mean = sum((part.double() * share).sum(2, keepdim=True) for part, share in parts)
    return mean, sum(_scatter(part.double() - mean, share) for part, share in parts)


def _scatter(centred: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    return (centred * share) @ centred.mT


def matrix_power(matrix: torch.Tensor, exponent: float, floor: float | None = None) -> torch.Tensor:
    """Power of a symmetric positive semidefinite matrix (..., C, C), such as 0.5 or -0.5, from its eigenvalues.

    Eigenvalues of at most `floor` times the largest count as 0 and stay 0, so a negative power of a singular matrix is its
    pseudo-inverse's. The default is C times the machine epsilon, as in `torch.linalg.pinv`. In float32 for matrices of fewer
    bits.
    """
    values, vectors = torch.linalg.eigh(single(matrix))
    floor = values.shape[-1] * torch.finfo(values.dtype).eps if floor is None else floor
    kept = values > floor * values[..., -1:].clamp_min(0)
    powers = torch.where(kept, torch.where(kept, values, 1).pow(exponent), 0)  # the inner one keeps gradients finite
    return (vectors * powers.unsqueeze(-2)) @ vectors.transpose(-1, -2)


def monge_matrix(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """The symmetric positive A (..., C, C) with A S A = T for covariances S and T: the map between two normal distributions
    that moves places least."""
    root, inverse = matrix_power(ours, 0.5), matrix_power(ours, -0.5)
    return inverse @ matrix_power(root @ theirs @ root, 0.5) @ inverse
