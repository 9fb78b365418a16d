import pytest
import torch

from nstlab import images
from nstlab.encoders import load_encoder
from nstlab.errors import SettingError
from nstlab.losses.matting import matting_energy
from nstlab.losses.region import RegionStyleLoss
from nstlab.losses.style import StyleLoss
from nstlab.metrics import style_distance
from nstlab.systems import luan, plan, stylize


@pytest.fixture(scope="module")
def quick():
    return {"encoder": load_encoder("pocket", precision="fp32", device="cpu"), "size": 80, "steps": 12}


@pytest.fixture(scope="module")
def photo():
    return images.load("mountain-path", 80)


def energy(image, photo):
    return float(matting_energy(image.double(), photo.double()))


def test_the_photo_stays_a_photo(quick, photo):
    painted = stylize(photo, "hill-sunset", **quick).image
    found = {r: stylize(photo, "hill-sunset", system="luan", segments="none", smoothing=r, **quick).image for r in (0, 7)}
    assert energy(found[0], photo) < 0.7 * energy(painted, photo)
    assert energy(found[7], photo) < 0.05 * energy(painted, photo)
    assert (found[7] - photo).abs().mean() > 0.03  # and is another one


def test_recolouring_costs_next_to_nothing(quick, photo):
    run = plan(photo, "hill-sunset", system="luan", segments="none", **quick)
    loss = run.objective.losses["matting"]
    loss.prepare(quick["encoder"], tuple(photo.shape[-2:]))
    matrix = torch.tensor([[0.7, 0.2, 0.0], [0.1, 0.5, 0.1], [-0.1, 0.2, 0.6]])
    affine = torch.einsum("ij,njhw->nihw", matrix, photo) + 0.1
    noise = (photo + 0.05 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    costs = [loss({"image": image}).item() for image in (affine, photo**1.5, noise)]
    assert costs[0] < 0.01 * costs[1] < 0.01 * costs[2]
    smooth = luan.smooth(affine, photo, 7)
    assert (smooth - affine).abs().mean() < 0.01 and torch.equal(luan.smooth(noise, photo, 0), noise)
    assert energy(luan.smooth(noise, photo, 7), photo) < 0.02 * energy(noise, photo)


@pytest.mark.parametrize("levels", [1, 2])
def test_the_matting_term_counts_in_the_second_stage_alone(quick, photo, levels):
    run = plan(photo, "hill-sunset", system="luan", segments="none", **quick | {"steps": 6, "levels": levels})
    for _ in range(2):  # and again when it is run again
        weights = [(step.index, step.scale, run.objective.weights["matting"]) for step in run]
        later = [weight for index, scale, weight in weights if (scale == 80 if levels == 2 else index >= 3)]
        before = [weight for index, scale, weight in weights if (scale < 80 if levels == 2 else index < 3)]
        assert set(later) == {luan.DEFAULTS["matting"]} and set(before) == {0.0}


def test_every_region_takes_the_style_of_its_like(quick):
    rng = torch.Generator().manual_seed(0)
    halves = torch.arange(48).repeat(48, 1) // 24
    color = torch.tensor([[0.9, 0.2, 0.1], [0.1, 0.2, 0.9]])  # red to the left, blue to the right
    style = color[halves].movedim(-1, 0)[None] * (0.6 + 0.4 * torch.rand(1, 1, 48, 48, generator=rng))
    content = 0.4 + 0.2 * torch.rand(1, 3, 48, 48, generator=rng)
    options = quick | {"size": 48, "system": "luan", "segments": halves, "smoothing": 0, "steps": 25}
    options |= {"weights": {"content": 0, "matting": 0}, "style_layers": ("relu1_1", "relu2_1")}
    for there in (halves, 1 - halves):
        image = stylize(content, style, style_segments=[there], **options).image
        for side in (0, 1):  # of the picture: the distances to both halves of the painting, the one of its number and the other
            mask, encoder, layers = (halves == side).float()[None, None], quick["encoder"], ("relu1_1", "relu2_1")
            parts = [style[..., there[0] == number] for number in (side, 1 - side)]
            own, other = (style_distance(encoder, image, part, layers, guide=mask) for part in parts)
            assert other > 2 * own


def test_regions_are_found_or_left_out(quick, photo):
    run = plan(photo, ["hill-sunset", "night-cafe"], system="luan", blend=[0.25, 0.75], **quick)
    style = run.objective.losses["style"]
    assert isinstance(style, RegionStyleLoss) and sum("regions in common" in note for note in run.notes) == 2
    first = [part for part, (_, painting, _) in zip(style.parts, style.regions, strict=True) if painting is style.regions[0][1]]
    assert len(first) >= 2 and sum(first) == pytest.approx(0.25)
    assert isinstance(plan(photo, "hill-sunset", system="luan", segments="none", **quick).objective.losses["style"], StyleLoss)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segments": torch.eye(4)}, "0 pictures of labels for 1 styles"),
        ({"style_segments": [torch.eye(4)]}, "style_segments go with labels of your own"),
        ({"segments": torch.eye(4), "style_segments": [torch.eye(4)], "mix": "statistics"}, "leave regions out"),
        ({"smoothing": -1}, "smoothing -1"),
        ({"weights": {"mating": 2}}, "unknown weight 'mating'"),
    ],
)
def test_what_it_refuses(options, message, quick, photo):
    with pytest.raises(SettingError, match=message):
        plan(photo, "hill-sunset", system="luan", **quick | options)
