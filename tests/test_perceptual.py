import inspect

import pytest
import torch
from tiny import TinyEncoder

from nstlab import images
from nstlab.errors import SettingError
from nstlab.filters import stroke_width
from nstlab.losses import ContentLoss, SmoothnessLoss, StyleLoss
from nstlab.losses.region import RegionStyleLoss, painted_places
from nstlab.losses.saliency import SaliencyContentLoss
from nstlab.losses.semantic import InsideContentLoss
from nstlab.losses.structure import BLOCK, StructureLoss
from nstlab.objective import Objective
from nstlab.systems import preserve
from nstlab.training import perceptual
from nstlab.training.perceptual import PerceptualObjective

SIZE = (48, 48)


@pytest.fixture(scope="module")
def scene():
    """Encoder, two photos, two outputs, their guides, and two paintings."""
    photos = torch.cat([images.load(name, SIZE) for name in ("astronaut", "cat")])
    outputs = torch.cat([images.load(name, SIZE) for name in ("coffee", "rocket")])
    guides = torch.zeros(2, 1, *SIZE)
    guides[0, :, 8:30, 10:40] = 1
    guides[1, :, :, 20:44] = torch.linspace(0, 1, 24)
    return TinyEncoder(), photos, outputs, guides, [images.load("great-wave", 90), images.load("spring", 70)]


def pixel_terms(encoder, photo, output, guide, paintings, share):
    """The same terms by the losses of pixel optimisation."""
    regions = [(painted_places(guide), painting, None) for painting in paintings]
    block = BLOCK * sum(part * stroke_width(painting) for part, painting in zip(share, paintings))
    losses = {
        "content": SaliencyContentLoss(photo, guide, k=8),
        "style": StyleLoss(paintings, blend=share),
        "smoothness": SmoothnessLoss(),
        "inside": RegionStyleLoss(regions, layers=perceptual.INSIDE_LAYERS, weights=share),
        "structure": StructureLoss(photo, guide, block),
        "semantic": InsideContentLoss(photo, guide),
    }
    objective = Objective(encoder, losses, {name: perceptual.WEIGHTS[name] for name in losses})
    return objective(output)


@pytest.mark.parametrize("item", [0, 1])
@pytest.mark.parametrize("share", [(1.0, 0.0), (0.3, 0.7)])
def test_terms_are_those_of_pixel_optimisation(scene, item, share):
    encoder, photos, outputs, guides, paintings = scene
    one = slice(item, item + 1)
    wanted_total, wanted = pixel_terms(encoder, photos[one], outputs[one], guides[one], paintings, share)
    objective = PerceptualObjective(encoder, paintings, k=8)
    total, terms = objective(outputs[one], photos[one], torch.tensor([share]), guides[one])
    assert set(terms) == set(wanted)
    for name, value in wanted.items():
        assert value.item() > 1e-4 and terms[name].item() == pytest.approx(value.item(), rel=1e-5), name
    assert total.item() == pytest.approx(wanted_total.item(), rel=1e-5)


def test_with_vgg_too(scene, encoder):
    _, photos, outputs, guides, paintings = scene
    _, wanted = pixel_terms(encoder, photos[:1], outputs[:1], guides[:1], paintings, (0.5, 0.5))
    _, terms = PerceptualObjective(encoder, paintings, k=8)(outputs[:1], photos[:1], torch.tensor([[0.5, 0.5]]), guides[:1])
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_without_a_guide(scene):
    encoder, photos, outputs, _, paintings = scene
    _, terms = PerceptualObjective(encoder, paintings)(outputs[:1], photos[:1], torch.tensor([[0.0, 1.0]]))
    loss = ContentLoss(photos[:1])
    loss.prepare(encoder, SIZE)
    assert terms["content"].item() == pytest.approx(loss(encoder(outputs[:1], loss.layers)).item(), rel=1e-5)
    assert set(terms) == {"content", "style", "smoothness"}


def test_the_terms_are_those_of_preserve():
    """With the same weights, but for the style of the whole."""
    assert perceptual.WEIGHTS | {"style": 0} == preserve.DEFAULTS | {"style": 0}
    assert inspect.signature(PerceptualObjective).parameters["k"].default == preserve.PreserveOptions().k


