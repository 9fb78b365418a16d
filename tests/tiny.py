"""Small stand-ins for tests of trainings: an encoder of a few thousand weights, and trainings that take milliseconds a step."""

import io
import sys

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from nstlab import images
from nstlab.encoders.vgg import BLOCKS, VGG
from nstlab.files import cache_dir
from nstlab.networks import Decoder, decoder, saved
from nstlab.systems.train import training

NETWORKS = {
    "johnson": {"widths": (4, 8), "blocks": 1},
    "conditional": {"widths": (4, 8), "blocks": 1},
    "multiscale_gan": {"widths": (4, 8), "blocks": 1, "draft": {"widths": (4, 8), "blocks": 1}},
    "lapstyle": {"widths": (4, 8), "blocks": 1},
    "neural_preset": {"k": 8, "widths": (4, 8), "hidden": 16},
}
GAME = {"warmup_steps": 2, "critic": {"width": 4}}
PHOTOS = ["astronaut", "cat", "citrus-fruits", "coffee", "dandelions", "honey-bee", "rocket", "two-dogs"]


class TinyEncoder(nn.Module):
    """Answers as an Encoder does, at VGG-19's layers, with 6 random channels each."""

    def __init__(self):
        super().__init__()
        self.device = torch.device("cpu")
        generator = torch.Generator().manual_seed(7)
        self.layers = [f"relu{block}_{i}" for block, count in enumerate(BLOCKS[16], 1) for i in range(1, count + 1)]
        self.weights = [torch.randn(6, 3 if not n else 6, 3, 3, generator=generator) / 5 for n in range(len(self.layers))]

    def forward(self, image, layers):
        wanted, features, x = set(layers) - {"image"}, {"image": image}, 2 * image - 1
        for layer, weight in zip(self.layers, self.weights, strict=True):
            if not wanted:
                break
            if layer.endswith("_1") and layer != "relu1_1":
                x = F.avg_pool2d(x, 2, ceil_mode=True)
            x = F.leaky_relu(F.conv2d(x, weight, padding=1), 0.3)
            if layer in wanted:
                features[layer] = x
                wanted.remove(layer)
        return features


class Poisoned(TinyEncoder):
    """Sees numbers that are none, after so many looks."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def forward(self, image, layers):
        self.looks -= 1
        return super().forward(image * (float("nan") if self.looks < 0 else 1), layers)


def tiny_networks(upsampling="nearest", join="sum", width=6, seed=0):
    """(an Encoder of VGG-19's layers with random weights, a Decoder for it with random weights)."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [3] + [width] * sum(BLOCKS[16])
    convs = [
        (torch.randn(b, a, 3, 3, generator=generator) / (3 * a**0.5), torch.rand(b, generator=generator) / 4)
        for a, b in zip(sizes, sizes[1:])
    ]
    pooling = decoder.UPSAMPLINGS[upsampling][0]
    encoder = VGG(convs, ((0.5,) * 3, (0.25,) * 3), name="tiny", pooling=pooling, precision="fp32", device="cpu")
    return encoder, random_decoder(encoder, upsampling, join)


def random_decoder(encoder, upsampling="nearest", join="sum", ranks=None, grey=True):
    """A Decoder for an encoder with untrained weights, the same each time; its pictures are near grey if `grey`."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = Decoder(encoder.channels, upsampling=upsampling, join=join, ranks=ranks, fingerprint=encoder.fingerprint)
    if grey:
        with torch.no_grad():
            (made.last.wide or made.last.near).weight.mul_(0.1)
    return made.eval().requires_grad_(False)


def write_decoder(made, path):
    """The file of a Decoder, as `load_decoder` reads it."""
    described = {"builder": "Decoder", **made.options}
    return saved.write(path, {f"ema.{k}": v for k, v in made.state_dict().items()}, {"system": "decoder", "network": described})


def png(width=40, height=30, colour="teal") -> bytes:
    """A PNG file of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def small(name: str) -> str:
    """Path of a sample at 72 px, which is read in no time."""
    path = cache_dir() / "tiny" / f"{name}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        images.save(images.load(name, 72), path)
    return str(path)


def tiny(system="conditional", folder=None, **options):
    """A training of a tiny network on small samples at 32 px, ready to be iterated; saves after every third step."""
    styles = [small("starry-night"), small("great-wave")][: 1 if system == "johnson" else 2]
    defaults = {"steps": 8, "size": 32, "batch": 2, "save_every": 3, "seed": 5, "guides": "none", "device": "cpu"}
    if system in ("multiscale_gan", "lapstyle"):
        options["task"] = GAME | options.get("task", {})
    network = {"network": NETWORKS[system], "encoder": TinyEncoder()}
    return training(
        system,
        **{"content": [small(name) for name in PHOTOS], "style": styles, "folder": folder} | network | defaults | options,
    )


def main(system, folder, steps, resume):
    """In a process of its own: train, and say after each step which it was."""
    for step in tiny(system, folder, steps=int(steps), resume=resume == "resume"):
        print(step.index, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
