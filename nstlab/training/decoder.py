"""The decoders' training: block by block against the encoder's own features, then whole (Li et al. 2017; Yoo et al. 2019).

`nstlab train decoder --content FOLDER ...` trains one; `nstlab slim` writes the file that ships.
"""

import functools
import math

import torch

from nstlab import images, samples
from nstlab.data import Batches, Pictures, Repeated
from nstlab.errors import SettingError, check_count, check_weight, choose
from nstlab.networks import Decoder, Ema
from nstlab.networks.decoder import UPSAMPLINGS
from nstlab.training.loop import Training
from nstlab.training.pairs import recoloured
from nstlab.training.regression import least_squares
from nstlab.training.task import Task, add, check_lr, open_encoder

LAYER = "relu4_1"  # where decoding begins
THIN = (24, 32, 48, 48)
RANKS = {(name, way): THIN for name in ("vgg19", "pocket") for way in UPSAMPLINGS} | {("vgg19", "nearest"): (None,) * 3 + (96,)}
FIRST = 96  # crops that the first weights are fitted to
WEIGHTS = {"image": 50.0, "features": 1.0, "blocks": 1.0}
BEGINNINGS = (4, 4, 4, 4, 4, 3, 3, 2, 2, 1)  # the levels at which the pictures of a step begin to be decoded, by turns


class Reconstruction(Task):
    """Train a Decoder to give pictures back from the features of an encoder.

    In the first `block_steps` steps each block gets the encoder's own features and learns to give those one block earlier;
    then what the block before gave, but for pictures whose decoding begins there: one decoder serves every level. Losses are
    "image" (mean squared error), "features" (relative squared error of what the encoder makes of the decoded picture) and
    "blocks" (that of each block's features), weighted as WEIGHTS. The first weights are fitted to FIRST of the `pictures` (see
    training/regression.py). `network` are options of Decoder, `decay` is that of the moving average of the weights.
    """

    system = "decoder"

    def __init__(
        self, pictures: Pictures, *, encoder="vgg19", device="auto", network=None, weights=None, lr=1e-3, decay=0.998,
        block_steps: int = 200,
    ):  # fmt: skip
        self.pictures, self.fresh = pictures, True
        self.encoder, self.decoder = open_pair(encoder, device, network)
        self.layers = self.decoder.layers
        self.info = {"builder": "Decoder", **self.decoder.options}
        self.block_steps = check_count("block steps", block_steps, 0)
        self.settings = {"lr": check_lr(lr), "decay": decay, "block_steps": self.block_steps}
        self.networks = {"decoder": self.decoder}
        self.optimizers = {"decoder": torch.optim.Adam(self.decoder.parameters(), lr)}
        self.ema = Ema(self.decoder, decay)
        self.kept, self.views = {"ema": self.ema}, {}
        self.weights = task_weights(weights, WEIGHTS)

    def lr_factor(self, index: int, steps: int) -> float:
        """Up over the first LR_WARMUP_STEPS, then down to a hundredth along a cosine (Loshchilov & Hutter 2017)."""
        return min((index + 1) / 50, 0.505 + 0.495 * math.cos(math.pi * index / steps))

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the decoder."""
        sums: dict[str, torch.Tensor] = {}
        if index == 0 and self.fresh:
            first = Batches(Repeated(self.pictures, FIRST), training.size, FIRST, seed=training.seed)[0].images
            least_squares(self.decoder, self.encoder, first.to(training.device))
        with training.update("decoder") as backward:
            for (batch, _), seeds in zip(batches, training.draw(2**31, index), strict=True):
                photo = recoloured(batch.images, seeds.tolist(), 0.3).to(training.device)
                with torch.no_grad():
                    features = self.encoder(photo, (*self.layers, *self.decoder.needs))
                begin = None if index < self.block_steps else [BEGINNINGS[seed % len(BEGINNINGS)] for seed in seeds.tolist()]
                found, given = decoded(training.wrapped["decoder"], features, self.layers, begin)
                terms = self._terms(found["image"], photo, given, features)
                total = sum(self.weights[name] * term for name, term in terms.items())
                self.views = {"photo": photo[:1], "picture": found["image"][:1].detach().clamp(0, 1)}
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        self.ema.update(self.decoder)
        return sums

    def _terms(self, image, photo, given, features) -> dict[str, torch.Tensor]:
        judged = self.layers[:-1] or self.layers  # what relu1_1 would say the image says
        seen = self.encoder(image, judged) if self.weights["features"] else features
        return {
            "image": (image - photo).square().mean(),
            "features": sum(relative_error(seen[layer], features[layer]) for layer in judged) / len(judged),
            "blocks": sum(relative_error(given[layer], features[layer]) for layer in given) / max(1, len(given)),
        }


def open_pair(encoder, device, network: dict | None) -> tuple[torch.nn.Module, Decoder]:
    """The encoder on the device, with the pooling that the decoder undoes, and a fresh decoder with the options `network`."""
    options = dict(network or {})
    for option in options:
        choose("network option", option, ("layer", "upsampling", "join", "ranks"))
    upsampling = choose("upsampling", options.get("upsampling", "nearest"), UPSAMPLINGS)
    found = open_encoder(encoder, device, pooling=UPSAMPLINGS[upsampling][0])
    if found.pooling not in UPSAMPLINGS[upsampling]:
        raise SettingError(f"upsampling {upsampling} does not undo pooling {found.pooling}: choose another of the two")
    options = {"layer": LAYER, "ranks": RANKS.get((found.name, upsampling))} | options
    return found, Decoder(found.channels, fingerprint=found.fingerprint, **options)


def task_weights(asked: dict | None, defaults: dict) -> dict[str, float]:
    """The weights of all losses, those that were asked for among them. Raises SettingError."""
    for name in asked or {}:
        choose("weight", name, defaults)
    return {name: check_weight(name, (asked or {}).get(name, default)) for name, default in defaults.items()}


def decoded(decoder, features: dict, layers, begin: list[int] | None) -> tuple[dict, dict]:
    """(what the decoder makes of the features, what each block gave) where decoding begins at level `begin` for each picture,
    and anew at each level if that is None."""
    given: dict[str, torch.Tensor] = {}

    def forced(x, layer):
        given[layer] = x
        if begin is None:
            return features[layer].to(x)
        if int(layer[4]) not in begin:
            return x
        here = torch.tensor([level == int(layer[4]) for level in begin], device=x.device).view(-1, 1, 1, 1)
        return torch.where(here, features[layer].to(x), x)

    edit = {layer: functools.partial(forced, layer=layer) for layer in layers[1:]}
    size = tuple(features["image"].shape[-2:])
    return decoder(features[layers[0]], layers[0], size, kept=features, edit=edit), given


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Mean squared error of features over the mean square of `theirs`, which are constants."""
    return _SquaredError.apply(ours, theirs) / _energy(theirs).clamp_min(1e-8)


