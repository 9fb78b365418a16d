"""Transforms of features: what each publication promises of the result, by hand and as properties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab.errors import SettingError
from nstlab.feature_transforms import AdaIN, Monge, Part, StyleSwap, WhitenedSwap, Whitening, usable
from nstlab.feature_transforms.style_swap import nearest_patches
from nstlab.feature_transforms.whitening import spectrum
from nstlab.stats import covariance, mean_std, moments

ALL = [AdaIN(), Whitening(), Whitening(identity=1), StyleSwap(), WhitenedSwap(), Monge()]
NAMES = ["adain", "whitening", "whitening + I", "swap", "whitened swap", "monge"]
STATISTICS = ALL[:2]


def features(channels=8, height=12, width=10, seed=0, scale=1.0, items=1):
    """Features with correlated channels, as those of a picture are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator) / channels**0.5 + torch.eye(channels)
    plain = torch.randn(items, channels, height * width, generator=generator)
    shift = torch.randn(channels, 1, generator=generator)
    return scale * (mixing @ plain + shift).view(items, channels, height, width)


def distance(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


# Hand-worked


def test_adain_by_hand():
    # content: means 2 and 1, deviations 1 and 0; style: means 10 and 6, deviations 2 and 3
    content = torch.tensor([[1.0, 3.0, 1.0, 3.0], [1.0, 1.0, 1.0, 1.0]]).view(1, 2, 2, 2)
    style = torch.tensor([[8.0, 12.0], [3.0, 9.0]]).view(1, 2, 1, 2)
    want = torch.tensor([[8.0, 12.0, 8.0, 12.0], [6.0, 6.0, 6.0, 6.0]]).view(1, 2, 2, 2)
    assert torch.allclose(AdaIN()(content, style), want)
    assert torch.allclose(AdaIN(0.25)(content, style), 0.75 * content + 0.25 * want)


def test_whitening_by_hand():
    # channels x and y = 2x: one direction, (1, 2) / sqrt(5), with the variance 5; the style has variances 4 and 0
    content = torch.tensor([[-1.0, 1.0], [-2.0, 2.0]]).view(1, 2, 1, 2)
    style = torch.tensor([[1.0, 5.0], [7.0, 7.0]]).view(1, 2, 1, 2)
    seen = spectrum(content)
    assert seen.rank == [1] and torch.allclose(seen.values[0], torch.tensor([0.0, 5.0], dtype=torch.float64), atol=1e-12)
    white = torch.tensor([[-1.0, 1.0], [-2.0, 2.0]]) / 5**0.5
    assert torch.allclose(Whitening().whiten(content).view(2, 2), white)
    want = torch.tensor([[3 - 2 / 5**0.5, 3 + 2 / 5**0.5], [7.0, 7.0]])
    assert torch.allclose(Whitening()(content, style).view(2, 2), want)


def test_monge_by_hand():
    # covariances diag(1, 4) and diag(9, 1), without a floor: each axis is scaled by 3 and by 1/2
    content = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [-2.0, -2.0, 2.0, 2.0]]).view(1, 2, 2, 2)
    style = torch.tensor([[2.0, 8.0, 2.0, 8.0], [6.0, 6.0, 8.0, 8.0]]).view(1, 2, 2, 2)
    assert torch.allclose(Monge(floor=0)(content, style), style, atol=1e-6)
    halfway = Monge(0.5, floor=0)(content, style)  # of the displacement: deviations are halfway as well
    assert torch.allclose(mean_std(halfway)[1], torch.tensor([[2.0, 1.5]]), atol=1e-4)


