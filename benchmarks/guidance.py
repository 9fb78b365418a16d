"""How well saliency, named segments and faces agree with what people outlined.

With MS-COCO's pictures and annotations: five-fold cross-validation, so that no picture is judged by a head that saw it. The
truth is the union of all outlined things above 0.8 % of the picture; furniture counts only where there is nothing else, as a
table carries what matters ("with_furniture" counts all of it). Crowds and smaller things are left out of the counting. Beside
the head stand the classical default and every classical map; these are the best of nine thresholds over all pictures, the
others are cut at one half. `--heads FOLDER` keeps the trained heads and takes them from there the next time.

    python benchmarks/guidance.py --coco PICTURES --annotations instances_train2017.json

With a folder of pictures and one of masks of the same names (white is the object) the shipped head is judged on them:

    python benchmarks/guidance.py --images DIR --masks DIR

Without either, on drawn pictures, which says only that everything runs.
"""

import csv
import json
import statistics
import sys
from pathlib import Path

import torch
from measuring import machine, options, plainly, spent
from safetensors.torch import save_file

from nstlab import images
from nstlab.data import Coco, open_pictures
from nstlab.data.scenes import scene
from nstlab.errors import ImageError, SettingError
from nstlab.filters import shrink
from nstlab.guidance import faces, saliency, things
from nstlab.guidance.faces import frontal_faces
from nstlab.guidance.saliency import METHODS, SIZE, classical_map, mixed_map, object_map
from nstlab.guidance.segments import named_masks
from nstlab.networks.saliency_head import NAMES, STUFF, SaliencyHead, load_saliency_head
from nstlab.training.outlines import Truth, Views, truth
from nstlab.training.saliency import STEPS, folds, trained

CLASSICAL = tuple(name for name in METHODS if name not in ("objects", "classical", "hub"))
THRESHOLDS = [number / 10 for number in range(1, 10)]
BETA = 0.3  # of the F-measure: precision counts more than recall (Achanta et al. 2009)


def overlap(mask: torch.Tensor, wanted: torch.Tensor) -> float:
    """Intersection over union of two boolean masks; 1 if both are empty."""
    union = (mask | wanted).sum().item()
    return (mask & wanted).sum().item() / union if union else 1.0


def scores(values: torch.Tensor, wanted: torch.Tensor, counts: torch.Tensor, threshold: float = 0.5) -> dict[str, float]:
    """Intersection over union, mean absolute error and F-measure of a map (1, 1, H, W) against a mask (H, W), where `counts`
    (H, W) is true."""
    values, wanted = images.resize(values, tuple(wanted.shape))[0, 0][counts], wanted[counts]
    mask = values > threshold
    hit = (mask & wanted).sum().item()
    precision, recall = hit / max(1, mask.sum().item()), hit / max(1, wanted.sum().item())
    f = (1 + BETA) * precision * recall / max(1e-9, BETA * precision + recall)
    return {"iou": overlap(mask, wanted), "mae": (values - wanted.float()).abs().mean().item(), "f": f}


def working(picture: torch.Tensor) -> torch.Tensor:
    """The picture at the size at which `saliency` works."""
    return shrink(picture, SIZE)


def judge(picture: torch.Tensor, wanted: torch.Tensor, counts: torch.Tensor, seen, compared: bool) -> dict:
    """The scores of one picture: of the head ("objects") and, if asked for, of what needs no training."""
    small = working(picture)
    mix = mixed_map(small)
    found, note = object_map(small, picture, seen, mix)
    row = {"objects": scores(found, wanted, counts), "note": note, "empty": not wanted.any().item(), "found": found}
    if compared:
        row["classical"] = scores(classical_map(small, picture, mix)[0], wanted, counts)
    for method in CLASSICAL if compared else ():
        values = mix if method == "mix" else saliency(small, method).map
        row[method] = [scores(values, wanted, counts, threshold) for threshold in THRESHOLDS]
    return row


def cross_validated(coco: Coco, steps: int, parts: int, pictures: int, compared: bool, kept: Path | None) -> list[dict]:
    """A row for each picture, by a head trained on the others."""
    views, rows = Views(coco), []
    for number, held in enumerate(folds(len(coco), parts)):
        head = kept_head(kept and kept / f"{number}.safetensors", views, held, steps)
        for index in held[:pictures]:
            picture, known = coco.load(index), truth(coco, index)
            seen = things(picture, head)
            row = judge(picture, known.salient, known.counts, seen, compared)
            row |= {"name": coco.names[index], "people": (known.names == 1).any().item()}
            row["with_furniture"] = scores(row.pop("found"), known.names > 0, known.counts)
            row |= named(picture, known, seen) | {"heads": heads_found(picture, known.heads, seen)}
            rows.append(row)
        print(f"part {number + 1} of {parts} done", file=sys.stderr)
    return rows


