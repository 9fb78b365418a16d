"""The scene depth network's training, on drawn scenes alone (data/scenes.py)."""

import sys

import torch
import torch.nn.functional as F

from nstlab.data.scenes import scene
from nstlab.files import atomic_write
from nstlab.networks.scene_depth import FILE, DepthNet


def train(steps: int = 2500, batch: int = 8, seed: int = 0, pool: int = 1500, report=print) -> DepthNet:
    """Train on `pool` drawn scenes with random brightness, blur and grain; the loss is the mean absolute error."""
    torch.manual_seed(seed)
    drawn = [scene(10_000 + number, 96) for number in range(pool)]
    network = DepthNet()
    adam = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(steps):
        chosen = [drawn[i] for i in torch.randint(pool, (batch,))]
        image, truth = torch.cat([s.image for s in chosen]), torch.cat([s.nearness for s in chosen])
        image = image ** torch.empty(batch, 1, 1, 1).uniform_(0.6, 1.6)
        if step % 3 == 0:
            image = F.avg_pool2d(F.pad(image, (1,) * 4, mode="replicate"), 3, 1)
        image = (image + torch.rand(batch, 1, 1, 1) * 0.12 * torch.randn_like(image)).clamp(0, 1)
        if torch.rand(()) < 0.5:
            image, truth = image.flip(3), truth.flip(3)
        loss = (network(image) - truth).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        schedule.step()
        if step % 250 == 0 or step == steps - 1:
            report(f"step {step}: mean error {loss.item():.3f}")
    return network


def main() -> None:
    """Train with the default settings and replace the file that ships."""
    from safetensors.torch import save_file

    network = train(report=lambda line: print(line, file=sys.stderr))
    with atomic_write(FILE) as temporary:
        save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, temporary)


if __name__ == "__main__":
    main()
