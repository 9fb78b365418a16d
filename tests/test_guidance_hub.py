"""The larger networks of the extra "guides", with stand-ins for the packages that download them."""

import sys
import types

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from nstlab import images
from nstlab.cli.app import app
from nstlab.encoders import weights
from nstlab.errors import WeightsError
from nstlab.guidance import depth, saliency, segments

GUIDES = {
    "saliency": (lambda image: saliency(image, "hub"), "rembg"),
    "segments": (lambda image: segments(image, method="hub"), "transformers"),
    "depth": (lambda image: depth(image, "hub"), "transformers"),
}


class Kind:
    """A processor and a network of transformers in one: brightness as depth, the strongest channel as label."""

    config = types.SimpleNamespace(id2label={0: "wall", 1: "sky", 2: "tree"})

    @classmethod
    def from_pretrained(cls, name):
        assert "/" in name
        return cls()

    def eval(self):
        return self

    def __call__(self, images=None, return_tensors=None, do_rescale=None, pixels=None):
        if images is not None:
            return {"pixels": torch.stack(images)}
        return types.SimpleNamespace(predicted_depth=pixels.mean(1)[:, ::2, ::2] * 40, logits=pixels[..., ::2, ::2])


class Session:
    """A session of rembg: bright places stand out; at its own size."""

    def predict(self, picture):
        return [picture.convert("L").point(lambda value: 255 if value > 128 else 0).resize((10, 10), Image.Resampling.NEAREST)]


@pytest.fixture
def packages(monkeypatch):
    kinds = types.SimpleNamespace(
        AutoImageProcessor=Kind, AutoModelForDepthEstimation=Kind, AutoModelForSemanticSegmentation=Kind
    )
    monkeypatch.setitem(sys.modules, "transformers", kinds)
    monkeypatch.setitem(sys.modules, "rembg", types.SimpleNamespace(new_session=lambda name: Session()))


@pytest.mark.parametrize("task", GUIDES)
def test_an_extra_that_is_not_installed_says_what_to_install(task, monkeypatch):
    make, package = GUIDES[task]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(WeightsError, match=r"not installed: pip install 'nstlab\[guides\]'"):
        make(torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("task", GUIDES)
def test_a_failed_download_names_the_network_and_the_way_out(task, packages, monkeypatch):
    def fails(*_, **__):
        raise OSError("no network here")

    monkeypatch.setattr(sys.modules["rembg"], "new_session", fails)
    monkeypatch.setattr(Kind, "from_pretrained", fails)
    with pytest.raises(WeightsError, match=r"no network here\): connect to the network once, or hand in .* of your own"):
        GUIDES[task][0](torch.rand(1, 3, 8, 8))


def test_each_behind_its_guide(packages):
    picture = torch.zeros(2, 3, 16, 24)
    picture[:, 1, :, :12] = 1
    picture[:, 2, :, 12:] = 0.9
    before = picture.clone()
    guide = depth(picture, "hub")
    assert guide.map.shape == (2, 1, 16, 24) and guide.map.max() == 1 and "Depth-Anything" in guide.method
    assert guide.map[..., :10].min() > guide.map[..., 14:].max()
    guide = saliency(picture, "hub")  # green is brighter than blue
    assert guide.map.shape == (2, 1, 16, 24) and guide.map[..., :10].min() > 0.99 and guide.map[..., 14:].max() < 0.01
    found = segments(picture, method="hub")
    assert found.names == ("wall", "sky", "tree") and found.count == 3 and "upernet" in found.method
    assert (found.labels[..., :11] == 1).all() and (found.labels[..., 13:] == 2).all()
    assert torch.equal(picture, before)


def test_they_are_listed_with_licence_and_size(monkeypatch):
    said = CliRunner().invoke(app, ["weights", "list"]).output
    for name in ("hub-saliency", "hub-segments", "hub-depth"):
        source = weights.SOURCES[name]
        line = next(line for line in said.splitlines() if line.startswith(f"{name}: "))
        assert source.licence in line and f"{source.size} MB" in line and "nstlab[guides]" in line
        with pytest.raises(WeightsError, match="downloaded when first used"):
            weights.find(name)
    monkeypatch.setattr("nstlab.cli.app._version", lambda name: "1.0")
    assert "downloaded when first used, by rembg\n" in CliRunner().invoke(app, ["weights", "list"]).output


def test_a_real_photo_goes_through(packages):
    assert saliency(images.load("cat", 64), "hub").map.max() == 1
