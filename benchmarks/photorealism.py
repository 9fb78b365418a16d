"""Does a photo stay a photo? wct2 beside wct at the same style distance, every sample photo in the light of the next one.

wct2 is painted as it ships. Then the alpha of wct is moved until its Gram distance to the style photo, on layers that no
transform changes, is that of wct2. Edges are maps of the Sobel gradient, from 0 to 1; their SSIM to the photo's says what is
left of the outlines (Yoo et al. 2019 compare edges likewise). "given back" is the largest deviation from the photo of what wct2
paints at alpha 0, which is no transform.

    python benchmarks/photorealism.py --photos DIR

takes photos of your own. Where wct is farther from the style than wct2 at every alpha, it is shown at alpha 1.
"""

import json
import statistics
from functools import partial
from pathlib import Path

import torch
from measuring import machine, options, plainly

from nstlab import images, metrics, samples
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError
from nstlab.guidance import edges
from nstlab.systems import stylize

HALVINGS = 6  # of the range of alpha


def matched(paint, distance, wanted: float) -> tuple[torch.Tensor, float]:
    """The picture of `paint(alpha)` whose `distance` is nearest to the one wanted, with its alpha; it falls as alpha grows."""
    low, high = 0.0, 1.0
    picture = paint(high)
    if distance(picture) >= wanted:
        return picture, high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        picture = paint(middle)
        low, high = (middle, high) if distance(picture) > wanted else (low, middle)
    return picture, middle


def measured(content: str, style: str, size: int, judge) -> dict:
    """What wct2 and wct keep of one photo at one style distance."""
    photo, light = images.load(content, size=size), images.load(style, size=size)
    made = lambda system, alpha: stylize(photo, light, system=system, alpha=alpha, size=size, device="cpu").image
    distance = lambda picture: metrics.style_distance(judge, picture, light)
    kept = lambda picture: metrics.ssim(edges(picture).map, edges(photo).map)
    ours = made("wct2", 1.0)
    theirs, alpha = matched(partial(made, "wct"), distance, distance(ours))
    given_back = (made("wct2", 0.0) - photo).abs().max().item()
    row = {"content": Path(content).stem, "style": Path(style).stem, "given_back": given_back}
    row |= {"distance": distance(ours), "distance_wct": distance(theirs), "alpha_wct": alpha}
    return row | {"edges": kept(ours), "edges_wct": kept(theirs)}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos of your own")
    parser.add_argument("--size", type=int, default=256)
    chosen = parser.parse_args()
    found = sorted(map(str, chosen.photos.glob("*.[jp][pn]g"))) if chosen.photos else list(samples.names("photo"))
    if len(found) < 2:
        raise NstlabError(f"{chosen.photos} holds fewer than two photos: give a folder with .jpg or .png files")
    found, size = (found[:2], 64) if chosen.quick else (found, chosen.size)
    judge = load_encoder(device="cpu")
    rows = [measured(photo, other, size, judge) for photo, other in zip(found, [*found[1:], found[0]], strict=True)]
    mean = lambda name: statistics.mean(row[name] for row in rows)
    headline = {"edges_wct2": mean("edges"), "edges_wct": mean("edges_wct"), "photos": len(rows)}
    headline |= {"wins": sum(row["edges"] > row["edges_wct"] for row in rows), "given_back": max(r["given_back"] for r in rows)}
    if chosen.json:
        print(json.dumps({"name": "photorealism", "machine": machine(), "headline": headline, "rows": rows}))
        return
    print(f"{'photo':22}{'light of':22}{'distance wct2':>14}{'wct':>8}{'alpha':>7}{'edges wct2':>12}{'wct':>8}")
    for row in rows:
        kept = f"{row['edges']:12.3f}{row['edges_wct']:8.3f}"
        print(f"{row['content'][:20]:22}{row['style'][:20]:22}{row['distance']:14.3f}{row['distance_wct']:8.3f}"
              f"{row['alpha_wct']:7.2f}{kept}")  # fmt: skip
    print("\n" + "\n".join(f"{name:12} {value:.6g}" for name, value in headline.items()))


if __name__ == "__main__":
    plainly(main)
