"""Kept and painted, at the size people use: "preserve" against Gatys at matched style, pair by pair.

Both are painted with the product's default weights. The style weight of "preserve" is then moved until its Gram distance to
the painting, on layers that no loss reads, is that of Gatys within 2 %. Inside the default saliency map it is asked

- is it painted: `strokes`, the share of the strokes that Gatys has at the same place, and `bare`, the area with less than a
  quarter of them;
- is it kept: `deep`, the feature distance at relu4_4 and relu5_1, where no loss asks for the photo; `structure`, 1 - SSIM of
  the luminance above the stroke, which a loss reads (*); `face`, the deep distance on heads;
- is it recognised: `recognised`, what part of a classifier's answer to the photo is kept, and whether the detector finds
  the photo's faces. No loss reads either.

`--ablation` adds each term alone and the objective without each term, at 256 px. Pairs that are done are kept in the cache
folder, so a run that was stopped goes on with those that are missing. No default was chosen on these pairs.
"""

import dataclasses
import hashlib
import json
import statistics
import sys
import time
from pathlib import Path

from measuring import machine, plainly
from measuring import options as arguments

import nstlab
from nstlab import samples
from nstlab.encoders import load_encoder
from nstlab.errors import NstlabError
from nstlab.experiments.comparison import TERMS, UP, VARIANTS, Pair, changes, compare, sign_test
from nstlab.files import atomic_write, cache_dir

FIXED = {"astronaut": "starry-night", "cat": "great-wave", "coffee": "composition-viii"}
MEASURES = {"strokes": "stroke_share", "bare": "bare", "deep": "deep", "face": "face", "structure*": "1-structure",
            "recognised": "recognised", "edge F1": "edge_f1", "Gram share": "share"}  # fmt: skip
AIMS = {"inside": "stroke_share", "structure": "1-structure", "semantic": "deep"}


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is painted on every pair, and how large."""

    variants: tuple[str, ...]
    size: int
    steps: int
    strength: float


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


def run(pairs, setting: Setting, fresh: bool = False) -> list[dict]:
    """Rows of all variants on all pairs, without their pictures. Pairs done before by the same code are read from the cache."""
    encoder, rows, seconds = load_encoder(), [], []
    for number, (content, style) in enumerate(pairs):
        kept = cache_dir() / "preservation" / f"{_key(content, style, setting, encoder)}.json"
        started = time.perf_counter()
        if fresh or (found := _read(kept)) is None:
            found = measured(content, style, setting, encoder)
            _write(kept, found)
            seconds.append(time.perf_counter() - started)
        rows += found
        left = statistics.mean(seconds or [0]) * (len(pairs) - number - 1) / 60
        print(f"{number + 1} of {len(pairs)} pairs at {setting.size} px, {left:.0f} minutes left at most", file=sys.stderr)
    return rows


def measured(content: str, style: str, setting: Setting, encoder) -> list[dict]:
    """The rows of one pair; none if nothing stands out in the photo."""
    pair = Pair(content, style, setting.size, setting.steps, strength=setting.strength, encoder=encoder)
    if pair.guide.uniform:
        print(f"left out: {content}, in which nothing stands out ({pair.guide.method})", file=sys.stderr)
        return []
    rows = compare(pair, {name: VARIANTS[name] for name in setting.variants})
    names = {"content": Path(content).name, "style": Path(style).name}
    return [{**names, **{key: value for key, value in row.items() if key != "image"}} for row in rows]


def _key(content: str, style: str, setting: Setting, encoder) -> str:
    """Changes with the pictures, the setting, the encoder, the machine, and every line of the package."""
    digest = hashlib.sha256(repr((setting, encoder.fingerprint, machine())).encode())
    for name in (content, style):
        path = Path(name) if Path(name).is_file() else samples.sample(name).path
        digest.update(path.read_bytes())
    for path in sorted(Path(nstlab.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:24]


def _read(path: Path) -> list[dict] | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write(path: Path, rows: list[dict]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(rows), encoding="utf-8")
    except OSError as error:
        print(f"this pair is not kept for a later run: {error}", file=sys.stderr)


def summary(rows: list[dict]) -> dict:
    """The headline: the full objective against Gatys, as means over the pairs (bare_worst: of the worst pair)."""
    ours, theirs = ([row for row in rows if row["variant"] == name] for name in ("full", "gatys"))
    mean = lambda measure: statistics.mean(found) if (found := changes(rows, "full", measure)) else None
    wanted = sum(row["faces"] for row in ours)
    return {
        "stroke_share_inside": statistics.mean(row["stroke_share"] for row in ours),
        "bare_inside": statistics.mean(row["bare"] for row in ours),
        "bare_worst": max(row["bare"] for row in ours),
        "recognised_change": mean("recognised"),
        "faces_found": sum(row["faces_found"] for row in ours) / wanted if wanted else None,
        "faces_found_gatys": sum(row["faces_found"] for row in theirs) / wanted if wanted else None,
        "face_distortion_change": mean("face"),
        "deep_distortion_change": mean("deep"),
        "structure_change": mean("1-structure"),
        "edge_f1_change": mean("edge_f1"),
        "style_mismatch": max(abs(change) for change in changes(rows, "full", "style_distance")),
        "pairs": len(ours),
    }


def table(rows: list[dict]) -> None:
    """One line a pair, then the means, then the headline."""
    print(f"{'full against gatys':38}" + "".join(f"{title:>12}" for title in MEASURES) + f"{'style':>9}{'faces':>8}")
    for row in (row for row in rows if row["variant"] == "full"):
        pair = [other for other in rows if (other["content"], other["style"]) == (row["content"], row["style"])]
        cells = "".join(f"{_one(pair, 'full', measure):>12}" for measure in MEASURES.values())
        style = changes(pair, "full", "style_distance")[0]
        name = f"{row['content'][:18]} / {row['style'][:16]}"
        print(f"{name:38}{cells}{style:>+9.1%}{row['faces_found']:>5}/{row['faces']}")
    print("\n" + "\n".join(f"{name:26} {'-' if value is None else f'{value:.3f}'}" for name, value in summary(rows).items()))


def _one(rows: list[dict], variant: str, measure: str) -> str:
    if measure in ("stroke_share", "bare"):
        return f"{next(row[measure] for row in rows if row['variant'] == variant):.2f}"
    found = changes(rows, variant, measure)
    return "-" if not found else f"{found[0]:+.2f}" if measure in UP else f"{found[0]:+.0%}"


def ablation_table(rows: list[dict]) -> None:
    """Every variant against Gatys, and what each term is worth to the full objective."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    print("\nmean over the pairs, against gatys; in brackets better : worse, p of a sign test; * read by a term itself")
    print(f"{'':20}" + "".join(f"{title:>26}" for title in MEASURES) + f"{'matched':>10}")
    for name in names[1:]:
        cells = "".join(f"{_cell(rows, name, measure):>26}" for measure in MEASURES.values())
        found = [row["matched"] for row in rows if row["variant"] == name]
        print(f"{name:20}{cells}{f'{sum(found)}/{len(found)}':>10}")
    print("\nwhat a term is worth: the full objective against itself without the term, on the measure the term aims at")
    for term in TERMS:
        print(f"{term:20}{AIMS[term]:>14}{_cell(rows, 'full', AIMS[term], f'without {term}'):>28}")


