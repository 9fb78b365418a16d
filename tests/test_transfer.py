"""Systems that paint like any painting in one pass, on encoders and decoders of a few random weights."""

import numpy as np
import pytest
import torch
from tiny import random_decoder, small, tiny_networks, write_decoder

from nstlab import images
from nstlab.encoders import load_encoder
from nstlab.errors import SettingError, WeightsError
from nstlab.feature_transforms import AdaIN, Monge
from nstlab.filters import sobel
from nstlab.matting import Affinity, matting_energy, smooth
from nstlab.metrics.distances import color_distance, ssim, style_distance
from nstlab.stats import mean_std
from nstlab.systems import onnx, plan, registry, stylize, transfer
from nstlab.systems.adain import AdainOptions
from nstlab.systems.photo import PhotoOptions, find_regions

UPSAMPLING = {"adain": "nearest", "wct": "nearest", "wct2": "wavelet", "photo_wct": "indices"}
SYSTEMS = list(UPSAMPLING)


def noise(*size, seed=0):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def networks(name, join="sum"):
    encoder, decoder = tiny_networks(UPSAMPLING[name], join)
    return {"encoder": encoder, "checkpoint": decoder}


def paint(name, content, styles, join="sum", **options):
    options = {"size": max(content.shape[-2:]) if torch.is_tensor(content) else 48} | options
    return stylize(content, styles, system=name, **networks(name, join), **options).image


