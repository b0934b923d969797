"""A penalty for objects in blank images, which the training data may not contain."""

import numpy as np
import torch

# Every fourth step has the penalty, a small part of the cost of training. Using it more often changes nothing.
EVERY = 4
# Number of images of each kind. Each image has a quarter of the area of a crop.
N_FLAT, N_NOISY = 4, 2


def blank_shape(shape):
    """Return the size of a blank image: half the height and half the width of a crop, rounded up."""
    return tuple(-(-size // 2) for size in shape)


class BlankPenalty:
    """Mean density of images without objects, which are of one flat colour or of noise about one."""

    # Training images of crowded scenes never show an empty one, and a network is free to count anything there. A penalised
    # step sees six small images: a black one, three of some colour in the range of the training pixels, and two of a colour
    # with independent noise in each pixel, up to the contrast of the training images. The number of the step decides which.
    # The mean and not the mean square: a trace on every pixel adds up to an object, and its square would be too small.

    def __init__(self, low, high, std, shape, scale, step=0):
        # The smallest and the largest pixel of each channel of the training images, and their standard deviation.
        self.low, self.high, self.std = np.array([low, high, std], dtype=np.float64)
        # Black is 0. If 0 is far from all training pixels, as in kelvin, it is a value just outside their range: an image a
        # hundred standard deviations away would dominate the training.
        margin = np.maximum(self.high - self.low, self.std)
        self.black = np.clip(0, self.low - margin, self.high + margin)
        self.shape = shape
        self.scale = scale
        self.step = step

    def __call__(self, module):
        """Return the penalty of this step, in units of the scale; 0 in three of four steps."""
        self.step += 1
        if self.step % EVERY:
            return 0
        images = torch.from_numpy(self._images()).to(module.mean)
        module.eval()  # batch normalisations use their running statistics, and leave them unchanged
        density = module(images)
        module.train()
        return (density / self.scale).mean()

    def _images(self):
        """Make the images of this step, (6, n_channels, height, width)."""
        rng = np.random.default_rng(self.step // EVERY)
        n_channels, (height, width) = len(self.low), blank_shape(self.shape)
        low, high, std, black = (v[:, None, None] for v in (self.low, self.high, self.std, self.black))
        colours = rng.uniform(low, high, (N_FLAT + N_NOISY, n_channels, 1, 1))
        colours[0] = black
        flat = np.broadcast_to(colours[:N_FLAT], (N_FLAT, n_channels, height, width))
        noise = rng.random((N_NOISY, 1, 1, 1)) * std * rng.normal(size=(N_NOISY, *flat.shape[1:]))
        return np.concatenate([flat, np.clip(colours[N_FLAT:] + noise, low, high)])
