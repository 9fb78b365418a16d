"""What every encoder promises, on a small VGG with random weights: strides, identity, edits, poolings, devices, files."""

import pytest
import torch
import torch.nn.functional as F

from nstlab.encoders import load_encoder
from nstlab.encoders.base import conv_relu, pool
from nstlab.encoders.vgg import BLOCKS, VGG
from nstlab.errors import SettingError, WeightsError


def random_convs(count=16, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [3] + [width] * count
    return [
        (torch.randn(b, a, 3, 3, generator=generator) / (3 * a**0.5), torch.rand(b, generator=generator) / 4)
        for a, b in zip(sizes, sizes[1:])
    ]


def small(seed=0, **options):
    return VGG(random_convs(seed=seed), **{"precision": "fp32", "device": "cpu"} | options)


@pytest.mark.parametrize(("count", "last"), [(16, "relu5_4"), (13, "relu5_3")])
def test_layers_channels_and_strides(count, last):
    encoder = VGG(random_convs(count, width=5), device="cpu")
    features = encoder(torch.rand(1, 3, 64, 96), encoder.layers)
    assert encoder.layers[0] == "relu1_1" and encoder.layers[-1] == last and len(encoder.layers) == count
    assert encoder.strides["relu1_2"] == 1 and encoder.strides["relu3_1"] == 4 and encoder.strides[last] == 16
    for layer in encoder.layers:
        stride = encoder.strides[layer]
        assert features[layer].shape == (1, encoder.channels[layer], 64 // stride, 96 // stride), layer
    assert sum(BLOCKS[count]) == count


def test_the_channels_of_the_real_encoders():
    for encoder in (load_encoder(device="cpu"), load_encoder("pocket", device="cpu")):
        features = encoder(torch.rand(1, 3, 16, 16), encoder.layers)
        assert {layer: features[layer].shape[1] for layer in encoder.layers} == encoder.channels
        assert [encoder.channels[f"relu{block}_1"] for block in range(1, 6)] == [64, 128, 256, 512, 512]


def test_the_fingerprint_names_weights_and_scales_but_not_precision():
    plain = small().fingerprint
    assert plain == small().fingerprint == small(pooling="average").fingerprint
    assert plain == small(precision="bf16").fingerprint
    assert plain["weights"] != small(seed=1).fingerprint["weights"]
    scaled = small(scales=dict.fromkeys(small().layers, 2.0)).fingerprint
    assert scaled["scales"] != plain["scales"] and small(name="mine").fingerprint["name"] == "mine"
    for name in ("vgg19", "pocket"):
        fp32, bf16 = (load_encoder(name, precision=precision, device="cpu").fingerprint for precision in ("fp32", "bf16"))
        assert fp32 == bf16 and fp32["name"] == name
    assert load_encoder("pocket", device="cpu").fingerprint["weights"] != load_encoder(device="cpu").fingerprint["weights"]


def test_an_edit_changes_its_layer_and_the_deeper_ones_only():
    encoder, image = small(), torch.rand(1, 3, 32, 32)
    plain = encoder(image, encoder.layers)
    edited = encoder(image, encoder.layers, edit={"relu2_2": lambda x: 2 * x + 1})
    assert torch.equal(edited["relu2_2"], 2 * plain["relu2_2"] + 1)
    at = encoder.layers.index("relu2_2")
    for number, layer in enumerate(encoder.layers):
        assert torch.equal(plain[layer], edited[layer]) == (number < at), layer
    again = F.relu(F.conv2d(F.pad(pool(edited["relu2_2"], "max")[0], (1,) * 4, mode="reflect"), *random_convs()[4]))
    assert torch.allclose(edited["relu3_1"], again, atol=1e-5)
    assert all(torch.equal(value, plain[layer]) for layer, value in encoder(image, encoder.layers, edit={}).items())
    with pytest.raises(SettingError, match="relu9_9"):
        encoder(image, ["relu1_1"], edit={"relu9_9": lambda x: x})


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 9), (1, 5), (5, 1), (2, 3)])
def test_pooling_by_hand(height, width):
    x = torch.rand(2, 3, height, width)
    rows, columns = min(2, height), min(2, width)
    blocks = x[..., : height // rows * rows, : width // columns * columns]
    blocks = blocks.unflatten(3, (-1, columns)).unflatten(2, (-1, rows)).transpose(3, 4).flatten(4)
    assert torch.equal(pool(x, "max")[0], blocks.amax(4)) and pool(x, "max")[1] is None
    assert torch.allclose(pool(x, "average")[0], blocks.mean(4))
    largest, places = pool(x, "indices")
    assert torch.equal(largest, blocks.amax(4))
    assert torch.equal(x.flatten(2).gather(2, places.flatten(2)).view_as(largest), largest)
    low, bands = pool(x, "wavelet")
    assert torch.allclose(low, blocks.mean(4)) and bands.shape[1] == 9


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 9), (2, 3)])
def test_the_wavelet_bands_give_the_features_back(height, width):
    """Each corner of a 2 x 2 block is low +- across +- down +- diagonal; exactly so for whole numbers."""
    x = torch.randint(0, 256, (1, 3, height, width)).float()
    low, bands = pool(x, "wavelet")
    across, down, diagonal = bands.chunk(3, 1)
    even = x[..., : height // 2 * 2, : width // 2 * 2]
    back = torch.empty_like(even)
    back[..., ::2, ::2] = low + across + down + diagonal
    back[..., ::2, 1::2] = low - across + down - diagonal
    back[..., 1::2, ::2] = low + across - down - diagonal
    back[..., 1::2, 1::2] = low - across - down + diagonal
    assert torch.equal(back, even)


@pytest.mark.parametrize(("pooling", "channels"), [("wavelet", 12), ("indices", 4)])
def test_what_pooling_keeps_comes_back_beside_the_features(pooling, channels):
    features = small(pooling=pooling)(torch.rand(1, 3, 20, 12), ["relu3_1"])
    assert set(features) == {"image", "relu3_1", "pool1", "pool2"}
    assert features["pool1"].shape == (1, channels, 10, 6) and features["pool2"].shape == (1, channels, 5, 3)


def test_the_device_follows_to():
    encoder = small()
    assert encoder.device == torch.device("cpu")
    moved = encoder.to("meta")
    assert moved.device == torch.device("meta")
    assert moved(torch.rand(1, 3, 16, 16), ["relu2_1"])["relu2_1"].device.type == "meta"


# Files of weights


def saved(state, folder):
    path = folder / "own.pth"
    torch.save(state, path)
    return path


def vgg_state(count=16):
    convs = random_convs(count)
    numbers, at = [], 0
    for block in BLOCKS[count]:
        for _ in range(block):
            numbers.append(at)
            at += 2
        at += 1
    return {
        f"features.{number}.{part}": value
        for number, conv in zip(numbers, convs, strict=True)
        for part, value in zip(("weight", "bias"), conv, strict=True)
    }


@pytest.mark.parametrize("count", [13, 16])
def test_a_file_of_ones_own_gives_its_weights(count, tmp_path):
    encoder = load_encoder(str(saved(vgg_state(count), tmp_path)), precision="fp32", device="cpu")
    assert len(encoder.layers) == count
    first = encoder.relu1_1_weight * encoder.scales["relu1_1"]
    assert torch.allclose(first, random_convs(count)[0][0], atol=1e-6)


def with_norms(state):
    norm = {"features.1.weight": torch.ones(4), "features.1.bias": torch.zeros(4), "features.1.running_mean": torch.zeros(4)}
    return state | norm


def without_a_bias(state):
    return {key: value for key, value in state.items() if key != "features.5.bias"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_norms, "batch norms"),
        (without_a_bias, r"features\.5\.weight is not a 3x3 convolution of 4 channels with a bias"),
        (lambda state: state | {"features.7.weight": torch.rand(4, 4, 1, 1)}, "not a 3x3 convolution"),
        (lambda state: {"conv1.weight": torch.rand(64, 3, 7, 7)}, "1 convolutions: a VGG-16 has 13"),
        (lambda state: {"conv1.weight": torch.rand(64, 3, 7, 7), "bn1.weight": torch.rand(64)}, "batch norms"),
        (lambda state: [1, 2], "holds a list, not a state dict"),
    ],
)
def test_other_networks_are_refused_in_one_sentence(change, message, tmp_path):
    path = saved(change(vgg_state()), tmp_path)
    with pytest.raises(WeightsError, match=message) as caught:
        load_encoder(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 5), (3, 1), (1, 1)])
def test_the_quick_ways_without_gradients_give_the_same(size, rng):
    x = torch.randn(2, 3, *size, generator=rng)
    kernel = tuple(min(2, side) for side in size)
    assert torch.equal(pool(x, "max")[0], F.max_pool2d(x, kernel))
    weight, bias = torch.randn(4, 3, 1, 1, generator=rng), torch.randn(4, generator=rng)
    for padding in (0, 1):
        plain = F.relu(F.conv2d(x, weight, bias, padding=padding))
        followed = conv_relu(x.clone().requires_grad_(), weight, bias, padding)
        assert torch.allclose(conv_relu(x, weight, bias, padding), plain, atol=1e-6)
        assert followed.requires_grad and torch.allclose(followed, plain, atol=1e-6)
    wide = conv_relu(x.double(), weight.double(), None)
    assert wide.dtype == torch.float64 and torch.allclose(wide, F.relu(F.conv2d(x, weight)).double(), atol=1e-6)
