import pytest
import torch
from tiny import small, tiny

from nstlab import images, samples
from nstlab.data import Files, color_presets, every_tenth
from nstlab.errors import SettingError
from nstlab.feature_transforms import ColorMap
from nstlab.metrics import edge_f1
from nstlab.networks import PresetNet
from nstlab.networks.preset_net import TERMS, Preset, color_terms, map_colors
from nstlab.systems import stylize
from nstlab.systems.trained import open_network
from nstlab.training.color_preset import losses

CONTRAST = ("faded", "vivid", "dusk")  # presets that make weak edges of strong ones, or the reverse


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def network():
    """A PresetNet that has learned nothing, and changes colours all the same."""
    torch.manual_seed(0)
    made = PresetNet(k=8)
    made.head[-1].weight.data.mul_(10)
    return made.eval().requires_grad_(False)


def test_terms_of_a_colour_by_hand():
    color = torch.tensor([0.5, -1.0, 2.0]).view(1, 3, 1, 1)
    found = [term.item() for term in color_terms(color)]
    assert found == [1, 0.5, -1, 2, 0.25, 0.125, 1, -1, 4, 8, -0.5, 1, -2] and len(found) == TERMS


def test_a_map_by_hand_and_as_a_matrix_product():
    image, coefficients = noise(2, 3, 5, 4) * 2 - 1, torch.zeros(2, TERMS, 3)
    assert torch.equal(map_colors(image, coefficients), image)
    coefficients[0, 0, 2], coefficients[1, 10, 0] = 0.25, 2.0  # blue + 1/4; red + 2 r g
    found = map_colors(image, coefficients)
    assert torch.equal(found[0, 2], image[0, 2] + 0.25) and torch.equal(found[0, :2], image[0, :2])
    assert torch.allclose(found[1, 0], image[1, 0] + 2 * image[1, 0] * image[1, 1])
    coefficients = noise(2, TERMS, 3, seed=1)
    assert torch.allclose(map_colors(image, coefficients), map_colors(image, coefficients, exact=False), atol=1e-5)


def test_a_code_of_zeros_changes_nothing(network):
    nothing = torch.zeros(1, 8, 8)
    image = noise(1, 3, 9, 7)
    preset = Preset(network.coefficients("normal", nothing), network.coefficients("style", nothing))
    assert torch.allclose(preset(image), image, atol=1e-7)


def test_equal_colours_map_to_equal_colours_and_tiles_to_the_whole(network):
    photo = images.eight_bit(images.load("citrus-fruits", 301))
    preset = network.preset(photo, network.codes(images.load("night-cafe")).style)
    whole = preset(photo)
    assert (whole - photo).abs().mean() > 0.01
    colors, places = photo[0].flatten(1).unique(dim=1, return_inverse=True)
    mapped = preset(colors[None, :, None])[0, :, 0]
    assert torch.equal(mapped[:, places], whole[0].flatten(1))  # 60,000 places, wherever they are, to the last bit
    tiles = [torch.cat([preset(tile) for tile in rows.split(67, 3)], 3) for rows in photo.split(53, 2)]
    assert (torch.cat(tiles, 2) - whole).abs().max() < 1e-6


def test_training_reads_what_the_map_does(network):
    one, other = noise(2, 3, 64, 64), noise(2, 3, 64, 64, seed=1)
    found = network.forward_all(torch.cat([one, other]))
    assert torch.allclose(found["swapped"], torch.cat([network(other, one), network(one, other)]), atol=1e-5)
    assert torch.allclose(found["own"][:2], network(one, one), atol=1e-5)
    code = network.codes(other).style[:1]
    assert torch.allclose(network.preset(one[:1], code)(one[:1]), network(one, other)[:1].clamp(0, 1), atol=1e-5)


def test_named_presets_by_hand():
    grey = torch.full((1, 3, 2, 2), 0.5)
    warm = color_presets.named("warm")(grey)
    assert torch.allclose(warm[0, :, 0, 0], torch.tensor([0.56, 0.5, 0.42]))
    faded = color_presets.named("faded")(torch.zeros(1, 3, 2, 2))
    assert torch.allclose(faded[0, :, 0, 0], torch.tensor([0.13, 0.12, 0.16]))
    for name in color_presets.NAMED:
        found = color_presets.named(name)(images.load("cat", 48))
        assert 0 <= found.min() and found.max() <= 1 and found.std() > 0.1


def test_drawn_presets_hang_on_their_seed_alone():
    photo = images.load("cat", 40).expand(3, -1, -1, -1)
    several = color_presets.drawn([5, 6, 7])(photo)
    assert torch.allclose(several[1:2], color_presets.drawn([6])(photo[:1]), atol=1e-6)
    assert not torch.allclose(several[0], several[1], atol=0.02) and 0 <= several.min() and several.max() <= 1
    ramp = torch.linspace(0, 1, 64).view(1, 1, 1, -1).expand(20, 3, 1, -1)
    brightness = color_presets.drawn(range(20))(ramp).mean(1)
    assert (brightness.diff(dim=-1) > -0.01).all()  # no look turns light into dark


