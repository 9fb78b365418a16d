"""Do painted pictures pass for paintings? A fresh classifier, that no network was trained against, is asked.

It judges patches (PatchGAN, other layers and weights than any critic's) and learns paintings from photos on random squares of
two folders; every fourth picture of each is held back. It must find strokes and no palette: half of the squares are grey,
and the others have hues, saturation and brightness drawn anew. Whether that worked is asked of what was held back: of real
paintings in grey it must take 80 % of the patches for a painting's, and of photos in grey no more than half. Else its verdict
says nothing, and is not given. What it says is the share of the patches of painted pictures that it takes for a
painting's, in colour and in grey; the photos that are painted are none of those that it learns from.

    nstlab train lapstyle ... -o with
    nstlab train lapstyle ... --weight adversarial=0 --weight matching=0 -o without
    python benchmarks/realism.py with/last.safetensors without/last.safetensors --photos FOLDER --paintings FOLDER

`networks.py` asks it too, and measures what was kept and what was painted.
"""

import json
import statistics
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import UNSEEN, machine, options, plainly

from nstlab import images
from nstlab.color import luminance
from nstlab.data import Files, open_pictures
from nstlab.data.alike import leave_out
from nstlab.networks import PatchDiscriminator, saved
from nstlab.systems.trained import load_generator
from nstlab.training.pairs import recoloured

SIDE, BATCH, SIZE = 96, 12, 512  # pixels of a square, squares of each kind a step, long side of every picture
STEPS, SEEDS = 600, 3  # of each classifier, and classifiers
ENOUGH = 240  # pictures of a folder, evenly chosen, that are read
PAINTINGS, PHOTOS = "paintings held back", "photos held back"
LEAST, MOST = 80.0, 50.0  # percent of real paintings, and of photos, in grey, that a verdict rests on
GREY = " in grey"


