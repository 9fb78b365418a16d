"""The scene depth network's training, on drawn scenes alone (data/scenes.py).

`python -m nstlab.training.scene_depth` trains it with the default settings and replaces the file that ships.
"""

import math

import torch
import torch.nn.functional as F

from nstlab.data.scenes import Scenes
from nstlab.files import expanded
from nstlab.networks.scene_depth import FILE, WIDTHS, DepthNet
from nstlab.training import checkpoints
from nstlab.training.command import parser
from nstlab.training.log import report
from nstlab.training.loop import Training
from nstlab.training.task import Task, add, to_device

FIRST = 10_000  # the number of the first scene: those below are for tests and notebooks
LR = 2e-3


class SceneDepth(Task):
    """Train a DepthNet on scenes whose nearness is their guide; the loss is the mean absolute error of nearness, in [0, 1]."""

    system = "scene_depth"

    def __init__(self, seed: int = 0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = DepthNet()
        self.networks = {"network": self.network}
        self.optimizers = {"network": torch.optim.Adam(self.network.parameters(), LR)}
        self.info, self.settings = {"builder": "DepthNet", "widths": WIDTHS}, {}
        self.kept, self.weights, self.views = {}, {"depth": 1.0}, {}

    def lr_factor(self, index: int, steps: int) -> float:
        """Down to 0 along a cosine (Loshchilov & Hutter 2017)."""
        return 0.5 + 0.5 * math.cos(math.pi * index / steps)

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the network."""
        sums: dict[str, torch.Tensor] = {}
        with training.update("network") as backward:
            for (batch, _), seeds in zip(batches, training.draw(2**31, index), strict=True):
                image, truth = to_device(batch, training.device)
                image = varied(image, seeds.tolist(), blurred=index % 3 == 0)
                found = training.wrapped["network"](image)
                terms = {"depth": (found - truth).abs().mean()}
                total = self.weights["depth"] * terms["depth"]
                self.views = {"photo": image[:1], "picture": found[:1].detach().expand(-1, 3, -1, -1), "depth": truth[:1]}
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
        return sums


def varied(image: torch.Tensor, seeds: list[int], blurred: bool) -> torch.Tensor:
    """Images (N, 3, H, W) of random brightness, with grain, and over 3x3 pixels `blurred`; `seeds` has a number for each."""
    draws = [torch.Generator().manual_seed(seed) for seed in seeds]
    numbers = torch.stack([torch.rand(2, generator=draw) for draw in draws]).to(image.device)
    brightness, grain = numbers.view(-1, 2, 1, 1, 1).unbind(1)
    noise = torch.stack([torch.randn(image.shape[1:], generator=draw) for draw in draws]).to(image.device)
    image = image ** (0.6 + brightness)
    if blurred:
        image = F.avg_pool2d(F.pad(image, (1,) * 4, mode="replicate"), 3, 1)
    return (image + 0.12 * grain * noise).clamp(0, 1)


def training(*, steps: int = 2500, batch: int = 8, size: int = 96, seed: int = 0, pool: int = 1500, **options) -> Training:
    """The training on `pool` drawn scenes of `size` x `size` pixels made ready: iterate it; `task.network` is the network.

    `options` are those of Training. Raises NstlabError.
    """
    scenes = Scenes(range(FIRST, FIRST + pool), size)
    return Training(SceneDepth(seed), scenes, steps=steps, size=size, batch=batch, seed=seed, **options)


def main() -> None:
    """Train, and replace the file that ships."""
    options = parser("Train the scene depth network on drawn scenes.", 2500, FILE).parse_args()
    made = training(steps=options.steps, seed=options.seed, folder=options.folder, resume=options.resume)
    report(made, every=250)
    if made.rank == 0:
        checkpoints.write_network(expanded(options.out), made.task.network)


if __name__ == "__main__":
    main()
