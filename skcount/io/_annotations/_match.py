"""Match annotations with images: by name, by size, and points with the size of their image."""

import unicodedata
import warnings
from collections import Counter
from itertools import product
from pathlib import PurePosixPath

import numpy as np

from skcount._check import check_sizes
from skcount.io._annotations._contents import ImagePoints
from skcount.io._annotations._label_studio import without_upload_prefix
from skcount.io._pictures import SUFFIXES
from skcount.points import PointAnnotations, is_on_image

_MANY_TWICE = 0.1  # of the points: more are no accident

# --- Names -------------------------------------------------------------------------------------------------


def pair_by_name(images, names, missing, extra, what):
    """Return the `ImagePoints` of each name. The file, `what`, may name images by a path or without suffix."""
    known = {}
    # Later ones win, because longer names are less ambiguous.
    for shorten in (_without_prefix, _without_suffix, _last_part, plain_name):
        short = [shorten(name) for name in names]
        counts = Counter(short)
        known |= {key: name for key, name in zip(short, names, strict=True) if counts[key] == 1}
    if any(plain_name(name) not in known for name in names):
        twice = next(name for name in names if plain_name(name) not in known)
        raise ValueError(f"`names` must be all different; got {twice!r} twice.")
    found, unknown = {}, []
    for image in images:
        keys = [shorten(image.name) for shorten in (plain_name, _last_part, _without_suffix, _without_prefix)]
        name = next((known[key] for key in keys if key in known), None)
        if name is None:
            unknown.append(image.name)
        elif name in found:
            raise ValueError(f"{what} has {name} twice, as {found[name].name!r} and {image.name!r}.")
        else:
            found[name] = image
    absent = [name for name in names if name not in found]
    refuse_unpaired(absent, unknown, missing, extra, what, len(names))
    empty = ImagePoints("", np.empty((0, 2)))
    return [found.get(name, empty)._replace(name=name) for name in names]


def refuse_unpaired(absent, unknown, missing, extra, what, n_images, hint=""):
    """Raise an error with all images without annotations (`absent`) and all annotations without image (`unknown`).

    If no name matches, they must be wrong, so `missing` and `extra` do not help.
    """
    if unknown and len(absent) == n_images:
        hint = hint or " Give both the same names."
        raise ValueError(
            f"No image matches {what}: the images are {_listed(absent, 3)}; the points are of {_listed(unknown, 3)}.{hint}"
        )
    problems = []
    if absent and missing == "raise":
        problems.append(f"no points for {_listed(absent)} (missing='empty': they have no objects)")
    if unknown and extra == "raise":
        problems.append(f"points but no image for {_listed(unknown)} (extra='ignore': leave them out)")
    if problems:
        raise ValueError(f"The images do not match {what}: {'; '.join(problems)}.")


def plain_name(name):
    """Return a name in one Unicode form: file systems and tools write accents as one character or as two."""
    return unicodedata.normalize("NFC", name)


def _last_part(name):
    return PurePosixPath(plain_name(name).replace("\\", "/")).name


def _without_suffix(name):
    path = PurePosixPath(_last_part(name))
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def _without_prefix(name):
    return without_upload_prefix(_without_suffix(name))


def _listed(names, n_shown=10):
    more = f" and {len(names) - n_shown} more" if len(names) > n_shown else ""
    return f"{len(names)} image{'s' * (len(names) > 1)}: {', '.join(names[:n_shown])}{more}"


# --- Sizes -------------------------------------------------------------------------------------------------


def check_shapes(images, image_shape, what):
    """Return the size of each image, None if not known; reject sizes that differ from those in the file, `what`."""
    if image_shape is None:
        return [image.shape for image in images]
    shapes = check_sizes(image_shape, len(images))
    for image, shape in zip(images, shapes, strict=True):
        if image.shape not in {None, shape}:
            raise ValueError(
                f"{image.name} must have {image.shape[0]} x {image.shape[1]} pixels, the size in {what}; got {shape[0]} x "
                f"{shape[1]}. Use the image that was annotated, or resize the points too."
            )
    return shapes


# --- Points ------------------------------------------------------------------------------------------------


def check_inside(images, shapes, outside, what, order, origin):
    """Reject or warn about points outside their image; without a size, only points above or left of it are found.

    `order` and `origin` say how the points were read, so that the message can suggest another way.
    """
    points = PointAnnotations([image.points for image in images])
    limits = np.array([shape or (np.inf, np.inf) for shape in shapes], dtype=np.float64).reshape(-1, 2)
    indices = np.flatnonzero(~is_on_image(points, limits))
    if outside == "ignore" or not len(indices):
        return
    owners = np.repeat(np.arange(len(points)), points.lengths)[indices]
    shown = "; ".join(
        f"{images[i].name}{f' of {shapes[i][0]} x {shapes[i][1]} pixels' if shapes[i] else ''}: row {row:g}, col {col:g}"
        for i, (row, col) in zip(owners[:3], points.coordinates[indices[:3]], strict=True)
    )
    more = f" and {len(indices) - 3} more" if len(indices) > 3 else ""
    message = (
        f"{len(indices)} of {len(points.coordinates)} points of {what} are outside their image: {shown}{more}."
        f"{'' if order is None else _hint(points, limits, order, origin)} Use outside='warn' to keep them unchanged."
    )
    if outside == "raise":
        raise ValueError(message)
    warnings.warn(message, UserWarning, stacklevel=5)  # past scikit-learn's validation of the public function


def _hint(points, limits, order, origin):
    """Describe the simplest other way of reading the file that puts all points inside, if there is one."""
    for swap, other in product([False, True], dict.fromkeys([origin, 1, 0, 0.5])):
        coordinates = points.coordinates[:, :: -1 if swap else 1] + (origin - other)
        if is_on_image(PointAnnotations.from_flat(coordinates, points.lengths), limits).all():
            arguments = [f"order={'rc' if order == 'xy' else 'xy'!r}"] if swap else []
            arguments += [f"origin={other}"] if other != origin else []
            swapped = "with rows and columns swapped, " if swap else ""
            return f" All would be inside {swapped}if read with {', '.join(arguments)}."
    return " The image may have had another size, or the file may use a unit other than pixels; if so, use `scale`."


def check_duplicates(images, duplicates, what):
    """Return the images with or without points that coincide with another one; reject many of them."""
    unique = [np.unique(image.points, axis=0, return_index=True)[1] for image in images]
    n_points = sum(len(image.points) for image in images)
    n_twice = n_points - sum(map(len, unique))
    if duplicates == "drop":
        return [
            image._replace(points=image.points[np.sort(kept)])
            for image, kept in zip(images, unique, strict=True)
        ]
    if n_twice and duplicates is None:
        message = (
            f"{n_twice} of {n_points} points of {what} lie exactly on another point of their image. Pass duplicates='drop' "
            "to count each place once, or duplicates='keep' if they are different objects."
        )
        if n_twice >= max(2, _MANY_TWICE * n_points):
            raise ValueError(message)
        warnings.warn(message, UserWarning, stacklevel=5)
    return images
