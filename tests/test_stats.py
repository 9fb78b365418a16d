import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nstlab.stats import covariance, gram, matrix_power, mean_std


def test_gram_by_hand():
    # two channels at four places: F = [[1, 2, 3, 4], [0, 1, 0, 1]]
    features = torch.tensor([[1.0, 2, 3, 4], [0, 1, 0, 1]]).view(1, 2, 2, 2)
    want = torch.tensor([[30.0, 6], [6, 2]]) / (2 * 4)
    assert torch.equal(gram(features)[0], want)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 7), st.integers(1, 7), st.integers(0, 99))
def test_gram_forgets_places(channels, height, width, seed):
    generator = torch.Generator().manual_seed(seed)
    features = torch.rand(1, channels, height, width, generator=generator)
    order = torch.randperm(height * width, generator=generator)
    shuffled = features.flatten(2)[:, :, order].view_as(features)
    assert torch.allclose(gram(features), gram(shuffled), rtol=1e-5)
    assert torch.allclose(gram(features), gram(features.repeat(1, 1, 2, 3)), rtol=1e-5)


def test_gram_of_bf16_is_float32_and_near():
    features = torch.rand(1, 32, 20, 20)
    low = gram(features.bfloat16())
    assert low.dtype == torch.float32 and (low - gram(features)).norm() / gram(features).norm() < 0.01


def test_mean_std_and_covariance_agree_with_torch(rng):
    features = torch.rand(2, 5, 6, 7, generator=rng)
    mean, std = mean_std(features, eps=0)
    assert torch.allclose(mean, features.mean((2, 3)))
    assert torch.allclose(std, features.flatten(2).std(2, unbiased=False), rtol=1e-4)
    for item in range(2):
        want = torch.cov(features[item].flatten(1), correction=0)
        assert torch.allclose(covariance(features)[1][item], want, atol=1e-5)


def test_matrix_power(rng):
    root = torch.randn(4, 4, generator=rng, dtype=torch.float64)
    matrix = root @ root.T + torch.eye(4, dtype=torch.float64)
    half = matrix_power(matrix, 0.5)
    assert torch.allclose(half @ half, matrix)
    assert (matrix_power(matrix, -0.5) @ half - torch.eye(4)).abs().max() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("items", [1, 2])
def test_gradient_of_gram_for_any_weights(items, rng):
    features = torch.rand(items, 3, 4, 5, dtype=torch.float64, generator=rng).requires_grad_()
    weights = torch.rand(items, 3, 3, dtype=torch.float64, generator=rng)  # not symmetric
    assert torch.autograd.gradcheck(lambda f: (gram(f) * weights).sum(), features)


def test_covariance_of_bf16_is_computed_in_float32():
    features = (torch.rand(1, 16, 12, 12, generator=torch.Generator().manual_seed(1)) + 8).bfloat16()  # far from 0
    mean, cov = covariance(features)
    assert mean.dtype == cov.dtype == torch.float32
    assert torch.allclose(cov[0], torch.cov(features[0].flatten(1).float(), correction=0), atol=1e-6)


def test_powers_of_a_singular_matrix_are_pseudo_inverses():
    # diag(4, 1, 0) turned by 45 degrees in the first and last axis
    s = 0.5**0.5
    turn = torch.tensor([[s, 0, -s], [0, 1, 0], [s, 0, s]], dtype=torch.float64)
    matrix = turn @ torch.diag(torch.tensor([4.0, 1, 0], dtype=torch.float64)) @ turn.T
    want = turn @ torch.diag(torch.tensor([0.5, 1, 0], dtype=torch.float64)) @ turn.T
    assert torch.allclose(matrix_power(matrix, -0.5), want)
    assert torch.allclose(matrix_power(matrix, -1), torch.linalg.pinv(matrix, hermitian=True))
    assert torch.allclose(matrix_power(torch.stack([matrix, 9 * matrix]), -0.5)[1], want / 3)
    assert torch.equal(matrix_power(torch.zeros(3, 3), -0.5), torch.zeros(3, 3))


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 24), st.integers(1, 30), st.floats(1e-4, 1e4), st.integers(0, 99))
def test_whitening_with_fewer_places_than_channels_is_a_projection(channels, places, scale, seed):
    features = torch.rand(1, channels, 1, places, generator=torch.Generator().manual_seed(seed)) * scale
    cov = covariance(features)[1][0]
    white = matrix_power(cov, -0.5) @ cov @ matrix_power(cov, -0.5)
    assert white.isfinite().all()
    eigenvalues = torch.linalg.eigvalsh(white)
    assert eigenvalues.max() < 1.1 and (eigenvalues > 0.5).sum() <= max(0, min(channels, places - 1))


def test_the_floor_is_a_share_of_the_largest_eigenvalue():
    matrix = torch.diag(torch.tensor([100.0, 1.0]))
    assert torch.allclose(matrix_power(matrix, -0.5, floor=0.02), torch.diag(torch.tensor([0.1, 0.0])))
    assert torch.allclose(matrix_power(matrix, 0.5, floor=0.02), torch.diag(torch.tensor([10.0, 0.0])))
    assert matrix_power(matrix.bfloat16(), 0.5).dtype == torch.float32


def test_the_gradient_at_a_singular_matrix_is_finite():
    matrix = torch.diag(torch.tensor([4.0, 1.0, 0.0])).requires_grad_()
    for exponent in (0.5, -0.5):
        (gradient,) = torch.autograd.grad(matrix_power(matrix, exponent).diagonal().sum(), matrix)
        assert gradient.isfinite().all()
