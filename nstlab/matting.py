"""The matting Laplacian of a photo (Levin et al. 2006): how far a picture is from a recolouring of it, and the nearest ones.

Inside every 3x3 window the picture's colours should be an affine function of the photo's. Written window by window it needs no
matrix.
"""

import torch
import torch.nn.functional as F

from nstlab.errors import SettingError

EPS = 1e-7  # of Luan et al. 2017; the price of a steep affine map
Model = tuple[torch.Tensor, torch.Tensor]


def window_mean(x: torch.Tensor) -> torch.Tensor:
    """Mean over each 3x3 window that lies inside the picture: (N, C, H, W) -> (N, C, H-2, W-2)."""
    return F.avg_pool2d(x, 3, 1)


def window_model(photo: torch.Tensor, eps: float = EPS) -> Model:
    """Of each window of a photo (1, 3, H, W): its mean colour, and the inverse (h, w, 3, 3) of covariance + eps / 9."""
    mean = window_mean(photo)
    pairs = (photo[:, :, None] * photo[:, None]).flatten(1, 2)
    covariance = window_mean(pairs) - (mean[:, :, None] * mean[:, None]).flatten(1, 2)
    covariance = covariance[0].view(3, 3, *mean.shape[-2:]).permute(2, 3, 0, 1)
    return mean, torch.linalg.inv(covariance + eps / 9 * torch.eye(3, dtype=photo.dtype, device=photo.device))


def matting_energy(image: torch.Tensor, photo: torch.Tensor, model: Model | None = None) -> torch.Tensor:
    """Sum over colours c of V_c^T M V_c, M the photo's matting Laplacian, for images (1, C, H, W) and (1, 3, H, W).

    A window costs 9 (var(V) - cov(V, I)^T (cov(I) + eps / 9)^-1 cov(V, I)). 0 for an affine recolouring of the photo but
    for eps. Give float64: the differences are small. `model` is `window_model` of the photo, if it is at hand.
    """
    mean, inverse = model or window_model(photo)
    ours = window_mean(image)
    variance = window_mean(image.square()) - ours.square()
    cross = (photo[:, :, None] * image[:, None]).flatten(1, 2)
    cross = window_mean(cross) - (mean[:, :, None] * ours[:, None]).flatten(1, 2)
    cross = cross[0].view(3, image.shape[1], *ours.shape[-2:]).permute(2, 3, 0, 1)  # (h, w, 3, C)
    explained = (cross * (inverse @ cross)).sum((2, 3))
    return 9 * (variance.sum() - explained.sum())


