import pytest
import torch

from nstlab import images, metrics
from nstlab.encoders import load_encoder
from nstlab.errors import SettingError


def noisy(image, amount):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    return (image + amount * noise).clamp(0, 1)


@pytest.fixture(scope="module")
def guide():
    guide = torch.zeros(1, 1, 96, 96)
    guide[..., 10:40, 30:60] = 1
    return guide


def all_metrics(encoder, a, b):
    return {
        "ssim": 1 - metrics.ssim(a, b),
        "gmsd": metrics.gmsd(a, b),
        "edges": 1 - metrics.edge_f1(a, b),
        "gram": metrics.style_distance(encoder, a, b),
        "mean_std": metrics.style_distance(encoder, a, b, statistic="mean_std"),
        "frechet": metrics.style_distance(encoder, a, b, layers=("relu1_2",), statistic="frechet"),
        "features": sum(metrics.feature_distance(encoder, a, b).values()),
        "color": metrics.color_distance(a, b),
        "depth": metrics.depth_error(a[:, :1], b[:, :1]),
    }


def test_identity_is_the_optimum_and_noise_makes_it_worse(encoder, photo):
    levels = [all_metrics(encoder, noisy(photo, amount), photo) for amount in (0, 0.05, 0.2)]
    for name in levels[0]:
        values = [level[name] for level in levels]
        assert values[0] == pytest.approx(0, abs=2e-4), name
        assert values[0] < values[1] < values[2], (name, values)


def test_symmetric_where_it_should_be(photo, painting):
    other = images.resize(painting, (96, 96))
    for metric in (metrics.ssim, metrics.gmsd, metrics.edge_f1, metrics.color_distance):
        assert metric(photo, other) == pytest.approx(metric(other, photo), rel=1e-4)


def test_a_uniform_guide_changes_nothing(encoder, photo, painting):
    other, one = images.resize(painting, (96, 96)), torch.ones(1, 1, 96, 96)
    assert metrics.ssim(photo, other, one) == pytest.approx(metrics.ssim(photo, other), rel=1e-4)
    assert metrics.gmsd(photo, other, one) == pytest.approx(metrics.gmsd(photo, other), rel=1e-4)
    plain, guided = (metrics.feature_distance(encoder, photo, other, guide=g) for g in (None, one))
    assert plain == pytest.approx(guided, rel=1e-4)


def test_guided_metrics_look_only_inside(encoder, photo, guide):
    changed = photo.clone()
    changed[..., 70:, :] = 0.5
    assert metrics.ssim(photo, changed, guide) > 0.999 > metrics.ssim(photo, changed)
    assert metrics.gmsd(photo, changed, guide) < 1e-3 < metrics.gmsd(photo, changed)


class Given:
    """An encoder whose "image" is its features at the layer "x"."""

    def __call__(self, image, layers):
        return {"x": image}


def corners(across, down, mean=0.0):
    """Features (1, 2, 2, 2) of four places at (mean +- across, +- down): their covariance is diag(across^2, down^2)."""
    signs = torch.tensor([[1.0, 1], [-1, -1]]), torch.tensor([[1.0, -1], [1, -1]])
    return torch.stack([mean + across * signs[0], down * signs[1]])[None]


def test_ssim_of_flat_pictures_by_hand():
    light, dark = torch.full((1, 3, 20, 20), 0.5), torch.full((1, 3, 20, 20), 0.25)
    assert metrics.ssim(light, dark) == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4), rel=1e-4)


def test_gmsd_by_hand():
    """A step whose squared gradient is the constant: 1/2 beside the step, 1 elsewhere, in a third of the marked columns."""
    flat, step, inner = torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    step[..., 8:] = (170 / 255**2) ** 0.5
    inner[..., 2:14, 2:14] = 1
    assert metrics.gmsd(flat, step, inner) == pytest.approx(0.5 * (1 / 3 * 2 / 3) ** 0.5, rel=1e-4)