def _cell(rows: list[dict], variant: str, measure: str, against: str = "gatys") -> str:
    if measure == "bare" and against == "gatys":  # which has none by definition
        return f"{statistics.mean(row[measure] for row in rows if row['variant'] == variant):.2f}"
    values = changes(rows, variant, measure, against)
    if not values:
        return "-"
    better, worse = (sum(value > 0 for value in values), sum(value < 0 for value in values))
    if measure not in UP:
        better, worse = worse, better
    mean = statistics.mean(values)
    shown = f"{mean:+.3f}" if measure in UP else f"{100 * mean:+.0f} %"
    return f"{shown} ({better}:{worse}, p {sign_test(better, worse):.3f})"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--content-dir", help="photos of your own, with --style-dir")
    parser.add_argument("--style-dir", help="paintings of your own, with --content-dir")
    parser.add_argument("--pairs", type=int, help="only so many pairs, the first ones")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--strength", type=float, default=1.0, help="style weight of the baseline, times its default")
    parser.add_argument("--ablation", action="store_true", help="also every term alone, and all but each, at 256 px")
    parser.add_argument("--fresh", action="store_true", help="paint pairs again that are done")
    options = parser.parse_args()
    if bool(options.content_dir) != bool(options.style_dir):
        parser.error("--content-dir and --style-dir belong together: give both")
    pairs = folder_pairs(options.content_dir, options.style_dir) if options.content_dir else sample_pairs()
    pairs = pairs[: options.pairs]
    if options.quick:
        pairs, options.size, options.steps, options.fresh = pairs[:2], 64, 10, True
    setting = Setting(("full",), options.size, options.steps, options.strength)
    rows = run(pairs, setting, options.fresh)
    if not rows:
        raise NstlabError("no photo is left to compare: in each of them nothing stands out")
    settings = {**dataclasses.asdict(setting), "encoder": "vgg19", "style_layers_judged": "relu1_2 2_2 3_2 4_3"}
    report = {"name": "preservation", "machine": machine(), "headline": summary(rows), "settings": settings, "rows": rows}
    if options.ablation:
        small = dataclasses.replace(setting, variants=tuple(VARIANTS), size=min(256, options.size))
        report["ablation"] = run(pairs, small, options.fresh)
    if options.json:
        print(json.dumps(report))
        return
    table(rows)
    if options.ablation:
        ablation_table(report["ablation"])


if __name__ == "__main__":
    plainly(main)
