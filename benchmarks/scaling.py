"""How seconds and memory of one evaluation grow with the picture, from 128 to 2048 px, and how near it is to the limit.

An evaluation is loss and gradient of the Gatys objective, on one thread unless --threads says more. The limit is what its
convolutions alone take in the same run: forward and backward to the input, on tensors of the same shapes, type and layout,
with nothing between them. Each size has a process of its own, so that the peak memory is its own. `nonlinearity` is the
largest deviation of the seconds a pixel from those at 512 px, over the sizes from 256 px on.
"""

import argparse
import json
import statistics
import subprocess
import sys

import torch
from measuring import gatys, machine, options, peak_mb, spent

from nstlab.encoders import load_encoder

SIZES = (128, 256, 512, 1024, 2048)
DEEPEST = "relu5_1"


def convolution(x, weight, bias):
    """A function that makes one convolution, forward and backward to its input."""
    y = torch.nn.functional.conv2d(x, weight, bias)

    def convolve():
        torch.nn.functional.conv2d(x, weight, bias)
        torch.ops.aten.convolution_backward(y, x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [True, False, False])

    return convolve


def convolution_seconds(size: int, encoder, turns: int) -> float:
    """CPU seconds of the convolutions up to DEEPEST alone: the sum of the medians of each."""
    total, side = 0.0, size
    for layer in encoder.layers[: encoder.layers.index(DEEPEST) + 1]:
        weight, bias = getattr(encoder, f"{layer}_weight"), getattr(encoder, f"{layer}_bias")
        if layer.endswith("_1") and layer != "relu1_1":
            side = side // 2
        x = torch.rand(1, weight.shape[1], side + 2, side + 2).to(encoder.dtype).contiguous(memory_format=torch.channels_last)
        convolve = convolution(x, weight, bias)
        total += statistics.median(spent(convolve)[0] for _ in range(turns))
    return total


def measure(size: int, turns: int, threads: int) -> dict:
    """One row: CPU and wall seconds of an evaluation, those of its convolutions, and the peak memory in MB."""
    torch.set_num_threads(threads)
    encoder = load_encoder(device="cpu")
    evaluate = gatys(encoder, size)
    evaluate()
    cpu_s, wall_s = (statistics.median(each) for each in zip(*(spent(evaluate) for _ in range(turns)), strict=True))
    peak = peak_mb()
    limit = convolution_seconds(size, encoder, turns)
    row = {"size": size, "cpu_s": cpu_s, "wall_s": wall_s, "convolutions_s": limit, "share": limit / cpu_s}
    return row | {"ns_per_pixel": 1e9 * cpu_s / size**2, "peak_mb": peak}


def run(sizes, turns: int, threads: int) -> dict:
    rows = []
    for size in sizes:
        command = [sys.executable, __file__, "--one", str(size), "--turns", str(turns), "--threads", str(threads)]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        print(f"{size} px done", file=sys.stderr)
    base = next((row for row in rows if row["size"] == 512), rows[-1])
    large = [row for row in rows if row["size"] >= min(256, base["size"])]
    off = max(abs(row["ns_per_pixel"] / base["ns_per_pixel"] - 1) for row in large)
    headline = {f"limit_share_{base['size']}": round(base["share"], 3), "nonlinearity": round(off, 3)}
    return {"name": "scaling", "machine": machine(), "headline": headline, "rows": rows}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        return print(json.dumps(measure(chosen.one, chosen.turns, chosen.threads)))
    if not chosen.quick:
        print("this takes about 7 minutes", file=sys.stderr)
    sizes, turns = ((64, 128), 2) if chosen.quick else (chosen.sizes, chosen.turns)
    report = run(sizes, turns, chosen.threads)
    if chosen.json:
        return print(json.dumps(report))
    print(report["machine"])
    print(f"{'px':>5} {'CPU s':>8} {'wall s':>8} {'ns a pixel':>11} {'of the limit':>13} {'peak MB':>8}")
    for row in report["rows"]:
        seconds = f"{row['cpu_s']:8.3f} {row['wall_s']:8.3f} {row['ns_per_pixel']:11.0f}"
        print(f"{row['size']:5} {seconds} {row['share']:13.2f} {row['peak_mb']:8.0f}")
    print(", ".join(f"{name} {value}" for name, value in report["headline"].items()))


if __name__ == "__main__":
    main()
