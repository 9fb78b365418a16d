"""First weights of a decoder by linear regression: each convolution is fitted by least squares to what it should give.

A decoder that begins so gives recognisable pictures before its first step of training, which from random weights takes
hundreds.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.encoders.base import pool
from nstlab.networks.decoder import BEFORE_POOL, UPSAMPLINGS, Convolution, Decoder
from nstlab.networks.unpooling import spread, unpool_indices, unpool_wavelet

RIDGE = 1e-3  # of the mean variance of the inputs: what a weight costs
MOST = 16_000  # places that a regression looks at


@torch.no_grad()
def least_squares(decoder: Decoder, encoder, pictures: torch.Tensor) -> None:
    """Fill the decoder from what the encoder makes of the pictures (N, 3, H, W), deepest block first.

    The first convolution of a block gives the features before the pooling, as the pooling leaves them (those of the block's
    end, averaged, where it kept nothing to undo it with); the second one, upsampled, the features one block earlier.
    """
    pooling = UPSAMPLINGS[decoder.upsampling][0]
    plain = decoder.upsampling == "nearest"
    before = [] if plain else [BEFORE_POOL[level] for level in range(1, len(decoder.layers))]
    features = encoder(pictures, (*decoder.layers, *before))
    draw = torch.Generator().manual_seed(0)
    for layer, after in zip(decoder.layers, decoder.layers[1:]):
        block, level, x = decoder.blocks[layer], int(after[4]), features[layer].float()
        end = features[after].float()
        low = F.avg_pool2d(end, 2) if plain else pool(features[BEFORE_POOL[level]].float(), pooling)[0]
        _fit(block.low, x, low, draw)
        x, shape = F.relu(block.low(x)), tuple(end.shape[-2:])
        if plain:
            x = spread(x, shape)
        else:
            unpool = unpool_wavelet if decoder.upsampling == "wavelet" else unpool_indices
            kept = features[f"pool{level}"]
            x = unpool(x, kept.float() if kept.is_floating_point() else kept, shape)
        _fit(block.high, x, end, draw)
    _fit(decoder.last, features["relu1_1"].float(), features["image"], draw)


def _fit(layer: Convolution, x: torch.Tensor, y: torch.Tensor, draw: torch.Generator) -> None:
    """Fill a convolution so that it takes x (N, C, h, w) to y (N, C', h, w) as nearly as one does; with a rank, so many
    principal components of what the best one gives."""
    padded, (count, channels, height, width) = images.pad(x, (1, 1, 1, 1)), x.shape
    places = torch.randperm(count * height * width, generator=draw)[:MOST].to(x.device)
    number, rest = places // (height * width), places % (height * width)
    row, column = rest // width, rest % width
    rows = torch.cat([padded[number, :, row + i, column + j] for i in range(3) for j in range(3)], 1)
    wanted = y[number, :, row, column]
    mean, wanted_mean = rows.mean(0), wanted.mean(0)
    rows, wanted = rows - mean, wanted - wanted_mean
    matrix = rows.T @ rows
    matrix.diagonal().add_(RIDGE * matrix.diagonal().mean().clamp_min(1e-12))
    weight = torch.linalg.solve(matrix, rows.T @ wanted).T  # (C', 9 C)
    bias = wanted_mean - weight @ mean
    shaped = lambda values: values.unflatten(1, (3, 3, channels)).permute(0, 3, 1, 2)
    if layer.wide is None:
        layer.near.weight.copy_(shaped(weight))
        layer.near.bias.copy_(bias)
        return
    given = rows @ weight.T
    _, vectors = torch.linalg.eigh(given.T @ given)
    basis = vectors[:, -layer.near.out_channels :]
    layer.near.weight.copy_(shaped(basis.T @ weight))
    layer.wide.weight.copy_(basis[..., None, None])
    layer.wide.bias.copy_(bias)
