import math

import pytest
import torch

from nstlab import images
from nstlab.errors import SettingError
from nstlab.filters import sobel
from nstlab.losses.adversarial import (
    Gate,
    accuracy,
    discriminator_loss,
    edge_smoothed,
    feature_matching,
    generator_loss,
    style_aware_content_loss,
    transformed_image_loss,
)

FORMS = ("lsgan", "hinge", "vanilla")


def logits(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


@pytest.mark.parametrize(
    "form, critic, generator",
    [
        ("lsgan", ((1 + 9) / 2 + (0 + 4) / 2) / 2, (1 + 9) / 2),
        ("hinge", (0 + 3) / 2 + (1 + 0) / 2, -(0 - 2) / 2),
        ("vanilla", (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(2)) + math.log(2) + math.log(1 + math.exp(-2))) / 2,
         (math.log(2) + math.log(1 + math.exp(2))) / 2),
    ],
)  # fmt: skip
def test_values_by_hand(form, critic, generator):
    real, fake = logits(2.0, -2.0), logits(0.0, -2.0)
    assert discriminator_loss(real, fake, form).item() == pytest.approx(critic, rel=1e-6)
    assert generator_loss(fake, form).item() == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_who_pulls_where(form):
    real, fake = logits(0.3, -0.2).requires_grad_(), logits(0.1, -0.4).requires_grad_()
    discriminator_loss(real, fake, form).backward()
    lower = fake.grad if form != "lsgan" else fake.grad * fake.detach().sign()  # towards 0, from either side
    assert (real.grad < 0).all() and (lower > 0).all()
    fake.grad = None
    generator_loss(fake, form).backward()
    assert (fake.grad < 0).all()


def test_zero_at_the_target():
    assert discriminator_loss(logits(1.0), logits(0.0), "lsgan") == 0 and generator_loss(logits(1.0), "lsgan") == 0
    assert discriminator_loss(logits(1.5), logits(-1.0), "hinge") == 0
    assert discriminator_loss(logits(40.0), logits(-40.0), "vanilla") < 1e-12


@pytest.mark.parametrize("form", FORMS)
def test_every_scale_counts_alike(form, rng):
    coarse, fine = torch.randn(1, 1, 2, 2, generator=rng), torch.randn(1, 1, 9, 7, generator=rng)
    alone = [generator_loss(x, form) for x in (coarse, fine)]
    assert generator_loss([coarse, fine], form).item() == pytest.approx(sum(alone).item() / 2, rel=1e-5)
    alone = [discriminator_loss(x, -x, form) for x in (coarse, fine)]
    both = discriminator_loss([coarse, fine], [-coarse, -fine], form)
    assert both.item() == pytest.approx(sum(alone).item() / 2, rel=1e-5)


def test_accuracy_draws_its_line_where_the_form_does():
    real, fake = logits(0.7, 0.2), logits(-0.1, 0.3)
    assert accuracy(real, fake, "hinge") == accuracy(real, fake, "vanilla") == pytest.approx(0.75)
    assert accuracy(real, fake, "lsgan") == pytest.approx(0.75)
    assert accuracy([real, logits(9.0)], [fake, logits(-9.0)], "hinge") == pytest.approx(0.875)
    assert accuracy(logits(0.0), logits(0.0)) == 0.5  # a critic that says nothing


def test_feature_matching_is_a_mean_distance_that_teaches_one_side():
    ours = [[torch.zeros(1, 2, 4, 4, requires_grad=True), torch.ones(1, 3, 2, 2)], [torch.full((1, 2, 2, 2), 2.0)]]
    theirs = [[torch.full((1, 2, 4, 4), 3.0, requires_grad=True), torch.zeros(1, 3, 2, 2)], [torch.full((1, 2, 2, 2), 4.0)]]
    assert feature_matching(ours, theirs).item() == pytest.approx((3 + 1 + 2) / 3)
    assert feature_matching(ours, ours) == 0
    feature_matching(ours, theirs).backward()
    assert ours[0][0].grad is not None and theirs[0][0].grad is None


