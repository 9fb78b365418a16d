"""How seconds and memory of one evaluation grow with the picture, from 128 to 2048 px, and how near it is to the limit.

An evaluation is loss and gradient of the Gatys objective. The limit is what its convolutions alone take in the same run:
forward and backward to the input, on tensors of the same shapes, type and layout, with nothing between them. Each size has
a process of its own, so that the peak memory is its own. `nonlinearity` is the largest deviation of the seconds a pixel from
those at 512 px, over the sizes from 256 px on.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from nstlab import images
from nstlab.devices import native_bf16
from nstlab.encoder import load_encoder
from nstlab.losses import ContentLoss, StyleLoss
from nstlab.objective import Objective

SIZES = (128, 256, 512, 1024, 2048)
DEEPEST = "relu5_1"


def evaluation(size: int, encoder):
    """A function that makes one evaluation at size x size pixels."""
    photo = images.resize(images.load("astronaut"), (size, size))
    objective = Objective(encoder, {"content": ContentLoss(photo), "style": StyleLoss(images.load("starry-night"))})
    objective.prepare((size, size))
    picture = photo.clone().requires_grad_()

    def evaluate():
        total, _ = objective(picture)
        torch.autograd.grad(total, picture)

    return evaluate


def convolution_seconds(size: int, encoder, turns: int) -> float:
    """CPU seconds of the convolutions up to DEEPEST alone: the sum of the medians of each."""
    total, side = 0.0, size
    for layer in encoder.layers[: encoder.layers.index(DEEPEST) + 1]:
        weight, bias = getattr(encoder, f"{layer}_weight"), getattr(encoder, f"{layer}_bias")
        if layer.endswith("_1") and layer != "relu1_1":
            side = side // 2
        x = torch.rand(1, weight.shape[1], side + 2, side + 2).to(encoder.dtype).contiguous(memory_format=torch.channels_last)
        y = torch.nn.functional.conv2d(x, weight, bias)
        seconds = []
        for _ in range(turns):
            started = time.process_time()
            torch.nn.functional.conv2d(x, weight, bias)
            torch.ops.aten.convolution_backward(
                y, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
            )
            seconds.append(time.process_time() - started)
        total += statistics.median(seconds)
    return total


def measure(size: int, turns: int) -> dict:
    """One row: CPU and wall seconds of an evaluation, those of its convolutions, and the peak memory in MB."""
    torch.manual_seed(0)
    encoder = load_encoder(device="cpu")
    evaluate = evaluation(size, encoder)
    evaluate()
    cpu, wall = [], []
    for _ in range(turns):
        started, used = time.perf_counter(), time.process_time()
        evaluate()
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - started)
    peak = peak_mb()
    limit = convolution_seconds(size, encoder, turns)
    cpu_s = statistics.median(cpu)
    row = {"size": size, "cpu_s": cpu_s, "wall_s": statistics.median(wall), "convolutions_s": limit, "share": limit / cpu_s}
    return row | {"ns_per_pixel": 1e9 * cpu_s / size**2, "peak_mb": peak}


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def run(sizes, turns: int) -> dict:
    rows = []
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size), "--turns", str(turns)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(f"{size} px done", file=sys.stderr)
    base = next((row for row in rows if row["size"] == 512), rows[-1])
    large = [row for row in rows if row["size"] >= min(256, base["size"])]
    off = max(abs(row["ns_per_pixel"] / base["ns_per_pixel"] - 1) for row in large)
    bits = "bf16" if native_bf16(torch.device("cpu")) else "fp32"
    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {bits}, torch {torch.__version__}"
    headline = {f"limit_share_{base['size']}": round(base["share"], 3), "nonlinearity": round(off, 3)}
    return {"name": "scaling", "machine": machine, "headline": headline, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; its figures are not to be quoted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return print(json.dumps(measure(options.one, options.turns)))
    if not options.quick:
        print("this takes about 6 minutes on 2 cores", file=sys.stderr)
    report = run((64, 128), 2) if options.quick else run(options.sizes, options.turns)
    if options.json:
        return print(json.dumps(report))
    print(report["machine"])
    print(f"{'px':>5} {'CPU s':>8} {'wall s':>8} {'ns a pixel':>11} {'of the limit':>13} {'peak MB':>8}")
    for row in report["rows"]:
        seconds = f"{row['cpu_s']:8.3f} {row['wall_s']:8.3f} {row['ns_per_pixel']:11.0f}"
        print(f"{row['size']:5} {seconds} {row['share']:13.2f} {row['peak_mb']:8.0f}")
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


if __name__ == "__main__":
    main()
