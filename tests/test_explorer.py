"""The feature explorer without a browser: its controls are moved from here."""

import pytest
import torch
from sending import arrive

from nstlab import images
from nstlab.encoders import probing
from nstlab.errors import ImageError, NstlabError, SettingError
from nstlab.panels.explorer import FeatureExplorer, framed, glowing, mosaic

FEW = ["cat", "coffee", "starry-night"]


@pytest.fixture(scope="module")
def surveyed(fast_encoder):
    return probing.survey(fast_encoder, FEW, size=64)


@pytest.fixture
def panel(fast_encoder, surveyed):
    return FeatureExplorer("cat", "relu3_1", encoder=fast_encoder, size=64, surveyed=surveyed)


def shown(panel):
    return {name: getattr(panel, name).value for name in ("photo", "map", "patches")}


def changed(before, panel):
    return {name for name, value in shown(panel).items() if value != before[name]}


def test_it_opens_at_the_strongest_channel(panel, fast_encoder):
    features = fast_encoder(images.load("cat", 64), ["relu3_1"])["relu3_1"]
    assert panel.channel.value == probing.strongest_channels(features, 1)[0]
    assert all(shown(panel).values())
    assert "number 1 in strength" in panel.label.value
    assert repr(panel) == "<FeatureExplorer>"
    for view in (panel.photo, panel.map, panel.patches):
        assert view.value[:2] == b"\xff\xd8" and view.alt


def test_the_channel_changes_map_and_patches(panel):
    before = shown(panel)
    panel.channel.value = (panel.channel.value + 1) % 256
    assert {"map", "patches"} <= changed(before, panel)
    assert f"channel {panel.channel.value:.0f}" in panel.label.value


def test_the_layer_changes_everything_and_begins_at_its_strongest(panel):
    before = shown(panel)
    panel.layer.value = "relu5_1"
    assert changed(before, panel) == {"photo", "map", "patches"}
    assert panel.channel.max == 511
    assert "relu5_1" in panel.label.value and "number 1 in strength" in panel.label.value


def test_a_layer_with_fewer_channels_takes_the_slider_along(panel):
    panel.channel.value = 255
    panel.layer.value = "relu1_1"
    assert panel.channel.value <= panel.channel.max == 63


def test_the_photo_changes_photo_and_map_but_not_the_patches(panel):
    before, channel = shown(panel), panel.channel.value
    panel.pick.value = "coffee"
    assert changed(before, panel) == {"photo", "map"}
    assert (panel.layer.value, panel.channel.value) == ("relu3_1", channel)


def test_back_to_the_same_place_gives_the_same_pictures(panel):
    before, channel = shown(panel), panel.channel.value
    panel.layer.value = "relu4_1"
    panel.look("coffee")
    panel.look("cat", "relu3_1", channel)
    assert changed(before, panel) == set()


def test_next_strongest_walks_down_the_order_and_round(panel):
    order = panel._order
    panel.next_button.click()
    assert panel.channel.value == order[1]
    panel.look(channel=order[-1])
    panel.next_button.click()
    assert panel.channel.value == order[0]


def test_your_own_picture_by_path(panel, tmp_path):
    path = images.save(torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0)), tmp_path / "mine.png")
    before = shown(panel)
    panel.path.value = str(path)
    assert {"photo", "map"} <= changed(before, panel)
    assert panel.pick.value is None and panel.path.value == str(path)
    panel.pick.value = "cat"
    assert changed(before, panel) == set() and panel.path.value == ""


def test_your_own_picture_by_upload(panel):
    data = images.locate("great-wave").read_bytes()
    before = shown(panel)
    arrive(panel.chooser.upload, ("mine.jpg", data))
    assert {"photo", "map"} <= changed(before, panel)
    assert panel.pick.value is None and panel.chooser.name == "mine.jpg"


@pytest.mark.parametrize("height, width", [(1, 1), (3, 300)])
def test_odd_pictures(panel, height, width):
    panel.look(torch.rand(1, 3, height, width))
    assert all(shown(panel).values())


def test_a_silent_channel_says_so(panel):
    panel._features["relu3_1"] = torch.zeros_like(panel._features["relu3_1"])
    panel.look(channel=5)
    assert "silent" in panel.label.value


def test_a_wrong_control_is_said_on_the_panel(panel):
    before = shown(panel)
    panel.path.value = "coffe"
    assert "did you mean coffee?" in panel.label.value
    assert changed(before, panel) == set()


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"photo": "coffe"}, ImageError),
        ({"photo": "/nowhere/cat.jpg"}, ImageError),
        ({"photo": b"no picture"}, ImageError),
        ({"layer": "relu9_1"}, SettingError),
        ({"layer": "relu1_1", "channel": 64}, SettingError),
        ({"channel": -1}, SettingError),
    ],
)
def test_bad_input(panel, surveyed, fast_encoder, wrong, error):
    before, at = shown(panel), (panel.layer.value, panel.channel.value)
    with pytest.raises(error) as caught:
        panel.look(**wrong)
    assert isinstance(caught.value, NstlabError)
    assert changed(before, panel) == set() and (panel.layer.value, panel.channel.value) == at
    with pytest.raises(error):
        FeatureExplorer(**wrong, encoder=fast_encoder, size=64, surveyed=surveyed)


def test_without_a_survey_it_looks_at_all_samples(fast_encoder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "nstlab.panels.explorer.survey", lambda *a, **o: asked.append(a) or probing.survey(a[0], FEW[:1], size=32)
    )
    panel = FeatureExplorer("cat", "relu1_2", encoder=fast_encoder, size=32)
    panel.channel.value = 3
    assert len(asked) == 1 and len(asked[0][1]) == 25


def test_the_drawing_pieces():
    image = torch.zeros(1, 3, 20, 30)
    inside = framed(image, (5, 5, 15, 25))
    assert inside[..., 5, 5:25].sum() > 0 and inside[..., 8:12, 10:20].sum() == 0 and image.sum() == 0
    assert framed(image, (-50, -50, 100, 100))[0, :, 0, 0].sum() > 0  # what lies beyond is drawn along the border
    glow = glowing(torch.tensor([[0.0, 1.0], [2.0, 4.0]]))
    assert glow.shape == (1, 3, 2, 2) and glow[0, :, 1, 1].sum() > glow[0, :, 0, 1].sum() > glow[0, :, 0, 0].sum()
    assert mosaic([torch.rand(1, 3, 7, 7)] * 4).shape == (1, 3, 170, 258)
