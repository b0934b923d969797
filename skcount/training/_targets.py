"""Targets that a crop can ask for: made from points as they are needed, or cut from maps."""

from functools import cached_property

import numpy as np
from sklearn.base import clone


class PointTarget:
    """Density maps of points, computed for each crop when it is drawn.

    Parameters
    ----------
    points : PointAnnotations
        (row, col) in pixels, one array an image.
    images : Images
        The images, for their sizes, regions of interest and perspective.
    density : DensityMapTransformer
        Makes the maps.
    """

    is_map = True

    def __init__(self, points, images, density):
        self.points = points
        self.images = images
        self.density = density

    @property
    def counts(self):
        """Number of points of each image, in its region of interest if it has one: (n_images,), float64."""
        points = self.points if self.images.roi is None else self._counted
        return points.counts

    def inside(self):
        """Leave out the points that add nothing, outside their image or its region of interest."""
        return PointTarget(self._counted, self.images, self.density)

    @cached_property
    def _counted(self):
        # Of each image its region is read for this, which may be in a file.
        return self.points.inside(self.images.shapes, self.images.roi)

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return PointTarget(self.points[indices], self.images.take(indices), self.density)

    def arrays(self):
        """All that the maps are made of, for a digest."""
        return self.points.coordinates, np.asarray(self.points.lengths)

    def crop(self, index, window):
        """Compute a window (top, left, height, width) of the map of image `index`."""
        shape, belongings = self.images.shapes[index], self.images.belongings(index)
        return self.density.make_map(self.points[index], shape, window, **belongings)

    def masses(self, index, window, inside):
        """Points near a window, (row, col) in its pixels, and how much of each is on the pixels `inside`: (k, 3)."""
        shape, belongings = self.images.shapes[index], self.images.belongings(index)
        return self.density.point_masses(self.points[index], shape, window, inside, **belongings)

    def peak(self, weights):  # noqa: ARG002 - the same whatever the images weigh
        """Height of one object of middling size in the middle of the largest image, in objects per pixel."""
        height, width = max(self.images.shapes)
        row, col = height // 2, width // 2
        point, window = np.array([[row, col]]), (row, col, 1, 1)
        alone = clone(self.density).set_params(kernel="gaussian", sigma=self._middling_sigma())
        return float(alone.make_map(point, (height, width), window).item())

    def _middling_sigma(self, n_sample=100):
        """The median width of the kernels of some images; that of a lone object where there is none."""
        counted = self._counted
        sample = np.unique(np.linspace(0, len(counted) - 1, n_sample).round().astype(int))
        sigmas = [
            self.density.local_sigma(counted[i], self.images.shapes[i], **self.images.belongings(i))
            for i in sample
        ]
        return float(
            np.median(np.concatenate([*sigmas, [] if any(map(len, sigmas)) else [self.density.sigma]]))
        )


class MapTarget:
    """Density maps that the user made.

    Parameters
    ----------
    maps : sequence of ndarray of shape (height, width)
        Objects per pixel, one map an image.
    images : Images
        The images, for their regions of interest.
    """

    is_map = True

    def __init__(self, maps, images):
        self.maps = maps
        self.images = images

    @property
    def counts(self):
        """Sum of each map, in its region of interest if it has one, ndarray of shape (n_images,), float64."""
        roi = self.images.roi
        inside = (roi.read(i) if roi else True for i in range(len(self.maps)))
        return np.array(
            [np.sum(m, dtype=np.float64, where=r) for m, r in zip(self.maps, inside, strict=True)]
        )

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return MapTarget([self.maps[i] for i in indices], self.images.take(indices))

    def arrays(self):
        """The maps, for a digest."""
        return self.maps

    def crop(self, index, window):
        """Cut a window (top, left, height, width) from the map of image `index`."""
        top, left, height, width = window
        return np.asarray(self.maps[index][top : top + height, left : left + width], dtype=np.float32)

    def peak(self, weights):  # noqa: ARG002 - a maximum, whatever the images weigh
        """Largest density of all maps; 1 where all are as good as empty."""
        return _or_one(max(float(np.max(m)) for m in self.maps))


class CountTarget:
    """Counts alone: only the totals of whole images supervise.

    Parameters
    ----------
    counts : ndarray of shape (n_images,)
        Objects in each image, in its region of interest if it has one.
    images : Images
        The images, for their sizes and regions of interest.
    """

    is_map = False

    def __init__(self, counts, images):
        self.counts = counts
        self.images = images

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return CountTarget(self.counts[indices], self.images.take(indices))

    def arrays(self):
        """The counts, for a digest."""
        return (self.counts,)

    def crop(self, index, window):  # noqa: ARG002 - a count belongs to the whole image
        """Return the count of image `index`."""
        return self.counts[index]

    def peak(self, weights):
        """Weighted mean density over all images; 1 where all are as good as empty."""
        roi = self.images.roi
        n_pixels = np.array(
            [roi.read(i).sum() if roi else h * w for i, (h, w) in enumerate(self.images.shapes)]
        )
        return _or_one(float(np.sum(weights * self.counts) / np.sum(weights * n_pixels)))


def _or_one(peak, smallest=1e-12):
    """The height, or 1 where there is as good as nothing: a loss in units of so little would overflow."""
    return peak if peak > smallest else 1.0
