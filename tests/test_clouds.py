"""Drawings of statistics: what the ellipse is, and that odd values can be drawn."""

import pytest
import torch

from nstlab.course.clouds import _ellipse, clouds, histograms
from nstlab.plots import Picture


def test_the_ellipse_by_hand():
    """Covariance ((5, 4), (4, 5)): deviations 3 along the diagonal and 1 across it."""
    long, short = torch.tensor([[1.0], [1.0]]) / 2**0.5, torch.tensor([[1.0], [-1.0]]) / 2**0.5
    points = torch.cat([3 * long, -3 * long, short, -short], 1) * 2**0.5 + torch.tensor([[7.0], [1.0]])
    assert torch.allclose(torch.cov(points, correction=0), torch.tensor([[5.0, 4.0], [4.0, 5.0]]), atol=1e-5)
    found = _ellipse(points)
    assert found.center == pytest.approx((7, 1)) and found.angle % 180 == pytest.approx(45)
    assert (found.width, found.height) == pytest.approx((4 * 3, 4 * 1))  # two deviations to each side


def test_they_are_pictures(rng):
    values = torch.randn(1, 4, 5, generator=rng)
    drawn = histograms({"before": {"ours": values, "theirs": values + 1}, "after": {"ours": torch.ones(3)}})
    assert isinstance(drawn, Picture) and repr(drawn) == "<histograms: before, after>"
    assert isinstance(histograms({"flat": {"one": torch.zeros(7)}}), Picture)
    points = torch.randn(2, 30, generator=rng)
    drawn = clouds({"ours": points, "moved": points + 1, "wanted": torch.randn(2, 20, generator=rng)})
    assert repr(drawn) == "<clouds: ours, moved, wanted>"
