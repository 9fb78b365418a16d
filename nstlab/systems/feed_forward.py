"""The training that johnson and conditional share: one generator on perceptual losses."""

import torch

from nstlab.networks import Ema, StyleNet
from nstlab.systems.checkpoint import describe
from nstlab.training.loop import Training
from nstlab.training.perceptual import PerceptualObjective
from nstlab.training.task import Task, add, check_lr, open_encoder, to_device


class FeedForward(Task):
    """Train a generator on the terms of PerceptualObjective, every picture in a style drawn for it.

    `paintings` are (names, images); `encoder` a name, or an encoder; `network` the options of StyleNet; `lr` the learning
    rate; `decay` that of the moving average of the weights (EMA); `options` those of PerceptualObjective.
    """

    def __init__(
        self, system: str, paintings, *, encoder="vgg19", device="auto", network=None, weights=None, lr=1e-3, decay=0.998,
        **options,
    ):  # fmt: skip
        self.system, (names, pictures) = system, paintings
        self.info = describe("StyleNet", names, network or {})
        self.settings = {"lr": check_lr(lr), "decay": decay, **options}
        self.generator = StyleNet(len(names), **(network or {}))
        self.networks = {"generator": self.generator}
        self.optimizers = {"generator": torch.optim.Adam(self.generator.parameters(), lr)}
        self.ema = Ema(self.generator, decay)
        self.kept = {"ema": self.ema}
        self.objective = PerceptualObjective(open_encoder(encoder, device), pictures, weights, **options)
        self.weights, self.views = self.objective.weights, {}

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the generator."""
        sums: dict[str, torch.Tensor] = {}
        generator = training.wrapped["generator"]
        with training.update("generator") as backward:
            for (batch, _), drawn in zip(batches, training.draw(len(self.info["styles"]), index), strict=True):
                photo, guides = to_device(batch, training.device)
                blend = torch.nn.functional.one_hot(drawn, len(self.info["styles"])).float()
                output = generator(photo, blend)
                total, terms = self.objective(output, photo, blend, guides)
                self.views = {"photo": photo[:1], "picture": output[:1].detach()}
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        self.ema.update(self.generator)
        return sums
