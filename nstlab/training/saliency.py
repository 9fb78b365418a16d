"""The saliency head's training: a few thousand looks at the outlines of 128 pictures of MS-COCO, three minutes on 2 cores.

python -m nstlab.training.saliency PICTURES instances_train2017.json
"""

import argparse
import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from nstlab.data import Coco
from nstlab.files import atomic_write
from nstlab.networks.ema import Ema
from nstlab.networks.saliency_head import FILE, NAMES, STUFF, SaliencyHead, object_logit
from nstlab.training.loop import Training
from nstlab.training.outlines import HEADS, PLACES, SIZES, SMALLEST, Thumbnails, View, Views
from nstlab.training.task import Task

STEPS, BATCH = 240, 8
WEIGHTS = {"iou": 0.5, "names": 0.5, "heads": 0.3, "stuff": 0.3}  # of the losses beside the cross-entropy of the outlines


def losses(logits: torch.Tensor, names, counts, heads, stuff) -> dict[str, torch.Tensor]:
    """Losses of logits (N, 14, h, w) against a view's truth, each a mean over the pictures.

    "outline": binary cross-entropy of object against background. "iou": 1 - soft intersection over union of the objects
    (Rahman & Wang 2016). "names": cross-entropy of the seven names. "heads": binary cross-entropy, heads counting 5 times.
    "stuff": cross-entropy of the six kinds of background at the places that are marked.
    """
    dims, object_there = (1, 2, 3), 1 - names[:, :1]
    area = counts.sum(dims).clamp_min(1)
    mean = lambda values: ((values * counts).sum(dims) / area).mean()
    outside = object_logit(logits)
    inside, wanted = outside.sigmoid() * counts, object_there * counts
    shared = (inside * wanted).sum(dims)
    union = inside.sum(dims) + wanted.sum(dims) - shared
    named, head, kinds = logits.split([len(NAMES), 1, len(STUFF)], 1)
    log = named.log_softmax(1)
    weight = logits.new_tensor(5.0)
    return {
        "outline": mean(F.binary_cross_entropy_with_logits(outside, object_there, reduction="none")),
        "iou": (1 - (shared + 1) / (union + 1)).mean(),
        "names": mean(-(names * log).sum(1, keepdim=True)),
        "heads": mean(F.binary_cross_entropy_with_logits(head, heads, reduction="none", pos_weight=weight)),
        "stuff": -(stuff * kinds.log_softmax(1)).sum() / stuff.sum().clamp_min(1),
    }


class SaliencyTask(Task):
    """The head as a task of the loop. The loop says which pictures make up a step; their features come from `views`."""

    system, info = "saliency_head", {}

    def __init__(self, views: Views, seed: int = 0, rate: float = 2e-3, decay: float = 2e-2):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            head = SaliencyHead()
        self.data, self.networks = views, {"head": head}
        self.optimizers = {"head": torch.optim.AdamW(head.parameters(), rate, weight_decay=decay)}
        self.ema = Ema(head, 0.99)
        self.kept, self.weights, self.views = {"ema": self.ema}, dict(WEIGHTS), {}
        self.settings = {"rate": rate, "decay": decay, "sizes": list(SIZES), "smallest": SMALLEST}
        self._number = {name: index for index, name in enumerate(views.coco.names)}

    def step(self, index: int, batches: list, training: Training) -> dict[str, torch.Tensor]:
        """One step: of every picture one view, drawn by the step's number; pictures of one size go through together."""
        head, sums = training.wrapped["head"], {}
        drawn = training.draw(2 * len(SIZES) + self.data.crops, index)
        parts = [self._chosen(photos.names, numbers) for (photos, _), numbers in zip(batches, drawn, strict=True)]
        torch.manual_seed((training.seed * 1_000_003 + index) % 2**63)  # of the dropout; loading a network draws numbers too
        with training.update("head") as backward:
            for chosen in parts:
                for group in _by_size(chosen):
                    share = len(group) / len(chosen)
                    found = losses(*_stacked(group, head, training.device))
                    found["total"] = found["outline"] + sum(self.weights[name] * found[name] for name in self.weights)
                    backward(share * found["total"])
                    for name, value in found.items():
                        sums[name] = sums.get(name, 0) + share * value.detach() / len(parts)
        self.views = {"picture": batches[-1][0].images}
        self.ema.update(self.networks["head"])
        return sums

    def _chosen(self, names: list[str], drawn: torch.Tensor) -> list[View]:
        return [self.data[self._number[name]][int(view)] for name, view in zip(names, drawn, strict=True)]


def _by_size(views: list[View]) -> list[list[View]]:
    groups: dict = {}
    for view in views:
        groups.setdefault(tuple(view.names.shape[-2:]), []).append(view)
    return list(groups.values())


def _stacked(views: list[View], head, device) -> tuple[torch.Tensor, ...]:
    """Logits and truth of views of one size."""
    features = {name: torch.cat([view.features[name] for view in views]).to(device).float() for name in views[0].features}
    known = [torch.cat([getattr(view, part) for view in views]).to(device) for part in ("names", "counts", "heads", "stuff")]
    return head(features), *known


def training(views: Views, indices=None, *, steps: int = STEPS, batch: int = BATCH, seed: int = 0, **options) -> Training:
    """A training on those pictures of `views` (all if None) made ready: iterate it; the head is `task.ema.module`."""
    pictures = Thumbnails(views.coco, range(len(views.coco)) if indices is None else indices)
    task = SaliencyTask(views, seed)
    return Training(task, pictures, steps=steps, size=task.least, batch=min(batch, len(pictures)), seed=seed, **options)


def trained(views: Views, indices=None, report=None, **options) -> SaliencyHead:
    """The head that a whole training gives; `report` is told every step."""
    made = training(views, indices, **options)
    for step in made:
        if report:
            report(step)
    return made.task.ema.module


def folds(count: int, parts: int = 5, seed: int = 0) -> list[list[int]]:
    """The numbers below `count` in random order, dealt into `parts`."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return [order[part::parts] for part in range(parts)]


def main() -> None:
    """Train on all pictures and replace the file that ships and the JSON that says how it came about."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description="Train the saliency head on the outlines of MS-COCO.")
    parser.add_argument("pictures", type=Path, help="folder of MS-COCO photos")
    parser.add_argument("annotations", type=Path, help="their instances file")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FILE, help="file to write")
    options = parser.parse_args()
    views, curve = Views(Coco(options.pictures, options.annotations)), []

    def report(step):
        curve.append({"step": step.index, "total": round(step.total, 4)} | {k: round(v, 4) for k, v in step.losses.items()})
        if step.index % 25 == 0:
            print(f"step {step.index}: {curve[-1]}", file=sys.stderr)

    head = trained(views, steps=options.steps, seed=options.seed, device="cpu", report=report)
    with atomic_write(options.out) as temporary:
        save_file({name: value.half().contiguous() for name, value in head.state_dict().items()}, temporary)
    command = "python -m nstlab.training.saliency PICTURES instances_train2017.json"
    about = {"command": f"{command} --steps {options.steps} --seed {options.seed}", "pictures": len(views.coco)}
    about |= {"heads": HEADS.name, "stuff": PLACES.name, "weights": WEIGHTS, "curve": curve[9::10]}
    with atomic_write(options.out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
