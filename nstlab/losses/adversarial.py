"""Adversarial losses for the critic and the generator, and a gate that keeps the two in balance.

All losses are scalars. Logits are (N, 1, h, w), or a list of them over the scales of a critic; all scales have the same weight.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.filters import gaussian, sobel

FORMS = ("lsgan", "hinge", "vanilla")
BLOCK = 10  # pixels: what Sanakoyeu et al. average over


def discriminator_loss(real, fake, form: str = "hinge") -> torch.Tensor:
    """The critic's loss: low when logits are high on real pictures and low on generated ones.

    "lsgan": half the squared distances to 1 and to 0 (Mao et al. 2017). "hinge": shortfall from 1 and from -1 (Lim & Ye 2017).
    "vanilla": cross-entropy (Goodfellow et al. 2014). Raises SettingError for another form.
    """
    choose("form", form, FORMS)
    if form == "lsgan":
        return (_mean(real, lambda x: (x - 1).square()) + _mean(fake, torch.square)) / 2
    if form == "hinge":
        return _mean(real, lambda x: F.relu(1 - x)) + _mean(fake, lambda x: F.relu(1 + x))
    return _mean(real, lambda x: F.softplus(-x)) + _mean(fake, F.softplus)


def generator_loss(fake, form: str = "hinge") -> torch.Tensor:
    """The generator's loss: low when the critic takes its pictures for real ones. Forms as in `discriminator_loss`.

    "vanilla" is the non-saturating form, whose gradient does not vanish when the critic is sure (Goodfellow et al. 2014,
    section 3).
    """
    choose("form", form, FORMS)
    if form == "lsgan":
        return _mean(fake, lambda x: (x - 1).square())
    return _mean(fake, torch.neg if form == "hinge" else lambda x: F.softplus(-x))


def feature_matching(ours, theirs) -> torch.Tensor:
    """Mean absolute difference of the critic's features, over all layers and scales (pix2pixHD, Wang et al. 2018).

    Takes lists of features (N, C, h, w), or lists of such lists over scales; `theirs`, the features of the real pictures, get
    no gradient. Raises SettingError if the shapes differ.
    """
    ours, theirs = _flat(ours), _flat(theirs)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a.shape == b.shape]
    if not ours or len(pairs) != max(len(ours), len(theirs)):
        raise SettingError("feature matching compares features of the same layers and sizes: give those of one critic")
    return sum(F.l1_loss(a, b.detach()) for a, b in pairs) / len(pairs)


def edge_smoothed(image: torch.Tensor, threshold: float = 0.2, reach: int = 3, sigma: float = 1.5) -> torch.Tensor:
    """The image (N, 3, H, W), blurred within `reach` pixels of its edges (CartoonGAN, Chen et al. 2018).

    Shown to the critic as generated pictures, such images teach it that soft edges are wrong. An edge is where Sobel's gradient
    exceeds `threshold` (a step from 0 to 1 has 1); `sigma` is the standard deviation of the blur in pixels.
    """
    reach = check_count("reach", reach, least=0)
    near = F.max_pool2d((sobel(images.check(image)) > threshold).float(), 2 * reach + 1, stride=1, padding=reach)
    return torch.where(near > 0, gaussian(image, sigma), image)


@torch.no_grad()
def accuracy(real, fake, form: str = "hinge") -> float:
    """Share of the patches, real and generated, that the critic classifies correctly; threshold 0.5 for "lsgan", else 0."""
    line = 0.5 if choose("form", form, FORMS) == "lsgan" else 0.0
    right = _mean(real, lambda x: (x > line).float()) + _mean(fake, lambda x: (x <= line).float())
    return float(right) / 2


class Gate:
    """Decides from the critic's accuracy which network is trained next (Sanakoyeu et al. 2018).

    A critic that is always right gives the generator no useful gradient. `rate` is a moving average of its accuracy in which
    each new value has the weight `momentum`. The critic is trained while the rate is below `high`, the generator while it is
    at least `low`; between the two, both are. A weak critic settles at about `low`, a strong one at about `high`. The paper's
    code trains exactly one of them at each step: the generator at a rate of 0.8 or more, else the critic, with a momentum of
    0.05 and an initial rate of 0.8, which is Gate(low=0.8, high=0.8). Raises SettingError for values out of range.
    """

    def __init__(self, low: float = 0.65, high: float = 0.8, momentum: float = 0.05):
        low, high = check_weight("gate", low), check_weight("gate", high)
        if not low <= high <= 1:
            raise SettingError(f"gate from {low} to {high}: give two shares between 0 and 1, the lower one first")
        if not 0 < momentum <= 1:
            raise SettingError(f"momentum {momentum}: give a number above 0, at most 1")
        self.low, self.high, self.momentum = low, high, momentum
        self.rate = high

    def update(self, accuracy: float) -> None:
        """Update the rate with the critic's accuracy at this step."""
        self.rate += self.momentum * (accuracy - self.rate)

    @property
    def train_discriminator(self) -> bool:
        """Whether the critic is trained at the next step."""
        return self.rate < self.high

    @property
    def train_generator(self) -> bool:
        """Whether the generator is trained at the next step."""
        return self.rate >= self.low

    def state_dict(self) -> dict:
        """{"rate": float}."""
        return {"rate": self.rate}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.rate = float(state["rate"])


def transformed_image_loss(output: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two images (N, 3, H, W), each averaged over 10x10 pixels (Sanakoyeu et al. 2018).

    Colours and large forms are kept, strokes are free. A picture with sides under 10 pixels is averaged over the whole side.
    """
    kernel = tuple(min(BLOCK, side) for side in output.shape[-2:])
    return F.mse_loss(*(F.avg_pool2d(image, kernel, stride=1) for image in (output, photo)))


def style_aware_content_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the encodings of output and photo by the encoder in training (Sanakoyeu et al. 2018).

    Gradients flow into both, so the encoder learns which details matter for the style.
    """
    return F.l1_loss(ours, theirs)


def _mean(logits, score) -> torch.Tensor:
    """Mean over scales of the mean over patches of score(logits), in fp32."""
    logits = _flat(logits)
    if not logits:
        raise SettingError("no logits: give those of a critic, or a list of them over scales")
    return sum(score(x.float()).mean() for x in logits) / len(logits)


def _flat(tensors) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else [tensor for part in tensors for tensor in _flat(part)]
