"""One Gatys evaluation (loss and gradient of the picture), ours beside pastiche 1.6.0, in one process, taking turns.

Both run VGG-19 to relu5_1 with content at relu4_2 and Gram matrices at five layers. Ours pads by reflection, pastiche with
zeros; the line "zeros" shows what that costs us. "preserve" is the objective that keeps what matters, with all its terms.
Figures are CPU seconds of the process per evaluation (median over the turns), ratios are ours over pastiche's. Peak memory is
that of a process of its own which does nothing else.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from measuring import CONTENT, STYLE, evaluation, gatys, machine, options, own_precision, peak_mb, spent, square

from nstlab import images
from nstlab.encoders import load_encoder
from nstlab.systems import plan


def ours(size: int, precision: str, padding: str = "reflect"):
    """A function that makes one evaluation of our objective."""
    return gatys(load_encoder(precision=precision, padding=padding, device="cpu"), size)


def kept(size: int, precision: str):
    """The same for the system "preserve": all its terms on one encoder pass."""
    photo = square(CONTENT, size)
    return evaluation(plan(photo, STYLE, system="preserve", size=size, precision=precision, device="cpu").objective, photo)


def pastiches(size: int):
    """A function that makes one evaluation of pastiche's loss, as its optimiser's closure does."""
    from pastiche.pastiche import PasticheArtist

    with tempfile.TemporaryDirectory() as folder:
        paths = [images.save(square(name, size), Path(folder, f"{name}.png")) for name in (CONTENT, STYLE)]
        artist = PasticheArtist(str(paths[0]), [str(paths[1])], device="cpu")

    def evaluate():
        artist.pastiche.grad = None
        artist._calc_loss().backward()

    return evaluate


def measure(evaluations: dict, turns: int) -> dict[str, tuple[float, float]]:
    """Median CPU and wall seconds of each evaluation, in alternation, after one warm-up each."""
    for evaluate in evaluations.values():
        evaluate()
    seconds = {name: [] for name in evaluations}
    for _ in range(turns):
        for name, evaluate in evaluations.items():
            seconds[name].append(spent(evaluate))
    return {name: tuple(statistics.median(each) for each in zip(*found, strict=True)) for name, found in seconds.items()}


def peak_of(which: str, size: int) -> float:
    """Peak resident memory in MB of a fresh process that makes three evaluations."""
    command = [sys.executable, __file__, "--peak", which, "--sizes", str(size)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def report_peak(which: str, size: int) -> None:
    made = {"pastiche": lambda: pastiches(size), "preserve": lambda: kept(size, "auto")}
    evaluate = made.get(which, lambda: ours(size, which))()
    for _ in range(3):
        evaluate()
    print(peak_mb())


def run(sizes, threads, turns) -> dict:
    precisions = list(dict.fromkeys([own_precision(), "fp32"]))
    rows, headline = [], {}
    for size in sizes:
        for count in threads:
            torch.set_num_threads(count)
            evaluations = {"pastiche": pastiches(size)}
            for precision in precisions:
                evaluations[precision] = ours(size, precision)
                evaluations[f"{precision} zeros"] = ours(size, precision, "zeros")
            evaluations[f"{precisions[0]} preserve"] = kept(size, precisions[0])
            found = measure(evaluations, turns)
            for name, (cpu, wall) in found.items():
                rows.append({"size": size, "threads": count, "what": name, "cpu_s": round(cpu, 3), "wall_s": round(wall, 3),
                             "cpu_ratio": round(cpu / found["pastiche"][0], 3)})  # fmt: skip
                if count == 1 and name in precisions:
                    headline[f"cpu_ratio_{name}_{size}"] = rows[-1]["cpu_ratio"]
                if count == 1 and name.endswith("preserve"):
                    headline[f"preserve_to_gatys_{size}"] = round(cpu / found[precisions[0]][0], 3)
    memory = {which: round(peak_of(which, sizes[0])) for which in ("pastiche", *precisions, "preserve")}
    headline[f"peak_mb_{sizes[0]}"] = memory[precisions[0]]
    return {"name": "gatys_iteration", "machine": machine(), "headline": headline, "rows": rows, "peak_mb": memory}


def table(report: dict) -> None:
    print(f"{report['machine']}\n{'size':>5} {'threads':>7}  {'what':14} {'CPU s':>7} {'wall s':>7} {'of pastiche':>12}")
    for row in report["rows"]:
        seconds = f"{row['cpu_s']:7.3f} {row['wall_s']:7.3f}"
        print(f"{row['size']:5} {row['threads']:7}  {row['what']:14} {seconds} {row['cpu_ratio']:12.2f}")
    print("peak MB: " + ", ".join(f"{which} {value}" for which, value in report["peak_mb"].items()))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak:
        return report_peak(chosen.peak, chosen.sizes[0])
    if not chosen.quick:
        print("this takes about 5 minutes on 2 cores", file=sys.stderr)
    report = run([64], [1], 2) if chosen.quick else run(chosen.sizes, [1, 2], 5)
    print(json.dumps(report)) if chosen.json else table(report)


if __name__ == "__main__":
    main()
