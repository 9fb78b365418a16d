"""Optimisation of pixels as an iterator of steps, by projected L-BFGS or by Adam, at one size or from coarse to fine."""

import math
from collections import deque
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.devices import keep_memory
from nstlab.errors import DivergedError, SettingError, check_count, choose
from nstlab.filters import gaussian
from nstlab.step import Step

OPTIMIZERS = ("lbfgs", "adam")
MEMORY = 10  # pairs of differences that L-BFGS remembers
FIRST_CHANGE = 0.02  # mean change of a pixel in the first trial of a search without curvature
FINE = 0.7  # blur in pixels that leaves what can be interpolated
AROUND = 3.0  # blur in pixels within which the strength of fine detail is measured
UNSEEN = 1e-6  # variance of invisible details (a quarter of a grey level)
ADVICE = "try a smaller step size, smaller weights, or precision fp32"


def optimize(objective, start, steps: int = 100, *, optimizer="lbfgs", schedule=None, lr=None, bounded=True) -> Iterator[Step]:
    """Minimise the objective over the pixels of `start` (1, 3, H, W); yields a Step for the start and after each change.

    `schedule` is [(long side or (H, W), steps), ...] from coarse to fine (see pyramid.schedule) and replaces `steps`; without
    it, the size is that of `start`. The picture of one scale is enlarged for the next. Details of the start are restored if the
    picture has kept them so far, or if only the larger size can represent them.

    `optimizer` is "lbfgs" (every step lowers the loss, or the scale ends) or "adam" (step size `lr`, 0.02). `bounded` keeps
    every pixel in [0, 1] throughout, so that the optimised picture is the one that is saved; an unbounded run shows what
    clipping at the end costs.

    To pause, do not request the next step; to stop, close the iterator. The weights of the objective may change between steps.
    Raises DivergedError, which holds the last good picture, if the loss is not a number: at the start, at any step of Adam, or
    at every trial of an L-BFGS search. Raises SettingError for an unknown optimizer, or a step size or count out of range.
    """
    choose("optimizer", optimizer, OPTIMIZERS)
    if lr is not None and not lr > 0:
        raise SettingError(f"step size {lr}: give a number over 0")
    start = images.check(start).to(objective.encoder.device)
    schedule = schedule or [(max(start.shape[-2:]), check_count("steps", steps, least=0))]
    with keep_memory():
        yield from _scales(objective, start, schedule, _lbfgs if optimizer == "lbfgs" else _adam, lr or 0.02, bounded)


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
    """`image` at the larger `size` (H, W), with the details of `start` that it has kept or that need the larger size.

    Interpolation would turn details of one or two pixels into a grid of rows and columns that no later step removes. Therefore
    the image is blurred first. Of the details removed, those of the start are restored from the start at `size`, as far as the
    image still has them and, unless the start is larger than the image and need not be interpolated, as far as they are form
    and not noise. The rest is replaced by noise of the missing strength: in a smooth picture, details would develop in phase
    with the encoder's pooling, again as a grid.
    """
    small = images.resize(start, tuple(image.shape[-2:]))
    smooth, form = gaussian(image, FINE), gaussian(small, FINE)
    ours, theirs = image - smooth, small - form
    own = _around(theirs.square())
    kept = ((_around(ours * theirs) + UNSEEN) / (own + UNSEEN)).clamp(0, 1)
    lost = _around((ours - kept * theirs).square())
    if max(start.shape[-2:]) <= max(image.shape[-2:]):  # of white noise, half of the variance is that fine
        kept = kept * (1 - 2 * own / (_around((small - gaussian(small, AROUND)).square()) + UNSEEN)).clamp_min(0)
    smooth, form, kept, lost = (F.interpolate(x, size, mode="bicubic", align_corners=False) for x in (smooth, form, kept, lost))
    details = kept.clamp(0, 1) * (images.resize(start, size) - form)
    lacking = (2 * lost - _around(details.square(), size[0] / image.shape[-2])).clamp_min(0)
    noise = torch.randn(smooth.shape, generator=torch.Generator().manual_seed(0)).to(image.device)
    return smooth + details + lacking.sqrt() * noise


