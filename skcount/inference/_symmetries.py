"""The symmetries of an image: flips, and rotations by 90 degrees."""

from typing import NamedTuple

import numpy as np
from sklearn.utils._param_validation import StrOptions, validate_params


class Symmetry(NamedTuple):
    """An optional flip of left and right, followed by `turns` rotations by 90 degrees, counterclockwise (0 to 3)."""

    mirrored: bool = False
    turns: int = 0

    def __call__(self, images):
        """Flip and rotate images or maps (..., height, width)."""
        flipped = images.flip(-1) if self.mirrored else images
        return flipped.rot90(self.turns, (-2, -1)) if self.turns else flipped

    def undo(self, images):
        """Rotate and flip images or maps (..., height, width) back."""
        turned = images.rot90(-self.turns, (-2, -1)) if self.turns else images
        return turned.flip(-1) if self.mirrored else turned

    def of_arrays(self, *arrays):
        """Flip and rotate numpy arrays (..., height, width); None stays None."""
        turned = []
        for array in arrays:
            if array is not None and self.mirrored:
                array = array[..., ::-1]
            turned.append(array if array is None else np.rot90(array, self.turns, (-2, -1)))
        return turned

    def of_points(self, points, shape):
        """Flip and rotate points, whose first two columns are (row, col), on an image of `shape` (height, width)."""
        points = points.copy()
        turned, upside_down = self.turns % 2 == 1, self.turns >= 2
        # This is the same as flips of rows and columns, followed by a swap of the two.
        for axis, flipped in enumerate((upside_down, self.mirrored ^ upside_down ^ turned)):
            if flipped:
                points[:, axis] = shape[axis] - 1 - points[:, axis]
        if turned:
            points[:, :2] = points[:, 1::-1]
        return points

    def shape(self, shape):
        """Return the (height, width) after the call, given the `shape` before."""
        return tuple(shape)[:: -1 if self.turns % 2 else 1]

    def undo_window(self, window, shape):
        """Return the window (top, left, height, width) of an image of `shape` that the call turns into `window`."""
        top, left, height, width = window
        for turn in reversed(range(self.turns)):
            # The top of a rotated image is the right of the image before.
            right = shape[0] if turn % 2 else shape[1]
            top, left, height, width = left, right - top - height, width, height
        return (top, shape[1] - left - width, height, width) if self.mirrored else (top, left, height, width)


@validate_params({"augment": [StrOptions({"rotations", "mirror"}), None]}, prefer_skip_nested_validation=True)
def symmetries(augment="rotations"):
    """List the symmetries to average predictions over, the image itself first.

    Errors that depend on the orientation of an object partly cancel in the mean over the flipped and rotated images.
    Each symmetry costs one prediction.

    Parameters
    ----------
    augment : {"rotations", "mirror"} or None, default="rotations"
        "rotations" for all eight flips and rotations, "mirror" for left-right flips only, None for the unchanged image.

    Returns
    -------
    list of Symmetry
        Eight, two, or one.

    Examples
    --------
    >>> from skcount.inference import symmetries
    >>> symmetries("mirror")
    [Symmetry(mirrored=False, turns=0), Symmetry(mirrored=True, turns=0)]
    """
    return [
        Symmetry(mirrored, turns)
        for mirrored in ((False, True) if augment else (False,))
        for turns in (range(4) if augment == "rotations" else (0,))
    ]
