"""Draw pictures of objects whose looks are drawn at random, for benchmarks/pretrain.py.

``python benchmarks/looks.py looks.png`` shows some of each kind. A kind is a function (rng, diameter) -> (picture, points):
uint8 of shape (side, side[, 3]), and (row, col) of every object in it; `diameter` is the median width of the objects.
Nothing is copied from a photo: all looks are sums of ellipses and filtered noise.
"""

import argparse

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import KDTree

from skcount.datasets import make_cells

SIDE = 176
HARMONICS = np.arange(2, 6)


def draw_fluorescent(rng, diameter):
    """Draw light nuclei on a dark background: from dim to saturated, smooth to mottled, scattered to touching."""
    objects = Objects(rng, diameter)
    light = rng.uniform(0, 0.3) * np.exp(rng.uniform(0, 0.6) * noise(rng, rng.uniform(20, 80)))
    light += rng.uniform(0, 0.04) * noise(rng, rng.uniform(2, 12))
    spread, mottles = rng.uniform(0, 0.8), rng.uniform(0, 0.4) * noise(rng, rng.uniform(0.05, 0.2) * diameter)
    rim, adds = rng.uniform(-0.4, 0.4), rng.random() < 0.5
    for shape in objects.shapes:
        level = np.exp(spread * rng.normal())
        part = light[shape.window]
        stain = (
            level
            * shape.mask
            * (1 + rim * (shape.depth - 0.5))
            * np.clip(1 + mottles[shape.window], 0.1, None)
        )
        part[...] = part + stain if adds else np.maximum(part, stain + part * (1 - shape.mask))
    if rng.random() < 0.5:  # debris, which is not counted
        add_specks(rng, light, diameter, rng.integers(1, 12), rng.uniform(0.5, 4))
    if rng.random() < 0.4:  # nuclei far out of focus
        add_haze(rng, light, diameter, rng.integers(1, 8), rng.uniform(0.1, 0.5))
    light = gaussian_filter(light, diameter / 16 * rng.uniform(0, 2.2))
    light = light + rng.uniform(0, 0.12) * np.sqrt(np.abs(light) + 0.1) * noise(rng, rng.uniform(0, 0.8))
    light = np.clip(light / np.percentile(light, rng.uniform(95, 100)), 0, None) * rng.uniform(0.2, 1.2)
    if rng.random() < 0.15:
        light = rng.uniform(0.8, 1.0) - light
    return tint(rng, light), objects.points


def draw_stained(rng, diameter):
    """Draw dark nuclei on a light background: stains that absorb, cells around nuclei, tissue, fibres, pale middles."""
    objects = Objects(rng, diameter)
    tissue = np.zeros((SIDE, SIDE))
    if rng.random() < 0.7:
        tissue += rng.uniform(0, 0.5) * np.clip(0.5 + noise(rng, rng.uniform(8, 40)), 0, None)
    if rng.random() < 0.5:
        fibres = gaussian_filter(
            rng.standard_normal(tissue.shape), rng.permutation([rng.uniform(0.7, 2), rng.uniform(6, 20)])
        )
        tissue += rng.uniform(0, 0.25) * np.abs(fibres / fibres.std())
    nuclei, is_pale = np.zeros((SIDE, SIDE)), rng.random()
    mottles = rng.uniform(0.05, 0.5) * noise(rng, rng.uniform(0.04, 0.15) * diameter)
    spread, cell = rng.uniform(0.05, 0.45), rng.uniform(0, 0.5) * (rng.random() < 0.6)
    for shape in objects.shapes:
        level = np.exp(spread * rng.normal())
        if rng.random() < is_pale:  # a rim and spots around a pale middle
            level = level * (0.35 + rng.uniform(0.3, 0.8) * (1 - shape.depth) ** 2)
        part = nuclei[shape.window]
        part[...] = np.maximum(part, shape.mask * level * np.clip(1 + mottles[shape.window], 0.1, None))
        if cell:
            around = tissue[shape.window]
            around[...] = np.maximum(around, cell * shape.around)
    if rng.random() < 0.4:  # blood cells and the like, which are not counted
        others = Objects(rng, diameter * rng.uniform(0.6, 1.5), n_objects=rng.integers(1, 15))
        for shape in others.shapes:
            tissue[shape.window] += rng.uniform(0.1, 0.5) * shape.mask
    blur = diameter / 16 * rng.uniform(0.2, 1.6)
    stain = np.abs(np.array([0.65, 0.7, 0.29]) + rng.normal(0, 0.12, 3))
    counterstain = np.abs(np.array([0.1, 0.8, 0.2]) + rng.normal(0, 0.15, 3)) * rng.uniform(0.2, 1)
    absorbed = gaussian_filter(nuclei, blur)[..., None] * stain * rng.uniform(0.5, 2.2)
    absorbed += gaussian_filter(tissue, blur)[..., None] * counterstain
    light = rng.uniform(0.75, 1) * np.exp(-absorbed) * (1 + 0.05 * noise(rng, 40))[..., None]
    light += rng.uniform(0, 0.04) * noise(rng, rng.uniform(0, 0.8))[..., None]
    return as_uint8(light if rng.random() < 0.85 else light.mean(axis=-1)), objects.points


