"""Scales: from large forms to brush strokes."""

from nstlab.errors import check_count

SMALLEST = 80  # long side in pixels of the coarsest scale
SHARES = {1: (1.0,), 2: (0.6, 0.4), 3: (0.46, 0.36, 0.18), 4: (0.42, 0.32, 0.16, 0.1)}  # of the steps, coarse to fine


def schedule(size: int, steps: int, levels: int | None = None) -> list[tuple[int, int]]:
    """[(long side, steps), ...] from coarse to fine, each scale twice the one before; the last is `size`.

    `levels` None takes as many scales as keep the coarsest at 80 px or more, at most 4. A coarse step costs a quarter of
    the next finer one, so most steps are spent where they are cheap. The steps add up to `steps`.
    """
    check_count("size", size)
    check_count("steps", steps)
    if levels is None:
        levels = 1
        while levels < 4 and size / 2**levels >= SMALLEST and steps > levels:
            levels += 1
    levels = min(check_count("levels", levels), 4, steps)
    sizes = [max(1, round(size / 2 ** (levels - 1 - i))) for i in range(levels)]
    counts = [max(1, int(steps * share)) for share in SHARES[levels]]
    counts[0] = max(1, counts[0] + steps - sum(counts))
    return list(zip(sizes, counts, strict=True))
