"""Decoders: any size, every way of upsampling, what they refuse, and a training that learns and goes on where it was."""

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from test_cli import run

from nstlab import images
from nstlab.data import Files, Samples, leave_out
from nstlab.encoders import VGG, load_encoder
from nstlab.encoders.base import pool
from nstlab.encoders.vgg import BLOCKS
from nstlab.errors import ImageError, SettingError, WeightsError
from nstlab.feature_transforms import AdaIN
from nstlab.losses.moments import moment_loss
from nstlab.networks import Decoder, load_decoder
from nstlab.networks.decoder import Convolution
from nstlab.networks.unpooling import pooled_sizes, spread, unpool_indices, unpool_wavelet
from nstlab.systems import train
from nstlab.systems.checkpoint import slim
from nstlab.training import any_style, checkpoints
from nstlab.training.any_style import AnyStyle
from nstlab.training.decoder import Reconstruction, decoded, fidelity, relative_error
from nstlab.training.loop import Training
from nstlab.training.pairs import hue_turn, recoloured, style_pictures
from nstlab.training.regression import least_squares

SIZES = [(64, 64), (37, 51), (1, 9), (3, 2), (1, 1), (7, 16)]
WAYS = [("nearest", "sum", "max"), ("nearest", "sum", "average"), ("indices", "sum", "indices"),
        ("wavelet", "sum", "wavelet"), ("wavelet", "cat5", "wavelet")]  # fmt: skip


def small_vgg(pooling="max", seed=0, widths=(4, 6, 8, 10, 10)):
    """A VGG-19 of few random channels, in fp32."""
    generator, convs, inputs = torch.Generator().manual_seed(seed), [], 3
    for count, outputs in zip(BLOCKS[16], widths, strict=True):
        for _ in range(count):
            weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
            convs.append((weight, torch.zeros(outputs)))
            inputs = outputs
    return VGG(convs, ((0.5,) * 3, (0.25,) * 3), name="small", pooling=pooling, precision="fp32", device="cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", SIZES)
def test_unpooling_undoes_pooling(size, rng):
    x = torch.randn(2, 3, *size, generator=rng)
    low, bands = pool(x, "wavelet")
    even = [side // min(2, side) * min(2, side) for side in size]
    whole = unpool_wavelet(low, bands, size)
    inside = x[..., : even[0], : even[1]]
    assert whole.shape == x.shape and (whole[..., : even[0], : even[1]] - inside).abs().max() < 1e-5
    pixels = min(2, size[0]) * min(2, size[1])  # each band is a mean of so many
    assert torch.allclose(pixels * (low.square().sum() + bands.square().sum()), inside.square().sum(), rtol=1e-5) or 1 in size
    kernel = tuple(min(2, side) for side in size)
    low, indices = pool(x, "indices")
    assert torch.equal(unpool_indices(low, indices, size), F.max_unpool2d(low, indices, kernel, output_size=size))
    assert tuple(low.shape[-2:]) == pooled_sizes(size, 2)[1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rank", [None, 2])
def test_upsampling_at_the_lower_resolution_is_the_same(size, rank, rng):
    layer, low = Convolution(3, 5, rank).double(), pooled_sizes(size, 2)[1]
    x = torch.randn(2, 3, *low, generator=rng, dtype=torch.float64, requires_grad=True)
    ours, plain = layer.upsampled(x, size), layer(spread(x, size))
    assert torch.allclose(ours, plain) and ours.shape == (2, 5, *size)
    weigh = torch.randn(ours.shape, generator=rng, dtype=torch.float64)
    leaves = (x, *layer.parameters())
    for one, other in zip(
        torch.autograd.grad((ours * weigh).sum(), leaves), torch.autograd.grad((plain * weigh).sum(), leaves)
    ):
        assert torch.allclose(one, other)


def test_spread_by_hand():
    assert spread(torch.tensor([[[[1.0, 2]]]]), (3, 5)).tolist() == [[[[1, 1, 2, 2, 2]] * 3]]


@pytest.mark.parametrize(("upsampling", "join", "pooling"), WAYS)
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 2), (1, 1)])
def test_any_size_from_every_level(upsampling, join, pooling, size, rng):
    encoder = small_vgg(pooling)
    decoder = Decoder(encoder.channels, upsampling=upsampling, join=join, ranks=[2, None, 3, None])
    features = encoder(torch.rand(2, 3, *size, generator=rng), (*decoder.layers, *decoder.needs))
    for number, layer in enumerate(decoder.layers):
        found = decoder(features[layer], layer, size, kept=features)
        assert list(found) == [*decoder.layers[number + 1 :], "image"] and found["image"].shape == (2, 3, *size)
        assert all(found[name].shape == features[name].shape for name in decoder.layers[number + 1 :])
        assert found["image"].dtype == torch.float32 and found["image"].isfinite().all()


