import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab import images
from nstlab.errors import SettingError
from nstlab.losses import (
    ContentLoss,
    SmoothnessLoss,
    StyleLoss,
    content_loss,
    gatys2016,
    gram_loss,
    johnson2016,
    total_variation,
)
from nstlab.objective import Objective
from nstlab.stats import gram

LAYERS = {"relu1_1": 64, "relu1_2": 64, "relu2_1": 128, "relu2_2": 128, "relu3_1": 256, "relu3_3": 256, "relu4_1": 512,
          "relu4_2": 512, "relu4_3": 512, "relu5_1": 512}  # fmt: skip


class RandomFeatures:
    """Stands for an encoder: features are seeded noise of VGG's shapes, another for every picture size."""

    device = "cpu"

    def __call__(self, image, layers):
        height, width = image.shape[-2:]
        generator = torch.Generator().manual_seed(height * 1000 + width)
        shapes = {layer: (1, channels, height >> int(layer[4]), width >> int(layer[4])) for layer, channels in LAYERS.items()}
        made = {layer: torch.rand(shape, generator=generator, dtype=torch.float64) for layer, shape in shapes.items()}
        return {"image": image} | {layer: made[layer] for layer in layers}


def test_content_loss_by_hand():
    ours = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2)
    assert content_loss(ours, torch.zeros_like(ours)).item() == (1 + 4 + 9 + 16) / 4


def test_gram_loss_by_hand():
    ones = torch.ones(1, 2, 2, 2)  # its Gram is 4 / (2 * 4) = 1/2 everywhere
    assert gram_loss(ones, torch.zeros(1, 2, 2)).item() == 0.25


def test_total_variation_by_hand():
    step = torch.zeros(1, 3, 2, 4)
    step[..., 2:] = 1  # of three horizontal differences a row, one is 1
    assert total_variation(step).item() == pytest.approx(1 / 3)
    assert total_variation(torch.rand(1, 3, 1, 1)).item() == 0


@settings(deadline=None, max_examples=10)
@given(st.floats(0, 1), st.integers(2, 9), st.integers(2, 9))
def test_flat_pictures_have_no_variation(value, height, width):
    assert total_variation(torch.full((1, 3, height, width), value)).item() == 0


def test_zero_at_the_target(encoder, photo, painting):
    losses = {"content": ContentLoss(photo), "style": StyleLoss(painting)}
    at_photo = Objective(encoder, {"content": losses["content"]})(photo)[1]
    at_painting = Objective(encoder, {"style": losses["style"]})(painting)[1]
    assert at_photo["content"].item() == 0 and at_painting["style"].item() < 1e-10


@pytest.mark.parametrize(
    "loss", [lambda f, t: content_loss(f, t), lambda f, t: gram_loss(f, gram(t)), lambda f, t: total_variation(f)]
)
def test_gradients(loss, rng):
    features = torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=rng).requires_grad_()
    target = torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=rng)
    assert torch.autograd.gradcheck(lambda f: loss(f, target), features)


def test_gradient_through_the_encoder(encoder, photo, painting):
    """The directional derivative of the whole objective equals a finite difference."""
    losses = {"content": ContentLoss(painting), "style": StyleLoss(painting), "smoothness": SmoothnessLoss()}
    objective = Objective(encoder, losses, {"smoothness": 10})
    image = images.resize(photo, 48).clamp(0.1, 0.9).requires_grad_()
    objective.prepare(image.shape[-2:])
    total, _ = objective(image)
    (gradient,) = torch.autograd.grad(total, image)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        up, down = (objective(image + sign * 3e-2 * direction)[0].item() for sign in (1, -1))
    assert (up - down) / 6e-2 == pytest.approx(gradient.norm().item(), rel=0.03)


def test_tiling_leaves_the_style_loss(encoder):
    photo, painting = images.load("coffee", 256), images.load("great-wave", 256)
    loss = StyleLoss(painting)
    loss.prepare(encoder, photo.shape[-2:])
    with torch.no_grad():
        one = loss(encoder(photo, loss.layers)).item()
        tiled = loss(encoder(photo.repeat(1, 1, 2, 2), loss.layers)).item()
    assert tiled == pytest.approx(one, rel=0.02)