def test_edges_alone_are_smoothed():
    image = torch.zeros(1, 3, 40, 60)
    image[..., 30:] = 1
    soft = edge_smoothed(image, reach=3)
    changed = (soft - image).abs().amax((0, 1, 2)) > 0
    assert changed[26:34].all() and not changed[:26].any() and not changed[34:].any()
    assert sobel(soft).max() < 0.7 * sobel(image).max()
    faint = 0.5 + 0.05 * image
    assert torch.equal(edge_smoothed(faint), faint)


def test_a_painting_loses_sharpness_at_its_edges_only(painting):
    soft = edge_smoothed(painting)
    strong = sobel(painting) > 0.2
    assert sobel(soft)[strong].mean() < 0.8 * sobel(painting)[strong].mean()
    far = torch.nn.functional.max_pool2d(strong.float(), 7, 1, 3) == 0
    assert far.any() and torch.equal(soft[far.expand_as(soft)], painting[far.expand_as(painting)])


def test_the_gate_takes_turns():
    gate = Gate(low=0.6, high=0.8, momentum=0.5)
    assert gate.train_generator and not gate.train_discriminator
    gate.update(0.6)
    assert gate.rate == pytest.approx(0.7) and gate.train_generator and gate.train_discriminator
    gate.update(0.3)
    assert gate.rate == pytest.approx(0.5) and gate.train_discriminator and not gate.train_generator
    again = Gate(low=0.6, high=0.8, momentum=0.5)
    again.load_state_dict(gate.state_dict())
    assert again.rate == gate.rate


def simulated_rates(gate, pull, rng):
    """Success rates of a critic that gains `pull` of what it lacks when it learns, and loses ground when the other learns."""
    skill, rates = 0.5, []
    for _ in range(1000):
        gate.update(min(1.0, max(0.0, skill + torch.randn((), generator=rng).item() * 0.05)))
        assert gate.train_discriminator or gate.train_generator
        skill += pull * (1 - skill) if gate.train_discriminator else 0
        skill -= 0.05 * (skill - 0.3) if gate.train_generator else 0
        rates.append(gate.rate)
    return rates[200:]


@pytest.mark.parametrize("low", [0.65, 0.8])
@pytest.mark.parametrize("pull", [0.02, 0.5])  # a weak critic, and one that overpowers at once
def test_the_gate_holds_a_critic_in_bounds(low, pull, rng):
    rates = simulated_rates(Gate(low=low), pull, rng)
    assert 0.6 < min(rates) and max(rates) < 0.95
    ungated = simulated_rates(Gate(low=0, high=1), pull, rng)
    assert max(ungated) < 0.6 if pull == 0.02 else min(ungated) > 0.9


def test_averages_ignore_fine_strokes(rng):
    photo = torch.rand(1, 3, 40, 50, generator=rng)
    stripes = photo.clone()
    stripes[..., ::2] += 0.1
    stripes[..., 1::2] -= 0.1  # cancel out over any ten columns
    assert transformed_image_loss(photo, photo) == 0
    assert transformed_image_loss(stripes, photo) < 1e-10
    assert transformed_image_loss(photo + 0.1, photo).item() == pytest.approx(0.01, rel=1e-4)
    assert transformed_image_loss(torch.zeros(1, 3, 4, 6), torch.full((1, 3, 4, 6), 0.5)).item() == pytest.approx(0.25)


def test_the_style_aware_distance_teaches_both_sides():
    ours, theirs = torch.zeros(1, 4, 2, 2, requires_grad=True), torch.full((1, 4, 2, 2), -2.0, requires_grad=True)
    loss = style_aware_content_loss(ours, theirs)
    loss.backward()
    assert loss == 2 and (ours.grad > 0).all() and (theirs.grad < 0).all()
    assert style_aware_content_loss(ours, ours) == 0


def test_bad_input():
    x = logits(0.0)
    for call in (
        lambda: discriminator_loss(x, x, "wasserstein"),
        lambda: generator_loss(x, "lsgann"),
        lambda: accuracy(x, x, "none"),
        lambda: generator_loss([]),
        lambda: feature_matching([x], [x, x]),
        lambda: feature_matching([x], [logits(1.0, 2.0)]),
        lambda: feature_matching([], []),
        lambda: Gate(low=0.9, high=0.8),
        lambda: Gate(momentum=0),
        lambda: edge_smoothed(images.load("cat", 32), reach=-1),
    ):
        with pytest.raises(SettingError):
            call()