def test_features_are_replaced_on_the_way():
    decoder = Decoder({"relu1_1": 4, "relu2_1": 6, "relu3_1": 8}, "relu3_1")
    x, own = torch.rand(1, 8, 3, 3), torch.rand(1, 4, 12, 12)
    found = decoder(x, "relu3_1", (12, 12), edit={"relu1_1": lambda y: own})
    assert found["relu1_1"] is own
    assert torch.allclose(found["image"], decoder(own, "relu1_1", (12, 12))["image"], atol=1e-6)
    with pytest.raises(SettingError, match="unknown layer 'relu3_1'"):
        decoder(x, "relu3_1", (12, 12), edit={"relu3_1": torch.relu})
    with pytest.raises(SettingError, match=r"features of relu3_1 at this size are \(N, 8, 4, 3\), not \(1, 8, 3, 3\)"):
        decoder(x, "relu3_1", (16, 12))
    with pytest.raises(SettingError, match="2 ranks for 3 sizes"):
        Decoder(decoder.channels, "relu3_1", ranks=[2, 3])


@pytest.mark.parametrize(("upsampling", "join", "names"), [("indices", "sum", "pool3"), ("wavelet", "cat5", "pool3, relu3_4")])
def test_what_the_pooling_kept_must_be_given(upsampling, join, names):
    decoder = Decoder(small_vgg().channels, upsampling=upsampling, join=join)
    with pytest.raises(SettingError, match=f"upsampling {upsampling} needs {names} of an encoder with pooling {upsampling}"):
        decoder(torch.rand(1, 10, 2, 2), "relu4_1", (16, 16))


def test_a_sum_is_where_cat5_begins(rng):
    encoder = small_vgg("wavelet")
    one, other = (Decoder(encoder.channels, upsampling="wavelet", join=join) for join in ("sum", "cat5"))
    other.load_state_dict(one.state_dict(), strict=False)
    features = encoder(torch.rand(1, 3, 24, 24, generator=rng), (*one.layers, *other.needs))
    images = [each(features["relu4_1"], "relu4_1", (24, 24), kept=features)["image"] for each in (one, other)]
    assert torch.allclose(*images, atol=1e-6)


@pytest.mark.parametrize("pooling", ["max", "wavelet", "indices"])
def test_regression_begins_near_the_picture(pooling):
    upsampling = "nearest" if pooling == "max" else pooling
    encoder = small_vgg(pooling, widths=(16, 24, 24, 32, 32))
    fitted, random = (Decoder(encoder.channels, upsampling=upsampling, ranks=[8, 12, 16, None]) for _ in range(2))
    pictures = torch.cat([images.load(name, (64, 64)) for name in ("cat", "coffee", "spring", "rocket", "harvesters")])
    least_squares(fitted, encoder, pictures)
    features = encoder(pictures, fitted.layers)
    errors = [
        (decoder(features["relu3_1"], "relu3_1", (64, 64), kept=features)["image"] - pictures).square().mean()
        for decoder in (fitted, random)
    ]
    flat = (pictures - pictures.mean((2, 3), keepdim=True)).square().mean()
    assert errors[0] < 0.5 * flat < errors[1]