def _around(x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
    """Mean (1, 1, H, W) over the channels and over a radius of about AROUND * scale pixels."""
    return gaussian(x.mean(1, keepdim=True), AROUND * scale)


class _Evaluation:
    """Evaluates the objective and its gradient, and handles results that are not finite."""

    def __init__(self, objective, step: int):
        self.objective, self.step = objective, step
        self.good = None  # the last picture accepted
        self.finite = True  # whether the last evaluation gave finite numbers

    def weights(self) -> tuple:
        return tuple(self.objective.weights.values())

    def attempt(self, image: torch.Tensor):
        """(total, {name: loss}, gradient) at an image, or None if the total or the gradient is not finite."""
        variable = image.detach().requires_grad_()
        total, terms = self.objective(variable)
        (gradient,) = torch.autograd.grad(total, variable, allow_unused=True) if total.requires_grad else (None,)
        gradient = torch.zeros_like(image) if gradient is None else gradient.contiguous()
        value = total.item()
        self.finite = math.isfinite(value) and bool(gradient.isfinite().all())
        return (value, {name: term.item() for name, term in terms.items()}, gradient) if self.finite else None

    def __call__(self, image: torch.Tensor):
        """Like `attempt`, but raises DivergedError with the last good picture instead of returning None."""
        found = self.attempt(image)
        if found is None:
            raise self.diverged(image)
        self.good = image
        return found

    def diverged(self, image: torch.Tensor) -> DivergedError:
        return DivergedError(self.step, image if self.good is None else self.good, ADVICE)


def _adam(evaluate, image, steps, lr, bounded):
    """Adam (Kingma & Ba 2015) on pixels, projected into [0, 1] after each step if `bounded`."""
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

    A trial is accepted only if it lowers the loss, so the loss of the pictures yielded never rises. A trial whose loss is not
    a number is replaced by a shorter one. If no trial along the L-BFGS direction succeeds, the curvature pairs are dropped
    and steepest descent is tried, down to the smallest step that changes a pixel; if that fails too, the scale ends.
    Raises DivergedError if the loss is not a number even at the shortest trial.
    """
    pairs: deque = deque(maxlen=MEMORY)
    weights = evaluate.weights()
    total, losses, gradient = evaluate(image)
    yield image, total, losses
    for _ in range(steps):
        if evaluate.weights() != weights:  # another objective from here on
            weights, pairs = evaluate.weights(), deque(maxlen=MEMORY)
            total, losses, gradient = evaluate(image)
        found = _quasi_newton(evaluate, image, total, gradient, pairs, bounded)
        if found is None:
            pairs.clear()
            found = _steepest(evaluate, image, total, gradient, bounded)
        if found is None:
            if evaluate.weights() != weights:  # they changed during the search: its totals do not compare
                continue
            if not evaluate.finite:
                raise evaluate.diverged(image)
            return
        new_image, total, losses, new_gradient = found
        s, y = new_image - image, new_gradient - gradient
        if _dot(s, y) > 1e-8 * s.norm() * y.norm():
            pairs.append((s, y))
        image, gradient, evaluate.good = new_image, new_gradient, new_image
        yield image, total, losses


def _free(image, gradient, bounded) -> torch.Tensor:
    """Mask of the pixels that may move: all but those at 0 or 1 that a step would move outward."""
    if not bounded:
        return torch.ones_like(image)
    return ~(((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0)))


def _quasi_newton(evaluate, image, total, gradient, pairs, bounded):
    """The result of a backtracking search with 8 trials along the L-BFGS direction, or None."""
    free = _free(image, gradient, bounded)
    direction = -_two_loop(gradient * free, pairs) * free
    if not _dot(direction, gradient) < 0:  # uphill, or not a number
        return None
    mean = direction.abs().mean().item()
    length = 1.0 if pairs else FIRST_CHANGE / max(mean, 1e-30)
    return _search(evaluate, image, total, gradient, direction, [length * 0.4**n for n in range(8)], bounded, 1e-4)


def _steepest(evaluate, image, total, gradient, bounded):
    """The first step of steepest descent that lowers the loss at all, down to steps that no longer change a pixel, or None."""
    direction = -gradient * _free(image, gradient, bounded)
    mean = direction.abs().mean().item()
    if mean == 0:
        return None
    lengths = [FIRST_CHANGE / mean * 0.2**n for n in range(20)]
    return _search(evaluate, image, total, gradient, direction, lengths, bounded, 0.0)


def _search(evaluate, image, total, gradient, direction, lengths, bounded, enough):
    """(image, total, losses, gradient) of the first trial image + length * direction that lowers the loss enough, or None.

    `enough` is the share of the decrease that the gradient predicts (Armijo 1966); 0 accepts any decrease.
    """
    for length in lengths:
        trial = image + length * direction
        if bounded:
            trial = trial.clamp(0, 1)
        if torch.equal(trial, image):  # shorter than the numbers can tell
            return None
        found = evaluate.attempt(trial)
        if found and found[0] < total + enough * min(0.0, _dot(gradient, trial - image).item()):
            return trial, *found
    return None


def _spread(gradient):
    """The gradient plus its blurs by about 1, 2, 4, 8 and 16 pixels.

    As the initial inverse Hessian, this lets large areas change colour together, which is slow pixel by pixel, and saves about
    a third of the steps. Averages over blocks do the same but leave the borders of the blocks in the picture. Optimising the
    coefficients of a Laplacian pyramid is similar: it was better on one pair of pictures and worse on another.
    """
    coarse = _soft(_soft(gradient))
    result = gradient + coarse
    for _ in range(4):
        coarse = F.interpolate(coarse, [-(-side // 2) for side in coarse.shape[-2:]], mode="bilinear", antialias=True)
        result = result + F.interpolate(coarse, gradient.shape[-2:], mode="bilinear")
    return result


def _soft(x):
    """The tensor blurred by (1 2 1) / 4 along both axes; slices are ten times as fast here as a convolution."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = x[..., :-2] + 2 * x[..., 1:-1] + x[..., 2:]
    return (x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]) / 16


def _two_loop(gradient, pairs):
    """The product of the inverse Hessian of L-BFGS and the gradient (two-loop recursion), starting from `_spread`.

    `pairs` are (s, y) as in Nocedal (1980): s the change of the image, y the change of the gradient.
    """
    result, steps = gradient.clone(), []
    for s, y in reversed(pairs):
        rho = 1 / _dot(s, y)
        alpha = rho * _dot(s, result)
        result = result - alpha * y
        steps.append((s, y, rho, alpha))
    result = _spread(result)
    if pairs:
        s, y = pairs[-1]
        result = result * (_dot(s, y) / _dot(y, _spread(y)))
    for s, y, rho, alpha in reversed(steps):
        result = result + (alpha - rho * _dot(y, result)) * s
    return result


def _dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a * b).sum()
