"""Image names against image names: which annotations belong to which image, and what has no partner."""

from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from skcount.io._annotations._contents import ImagePoints
from skcount.io._pictures import SUFFIXES

__all__ = ["pair_by_name", "refuse_unpaired"]


def pair_by_name(images, names, missing, extra, what):
    """Put the points of a file in the order of image names.

    Parameters
    ----------
    images : list of ImagePoints
        What the file tells of.
    names : list of str
        The images wanted. The file may call them by a path or without suffix.
    missing, extra : str
        See :func:`refuse_unpaired`.
    what : str
        Where the points are from, for messages.

    Returns
    -------
    list of ImagePoints
        One a name.

    Raises
    ------
    ValueError
        If something has no partner, or two are of one name.
    """
    known = {}
    for shorten in (_without_suffix, _last_part, str):  # what is longer tells more
        short = [shorten(name) for name in names]
        counts = Counter(short)
        known |= {key: name for key, name in zip(short, names, strict=True) if counts[key] == 1}
    if any(name not in known for name in names):
        twice = next(name for name in names if name not in known)
        raise ValueError(f"Two images are called {twice}; expected names that tell them apart.")
    found, unknown = {}, []
    for image in images:
        name = next((known[key] for key in _keys(image.name) if key in known), None)
        if name is None:
            unknown.append(image.name)
        elif name in found:
            raise ValueError(
                f"{name} stands in {what} twice, as {found[name].name!r} and {image.name!r}; expected once."
            )
        else:
            found[name] = image
    refuse_unpaired([name for name in names if name not in found], unknown, missing, extra, what)
    none = ImagePoints("", np.empty((0, 2)))
    return [replace(found.get(name, none), name=name) for name in names]


def refuse_unpaired(absent, unknown, missing, extra, what):
    """Say at once which images have no annotations, and which annotations no image.

    Parameters
    ----------
    absent, unknown : list of str
        The images, and the annotations.
    missing : {"raise", "empty"}
        Whether images without annotations are an error, or have no points.
    extra : {"raise", "ignore"}
        Whether annotations without an image are an error, or left out.
    what : str
        Where the annotations are from.

    Raises
    ------
    ValueError
        If there are such, and they are an error.
    """
    problems = []
    if absent and missing == "raise":
        problems.append(f"no points for {_listed(absent)} (missing='empty': they hold no object)")
    if unknown and extra == "raise":
        problems.append(f"points, and no image, for {_listed(unknown)} (extra='ignore': leave them out)")
    if problems:
        raise ValueError(f"The images do not match {what}: {'; '.join(problems)}.")


def _keys(name):
    return name, _last_part(name), _without_suffix(name)


def _last_part(name):
    return PurePosixPath(name.replace("\\", "/")).name


def _without_suffix(name):
    path = PurePosixPath(_last_part(name))
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _listed(names):
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{len(names)} image{'s' * (len(names) > 1)}: {', '.join(names[:10])}{more}"