def test_what_is_finer_than_the_strokes_is_free(scene):
    """A checkerboard of single pixels on 192 px, where strokes are 2 to 3 pixels wide and blocks 3 to 5: with finer strokes
    the same board is held."""
    encoder, _, _, _, paintings = scene
    photo = 0.2 + 0.6 * images.load("astronaut", 192)
    board = 0.05 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(photo.shape[-2] // 2, photo.shape[-1] // 2)
    guide, blend = torch.ones_like(photo[:, :1]), torch.tensor([[1.0, 0.0]])
    only = dict.fromkeys(perceptual.WEIGHTS, 0) | {"structure": 1}
    coarse, fine = (
        PerceptualObjective(encoder, paintings, only, style_scale=scale)(photo + board, photo, blend, guide)[1]["structure"]
        for scale in (1.0, 0.1)
    )
    assert coarse < 0.05 < 0.3 < fine


def test_a_batch_is_the_mean_of_its_pictures(scene):
    encoder, photos, outputs, guides, paintings = scene
    objective, blend = PerceptualObjective(encoder, paintings), torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    total, terms = objective(outputs, photos, blend, guides)
    singles = [objective(outputs[n : n + 1], photos[n : n + 1], blend[n : n + 1], guides[n : n + 1]) for n in range(2)]
    assert set(terms) == set(perceptual.WEIGHTS)
    for name, term in terms.items():
        assert term.item() == pytest.approx(sum(found[name].item() for _, found in singles) / 2, rel=1e-5), name
    assert total.item() == pytest.approx(sum(single.item() for single, _ in singles) / 2, rel=1e-5)


def test_a_guide_that_marks_nothing_protects_nothing(scene):
    encoder, photos, outputs, guides, paintings = scene
    objective, blend = PerceptualObjective(encoder, paintings), torch.tensor([[1.0, 0.0], [0.2, 0.8]])
    _, none = objective(outputs[1:], photos[1:], blend[1:], torch.zeros(1, 1, *SIZE))
    assert all(none[name].item() == 0 for name in perceptual.GUIDED)
    half = torch.stack([guides[0], torch.zeros_like(guides[0])])
    _, both = objective(outputs, photos, blend, half)
    _, first = objective(outputs[:1], photos[:1], blend[:1], guides[:1])
    for name in perceptual.GUIDED:
        assert both[name].item() == pytest.approx(first[name].item() / 2, rel=1e-5), name


def test_a_one_hot_blend_is_that_style(scene):
    encoder, photos, outputs, guides, paintings = scene
    both = PerceptualObjective(encoder, paintings)(outputs[:1], photos[:1], torch.tensor([[0.0, 1.0]]), guides[:1])[1]
    alone = PerceptualObjective(encoder, paintings[1:])(outputs[:1], photos[:1], torch.tensor([[1.0]]), guides[:1])[1]
    assert {name: term.item() for name, term in both.items()} == {name: term.item() for name, term in alone.items()}


def test_weights_act_at_once_and_zero_is_not_computed(scene, monkeypatch):
    encoder, photos, outputs, guides, paintings = scene
    objective = PerceptualObjective(encoder, paintings, {"structure": 0})
    monkeypatch.setattr(perceptual, "ssim_map", lambda *_: pytest.fail("structure was computed"))
    blend = torch.tensor([[1.0, 0.0]])
    total, terms = objective(outputs[:1], photos[:1], blend, guides[:1])
    assert "structure" not in terms
    objective.weights["style"] *= 2
    doubled, _ = objective(outputs[:1], photos[:1], blend, guides[:1])
    assert (doubled - total).item() == pytest.approx(30 * terms["style"].item(), rel=1e-4)
    objective.weights["style"] = float("nan")
    with pytest.raises(SettingError, match="weight style"):
        objective(outputs[:1], photos[:1], blend, guides[:1])


def test_all_weights_zero_still_has_a_gradient_of_nothing(scene):
    encoder, photos, outputs, _, paintings = scene
    objective = PerceptualObjective(encoder, paintings, dict.fromkeys(perceptual.WEIGHTS, 0))
    variable = outputs[:1].clone().requires_grad_()
    total, terms = objective(variable, photos[:1], torch.tensor([[1.0, 0.0]]))
    total.backward()
    assert total.item() == 0 and not terms and not variable.grad.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"styl": 1}}, "did you mean style"),
        ({"weights": {"style": -1}}, "weight style"),
        ({"k": -1}, "weight k"),
        ({"style_scale": 0}, "style scale 0"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(SettingError, match=message):
        PerceptualObjective(TinyEncoder(), [torch.rand(1, 3, 8, 8)], **options)
