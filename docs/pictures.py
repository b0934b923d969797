"""Draw the pictures of the landing page and of the tutorial into docs/_static: `python docs/pictures.py`, seven minutes.

Everything is simulated, and every density map is predicted by a network that was trained on other images of its kind.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from skcount import DensityMapRegressor, DensityMapTransformer, PointAnnotations
from skcount.datasets import make_cells
from skcount.plotting import AnnotationDisplay, DensityMapDisplay
from skcount.training import Session

mpl.use("agg")
STATIC = Path(__file__).parent / "_static"
SIDE, N_TRAINING, MINUTES = 128, 24, 2
ROWS, COLS = np.mgrid[:SIDE, :SIDE]


def ellipse(row, col, length, width, angle):
    """Return a soft-edged ellipse, 1 inside."""
    along = (COLS - col) * np.cos(angle) + (ROWS - row) * np.sin(angle)
    across = (ROWS - row) * np.cos(angle) - (COLS - col) * np.sin(angle)
    return expit(12 * (1 - np.hypot(along / length, across / width)))


def paint(image, mask, colour):
    """Cover a part of an image with a colour."""
    image += mask[..., None] * (np.asarray(colour) - image)


def texture(rng, colour, contrast, grain):
    """Return an image of one colour with a grain."""
    noise = gaussian_filter(rng.standard_normal((SIDE, SIDE)), grain)
    return np.asarray(colour) * (1 + contrast * noise / noise.std())[..., None]


def draw_plants(rng):
    """Return an image of seedlings from above, and their positions."""
    image = texture(rng, (0.42, 0.31, 0.22), 0.12, 1.5)
    points = rng.uniform(4, SIDE - 5, (rng.integers(8, 45), 2))
    for row, col in points:
        turn, n_leaves, size = rng.uniform(0, np.pi), rng.integers(3, 7), rng.uniform(5, 8)
        for angle in turn + 2 * np.pi * np.arange(n_leaves) / n_leaves:
            away = size * 0.6 * np.sin(angle), size * 0.6 * np.cos(angle)
            green = np.array([0.2, 0.55, 0.18]) * rng.uniform(0.7, 1.3)
            paint(
                image,
                ellipse(row + away[0] + 1.5, col + away[1] + 1.5, size * 0.6, size * 0.25, angle),
                (0.15, 0.1, 0.08),
            )
            paint(image, ellipse(row + away[0], col + away[1], size * 0.6, size * 0.25, angle), green)
    return image, points


def draw_crowd(rng):
    """Return an image of people on a square from above, and the positions of their heads."""
    image = texture(rng, (0.6, 0.58, 0.55), 0.05, 3)
    points = rng.uniform(3, SIDE - 4, (rng.integers(20, 110), 2))
    for row, col in points[np.argsort(points[:, 0])]:
        angle, coat, hair = (
            rng.uniform(0, np.pi),
            rng.uniform(0.1, 0.9, 3),
            rng.uniform(0.05, 0.5) * np.array([1, 0.8, 0.6]),
        )
        paint(image, 0.5 * ellipse(row + 2.5, col + 3, 5.5, 3, angle), (0.2, 0.2, 0.22))
        paint(image, ellipse(row, col, 5.5, 3, angle), coat)
        paint(image, ellipse(row, col, 2.2, 2.2, 0), hair)
    return image, points


def make(draw, n_images, seed):
    """Return images and points of a kind."""
    rng = np.random.default_rng(seed)
    drawn = [draw(rng) for _ in range(n_images)]
    images = np.stack([image + 0.02 * rng.standard_normal(image.shape) for image, _ in drawn])
    return (np.clip(images, 0, 1) * 255).astype(np.uint8), PointAnnotations([points for _, points in drawn])


def count(name, X, points):
    """Train on all images but the last, draw the last one with and without its density map, and return the regressor."""
    regressor = DensityMapRegressor(random_state=0, verbose=1, callbacks=[Session(MINUTES)]).fit(
        X[:-1], points[:-1]
    )
    figure = Figure((6, 3.25), layout="constrained")
    axes = figure.subplots(1, 2)
    axes[0].imshow(X[-1])
    axes[0].set_axis_off()
    axes[0].set_title(name)
    DensityMapDisplay.from_estimator(regressor, X[-1], ax=axes[1])
    axes[1].set_title(f"{axes[1].get_title()}, true {len(points[-1])}")
    save(figure, f"landing_{name}")
    return regressor


def save(figure, name):
    """Write a figure."""
    figure.savefig(STATIC / f"{name}.png", dpi=110)


def main():
    """Draw all pictures."""
    X, points = make_cells(N_TRAINING + 1, image_shape=(SIDE, SIDE), random_state=0, return_X_y=True)
    regressor = count("cells", X, points)
    count("plants", *make(draw_plants, N_TRAINING + 1, 0))
    count("crowd", *make(draw_crowd, N_TRAINING + 1, 0))

    figure = Figure((7, 3.9), layout="constrained")
    swapped = PointAnnotations([points[0][:, ::-1]])
    named = {"right": points[:1], "rows and columns swapped": swapped}
    for half, (name, dots) in zip(figure.subfigures(1, 2), named.items(), strict=True):
        AnnotationDisplay.from_points(X[:1], dots, [name], figure=half)
    save(figure, "tutorial_swapped")

    figure = Figure((7, 3.9), layout="constrained")
    for ax, factor in zip(figure.subplots(1, 2), (1, 6), strict=True):
        diameter = regressor.diameter_ * factor
        density = DensityMapTransformer(sigma=diameter / 5).transform(points[:1], image_shape=(SIDE, SIDE))[0]
        DensityMapDisplay.from_predictions(X[0], density, ax=ax)
        ax.set_title(f"diameter {diameter:.0f} pixels")
    save(figure, "tutorial_diameter")

    figure = Figure((7, 3.9), layout="constrained")
    axes = figure.subplots(1, 2)
    dirty = X[-1].astype(float)
    for row, col, length, width, angle in (
        (30, 90, 34, 2.5, 0.5),
        (96, 40, 24, 2, 2.2),
        (100, 100, 11, 11, 0),
    ):
        paint(dirty, ellipse(row, col, length, width, angle), (120, 130, 200))
    dirty = dirty.clip(0, 255).astype(np.uint8)
    axes[0].imshow(dirty)
    axes[0].set_axis_off()
    axes[0].set_title(f"scratches and a bubble, {len(points[-1])} cells")
    DensityMapDisplay.from_estimator(regressor, dirty, ax=axes[1], predicted_points=True)
    save(figure, "tutorial_overlay")


if __name__ == "__main__":
    main()