def test_adain_is_encode_change_decode():
    content, style = noise(40, 33), noise(30, 40, seed=1)
    encoder, decoder = networks("adain").values()
    seen = images.resize(style, 30)  # three quarters of the content's long side
    features, other = (encoder(image, ["relu4_1"])["relu4_1"] for image in (content, seen))
    changed = AdaIN()(features, other)
    assert torch.allclose(mean_std(changed)[0], mean_std(other)[0], atol=1e-5)
    want = decoder(changed, "relu4_1", (40, 33))["image"].clamp(0, 1)
    assert torch.allclose(paint("adain", content, [style], recolor=0), want, atol=1e-6)
    assert torch.allclose(paint("adain", content, [style]), Monge(0.5)(want, seen).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("size", [(17, 31), (1, 9), (3, 2)])
def test_odd_sizes_at_every_depth(name, size):
    image = paint(name, noise(*size), [noise(23, 14, seed=1)])
    assert tuple(image.shape[-2:]) == size and image.isfinite().all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_strength(name):
    content, style = noise(24, 32), noise(28, 28, seed=1)
    plain, other = (paint(name, content, [each], alpha=0) for each in (style, style.flip(1)))
    assert torch.equal(plain, other)  # at alpha 0 the style does not matter
    full = paint(name, content, [style], alpha=1)
    assert not torch.allclose(full, plain, atol=1e-3)
    with pytest.raises(SettingError, match="alpha"):
        paint(name, content, [style], alpha=2)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_guide_keeps_what_it_marks(name):
    content, style = noise(32, 32), noise(28, 28, seed=1)
    white = torch.zeros(1, 1, 32, 32).index_fill(3, torch.arange(16), 1.0)
    plain, full = (paint(name, content, [style], alpha=alpha) for alpha in (0, 1))
    kept = paint(name, content, [style], guide=white, keep=1, alpha=1)
    off = lambda image, other, columns: (image - other)[..., columns].abs().mean()
    if name != "photo_wct":  # its smoothing looks far
        assert off(kept, plain, slice(0, 4)) < off(full, plain, slice(0, 4))
    assert torch.allclose(paint(name, content, [style], guide=white, keep=0, alpha=1), full, atol=1e-5)
    run = plan(content, [style], system=name, size=32, guide=white * 0 + 1, **networks(name))
    assert any("nothing is kept more" in note for note in run.notes)


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_flat_photo_and_a_flat_painting(name):
    flat, lively = torch.full((1, 3, 24, 24), 0.4), noise(24, 24)
    for content, style in ((flat, lively), (lively, flat), (flat, flat), (torch.zeros_like(flat), torch.ones_like(flat))):
        assert paint(name, content, [style]).isfinite().all()


@pytest.mark.parametrize("join", ["sum", "cat5"])
def test_wct2_gives_the_photo_back_without_a_transform(join):
    content = images.load("cat", 45)
    for image in (
        paint("wct2", content, [noise(20, 20)], join, alpha=0),
        paint("wct2", content, [content], join),  # a style that is the content
        paint("wct2", content, [noise(20, 20)], join, places=()),
    ):
        assert (image - content).abs().max() < 1e-4
    assert (paint("wct2", content, [content], join, places=("encoder", "skip", "decoder")) - content).abs().max() < 1e-4
    places = [paint("wct2", content, [noise(20, 20)], join, places=[place]) for place in ("encoder", "skip", "decoder")]
    assert all((image - content).abs().max() > 1e-3 for image in places)
    with pytest.raises(SettingError, match="unknown place 'bands'"):
        paint("wct2", content, [content], places=["bands"])


def test_wct_takes_levels_and_patches():
    content, style = noise(32, 32), noise(28, 28, seed=1)
    all_levels, one = paint("wct", content, [style]), paint("wct", content, [style], levels=["relu2_1"])
    assert not torch.allclose(all_levels, one, atol=1e-3)
    covariance, patches = (
        paint("wct", content, [style], levels=["relu3_1"], deepest=each) for each in ("covariance", "patches")
    )
    assert not torch.allclose(covariance, patches, atol=1e-4)
    for options, message in (({"levels": ["relu5_1"]}, "unknown level"), ({"levels": []}, "one at least")):
        with pytest.raises(SettingError, match=message):
            paint("wct", content, [style], **options)


def test_paintings_are_described_once(monkeypatch):
    transfer._described.clear()
    looks, encoder = [], networks("adain")["encoder"]
    content, style = noise(24, 24), noise(20, 20, seed=1)
    forward = type(encoder).forward
    monkeypatch.setattr(type(encoder), "forward", lambda self, image, *a, **k: looks.append(1) or forward(self, image, *a, **k))
    first, second, third = (paint("adain", content, [style], alpha=alpha) for alpha in (1, 1, 0.5))
    assert len(looks) == 2 + 1 + 1 and torch.equal(first, second) and not torch.allclose(first, third, atol=1e-4)
    paint("adain", content, [style.flip(3)])
    assert len(looks) == 6 and len(transfer._described) == 4  # the features and the colours of two paintings


# Regions


def quarters(height, width):
    """Labels 0 and 1: the left and the right half."""
    return torch.zeros(height, width, dtype=torch.int64).index_fill(1, torch.arange(width // 2, width), 1)


@pytest.mark.parametrize("name", ["wct2", "photo_wct"])
def test_regions_take_their_statistics_from_each_other(name):
    half, other = noise(64, 32) / 4, 0.75 + noise(64, 32, seed=1) / 4
    style = torch.cat([half, other], 3)
    labels = {"segments": quarters(64, 64), "style_segments": [quarters(64, 64)], "style_scale": 1}
    content = noise(64, 64, seed=2)
    made = plan(content, [style], system=name, size=64, **labels, **networks(name))
    assert not torch.allclose(made.finish().image, paint(name, content, [style]), atol=1e-3)
    scene = prepared(content, [style], **labels)
    parts = scene.parts(AdaIN(), "relu1_1", (64, 64))
    assert [float(part.mask.mean()) for part in parts] == [0.5, 0.5] and all(part.inside for part in parts)
    darker, brighter = (part.target[0].mean() for part in parts)
    want = [scene.encoder(each, ["relu1_1"])["relu1_1"][..., 4:-4].mean() for each in (half, other)]
    assert (darker - want[0]).abs() < 0.05 and (brighter - want[1]).abs() < 0.05


def prepared(content, styles, **options):
    options = PhotoOptions(size=64, **options, **networks("wct2"))
    made = transfer.transfer("wct2", content, styles, options, ("relu1_1", "relu4_1"), 1000, "wavelet")
    find_regions(made, content, styles, options)
    return made


def test_a_region_that_the_style_lacks_goes_after_the_whole_style():
    content, style = noise(64, 64), noise(64, 64, seed=1)
    made = prepared(content, [style], segments=quarters(64, 64), style_segments=[torch.zeros(64, 64, dtype=torch.int64)])
    assert any("style lacks label 1" in note for note in made.notes)
    first, rest = made.parts(AdaIN(), "relu1_1", (64, 64))
    assert float(first.mask.mean()) == 0.5 == float(rest.mask.mean()) and first.inside and not rest.inside
    few = quarters(64, 64).clamp_max(0).index_put((torch.tensor([0, 0]), torch.tensor([0, 1])), torch.tensor(1))
    made = prepared(content, [style], segments=quarters(64, 64), style_segments=[few])  # 2 pixels: not over 10
    assert [part.inside for part in made.parts(AdaIN(), "relu1_1", (64, 64))] == [True, False]
    (whole,) = made.parts(AdaIN(), "relu4_1", (8, 2))  # 8 places a half
    assert whole.mask is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style_segments": [quarters(8, 8)]}, "without segments"),
        ({"segments": "things", "style_segments": [quarters(8, 8)]}, "go with labels of your own"),
        ({"segments": quarters(8, 8)}, "0 pictures of labels for 1 styles"),
    ],
)
def test_regions_that_say_nothing(options, message):
    with pytest.raises(SettingError, match=message):
        paint("wct2", noise(24, 24), [noise(24, 24)], **options)


# Smoothing


@pytest.fixture
def uneven():
    """(a photo, a picture that is not as even as it is)."""
    photo = images.load("cat", 40)
    return photo, (0.8 * photo.roll(1, 1) + 0.2 * noise(*photo.shape[-2:])).clamp(0, 1)


def test_smoothing_lowers_the_matting_energy(uneven):
    photo, image = uneven
    energy = lambda each: matting_energy(each.double(), photo.double()).item()
    energies = [energy(smooth(image, photo, beta)) for beta in (0.5, 0.99, 0.9999)]
    assert energy(image) > energies[0] > energies[1] > energies[2] and energies[2] < 0.01 * energy(image)
    assert smooth(image, photo, 0) is image
    flat = torch.full_like(photo, 0.3)
    assert torch.allclose(smooth(flat, photo), flat, atol=1e-4)  # to the border: no frame
    recoloured = (0.5 * photo + 0.2).clamp(0, 1)
    assert (smooth(recoloured, photo) - recoloured).abs().max() < 0.02
    thin = image[..., :2, :]
    assert smooth(thin, photo[..., :2, :]) is thin


def test_smoothing_solves_its_system(uneven):
    """Against the dense matrix D - beta W on 8 x 7 pixels."""
    photo, image = (each[..., :8, :7].double() for each in uneven)
    links = Affinity(photo)
    units = torch.eye(56, dtype=torch.float64).view(56, 1, 8, 7)
    matrix = torch.cat([links(unit[None]).view(1, 56) for unit in units])
    assert torch.allclose(matrix, matrix.T) and torch.allclose(matrix.sum(1), links.degree.flatten())
    assert torch.equal(matrix.diagonal(), links.diagonal.flatten())
    laplacian = matrix.sum(1).diag() - matrix
    flat = image[0].flatten(1)
    assert matting_energy(image, photo).item() == pytest.approx((flat @ laplacian * flat).sum().item(), rel=1e-6)
    system = links.degree.flatten().diag() - 0.9 * matrix
    want = torch.linalg.solve(system, 0.1 * links.degree.flatten()[:, None] * flat.T).T.view(1, 3, 8, 7)
    assert torch.allclose(smooth(image, photo, 0.9, tolerance=1e-8), want, atol=1e-6)


def test_what_smoothing_refuses(uneven):
    photo, image = uneven
    for beta in (1, -0.1, "much"):
        with pytest.raises(SettingError, match="beta"):
            smooth(image, photo, beta)
        with pytest.raises(SettingError, match="beta"):
            paint("photo_wct", photo, [image], beta=beta)
    with pytest.raises(SettingError, match="smoothing: the picture has"):
        smooth(image, photo[..., 1:])


def test_photo_wct_is_smoothed_or_not(uneven):
    photo, style = uneven[0], noise(30, 30)
    rough, even, guided = (paint("photo_wct", photo, [style], smoothing=how) for how in ("none", "matting", "guided"))
    assert torch.equal(paint("photo_wct", photo, [style], beta=0), rough)
    energy = lambda each: matting_energy(each.double(), photo.double()).item()
    assert energy(even) < energy(guided) < energy(rough)
    assert sobel(guided).mean() < sobel(rough).mean()


# Files, names, memory


def test_a_decoder_of_another_encoder_is_refused(tmp_path):
    encoder, decoder = tiny_networks()
    path = write_decoder(decoder, tmp_path / "mine.safetensors")
    image = stylize(noise(24, 24), [noise(24, 24)], system="adain", size=24, encoder=encoder, checkpoint=path)
    found = image.settings["checkpoint_hash"]
    assert len(found) == 16 and torch.equal(image.image, paint("adain", noise(24, 24), [noise(24, 24)]))
    again = {"system": "adain", "size": 24, "encoder": encoder, "checkpoint": path}
    stylize(noise(24, 24), [noise(24, 24)], checkpoint_hash=found, **again)
    with pytest.raises(WeightsError, match="not the checkpoint asked for"):
        stylize(noise(24, 24), [noise(24, 24)], checkpoint_hash="0" * 16, **again)
    for other in (tiny_networks(seed=1)[0], load_encoder("pocket", precision="fp32", device="cpu")):
        with pytest.raises(WeightsError, match=r"mine.safetensors decodes features of the encoder tiny"):
            stylize(noise(24, 24), [noise(24, 24)], **again | {"encoder": other})
    with pytest.raises(SettingError, match="takes an encoder with pooling indices, not max"):
        stylize(noise(24, 24), [noise(24, 24)], **again | {"system": "photo_wct"})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        stylize(noise(24, 24), [noise(24, 24)], **again)


def test_a_file_that_changed_is_read_again(tmp_path):
    encoder = load_encoder("pocket", precision="fp32", device="cpu")
    path, pictures = tmp_path / "mine.safetensors", []
    for scale in (1, 2):
        decoder = random_decoder(encoder, ranks=[2] * 4)
        decoder.last.near.bias.data.mul_(scale)
        write_decoder(decoder, path)
        options = {"encoder": "pocket", "precision": "fp32", "device": "cpu", "size": 16, "checkpoint": str(path)}
        pictures.append(stylize(noise(16, 16) / 4, [noise(16, 16)], system="adain", **options).image)
    assert not torch.allclose(*pictures)
    transfer._loaded.cache_clear()


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_size_beyond_memory_is_refused_before_the_start(name, monkeypatch):
    monkeypatch.setattr("nstlab.systems.one_pass.available_memory", lambda device: 1_500_000_000)
    with pytest.raises(SettingError, match=r"size 4000: it would take about .* the largest size that fits is about \d+"):
        plan("cat", [small("great-wave")], system=name, size=4000, encoder="pocket", precision="fp32")
    with pytest.raises(SettingError, match="the largest size that fits"):  # the painting alone would not
        plan("cat", [small("great-wave")], system=name, size=40, style_scale=100, encoder="pocket", precision="fp32")


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("colors", ["luminance", "match", "match-pca", "only"])
def test_colours(name, colors):
    content, style = images.load("citrus-fruits", 32), images.load("great-wave", 32)
    plain, kept = paint(name, content, [style]), paint(name, content, [style], colors=colors)
    assert not torch.allclose(plain, kept, atol=1e-3)
    with pytest.raises(SettingError, match="unknown colors"):
        paint(name, content, [style], colors="sepia")


@pytest.mark.slow
def test_onnx_paints_like_any_painting_at_any_size(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    encoder = load_encoder("pocket", precision="fp32", device="cpu")
    decoder = random_decoder(encoder, ranks=[2] * 4)
    path = onnx.export_onnx(write_decoder(decoder, tmp_path / "mine.safetensors"), tmp_path / "x.onnx", 32)
    session = runtime.InferenceSession(str(path))
    assert session.get_modelmeta().custom_metadata_map["nstlab"] == '{"styles": "any", "multiple": 8}'
    for size, other, alpha in (((40, 24), (16, 48), 1.0), ((16, 32), (32, 32), 0.3)):
        content, style = noise(*size), noise(*other, seed=1)
        found = session.run(None, {"content": content.numpy(), "style": style.numpy(), "alpha": np.array(alpha, np.float32)})
        again = {"encoder": encoder, "checkpoint": decoder, "alpha": alpha, "style_scale": max(other) / max(size), "recolor": 0}
        want = stylize(content, [style], system="adain", size=max(size), **again).image
        assert torch.allclose(torch.from_numpy(found[0]), want, atol=1e-4)
    wavelets = write_decoder(random_decoder(encoder, "wavelet", ranks=[2] * 4), tmp_path / "wavelet.safetensors")
    with pytest.raises(WeightsError, match="wavelet.safetensors undoes wavelet pooling"):
        onnx.export_onnx(wavelets, tmp_path / "y.onnx")


def test_options_that_are_no_numbers():
    for options, message in (({"keep": 2}, "keep 2"), ({"blend": [1, 2]}, "2 weights for 1"), ({"size": 0}, "size 0")):
        with pytest.raises(SettingError, match=message):
            paint("adain", noise(16, 16), [noise(16, 16)], **options)
    assert AdainOptions().style_scale == 0.75 and registry.load("adain").takes("guide")


# With the decoders that ship


@pytest.mark.parametrize(("name", "encoder"), [("adain", "vgg19"), ("adain", "pocket"), ("wct", "vgg19"), ("wct", "pocket")])
def test_what_ships_gives_the_photo_back_and_paints(name, encoder):
    content, wave = images.load("cat", 128), images.load("great-wave", 128)
    options = {"system": name, "encoder": encoder, "size": 128, "device": "cpu", "precision": "fp32"}
    levels = {"levels": ["relu3_1"]} if name == "wct" else {}
    untrained = random_decoder(load_encoder(encoder, device="cpu", precision="fp32"), grey=False)
    psnr = lambda image: -10 * (image - content).square().mean().log10().item()
    plain, blank = (
        stylize(content, [wave], alpha=0, checkpoint=decoder, **levels, **options).image for decoder in (None, untrained)
    )
    assert psnr(plain) > psnr(blank) + 10
    painted = stylize(content, [wave], alpha=1, **levels, **options).image
    assert color_distance(painted, wave) < color_distance(content, wave)


def test_wct2_keeps_edges_better_than_wct_at_the_same_distance_to_the_style(encoder):
    """At 128 px; the strength of wct is the least of four that comes as near to the style, or else the nearest."""
    for content, style in (("mountain-path", "hill-sunset"), ("cat", "coffee")):
        photo, other = images.load(content, 128), images.load(style, 128)
        edges = lambda image: sobel(image).clamp(0, 1).expand(-1, 3, -1, -1)
        options = {"size": 128, "device": "cpu", "precision": "fp32"}
        ours = stylize(photo, [style], system="wct2", **options).image
        theirs = [stylize(photo, [style], system="wct", alpha=alpha, **options).image for alpha in (0.1, 0.2, 0.4, 0.6)]
        distances = [style_distance(encoder, image, other) for image in (ours, *theirs)]
        near = [image for image, distance in zip(theirs, distances[1:], strict=True) if distance <= distances[0]]
        nearest = theirs[distances[1:].index(min(distances[1:]))]
        assert ssim(edges(ours), edges(photo)) > ssim(edges((near or [nearest])[0]), edges(photo)) + 0.1
