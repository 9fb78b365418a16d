"""The pocket encoder's training: a small student learns VGG-19's features and Gram matrices.

`python -m nstlab.training.distill FOLDER ...` trains it on the pictures of some folders and replaces the files that ship.
"""

import json
import math
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from nstlab import images
from nstlab.data import Batches, Pictures, Repeated, open_pictures
from nstlab.devices import native_bf16
from nstlab.encoders import load_encoder
from nstlab.encoders.pocket import FILE, RANKS, PocketEncoder
from nstlab.files import atomic_write, expanded
from nstlab.stats import gram, single
from nstlab.training import checkpoints
from nstlab.training.command import parser
from nstlab.training.distributed import gathered, own_device
from nstlab.training.log import report
from nstlab.training.loop import Training
from nstlab.training.task import Task, add

TAUGHT = ("relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")  # the layers that losses read
LR = 5e-4
WEIGHTS = {"features": 1.0, "gram": 0.5}  # of the relative errors of features and of Gram matrices


def error(ours: dict, theirs: dict, layers=TAUGHT) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """By layer: mean squared error of features (N, C, H, W) and of Gram matrices, each over the teacher's mean square."""
    relative = lambda a, b: ((a - b).square().flatten(1).mean(1) / b.square().flatten(1).mean(1).clamp_min(1e-8)).mean()
    found = {}
    for layer in layers:
        a, b = single(ours[layer]), single(theirs[layer])
        found[layer] = (relative(a, b), relative(gram(a), gram(b)))
    return found


def varied(crops: torch.Tensor, seeds: list[int]) -> torch.Tensor:
    """Crops (N, 3, H, W), now and then blended with the next one, dimmed, or under noise; `seeds` has a number for each."""
    found = []
    for crop, other, seed in zip(crops, crops.roll(-1, 0), seeds, strict=True):
        draw = random.Random(seed)
        if draw.random() < 0.25:
            crop = torch.lerp(crop, other, draw.uniform(0.3, 0.7))
        if draw.random() < 0.3:
            crop = (crop - 0.5) * draw.uniform(0.3, 1.3) + 0.5 + draw.uniform(-0.25, 0.25)
        if draw.random() < 0.25:
            noise = torch.randn(crop.shape, generator=torch.Generator().manual_seed(draw.getrandbits(32)))
            crop = crop + draw.uniform(0, 0.2) * noise
        found.append(crop.clamp(0, 1))
    return torch.stack(found)


