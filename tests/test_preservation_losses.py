import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab import images
from nstlab.errors import SettingError
from nstlab.filters import blocks, stroke_width
from nstlab.losses import ContentLoss, StyleLoss
from nstlab.losses.edge import EdgeLoss, OutlineLoss, laplacian_loss, one_sided_edge_loss
from nstlab.losses.edge_texture import EdgeTextureLoss
from nstlab.losses.region import DampedStyleLoss, GuidedGram, RegionStyleLoss, guided_gram
from nstlab.losses.saliency import SaliencyContentLoss, mean_one_weights, weighted_content_loss
from nstlab.losses.selective import SelectiveContentLoss
from nstlab.losses.semantic import InsideContentLoss, SemanticLoss, region_distances
from nstlab.losses.structure import StructureLoss, ssim_map, structure_loss
from nstlab.objective import Objective
from nstlab.stats import gram


@pytest.fixture(scope="module")
def face():
    """A soft disc on the astronaut's face."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    return ((0.18 - ((rows - 0.2) ** 2 + (columns - 0.44) ** 2).sqrt()) * 20).clamp(0, 1)[None, None]


def value(encoder, loss, image):
    return Objective(encoder, {"it": loss})(image)[0]


def test_mean_one_weights_by_hand():
    weights = mean_one_weights(torch.tensor([[1.0, 0], [0, 0]])[None, None], (2, 2), k=4)
    assert torch.allclose(weights, torch.tensor([[2.5, 0.5], [0.5, 0.5]])[None, None])  # (5, 1, 1, 1) / 2


@settings(deadline=None, max_examples=20)
@given(st.floats(0, 50), st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_weights_have_mean_one(k, height, width, seed):
    guide = torch.rand(1, 1, 24, 31, generator=torch.Generator().manual_seed(seed))
    assert mean_one_weights(guide, (height, width), k).mean().item() == pytest.approx(1, abs=1e-6)


def test_no_weight_and_uniform_maps_are_the_baseline(encoder, photo, painting, face):
    other = images.resize(painting, (96, 96))
    content, style = value(encoder, ContentLoss(photo), other), value(encoder, StyleLoss(painting), photo)
    assert torch.equal(value(encoder, SaliencyContentLoss(photo, face, k=0), other), content)
    for level in (0.0, 0.3, 1.0):
        uniform = torch.full_like(face, level)
        assert torch.equal(value(encoder, SaliencyContentLoss(photo, uniform, k=8), other), content)
    assert torch.equal(value(encoder, DampedStyleLoss(painting, face, d=0), photo), style)
    assert torch.equal(value(encoder, RegionStyleLoss([(torch.ones_like(face), painting, None)]), photo), style)
    assert not torch.equal(value(encoder, SaliencyContentLoss(photo, face, k=8), other), content)


def test_weighted_content_by_hand():
    ours, target = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    weights = torch.tensor([[4.0, 0], [0, 0]])[None, None]
    assert weighted_content_loss(ours, target, weights).item() == 1.0


def test_guided_gram_is_the_gram_of_the_masked_places(rng):
    features = torch.rand(1, 5, 6, 7, generator=rng, dtype=torch.float64)
    mask = (torch.rand(1, 1, 6, 7, generator=rng) > 0.5).double()
    inside = features.flatten(2)[:, :, mask.flatten() > 0]
    want = inside @ inside.transpose(1, 2) / (5 * inside.shape[2])
    assert torch.allclose(guided_gram(features, mask), want, rtol=1e-12)
    assert torch.equal(guided_gram(features, torch.full_like(mask, 0.4)), gram(features))
    with pytest.raises(SettingError, match="no region"):
        guided_gram(features, torch.zeros_like(mask))


def test_complementary_masks_with_one_style_are_one_style(rng):
    features = torch.rand(1, 5, 6, 7, generator=rng, dtype=torch.float64)
    mask = (torch.rand(1, 1, 6, 7, generator=rng) > 0.4).double()
    parts = mask.mean() * guided_gram(features, mask) + (1 - mask).mean() * guided_gram(features, 1 - mask)
    assert torch.allclose(parts, gram(features), rtol=1e-10)


def test_each_region_is_compared_with_its_own_painting(encoder, photo, painting, face):
    """A half each of what the regions have alone; with the paintings swapped, of the other two; the order does not matter."""
    other, mask = images.load("great-wave", 96), (face > 0.5).float()

    def of(*regions):
        return value(
            encoder, RegionStyleLoss([(*region, None) for region in regions], weights=(1,) * len(regions)), photo
        ).item()

    inside, outside, swapped_in, swapped_out = (
        of((mask, painting)),
        of((1 - mask, other)),
        of((mask, other)),
        of((1 - mask, painting)),
    )
    assert of((mask, painting), (1 - mask, other)) == pytest.approx((inside + outside) / 2, rel=1e-4)
    assert of((1 - mask, other), (mask, painting)) == pytest.approx((inside + outside) / 2, rel=1e-4)
    assert of((mask, other), (1 - mask, painting)) == pytest.approx((swapped_in + swapped_out) / 2, rel=1e-4)
    assert abs(inside - swapped_in) > 0.01 * inside and abs(outside - swapped_out) > 0.01 * outside


def test_a_label_that_the_painting_lacks_falls_back(encoder, photo, painting, face):
    loss = RegionStyleLoss([(face, painting, torch.zeros(1, 1, 64, 96))])
    whole = RegionStyleLoss([(face, painting, None)])
    assert torch.equal(value(encoder, loss, photo), value(encoder, whole, photo))
    assert "region 0 is missing" in loss.notes[0] and whole.notes == []


def test_a_guided_gram_that_looks_at_nothing(rng):
    """For training, where guides are new at each step: the same matrices, and 0 where nothing is marked."""
    features = torch.rand(2, 5, 6, 7, generator=rng, dtype=torch.float64)
    guides = torch.rand(2, 1, 6, 7, generator=rng, dtype=torch.float64)
    assert torch.equal(GuidedGram(guides, checked=False)(features), guided_gram(features, guides))
    guides[1] = 0
    found = GuidedGram(guides, checked=False)(features.requires_grad_())
    assert torch.equal(found[0], guided_gram(features[:1], guides[:1])[0]) and not found[1].any()
    found.sum().backward()
    assert features.grad.isfinite().all() and not features.grad[1].any()


def test_no_loss_waits_for_the_device(encoder, photo, painting, face, monkeypatch):
    """What a number in Python is made of has to come from the GPU first: in a forward pass that costs a pause each."""
    half, labels = (face > 0.5).float(), (face[0] > 0.5).long()
    losses = {
        "region": RegionStyleLoss([(half, painting, None), (1 - half, painting, half), (0 * half, painting, None)]),
        "damped": DampedStyleLoss(painting, face), "saliency": SaliencyContentLoss(photo, face),
        "selective": SelectiveContentLoss(photo, face), "texture": EdgeTextureLoss(photo, painting, scales=(1, 2)),
        "semantic": SemanticLoss(photo, labels, {0: 1, 1: 3}), "structure": StructureLoss(photo, face),
        "style": StyleLoss(painting), "content": ContentLoss(photo),
    }  # fmt: skip
    features = {}
    for name, loss in losses.items():
        loss.prepare(encoder, (64, 64))
        features[name] = encoder(images.resize(painting, (64, 64)), loss.layers or ())

    def refuse(tensor, *_):
        raise AssertionError("a tensor was read in Python")

    with monkeypatch.context() as reading:
        for method in ("item", "tolist", "__bool__", "__float__", "__int__", "nonzero"):
            reading.setattr(torch.Tensor, method, refuse)
        found = {name: loss(features[name]) for name, loss in losses.items()}
    assert all(value.isfinite() and value > 0 for value in found.values())


def test_ssim_by_hand_and_at_its_ends(photo):
    grey = photo[:, :1]
    assert torch.allclose(ssim_map(grey, grey), torch.ones_like(grey), atol=1e-4)
    a, b = torch.full((1, 1, 20, 20), 0.5), torch.full((1, 1, 20, 20), 0.25)
    flat = (2 * 0.5 * 0.25 + 1e-4) / (0.5**2 + 0.25**2 + 1e-4)  # no variance: only the means are left
    assert ssim_map(a, b).mean().item() == pytest.approx(flat, rel=1e-3)
    assert structure_loss(photo, photo).item() == pytest.approx(0, abs=1e-4)


def test_structure_equals_scikit_images(photo, painting):
    from skimage.metrics import structural_similarity

    from nstlab.color import luminance

    a, b = luminance(photo), luminance(images.resize(painting, (96, 96)))
    want = structural_similarity(
        a[0, 0].numpy(), b[0, 0].numpy(), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
    )
    inner = ssim_map(a, b)[..., 5:-5, 5:-5].mean().item()
    assert inner == pytest.approx(want, abs=1e-4)


def test_structure_looks_only_inside_the_guide(encoder, photo, face):
    changed = photo.clone()
    changed[..., 60:, :] = 0
    assert value(encoder, StructureLoss(photo, face), changed).item() < 1e-3
    assert value(encoder, StructureLoss(photo), changed).item() > 0.1
    empty = StructureLoss(photo, torch.zeros_like(face))
    assert torch.equal(value(encoder, empty, changed), value(encoder, StructureLoss(photo), changed))


def test_what_is_finer_than_a_block_is_free(encoder, photo):
    """A checkerboard of single pixels: seen pixel by pixel, and not between blocks of eight."""
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(48, 48)
    stroked = 0.2 + 0.6 * photo
    held = (stroked + 0.1 * board).clamp(0, 1)
    assert value(encoder, StructureLoss(stroked, None, 8 / 96), held).item() < 0.01
    assert value(encoder, StructureLoss(stroked), held).item() > 0.3


def test_blocks_by_hand():
    ramp = torch.arange(64.0).view(1, 1, 1, -1).expand(1, 1, 64, 64)
    assert torch.equal(blocks(ramp, 1), ramp) and blocks(ramp, 4).shape == (1, 1, 16, 16)
    assert torch.allclose(
        blocks(ramp, 4)[0, 0, 5, 1:-1], torch.arange(16.0)[1:-1] * 4 + 1.5
    )  # the means of pixels 4n to 4n + 3
    assert blocks(torch.zeros(1, 1, 2, 300), 8).shape == (1, 1, 1, 38)


def test_finer_places_hold_finer_detail(encoder, photo, face):
    """Fine lines count in the place that is finer, and beside it they are free."""
    place = (face > 0.5).float()
    lines = 0.2 * (torch.arange(96) % 4 < 2).float()
    inside, beside = photo * 0.8 + lines * place, photo * 0.8 + lines * (1 - place)
    coarse, fine = {"block": 8 / 96}, {"block": 8 / 96, "finer": [(place, 0.0)]}
    assert value(encoder, StructureLoss(inside, **fine), inside).item() < 1e-4
    added = [
        value(encoder, StructureLoss(content, **fine), photo * 0.8)
        - value(encoder, StructureLoss(content, **coarse), photo * 0.8)
        for content in (inside, beside)
    ]
    assert added[0] > 1e-4 and added[0] > 3 * added[1]


def test_width_of_strokes_by_hand():
    """Waves of 16 pixels have strokes of 8; larger forms do not count; a blank has the least or the most, not none."""
    wave = 0.5 + 0.2 * torch.sin(torch.arange(512) * 2 * torch.pi / 16).expand(1, 3, 512, 512)
    assert stroke_width(wave) == pytest.approx(8 / 512, rel=0.1)
    forms = wave + 0.2 * torch.sin(torch.arange(512) * 2 * torch.pi / 256).view(-1, 1)
    assert stroke_width(forms) == pytest.approx(8 / 512, rel=0.1)
    assert 1 / 224 <= stroke_width(torch.full((1, 3, 80, 50), 0.3)) <= 1 / 45


def test_region_distance_by_hand():
    ours, target = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    masks = torch.tensor([[[[1.0, 1], [0, 0]]], [[[0, 0], [0, 1.0]]]])
    assert region_distances(ours, target, masks).tolist() == [2.5, 16.0]


def test_content_inside_by_hand(encoder, photo, painting, face):
    """Per place of the map, whatever its size; outside it anything goes; the whole map is ContentLoss."""
    other = images.resize(painting, (96, 96))
    whole = value(encoder, InsideContentLoss(photo, torch.ones_like(face)), other).item()
    assert whole == pytest.approx(value(encoder, ContentLoss(photo), other).item(), rel=1e-5)
    loss = InsideContentLoss(photo, face)
    loss.prepare(encoder, (96, 96))
    error = (encoder(other, ["relu4_2"])["relu4_2"] - encoder(photo, ["relu4_2"])["relu4_2"]).square().mean((0, 1))
    places = torch.nn.functional.adaptive_avg_pool2d(face, 12)[0, 0]
    assert value(encoder, loss, other).item() == pytest.approx(((error * places).sum() / places.sum()).item(), rel=1e-5)
    assert value(encoder, InsideContentLoss(photo, 0 * face), other).item() == 0


def test_semantic_priorities(encoder, photo, painting, face):
    labels = (face[0] > 0.5).long()
    other = images.resize(painting, (96, 96))
    both = value(encoder, SemanticLoss(photo, labels, {0: 1, 1: 3}), other).item()
    each = [value(encoder, SemanticLoss(photo, labels, {label: 1}), other).item() for label in (0, 1)]
    assert both == pytest.approx(0.25 * each[0] + 0.75 * each[1], rel=1e-5)
    with pytest.raises(SettingError, match="no region has the label 7"):
        SemanticLoss(photo, labels, {7: 1})


def test_laplacian_ignores_constants_and_ramps(photo):
    ramp = torch.linspace(0, 0.3, 96).view(1, 1, 1, -1) + 0.1
    assert laplacian_loss(photo, photo).item() == 0
    assert laplacian_loss(photo + 0.2, photo).item() < 1e-9 and laplacian_loss(photo + ramp, photo).item() < 1e-9
    assert laplacian_loss(photo, 1 - photo).item() > 1e-3


def test_laplacian_loss_by_hand():
    """One bright pixel in a picture of 5 x 5: 3 channels x (4 in the middle, -1 at four neighbours) over 9 places."""
    dot = torch.zeros(1, 3, 5, 5)
    dot[..., 2, 2] = 1
    assert laplacian_loss(dot, torch.zeros_like(dot), pool=1).item() == pytest.approx(9 * (16 + 4) / 9)
    twice = dot.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert laplacian_loss(twice, 0 * twice, pool=2).item() == pytest.approx(9 * (16 + 4) / 9)


def test_laplacian_of_pool_p_does_not_see_noise_shorter_than_p(photo):
    stripes = photo.clone()
    stripes[..., ::2] += 0.2
    assert laplacian_loss(stripes, photo, pool=4).item() < 1e-9 < laplacian_loss(stripes, photo, pool=1).item()


def test_new_strokes_are_free_and_lost_outlines_are_not(photo):
    grey = torch.full_like(photo, 0.5)
    assert one_sided_edge_loss(photo, grey).item() < 1e-9 < 1e-3 < one_sided_edge_loss(grey, photo).item()


@pytest.mark.parametrize("make", [EdgeLoss, OutlineLoss, StructureLoss])
def test_zero_at_the_photo_and_differentiable(make, encoder, photo, painting):
    assert value(encoder, make(photo), photo).item() == pytest.approx(0, abs=1e-4)
    image = images.resize(painting, (96, 96)).requires_grad_()
    value(encoder, make(photo), image).backward()
    assert image.grad.isfinite().all() and image.grad.abs().sum() > 0


@pytest.mark.parametrize("loss", [one_sided_edge_loss, structure_loss])
def test_gradients(loss, rng):
    image = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=rng).requires_grad_()
    content = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=rng)
    assert torch.autograd.gradcheck(lambda x: loss(x, content), image, atol=1e-4)


def test_gradient_of_the_laplacian(rng):
    """It is computed in float32, and quadratic: L(x + h) - L(x - h) is 2 h L'(x) exactly, up to rounding."""
    image, content, way = (torch.rand(1, 3, 16, 16, generator=rng) for _ in range(3))
    (slope,) = torch.autograd.grad(laplacian_loss(image.requires_grad_(), content), image)
    rise = (laplacian_loss(image + way, content) - laplacian_loss(image - way, content)).item() / 2
    assert (slope * way).sum().item() == pytest.approx(rise, rel=1e-3)


def test_small_pictures_have_no_edges_to_keep(encoder):
    tiny = torch.rand(1, 3, 5, 5)
    assert value(encoder, EdgeLoss(tiny), torch.rand(1, 3, 5, 5)).item() == 0


def test_bad_settings(photo, painting, face):
    for make in (
        lambda: SaliencyContentLoss(photo, face, k=-1),
        lambda: DampedStyleLoss(painting, face, d=1.5),
        lambda: EdgeLoss(photo, pools=(0,)),
    ):
        with pytest.raises(SettingError):
            make()
