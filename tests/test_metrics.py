import pytest
import torch

from nstlab import images, metrics


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


def test_color_distance_at_its_ends():
    red, blue = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    red[:, 0], blue[:, 2] = 1, 1
    assert metrics.color_distance(red, red) == 0 and metrics.color_distance(red, blue) == pytest.approx(1)