class Distillation(Task):
    """Train a PocketEncoder on VGG-19's features and Gram matrices.

    Half of what it sees in a step are crops of the pictures; the other half, as many, are pictures on their way: every other
    step moves them by the student's own style gradient. So it learns where an optimisation will lead it, and not only photos
    and paintings. `count` is how many crops a step takes in all, `size` their side in pixels. The loss is the sum over TAUGHT
    of relative squared errors (`error`), weighted as WEIGHTS (FitNets, Romero et al. 2015; Gram matrices added).
    """

    system, clip = "pocket", 5.0

    def __init__(self, pictures: Pictures, count: int, size: int, seed: int = 0, device="auto"):
        where = own_device(device)
        self.teacher = load_encoder(device=where)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.student = PocketEncoder(precision="fp32", device=where)
        first = Batches(Repeated(pictures, 24), size, 24, seed=seed)[0].images
        principal_components(self.student, self.teacher, first.to(where))
        self.networks = {"student": self.student}
        self.optimizers = {"student": torch.optim.Adam([p for p in self.student.parameters() if p.requires_grad], LR)}
        start = Batches(Repeated(pictures, 2 * count), size, 2 * count, seed=seed)[1].images
        self.moving = _Moving(start[:count], start[count:])
        self.kept = {"moving": self.moving}
        self.info, self.settings = {"builder": "PocketEncoder", "ranks": RANKS}, {"taught": TAUGHT}
        self.weights, self.views = dict(WEIGHTS), {}

    def lr_factor(self, index: int, steps: int) -> float:
        """Up over the first tenth, then down to 0 along a cosine (one cycle, Smith & Topin 2019)."""
        rise = max(1.0, 0.1 * steps)
        if index < rise:
            return (index + 1) / (rise + 1)
        return 0.5 + 0.5 * math.cos(math.pi * (index - rise) / max(1.0, steps - rise))

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One change of the student, by crops and by pictures on their way."""
        sums: dict[str, torch.Tensor] = {}
        every = 0.005 + 0.035 * torch.rand((), generator=training.generator(index)).item()  # mean change of a pixel
        pictures, wanted = self.moving.shares(training)
        with training.update("student") as backward:
            for number, ((batch, _), seeds) in enumerate(zip(batches, training.draw(2**31, index), strict=True)):
                crops = varied(batch.images, seeds.tolist()).to(training.device)
                if index % 7 == 0:  # one of the moving pictures makes room
                    renewed = index // 7 % len(crops)
                    pictures[number, renewed], wanted[number, renewed] = crops[renewed], crops[renewed - 1]
                if index % 2:
                    with training.fabric.autocast():
                        pictures[number] = _moved(self.student, pictures[number], wanted[number], every)
                shown = torch.cat([crops, pictures[number]])
                ours = training.wrapped["student"](shown, TAUGHT)
                with torch.no_grad():
                    theirs = self.teacher(shown, TAUGHT)
                terms = self._terms(error(ours, theirs))
                total = sum(weight * terms[name] for name, weight in self.weights.items())
                backward(total)
                add(sums, {"total": total, **terms}, len(batches))
                self.views = {"photo": crops[:1], "picture": pictures[number, :1].clone()}
        self.moving.gather(training)
        return sums

    def _terms(self, found: dict) -> dict[str, torch.Tensor]:
        """The errors by layer, and added up."""
        by_layer = {f"{name} {layer}": pair[n] for layer, pair in found.items() for n, name in enumerate(WEIGHTS)}
        return {name: sum(pair[n] for pair in found.values()) for n, name in enumerate(WEIGHTS)} | by_layer


class _Moving:
    """Pictures on their way (N, 3, size, size), and those whose style each is `wanted` to take. Of several processes each moves
    its share, and all of them keep all."""

    def __init__(self, pictures: torch.Tensor, wanted: torch.Tensor):
        self.module = nn.Module()
        self.module.register_buffer("pictures", pictures.clone())
        self.module.register_buffer("wanted", wanted.clone())

    def shares(self, training: Training) -> list[torch.Tensor]:
        """Views (batches that add up, pictures of each, 3, size, size) of this process's pictures and of what is wanted."""
        shape = (training.ranks, training.accumulate, -1)
        return [each.unflatten(0, shape)[training.rank] for each in self.module.buffers()]

    def gather(self, training: Training) -> None:
        """Take over the shares of the other processes."""
        for whole, own in zip(self.module.buffers(), self.shares(training), strict=True):
            whole.copy_(gathered(training.fabric, own).reshape(whole.shape))

    def state_dict(self) -> dict:
        return {"module": self.module.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.module.load_state_dict(state["module"])


def distillation(
    folders, *, steps: int = 450, size: int = 128, batch: int = 4, accumulate: int = 1, seed: int = 0, device="auto", **options
) -> Training:
    """The training of a pocket encoder on the pictures of some folders made ready: iterate it; `task.student` is the encoder.

    `options` are those of Training. Raises NstlabError.
    """
    folders = [str(folder) for folder in ([folders] if isinstance(folders, (str, Path)) else folders)]
    pictures = open_pictures(folders, "photo")
    if len(pictures) < batch * accumulate:
        pictures = Repeated(pictures, batch * accumulate)
    task = Distillation(pictures, batch * accumulate, size, seed, device)
    return Training(
        task, pictures, steps=steps, size=size, batch=batch, accumulate=accumulate, seed=seed, device=device,
        source={"content": ", ".join(folders)}, **options,
    )  # fmt: skip


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
    command = parser("Train the pocket encoder on the pictures of some folders.", 450, FILE)
    command.add_argument("folders", type=Path, nargs="+")
    options = command.parse_args()
    precision = "bf16" if native_bf16(own_device("auto")) else "fp32"
    made = distillation(
        options.folders, steps=options.steps, seed=options.seed, folder=options.folder, resume=options.resume,
        precision=precision,
    )  # fmt: skip
    report(made, every=100)
    if made.rank:
        return
    out, student = expanded(options.out), made.task.student.cpu()
    checkpoints.write_network(out, student)
    about = {"steps": made.done, "seed": options.seed, "scales": vgg19_scales(), "agreement": agreement(student)}
    with atomic_write(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")
    print(json.dumps(about["agreement"], indent=1))


def vgg19_scales() -> dict[str, float]:
    """What VGG-19's features were divided by in the layers that the pocket encoder has."""
    return {layer: load_encoder(device="cpu").scales[layer] for layer in PocketEncoder.layers}


if __name__ == "__main__":
    main()