def draw_nothing(rng, diameter):
    """Draw a picture without any object: one grey, noise, gradients, textures or patches with edges."""
    kind = rng.integers(7)
    light = np.full((SIDE, SIDE), rng.uniform(0, 1))
    if kind >= 1:
        light = light + rng.uniform(0.005, 0.3) * noise(rng, rng.choice([0, 0, 0.5, 1, 2, 4]))
    if kind == 6:  # noise of an image that was enlarged
        times = rng.choice([2, 4])
        light = light + rng.uniform(0.02, 0.3) * noise(rng, rng.choice([0, 0, 1]))[
            : SIDE // times, : SIDE // times
        ].repeat(times, axis=0).repeat(times, axis=1)
    if 2 <= kind < 6:
        rows, cols = np.mgrid[:SIDE, :SIDE] / SIDE
        light = light + rng.normal(0, 0.4) * rows + rng.normal(0, 0.4) * cols
    if kind == 3:  # noise of all scales, as in clouds, ground or water
        for scale in (1, 2, 4, 8, 16, 32):
            light = light + rng.uniform(0, 0.2) * (scale / 32) ** 0.5 * noise(rng, scale)
    if kind == 4:
        for _ in range(rng.integers(3, 25)):
            light = np.where(
                np.einsum(
                    "i,ijk->jk", rng.normal(size=2), np.mgrid[:SIDE, :SIDE] - rng.uniform(0, SIDE, (2, 1, 1))
                )
                > 0,
                light + rng.normal(0, 0.15),
                light,
            )
        light = gaussian_filter(light, rng.uniform(0.3, 1.5))
    if kind == 5:  # stripes and fibres
        fibres = gaussian_filter(
            rng.standard_normal(light.shape), rng.permutation([rng.uniform(0.7, 3), rng.uniform(8, 30)])
        )
        light = light + rng.uniform(0.1, 0.4) * fibres / fibres.std()
        add_specks(rng, light, diameter, rng.integers(0, 5), rng.uniform(-1, 1))
    return tint(rng, light), np.empty((0, 2))


def draw_overlapping(rng, diameter):
    """Draw the cells of `make_cells`, which may hide each other."""
    return draw_published(rng, diameter, overlap=1.0)


def draw_published(rng, diameter, overlap=0.8):
    """Draw the cells of `make_cells`."""
    made = make_cells(
        1,
        image_shape=(SIDE, SIDE),
        n_cells=(0, int(0.6 * (SIDE / diameter) ** 2)),
        radius=diameter / 2,
        irregularity=rng.uniform(0, 0.15),
        texture=rng.uniform(0, 0.6),
        brightness=tuple(np.sort(rng.uniform(30, 220, 2))),
        overlap=rng.uniform(0.4, overlap),
        cluster_probability=rng.uniform(0, 0.8),
        blur=tuple(np.sort(rng.uniform(0.5, 0.25 * diameter, 2))),
        background=rng.uniform(0, 120),
        noise=rng.uniform(0, 10),
        random_state=int(rng.integers(2**31)),
    )
    return made.images[0], made.points[0]


def draw_spots(rng, diameter):
    """Draw Gaussian spots on any background, light or dark."""
    objects = Objects(rng, diameter)
    light = background(rng)
    sign = rng.choice([-1, 1]) * rng.uniform(0.15, 0.6)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    for row, col in objects.points:
        width = diameter / 2.4 * np.exp(0.15 * rng.normal())
        light += (
            sign
            * np.exp(0.3 * rng.normal())
            * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / (2 * (width / 1.5) ** 2))
        )
    return tint(rng, light + rng.uniform(0, 0.05) * noise(rng, 0)), objects.points


