"""Bad parameters, calls in a wrong order, and bad input of metrics, transformers and displays: a clear error."""

from functools import partial

import numpy as np
import pytest
from outcomes import (
    COLOURS,
    COUNTS,
    FLOATS,
    IMAGES,
    MAPS,
    ONE,
    POINTS,
    ROI,
    SCALES,
    SHAPE,
    TABLE,
    check,
    continue_with,
    each,
    fit,
    fit_own,
    fitted,
    invert,
    locked,
    mae,
    of_table,
    predict,
    put,
    refused,
    right,
    transform,
    unlike,
    warned,
)
from sklearn.exceptions import NotFittedError
from torch import nn

from skcount import (
    DensityMapRegressor,
    DensityMapTransformer,
    FCRNRegressor,
    UNetRegressor,
    density,
    metrics,
    networks,
)
from skcount.datasets import make_cells
from skcount.metrics import grid_average_mean_absolute_error as game
from skcount.plotting import DensityMapDisplay


def show(image=FLOATS[0], map_=MAPS[0], points=None, roi=None, **look):
    return DensityMapDisplay.from_predictions(image, map_, points, roi=roi, **look)


# Odd pixels are unlike those of the training, which has cases of its own.
pytestmark = pytest.mark.filterwarnings("ignore::skcount.OutOfDistributionWarning")

# One line a case, which the formatter is not to break.
# fmt: off
STATE = [
    *(
        refused(f"not fitted: {method}", lambda method=method: getattr(UNetRegressor(), method)(IMAGES),
                "fitted", error=NotFittedError)
        for method in ("predict", "predict_density", "predict_points", "iter_density", "export_onnx")
    ),
    refused("not fitted: score", lambda: UNetRegressor().score(IMAGES, POINTS), "fitted", error=NotFittedError),
    refused("not fitted: a scorer", lambda: metrics.count_mae_scorer(UNetRegressor(), IMAGES, POINTS),
            "fitted", error=NotFittedError),
    refused("not fitted: drawn", lambda: DensityMapDisplay.from_estimator(UNetRegressor(), IMAGES[0]),
            "fitted", error=NotFittedError),
    refused("fitted: on grey, colour came", lambda: predict(COLOURS), "X", "3", "channels"),
    refused("fitted: on grey, colour came to a display", lambda: DensityMapDisplay.from_estimator(fitted(), COLOURS[0]),
            "3", "channels"),
    refused("fitted: on colour, grey came", lambda: predict(IMAGES, colour=True), "X", "1", "channels"),
    refused("fitted: on colour, four channels came", lambda: predict(np.zeros((2, *SHAPE, 4)), colour=True),
            "X", "4", "channels"),
    refused("fitted: on images, a table came", lambda: predict(TABLE), "(6, 5)", ONE),
    refused("fitted: on a table, images came", lambda: of_table().predict(IMAGES), "X", "table"),
    refused("fitted: on a table, other columns came", lambda: of_table().predict(TABLE[:, :4]), "X", "4 features", "5"),
    refused("fitted: on a table, NaN came", lambda: of_table().predict(TABLE * np.nan), "X", "nan"),
    refused("fitted: on a table, with a region", lambda: of_table().predict(TABLE, roi=np.ones((1, 5), bool)),
            "roi", "table"),
    refused("fitted: a small tile", lambda: fitted().set_params(tile_size=4).predict(IMAGES), "tile_size", "4", "104"),
    refused("fitted: out of integers", lambda: predict(method="predict_density", out=np.zeros((3, *SHAPE), int)),
            "out", "int64"),
    refused("fitted: out of another size", lambda: predict(method="predict_density", out=np.zeros((3, 16, 12))),
            "out", "16 x 12"),
    refused("fitted: out read-only", lambda: predict(method="predict_density", out=locked(MAPS)), "out", "read-only"),
    refused("fitted: out is text", lambda: predict(method="predict_density", out="maps.h5"), "out", "str"),
    refused("fitted: export to no folder", lambda folder: fitted().export_onnx(folder / "no" / "a.onnx"),
            "no folder", error=OSError),
    refused("fitted: export to a folder", lambda folder: fitted().export_onnx(folder), "data", "folder"),
    refused("warm_start: other filters", lambda: continue_with(filters=3), "'filters': 2", "clone"),
    refused("warm_start: other precision", lambda: continue_with(precision="float64"), "clone"),
    refused("warm_start: other channels", lambda: continue_with(COLOURS), "X", "3", "channels"),
    refused("warm_start: a table", lambda: continue_with(TABLE, np.arange(6.0)), "(6, 5)", ONE),
    refused("partial_fit: other channels", lambda: continue_with(COLOURS, method="partial_fit"), "X", "3", "channels"),
    refused("partial_fit: other filters", lambda: continue_with(method="partial_fit", filters=3), "'filters': 2", "clone"),
]

