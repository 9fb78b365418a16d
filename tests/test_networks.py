import copy

import pytest
import torch
import torch.nn.functional as F

from nstlab import pyramid
from nstlab.color import luminance
from nstlab.errors import ImageError, SettingError
from nstlab.networks import Ema, MultiscaleDiscriminator, MultiscaleNet, PatchDiscriminator, StyleNet, new_style
from nstlab.networks.discriminator import halve, receptive_field, smallest_side
from nstlab.networks.generator import Norm, Upsample, style_parameters

SMALL = {"widths": (8, 12), "blocks": 1}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def varied(network):
    """The network with styles that differ, and revisions that do something."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 9), (8, 8), (17, 31), (33, 64)])
@pytest.mark.parametrize("make", [lambda: StyleNet(**SMALL), lambda: MultiscaleNet(**SMALL, draft=SMALL)])
def test_any_size_in_same_size_out(make, size):
    image = torch.rand(2, 3, *size)
    before = image.clone()
    out = varied(make())(image)
    assert out.shape == image.shape and out.dtype == torch.float32
    assert 0 <= out.min() and out.max() <= 1 and torch.equal(image, before)


def test_the_same_photo_beside_another_comes_out_the_same():
    network, image = varied(StyleNet(2, **SMALL)), torch.rand(3, 3, 24, 20)
    blend = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]])
    together = network(image, blend)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], network(image[i : i + 1], blend[i]), atol=1e-5, rtol=1e-4)


def test_contrast_does_not_matter_to_instance_norm():
    network, image = varied(StyleNet(**SMALL)), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        for parameter in style_parameters(network)[1::2]:
            parameter.zero_()
    torch.testing.assert_close(network(image), network(0.3 + 0.5 * image), atol=2e-3, rtol=0)


def test_a_one_hot_blend_is_that_style_exactly():
    several, image = varied(StyleNet(3, **SMALL)), torch.rand(1, 3, 20, 24)
    for style in range(3):
        single = StyleNet(1, **SMALL)
        state = several.state_dict()
        for name, value in state.items():
            if name.endswith((".scale", ".shift")):
                state[name] = value[style : style + 1]
        single.load_state_dict(state)
        assert torch.equal(several(image, F.one_hot(torch.tensor(style), 3).float()), single(image))


def test_a_blend_is_the_convex_sum_of_scales_and_shifts():
    norm, x = varied(Norm(2, 4)), torch.randn(1, 4, 9, 7)
    flat = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    scale, shift = (0.25 * table[0] + 0.75 * table[1] for table in (norm.scale, norm.shift))
    expected = flat * scale.view(1, 4, 1, 1) + shift.view(1, 4, 1, 1)
    torch.testing.assert_close(norm(x, torch.tensor([[0.25, 0.75]])), expected, atol=1e-5, rtol=1e-4)


def test_a_style_costs_two_numbers_a_channel():
    sizes = [sum(p.numel() for p in StyleNet(n, **SMALL).parameters()) for n in (1, 2, 5)]
    assert sizes[1] - sizes[0] == 2 * (8 + 12 + 2 * 12 + 8) and sizes[2] - sizes[0] == 4 * (sizes[1] - sizes[0])


def test_the_default_is_small_enough_to_ship():
    for network in (StyleNet(8), MultiscaleNet(2)):
        assert sum(p.numel() for p in network.parameters()) * 4 < 8e6


@pytest.mark.parametrize("make", [StyleNet, MultiscaleNet])
def test_a_new_style_leaves_the_others_alone(make):
    options = SMALL if make is StyleNet else SMALL | {"scales": 2, "draft": SMALL}
    old, image = varied(make(2, **options)), torch.rand(1, 3, 24, 24)
    new = new_style(old, like=1)
    assert (old.styles, new.styles) == (2, 3)
    assert torch.equal(new(image, torch.tensor([0.0, 0.0, 1.0])), old(image, torch.tensor([0.0, 1.0])))
    optimiser = torch.optim.Adam(style_parameters(new), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        new(image, torch.tensor([0.0, 0.0, 1.0])).square().mean().backward()
        optimiser.step()
    after = new.state_dict()
    for name, value in old.state_dict().items():
        assert torch.equal(after[name][:2] if name.endswith((".scale", ".shift")) else after[name], value), name
    assert not torch.equal(new(image, torch.tensor([0.0, 0.0, 1.0])), old(image, torch.tensor([0.0, 1.0])))
    assert torch.equal(new(image, torch.tensor([0.4, 0.6, 0.0])), old(image, torch.tensor([0.4, 0.6])))


def test_a_new_style_starts_as_the_mean_of_all():
    old = varied(StyleNet(2, **SMALL))
    for before, after in zip(style_parameters(old), style_parameters(new_style(old)), strict=True):
        torch.testing.assert_close(after[2], before.mean(0))


def test_upsampling_is_nearest_and_a_5x5_convolution():
    up, x = Upsample(3, 2, bias=True), torch.randn(2, 3, 5, 6)
    torch.nn.init.normal_(up.bias)
    mirrored = F.interpolate(F.pad(x, (1, 1, 1, 1), mode="reflect"), scale_factor=2, mode="nearest")
    torch.testing.assert_close(up(x), F.conv2d(mirrored, up.weight, up.bias), atol=1e-5, rtol=1e-4)


def test_only_transposed_convolutions_draw_a_chequer():
    flat, spread = torch.full((1, 3, 24, 24), 0.4), {}
    for kind in ("nearest", "transposed"):
        network = varied(StyleNet(**SMALL, upsampling=kind))
        spread[kind] = network(flat)[..., 8:16, 8:16].std((2, 3)).max().item()
    assert spread["nearest"] < 1e-5 and spread["transposed"] > 1e-3


def test_batch_norm_makes_pictures_depend_on_each_other():
    image, other = torch.rand(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)
    outs = {}
    for norm in ("instance", "batch"):
        network = varied(StyleNet(**SMALL, norm=norm))
        outs[norm] = (network(torch.cat([image, image]))[:1] - network(torch.cat([image, other]))[:1]).abs().max()
        assert network.eval()(image).shape == image.shape
    assert outs["instance"] < 1e-5 < 1e-2 < outs["batch"]


def test_bf16_weights_give_nearly_the_same_picture(photo):
    network = StyleNet()
    exact = network(photo)
    rough = network.to(torch.bfloat16)(photo)
    assert rough.dtype == torch.float32 and (rough - exact).abs().mean() < 0.01


def test_it_learns_a_colour():
    network, image = StyleNet(**SMALL), torch.rand(2, 3, 16, 16)
    target = torch.tensor([0.9, 0.5, 0.1]).view(1, 3, 1, 1).expand_as(image)
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(60):
        optimiser.zero_grad()
        loss = F.mse_loss(network(image), target)
        loss.backward()
        optimiser.step()
    assert loss < 5e-3 and all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_the_encoding_is_the_bottleneck():
    network, image = varied(StyleNet(**SMALL)), torch.rand(1, 3, 18, 21)
    assert network.encode(image).shape == (1, 12, 5, 6)
    assert network.encode(image).requires_grad


@pytest.mark.parametrize(
    "options", [{"styles": 0}, {"norm": "layer"}, {"upsampling": "cubic"}, {"widths": ()}, {"widths": (0, 4)}, {"blocks": -1}]
)
def test_bad_options(options):
    with pytest.raises(SettingError):
        StyleNet(**options)


@pytest.mark.parametrize("blend", [None, torch.ones(3), torch.ones(2, 2), torch.ones(1, 1, 2), torch.tensor(1.0)])
def test_bad_blends(blend):
    with pytest.raises(SettingError):
        StyleNet(2, **SMALL)(torch.rand(3, 3, 8, 8), blend)


def test_bad_pictures_and_styles():
    with pytest.raises(ImageError):
        StyleNet(**SMALL)(torch.rand(1, 1, 8, 8))
    with pytest.raises(SettingError):
        new_style(StyleNet(2, **SMALL), like=2)


@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
def test_fresh_revisions_show_the_draft_enlarged(size):
    network, image = MultiscaleNet(2, **SMALL, draft=SMALL), torch.rand(1, 3, *size)
    blend = torch.tensor([0.5, 0.5])
    draft, middle, final = network.forward_all(image, blend)
    small = pyramid.downsample(pyramid.downsample(image))
    torch.testing.assert_close(draft, network.draft(small, blend))
    torch.testing.assert_close(middle, pyramid.upsample(draft, tuple(pyramid.downsample(image).shape[-2:])))
    torch.testing.assert_close(final, pyramid.upsample(middle, size))
    assert torch.equal(network(image, blend), final)


def test_revisions_know_the_style_and_learn():
    network, image = varied(MultiscaleNet(2, 2, **SMALL, draft=SMALL)), torch.rand(1, 3, 32, 32)
    draft = torch.full((1, 3, 16, 16), 0.5)
    band, _ = pyramid.laplacian_pyramid(image, 2)
    one, two = (network.revisions[0](band, draft, torch.tensor([blend])) for blend in ([1.0, 0.0], [0.0, 1.0]))
    assert (one - two).abs().max() > 1e-3
    fresh = MultiscaleNet(1, 3, **SMALL, draft=SMALL)
    fresh(image).mean().backward()
    assert all(revision.core.last.weight.grad.abs().max() > 0 for revision in fresh.revisions)


def test_a_pixel_that_was_cut_can_come_back():
    network, band, draft = MultiscaleNet(1, 2, **SMALL).revisions[0], torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 4, 4)
    torch.nn.init.constant_(network.core.last.bias, 1.0)
    out = network(band, draft, torch.ones(1, 1))
    out.mean().backward()
    assert torch.equal(out, torch.ones_like(out)) and (network.core.last.bias.grad > 0).all()


def test_one_scale_is_the_draft_alone():
    network, image = MultiscaleNet(1, 1, draft=SMALL), torch.rand(1, 3, 16, 16)
    assert torch.equal(network(image), network.draft(image)) and network.scales == 1


@pytest.mark.parametrize("layers, field", [(1, 16), (2, 34), (3, 70)])
def test_receptive_field(layers, field):
    """By hand, from the last convolution back: 4, then (4 - 1) + 4 = 7, then (7 - 1) 2 + 4 = 16, 15 x 2 + 4 = 34, 70."""
    assert receptive_field(layers) == field
    critic = PatchDiscriminator(layers=layers, width=4, norm="none").double()
    image = torch.rand(1, 3, 176, 176, dtype=torch.float64, requires_grad=True)
    logits, _ = critic(image)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = image.grad.abs().amax((0, 1)) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == field
    where = seen.any(1).nonzero().min().item(), seen.any(0).nonzero().min().item()
    for offset, moved in ((0, True), (-1, False)):
        poked = image.detach().clone()
        poked[..., where[0] + offset, where[1] + offset] += 0.5
        change = (critic(poked)[0] - logits).abs()[0, 0, logits.shape[2] // 2, logits.shape[3] // 2]
        assert (change > 0) == moved


@pytest.mark.parametrize("norm", ["spectral", "instance", "none"])
def test_scales_halve(norm):
    critic = MultiscaleDiscriminator(2, layers=2, width=4, norm=norm)
    (fine, fine_features), (coarse, coarse_features) = critic(torch.rand(2, 3, 64, 96))
    assert fine.shape == (2, 1, 14, 22) and coarse.shape == (2, 1, 6, 10)
    assert len(fine_features) == len(coarse_features) == 3
    for ours, theirs in zip(fine_features, coarse_features, strict=True):
        assert ours.shape[1] == theirs.shape[1] and abs(ours.shape[2] - 2 * theirs.shape[2]) <= 2
    assert halve(torch.ones(1, 3, 7, 8)).shape == (1, 3, 4, 4) and (halve(torch.ones(1, 3, 7, 8)) - 1).abs().max() < 1e-6


def test_pictures_too_small_for_the_critic():
    assert smallest_side(3) == 32 and smallest_side(3, 2) == 64
    PatchDiscriminator(width=4)(torch.rand(1, 3, 32, 40))
    with pytest.raises(ImageError, match="32 pixels"):
        PatchDiscriminator(width=4)(torch.rand(1, 3, 31, 64))
    with pytest.raises(ImageError, match="64 pixels"):
        MultiscaleDiscriminator(2, width=4)(torch.rand(1, 3, 63, 64))
    MultiscaleDiscriminator(2, width=4)(torch.rand(1, 3, 64, 64))


def test_spectral_norm_bounds_the_slope_and_is_restored():
    critic, image = PatchDiscriminator(layers=2, width=4), torch.rand(1, 3, 32, 32)
    for _ in range(30):
        critic(image)
    for conv in critic.convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2) < 1.05
    other = PatchDiscriminator(layers=2, width=4)
    other.load_state_dict(copy.deepcopy(critic.state_dict()))
    for _ in range(3):  # in train mode every pass moves the state on
        ours, theirs = critic(image), other(image)
        assert torch.equal(ours[0], theirs[0]) and all(map(torch.equal, ours[1], theirs[1]))


def test_a_grey_critic_sees_brightness_alone():
    critic, image = MultiscaleDiscriminator(2, layers=2, width=4, norm="instance", grey=True), torch.rand(1, 3, 32, 32)
    grey = luminance(image).expand(1, 3, 32, 32)
    for (logits, _), (same, _) in zip(critic(image), critic(grey), strict=True):
        assert torch.allclose(logits, same, atol=1e-4)
    assert not torch.allclose(critic(image)[0][0], critic(image.flip(3))[0][0], atol=1e-4)


def test_bad_critics():
    for options in ({"layers": 0}, {"norm": "batch"}, {"width": 0}, {"grey": "no"}):
        with pytest.raises(SettingError):
            PatchDiscriminator(**options)
    with pytest.raises(SettingError):
        MultiscaleDiscriminator(0)


def test_ema_by_hand():
    module = torch.nn.BatchNorm1d(1)
    average = Ema(module, decay=0.3)
    expected = 1.0
    for step, value in enumerate([3.0, 5.0, -1.0, 2.0], 1):
        with torch.no_grad():
            module.weight.fill_(value)
        module.running_mean.fill_(value)
        average.update(module)
        decay = min(0.3, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-5)
        assert average.module.running_mean.item() == value
    assert module.weight.item() == 2 and not average.module.weight.requires_grad and not average.module.training


def test_ema_goes_on_where_it_stopped():
    network = varied(StyleNet(**SMALL))
    first = Ema(network, 0.9)
    for _ in range(3):
        first.update(varied(network))
    second = Ema(StyleNet(**SMALL), 0.9)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    varied(network)
    first.update(network)
    second.update(network)
    image = torch.rand(1, 3, 16, 16)
    assert second.steps == 4 and torch.equal(first.module(image), second.module(image))
    for decay in (1.0, -0.1):
        with pytest.raises(SettingError):
            Ema(network, decay)


def test_a_new_style_alone_is_learned():
    """Only the styles' tables have gradients: one picture or two, they are the same."""
    torch.manual_seed(0)
    network, photo = StyleNet(2, widths=(4, 4, 8), blocks=1), torch.rand(1, 3, 24, 24)
    network.requires_grad_(False)
    tables = [norm.scale.requires_grad_() for norm in network.modules() if isinstance(norm, Norm)]
    found = []
    for count in (1, 2):
        blend = torch.tensor([[0.0, 1.0]]).expand(count, 2)
        picture = network(photo.expand(count, -1, -1, -1).contiguous(memory_format=torch.channels_last), blend)
        found.append(torch.autograd.grad(picture[:1].square().sum(), tables))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)
        assert one[1].abs().sum() > 0 and not one[0].any()
