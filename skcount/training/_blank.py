"""A blank image holds no object: what the training data does not say, said as a penalty."""

import torch

# A small part of the cost of training; more often changes nothing.
EVERY = 4


class BlankPenalty:
    """Mean density of images of one flat colour, which ought to be empty.

    Training images of crowded scenes never show an empty one, and a network is free to count anything there.
    Every fourth step it also sees a flat image: black, or of a random colour in the range of the training pixels. The
    mean, not the mean square: a trace on every pixel adds up to an object, and its square would be too small to see.
    Batch normalisations use their running statistics for it, which it leaves as they are.

    Parameters
    ----------
    low, high : array-like of shape (n_channels,)
        Smallest and largest pixel of each channel of the training images.
    shape : (height, width)
        Size of the flat images, in pixels.
    scale : float
        Densities are divided by it, as in the loss.
    """

    def __init__(self, low, high, shape, scale):
        self.low = torch.as_tensor(low).reshape(1, -1, 1, 1)
        self.high = torch.as_tensor(high).reshape(1, -1, 1, 1)
        self.shape = shape
        self.scale = scale
        self.step = 0

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
        colour = self.low + (self.high - self.low) * torch.rand_like(self.low)
        colour = colour * (torch.rand(()) < 0.5)
        image = colour.to(module.mean).expand(1, -1, *self.shape)
        module.eval()
        density = module(image)
        module.train()
        return (density / self.scale).mean()