def kept_head(file: Path | None, views: Views, held: list[int], steps: int) -> SaliencyHead:
    """The head trained on all pictures but `held`, from `file` if it is there; else trained, and written there if named."""
    if file and file.is_file():
        return load_saliency_head(file)
    head = trained(views, [index for index in range(len(views.coco)) if index not in held], steps=steps, device="cpu")
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(head.state_dict(), file)
    return head.eval().requires_grad_(False)


def named(picture, known: Truth, seen) -> dict:
    """How the named regions agree with the truth.

    "names": pixels that a thing's name has in both and in either. "stuff": for each kind of background [its marked places that
    have its name, its marked places, other marked places that have it].
    """
    size = tuple(known.names.shape)
    masks = {
        name: images.resize(mask[None].float(), size)[0, 0] > 0.5 for name, (mask, _) in named_masks(picture, seen=seen).items()
    }
    nothing = torch.zeros(size, dtype=torch.bool)
    counts = {}
    for number, name in enumerate(NAMES[1:], 1):
        mask, wanted = masks.get(name, nothing) & known.counts, known.names == number
        counts[name] = ((mask & wanted).sum().item(), (mask | wanted).sum().item())
    marked = {name: [0, 0, 0] for name in STUFF}
    for row, column, number in known.stuff:
        for other, name in enumerate(STUFF):
            there = bool(masks.get(name, nothing)[min(int(row), size[0] - 1), min(int(column), size[1] - 1)])
            marked[name] = [
                a + b
                for a, b in zip(
                    marked[name], (there and other == number, other == number, there and other != number), strict=True
                )
            ]
    return {"names": counts, "stuff": marked}


def heads_found(picture, heads: list, seen) -> dict[str, list[int]]:
    """[marked heads found, marked, boxes elsewhere, large ones found, large ones] by `faces`, and by the cascade alone.

    A head is found if a box of half to twice its height has its middle within three quarters of its height. A large one is
    at least 8 % of the picture's long side high.
    """
    large = [head for head in heads if head[2] >= 0.08 * max(picture.shape[-2:])]

    def count(boxes):
        hit = lambda marked: sum(any(_meets(box, head) for box in boxes) for head in marked)
        elsewhere = sum(not any(_meets(box, head) for head in heads) for box in boxes)
        return [hit(heads), len(heads), elsewhere, hit(large), len(large)]

    return {"faces": count(faces(picture, seen)), "cascade": count(frontal_faces(picture))}


def _meets(box, head) -> bool:
    row, column, tall = head
    away = max(abs(box.top + box.height / 2 - row), abs(box.left + box.width / 2 - column))
    return away < 0.75 * tall and 0.5 < box.height / tall < 2


def judged(pictures: Path, masks: Path, subject: str, most: int, compared: bool) -> list[dict]:
    """A row for each picture of a folder whose mask lies in another one, by the shipped head. Raises ImageError."""
    found, outlined = open_pictures(pictures, "picture"), open_pictures(masks, "mask")
    by_stem = {Path(name).stem: index for index, name in enumerate(outlined.names)}
    rows = []
    for index, name in enumerate(found.names[:most]):
        if Path(name).stem not in by_stem:
            raise ImageError(f"{name} has no mask in {masks}: name a mask's file as its picture's")
        picture, mask = found.load(index), outlined.load(by_stem[Path(name).stem])[0].mean(0) > 0.5
        row = judge(picture, mask, torch.ones_like(mask), things(picture), compared)
        rows.append(row | {"name": name, "people": subject == "people"})
    return rows


def drawn(count: int) -> list[dict]:
    """Rows of drawn scenes, whose nearest things are called the object."""
    rows = []
    for number in range(count):
        made = scene(number, 96)
        wanted = made.nearness[0, 0] > 0.6
        row = judge(made.image, wanted, torch.ones_like(wanted), things(made.image), True)
        rows.append(row | {"name": f"drawn {number}", "people": False})
    return rows


