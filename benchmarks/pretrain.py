"""Train the weights that come with the package, and measure them on pictures that were left out.

``python benchmarks/pretrain.py nuclei`` trains the weights "nuclei" on all pictures of nuclei_dsb2018.zip, which must be
in the folder ``$SKCOUNT_DATA``, and on pictures of benchmarks/looks.py, and writes local/pretrain/nuclei.skcount.
``objects`` trains the other weights, ``choose`` those for choices, on 70 % of each kind of picture, and
``without-256x256``, ``without-256x320`` and ``without-360x360`` those that have never seen a kind. Each training
continues where it was stopped. ``measure`` prints how well ``choose`` counts the other 30 %, and the last three the kind
that they have not seen. ``pack`` writes nuclei.skcount and objects.skcount into the package.
"""

import argparse
import csv
import io
import os
import zipfile
from copy import copy
from pathlib import Path

import looks
import numpy as np
from accuracy import read_picture
from PIL import Image
from scipy.ndimage import gaussian_filter

import skcount
from skcount import DensityMapRegressor, PointAnnotations, load
from skcount.inference import nearest_factor

FOLDER = Path(__file__).parents[1] / "local" / "pretrain"
PACKAGE = Path(skcount.__file__).parent / "weights"
# Objects are trained on at about this diameter, in pixels.
DIAMETER = 16.0
# Variants of each picture, so that all kinds have about the same area; other kinds are few, and have as many as tissue.
VARIANTS = {"256x256": 2, "256x320": 6, "360x360": 20, "other": 6}
# Pictures of benchmarks/looks.py.
N_DRAWN = {"nuclei": 2400, "objects": 4000}
EPOCHS = 5
SEED = 0


class Picture:
    """A picture of nuclei, its dots, the median diameter of its nuclei, and its kind."""

    def __init__(self, row, pixels, points):
        self.name, self.pixels, self.points = row["image"], pixels, points
        self.diameter = 2 * float(row["median_radius"])
        kind = f"{row['height']}x{row['width']}"
        known = {"256x256": "fluorescence", "256x320": "purple_on_white", "360x360": "fluorescence"}
        self.kind = kind if known.get(kind) == row["kind"] else "other"


def read_nuclei():
    """Return all pictures of the archive."""
    with zipfile.ZipFile(Path(os.environ["SKCOUNT_DATA"]) / "nuclei_dsb2018.zip") as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("images.csv").decode())))
        dots = {row["image"]: [] for row in rows}
        for row in csv.DictReader(io.StringIO(archive.read("points.csv").decode())):
            dots[row["image"]].append((float(row["y"]), float(row["x"])))
        return [
            Picture(
                row,
                read_picture(archive.read(f"images/{row['image']}"), "RGB"),
                np.array(dots[row["image"]]).reshape(-1, 2),
            )
            for row in rows
        ]


def split(pictures):
    """Return the pictures to train on and those to choose on: 70 % and 30 % of each kind."""
    rng, train, chosen_on = np.random.default_rng(SEED), [], []
    for kind in VARIANTS:
        of_kind = [picture for picture in pictures if picture.kind == kind]
        order = rng.permutation(len(of_kind))
        n_train = round(0.7 * len(of_kind))
        train += [of_kind[index] for index in np.sort(order[:n_train])]
        chosen_on += [of_kind[index] for index in np.sort(order[n_train:])]
    return train, chosen_on


