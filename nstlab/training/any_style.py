"""Training a decoder to paint: the transformed features of a photo become a picture in the style of another one.

No style is learned: every step draws photos and styles (training/pairs.py), as Huang & Belongie 2017 do.
"""

import torch
import torch.nn.functional as F

from nstlab.feature_transforms import AdaIN
from nstlab.losses.moments import moment_loss
from nstlab.networks import Ema
from nstlab.stats import gram, single
from nstlab.training.decoder import open_pair, task_weights
from nstlab.training.loop import Training
from nstlab.training.pairs import recoloured
from nstlab.training.task import Task, add, check_lr, to_device

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
WEIGHTS = {"content": 1.0, "style": 10.0, "gram": 0.0, "identity": 20.0}


class AnyStyle(Task):
    """Train a Decoder to paint what a FeatureTransform (AdaIN if None) makes of content and style at its deepest layer.

    Losses: "content", the mean squared distance of the painted picture's features to the transformed ones; "style", that of
    the means and standard deviations of channels to the style's at STYLE_LAYERS; "gram", that of Gram matrices there, over
    the style's mean square; "identity", the mean squared error of the first photo of each batch when its features are left
    as they are, so that the decoder stays one. Weighted as WEIGHTS. Other arguments are those of Reconstruction.
    """

    style_scale = None  # squares of any size: strokes of every width are styles too

    def __init__(
        self, system: str, transform=None, *, encoder="vgg19", device="auto", network=None, weights=None, lr=3e-4,
        decay=0.998,
    ):  # fmt: skip
        self.system, self.transform = system, transform or AdaIN()
        self.encoder, self.decoder = open_pair(encoder, device, network)
        self.info = {"builder": "Decoder", **self.decoder.options}
        self.settings = {"lr": check_lr(lr), "decay": decay}
        self.networks = {"decoder": self.decoder}
        self.optimizers = {"decoder": torch.optim.Adam(self.decoder.parameters(), lr)}
        self.ema = Ema(self.decoder, decay)
        self.kept, self.views = {"ema": self.ema}, {}
        self.weights = task_weights(weights, WEIGHTS)

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the decoder."""
        sums: dict[str, torch.Tensor] = {}
        with training.update("decoder") as backward:
            for (photos, styles), seeds in zip(batches, training.draw(2**31, index), strict=True):
                photo, _ = to_device(photos, training.device)
                style = recoloured(styles.images, seeds.tolist()).to(training.device)
                terms, picture = self._painted(photo, style, training.wrapped["decoder"])
                total = sum(self.weights[name] * term for name, term in terms.items())
                self.views = {"photo": photo[:1], "style": style[:1], "picture": picture[:1].detach().clamp(0, 1)}
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        self.ema.update(self.decoder)
        return sums

    def _painted(self, photo, style, decoder) -> tuple[dict, torch.Tensor]:
        """(losses by name, pictures) of photos painted in the styles."""
        layer = self.decoder.layers[0]
        with torch.no_grad():
            features = self.encoder(photo, (layer, *self.decoder.needs))
            wanted = self.encoder(style, STYLE_LAYERS)
            target = self.transform(features[layer], wanted[layer])
            kept = {key: torch.cat([value, value[:1]]) for key, value in features.items() if key != layer}
        shown = torch.cat([target, single(features[layer][:1])])
        picture, same = decoder(shown, layer, tuple(photo.shape[-2:]), kept=kept)["image"].split([len(photo), 1])
        seen = self.encoder(picture, STYLE_LAYERS)
        terms = {
            "content": F.mse_loss(single(seen[layer]), target),
            "style": sum(moment_loss(seen[name], wanted[name]) for name in STYLE_LAYERS),
            "identity": F.mse_loss(same, photo[:1]),
        }
        if self.weights["gram"]:
            terms["gram"] = sum(_gram_distance(seen[name], wanted[name]) for name in STYLE_LAYERS) / len(STYLE_LAYERS)
        return terms, picture


def _gram_distance(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Mean over the pictures of the squared distance of Gram matrices over the style's mean square."""
    target = gram(theirs)
    return ((gram(ours) - target).square().mean((1, 2)) / target.square().mean((1, 2)).clamp_min(1e-12)).mean()
