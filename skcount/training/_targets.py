"""Training targets: density maps made from points or by the user, or counts alone."""

from functools import cached_property

import numpy as np
from sklearn.base import clone

from skcount._check import side_map
from skcount.images import scale_density, scale_points
from skcount.points import PointAnnotations


class PointTarget:
    """Density maps of points, computed for each crop when it is drawn.

    Parameters
    ----------
    points : PointAnnotations
        The points that count: inside their image and its region of interest.
    images : ImageSet
        The images, for their sizes and side data.
    density : DensityMapTransformer
        Makes the maps.
    """

    is_map = True

    def __init__(self, points, images, density):
        self.points = points
        self.counts = points.lengths.astype(np.float64)
        self.arrays_of_points = list(points)
        self.images = images
        self.density = density

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return PointTarget(self.points[indices], self.images.take(indices), self.density)

    def scaled(self, images, factor, density):
        """Return the target of the same images at their working size."""
        coordinates = scale_points(self.points.coordinates, factor)
        points = PointAnnotations.from_flat(coordinates, self.points.lengths)
        return PointTarget(points, images, scaled_density(density, factor))

    def arrays(self):
        """Return all that the maps are computed from; its digest tells whether they changed."""
        return self.points.coordinates, np.asarray(self.points.lengths)

    def placed(self, index, zoom=None):
        """Return the points of image `index` and its size, in pixels of the image or of a view of it."""
        points = self.arrays_of_points[index]
        return (points, self.images.sizes[index]) if zoom is None else (zoom.points(points), zoom.size)

    def crop(self, index, window, side_data, zoom=None):
        """Compute a window (top, left, height, width) of the map of image `index`, or of a view of it."""
        return self.density.make_map(*self.placed(index, zoom), window, **side_data)

    def masses(self, index, window, side_data, inside, zoom=None):
        """Return the points near a window, (row, col) in its pixels, and the mass of each on the pixels `inside`."""
        return self.density.point_masses(*self.placed(index, zoom), window, inside, **side_data)

    def unit(self, weights):  # noqa: ARG002 - the same for all weights
        """Return the height of one object of median size in the middle of the largest image, in objects per pixel."""
        height, width = max(self.images.sizes)
        row, col = height // 2, width // 2
        point, window = np.array([[row, col]]), (row, col, 1, 1)
        is_constant = self.density.kernel == "gaussian" and self.images.perspective is None
        sigma = self.density.sigma if is_constant else self._median_sigma()
        alone = clone(self.density).set_params(kernel="gaussian", sigma=sigma)
        return float(alone.make_map(point, (height, width), window).item())

    def _median_sigma(self, n_sample=100):
        """Return the median sigma of the kernels of some images, or that of a single object if there are no points."""
        sigmas = []
        for i in np.unique(np.linspace(0, len(self.points) - 1, n_sample).round().astype(int)):
            size, perspective = self.images.sizes[i], self.images.side_data(i)["perspective"]
            sigmas.extend(self.density.local_sigma(self.points[i], size, perspective))
        return float(np.median(sigmas or [self.density.sigma]))


class MapTarget:
    """Density maps that the user made: arrays (height, width), one per image of an ImageSet."""

    is_map = True

    def __init__(self, maps, images):
        self.maps = maps
        self.images = images

    @cached_property
    def counts(self):
        """Sum of each map inside its region of interest, (n_images,), float64."""
        inside = (
            True if self.images.roi is None else side_map(self.images.roi, i) for i in range(len(self.maps))
        )
        return np.array(
            [np.sum(m, dtype=np.float64, where=r) for m, r in zip(self.maps, inside, strict=True)]
        )

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return MapTarget([self.maps[i] for i in indices], self.images.take(indices))

    def scaled(self, images, factor, density):  # noqa: ARG002 - a map has been made with it
        """Return the target of the same images at their working size."""
        maps = [
            scale_density(density, factor, self.images.side_data(index)["roi"])
            for index, density in enumerate(self.maps)
        ]
        return MapTarget(maps, images)

    def arrays(self):
        """Return the maps, for a digest."""
        return self.maps

    def crop(self, index, window, side_data, zoom=None):  # noqa: ARG002 - a map has been made with the side data, and is not zoomed
        """Cut a window (top, left, height, width) from the map of image `index`."""
        top, left, height, width = window
        return np.asarray(self.maps[index][top : top + height, left : left + width], dtype=np.float32)

    def unit(self, weights):  # noqa: ARG002 - the maximum is the same for all weights
        """Return the largest density of all maps, or 1 if all are practically empty."""
        return _or_one(max(float(np.max(m)) for m in self.maps))


class CountTarget:
    """Only counts, (n_images,), inside the region of interest if there is one; training uses whole images."""

    is_map = False

    def __init__(self, counts, images):
        self.counts = counts
        self.images = images

    def take(self, indices):
        """Select the images at `indices`, in that order."""
        return CountTarget(self.counts[indices], self.images.take(indices))

    def scaled(self, images, factor, density):  # noqa: ARG002 - counts do not change
        """Return the target of the same images at their working size."""
        return CountTarget(self.counts, images)

    def arrays(self):
        """Return the counts, for a digest."""
        return (self.counts,)

    def crop(self, index, window, side_data, zoom=None):  # noqa: ARG002 - a count belongs to the whole image
        """Return the count of image `index`."""
        return self.counts[index]

    def unit(self, weights):
        """Return the weighted mean density over all images, or 1 if all are practically empty."""
        roi = self.images.roi
        n_pixels = np.array(
            [h * w if roi is None else side_map(roi, i).sum() for i, (h, w) in enumerate(self.images.sizes)]
        )
        return _or_one(float(np.sum(weights * self.counts) / np.sum(weights * n_pixels)))


def scaled_density(density, factor):
    """Return a transformer for images at a working size, whose sigma is in pixels of that size."""
    return clone(density).set_params(sigma=density.sigma / factor)


def _or_one(unit, smallest=1e-12):
    """Return the unit, or 1 if it is almost 0, because a loss in such small units would overflow."""
    return unit if unit > smallest else 1.0
