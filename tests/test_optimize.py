import pytest
import torch
import torch.nn.functional as F

from nstlab import images
from nstlab.errors import DivergedError, SettingError
from nstlab.filters import gaussian
from nstlab.losses import ContentLoss, SmoothnessLoss, StyleLoss
from nstlab.losses.base import Loss
from nstlab.objective import Objective
from nstlab.optimize import _enlarged, _spread, _two_loop, optimize
from nstlab.pyramid import schedule


@pytest.fixture
def objective(fast_encoder, photo, painting):
    return Objective(fast_encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"style": 30})


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_loss_of_the_saved_picture_falls_at_every_checkpoint(objective, photo, optimizer):
    checkpoints = [
        objective.judge(step.image)[0] for step in optimize(objective, photo, 20, optimizer=optimizer) if step.index % 5 == 0
    ]
    assert len(checkpoints) == 5
    assert all(after < before for before, after in zip(checkpoints, checkpoints[1:])), checkpoints


def test_lbfgs_never_rises_and_stays_in_bounds(objective, photo):
    steps = list(optimize(objective, photo, 20))
    assert [step.index for step in steps] == list(range(21))
    assert all(b.total < a.total for a, b in zip(steps, steps[1:]))
    assert all(0 <= step.image.min() and step.image.max() <= 1 for step in steps)
    assert steps[-1].total == pytest.approx(steps[-1].losses["content"] + 30 * steps[-1].losses["style"], rel=1e-4)
    assert objective.judge(steps[-1].image)[0] == pytest.approx(steps[-1].total, rel=0.02)  # saving costs next to nothing


def test_a_repeat_gives_the_same_bytes(fast_encoder, photo, painting):
    pictures = []
    for _ in range(2):
        objective = Objective(fast_encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"style": 30})
        *_, last = optimize(objective, photo, schedule=schedule(96, 12, levels=2))
        pictures.append(images.to_pil(last.image).tobytes())
    assert pictures[0] == pictures[1]


@pytest.mark.slow
def test_content_alone_from_noise_loses_90_percent(encoder, photo, rng):
    objective = Objective(encoder, {"content": ContentLoss(photo), "style": StyleLoss(photo)}, {"style": 0})
    steps = list(optimize(objective, torch.rand(1, 3, 96, 96, generator=rng), 40))
    assert steps[-1].losses["content"] < 0.1 * steps[0].losses["content"]


@pytest.mark.slow
def test_style_alone_from_noise_loses_90_percent(encoder, photo, painting, rng):
    objective = Objective(encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"content": 0})
    steps = list(optimize(objective, torch.rand(1, 3, 96, 96, generator=rng), 40))
    assert steps[-1].losses["style"] < 0.1 * steps[0].losses["style"]


@pytest.mark.slow
def test_more_style_weight_less_style_loss_more_content_loss(fast_encoder, photo, painting):
    ends = []
    for weight in (3, 30, 300):
        objective = Objective(fast_encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"style": weight})
        *_, last = optimize(objective, photo, 25)
        ends.append(last.losses)
    assert ends[0]["style"] > ends[1]["style"] > ends[2]["style"]
    assert ends[0]["content"] < ends[1]["content"] < ends[2]["content"]


def test_coarse_to_fine_counts_on_and_grows(objective, photo):
    steps = list(optimize(objective, photo, schedule=[(24, 3), (48, 2), (96, 1)]))
    assert [step.scale for step in steps] == [24] * 4 + [48] * 2 + [96]
    assert [step.index for step in steps] == list(range(7))


def test_weights_may_change_while_it_runs(objective, photo):
    run = optimize(objective, photo, 12)
    for step in run:
        if step.index == 5:
            objective.weights["style"] = 0.0
            before = step.losses["content"]
    assert step.index == 12 and step.losses["content"] < before and step.total == pytest.approx(step.losses["content"])


def test_the_start_is_not_touched_and_the_run_can_be_closed(objective, photo):
    before = photo.clone()
    run = optimize(objective, photo, 5, optimizer="adam")
    next(run), next(run)
    run.close()
    assert torch.equal(photo, before) and list(run) == []


def test_a_picture_without_gradient_stays(fast_encoder):
    flat = torch.full((1, 3, 16, 16), 0.5)
    steps = list(optimize(Objective(fast_encoder, {"smooth": SmoothnessLoss()}), flat, 5))
    assert len(steps) == 1 and torch.equal(steps[0].image, flat)


class Pixels:
    """An encoder of nothing: losses read the image."""

    device = torch.device("cpu")

    def __call__(self, image, layers):
        return {"image": image}