def draw_seeds(rng, diameter):
    """Draw seeds or grains of one or several colours with a shadow and a shine, on ground with texture."""
    objects = Objects(rng, diameter, aspect=rng.uniform(1, 2.5))
    image = np.repeat(background(rng)[..., None], 3, axis=-1) * rng.uniform(0.6, 1.3, 3)
    colors = rng.uniform(0.05, 1, (rng.integers(1, 5), 3))
    shadow = rng.uniform(-0.25, 0.25, 2) * diameter
    mottles = rng.uniform(0, 0.3) * noise(rng, rng.uniform(0.05, 0.3) * diameter)
    for shape in objects.shapes:
        shade(image, shape, shadow, rng.uniform(0.2, 0.7))
        color = colors[rng.integers(len(colors))] * np.exp(0.15 * rng.normal())
        body = color * (0.75 + 0.5 * shape.depth * rng.uniform(0, 1) + mottles[shape.window])[..., None]
        blend(image, shape.window, shape.mask, body)
    return finish(rng, image, diameter), objects.points


def draw_plants(rng, diameter):
    """Draw rosettes of leaves on ground."""
    objects = Objects(rng, diameter, least_distance=rng.uniform(0.7, 1.1))
    image = np.repeat(background(rng)[..., None], 3, axis=-1) * rng.uniform(0.5, 1, 3)
    green = np.array([0.3, 0.6, 0.25]) * rng.uniform(0.5, 1.5, 3)
    for row, col in objects.points:
        size, n_leaves = 0.5 * diameter * np.exp(0.2 * rng.normal()), rng.integers(2, 8)
        for angle in rng.uniform(0, np.pi) + 2 * np.pi * np.arange(n_leaves) / n_leaves:
            middle = row + 0.5 * size * np.sin(angle), col + 0.5 * size * np.cos(angle)
            leaf = Shape(rng, middle, size * 0.6, rng.uniform(1.5, 3), 0.03, angle)
            shade(image, leaf, (1, 1), 0.3)
            blend(image, leaf.window, leaf.mask, green * np.exp(0.2 * rng.normal()))
    return finish(rng, image, diameter), objects.points


def draw_crowd(rng, diameter):
    """Draw people, of whom a head and part of the body are seen, larger towards the bottom and in front of each other."""
    image = np.repeat(background(rng)[..., None], 3, axis=-1) * rng.uniform(0.7, 1.2, 3)
    growth, length, lean = rng.uniform(1, 2.2), rng.uniform(0.5, 3), rng.uniform(0, 0.3)
    n_people = rng.integers(0, int(0.35 * (SIDE / diameter) ** 2) + 2)
    points = rng.uniform(-0.5, SIDE - 0.5, (n_people, 2))
    size = diameter * growth ** (points[:, 0] / SIDE - 0.5)
    keep = drop_close(points, rng.uniform(0.3, 1) * diameter)
    for index in np.argsort(points[:, 0]):
        if not keep[index]:
            continue
        (row, col), radius = points[index], 0.25 * size[index] * np.exp(0.1 * rng.normal())
        coat, skin = (
            rng.uniform(0.05, 0.95, 3) * rng.uniform(0.3, 1),
            np.array([0.85, 0.65, 0.5]) * rng.uniform(0.4, 1.1),
        )
        hair = np.array([0.4, 0.3, 0.2]) * rng.uniform(0.1, 2)
        body = Shape(
            rng,
            (row + radius * (1 + length), col + lean * radius * rng.normal()),
            radius * (1 + length),
            1 + 0.7 * length,
            0.05,
            np.pi / 2,
        )
        shade(image, body, (0.3 * radius, 0.5 * radius), 0.3)
        blend(image, body.window, body.mask, coat)
        head = Shape(rng, (row, col), radius, 1.15, 0.03, np.pi / 2)
        blend(image, head.window, head.mask, hair)
        if rng.random() < 0.6:
            face = Shape(
                rng,
                (row + 0.3 * radius, col + rng.uniform(-0.3, 0.3) * radius),
                0.6 * radius,
                1.1,
                0.03,
                np.pi / 2,
            )
            blend(image, face.window, face.mask, skin)
    return finish(rng, image, diameter), points[keep]


