"""Draft and revision (LapStyle, Lin et al. 2021): a small draft of the whole picture, and details added at each finer scale."""

import functools

import torch
from torch import nn

from nstlab import images, pyramid
from nstlab.encoders import load_encoder
from nstlab.errors import WeightsError, check_count
from nstlab.networks.decoder import Decoder
from nstlab.networks.generator import Core, Staged, shares_of
from nstlab.stats import mean_std, with_moments

LAYER = "relu4_1"  # whose statistics are the style of a draft
DRAFT_SIDE = 128  # pixels of the long side of a draft, about
STYLE_SIDE = 192  # long side in pixels of the paintings whose statistics a draft takes


class RevisionNet(Staged):
    """AdaIN drafts the picture at a quarter of its size; at a half and at full size a Revision adds what is missing there.

    One network holds several paintings. Its norms are conditional (Dumoulin et al. 2017): a scale and a shift for each painting
    and channel, so that a blend of paintings is a blend of rows. (A map from a painting's statistics to such rows would have to
    be learned from as few paintings as there are rows.) A picture whose long side is over 768 pixels is drafted at an eighth
    and revised once more, by the last revision: it adds strokes of the same width in pixels. `widths` and `blocks` are those of
    the revisions. `decoder` are the options of the draft's Decoder, whose fingerprint names the encoder. The draft is frozen.
    Fresh revisions add nothing: the picture is the draft, enlarged.
    """

    def __init__(self, styles: int = 1, *, scales: int = 3, widths=(32, 48, 96), blocks: int = 3, decoder: dict):
        super().__init__()
        self.draft = AdainDraft(check_count("styles", styles), decoder)
        options = {"inputs": 9, "widths": widths, "blocks": blocks}
        self.revisions = nn.ModuleList(Revision(styles, **options) for _ in range(check_count("scales", scales, least=2) - 1))

    def stages(self, size: tuple[int, int]) -> list[nn.Module]:
        """The revisions of a picture of `size` (H, W), coarse to fine: the last one again while drafts would be too large.

        A network that is exported has one number of them for all sizes.
        """
        found = list(self.revisions)
        while not torch.compiler.is_exporting() and max(size) / 2 ** len(found) > 1.5 * DRAFT_SIDE:
            found.append(self.revisions[-1])
        return found

    def forward(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> torch.Tensor:
        """The painted image (N, 3, H, W) in [0, 1] of an image of any size; `blend` as for StyleNet."""
        return self.forward_all(image, blend)[-1]

    def forward_all(self, image: torch.Tensor, blend: torch.Tensor | None = None) -> list[torch.Tensor]:
        """The picture at each scale, coarse to fine: the draft first, the finished one last."""
        image = images.check(image)
        blend = shares_of(blend, self.styles, image)
        stages = self.stages(tuple(image.shape[-2:]))
        *bands, small = pyramid.laplacian_pyramid(image, 1 + len(stages))
        pictures = [self.draft(small, blend)]
        for band, revision in zip(reversed(bands), stages, strict=True):
            coarse = pyramid.upsample(small, tuple(band.shape[-2:]))
            pictures.append(revision(torch.cat([band, coarse], 1), pictures[-1], blend))
            small = coarse + band
        return pictures


class Revision(nn.Module):
    """Adds a band of details to an enlarged draft, given what is known of the photo at this scale.

    That is (N, inputs - 3, H, W): the photo's own band, and with 9 `inputs` what is coarser than it as well. Lin et al. have
    the band alone; but what the draft's features lost, eyes for instance, is coarser than the band and would be lost for good.
    `options` are those of Core.
    """

    def __init__(self, styles: int, inputs: int = 6, **options):
        super().__init__()
        self.core = Core(styles, inputs, **options)
        nn.init.zeros_(self.core.last.weight)

    def forward(self, seen: torch.Tensor, draft: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """Image (N, 3, H, W) in [0, 1] of what is seen of the photo (N, inputs - 3, H, W) and the draft (N, 3, h, w)."""
        draft = pyramid.upsample(draft, tuple(seen.shape[-2:]))
        return held(draft + torch.tanh(self.core(torch.cat([seen, draft], 1), blend)))


class AdainDraft(nn.Module):
    """AdaIN with paintings that it remembers: the mean and the deviation of each channel of their features.

    It holds the decoder's weights and the statistics; the encoder is the one of the package, by the decoder's fingerprint.
    """

    multiple = 8  # the distance in pixels of places at LAYER

    def __init__(self, styles: int, decoder: dict):
        super().__init__()
        self.decoder = Decoder(**decoder).requires_grad_(False)
        channels = self.decoder.channels[LAYER]
        self.register_buffer("mean", torch.zeros(styles, channels))
        self.register_buffer("deviation", torch.ones(styles, channels))

    @property
    def encoder(self):
        """The encoder, on the device and in the type of the decoder. Raises WeightsError where it is not the decoder's."""
        weight, named = self.decoder.last.near.weight, self.decoder.fingerprint
        return _encoder(named["name"], str(weight.device), weight.dtype, tuple(sorted(named.items())))

    @torch.no_grad()
    def learn(self, decoder: Decoder, paintings) -> None:
        """Take the weights of a trained decoder, and the statistics of paintings, images of any size."""
        self.decoder.load_state_dict(decoder.state_dict())
        for number, painting in enumerate(paintings):
            features = self.encoder(images.resize(images.check(painting), STYLE_SIDE), (LAYER,))[LAYER]
            mean, deviation = mean_std(features, eps=0)
            self.mean[number], self.deviation[number] = mean[0], deviation[0]

    @torch.no_grad()
    def forward(self, image: torch.Tensor, blend: torch.Tensor) -> torch.Tensor:
        """The painted image (N, 3, H, W) in [0, 1] of an image; `blend` (1 or N, styles) mixes the statistics."""
        features = self.encoder(image, (LAYER,))[LAYER]
        changed = with_moments(features, *(blend.float() @ each.float() for each in (self.mean, self.deviation)))
        return self.decoder(changed, LAYER, tuple(image.shape[-2:]))["image"].clamp(0, 1)


@functools.lru_cache(maxsize=4)
def _encoder(name: str, device: str, dtype: torch.dtype, fingerprint: tuple):
    with torch.random.fork_rng():  # it is loaded once, and what is drawn at random after it must be the same each time
        encoder = load_encoder(name, device=device, precision="bf16" if dtype == torch.bfloat16 else "fp32")
    if encoder.fingerprint != dict(fingerprint):
        raise WeightsError(f"the draft was trained on features of {name} with other weights than this package has: train anew")
    return encoder


def held(image: torch.Tensor) -> torch.Tensor:
    """The image cut to [0, 1], with the gradient of the uncut one (straight-through, Bengio et al. 2013).

    Cutting alone stops the gradient, and a pixel pushed too far would never return. As a band is at most 1 high, none can
    drift far.
    """
    return image.clamp(0, 1).detach() + (image - image.detach())
