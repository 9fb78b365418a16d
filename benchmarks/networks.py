"""Networks on photos that they never saw: what is painted, what is kept, and whether it repeats.

Each network paints every photo in each of its paintings, and so does plain style transfer ("gatys"). Asked is, inside what
stands out (`nstlab.guidance.saliency`):

- is it painted: `stroke_share` of plain style transfer's strokes and `bare` area; `style_distance` on layers that no style loss
  reads, over the whole picture;
- is it kept: `structure` above the stroke, `deep` distortion, that of faces (`face`), and how many of them are found again;
- does it repeat: `repeats`, how much of the texture is one pattern over and over beyond the painting's own;
- does it pass for a painting: what fresh classifiers say (`realism.py`), against the same network trained without a critic
  (`--control`), in points: `critic_points`.

The photos are four samples that nothing was trained on, or those of a folder; name one of pictures kept apart from training.
The headline is of `lapstyle` if it is among the networks, else of `multiscale_gan`, else of the first.
"""

import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from judging import STEPS, Judge, Scene, means, plainly_painted
from measuring import CONTENT, UNSEEN, machine, options, own_precision, plainly, spent, square
from realism import SEEDS, learning_sets, shown, verdict
from realism import STEPS as CLASSIFIER_STEPS

from nstlab import images, metrics, samples
from nstlab.data import open_pictures
from nstlab.errors import NstlabError, WeightsError
from nstlab.networks import saved
from nstlab.systems import plan, registry, stylize
from nstlab.systems.trained import SHIPPED

GATYS, PHOTOS = "gatys", "photos"
HEADING = ("lapstyle", "multiscale_gan")  # systems that the headline is of, the first of them that is asked for


@dataclass(frozen=True)
class Network:
    """A system with the checkpoint that it paints with (None: what ships), and the paintings it is asked for."""

    name: str
    system: str
    checkpoint: str | None
    paintings: tuple[str, ...]

    def paint(self, photo, painting: str, size: int) -> torch.Tensor:
        """The picture (1, 3, H, W), as it would be saved."""
        return images.eight_bit(stylize(photo, [painting], system=self.system, size=size, **self.options).image)

    @property
    def options(self) -> dict:
        return {} if self.checkpoint is None else {"checkpoint": self.checkpoint}


def network(named: str, paintings) -> Network:
    """The network of a system's name or a checkpoint's file. Raises WeightsError, SettingError."""
    if Path(named).suffix == ".safetensors":
        info = saved.read(Path(named))[1]
        system, checkpoint, learned = info["system"], named, info["network"].get("styles")
    else:
        system, checkpoint, learned = named, None, None
        if registry.load(named).styles == "learned":
            path = SHIPPED / f"{named}.safetensors"
            if not path.exists():
                raise WeightsError(f"no checkpoint of {named} ships with the package: name one by its file")
            learned = saved.read(path)[1]["network"]["styles"]
    wanted = paintings or learned or samples.names("painting")
    return Network(named, system, checkpoint, tuple(name for name in wanted if not learned or name in learned))


def shipped() -> list[str]:
    """The systems with learned styles whose network ships."""
    learned = (name for name in registry.names() if registry.load(name).styles == "learned")
    return [name for name in learned if (SHIPPED / f"{name}.safetensors").exists()]


def judged(networks: list[Network], scenes: list[Scene], size: int, steps: int, made: dict[str, list]) -> Iterator[dict]:
    """Rows of measures by photo, painting and network, plain style transfer's too; the pictures are put into `made`."""
    judge = Judge(size)
    paintings = dict.fromkeys(name for each in networks for name in each.paintings)
    for scene in scenes:
        for painting in paintings:
            plain, original = plainly_painted(scene.source, painting, size, steps), images.load(painting)
            pictures = {GATYS: plain}
            for each in networks:
                if painting in each.paintings:
                    pictures[each.name] = each.paint(scene.source, painting, size)
            for name, picture in pictures.items():
                made.setdefault(name, []).append(picture)
                row = {"what": name, "photo": scene.name, "painting": painting, **judge(picture, scene, painting, plain)}
                yield row | judge.likeness(picture, scene) | {"repeats": metrics.repeats(picture, original)}
            print(f"{scene.name} / {painting} done", file=sys.stderr)


def seconds(each: Network, size: int, turns: int) -> dict[str, float]:
    """{precision: median CPU seconds of one pass on one thread}, in the machine's own precision and in fp32."""
    found, photo = {}, square(CONTENT, size)
    for precision in dict.fromkeys((own_precision(), "fp32")):
        given = {"precision": precision} if registry.load(each.system).takes("precision") else {}
        run = plan(photo, [each.paintings[0]], system=each.system, size=size, **each.options, **given)
        run.finish()
        found[precision] = statistics.median(spent(run.finish)[0] for _ in range(turns))
    return found


