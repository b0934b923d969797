"""Count in generated photos with the defaults: large and tiny objects, and pictures with hardly any.

``python benchmarks/photos.py`` runs the cases that are missing from benchmarks/photos.jsonl and prints a Markdown table.
``--case large`` runs one case, ``--set filters=4`` changes a parameter of UNetRegressor, ``--show FILE.png`` draws one photo
of each case, and ``--table`` only prints the table. Times are processor seconds of one thread, and multiples of a training
step of the former default (``stem=1, filters=16, depth=3``), which is measured in the same process.
"""

import argparse
import platform
from pathlib import Path
from time import process_time
from typing import NamedTuple

import numpy as np
import torch
from accuracy import add_line, is_logged, parse_setting, print_table, read_lines
from scipy import ndimage

from skcount import PointAnnotations, UNetRegressor
from skcount.losses import make_loss
from skcount.networks import DensityNetwork, UNet
from skcount.training import Muon

LOG = Path(__file__).with_name("photos.jsonl")
KEY = ("case", "params")


class Case(NamedTuple):
    """Generated photos: numbers of training and test photos, size, least and most objects, least and most diameter."""

    n_images: tuple
    size: tuple
    count: tuple
    diameter: tuple


CASES = {
    "large": Case((20, 10), (3000, 4000), (10, 60), (80, 160)),
    "200 pixels": Case((10, 10), (1500, 2000), (5, 30), (200, 200)),
    "4 pixels": Case((20, 10), (384, 384), (20, 150), (4, 4)),
    "few": Case((20, 20), (384, 384), (0, 3), (12, 12)),
    "few on large photos": Case((20, 10), (3000, 4000), (0, 3), (40, 40)),
}


