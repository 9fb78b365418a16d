"""The pocket encoder's training: a small student learns VGG-19's features and Gram matrices."""

import argparse
import json
import random
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.devices import native_bf16
from nstlab.encoders import load_encoder
from nstlab.encoders.pocket import FILE, RANKS, PocketEncoder
from nstlab.errors import ImageError
from nstlab.files import atomic_write
from nstlab.stats import gram, single

TAUGHT = ("relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")  # the layers that losses read


def error(ours: dict, theirs: dict, layers=TAUGHT) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By layer: mean squared error of features (N, C, H, W) and of Gram matrices, each over the teacher's mean square."""
    relative = lambda a, b: ((a - b).square().flatten(1).mean(1) / b.square().flatten(1).mean(1).clamp_min(1e-8)).mean()
    found = {}
    for layer in layers:
        a, b = single(ours[layer]), single(theirs[layer])
        found[layer] = (relative(a, b), relative(gram(a), gram(b)))
    return found


class Crops:
    """Random square crops of pictures in folders: zoomed, flipped, now and then blended, dimmed, or under noise."""

    def __init__(self, folders, side: int, seed: int):
        self.side, self.random = side, random.Random(seed)
        self.pictures = []
        for path in sorted(path for folder in folders for path in Path(folder).glob("*.*") if path.is_file()):
            try:
                self.pictures.append(images.load(path, 448))
            except ImageError as problem:
                print(f"left out: {problem}", file=sys.stderr)
        if not self.pictures:
            raise ImageError(f"no pictures in {', '.join(map(str, folders))}: give folders with .jpg or .png files")

    def one(self) -> torch.Tensor:
        """A crop (1, 3, side, side)."""
        picture, draw = self.random.choice(self.pictures), self.random
        height, width = picture.shape[-2:]
        side = int(min(height, width) * draw.uniform(0.3, 1))
        top, left = draw.randint(0, height - side), draw.randint(0, width - side)
        crop = images.resize(picture[..., top : top + side, left : left + side], (self.side, self.side))
        if draw.random() < 0.25:
            crop = torch.lerp(crop, self.one(), draw.uniform(0.3, 0.7))
        if draw.random() < 0.3:
            crop = (crop - 0.5) * draw.uniform(0.3, 1.3) + 0.5 + draw.uniform(-0.25, 0.25)
        if draw.random() < 0.25:
            noise = torch.randn(crop.shape, generator=torch.Generator().manual_seed(draw.getrandbits(32)))
            crop = crop + draw.uniform(0, 0.2) * noise
        return (crop.flip(3) if draw.random() < 0.5 else crop).clamp(0, 1)

    def batch(self, count: int) -> torch.Tensor:
        """`count` crops, (count, 3, side, side)."""
        return torch.cat([self.one() for _ in range(count)])


def train(folders, steps: int = 450, side: int = 128, batch: int = 4, seed: int = 0, report=print) -> PocketEncoder:
    """Train a student on VGG-19's features and Gram matrices.

    Half of each batch are crops; the other half are pictures on their way: every other step moves them by the student's own
    style gradient. So it learns where an optimisation will lead it, and not only photos and paintings.
    """
    torch.manual_seed(seed)
    crops, teacher = Crops(folders, side, seed), load_encoder(device="cpu")
    student = PocketEncoder(precision="fp32", device="cpu")
    principal_components(student, teacher, crops.batch(24))
    adam = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], 5e-4)
    rates = torch.optim.lr_scheduler.OneCycleLR(adam, 5e-4, total_steps=steps, pct_start=0.1)
    moving, wanted = crops.batch(batch), crops.batch(batch)
    for step in range(steps):
        renewed = step % batch  # the eldest of the moving pictures makes room
        if step % 7 == 0:
            moving[renewed], wanted[renewed] = crops.one()[0], crops.one()[0]
        with torch.autocast("cpu", torch.bfloat16, enabled=native_bf16(student.device)):
            if step % 2:
                moving = _moved(student, moving, wanted, crops.random.uniform(0.005, 0.04))
            pictures = torch.cat([crops.batch(batch), moving])
            ours = student(pictures, TAUGHT)
        with torch.no_grad():
            theirs = teacher(pictures, TAUGHT)
        found = error(ours, theirs)
        loss = sum(features + 0.5 * grams for features, grams in found.values())
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        adam.step()
        rates.step()
        if step % 100 == 0 or step == steps - 1:
            report(f"step {step}: " + ", ".join(f"{layer[4:]} {a:.3f} {b:.3f}" for layer, (a, b) in found.items()))
    return student


