"""What the benchmarks share: an evaluation to be timed, its seconds and its memory, the machine, and the usual options."""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from nstlab import images
from nstlab.devices import native_bf16
from nstlab.errors import NstlabError
from nstlab.losses import ContentLoss, StyleLoss
from nstlab.objective import Objective

CONTENT, STYLE = "astronaut", "starry-night"
UNSEEN = ("astronaut", "cat", "coffee", "rocket")  # the sample photos that the networks that ship were not trained on


def square(name: str, size: int) -> torch.Tensor:
    """A picture at size x size pixels, whatever its proportions."""
    return images.resize(images.load(name), (size, size))


def evaluation(objective: Objective, photo: torch.Tensor) -> Callable[[], None]:
    """A function that makes one evaluation at the photo: the total loss and its gradient with respect to the picture."""
    objective.prepare(tuple(photo.shape[-2:]))
    picture = photo.clone().requires_grad_()

    def evaluate():
        total, _ = objective(picture)
        torch.autograd.grad(total, picture)

    return evaluate


def gatys(encoder, size: int) -> Callable[[], None]:
    """A function that makes one evaluation of the Gatys objective at size x size pixels."""
    photo = square(CONTENT, size)
    losses = {"content": ContentLoss(photo), "style": StyleLoss(images.load(STYLE))}
    return evaluation(Objective(encoder, losses, {"style": 60.0}), photo)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """CPU and wall seconds of one call in this process."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.process_time() - used, time.perf_counter() - started


def peak_mb() -> float:
    """Peak resident memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux: ru_maxrss would begin at the parent's peak
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource  # not there on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def own_precision() -> str:
    """The type the encoder computes in on this CPU unless told otherwise: "bf16" or "fp32"."""
    return "bf16" if native_bf16(torch.device("cpu")) else "fp32"


def machine() -> str:
    """What the figures depend on, in one line: the processor, its instructions, the encoder's type, torch."""
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {own_precision()}, torch {torch.__version__}"


def plainly(main: Callable[[], None]) -> None:
    """Run a benchmark; what is wrong with its input is told in one line, with exit status 1."""
    try:
        main()
    except NstlabError as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")


def options(doc: str) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes, --quick and --json; `doc` is the benchmark's own."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under a minute; its figures are not to be quoted")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parser
