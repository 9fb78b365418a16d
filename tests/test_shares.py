"""Sliders for the styles of a network, without a browser: what they paint, and what they refuse."""

import pytest
import torch

from nstlab import images
from nstlab.errors import ImageError, SettingError
from nstlab.networks import StyleNet
from nstlab.panels.shares import StyleShares
from nstlab.systems.trained import Generator


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    network = StyleNet(3, widths=(4, 8), blocks=1).eval().requires_grad_(False)
    for module in network.modules():
        if hasattr(module, "shift"):
            module.shift.copy_(torch.randn(module.shift.shape))  # each style paints otherwise
    return Generator(network, ["a", "b", "c"], "conditional", "made here")


def test_the_sliders_are_the_blend(generator):
    photo = images.load("cat", 24)
    panel = StyleShares(generator, photo, ["a", "c"])
    assert panel.blend.tolist() == [0.5, 0.0, 0.5]
    panel.sliders["b"].value = 1.0
    panel.sliders["c"].value = 0.5
    assert panel.blend.tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert torch.equal(panel.picture, generator(photo, torch.tensor([0.4, 0.4, 0.2])))
    assert panel.view.value[:2] == b"\xff\xd8"


def test_with_all_at_zero_the_last_picture_stays(generator):
    panel = StyleShares(generator, "cat")
    assert panel.blend.tolist() == [1.0, 0.0, 0.0]
    before = panel.view.value
    panel.sliders["a"].value = 0.0
    assert panel.view.value == before and panel.blend.tolist() == [1.0, 0.0, 0.0]


def test_what_it_cannot_paint_is_named(generator):
    with pytest.raises(SettingError, match="style of made here"):
        StyleShares(generator, "cat", ["d"])
    with pytest.raises(ImageError, match="nothing-there"):
        StyleShares(generator, "nothing-there.png")
