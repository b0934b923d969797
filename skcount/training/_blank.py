"""A blank image holds no object: what the training data does not say, said as a penalty."""

import numpy as np
import torch

# A small part of the cost of training; more often changes nothing.
EVERY = 4
# A quarter of the size of a crop each.
N_FLAT, N_NOISY = 4, 2


def blank_shape(shape):
    """The size of a blank image: a quarter of a crop's.

    >>> blank_shape((17, 32))
    (9, 16)
    """
    return tuple(-(-size // 2) for size in shape)


class BlankPenalty:
    """Mean density of images without objects: of one flat colour, and of noise about one.

    Training images of crowded scenes never show an empty one, and a network is free to count anything there.
    Every fourth step it also sees six small ones: a black one, three of some colour in the range of the training pixels, and
    two of a colour with independent noise in each pixel, of up to the contrast of the training images. The number of the
    step decides which. Where 0 is far from the training pixels, as in kelvin, black is a value beside their range.
    The mean, not the mean square: a trace on every pixel adds up to an object, and its square would be too small to see.
    Batch normalisations use their running statistics for it, which it leaves as they are.

    Parameters
    ----------
    low, high, std : array-like of shape (n_channels,)
        Smallest and largest pixel of each channel of the training images, and their standard deviation.
    shape : (height, width)
        Size of four of the images together, in pixels.
    scale : float
        Densities are divided by it, as in the loss.
    step : int, default=0
        How many steps an earlier run, which this one goes on with, has made.
    """

    def __init__(self, low, high, std, shape, scale, step=0):
        self.low, self.high, self.std = (np.asarray(value, dtype=np.float64) for value in (low, high, std))
        # Black is 0, but not a hundred standard deviations away from all pixels: that would be all there is to learn.
        beside = np.maximum(self.high - self.low, self.std)
        self.black = np.clip(0, self.low - beside, self.high + beside)
        self.shape = shape
        self.scale = scale
        self.step = step

    def __call__(self, module):
        """Compute the penalty of this step; 0 in three of four.

        Parameters
        ----------
        module : DensityNetwork
            The network that is being trained.

        Returns
        -------
        tensor of shape () or 0
            The mean density of images without objects, relative to the scale.
        """
        self.step += 1
        if self.step % EVERY:
            return 0
        images = torch.from_numpy(self._images()).to(module.mean)
        module.eval()
        density = module(images)
        module.train()
        return (density / self.scale).mean()

    def _images(self):
        """The images of this step, (6, n_channels, height, width)."""
        rng = np.random.default_rng(self.step // EVERY)
        n_channels, (height, width) = len(self.low), blank_shape(self.shape)
        low, high, std, black = (v[:, None, None] for v in (self.low, self.high, self.std, self.black))
        colours = rng.uniform(low, high, (N_FLAT + N_NOISY, n_channels, 1, 1))
        colours[0] = black
        flat = np.broadcast_to(colours[:N_FLAT], (N_FLAT, n_channels, height, width))
        noise = rng.random((N_NOISY, 1, 1, 1)) * std * rng.normal(size=(N_NOISY, *flat.shape[1:]))
        return np.concatenate([flat, np.clip(colours[N_FLAT:] + noise, low, high)])