def test_monge_meets_mean_and_covariance_and_leaves_a_flat_picture_calm():
    content, style = features(3, 30, 40), features(3, 20, 25, seed=1)
    for ours, theirs in zip(moments(Monge(floor=0)(content, style)), moments(style), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    grain = 0.5 + 1e-3 * torch.randn(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    assert Monge()(grain, style.clamp(0, 1)).std((2, 3)).max() < 0.03


def test_style_swap_by_hand():
    # patches of one place: directions (1, 0) and (0, 1) of the style at other lengths
    content = torch.tensor([[3.0, 0.1], [0.2, 5.0]]).view(1, 2, 1, 2)
    style = torch.tensor([[7.0, 0.0, 1.0], [0.0, 9.0, 1.0]]).view(1, 2, 1, 3)
    assert torch.equal(StyleSwap(patch=1)(content, style), torch.tensor([[7.0, 0.0], [0.0, 9.0]]).view(1, 2, 1, 2))
    rows = torch.tensor([[1.0, 0.0], [0.9, 1.0]])
    assert nearest_patches(rows, torch.tensor([[9.0, 9.0], [0.1, 0.0], [0.0, 0.0]])).tolist() == [1, 0]


# What the publications promise


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(2, 12), st.integers(2, 12), st.sampled_from([0.3, 1.0, 30.0]), st.integers(0, 99))
def test_adain_meets_mean_and_deviation(channels, height, width, scale, seed):
    content, style = features(channels, height, width, seed, scale), features(channels, 7, 9, seed + 1, 3.0)
    content[:, ::3] = 0.7  # dead channels
    made = AdaIN()(content, style)
    (mean, std), (wanted_mean, wanted_std) = mean_std(made, eps=0), mean_std(style, eps=0)
    assert torch.allclose(mean, wanted_mean, atol=1e-5 * max(1.0, style.abs().max().item()))
    live = mean_std(content, eps=0)[1].square() > 1e-2
    assert torch.allclose(std[live], wanted_std[live], rtol=1e-4)
    assert torch.allclose(made[:, ::3], wanted_mean[:, ::3, None, None].expand_as(made[:, ::3]), atol=1e-4)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 24), st.integers(0, 99), st.sampled_from([0.3, 1.0, 10.0]))
