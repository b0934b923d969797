"""Random changes of contrast and brightness."""

import numpy as np


class Jitter:
    """Change the contrast and the brightness of crops at random, as another light or exposure would.

    Parameters
    ----------
    strength : float
        Standard deviation of the logarithm of the contrast, and of the brightness in standard deviations of the training
        pixels: once for all channels together, once for each.
    mean, std : ndarray of shape (n_channels,)
        Mean and standard deviation of the training pixels.

    Examples
    --------
    >>> jitter = Jitter(0.2, mean=np.array([0.5]), std=np.array([0.1]))
    >>> image = np.linspace(0, 1, 4, dtype=np.float32).reshape(1, 2, 2)
    >>> changed = jitter(image, np.random.default_rng(0))
    >>> changed.dtype, bool((np.diff(changed.ravel()) > 0).all())
    (dtype('float32'), True)
    """

    def __init__(self, strength, mean, std):
        self.strength = strength
        self.mean = mean[:, None, None]
        self.std = std[:, None, None]

    def __call__(self, image, rng):
        """Change one image.

        Parameters
        ----------
        image : ndarray of shape (n_channels, height, width)
            Pixels.
        rng : numpy.random.Generator
            Where the randomness comes from.

        Returns
        -------
        ndarray of shape (n_channels, height, width)
            A new array of the same type. Contrasts stay positive: what was brighter stays brighter.
        """
        contrast = np.exp(self.strength * rng.normal())
        brightness = self.strength * (rng.normal() + rng.normal(size=self.mean.shape))
        changed = self.mean + contrast * (image - self.mean) + brightness * self.std
        return changed.astype(image.dtype)