class Affinity:
    """The matting affinity W of a photo (1, 3, H, W), a symmetric matrix that links the pixels which share a 3x3 window.

    W_ij is the sum over the windows k that hold both of (1 + (I_i - mean_k)^T (cov_k + eps / 9)^-1 (I_j - mean_k)) / 9. It is
    kept as one map for each of 13 distances between two pixels; the other 12 are their mirror images. `degree` (1, 1, H, W),
    the sum of a row, is the number of windows that hold a pixel; the matting Laplacian is degree - W.
    """

    def __init__(self, photo: torch.Tensor, eps: float = EPS):
        mean, inverse = window_model(photo, eps)
        height, width = mean.shape[-2:]
        at = lambda place: (..., slice(place // 3, place // 3 + height), slice(place % 3, place % 3 + width))
        apart = [photo[at(place)][0] - mean[0] for place in range(9)]
        pulled = [torch.einsum("hwij,jhw->ihw", inverse, each) for each in apart]
        self.maps: dict[tuple[int, int], torch.Tensor] = {}
        for one in range(9):
            for other in range(one, 9):
                shift = (other // 3 - one // 3, other % 3 - one % 3)
                linked = self.maps.setdefault(shift, photo.new_zeros(1, 1, *photo.shape[-2:]))
                linked[at(one)] += (1 + (apart[one] * pulled[other]).sum(0)) / 9
        self.degree = 9 * F.avg_pool2d(F.pad(torch.ones_like(mean[:, :1]), (2, 2, 2, 2)), 3, 1)

    @property
    def diagonal(self) -> torch.Tensor:
        """W_ii as a map (1, 1, H, W)."""
        return self.maps[0, 0]

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """W V of images V (1, C, H, W)."""
        total = self.diagonal * image
        for (down, right), linked in self.maps.items():
            if (down, right) == (0, 0):
                continue
            here, there = _overlap(image.shape[-2:], down, right), _overlap(image.shape[-2:], -down, -right)
            total[here].addcmul_(linked[here], image[there])
            total[there].addcmul_(linked[here], image[here])
        return total


def _overlap(size, down: int, right: int):
    """Where a picture of (H, W) has a neighbour so far down and to the right."""
    rows, columns = ((max(0, -step), min(side, side - step)) for side, step in zip(size, (down, right), strict=True))
    return ..., slice(*rows), slice(*columns)


@torch.no_grad()
def smooth(
    image: torch.Tensor, photo: torch.Tensor, beta: float = 0.9999, *, eps: float = EPS, tolerance: float = 1e-2, start=None
) -> torch.Tensor:
    """(1 - beta) (1 - beta S)^-1 of an image (1, 3, H, W), as large as the photo: colours even out where the photo's do.

    S = D^-1 W is the photo's matting affinity. The result R minimises beta R^T M R + (1 - beta) |R - image|^2 (each pixel
    counted as often as windows hold it), so its matting energy is at most the image's; beta 0 gives the image back (Zhou et
    al. 2004; Li et al. 2018, who normalise S symmetrically, which leaves a dark frame where fewer windows hold a pixel).
    Solved by conjugate gradients until the residual is `tolerance` of the right side's, from `start` if that is given. A
    picture thinner than a window is returned as it is. Raises SettingError.
    """
    beta = check_beta(beta)
    if image.shape[-2:] != photo.shape[-2:]:
        raise SettingError(f"smoothing: the picture has {tuple(image.shape[-2:])} pixels, its photo {tuple(photo.shape[-2:])}")
    if beta == 0 or min(photo.shape[-2:]) < 3:
        return image
    exact = torch.float32 if image.device.type == "mps" else torch.float64
    links = Affinity(photo.to(image.device, exact), eps)
    wanted = (1 - beta) * links.degree * image.to(exact)
    apply = lambda v: links.degree * v - beta * links(v)
    first = (image if start is None else start).to(exact)
    return conjugate_gradients(apply, wanted, first, links.degree - beta * links.diagonal, tolerance).to(image.dtype)


def check_beta(beta) -> float:
    """How much is smoothed, as a float in [0, 1). Raises SettingError."""
    try:
        number = float(beta)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < 1:
        raise SettingError(f"beta {beta}: give a number from 0 (no smoothing) to less than 1")
    return number


def conjugate_gradients(apply, wanted, x, diagonal, tolerance: float, most: int = 2000) -> torch.Tensor:
    """x (1, C, H, W) with apply(x) = wanted, each channel a system of its own (Hestenes & Stiefel 1952), Jacobi-preconditioned.

    `apply` is symmetric and positive definite, `diagonal` is its diagonal or near it.
    """
    dot = lambda a, b: (a * b).sum((2, 3), keepdim=True)
    residual = wanted - apply(x)
    limit = tolerance**2 * dot(wanted, wanted)
    step = guided = residual / diagonal
    height = dot(residual, guided)
    for _ in range(most):
        if bool((dot(residual, residual) <= limit).all()):
            break
        moved = apply(step)
        length = height / dot(step, moved).clamp_min(torch.finfo(x.dtype).tiny)
        x, residual = x + length * step, residual - length * moved
        guided = residual / diagonal
        before, height = height, dot(residual, guided)
        step = guided + height / before.clamp_min(torch.finfo(x.dtype).tiny) * step
    return x