def test_wct_has_the_covariance_of_the_style_at_full_rank(channels, seed, scale):
    content, style = features(channels, 16, 16, seed, scale), features(channels, 14, 20, seed + 1)
    seen = spectrum(content)
    if seen.values.min() <= 1e-3:
        return
    made = Whitening()(content, style)
    assert seen.rank == [channels]
    assert distance(moments(made)[1], moments(style)[1]) < 1e-4 and distance(moments(made)[0], moments(style)[0]) < 1e-4


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 40), st.integers(1, 6), st.integers(2, 6), st.integers(0, 99))
def test_wct_has_the_covariance_k_p_k_at_any_rank(channels, height, width, seed):
    content, style = features(channels, height, width, seed), features(channels, 5, 5, seed + 1)
    content[:, : channels // 3] = 0.5
    seen, root = spectrum(content), spectrum(style).power(0.5)
    want = root @ seen.projector @ root
    assert seen.rank[0] <= min(height * width - 1, channels - channels // 3)
    made = moments(Whitening()(content, style))[1]
    assert (made - want).norm() <= 1e-4 * want.norm().clamp_min(1)
    white = moments(Whitening().whiten(content))[1]
    assert (white - seen.projector).abs().max() < 1e-4


def test_the_variant_with_the_identity_drops_nothing_and_misses_the_more_the_smaller_features_are():
    missed = []
    for scale in (0.1, 1.0, 10.0):
        content, style = features(16, 20, 20, 1, scale), features(16, 20, 20, 2, scale)
        transform = Whitening(identity=1)
        content[:, 0] = 0
        assert transform.spectrum(content).rank == [16]
        missed.append(distance(moments(transform(content, style))[1], moments(style)[1]))
    assert missed[0] > missed[1] > missed[2]


def test_swapped_features_are_patches_of_the_style():
    content, style = features(6, 9, 8, 1), features(6, 7, 11, 2)
    made = StyleSwap(patch=1)(content, style)
    places = style.flatten(2)[0].T
    best = torch.nn.functional.cosine_similarity(content.flatten(2)[0].T[:, None], places[None], dim=2).argmax(1)
    assert torch.equal(made.flatten(2)[0].T, places[best])
    whole = StyleSwap(patch=3)
    patches = torch.nn.functional.unfold(style, 3)[0].T
    for row, column in ((0, 0), (8, 7)):  # a corner lies in one patch alone: it is a corner of one of the style's
        corner = 0 if row == 0 else 8
        distances = whole(content, style)[0, :, row, column] - patches.view(-1, 6, 9)[..., corner]
        assert distances.abs().amax(1).min() < 1e-5


# What the base promises of all of them


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_a_style_that_is_the_content_changes_nothing(transform):
    content = features(8, 12, 10, 4, items=2)
    content[:, 0] = 0.25  # dead
    assert torch.allclose(transform(content, content), content, atol=2e-5)
    single = features(8, 1, 1)
    assert torch.allclose(transform(single, single), single, atol=1e-6)


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_strength(transform):
    content, style = features(8, 6, 6, 1), features(8, 5, 7, 2)
    again = lambda alpha: type(transform)(alpha, **({"identity": 1} if getattr(transform, "identity", 0) else {}))
    full = transform(content, style)
    assert again(0.0)(content, style) is content
    assert torch.allclose(again(0.3)(content, style), 0.7 * content + 0.3 * full, atol=1e-5)
    alpha = torch.zeros(1, 1, 12, 12).index_fill(3, torch.arange(6), 1.0)  # a map of another size
    half = again(alpha)(content, style)
    assert torch.equal(half[..., 3:], content[..., 3:]) and torch.allclose(half[..., :3], full[..., :3], atol=1e-6)
    for wrong in (1.5, -0.1, float("nan"), "much", alpha * 2, alpha[0]):
        with pytest.raises(SettingError, match="alpha"):
            again(wrong)


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_blends_and_regions(transform):
    content, styles = features(8, 6, 8, 1), [features(8, 5, 7, 2, 3.0), features(8, 9, 4, 3)]
    targets = [transform.look(style) for style in styles]
    alone = [transform(content, style) for style in styles]
    for number, shares in enumerate(((1, 0), (0, 1))):
        parts = [Part(target, share) for target, share in zip(targets, shares, strict=True)]
        assert torch.allclose(transform.mix(content, parts), alone[number], atol=1e-6)
    mixed = transform.mix(content, [Part(targets[0], 0.25), Part(targets[1], 0.75)])
    assert torch.allclose(mixed, 0.25 * alone[0] + 0.75 * alone[1], atol=1e-5)
    left = torch.zeros(1, 1, 6, 8).index_fill(3, torch.arange(4), 1.0)
    made = transform.mix(content, [Part(targets[0], mask=left), Part(targets[1], mask=1 - left)])
    one = transform(content, styles[0], content_mask=left)
    other = transform(content, styles[1], content_mask=1 - left)
    assert torch.equal(one[..., 4:], content[..., 4:]) and not torch.allclose(one[..., :4], content[..., :4])
    assert torch.allclose(made, torch.cat([one[..., :4], other[..., 4:]], 3), atol=1e-6)
    twice = transform.mix(content, [Part(targets[0], mask=left), Part(targets[0], mask=left)])
    assert torch.allclose(twice, one, atol=1e-6)
    assert transform.mix(content, [Part(targets[0], mask=left * 0)]) is content
    assert transform.mix(content, []) is content


@pytest.mark.parametrize("transform", STATISTICS, ids=NAMES[:2])
def test_inside_a_mask_the_statistics_are_those_inside_the_style_s(transform):
    content, style = features(5, 12, 12, 1), features(5, 10, 12, 2, 2.0)
    ours, theirs = torch.zeros(1, 1, 12, 12), torch.zeros(1, 1, 10, 12)
    ours[..., :6], theirs[..., 6:] = 1, 1
    made = transform(content, style, content_mask=ours, style_mask=theirs)
    assert torch.equal(made[..., 6:], content[..., 6:])
    assert torch.allclose(made[..., :6], transform(content[..., :6], style[..., 6:]), atol=1e-4)
    with pytest.raises(SettingError, match="mask marks no place"):
        transform(content, style, style_mask=theirs * 0)


def test_swap_takes_patches_inside_the_style_s_mask_alone():
    content, style, mask = features(4, 6, 6, 1), features(4, 8, 8, 2), torch.zeros(1, 1, 8, 8)
    mask[..., 2:7, 2:7] = 1
    style[..., 0, :], style[..., :, 0] = 1e3, 1e3  # in no patch whose middle is marked
    assert StyleSwap()(content, style, style_mask=mask).max() < 100
    with pytest.raises(SettingError, match="no whole patch"):
        StyleSwap()(content, style, style_mask=torch.zeros(1, 1, 8, 8).index_fill(3, torch.tensor([0]), 1.0))


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_flat_pictures_and_single_places(transform):
    flat, lively = torch.full((1, 6, 5, 5), 0.5), features(6, 4, 4, 1)
    for content, style in (
        (flat, lively),
        (lively, flat),
        (flat, flat),
        (features(6, 1, 1), lively),
        (lively, features(6, 1, 1)),
    ):
        made = transform(content, style)
        assert made.shape == content.shape and made.isfinite().all()
    if transform in STATISTICS:  # rank 0: all that can be met is the mean
        assert torch.allclose(transform(flat, lively), lively.mean((2, 3), keepdim=True).expand_as(flat), atol=1e-5)
        assert torch.allclose(transform(lively, flat), torch.full_like(lively, 0.5), atol=1e-5)
    assert spectrum(flat).rank == [0]


@pytest.mark.parametrize("transform", ALL, ids=NAMES)
def test_types_and_items_are_kept(transform):
    content, style = features(6, 5, 6, 1, items=2), features(6, 6, 5, 2)
    made = transform(content, style)
    each = torch.cat([transform(content[i : i + 1], style) for i in range(2)])
    assert torch.allclose(made, each, atol=1e-5)
    low = transform(content.bfloat16(), style.bfloat16())
    assert low.dtype == torch.bfloat16 and (transform in STATISTICS) <= bool(distance(low.float(), made) < 0.05)
    layout = content.contiguous(memory_format=torch.channels_last)
    before = layout.clone()
    assert torch.allclose(transform(layout, style), made, atol=1e-5) and torch.equal(layout, before)


def test_regions_that_can_be_matched():
    mask = lambda count: torch.zeros(1, 1, 40, 40).flatten().index_fill(0, torch.arange(count), 1.0).view(1, 1, 40, 40)
    assert usable(mask(11), mask(11)) and usable(mask(1099), mask(11))
    assert not usable(mask(10), mask(500)) and not usable(mask(500), mask(10)) and not usable(mask(1100), mask(11))


def test_moments_and_masked_statistics(monkeypatch):
    plain = features(5, 9, 11, 3)
    for ours, theirs in zip(moments(plain), covariance(plain.double()), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12)
    mask = torch.rand(1, 1, 9, 11, generator=torch.Generator().manual_seed(1))
    rows, weights = plain[0].flatten(1).double(), mask.flatten().double()
    want = torch.cov(rows, correction=0, aweights=weights)
    monkeypatch.setattr("nstlab.stats.BLOCK", 10)
    mean, found = moments(plain, mask)
    assert torch.allclose(found[0], want, rtol=1e-9) and torch.allclose(mean[0, :, 0], (rows * weights).sum(1) / weights.sum())
    masked_mean, std = mean_std(plain, 0, mask)
    assert torch.allclose(masked_mean.double(), mean[..., 0], atol=1e-5)
    assert torch.allclose(std[0].double(), want.diagonal().sqrt(), rtol=1e-4)
