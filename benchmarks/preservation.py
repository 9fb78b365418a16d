"""What is kept inside the salient region at matched style: the terms of "preserve" against Gatys, pair by pair.

Every variant is painted at the style weight at which its Gram distance to the painting, on layers that no loss reads, is
that of Gatys within 2 %. Distortion inside the default saliency map is then compared: feature distance ("features": mean of
relu3_1 and relu4_2; "unread": of relu3_3 and relu4_4, which no loss reads), 1 - SSIM of luminance, GMSD; over the whole
picture edge F1; and the share of Gatys' style that is still found inside. What a term reads itself is marked *; the verdict
rests on the others. The baseline is Gatys at a quarter of its default style weight, where things can still be told;
`--strength 1` asks at the full one. The default weights were set on other pairs.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from measuring import machine, plainly
from measuring import options as arguments

from nstlab import samples
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError
from nstlab.experiments.comparison import TERMS, UP, VARIANTS, Pair, changes, compare, sign_test

FIXED = {"astronaut": "starry-night", "cat": "great-wave", "coffee": "composition-viii"}
MEASURES = ("features", "unread", "1-ssim", "gmsd", "edge_f1", "share")
MARKS = {"features": "features*", "1-ssim": "1-ssim*"}
TARGETS = {"saliency": "relu4_2", "inside": "share", "structure": "1-ssim", "semantic": "relu3_1", "edges": "edge_f1"}


def sample_pairs() -> list[tuple[str, str]]:
    """Every sample photo with one painting: three that are fixed, the others in the order of the catalogue."""
    left = [name for name in samples.names("painting") if name not in FIXED.values()]
    pairs = []
    for number, photo in enumerate(name for name in samples.names("photo") if name not in FIXED):
        pairs.append((photo, left[number % len(left)]))
    return [*FIXED.items(), *pairs]


def folder_pairs(contents: str, styles: str) -> list[tuple[str, str]]:
    """Every picture of one folder with one of the other, in the order of their names."""
    found = []
    for folder in (contents, styles):
        paths = [p for p in sorted(Path(folder).glob("*")) if p.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]
        if not paths:
            raise NstlabError(f"{folder} holds no pictures: give a folder with .jpg or .png files")
        found.append([str(path) for path in paths])
    return [(content, found[1][i % len(found[1])]) for i, content in enumerate(found[0])]


def run(pairs, variants, size: int, steps: int, strength: float) -> list[dict]:
    """Rows of all variants on all pairs, without their pictures."""
    encoder, rows, started = load_encoder(), [], time.perf_counter()
    for number, (content, style) in enumerate(pairs):
        pair = Pair(content, style, size, steps, strength=strength, encoder=encoder)
        if pair.guide.uniform:
            print(f"left out: {content}, in which nothing stands out ({pair.guide.method})", file=sys.stderr)
            continue
        for row in compare(pair, variants):
            row.pop("image")
            rows.append({"content": Path(content).stem, "style": Path(style).stem, **row})
        minutes = (time.perf_counter() - started) / 60
        left = minutes / (number + 1) * (len(pairs) - number - 1)
        print(f"{number + 1} of {len(pairs)} pairs, {left:.0f} minutes left", file=sys.stderr)
    return rows


def summary(rows: list[dict]) -> dict:
    """The headline: means over pairs of the full objective against Gatys."""
    full = {measure: changes(rows, "full", measure) for measure in MEASURES}
    painted = [row for row in rows if row["variant"] == "full"]
    distortions = zip(*(full[measure] for measure in ("features", "unread", "1-ssim", "gmsd")), strict=True)
    better = sum(all(change < 0 for change in pair) for pair in distortions)
    return {
        "salient_distortion_change": statistics.mean(full["features"]),
        "salient_ssim_change": statistics.mean(full["1-ssim"]),
        "salient_gmsd_change": statistics.mean(full["gmsd"]),
        "inside_style_share": statistics.mean(row["share"] for row in painted),
        "edge_f1_change": statistics.mean(full["edge_f1"]),
        "style_mismatch": max(abs(change) for change in changes(rows, "full", "style_distance")),
        "pairs_better": better,
        "pairs": len(painted),
    }


def table(rows: list[dict], headline: dict) -> None:
    names = list(dict.fromkeys(row["variant"] for row in rows))
    print("mean change against gatys over the pairs; in brackets better : worse, p of a sign test\n* read by a term itself")
    print(f"{'':20}" + "".join(f"{MARKS.get(measure, measure):>26}" for measure in MEASURES) + f"{'matched':>10}")
    for name in names[1:]:
        cells = "".join(f"{_cell(rows, name, measure):>26}" for measure in MEASURES)
        print(f"{name:20}{cells}{_matched(rows, name):>10}")
    if all(f"without {term}" in names for term in TERMS):
        print("\nwhat a term is worth: the full objective against itself without the term, on the measure the term aims at")
        for term in TERMS:
            measure = TARGETS[term]
            print(f"{term:20}{measure:>12}{_cell(rows, 'full', measure, f'without {term}'):>28}")
    print("\n" + "\n".join(f"{name:26} {value:.3f}" for name, value in headline.items()))


def _cell(rows, variant, measure, against="gatys") -> str:
    values = changes(rows, variant, measure, against)
    better, worse = (sum(value > 0 for value in values), sum(value < 0 for value in values))
    if measure not in UP:
        better, worse = worse, better
    mean = statistics.mean(values)
    shown = f"{mean:+.3f}" if measure in UP else f"{100 * mean:+.0f} %"
    return f"{shown} ({better}:{worse}, p {sign_test(better, worse):.3f})"


def _matched(rows, variant) -> str:
    found = [row["matched"] for row in rows if row["variant"] == variant]
    return f"{sum(found)}/{len(found)}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--content-dir", help="photos of your own, with --style-dir")
    parser.add_argument("--style-dir", help="paintings of your own, with --content-dir")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), help="all of them by default")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--strength", type=float, default=0.25, help="style weight of the baseline, times its default")
    options = parser.parse_args()
    if bool(options.content_dir) != bool(options.style_dir):
        parser.error("--content-dir and --style-dir belong together: give both")
    pairs = folder_pairs(options.content_dir, options.style_dir) if options.content_dir else sample_pairs()
    variants = {name: VARIANTS[name] for name in dict.fromkeys(["full", *options.variants])}
    if options.quick:
        pairs, variants, options.size, options.steps = pairs[:2], {"full": VARIANTS["full"]}, 64, 10
    else:
        minutes = len(pairs) * (1 + 3.3 * len(variants)) * 4.5 / 60 * (options.size / 160) ** 2 * options.steps / 40
        print(f"this takes about {minutes:.0f} minutes on 2 cores", file=sys.stderr)
    rows = run(pairs, variants, options.size, options.steps, options.strength)
    if not rows:
        raise NstlabError("no photo is left to compare: in each of them nothing stands out")
    settings = {
        "size": options.size,
        "steps": options.steps,
        "strength": options.strength,
        "encoder": "vgg19",
        "style_layers_judged": "relu1_2 2_2 3_2 4_3",
    }
    report = {"name": "preservation", "machine": machine(), "headline": summary(rows), "settings": settings, "rows": rows}
    print(json.dumps(report)) if options.json else table(rows, report["headline"])


if __name__ == "__main__":
    plainly(main)