# The share of each kind in the pictures of nuclei, and of any objects.
NUCLEI = {draw_fluorescent: 0.35, draw_stained: 0.35, draw_published: 0.1, draw_nothing: 0.2}
OBJECTS = {
    draw_fluorescent: 0.12,
    draw_stained: 0.12,
    draw_overlapping: 0.12,
    draw_nothing: 0.1,
    draw_spots: 0.12,
    draw_seeds: 0.14,
    draw_plants: 0.1,
    draw_crowd: 0.18,
}


class Objects:
    """Positions and shapes of objects of one picture, the later ones in front."""

    def __init__(self, rng, diameter, n_objects=None, aspect=None, least_distance=None):
        if n_objects is None:
            covered = rng.uniform(0, 0.75) * rng.uniform(0.05, 1)
            n_objects = rng.poisson(covered * SIDE**2 / (np.pi / 4 * diameter**2))
        least_distance = rng.uniform(0.55, 1.15) if least_distance is None else least_distance
        aspect = rng.uniform(1, 2) if aspect is None else aspect
        spread, bend = rng.uniform(0.03, 0.35), rng.uniform(0, 0.12)
        middles = rng.uniform(0, SIDE, (rng.integers(1, 5), 2))
        together = rng.random((n_objects, 1)) < rng.uniform(0, 0.9) * (rng.random() < 0.6)
        near = (
            middles[rng.integers(len(middles), size=n_objects)]
            + rng.normal(size=(n_objects, 2)) * rng.uniform(1, 4) * diameter
        )
        points = np.where(together, near, rng.uniform(-0.5, SIDE - 0.5, (n_objects, 2)))
        points = points[drop_close(points, least_distance * diameter)]
        points = points[((points >= -0.5) & (points < SIDE - 0.5)).all(axis=1)]
        self.points = points
        self.shapes = [
            Shape(
                rng,
                point,
                0.5 * diameter * np.exp(np.clip(spread * rng.normal(), -0.7, 0.7)),
                1 + (aspect - 1) * rng.random(),
                bend,
                rng.uniform(0, np.pi),
            )
            for point in points
        ]


class Shape:
    """An ellipse of a mean radius whose outline is bent: a window of the picture, and maps of that window.

    `mask` is 1 inside; `depth` falls from 1 in the middle to 0 at the outline; `around` is 1 as far as half a radius away.
    """

    def __init__(self, rng, middle, radius, aspect, bend, angle):
        reach = int(np.ceil(1.6 * radius * aspect**0.5)) + 2
        spans = [np.arange(max(0, int(m) - reach), min(SIDE, int(m) + reach + 1)) for m in middle]
        self.window = tuple(slice(span[0], span[-1] + 1) if len(span) else slice(0, 0) for span in spans)
        rows, cols = spans[0][:, None] - middle[0], spans[1] - middle[1]
        along, across = (
            cols * np.cos(angle) + rows * np.sin(angle),
            rows * np.cos(angle) - cols * np.sin(angle),
        )
        along, across = along / aspect**0.5, across * aspect**0.5
        direction = np.arctan2(across, along)
        amplitudes, phases = (
            bend * rng.normal(size=len(HARMONICS)) / HARMONICS**0.5,
            rng.uniform(0, 2 * np.pi, len(HARMONICS)),
        )
        outline = radius * np.clip(
            1
            + sum(
                a * np.cos(k * direction + p) for a, k, p in zip(amplitudes, HARMONICS, phases, strict=True)
            ),
            0.5,
            1.5,
        )
        distance = np.hypot(along, across)
        self.mask = np.clip(outline - distance + 0.5, 0, 1)
        self.depth = np.clip(1 - distance / outline, 0, 1)
        self.around = np.clip(1.5 * outline - distance + 0.5, 0, 1)


def drop_close(points, distance):
    """Return which points to keep, so that no two of them are closer than a distance."""
    keep = np.ones(len(points), dtype=bool)
    if len(points) > 1:
        keep[KDTree(points).query_pairs(distance, output_type="ndarray").max(axis=1)] = False
    return keep