def test_style_distances_by_hand():
    ones, inside = torch.ones(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    inside[..., :2] = 1
    ours = 2 * inside + 5 * (1 - inside)
    assert metrics.style_distance(Given(), 2 * ones, ones, ["x"]) == pytest.approx((4 - 1) ** 2)
    assert metrics.style_distance(Given(), ones, 2 * ones, ["x"]) == pytest.approx((4 - 1) ** 2 / 4**2)
    assert metrics.style_distance(Given(), ours, ones, ["x"], guide=inside) == pytest.approx((4 - 1) ** 2)
    a, b = corners(1, 2), corners(3, 2, mean=1.0)
    # means (0, 0) and (1, 0), deviations (1, 2) and (3, 2); the covariances commute, so the distance is a sum over channels
    assert metrics.style_distance(Given(), a, b, ["x"], "mean_std") == pytest.approx(1 / 2 + 4 / 2, rel=1e-4)
    assert metrics.style_distance(Given(), a, b, ["x"], "frechet") == pytest.approx((1 + 4) / 2, rel=1e-6)
    with pytest.raises(SettingError, match="mean_std"):
        metrics.style_distance(Given(), a, b, ["x"], "meanstd")


def test_feature_distance_by_hand():
    ours = torch.tensor([[1.0, 2], [3, 4]]).view(1, 1, 2, 2)
    left = torch.tensor([[1.0, 0], [1, 0]])[None, None]
    assert metrics.feature_distance(Given(), ours, 0 * ours, ["x"]) == {"x": 7.5}  # (1 + 4 + 9 + 16) / 4
    assert metrics.feature_distance(Given(), ours, 0 * ours, ["x"], left) == {"x": 5.0}  # (1 + 9) / 2


@pytest.mark.cuda
def test_on_cuda_guides_and_targets_may_be_on_the_cpu(photo, painting, guide):
    encoder = load_encoder(precision="fp32", device="cuda")
    other = images.resize(painting, (96, 96))
    for metric in (metrics.ssim, metrics.gmsd):
        assert metric(photo.cuda(), other, guide) == pytest.approx(metric(photo, other, guide), rel=1e-3)
    for statistic in ("gram", "frechet"):
        assert metrics.style_distance(encoder, photo.cuda(), painting, statistic=statistic, guide=guide) > 0
    assert all(value > 0 for value in metrics.feature_distance(encoder, photo, other, guide=guide).values())
    assert metrics.edge_f1(photo.cuda(), photo) == 1 and metrics.color_distance(photo.cuda(), photo) == 0


def test_edge_f1_with_half_the_outlines():
    """One of two equal squares is found: precision 1, recall 1/2."""
    one = torch.zeros(1, 3, 64, 128)
    one[..., 20:40, 20:40] = 1
    both = one + one.roll(64, -1)
    assert metrics.edge_f1(one, both) == pytest.approx(2 / 3, rel=0.01)


def test_edge_f1_by_hand():
    """The same outline is 1, one moved within the tolerance too, one far away 0."""
    square = torch.zeros(1, 3, 64, 64)
    square[..., 20:40, 20:40] = 1
    near, far = torch.roll(square, 1, -1), torch.zeros(1, 3, 64, 64)
    far[..., 50:60, 50:60] = 1
    assert metrics.edge_f1(square, square) == metrics.edge_f1(near, square) == 1
    assert metrics.edge_f1(far, square) < 0.05
    assert metrics.edge_f1(torch.zeros_like(square), square) == 0


def test_depth_error_forgets_scale_and_shift():
    truth = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(0))
    assert metrics.depth_error(3 * truth - 0.7, truth) == pytest.approx(0, abs=1e-6)
    assert metrics.depth_error(torch.zeros_like(truth), truth) == pytest.approx(1, abs=1e-6)
    assert metrics.depth_error(-truth, truth) == pytest.approx(1, abs=1e-6)
    depth, other = torch.tensor([-3.0, -1, 1, 3]), torch.tensor([1.0, -1, -1, 1])  # at right angles, of energy 20 and 4
    assert metrics.depth_error(depth + other, depth) == pytest.approx((4 / 24) ** 0.5)  # the best scale is 20 / 24


def test_color_distance_at_its_ends():
    red, blue = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    red[:, 0], blue[:, 2] = 1, 1
    assert metrics.color_distance(red, red) == 0 and metrics.color_distance(red, blue) == pytest.approx(1)
    half = torch.cat([red, blue], -1)
    assert metrics.color_distance(half, red) == pytest.approx((0.25 / 1.5 + 0.25 / 0.5) / 2)
