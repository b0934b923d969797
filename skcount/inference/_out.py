"""Output arrays for density maps, in memory or on disk, which the user passes as `out`."""

import numpy as np


def check_out(out, sizes, X=None):
    """Return, for each image, the array that its map is written to; reject arrays of other sizes or without floats.

    `out` must not share memory with the images `X`, which are still read while maps are written.
    """
    if _share_memory(out, X):
        raise ValueError(
            "`out` must not share memory with `X`, which is read while maps are written. Pass another array."
        )
    is_stack = len(getattr(out, "shape", ())) == 3
    pages = [out] if is_stack else list(out) if isinstance(out, list | tuple) else [None]
    for page in pages:
        if not isinstance(getattr(page, "dtype", None), np.dtype) or not hasattr(page, "__setitem__"):
            raise ValueError(
                "`out` must be an array (n_images, height, width), or a list of arrays (height, width), whose slices can be "
                f"set; got a {type(out).__name__} of {type(page).__name__}."
            )
        if not np.issubdtype(page.dtype, np.floating):
            raise ValueError(
                f"`out` must hold floats, because a pixel contains a fraction of an object; got dtype {page.dtype}."
            )
        if isinstance(page, np.ndarray) and not page.flags.writeable:
            raise ValueError("`out` must be writeable; got a read-only array.")
    found = [tuple(out.shape[1:])] * out.shape[0] if is_stack else [tuple(page.shape) for page in pages]
    if found != [tuple(size) for size in sizes]:
        raise ValueError(
            f"`out` must have one map per image, of its size: {len(sizes)} of {_describe(sizes)} pixels; got {len(found)} "
            f"of {_describe(found)}."
        )
    return [_Page(out, index) for index in range(len(sizes))] if is_stack else pages


def _share_memory(out, X):
    """Return whether any array in memory is part of both."""
    first, second = (
        [
            page
            for page in (each if isinstance(each, list | tuple) else [each])
            if isinstance(page, np.ndarray)
        ]
        for each in (out, X)
    )
    return any(np.may_share_memory(one, other) for one in first for other in second)


class _Page:
    """One map of a stack, in memory or on disk."""

    def __init__(self, stack, index):
        self.stack = stack
        self.index = index

    def __getitem__(self, window):
        return self.stack[(self.index, *window)]

    def __setitem__(self, window, values):
        self.stack[(self.index, *window)] = values


def _describe(sizes):
    sizes = sorted({tuple(map(int, size)) for size in sizes})
    return ", ".join(" x ".join(map(str, size)) for size in sizes[:3]) + ", ..." * (len(sizes) > 3)