def main():
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=list(CASES), help="run only this case")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=JSON", help="set a parameter"
    )
    parser.add_argument("--show", metavar="PNG", type=Path, help="only draw an example of each case")
    parser.add_argument("--table", action="store_true", help="only print the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.show:
        show(options.show)
        return
    if not options.table:
        for name in [options.case] if options.case else CASES:
            run_case(name, dict(map(parse_setting, options.set)))
    print_table([describe(run) for run in read_lines(LOG)])


def run_case(name, params):
    """Train and count once, unless the log has this run."""
    if is_logged(read_lines(LOG), {"case": name, "params": params}, KEY):
        return
    case = CASES[name]
    photos = [make_photo(case, seed) for seed in range(sum(case.n_images))]
    X, points = [photo for photo, _ in photos], PointAnnotations([dots for _, dots in photos])
    train, test = slice(case.n_images[0]), slice(case.n_images[0], None)
    step = step_seconds()
    regressor = UNetRegressor(random_state=0, **params)
    start = process_time()
    regressor.fit(X[train], points[train])
    fit_seconds = process_time() - start
    start = process_time()
    predicted = regressor.predict(X[test])
    photo_seconds = (process_time() - start) / len(X[test])
    true, error = points[test].counts, np.abs(predicted - points[test].counts)
    run = {
        "case": name,
        "params": params,
        "mae": error.mean(),
        "relative_error": error.sum() / true.sum(),
        "blind_mae": np.abs(points[train].counts.mean() - true).mean(),
        "fit_seconds": fit_seconds,
        "photo_seconds": photo_seconds,
        "step_seconds": step,
        "diameter": regressor.diameter_,
        "reduction": regressor.reduction_,
        "true": true.tolist(),
        "predicted": predicted.round(2).tolist(),
        "machine": f"{platform.machine()}, torch {torch.__version__}",
    }
    add_line(LOG, run)


def step_seconds(n_steps=5):
    """Return the median processor seconds of a training step of the former default."""
    module = DensityNetwork(UNet(3, filters=16, depth=3, stem=1), [0.5] * 3, [0.2] * 3, 0.01)
    optimizer, loss = Muon(module.parameters()), make_loss("multiscale", 0.01, 3.0)
    images, target = torch.rand(8, 3, 128, 128), torch.rand(8, 1, 128, 128) / 100
    batch = {"target": target, "mask": torch.ones_like(target), "weight": torch.ones(8)}
    seconds = []
    for _ in range(n_steps + 1):
        start = process_time()
        optimizer.zero_grad()
        loss(module(images), batch).backward()
        optimizer.step()
        seconds.append(process_time() - start)
    return float(np.median(seconds[1:]))


def describe(run):
    """Return the cells of one line."""
    step = run["step_seconds"]
    return {
        "case": run["case"],
        "settings": ", ".join(f"{name} {value}" for name, value in run["params"].items()) or "defaults",
        "learned diameter": f"{run['diameter']:.1f}",
        "reduced by": f"{run['reduction']:g}",
        "MAE": f"{run['mae']:.2f}",
        "relative error, %": f"{100 * run['relative_error']:.1f}",
        "MAE of the mean training count": f"{run['blind_mae']:.2f}",
        "fit, s": f"{run['fit_seconds']:.0f}",
        "fit, steps": f"{run['fit_seconds'] / step:.0f}",
        "predict a photo, s": f"{run['photo_seconds']:.2f}",
        "predict a photo, steps": f"{run['photo_seconds'] / step:.1f}",
        "step, s": f"{step:.2f}",
    }


# The photos


def make_photo(case, seed):
    """Return a photo, (height, width, 3) uint8, of seeds on a table, and the middle of each seed, (n_objects, 2)."""
    rng = np.random.default_rng(seed)
    photo = make_table(case.size, rng)
    dots = []
    for diameter in rng.uniform(*case.diameter, rng.integers(case.count[0], case.count[1] + 1)):
        dot = find_place(dots, diameter, case.size, rng)
        add_seed(photo, dot, diameter, rng)
        dots.append((*dot, diameter))
    light = blobs(case.size, max(case.size) // 3, rng) * 0.12 + 1  # the lamp is not above the middle
    photo *= light[..., None]
    photo += rng.normal(scale=0.012, size=photo.shape).astype(np.float32)  # the sensor's noise
    return (np.clip(photo, 0, 1) * 255).astype(np.uint8), np.array(dots).reshape(-1, 3)[:, :2]


def make_table(size, rng):
    """Return a wooden table: streaks along one direction, and stains."""
    streaks = np.interp(np.arange(size[1]), np.arange(0, size[1] + 8, 4), rng.normal(size=size[1] // 4 + 2))
    waves = blobs(size, 90, rng)
    grain = np.sin(6 * waves + np.arange(size[0], dtype=np.float32)[:, None] / 40 + streaks[None] * 0.6)
    stains = blobs(size, 40, rng)
    fine = ndimage.uniform_filter(rng.normal(size=size).astype(np.float32), 3)
    shade = 0.55 + 0.04 * grain + 0.05 * stains + 0.04 * fine
    return (shade[..., None] * np.array([1.0, 0.82, 0.62], dtype=np.float32)).astype(np.float32)


def blobs(size, width, rng):
    """Return smooth random values of about unit variance that change over `width` pixels."""
    coarse = rng.normal(size=[side // width + 4 for side in size]).astype(np.float32)
    smooth = ndimage.zoom(coarse, width, order=1)
    top, left = rng.integers(0, width, 2)
    return smooth[top : top + size[0], left : left + size[1]]


def find_place(dots, diameter, size, rng):
    """Return a place where an object touches the others or overlaps them only a little, if one is found soon."""
    for _ in range(60):
        if dots and rng.random() < 0.3:  # beside another one
            row, col, other = dots[rng.integers(len(dots))]
            angle, distance = rng.uniform(0, 2 * np.pi), 0.5 * (diameter + other)
            dot = row + distance * np.sin(angle), col + distance * np.cos(angle)
        else:
            dot = tuple(rng.uniform(0, np.array(size) - 1))
        is_inside = 0 <= dot[0] <= size[0] - 1 and 0 <= dot[1] <= size[1] - 1
        far = all(np.hypot(dot[0] - r, dot[1] - c) > 0.45 * (diameter + d) for r, c, d in dots)
        if is_inside and far:
            return dot
    return tuple(rng.uniform(0, np.array(size) - 1))


def add_seed(photo, dot, diameter, rng):
    """Draw a rounded, shaded seed of some colour with its shadow."""
    radius, softness = diameter / 2, max(0.5, diameter / 40)
    reach = int(np.ceil(1.5 * radius + 4 * softness))
    first = np.floor(np.array(dot)).astype(int) - reach
    rows, cols = (
        slice(max(0, f), min(f + 2 * reach + 1, side)) for f, side in zip(first, photo.shape, strict=False)
    )
    down, right = np.mgrid[rows, cols] - np.reshape(dot, (2, 1, 1))
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.75, 1)
    long = down * np.sin(angle) + right * np.cos(angle)
    wide = (right * np.sin(angle) - down * np.cos(angle)) / ratio
    distance = np.hypot(long, wide)  # radius at the edge
    inside = 1 / (1 + np.exp(np.clip((distance - radius) / softness * 2, -50, 50)))
    height = np.sqrt(np.clip(1 - (distance / radius) ** 2, 0, 1))
    # Light comes from the top left; the shadow falls to the bottom right.
    slope = -(down + right) / (1.4 * radius)
    bright = 0.72 + 0.22 * height + 0.18 * slope * inside
    texture = ndimage.gaussian_filter(rng.normal(size=inside.shape), max(radius / 10, 0.4))
    bright += 0.04 * texture / max(texture.std(), 1e-6)
    dark, brown, red, straw = (0.30, 0.18, 0.10), (0.55, 0.33, 0.16), (0.62, 0.22, 0.16), (0.93, 0.80, 0.48)
    colour = np.array((dark, brown, red, straw)[rng.choice(4, p=(0.4, 0.1, 0.2, 0.3))]) * rng.uniform(
        0.85, 1.15
    )
    shift = 0.2 * radius
    shadow_distance = np.hypot(down - shift, right - shift)
    shadow = 0.45 / (1 + np.exp(np.clip((shadow_distance - radius) / (3 * softness), -50, 50)))
    part = photo[rows, cols]
    part *= (1 - shadow * (1 - inside))[..., None]
    part += inside[..., None] * (bright[..., None] * colour - part)


def show(path):
    """Draw a photo of each case, and a part of it at full size."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(CASES), figsize=(4 * len(CASES), 8), layout="compressed")
    for (name, case), (whole, part) in zip(CASES.items(), axes.T, strict=True):
        photo, dots = make_photo(case, 1)
        row, col = (dots[0] if len(dots) else np.array(case.size) / 2).astype(int)
        row, col = np.clip((row - 200, col - 200), 0, np.maximum(np.array(case.size) - 400, 0))
        whole.imshow(photo)
        whole.set_title(f"{name}: {len(dots)} objects")
        part.imshow(photo[row : row + 400, col : col + 400])
    figure.savefig(path, dpi=70)


if __name__ == "__main__":
    main()
