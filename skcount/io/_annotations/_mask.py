"""Format "mask": a label mask, in which each object is an area of its own value. One point inside each object.

Areas of the same value that do not touch are separate objects, and so are areas of different values that touch. If few
values have many areas each, they may be classes, and those that count are chosen by `labels`.
"""

import numpy as np

from skcount.io._annotations._areas import find_areas
from skcount.io._annotations._contents import Contents, Format
from skcount.io._pictures import SUFFIXES, read_channels


def read_mask(pixels, channel=None):
    """Return a point for each object; 0 is the background."""
    labels = _choose_channel(pixels, channel)
    if not np.isfinite(labels).all() or (labels < 0).any() or (labels % 1 != 0).any():
        raise ValueError("labels must be whole numbers from 0, the background; got other values.")
    points, _, values = find_areas(labels)
    texts = [f"{value:g}" for value in values.tolist()]
    return Contents(
        points,
        [(None, labels.shape)],
        labels=texts,
        known_labels=texts,
        label_field="value",
        has_identifiers=len(texts) <= 2 * len(set(texts)),
    )


def _choose_channel(pixels, channel):
    """Return the channel of a picture that holds the labels."""
    if pixels.ndim == 2:
        if channel:
            raise ValueError(f"`channel` must be 0 for a picture with one channel; got {channel}.")
        return pixels
    n_channels = pixels.shape[2]
    if channel is not None:
        if channel >= n_channels:
            raise ValueError(f"`channel` must be from 0 to {n_channels - 1}; got {channel}.")
        return pixels[:, :, channel]
    varying = [i for i in range(n_channels) if (pixels[:, :, i] != pixels[0, 0, i]).any()]
    same = all((pixels[:, :, i] == pixels[:, :, varying[0]]).all() for i in varying)
    if not same:
        raise ValueError(
            f"a mask must have one channel, with a number for each object; got {n_channels} channels, of which "
            f"{', '.join(map(str, varying))} differ. Pass the one with the labels, such as channel={varying[0]}."
        )
    return pixels[:, :, varying[0] if varying else 0]


MASK = Format(
    "mask", SUFFIXES, read_channels, read_mask, None, None, ("channel", "labels"), signs="one area per object"
)
