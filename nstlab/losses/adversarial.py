"""The adversarial game: what the critic and the generator each want, and how to keep one from running away.

All losses are scalars. Logits are (N, 1, h, w), or a list of them over the scales of a critic; every scale counts alike.
"""

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.filters import gaussian, sobel

FORMS = ("lsgan", "hinge", "vanilla")
BLOCK = 10  # pixels: what Sanakoyeu et al. average over


def discriminator_loss(real, fake, form: str = "hinge") -> torch.Tensor:
    """What the critic makes small: logits high on real pictures and low on made ones.

    "lsgan": squared distance to 1 and to 0, halved (Mao et al. 2017). "hinge": how far short of 1 and of -1 (Lim & Ye 2017).
    "vanilla": cross-entropy (Goodfellow et al. 2014). Raises SettingError for another form.
    """
    choose("form", form, FORMS)
    if form == "lsgan":
        return (_mean(real, lambda x: (x - 1).square()) + _mean(fake, torch.square)) / 2
    if form == "hinge":
        return _mean(real, lambda x: F.relu(1 - x)) + _mean(fake, lambda x: F.relu(1 + x))
    return _mean(real, lambda x: F.softplus(-x)) + _mean(fake, F.softplus)


def generator_loss(fake, form: str = "hinge") -> torch.Tensor:
    """What the generator makes small: the critic should take its pictures for real ones. Forms as above.

    "vanilla" is the form that keeps its gradient while the critic is sure (Goodfellow et al. 2014, section 3).
    """
    choose("form", form, FORMS)
    if form == "lsgan":
        return _mean(fake, lambda x: (x - 1).square())
    return _mean(fake, torch.neg if form == "hinge" else lambda x: F.softplus(-x))


def feature_matching(ours, theirs) -> torch.Tensor:
    """Mean absolute difference of the critic's features, over all layers and scales (pix2pixHD, Wang et al. 2018).

    Lists of features (N, C, h, w), or lists of such lists over scales; `theirs`, of the real pictures, gets no gradient.
    """
    ours, theirs = _flat(ours), _flat(theirs)
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=False) if a.shape == b.shape]
    if not ours or len(pairs) != max(len(ours), len(theirs)):
        raise SettingError("feature matching compares features of the same layers and sizes: give those of one critic")
    return sum(F.l1_loss(a, b.detach()) for a, b in pairs) / len(pairs)


def edge_smoothed(image: torch.Tensor, threshold: float = 0.2, reach: int = 3, sigma: float = 1.5) -> torch.Tensor:
    """The image, blurred within `reach` pixels of its edges (CartoonGAN, Chen et al. 2018).

    Shown to the critic as made pictures, they teach it that soft edges are wrong. An edge is where Sobel's gradient is over
    `threshold` (a step from 0 to 1 has 1); `sigma` in pixels is the blur's deviation.
    """
    reach = check_count("reach", reach, least=0)
    near = F.max_pool2d((sobel(images.check(image)) > threshold).float(), 2 * reach + 1, stride=1, padding=reach)
    return torch.where(near > 0, gaussian(image, sigma), image)


@torch.no_grad()
def accuracy(real, fake, form: str = "hinge") -> float:
    """Share of the patches, real and made, that the critic judges rightly; the line is 0.5 for "lsgan" and 0 for the others."""
    line = 0.5 if choose("form", form, FORMS) == "lsgan" else 0.0
    right = _mean(real, lambda x: (x > line).float()) + _mean(fake, lambda x: (x <= line).float())
    return float(right) / 2


class Gate:
    """Whose turn it is, by the critic's success (Sanakoyeu et al. 2018): a critic that is always right teaches nothing.

    `rate` is a moving average of its accuracy, each new value weighing `momentum`. The critic is trained while the rate is
    below `high`, the generator while it is `low` or above, so both between the two; a weak
    critic settles at about `low`, a strong one at about `high`. In the paper's code, strictly one of
    them is trained at each step: the generator at a rate of 0.8 or more, else the critic, with a momentum of 0.05 and a rate
    that starts at 0.8: Gate(low=0.8, high=0.8).
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
        """Take in the critic's accuracy at this step."""
        self.rate += self.momentum * (accuracy - self.rate)

    @property
    def train_discriminator(self) -> bool:
        """Whether the critic learns at the next step."""
        return self.rate < self.high

    @property
    def train_generator(self) -> bool:
        """Whether the generator learns at the next step."""
        return self.rate >= self.low

    def state_dict(self) -> dict:
        """{"rate": float}."""
        return {"rate": self.rate}

    def load_state_dict(self, state: dict) -> None:
        """Go on from what `state_dict` gave."""
        self.rate = float(state["rate"])


def transformed_image_loss(output: torch.Tensor, photo: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two images once averaged over every 10x10 pixels (Sanakoyeu et al. 2018): colours and large
    forms are to stay, strokes are free. A smaller picture is averaged whole."""
    kernel = tuple(min(BLOCK, side) for side in output.shape[-2:])
    return F.mse_loss(*(F.avg_pool2d(image, kernel, stride=1) for image in (output, photo)))


def style_aware_content_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the encodings of output and photo, by the encoder that is being trained (Sanakoyeu et al.
    2018): it learns which details the style cares for. The gradient goes into both."""
    return F.l1_loss(ours, theirs)


def _mean(logits, score) -> torch.Tensor:
    """Mean over scales of the mean over patches of score(logits), in fp32."""
    logits = _flat(logits)
    if not logits:
        raise SettingError("no logits: give those of a critic, or a list of them over scales")
    return sum(score(x.float()).mean() for x in logits) / len(logits)


def _flat(tensors) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else [tensor for part in tensors for tensor in _flat(part)]