@torch.no_grad()
def principal_components(student: PocketEncoder, teacher, pictures: torch.Tensor) -> None:
    """Fill the student from the teacher: its first convolution as it is (folded for input in [-1, 1]), and of each other one
    the principal components of its responses to the pictures (N, 3, H, W), as many as the rank."""
    weight, bias = teacher.relu1_1_weight.float(), teacher.relu1_1_bias.float()
    student.first.weight.copy_(weight / (2 * teacher.std))
    student.first.bias.copy_(bias + (weight * ((0.5 - teacher.mean) / teacher.std)).sum((1, 2, 3)))
    student.first.requires_grad_(False)
    before = teacher(pictures, teacher.layers)
    for previous, layer in zip(student.layers, student.layers[1:]):
        x = before[previous].float()
        x = images.pad(F.max_pool2d(x, 2) if layer.endswith("_1") else x, (1, 1, 1, 1))
        weight, bias = getattr(teacher, f"{layer}_weight").float(), getattr(teacher, f"{layer}_bias").float()
        responses = F.conv2d(x, weight, bias).transpose(0, 1).flatten(1)
        mean = responses.mean(1)
        _, vectors = torch.linalg.eigh((responses - mean[:, None]) @ (responses - mean[:, None]).t())
        basis = vectors[:, -RANKS[layer] :]  # (channels, rank), those of the largest variance
        student.thin[layer].weight.copy_(torch.einsum("or,oikl->rikl", basis, weight))
        student.wide[layer].weight.copy_(basis[:, :, None, None])
        student.wide[layer].bias.copy_(basis @ (basis.t() @ (bias - mean)) + mean)


def _moved(student, pictures, wanted, length: float) -> torch.Tensor:
    """The pictures one step nearer to the style of `wanted`, as the student sees it; `length` is the mean change of a pixel."""
    with torch.no_grad():
        targets = {layer: gram(found) for layer, found in student(wanted, TAUGHT).items() if layer != "image"}
    variable = pictures.detach().requires_grad_()
    found = student(variable, TAUGHT)
    loss = sum(((gram(found[layer]) - target) ** 2).sum() / (target**2).sum() for layer, target in targets.items())
    (gradient,) = torch.autograd.grad(loss, variable)
    size = gradient.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
    return (pictures - length * gradient / size).clamp(0, 1).detach()


@torch.no_grad()
def agreement(student: PocketEncoder, size: int = 256, names=None) -> dict[str, dict[str, float]]:
    """By layer: share of VGG-19's features and of its Gram matrices that the student foretells, mean over the samples."""
    from nstlab import samples

    teacher, sums = load_encoder(precision="fp32", device="cpu"), {}
    for name in names or samples.names():
        picture = images.load(name, size)
        for layer, (features, grams) in error(
            student(picture, student.layers), teacher(picture, student.layers), student.layers[1:]
        ).items():
            sums.setdefault(layer, []).append((1 - features.item(), 1 - grams.item()))
    mean = lambda values: round(sum(values) / len(values), 4)
    return {layer: dict(zip(("features", "gram"), map(mean, zip(*found)))) for layer, found in sums.items()}


def main() -> None:
    """Train, measure the agreement, and replace the files that ship."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description="Train the pocket encoder on the pictures of some folders.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE, help="file to write")
    options = parser.parse_args()
    student = train(options.folders, options.steps, seed=options.seed, report=lambda line: print(line, file=sys.stderr))
    with atomic_write(options.out) as temporary:
        save_file({name: value.half().contiguous() for name, value in student.state_dict().items()}, temporary)
    about = {"steps": options.steps, "seed": options.seed, "scales": vgg19_scales(), "agreement": agreement(student)}
    with atomic_write(options.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")
    print(json.dumps(about["agreement"], indent=1))


def vgg19_scales() -> dict[str, float]:
    """What VGG-19's features were divided by in the layers that the pocket encoder has."""
    return {layer: load_encoder(device="cpu").scales[layer] for layer in PocketEncoder.layers}


if __name__ == "__main__":
    main()