def summary(rows: list[dict]) -> tuple[dict, dict]:
    """(headline, table): means over the pictures; those without any object count in the error alone."""
    groups = {"people": [r for r in rows if r["people"] and not r["empty"]]}
    groups |= {"others": [r for r in rows if not r["people"] and not r["empty"]], "all": [r for r in rows if not r["empty"]]}
    mean = lambda values: round(statistics.mean(values), 3) if values else None
    methods = [name for name in ("objects", "with_furniture", "classical", *CLASSICAL) if name in rows[0]]
    table = {}
    for method in methods:
        scored = rows[0][method]
        best = 0
        if isinstance(scored, list):
            best = max(range(len(scored)), key=lambda t: statistics.mean(r[method][t]["iou"] for r in groups["all"]))
        of = lambda row, best=best, method=method: row[method][best] if isinstance(row[method], list) else row[method]
        table[method] = {f"iou_{name}": mean([of(row)["iou"] for row in group]) for name, group in groups.items()}
        table[method] |= {f"{key}_all": mean([of(row)[key] for row in rows]) for key in ("mae", "f")}
    headline = {"iou_people": table["objects"]["iou_people"], "iou_others": table["objects"]["iou_others"]}
    headline |= {"iou_classical": table.get("classical", {}).get("iou_all"), "mae": table["objects"]["mae_all"]}
    extra = {"empty_told": [sum(r["empty"] and "nothing stands out" in r["note"] for r in rows), sum(r["empty"] for r in rows)]}
    extra["objects_missed"] = sum("nothing stands out" in r["note"] for r in groups["all"])
    if "names" in rows[0]:
        sums = {name: [sum(row["names"][name][part] for row in rows) for part in (0, 1)] for name in NAMES[1:]}
        extra["names"] = {name: round(both / max(1, either), 3) for name, (both, either) in sums.items()}
        marks = {name: [sum(row["stuff"][name][part] for row in rows) for part in (0, 1, 2)] for name in STUFF}
        extra["stuff_found"] = {name: f"{hit} of {all_}, {wrong} elsewhere" for name, (hit, all_, wrong) in marks.items()}
        for who in ("faces", "cascade"):
            keys = ("found", "marked", "elsewhere", "large_found", "large")
            extra[who] = {key: sum(row["heads"][who][part] for row in rows) for part, key in enumerate(keys)}
        headline["faces_found"] = round(extra["faces"]["found"] / max(1, extra["faces"]["marked"]), 3)
    return {k: v for k, v in headline.items() if v is not None}, table | extra


def seconds() -> dict[str, float]:
    """Wall seconds of saliency and of the head alone for a photo of 512 px, the best of three."""
    picture = images.load("astronaut", 512)
    saliency(picture)
    best = lambda work: round(min(spent(work)[1] for _ in range(3)), 2)
    return {"seconds_512": best(lambda: saliency(picture)), "seconds_head": best(lambda: things(picture))}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--coco", type=Path, help="folder of MS-COCO photos, for cross-validation")
    parser.add_argument("--annotations", type=Path, help="their instances file")
    parser.add_argument("--images", type=Path, help="folder of pictures to judge the shipped head on")
    parser.add_argument("--masks", type=Path, help="folder of their masks, of the same names")
    parser.add_argument("--subject", choices=("people", "others"), default="people", help="what the masks of --masks show")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each training in the cross-validation")
    parser.add_argument("--no-classical", action="store_true", help="leave out what needs no training, which takes longest")
    parser.add_argument("--heads", type=Path, help="folder that keeps the heads of the cross-validation")
    parser.add_argument("--rows", type=Path, help="CSV file for the IoU of each picture")
    chosen = parser.parse_args()
    for one, other in (("coco", "annotations"), ("images", "masks")):
        if (getattr(chosen, one) is None) != (getattr(chosen, other) is None):
            raise SettingError(f"--{one} and --{other} belong together: give both")
    compared, heads = not chosen.no_classical, chosen.heads
    most = 2 if chosen.quick else sys.maxsize
    if chosen.images:
        rows = judged(chosen.images, chosen.masks, chosen.subject, most, compared)
    elif chosen.coco:
        coco = Coco(chosen.coco, chosen.annotations)
        if chosen.quick:
            rows = cross_validated(_few(coco, 8), 3, 2, most, compared, None)
        else:
            rows = cross_validated(coco, chosen.steps, 5, most, compared, heads)
    else:
        rows = drawn(2)
    headline, table = summary(rows)
    headline |= seconds()
    if chosen.rows:
        with open(chosen.rows, "w", encoding="utf-8", newline="") as handle:
            csv.writer(handle).writerows([row["name"], row["people"], round(row["objects"]["iou"], 3)] for row in rows)
    report = {"name": "guidance", "machine": machine(), "headline": headline, "rows": [table]}
    print(json.dumps(report)) if chosen.json else show(report)


def _few(coco: Coco, count: int) -> Coco:
    """The same set with its first pictures alone."""
    coco.names, coco.paths, coco.ids = coco.names[:count], coco.paths[:count], coco.ids[:count]
    return coco


def show(report: dict) -> None:
    """Print the report as lines."""
    print(report["machine"])
    for name, values in report["rows"][0].items():
        shown = ", ".join(f"{key} {value}" for key, value in values.items()) if isinstance(values, dict) else values
        print(f"{name}: {shown}")
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


if __name__ == "__main__":
    plainly(main)
