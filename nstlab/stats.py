"""Statistics of features (N, C, H, W) that forget where things are: Gram matrix, mean and deviation, covariance."""

import torch


def gram(features: torch.Tensor) -> torch.Tensor:
    """Gram matrix F F^T / (C H W) of each item, (N, C, C), in float32 for bf16 features.

    Multiplied in the features' own precision, so bf16 stays fast. Normalised as Johnson et al. 2016; tiling the picture
    leaves it nearly unchanged.
    """
    return product(places_first(features)) / (features.shape[1] * features.shape[2] * features.shape[3])


def places_first(features: torch.Tensor) -> torch.Tensor:
    """Features (N, C, H, W) as (N, H W, C): a view if they are channels_last, and so is the gradient."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def product(rows: torch.Tensor) -> torch.Tensor:
    """R^T R of each item of (N, places, C), as (N, C, C) in float32 or better."""
    if len(rows) == 1:
        return single(_Product.apply(rows.squeeze(0)).unsqueeze(0))
    return single(_Product.apply(rows))


class _Product(torch.autograd.Function):
    """R^T R of R (..., places, C). Its gradient R (g + g^T) is one product; autograd, seeing R twice, makes two."""

    @staticmethod
    def forward(ctx, rows):
        ctx.save_for_backward(rows)
        return rows.mT @ rows

    @staticmethod
    def backward(ctx, gradient):
        (rows,) = ctx.saved_tensors
        return rows @ (gradient + gradient.mT)


def single(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in float32 if it has fewer bits, else as it is: sums of squares want more than bf16 has."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def mean_std(features: torch.Tensor, eps: float = 1e-5) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each channel, each (N, C); eps is added to the variance."""
    flat = single(features).flatten(2)
    return flat.mean(2), (flat.var(2, unbiased=False) + eps).sqrt()


def covariance(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (N, C, 1) and covariance (N, C, C) of the channels over places, divided by the number of places."""
    flat = features.flatten(2)
    mean = flat.mean(2, keepdim=True)
    centred = flat - mean
    return mean, centred @ centred.transpose(1, 2) / flat.shape[2]


def matrix_power(matrix: torch.Tensor, exponent: float) -> torch.Tensor:
    """Power of a symmetric positive matrix (..., C, C), such as 0.5 or -0.5, from its eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).pow(exponent).unsqueeze(-2)) @ vectors.transpose(-1, -2)