class _SquaredError(torch.autograd.Function):
    """Sum of squared differences. Features of bf16 are subtracted as such and added up in float32: autograd would keep and
    pass on several copies in float32."""

    @staticmethod
    def forward(ctx, ours, theirs):
        difference = ours - theirs.to(ours)
        ctx.save_for_backward(difference)
        return _energy(difference)

    @staticmethod
    def backward(ctx, gradient):
        (difference,) = ctx.saved_tensors
        return difference * (2 * gradient).to(difference), None


def _energy(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x, dtype=torch.promote_types(x.dtype, torch.float32)).square()


@torch.no_grad()
def fidelity(encoder, decoder: Decoder, names=None, size: int = 512) -> dict[str, float]:
    """{layer: peak signal-to-noise ratio in dB} of pictures (samples, all if None) decoded from it, the mean over them."""
    sums: dict[str, float] = dict.fromkeys(decoder.layers, 0.0)
    names = list(names or samples.names())
    for name in names:
        image = images.load(name, size)
        features = encoder(image, (*decoder.layers, *decoder.needs))
        for layer in decoder.layers:
            found = decoder(features[layer], layer, tuple(image.shape[-2:]), kept=features)["image"].cpu()
            error = (found.clamp(0, 1) - image).square().mean().clamp_min(1e-10)
            sums[layer] -= 10 * math.log10(error.item()) / len(names)
    return sums