def test_losses_by_hand():
    ours, theirs = torch.tensor([[[[3.0, 1]]]], requires_grad=True), torch.tensor([[[[1.0, 2]]]])
    error = relative_error(ours, theirs)
    assert error.item() == pytest.approx((4 + 1) / (1 + 4))
    (gradient,) = torch.autograd.grad(error, ours)
    assert gradient.flatten().tolist() == pytest.approx([2 * 2 / 5, -2 / 5])
    assert moment_loss(ours, theirs).item() == pytest.approx((2 - 1.5) ** 2 + (1 - 0.5) ** 2, rel=1e-3)
    painted = AdaIN()(torch.rand(1, 4, 9, 9), style := torch.rand(1, 4, 5, 7) * 3)
    assert moment_loss(painted, style) < 1e-8


def test_decoding_begins_where_it_should():
    """At the level of each picture its block gets the encoder's features, and elsewhere what the block before gave."""
    decoder = Decoder({"relu1_1": 2, "relu2_1": 3, "relu3_1": 4}, "relu3_1")
    features = {
        layer: torch.rand(2, decoder.channels[layer], *pooled_sizes((8, 8), int(layer[4]))[-1]) for layer in decoder.layers
    }
    features["image"] = torch.rand(2, 3, 8, 8)
    found, given = decoded(decoder, features, decoder.layers, [3, 2])
    own = decoder(features["relu3_1"], "relu3_1", (8, 8))
    later = decoder(features["relu2_1"], "relu2_1", (8, 8))
    same = lambda one, other: torch.allclose(one, other, rtol=1e-4, atol=1e-5)  # sums may come in another order
    assert same(found["image"][0], own["image"][0]) and same(found["image"][1], later["image"][1])
    assert same(given["relu2_1"], own["relu2_1"])
    found, given = decoded(decoder, features, decoder.layers, None)
    assert same(given["relu1_1"], later["relu1_1"])
    assert same(found["image"], decoder(features["relu1_1"], "relu1_1", (8, 8))["image"])


def test_colours_turn_about_grey():
    assert torch.allclose(hue_turn(0.0), torch.eye(3), atol=1e-6)
    third = hue_turn(2 * torch.pi / 3)
    assert torch.allclose(third @ torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0]), atol=1e-6)
    assert torch.allclose(hue_turn(1.0, 0.5) @ torch.ones(3), torch.ones(3), atol=1e-6)
    crops = images.load("cat", 40)[..., :24, :24].repeat(20, 1, 1, 1)
    found = recoloured(crops, list(range(20)))
    changed = [not torch.equal(one, other) for one, other in zip(found, crops, strict=True)]
    assert 4 < sum(changed) < 16 and found.min() >= 0 and found.max() <= 1
    assert torch.equal(found, recoloured(crops, list(range(20))))


def test_photos_are_styles_too():
    paintings, photos = Samples("painting", ["spring", "great-wave"]), Samples("photo")
    found = style_pictures(paintings, photos, 0.5)
    assert len(set(found.names)) == len(found) and set(paintings.paths + photos.paths) == set(found.paths)
    share = sum(path in paintings.paths for path in found.paths) / len(found)
    assert 0.4 < share < 0.6 and style_pictures(paintings, photos, 1.0).paths == paintings.paths


