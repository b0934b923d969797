"""The symmetries of a picture: flips and turns by 90 degrees."""

from typing import NamedTuple

from sklearn.utils._param_validation import StrOptions, validate_params


class Symmetry(NamedTuple):
    """A flip, or none, and then some turns by 90 degrees.

    Parameters
    ----------
    mirrored : bool, default=False
        Whether left and right are exchanged first.
    turns : int, default=0
        How many quarter turns follow, counterclockwise; 0 to 3.

    Examples
    --------
    >>> import torch
    >>> images = torch.arange(6.0).reshape(1, 1, 2, 3)
    >>> turned = Symmetry(mirrored=True, turns=1)(images)
    >>> turned[0, 0]
    tensor([[0., 3.],
            [1., 4.],
            [2., 5.]])
    >>> torch.equal(Symmetry(mirrored=True, turns=1).undo(turned), images)
    True
    """

    mirrored: bool = False
    turns: int = 0

    def __call__(self, images):
        """Flip and turn images.

        Parameters
        ----------
        images : tensor of shape (..., height, width)
            Images or maps.

        Returns
        -------
        tensor of shape (..., height, width) or (..., width, height)
            As they look then.
        """
        flipped = images.flip(-1) if self.mirrored else images
        return flipped.rot90(self.turns, (-2, -1)) if self.turns else flipped

    def undo(self, images):
        """Turn and flip images back.

        Parameters
        ----------
        images : tensor of shape (..., height, width)
            Images or maps, as they look after the call.

        Returns
        -------
        tensor of shape (..., height, width) or (..., width, height)
            As they were.
        """
        turned = images.rot90(-self.turns, (-2, -1)) if self.turns else images
        return turned.flip(-1) if self.mirrored else turned

    def shape(self, shape):
        """The size of an image after the call.

        Parameters
        ----------
        shape : (height, width)
            Its size before.

        Returns
        -------
        (height, width)
            Its size after.
        """
        return tuple(shape)[:: -1 if self.turns % 2 else 1]

    def undo_window(self, window, shape):
        """Find where a window on the turned image is on the image itself.

        Parameters
        ----------
        window : (top, left, height, width)
            A window on the image as it looks after the call.
        shape : (height, width)
            The size of the image before it.

        Returns
        -------
        (top, left, height, width)
            The same pixels before it.
        """
        top, left, height, width = window
        for turn in reversed(range(self.turns)):
            # The top of a turned image is the right of what was turned.
            right = shape[0] if turn % 2 else shape[1]
            top, left, height, width = left, right - top - height, width, height
        return (top, shape[1] - left - width, height, width) if self.mirrored else (top, left, height, width)


@validate_params({"which": ["boolean", StrOptions({"mirror"})]}, prefer_skip_nested_validation=True)
def symmetries(which=True):
    """List the symmetries to predict the mean over, the image itself first.

    Errors that depend on how an object happens to lie cancel in part in the mean of what a network makes of an image
    flipped and turned in all ways; the cost is that of so many predictions.

    Parameters
    ----------
    which : bool or "mirror", default=True
        True for all eight, "mirror" for left and right alone, False for the image as it is.

    Returns
    -------
    list of Symmetry
        Eight, two, or one.

    Examples
    --------
    >>> symmetries("mirror")
    [Symmetry(mirrored=False, turns=0), Symmetry(mirrored=True, turns=0)]
    """
    return [
        Symmetry(mirrored, turns)
        for mirrored in ((False, True) if which else (False,))
        for turns in (range(4) if which and which != "mirror" else (0,))
    ]
