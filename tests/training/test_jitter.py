import numpy as np
import pytest

from skcount.training import Jitter


def draw(strength, n=2000, mean=(0.2, 0.5), std=(0.1, 0.3)):
    """How many changes turn out: the contrasts (n,) and the brightness of each channel in standard deviations (n, 2)."""
    jitter = Jitter(strength, np.array(mean), np.array(std))
    rng = np.random.default_rng(0)
    # Two pixels a channel: one at the mean, one a standard deviation above.
    image = np.stack([np.array(mean), np.add(mean, std)], axis=1)[:, None, :]
    changed = np.array([jitter(image, rng) for _ in range(n)])[:, :, 0]
    brightness = (changed[:, :, 0] - mean) / std
    contrast = (changed[:, :, 1] - changed[:, :, 0]) / std
    np.testing.assert_allclose(contrast[:, 0], contrast[:, 1])
    return contrast[:, 0], brightness


@pytest.mark.parametrize("strength", [0.05, 0.3])
def test_changes_are_as_large_as_they_are_said_to_be(strength):
    contrast, brightness = draw(strength)
    assert (contrast > 0).all()
    np.testing.assert_allclose(
        [np.log(contrast).mean(), np.log(contrast).std()], [0, strength], atol=0.1 * strength
    )
    np.testing.assert_allclose(brightness.std(axis=0), np.sqrt(2) * strength, rtol=0.1)
    assert 0.4 < np.corrcoef(brightness.T)[0, 1] < 0.6


def test_the_image_that_came_stays_as_it_is_and_its_type_too():
    image = np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)
    before = image.copy()
    changed = Jitter(0.2, np.array([0.5, 0.5]), np.array([0.1, 0.1]))(image, np.random.default_rng(1))
    np.testing.assert_array_equal(image, before)
    assert changed.dtype == np.float32
    assert changed.shape == image.shape