def summary(rows: list[dict], name: str) -> dict[str, float]:
    """Means of the measures of one network over its pictures; of faces, the share that is found again."""
    ours = [row for row in rows if row["what"] == name]
    found = means(ours)[name]
    faces = sum(row["faces"] for row in ours)
    found["faces_found"] = sum(row["faces_found"] for row in ours) / faces if faces else None
    return found


def headline(rows: list[dict], first: Network, cpu: dict, found: dict, control: str | None, size: int) -> dict:
    ours, theirs = summary(rows, first.name), summary([r for r in rows if r["painting"] in first.paintings], GATYS)
    each = [summary([row for row in rows if row["painting"] == name], first.name) for name in first.paintings]
    share = found["taken"]
    points = share[first.name] - share[control] if control and found["trusted"] else None
    values = {
        "bare_inside": ours["bare"], "bare_inside_worst": max(row["bare"] for row in each),
        "stroke_share_inside": ours["stroke_share"], "stroke_share_inside_worst": min(row["stroke_share"] for row in each),
        "style_distance": ours["style_distance"], "faces_found": ours["faces_found"], "repeats": ours["repeats"],
        "repeats_gatys": theirs["repeats"], "critic_points": points, f"cpu_s_{size}": cpu[own_precision()],
        f"cpu_s_{size}_fp32": cpu["fp32"],
    }  # fmt: skip
    return {name: None if value is None else round(value, 3) for name, value in values.items()}


MEASURES = {"style": "style_distance", "strokes": "stroke_share", "bare": "bare", "structure": "structure", "deep": "deep",
            "face": "face", "found": "faces_found", "repeats": "repeats"}  # fmt: skip


def table(report: dict) -> None:
    print(f"{report['machine']}\n{'mean over photos':46}" + "".join(f"{title:>10}" for title in MEASURES))
    for name in dict.fromkeys(row["what"] for row in report["rows"]):
        rows = [row for row in report["rows"] if row["what"] == name]
        for painting in [*dict.fromkeys(row["painting"] for row in rows), None]:
            found = summary([row for row in rows if painting in (None, row["painting"])], name)
            cells = (f"{'-':>10}" if found.get(key) is None else f"{found[key]:10.3f}" for key in MEASURES.values())
            print(f"{name[-24:]:24} {painting or 'all':21}" + "".join(cells))
    for name, found in report["seconds"].items():
        print(f"{name}: " + ", ".join(f"{value:.3f} CPU s in {precision}" for precision, value in found.items()))
    print(shown(report["verdict"]))
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("networks", nargs="*", help="systems or checkpoints; else every network with learned styles that ships")
    parser.add_argument("--control", help="checkpoint of the first network trained without its critic")
    parser.add_argument("--photos", help="folder of photos that no network was trained on; else four samples")
    parser.add_argument("--paintings", nargs="+", help="only these; else all that a network learned")
    parser.add_argument("--size", type=int, default=384, help="long side in pixels of what is judged")
    parser.add_argument("--learn-photos", default="samples", help="folder of photos that classifiers learn from")
    parser.add_argument("--learn-paintings", default="samples", help="folder of paintings that they learn from")
    parser.add_argument("--steps", type=int, default=CLASSIFIER_STEPS, help="of each classifier")
    chosen = parser.parse_args()
    photos = [str(path) for path in open_pictures(chosen.photos, "photo").paths] if chosen.photos else list(UNSEEN)
    networks = [network(name, chosen.paintings) for name in chosen.networks or shipped()]
    if not networks:
        raise NstlabError("no network with learned styles ships: name a checkpoint")
    first = min(networks, key=lambda each: HEADING.index(each.system) if each.system in HEADING else len(HEADING))
    networks += [network(chosen.control, chosen.paintings)] if chosen.control else []
    size, timed, turns, steps, learning, seeds = chosen.size, 512, 5, STEPS, chosen.steps, SEEDS
    if chosen.quick:
        photos, size, timed, turns, steps, learning, seeds = photos[:1], 96, 96, 1, 3, 3, 1
        networks = [Network(each.name, each.system, each.checkpoint, each.paintings[:1]) for each in networks]
        first = next(each for each in networks if each.name == first.name)
    else:
        pairs = len(photos) * len(dict.fromkeys(name for each in networks for name in each.paintings))
        print(f"this takes about {15 + pairs} minutes, less where plain style transfer is kept", file=sys.stderr)
    torch.set_num_threads(1)
    cpu = {each.name: seconds(each, timed, turns) for each in networks}
    scenes, made = [Scene(source, size) for source in photos], {}
    rows = list(judged(networks, scenes, size, steps, made))
    made[PHOTOS] = [scene.photo for scene in scenes]
    found = verdict(made, *learning_sets(chosen.learn_photos, chosen.learn_paintings, photos), learning, seeds)
    top = headline(rows, first, cpu[first.name], found, chosen.control, timed)
    report = {"name": "networks", "machine": machine(), "headline": top, "seconds": cpu, "verdict": found, "rows": rows}
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    plainly(main)
