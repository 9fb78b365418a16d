"""THE loop over pixels: an iterator of steps, by projected L-BFGS or by Adam, at one size or from coarse to fine."""

import math
from collections import deque
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.devices import free_memory
from nstlab.errors import DivergedError, SettingError, check_count, choose
from nstlab.step import Step

OPTIMIZERS = ("lbfgs", "adam")
MEMORY = 10  # pairs of differences that L-BFGS remembers
ADVICE = "try a smaller step size, smaller weights, or precision fp32"


def optimize(objective, start, steps: int = 100, *, optimizer="lbfgs", schedule=None, lr=None, bounded=True) -> Iterator[Step]:
    """Change the pixels of `start` (1, 3, H, W) so that the objective falls; yield a Step after each change, and before.

    `schedule` is [(long side or (H, W), steps), ...] from coarse to fine (see pyramid.schedule) and replaces `steps`;
    without it the size stays that of `start`. What a scale has changed is enlarged and added to the start at the next size, so
    a start that is larger than the first scale keeps its fine details for the later ones.

    `optimizer` is "lbfgs" (every step lowers the loss, or the scale ends) or "adam" (step size `lr`, 0.02). `bounded` keeps
    every pixel in [0, 1] all the time, so the picture that is judged is the one that is saved; unbounded is there to show
    what clipping at the end costs.

    To pause, do not ask for the next step; to stop, close the iterator. The objective's weights may change in between.
    Raises DivergedError, which holds the last good picture, if the loss is not a number.
    """
    choose("optimizer", optimizer, OPTIMIZERS)
    if lr is not None and not lr > 0:
        raise SettingError(f"step size {lr}: give a number over 0")
    start = images.check(start).to(objective.encoder.device)
    schedule = schedule or [(max(start.shape[-2:]), check_count("steps", steps, least=0))]
    try:
        yield from _scales(objective, start, schedule, _lbfgs if optimizer == "lbfgs" else _adam, lr or 0.02, bounded)
    finally:
        free_memory()


def _scales(objective, start, schedule, method, lr, bounded) -> Iterator[Step]:
    shape, index, image = tuple(start.shape[-2:]), 0, None
    for level, (scale, count) in enumerate(schedule):
        size = images.fit(shape, scale)
        image = images.resize(start, size).contiguous() if image is None else _enlarged(image, start, size)
        if bounded:
            image = image.clamp(0, 1)
        evaluate = _Evaluation(objective, index)
        run = method(evaluate, image, count, lr, bounded)
        for number, (picture, total, losses) in enumerate(run):
            image = picture
            if level and number == 0:
                continue  # the picture of the scale before, only larger
            yield Step(index, max(image.shape[-2:]), image, losses, total)
            index += 1
            evaluate.step = index