class Written(Loss):
    """A loss given as a function of the image."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, features):
        return self.function(features["image"])


def written(function):
    return Objective(Pixels(), {"written": Written(function)})


def bowl_with_a_hole(image):
    """The mean of (x - 0.1)^2, not a number where a pixel is below 0.3."""
    return (image - 0.1).square().mean() * (float("nan") if image.min() < 0.3 else 1)


def test_adam_stops_at_a_loss_that_is_not_a_number():
    steps = []
    with pytest.raises(DivergedError, match=r"step 3: try a smaller step size") as caught:
        for step in optimize(written(bowl_with_a_hole), torch.full((1, 3, 8, 8), 0.35), 10, optimizer="adam"):
            steps.append(step)
    assert caught.value.step == 3 and torch.equal(caught.value.image, steps[-1].image)


def test_lbfgs_shortens_a_trial_that_is_not_a_number():
    """The minimum at 0.1 lies in the hole: the second trial would land on it."""
    steps = list(optimize(written(bowl_with_a_hole), torch.full((1, 3, 8, 8), 0.9), 6))
    assert [step.index for step in steps] == list(range(7))
    assert all(b.total < a.total for a, b in zip(steps, steps[1:]))
    assert 0.3 <= steps[-1].image.min() and steps[-1].image.max() < 0.4


def test_lbfgs_shortens_a_trial_whose_gradient_is_not_a_number():
    """At 0 the square root is 0 and its gradient infinite."""
    steps = list(optimize(written(lambda x: x.sqrt().mean()), torch.full((1, 3, 8, 8), 0.01), 1))
    assert len(steps) == 2 and 0 < steps[1].image.min() and steps[1].total < steps[0].total


def test_lbfgs_stops_only_where_no_trial_is_a_number():
    start = torch.full((1, 3, 8, 8), 0.9)
    nowhere = written(lambda x: x.mean() * (1 if torch.equal(x, start) else float("nan")))
    steps = []
    with pytest.raises(DivergedError, match="step 1") as caught:
        for step in optimize(nowhere, start, 5):
            steps.append(step)
    assert len(steps) == 1 and torch.equal(caught.value.image, start)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_start_that_is_not_a_number_stops_the_run(optimizer):
    start = torch.full((1, 3, 8, 8), 0.2)
    with pytest.raises(DivergedError, match="step 0") as caught:
        next(optimize(written(bowl_with_a_hole), start, optimizer=optimizer))
    assert torch.equal(caught.value.image, start)


def test_a_step_much_smaller_than_the_first_trials_is_found():
    """The minimum is 1e-5 away, the first trial 0.02 long and the eighth 3e-5: each of them is worse than the start."""
    steps = list(optimize(written(lambda x: (x - 0.5).square().mean()), torch.full((1, 3, 8, 8), 0.50001), 10))
    assert len(steps) > 1 and (steps[-1].image - 0.5).abs().max() < 1e-7


def test_where_the_spread_direction_is_blocked_steepest_descent_goes_on():
    """One pixel is drawn up from 0 and all others, already at their minimum 0, hold the average down."""
    pull = torch.zeros(1, 3, 8, 8)
    pull[..., 4, 4] = 1e-3

    def loss(x):
        return (x - pull).square().sum() + 1e-2 * x.sum() - 1.01e-2 * (x * (pull > 0)).sum()

    steps = list(optimize(written(loss), torch.zeros(1, 3, 8, 8), 30))
    best = (1e-3 + 0.5e-4) * (pull > 0)  # where 2 (x - 0.001) + 0.01 - 0.0101 = 0; elsewhere the bound holds
    assert torch.allclose(steps[-1].image, best, atol=2e-6)


def test_the_pairs_give_the_inverse_hessian_of_a_quadratic():
    """In two unknowns two pairs (s, y = H s) along conjugate directions determine it: H = diag(2, 8), so H^-1 g is known."""
    h = torch.tensor([2.0, 8.0]).view(1, 1, 1, 2)
    pairs = [(s, h * s) for s in (torch.tensor([1.0, 0]).view(1, 1, 1, 2), torch.tensor([0, 1.0]).view(1, 1, 1, 2))]
    found = _two_loop(torch.tensor([3.0, 4.0]).view(1, 1, 1, 2), pairs)
    assert torch.allclose(found.flatten(), torch.tensor([1.5, 0.5]))


def test_an_unbounded_run_can_explode(objective, photo):
    with pytest.raises(DivergedError):
        list(optimize(objective, photo, 30, optimizer="adam", lr=1e20, bounded=False))


@pytest.mark.parametrize("options", [{"optimizer": "sgd"}, {"steps": -1}, {"lr": 0, "optimizer": "adam"}])
def test_bad_settings(objective, photo, options):
    with pytest.raises(SettingError):
        next(optimize(objective, photo, **options))


def test_schedule():
    assert schedule(512, 150) == [(128, 69), (256, 54), (512, 27)]
    assert schedule(100, 7) == [(100, 7)]
    for size, steps, levels in ((512, 150, None), (255, 3, 3), (7, 1, 4), (1024, 99, None), (96, 5, 2)):
        plan = schedule(size, steps, levels)
        assert plan[-1][0] == size and sum(count for _, count in plan) == steps and all(count > 0 for _, count in plan)
    with pytest.raises(SettingError, match="steps 0"):
        schedule(512, 0)


def test_a_larger_start_keeps_its_details_for_the_finer_scales(fast_encoder):
    """With nothing to change, coarse to fine ends in the start itself; what is changed is enlarged and added to it."""
    start = images.load("cat", 64)
    height, width = start.shape[-2:]
    still = Objective(fast_encoder, {"smoothness": SmoothnessLoss()}, {"smoothness": 0})
    *_, last = optimize(still, start, optimizer="adam", schedule=[(16, 1), (32, 1), (64, 1)])
    assert (last.image - start).abs().max() < 1e-5
    change = torch.full((1, 3, height // 2, width // 2), 0.1)
    small = images.resize(start, (height // 2, width // 2))
    assert (_enlarged(small + change, start, (height, width)) - start - 0.1).abs().max() < 1e-5


def fineness(image):
    """Variance of what a blur of 0.7 pixels takes away, away from the border."""
    return (image - gaussian(image, 0.7))[..., 8:-8, 8:-8].square().mean().item()


def smoothly(change):
    return F.interpolate(gaussian(change, 0.7), (128, 128), mode="bicubic", align_corners=False)


def test_out_of_a_smooth_start_lost_detail_is_sown_as_noise(rng):
    flat, change = torch.full((1, 3, 64, 64), 0.5), 0.05 * torch.randn(1, 3, 64, 64, generator=rng)
    sown = _enlarged(flat + change, flat, (128, 128)) - 0.5 - smoothly(change)
    assert sown[..., 8:-8, 8:-8].square().mean().item() == pytest.approx(2 * fineness(change), rel=0.05)
    assert torch.equal(_enlarged(flat + change, flat, (128, 128)), _enlarged(flat + change, flat, (128, 128)))


@pytest.mark.parametrize("side", [64, 128])
def test_a_start_of_noise_gets_no_noisier(side, rng):
    """Neither where the run left it alone, nor where it has cleared it up."""
    start = torch.rand(1, 3, side, side, generator=rng)
    small, large = images.resize(start, 64), images.resize(start, 128)
    assert fineness(_enlarged(small, start, (128, 128))) <= 1.001 * fineness(large)
    assert fineness(_enlarged(gaussian(small, 2.0), start, (128, 128))) < 0.1 * fineness(large)


def test_no_noise_is_sown_onto_the_fine_detail_of_a_larger_start(rng):
    """A faint change: its smooth part is added to the start, and hardly more; to a smooth start, twice its fineness."""
    start, change = torch.rand(1, 3, 128, 128, generator=rng), 0.01 * torch.randn(1, 3, 64, 64, generator=rng)
    found = _enlarged(images.resize(start, 64) + change, start, (128, 128))
    assert (found - start - smoothly(change))[..., 8:-8, 8:-8].square().mean() < 0.1 * fineness(change)


def grid(image):
    """How much a picture is woven in step with the pixels: the strength of the spectral line of period 2 in the square of
    its differences, over their mean; along rows and columns, 0 for a picture that knows nothing of the grid."""
    grey = image.mean(1, keepdim=True)
    found = []
    for axis in (2, 3):
        squares = grey.diff(dim=axis).square().mean(5 - axis).flatten().double()
        squares = squares[: len(squares) // 2 * 2]
        found.append((torch.fft.rfft(squares)[-1].abs() / squares.sum()).item())
    return max(found)


def test_grid_by_hand(rng):
    """Pixels doubled: every second difference is 0, so the line is as strong as the mean."""
    noise = torch.rand(1, 3, 128, 128, generator=rng)
    assert grid(noise) < 0.08
    assert grid(noise.repeat_interleave(2, 2).repeat_interleave(2, 3)) == pytest.approx(1, abs=0.02)


def test_no_grid_is_woven_by_growth_or_by_the_first_guess(rng):
    """Noise at a coarse scale is enlarged, and a gradient of noise is spread, without a trace of rows and columns. Bicubic
    interpolation gives 0.65 here, averages over blocks 0.43."""
    start = torch.full((1, 3, 256, 256), 0.5)
    change = 0.1 * torch.randn(1, 3, 128, 128, generator=rng)
    assert grid(_enlarged(start[..., ::2, ::2] + change, start, (256, 256))) < 0.15
    start = torch.rand(1, 3, 128, 128, generator=rng)
    assert grid(_enlarged(start, start, (256, 256))) < 0.15 and grid(_enlarged(start + change, start, (256, 256))) < 0.15
    gradient = torch.randn(1, 3, 256, 256, generator=rng)
    assert grid(_spread(gradient) - gradient) < 0.15


def test_no_grid_is_woven_by_a_run(fast_encoder, painting):
    """From a smooth photo, where every detail is the run's own. Without the two cures above it is 0.44."""
    photo = torch.linspace(0.2, 0.8, 160).view(1, 1, 1, -1).expand(1, 3, 120, 160).contiguous()
    objective = Objective(fast_encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"style": 60})
    *_, last = optimize(objective, photo, schedule=schedule(160, 30, levels=2))
    assert grid(last.image) < 0.2
