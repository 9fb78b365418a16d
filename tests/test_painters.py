"""Several paintings in one picture."""

import pytest
import torch

from nstlab import images, metrics
from nstlab.errors import SettingError
from nstlab.losses import StyleLoss
from nstlab.objective import Objective
from nstlab.systems import plan, stylize

QUICK = {"size": 64, "steps": 4}
TWO = ["great-wave", "composition-viii"]


def test_a_one_hot_blend_is_the_single_style_exactly(fast_encoder):
    alone = stylize("coffee", TWO[0], **QUICK, encoder=fast_encoder).image
    for mix in ("losses", "statistics"):
        blended = stylize("coffee", TWO, **QUICK, encoder=fast_encoder, blend=[1, 0], mix=mix).image
        assert torch.equal(alone, blended), mix


def test_the_two_blends_by_their_definitions(encoder, photo):
    """Of losses: the mean of both. Of statistics: zero where the Gram matrix is the mean of both."""
    paintings = [images.load(name, 96) for name in TWO]
    value = lambda loss: Objective(encoder, {"it": loss})(photo)[0].item()
    ones = [value(StyleLoss(painting)) for painting in paintings]
    assert value(StyleLoss(paintings, blend=[0.3, 0.7])) == pytest.approx(0.3 * ones[0] + 0.7 * ones[1], rel=1e-5)
    mixed = StyleLoss(paintings, blend=[0.5, 0.5], mix="statistics")
    mixed.prepare(encoder, (96, 96))
    (_, target), *others = mixed.targets["relu2_1"]
    singles = [StyleLoss(painting) for painting in paintings]
    for single in singles:
        single.prepare(encoder, (96, 96))
    assert not others and torch.allclose(target, sum(single.targets["relu2_1"][0][1] for single in singles) / 2)


@pytest.mark.slow
def test_the_distance_to_a_style_falls_with_its_weight(fast_encoder):
    found = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        made = stylize("cat", TWO, size=64, steps=20, encoder=fast_encoder, blend=[share, 1 - share]).image
        found.append(metrics.style_distance(fast_encoder, made, images.load(TWO[0], 64)))
    assert found == sorted(found, reverse=True)


def test_each_region_is_nearer_to_its_own_painter(fast_encoder):
    photo, painters = images.load("mountain-path", 96), ["starry-night", "great-wave"]
    mask = torch.zeros(1, 1, *photo.shape[-2:])
    mask[..., : mask.shape[-2] // 2, :] = 1
    made = stylize(photo, painters, size=96, steps=30, encoder=fast_encoder, masks=[mask], weights={"style": 3}).image
    for own, other, place in ((0, 1, mask), (1, 0, 1 - mask)):
        near, far = (
            metrics.style_distance(fast_encoder, made, images.load(painters[n], 96), guide=place) for n in (own, other)
        )
        assert far > 2 * near


def test_scales_give_the_fine_strokes_to_the_first(fast_encoder):
    one, other = (
        stylize("cat", names, size=64, steps=20, encoder=fast_encoder, mix="scales").image for names in (TWO, TWO[::-1])
    )
    painting = images.load(TWO[0], 64)
    read = lambda image, layer: metrics.style_distance(fast_encoder, image, painting, layers=(layer,))
    assert read(one, "relu1_2") < read(other, "relu1_2") and read(one, "relu4_2") > read(other, "relu4_2")


def test_what_does_not_add_up(fast_encoder):
    with pytest.warns(UserWarning, match=r"adds up to 3, not 1: taken as 0.67, 0.33"):
        run = plan("coffee", TWO, **QUICK, encoder=fast_encoder, blend=[2, 1])
    assert run.settings["blend"] == [2, 1]
    with pytest.raises(SettingError, match="1 weights for 2 layers or styles"):
        plan("coffee", TWO, **QUICK, blend=[1])
    with pytest.raises(SettingError, match="3 masks for 2 paintings"):
        plan("coffee", TWO, **QUICK, masks=[torch.ones(1, 1, 8, 8)] * 3)
    with pytest.raises(SettingError, match="mask 0 is black everywhere"):
        plan("coffee", TWO, **QUICK, masks=[torch.zeros(1, 1, 8, 8)])
    with pytest.raises(SettingError, match="give one of the two"):
        plan("coffee", TWO, **QUICK, masks=[torch.ones(1, 1, 8, 8)], blend=[0.5, 0.5])
    with pytest.raises(SettingError, match="did you mean scales"):
        plan("coffee", TWO, **QUICK, mix="scale")


@pytest.mark.parametrize("colors", ["oklab", "match-pca", "only"])
def test_colours_kept_and_colours_only(colors, fast_encoder):
    from nstlab.color import to_oklab

    photo = images.load("citrus-fruits", 64)
    made = stylize(photo, "great-wave", size=64, steps=12, encoder=fast_encoder, colors=colors).image
    kept = {name: (to_oklab(made) - to_oklab(photo))[:, part].square().mean().item()
            for name, part in (("lightness", slice(0, 1)), ("chroma", slice(1, 3)))}  # fmt: skip
    plain = stylize(photo, "great-wave", size=64, steps=12, encoder=fast_encoder).image
    change = {name: (to_oklab(plain) - to_oklab(photo))[:, part].square().mean().item()
              for name, part in (("lightness", slice(0, 1)), ("chroma", slice(1, 3)))}  # fmt: skip
    which = "lightness" if colors == "only" else "chroma"
    assert kept[which] < 0.5 * change[which]