def noise(rng, scale):
    """Return a field of smooth noise of mean 0 and standard deviation 1; `scale` is in pixels."""
    field = gaussian_filter(rng.standard_normal((SIDE, SIDE)), scale)
    return (field - field.mean()) / field.std()


def background(rng):
    """Return ground of any brightness, with texture, slopes and lines."""
    light = rng.uniform(0.1, 0.9) * np.exp(rng.uniform(0, 0.25) * noise(rng, rng.uniform(10, 60)))
    for _ in range(rng.integers(0, 3)):
        light = light * (1 + rng.uniform(0, 0.12) * noise(rng, rng.uniform(0.5, 6)))
    if rng.random() < 0.3:
        rows, cols = np.mgrid[:SIDE, :SIDE]
        step, angle = rng.uniform(10, 60), rng.uniform(0, np.pi)
        light = light * (
            1 - rng.uniform(0, 0.3) * ((rows * np.cos(angle) + cols * np.sin(angle)) % step < 1.5)
        )
    return light


def add_specks(rng, light, diameter, n_specks, level):
    """Add small bright or dark specks in place."""
    for middle in rng.uniform(0, SIDE, (n_specks, 2)):
        speck = Shape(rng, middle, rng.uniform(0.06, 0.2) * diameter, 1.3, 0.1, rng.uniform(0, np.pi))
        light[speck.window] += level * rng.random() * speck.mask


def add_haze(rng, light, diameter, n_objects, level):
    """Add blurred light of objects far out of focus in place."""
    haze = np.zeros_like(light)
    for middle in rng.uniform(0, SIDE, (n_objects, 2)):
        shape = Shape(rng, middle, rng.uniform(0.5, 1) * diameter, 1.2, 0.05, 0)
        haze[shape.window] += shape.mask
    light += level * gaussian_filter(haze, rng.uniform(0.4, 1) * diameter)


def shade(image, shape, shift, strength):
    """Darken the picture where a shape, moved by `shift`, throws a shadow."""
    rows, cols = shape.window
    down, right = (round(s) for s in shift)
    top, left = max(0, rows.start + down), max(0, cols.start + right)
    part = image[top : max(top, rows.stop + down), left : max(left, cols.stop + right)]
    mask = shape.mask[top - rows.start - down :, left - cols.start - right :][
        : part.shape[0], : part.shape[1]
    ]
    part *= 1 - strength * mask[..., None]


def blend(image, window, mask, color):
    """Paint a color over the picture where the mask is 1."""
    part = image[window]
    part[...] = part * (1 - mask[..., None]) + color * mask[..., None]


def finish(rng, image, diameter):
    """Return a picture as a camera takes it: blurred, brighter or darker, with noise, in color or grey."""
    image = gaussian_filter(image, (*[diameter / 16 * rng.uniform(0, 1.2)] * 2, 0))
    image = image * rng.uniform(0.6, 1.2) + rng.uniform(0, 0.05) * rng.standard_normal(image.shape)
    return as_uint8(image if rng.random() < 0.7 else image.mean(axis=-1))


def tint(rng, light):
    """Return a grey picture as it is, or in one color."""
    return as_uint8(
        light if rng.random() < 0.7 else light[..., None] * np.clip(rng.uniform(-0.3, 1, 3), 0.02, None) / 0.6
    )


def as_uint8(light):
    """Return light from 0 to 1 as pixels."""
    return (np.clip(light, 0, 1) * 255).round().astype(np.uint8)


def main():
    """Write a picture of all kinds, one row each."""
    from PIL import Image, ImageDraw

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", help="the PNG file to write")
    parser.add_argument("--columns", type=int, default=8, help="pictures of each kind (default: 8)")
    options = parser.parse_args()
    sheet = Image.new("RGB", (options.columns * SIDE, len(OBJECTS) * SIDE))
    for row, draw in enumerate(OBJECTS):
        for column in range(options.columns):
            picture, points = draw(np.random.default_rng([row, column]), 16 * 2 ** (column % 3 / 2 - 0.5))
            tile = Image.fromarray(picture).convert("RGB")
            pen = ImageDraw.Draw(tile)
            for r, c in points if column >= options.columns // 2 else []:
                pen.ellipse((c - 1, r - 1, c + 1, r + 1), fill=(255, 0, 0))
            sheet.paste(tile, (column * SIDE, row * SIDE))
    sheet.save(options.picture)


if __name__ == "__main__":
    main()