def _enlarged(image: torch.Tensor, start: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The start at `size` (H, W), and what `image` differs from it at a smaller size."""
    change = image - images.resize(start, tuple(image.shape[-2:]))
    return images.resize(start, size) + F.interpolate(change, size, mode="bicubic", antialias=True, align_corners=False)


class _Evaluation:
    """The objective and its gradient at a picture, with the guard against a loss that is not a number."""

    def __init__(self, objective, step: int):
        self.objective, self.step, self.good = objective, step, None

    def weights(self) -> tuple:
        return tuple(self.objective.weights.values())

    def __call__(self, image: torch.Tensor):
        variable = image.detach().requires_grad_()
        total, terms = self.objective(variable)
        (gradient,) = torch.autograd.grad(total, variable, allow_unused=True) if total.requires_grad else (None,)
        gradient = torch.zeros_like(image) if gradient is None else gradient.contiguous()
        value = total.item()
        if not math.isfinite(value) or not bool(gradient.isfinite().all()):
            raise DivergedError(self.step, image if self.good is None else self.good, ADVICE)
        self.good = image
        return value, {name: term.item() for name, term in terms.items()}, gradient


def _adam(evaluate, image, steps, lr, bounded):
    """Adam (Kingma & Ba 2015) on pixels, each step projected back into [0, 1]."""
    variable = image.clone().requires_grad_()
    adam = torch.optim.Adam([variable], lr=lr, betas=(0.9, 0.99))
    for number in range(steps + 1):
        picture = variable.detach().clone()
        total, losses, variable.grad = evaluate(picture)
        yield picture, total, losses
        if number < steps:
            adam.step()
            if bounded:
                variable.data.clamp_(0, 1)


def _lbfgs(evaluate, image, steps, lr, bounded):
    """L-BFGS (Nocedal 1980) on the pixels that are free to move, projected into [0, 1], with backtracking.

    A pixel at 0 or 1 whose gradient pushes outward is held. A trial is taken only if it lowers the loss, so the loss of the
    pictures yielded never rises; when no trial does, the curvature is forgotten once, and then the scale is done.
    """
    pairs: deque = deque(maxlen=MEMORY)
    weights = evaluate.weights()
    total, losses, gradient = evaluate(image)
    yield image, total, losses
    for _ in range(steps):
        if evaluate.weights() != weights:  # another objective from here on
            weights, pairs = evaluate.weights(), deque(maxlen=MEMORY)
            total, losses, gradient = evaluate(image)
        found = _search(evaluate, image, total, gradient, pairs, bounded)
        if found is None and pairs:
            pairs.clear()
            found = _search(evaluate, image, total, gradient, pairs, bounded)
        if found is None:
            if evaluate.weights() != weights:  # they changed within the search: its totals do not compare
                continue
            return
        new_image, total, losses, new_gradient = found
        moved, bent = new_image - image, new_gradient - gradient
        if _dot(moved, bent) > 1e-8 * moved.norm() * bent.norm():
            pairs.append((moved, bent))
        image, gradient = new_image, new_gradient
        yield image, total, losses


def _search(evaluate, image, total, gradient, pairs, bounded):
    """The first of up to 8 ever shorter trials along the L-BFGS direction that lowers the loss enough, or None."""
    free = ~(((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))) if bounded else torch.ones_like(image)
    steepest = gradient * free
    direction = -_two_loop(steepest, pairs) * free
    if _dot(direction, gradient) >= 0:
        direction = -steepest
    largest = direction.abs().mean().item()
    if largest == 0:
        return None
    length = 1.0 if pairs else 0.02 / largest  # without curvature, move pixels by 0.02 on average
    for _ in range(8):
        trial = image + length * direction
        if bounded:
            trial = trial.clamp(0, 1)
        value, losses, new_gradient = evaluate(trial)
        if value < total + 1e-4 * min(0.0, _dot(gradient, trial - image).item()):
            return trial, value, losses, new_gradient
        length *= 0.4
    return None


def _spread(gradient):
    """The gradient plus its averages over blocks of 2, 4, 8 and 16 pixels.

    As first guess of the inverse Hessian it lets large areas change colour together, which single pixels are slow to do;
    it saves about a third of the steps. Optimising the coefficients of a Laplacian pyramid comes to another such guess: it
    did better on one pair of pictures and worse on the next.
    """
    result = gradient
    for block in (2, 4, 8, 16):
        coarse = F.avg_pool2d(gradient, block, ceil_mode=True, count_include_pad=False)
        result = result + F.interpolate(coarse, gradient.shape[-2:], mode="bilinear")
    return result


def _two_loop(gradient, pairs):
    """The inverse Hessian that the pairs imply, times the gradient (the two-loop recursion), starting from `_spread`."""
    result, steps = gradient.clone(), []
    for moved, bent in reversed(pairs):
        rho = 1 / _dot(moved, bent)
        alpha = rho * _dot(moved, result)
        result = result - alpha * bent
        steps.append((moved, bent, rho, alpha))
    result = _spread(result)
    if pairs:
        moved, bent = pairs[-1]
        result = result * (_dot(moved, bent) / _dot(bent, _spread(bent)))
    for moved, bent, rho, alpha in reversed(steps):
        result = result + (alpha - rho * _dot(bent, result)) * moved
    return result


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum()
