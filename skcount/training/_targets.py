"""Targets that a crop can ask for: made from points as they are needed, or cut from maps."""

import numpy as np


class PointTarget:
    """Density maps of points, computed for each crop when it is drawn.

    Parameters
    ----------
    points : PointAnnotations
        (row, col) in pixels, one array an image.
    shapes : sequence of (height, width)
        Size of each image, in pixels.
    density : DensityMapTransformer
        Makes the maps.
    """

    is_map = True

    def __init__(self, points, shapes, density):
        self.points = points
        self.shapes = shapes
        self.density = density

    @property
    def counts(self):
        """Number of points of each image, ndarray of shape (n_images,), float64."""
        return np.array([len(p) for p in self.points], dtype=np.float64)

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return PointTarget(self.points[indices], [self.shapes[i] for i in indices], self.density)

    def crop(self, index, window):
        """Compute a window (top, left, height, width) of the map of image `index`."""
        return self.density.make_map(self.points[index], self.shapes[index], window)

    def peak(self, weights):  # noqa: ARG002 - the same whatever the images weigh
        """Height of one object in the middle of the largest image, in objects per pixel."""
        height, width = max(self.shapes)
        row, col = height // 2, width // 2
        return float(self.density.make_map(np.array([[row, col]]), (height, width), (row, col, 1, 1)).item())


class MapTarget:
    """Density maps that the user made.

    Parameters
    ----------
    maps : sequence of ndarray of shape (height, width)
        Objects per pixel, one map an image.
    """

    is_map = True

    def __init__(self, maps):
        self.maps = maps

    @property
    def counts(self):
        """Sum of each map, ndarray of shape (n_images,), float64."""
        return np.array([np.sum(m, dtype=np.float64) for m in self.maps])

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return MapTarget([self.maps[i] for i in indices])

    def crop(self, index, window):
        """Cut a window (top, left, height, width) from the map of image `index`."""
        top, left, height, width = window
        return np.asarray(self.maps[index][top : top + height, left : left + width], dtype=np.float32)

    def peak(self, weights):  # noqa: ARG002 - a maximum, whatever the images weigh
        """Largest density of all maps; 1 where all are empty."""
        return max(float(np.max(m)) for m in self.maps) or 1.0


class CountTarget:
    """Counts alone: only the totals of whole images supervise.

    Parameters
    ----------
    counts : ndarray of shape (n_images,)
        Objects in each image.
    shapes : sequence of (height, width)
        Size of each image, in pixels.
    """

    is_map = False

    def __init__(self, counts, shapes):
        self.counts = counts
        self.shapes = shapes

    def take(self, indices):
        """Keep the images at `indices`, in that order."""
        return CountTarget(self.counts[indices], [self.shapes[i] for i in indices])

    def crop(self, index, window):  # noqa: ARG002 - a count belongs to the whole image
        """Return the count of image `index`."""
        return self.counts[index]

    def peak(self, weights):
        """Weighted mean density over all images; 1 where all are empty."""
        n_pixels = np.array([height * width for height, width in self.shapes])
        return float(np.sum(weights * self.counts) / np.sum(weights * n_pixels)) or 1.0
