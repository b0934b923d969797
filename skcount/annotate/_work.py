"""Train and predict in a process of its own, while dots are set."""

import os
import warnings
from threading import Thread
from time import sleep

import numpy as np

from skcount.images import ImageSet
from skcount.points import PointAnnotations, polygon_mask


def follow(parent):
    """End this process soon after its parent, which may be killed."""

    def watch():
        while os.getppid() == parent:
            sleep(1)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def region_mask(size, regions, whole):
    """Return where a picture was marked: all of it if it is done, else its regions to count; without those to ignore."""
    mask = np.full(size, whole)
    for use, corners in regions:
        if use == "count" and not whole:
            mask |= polygon_mask(corners, size)
    for use, corners in regions:
        if use == "ignore":
            mask &= ~polygon_mask(corners, size)
    return mask


def train(images, marked, weights, diameter, out):
    """Fit on the marked pictures, (number, points, regions, whole) each, save the model, and return what to tell."""
    from skcount import DensityMapRegressor

    numbers = [number for number, *_ in marked]
    points = PointAnnotations([np.reshape(dots, (-1, 2)) for _, dots, *_ in marked])
    chosen, masks = images.take(numbers), []
    for position, (number, _, regions, whole) in enumerate(marked):
        mask, own = region_mask(images.sizes[number], regions, whole), chosen.side_data(position)["roi"]
        masks.append(mask if own is None else mask & own)
    chosen = ImageSet(chosen, roi=None if all(mask.all() for mask in masks) else masks)
    points = points.inside(chosen)
    regressor = DensityMapRegressor(weights=weights, diameter=diameter, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        regressor.fit(chosen, points)
    regressor.save(out)
    return {
        "diameter": regressor.diameter_,
        "n_pictures": len(numbers),
        "n_dots": int(points.counts.sum()),
        "trained_on": numbers,
        "warnings": [str(warning.message) for warning in caught],
    }


def predict(images, model, numbers, with_points=False):
    """Return the predicted count of each picture, and its points and density if they are wanted."""
    from skcount import load, load_pretrained

    regressor = load_pretrained(model) if model == "nuclei" else load(model)
    counts, places, maps = {}, {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for number in numbers:
            one = images.take([number])
            if with_points:
                maps[number] = np.asarray(regressor.predict_density(one)[0], dtype=np.float32)
                counts[number] = float(maps[number].sum(dtype=np.float64))
                places[number] = np.asarray(regressor.predict_points(one)[0]).tolist()
            else:
                counts[number] = float(regressor.predict(one)[0])
    return counts, places, maps