def test_size_of_the_painting_does_not_matter_to_its_use(encoder, photo):
    for size in (40, 200):
        loss = StyleLoss(images.load("spring", size))
        assert Objective(encoder, {"style": loss})(photo)[0].isfinite()


def test_gatys2016_equals_the_paper():
    size, theirs = (64, 96), (64, 96)
    losses, weights = gatys2016(torch.rand(1, 3, 33, 65), torch.rand(1, 3, *theirs), ratio=8e-4)
    encoder = RandomFeatures()
    for loss in losses.values():
        loss.prepare(encoder, size)
    ours = encoder(torch.rand(1, 3, 128, 64), LAYERS)
    ours["relu4_2"] = torch.rand(losses["content"].targets["relu4_2"].shape, dtype=torch.float64)
    p = losses["content"].targets["relu4_2"]
    assert losses["content"](ours).item() == pytest.approx(0.5 * (ours["relu4_2"] - p).square().sum().item(), rel=1e-6)

    expected = 0.0
    style = encoder(torch.rand(1, 3, *theirs), LAYERS)
    for layer in losses["style"].layers:
        f, a = ours[layer].flatten(2)[0], style[layer].flatten(2)[0]
        channels = f.shape[0]
        # the paper has one N; where the two pictures differ in size, each Gram is over its own
        distance = (f @ f.T / f.shape[1] - a @ a.T / a.shape[1]).square().sum()
        expected += (distance / (4 * channels**2)).item() / 5
    assert losses["style"](ours).item() == pytest.approx(expected, rel=1e-6)
    assert weights == {"content": 8e-4, "style": 1.0}


def test_johnson2016_equals_the_paper():
    losses, weights = johnson2016(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 96))
    encoder = RandomFeatures()
    for loss in losses.values():
        loss.prepare(encoder, (64, 96))
    ours, style = encoder(torch.rand(1, 3, 128, 64), LAYERS), encoder(torch.rand(1, 3, 64, 96), LAYERS)
    p = losses["content"].targets["relu3_3"]
    ours["relu3_3"] = torch.rand(p.shape, dtype=torch.float64)
    c, h, w = p.shape[1:]
    assert losses["content"](ours).item() == pytest.approx(
        ((ours["relu3_3"] - p).square().sum() / (c * h * w)).item(), rel=1e-6
    )
    expected = 0.0
    for layer in ("relu1_2", "relu2_2", "relu3_3", "relu4_3"):
        f, a = ours[layer].flatten(2)[0], style[layer].flatten(2)[0]
        expected += (f @ f.T / f.numel() - a @ a.T / a.numel()).square().sum().item()
    assert losses["style"](ours).item() == pytest.approx(expected, rel=1e-6)
    assert weights == {"content": 1.0, "style": 5.0}


@pytest.mark.parametrize(
    "make",
    [
        lambda image: ContentLoss(image, layers=()),
        lambda image: ContentLoss(image, layers=("relu1_1",), layer_weights=(1, 2)),
        lambda image: ContentLoss(image, layers=("relu1_1",), layer_weights=(float("nan"),)),
        lambda image: StyleLoss(image, scale=0),
        lambda image: StyleLoss([image, image], blend=(1, -1)),
        lambda image: Objective(None, {}),
        lambda image: Objective(None, {"style": StyleLoss(image)}, {"style": -1}),
        lambda image: Objective(None, {"style": StyleLoss(image)}, {"stile": 1}),
    ],
)
def test_bad_settings(make, photo):
    with pytest.raises(SettingError):
        make(photo)


def test_blend_one_hot_is_the_single_style(encoder, photo, painting):
    other = images.load("great-wave", 96)
    single = Objective(encoder, {"style": StyleLoss(painting)})(photo)[0]
    blended = Objective(encoder, {"style": StyleLoss([painting, other], blend=(2, 0))})(photo)[0]
    assert torch.equal(single, blended)


def test_weight_zero_leaves_a_term_out_but_reports_it(encoder, photo, painting):
    both = Objective(encoder, {"content": ContentLoss(photo), "style": StyleLoss(painting)}, {"style": 0})
    total, terms = both(images.resize(painting, (96, 96)))
    alone = Objective(encoder, {"content": ContentLoss(photo)})(images.resize(painting, (96, 96)))[0]
    assert total.item() == pytest.approx(alone.item(), rel=1e-6) and terms["style"].item() >= 0