def split(pictures) -> tuple[list, list]:
    """Images to learn from, and every fourth one held back."""
    chosen = range(0, len(pictures), -(-len(pictures) // ENOUGH))
    loaded = [images.resize(pictures.load(number), SIZE) for number in chosen]
    return [x for i, x in enumerate(loaded) if i % 4], loaded[::4]


def squares(pictures: list, count: int, generator) -> torch.Tensor:
    """Random squares (count, 3, SIDE, SIDE), half of them mirrored."""
    found = []
    for _ in range(count):
        picture = pictures[int(torch.randint(len(pictures), (), generator=generator))]
        y, x = (int(torch.randint(max(1, side - SIDE), (), generator=generator)) for side in picture.shape[-2:])
        cut = images.resize(picture[..., y : y + SIDE, x : x + SIDE], (SIDE, SIDE))
        found.append(cut.flip(3) if torch.rand((), generator=generator) < 0.5 else cut)
    return torch.cat(found)


def without_palette(batch: torch.Tensor, generator) -> torch.Tensor:
    """The squares (N, 3, h, w) with hues, saturation and brightness drawn anew, about half of them in grey."""
    seeds = torch.randint(2**31, (len(batch),), generator=generator).tolist()
    batch = recoloured(batch, seeds, share=1)
    grey = torch.rand(len(batch), 1, 1, 1, generator=generator) < 0.5
    return torch.where(grey, luminance(batch), batch)


def learned(paintings: list, photos: list, steps: int, seed: int) -> PatchDiscriminator:
    """A classifier whose logits are high on patches of paintings."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = PatchDiscriminator(layers=3, width=24, norm="instance")
    optimizer = torch.optim.Adam(classifier.parameters(), 5e-4)
    for _ in range(steps):
        batch = torch.cat([squares(paintings, BATCH, generator), squares(photos, BATCH, generator)])
        logits, _ = classifier(without_palette(batch, generator))
        truth = torch.zeros_like(logits)
        truth[:BATCH] = 1
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(logits, truth).backward()
        optimizer.step()
    return classifier.eval()


@torch.no_grad()
def taken(classifier, pictures: list) -> float:
    """The share of all patches that the classifier takes for a painting's, in percent, mean over the pictures.

    It sees them as it learned: in squares, side by side over the picture, each with its own instance norm.
    """
    shares = []
    for picture in pictures:
        side = min(SIDE, *picture.shape[-2:])
        tiles = torch.cat([row for column in picture.split(side, 3) for row in column.split(side, 2) if fits(row, side)])
        shares.append((classifier(tiles)[0] > 0).float().mean().item())
    return 100 * statistics.mean(shares)


def fits(tile, side: int) -> bool:
    return tuple(tile.shape[-2:]) == (side, side)


def in_grey(pictures: list) -> list:
    return [luminance(picture).expand_as(picture) for picture in pictures]


def trusted(means: dict[str, float]) -> bool:
    """Whether classifiers that took these shares know strokes from a palette: real paintings in grey, and not photos."""
    return means[PAINTINGS + GREY] >= LEAST and means[PHOTOS + GREY] <= MOST


def verdict(made: dict[str, list], paintings: Files, photos: Files, steps: int = STEPS, seeds: int = SEEDS) -> dict:
    """{"taken": {name: percent}, "rows": the same of each classifier, "trusted": bool} of lists of pictures by name.

    The names have " in grey" behind them for the same pictures without colour. Where the classifiers are not to be trusted,
    only what they make of the pictures held back is there.
    """
    (learn, held), (views, kept) = split(paintings), split(photos)
    real, rows = {PAINTINGS: held, PHOTOS: kept}, []
    for seed in range(seeds):
        classifier = learned(learn, views, steps, 100 + seed)
        row = {}
        for name, pictures in {**real, **made}.items():
            row |= {name: taken(classifier, pictures), name + GREY: taken(classifier, in_grey(pictures))}
        rows.append(row)
        print(f"classifier {seed + 1} of {seeds} done", file=sys.stderr)
    means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    trust = trusted(means)
    told = [name for name in means if trust or name.removesuffix(GREY) in real]
    rows = [{name: row[name] for name in told} for row in rows]
    return {"trusted": trust, "taken": {name: means[name] for name in told}, "rows": rows}


def shown(found: dict) -> str:
    """A verdict in lines."""
    lines = []
    for name, share in found["taken"].items():
        each = ", ".join(f"{row[name]:.0f}" for row in found["rows"])
        lines.append(f"taken for a painting: {share:5.1f} % of {name} ({each})")
    if not found["trusted"]:
        lines.append(
            f"no verdict: in grey, {LEAST:.0f} % or more of real paintings and {MOST:.0f} % or less of photos were wanted"
        )
    return "\n".join(lines)


def learning_sets(photos, paintings, judged: list) -> tuple[Files, Files]:
    """(paintings, photos) to learn from, without photos that are among those `judged` (sources), under whatever name."""
    others = open_pictures([str(source) for source in judged], "photo")
    return open_pictures(paintings, "painting"), leave_out(open_pictures(photos, "photo"), others)[0]


def painted(checkpoint: Path, photos: list[str], size: int) -> list:
    """Pictures of every photo in every style."""
    painter = load_generator(saved.read(checkpoint)[1]["system"], checkpoint, device="cpu")
    return [painter(images.load(photo, size), painter.blend([style])) for style in painter.styles for photo in photos]


def headline(found: dict, first: str, second: str | None) -> dict:
    """Points by which the first is taken for a painting's more often than the photos, and than the second."""
    share = found["taken"].get
    if not found["trusted"]:
        return {"points_over_photos": None, "points_over_without": None}
    without = None if second is None else round(share(first) - share(second), 1)
    return {"points_over_photos": round(share(first) - share("photos"), 1), "points_over_without": without}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument(
        "checkpoints", type=Path, nargs="+", help="one of a network with a critic, then what it is compared with"
    )
    parser.add_argument("--photos", default="samples", help="folder of photos that the classifier learns from")
    parser.add_argument("--paintings", default="samples", help="folder of paintings that it learns from")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each classifier")
    chosen = parser.parse_args()
    photos, size, steps, seeds = list(UNSEEN), SIZE, chosen.steps, SEEDS
    if chosen.quick:
        photos, size, steps, seeds = photos[:2], 96, 3, 1
    made = {"photos": [images.load(name, size) for name in photos]}
    made |= {str(path): painted(path, photos, size) for path in chosen.checkpoints}
    found = verdict(made, *learning_sets(chosen.photos, chosen.paintings, photos), steps, seeds)
    names = [str(path) for path in chosen.checkpoints]
    first, second = names[0], names[1] if len(names) > 1 else None
    report = {"name": "realism", "machine": machine(), "headline": headline(found, first, second), **found}
    if chosen.json:
        print(json.dumps(report))
        return
    print(report["machine"], shown(found), ", ".join(f"{name} {value}" for name, value in report["headline"].items()), sep="\n")


if __name__ == "__main__":
    plainly(main)