def vary(rng, picture):
    """Return a variant of a picture at a random size near DIAMETER, with other light, blur and noise, and its points."""
    pixels, points = picture.pixels / 255, picture.points
    factor = picture.diameter / DIAMETER
    factor = max(1, round(factor)) if factor > 0.7 else 0.5
    if factor == 0.5:
        pixels = pixels.repeat(2, axis=0).repeat(2, axis=1)
    elif factor > 1:
        height, width = (side // factor * factor for side in pixels.shape[:2])
        pixels = (
            pixels[:height, :width]
            .reshape(height // factor, factor, width // factor, factor, 3)
            .mean(axis=(1, 3))
        )
    points = (points + 0.5) / factor - 0.5
    if rng.random() < 0.6:
        zoom = 2 ** rng.uniform(-0.4, 0.4)
        size = [max(1, round(side * zoom)) for side in pixels.shape[:2]]
        points = (points + 0.5) * (np.array(size) / pixels.shape[:2]) - 0.5
        pixels = np.stack(
            [
                np.asarray(Image.fromarray(channel.astype(np.float32)).resize(size[::-1], Image.BILINEAR))
                for channel in np.moveaxis(pixels, -1, 0)
            ],
            axis=-1,
        )
    low, high = np.percentile(pixels, [0.5, 99.9])
    pixels = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)
    pixels = pixels ** (2 ** rng.uniform(-0.5, 0.7))
    if rng.random() < 0.5:
        pixels = gaussian_filter(pixels, (*[rng.uniform(0, 1.2)] * 2, 0))
    if rng.random() < 0.5:
        pixels = pixels + rng.uniform(0, 0.06) * rng.standard_normal((*pixels.shape[:2], 1))
    if rng.random() < 0.2:
        rows, cols = np.mgrid[: pixels.shape[0], : pixels.shape[1]] / max(pixels.shape)
        pixels = pixels + (rng.normal(0, 0.15) * rows + rng.normal(0, 0.15) * cols)[..., None]
    if rng.random() < 0.1:
        pixels = 1 - pixels
    size = pixels.shape[:2]
    points = points[((points >= -0.5) & (points < np.array(size) - 0.5)).all(axis=1)]
    return looks.as_uint8(pixels), points


def make_data(pictures, kinds, n_drawn):
    """Return variants of pictures, and drawn ones."""
    X, points = [], []
    rng = np.random.default_rng(SEED)
    for picture in pictures:
        for _ in range(VARIANTS[picture.kind]):
            pixels, dots = vary(rng, picture)
            X.append(pixels)
            points.append(dots)
    for draw in rng.choice(list(kinds), n_drawn, p=list(kinds.values())):
        pixels, dots = draw(rng, DIAMETER * 2 ** rng.uniform(-0.7, 0.7))
        X.append(pixels if pixels.ndim == 3 else pixels[..., None].repeat(3, axis=-1))
        points.append(dots)
    return X, PointAnnotations(points)


def pictures_of(name, pictures):
    """Return the pictures that weights of a name are trained on."""
    if name == "choose":
        return split(pictures)[0]
    return [picture for picture in pictures if picture.kind != name.removeprefix("without-")]


def train(name, epochs):
    """Train weights, and write them."""
    is_general = name == "objects"
    pictures = pictures_of(name, read_nuclei())
    X, points = make_data(
        pictures,
        looks.OBJECTS if is_general else looks.NUCLEI,
        N_DRAWN["objects" if is_general else "nuclei"],
    )
    FOLDER.mkdir(parents=True, exist_ok=True)
    regressor = DensityMapRegressor(
        normalize="image", diameter=DIAMETER, max_epochs=epochs, random_state=SEED, verbose=1
    )
    regressor.fit(X, points, checkpoint=FOLDER / f"{name}.checkpoint")
    regressor.save(FOLDER / f"{name}.skcount")


def measure():
    """Print the errors of counting without training: of 30 % of each kind, and of the kinds that were left out."""
    pictures = read_nuclei()
    held_out = {"choose": split(pictures)[1]}
    held_out |= {
        f"without-{kind}": [p for p in pictures if p.kind == kind] for kind in VARIANTS if kind != "other"
    }
    print(
        "| weights | kind | pictures | relative error, % | bias, % | within 10 %, % | with the diameter known, error, % |"
    )
    print("| --- " * 7 + "|")
    for name, of_name in held_out.items():
        path = FOLDER / f"{name}.skcount"
        if not path.exists():
            continue
        regressor = ready(load(path))
        for kind in VARIANTS:
            some = [picture for picture in of_name if picture.kind == kind]
            if some:
                print(f"| {name} | {kind} | {len(some)} | {describe(regressor, some)} |", flush=True)


def describe(regressor, pictures):
    """Return cells of the table about some pictures."""
    true = np.array([len(picture.points) for picture in pictures])
    found = regressor.predict([picture.pixels for picture in pictures])
    known = np.array(
        [load_at(regressor, picture.diameter).predict([picture.pixels])[0] for picture in pictures]
    )
    errors = np.abs(found - true)
    cells = [errors.sum() / true.sum(), (found - true).sum() / true.sum(), np.mean(errors <= 0.1 * true)]
    cells.append(np.abs(known - true).sum() / true.sum())
    return " | ".join(f"{100 * cell:.1f}" for cell in cells)


def load_at(regressor, diameter):
    """Return a copy of a regressor that was told the diameter, as `load_pretrained` returns it."""
    told = copy(regressor)
    told.reduction_ = nearest_factor(diameter / regressor.diameter_)
    return told


def ready(regressor):
    """Let a regressor choose the working size of each image."""
    regressor.density_.set_params(sigma=regressor.density_.sigma / regressor.reduction_)
    regressor.diameter_, regressor.reduction_ = regressor.diameter_ / regressor.reduction_, None
    return regressor


def pack(name):
    """Write trained weights into the package, without what only their training needs."""
    regressor = load(FOLDER / f"{name}.skcount")
    regressor.set_params(diameter="auto", max_epochs="auto", verbose=0)
    regressor.history_ = regressor.history_[-1:]
    if name == "nuclei":
        ready(regressor)
    regressor.save(PACKAGE / f"{name}.skcount")


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = [f"without-{kind}" for kind in VARIANTS if kind != "other"]
    parser.add_argument("what", choices=["nuclei", "objects", "choose", *kinds, "measure", "pack"])
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, help=f"epochs of a training (default: {EPOCHS})"
    )
    options = parser.parse_args()
    if options.what == "measure":
        measure()
    elif options.what == "pack":
        for name in ("nuclei", "objects"):
            pack(name)
    else:
        train(options.what, options.epochs)


if __name__ == "__main__":
    main()
