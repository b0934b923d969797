"""The factor by which an image is reduced so that its objects have the size that a network knows."""

import warnings

import numpy as np

from skcount._progress import track
from skcount.density import estimate_diameter
from skcount.images import ImageSet, OutOfDistributionWarning
from skcount.inference._predictor import Predictor
from skcount.points import PointAnnotations

# Factors that are tried first, and those that are tried one after the other if objects were found at none of them.
FIRST, MORE = (1, 2, 4), (0.5, 8, 0.25)
# Objects are looked for in a part of an image of at most so many pixels to each side, at its working size.
SIDE = 1024
# Steps from one factor to the next until the diameter of what is found no longer changes it.
STEPS = 6
# A map whose likeness to kernels is smaller than this is of an unfamiliar image: it has no clear peaks.
FAMILIAR = 0.77
# What a difference of one octave from the known diameter costs, or an unknown diameter, at factors far from 1 above all.
OCTAVE, UNKNOWN = 0.03, 0.03
# A map with less than half an object is empty.
EMPTY = 0.5


class FactorFinder:
    """Choose a factor for each image of a set, from the image alone.

    A network that counts at a factor also places points there, and the pixels around these tell the diameter of what it
    found. Where this is the diameter that it was trained on, the factor is right; elsewhere it shows the way. Of several
    such factors the one is chosen whose map is most like a sum of kernels at those points.

    Parameters
    ----------
    module : DensityNetwork
        The network.
    diameter : float
        The diameter of objects that it was trained on, in pixels of the working size.
    density : DensityMapTransformer
        Places points on maps of the working size, and makes such maps.
    progress : bool, default=False
        Whether to show a progress bar.
    """

    def __init__(self, module, diameter, density, progress=False):
        self.module, self.diameter, self.density, self.progress = module, diameter, density, progress
        self.predictors = {}

    def __call__(self, images):
        """Return the factor of each image, and warn of the first one in which the network finds no separate objects."""
        indices = track(range(len(images)), "sizes", len(images)) if self.progress else range(len(images))
        found = [self._find(images, index) for index in indices]
        strange = [index for index, (_, is_familiar) in enumerate(found) if not is_familiar]
        if strange:
            others = f"So are {len(strange) - 1} others. " if strange[1:] else ""
            warnings.warn(
                f"Image {strange[0]} of X is unlike the training images: what the model finds in it does not look like "
                f"separate objects, at any size. {others}Counts may be wrong. If there are such objects, pass their "
                "diameter in pixels.",
                OutOfDistributionWarning,
                stacklevel=2,
            )
        return [factor for factor, _ in found]

    def _find(self, images, index):
        """Return the factor of one image, and whether what was found looks like objects."""
        tried = {}

        def measure(factor):
            if factor not in tried:
                tried[factor] = self._measure(images, index, factor)
            return tried[factor]

        def quality(factor):
            _, likeness, relative = tried[factor]
            if relative is None:
                return likeness - UNKNOWN * (1 + abs(np.log2(factor)))
            return likeness - OCTAVE * abs(np.log2(relative))

        possible = {_follow(measure, factor) for factor in FIRST} - {None}
        for factor in MORE:
            if not possible:
                possible = {_follow(measure, factor)} - {None}
        if not possible:
            possible = {factor for factor, (count, *_) in tried.items() if count >= EMPTY}
        if not possible:
            return 1, True
        best = max(possible, key=quality)
        count, likeness, _ = tried[best]
        return best, likeness >= FAMILIAR or count < EMPTY

    def _measure(self, images, index, factor):
        """Return the count, the likeness of the map to kernels, and the relative diameter of what was found, or None."""
        if factor not in self.predictors:
            self.predictors[factor] = Predictor(self.module, factor=factor)
        part = _part(images, index, int(SIDE * factor))
        predictor = self.predictors[factor]
        working, density = predictor.working(part), next(predictor.maps(part, at_image_size=False))
        side_data = working.side_data(0)
        points = self.density.place_points(density, **side_data)
        kernels = self.density.make_map(points, density.shape)
        energy = float((kernels**2).sum())
        likeness = 1 - float(((density - kernels) ** 2).sum()) / energy if energy else 0.0
        diameter = estimate_diameter(working, PointAnnotations([points]))
        return float(density.sum(dtype=np.float64)), likeness, diameter and diameter / self.diameter


def nearest_factor(factor):
    """Return the whole number, 0.5 or 0.25 that is nearest to a factor, as a ratio."""
    candidates = np.array([0.25, 0.5, *range(1, max(1, int(factor)) + 2)])
    nearest = candidates[np.argmin(np.abs(np.log(candidates / factor)))]
    return int(nearest) if nearest >= 1 else float(nearest)


def _follow(measure, factor):
    """Return the factor at which objects have about the known diameter, starting from one; None if there are none."""
    path = {}
    for _ in range(STEPS):
        *_, relative = measure(factor)
        if relative is None:
            return None
        path[factor] = abs(np.log(relative))
        factor = nearest_factor(factor * relative)
        if factor in path:
            break
    return min(path, key=path.get)


def _part(images, index, side):
    """Return one image as a set, or the part of it that varies most, of at most `side` pixels to each side."""
    size = images.sizes[index]
    if max(size) <= side:
        return images.take([index])
    spans = [np.unique(np.linspace(0, max(0, length - side), 3).astype(int)) for length in size]
    windows = [(top, left, min(side, size[0]), min(side, size[1])) for top in spans[0] for left in spans[1]]
    pixels, roi = max(
        (_read(images, index, tuple(map(int, window))) for window in windows), key=lambda part: part[0].std()
    )
    return ImageSet([pixels.transpose(1, 2, 0)], roi=None if roi is None else [roi])


def _read(images, index, window):
    """Return the pixels (n_channels, height, width) of a window, and its region or None."""
    roi = images.side_data(index)["roi"]
    top, left, height, width = window
    return images.read(index, window), None if roi is None else roi[top : top + height, left : left + width]