def test_every_tenth_photo_is_held_out():
    names = [f"{number:02}" for number in range(25)]
    learned, held = every_tenth(Files(names, [small("cat")] * 25))
    assert held.names == ["09", "19"] and sorted(learned.names + held.names) == names and len(held.paths) == 2
    photos = ["astronaut", "cat", "citrus-fruits", "coffee", "dandelions", "honey-bee", "rocket", "two-dogs", "fig-in-a-bowl"]
    made = tiny("neural_preset", content=[small(name) for name in (*photos, "hill-sunset")], hold_out=True)
    assert made.settings["pictures"] == 9


def test_a_training_makes_its_losses_fall():
    made = tiny("neural_preset", steps=30, batch=3, lr=0.01, network={"widths": (8, 16, 32)})
    photos = torch.cat([images.load(name, (64, 64)) for name in ("coffee", "rocket", "two-dogs", "dandelions")])
    looks = torch.cat([color_presets.drawn(range(seed, seed + 4))(photos) for seed in (0, 4)])

    @torch.no_grad()
    def judged():
        return losses(looks, made.task.generator.forward_all(looks))

    before = judged()
    assert abs(before["swap"] - (looks[:4] - looks[4:]).abs().mean()) < 0.02  # nearly nothing is changed at first
    list(made)
    after = judged()
    assert after["swap"] < 0.7 * before["swap"] and after["same"] < 0.7 * before["same"]


def test_a_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    stopped = tiny("neural_preset", tmp_path / "a", steps=6)
    for step in stopped:
        if step.index == 3:
            break
    resumed = list(tiny("neural_preset", tmp_path / "a", steps=6, resume=True))
    whole = list(tiny("neural_preset", tmp_path / "b", steps=6))
    assert [step.total for step in resumed] == [step.total for step in whole[3:]]


def test_what_a_training_is_not_given():
    for options, message in (
        ({"weights": {"style": 1}}, "unknown weight 'style'"),
        ({"network": {"blocks": 3}}, "unknown network option 'blocks'"),
        ({"lr": 0}, "learning rate 0"),
    ):
        with pytest.raises(SettingError, match=message):
            tiny("neural_preset", **options)


# The network that ships; it has seen none of the samples


@pytest.fixture(scope="module")
def shipped():
    return open_network("neural_preset")[0]


@pytest.fixture(scope="module")
def photos():
    return {name: images.load(name, 160) for name in samples.names("photo")}


def psnr(a, b):
    return -10 * (a - b).square().mean().log10().item()


def test_codes_swapped_recover_the_other_look(shipped, photos):
    gains = []
    for number, photo in enumerate(photos.values()):
        for seed in (10_000 + 20 * number, 10_001 + 20 * number):
            one, other = color_presets.drawn([seed])(photo), color_presets.drawn([seed + 10])(photo)
            found = shipped.preset(one, shipped.codes(other).style)(one)
            gains.append(psnr(found, other) - psnr(one, other))
    assert sum(gains) / len(gains) >= 6 and min(gains) > -6


def test_a_photo_in_its_own_look_stays_as_it_is(shipped, photos):
    kept = [psnr(shipped.preset(photo, shipped.codes(photo).style)(photo), photo) for photo in photos.values()]
    assert min(kept) > 30 and sum(kept) / len(kept) > 35


@pytest.mark.parametrize("name", list(color_presets.NAMED))
def test_named_presets_are_learned_and_keep_edges(name, shipped, photos):
    gains, edges, wanted_edges = [], [], []
    for photo in photos.values():
        wanted = color_presets.named(name)(photo)
        found = shipped.preset(photo, shipped.codes(wanted).style)(photo)
        gains.append(psnr(found, wanted) - psnr(photo, wanted))
        edges.append(edge_f1(found, photo))
        wanted_edges.append(edge_f1(wanted, photo))
    mean = lambda values: sum(values) / len(values)
    assert mean(gains) > 4
    assert mean(edges) >= (mean(wanted_edges) - 0.03 if name in CONTRAST else 0.98)


def test_the_look_of_another_picture(photos):
    """Towards a sunless blue night and a warm lamp: the mean colour goes there, however the picture is cut."""
    photo = photos["mountain-path"]
    tint = lambda image: (image[:, 0] - image[:, 2]).mean().item()
    night, lamp = (stylize(photo, style, system="neural_preset", size=160).image for style in ("rocket", "night-cafe"))
    assert tint(night) < tint(photo) - 0.02 < tint(photo) + 0.05 < tint(lamp)
    assert night.mean() < photo.mean()
    assert torch.equal(stylize(photo, "rocket", system="neural_preset", size=160, alpha=0).image, photo)
    half = stylize(photo, "rocket", system="neural_preset", size=160, alpha=0.5).image
    assert torch.allclose(half, (photo + night) / 2, atol=1e-6)


def test_a_look_inside_a_mask_alone(shipped, photos):
    photo = photos["cat"]
    mask = torch.zeros(1, 1, *photo.shape[-2:]).index_fill(3, torch.arange(60), 1.0)
    inside = stylize(photo, "rocket", system="neural_preset", size=160, masks=[mask], feather=0).image
    whole = stylize(photo, "rocket", system="neural_preset", size=160).image
    assert torch.equal(inside[..., 60:], photo[..., 60:]) and torch.allclose(inside[..., :60], whole[..., :60], atol=1e-6)
    code = ColorMap(shipped).look(photo, mask)
    other = torch.where(mask > 0, photo, torch.rand(photo.shape, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(code, ColorMap(shipped).look(other, mask), atol=1e-5)  # what is outside is not looked at
