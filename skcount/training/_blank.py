"""A blank image holds no object: what the training data does not say, said as a penalty."""

import numpy as np
import torch

# A small part of the cost of training; more often changes nothing.
EVERY = 4


class BlankPenalty:
    """Mean density of images of one flat colour, which ought to be empty.

    Training images of crowded scenes never show an empty one, and a network is free to count anything there.
    Every fourth step it also sees a flat image: black, or of some colour in the range of the training pixels, which the
    number of the step decides. The mean, not the mean square: a trace on every pixel adds up to an object, and its square
    would be too small to see.
    Batch normalisations use their running statistics for it, which it leaves as they are.

    Parameters
    ----------
    low, high : array-like of shape (n_channels,)
        Smallest and largest pixel of each channel of the training images.
    shape : (height, width)
        Size of the flat images, in pixels.
    scale : float
        Densities are divided by it, as in the loss.
    step : int, default=0
        How many steps an earlier run, which this one goes on with, has made.
    """

    def __init__(self, low, high, shape, scale, step=0):
        self.low = np.asarray(low, dtype=np.float64)
        self.high = np.asarray(high, dtype=np.float64)
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
            The mean density of a flat image, relative to the scale.
        """
        self.step += 1
        if self.step % EVERY:
            return 0
        image = (
            torch.as_tensor(self._colour()).to(module.mean).reshape(1, -1, 1, 1).expand(1, -1, *self.shape)
        )
        module.eval()
        density = module(image)
        module.train()
        return (density / self.scale).mean()

    def _colour(self):
        """The flat image of this step, (n_channels,): black every other time."""
        number = self.step // EVERY
        if number % 2:
            return np.zeros_like(self.low)
        return np.random.default_rng(number).uniform(self.low, self.high)