def test_pictures_that_show_the_same_are_left_out(tmp_path):
    photo = images.load("cat", 200)
    copies = {
        "smaller.png": images.resize(photo, 90), "cut.png": photo[..., 6:-4, 8:], "paler.png": photo * 0.7 + 0.2,
        "mirrored.png": photo.flip(3), "other.png": images.load("coffee", 200),
    }  # fmt: skip
    for name, image in copies.items():
        images.save(image, tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"nothing")
    paths = [tmp_path / name for name in (*copies, "broken.png")]
    kept, note = leave_out(Files([path.name for path in paths], paths), Samples("photo", ["cat", "rocket"]))
    assert kept.names == ["mirrored.png", "other.png", "broken.png"]
    assert note == "left out 3 pictures: smaller.png (like cat), cut.png (like cat), paler.png (like cat)"
    assert leave_out(kept, Samples("photo", ["rocket"]))[1] is None
    with pytest.raises(ImageError, match="all 1 pictures are like those"):
        leave_out(Samples("photo", ["cat"]), Samples("photo"))


QUICK = {"size": 32, "batch": 2, "device": "cpu", "seed": 3, "steps": 8, "task": {"block_steps": 3}}


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number, name in enumerate(("cat", "coffee", "spring", "rocket")):
        images.save(images.load(name, 64), tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def test_reconstruction_learns_stops_and_goes_on(photos, tmp_path):
    encoder, options = small_vgg(), QUICK | {"steps": 30, "lr": 0.003}
    whole = train.training("decoder", photos, encoder=encoder, **options)
    whole.task.fresh = False  # from random weights
    rows = [step.losses for step in whole]
    assert set(rows[0]) == {"image", "features", "blocks"}
    assert sum(row["image"] for row in rows[-5:]) < sum(row["image"] for row in rows[:5])
    stopped = train.training("decoder", photos, encoder=encoder, folder=tmp_path / "run", **options)
    stopped.task.fresh = False
    for step in stopped:
        if step.index == 4:
            stopped.stop()
    resumed = train.training("decoder", photos, encoder=encoder, folder=tmp_path / "run", resume=True, **options)
    assert resumed.done == 4 and [step.losses for step in resumed] == rows[4:]
    with pytest.raises(SettingError, match="was begun with fingerprint"):
        train.training("decoder", photos, encoder=small_vgg(seed=1), folder=tmp_path / "run", resume=True, **options)


def test_any_style_begins_with_a_decoder_and_learns(photos, tmp_path):
    encoder = small_vgg()
    made = train.training("decoder", photos, encoder=encoder, folder=tmp_path / "run", **QUICK)
    list(made)
    task = AnyStyle("adain", encoder=encoder, weights={"gram": 1.0})
    before = train._init_from(task, made.checkpoint)
    assert before == 8 and all(map(torch.equal, task.decoder.parameters(), made.task.ema.module.parameters()))
    pictures = train.open_pictures(photos, "photo")
    painting = Training(task, pictures, style_pictures(pictures, pictures), steps=40, size=32, batch=2, device="cpu")
    rows = [step.losses for step in painting]
    assert set(rows[0]) == {"content", "style", "gram", "identity"}
    assert sum(row["style"] for row in rows[-5:]) < sum(row["style"] for row in rows[:5])
    with pytest.raises(SettingError, match="has upsampling nearest, not wavelet"):
        train._init_from(AnyStyle("adain", encoder=small_vgg("wavelet"), network={"upsampling": "wavelet"}), made.checkpoint)
    assert any_style.STYLE_LAYERS[-1] == task.decoder.layers[0]


def test_what_a_task_refuses(photos):
    with pytest.raises(SettingError, match="upsampling wavelet does not undo pooling max"):
        Reconstruction(None, encoder=small_vgg(), network={"upsampling": "wavelet"})
    with pytest.raises(SettingError, match="unknown network option 'blocks'"):
        Reconstruction(None, encoder=small_vgg(), network={"blocks": 3})
    with pytest.raises(SettingError, match="unknown weight 'style'"):
        Reconstruction(None, encoder=small_vgg(), weights={"style": 3})


@pytest.fixture
def saved(tmp_path):
    """A file as `slim` writes it, of a decoder of the small encoder."""
    encoder = small_vgg()
    decoder = Decoder(encoder.channels, fingerprint=encoder.fingerprint, ranks=[2, 3, None, 4])
    tensors = {f"ema.{name}": value for name, value in decoder.state_dict().items()}
    info = {"system": "decoder", "network": {"builder": "Decoder", **decoder.options}, "step": 7}
    checkpoints.write(tmp_path / "last.safetensors", tensors, info)
    return slim(tmp_path / "last.safetensors", tmp_path / "small.safetensors")


def test_a_decoder_comes_back_from_its_file_for_its_encoder_alone(saved, tmp_path, rng):
    encoder = small_vgg()
    decoder = load_decoder(encoder, file=saved)
    assert decoder.options["ranks"] == [2, 3, None, 4] and not any(w.requires_grad for w in decoder.parameters())
    assert all(torch.equal(w, w.half().float()) for w in decoder.parameters())
    assert fidelity(encoder, decoder, ["cat"], 32).keys() == set(decoder.layers)
    with pytest.raises(WeightsError, match="decodes features of the encoder small with other weights or scales"):
        load_decoder(small_vgg(seed=1), file=saved)
    with pytest.raises(WeightsError, match="upsamples by nearest, not by wavelet"):
        load_decoder(small_vgg("wavelet"), file=saved)
    with pytest.raises(WeightsError, match=r"no decoder_small ships with the package \(there are "):
        load_decoder(encoder)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged, cut short"):
        load_decoder(encoder, file=cut)
    save_file({"a": torch.zeros(2)}, cut, {"nstlab": json.dumps({"system": "johnson", "network": {"builder": "StyleNet"}})})
    with pytest.raises(WeightsError, match="is a checkpoint of johnson, not a decoder"):
        load_decoder(encoder, file=cut)
    described = {"builder": "Decoder", **decoder.options, "ranks": 3}
    save_file({"a": torch.zeros(2)}, cut, {"nstlab": json.dumps({"system": "decoder", "network": described})})
    with pytest.raises(WeightsError, match="cannot be built here"):
        load_decoder(encoder, file=cut)


def test_train_decoder_on_the_command_line(monkeypatch, capsys, photos, tmp_path):
    options = (
        "--encoder",
        "pocket",
        "--size",
        32,
        "--batch",
        2,
        "--steps",
        1,
        "--device",
        "cpu",
        "--network",
        "ranks=[2,3,4,5]",
    )
    source = ("--content", photos, "--leave-out", "samples")
    assert run(monkeypatch, "train", "decoder", "-o", tmp_path / "run", *source, *options) == 2
    assert "all 4 pictures are like those to be left out" in capsys.readouterr().err
    monkeypatch.setattr("nstlab.training.decoder.FIRST", 4)
    source = ("--content", photos, "--content", photos)
    assert run(monkeypatch, "train", "decoder", "-o", tmp_path / "run", *source, *options) == 0
    info = checkpoints.read(tmp_path / "run" / "last.safetensors")[1]
    assert info["network"]["ranks"] == [2, 3, 4, 5] and info["network"]["fingerprint"]["name"] == "pocket"
    capsys.readouterr()
    for arguments, message in (
        (("--network", "ranks"), "network 'ranks': write it as NAME=VALUE"),
        (("--critic", "layers=2"), "decoder has no critic"),
        (("--network", "upsampling=bilinear"), "unknown upsampling 'bilinear'"),
    ):
        assert run(monkeypatch, "train", "decoder", "-o", tmp_path / "x", *arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["vgg19", "pocket"])
def test_the_decoders_that_ship_give_the_picture_back(name):
    """Of pictures that none of them saw; blanks of their mean colours have 15.9 dB."""
    encoder = load_encoder(name, precision="fp32", device="cpu")
    found = fidelity(encoder, load_decoder(encoder), ["cat", "composition-viii"], 128)
    assert found["relu4_1"] > 17.5 and found["relu3_1"] > 21 and found["relu2_1"] > 26 and found["relu1_1"] > 34