BRIGHT = IMAGES / 255
SMOOTH = np.linspace(0, 1, 12)[:, None] * np.ones((1, 12, 16))
FLAT = np.ones((3, 12, 16), np.uint8) * np.array([[[0]], [[255]], [[128]]], np.uint8)
UNLIKE = [
    warned("unlike: floats up to 255", lambda: unlike(FLOATS), "image 0", "mean", "channel 0"),
    warned("unlike: one of three", lambda: unlike([BRIGHT[0], BRIGHT[1], BRIGHT[2] - 9]), "image 2"),
    warned("unlike: 8 bits in 16", lambda: unlike(IMAGES.astype(np.uint16)), "standard deviation"),
    warned("unlike: more than four times the contrast", lambda: unlike(0.5 + 5 * (BRIGHT - BRIGHT.mean())),
           "standard deviation"),
    warned("unlike: much larger", lambda: unlike(SMOOTH), "neighbour", "larger"),
    right("unlike: not looked at", lambda: unlike(FLOATS, "ignore").shape, (3,)),
    right("unlike: black, white and grey", lambda: unlike(FLAT, "error").shape, (3,)),
    right("unlike: half as bright", lambda: unlike(IMAGES // 2, "error").shape, (3,)),
    right("unlike: one pixel", lambda: unlike(np.full((1, 1, 1), 128, np.uint8), "error").shape, (1,)),
]

METRICS = [
    refused("metrics: lengths", lambda: mae([1, 2, 3], [1, 2]), "y_true", "y_pred", "3", "2"),
    refused("metrics: nothing", lambda: mae([], []), "y_true", "empty"),
    refused("metrics: None", lambda: mae(None, [1]), "y_true", "None"),
    refused("metrics: two columns", lambda: mae(np.ones((2, 2)), [1, 1]), "y_true", "(2, 2)"),
    refused("metrics: an integer too large for a float", lambda: mae([10**400], [1]), "y_true"),
    refused("metrics: points with NaN", lambda: mae([[(np.nan, 1)]], [1]), "point 0", "image 0", "nan"),
    refused("metrics: no object for a relative error", lambda: metrics.count_normalized_absolute_error([0, 0], [1, 2]),
            "y_true", "object"),
    right("metrics: one column of counts", lambda: mae(np.array([[1], [2]]), [2, 3]), 1),
    refused("GAME: a negative level", lambda: game(POINTS, POINTS, -1, image_shape=SHAPE), "level", "-1"),
    refused("GAME: a level that is True", lambda: game(POINTS, POINTS, True, image_shape=SHAPE), "level", "True"),
    right("GAME: a level beyond the pixels", lambda: game(POINTS, POINTS[::-1], 40, image_shape=SHAPE),
          lambda: game(POINTS, POINTS[::-1], 4, image_shape=SHAPE)),
    refused("GAME: no size", lambda: game(POINTS, POINTS, 1), "image_shape"),
    refused("GAME: a size of zero", lambda: game(POINTS, POINTS, 1, image_shape=(0, 16)), "image_shape", "(0, 16)"),
    refused("GAME: another size than the map's", lambda: game(POINTS, MAPS, 1, image_shape=(16, 12)),
            "map of image 0|map 0", "(12, 16)"),
    refused("GAME: counts", lambda: game(COUNTS, COUNTS, 1, image_shape=SHAPE), "counts", "points"),
    refused("GAME: lengths", lambda: game(POINTS, MAPS[:2], 1), "y_true", "y_pred", "3", "2"),
    refused("GAME: nothing", lambda: game([], []), "y_true", "empty"),
    refused("GAME: None", lambda: game(POINTS, None), "y_pred", "None"),
    refused("GAME: maps of two sizes", lambda: game(MAPS, [m.T for m in MAPS], 1), "map", "(16, 12)", "(12, 16)"),
    refused("scorers: lengths", lambda: metrics.count_mae_scorer(fitted(), IMAGES, POINTS[:2]), "2", "3"),
    refused("scorers: NaN", lambda: metrics.count_mae_scorer(fitted(), IMAGES, [1, np.nan, 2]), "y|y_true", "nan"),
    refused("scorers: roi of another size", lambda: metrics.count_mae_scorer(fitted(), IMAGES, POINTS, roi=ROI.T),
            "roi", "(16, 12)"),
]

TRANSFORMER = [
    *(
        refused(f"transform: image_shape={shape}", partial(transform, image_shape=shape), "image_shape", words)
        for shape, words in {
            None: "None", (0, 16): "(0, 16)", (-12, 16): "(-12, 16)", (12.0, 16.0): "(12.0, 16.0)",
            (12, 16, 3): "(12, 16, 3)", "12x16": "12x16", 12: "12", (SHAPE, (12,), SHAPE): "", (): "", (12,): "(12,)",
            (12.5, 16): "12.5", (SHAPE, (12, -1), SHAPE): "-1", (SHAPE,) * 4: "",
        }.items()
    ),
    refused("transform: points without the sample axis", lambda: transform([(1, 2), (3, 4)]), "points", "image 0", "(2,)"),
    refused("transform: None", lambda: transform(None), "points", "None"),
    right("transform: no images", lambda: len(transform([])), 0),
    right("transform: a region without a point", lambda: transform(roi=~ROI).sum(axis=(1, 2)).round(4), [0, 0, 1]),
    refused("fit: points with NaN", lambda: DensityMapTransformer().fit([[(np.nan, 1)]]), "point 0", "image 0", "nan"),
    refused("inverse_transform: None", lambda: invert(None), "density map", "None"),
    refused("inverse_transform: one map", lambda: invert(MAPS[0]), "density map 0", "(16,)"),
    refused("inverse_transform: four dimensions", lambda: invert(MAPS[None]), "density map 0", "(3, 12, 16)"),
    refused("inverse_transform: too many objects", lambda: invert(np.full((1, 4, 4), 1e30)), "density", "1.6e+31"),
    refused("inverse_transform: a region of another size", lambda: invert(roi=ROI.T), "roi", "(16, 12)"),
    right("inverse_transform: negative", lambda: invert(-MAPS).counts, [0, 0, 0]),
    right("inverse_transform: integers", lambda: invert(put(np.zeros((1, 5, 5), int), (0, 2, 2), 2)).counts, [2]),
    right("sigma: enormous", lambda: transform(sigma=1e300).sum(axis=(1, 2)).round(3), COUNTS),
    right("sigma: tiny", lambda: transform(sigma=1e-300).sum(axis=(1, 2)).round(3), COUNTS),
]

OTHERS = [
    refused("display: a map of another size", lambda: show(map_=MAPS[0].T), "map 0", "(16, 12)", "(12, 16)"),
    refused("display: a map with NaN", lambda: show(map_=MAPS[0] * np.nan), "map 0", "nan"),
    refused("display: a negative map", lambda: show(map_=-MAPS[0] - 1), "map 0", "negative|at least 0"),
    refused("display: a map of text", lambda: show(map_="density"), "map 0", "<U7"),
    refused("display: points of three", lambda: show(points=[(1, 2, 3)]), "points", "(1, 3)"),
    refused("display: points with NaN", lambda: show(points=[(1, np.nan)]), "point 0", "nan"),
    refused("display: a region of another size", lambda: show(roi=ROI.T), "roi", "(16, 12)"),
    refused("display: a region of floats", lambda: show(roi=SCALES), "roi", "float64"),
    refused("display: an image of one dimension", lambda: show(FLOATS[0, 0]), "image", "(16,)"),
    refused("display: an image of four dimensions", lambda: show(COLOURS[0][..., None]), "image", "(12, 16, 3, 1)"),
    refused("display: an image of text", lambda: show(np.full(SHAPE, "a")), "image", "<U1"),
    refused("display: several images", lambda: show(IMAGES), "image", "(3, 12"),
    refused("display: no image", lambda: show(None), "image", "None"),
    refused("make_cells: more before fewer", lambda: make_cells(1, n_cells=(5, 2)), "n_cells", "(5, 2)"),
    refused("make_cells: cells in three parts", lambda: make_cells(1, n_cells=(1, 2, 3)), "n_cells", "(1, 2, 3)"),
    refused("make_cells: no rows", lambda: make_cells(1, image_shape=(0, 16)), "image_shape", "(0, 16)"),
    refused("make_cells: a shape of three", lambda: make_cells(1, image_shape=(12, 16, 3)), "image_shape", "(12, 16, 3)"),
    refused("make_cells: a shape of floats", lambda: make_cells(1, image_shape=(12.0, 16.0)), "image_shape", "(12.0, 16.0)"),
    refused("make_cells: brightness beyond white", lambda: make_cells(1, image_shape=SHAPE, brightness=(100, 300)),
            "brightness", "300"),
    refused("make_cells: NaN as blur", lambda: make_cells(1, image_shape=SHAPE, blur=(1, np.nan)), "blur", "nan"),
    refused("make_cells: too many cells", lambda: make_cells(1, image_shape=SHAPE, n_cells=99, overlap=0, random_state=0),
            "99 cells"),
    right("make_cells: none", lambda: make_cells(0, image_shape=SHAPE).images.shape, (0, 12, 16, 3)),
]

# --- Parameters --------------------------------------------------------------------------------------------------

# Values out of range; wrong types are refused in test_parameters.py.
OUT_OF_RANGE = {
    partial(fit, kind=UNetRegressor): {
        "filters": [0, 2.5], "depth": [0, 9],
        "normalization": ["layer"], "sigma": [0, -1.0, np.nan, "2"], "density": [2.0, DensityMapTransformer],
        "loss": ["mea", 5],
        "max_epochs": [0, 1.5, "many"], "lr": [0, -0.1, np.nan, "auto"], "batch_size": [0, -2, 2.0],
        "patch_size": [0, -1, (8, 0), (8,), (8, 8, 8), (8.0, 8), (8, None), 2.5],
        "augment": ["flip", 2, True], "tile_size": [0, 8], "validation_fraction": [0, 1, 1.5],
        "early_stopping": ["yes", -1],
        "device": [0, "tpu9", "cuda:99", "meta", ""], "precision": ["float16", None, True],
        "warm_start": ["yes"], "random_state": [-1, "zero", np.random.default_rng(0)], "verbose": [-1],
        "net_params": [[("lr", 1)], {"lr": 1}, {"module": nn.Identity}, {1: 2}],
        "callbacks": ["EarlyStopping", [1], [("stop", "Stop")]],
    },
    partial(fit, kind=FCRNRegressor): {"variant": ["c"], "normalization": ["group"]},
    partial(fit, kind=DensityMapRegressor): {"architecture": ["unett"], "architecture_params": [[1]]},
    transform: {"sigma": [0], "truncate": [0.5], "outside": ["drop"]},
    partial(transform, kernel="adaptive"): {"n_neighbors": [0], "beta": [0]},
    partial(make_cells, n_samples=1, image_shape=SHAPE): {
        "n_samples": [-1, 2.5], "image_shape": [12], "n_cells": [-1], "radius": [0, np.inf, np.nan], "cluster_std": [np.inf],
        "brightness": [100], "overlap": [2], "random_state": ["a"],
    },
    partial(game, POINTS, POINTS, image_shape=SHAPE): {"level": [1.5, "1"]},
    lambda level: metrics.GAMEScorer(level)(fitted(), IMAGES, POINTS): {"level": [-1]},
    lambda metric: metrics.CountScorer(metric)(fitted(), IMAGES, POINTS): {"metric": ["mae"]},
    partial(density.gaussian_density, points=np.ones((1, 2)), image_shape=SHAPE): {"sigma": [-1.0]},
    partial(density.gaussian_density, image_shape=SHAPE, sigma=1.0): {"points": [[(1, 2)]]},
    partial(density.find_points, sigma=1.0): {"density": [[[1.0]]]},
    show: {"alpha": [2], "ax": [5]},
    partial(DensityMapDisplay.from_estimator, image=IMAGES[0]): {"estimator": [5]},
}

PARAMETERS = [
    refused("density: sigma=-1", lambda: fit(density=DensityMapTransformer(sigma=-1)), "sigma", "-1"),
    refused("density: kernel='box'", lambda: fit(density=DensityMapTransformer(kernel="box")), "kernel", "box"),
    refused("net_params: a typo", lambda: fit(net_params={"lrr": 1}), "lrr"),
    refused("net_params: a typo of the optimiser", lambda: fit(net_params={"optimizer__nesterow": True}),
            "nesterow", error=TypeError),
    refused("architecture: an instance", lambda: fit_own(networks.UNet(1, filters=2)), "architecture", "UNet"),
    refused("architecture: a typo in its parameters", lambda: fit_own("unet", filterz=2),
            "architecture", "filterz", "in_channels"),
    refused("architecture: the channels given twice", lambda: fit_own("unet", in_channels=3), "architecture", "in_channels"),
    refused("architecture: a parameter out of range", lambda: fit_own("unet", filters=0), "filters", "0"),
    refused("architecture: returns no module", lambda: fit_own(lambda n: 5), "architecture", "int"),
    refused("architecture: returns a class", lambda: fit_own(lambda n: nn.Identity), "architecture", "type"),
    refused("architecture: takes no channels", lambda: fit_own(lambda: nn.Conv2d(1, 1, 1)), "architecture"),
    refused("architecture: two maps", lambda: fit_own(lambda n: nn.Conv2d(n, 2, 3, padding=1)),
            "(1, 1, 12, 16)", "(1, 2, 12, 16)"),
    refused("architecture: a smaller map", lambda: fit_own(lambda n: nn.Conv2d(n, 1, 3)),
            "(1, 1, 12, 16)", "(1, 1, 10, 14)"),
    refused("architecture: other channels", lambda: fit_own(lambda n: nn.Conv2d(n + 1, 1, 1)), "architecture", "1 channel"),
    refused("set_params: a typo", lambda: UNetRegressor().set_params(filtres=2), "filtres"),
    refused("set_params: a typo of the density", lambda: UNetRegressor().set_params(density__sigmaa=2), "sigmaa"),
    refused("constructor: a typo", lambda: UNetRegressor(filtres=2), "filtres", error=TypeError),
    *(
        refused(f"{name}={str(value)[:30]} of {getattr(act, 'func', act).__name__} {number}", partial(act, **{name: value}),
                name, str(value) if isinstance(value, int | float | str) else "")
        for number, (act, names) in enumerate(OUT_OF_RANGE.items()) for name, values in names.items() for value in values
    ),
]
# fmt: on


@each(*PARAMETERS, *STATE, *UNLIKE, *METRICS, *TRANSFORMER, *OTHERS)
def test_bad_calls_are_refused_by_name_and_odd_ones_are_taken_as_documented(case, training, tmp_path):
    check(case, training, tmp_path / "data")
