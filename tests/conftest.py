import pytest
import torch

from nstlab import images
from nstlab.encoders import load_encoder


def pytest_collection_modifyitems(items):
    """Tests marked `cuda` are skipped where there is no CUDA device."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """No test reads or writes the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("NSTLAB_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def encoder():
    """The original VGG-19 in fp32, for tests that compare numbers."""
    return load_encoder(precision="fp32", device="cpu")


@pytest.fixture(scope="session")
def fast_encoder():
    """The default encoder, as users have it."""
    return load_encoder()


@pytest.fixture(scope="session")
def photo():
    return images.load("astronaut", 96)


@pytest.fixture(scope="session")
def painting():
    return images.load("starry-night", 96)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)
