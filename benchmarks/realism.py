"""Does the critic help? A network trained with it beside the same one without, judged by somebody new and by what is kept.

A fresh classifier of patches (PatchGAN, other layers and weights than any critic's) learns paintings from photos on random
squares of two folders; every fourth picture of each is held back to see how good it is. Then it says which share of the patches
of painted pictures it takes for a painting's, in colour and in grey. What is painted are sample photos that the networks that
ship did not see. Beside that stand the measures of preservation: over the picture, and where it is salient.

    nstlab train multiscale_gan ... -o with
    nstlab train multiscale_gan ... --weight adversarial=0 -o without
    python benchmarks/realism.py with/last.safetensors without/last.safetensors --photos FOLDER --paintings FOLDER
"""

import json
import math
import statistics
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import UNSEEN, machine, options, plainly

from nstlab import images, metrics
from nstlab.color import luminance
from nstlab.data import Files, open_pictures
from nstlab.encoders import load_encoder
from nstlab.guidance import saliency
from nstlab.losses.style import STYLE_LAYERS
from nstlab.networks import PatchDiscriminator
from nstlab.systems.trained import load_generator

SIDE, BATCH, SIZE = 96, 12, 512  # pixels of a square, squares of each kind a step, long side of every picture


def split(pictures) -> tuple[list, list]:
    """Images to learn from, and every fourth one held back."""
    loaded = [images.resize(pictures.load(number), SIZE) for number in range(len(pictures))]
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


def learned(paintings: list, photos: list, steps: int, seed: int) -> PatchDiscriminator:
    """A classifier whose logits are high on patches of paintings."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    classifier = PatchDiscriminator(layers=3, width=24, norm="instance")
    optimizer = torch.optim.Adam(classifier.parameters(), 5e-4)
    for _ in range(steps):
        batch = torch.cat([squares(paintings, BATCH, generator), squares(photos, BATCH, generator)])
        logits, _ = classifier(batch)
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


def kept(encoder, picture, photo, guide, style) -> dict[str, float]:
    """Style distance, and what is left of the photo, over the picture and inside the guide."""
    row = {"style_distance": metrics.style_distance(encoder, picture, style, STYLE_LAYERS)}
    row["edge_f1"] = metrics.edge_f1(picture, photo)
    for where, region in (("", None), ("salient_", guide)):
        found = metrics.feature_distance(encoder, picture, photo, guide=region)
        row |= {f"{where}distortion": statistics.mean(found.values()), f"{where}ssim": metrics.ssim(picture, photo, region)}
    return row


def painted(checkpoint: Path, photos: list[str], size: int) -> dict[str, list]:
    """{style: pictures} of every photo."""
    painter = load_generator("multiscale_gan", checkpoint, device="cpu")
    return {s: [painter(images.load(p, size), painter.blend([s])) for p in photos] for s in painter.styles}


def run(checkpoints: list[Path], chosen, photos: list[str], size: int, steps: int, seeds: int) -> dict:
    works = open_pictures(chosen.paintings, "painting")
    views = open_pictures(chosen.photos, "photo")
    if chosen.photos == "samples":  # what is painted must be new to the classifier
        views = Files(*zip(*[x for x in zip(views.names, views.paths, strict=True) if x[0] not in photos], strict=True))
    sets = {"paintings": split(works), "photos": split(views)}
    made = {path: painted(path, photos, size) for path in checkpoints}
    originals = [images.load(name, size) for name in photos]
    rows = []
    for seed in range(seeds):
        classifier = learned(sets["paintings"][0], sets["photos"][0], steps, 100 + seed)
        shares = {"paintings held back": sets["paintings"][1], "photos held back": sets["photos"][1], "photos": originals}
        shares |= {str(path): [x for pictures in styles.values() for x in pictures] for path, styles in made.items()}
        shares |= {f"{name} in grey": [luminance(x).expand_as(x) for x in pictures] for name, pictures in shares.items()}
        rows.append({name: taken(classifier, pictures) for name, pictures in shares.items()})
        print(f"classifier {seed + 1} of {seeds} done", file=sys.stderr)
    means = {name: statistics.mean(row[name] for row in rows) for name in rows[0]}
    encoder, preserved = load_encoder(device="cpu"), {}
    guides = [saliency(photo).map for photo in originals]
    for path, styles in made.items():
        found = []
        for style, pictures in styles.items():
            painting = images.load(style, size)
            for picture, photo, guide in zip(pictures, originals, guides, strict=True):
                found.append(kept(encoder, picture, photo, guide, painting))
        preserved[str(path)] = {key: statistics.mean(row[key] for row in found) for key in found[0]}
    first = means[str(checkpoints[0])]
    headline = {"points_over_photos": first - means["photos"]}
    if len(checkpoints) > 1:
        headline["points_over_without"] = first - means[str(checkpoints[1])]
    headline = {name: round(value, 1) for name, value in headline.items() if math.isfinite(value)}
    return {"name": "realism", "machine": machine(), "headline": headline, "taken": means, "rows": rows, "preserved": preserved}


def table(report: dict) -> None:
    print(report["machine"])
    for name, share in report["taken"].items():
        each = ", ".join(f"{row[name]:.0f}" for row in report["rows"])
        print(f"taken for a painting: {share:5.1f} % of {name} ({each})")
    for name, row in report["preserved"].items():
        print(f"{name}: " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()))
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="one of multiscale_gan, then what it is compared with")
    parser.add_argument("--photos", default="samples", help="folder of photos that the classifier learns from")
    parser.add_argument("--paintings", default="samples", help="folder of paintings that it learns from")
    parser.add_argument("--steps", type=int, default=600, help="of each classifier")
    chosen = parser.parse_args()
    photos, size, steps, seeds = list(UNSEEN), SIZE, chosen.steps, 3
    if chosen.quick:
        photos, size, steps, seeds = photos[:2], 96, 3, 1
    report = run(chosen.checkpoints, chosen, photos, size, steps, seeds)
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    plainly(main)
