"""What this machine can carry of the studio: measured in a process of its own, and said in a few lines."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from nstlab.devices import available_memory, best_device
from nstlab.pyramid import schedule
from nstlab.systems import plan

SIZE, STEPS, LOOKS = 512, 150, 3
SAMPLED = 3  # steps that are timed at each scale
RESERVE = 1e9  # bytes that are left to the system


@dataclass(frozen=True)
class Capacity:
    """Bytes of memory of a visitor's kernel at rest and while it paints, seconds of a first look and of a picture."""

    rest: float
    painting: float
    look: float
    picture: float
    free: float
    slots: int = 1

    @property
    def visitors(self) -> int:
        """How many visitors the memory holds at a time, at least one."""
        return max(1, int((self.free - RESERVE - self.slots * (self.painting - self.rest)) / self.rest))

    def report(self, rooms: int, slots: int) -> str:
        """What a teacher should know before `rooms` visitors come, of whom `slots` paint at a time."""
        most = min(rooms, self.visitors)
        rest, painting, free = (value / 1e9 for value in (self.rest, self.painting, self.free))
        lines = [
            f"This machine has {cores()} cores and {free:.1f} GB of free memory.",
            f"A visitor takes {rest:.2f} GB, and {painting:.2f} GB while painting.",
            f"A first look takes {self.look:.1f} s, a picture of {SIZE} px about {self.picture:.0f} s; {slots} at a time.",
            f"Memory holds {self.visitors} visitors at a time; {rooms} were asked for, so {most} are let in at a time.",
            f"If all {most} press Paint at once, the last waits about {most * self.picture / slots / 60:.0f} min;"
            f" in an hour about {3600 * slots / self.picture:.0f} are painted.",
        ]
        return "\n".join(lines)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def measured() -> Capacity:
    """This machine's capacity; takes half a minute or so, in a process that is gone afterwards."""
    command = [sys.executable, "-m", "nstlab.panels.capacity"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "NSTLAB_HEADLESS": "1"})
    return Capacity(**json.loads(done.stdout.splitlines()[-1]))


def measure() -> Capacity:
    """As `measured`, in this process."""
    import psutil

    from nstlab.panels import orders
    from nstlab.panels.pictures import Shelf

    free, process = available_memory(best_device("cpu")), psutil.Process()
    own = lambda: getattr(process.memory_full_info(), "uss", process.memory_info().rss)
    photo, paintings = Shelf("photo")["astronaut"], Shelf("painting").sources()
    orders.warm(photo, paintings[0], SIZE)
    rest, began = own(), time.monotonic()
    for painting in paintings[1 : 1 + LOOKS]:
        orders.Order(photo, painting, SIZE, orders.QUICK, quick=True).plan().finish()
    look, picture, most = (time.monotonic() - began) / LOOKS, 0.0, rest
    options = {"system": "preserve", "encoder": orders.encoder(), "guide": orders.found(photo), "levels": 1}
    for long, count in schedule(SIZE, STEPS, None):
        run = plan(photo.picture, [paintings[0].picture], size=long, steps=SAMPLED, **options)
        began = time.monotonic()
        for _ in run:
            most = max(most, own())
        picture += count * (time.monotonic() - began) / SAMPLED
    return Capacity(rest, most, look, picture, free)


if __name__ == "__main__":
    print(json.dumps(asdict(measure())))
